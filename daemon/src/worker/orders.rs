//! How the control plane tells a worker something without ever making it wait.
//!
//! A worker compares one number a turn with the one it knows. When it has changed, it looks at the rest: a new program
//! lies in a slot of its own, to be taken; the old one goes back the same way, so that nothing is freed on a worker's
//! thread. A worker that turns has seen the new number and so has left the old program: its epoch is over, and nobody
//! else ever held it.

use std::sync::{
    Arc,
    atomic::{
        AtomicBool, AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use crossbeam::{queue::ArrayQueue, utils::CachePadded};
use pipeline::Graph;

use super::Packet;

/// What a reload changes in a worker.
pub(crate) struct Program<'eal> {
    /// The stages; `None` for a worker without a graph.
    pub(crate) graph: Option<Box<Graph<Packet<'eal>>>>,
    /// Frames asked of a queue at once.
    pub(crate) burst: usize,
    /// How often frames are offered again to a full queue.
    pub(crate) tx_retries: u32,
    /// No stage makes a frame longer or shorter.
    pub(crate) keeps_lengths: bool,
    /// A longer gap is a stall; ticks.
    pub(crate) stall_ticks: u64,
}

impl Program<'_> {
    /// What a worker has before it has read its first orders.
    pub(crate) fn idle() -> Self {
        Self { graph: None, burst: 1, tx_retries: 0, keeps_lengths: false, stall_ticks: u64::MAX }
    }
}

/// What a worker should be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Everything.
    Run,
    /// Receive no more; finish what is inside.
    Drain,
    /// Drop what is inside.
    Abandon,
}

/// The control plane's side.
pub(crate) struct Orders<'eal>(Arc<Shared<'eal>>);

/// The worker's side.
pub(crate) struct Desk<'eal> {
    shared: Arc<Shared<'eal>>,
    seen: u64,
    phase: Phase,
}

struct Shared<'eal> {
    /// Written by the control plane with release after what it announces; read by the worker relaxed each turn, and with
    /// acquire once it has changed.
    number: CachePadded<AtomicU64>,
    drain: AtomicBool,
    abandon: AtomicBool,
    /// Written by the worker with release when it has done what number *n* asked; read by the control plane with acquire.
    done: CachePadded<AtomicU64>,
    /// The longest gap since the last announcement, in ticks: written by the worker, relaxed.
    gap: AtomicU64,
    next: ArrayQueue<Program<'eal>>,
    old: ArrayQueue<Program<'eal>>,
}

/// Both sides.
pub(crate) fn channel<'eal>() -> (Orders<'eal>, Desk<'eal>) {
    let shared = Arc::new(Shared {
        number: CachePadded::new(AtomicU64::new(0)),
        drain: AtomicBool::new(false),
        abandon: AtomicBool::new(false),
        done: CachePadded::new(AtomicU64::new(0)),
        gap: AtomicU64::new(0),
        next: ArrayQueue::new(1),
        old: ArrayQueue::new(1),
    });
    (Orders(Arc::clone(&shared)), Desk { shared, seen: 0, phase: Phase::Run })
}

impl<'eal> Orders<'eal> {
    /// Gives the worker a new program; returns the number to wait for.
    pub(crate) fn program(&self, program: Program<'eal>) -> u64 {
        // An old program nobody collected is freed here, on the control thread.
        drop(self.0.old.pop());
        self.0.gap.store(0, Relaxed);
        drop(self.0.next.force_push(program));
        self.announce()
    }

    /// Frees the program that the worker has given back.
    pub(crate) fn collect(&self) {
        drop(self.0.old.pop());
    }

    /// Lets the worker finish what is inside.
    pub(crate) fn drain(&self) {
        self.0.drain.store(true, Relaxed);
        self.announce();
    }

    /// Lets the worker drop what is inside.
    pub(crate) fn abandon(&self) {
        self.0.abandon.store(true, Relaxed);
        self.announce();
    }

    /// Has the worker done what this number asked?
    pub(crate) fn is_done(&self, number: u64) -> bool {
        self.0.done.load(Acquire) >= number
    }

    /// The longest gap between two polls since the last program was announced; ticks.
    pub(crate) fn gap(&self) -> u64 {
        self.0.gap.load(Relaxed)
    }

    fn announce(&self) -> u64 {
        self.0.number.fetch_add(1, Release) + 1
    }
}

impl<'eal> Desk<'eal> {
    /// Is there anything new? One relaxed load.
    #[inline]
    pub(crate) fn is_new(&self) -> bool {
        self.shared.number.load(Relaxed) != self.seen
    }

    /// What the worker should be doing.
    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Looks at what is new. `swap` gets the new program, and leaves the old one in its place.
    #[cold]
    pub(crate) fn read(&mut self, swap: impl FnOnce(&mut Program<'eal>)) {
        let number = self.shared.number.load(Acquire);
        if let Some(mut program) = self.shared.next.pop() {
            swap(&mut program);
            drop(self.shared.old.force_push(program));
        }
        if self.shared.drain.load(Relaxed) {
            self.phase = Phase::Drain;
        }
        if self.shared.abandon.load(Relaxed) {
            self.phase = Phase::Abandon;
        }
        self.seen = number;
        self.shared.done.store(number, Release);
    }

    /// A gap between two polls, for the report of a reload; returns the longest since the last announcement.
    pub(crate) fn gap(&self, ticks: u64) -> u64 {
        let longest = self.shared.gap.load(Relaxed);
        if ticks > longest {
            self.shared.gap.store(ticks, Relaxed);
        }
        longest.max(ticks)
    }
}
