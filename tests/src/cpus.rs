//! Which CPUs a scenario's workers take.

use std::fs;

/// So many CPUs for workers, as a list for the configuration: the highest that this process may use, so that CPU 0 is
/// the last to go.
///
/// # Panics
/// When this process may not use so many.
#[must_use]
pub fn workers(count: usize) -> String {
    let allowed = allowed();
    assert!(count <= allowed.len(), "{count} workers, and this process may use CPUs {allowed:?}");
    let chosen: Vec<String> = allowed[allowed.len() - count..].iter().map(u32::to_string).collect();
    chosen.join(",")
}

/// How many CPUs this process may use.
#[must_use]
pub fn count() -> usize {
    allowed().len()
}

fn allowed() -> Vec<u32> {
    let status = fs::read_to_string("/proc/self/status").expect("the kernel says who we are");
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .expect("the kernel says where we may run")
        .trim();
    list.split(',')
        .flat_map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let number = |text: &str| text.parse::<u32>().expect("a CPU's number");
            number(first)..=number(last)
        })
        .collect()
}
