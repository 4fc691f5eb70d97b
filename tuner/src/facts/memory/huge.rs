//! Hugepages: how many there are on each node, who has them mounted, and what was left behind.

use std::collections::BTreeMap;

use config::{NumaNode, machine::Machine};
use linux::hugepages::{self, Pool};
use serde::{Deserialize, Serialize};

use super::kib;
use crate::{Fact, Source};

/// Hugepages.
#[derive(Debug, Clone, Serialize)]
pub struct Huge {
    /// What each NUMA node has; one place without a node on a kernel without NUMA.
    pub places: Fact<Vec<Place>>,
    /// The pools of the whole machine, by page size; empty where the kernel has no hugepages.
    pub machine: Fact<Vec<Pool>>,
    /// How many pages may be taken beyond the pool, by page size in KiB.
    pub overcommit: BTreeMap<u32, Fact<u64>>,
    /// Where hugepages are mounted as a file system.
    pub mounts: Fact<Vec<Mount>>,
    /// Files of DPDK programs in those mounts.
    pub files: Vec<Leftover>,
}

/// The memory of one NUMA node, or of a machine without nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The node.
    pub node: Option<NumaNode>,
    /// Its memory, in KiB.
    pub memory_kib: u64,
    /// Its hugepages by size, the smallest first.
    pub pools: Vec<Pool>,
}

/// A file system of hugepages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// Where it is.
    pub path: String,
    /// The size of its pages, in KiB; none where the kernel's default is taken.
    pub page_kib: Option<u32>,
    /// May everybody write there?
    pub is_for_everybody: bool,
}

/// A file that a DPDK program made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// Its path.
    pub path: String,
    /// Does some process have it mapped?
    pub is_mapped: Fact<bool>,
}

/// What a scan of all mappings found.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapped {
    /// Files of hugepages that some process has mapped.
    paths: Vec<String>,
    /// Processes whose mappings may not be seen.
    hidden: u32,
}

impl Place {
    /// The pool of a page size.
    #[must_use]
    pub fn pool(&self, size_kib: u32) -> Option<&Pool> {
        self.pools.iter().find(|pool| pool.size_kib == size_kib)
    }

    /// What hugepages of all sizes take, in KiB.
    #[must_use]
    pub fn reserved_kib(&self) -> u64 {
        let sizes =
            self.pools.iter().map(|pool| u64::from(pool.size_kib).saturating_mul(pool.total));
        sizes.fold(0, u64::saturating_add)
    }
}

impl Huge {
    pub(super) fn read(source: &Source, machine: Option<&Machine>) -> Self {
        let table: Fact<String> = source.root().head("proc/mounts", MOUNTS).into();
        let mounts = table.map(|text| mounts(&text));
        let pools: Fact<Vec<Pool>> = hugepages::machine(source.root()).into();
        let sizes = pools.value().map(Vec::as_slice).unwrap_or_default().iter();
        let overcommit = sizes
            .map(|pool| (pool.size_kib, source.parse(&overcommit_file(pool.size_kib), "a number")));
        Self {
            overcommit: overcommit.collect(),
            places: places(source, machine, &pools),
            files: files(source, mounts.value().map(Vec::as_slice).unwrap_or_default()),
            machine: pools,
            mounts,
        }
    }

    /// The place of a node, or the only place there is.
    #[must_use]
    pub fn place(&self, node: NumaNode) -> Option<&Place> {
        let places = self.places.value()?;
        match places.as_slice() {
            [only] if only.node.is_none() => Some(only),
            places => places.iter().find(|place| place.node == Some(node)),
        }
    }
}

/// The file that says how many pages may be taken beyond the pool.
#[must_use]
pub fn overcommit_file(size_kib: u32) -> String {
    format!("sys/kernel/mm/hugepages/hugepages-{size_kib}kB/nr_overcommit_hugepages")
}

fn places(source: &Source, machine: Option<&Machine>, pools: &Fact<Vec<Pool>>) -> Fact<Vec<Place>> {
    let has_nodes = source.exists("sys/devices/system/node/node0")
        || source.exists("sys/devices/system/node/online");
    let Some(machine) = machine.filter(|_| has_nodes) else {
        return source.text("proc/meminfo").and_then(|text| match kib(&text, "MemTotal:") {
            Some(memory_kib) => pools
                .as_ref()
                .map(|pools| vec![Place { node: None, memory_kib, pools: pools.clone() }]),
            None => Fact::unknown("no MemTotal in /proc/meminfo"),
        });
    };
    let mut places = Vec::new();
    for node in &machine.nodes {
        match hugepages::node(source.root(), node.id) {
            Ok(pools) => places.push(Place {
                node: Some(node.id),
                memory_kib: node.memory_bytes >> 10,
                pools,
            }),
            Err(error) => return Fact::unknown(error.to_string()),
        }
    }
    Fact::Is(places)
}

/// The hugepage file systems of `/proc/mounts`.
fn mounts(text: &str) -> Vec<Mount> {
    let mount = |line: &str| {
        let mut words = line.split(' ');
        let (_device, path, kind, options) =
            (words.next()?, words.next()?, words.next()?, words.next()?);
        if kind != "hugetlbfs" {
            return None;
        }
        let option = |name: &str| options.split(',').find_map(|option| option.strip_prefix(name));
        // Everybody's bit for writing, in octal.
        let mode = option("mode=").and_then(|mode| u32::from_str_radix(mode, 8).ok());
        Some(Mount {
            path: path.to_owned(),
            page_kib: option("pagesize=").and_then(size_kib),
            is_for_everybody: mode.is_some_and(|mode| mode & 0o002 != 0),
        })
    };
    text.lines().filter_map(mount).collect()
}

