//! Polling rings: what the later parts of staged mode have in common. A full ring drops and counts, and never waits.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Acquire},
};

use dpdk::{MAX_BURST, free_burst};
use linux::clock::ticks;
use pipeline::{Burst, DropReason, WorkerCounters};
use ring::{Consumer, Producer};

use super::{Desk, Meter, Packet, Phase, Program, poll::read};

/// What becomes of frames from rings.
pub(super) trait Sink<'eal> {
    /// Takes a burst of at least one frame, and leaves it empty. `port` is that of the ring.
    fn take(
        &mut self,
        program: &mut Program<'eal>,
        port: usize,
        burst: &mut Box<Burst<Packet<'eal>>>,
        meter: &mut Meter,
    );

    /// As in [`poll::Sink`](super::poll::Sink::settle).
    fn settle(program: &mut Program<'eal>, counters: &mut WorkerCounters);
}

/// Turns until told to stop, and nothing more can come.
pub(super) fn run<'eal, S: Sink<'eal>>(
    mut desk: Desk<'eal>,
    mut meter: Meter,
    mut input: Vec<(Consumer<Packet<'eal>>, usize)>,
    upstream: &[Arc<AtomicBool>],
    mut sink: S,
) {
    let mut program = Program::idle();
    let mut burst: Box<Burst<Packet<'eal>>> = Box::default();
    read(&mut desk, &mut meter, &mut program);
    let mut now = ticks();
    loop {
        if desk.is_new() {
            S::settle(&mut program, &mut meter.counters);
            read(&mut desk, &mut meter, &mut program);
        }
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
            } else {
                sink.take(&mut program, *port, &mut burst, &mut meter);
            }
        }
        now = ticks();
        meter.polled(taken, MAX_BURST);
        meter.gap(now, now - start, &desk);
        let settle = |counters: &mut WorkerCounters| S::settle(&mut program, counters);
        if taken == 0 {
            meter.counters.idle_turn(1, settle);
            if ended {
                return;
            }
        } else {
            meter.counters.polled(taken.min(MAX_BURST), usize::MAX);
            meter.counters.end_turn(0, settle);
        }
    }
}

/// Puts a burst into a ring; what does not fit is dropped and counted. The burst is empty afterwards.
#[inline]
pub(super) fn hand<'eal>(
    ring: &mut Producer<Packet<'eal>>,
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
