//! How much a path carries: MLRsearch (RFC 9971), RFC 2544 and RFC 8219.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statistics::Estimate;

use crate::{
    arm::{Arm, Group},
    mix::Mix,
    plan::Member,
    run::Word,
};

/// What to search, for some paths of a group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThroughputPlan {
    /// What its paths do.
    pub kind: Group,
    /// The paths.
    pub arms: Vec<Arm>,
    /// The one that the others are compared with. None: nothing is compared.
    #[serde(default)]
    pub reference: Option<Arm>,
    /// The one that is searched twice: what two equal paths differ by. None: nothing is called faster or slower.
    #[serde(default)]
    pub twin: Option<Arm>,
    /// Bytes of a frame, with its check sequence.
    #[serde(default)]
    pub sizes: Vec<usize>,
    /// Instead of `sizes`: frames of several sizes take turns, `"imix"` or a list. Results are under the mean size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
    /// The largest load, in frames a second.
    pub most: f64,
    /// The smallest.
    #[serde(default = "least")]
    pub least: f64,
    /// Of each trial of a search, in ms.
    #[serde(default = "trial_ms")]
    pub trial_ms: u64,
    /// Of all trials at a load until it is decided, in ms.
    #[serde(default = "sum_ms")]
    pub sum_ms: u64,
    /// How near the bounds have to be to each other, as a share.
    #[serde(default = "width")]
    pub width: f64,
    /// The share of frames that PDR allows to be lost.
    #[serde(default = "pdr_loss")]
    pub pdr_loss: f64,
    /// RFC 2544: throughput, latency, frame loss and back-to-back frames, as far as asked for.
    #[serde(default)]
    pub rfc2544: Option<Rfc2544Plan>,
    /// RFC 8219: delays at these shares of PDR.
    #[serde(default)]
    pub delays_at: Vec<f64>,
    /// RFC 8219: latency and delay variation at the throughput rate, repeated.
    #[serde(default)]
    pub rfc8219: Option<Rfc8219Plan>,
    /// Workers of barewired, each on a CPU of its own: a search for each number.
    #[serde(default = "one_worker")]
    pub workers: Vec<usize>,
}

/// RFC 2544, with its own durations unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rfc2544Plan {
    /// Of each trial of throughput and frame loss, in ms: 60000 by the RFC.
    #[serde(default = "minute")]
    pub trial_ms: u64,
    /// Of each trial of latency, in ms: 120000 by the RFC; the one frame that is timed leaves in its middle.
    #[serde(default = "two_minutes")]
    pub latency_ms: u64,
    /// How often latency is measured: 20 by the RFC.
    #[serde(default = "twenty")]
    pub latency_repeats: usize,
    /// Of the longest burst, in ms: 2000 by the RFC.
    #[serde(default = "two_seconds")]
    pub burst_ms: u64,
    /// How often back-to-back frames are measured: 50 by the RFC.
    #[serde(default = "fifty")]
    pub burst_repeats: usize,
    /// How long the last frames of a trial are waited for, in ms: 2000 by the RFC (23, e). When all are back nothing is
    /// waited for.
    #[serde(default = "two_seconds")]
    pub residual_ms: u64,
    /// Before the next trial, in ms: 5000 by the RFC (23, f).
    #[serde(default = "five_seconds")]
    pub settle_ms: u64,
}

/// RFC 8219, 7.2 and 7.3.1, with its own durations unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rfc8219Plan {
    /// Of each stream, in ms: 120000 by the RFC; frames of its second half are timed, all of them (the RFC: 500 at least).
    #[serde(default = "two_minutes")]
    pub stream_ms: u64,
    /// How often: 20 by the RFC.
    #[serde(default = "twenty")]
    pub repeats: usize,
}

fn least() -> f64 {
    1000.0
}
fn trial_ms() -> u64 {
    1000
}
fn sum_ms() -> u64 {
    11_000
}
fn width() -> f64 {
    0.01
}
fn pdr_loss() -> f64 {
    0.005
}
fn one_worker() -> Vec<usize> {
    vec![1]
}
fn minute() -> u64 {
    60_000
}
fn two_minutes() -> u64 {
    120_000
}
fn twenty() -> usize {
    20
}
fn two_seconds() -> u64 {
    2000
}
fn five_seconds() -> u64 {
    5000
}
fn fifty() -> usize {
    50
}

#[expect(clippy::cast_precision_loss, reason = "a few")]
fn float(count: usize) -> f64 {
    count as f64
}

