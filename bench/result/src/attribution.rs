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
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The timer, as far as their rhythm tells: these gaps begin at one place of its period. Nothing was traced.
    Tick,
    /// Something else.
    Other,
}

impl Attribution {
    /// Both together.
    pub fn add(&mut self, other: &Self) {
        self.probes += other.probes;
        self.unexplained += other.unexplained;
        for overlap in &other.by {
            let same = |own: &&mut Overlap| {
                (own.who, own.cpu, own.cause) == (overlap.who, overlap.cpu, overlap.cause)
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
        f.pad(match self {
            Self::Tick => "periodic, at a tick's rate",
            Self::Other => "not periodic",
        })
    }
}

/// `of the 140 probes above p99.9, 83 % overlapped a gap of worker 0 (periodic, at a tick's rate, cpu 1), 3 % none`
impl fmt::Display for Attribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |part: u64| (part * 100 + self.probes / 2) / self.probes.max(1);
        write!(f, "of the {} probes above p99.9, ", self.probes)?;
        let mut by: Vec<&Overlap> = self.by.iter().collect();
        by.sort_by_key(|overlap| std::cmp::Reverse(overlap.probes));
        for Overlap { who, cpu, cause, probes } in by {
            write!(f, "{} % overlapped a gap of {who} ({cause}, cpu {cpu}), ", percent(*probes))?;
        }
        write!(f, "{} % none that is known", percent(self.unexplained))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_told_in_one_sentence_the_largest_share_first() {
        let overlap = |who, cpu, cause, probes| Overlap { who, cpu, cause, probes };
        let mut sum = Attribution {
            probes: 60,
            unexplained: 3,
            by: vec![overlap(Who::Generator, 0, Cause::Other, 5)],
        };
        sum.add(&Attribution {
            probes: 40,
            unexplained: 7,
            by: vec![
                overlap(Who::Worker(0), 1, Cause::Tick, 33),
                overlap(Who::Generator, 0, Cause::Other, 1),
            ],
        });

        assert_eq!(
            sum.to_string(),
            "of the 100 probes above p99.9, 33 % overlapped a gap of worker 0 (periodic, at a tick's rate, cpu 1), 6 % overlapped a gap of the \
             generator (not periodic, cpu 0), 10 % none that is known"
        );
    }
}
