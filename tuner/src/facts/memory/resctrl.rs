//! Parts of the last-level cache that are set aside (resctrl).
//!
//! Source: Linux `Documentation/filesystems/resctrl.rst`.

use std::collections::BTreeMap;

use config::CpuSet;
use serde::Serialize;

use crate::{Fact, Source};

/// Parts of the last-level cache that are set aside.
#[derive(Debug, Clone, Serialize)]
pub struct Cache {
    /// The groups that have CPUs of their own, the default one first under the name `""`; absent where resctrl is not
    /// mounted.
    pub groups: Fact<Vec<Group>>,
}

/// CPUs, and the parts of the caches that they may fill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its directory's name; empty for the default group.
    pub name: String,
    /// Its CPUs.
    pub cpus: CpuSet,
    /// The ways of each L3 cache that it may fill, a bit each, by the cache's number.
    pub ways: BTreeMap<u32, u64>,
}

/// The most groups that are looked at; processors have some dozens of classes.
const MOST: usize = 1024;

const TOP: &str = "sys/fs/resctrl";

impl Cache {
    pub(super) fn read(source: &Source) -> Self {
        if !source.exists(&format!("{TOP}/schemata")) {
            return Self { groups: Fact::Absent };
        }
        let names = match source.names(TOP) {
            Fact::Is(names) => names,
            Fact::Absent => return Self { groups: Fact::Absent },
            Fact::Unknown { why } => return Self { groups: Fact::Unknown { why } },
        };
        let subgroups = names
            .into_iter()
            .filter(|name| !matches!(name.as_str(), "info" | "mon_groups" | "mon_data"))
            .filter(|name| source.exists(&format!("{TOP}/{name}/schemata")))
            .take(MOST);
        let mut groups = Vec::new();
        for name in std::iter::once(String::new()).chain(subgroups) {
            let at = if name.is_empty() { TOP.to_owned() } else { format!("{TOP}/{name}") };
            let cpus = source.cpu_list(&format!("{at}/cpus_list"));
            let ways: Fact<BTreeMap<u32, u64>> = source
                .root()
                .parse_with(&format!("{at}/schemata"), "a schema for each resource", ways)
                .into();
            match (cpus, ways) {
                (Fact::Is(cpus), Fact::Is(ways)) => groups.push(Group { name, cpus, ways }),
                (Fact::Unknown { why }, _) | (_, Fact::Unknown { why }) => {
                    return Self { groups: Fact::Unknown { why } };
                }
                // It was removed meanwhile.
                (Fact::Absent, _) | (_, Fact::Absent) => {}
            }
        }
        Self { groups: Fact::Is(groups) }
    }
}

/// The `L3:` lines of a schema; code and data together where they are apart (`L3CODE:`, `L3DATA:`).
fn ways(text: &str) -> Option<BTreeMap<u32, u64>> {
    let mut ways = BTreeMap::new();
    for line in text.lines() {
        let (resource, caches) = line.trim().split_once(':')?;
        if !matches!(resource, "L3" | "L3CODE" | "L3DATA") {
            continue;
        }
        for cache in caches.split(';') {
            let (number, mask) = cache.split_once('=')?;
            let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
            *ways.entry(number.trim().parse().ok()?).or_insert(0) |= mask;
        }
    }
    Some(ways)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_schema_has_a_mask_for_each_cache() {
        let ways = |text| ways(text).map(|ways| ways.into_iter().collect::<Vec<_>>());

        assert_eq!(
            ways("    MB:0=100;1=100\n    L3:0=7ff;1=00f\n"),
            Some(vec![(0, 0x7ff), (1, 0xf)])
        );
        assert_eq!(ways("L3CODE:0=f0\nL3DATA:0=0f\n"), Some(vec![(0, 0xff)]));
        assert_eq!(ways("MB:0=100"), Some(Vec::new()));
        for odd in ["L3:0", "L3:x=1", "L3:0=zz", "rubbish"] {
            assert_eq!(ways(odd), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_a_panic(text in "(.|\n){0,200}") {
            let _ = ways(&text);
        }
    }
}
