//! Where every probe went: each that was sent came back once, or is counted among what went wrong.

pub use bench_result::trial::Counts;

/// The fate of the probes of one trial.
///
/// Conservation: `sent = returned + lost`, with `returned` counting each probe once.
#[derive(Debug, Clone, Default)]
pub struct Account {
    /// Which came back: a bit each.
    seen: Vec<u64>,
    counts: Counts,
    /// The highest number so far.
    highest: Option<u32>,
}

impl Account {
    /// Room for so many probes.
    #[must_use]
    pub fn with_capacity(probes: u64) -> Self {
        let words = usize::try_from(probes.div_ceil(64)).unwrap_or(usize::MAX);
        Self { seen: vec![0; words], ..Self::default() }
    }

    /// The next probe left; its number is how many left before it.
    pub fn sent(&mut self) {
        self.counts.sent += 1;
    }

    /// A probe came back. Is it the first time?
    pub fn returned(&mut self, sequence: u32) -> bool {
        if u64::from(sequence) >= self.counts.sent {
            self.counts.unexpected += 1;
            return false;
        }
        let (word, bit) = (sequence as usize / 64, 1_u64 << (sequence % 64));
        if word >= self.seen.len() {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            self.counts.duplicates += 1;
            return false;
        }
        self.seen[word] |= bit;
        self.counts.returned += 1;
        match self.highest {
            Some(highest) if sequence < highest => self.counts.reordered += 1,
            _ => self.highest = Some(sequence),
        }
        true
    }

    /// A probe of another run came, or one that was never sent.
    pub fn unexpected(&mut self) {
        self.counts.unexpected += 1;
    }

    /// A frame came that had been a probe.
    pub fn damaged(&mut self) {
        self.counts.damaged += 1;
    }

    /// A frame came that is none of ours.
    pub fn foreign(&mut self) {
        self.counts.foreign += 1;
    }

    /// What became of them.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The numbers of the probes that did not come back.
    pub fn lost(&self) -> impl Iterator<Item = u32> {
        let sent = u32::try_from(self.counts.sent).unwrap_or(u32::MAX);
        (0..sent).filter(|sequence| {
            let word = self.seen.get(*sequence as usize / 64).copied().unwrap_or(0);
            word & 1 << (sequence % 64) == 0
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_fate_is_counted_once() {
        let mut account = Account::with_capacity(0);
        (0..5).for_each(|_| account.sent());

        for sequence in [0, 2, 1, 2, 9] {
            account.returned(sequence);
        }

        let counts = account.counts();
        assert_eq!((counts.sent, counts.returned, counts.lost()), (5, 3, 2));
        assert_eq!((counts.duplicates, counts.reordered, counts.unexpected), (1, 1, 1));
        assert_eq!(account.lost().collect::<Vec<_>>(), [3, 4]);
    }

    proptest! {
        #[test]
        fn every_arrival_has_one_fate(sent in 0..200_u32, arrivals in prop::collection::vec(0..250_u32, 0..300)) {
            let mut account = Account::with_capacity(10);
            (0..sent).for_each(|_| account.sent());
            let firsts = arrivals.iter().filter(|sequence| account.returned(**sequence)).count() as u64;
            let counts = account.counts();
            prop_assert_eq!(counts.returned, firsts);
            prop_assert_eq!(counts.returned + counts.duplicates + counts.unexpected, arrivals.len() as u64);
            prop_assert_eq!(counts.returned + account.lost().count() as u64, counts.sent);
        }
    }
}
