//! Who runs on which CPU: the planner that the daemon and the tuner share.
//!
//! [`place`] is pure. Machine, wish and ports go in; a [`Placement`] with a reason for every CPU comes out, or
//! everything that is wrong with the wish at once. The same input gives the same answer.
//!
//! ```text
//!  Machine ─┐                       ┌─► housekeeping   CPU 0 and what is left
//!  Cores ───┼─► place ─► Placement ─┼─► workers        CPU, node, ports of each
//!  ports ───┤                       ├─► ports          node and memory of each
//!  mode ────┘                       └─► reasons        one for each CPU
//! ```
//!
//! **`workers = "auto"`**: a worker gets a whole physical core: the other threads of it stay idle. Never CPU 0, nor a
//! core that housekeeping uses. First the cores on the node of the ports, of these first the isolated ones, of these
//! first those that share an L3 cache; cores of other nodes, the nearest first, when a node has too few.
//!
//! **`count = "auto"`** is one worker in run-to-completion mode, two in staged mode, for each node that has a port which
//! receives: a core forwards 10 Gb/s of small frames, and every core given to polling is one that nobody else has. Set
//! `count` for more; they are shared out to the nodes by their number of ports.
//!
//! **`workers = "2-5"`** is taken exactly. What is not good about it is a warning, or an error with `strict = true`.
//!
//! **`housekeeping = "auto"`** is every usable CPU that is neither a worker, nor another thread of a worker's core, nor
//! isolated; and CPU 0, which the kernel never leaves alone. A list is taken exactly, and may not overlap with workers.
//!
//! **Too small a machine.** Where only CPU 0's core is left, the other thread of it becomes the worker; where only one
//! CPU is left, housekeeping shares it. A worker list that names every CPU shares CPU 0 too. Sharing is never chosen for
//! a second worker, is declared in [`Placement::shared`], and warned of.

mod cores;
mod error;
mod explain;
mod ports;
mod wish;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Auto, CpuId, CpuSet, Mode, NumaNode, machine::Machine};

pub use error::{List, PlacementError};
pub use explain::{Reason, Role};
pub use ports::{Locality, PortHome, PortSite};

/// Who runs on which CPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Placement {
    /// The CPUs for everything that is not a worker; never empty.
    pub housekeeping: CpuSet,
    /// The workers; never empty. By node, cache and CPU when they were chosen, by CPU when they were listed.
    pub workers: Vec<WorkerSite>,
    /// The CPUs that are a worker's and housekeeping's at once. Empty unless nothing else was left.
    pub shared: CpuSet,
    /// The home of each port, in the order they were given.
    pub ports: Vec<PortHome>,
    /// What each CPU of the machine does and why, the lowest first.
    pub reasons: Vec<Reason>,
    /// What an operator should know, in sentences.
    pub warnings: Vec<String>,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WorkerSite {
    /// Its number: its place in [`Placement::workers`].
    pub index: usize,
    /// The CPU it is pinned to.
    pub cpu: CpuId,
    /// The node of that CPU.
    pub node: Option<NumaNode>,
    /// Where its memory comes from: its node, or the nearest that has memory.
    pub memory: Option<NumaNode>,
    /// The ports that are on its node or anywhere (indices into the ports given).
    pub ports: Vec<usize>,
    /// The ports on other nodes that it serves as well, because no nearer worker does or it has none of its own.
    pub remote_ports: Vec<usize>,
}

impl Placement {
    /// The CPUs of the workers.
    #[must_use]
    pub fn worker_cpus(&self) -> CpuSet {
        self.workers.iter().map(|worker| worker.cpu).collect()
    }
}

