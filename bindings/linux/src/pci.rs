//! PCI functions: what they are, who drives them, and where they are.
//!
//! Sources: `Documentation/ABI/testing/sysfs-bus-pci` of Linux 6.18.

use config::{CpuSet, PciAddress, machine::Machine, placement::Locality};

use crate::{Known, ReadError, Root, text};

/// Where the functions are in sysfs.
const DIR: &str = "sys/bus/pci/devices";

/// One PCI function.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Function {
    /// Its address.
    pub address: PciAddress,
    /// Vendor and device, as in `8086:1592`.
    pub vendor: u16,
    /// Device, of that vendor.
    pub device: u16,
    /// Base class, subclass and programming interface: `0x020000` is an Ethernet controller.
    pub class: u32,
    /// The kernel's driver: `ice`, `vfio-pci`; `None` when it has none.
    pub driver: Option<String>,
    /// The NUMA node, `None` when the firmware does not say (−1).
    pub node: Known<Option<config::NumaNode>>,
    /// The CPUs the kernel takes to be near.
    pub local_cpus: Known<CpuSet>,
    /// Its IOMMU group; `None` without an IOMMU.
    pub iommu_group: Option<u32>,
    /// The network interfaces it has in the kernel.
    pub netdevs: Vec<String>,
}

impl Function {
    /// Is it a network controller (base class 02)?
    #[must_use]
    pub fn is_network(&self) -> bool {
        self.class >> 16 == 0x02
    }

    /// Where to place work for it.
    ///
    /// Its node; or, when the firmware does not say, the one node that all its local CPUs are on, if there are others.
    #[must_use]
    pub fn locality(&self, machine: &Machine) -> Locality {
        let why = match &self.node {
            Known::Known(Some(node)) => return Locality::Node(*node),
            Known::Known(None) => "its numa_node reads -1: the firmware does not say".to_owned(),
            Known::Unknown { why } => why.clone(),
        };
        let near = self.local_cpus.known().filter(|cpus| !cpus.is_empty());
        let home = machine.nodes.iter().find(|node| near.is_some_and(|n| n.is_subset(&node.cpus)));
        match home {
            Some(node) => Locality::Node(node.id),
            None => Locality::Unknown { why },
        }
    }
}

/// Every PCI function, the lowest address first. None on a machine without PCI.
///
/// # Errors
/// [`ReadError`]; a function that vanishes meanwhile is left out.
pub fn functions(root: &Root) -> Result<Vec<Function>, ReadError> {
    let names = match root.names(DIR) {
        Err(error) if error.is_missing() => return Ok(Vec::new()),
        names => names?,
    };
    let mut functions = Vec::new();
    for address in names.iter().filter_map(|name| name.parse().ok()) {
        match function(root, address) {
            Err(error) if error.is_missing() => {}
            other => functions.push(other?),
        }
    }
    functions.sort_by_key(|function| function.address);
    Ok(functions)
}

/// The PCI function of this address.
///
/// # Errors
/// [`ReadError`]; [`ReadError::Missing`] when there is none.
pub fn function(root: &Root, address: PciAddress) -> Result<Function, ReadError> {
    let dir = format!("{DIR}/{address}");
    let hex =
        |name: &str| root.parse_with(&format!("{dir}/{name}"), "a hexadecimal number", text::hex);
    let id = |name: &str| {
        let as_id = |text: &str| text::hex(text).and_then(|id| u16::try_from(id).ok());
        root.parse_with(&format!("{dir}/{name}"), "a PCI identifier", as_id)
    };
    let vendor = id("vendor")?;
    let group = root.link_name(&format!("{dir}/iommu_group")).ok();
    Ok(Function {
        address,
        vendor,
        device: id("device")?,
        class: hex("class")?,
        driver: root.link_name(&format!("{dir}/driver")).ok(),
        node: root.parse_with(&format!("{dir}/numa_node"), "a node or -1", node).into(),
        local_cpus: root.cpu_list(&format!("{dir}/local_cpulist")).into(),
        iommu_group: group.and_then(|group| group.parse().ok()),
        netdevs: netdevs(root, &dir),
    })
}

/// The function's interfaces: its own, or those of the virtio device on it.
fn netdevs(root: &Root, dir: &str) -> Vec<String> {
    let below = |dir: &str| root.names(&format!("{dir}/net")).unwrap_or_default();
    let devices = root.names(dir).unwrap_or_default();
    let virtio = devices.iter().filter(|name| text::numbered(name, "virtio").is_some());
    below(dir).into_iter().chain(virtio.flat_map(|name| below(&format!("{dir}/{name}")))).collect()
}

#[expect(clippy::option_option, reason = "outside: is it a node at all; inside: does it name one")]
pub(crate) fn node(text: &str) -> Option<Option<config::NumaNode>> {
    match text {
        "-1" => Some(None),
        number => number.parse().ok().map(Some),
    }
}
