//! The NUMA nodes: their CPUs, their memory, and how far they are from each other.
//!
//! Sources: `Documentation/ABI/stable/sysfs-devices-node` of Linux 6.18.

use config::{CpuSet, NumaNode};

use crate::{Known, ReadError, Root, text};

/// Where the nodes are in sysfs.
pub(crate) const DIR: &str = "sys/devices/system/node";
/// The largest node number: `MAX_NUMNODES` is at most 1024 (`NODES_SHIFT` 10).
const MOST_NODES: u32 = 1024;

/// What the kernel says about one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its number.
    pub id: NumaNode,
    /// Its CPUs that are online.
    pub cpus: Known<CpuSet>,
    /// Bytes of memory; 0 for a memoryless node.
    pub memory_bytes: Known<u64>,
    /// Bytes of memory that nobody uses.
    pub free_bytes: Known<u64>,
    /// How far it is to each node that is online, by the firmware's table (10 is local).
    pub distances: Known<Vec<(NumaNode, u32)>>,
}

/// The nodes that are online, the lowest first.
///
/// # Errors
/// [`ReadError`]; [`ReadError::Missing`] on a kernel that is built without NUMA.
pub fn read(root: &Root) -> Result<Vec<Node>, ReadError> {
    let ids = root.parse_with(&format!("{DIR}/online"), "a list of nodes", node_list)?;
    let node = |&id: &NumaNode| {
        let dir = format!("{DIR}/node{id}");
        let meminfo = root.text(&format!("{dir}/meminfo"));
        let bytes = |label| match &meminfo {
            Ok(text) => text::meminfo_bytes(text, label).map_or_else(
                || Known::unknown(format!("no {label} in {dir}/meminfo")),
                Known::Known,
            ),
            Err(error) => Known::unknown(error.to_string()),
        };
        let distances = root.parse_with(
            &format!("{dir}/distance"),
            "one distance for each node that is online",
            |text| distances(text, &ids),
        );
        Node {
            id,
            cpus: root.cpu_list(&format!("{dir}/cpulist")).into(),
            memory_bytes: bytes("MemTotal"),
            free_bytes: bytes("MemFree"),
            distances: distances.into(),
        }
    };
    Ok(ids.iter().map(node).collect())
}

/// A list of nodes has the grammar of a list of CPUs.
fn node_list(text: &str) -> Option<Vec<NumaNode>> {
    let ids: CpuSet = text.parse().ok()?;
    let ids: Vec<NumaNode> = ids.iter().map(|id| NumaNode(id.get())).collect();
    Some(ids).filter(|ids| !ids.is_empty() && ids.iter().all(|id| id.0 < MOST_NODES))
}

fn distances(text: &str, ids: &[NumaNode]) -> Option<Vec<(NumaNode, u32)>> {
    let values: Option<Vec<u32>> =
        text.split_ascii_whitespace().map(|word| word.parse().ok()).collect();
    values.filter(|values| values.len() == ids.len()).map(|v| ids.iter().copied().zip(v).collect())
}
