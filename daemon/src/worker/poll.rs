//! Polling receive queues: what run-to-completion and the receiving half of staged mode have in common.
//!
//! ```text
//!  clock ──┬── rx ── Sink::take ──┬── clock ── rx ── …
//!          │◄────── a poll ──────►│
//! ```
//! One clock read a poll: the stamp at the end of one is the stamp at the start of the next.

use dpdk::{Mbuf, Stamps};
use linux::clock::ticks;
use pipeline::{Burst, WorkerCounters};

use super::{Desk, Meter, Packet, Phase, Program, RxPort};

/// What becomes of received frames.
pub(super) trait Sink<'eal> {
    /// Takes a burst of at least one frame, leaves it empty, and answers with the clock read after that.
    fn take(
        &mut self,
        program: &mut Program<'eal>,
        received: Received<'eal>,
        burst: &mut Box<Burst<Packet<'eal>>>,
        meter: &mut Meter,
    ) -> u64;

    /// Counts what `take` has not counted yet: called before counts are published, and before a program is given up.
    fn settle(program: &mut Program<'eal>, counters: &mut WorkerCounters);
}

/// Where a burst came from, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Received<'eal> {
    /// Index of the port.
    pub(super) port: usize,
    /// The clock before the receive burst.
    pub(super) start: u64,
    /// The last moment at which none of the frames can have been waiting.
    pub(super) bound: u64,
    /// Where each frame says so itself, because its device stamped it.
    pub(super) each: Option<Stamps<'eal>>,
}

/// Turns until told to stop. Nothing is held between two turns, so there is nothing to finish then.
pub(super) fn run<'eal, S: Sink<'eal>>(
    mut desk: Desk<'eal>,
    mut meter: Meter,
    mut rx: Vec<RxPort<'_, 'eal>>,
    mut sink: S,
) {
    let mut program = Program::idle();
    let mut burst: Box<Burst<Mbuf<'eal>>> = Box::default();
    read(&mut desk, &mut meter, &mut program);
    let mut now = ticks();
    loop {
        if desk.is_new() {
            S::settle(&mut program, &mut meter.counters);
            read(&mut desk, &mut meter, &mut program);
            if desk.phase() != Phase::Run {
                return;
            }
        }
        let asked = program.burst;
        let mut idle = 0;
        for queue in &mut rx {
            let start = now;
            let received = queue.queue.recv(&mut burst, asked);
            meter.polled(received, asked);
            if received == 0 {
                idle += 1;
                queue.bound = start;
                now = ticks();
            } else {
                meter.counters.polled(received, asked);
                let (port, bound) = (queue.port, queue.bound);
                let each =
                    queue.hardware.as_mut().map(|device| device.stamp(&mut burst, start, bound));
                let from = Received { port, start, bound, each };
                now = sink.take(&mut program, from, &mut burst, &mut meter);
                // While polls come back full there may be a backlog, and its first frame may be as old as the last poll
                // that emptied the queue.
                if received < asked {
                    queue.bound = start;
                }
            }
            meter.gap(now, now - start, &desk);
        }
        if rx.is_empty() {
            // A worker without a queue has nothing to do but to be there.
            now = ticks();
            std::hint::spin_loop();
        }
        let settle = |counters: &mut WorkerCounters| S::settle(&mut program, counters);
        if idle == rx.len() as u64 {
            meter.counters.idle_turn(idle, settle);
        } else {
            (0..idle).for_each(|_| meter.counters.polled(0, asked));
            meter.counters.end_turn(0, settle);
        }
    }
}

/// Takes new orders.
#[cold]
pub(super) fn read<'eal>(desk: &mut Desk<'eal>, meter: &mut Meter, program: &mut Program<'eal>) {
    desk.read(|new| std::mem::swap(new, program));
    meter.begin(program.stall_ticks);
}