/// To start and stop a path, and to wait for the last frames of a trial.
const BETWEEN: Duration = Duration::from_millis(150);

impl ThroughputPlan {
    /// All that take part.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        Member::all(&self.arms, self.twin)
    }

    /// Paths to search, for each size and number of workers.
    #[must_use]
    pub fn searches(&self) -> usize {
        self.members().len() * self.sizes.len() * self.workers.len()
    }

    /// About how long all of it takes.
    #[must_use]
    pub fn whole(&self) -> Duration {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.expected() * count(self.searches()) + self.ceiling_expected() * count(self.sizes.len())
    }

    /// About how long it takes to see what the generator can without a path, for one size.
    #[must_use]
    pub fn ceiling_expected(&self) -> Duration {
        (self.searching() + Duration::from_millis(self.sum_ms)).mul_f64(0.3)
    }

    /// As many loads as halving takes from twice the answer down to the width, and two more to get there.
    fn loads(&self) -> f64 {
        (1.0 / self.width).log2().ceil() + 2.0
    }

    /// PDR and NDR, of which each load is decided after a part of its sum; they share the loads that are far from both.
    fn searching(&self) -> Duration {
        let [trial, sum] = [self.trial_ms, self.sum_ms].map(Duration::from_millis);
        let trials = (sum.as_secs_f64() * 0.4 / trial.as_secs_f64()).ceil().max(1.0);
        (trial + BETWEEN).mul_f64(trials * self.loads() * 1.6)
    }

    /// About how long it takes to search one path.
    #[must_use]
    pub fn expected(&self) -> Duration {
        let (sum, loads) = (Duration::from_millis(self.sum_ms), self.loads());
        let mut all = self.searching() + sum;
        let pieces = sum.as_secs_f64() / 0.7;
        all += (sum + BETWEEN.mul_f64(pieces.ceil())).mul_f64(float(self.delays_at.len()));
        if let Some(repeated) = &self.rfc8219 {
            let stream = Duration::from_millis(repeated.stream_ms) + BETWEEN;
            all += stream.mul_f64(float(repeated.repeats));
        }
        if let Some(strict) = &self.rfc2544 {
            let [whole, latency, burst] =
                [strict.trial_ms, strict.latency_ms, strict.burst_ms].map(Duration::from_millis);
            let [residual, settle] =
                [strict.residual_ms, strict.settle_ms].map(Duration::from_millis);
            let between = BETWEEN + settle;
            // Some tenths down with losses, and each burst about five times, of which half lose something.
            all += (whole + between + residual).mul_f64(loads / 2.0 + 5.0);
            all += (latency + between).mul_f64(float(strict.latency_repeats));
            all += (burst.mul_f64(0.7) + between + residual / 2)
                .mul_f64(5.0 * float(strict.burst_repeats));
        }
        all
    }

    /// Everything that is wrong with it.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let at = format!("throughput ({})", self.kind);
        let mut check = |is_right: bool, what: String| {
            if !is_right {
                wrong.push(format!("{at}: {what}"));
            }
        };
        check(!self.arms.is_empty(), "no arm".to_owned());
        for (what, arm) in [("reference", self.reference), ("twin", self.twin)] {
            let is_there = arm.is_none_or(|arm| self.arms.contains(&arm));
            check(is_there, format!("the {what} is not among the arms"));
        }
        for arm in &self.arms {
            check(arm.fits(self.kind), format!("{arm} does other work"));
        }
        for size in &self.sizes {
            let is_possible = (64..=1518).contains(size);
            check(is_possible, format!("frames of {size} bytes: 64 to 1518"));
        }
        let is_range = self.least >= 1.0 && self.most > self.least && self.most <= 1e8;
        check(is_range, format!("{} to {} frames a second: 1 to 100000000", self.least, self.most));
        check((10..=600_000).contains(&self.trial_ms), "trial_ms: 10 to 600000".to_owned());
        check(self.sum_ms >= self.trial_ms, "sum_ms: not below trial_ms".to_owned());
        check(self.sum_ms <= 3_600_000, "sum_ms: at most 3600000".to_owned());
        check((0.001..=0.5).contains(&self.width), "width: 0.001 to 0.5".to_owned());
        check((1e-6..=0.5).contains(&self.pdr_loss), "pdr_loss: 0.000001 to 0.5".to_owned());
        for share in &self.delays_at {
            check((0.01..=1.0).contains(share), format!("delays at {share} of PDR: 0.01 to 1"));
        }
        let is_sane = !self.workers.is_empty() && self.workers.iter().all(|n| (1..=64).contains(n));
        check(is_sane, "workers: numbers from 1 to 64".to_owned());
        if let Some(repeated) = &self.rfc8219 {
            let is_possible = (20..=900_000).contains(&repeated.stream_ms);
            check(is_possible, "stream_ms: 20 to 900000".to_owned());
            check((1..=1000).contains(&repeated.repeats), "repeats: 1 to 1000".to_owned());
        }
        if let Some(strict) = &self.rfc2544 {
            check((10..=900_000).contains(&strict.trial_ms), "trial_ms: 10 to 900000".to_owned());
            check(
                (10..=900_000).contains(&strict.latency_ms),
                "latency_ms: 10 to 900000".to_owned(),
            );
            check(
                (1..=1000).contains(&strict.latency_repeats),
                "latency_repeats: 1 to 1000".to_owned(),
            );
            check((10..=60_000).contains(&strict.burst_ms), "burst_ms: 10 to 60000".to_owned());
            check(
                (1..=1000).contains(&strict.burst_repeats),
                "burst_repeats: 1 to 1000".to_owned(),
            );
            check((1..=10_000).contains(&strict.residual_ms), "residual_ms: 1 to 10000".to_owned());
            check(strict.settle_ms <= 60_000, "settle_ms: 0 to 60000".to_owned());
        }
        wrong
    }
}

