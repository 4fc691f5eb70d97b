//! PCI functions, IOMMU, vfio.

pub mod express;
pub mod vfio;

use std::collections::BTreeMap;

use config::PciAddress;
use linux::pci::Function;
use serde::Serialize;

use crate::{Fact, Source, holders};

/// PCI functions, IOMMU, vfio.
#[derive(Debug, Clone, Serialize)]
pub struct Pci {
    /// Every PCI function of the machine.
    pub functions: Fact<Vec<Function>>,
    /// More of those that may be given to a poll-mode driver: network controllers, and what such a driver has already.
    pub details: BTreeMap<PciAddress, Details>,
    /// The IOMMUs, by the kernel's names: `dmar0`, `ivhd0`, `smmu3.0x…`. Empty without one in use.
    pub iommus: Fact<Vec<String>>,
    /// What kind of domain each IOMMU group has: `DMA`, `DMA-FQ`, `identity`.
    pub group_types: BTreeMap<u32, Fact<String>>,
    /// vfio, and who may use it.
    pub vfio: vfio::Vfio,
    /// Devices that the firmware reserved memory for, one line of the kernel's log each.
    pub reserved: Fact<Vec<String>>,
    /// `/sys/kernel/security/lockdown`: `none`, `integrity`, `confidentiality`.
    pub lockdown: Fact<String>,
    /// Is Secure Boot on?
    pub secure_boot: Fact<bool>,
}

/// More of one function.
#[derive(Debug, Clone, Serialize)]
pub struct Details {
    /// Its link, as it is and as it could be.
    pub link: Link,
    /// The same of the port it is plugged into; absent of a function on the root bus.
    pub upstream: Fact<Link>,
    /// PCI Express settings of that port.
    pub upstream_express: Fact<express::Express>,
    /// PCI Express settings from its configuration space.
    pub express: Fact<express::Express>,
    /// Errors since boot, by kind and name; absent without Advanced Error Reporting.
    pub errors: Fact<BTreeMap<String, u64>>,
    /// The only driver that may bind; absent for any.
    pub only_driver: Fact<String>,
    /// Virtual functions that exist now.
    pub virtual_functions: Fact<i64>,
    /// The function that this one is a virtual function of.
    pub physical: Option<PciAddress>,
    /// How it can be reset, the first way first: `flr`, `pm`, `bus`.
    pub resets: Fact<Vec<String>>,
    /// Does it have a verbs device, as bifurcated drivers need?
    pub has_verbs: bool,
}

/// One end of a PCI Express link.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Link {
    /// Giga-transfers per second and lane, now.
    pub speed: Fact<f64>,
    /// The most it could be.
    pub max_speed: Fact<f64>,
    /// Lanes, now.
    pub width: Fact<i64>,
    /// The most there could be.
    pub max_width: Fact<i64>,
}

/// Drivers that leave their devices to user space.
pub const USER_DRIVERS: [&str; 3] = ["vfio-pci", "uio_pci_generic", "igb_uio"];

/// Kernel drivers that share their device with a poll-mode driver, and have to stay bound.
///
/// Source: DPDK 25.11, "Linux Drivers", bifurcated drivers.
pub const BIFURCATED: [&str; 4] = ["mlx5_core", "mlx4_core", "mana", "mlx4_en"];

/// NVIDIA's network cards, once Mellanox's.
const NVIDIA: u16 = 0x15b3;

/// Microsoft's adapter of its cloud.
const MANA: (u16, u16) = (0x1414, 0x00ba);

/// The most functions that are looked at closely.
const MOST: usize = 512;

/// Kinds of errors, each with a file.
const AER: [&str; 3] = ["correctable", "nonfatal", "fatal"];

