//! Where all frames are.

/// Sums over all workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// Frames received from ports.
    pub received: u64,
    /// Frames sent to ports.
    pub sent: u64,
    /// Frames dropped, for any reason.
    pub dropped: u64,
    /// Frames that workers hold.
    pub held: u64,
    /// Frames in rings.
    pub in_rings: u64,
}

impl Balance {
    /// Added up from the workers' own counters, not taken from the daemon's sum.
    ///
    /// # Panics
    /// When more was taken from rings than put into them.
    #[must_use]
    pub fn of(counters: &api::Counters) -> Balance {
        let sum =
            |of: fn(&api::WorkerCounters) -> u64| counters.workers.iter().map(of).sum::<u64>();
        let handed = sum(|worker| worker.handed);
        let taken = sum(|worker| worker.taken);
        Balance {
            received: sum(|worker| worker.received),
            sent: sum(|worker| worker.sent),
            dropped: sum(|worker| worker.dropped.values().sum()),
            held: sum(|worker| worker.held),
            // Workers are read one after the other, so a frame may be seen leaving a ring before entering it.
            in_rings: handed.saturating_sub(taken),
        }
    }
}
