//! Network interfaces that the kernel drives.
//!
//! Sources: `Documentation/ABI/testing/sysfs-class-net` of Linux 6.18.

use config::{MacAddress, PciAddress};

use crate::{Known, ReadError, Root, text};

/// Where the interfaces are in sysfs.
const DIR: &str = "sys/class/net";

/// One network interface.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index in this network namespace.
    pub index: Known<u32>,
    /// Its Ethernet address; not known of an interface that has none.
    pub mac: Known<MacAddress>,
    /// The largest packet, in bytes.
    pub mtu: Known<u32>,
    /// RFC 2863's state: `up`, `down`, `lowerlayerdown`, `unknown`, …
    pub state: Known<String>,
    /// Is there a link? Not known of an interface that is down.
    pub carrier: Known<bool>,
    /// The link's speed; not known without a link, nor of most virtual interfaces.
    pub speed_mbps: Known<u32>,
    /// The PCI function behind it; `None` of a virtual interface. Of a virtio interface the function behind virtio.
    pub pci: Option<PciAddress>,
    /// The driver of the device behind it.
    pub driver: Option<String>,
    /// The interfaces it stands on: a bond's members, a VLAN's parent.
    pub lower: Vec<String>,
    /// The interfaces that stand on it.
    pub upper: Vec<String>,
}

/// Every interface of this network namespace, by name.
///
/// # Errors
/// [`ReadError`]
pub fn interfaces(root: &Root) -> Result<Vec<Interface>, ReadError> {
    // "bonding_masters" is a file among the directories.
    let names = root.names(DIR)?.into_iter();
    let names = names.filter(|name| root.exists(&format!("{DIR}/{name}/ifindex")));
    Ok(names.map(|name| interface(root, name)).collect())
}

fn interface(root: &Root, name: String) -> Interface {
    let dir = format!("{DIR}/{name}");
    let number = |file: &str| root.parse(&format!("{dir}/{file}"), "a number").into();
    let carrier = root.parse_with(&format!("{dir}/carrier"), "0 or 1", |text| match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    });
    let linked = |prefix: &str| {
        let names = root.names(&dir).unwrap_or_default();
        names.iter().filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect()
    };
    Interface {
        index: number("ifindex"),
        mac: root.parse(&format!("{dir}/address"), "an Ethernet address").into(),
        mtu: number("mtu"),
        state: root.text(&format!("{dir}/operstate")).into(),
        carrier: carrier.into(),
        speed_mbps: number("speed"),
        pci: pci_behind(root, &dir),
        driver: root.link_name(&format!("{dir}/device/driver")).ok(),
        lower: linked("lower_"),
        upper: linked("upper_"),
        name,
    }
}

/// The PCI function behind an interface: its device or, where that is on another bus (virtio), the one above it.
fn pci_behind(root: &Root, dir: &str) -> Option<PciAddress> {
    let device = root.link_name(&format!("{dir}/device")).ok()?;
    device.parse().ok().or_else(|| {
        text::numbered(&device, "virtio")?;
        // uevent of the parent names its PCI slot.
        let uevent = root.text(&format!("{dir}/device/../uevent")).ok()?;
        uevent.lines().find_map(|line| line.strip_prefix("PCI_SLOT_NAME=")?.parse().ok())
    })
}
