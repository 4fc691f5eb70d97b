//! Hugepages and the rest of memory management.

pub mod huge;
pub mod resctrl;

use config::machine::Machine;
use serde::{Deserialize, Serialize};

use super::tasks::DAEMON;
use crate::{Choice, Fact, Source};

/// Hugepages and the rest of memory management.
#[derive(Debug, Clone, Serialize)]
pub struct Memory {
    /// Hugepages, where they are and who has them mounted.
    pub huge: huge::Huge,
    /// What could be had without swapping, in KiB.
    pub available_kib: Fact<u64>,
    /// Where memory is swapped to; empty without swap.
    pub swaps: Fact<Vec<Swap>>,
    /// `transparent_hugepage/enabled`
    pub transparent: Fact<Choice>,
    /// `transparent_hugepage/defrag`
    pub transparent_defrag: Fact<Choice>,
    /// `/sys/kernel/mm/ksm/run`
    pub merging: Fact<String>,
    /// `kernel.numa_balancing`
    pub numa_balancing: Fact<String>,
    /// `vm.zone_reclaim_mode`
    pub zone_reclaim: Fact<String>,
    /// `vm.swappiness`
    pub swappiness: Fact<String>,
    /// `vm.compaction_proactiveness`
    pub compaction: Fact<String>,
    /// `vm.max_map_count`
    pub max_maps: Fact<String>,
    /// `vm.dirty_ratio` and `vm.dirty_background_ratio`, in percent.
    pub dirty: Fact<(String, String)>,
    /// The daemon, where it runs.
    pub daemons: Fact<Vec<Process>>,
    /// How many mappings for DMA one vfio container may have; absent without the driver.
    pub dma_entries: Fact<u64>,
    /// Whether parts of the cache are set aside.
    pub cache: resctrl::Cache,
}

/// A place that memory is swapped to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Swap {
    /// `/dev/sda2`, `/swapfile`, `/dev/zram0`.
    pub path: String,
    /// In KiB.
    pub size_kib: u64,
    /// In KiB.
    pub used_kib: u64,
}

/// A process of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// How many mappings it has.
    pub maps: Fact<u64>,
    /// How much memory it may lock, in bytes; none for any amount.
    pub may_lock: Fact<Option<u64>>,
}

/// The most of a process's list of mappings that is read, in bytes.
const MAPS: usize = 32 << 20;
/// The most processes of the daemon that are looked at.
const MOST_DAEMONS: usize = 16;

impl Memory {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source, machine: Option<&Machine>) -> Self {
        let thp = |file: &str| source.choice(&format!("sys/kernel/mm/transparent_hugepage/{file}"));
        let dirty = source.sysctl("vm.dirty_ratio").and_then(|ratio| {
            source.sysctl("vm.dirty_background_ratio").map(|background| (ratio, background))
        });
        Self {
            huge: huge::Huge::read(source, machine),
            available_kib: source.text("proc/meminfo").and_then(|text| {
                match kib(&text, "MemAvailable:") {
                    Some(kib) => Fact::Is(kib),
                    None => Fact::unknown("no MemAvailable in /proc/meminfo"),
                }
            }),
            swaps: source.text("proc/swaps").and_then(|text| match swaps(&text) {
                Some(swaps) => Fact::Is(swaps),
                None => Fact::unknown("/proc/swaps is not a list of swap devices"),
            }),
            transparent: thp("enabled"),
            transparent_defrag: thp("defrag"),
            merging: source.text("sys/kernel/mm/ksm/run"),
            numa_balancing: source.sysctl("kernel.numa_balancing"),
            zone_reclaim: source.sysctl("vm.zone_reclaim_mode"),
            swappiness: source.sysctl("vm.swappiness"),
            compaction: source.sysctl("vm.compaction_proactiveness"),
            max_maps: source.sysctl("vm.max_map_count"),
            dirty,
            // Not as files: a list of mappings is long and says where everything is in memory.
            daemons: source
                .ask("memory/daemons", || daemons(&Source::of(source.root().clone().forgetting()))),
            dma_entries: source
                .parse("sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "a number"),
            cache: resctrl::Cache::read(source),
        }
    }
}

