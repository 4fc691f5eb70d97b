//! Hugepages: enough is left for everybody else, and the largest are reserved at boot.
//!
//! Source: Linux 6.18 `Documentation/admin-guide/mm/hugetlbpage.rst`: `hugepages=<node>:<count>,…` since 5.16; a
//! gigantic page needs a gigabyte in one piece, which a machine that has run for a while hardly has.

use std::collections::BTreeMap;

use config::NumaNode;

use super::{Chosen, Draft};
use crate::change::{BootValue, Change};

const GIB: u64 = 1 << 30;
const GIB_KIB: u32 = 1 << 20;

impl Draft<'_> {
    /// Refuses hugepages that would leave too little, and reserves those of 1 GiB at boot.
    pub(super) fn check_hugepages(&mut self) {
        let Some(machine) = self.facts.machine.value() else { return };
        let all: u64 = machine.nodes.iter().map(|node| node.memory_bytes).sum();
        let memory = |node: Option<NumaNode>| match node {
            None => all,
            Some(id) => machine.nodes.iter().find(|n| n.id == id).map_or(0, |n| n.memory_bytes),
        };
        let (root, chosen) = (self.source.root(), self.chosen.clone());
        let planned = |of: Option<NumaNode>| {
            chosen.iter().filter_map(move |chosen| match chosen.change {
                Change::Hugepages { node, size_kib, count } if node == of => {
                    Some((size_kib, count))
                }
                _ => None,
            })
        };
        // All that is reserved on a node when the plan is done, in bytes.
        let after = |node: Option<NumaNode>| -> u64 {
            let pools = match node {
                Some(node) => linux::hugepages::node(root, node),
                None => linux::hugepages::machine(root),
            };
            let mut sizes: BTreeMap<u32, u64> =
                pools.unwrap_or_default().iter().map(|pool| (pool.size_kib, pool.total)).collect();
            sizes.extend(planned(node));
            let bytes =
                sizes.iter().map(|(kib, count)| (u64::from(*kib) << 10).saturating_mul(*count));
            bytes.fold(0, u64::saturating_add)
        };
        self.refuse(|chosen| {
            let Change::Hugepages { node, size_kib, count } = chosen.change else { return None };
            let (memory, after) = (memory(node), after(node));
            let left = memory.saturating_sub(after);
            // Proposed: below this the rest of the machine does not live.
            let least = (memory / 20).max(GIB);
            (memory > 0 && left < least).then(|| {
                let place = node.map_or_else(|| "the machine".to_owned(), |n| format!("node {n}"));
                format!(
                    "refused: with {count} pages of {size_kib} KiB, {} MiB of the {} MiB of {place} would be \
                     left, and {} MiB are the least that is",
                    left >> 20,
                    memory >> 20,
                    least >> 20
                )
            })
        });
        self.reserve_at_boot();
    }

    /// Pages of 1 GiB come with the next boot where the command line can be written.
    fn reserve_at_boot(&mut self) {
        if !self.writes_command_line() {
            return;
        }
        let is_gigantic =
            |change: &Change| matches!(change, Change::Hugepages { size_kib: GIB_KIB, .. });
        let (gigantic, rest): (Vec<Chosen>, Vec<Chosen>) = std::mem::take(&mut self.chosen)
            .into_iter()
            .partition(|chosen| is_gigantic(&chosen.change));
        self.chosen = rest;
        let Some(first) = gigantic.first().cloned() else { return };
        // Nodes that have some already keep them.
        let mut counts: BTreeMap<NumaNode, u64> = BTreeMap::new();
        for node in self.facts.machine.value().into_iter().flat_map(|machine| &machine.nodes) {
            let pools = linux::hugepages::node(self.source.root(), node.id).unwrap_or_default();
            counts.extend(
                pools
                    .iter()
                    .filter(|pool| pool.size_kib == GIB_KIB && pool.total > 0)
                    .map(|pool| (node.id, pool.total)),
            );
        }
        let mut anywhere = 0;
        for chosen in &gigantic {
            if let Change::Hugepages { node, count, .. } = chosen.change {
                match node {
                    Some(node) => drop(counts.insert(node, count)),
                    None => anywhere = count,
                }
            }
        }
        let total = counts.values().sum::<u64>().max(anywhere);
        let has_nodes = self.facts.machine.value().is_some_and(|machine| machine.nodes.len() > 1);
        let value = if !has_nodes || anywhere > 0 {
            total.to_string()
        } else if self.kernel_is_at_least(5, 16) {
            let each: Vec<String> = counts.iter().map(|(node, n)| format!("{node}:{n}")).collect();
            each.join(",")
        } else {
            self.notes.push(format!(
                "this kernel is older than 5.16 and spreads the {total} pages of 1 GiB evenly over all nodes at boot"
            ));
            total.to_string()
        };
        let mut checks: Vec<String> = gigantic.iter().flat_map(|c| c.checks.clone()).collect();
        checks.dedup();
        for (key, value) in [("hugepagesz", "1G".to_owned()), ("hugepages", value)] {
            let change = Change::BootParameter { key: key.to_owned(), value: BootValue::Is(value) };
            self.chosen.push(Chosen { checks: checks.clone(), change, ..first.clone() });
        }
    }

    /// Is the running kernel at least this one? Not when that is not known.
    pub(super) fn kernel_is_at_least(&self, major: u32, minor: u32) -> bool {
        let release = self.source.text("proc/sys/kernel/osrelease");
        let version = release.value().and_then(|text| {
            let mut parts = text.split(|c: char| !c.is_ascii_digit());
            Some((parts.next()?.parse::<u32>().ok()?, parts.next()?.parse::<u32>().ok()?))
        });
        version.is_some_and(|version| version >= (major, minor))
    }
}
