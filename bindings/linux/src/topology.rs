//! The machine as one value: hwloc's picture and the kernel's files, joined.

use std::collections::BTreeMap;

use config::{
    CpuId, CpuSet, NumaNode,
    machine::{Cpu, Machine, Node, Source},
};

use crate::{Known, ReadError, Root, cpu, hugepages, hwloc, numa, text};

/// Why a machine can not be described.
#[derive(Debug, thiserror::Error)]
pub enum DiscoverError {
    /// The kernel does not say which CPUs are online.
    #[error("the list of online CPUs can not be read")]
    Cpus(#[source] ReadError),
}

/// Find out about the machine under `root`.
///
/// Packages, cores and caches are hwloc's where hwloc can look at this root and agrees with the kernel about which CPUs
/// are online; everything else, and these where it can not, comes from the kernel's files. What is missing or does not
/// fit together is in [`Machine::notes`]. With `HWLOC_SYNTHETIC` set the machine is the one that it describes.
///
/// # Errors
/// [`DiscoverError`]
pub fn discover(root: &Root) -> Result<Machine, DiscoverError> {
    let picture = hwloc::read(root);
    if let Known::Known(picture) = &picture
        && picture.is_synthetic
    {
        return Ok(synthetic(picture));
    }
    let cpus = cpu::read(root).map_err(DiscoverError::Cpus)?;
    let mut notes = Vec::new();
    let (places, source) = places(&cpus, picture, &mut notes);
    let nodes = nodes(root, &cpus, &mut notes);

    let mut or_none = |what: &str, set: &Known<CpuSet>| match set {
        Known::Known(set) => set.clone(),
        Known::Unknown { why } => {
            notes.push(format!("{what} CPUs are not known, and taken to be none: {why}"));
            CpuSet::new()
        }
    };
    let isolated = or_none("isolated", &cpus.isolated);
    let nohz_full = or_none("tick-free", &cpus.nohz_full);
    let allowed = match &cpus.allowed {
        Known::Known(allowed) => allowed.clone(),
        Known::Unknown { why } => {
            notes.push(format!("this process's cpuset is not known, and taken to be all: {why}"));
            cpus.present.clone()
        }
    };
    let describe = |id: CpuId| {
        let place = places.get(&id).cloned().unwrap_or_default();
        Cpu {
            online: cpus.online.contains(id),
            package: place.package,
            core: place.core,
            node: nodes.iter().find(|node| node.cpus.contains(id)).map(|node| node.id),
            siblings: place.siblings.intersection(&cpus.online),
            l3: place.l3.and_then(|l3| l3.first()).map(CpuId::get),
            isolated: isolated.contains(id),
            nohz_full: nohz_full.contains(id),
            allowed: allowed.contains(id),
            ..Cpu::new(id)
        }
    };
    let cpus = cpus.present.iter().map(describe).collect();
    Ok(Machine { cpus, nodes, source, notes })
}

/// Where each CPU is: hwloc's word, if it can be taken.
fn places(
    cpus: &cpu::Cpus,
    picture: Known<hwloc::Picture>,
    notes: &mut Vec<String>,
) -> (BTreeMap<CpuId, hwloc::Place>, Source) {
    let from_sysfs = |(&id, place): (&CpuId, &cpu::Topology)| {
        let place = hwloc::Place {
            package: place.package,
            core: place.core,
            siblings: place.siblings.clone(),
            l3: place.l3.clone(),
            node: None,
        };
        (id, place)
    };
    let sysfs: BTreeMap<CpuId, hwloc::Place> = cpus.topology.iter().map(from_sysfs).collect();
    let why = match picture {
        Known::Known(picture) => {
            let seen: CpuSet = picture.cpus.keys().copied().collect();
            if seen == cpus.online {
                for (id, place) in &picture.cpus {
                    let other = sysfs.get(id).map(|place| &place.siblings);
                    if other != Some(&place.siblings) {
                        let (a, b) = (&place.siblings, other.cloned().unwrap_or_default());
                        notes.push(format!("threads of cpu {id}: hwloc says {a}, sysfs {b}"));
                    }
                }
                return (picture.cpus, Source::Hwloc);
            }
            format!("it sees cpu {seen}, but the kernel says that cpu {} is online", cpus.online)
        }
        Known::Unknown { why } => why,
    };
    notes.push(format!("packages, cores and caches are from sysfs, not from hwloc: {why}"));
    (sysfs, Source::Sysfs)
}

fn nodes(root: &Root, cpus: &cpu::Cpus, notes: &mut Vec<String>) -> Vec<Node> {
    let read = match numa::read(root) {
        Ok(nodes) => nodes,
        Err(error) => {
            notes.push(format!("no NUMA nodes are known, and one is assumed: {error}"));
            return vec![only_node(root, cpus, notes)];
        }
    };
    let known =
        |what: &str, id: NumaNode, why: &str| format!("{what} of node {id} not known: {why}");
    let mut nodes = Vec::new();
    for node in read {
        let mut take = |what: &str, why: Option<&str>| {
            notes.extend(why.map(|why| known(what, node.id, why)));
        };
        take("CPUs", node.cpus.why());
        take("memory", node.memory_bytes.why());
        take("distances", node.distances.why());
        let pools = hugepages::node(root, node.id);
        take("hugepages", pools.as_ref().err().map(ToString::to_string).as_deref());
        let pools = pools.unwrap_or_default();
        nodes.push(Node {
            memory_bytes: node.memory_bytes.into_known().unwrap_or(0),
            huge_2m_free: free(&pools, 2048),
            huge_1g_free: free(&pools, 1024 * 1024),
            distances: node.distances.into_known().unwrap_or_default().into_iter().collect(),
            ..Node::new(
                node.id,
                node.cpus.into_known().unwrap_or_default().intersection(&cpus.online),
            )
        });
    }
    nodes
}

fn free(pools: &[hugepages::Pool], size_kib: u32) -> u64 {
    pools.iter().find(|pool| pool.size_kib == size_kib).map_or(0, hugepages::Pool::available)
}

/// The one node of a machine whose kernel knows none.
fn only_node(root: &Root, cpus: &cpu::Cpus, notes: &mut Vec<String>) -> Node {
    let meminfo = root.text("proc/meminfo").ok();
    let memory = meminfo.and_then(|text| text::meminfo_bytes(&text, "MemTotal"));
    if memory.is_none() {
        notes.push("the amount of memory is not known".to_owned());
    }
    let pools = hugepages::machine(root).unwrap_or_default();
    let id = NumaNode(0);
    Node {
        memory_bytes: memory.unwrap_or(0),
        huge_2m_free: free(&pools, 2048),
        huge_1g_free: free(&pools, 1024 * 1024),
        distances: BTreeMap::from([(id, 10)]),
        ..Node::new(id, cpus.online.clone())
    }
}

/// A machine that hwloc made up: all of it is online and ours, nothing of it is isolated.
fn synthetic(picture: &hwloc::Picture) -> Machine {
    let distance = |from: NumaNode, to: NumaNode| if from == to { 10 } else { 20 };
    let mut notes = vec![format!("this machine does not exist: {} describes it", hwloc::SYNTHETIC)];
    // "[numa]" without a size has none in hwloc 2.9, where a level "numa:1" has 1 GiB.
    let says_memory = picture.nodes.values().any(|memory| memory.is_some_and(|bytes| bytes > 0));
    if !says_memory {
        notes.push("it names no memory: each node is given 1 GiB".to_owned());
    }
    let node = |(&id, &memory): (&NumaNode, &Option<u64>)| {
        let local = picture.cpus.iter().filter(|(_, place)| place.node == Some(id));
        Node {
            memory_bytes: if says_memory { memory.unwrap_or(0) } else { 1 << 30 },
            distances: picture.nodes.keys().map(|&to| (to, distance(id, to))).collect(),
            ..Node::new(id, local.map(|(&cpu, _)| cpu).collect())
        }
    };
    let cpu = |(&id, place): (&CpuId, &hwloc::Place)| Cpu {
        package: place.package,
        core: place.core,
        node: place.node,
        siblings: place.siblings.clone(),
        l3: place.l3.as_ref().and_then(CpuSet::first).map(CpuId::get),
        ..Cpu::new(id)
    };
    Machine {
        cpus: picture.cpus.iter().map(cpu).collect(),
        nodes: picture.nodes.iter().map(node).collect(),
        source: Source::Synthetic,
        notes,
    }
}
