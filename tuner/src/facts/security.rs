//! Mitigations, and what was switched off for speed.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Fact, Source};

/// Mitigations, and what was switched off for speed.
#[derive(Debug, Clone, Serialize)]
pub struct Security {
    /// What the kernel says of each vulnerability of the processor: `Mitigation: …`, `Vulnerable`, `Not affected`.
    pub vulnerabilities: Fact<BTreeMap<String, String>>,
    /// `/sys/devices/system/cpu/smt/control`: `on`, `off`, `forceoff`, `notsupported`.
    pub smt: Fact<String>,
    /// The tables of the older packet filter, of both versions: `filter`, `nat`.
    pub filter_tables: Fact<Vec<String>>,
    /// Is the newer packet filter loaded?
    pub has_nftables: bool,
}

impl Security {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        let dir = "sys/devices/system/cpu/vulnerabilities";
        let vulnerabilities = source.names(dir).and_then(|names| {
            let mut all = BTreeMap::new();
            for name in names.into_iter().take(256) {
                match source.text(&format!("{dir}/{name}")) {
                    Fact::Is(text) => {
                        all.insert(name, text);
                    }
                    Fact::Absent => {}
                    Fact::Unknown { why } => return Fact::Unknown { why },
                }
            }
            Fact::Is(all)
        });
        let mut tables = Vec::new();
        let mut why = None;
        for path in ["proc/net/ip_tables_names", "proc/net/ip6_tables_names"] {
            match source.text(path) {
                Fact::Is(text) => tables.extend(text.split_ascii_whitespace().map(str::to_owned)),
                Fact::Absent => {}
                Fact::Unknown { why: reason } => why = Some(reason),
            }
        }
        tables.sort();
        tables.dedup();
        Self {
            vulnerabilities,
            smt: source.text("sys/devices/system/cpu/smt/control"),
            filter_tables: match why {
                Some(why) => Fact::Unknown { why },
                None => Fact::Is(tables),
            },
            has_nftables: source.exists("sys/module/nf_tables"),
        }
    }
}