/// `MemTotal:  16384 kB` in KiB.
fn kib(text: &str, label: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(label))?;
    rest.split_ascii_whitespace().next()?.parse().ok()
}

fn swaps(text: &str) -> Option<Vec<Swap>> {
    let mut lines = text.lines();
    if !lines.next()?.starts_with("Filename") {
        return None;
    }
    // Blanks in names are written as \040.
    let swap = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [path, _kind, size, used, _priority] = words.as_slice() else { return None };
        Some(Swap {
            path: (*path).to_owned(),
            size_kib: size.parse().ok()?,
            used_kib: used.parse().ok()?,
        })
    };
    lines.map(swap).collect()
}

fn daemons(source: &Source) -> Fact<Vec<Process>> {
    source.names("proc").map(|names| {
        let ids = names.iter().filter_map(|name| name.parse::<u32>().ok());
        let is_daemon = |id: &u32| {
            source.text(&format!("proc/{id}/comm")).value().is_some_and(|name| name == DAEMON)
        };
        ids.filter(is_daemon).take(MOST_DAEMONS).map(|id| process(source, id)).collect()
    })
}

fn process(source: &Source, id: u32) -> Process {
    let maps: Fact<String> = source.root().head(&format!("proc/{id}/maps"), MAPS).into();
    let limits = source.text(&format!("proc/{id}/limits"));
    Process {
        id,
        maps: maps.map(|text| u64::try_from(text.lines().count()).unwrap_or(u64::MAX)),
        may_lock: limits.and_then(|text| match may_lock(&text) {
            Some(limit) => Fact::Is(limit),
            None => Fact::unknown(format!("no limit of locked memory in /proc/{id}/limits")),
        }),
    }
}

/// The soft limit of locked memory in `/proc/PID/limits`.
fn may_lock(text: &str) -> Option<Option<u64>> {
    let rest = text.lines().find_map(|line| line.strip_prefix("Max locked memory"))?;
    match rest.split_ascii_whitespace().next()? {
        "unlimited" => Some(None),
        bytes => Some(Some(bytes.parse().ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn swap_devices_are_listed_below_a_heading() {
        let heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

        assert_eq!(swaps(heading), Some(Vec::new()));
        let two = format!("{heading}/dev/sda2 partition 100 7 -2\n/swap\\040file file 5 0 -3\n");
        let two = swaps(&two).unwrap();
        assert_eq!((two[0].path.as_str(), two[0].size_kib, two[0].used_kib), ("/dev/sda2", 100, 7));
        assert_eq!(two.len(), 2);
        for odd in ["", "rubbish", &format!("{heading}/dev/sda2 partition many 7 -2")] {
            assert_eq!(swaps(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_limit_of_locked_memory_is_a_number_or_none() {
        let limits = |value| {
            format!("Limit  Soft Limit  Hard Limit  Units\nMax locked memory  {value}  1 bytes\n")
        };

        assert_eq!(may_lock(&limits("unlimited")), Some(None));
        assert_eq!(may_lock(&limits("8388608")), Some(Some(8_388_608)));
        assert_eq!(may_lock(&limits("much")), None);
        assert_eq!(may_lock(""), None);
    }

    #[test]
    fn the_daemon_is_found_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        for (id, name) in [(7, "barewired"), (8, "barewire")] {
            let at = dir.path().join(format!("proc/{id}"));
            fs::create_dir_all(&at).unwrap();
            fs::write(at.join("comm"), format!("{name}\n")).unwrap();
            fs::write(at.join("maps"), "a\nb\nc\n").unwrap();
            fs::write(at.join("limits"), "Max locked memory  unlimited  unlimited  bytes\n")
                .unwrap();
        }

        let found = daemons(&Source::at(dir.path()).unwrap()).into_value().unwrap();

        assert_eq!(found, [Process { id: 7, maps: Fact::Is(3), may_lock: Fact::Is(None) }]);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_a_panic(text in "(.|\n){0,200}") {
            let _ = (swaps(&text), may_lock(&text), kib(&text, "MemTotal:"));
        }
    }
}
