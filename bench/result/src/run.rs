//! What a run leaves: every trial, and what follows from those that count.

use std::collections::BTreeMap;

use config::CpuId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statistics::Estimate;

use crate::{
    arm::{Group, Waits},
    attribution::Attribution,
    host::Qualification,
    plan::{Member, Plan},
    throughput::{RateRatio, Throughput},
    trial::{Cell, Percentile, Started, Trial},
};

/// The format of `result.json`. A change that a reader would not understand makes another name.
pub const SCHEMA: &str = "barewire-bench/run/3";

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunResult {
    /// [`SCHEMA`]
    pub schema: String,
    /// The version of this program.
    pub version: String,
    /// When it began (RFC 3339, UTC).
    pub begun: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How it ended.
    pub end: End,
    /// Repeats its orders and resamples.
    pub seed: u64,
    /// What was to be measured.
    pub plan: Plan,
    /// The CPUs.
    pub cpus: Cpus,
    /// What the host can be believed about.
    pub host: Qualification,
    /// What it all depends on.
    pub environment: BTreeMap<String, String>,
    /// Who was asked for and did not take part.
    pub left_out: Vec<LeftOut>,
    /// How each was started.
    pub starts: Vec<Started>,
    /// Every trial, in order, those that do not count included.
    pub trials: Vec<Trial>,
    /// What follows, by group.
    pub groups: Vec<GroupResult>,
    /// What the bypass over shared memory takes, through what the kernel takes on its wire: different wires, and a
    /// statement about systems, not about paths.
    pub across: Vec<Across>,
    /// What paths carry.
    pub throughput: Vec<Throughput>,
    /// That, against the reference of each group.
    #[serde(default)]
    pub rates: Vec<RateRatio>,
}

/// One path of a group against one of another: different wires.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Across {
    /// The one.
    pub first: (Group, Member),
    /// The other.
    pub second: (Group, Member),
    /// At what, the same for both.
    pub cell: Cell,
    /// Of the response.
    pub percentile: f64,
    /// The first's time through the second's: below 1 is faster. None when it can not be said. There is no floor between
    /// wires, so there is no word either.
    pub ratio: Option<Estimate>,
}

/// The CPUs of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cpus {
    /// Where the programs under measurement turn.
    #[schemars(with = "u32")]
    pub measured: CpuId,
    /// Where everything else is: prompts, control planes, the generator, this program.
    #[schemars(with = "u32")]
    pub other: CpuId,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "how")]
pub enum End {
    /// As planned.
    Complete,
    /// Somebody wanted it to end.
    Interrupted,
    /// Something broke.
    Failed {
        /// What.
        why: String,
    },
}

/// Somebody who did not take part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// Of which group.
    pub group: Group,
    /// Who; of all of them when it is none.
    pub member: Option<Member>,
    /// Why.
    pub why: String,
}

/// What follows for a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupResult {
    /// Which one.
    pub kind: Group,
    /// Whom ratios are against.
    pub reference: Member,
    /// Each load and size.
    pub cells: Vec<CellResult>,
}

/// What follows at one load and size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CellResult {
    /// Which.
    pub cell: Cell,
    /// The twin against its like: what two equal paths differ by here.
    pub floors: Vec<Floor>,
    /// Each that took part.
    pub members: Vec<MemberResult>,
}

/// What two equal paths differ by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// At this percentile of the response.
    pub percentile: f64,
    /// The twin's time through that of its like.
    pub ratio: Estimate,
    /// The share that follows: 0.02 is ±2 %.
    pub share: f64,
}

/// What follows for one that took part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberResult {
    /// Who.
    pub member: Member,
    /// How it waits for frames.
    pub waits: Waits,
    /// Trials that count.
    pub valid: usize,
    /// Trials that do not.
    pub invalid: usize,
    /// Probes of all that count.
    pub sent: u64,
    /// Of these, the ones that did not come back.
    pub lost: u64,
    /// From when probes should have left, all trials that count together; lost ones as if they never came.
    pub response: Vec<Percentile>,
    /// From when they left.
    pub service: Vec<Percentile>,
    /// The shortest and longest response, in ns.
    pub range_ns: (u64, u64),
    /// CPU-seconds of the measured CPU for a million probes. None of nothing.
    pub cpu_s_per_million: Option<f64>,
    /// What a send took on average, in ns: work inside the sender's call is here.
    pub send_ns: f64,
    /// Against the reference, by percentile of the response.
    pub versus: Vec<Versus>,
    /// What the slowest probes of all trials that count were caught in.
    pub attribution: Option<Attribution>,
}

/// One against the reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Versus {
    /// Of the response.
    pub percentile: f64,
    /// Its time through the reference's: below 1 is faster. None when it can not be said.
    pub ratio: Option<Estimate>,
    /// What that means.
    pub word: Word,
}

/// What a comparison means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "word")]
pub enum Word {
    /// Its times are shorter, beyond what equal paths differ by.
    Faster,
    /// They are longer.
    Slower,
    /// Neither, and a difference larger than this share would have been seen.
    NoDifference {
        /// 0.02 is ±2 %.
        within: f64,
    },
    /// Nothing can be said.
    Inconclusive {
        /// Why.
        why: String,
    },
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Faster => f.pad("faster"),
            Self::Slower => f.pad("slower"),
            Self::NoDifference { within } => {
                f.pad(&format!("no difference at ±{:.1} %", within * 100.0))
            }
            Self::Inconclusive { why } => f.pad(&format!("inconclusive: {why}")),
        }
    }
}

impl RunResult {
    /// Trials, and how many of them do not count.
    #[must_use]
    pub fn validity(&self) -> (usize, usize) {
        (self.trials.len(), self.trials.iter().filter(|trial| !trial.is_valid()).count())
    }
}

impl RunResult {
    /// What a cache line took between the two CPUs before each start: median, least and most, in ns. None when nobody knows.
    #[must_use]
    pub fn handoff_ns(&self) -> Option<(u64, u64, u64)> {
        let mut all: Vec<u64> = self.starts.iter().filter_map(|start| start.handoff_ns).collect();
        all.sort_unstable();
        Some((*all.get(all.len() / 2)?, *all.first()?, *all.last()?))
    }
}

/// The JSON Schema of [`RunResult`].
#[must_use]
pub fn json_schema() -> schemars::Schema {
    schemars::schema_for!(RunResult)
}