/// A size as the kernel writes and reads it (`2M`, `1G`, `64K`, bytes without a letter), in KiB.
#[must_use]
pub fn size_kib(text: &str) -> Option<u32> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let kib = match &text[digits.len()..] {
        "" => number >> 10,
        "K" | "k" | "KB" | "kB" => number,
        "M" | "m" | "MB" => number.checked_mul(1 << 10)?,
        "G" | "g" | "GB" => number.checked_mul(1 << 20)?,
        _ => return None,
    };
    u32::try_from(kib).ok().filter(|kib| *kib > 0)
}

/// The most of the table of mounts that is read, in bytes: a host of containers has thousands.
const MOUNTS: usize = 4 << 20;
/// The most files that are listed.
const MOST_FILES: usize = 4096;
/// The most processes whose mappings are looked at.
const MOST_PROCESSES: usize = 8192;
/// The most of the mappings of one process that is read, in bytes.
const MAPS: usize = 8 << 20;

/// The files that DPDK's memory comes from are called `<prefix>map_<number>`.
fn is_of_dpdk(name: &str) -> bool {
    name.rsplit_once("map_").is_some_and(|(_, number)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn files(source: &Source, mounts: &[Mount]) -> Vec<Leftover> {
    let mut paths = Vec::new();
    for mount in mounts {
        let names = source.names(&mount.path).into_value().unwrap_or_default();
        let files = names.iter().filter(|name| is_of_dpdk(name));
        paths.extend(files.map(|name| format!("{}/{name}", mount.path)));
    }
    paths.truncate(MOST_FILES);
    if paths.is_empty() {
        return Vec::new();
    }
    let forgetting = Source::of(source.root().clone().forgetting());
    let mapped = source.ask("hugepages/mapped", || mapped(&forgetting, &paths));
    let leftover = |path: String| Leftover {
        is_mapped: mapped.as_ref().and_then(|mapped| {
            match (mapped.paths.contains(&path), mapped.hidden) {
                (true, _) => Fact::Is(true),
                (false, 0) => Fact::Is(false),
                (false, hidden) => Fact::unknown(format!(
                    "the mappings of {hidden} processes may not be seen by this user"
                )),
            }
        }),
        path,
    };
    paths.into_iter().map(leftover).collect()
}

fn mapped(source: &Source, wanted: &[String]) -> Fact<Mapped> {
    source.names("proc").map(|names| {
        let ids = names.iter().filter_map(|name| name.parse::<u32>().ok());
        let mut found = Mapped { paths: Vec::new(), hidden: 0 };
        for id in ids.take(MOST_PROCESSES) {
            match source.root().head(&format!("proc/{id}/maps"), MAPS) {
                Ok(text) => {
                    let paths = text.lines().filter_map(|line| line.split_once('/'));
                    for (_, path) in paths {
                        let path = format!("/{path}");
                        if wanted.contains(&path) && !found.paths.contains(&path) {
                            found.paths.push(path);
                        }
                    }
                }
                Err(error) if error.is_missing() => {}
                Err(_) => found.hidden += 1,
            }
        }
        found
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hugepage_mounts_say_their_page_size_and_who_may_write() {
        let text = "proc /proc proc rw 0 0\n\
                    hugetlbfs /dev/hugepages hugetlbfs rw,relatime,pagesize=2M 0 0\n\
                    nodev /mnt/huge hugetlbfs rw,mode=1777,pagesize=1024M 0 0\n\
                    x /odd hugetlbfs rw,mode=0770,pagesize=big 0 0\ntorn /line\n";

        let found = mounts(text);

        let all: Vec<_> =
            found.iter().map(|m| (m.path.as_str(), m.page_kib, m.is_for_everybody)).collect();
        assert_eq!(
            all,
            [
                ("/dev/hugepages", Some(2048), false),
                ("/mnt/huge", Some(1 << 20), true),
                ("/odd", None, false)
            ]
        );
    }

    #[test]
    fn sizes_have_the_letters_of_the_kernel() {
        for (text, kib) in [("2M", 2048), ("1G", 1 << 20), ("64K", 64), ("2097152", 2048)] {
            assert_eq!(size_kib(text), Some(kib), "{text}");
        }
        for odd in ["", "M", "1T", "-1M", "99999999999999999999G", "0", "18446744073709551615G"] {
            assert_eq!(size_kib(odd), None, "{odd}");
        }
    }

    #[test]
    fn files_that_nobody_has_mapped_are_told_from_those_in_use() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for name in ["rtemap_0", "rtemap_1", "rtemap_x", "map_", "other"] {
            write(&format!("dev/hugepages/{name}"), "");
        }
        write("proc/7/maps", "7f00-7f20 rw-s 00000000 00:0f 12 /dev/hugepages/rtemap_1\n");
        let source = Source::at(dir.path()).unwrap();
        let paths = ["rtemap_0", "rtemap_1"].map(|name| format!("/dev/hugepages/{name}"));

        let mount =
            Mount { path: "/dev/hugepages".to_owned(), page_kib: None, is_for_everybody: false };
        let found = files(&source, &[mount]);
        assert_eq!(
            found.iter().map(|f| &f.path).collect::<Vec<_>>(),
            paths.iter().collect::<Vec<_>>()
        );

        let mapped = mapped(&source, &paths).into_value().unwrap();
        assert_eq!((mapped.paths.as_slice(), mapped.hidden), (&paths[1..], 0));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_a_panic(text in "(.|\n){0,200}") {
            let _ = (mounts(&text), size_kib(&text), is_of_dpdk(&text));
        }
    }
}
