//! When the generator itself was not running: between the end of one turn of its loop and the beginning of the next.

use serde::{Deserialize, Serialize};

/// One gap, in nanoseconds of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gap {
    /// When it began.
    pub at: u64,
    /// How long it was.
    pub length: u64,
}

/// Finds gaps: eight times as long as the shortest, and at least a microsecond.
#[derive(Debug)]
pub struct Gaps {
    last: Option<u64>,
    shortest: u64,
    found: Vec<Gap>,
    /// Gaps that there was no room for.
    missed: u64,
}

/// Shorter ones are the loop itself.
const LEAST: u64 = 1_000;
const TIMES: u64 = 8;

impl Gaps {
    /// Room for so many.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { last: None, shortest: u64::MAX, found: Vec::with_capacity(capacity), missed: 0 }
    }

    /// A turn begins.
    #[inline]
    pub fn begin(&mut self, now: u64) {
        let Some(last) = self.last else { return };
        let length = now.saturating_sub(last);
        self.shortest = self.shortest.min(length.max(1));
        if length >= self.shortest.saturating_mul(TIMES).max(LEAST) {
            if self.found.len() < self.found.capacity() {
                self.found.push(Gap { at: last, length });
            } else {
                self.missed += 1;
            }
        }
    }

    /// It ends. What it took itself is work, and no gap.
    #[inline]
    pub fn end(&mut self, now: u64) {
        self.last = Some(now);
    }

    /// What was found, and how many more there were.
    #[must_use]
    pub fn into_found(self) -> (Vec<Gap>, u64) {
        (self.found, self.missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_between_turns_is_a_gap_and_work_is_not() {
        let mut gaps = Gaps::with_capacity(1);
        // Begin and end of each turn.
        for (begin, end) in [(0, 0), (100, 100), (200, 9_000), (9_100, 9_100), (10_100, 10_100)] {
            gaps.begin(begin);
            gaps.end(end);
        }

        gaps.begin(20_100);

        assert_eq!(gaps.into_found(), (vec![Gap { at: 9_100, length: 1_000 }], 1));
    }
}
