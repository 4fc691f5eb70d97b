//! Hugepages, by size and NUMA node.
//!
//! Source: `Documentation/admin-guide/mm/hugetlbpage.rst` of Linux 6.18.

use config::NumaNode;

use crate::{ReadError, Root, numa, text};

/// The hugepages of one size on one node. All amounts are in pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Pool {
    /// The node; `None` for the whole machine.
    pub node: Option<NumaNode>,
    /// The size of one page, in KiB: 2048 or 1 048 576 on x86-64, others on Arm.
    pub size_kib: u32,
    /// All pages, used or not, the surplus among them.
    pub total: u64,
    /// Pages that nobody has.
    pub free: u64,
    /// Pages beyond those that were asked for, by overcommit; they go when they are freed.
    pub surplus: u64,
    /// Pages that are promised to a mapping and still counted as free. Known for the whole machine only.
    pub reserved: Option<u64>,
}

impl Pool {
    /// Pages that can still be had.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.free.saturating_sub(self.reserved.unwrap_or(0))
    }
}

/// The pools of the whole machine, one for each size, the smallest first. None where the kernel has no hugepages.
///
/// # Errors
/// [`ReadError`]
pub fn machine(root: &Root) -> Result<Vec<Pool>, ReadError> {
    pools(root, "sys/kernel/mm/hugepages", None)
}

/// The pools of one node, one for each size, the smallest first. None where the node has no memory.
///
/// # Errors
/// [`ReadError`]
pub fn node(root: &Root, node: NumaNode) -> Result<Vec<Pool>, ReadError> {
    pools(root, &format!("{}/node{node}/hugepages", numa::DIR), Some(node))
}

fn pools(root: &Root, dir: &str, node: Option<NumaNode>) -> Result<Vec<Pool>, ReadError> {
    let names = match root.names(dir) {
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        names => names?,
    };
    let sizes = names.iter().filter_map(|name| {
        let size = name.strip_suffix("kB").and_then(|name| text::numbered(name, "hugepages-"))?;
        Some((size, name))
    });
    let mut pools = Vec::new();
    for (size_kib, name) in sizes {
        let pages = |file: &str| root.parse(&format!("{dir}/{name}/{file}"), "a number of pages");
        pools.push(Pool {
            node,
            size_kib,
            total: pages("nr_hugepages")?,
            free: pages("free_hugepages")?,
            surplus: pages("surplus_hugepages")?,
            reserved: if node.is_none() { Some(pages("resv_hugepages")?) } else { None },
        });
    }
    pools.sort_by_key(|pool| pool.size_kib);
    Ok(pools)
}
