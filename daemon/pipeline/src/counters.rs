//! What a worker has done, in numbers that add up.
//!
//! `received + taken = sent + Σ dropped + handed + held` holds in every snapshot that says it is consistent, exactly, at
//! any moment, while the worker runs. (`taken` and `handed` are frames from and to rings; `held` are frames the worker
//! has in its hands between two turns.)
//!
//! A worker counts in memory of its own, and publishes all of it at once between two turns: when it has nothing else to
//! do, and at the latest after [`TURNS_PER_PUBLICATION`] busy turns. So counting costs a busy turn little, and readers
//! find quiet moments, though a worker may turn faster than a reader can read.
//!
//! ```
//! use pipeline::{DropReason, counters};
//!
//! let (mut worker, reader) = counters::new(2);
//! worker.polled(3, 32);
//! worker.received(0, 3, 192);
//! worker.sent(1, 2, 128);
//! worker.dropped(DropReason::TxFull, 1);
//! worker.end_turn(0, |_| {});
//! worker.idle_turn(2, |_| {});
//!
//! let seen = reader.snapshot();
//! assert_eq!(seen.check(), Ok(()));
//! assert_eq!((seen.received(), seen.sent(), seen.polls_empty), (3, 2, 2));
//! ```

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
            fence,
        },
    },
    thread,
};

use crossbeam::utils::CachePadded;

use crate::{
    DropReason, DropTally, MAX_BURST,
    single_writer::{add, raise, zeros},
};

/// A busy worker publishes its counts at least every so many turns: some tens of microseconds under full load.
pub const TURNS_PER_PUBLICATION: u32 = 32;

/// How often a reader tries before it says that it saw no quiet moment.
const TRIES: u32 = 4096;

/// How often it tries before it lets others run: the worker may be waiting for this very CPU.
const TRIES_PER_YIELD: u32 = 64;

/// Frames and bytes through a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PortTotals {
    /// Frames received.
    pub rx_packets: u64,
    /// Bytes received, without FCS.
    pub rx_bytes: u64,
    /// Frames that a transmit queue took.
    pub tx_packets: u64,
    /// Bytes that a transmit queue took, without FCS.
    pub tx_bytes: u64,
}

/// The writing end, in one worker's hands.
///
/// Dropping it publishes what is left.
#[derive(Debug)]
pub struct WorkerCounters {
    shared: Arc<Shared>,
    /// Counted since the last publication.
    ports: Box<[PortTotals]>,
    drops: DropTally,
    handed: u64,
    taken: u64,
    /// Busy turns since the last publication; 0: nothing to publish.
    turns: u32,
    held: u64,
}

/// A reading end.
#[derive(Debug, Clone)]
pub struct CountersReader(Arc<Shared>);

/// Shared by one writer and any readers.
#[derive(Debug)]
struct Shared {
    flow: CachePadded<Flow>,
    pulse: CachePadded<Pulse>,
}

/// What must add up. A seqlock of atomics:
///
/// * The worker makes `sequence` odd (relaxed), then a release fence, then writes the cells (relaxed), then makes
///   `sequence` even (release).
/// * A reader reads `sequence` (acquire): odd means wait; then the cells (relaxed), then an acquire fence, then
///   `sequence` again (relaxed): if it changed, the cells are thrown away.
///
/// The first acquire pairs with the last release: a reader that sees the even number sees all cells written before it.
/// The fences pair with each other: a reader that sees a cell written later than that sees, after its fence, the odd
/// number that was written before the writer's fence, and so a change.
#[derive(Debug)]
struct Flow {
    sequence: AtomicU64,
    handed: AtomicU64,
    taken: AtomicU64,
    held: AtomicU64,
    dropped: [AtomicU64; DropReason::COUNT],
    /// Four for each port, in the order of [`PortTotals`].
    ports: Box<[AtomicU64]>,
}

/// What needs not add up with anything. Written by the worker, relaxed, at any time; each is a count of its own.
#[derive(Debug)]
struct Pulse {
    turns: AtomicU64,
    worst_gap: AtomicU64,
    saturated: AtomicU64,
    burst_sizes: [AtomicU64; MAX_BURST + 1],
}

