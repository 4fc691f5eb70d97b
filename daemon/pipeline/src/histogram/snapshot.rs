//! A histogram, read: percentiles, and how much they are worth.

use super::scale;

/// Fewer expected samples above a percentile than this, and it is not told at all.
const FEWEST: f64 = 10.0;
/// With so many it can be trusted: the spread of a count of 100 is a tenth of it.
const SOLID: f64 = 100.0;

/// Counts by duration, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    buckets: Vec<u64>,
    max: u64,
    sum: u64,
    saturated: u64,
}

/// How much a percentile is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confidence {
    /// At least 100 samples are expected above it.
    Solid,
    /// 10 to 99 samples are expected above it: another run may well give another value.
    Weak,
}

/// A percentile that has enough samples behind it to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentile {
    /// The duration, within 0.4 %.
    pub ticks: u64,
    /// How much it is worth.
    pub confidence: Confidence,
}

impl Default for Snapshot {
    /// Nothing recorded.
    fn default() -> Self {
        Self::new(vec![0; scale::BUCKETS], 0, 0, 0)
    }
}

impl Snapshot {
    pub(super) fn new(buckets: Vec<u64>, max: u64, sum: u64, saturated: u64) -> Self {
        Self { buckets, max, sum, saturated }
    }

    /// How many durations were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The longest, exactly; `None` when there are none.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        (self.count() > 0).then_some(self.max)
    }

    /// The mean, in ticks, from the exact sum; `None` when there are none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a mean of measurements")]
    pub fn mean(&self) -> Option<f64> {
        let count = self.count();
        (count > 0).then(|| self.sum as f64 / count as f64)
    }

    /// How many were longer than the scale (2^39 ticks); they count in the last bucket.
    #[must_use]
    pub fn saturated(&self) -> u64 {
        self.saturated
    }

    /// The duration that the share `quantile` of all was not longer than: 0.99 for p99, 1.0 for the longest of all.
    ///
    /// `None` when fewer than 10 samples are expected above it (but not for 1.0), or `quantile` is not in 0 to 1.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank: 0 to count, with more bits than there will be samples"
    )]
    pub fn percentile(&self, quantile: f64) -> Option<Percentile> {
        let count = self.count();
        if count == 0 || !(0.0..=1.0).contains(&quantile) {
            return None;
        }
        if quantile == 1.0 {
            return Some(Percentile { ticks: self.max, confidence: Confidence::Solid });
        }
        // 0.9999 of a million leaves 100, not 99.99999999994543: forgive what a decimal fraction can not say in binary.
        let above = count as f64 * (1.0 - quantile) * (1.0 + 1e-9);
        let confidence = match above {
            above if above >= SOLID => Confidence::Solid,
            above if above >= FEWEST => Confidence::Weak,
            _ => return None,
        };
        let rank = ((count as f64 * quantile * (1.0 - 1e-15)).ceil() as u64).clamp(1, count);
        Some(Percentile { ticks: self.at_rank(rank), confidence })
    }

    /// The duration of the `rank`-th shortest, counted from 1.
    fn at_rank(&self, rank: u64) -> u64 {
        let mut seen = 0;
        for (index, &count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return self.value(index);
            }
        }
        self.max
    }

    /// What stands for a bucket. The middle of the highest one may be above the maximum, which is known exactly.
    fn value(&self, index: usize) -> u64 {
        let is_beyond = index == scale::BUCKETS - 1 && self.saturated > 0;
        if is_beyond { self.max } else { scale::middle(index).min(self.max) }
    }

    /// The buckets that are not empty: a value for the bucket (its middle, at most the maximum), and the count.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let filled = self.buckets.iter().copied().enumerate().filter(|&(_, count)| count > 0);
        filled.map(|(index, count)| (self.value(index), count))
    }

    /// Adds another histogram's counts: of another worker, or another port.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.max = self.max.max(other.max);
        self.sum = self.sum.wrapping_add(other.sum);
        self.saturated += other.saturated;
    }

    /// What was recorded since an earlier snapshot of the same histogram.
    ///
    /// The maximum of the time between is known within its bucket only.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let buckets: Vec<u64> = (self.buckets.iter().zip(&earlier.buckets))
            .map(|(now, then)| now.saturating_sub(*then))
            .collect();
        let highest = buckets.iter().rposition(|&count| count > 0);
        let max = match highest {
            // A new maximum, so it was reached in between.
            _ if self.max > earlier.max => self.max,
            Some(index) => scale::bounds(index).1.min(self.max),
            None => 0,
        };
        let sum = self.sum.wrapping_sub(earlier.sum);
        Self { buckets, max, sum, saturated: self.saturated.saturating_sub(earlier.saturated) }
    }
}
