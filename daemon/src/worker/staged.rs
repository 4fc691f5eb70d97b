//! Staged: receive, process and transmit on different cores, joined by rings.
//!
//! A frame's two stamps travel with it in an mbuf dynamic field. A flow always takes the same ring: by the device's hash
//! where there is one, else by one of ours; so its order holds. A full ring drops and counts, and never waits.

use std::sync::atomic::Ordering::Acquire;

use dpdk::{MAX_BURST, Stamps, free_burst};
use linux::clock::ticks;
use pipeline::{Burst, DropReason, Egress, Frame as _, Meta, Network};

use super::{Meter, Packet, Phase, Program, Work, Worker};

/// Receives, and spreads frames over the graph workers.
pub(super) fn spread(worker: Worker<'_, '_>) {
    let Worker { mut desk, mut meter, mut rx, work, .. } = worker;
    let Work::Spread { stamps, mut out } = work else { unreachable!("called for this work") };
    let mut program = Program::idle();
    let mut burst: Box<Burst<Packet<'_>>> = Box::default();
    let most = out.iter().map(Vec::len).max().unwrap_or(0);
    let mut by_ring: Vec<Box<Burst<Packet<'_>>>> = (0..most).map(|_| Box::default()).collect();

    desk.read(|new| std::mem::swap(new, &mut program));
    meter.stall_ticks = program.stall_ticks;
    let mut now = ticks();
    loop {
        if desk.is_new() {
            desk.read(|new| std::mem::swap(new, &mut program));
            meter.stall_ticks = program.stall_ticks;
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
            } else {
                meter.counters.polled(received, asked);
                meter.counters.received(queue.port, received as u64, dpdk::total_len(&burst));
                for frame in burst.iter_mut() {
                    stamps.set(frame, start, queue.bound);
                }
                let rings = &mut out[queue.port];
                if let [only] = rings.as_mut_slice() {
                    hand(only, &mut burst, &mut meter);
                } else {
                    for frame in burst.drain(..) {
                        let hash = frame.flow_hash().unwrap_or_else(|| flow_hash(&frame));
                        // Multiply and shift: the high bits decide, as the device has used the low ones for its queues.
                        let ring = ((u64::from(hash) * rings.len() as u64) >> 32) as usize;
                        by_ring[ring].push(frame);
                    }
                    for (ring, frames) in rings.iter_mut().zip(&mut by_ring) {
                        hand(ring, frames, &mut meter);
                    }
                }
                if received < asked {
                    queue.bound = start;
                }
            }
            now = ticks();
            let gap = now - start;
            meter.gap(now, gap);
            desk.gap(gap);
        }
        if rx.is_empty() {
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

/// Takes frames from rings, processes them, and sends them or hands them on.
pub(super) fn process(worker: Worker<'_, '_>) {
    let Worker { mut desk, mut meter, mut tx, work, ports, upstream, .. } = worker;
    let Work::Process { stamps, mut input, mut out } = work else {
        unreachable!("called for this work")
    };
    let mut program = Program::idle();
    let mut egress: Egress<Packet<'_>> = Egress::new(ports);
    let mut burst: Box<Burst<Packet<'_>>> = Box::default();
    desk.read(|new| std::mem::swap(new, &mut program));
    meter.stall_ticks = program.stall_ticks;
    let mut now = ticks();
    loop {
        if desk.is_new() {
            desk.read(|new| std::mem::swap(new, &mut program));
            meter.stall_ticks = program.stall_ticks;
        }
        let Some(graph) = &mut program.graph else { return };
        // Read before the rings: what was put in before it was set is seen below.
        let ended = desk.phase() != Phase::Run && upstream.iter().all(|done| done.load(Acquire));
        let start = now;
        let mut taken = 0;
        for (ring, port) in &mut input {
            let got = ring.pop_burst(&mut burst, MAX_BURST);
            if got == 0 {
                continue;
            }
            taken += got;
            meter.counters.taken(got as u64);
            if desk.phase() == Phase::Abandon {
                meter.counters.dropped(DropReason::Shutdown, got as u64);
                free_burst(&mut burst);
                continue;
            }
            graph.run(*port, &mut burst, &mut egress, ticks);
            egress.for_each_touched(|to, frames| {
                if let Some(ring) = &mut out[to] {
                    hand(ring, frames, &mut meter);
                } else if let Some(tx) = &mut tx[to] {
                    transmit(tx, frames, program.tx_retries, &stamps, &mut meter);
                } else {
                    meter.counters.dropped(DropReason::PortDown, frames.len() as u64);
                    free_burst(frames);
                }
            });
            free_burst(&mut egress.dropped);
            meter.counters.take_drops(&mut egress.drops);
        }
        now = ticks();
        end_turn(&mut meter, &desk, now, start, taken);
        if ended && taken == 0 {
            return;
        }
    }
}

/// Takes frames from rings and sends them.
pub(super) fn send(worker: Worker<'_, '_>) {
    let Worker { mut desk, mut meter, mut tx, work, upstream, .. } = worker;
    let Work::Send { stamps, mut input } = work else { unreachable!("called for this work") };
    let mut program = Program::idle();
    let mut burst: Box<Burst<Packet<'_>>> = Box::default();
    desk.read(|new| std::mem::swap(new, &mut program));
    meter.stall_ticks = program.stall_ticks;
    let mut now = ticks();
    loop {
        if desk.is_new() {
            desk.read(|new| std::mem::swap(new, &mut program));
            meter.stall_ticks = program.stall_ticks;
        }
        let ended = desk.phase() != Phase::Run && upstream.iter().all(|done| done.load(Acquire));
        let start = now;
        let mut taken = 0;
        for (ring, port) in &mut input {
            let got = ring.pop_burst(&mut burst, MAX_BURST);
            if got == 0 {
                continue;
            }
            taken += got;
            meter.counters.taken(got as u64);
            match &mut tx[*port] {
                Some(tx) if desk.phase() != Phase::Abandon => {
                    transmit(tx, &mut burst, program.tx_retries, &stamps, &mut meter);
                }
                _ => {
                    let reason = match desk.phase() {
                        Phase::Abandon => DropReason::Shutdown,
                        Phase::Run | Phase::Drain => DropReason::PortDown,
                    };
                    meter.counters.dropped(reason, got as u64);
                    free_burst(&mut burst);
                }
            }
        }
        now = ticks();
        end_turn(&mut meter, &desk, now, start, taken);
        if ended && taken == 0 {
            return;
        }
    }
}

/// What ends a turn of a worker that polls rings.
#[inline]
fn end_turn(meter: &mut Meter, desk: &super::Desk<'_>, now: u64, start: u64, taken: usize) {
    let gap = now - start;
    meter.polled(taken, MAX_BURST);
    meter.gap(now, gap);
    desk.gap(gap);
    if taken == 0 {
        meter.counters.idle_turn(1);
    } else {
        meter.counters.polled(taken.min(MAX_BURST), usize::MAX);
        meter.counters.end_turn(0);
    }
}

/// Puts a burst into a ring; what does not fit is dropped and counted. The burst is empty afterwards.
#[inline]
fn hand<'eal>(
    ring: &mut ring::Producer<Packet<'eal>>,
    frames: &mut Burst<Packet<'eal>>,
    meter: &mut Meter,
) {
    if frames.is_empty() {
        return;
    }
    let handed = ring.push_burst(frames);
    meter.counters.handed(handed as u64);
    if !frames.is_empty() {
        meter.counters.dropped(DropReason::RingFull, frames.len() as u64);
        free_burst(frames);
    }
}

/// Sends a burst and records each frame's own times. The stamps are read before the frames are given away.
#[inline]
fn transmit<'eal>(
    tx: &mut super::TxPort<'_, 'eal>,
    frames: &mut Burst<Packet<'eal>>,
    retries: u32,
    stamps: &Stamps<'eal>,
    meter: &mut Meter,
) {
    // Frames of one receive burst share their stamps and mostly travel together: one record for each run of them.
    let mut runs = [(0, 0, 0u64); MAX_BURST];
    let mut used = 0;
    for frame in frames.iter() {
        let (rx, bound) = stamps.of(frame);
        if used > 0 && runs[used - 1].0 == rx && runs[used - 1].1 == bound {
            runs[used - 1].2 += 1;
        } else {
            runs[used] = (rx, bound, 1);
            used += 1;
        }
    }
    let mut sent = tx.send(frames, None, retries, meter);
    let now = ticks();
    // The queue takes frames from the front.
    for &(rx, bound, frames) in &runs[..used] {
        let frames = frames.min(sent);
        sent -= frames;
        // Clocks of two cores may differ by a few ticks.
        meter.left(tx.port, frames, now.saturating_sub(rx), now.saturating_sub(bound));
    }
}

/// A hash of the flow for devices that have none: addresses, protocol and ports. All parts of a fragmented packet hash
/// alike, without ports.
fn flow_hash(frame: &Packet<'_>) -> u32 {
    let meta = Meta::of(frame);
    let head = frame.head();
    let addresses = match meta.network() {
        Network::Ipv4 => head.get(meta.l3() + 12..meta.l3() + 20),
        Network::Ipv6 => head.get(meta.l3() + 8..meta.l3() + 40),
        Network::Arp | Network::Other => head.get(..12),
    };
    let has_ports =
        meta.has_transport() && !meta.is_fragment() && matches!(meta.protocol(), 6 | 17 | 132);
    let ports = if has_ports { head.get(meta.l4()..meta.l4() + 4) } else { None };
    let mut hash = u64::from(meta.protocol()) ^ 0x9e37_79b9_7f4a_7c15;
    for part in [addresses, ports].into_iter().flatten() {
        for word in part.chunks(4) {
            let word = word.iter().fold(0, |word, &byte| word << 8 | u64::from(byte));
            hash = (hash ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
            hash ^= hash >> 32;
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the 32 bits in the middle are mixed best")]
    let middle = (hash >> 16) as u32;
    middle
}
