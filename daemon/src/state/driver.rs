//! What a driver counts, over restarts of its port.

use std::collections::BTreeMap;

use dpdk::{PortError, PortObserver};

/// A driver's counters, at one moment or over some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DriverCounts {
    /// Frames lost because a receive queue was full.
    pub missed: u64,
    /// Frames received in error.
    pub errors: u64,
    /// Failed allocations of receive buffers.
    pub no_buffer: u64,
    /// Frames that could not be sent.
    pub unsent: u64,
    /// Its own, under its own names.
    pub own: BTreeMap<String, u64>,
}

/// What to make of a driver's word: some drivers count from nothing after a restart, others go on, and readers are to see
/// neither.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DriverLedger {
    /// Of earlier times.
    before: DriverCounts,
    /// What the driver said when this time began.
    origin: DriverCounts,
}

impl DriverCounts {
    /// What the driver says now, and the errors of the parts that it does not tell.
    pub fn read(observer: &PortObserver<'_>) -> (Self, Vec<PortError>) {
        let (mut counts, mut errors) = (Self::default(), Vec::new());
        match observer.stats() {
            Ok(stats) => {
                counts.missed = stats.imissed;
                counts.errors = stats.ierrors;
                counts.no_buffer = stats.rx_nombuf;
                counts.unsent = stats.oerrors;
            }
            Err(error) => errors.push(error),
        }
        match observer.xstats() {
            Ok(own) => counts.own = own.into_iter().map(|stat| (stat.name, stat.value)).collect(),
            Err(error) => errors.push(error),
        }
        (counts, errors)
    }

    /// Each counter of the two; one that only one side has is 0 on the other.
    fn with(&self, other: &Self, both: impl Fn(u64, u64) -> u64) -> Self {
        let own = (self.own.keys().chain(other.own.keys()))
            .map(|name| {
                let of = |counts: &Self| counts.own.get(name).copied().unwrap_or(0);
                (name.clone(), both(of(self), of(other)))
            })
            .collect();
        Self {
            missed: both(self.missed, other.missed),
            errors: both(self.errors, other.errors),
            no_buffer: both(self.no_buffer, other.no_buffer),
            unsent: both(self.unsent, other.unsent),
            own,
        }
    }
}

impl DriverLedger {
    /// All that was counted, when the driver says `now`.
    pub fn total(&self, now: &DriverCounts) -> DriverCounts {
        self.before.with(&now.with(&self.origin, u64::saturating_sub), u64::saturating_add)
    }

    /// The driver said `last` before a restart, and `first` after it: a counter that went back begins anew.
    #[must_use]
    pub fn restarted(&self, last: &DriverCounts, first: &DriverCounts) -> Self {
        let origin = |last, first| if first < last { 0 } else { last };
        Self { before: self.total(last), origin: last.with(first, origin) }
    }

    /// The driver said `last`, and another device takes its place.
    #[must_use]
    pub fn ended(&self, last: &DriverCounts) -> Self {
        Self { before: self.total(last), origin: DriverCounts::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(missed: u64, own: u64) -> DriverCounts {
        DriverCounts { missed, own: [("rx_good".to_owned(), own)].into(), ..Default::default() }
    }

    #[test]
    fn totals_go_on_whether_the_driver_begins_anew_or_not() {
        let ledger = DriverLedger::default();
        assert_eq!(ledger.total(&counts(5, 100)), counts(5, 100));
        let ledger = ledger.restarted(&counts(5, 100), &counts(5, 0));
        assert_eq!(ledger.total(&counts(5, 0)), counts(5, 100));
        assert_eq!(ledger.total(&counts(7, 3)), counts(7, 103));
        let ledger = ledger.restarted(&counts(7, 3), &counts(1, 3));
        assert_eq!(ledger.total(&counts(1, 4)), counts(8, 104));
        let ledger = ledger.ended(&counts(1, 4));
        assert_eq!(ledger.total(&DriverCounts::default()), counts(8, 104));
        assert_eq!(ledger.total(&counts(2, 2)), counts(10, 106));
    }
}