/// Counters for one worker, and `ports` ports.
#[must_use]
pub fn new(ports: usize) -> (WorkerCounters, CountersReader) {
    let zero = || AtomicU64::new(0);
    let shared = Arc::new(Shared {
        flow: CachePadded::new(Flow {
            sequence: zero(),
            handed: zero(),
            taken: zero(),
            held: zero(),
            dropped: std::array::from_fn(|_| zero()),
            ports: zeros(4 * ports),
        }),
        pulse: CachePadded::new(Pulse {
            turns: zero(),
            worst_gap: zero(),
            saturated: zero(),
            burst_sizes: std::array::from_fn(|_| zero()),
        }),
    });
    let writer = WorkerCounters {
        shared: Arc::clone(&shared),
        ports: vec![PortTotals::default(); ports].into(),
        drops: DropTally::default(),
        handed: 0,
        taken: 0,
        turns: 0,
        held: 0,
    };
    (writer, CountersReader(shared))
}

impl WorkerCounters {
    /// A poll of a receive queue, which was asked for `asked` frames, gave `frames`.
    #[inline]
    pub fn polled(&mut self, frames: usize, asked: usize) {
        let pulse = &self.shared.pulse;
        if let Some(size) = pulse.burst_sizes.get(frames) {
            add(size, 1);
        }
        if frames >= asked {
            add(&pulse.saturated, 1);
        }
    }

    /// Frames came from a port.
    #[inline]
    pub fn received(&mut self, port: usize, frames: u64, bytes: u64) {
        if let Some(totals) = self.ports.get_mut(port) {
            totals.rx_packets += frames;
            totals.rx_bytes += bytes;
        }
    }

    /// A transmit queue took frames.
    #[inline]
    pub fn sent(&mut self, port: usize, frames: u64, bytes: u64) {
        if let Some(totals) = self.ports.get_mut(port) {
            totals.tx_packets += frames;
            totals.tx_bytes += bytes;
        }
    }

    /// Frames were dropped by the worker.
    #[inline]
    pub fn dropped(&mut self, reason: DropReason, frames: u64) {
        self.drops.add(reason, frames);
    }

    /// Frames were dropped by the graph: takes [`Egress::drops`](crate::Egress::drops).
    #[inline]
    pub fn take_drops(&mut self, drops: &mut DropTally) {
        self.drops.absorb(drops);
    }

    /// A ring to another worker took frames.
    #[inline]
    pub fn handed(&mut self, frames: u64) {
        self.handed += frames;
    }

    /// Frames came from another worker's ring.
    #[inline]
    pub fn taken(&mut self, frames: u64) {
        self.taken += frames;
    }

    /// The time between two polls was `ticks`; only the longest is kept.
    #[inline]
    pub fn gap(&mut self, ticks: u64) {
        raise(&self.shared.pulse.worst_gap, ticks);
    }

    /// The longest time between two polls so far.
    #[must_use]
    pub fn worst_gap(&self) -> u64 {
        self.shared.pulse.worst_gap.load(Relaxed)
    }

    /// The end of a turn in which something happened; the worker now holds `held` frames. When it is time to publish,
    /// `settle` is called first, to count what was not counted so far.
    #[inline]
    pub fn end_turn(&mut self, held: u64, settle: impl FnOnce(&mut Self)) {
        self.held = held;
        self.turns += 1;
        if self.turns >= TURNS_PER_PUBLICATION {
            settle(self);
            self.publish();
        }
    }

    /// A turn in which `polls` polls gave nothing and nothing else happened: two plain stores. `settle` as in
    /// [`end_turn`](Self::end_turn).
    #[inline]
    pub fn idle_turn(&mut self, polls: u64, settle: impl FnOnce(&mut Self)) {
        let pulse = &self.shared.pulse;
        add(&pulse.turns, 1);
        add(&pulse.burst_sizes[0], polls);
        if self.turns > 0 {
            settle(self);
            self.publish();
        }
    }

