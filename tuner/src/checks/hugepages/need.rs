//! What the daemon needs on each node, and what would be left of it.

use std::collections::BTreeSet;

use config::{Huge, NumaNode};

use crate::{
    Verdict,
    checks::{Context, Outcome, judge::known},
    facts::memory::huge::Place,
};

/// What the daemon needs on each node.
pub(super) struct Need {
    /// The nodes that workers take their memory from.
    pub(super) nodes: BTreeSet<NumaNode>,
    /// Pages for each.
    pub(super) pages: u64,
    /// The size of a page, in KiB.
    pub(super) size_kib: u32,
}

/// The size of the pages that are asked for, in KiB.
pub(super) fn size_kib(huge: Huge) -> Option<u32> {
    match huge {
        Huge::M2 => Some(2 << 10),
        Huge::G1 => Some(1 << 20),
        Huge::None => None,
    }
}

pub(super) fn need(context: &Context<'_>) -> Result<Need, Outcome> {
    let intent = context.intent;
    let Some(size_kib) = size_kib(intent.huge) else {
        return Err(Outcome::not_applicable("the daemon is configured for ordinary pages"));
    };
    let placement = known(&intent.placement, "nothing is placed")?;
    let nodes = placement.workers.iter().map(|worker| worker.memory.unwrap_or(NumaNode(0)));
    let pages = (u64::from(intent.per_node_mib) << 10).div_ceil(u64::from(size_kib));
    Ok(Need { nodes: nodes.collect(), pages, size_kib })
}

pub(super) fn size_name(size_kib: u32) -> String {
    match size_kib {
        kib if kib % (1 << 20) == 0 => format!("{} GiB", kib >> 20),
        kib if kib % (1 << 10) == 0 => format!("{} MiB", kib >> 10),
        kib => format!("{kib} KiB"),
    }
}

/// What one node lacks.
pub(super) struct Lack {
    /// Pages that the pool has now.
    pub(super) total: u64,
    /// Pages that nobody has.
    pub(super) free: u64,
    /// Pages that have to come.
    pub(super) missing: u64,
}

/// What a node lacks of a need. A running daemon has its pages already.
pub(super) fn lack(context: &Context<'_>, place: &Place, need: &Need) -> Lack {
    let (total, free) = match place.pool(need.size_kib) {
        Some(pool) => {
            let promised = if place.node.is_none() { pool.reserved.unwrap_or(0) } else { 0 };
            (pool.total, pool.free.saturating_sub(promised))
        }
        None => (0, 0),
    };
    let is_running = !context.facts.tasks.daemons().is_empty();
    let missing =
        if is_running && total >= need.pages { 0 } else { need.pages.saturating_sub(free) };
    Lack { total, free, missing }
}

/// Memory that would be left on a place when what is missing was reserved, in KiB.
pub(super) fn left_kib(context: &Context<'_>, place: &Place, need: Option<&Need>) -> u64 {
    let wanted = need.filter(|need| place.node.is_none_or(|node| need.nodes.contains(&node)));
    let more = wanted.map_or(0, |need| {
        let missing = lack(context, place, need).missing;
        missing.saturating_mul(u64::from(need.size_kib))
    });
    place.memory_kib.saturating_sub(place.reserved_kib().saturating_add(more))
}

/// How comfortable it is with so much left: 10 % and 2 GiB are good; below 5 % or 1 GiB nothing is reserved.
pub(super) fn comfort(left_kib: u64, memory_kib: u64) -> Verdict {
    const GIB: u64 = 1 << 20;
    if left_kib >= (memory_kib / 10).max(2 * GIB) {
        Verdict::Good
    } else if left_kib >= (memory_kib / 20).max(GIB) {
        Verdict::Warn
    } else {
        Verdict::Bad
    }
}

pub(super) fn place_name(place: &Place) -> String {
    place.node.map_or_else(|| "the machine".to_owned(), |node| format!("node {node}"))
}
