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
    /// The longest gap that is not among the longest ones here, in ns; 0 where all are.
    #[serde(default)]
    pub untold_ns: u64,
    /// The longest gaps, the longest first; not necessarily all.
    pub longest: Vec<Gap>,
}

impl CpuNoise {
    /// The longest time that was taken away while this kernel did nothing at all on the CPU, in ns: no more than that is
    /// the noise of the hardware, the firmware and the hypervisor. A gap whose causes are not kept counts as one. None where the kernel's trace was not there, or lost something.
    ///
    /// A gap in which the kernel did something may hide a part that was not its own.
    #[must_use]
    pub fn outside_ns(&self) -> Option<u64> {
        let mut outside = self.max_ns.min(self.threshold_ns);
        for gap in &self.longest {
            match gap.causes.as_slice() {
                [] => return None,
                [Cause::Outside] => {
                    outside = gap.length_ns;
                    break;
                }
                _ => {}
            }
        }
        Some(outside.max(self.untold_ns))
    }
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

impl Gap {
    /// So many causes are told.
    const TOLD: usize = 8;

    /// Its causes in words; where there are many, only how many more.
    #[must_use]
    pub fn told(&self) -> String {
        if self.causes.is_empty() {
            return "no known cause".to_owned();
        }
        let mut causes: Vec<String> =
            self.causes.iter().take(Self::TOLD).map(ToString::to_string).collect();
        if let more @ 1.. = self.causes.len().saturating_sub(Self::TOLD) {
            causes.push(format!("and {more} more"));
        }
        causes.join(", ")
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(length_ns: u64, causes: &[Cause]) -> Gap {
        Gap { at_ns: 0, length_ns, causes: causes.to_vec() }
    }

    #[test]
    fn many_causes_are_told_shorter() {
        let ran = |count: u32| {
            let causes: Vec<Cause> =
                (0..count).map(|number| Cause::Switch(format!("t{number}"))).collect();
            gap(1, &causes).told()
        };
        assert_eq!(ran(0), "no known cause");
        assert_eq!(ran(2), "t0 ran, t1 ran");
        assert!(ran(8).ends_with(", t7 ran"), "{}", ran(8));
        assert!(ran(10).ends_with(", t7 ran, and 2 more"), "{}", ran(10));
    }

    #[test]
    fn what_is_not_the_kernels_is_at_most_the_longest_gap_without_it() {
        let seen = |untold_ns: u64, longest: Vec<Gap>| {
            let max_ns = longest.first().map_or(90, |gap| gap.length_ns);
            CpuNoise { threshold_ns: 200, untold_ns, max_ns, longest, ..CpuNoise::default() }
        };
        let (tick, outside) = ([Cause::Tick], [Cause::Outside]);

        let of = |untold, longest| seen(untold, longest).outside_ns();
        assert_eq!(of(0, vec![gap(900, &tick), gap(700, &outside)]), Some(700));
        assert_eq!(of(0, vec![gap(900, &[Cause::Tick, Cause::Outside])]), Some(200));
        // Of the others the longest may be of that kind.
        assert_eq!(of(600, vec![gap(900, &tick), gap(700, &tick)]), Some(600));
        assert_eq!(of(600, vec![gap(900, &tick), gap(700, &outside)]), Some(700));
        assert_eq!(of(0, vec![gap(900, &tick)]), Some(200));
        assert_eq!(of(0, vec![]), Some(90));
        // Events were lost, so that nobody knows.
        assert_eq!(of(0, vec![gap(900, &[]), gap(700, &outside)]), None);
    }
}
