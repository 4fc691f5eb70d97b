//! A worker: one pinned thread that turns the poll loop.
//!
//! ```text
//!  run-to-completion   rx queue ─► graph ─► tx queues
//!  staged              rx queue ─► ring ─► graph ─► ring ─► tx queues      (each ─► may be another worker)
//! ```
//! Two loops turn: `poll` over receive queues, `rings` over rings; what they do with a burst is a type each: `rtc`, `spread`,
//! `staged`.
//!
//! Budget: 67 ns for a 64-byte frame at 10 Gb/s. A turn costs one clock read a poll, and one indirect call a stage and
//! burst; nothing allocates, locks, waits, formats or logs.

mod hardware;
mod meter;
mod orders;
mod poll;
mod rings;
mod rtc;
mod spread;
mod staged;
mod tx;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Release},
};

use dpdk::{Eal, Mbuf, RxQueue, Stamps};
use pipeline::Egress;

pub(crate) use hardware::Hardware;
pub(crate) use meter::{Earlier, Meter, Readers};
pub(crate) use orders::{Desk, Orders, Phase, Program, channel};
pub(crate) use tx::TxPort;

/// A frame of this daemon's.
pub(crate) type Packet<'eal> = Mbuf<'eal>;

/// Everything a worker turns, moved onto its thread.
pub(crate) struct Worker<'port, 'eal> {
    /// Where its orders come from.
    pub(crate) desk: Desk<'eal>,
    /// What it measures.
    pub(crate) meter: Meter,
    /// The receive queues it polls.
    pub(crate) rx: Vec<RxPort<'port, 'eal>>,
    /// By port: the transmit queue it feeds, if any.
    pub(crate) tx: Vec<Option<TxPort<'port, 'eal>>>,
    /// What it does with frames between the two.
    pub(crate) work: Work<'eal>,
    /// How many ports there are.
    pub(crate) ports: usize,
    /// Is anything still going to arrive in its rings? Set by whoever fills them, when they are done.
    pub(crate) upstream: Vec<Arc<AtomicBool>>,
    /// Set when this worker will put nothing more into rings.
    pub(crate) done: Arc<AtomicBool>,
}

/// A receive queue.
pub(crate) struct RxPort<'port, 'eal> {
    pub(crate) queue: RxQueue<'port, 'eal>,
    /// Index of its port.
    pub(crate) port: usize,
    /// The last moment at which no frame that is still to come can have been waiting; at first, when the port started or
    /// was last polled by another worker.
    pub(crate) bound: u64,
    /// The device's own stamps, where it makes any.
    pub(crate) hardware: Option<Hardware<'eal>>,
}

/// What a worker does with frames.
pub(crate) enum Work<'eal> {
    /// Everything.
    All,
    /// Spread over the rings that lead to the graphs; `out[p]` for frames of port *p*.
    Spread { stamps: Stamps<'eal>, out: Vec<Vec<ring::Producer<Packet<'eal>>>> },
    /// Take from rings, run the graph, send or hand on.
    Process {
        stamps: Stamps<'eal>,
        /// Ring and the port its frames were received on.
        input: Vec<(ring::Consumer<Packet<'eal>>, usize)>,
        /// By egress port: the ring to its sender, where that is another worker.
        out: Vec<Option<ring::Producer<Packet<'eal>>>>,
    },
    /// Take from rings and send.
    Send {
        stamps: Stamps<'eal>,
        /// Ring and the port its frames go out of.
        input: Vec<(ring::Consumer<Packet<'eal>>, usize)>,
    },
}

impl Worker<'_, '_> {
    /// Turns until told to stop; returns what could not be had at the start.
    pub(crate) fn run(self, eal: &Eal) -> Result<(), dpdk::ThreadError> {
        let done = Arc::clone(&self.done);
        // Whatever happens, those downstream must not wait for this worker.
        let _guard = Done(done);
        let _lcore = eal.register_thread()?;
        let Self { desk, meter, rx, tx, work, ports, upstream, done: _ } = self;
        match work {
            Work::All => poll::run(desk, meter, rx, rtc::Complete::new(tx, ports)),
            Work::Spread { stamps, out } => {
                poll::run(desk, meter, rx, spread::Spread::new(stamps, out));
            }
            Work::Process { stamps, input, out } => {
                let exits = staged::Exits { stamps, out, tx };
                let sink = staged::Process { exits, egress: Egress::new(ports) };
                rings::run(desk, meter, input, &upstream, sink);
            }
            Work::Send { stamps, input } => {
                rings::run(desk, meter, input, &upstream, staged::Send { stamps, tx });
            }
        }
        Ok(())
    }
}

struct Done(Arc<AtomicBool>);

impl Drop for Done {
    fn drop(&mut self) {
        // Release: everything this worker has put into rings comes before; pairs with the acquire in `staged`.
        self.0.store(true, Release);
    }
}
