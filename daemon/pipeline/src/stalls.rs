//! The last stalls of a worker, one by one.
//!
//! The log has room for a fixed number; the worker overwrites the oldest and never waits. Readers keep a place, and learn
//! how many they came too late for.
//!
//! ```
//! use pipeline::stalls::{self, Stall};
//!
//! let (mut log, reader) = stalls::new(2);
//! for at_tick in [10, 20, 30] {
//!     log.push(Stall { at_tick, length_ticks: 5, worker: 0, pending: 32, saturated: true, sequence: 0 });
//! }
//! let read = reader.read(0);
//! assert_eq!((read.lost, read.next), (1, 3));
//! assert_eq!(read.stalls.iter().map(|stall| stall.at_tick).collect::<Vec<_>>(), [20, 30]);
//! assert!(reader.read(read.next).stalls.is_empty());
//! ```

use std::sync::{
    Arc,
    atomic::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
        fence,
    },
};

use crossbeam::utils::CachePadded;

/// A gap between two polls of one worker that was longer than the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// When the gap ended, in clock ticks.
    pub at_tick: u64,
    /// How long it was, in clock ticks.
    pub length_ticks: u64,
    /// Which worker stood still.
    pub worker: u32,
    /// Frames that the poll after the gap gave.
    pub pending: u32,
    /// Did that poll give all it was asked for? Then there may have been more.
    pub saturated: bool,
    /// The how manyth stall of this log it is, counted from 0. The log sets it.
    pub sequence: u64,
}

/// One place of the ring. It holds stall number *n* whole when `sequence` is `2 n + 2`; `2 n + 1` means that the worker
/// is writing it.
///
/// The worker writes, any reader reads; the orderings pair as in `counters`' seqlock, one per slot: odd (relaxed),
/// release fence, cells (relaxed), even (release) against sequence (acquire), cells (relaxed), acquire fence, sequence
/// (relaxed).
#[derive(Debug, Default)]
struct Slot {
    sequence: AtomicU64,
    at_tick: AtomicU64,
    length_ticks: AtomicU64,
    /// `worker` in the upper half, `pending` in the lower.
    worker_and_pending: AtomicU64,
    saturated: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    /// How many stalls were ever written. Worker: release, after the slot is whole. Reader: acquire.
    written: CachePadded<AtomicU64>,
    slots: Box<[Slot]>,
}

/// The writing end, in one worker's hands.
#[derive(Debug)]
pub struct StallLog(Arc<Shared>);

/// A reading end.
#[derive(Debug, Clone)]
pub struct StallReader(Arc<Shared>);

/// What [`StallReader::read`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StallsRead {
    /// In the order they happened.
    pub stalls: Vec<Stall>,
    /// How many since the place read from are gone.
    pub lost: u64,
    /// Where to read on.
    pub next: u64,
}

/// A log that remembers the last `capacity` stalls (at least one).
#[must_use]
pub fn new(capacity: usize) -> (StallLog, StallReader) {
    let shared = Arc::new(Shared {
        written: CachePadded::new(AtomicU64::new(0)),
        slots: (0..capacity.max(1)).map(|_| Slot::default()).collect(),
    });
    (StallLog(Arc::clone(&shared)), StallReader(shared))
}

/// A log that goes on from another one, whose writer is gone: it remembers the same stalls, as far as there is room, and
/// counts on.
#[must_use]
pub fn continued(capacity: usize, from: &StallReader) -> (StallLog, StallReader) {
    let (mut log, reader) = new(capacity);
    // All of them, since nobody writes any more.
    let read = from.read(0);
    let first = read.stalls.first().map_or(read.next, |stall| stall.sequence);
    log.0.written.store(first, Relaxed);
    for stall in read.stalls {
        log.push(stall);
    }
    (log, reader)
}

impl Shared {
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is below a usize")]
    fn slot(&self, number: u64) -> &Slot {
        &self.slots[(number % self.slots.len() as u64) as usize]
    }
}

impl StallLog {
    /// Writes a stall over the oldest; its `sequence` is ignored. Wait-free.
    pub fn push(&mut self, stall: Stall) {
        let shared = &*self.0;
        let number = shared.written.load(Relaxed);
        let slot = shared.slot(number);
        slot.sequence.store(2 * number + 1, Relaxed);
        fence(Release);
        slot.at_tick.store(stall.at_tick, Relaxed);
        slot.length_ticks.store(stall.length_ticks, Relaxed);
        let worker_and_pending = u64::from(stall.worker) << 32 | u64::from(stall.pending);
        slot.worker_and_pending.store(worker_and_pending, Relaxed);
        slot.saturated.store(stall.saturated.into(), Relaxed);
        slot.sequence.store(2 * number + 2, Release);
        shared.written.store(number + 1, Release);
    }
}

impl StallReader {
    /// How many stalls there ever were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.written.load(Acquire)
    }

    /// The stalls since number `from` (0, or the last read's `next`) that are still there.
    #[must_use]
    pub fn read(&self, from: u64) -> StallsRead {
        let next = self.count();
        let from = from.min(next);
        let first = from.max(next.saturating_sub(self.0.slots.len() as u64));
        let stalls: Vec<_> = (first..next).filter_map(|number| self.stall(number)).collect();
        // What is neither here nor after `next` was overwritten, before or while we read.
        let lost = next - from - stalls.len() as u64;
        StallsRead { stalls, lost, next }
    }

    /// Stall number `number`, unless it is being overwritten or was.
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a u64")]
    fn stall(&self, number: u64) -> Option<Stall> {
        let slot = self.0.slot(number);
        let whole = 2 * number + 2;
        if slot.sequence.load(Acquire) != whole {
            return None;
        }
        let worker_and_pending = slot.worker_and_pending.load(Relaxed);
        let stall = Stall {
            at_tick: slot.at_tick.load(Relaxed),
            length_ticks: slot.length_ticks.load(Relaxed),
            worker: (worker_and_pending >> 32) as u32,
            pending: worker_and_pending as u32,
            saturated: slot.saturated.load(Relaxed) != 0,
            sequence: number,
        };
        fence(Acquire);
        (slot.sequence.load(Relaxed) == whole).then_some(stall)
    }
}

#[cfg(test)]
mod tests;
