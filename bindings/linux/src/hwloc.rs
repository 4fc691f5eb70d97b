//! Packages, cores, threads and caches as hwloc sees them.
//!
//! hwloc knows the processors that the kernel's files describe badly, and it can make machines up
//! (`HWLOC_SYNTHETIC="pack:2 [numa] core:4 pu:2"`). NUMA distances and PCI locality do not come from it: hwloc 2 keeps
//! both outside the levels that the hwloc2 crate can walk.
//!
//! # Safety
//! hwloc is told of another root through the environment, and setting that is `unsafe` where another thread may be
//! reading it. It is set only while this process has one thread.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    panic::catch_unwind,
};

use config::{CpuId, CpuSet, NumaNode};
use hwloc2::{ObjectType, Topology, TopologyFlag, TopologyObject};

use crate::{Known, Root};

/// hwloc's variable for the directory that stands for the machine.
pub const FSROOT: &str = "HWLOC_FSROOT";
/// hwloc's variable for the sources it asks. Another root needs `-x86` here: that source asks the processor we run on
/// (CPUID), and its answers would be mixed into the other machine.
pub const COMPONENTS: &str = "HWLOC_COMPONENTS";
/// hwloc's variable for a machine that does not exist.
pub const SYNTHETIC: &str = "HWLOC_SYNTHETIC";

/// What hwloc says about the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Each CPU that it knows; those that are offline it does not.
    pub cpus: BTreeMap<CpuId, Place>,
    /// Bytes of memory of each NUMA node; `None` where it can not be told apart from its neighbours'.
    pub nodes: BTreeMap<NumaNode, Option<u64>>,
    /// The machine is made up.
    pub is_synthetic: bool,
}

/// Where one CPU is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Its socket.
    pub package: Option<u32>,
    /// Its core, within the socket.
    pub core: Option<u32>,
    /// The threads of its core.
    pub siblings: CpuSet,
    /// The CPUs that share its L3 cache.
    pub l3: Option<CpuSet>,
    /// Its NUMA node; `None` where more than one is local.
    pub node: Option<NumaNode>,
}

/// Ask hwloc about the machine under `root`, or the one that `HWLOC_SYNTHETIC` makes up.
///
/// For a root that is not `/`, hwloc has to be told through [`FSROOT`] and [`COMPONENTS`]: either they are set already,
/// or they are set here, which needs a process of one thread. Otherwise the answer is that it is not known.
#[must_use]
pub fn read(root: &Root) -> Known<Picture> {
    if std::env::var_os(SYNTHETIC).is_some() {
        return load(true);
    }
    let path = root.path().as_os_str();
    let told = std::env::var_os(FSROOT);
    let is_told = if root.is_system() {
        told.is_none_or(|told| told == path)
    } else {
        told.is_some_and(|told| told == path)
            && std::env::var_os(COMPONENTS).is_some_and(|c| c == NO_CPUID)
    };
    if is_told {
        return load(false);
    }
    if !has_one_thread() {
        return Known::unknown(format!(
            "it can look at {} only with {FSROOT}={0} and {COMPONENTS}={NO_CPUID}, or before threads are started",
            root.path().display()
        ));
    }
    let components = if root.is_system() { None } else { Some(OsStr::new(NO_CPUID)) };
    let _told = [Told::set(FSROOT, Some(path)), Told::set(COMPONENTS, components)];
    load(false)
}

/// Every source of hwloc but the processor itself.
const NO_CPUID: &str = "-x86";

/// A variable has another value as long as this lives.
struct Told {
    name: &'static str,
    before: Option<OsString>,
}

impl Told {
    fn set(name: &'static str, value: Option<&OsStr>) -> Self {
        let before = std::env::var_os(name);
        change(name, value);
        Self { name, before }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        change(self.name, self.before.as_deref());
    }
}