    /// Publishes what was counted. [`end_turn`](Self::end_turn) and [`idle_turn`](Self::idle_turn) do it in time; call
    /// it only between two turns.
    pub fn publish(&mut self) {
        add(&self.shared.pulse.turns, u64::from(self.turns));
        let flow = &self.shared.flow;
        let sequence = flow.sequence.load(Relaxed);
        flow.sequence.store(sequence.wrapping_add(1), Relaxed);
        fence(Release);
        for (cells, totals) in flow.ports.chunks_exact(4).zip(&mut self.ports) {
            let totals = std::mem::take(totals);
            // Most ports of a worker are idle at any moment.
            if totals != PortTotals::default() {
                add(&cells[0], totals.rx_packets);
                add(&cells[1], totals.rx_bytes);
                add(&cells[2], totals.tx_packets);
                add(&cells[3], totals.tx_bytes);
            }
        }
        if self.drops.total() > 0 {
            for (reason, frames) in std::mem::take(&mut self.drops).iter() {
                add(&flow.dropped[reason.index()], frames);
            }
        }
        add(&flow.handed, std::mem::take(&mut self.handed));
        add(&flow.taken, std::mem::take(&mut self.taken));
        flow.held.store(self.held, Relaxed);
        flow.sequence.store(sequence.wrapping_add(2), Release);
        self.turns = 0;
    }

    /// Another reading end.
    #[must_use]
    pub fn reader(&self) -> CountersReader {
        CountersReader(Arc::clone(&self.shared))
    }
}

impl Drop for WorkerCounters {
    fn drop(&mut self) {
        self.publish();
    }
}

impl CountersReader {
    /// The counts as last published, all of the same moment if [`consistent`](WorkerSnapshot::consistent) says so.
    #[must_use]
    pub fn snapshot(&self) -> WorkerSnapshot {
        let Shared { flow, pulse } = &*self.0;
        let mut snapshot = WorkerSnapshot::empty(flow.ports.len() / 4);
        for attempt in 1..=TRIES {
            let before = flow.sequence.load(Acquire);
            snapshot.read(flow);
            fence(Acquire);
            if before.is_multiple_of(2) && flow.sequence.load(Relaxed) == before {
                snapshot.consistent = true;
                break;
            }
            if attempt.is_multiple_of(TRIES_PER_YIELD) {
                thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
        snapshot.turns = pulse.turns.load(Relaxed);
        snapshot.worst_gap_ticks = pulse.worst_gap.load(Relaxed);
        snapshot.polls_saturated = pulse.saturated.load(Relaxed);
        snapshot.burst_sizes = std::array::from_fn(|size| pulse.burst_sizes[size].load(Relaxed));
        snapshot.polls_empty = snapshot.burst_sizes[0];
        snapshot.polls_busy = snapshot.burst_sizes[1..].iter().sum();
        snapshot
    }

    /// Turns so far, as last published: a worker that lives turns. One load.
    #[must_use]
    pub fn turns(&self) -> u64 {
        self.0.pulse.turns.load(Relaxed)
    }
}

/// A worker's counts at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerSnapshot {
    /// Are `ports`, `dropped`, `handed`, `taken` and `held` of the same moment? If not, no quiet moment was found (the
    /// worker was interrupted while it published, for longer than the reader tried), and they may not add up.
    pub consistent: bool,
    /// By port.
    pub ports: Vec<PortTotals>,
    /// By [`DropReason::index`].
    pub dropped: [u64; DropReason::COUNT],
    /// Frames given to other workers' rings.
    pub handed: u64,
    /// Frames taken from other workers' rings.
    pub taken: u64,
    /// Frames in the worker's hands between two turns.
    pub held: u64,
    /// Turns of the poll loop: the worker's heartbeat.
    pub turns: u64,
    /// Polls that gave nothing.
    pub polls_empty: u64,
    /// Polls that gave something.
    pub polls_busy: u64,
    /// Polls that gave all they were asked for: there may have been more.
    pub polls_saturated: u64,
    /// Polls by the number of frames they gave.
    pub burst_sizes: [u64; MAX_BURST + 1],
    /// The longest time between two polls, in clock ticks.
    pub worst_gap_ticks: u64,
}

/// Frames came in and did not go out, or the other way round: a bug, and a loss that no reason explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the frames do not add up: {received} received and {taken} taken, but {sent} sent, {dropped} dropped, {handed} handed on and {held} held"
)]
pub struct Imbalance {
    /// Frames from ports.
    pub received: u64,
    /// Frames from rings.
    pub taken: u64,
    /// Frames to ports.
    pub sent: u64,
    /// Frames dropped, for whatever reason.
    pub dropped: u64,
    /// Frames to rings.
    pub handed: u64,
    /// Frames in the worker's hands.
    pub held: u64,
}

