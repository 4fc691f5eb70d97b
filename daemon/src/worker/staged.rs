//! Staged, after the first ring: process, and transmit.

use arrayvec::ArrayVec;
use dpdk::{MAX_BURST, Stamps, free_burst};
use linux::clock::ticks;
use pipeline::{Burst, DropReason, Egress, WorkerCounters};
use ring::Producer;

use super::{
    Meter, Packet, Program, TxPort,
    hardware::Arrival,
    rings::{Sink, hand},
};

/// Runs the graph, and sends or hands on.
pub(super) struct Process<'port, 'eal> {
    pub(super) exits: Exits<'port, 'eal>,
    pub(super) egress: Egress<Packet<'eal>>,
}

/// Where frames leave a worker, by egress port: through a ring to their sender, or through a queue.
pub(super) struct Exits<'port, 'eal> {
    pub(super) stamps: Stamps<'eal>,
    pub(super) out: Vec<Option<Producer<Packet<'eal>>>>,
    pub(super) tx: Vec<Option<TxPort<'port, 'eal>>>,
}

/// Sends.
pub(super) struct Send<'port, 'eal> {
    pub(super) stamps: Stamps<'eal>,
    pub(super) tx: Vec<Option<TxPort<'port, 'eal>>>,
}

impl<'eal> Sink<'eal> for Process<'_, 'eal> {
    #[inline]
    fn take(
        &mut self,
        program: &mut Program<'eal>,
        port: usize,
        burst: &mut Box<Burst<Packet<'eal>>>,
        meter: &mut Meter,
    ) {
        let Self { exits, egress } = self;
        let Some(graph) = &mut program.graph else {
            // Workers that process have a program with a graph.
            meter.counters.dropped(DropReason::NoInput, burst.len() as u64);
            return free_burst(burst);
        };
        if let Some(shortcut) = graph.shortcut(port) {
            shortcut.counted(burst.len() as u64);
            return exits.leave(shortcut.to(), burst, program.tx_retries, meter);
        }
        if let Some(to) = graph.carry(port, burst, egress, ticks) {
            return exits.leave(to, burst, program.tx_retries, meter);
        }
        egress.for_each_touched(|to, frames| exits.leave(to, frames, program.tx_retries, meter));
        free_burst(&mut egress.dropped);
        meter.counters.take_drops(&mut egress.drops);
    }

    fn settle(program: &mut Program<'eal>, counters: &mut WorkerCounters) {
        if let Some(graph) = &mut program.graph {
            graph.settle(counters);
        }
    }
}

impl<'eal> Exits<'_, 'eal> {
    /// Lets a burst leave by a port.
    #[inline]
    fn leave(
        &mut self,
        to: usize,
        frames: &mut Burst<Packet<'eal>>,
        retries: u32,
        meter: &mut Meter,
    ) {
        if let Some(ring) = &mut self.out[to] {
            hand(ring, frames, meter);
        } else if let Some(tx) = &mut self.tx[to] {
            transmit(tx, frames, retries, &self.stamps, meter);
        } else {
            meter.counters.dropped(DropReason::PortDown, frames.len() as u64);
            free_burst(frames);
        }
    }
}

impl<'eal> Sink<'eal> for Send<'_, 'eal> {
    #[inline]
    fn take(
        &mut self,
        program: &mut Program<'eal>,
        port: usize,
        burst: &mut Box<Burst<Packet<'eal>>>,
        meter: &mut Meter,
    ) {
        if let Some(tx) = &mut self.tx[port] {
            transmit(tx, burst, program.tx_retries, &self.stamps, meter);
        } else {
            meter.counters.dropped(DropReason::PortDown, burst.len() as u64);
            free_burst(burst);
        }
    }

    fn settle(_program: &mut Program<'eal>, _counters: &mut WorkerCounters) {
        // Everything is counted at once.
    }
}

/// Sends a burst and records each frame's own times. The stamps are read before the frames are given away.
#[inline]
pub(super) fn transmit<'eal>(
    tx: &mut TxPort<'_, 'eal>,
    frames: &mut Burst<Packet<'eal>>,
    retries: u32,
    stamps: &Stamps<'eal>,
    meter: &mut Meter,
) {
    // Frames of one receive burst share their stamps and mostly travel together: one record for each run of them.
    let mut runs = ArrayVec::<_, MAX_BURST>::new();
    for frame in frames.iter() {
        let (rx, bound) = stamps.of(frame);
        match runs.last_mut() {
            Some((last_rx, last_bound, count)) if *last_rx == rx && *last_bound == bound => {
                *count += 1;
            }
            _ => runs.push((rx, bound, 1_u64)),
        }
    }
    let mut sent = tx.send(frames, None, retries, meter);
    let now = ticks();
    // The queue takes frames from the front.
    for (rx, bound, frames) in runs {
        let frames = frames.min(sent);
        sent -= frames;
        let arrival = Arrival::from_stamp(bound);
        // Clocks of two cores may differ by a few ticks.
        meter.left(tx.port, frames, now.saturating_sub(rx), arrival.until(now));
        if arrival.is_by_device() {
            meter.stamped(tx.port, frames);
        }
    }
}
