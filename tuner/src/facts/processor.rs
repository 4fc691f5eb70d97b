//! The processor: who made it, which generation it is, what it promises.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Fact, Source};

/// The most of `/proc/cpuinfo` that is read, in bytes: the first processor is in its first few KiB.
const ENOUGH: usize = 32 * 1024;

/// The processor, as its first CPU describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processor {
    /// What instructions it takes.
    pub architecture: Architecture,
    /// Who made it: `GenuineIntel`, `AuthenticAMD`; on Arm the number of the implementer.
    pub vendor: String,
    /// Family, where there is such a number.
    pub family: Option<u32>,
    /// Model, where there is such a number.
    pub model: Option<u32>,
    /// What people call it.
    pub name: String,
    /// What it can do: `flags` of x86, `Features` of Arm.
    pub flags: BTreeSet<String>,
    /// The kernel's name for the generation of its counters (`/sys/devices/cpu/caps/pmu_name`): `skylake`.
    pub counters: Option<String>,
    /// Who made the machine and what they call it, by DMI.
    pub product: String,
}

/// What instructions a processor takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Architecture {
    /// x86.
    X86,
    /// Arm.
    Arm,
    /// Something else.
    Other,
}

/// Whether Intel's own frequency driver is at its best on a processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// Skylake, Cascade Lake and what came before.
    BeforeIceLake,
    /// Ice Lake and what came after.
    FromIceLake,
    /// Another maker's, or not known.
    Unknown,
}

impl Processor {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Fact<Self> {
        let text: Fact<String> = source.root().head("proc/cpuinfo", ENOUGH).into();
        text.and_then(|text| match Self::parse(&text) {
            Some(processor) => Fact::Is(Self {
                counters: source.text("sys/devices/cpu/caps/pmu_name").into_value(),
                product: product(source),
                ..processor
            }),
            None => Fact::unknown("/proc/cpuinfo describes no processor"),
        })
    }

    /// Reads the first processor of `/proc/cpuinfo`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut processor = Self {
            architecture: Architecture::Other,
            vendor: String::new(),
            family: None,
            model: None,
            name: String::new(),
            flags: BTreeSet::new(),
            counters: None,
            product: String::new(),
        };
        let first = text.split("\n\n").find(|block| !block.trim().is_empty())?;
        let mut is_any = false;
        for (key, value) in first.lines().filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            is_any = true;
            match key.trim() {
                "vendor_id" => {
                    processor.architecture = Architecture::X86;
                    processor.vendor = value.to_owned();
                }
                "CPU implementer" => {
                    processor.architecture = Architecture::Arm;
                    processor.vendor = value.to_owned();
                }
                "cpu family" => processor.family = value.parse().ok(),
                "model" => processor.model = value.parse().ok(),
                "model name" => processor.name = value.to_owned(),
                "flags" | "Features" => {
                    processor.flags = value.split_ascii_whitespace().map(str::to_owned).collect();
                }
                _ => {}
            }
        }
        is_any.then_some(processor)
    }

    /// Can it do this, by the kernel's word for it?
    #[must_use]
    pub fn has(&self, flag: &str) -> bool {
        self.flags.contains(flag)
    }

    /// Is it Intel's?
    #[must_use]
    pub fn is_intel(&self) -> bool {
        self.vendor == "GenuineIntel"
    }

    /// Is it AMD's, or Hygon's, which is the same?
    #[must_use]
    pub fn is_amd(&self) -> bool {
        matches!(self.vendor.as_str(), "AuthenticAMD" | "HygonGenuine")
    }

    /// Does it run a guest? x86 says so itself; of Arm only what emulators and clouds write into the DMI is known.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        let is_guest = |word| self.product.contains(word);
        match self.architecture {
            Architecture::X86 => self.has("hypervisor"),
            Architecture::Arm | Architecture::Other => {
                let is_cloud = is_guest("Amazon EC2") || is_guest("Google Compute Engine");
                (is_cloud && !is_guest("metal"))
                    || ["QEMU", "KVM", "Virtual Machine"].into_iter().any(is_guest)
            }
        }
    }

    /// Do its time-stamp counters run at one speed, always?
    #[must_use]
    pub fn has_constant_clock(&self) -> bool {
        self.has("constant_tsc") && self.has("nonstop_tsc")
    }

    /// Is it one of those on which Intel recommends its own frequency driver?
    ///
    /// By the kernel's name for the counters, as TuneD does it; where the counters are hidden, by the model numbers of
    /// `arch/x86/include/asm/intel-family.h`.
    #[must_use]
    pub fn generation(&self) -> Generation {
        if !self.is_intel() {
            return Generation::Unknown;
        }
        match (self.counters.as_deref(), self.family, self.model) {
            (
                Some(
                    "core" | "core2" | "nehalem" | "westmere" | "sandybridge" | "ivybridge"
                    | "haswell" | "broadwell" | "skylake",
                ),
                ..,
            ) => Generation::BeforeIceLake,
            (Some(_), ..) => Generation::FromIceLake,
            (
                None,
                Some(6),
                Some(
                    0x2A
                    | 0x2D
                    | 0x3A
                    | 0x3C..=0x3F
                    | 0x45..=0x47
                    | 0x4E
                    | 0x4F
                    | 0x55
                    | 0x56
                    | 0x5E
                    | 0x8E
                    | 0x9E
                    | 0xA5
                    | 0xA6,
                ),
            ) => Generation::BeforeIceLake,
            (
                None,
                Some(6),
                Some(0x6A | 0x6C | 0x7D | 0x7E | 0x8C | 0x8D | 0x8F | 0xAD..=0xAF | 0xCF),
            ) => Generation::FromIceLake,
            _ => Generation::Unknown,
        }
    }
}