impl WorkerSnapshot {
    /// All zero, for `ports` ports; a sum to [`merge`](Self::merge) into starts as this with `consistent` set.
    #[must_use]
    pub fn empty(ports: usize) -> Self {
        Self {
            consistent: false,
            ports: vec![PortTotals::default(); ports],
            dropped: [0; DropReason::COUNT],
            handed: 0,
            taken: 0,
            held: 0,
            turns: 0,
            polls_empty: 0,
            polls_busy: 0,
            polls_saturated: 0,
            burst_sizes: [0; MAX_BURST + 1],
            worst_gap_ticks: 0,
        }
    }

    fn read(&mut self, flow: &Flow) {
        for (totals, cells) in self.ports.iter_mut().zip(flow.ports.chunks_exact(4)) {
            *totals = PortTotals {
                rx_packets: cells[0].load(Relaxed),
                rx_bytes: cells[1].load(Relaxed),
                tx_packets: cells[2].load(Relaxed),
                tx_bytes: cells[3].load(Relaxed),
            };
        }
        self.dropped = std::array::from_fn(|index| flow.dropped[index].load(Relaxed));
        self.handed = flow.handed.load(Relaxed);
        self.taken = flow.taken.load(Relaxed);
        self.held = flow.held.load(Relaxed);
    }

    /// Frames received on all ports.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.ports.iter().map(|port| port.rx_packets).sum()
    }

    /// Frames sent on all ports.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.ports.iter().map(|port| port.tx_packets).sum()
    }

    /// The reasons that occurred, with their counts.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.into_iter().zip(self.dropped).filter(|&(_, frames)| frames > 0)
    }

    /// Does every frame that came in have an end? Meaningful if [`consistent`](Self::consistent).
    ///
    /// # Errors
    /// [`Imbalance`] with both sides, if they differ.
    pub fn check(&self) -> Result<(), Imbalance> {
        let dropped = self.dropped.iter().sum::<u64>();
        let ended = self.sent() + dropped + self.handed + self.held;
        if self.received() + self.taken == ended {
            return Ok(());
        }
        Err(Imbalance {
            received: self.received(),
            taken: self.taken,
            sent: self.sent(),
            dropped,
            handed: self.handed,
            held: self.held,
        })
    }

    /// Adds another worker's counts. The sum of workers that each add up adds up, too.
    pub fn merge(&mut self, other: &Self) {
        self.consistent &= other.consistent;
        for (mine, theirs) in self.ports.iter_mut().zip(&other.ports) {
            mine.rx_packets += theirs.rx_packets;
            mine.rx_bytes += theirs.rx_bytes;
            mine.tx_packets += theirs.tx_packets;
            mine.tx_bytes += theirs.tx_bytes;
        }
        let sum = |mine: &mut [u64], theirs: &[u64]| {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        };
        sum(&mut self.dropped, &other.dropped);
        sum(&mut self.burst_sizes, &other.burst_sizes);
        self.handed += other.handed;
        self.taken += other.taken;
        self.held += other.held;
        self.turns += other.turns;
        self.polls_empty += other.polls_empty;
        self.polls_busy += other.polls_busy;
        self.polls_saturated += other.polls_saturated;
        self.worst_gap_ticks = self.worst_gap_ticks.max(other.worst_gap_ticks);
    }
}

#[cfg(test)]
mod tests;
