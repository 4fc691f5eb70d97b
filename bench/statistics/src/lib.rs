//! Numbers out of noisy trials: medians, bootstrap intervals, verdicts. Pure; randomness comes in as a seeded generator.
//!
//! Ratios are compared as logarithms, so that "a is 5 % faster than b" and "b is 5 % slower than a" are one statement.
//! Trials of one block share the machine's mood, those of different blocks do not; so blocks are what is resampled.
//!
//! ```
//! // The logarithms of five ratios, one for each block.
//! let mut random = fastrand::Rng::with_seed(1);
//! let ratio = statistics::bootstrap(&[0.051, 0.048, 0.055, 0.049, 0.052], &mut random).unwrap().exp();
//! assert!(ratio.low > 1.04 && ratio.high < 1.06);
//! ```
#![forbid(unsafe_code)]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How often the blocks are drawn again for an interval.
pub const RESAMPLES: usize = 10_000;

/// The probability that an interval is meant to have.
pub const CONFIDENCE: f64 = 0.95;

/// A value, and where it would lie if the same was measured again.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The median over the blocks.
    pub value: f64,
    /// The lower end of the 95 % interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// How many blocks it is from.
    pub blocks: usize,
}

impl Estimate {
    /// From logarithms to what they are logarithms of.
    #[must_use]
    pub fn exp(self) -> Self {
        Self {
            value: self.value.exp(),
            low: self.low.exp(),
            high: self.high.exp(),
            blocks: self.blocks,
        }
    }
}

/// What a ratio means, given what the machine makes of two equal programs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Verdict {
    /// The whole interval is above the floor.
    Faster,
    /// The whole interval is below it.
    Slower,
    /// Neither; a difference larger than this share would have been seen.
    NoDifference {
        /// 0.02 is ±2 %.
        within: f64,
    },
}

/// The middle value, or the mean of the two in the middle; `None` of no values, or of values that are no numbers.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    median_of(&mut sorted)
}

/// As [`median`], in place.
fn median_of(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    Some(if values.len() % 2 == 1 {
        values[middle]
    } else {
        // Not (a + b) / 2, which may overflow.
        values[middle - 1] / 2.0 + values[middle] / 2.0
    })
}

/// The value below which this share of the sorted values lies (the nearest rank); `None` of no values.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and the number of values, which is far below 2^52"
    )]
    let rank = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
    Some(sorted[rank.min(last)])
}

/// The median of the blocks' values with a percentile bootstrap interval: the blocks are drawn again with replacement,
/// [`RESAMPLES`] times, and the interval spans the middle 95 % of the medians. `None` of no values.
#[must_use]
pub fn bootstrap(blocks: &[f64], random: &mut fastrand::Rng) -> Option<Estimate> {
    resample(blocks, RESAMPLES, random)
}

fn resample(blocks: &[f64], times: usize, random: &mut fastrand::Rng) -> Option<Estimate> {
    let value = median(blocks)?;
    let mut drawn = vec![0.0; blocks.len()];
    let mut medians = Vec::with_capacity(times);
    for _ in 0..times {
        for place in &mut drawn {
            *place = blocks[random.usize(..blocks.len())];
        }
        medians.extend(median_of(&mut drawn));
    }
    medians.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    Some(Estimate {
        value,
        // The median itself is always inside: with very few blocks the resampled ones may miss it by a rank.
        low: quantile(&medians, tail)?.min(value),
        high: quantile(&medians, 1.0 - tail)?.max(value),
        blocks: blocks.len(),
    })
}

/// The share by which two equal programs differ here: the end of the A/A interval that is farther from 1.
#[must_use]
pub fn floor(a_to_a: &Estimate) -> f64 {
    (a_to_a.high.max(1.0 / a_to_a.low) - 1.0).max(0.0)
}

