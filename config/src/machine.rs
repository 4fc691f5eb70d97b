//! A machine, as far as placing work on it needs to know it.
//!
//! Plain data: `linux::topology` reads it from a running machine, a test writes it down. Nothing in it is a guess; what
//! could not be found out is `None`, and [`Machine::notes`] says why.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CpuId, CpuSet, NumaNode};

/// The CPUs and NUMA nodes of one machine.
///
/// ```
/// use config::{CpuId, NumaNode, machine::{Cpu, Machine, Node}};
///
/// let cpus = (0..2).filter_map(CpuId::new).map(|id| Cpu { node: Some(NumaNode(0)), ..Cpu::new(id) });
/// let node = Node { memory_bytes: 4 << 30, ..Node::new(NumaNode(0), "0-1".parse()?) };
/// let machine = Machine { cpus: cpus.collect(), nodes: vec![node], ..Machine::default() };
/// assert_eq!(machine.usable().to_string(), "0-1");
/// # Ok::<(), config::CpuParseError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Every CPU that is present, online or not, the lowest number first.
    pub cpus: Vec<Cpu>,
    /// Every NUMA node that is online, the lowest number first. A machine without NUMA has the one node 0.
    pub nodes: Vec<Node>,
    /// Where packages, cores and caches were learnt from.
    pub source: Source,
    /// What could not be found out or did not fit together, in sentences.
    pub notes: Vec<String>,
}

/// Where a [`Machine`] was learnt from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Nothing but the kernel's files.
    #[default]
    Sysfs,
    /// hwloc for packages, cores and caches; the kernel's files for the rest.
    Hwloc,
    /// A machine that does not exist, described by `HWLOC_SYNTHETIC`.
    Synthetic,
}

/// One logical CPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// Its number.
    pub id: CpuId,
    /// Does it run? The kernel tells nothing else about a CPU that does not.
    pub online: bool,
    /// The socket, as the kernel numbers them.
    pub package: Option<u32>,
    /// The core's number within its package or die. Not unique on the machine: compare [`siblings`](Self::siblings).
    pub core: Option<u32>,
    /// Its NUMA node.
    pub node: Option<NumaNode>,
    /// The CPUs that are threads of the same physical core and online, with this one.
    pub siblings: CpuSet,
    /// The lowest CPU that shares the last-level (L3) cache with this one; equal numbers share a cache.
    pub l3: Option<u32>,
    /// Kept out of the scheduler's load balancing: `isolcpus=domain`, or an isolated cpuset partition.
    pub isolated: bool,
    /// Runs without the scheduler tick while it has one task: `nohz_full=`.
    pub nohz_full: bool,
    /// This process may run on it: its cpuset has it.
    pub allowed: bool,
}

impl Cpu {
    /// An online CPU that is a core of its own, about which nothing else is known.
    #[must_use]
    pub fn new(id: CpuId) -> Self {
        Self {
            id,
            online: true,
            package: None,
            core: None,
            node: None,
            siblings: CpuSet::from_iter([id]),
            l3: None,
            isolated: false,
            nohz_full: false,
            allowed: true,
        }
    }

    /// May work be placed on it?
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.online && self.allowed
    }
}

/// One NUMA node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its number.
    pub id: NumaNode,
    /// Its CPUs that are online; none when it is memory only.
    pub cpus: CpuSet,
    /// Bytes of memory; 0 for a memoryless node.
    pub memory_bytes: u64,
    /// Hugepages of 2 MiB that nobody uses, in pages.
    pub huge_2m_free: u64,
    /// Hugepages of 1 GiB that nobody uses, in pages.
    pub huge_1g_free: u64,
    /// The ACPI SLIT: 10 is local, 20 twice as far. Relative, and only as true as the firmware.
    pub distances: BTreeMap<NumaNode, u32>,
}

impl Node {
    /// A node with these CPUs and, as far as known, no memory.
    #[must_use]
    pub fn new(id: NumaNode, cpus: CpuSet) -> Self {
        Self {
            id,
            cpus,
            memory_bytes: 0,
            huge_2m_free: 0,
            huge_1g_free: 0,
            distances: BTreeMap::new(),
        }
    }
}

