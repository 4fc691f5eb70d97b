//! What the firmware does by itself, and what it was told.

use config::{CpuSet, machine::Machine};
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
    /// Do ports bound to vfio stay awake when nobody has them open? `disable_idle_d3` of `vfio_pci`.
    pub keeps_idle_ports_awake: Fact<bool>,
}

impl Firmware {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source, machine: Option<&Machine>, processor: Option<&Processor>) -> Self {
        let profile =
            |file: &str| source.text(&format!("sys/firmware/acpi/platform_profile{file}"));
        let is_flag = |text: &str| match text {
            "Y" | "y" | "1" => Some(true),
            "N" | "n" | "0" => Some(false),
            _ => None,
        };
        Self {
            profile: profile(""),
            profiles: profile("_choices")
                .map(|text| text.split_ascii_whitespace().map(str::to_owned).collect()),
            interrupts: interrupts(source, &online(source, machine), processor),
            link_policy: source.choice("sys/module/pcie_aspm/parameters/policy"),
            keeps_idle_ports_awake: source
                .root()
                .parse_with("sys/module/vfio_pci/parameters/disable_idle_d3", "Y or N", is_flag)
                .into(),
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
