//! What the firmware does by itself, and what it was told.

use std::collections::BTreeMap;

use config::{CpuSet, PciAddress, machine::Machine};
use serde::Serialize;

use super::{
    msr,
    power::online,
    processor::{Architecture, Processor},
};
use crate::{Choice, Fact, Source};

/// What the firmware does by itself, and what it was told.
#[derive(Debug, Clone, Serialize)]
pub struct Firmware {
    /// `platform_profile`
    pub profile: Fact<String>,
    /// `platform_profile_choices`
    pub profiles: Fact<Vec<String>>,
    /// How often the firmware took all CPUs away since boot (system management interrupts); absent but on Intel's.
    pub interrupts: Fact<u64>,
    /// What PCIe links may do when idle: `/sys/module/pcie_aspm/parameters/policy`.
    pub link_policy: Fact<Choice>,
    /// May the links of network controllers go into L1 when idle? Of those that can be switched one by one.
    pub link_sleep: BTreeMap<PciAddress, Fact<bool>>,
    /// Do ports bound to vfio stay awake when nobody has them open? `disable_idle_d3` of `vfio_pci`.
    pub keeps_idle_ports_awake: Fact<bool>,
}

impl Firmware {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source, machine: Option<&Machine>, processor: Option<&Processor>) -> Self {
        let profile =
            |file: &str| source.text(&format!("sys/firmware/acpi/platform_profile{file}"));
        Self {
            profile: profile(""),
            profiles: profile("_choices")
                .map(|text| text.split_ascii_whitespace().map(str::to_owned).collect()),
            interrupts: interrupts(source, &online(source, machine), processor),
            link_policy: source.choice("sys/module/pcie_aspm/parameters/policy"),
            link_sleep: link_sleep(source),
            keeps_idle_ports_awake: flag(source, "sys/module/vfio_pci/parameters/disable_idle_d3"),
        }
    }
}

/// One CPU answers for all: such an interrupt stops every one of them.
fn interrupts(source: &Source, online: &CpuSet, processor: Option<&Processor>) -> Fact<u64> {
    match (processor, online.first()) {
        (Some(processor), Some(first))
            if processor.architecture == Architecture::X86
                && processor.is_intel()
                && !processor.is_virtual() =>
        {
            source.ask("msr/smi", || msr::read(first, msr::SMI_COUNT))
        }
        (Some(_), _) => Fact::Absent,
        (None, _) => Fact::unknown("the processor is not known"),
    }
}

fn flag(source: &Source, file: &str) -> Fact<bool> {
    let parse = |text: &str| match text {
        "Y" | "y" | "1" => Some(true),
        "N" | "n" | "0" => Some(false),
        _ => None,
    };
    source.root().parse_with(file, "yes or no", parse).into()
}

/// The most PCI functions that are looked at.
const MOST: usize = 4096;

const DEVICES: &str = "sys/bus/pci/devices";

fn link_sleep(source: &Source) -> BTreeMap<PciAddress, Fact<bool>> {
    let names = source.names(DEVICES).into_value().unwrap_or_default();
    let addresses = names.iter().take(MOST).filter_map(|name| name.parse::<PciAddress>().ok());
    let is_network = |address: &PciAddress| {
        // 02: network controller (PCI Code and ID Assignment Specification).
        let class = source.text(&format!("{DEVICES}/{address}/class"));
        class.value().is_some_and(|class| class.starts_with("0x02"))
    };
    let switch = |address: PciAddress| (address, flag(source, &l1_file(address)));
    let switches = addresses.filter(is_network).map(switch);
    switches.filter(|(_, switch)| !switch.is_absent()).collect()
}

/// The switch of one link's L1, from the root.
#[must_use]
pub fn l1_file(address: PciAddress) -> String {
    format!("{DEVICES}/{address}/link/l1_aspm")
}
