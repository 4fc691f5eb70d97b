//! When frames should leave.
//!
//! The times depend on the pattern and the seed only, never on what came back.

use std::time::Duration;

pub use bench_result::generator::{Pattern, PatternError};

/// The times of one trial.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// Nanoseconds between two frames on average.
    mean: f64,
    pattern: Pattern,
    random: fastrand::Rng,
    /// Frames so far.
    number: u64,
    /// The sum of the random distances so far, in means.
    elapsed: f64,
    /// What the gaps of a capture are multiplied with.
    stretch: f64,
}

/// Why there is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The rate is none.
    #[error("a rate of {rate} frames a second")]
    Rate {
        /// The rate.
        rate: String,
    },
    /// The pattern is none.
    #[error(transparent)]
    Pattern(#[from] PatternError),
}

impl Schedule {
    /// A schedule of so many frames a second.
    ///
    /// # Errors
    /// [`ScheduleError`]
    pub fn new(rate: f64, pattern: Pattern) -> Result<Self, ScheduleError> {
        if !(rate.is_finite() && rate > 0.0 && rate <= 1e9) {
            return Err(ScheduleError::Rate { rate: rate.to_string() });
        }
        let mean = 1e9 / rate;
        pattern.check()?;
        let (mut seed, mut stretch) = (0, 1.0);
        match &pattern {
            Pattern::Constant | Pattern::Bursts { .. } => {}
            Pattern::Poisson { seed: given } => seed = *given,
            Pattern::Replayed { gaps_ns } => {
                let sum: f64 = gaps_ns.iter().map(|gap| float(*gap)).sum();
                stretch = mean * float(gaps_ns.len() as u64) / sum;
            }
        }
        let random = fastrand::Rng::with_seed(seed);
        Ok(Self { mean, pattern, random, number: 0, elapsed: 0.0, stretch })
    }

    /// How many frames there are in a time, by the rate.
    #[must_use]
    pub fn frames_in(&self, time: Duration) -> u64 {
        whole(time.as_secs_f64() * 1e9 / self.mean)
    }
}

/// When each frame should leave: nanoseconds since the beginning, in ascending order. It does not end.
impl Iterator for Schedule {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let number = self.number;
        self.number += 1;
        Some(match &self.pattern {
            // From the number, not from the last time: rounding does not add up.
            Pattern::Constant => whole(float(number) * self.mean),
            Pattern::Bursts { size } => {
                let first = number - number % u64::from(*size);
                whole(float(first) * self.mean)
            }
            Pattern::Poisson { .. } => {
                // The first one waits too, or each trial would begin with an event.
                self.elapsed += -(1.0 - self.random.f64()).ln();
                whole(self.elapsed * self.mean)
            }
            Pattern::Replayed { gaps_ns } => {
                let index = usize::try_from(number % gaps_ns.len() as u64).unwrap_or(0);
                self.elapsed += float(gaps_ns[index]);
                whole(self.elapsed * self.stretch)
            }
        })
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "frames and nanoseconds of a trial are far below 2^53"
)]
fn float(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times are positive, and far below 2^64 ns"
)]
fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patterns() -> impl Strategy<Value = Pattern> {
        prop_oneof![
            Just(Pattern::Constant),
            (1..64_u32).prop_map(|size| Pattern::Bursts { size }),
            any::<u64>().prop_map(|seed| Pattern::Poisson { seed }),
            prop::collection::vec(1..1_000_000_u64, 1..50)
                .prop_map(|gaps_ns| Pattern::Replayed { gaps_ns }),
        ]
    }

    proptest! {
        #[test]
        fn times_ascend_and_keep_the_rate(pattern in patterns(), rate in 100.0..1e7_f64) {
            let frames = 20_000;
            let times: Vec<u64> = Schedule::new(rate, pattern).unwrap().take(frames).collect();
            prop_assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
            let span = float(times[frames - 1]) / 1e9;
            let found = 20_000.0 / span;
            // 20,000 exponential distances are within 4 % (5 standard deviations), the others within a burst or a round.
            prop_assert!((found / rate - 1.0).abs() < 0.04, "{found} instead of {rate}");
        }

        #[test]
        fn the_same_seed_gives_the_same_times(seed in any::<u64>()) {
            let times = || Schedule::new(1e5, Pattern::Poisson { seed }).unwrap().take(100);
            prop_assert!(times().eq(times()));
        }
    }

    #[test]
    fn bursts_leave_at_once() {
        let times: Vec<u64> =
            Schedule::new(1e6, Pattern::Bursts { size: 4 }).unwrap().take(9).collect();

        assert_eq!(times, [0, 0, 0, 0, 4000, 4000, 4000, 4000, 8000]);
    }

    #[test]
    fn rounding_does_not_add_up() {
        let last = Schedule::new(3e6, Pattern::Constant).unwrap().nth(3_000_000);

        assert_eq!(last, Some(1_000_000_000));
    }

    #[test]
    fn what_is_no_schedule_is_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e10] {
            assert!(Schedule::new(rate, Pattern::Constant).is_err(), "{rate}");
        }
        assert!(Schedule::new(1.0, Pattern::Bursts { size: 0 }).is_err());
        for gaps_ns in [vec![], vec![0, 0]] {
            assert!(Schedule::new(1.0, Pattern::Replayed { gaps_ns }).is_err());
        }
    }
}