/// Give out the CPUs of `machine` as `[cores]` asks, for these ports and this mode.
///
/// # Errors
/// Everything that is wrong with the wish, each with [`PlacementError::key`] and [`PlacementError::help`].
///
/// # Example
/// ```
/// use config::{Auto, Cores, CpuId, Mode, machine::{Cpu, Machine}, placement};
///
/// let cpus = (0..2).filter_map(CpuId::new).map(Cpu::new).collect();
/// let machine = Machine { cpus, ..Machine::default() };
/// let cores = Cores { housekeeping: Auto::Auto, workers: Auto::Auto, count: Auto::Auto, strict: false };
///
/// let placement = placement::place(&machine, &cores, &[], Mode::RunToCompletion).map_err(|e| e[0].clone())?;
///
/// assert_eq!(placement.housekeeping.to_string(), "0");
/// assert_eq!(placement.worker_cpus().to_string(), "1");
/// # Ok::<(), placement::PlacementError>(())
/// ```
pub fn place(
    machine: &Machine,
    wish: &crate::Cores,
    ports: &[PortSite],
    mode: Mode,
) -> Result<Placement, Vec<PlacementError>> {
    wish::check(machine, wish, mode)?;
    let cores = cores::Cores::of(machine);
    let least = match mode {
        Mode::RunToCompletion => 1,
        Mode::Staged => 2,
    };

    let (workers, homes) = match &wish.workers {
        Auto::Set(list) => {
            let mut weights: BTreeMap<NumaNode, usize> = BTreeMap::new();
            for node in list.iter().filter_map(|id| machine.cpu(id)?.node) {
                *weights.entry(node).or_default() += 1;
            }
            (list.iter().collect(), ports::homes(machine, ports, &weights))
        }
        Auto::Auto => choose(machine, &cores, wish, ports, least)?,
    };
    let worker_cpus: CpuSet = workers.iter().copied().collect();
    let housekeeping = match &wish.housekeeping {
        Auto::Set(list) => CpuSet::clone(list),
        Auto::Auto => housekeeping(machine, &cores, &worker_cpus),
    };
    let shared = worker_cpus.intersection(&housekeeping);
    let workers = serve(machine, workers, ports, &homes);

    let faults = wish::faults(machine, &cores, &workers, &housekeeping, ports, &homes);
    if wish.strict && !faults.is_empty() {
        return Err(faults);
    }
    let mut warnings: Vec<String> = faults.iter().map(ToString::to_string).collect();
    warnings.extend(explain::remarks(machine, &cores, &workers, &housekeeping, &homes, mode));
    let reasons = explain::reasons(machine, &cores, wish, ports, &workers, &housekeeping);
    Ok(Placement { housekeeping, workers, shared, ports: homes, reasons, warnings })
}

/// The CPU that housekeeping has in any case: CPU 0 or, where this process may not use it, the first plain one.
fn anchor(machine: &Machine) -> Option<CpuId> {
    machine
        .cpus
        .iter()
        .filter(|cpu| cpu.is_usable())
        .min_by_key(|c| (c.id != CpuId::ZERO, c.isolated, c.id))
        .map(|cpu| cpu.id)
}

/// Choose the workers' CPUs and find the ports' homes.
fn choose(
    machine: &Machine,
    cores: &cores::Cores,
    wish: &crate::Cores,
    ports: &[PortSite],
    least: usize,
) -> Result<(Vec<CpuId>, Vec<PortHome>), Vec<PlacementError>> {
    let listed = match &wish.housekeeping {
        Auto::Set(list) => CpuSet::clone(list),
        Auto::Auto => anchor(machine).into_iter().collect(),
    };
    let kept = cores.whole(&listed).union(&cores.threads_of(CpuId::ZERO));

    let mut weights: BTreeMap<NumaNode, usize> = BTreeMap::new();
    for candidate in cores::candidates(machine, cores, &kept, &[]) {
        if let Some(node) = candidate.node {
            // Any isolated core outweighs that there are plain ones.
            let weight = weights.entry(node).or_insert(1);
            *weight += 2 * usize::from(!candidate.rank.not_isolated);
        }
    }
    let homes = ports::homes(machine, ports, &weights);
    let nowhere = [PortSite { name: String::new(), locality: Locality::Anywhere, receives: true }];
    let busy = if ports.is_empty() {
        ports::busy_nodes(&nowhere, &ports::homes(machine, &nowhere, &weights))
    } else {
        ports::busy_nodes(ports, &homes)
    };

    let shares = match wish.count {
        Auto::Auto => busy.iter().map(|&(node, _)| (node, least)).collect(),
        Auto::Set(count) => ports::share_out(&busy, count),
    };
    let (wanted, needed) = match wish.count {
        Auto::Auto => (least * busy.len().max(1), least),
        Auto::Set(count) => (count.max(1), count.max(1)),
    };
    let port_nodes: Vec<NumaNode> = busy.iter().map(|&(node, _)| node).collect();
    let mut free = cores::candidates(machine, cores, &kept, &port_nodes);
    let available = free.len();
    let mut taken = take_near(machine, &mut free, &shares);
    // A machine without nodes: any core will do.
    let missing = wanted.saturating_sub(taken.len());
    taken.extend(cores::take(&mut free, missing, |_| true));

    if taken.is_empty() && needed == 1 {
        let rest = machine.cpus.iter().filter(|cpu| cpu.is_usable());
        let rest = rest.filter(|cpu| wish.housekeeping == Auto::Auto || !listed.contains(cpu.id));
        let key = |cpu: &&crate::machine::Cpu| {
            (cpu.id == CpuId::ZERO, listed.contains(cpu.id), !cpu.isolated, cpu.id)
        };
        if let Some(cpu) = rest.min_by_key(key) {
            return Ok((vec![cpu.id], homes));
        }
    }
    if taken.len() < needed {
        return Err(vec![PlacementError::NotEnough { wanted: needed, available }]);
    }
    taken.sort_by_key(|worker| (worker.node, worker.l3, worker.cpu));
    Ok((taken.iter().map(|worker| worker.cpu).collect(), homes))
}

