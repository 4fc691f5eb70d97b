//! Tests that can not run here, and say so.

use std::{fs, path::Path, thread};

use crate::programs;

/// Says that the running test is skipped; `cargo xtask test` counts these lines.
///
/// `why` says what is missing, in words that begin with `needs` where the machine could have it.
pub fn skip(why: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("SKIPPED: {test}: {why}");
}

/// Whether we are not root; the running test is then skipped.
#[must_use]
pub fn without_root() -> bool {
    let without = !rustix::process::geteuid().is_root();
    if without {
        skip("needs root, for network namespaces");
    }
    without
}

/// Whether fewer than so many 2 MiB hugepages are free; the running test is then skipped.
#[must_use]
pub fn without_hugepages(wanted: u64) -> bool {
    let free = free_hugepages();
    let without = free < wanted;
    if without {
        skip(&format!("needs {wanted} free hugepages of 2 MiB, and {free} are"));
    }
    without
}

/// Whether a program is not installed; the running test is then skipped.
#[must_use]
pub fn without_program(name: &str) -> bool {
    let without = programs::find(name).is_none();
    if without {
        skip(&format!("needs {name}: `cargo xtask setup` installs it"));
    }
    without
}

/// Whether a folder of the system is not there; the running test is then skipped.
#[must_use]
pub fn without_folder(folder: &Path) -> bool {
    let without = !folder.is_dir();
    if without {
        skip(&format!("needs {}", folder.display()));
    }
    without
}

/// How many 2 MiB hugepages are free.
#[must_use]
pub fn free_hugepages() -> u64 {
    fs::read_to_string("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}
