//! Run to completion: receive, process, transmit, on one core.
//!
//! ```text
//!  clock ──┬── rx ── graph ── tx ──┬── clock ── rx ── …
//!          │◄──── residence ──────►│
//! ```
//! One clock read a poll: the stamp after a transmit burst is the stamp before the next receive burst. Residence is
//! counted from *before* the receive burst, so it includes receiving, and is never too short.

use dpdk::free_burst;
use linux::clock::ticks;
use pipeline::{Burst, Egress};

use super::{Packet, Phase, Program, Worker};

/// Turns until told to stop.
pub(super) fn run(worker: Worker<'_, '_>) {
    let Worker { mut desk, mut meter, mut rx, mut tx, ports, .. } = worker;
    let mut program = Program::idle();
    let mut egress: Egress<Packet<'_>> = Egress::new(ports);
    let mut burst: Box<Burst<Packet<'_>>> = Box::default();
    // Port and frames sent, of one burst.
    let mut sent = [(0, 0); pipeline::MAX_PORTS];

    desk.read(|new| std::mem::swap(new, &mut program));
    meter.stall_ticks = program.stall_ticks;
    let mut now = ticks();
    loop {
        if desk.is_new() {
            desk.read(|new| std::mem::swap(new, &mut program));
            meter.stall_ticks = program.stall_ticks;
            // Nothing is held between two turns, so there is nothing to finish.
            if desk.phase() != Phase::Run {
                return;
            }
        }
        let Some(graph) = &mut program.graph else { return };
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
                let bytes = dpdk::total_len(&burst);
                meter.counters.received(queue.port, received as u64, bytes);
                graph.run(queue.port, &mut burst, &mut egress, ticks);
                let mut egresses = 0;
                egress.for_each_touched(|port, frames| match &mut tx[port] {
                    Some(to) => {
                        // All of them, as they came: their bytes need not be summed again.
                        let is_whole = program.keeps_lengths && frames.len() == received;
                        let bytes = is_whole.then_some(bytes);
                        let left = to.send(frames, bytes, program.tx_retries, &mut meter);
                        sent[egresses] = (port, left);
                        egresses += 1;
                    }
                    None => {
                        meter.counters.dropped(pipeline::DropReason::PortDown, frames.len() as u64);
                        free_burst(frames);
                    }
                });
                free_burst(&mut egress.dropped);
                meter.counters.take_drops(&mut egress.drops);
                now = ticks();
                for &(port, frames) in &sent[..egresses] {
                    meter.left(port, frames, now - start, now - queue.bound);
                }
                // While polls come back full there may be a backlog, and its first frame may be as old as the last poll that
                // emptied the queue.
                if received < asked {
                    queue.bound = start;
                }
            }
            let gap = now - start;
            meter.gap(now, gap);
            desk.gap(gap);
        }
        if rx.is_empty() {
            // A worker without a queue has nothing to do but to be there.
            now = ticks();
            std::hint::spin_loop();
        }
        if idle == rx.len() as u64 {
            meter.counters.idle_turn(idle);
        } else {
            (0..idle).for_each(|_| meter.counters.polled(0, asked));
            meter.counters.end_turn(0);
        }
    }
}