/// What a ratio of rates means when two equal programs differ by `floor`.
#[must_use]
pub fn verdict(ratio: &Estimate, floor: f64) -> Verdict {
    if ratio.low > 1.0 + floor {
        Verdict::Faster
    } else if ratio.high < 1.0 / (1.0 + floor) {
        Verdict::Slower
    } else {
        let within = ratio.high.max(1.0 / ratio.low) - 1.0;
        Verdict::NoDifference { within: within.max(floor) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rng(seed: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(seed)
    }

    fn values() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(-1.0e6..1.0e6_f64, 1..40)
    }

    proptest! {
        #[test]
        fn half_of_the_values_lie_on_either_side_of_the_median(values in values()) {
            let middle = median(&values).unwrap();
            let below = values.iter().filter(|value| **value < middle).count();
            let above = values.iter().filter(|value| **value > middle).count();
            prop_assert!(below * 2 <= values.len() && above * 2 <= values.len());
        }

        #[test]
        fn the_order_of_the_values_does_not_matter(mut values in values(), seed: u64) {
            let before = median(&values);
            rng(seed).shuffle(&mut values);
            prop_assert_eq!(median(&values), before);
        }

        #[test]
        fn an_interval_holds_its_value_and_stays_within_the_blocks(values in values(), seed: u64) {
            let estimate = resample(&values, 200, &mut rng(seed)).unwrap();
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(least <= estimate.low && estimate.low <= estimate.value);
            prop_assert!(estimate.value <= estimate.high && estimate.high <= most);
            prop_assert_eq!(estimate.blocks, values.len());
        }

        #[test]
        fn equal_blocks_leave_no_doubt(value in -1.0e6..1.0e6_f64, count in 1_usize..30, seed: u64) {
            let estimate = resample(&vec![value; count], 200, &mut rng(seed)).unwrap();
            prop_assert_eq!((estimate.low, estimate.high), (value, value));
        }

        #[test]
        fn a_seed_gives_the_same_interval_again(values in values(), seed: u64) {
            let again = || resample(&values, 200, &mut rng(seed));
            prop_assert_eq!(again(), again());
        }

        #[test]
        fn the_inverse_ratio_has_the_opposite_verdict(low in 0.5..1.5_f64, width in 0.0..0.3_f64, floor in 0.0..0.2_f64) {
            let high = low + width;
            let ratio = Estimate { value: f64::midpoint(low, high), low, high, blocks: 10 };
            let inverse = Estimate { value: 1.0 / ratio.value, low: 1.0 / high, high: 1.0 / low, blocks: 10 };
            match (verdict(&ratio, floor), verdict(&inverse, floor)) {
                (Verdict::Faster, Verdict::Slower) | (Verdict::Slower, Verdict::Faster) => {}
                (Verdict::NoDifference { within: a }, Verdict::NoDifference { within: b }) => {
                    prop_assert!((a - b).abs() < 1e-9 && a >= floor);
                }
                (a, b) => prop_assert!(false, "{a:?} and {b:?}"),
            }
        }

        #[test]
        fn quantiles_are_values_and_do_not_fall(values in values(), a in 0.0..1.0_f64, b in 0.0..1.0_f64) {
            let mut sorted = values;
            sorted.sort_unstable_by(f64::total_cmp);
            let (first, second) = (quantile(&sorted, a.min(b)).unwrap(), quantile(&sorted, a.max(b)).unwrap());
            prop_assert!(first <= second && sorted.contains(&first) && sorted.contains(&second));
        }
    }

    #[test]
    fn nothing_has_no_median() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[1.0, f64::NAN]), None);
        assert_eq!(bootstrap(&[], &mut rng(1)), None);
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn medians_worked_out_by_hand() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[f64::MAX, f64::MAX]), Some(f64::MAX));
    }

    #[test]
    fn an_interval_holds_the_truth_about_as_often_as_it_says() {
        let mut random = rng(7);
        // Ten blocks from a distribution around 0, a thousand times; 95 % is meant, ten blocks give a little less.
        let holds = (0..1000).filter(|_| {
            let blocks: Vec<f64> =
                (0..10).map(|_| (0..12).map(|_| random.f64()).sum::<f64>() - 6.0).collect();
            let estimate = resample(&blocks, 400, &mut random).unwrap();
            estimate.low <= 0.0 && 0.0 <= estimate.high
        });
        let share = holds.count();
        assert!((900..=990).contains(&share), "{share} of 1000");
    }

    #[test]
    fn a_difference_within_the_floor_is_none() {
        let ratio = Estimate { value: 1.03, low: 1.02, high: 1.04, blocks: 10 };
        assert_eq!(verdict(&ratio, 0.01), Verdict::Faster);
        assert_eq!(verdict(&ratio, 0.05), Verdict::NoDifference { within: 0.05 });
        let twins = Estimate { value: 1.0, low: 0.98, high: 1.01, blocks: 10 };
        assert!((floor(&twins) - (1.0 / 0.98 - 1.0)).abs() < 1e-12);
    }
}
