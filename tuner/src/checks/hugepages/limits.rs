//! What may be locked, and mapped for devices.

use std::collections::BTreeSet;

use super::{
    super::{
        Context, Outcome,
        judge::{known, settled},
    },
    need::size_kib,
};
use crate::{
    Fact, Verdict,
    change::{Change, Form},
};

/// What a unit says of a limit: none for infinity. A letter stands for a power of 1024.
pub(super) fn limit_bytes(text: &str) -> Option<Option<u64>> {
    if text == "infinity" {
        return Some(None);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift).map(Some)
}

pub(super) fn lockable(context: &Context<'_>) -> Outcome {
    settled(|| {
        const UNIT: &str = "barewired.service";
        const DEFAULT: u64 = 8 << 20;
        let running = context.facts.memory.daemons.value().and_then(|all| all.first());
        let unit = context.facts.units.unit(UNIT).filter(|unit| unit.is_installed);
        let (limit, whose) = match (running, unit) {
            (Some(process), _) => (*known(&process.may_lock, "no limit")?, "the running daemon"),
            (None, Some(unit)) => {
                let limit = match &unit.memlock {
                    Fact::Is(text) => limit_bytes(text).ok_or_else(|| {
                        Outcome::unknown(format!("LimitMEMLOCK={text} is not understood"))
                    })?,
                    Fact::Absent => Some(DEFAULT),
                    Fact::Unknown { why } => return Err(Outcome::unknown(why)),
                };
                (limit, "its unit")
            }
            (None, None) => {
                return Ok(Outcome::not_applicable("the daemon is not installed as a service"));
            }
        };
        let nodes = context.intent.placement.value().map_or(1, |placement| {
            placement.workers.iter().map(|worker| worker.memory).collect::<BTreeSet<_>>().len()
        });
        let mib = u64::from(context.intent.per_node_mib);
        let needed = (mib << 20).saturating_mul(u64::try_from(nodes).unwrap_or(u64::MAX));
        let has_device = context.intent.data.iter().any(|port| port.pci.is_some());
        let outcome = match limit {
            None => Outcome::good(format!("{whose}: any amount")),
            Some(bytes) if bytes >= needed => {
                Outcome::warn(format!("{whose}: {} MiB, {} are needed", bytes >> 20, needed >> 20))
            }
            Some(bytes) => {
                let seen = format!("{whose}: {} MiB, {} are needed", bytes >> 20, needed >> 20);
                if has_device { Outcome::bad(seen) } else { Outcome::warn(seen) }
            }
        };
        let outcome = outcome.wanted("infinity");
        Ok(if outcome.verdict == Verdict::Good {
            outcome
        } else {
            outcome.fix(Change::File {
                path: format!("etc/systemd/system/{UNIT}.d/90-barewire-memlock.conf"),
                content: "# barewire-tune: MEM-16\n[Service]\nLimitMEMLOCK=infinity\n".to_owned(),
            })
        })
    })
}

pub(super) fn dma_entries(context: &Context<'_>) -> Outcome {
    settled(|| {
        let limit =
            *known(&context.facts.memory.dma_entries, "vfio's driver for IOMMUs is not loaded")?;
        let placement = known(&context.intent.placement, "nothing is placed")?;
        let nodes: BTreeSet<_> = placement.workers.iter().map(|worker| worker.memory).collect();
        let page_kib = u64::from(size_kib(context.intent.huge).unwrap_or(4));
        let pages = (u64::from(context.intent.per_node_mib) << 10).div_ceil(page_kib);
        let needed = pages.saturating_mul(u64::try_from(nodes.len()).unwrap_or(u64::MAX));
        let seen = format!("{limit}, and up to {needed} are needed");
        let outcome = if limit > needed {
            Outcome::good(seen)
        } else {
            Outcome::bad(seen).fix(Change::Kernel {
                path: "sys/module/vfio_iommu_type1/parameters/dma_entry_limit".to_owned(),
                // What DPDK's guide takes, or twice the need.
                value: needed.saturating_mul(2).max(512_000).min(u64::from(u32::MAX)).to_string(),
                form: Form::Number,
            })
        };
        Ok(outcome.wanted("more than the daemon has pages"))
    })
}
