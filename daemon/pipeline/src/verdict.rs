//! What a stage decides about a frame.

use std::fmt;

use crate::DropReason;

/// Out of one of the stage's edges, or dropped for a reason. One byte.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Verdict(u8);

/// The bit that tells a drop reason from an edge.
const DROP: u8 = 0x80;

const _: () = assert!(DropReason::COUNT <= DROP as usize, "a reason fits beside the drop bit");

/// A [`Verdict`], taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Out of the edge with this index.
    Edge(usize),
    /// Dropped.
    Drop(DropReason),
}

impl Verdict {
    /// Out of the stage's edge number `index`.
    ///
    /// # Panics
    /// If `index` is over 127; stages number their edges by constants.
    #[must_use]
    pub const fn edge(index: u8) -> Self {
        assert!(index < DROP, "a stage has at most 128 edges");
        Self(index)
    }

    /// Dropped for `reason`.
    #[must_use]
    pub const fn drop(reason: DropReason) -> Self {
        Self(DROP | reason as u8)
    }

    /// Which of the two it is.
    #[must_use]
    #[inline]
    pub const fn decision(self) -> Decision {
        if self.0 & DROP == 0 {
            Decision::Edge(self.0 as usize)
        } else {
            // The mask keeps it below 128; only `drop` makes such a value, from a reason's own number.
            Decision::Drop(DropReason::ALL[(self.0 & !DROP) as usize])
        }
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.decision().fmt(f)
    }
}

/// What a stage decided about a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The same for every frame: the burst moves as a whole, and the verdicts are not looked at.
    All(Verdict),
    /// `verdicts[i]` for frame *i*.
    Each,
}

impl Outcome {
    /// Looks whether the verdicts on a burst are all the same, as they are as a rule.
    #[inline]
    pub(crate) fn of(verdicts: &[Verdict]) -> Self {
        let Some(&first) = verdicts.first() else { return Self::Each };
        // Without a way out of the loop it is one of vector instructions: a burst is 64 bytes at most.
        let difference = verdicts.iter().fold(0, |bits, verdict| bits | (verdict.0 ^ first.0));
        if difference == 0 { Self::All(first) } else { Self::Each }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_comes_back_as_what_went_in() {
        for index in 0..128 {
            assert_eq!(Verdict::edge(index).decision(), Decision::Edge(usize::from(index)));
        }
        for reason in DropReason::ALL {
            assert_eq!(Verdict::drop(reason).decision(), Decision::Drop(reason));
        }
        assert_eq!(size_of::<Verdict>(), 1);
    }

    #[test]
    fn equal_verdicts_become_one_for_the_burst() {
        let (drop, edge) = (Verdict::drop(DropReason::Fragment), Verdict::edge(1));
        assert_eq!(Outcome::of(&[drop; 64]), Outcome::All(drop));
        assert_eq!(Outcome::of(&[edge]), Outcome::All(edge));
        assert_eq!(Outcome::of(&[edge, edge, drop]), Outcome::Each);
        assert_eq!(Outcome::of(&[edge, Verdict::edge(0)]), Outcome::Each);
        assert_eq!(Outcome::of(&[]), Outcome::Each);
    }
}