impl Pci {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        let functions: Fact<Vec<Function>> = linux::pci::functions(source.root()).into();
        let all = functions.value().map_or(&[][..], Vec::as_slice);
        let is_user = |function: &Function| {
            function.driver.as_deref().is_some_and(|driver| USER_DRIVERS.contains(&driver))
        };
        let close = all.iter().filter(|function| function.is_network() || is_user(function));
        let details = close.take(MOST).map(|one| (one.address, Details::read(source, one.address)));
        let details = details.collect();
        let mut group_types = BTreeMap::new();
        for group in all.iter().filter_map(|function| function.iommu_group) {
            group_types
                .entry(group)
                .or_insert_with(|| source.text(&format!("sys/kernel/iommu_groups/{group}/type")));
        }
        let iommus = match source.names("sys/class/iommu") {
            // The class is there as soon as one IOMMU is; without PCI there is nothing for it to do.
            Fact::Absent if !all.is_empty() => Fact::Is(Vec::new()),
            names => names,
        };
        Self {
            details,
            iommus,
            group_types,
            vfio: vfio::Vfio::read(source),
            reserved: reserved(source),
            lockdown: source.choice("sys/kernel/security/lockdown").map(|choice| choice.chosen),
            secure_boot: secure_boot(source),
            functions,
        }
    }

    /// The function at an address, if there is one.
    #[must_use]
    pub fn function(&self, address: PciAddress) -> Option<&Function> {
        self.functions.value()?.iter().find(|function| function.address == address)
    }

    /// Does a poll-mode driver need its kernel's driver? So it is with NVIDIA's (Mellanox's) and Microsoft's cards,
    /// whatever is bound to them now.
    #[must_use]
    pub fn is_shared(&self, function: &Function) -> bool {
        let is_bound = function.driver.as_deref().is_some_and(|name| BIFURCATED.contains(&name));
        let is_network = function.is_network();
        is_bound
            || (is_network && function.vendor == NVIDIA)
            || (function.vendor, function.device) == MANA
    }

    /// Does an IOMMU stand between a function and memory? A group that vfio made up for a function without one has a
    /// device file of its own kind (Linux drivers/vfio/group.c, `vfio_noiommu_group_alloc`).
    #[must_use]
    pub fn is_confined(&self, function: &Function) -> bool {
        function.iommu_group.is_some_and(|group| {
            let made_up = holders::made_up(&group.to_string());
            let files = self.vfio.files.value().into_iter().flatten();
            !files.into_iter().any(|file| file.name == made_up)
        })
    }

    /// Every function in an IOMMU group.
    pub fn group(&self, group: u32) -> impl Iterator<Item = &Function> {
        let all = self.functions.value().into_iter().flatten();
        all.filter(move |function| function.iommu_group == Some(group))
    }

    /// Functions that a poll-mode driver has: those that their driver leaves to user space.
    pub fn given_away(&self) -> impl Iterator<Item = &Function> {
        self.functions.value().into_iter().flatten().filter(|function| {
            function.driver.as_deref().is_some_and(|driver| USER_DRIVERS.contains(&driver))
        })
    }
}

impl Details {
    fn read(source: &Source, address: PciAddress) -> Self {
        let dir = format!("sys/bus/pci/devices/{address}");
        let only = source.text(&format!("{dir}/driver_override"));
        let above = upstream(source, &dir, address);
        Self {
            link: Link::read(source, &dir),
            upstream: above.as_ref().map(|port| Link::read(source, port)),
            upstream_express: above.and_then(|port| express(source, &port)),
            express: express(source, &dir),
            errors: errors(source, &dir),
            only_driver: only.and_then(|name| match name.as_str() {
                "" | "(null)" => Fact::Absent,
                _ => Fact::Is(name),
            }),
            virtual_functions: source.number(&format!("{dir}/sriov_numvfs")),
            physical: source
                .link_name(&format!("{dir}/physfn"))
                .into_value()
                .and_then(|name| name.parse().ok()),
            resets: source
                .text(&format!("{dir}/reset_method"))
                .map(|text| text.split_ascii_whitespace().map(str::to_owned).collect()),
            has_verbs: source.exists(&format!("{dir}/infiniband_verbs")),
        }
    }
}

