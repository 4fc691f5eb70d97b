//! Physical cores as places for workers, and which of them to take first.

use std::collections::BTreeMap;

use crate::{CpuId, CpuSet, NumaNode, machine::Machine};

/// The physical cores of a machine: which CPUs share one.
#[derive(Debug)]
pub(super) struct Cores {
    /// The online threads of each core.
    threads: Vec<CpuSet>,
    /// Where in `threads` a CPU is.
    core_of: BTreeMap<CpuId, usize>,
}

impl Cores {
    /// Group the online CPUs. CPUs that do not agree about their siblings are taken to share one core.
    pub(super) fn of(machine: &Machine) -> Self {
        let mut cores = Self { threads: Vec::new(), core_of: BTreeMap::new() };
        for cpu in machine.cpus.iter().filter(|cpu| cpu.online) {
            let siblings =
                cpu.siblings.iter().filter(|&id| machine.cpu(id).is_some_and(|c| c.online));
            let mut group: CpuSet = siblings.chain([cpu.id]).collect();
            let known: Vec<usize> =
                group.iter().filter_map(|id| cores.core_of.get(&id).copied()).collect();
            for core in known {
                group = group.union(&std::mem::take(&mut cores.threads[core]));
            }
            for id in group.iter() {
                cores.core_of.insert(id, cores.threads.len());
            }
            cores.threads.push(group);
        }
        cores
    }

    /// The online threads of the core of `cpu`, itself included; empty when it is offline.
    pub(super) fn threads_of(&self, cpu: CpuId) -> CpuSet {
        self.core_of.get(&cpu).map(|&core| self.threads[core].clone()).unwrap_or_default()
    }

    /// All threads of all cores that have one of these CPUs.
    pub(super) fn whole(&self, cpus: &CpuSet) -> CpuSet {
        cpus.iter().flat_map(|cpu| self.threads_of(cpu).iter().collect::<Vec<_>>()).collect()
    }

    /// Every core.
    pub(super) fn iter(&self) -> impl Iterator<Item = &CpuSet> {
        self.threads.iter().filter(|threads| !threads.is_empty())
    }
}

/// A physical core that can carry one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The thread that the worker would run on.
    pub(super) cpu: CpuId,
    /// The node it is on.
    pub(super) node: Option<NumaNode>,
    /// The cache it shares with others.
    pub(super) l3: Option<u32>,
    /// What is better about other cores; the smaller the better.
    pub(super) rank: Rank,
}

/// What is wrong with a core, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    /// The worker's own thread is not isolated.
    pub(super) not_isolated: bool,
    /// Another thread of the core is not isolated, or belongs to other processes.
    disturbed: bool,
    /// Housekeeping would rather keep it.
    reserved: bool,
    /// The scheduler tick goes on.
    ticking: bool,
}

/// One core in so many is better left to housekeeping (the ratio of Seastar's perftune).
const CORES_PER_HOUSEKEEPER: usize = 16;

/// The cores that can carry a worker, none of whose threads is in `kept`.
pub(super) fn candidates(
    machine: &Machine,
    cores: &Cores,
    kept: &CpuSet,
    port_nodes: &[NumaNode],
) -> Vec<Candidate> {
    let free = || cores.iter().filter(|threads| threads.is_disjoint(kept));
    let reserved = reserve(machine, free(), kept, port_nodes);
    let mut found: Vec<Candidate> = free()
        .filter_map(|threads| {
            let cpu = threads
                .iter()
                .filter_map(|id| machine.cpu(id))
                .filter(|cpu| cpu.is_usable())
                .min_by_key(|cpu| (!cpu.isolated, cpu.id))?;
            let quiet = |id| machine.cpu(id).is_some_and(|other| other.isolated && other.allowed);
            let rank = Rank {
                not_isolated: !cpu.isolated,
                disturbed: !threads.iter().filter(|&id| id != cpu.id).all(quiet),
                reserved: reserved.contains(cpu.id),
                ticking: !cpu.nohz_full,
            };
            Some(Candidate { cpu: cpu.id, node: cpu.node, l3: cpu.l3, rank })
        })
        .collect();
    found.sort_by_key(|candidate| candidate.cpu);
    found
}

