//! What a spinning thread saw.

use std::{collections::BTreeMap, fmt};

use config::CpuId;
use serde::{Deserialize, Serialize};

/// What a thread saw that did nothing but read the clock, for each CPU it ran on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Noise {
    /// By CPU.
    pub cpus: BTreeMap<CpuId, CpuNoise>,
    /// Why gaps have no causes, where they could not be looked for.
    #[serde(default)]
    pub unattributed: Option<String>,
}

/// What it saw on one CPU.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuNoise {
    /// For how long it looked, in seconds.
    pub seconds: f64,
    /// The least time between two readings that counts as a gap, in ns.
    pub threshold_ns: u64,
    /// How many gaps there were.
    pub gaps: u64,
    /// The 99.9th percentile of the time between two readings, in ns.
    pub p999_ns: u64,
    /// The longest time between two readings, in ns.
    pub max_ns: u64,
    /// The sum of all gaps, in ns: the time that was taken away.
    #[serde(default)]
    pub taken_ns: u64,
    /// The longest gaps, the longest first; not necessarily all.
    pub longest: Vec<Gap>,
}

/// One gap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// When it began: ns since the measurement did.
    pub at_ns: u64,
    /// How long it was, in ns.
    pub length_ns: u64,
    /// What happened on this CPU meanwhile; nothing when it could not be found out.
    pub causes: Vec<Cause>,
}

/// What took the CPU away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind", content = "what")]
pub enum Cause {
    /// An interrupt: its number and name.
    Interrupt(String),
    /// A software interrupt: its row in `/proc/softirqs`.
    Softirq(String),
    /// Another thread ran: its name.
    Switch(String),
    /// The scheduler's tick, or another timer of the kernel.
    Tick,
    /// An interrupt that another CPU sent: the kernel's name of its vector.
    Ipi(String),
    /// The firmware (a system management interrupt).
    Firmware,
    /// The hypervisor.
    Steal,
    /// A page fault.
    PageFault,
    /// The frequency changed.
    Frequency,
    /// Nothing of this kernel ran: the hypervisor or the firmware had the CPU, or the hardware was slow.
    Outside,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupt(name) => write!(f, "interrupt {name}"),
            Self::Softirq(name) => write!(f, "softirq {name}"),
            Self::Switch(name) => write!(f, "{name} ran"),
            Self::Tick => f.write_str("tick"),
            Self::Ipi(name) => write!(f, "IPI {name}"),
            Self::Firmware => f.write_str("firmware"),
            Self::Steal => f.write_str("hypervisor"),
            Self::PageFault => f.write_str("page fault"),
            Self::Frequency => f.write_str("frequency change"),
            Self::Outside => f.write_str("nothing of this kernel (hypervisor, firmware, hardware)"),
        }
    }
}
