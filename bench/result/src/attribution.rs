//! What the slowest probes of a trial have in common: somebody did not run while they were on their way.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the flights of the slowest probes overlapped: those beyond the 99.9th percentile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attribution {
    /// How many probes were looked at.
    pub probes: u64,
    /// Of them, those in whose flight nobody is known to have stood still.
    pub unexplained: u64,
    /// Who stood still in whose flight. A flight may overlap gaps of several, and counts for each.
    pub by: Vec<Overlap>,
}

/// Gaps of one loop that slow probes were caught in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Overlap {
    /// Whose loop.
    pub who: Who,
    /// The CPU it turns on.
    pub cpu: u32,
    /// What took the CPU, as far as it can be told.
    pub cause: Cause,
    /// How that is known.
    pub known_by: KnownBy,
    /// Probes whose flight overlapped such a gap.
    pub probes: u64,
}

/// Whose loop it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// The generator's.
    Generator,
    /// One of barewired's workers, by its number.
    Worker(usize),
}

/// What took the CPU away.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The timer.
    Tick,
    /// Another interrupt: its number or label, and what it is for.
    Interrupt(String),
    /// Another software interrupt, by its name.
    Softirq(String),
    /// The CPU was given to another thread.
    Preempted,
    /// The hypervisor gave it to another machine.
    Stolen,
    /// The loop waited for something by itself, or was stopped by a signal.
    Waited,
    /// A page fault that read from a device.
    MajorFault,
    /// Another page fault.
    MinorFault,
    /// Nothing that the kernel counts: firmware, a hypervisor that does not say so, or the loop's own work.
    Uncounted,
    /// Not the timer, and nobody has counted what else.
    Other,
}

/// How a cause is known.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum KnownBy {
    /// By what the kernel has counted on that CPU and of that thread around the gap: barewired reads it, and names one cause
    /// only where one thing took nearly all of the time, or was alone.
    Counters,
    /// By when the loop's gaps begin, and nothing else: at one place of a timer's period, or not.
    Rhythm,
}

impl Attribution {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.probes += other.probes;
        self.unexplained += other.unexplained;
        for overlap in &other.by {
            let same = |own: &&mut Overlap| {
                (own.who, own.cpu, own.known_by) == (overlap.who, overlap.cpu, overlap.known_by)
                    && own.cause == overlap.cause
            };
            match self.by.iter_mut().find(same) {
                Some(own) => own.probes += overlap.probes,
                None => self.by.push(overlap.clone()),
            }
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generator => f.pad("the generator"),
            Self::Worker(number) => write!(f, "worker {number}"),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tick => "tick",
            Self::Interrupt(name) => return write!(f, "interrupt {name}"),
            Self::Softirq(name) => return write!(f, "softirq {name}"),
            Self::Preempted => "preempted",
            Self::Stolen => "stolen by the hypervisor",
            Self::Waited => "waited or was stopped",
            Self::MajorFault => "page fault from a device",
            Self::MinorFault => "page fault",
            Self::Uncounted => "nothing that the kernel counts",
            Self::Other => "not a tick",
        })
    }
}

impl fmt::Display for KnownBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Counters => "by the kernel's counters",
            Self::Rhythm => "by its rhythm",
        })
    }
}

/// `of the 140 probes above p99.9, 83 % overlapped a gap of worker 1: tick, CPU 1 (by the kernel's counters); 3 % no gap that
/// is known`
impl fmt::Display for Attribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |part: u64| (part * 100 + self.probes / 2) / self.probes.max(1);
        write!(f, "of the {} probes above p99.9, ", self.probes)?;
        let mut by: Vec<&Overlap> = self.by.iter().collect();
        by.sort_by_key(|overlap| std::cmp::Reverse(overlap.probes));
        for Overlap { who, cpu, cause, known_by, probes } in by {
            let percent = percent(*probes);
            write!(f, "{percent} % overlapped a gap of {who}: {cause}, CPU {cpu} ({known_by}); ")?;
        }
        write!(f, "{} % no gap that is known", percent(self.unexplained))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_told_in_one_sentence_the_largest_share_first() {
        let overlap =
            |who, cpu, cause, known_by, probes| Overlap { who, cpu, cause, known_by, probes };
        let worker = |cause, known_by, probes| overlap(Who::Worker(1), 1, cause, known_by, probes);
        let generator = |probes| overlap(Who::Generator, 0, Cause::Other, KnownBy::Rhythm, probes);
        let mut sum = Attribution { probes: 60, unexplained: 3, by: vec![generator(5)] };
        sum.add(&Attribution {
            probes: 40,
            unexplained: 7,
            by: vec![
                worker(Cause::Tick, KnownBy::Counters, 33),
                worker(Cause::Tick, KnownBy::Rhythm, 4),
                worker(Cause::Interrupt("34 nvme0q3".to_owned()), KnownBy::Counters, 2),
                generator(1),
            ],
        });

        assert_eq!(
            sum.to_string(),
            "of the 100 probes above p99.9, 33 % overlapped a gap of worker 1: tick, CPU 1 (by the kernel's counters); \
             6 % overlapped a gap of the generator: not a tick, CPU 0 (by its rhythm); \
             4 % overlapped a gap of worker 1: tick, CPU 1 (by its rhythm); \
             2 % overlapped a gap of worker 1: interrupt 34 nvme0q3, CPU 1 (by the kernel's counters); \
             10 % no gap that is known"
        );
    }
}