/// The cores that housekeeping should have besides its own: one on every node with a port, and one in sixteen. They
/// are given to workers when nothing else is left. Isolated cores are never reserved: they are there for workers.
fn reserve<'a>(
    machine: &Machine,
    free: impl Iterator<Item = &'a CpuSet>,
    kept: &CpuSet,
    port_nodes: &[NumaNode],
) -> CpuSet {
    let node_of = |id| machine.cpu(id).and_then(|cpu| cpu.node);
    let isolated = machine.isolated();
    let mut free: Vec<&CpuSet> = free.filter(|threads| threads.is_disjoint(&isolated)).collect();
    free.sort();
    let mut reserved = CpuSet::new();
    for &node in port_nodes {
        if kept.iter().any(|id| node_of(id) == Some(node)) {
            continue;
        }
        if let Some(threads) = free.iter().find(|t| t.first().and_then(node_of) == Some(node)) {
            reserved = reserved.union(threads);
        }
    }
    for threads in free.iter().take(free.len() / CORES_PER_HOUSEKEEPER) {
        reserved = reserved.union(threads);
    }
    reserved
}

/// Take up to `wanted` of the candidates for which `fits` is true out of `from`: the best rank first, and within a rank
/// as few caches as possible.
pub(super) fn take(
    from: &mut Vec<Candidate>,
    wanted: usize,
    fits: impl Fn(&Candidate) -> bool,
) -> Vec<Candidate> {
    let mut taken: Vec<Candidate> = Vec::new();
    while taken.len() < wanted {
        let Some(rank) = from.iter().filter(|c| fits(c)).map(|c| c.rank).min() else { break };
        let needed = wanted - taken.len();
        let mut sizes: BTreeMap<Option<u32>, usize> = BTreeMap::new();
        for candidate in from.iter().filter(|c| fits(c) && c.rank == rank) {
            *sizes.entry(candidate.l3).or_default() += 1;
        }
        // A cache that a worker already warms, then the one that holds most of the rest, then the lowest.
        let l3 = sizes
            .iter()
            .rev()
            .max_by_key(|&(&l3, &size)| (taken.iter().any(|t| t.l3 == l3), size.min(needed)))
            .and_then(|(&l3, _)| l3);
        let mut left = needed;
        from.retain(|candidate| {
            let take = left > 0 && fits(candidate) && candidate.rank == rank && candidate.l3 == l3;
            if take {
                left -= 1;
                taken.push(candidate.clone());
            }
            !take
        });
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(cpu: u32, l3: u32, not_isolated: bool) -> Candidate {
        let rank = Rank { not_isolated, disturbed: false, reserved: false, ticking: false };
        Candidate { cpu: CpuId::new(cpu).unwrap(), node: None, l3: Some(l3), rank }
    }

    fn numbers(taken: &[Candidate]) -> Vec<u32> {
        taken.iter().map(|candidate| candidate.cpu.get()).collect()
    }

    #[test]
    fn workers_stay_in_one_cache_that_holds_them_all() {
        let mut from = vec![candidate(2, 0, true), candidate(4, 4, true), candidate(5, 4, true)];

        assert_eq!(numbers(&take(&mut from, 2, |_| true)), [4, 5]);
        assert_eq!(numbers(&from), [2]);
    }

    #[test]
    fn one_worker_takes_the_lowest_cpu() {
        let mut from = vec![candidate(2, 0, true), candidate(4, 4, true), candidate(5, 4, true)];

        assert_eq!(numbers(&take(&mut from, 1, |_| true)), [2]);
    }

    #[test]
    fn isolation_goes_before_a_shared_cache() {
        let mut from = vec![candidate(2, 0, false), candidate(3, 0, true), candidate(4, 4, false)];

        assert_eq!(numbers(&take(&mut from, 2, |_| true)), [2, 4]);
    }

    #[test]
    fn no_more_than_there_are_is_taken() {
        let mut from = vec![candidate(2, 0, false)];

        assert_eq!(numbers(&take(&mut from, 7, |_| true)), [2]);
        assert!(from.is_empty());
    }
}
