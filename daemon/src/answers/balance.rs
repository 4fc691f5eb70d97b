//! One reading of all workers, and whether every frame in it is accounted for.
//!
//! A worker's snapshot adds up exactly. Snapshots of different workers are of different moments, and a busy worker
//! publishes late ([`TURNS_PER_PUBLICATION`]), so what went through a ring needs care:
//!
//! ```text
//!   rx ── handed ─► ring ── taken ─► graph ── handed ─► ring ── taken ─► tx
//!   read last                        read second                    read first
//! ```
//! Takers are read first, and givers again and again until they have published at least what was taken from them.

use std::{
    thread,
    time::{Duration, Instant},
};

use pipeline::{MAX_BURST, WorkerSnapshot, counters::TURNS_PER_PUBLICATION};

use crate::{
    plan::Role,
    state::{State, WorkerView},
};

/// So long a reading waits for workers to publish; they do in microseconds, unless something else has their CPU.
const PATIENCE: Duration = Duration::from_millis(100);

/// Between two looks at a worker that has not published yet.
const PAUSE: Duration = Duration::from_micros(20);

/// All workers, each at one moment.
pub(super) struct Reading {
    /// The workers of now.
    pub(super) now: Vec<WorkerSnapshot>,
    /// By worker number: with what those counted that have ended.
    pub(super) workers: Vec<WorkerSnapshot>,
    pub(super) balance: api::Balance,
}

/// What a reading proves.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Every frame is accounted for.
    Balanced,
    /// A worker did not publish in time.
    Unknown,
    /// Frames are lost, or came from nowhere.
    Violated(String),
}

/// Whether every frame is accounted for. A violation is counted and logged.
pub(crate) fn balance(state: &State<'_>) -> api::Balance {
    read(state).balance
}

/// Reads all workers. A violation is counted and logged.
pub(super) fn read(state: &State<'_>) -> Reading {
    let deadline = Instant::now() + PATIENCE;
    let (now, verdict) = loop {
        let workers = snapshots(&state.workers, deadline);
        let room = room(state);
        // A long pause between taker and giver looks like a ring fuller than full: read again.
        let is_skewed = flow(&workers) > i128::from(room);
        if !is_skewed || Instant::now() >= deadline {
            let later = |worker: usize| state.workers[worker].counters.snapshot().taken;
            let verdict = judge(&workers, room, later);
            break (workers, verdict);
        }
    };
    match &verdict {
        Verdict::Balanced => {}
        Verdict::Unknown => {
            tracing::warn!("a worker did not publish its counts in time, so they may not add up");
        }
        Verdict::Violated(why) => {
            state.violated();
            tracing::error!(why, "frames are not accounted for");
        }
    }
    let workers = state.past.plus(&now);
    let balance = sum(state, &workers, verdict == Verdict::Balanced);
    Reading { now, workers, balance }
}

/// How far downstream a worker is: what a tier takes, the next one has handed on.
fn tier(role: Role) -> usize {
    match role {
        Role::Tx => 0,
        Role::Graph | Role::GraphTx => 1,
        Role::Rx | Role::All => 2,
    }
}

/// Takers before givers.
fn snapshots(workers: &[WorkerView], deadline: Instant) -> Vec<WorkerSnapshot> {
    let mut snapshots = vec![WorkerSnapshot::empty(0); workers.len()];
    let mut taken_from = 0;
    for tier_number in 0..3 {
        let is_member = |view: &WorkerView| tier(view.role) == tier_number;
        let (mut handed, mut taken);
        loop {
            (handed, taken) = (0, 0);
            let mut is_quiet = true;
            for (worker, view) in workers.iter().enumerate().filter(|(_, view)| is_member(view)) {
                snapshots[worker] = view.counters.snapshot();
                is_quiet &= snapshots[worker].consistent;
                handed += snapshots[worker].handed;
                taken += snapshots[worker].taken;
            }
            if (is_quiet && handed >= taken_from) || Instant::now() >= deadline {
                break;
            }
            thread::sleep(PAUSE);
        }
        taken_from = taken;
    }
    snapshots
}

/// The most frames that can seem to be in rings: what they hold, and what is taken but not yet published.
fn room(state: &State<'_>) -> u64 {
    let capacities: u64 = state.rings.iter().map(|ring| ring.gauge.capacity()).sum();
    let a_turn = u64::from(TURNS_PER_PUBLICATION) * MAX_BURST as u64;
    // A turn looks at each ring and each receive queue once.
    let queues: usize = state.plan.workers.iter().map(|worker| worker.rx.len()).sum();
    capacities + a_turn * (state.rings.len() + queues + state.workers.len()) as u64
}

