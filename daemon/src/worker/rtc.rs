//! Run to completion: receive, process, transmit, on one core.
//!
//! Residence is counted from *before* the receive burst, so it includes receiving, and is never too short.

use arrayvec::ArrayVec;
use dpdk::free_burst;
use linux::clock::ticks;
use pipeline::{Burst, DropReason, Egress, WorkerCounters};

use super::{
    Meter, Packet, Program, TxPort,
    poll::{Received, Sink},
    staged::transmit,
};

/// Runs the graph and sends.
pub(super) struct Complete<'port, 'eal> {
    tx: Vec<Option<TxPort<'port, 'eal>>>,
    egress: Egress<Packet<'eal>>,
}

impl<'port, 'eal> Complete<'port, 'eal> {
    pub(super) fn new(tx: Vec<Option<TxPort<'port, 'eal>>>, ports: usize) -> Self {
        Self { tx, egress: Egress::new(ports) }
    }

    /// The long way: through the graph.
    #[inline(never)] // the short way is to have the loop's registers for itself
    fn through_graph(
        &mut self,
        program: &mut Program<'eal>,
        from: Received<'eal>,
        bytes: u64,
        burst: &mut Box<Burst<Packet<'eal>>>,
        meter: &mut Meter,
    ) -> u64 {
        meter.counters.received(from.port, burst.len() as u64, bytes);
        let Some(graph) = &mut program.graph else {
            // Without a program there is no way; workers that receive have one.
            meter.counters.dropped(DropReason::NoInput, burst.len() as u64);
            free_burst(burst);
            return ticks();
        };
        let Self { tx, egress } = self;
        let retries = program.tx_retries;
        // A burst that leaves as whole as it came has the bytes it came with, if no stage changes lengths.
        let known = program.keeps_lengths.then_some(bytes);
        if let Some(port) = graph.carry(from.port, burst, egress, ticks) {
            return leave(tx, port, burst, known, retries, &from, meter);
        }
        // The frames of one burst, divided: one clock read for all of them.
        let mut sent = ArrayVec::<(usize, u64), { pipeline::MAX_PORTS }>::new();
        egress.for_each_touched(|port, frames| match (&mut tx[port], &from.each) {
            (Some(to), Some(stamps)) => transmit(to, frames, retries, stamps, meter),
            (Some(to), None) => sent.push((port, to.send(frames, None, retries, meter))),
            (None, _) => {
                meter.counters.dropped(DropReason::PortDown, frames.len() as u64);
                free_burst(frames);
            }
        });
        free_burst(&mut egress.dropped);
        meter.counters.take_drops(&mut egress.drops);
        let now = ticks();
        for (port, frames) in sent {
            meter.left(port, frames, now - from.start, now - from.bound);
        }
        now
    }
}

/// Sends a whole burst out of a port, and answers with the clock after that.
#[inline]
fn leave<'eal>(
    tx: &mut [Option<TxPort<'_, 'eal>>],
    port: usize,
    burst: &mut Burst<Packet<'eal>>,
    bytes: Option<u64>,
    retries: u32,
    from: &Received<'eal>,
    meter: &mut Meter,
) -> u64 {
    match (&mut tx[port], &from.each) {
        (Some(to), Some(stamps)) => {
            transmit(to, burst, retries, stamps, meter);
            ticks()
        }
        (Some(to), None) => {
            let sent = to.send(burst, bytes, retries, meter);
            let now = ticks();
            meter.left(port, sent, now - from.start, now - from.bound);
            now
        }
        (None, _) => {
            meter.counters.dropped(DropReason::PortDown, burst.len() as u64);
            free_burst(burst);
            ticks()
        }
    }
}

impl<'eal> Sink<'eal> for Complete<'_, 'eal> {
    #[inline]
    fn take(
        &mut self,
        program: &mut Program<'eal>,
        from: Received<'eal>,
        burst: &mut Box<Burst<Packet<'eal>>>,
        meter: &mut Meter,
    ) -> u64 {
        let bytes = dpdk::total_len(burst);
        if from.each.is_none()
            && let Some(graph) = &mut program.graph
            && let Some(shortcut) = graph.shortcut(from.port)
            && let Some(Some(to)) = self.tx.get_mut(shortcut.to())
        {
            let frames = burst.len() as u64;
            let sent = to.queue.send(burst) as u64;
            let sent = if sent == frames {
                shortcut.passed(frames, bytes);
                sent
            } else {
                shortcut.counted(frames);
                meter.counters.received(from.port, frames, bytes);
                to.insist(burst, program.tx_retries, meter, sent, bytes)
            };
            let now = ticks();
            meter.left(to.port, sent, now - from.start, now - from.bound);
            return now;
        }
        self.through_graph(program, from, bytes, burst, meter)
    }

    fn settle(program: &mut Program<'eal>, counters: &mut WorkerCounters) {
        if let Some(graph) = &mut program.graph {
            graph.settle(counters);
        }
    }
}
