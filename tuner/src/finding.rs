//! What a check says about the machine.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::change::Change;

/// How good what was found is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It does not matter here, or nobody can say without measuring; worth knowing.
    Info,
    /// There is nothing here to check.
    NotApplicable,
    /// It costs something, sometimes.
    Warn,
    /// It could not be found out. Never counted as good.
    Unknown,
    /// It ruins the tail, or endangers the machine.
    Bad,
}

impl Verdict {
    /// Every verdict, the worst first.
    pub const ALL: [Self; 6] =
        [Self::Bad, Self::Unknown, Self::Warn, Self::Info, Self::Good, Self::NotApplicable];

    /// As it is printed.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Good => "GOOD",
            Self::Info => "INFO",
            Self::NotApplicable => "N/A",
            Self::Warn => "WARN",
            Self::Unknown => "UNKNOWN",
            Self::Bad => "BAD",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.label())
    }
}

/// The part of a report that a check belongs to, in the order of the report.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Section {
    /// Kernel, topology, what machine this is.
    System,
    /// Governors, limits, turbo.
    Frequency,
    /// How deep idle CPUs sleep, and what waking costs.
    Cstates,
    /// Whether anything else can run on the workers' CPUs.
    Isolation,
    /// Where interrupts land.
    Interrupts,
    /// Clocks, ticks and watchdogs.
    Timers,
    /// Hugepages, swap, compaction.
    Memory,
    /// What is local to what.
    Numa,
    /// PCIe links, IOMMU, vfio.
    Pcie,
    /// The network interfaces that the kernel drives.
    Nics,
    /// The kernel's own network stack.
    Network,
    /// Boot loader and kernel command line.
    Boot,
    /// What else runs here.
    Load,
    /// Temperature and throttling.
    Thermal,
    /// What the firmware does behind the kernel's back.
    Firmware,
    /// What was traded for speed.
    Security,
    /// One process that was asked about.
    Process,
    /// What was measured.
    Measured,
}

impl Section {
    /// The heading of a report.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::Frequency => "CPU frequency",
            Self::Cstates => "C-states",
            Self::Isolation => "Isolation",
            Self::Interrupts => "Interrupts",
            Self::Timers => "Timers",
            Self::Memory => "Memory and hugepages",
            Self::Numa => "NUMA",
            Self::Pcie => "PCIe, IOMMU, VFIO",
            Self::Nics => "NICs",
            Self::Network => "Network stack",
            Self::Boot => "Boot",
            Self::Load => "Load",
            Self::Thermal => "Temperature and throttling",
            Self::Firmware => "Firmware noise",
            Self::Security => "Security trade-offs",
            Self::Process => "This process",
            Self::Measured => "Measured",
        }
    }
}

/// What a change may break.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Nothing.
    None,
    /// It costs a little power, memory or diagnosis.
    Low,
    /// It costs something that others on the machine may need.
    Medium,
    /// It can hang the machine, make it unbootable or cut somebody off.
    High,
}

/// What one check says: one line of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check, for ever: `ISO-01`.
    pub id: &'static str,
    /// The part of the report.
    pub section: Section,
    /// What is checked, in a few words.
    pub title: &'static str,
    /// How good it is.
    pub verdict: Verdict,
    /// The value that was seen, or why none was.
    pub seen: String,
    /// The value that is wanted; empty where nothing is.
    pub wanted: String,
    /// Why it matters, in one sentence.
    pub why: &'static str,
    /// One line for each thing the value is made of: an interrupt, an interface, a CPU.
    pub details: Vec<String>,
    /// What would make it good; empty where nothing that can be typed does.
    pub fix: Vec<Change>,
    /// What to do where no command helps: turn a knob in the firmware, move a card.
    pub advice: Option<String>,
    /// Does the fix only count after a reboot?
    pub needs_reboot: bool,
    /// What the fix may break.
    pub risk: Risk,
    /// What the fix costs, in words; empty for nothing.
    pub cost: &'static str,
    /// Experts disagree: only a measurement on this host may decide, and nothing is changed without being asked for.
    pub is_contested: bool,
    /// The thresholds are our proposal, not somebody's published number.
    pub is_proposed: bool,
}
