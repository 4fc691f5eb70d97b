//! The short way through a graph: where it only ever leads out of one port, nothing has to be decided for a burst.
//!
//! ```text
//!  port 0 ─► [wire] ─► [wire] ─► tx:1        every burst of port 0 leaves by port 1, whatever is in it
//! ```
//! Such a burst need not enter the graph, and what is counted of it are two sums: frames and bytes. [`Graph::settle`]
//! writes them to the counters of the stages and of the two ports, before the worker publishes.
//!
//! [`Graph::settle`]: crate::Graph::settle

use std::sync::Arc;

use crate::{StageCounters, WorkerCounters};

/// A way of one port's frames that leads through stages which touch none and send all one way.
#[derive(Debug)]
pub struct Shortcut {
    to: usize,
    hops: Box<[Hop]>,
    /// Bursts until the next that takes the long way, to be timed.
    pub(crate) until_timed: u32,
    /// Sent whole since the last settlement.
    frames: u64,
    bytes: u64,
    /// Of which the worker has counted itself whence they came and what became of them.
    others: u64,
}

/// A stage on the way.
#[derive(Debug)]
pub(crate) struct Hop {
    /// Its node in the graph.
    pub(crate) node: usize,
    /// The edge that all frames leave by.
    pub(crate) edge: usize,
    pub(crate) counters: Arc<StageCounters>,
}

impl Shortcut {
    pub(crate) fn new(to: usize, hops: Vec<Hop>) -> Self {
        Self { to, hops: hops.into(), until_timed: 1, frames: 0, bytes: 0, others: 0 }
    }

    pub(crate) fn hops(&self) -> &[Hop] {
        &self.hops
    }

    /// The port that all frames leave by.
    #[must_use]
    #[inline]
    pub fn to(&self) -> usize {
        self.to
    }

    /// A burst of that many frames and bytes was received, and sent whole. Two additions.
    #[inline]
    pub fn passed(&mut self, frames: u64, bytes: u64) {
        self.frames += frames;
        self.bytes += bytes;
    }

    /// Frames went this way, and the caller counts for the ports what came, left and was dropped.
    #[inline]
    pub fn counted(&mut self, frames: u64) {
        self.others += frames;
    }

    /// Counts what passed since the last time: frames of port `from`.
    pub(crate) fn settle(&mut self, from: usize, worker: &mut WorkerCounters) {
        let Self { to, frames, bytes, others, .. } = *self;
        let all = frames + others;
        if all == 0 {
            return;
        }
        (self.frames, self.bytes, self.others) = (0, 0, 0);
        if frames > 0 {
            worker.received(from, frames, bytes);
            worker.sent(to, frames, bytes);
        }
        for hop in &self.hops {
            hop.counters.received(all);
            hop.counters.left(hop.edge, all);
        }
    }
}