impl Link {
    fn read(source: &Source, dir: &str) -> Self {
        // "16.0 GT/s PCIe"; "Unknown" or "Unknown speed" where there is no link to speak of.
        let speed = |name: &str| {
            source.text(&format!("{dir}/{name}")).and_then(|text| {
                let number = text.split(' ').next().unwrap_or_default().parse::<f64>();
                match number {
                    Ok(speed) if speed.is_finite() && speed > 0.0 => Fact::Is(speed),
                    _ if text.starts_with("Unknown") => Fact::Absent,
                    _ => Fact::unknown(format!("{name} says \"{text}\"")),
                }
            })
        };
        // 255 lanes, or none: there is no link to speak of.
        let width = |name: &str| {
            source.number(&format!("{dir}/{name}")).and_then(|lanes| match lanes {
                0 | 255 => Fact::Absent,
                lanes => Fact::Is(lanes),
            })
        };
        Self {
            speed: speed("current_link_speed"),
            max_speed: speed("max_link_speed"),
            width: width("current_link_width"),
            max_width: width("max_link_width"),
        }
    }

    /// What it can carry each way, in Gb/s, before the packets' own headers.
    #[must_use]
    pub fn gbps(&self) -> Option<f64> {
        let (speed, width) = (*self.speed.value()?, *self.width.value()?);
        let lanes = f64::from(u32::try_from(width).ok()?);
        // 8b/10b up to 5 GT/s, 128b/130b above (PCI Express Base Specification 3.0, 4.2).
        let efficiency = if speed > 5.0 { 128.0 / 130.0 } else { 0.8 };
        Some(speed * lanes * efficiency)
    }
}

fn express(source: &Source, dir: &str) -> Fact<express::Express> {
    let bytes = source.binary(&format!("{dir}/config"), 4096);
    bytes.and_then(|bytes| express::Express::parse(&bytes))
}

/// The directory of the port above a function, found by where the function's directory really is.
fn upstream(source: &Source, dir: &str, address: PciAddress) -> Fact<String> {
    // In a copy of the machine's files the directories need not be links.
    let Ok(path) = source.root().link(dir) else { return Fact::Absent };
    let mut above = path.rsplit('/').skip_while(|part| part.parse() != Ok(address)).skip(1);
    match above.next().and_then(|part| part.parse::<PciAddress>().ok()) {
        Some(port) => Fact::Is(format!("sys/bus/pci/devices/{port}")),
        None => Fact::Absent,
    }
}

/// Lines such as `BadTLP 3`.
fn errors(source: &Source, dir: &str) -> Fact<BTreeMap<String, u64>> {
    let mut all = BTreeMap::new();
    for kind in AER {
        let text = match source.text(&format!("{dir}/aer_dev_{kind}")) {
            Fact::Is(text) => text,
            Fact::Absent => return Fact::Absent,
            Fact::Unknown { why } => return Fact::Unknown { why },
        };
        for line in text.lines() {
            let Some((name, count)) = line.rsplit_once(' ') else { continue };
            if let Ok(count) = count.parse() {
                all.insert(format!("{kind} {}", name.trim()), count);
            }
        }
    }
    Fact::Is(all)
}

/// The firmware's claims on devices' memory, which keep vfio off (Intel: RMRR).
fn reserved(source: &Source) -> Fact<Vec<String>> {
    source.ask("kernel-log/iommu-reserved", || {
        let Ok(lines) = linux::log::lines() else {
            return Fact::unknown("the kernel's log can not be read by this user");
        };
        let marks = ["1:1 IOMMU mapping", "Device is ineligible for IOMMU domain attach"];
        let hit = |line: &String| marks.iter().any(|mark| line.contains(mark));
        Fact::Is(lines.into_iter().filter(hit).take(64).collect())
    })
}

/// The EFI variable `SecureBoot`: four bytes of attributes, then 0 or 1.
fn secure_boot(source: &Source) -> Fact<bool> {
    let path = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    source.binary(path, 16).and_then(|bytes| match bytes.get(4) {
        Some(0) => Fact::Is(false),
        Some(1) => Fact::Is(true),
        _ => Fact::unknown("the EFI variable SecureBoot is neither 0 nor 1"),
    })
}