/// Take each node's share: first everything that is local, so that no node's overflow takes another's own.
fn take_near(
    machine: &Machine,
    free: &mut Vec<cores::Candidate>,
    shares: &[(NumaNode, usize)],
) -> Vec<cores::Candidate> {
    let mut taken = Vec::new();
    let mut missing = Vec::new();
    for &(node, share) in shares {
        let local = cores::take(free, share, |candidate| candidate.node == Some(node));
        missing.push((node, share - local.len()));
        taken.extend(local);
    }
    for (node, mut missing) in missing {
        for near in machine.by_distance(node, machine.nodes.iter().map(|node| node.id)) {
            let more = cores::take(free, missing, |candidate| candidate.node == Some(near));
            missing -= more.len();
            taken.extend(more);
        }
    }
    taken
}

/// The CPUs for everything that is not a worker.
fn housekeeping(machine: &Machine, cores: &cores::Cores, workers: &CpuSet) -> CpuSet {
    let free = machine.usable().difference(workers);
    let quiet = free.difference(&cores.whole(workers));
    let boot: CpuSet = free.iter().take_while(|&cpu| cpu == CpuId::ZERO).collect();
    let plain = quiet.difference(&machine.isolated()).union(&boot);
    if !plain.is_empty() {
        return plain;
    }
    // Only isolated cores are left: take no more than one of them.
    if let Some(cpu) = anchor(machine).filter(|&cpu| quiet.contains(cpu)).or(quiet.first()) {
        return cores.threads_of(cpu).intersection(&quiet);
    }
    if !free.is_empty() {
        return free;
    }
    workers.iter().take(1).collect()
}

/// Say which ports each worker serves.
fn serve(
    machine: &Machine,
    cpus: Vec<CpuId>,
    ports: &[PortSite],
    homes: &[PortHome],
) -> Vec<WorkerSite> {
    let node_of = |id| machine.cpu(id).and_then(|cpu| cpu.node);
    let is_local = |node: Option<NumaNode>, home: &PortHome| match (node, home.node) {
        (Some(node), Some(at)) => node == at || home.is_anywhere(),
        // Of a machine without nodes every place is as near as any other.
        (None, _) | (_, None) => true,
    };
    let mut workers: Vec<WorkerSite> = cpus
        .into_iter()
        .enumerate()
        .map(|(index, cpu)| {
            let node = node_of(cpu);
            let local = (0..ports.len()).filter(|&port| is_local(node, &homes[port]));
            WorkerSite {
                index,
                cpu,
                node,
                memory: node.and_then(|node| machine.memory_node(node)).or(node),
                ports: local.collect(),
                remote_ports: Vec::new(),
            }
        })
        .collect();

    let any_receives = ports.iter().any(|port| port.receives);
    let needs_worker = |port: usize| ports[port].receives || !any_receives;
    let home_node = |port: usize| homes[port].node;
    // A worker with nothing of its own helps with the nearest node that has ports.
    for worker in workers.iter_mut().filter(|w| !w.ports.iter().any(|&port| needs_worker(port))) {
        let busy = (0..ports.len()).filter(|&port| needs_worker(port)).filter_map(home_node);
        let Some(node) = worker.node else { continue };
        let Some(&near) = machine.by_distance(node, busy).first() else { continue };
        worker.remote_ports =
            (0..ports.len()).filter(|&port| home_node(port) == Some(near)).collect();
    }
    // A port that nobody serves yet goes to the workers of the nearest node that has any.
    for port in 0..ports.len() {
        let served = |w: &WorkerSite| w.ports.contains(&port) || w.remote_ports.contains(&port);
        let Some(node) = home_node(port).filter(|_| !workers.iter().any(served)) else { continue };
        let near = machine.by_distance(node, workers.iter().filter_map(|worker| worker.node));
        for worker in workers.iter_mut().filter(|worker| worker.node == near.first().copied()) {
            worker.remote_ports.push(port);
        }
    }
    for worker in &mut workers {
        worker.remote_ports.sort_unstable();
    }
    workers
}
