//! `sample`: one frame of every *n* takes another way.
//!
//! Counting starts with the worker, goes on over bursts and knows no flows: exactly one of every *n* consecutive frames
//! is taken, the *n*-th. It drops nothing.

use super::{Shape, Stage};
use crate::{Frame, Meta, Outcome, Verdict};

pub(super) const SHAPE: Shape = Shape { kind: "sample", edges: &["to", "sampled"], counted: &[] };

const TO: Verdict = Verdict::edge(0);
const SAMPLED: Verdict = Verdict::edge(1);

/// One frame of every `every`.
#[derive(Debug)]
pub(super) struct Sample {
    every: usize,
    /// Frames until the next one that is taken, that one included: 1 to `every`.
    until: usize,
}

impl Sample {
    pub(super) fn new(every: u32) -> Self {
        let every = usize::try_from(every).unwrap_or(usize::MAX).max(1);
        Self { every, until: every }
    }
}

impl<F: Frame> Stage<F> for Sample {
    fn process(
        &mut self,
        _port: usize,
        frames: &mut [F],
        _metas: &mut [Meta],
        verdicts: &mut [Verdict],
    ) -> Outcome {
        if self.until > frames.len() {
            self.until -= frames.len();
            return Outcome::All(TO);
        }
        if self.every == 1 {
            return Outcome::All(SAMPLED);
        }
        verdicts.fill(TO);
        let mut taken = self.until - 1;
        while let Some(verdict) = verdicts.get_mut(taken) {
            *verdict = SAMPLED;
            taken = taken.saturating_add(self.every);
        }
        // `taken` is now the place of the next one, counted from this burst's start.
        self.until = taken + 1 - frames.len();
        Outcome::Each
    }

    fn needs_meta(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::VecFrame;

    proptest! {
        #[test]
        fn the_nth_of_every_n_frames_is_taken_however_they_come_in_bursts(
            every in 1..200_u32,
            bursts in proptest::collection::vec(1..=64_usize, 1..40),
        ) {
            let mut stage = Sample::new(every);
            let mut number = 0_u32;
            for len in bursts {
                let mut frames = vec![VecFrame::new([]); len];
                let mut verdicts = vec![Verdict::edge(9); len];
                let outcome = stage.process(0, &mut frames, &mut [], &mut verdicts);
                if let Outcome::All(verdict) = outcome {
                    verdicts.fill(verdict);
                }
                for verdict in verdicts {
                    number += 1;
                    let expected = if number.is_multiple_of(every) { SAMPLED } else { TO };
                    prop_assert_eq!(verdict, expected, "frame {}", number);
                }
            }
        }
    }
}