/// Frames handed to rings and not taken out.
fn flow(workers: &[WorkerSnapshot]) -> i128 {
    workers.iter().map(|worker| i128::from(worker.handed) - i128::from(worker.taken)).sum()
}

/// Looks at a reading; `taken_later` reads what a worker has taken by now.
fn judge(workers: &[WorkerSnapshot], room: u64, taken_later: impl Fn(usize) -> u64) -> Verdict {
    if workers.iter().any(|worker| !worker.consistent) {
        return Verdict::Unknown;
    }
    for (number, worker) in workers.iter().enumerate() {
        if let Err(imbalance) = worker.check() {
            return Verdict::Violated(format!("worker {number}: {imbalance}"));
        }
    }
    let in_rings = flow(workers);
    if in_rings < -i128::from(room) {
        return Verdict::Violated(format!(
            "{} frames came out of rings that nobody put in",
            in_rings.unsigned_abs()
        ));
    }
    if in_rings < 0 {
        return Verdict::Unknown;
    }
    if in_rings > i128::from(room) {
        let handed: i128 = workers.iter().map(|worker| i128::from(worker.handed)).sum();
        let taken: i128 = (0..workers.len()).map(|worker| i128::from(taken_later(worker))).sum();
        if handed - taken > i128::from(room) {
            return Verdict::Violated(format!(
                "{} frames were put into rings and not taken out, and they hold {room} at most",
                handed - taken
            ));
        }
    }
    Verdict::Balanced
}

fn sum(state: &State<'_>, workers: &[WorkerSnapshot], balanced: bool) -> api::Balance {
    let received = workers.iter().map(WorkerSnapshot::received).sum::<u64>();
    let sent = workers.iter().map(WorkerSnapshot::sent).sum::<u64>();
    let dropped = workers.iter().flat_map(|worker| worker.dropped).sum::<u64>();
    // The workers' equations, added up: received - sent - dropped is this.
    let held: i128 =
        flow(workers) + workers.iter().map(|worker| i128::from(worker.held)).sum::<i128>();
    api::Balance {
        received,
        sent,
        dropped,
        held: u64::try_from(held).unwrap_or(0),
        balanced,
        violations: state.violations.load(std::sync::atomic::Ordering::Relaxed),
    }
}

#[cfg(test)]
mod tests {
    use pipeline::{DropReason, counters};

    use super::*;

    fn snapshot(count: impl FnOnce(&mut counters::WorkerCounters), held: u64) -> WorkerSnapshot {
        let (mut worker, reader) = counters::new(2);
        count(&mut worker);
        worker.end_turn(held, |_| {});
        drop(worker);
        reader.snapshot()
    }

    fn giver(frames: u64) -> WorkerSnapshot {
        snapshot(
            |worker| {
                worker.received(0, frames, 64 * frames);
                worker.handed(frames);
            },
            0,
        )
    }

    fn taker(frames: u64) -> WorkerSnapshot {
        snapshot(
            |worker| {
                worker.taken(frames);
                worker.sent(1, frames, 64 * frames);
            },
            0,
        )
    }

    #[test]
    fn frames_in_a_ring_are_held_and_balanced() {
        let workers = [giver(30), taker(20)];
        assert_eq!(judge(&workers, 10, |_| panic!("no need to look again")), Verdict::Balanced);
        assert_eq!(flow(&workers), 10);
    }

    #[test]
    fn a_worker_that_lost_a_frame_is_named() {
        let lossy = snapshot(
            |worker| {
                worker.received(0, 5, 320);
                worker.dropped(DropReason::TxFull, 1);
            },
            3,
        );
        let Verdict::Violated(why) = judge(&[taker(0), lossy], 100, |_| 0) else {
            panic!("a frame is missing")
        };
        assert!(why.starts_with("worker 1: "), "{why}");
    }

    #[test]
    fn frames_lost_in_a_ring_are_a_violation_and_a_late_look_at_the_taker_is_none() {
        let workers = [giver(500), taker(20)];
        assert!(matches!(judge(&workers, 100, |w| [0, 20][w]), Verdict::Violated(_)));
        assert_eq!(judge(&workers, 100, |w| [0, 450][w]), Verdict::Balanced);
    }

    #[test]
    fn a_giver_that_publishes_late_is_no_violation_and_frames_from_nowhere_are() {
        assert_eq!(judge(&[giver(20), taker(30)], 100, |_| 0), Verdict::Unknown);
        assert!(matches!(judge(&[giver(20), taker(300)], 100, |_| 0), Verdict::Violated(_)));
    }
}