/// What one path carries, with frames of one size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Throughput {
    /// Its group.
    pub group: Group,
    /// Which one.
    pub member: Member,
    /// Bytes of a frame, with its check sequence.
    pub size: usize,
    /// barewired's workers; 1 of everything else.
    pub workers: usize,
    /// What the generator can offer on this wire without a path, in frames a second. None when it was not measured.
    pub ceiling: Option<f64>,
    /// NDR, PDR and, where asked for, RFC 2544's throughput.
    pub searches: Vec<Search>,
    /// Every trial, in order.
    pub trials: Vec<LoadTrial>,
    /// CPU-seconds of the measured CPU for a million frames that came back, at PDR.
    pub cpu_s_per_million: Option<f64>,
    /// RFC 2544, frame loss: from the largest load down by tenths, until two in a row lose nothing.
    pub frame_loss: Vec<LoadTrial>,
    /// RFC 2544, latency.
    pub latency: Option<StrictLatency>,
    /// RFC 2544, back-to-back frames.
    pub back_to_back: Option<BackToBack>,
    /// RFC 8219, at shares of PDR.
    pub delays: Vec<Delay>,
    /// RFC 8219 to the letter, at the throughput rate.
    #[serde(default)]
    pub repeated: Option<Repeated>,
    /// Why some of it is missing.
    pub remark: Option<String>,
}

/// What a path carries, through what the reference of its group does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateRatio {
    /// The group of both.
    pub group: Group,
    /// The one.
    pub member: Member,
    /// Whom it is against.
    pub reference: Member,
    /// Bytes of a frame, with its check sequence.
    pub size: usize,
    /// Workers of both.
    pub workers: usize,
    /// `ndr`, `pdr`, `rfc2544`
    pub goal: String,
    /// Above 1 is more. The interval is from the bounds that the two searches ended with, one search each: it says how far
    /// they looked, not how they would vary. None when one of them has no bounds.
    pub ratio: Option<Estimate>,
    /// What two equal paths differed by: the twin's ratio and its interval, as a share. None without a twin.
    pub floor: Option<f64>,
    /// What that means.
    pub word: Word,
}

/// What was found for one goal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// `ndr`, `pdr`, `rfc2544`
    pub goal: String,
    /// The share of frames that may be lost in a trial.
    pub loss_ratio: f64,
    /// The share of the time that may be lossier.
    pub exceed_ratio: f64,
    /// Of a trial, in seconds.
    pub trial_s: f64,
    /// Of all trials at a load, in seconds.
    pub sum_s: f64,
    /// The largest load that is carried, in frames a second.
    pub lower: Option<f64>,
    /// The smallest that is not.
    pub upper: Option<f64>,
    /// What is forwarded at the lower bound: the result.
    pub throughput: Option<f64>,
    /// Both bounds exist and are near enough.
    pub is_regular: bool,
    /// It is more than 80 % of what the generator can offer, or what was missing above it is what the generator kept back
    /// while there was room: the path may carry more.
    pub is_generator_limited: bool,
    /// What is the matter when it is not regular.
    pub remark: String,
}