/// Change a variable of a process that has one thread.
fn change(name: &str, value: Option<&OsStr>) {
    match value {
        // SAFETY: nothing reads the environment at the same time: `read` saw that this thread is the only one, it starts
        // none, and neither does hwloc.
        Some(value) => unsafe { std::env::set_var(name, value) },
        // SAFETY: as above.
        None => unsafe { std::env::remove_var(name) },
    }
}

/// Does this process have one thread, for certain?
fn has_one_thread() -> bool {
    Root::system().and_then(|root| root.names("proc/self/task")).is_ok_and(|tasks| tasks.len() == 1)
}

fn load(is_synthetic: bool) -> Known<Picture> {
    let picture = catch_unwind(|| {
        // Without the flag CPUs outside our cpuset would be missing, and their siblings with them.
        let topology = Topology::with_flags(vec![TopologyFlag::IncludeDisallowed])?;
        Some(look(&topology, is_synthetic))
    });
    match picture {
        Ok(Some(picture)) if !picture.cpus.is_empty() => Known::Known(picture),
        Ok(Some(_)) => Known::unknown("hwloc found no CPU"),
        Ok(None) => Known::unknown("hwloc could not load the topology"),
        Err(_) => Known::unknown("hwloc's objects could not be walked"),
    }
}

fn look(topology: &Topology, is_synthetic: bool) -> Picture {
    let mut cpus: BTreeMap<CpuId, Place> = BTreeMap::new();
    for pu in level(topology, &ObjectType::PU) {
        let Some(cpu) = CpuId::new(pu.os_index()) else { continue };
        let nodes = nodes_of(pu);
        let node = if let [node] = nodes[..] { Some(node) } else { None };
        cpus.insert(cpu, Place { siblings: CpuSet::from_iter([cpu]), node, ..Place::default() });
    }
    let mut each = |kind: ObjectType, note: &dyn Fn(&mut Place, Option<u32>, &CpuSet)| {
        for object in level(topology, &kind) {
            let members = cpus_of(object);
            // HWLOC_UNKNOWN_INDEX is −1.
            let number = Some(object.os_index()).filter(|&index| index != u32::MAX);
            for cpu in members.iter() {
                if let Some(place) = cpus.get_mut(&cpu) {
                    note(place, number, &members);
                }
            }
        }
    };
    each(ObjectType::Package, &|place, number, _| place.package = number);
    each(ObjectType::L3Cache, &|place, _, members| place.l3 = Some(members.clone()));
    each(ObjectType::Core, &|place, number, members| {
        (place.core, place.siblings) = (number, members.clone());
    });
    Picture { cpus, nodes: memory(topology), is_synthetic }
}

/// The objects of one kind. Only for kinds that are levels of the tree: the crate panics for nodes and devices.
fn level<'a>(topology: &'a Topology, kind: &ObjectType) -> Vec<&'a TopologyObject> {
    topology.objects_with_type(kind).unwrap_or_default()
}

/// A node's memory is that of the objects whose only node it is; of nested ones the largest counts.
fn memory(topology: &Topology) -> BTreeMap<NumaNode, Option<u64>> {
    let mut nodes = BTreeMap::new();
    for object in (0..topology.depth()).flat_map(|depth| topology.objects_at_depth(depth)) {
        let local = nodes_of(object);
        for &node in &local {
            let known: &mut Option<u64> = nodes.entry(node).or_default();
            if local.len() == 1 {
                *known = (*known).max(Some(object.total_memory()));
            }
        }
    }
    nodes
}

fn nodes_of(object: &TopologyObject) -> Vec<NumaNode> {
    object.nodeset().map(finite).unwrap_or_default().into_iter().map(NumaNode).collect()
}

fn cpus_of(object: &TopologyObject) -> CpuSet {
    let cpus = object.cpuset().map(finite).unwrap_or_default();
    cpus.into_iter().filter_map(CpuId::new).collect()
}

/// The members of a bitmap, which hwloc may say is infinite: then the iterator would not end.
fn finite(bitmap: hwloc2::Bitmap) -> Vec<u32> {
    if bitmap.weight() < 0 { Vec::new() } else { bitmap.into_iter().collect() }
}
