//! The same plan in less time.

use std::time::Duration;

use super::Plan;

/// Intervals come from so many blocks at least, so none of them is saved.
const BLOCKS: usize = 5;

/// The shortest trials that something can be made less with.
const LEAST_MS: u64 = 100;

/// The part of all of the time in which the host may be looked at.
const LOOK: u32 = 20;

/// Why there is no such plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "plan {name} takes {} s at least, with {blocks} blocks of trials of {LEAST_MS} ms",
    least.as_secs()
)]
pub struct TooShort {
    /// Its name.
    pub name: String,
    /// How long it takes.
    pub least: Duration,
    /// With as many blocks.
    pub blocks: usize,
}

impl Plan {
    /// The same in about this time: with fewer blocks, but five of them, and when that is not enough with shorter trials.
    /// Searches are as long as they are.
    ///
    /// # Errors
    /// [`TooShort`]
    pub fn within(mut self, limit: Duration) -> Result<Self, TooShort> {
        let look = u64::try_from((limit / LOOK).as_millis()).unwrap_or(u64::MAX).max(LEAST_MS);
        self.qualify_ms = self.qualify_ms.min(look);
        while self.blocks > BLOCKS && self.expected() > limit {
            self.blocks -= 1;
        }
        if self.expected() <= limit {
            return Ok(self);
        }
        let with = |measure_ms| self.clone().with_trials_of(measure_ms);
        let (mut fits, mut exceeds) = (LEAST_MS.min(self.measure_ms), self.measure_ms);
        let least = with(fits).expected();
        if least > limit {
            return Err(TooShort { name: self.name, least, blocks: self.blocks });
        }
        while exceeds - fits > 1 {
            let middle = fits.midpoint(exceeds);
            *(if with(middle).expected() <= limit { &mut fits } else { &mut exceeds }) = middle;
        }
        Ok(self.with_trials_of(fits))
    }

    /// What warms up is no more than a part of what is measured.
    fn with_trials_of(mut self, measure_ms: u64) -> Self {
        self.warm_up_ms = self.warm_up_ms.min(measure_ms / 4);
        self.measure_ms = measure_ms;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(count: u64) -> Duration {
        Duration::from_secs(60 * count)
    }

    #[test]
    fn soak_fits_into_ten_minutes_and_uses_them() {
        let whole = Plan::find("soak").unwrap();

        let short = whole.clone().within(minutes(10)).unwrap();

        let expected = short.expected();
        assert!((minutes(9)..=minutes(10)).contains(&expected), "{expected:?}");
        assert_eq!(short.blocks, BLOCKS);
        assert!((1000..20_000).contains(&short.measure_ms), "{}", short.measure_ms);
        assert!(short.warm_up_ms <= short.measure_ms / 4);
        assert_eq!(short.groups, whole.groups);
        let text = toml::to_string(&short).unwrap();
        assert_eq!(Plan::parse(&text, "short").unwrap(), short);
    }

    #[test]
    fn blocks_are_fewer_before_trials_are_shorter() {
        let whole = Plan::find("soak").unwrap();
        let shorter = whole.clone().within(minutes(90)).unwrap();
        assert!((BLOCKS + 1..whole.blocks).contains(&shorter.blocks), "{}", shorter.blocks);
        assert_eq!(shorter.measure_ms, whole.measure_ms);
        let same = whole.clone().within(minutes(600)).unwrap();
        assert_eq!(same, whole);
    }

    #[test]
    fn what_no_shortening_makes_possible_is_refused_with_the_least_there_is() {
        let refused = Plan::find("standard").unwrap().within(minutes(1)).unwrap_err();
        assert!(refused.least > minutes(1), "{refused:?}");
        let least = Duration::from_secs(refused.least.as_secs() + 10);
        assert!(Plan::find("standard").unwrap().within(least).is_ok());
        assert!(Plan::find("throughput").unwrap().within(minutes(2)).is_err());
    }
}