/// One trial at a load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadTrial {
    /// Frames a second that should have left.
    pub load: f64,
    /// For how long, in seconds.
    pub seconds: f64,
    /// Frames that should have left.
    pub intended: u64,
    /// Frames that did. What did not leave is lost, too.
    pub sent: u64,
    /// Frames that came back.
    pub returned: u64,
    /// How often a frame found no room to leave: the path, or its wire, was the slower one.
    #[serde(default)]
    pub refused: u64,
}

impl LoadTrial {
    /// The share of what should have left that did not come back.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts of a trial are far below 2^53")]
    pub fn loss_ratio(&self) -> f64 {
        if self.intended == 0 {
            return 1.0;
        }
        self.intended.saturating_sub(self.returned) as f64 / self.intended as f64
    }
}

/// RFC 2544, 26.2: one frame in the middle of a stream at the throughput rate, repeated, averaged. It says nothing of a
/// tail; see [`Delay`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StrictLatency {
    /// Frames a second.
    pub load: f64,
    /// Frames that were timed and came back.
    pub samples: usize,
    /// Those that did not.
    pub lost: usize,
    /// Their average round trip, in ns.
    pub mean_ns: Option<f64>,
}

/// RFC 2544, 26.4: the longest burst at the largest load without a loss, averaged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackToBack {
    /// Frames a second within the burst, as they should leave.
    pub rate: f64,
    /// The longest burst that was tried, in frames.
    pub most: u64,
    /// How often it was measured.
    pub repeats: usize,
    /// The average of the longest bursts without a loss, in frames.
    pub frames: f64,
    /// What was missing from longer ones is mostly what the generator kept back while there was room: it can not send at
    /// this rate while it does the rest of its work.
    #[serde(default)]
    pub is_generator_limited: bool,
}

/// RFC 8219, 7.2 and 7.3.1, of round trips, at the throughput rate: each number of each stream, over all streams.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repeated {
    /// Frames a second.
    pub load: f64,
    /// Streams.
    pub repeats: usize,
    /// Frames that were timed.
    pub sent: u64,
    /// Of them, the ones that did not come back: they took for ever.
    pub lost: u64,
    /// Typical latency, in ns: the medians of the streams.
    pub typical: Spread,
    /// Worst-case latency: their 99.9th percentiles.
    pub worst: Spread,
    /// Packet delay variation: those less the shortest of the stream.
    pub variation: Spread,
}

/// What the RFC tells of repetitions: the median, and the 1st and 99th percentile. None: never, or of too few frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// 1st percentile.
    pub low: Option<u64>,
    /// Median.
    pub median: Option<u64>,
    /// 99th percentile.
    pub high: Option<u64>,
}

impl Spread {
    /// Of these, in any order; what never came is last.
    #[must_use]
    pub fn of(mut all: Vec<Option<u64>>) -> Self {
        all.sort_unstable_by_key(|ns| ns.unwrap_or(u64::MAX));
        // The nearest rank.
        let at = |percent: usize| {
            let rank = (all.len() * percent).div_ceil(100).max(1);
            all.get(rank - 1).copied().flatten()
        };
        Self { low: at(1), median: at(50), high: at(99) }
    }
}

/// RFC 8219, 7.2 and 7.3, of round trips: a lost frame took for ever.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Delay {
    /// Of PDR.
    pub share: f64,
    /// Frames a second.
    pub load: f64,
    /// Frames that left.
    pub sent: u64,
    /// Of them, the ones that did not come back.
    pub lost: u64,
    /// Typical latency: the median, in ns; none when it never came.
    pub typical_ns: Option<u64>,
    /// Worst-case latency: the 99.9th percentile.
    pub worst_ns: Option<u64>,
    /// Packet delay variation: the 99.9th percentile less the shortest.
    pub variation_ns: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_told_by_their_middle_and_their_ends_and_what_never_came_is_last() {
        let all: Vec<Option<u64>> = (1..=20).rev().map(Some).collect();
        let expected = Spread { low: Some(1), median: Some(10), high: Some(20) };
        assert_eq!(Spread::of(all), expected);
        let expected = Spread { low: Some(3), median: Some(3), high: None };
        assert_eq!(Spread::of(vec![None, Some(3)]), expected);
        assert_eq!(Spread::of(vec![]), Spread { low: None, median: None, high: None });
    }
}