impl Machine {
    /// The CPU of this number.
    #[must_use]
    pub fn cpu(&self, id: CpuId) -> Option<&Cpu> {
        // Nearly always at its own index; a machine with holes in its numbering is searched.
        self.cpus
            .get(id.index())
            .filter(|cpu| cpu.id == id)
            .or_else(|| self.cpus.iter().find(|cpu| cpu.id == id))
    }

    /// The node of this number.
    #[must_use]
    pub fn node(&self, id: NumaNode) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The CPUs that answer yes.
    pub fn cpus_where(&self, is_wanted: impl Fn(&Cpu) -> bool) -> CpuSet {
        self.cpus.iter().filter(|cpu| is_wanted(cpu)).map(|cpu| cpu.id).collect()
    }

    /// The CPUs that work may be placed on: online, and in this process's cpuset.
    #[must_use]
    pub fn usable(&self) -> CpuSet {
        self.cpus_where(Cpu::is_usable)
    }

    /// The CPUs that are kept out of load balancing.
    #[must_use]
    pub fn isolated(&self) -> CpuSet {
        self.cpus_where(|cpu| cpu.isolated)
    }

    /// How far it is from one node to another, or `None` when the firmware does not say.
    #[must_use]
    pub fn distance(&self, from: NumaNode, to: NumaNode) -> Option<u32> {
        self.node(from)?.distances.get(&to).copied()
    }

    /// Those nodes, the nearest to `from` first: `from` itself, then by distance, then by number.
    #[must_use]
    pub fn by_distance(
        &self,
        from: NumaNode,
        nodes: impl IntoIterator<Item = NumaNode>,
    ) -> Vec<NumaNode> {
        let mut nodes: Vec<_> = nodes.into_iter().collect();
        nodes.sort_by_key(|&to| (to != from, self.distance(from, to).unwrap_or(u32::MAX), to));
        nodes
    }

    /// Where memory for work on this node has to come from: the node itself or, when it has none, the nearest that has.
    ///
    /// `None` when no node is known to have memory.
    #[must_use]
    pub fn memory_node(&self, node: NumaNode) -> Option<NumaNode> {
        let with_memory = self.nodes.iter().filter(|node| node.memory_bytes > 0);
        self.by_distance(node, with_memory.map(|node| node.id)).first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: u32, memory_bytes: u64, distances: &[(u32, u32)]) -> Node {
        let distances = distances.iter().map(|&(to, far)| (NumaNode(to), far)).collect();
        Node { memory_bytes, distances, ..Node::new(NumaNode(id), CpuSet::new()) }
    }

    #[test]
    fn memory_of_a_memoryless_node_comes_from_the_nearest_node_that_has_some() {
        let machine = Machine {
            nodes: vec![
                node(0, 1 << 30, &[(0, 10), (1, 21), (2, 31)]),
                node(1, 1 << 30, &[(0, 21), (1, 10), (2, 12)]),
                node(2, 0, &[(0, 31), (1, 12), (2, 10)]),
            ],
            ..Machine::default()
        };

        assert_eq!(machine.memory_node(NumaNode(2)), Some(NumaNode(1)));
        assert_eq!(machine.memory_node(NumaNode(0)), Some(NumaNode(0)));
    }

    #[test]
    fn a_machine_that_names_no_memory_has_no_memory_node() {
        let machine = Machine { nodes: vec![node(0, 0, &[])], ..Machine::default() };

        assert_eq!(machine.memory_node(NumaNode(0)), None);
    }

    #[test]
    fn unknown_distances_are_the_farthest() {
        let machine = Machine {
            nodes: vec![node(0, 1, &[(0, 10), (2, 40)]), node(1, 1, &[]), node(2, 1, &[])],
            ..Machine::default()
        };

        let order = machine.by_distance(NumaNode(0), [NumaNode(1), NumaNode(0), NumaNode(2)]);

        assert_eq!(order, [NumaNode(0), NumaNode(2), NumaNode(1)]);
    }

    #[test]
    fn a_machine_survives_json() {
        let machine = Machine {
            cpus: vec![Cpu::new(CpuId::ZERO)],
            nodes: vec![node(0, 1 << 30, &[(0, 10)])],
            source: Source::Hwloc,
            notes: vec!["a note".to_owned()],
        };

        let json = serde_json::to_string(&machine).unwrap();

        assert_eq!(serde_json::from_str::<Machine>(&json).unwrap(), machine, "{json}");
    }
}