fn product(source: &Source) -> String {
    let part = |name: &str| source.text(&format!("sys/class/dmi/id/{name}")).into_value();
    let parts: Vec<String> = ["sys_vendor", "product_name"].into_iter().filter_map(part).collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INTEL: &str = "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: \
                         Intel(R) Xeon(R) Gold\nflags\t\t: tsc constant_tsc nonstop_tsc pdpe1gb\n\nprocessor\t: \
                         1\nvendor_id\t: Other\n";

    #[test]
    fn the_first_processor_is_described() {
        let processor = Processor::parse(INTEL).unwrap();

        assert_eq!(processor.architecture, Architecture::X86);
        assert!(processor.is_intel() && !processor.is_amd() && !processor.is_virtual());
        assert!(processor.has_constant_clock());
        assert!(processor.has("pdpe1gb") && !processor.has("pdpe"));
        assert_eq!(processor.generation(), Generation::BeforeIceLake);
    }

    #[test]
    fn an_arm_processor_is_told_apart() {
        let text =
            "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n";
        let processor = Processor::parse(text).unwrap();

        assert_eq!(processor.architecture, Architecture::Arm);
        assert!(processor.has("asimd") && !processor.is_virtual());
        let guest = |product: &str| {
            Processor { product: product.to_owned(), ..processor.clone() }.is_virtual()
        };
        assert!(guest("QEMU QEMU Virtual Machine") && guest("Amazon EC2 c7g.4xlarge"));
        assert!(!guest("Amazon EC2 c7g.metal") && !guest("GIGABYTE R152"));
    }

    #[test]
    fn the_kernels_name_for_the_generation_goes_before_the_model() {
        let of = |counters: Option<&str>, model| {
            let counters = counters.map(str::to_owned);
            Processor { counters, model: Some(model), ..Processor::parse(INTEL).unwrap() }
                .generation()
        };

        assert_eq!(of(Some("skylake"), 0x6A), Generation::BeforeIceLake);
        assert_eq!(of(Some("sapphire_rapids"), 0x55), Generation::FromIceLake);
        assert_eq!(of(None, 0x6A), Generation::FromIceLake);
        assert_eq!(of(None, 0x55), Generation::BeforeIceLake);
        assert_eq!(of(None, 0x01), Generation::Unknown);
        let amd = INTEL.replace("GenuineIntel", "AuthenticAMD");
        assert_eq!(Processor::parse(&amd).unwrap().generation(), Generation::Unknown);
    }

    #[test]
    fn nothing_is_not_a_processor() {
        for text in ["", "\n\n\n", "no colon here\n"] {
            assert_eq!(Processor::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_a_panic(text in ".{0,400}") {
            let _ = Processor::parse(&text).map(|processor| processor.generation());
        }
    }
}
