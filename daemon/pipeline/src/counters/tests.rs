use std::sync::atomic::AtomicBool;

use super::*;

#[test]
fn a_busy_worker_publishes_after_some_turns_and_an_idle_one_at_once() {
    let (mut worker, reader) = new(1);
    for turn in 1..TURNS_PER_PUBLICATION {
        worker.received(0, 1, 60);
        worker.sent(0, 1, 60);
        worker.end_turn(0, |_| {});
        assert_eq!(reader.snapshot().received(), 0, "turn {turn}");
    }
    worker.received(0, 1, 60);
    worker.end_turn(1, |_| {});
    let seen = reader.snapshot();
    assert_eq!((seen.received(), seen.held), (u64::from(TURNS_PER_PUBLICATION), 1));
    assert_eq!(seen.check(), Ok(()));

    worker.sent(0, 1, 60);
    worker.end_turn(0, |_| {});
    worker.idle_turn(1, |_| {});
    assert_eq!((reader.snapshot().sent(), reader.snapshot().held), (32, 0));
}

#[test]
fn what_a_stopped_worker_counted_is_published() {
    let (mut worker, reader) = new(1);
    worker.taken(5);
    worker.handed(3);
    worker.dropped(DropReason::RingFull, 2);
    worker.end_turn(0, |_| {});
    drop(worker);
    let seen = reader.snapshot();
    assert_eq!((seen.taken, seen.handed, seen.check()), (5, 3, Ok(())));
    assert_eq!(seen.drops().collect::<Vec<_>>(), [(DropReason::RingFull, 2)]);
}

#[test]
fn an_imbalance_tells_both_sides() {
    let (mut worker, reader) = new(2);
    worker.received(1, 10, 640);
    worker.sent(0, 8, 512);
    worker.end_turn(1, |_| {});
    worker.publish();
    let text = reader.snapshot().check().unwrap_err().to_string();
    assert_eq!(
        text,
        "the frames do not add up: 10 received and 0 taken, but 8 sent, 0 dropped, 0 handed on and 1 held"
    );
}

#[test]
fn polls_are_counted_by_what_they_gave() {
    let (mut worker, reader) = new(1);
    worker.polled(0, 32);
    worker.polled(31, 32);
    worker.polled(32, 32);
    worker.idle_turn(4, |_| {});
    worker.gap(70);
    worker.gap(50);
    let seen = reader.snapshot();
    assert_eq!((seen.polls_empty, seen.polls_busy, seen.polls_saturated), (5, 2, 1));
    assert_eq!((seen.burst_sizes[31], seen.burst_sizes[32]), (1, 1));
    assert_eq!((seen.worst_gap_ticks, seen.turns, reader.turns()), (70, 1, 1));
}

#[test]
fn workers_that_add_up_add_up_together() {
    let counted = |received, sent, held| {
        let (mut worker, reader) = new(2);
        worker.received(0, received, 0);
        worker.sent(1, sent, 0);
        worker.end_turn(held, |_| {});
        worker.publish();
        reader.snapshot()
    };
    let mut sum = WorkerSnapshot { consistent: true, ..WorkerSnapshot::empty(2) };
    sum.merge(&counted(5, 4, 1));
    sum.merge(&counted(7, 7, 0));
    assert_eq!((sum.received(), sum.sent(), sum.held), (12, 11, 1));
    assert_eq!((sum.consistent, sum.check()), (true, Ok(())));
}

#[test]
fn every_consistent_snapshot_of_a_running_worker_adds_up() {
    const TURNS: u64 = if cfg!(miri) { 300 } else { 200_000 };
    let (mut worker, reader) = new(2);
    let done = AtomicBool::new(false);
    let consistent = std::thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0..TURNS {
                // Each number differs, so that parts of two publications never add up by chance.
                let held = turn % 5;
                let (sent, dropped, handed) = (turn % 17, turn % 3, turn % 11);
                worker.received((turn % 2) as usize, sent + dropped, turn);
                worker.sent(((turn + 1) % 2) as usize, sent, turn);
                worker.dropped(DropReason::ALL[(turn % 19) as usize], dropped);
                worker.taken(handed);
                worker.handed(handed);
                // What is held now came in now; what was held before went out.
                let before = if turn == 0 { 0 } else { (turn - 1) % 5 };
                worker.taken(held);
                worker.handed(before);
                worker.end_turn(held, |_| {});
            }
            drop(worker);
            done.store(true, Release);
        });
        let mut consistent = 0;
        let mut last = WorkerSnapshot::empty(2);
        loop {
            let is_last = done.load(Acquire);
            let seen = reader.snapshot();
            if seen.consistent {
                consistent += 1;
                assert_eq!(seen.check(), Ok(()), "{seen:?}");
                assert!(seen.received() >= last.received() && seen.handed >= last.handed);
                last = seen;
            }
            if is_last {
                break consistent;
            }
        }
    });
    assert!(consistent > 0, "the last one, at least, is after the worker");
    assert_eq!(reader.turns(), TURNS);
}
