use std::{
    cell::Cell,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};

use arrayvec::ArrayVec;
use linux::clock::TickRate;
use pipeline::{
    DropReason, StageCounterSet, counters, histogram,
    stalls::{self as stall_log, Stall},
};

use super::*;
use crate::{
    plan::Role,
    state::{Clock, LatencyView, Past, RingView, WorkerView},
    witness::Witness,
};

const CONFIG: &str = r#"
[[port]]
name = "north"
device = "vdev:net_null0"
input = "wire"

[[port]]
name = "south"
device = "vdev:net_null1"
input = "none"

[[stage]]
name = "wire"
kind = "cross"
to = "tx:south"
"#;

/// The writing ends of one worker.
struct Hands {
    counters: counters::WorkerCounters,
    stalls: stall_log::StallLog,
    /// By port: residence, bound.
    latency: Vec<(histogram::Recorder, histogram::Recorder)>,
}

/// A daemon without DPDK: workers of these roles, a clock of 1 GHz, no ports, no rings.
fn daemon(roles: &[Role]) -> (State<'static>, Vec<Hands>) {
    let (mut workers, mut hands) = (Vec::new(), Vec::new());
    for (cpu, &role) in (4..).zip(roles) {
        let (writer, reader) = counters::new(2);
        let (log, stalls) = stall_log::new(4);
        let (mut recorders, mut latency) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let ((residence, of_residence), (bound, of_bound)) =
                (histogram::new(), histogram::new());
            recorders.push((residence, bound));
            let stamped = Arc::default();
            latency.push(LatencyView { residence: of_residence, bound: of_bound, stamped });
        }
        let stages = StageCounterSet::default();
        workers.push(WorkerView {
            cpu,
            node: None,
            role,
            counters: reader,
            stages,
            stalls,
            latency,
        });
        hands.push(Hands { counters: writer, stalls: log, latency: recorders });
    }
    let state = State {
        started: Instant::now(),
        ready_after: Duration::ZERO,
        config: config::parse(CONFIG, "test.toml").unwrap(),
        config_path: "/etc/test.toml".into(),
        generation: 1,
        plan: api::Plan {
            schema: api::SCHEMA,
            mode: "run-to-completion".to_owned(),
            housekeeping: "0".to_owned(),
            workers: vec![],
            ports: vec![],
            pools: vec![],
            rings: vec![],
            cpus: vec![],
            eal_args: vec![],
            warnings: vec![],
        },
        workers,
        ports: vec![],
        rings: vec![],
        past: Past::default(),
        witness: Witness::default(),
        clock: Clock::new(TickRate::from_hz(1_000_000_000).unwrap()),
        violations: Arc::new(AtomicU64::new(0)),
        warnings: vec!["worker 0 is not isolated".to_owned()],
        draining: false,
    };
    (state, hands)
}

fn stall(at_tick: u64) -> Stall {
    Stall { at_tick, length_ticks: 100, worker: 0, pending: 7, saturated: false, sequence: 0 }
}

#[test]
fn what_workers_counted_is_answered_and_balanced() {
    let (state, mut hands) = daemon(&[Role::All, Role::All]);
    for hand in &mut hands {
        hand.counters.polled(5, 32);
        hand.counters.received(0, 5, 320);
        hand.counters.sent(1, 3, 192);
        hand.counters.dropped(DropReason::TxFull, 1);
        hand.counters.end_turn(1, |_| {});
        hand.counters.publish();
    }
    let answer = counters(&state);
    assert_eq!(
        answer.balance,
        api::Balance { received: 10, sent: 6, dropped: 2, held: 2, balanced: true, violations: 0 }
    );
    assert_eq!(answer.drops.len(), DropReason::COUNT);
    assert_eq!((answer.drops["tx_full"], answer.drops["ring_full"]), (2, 0));
    assert_eq!(answer.workers[1].dropped.len(), 1);
    assert_eq!(answer.workers[1].burst_sizes[5], 1);
    assert!(answer.workers.iter().all(|worker| worker.balanced));
}

#[test]
fn a_lost_frame_is_a_violation_each_time_it_is_seen() {
    let (state, mut hands) = daemon(&[Role::All]);
    hands[0].counters.received(0, 2, 128);
    hands[0].counters.sent(1, 1, 64);
    hands[0].counters.publish();
    assert!(!balance(&state).balanced);
    let answer = counters(&state);
    assert_eq!(answer.balance.violations, 2);
    assert!(!answer.workers[0].balanced);
}

#[test]
fn what_ended_workers_counted_stays_and_later_ones_of_their_number_go_on() {
    let (mut state, mut hands) = daemon(&[Role::All, Role::All]);
    for hand in &mut hands {
        hand.counters.received(0, 5, 320);
        hand.counters.sent(1, 4, 256);
        hand.counters.dropped(DropReason::TxFull, 1);
        hand.latency[1].0.record_n(1_000, 4);
        hand.stalls.push(stall(1_000));
    }
    drop(hands);
    state.retire();
    let (again, mut hands) = daemon(&[Role::All]);
    state.workers = again.workers;
    hands[0].counters.received(0, 2, 128);
    hands[0].counters.sent(1, 2, 128);
    hands[0].counters.publish();
    let answer = counters(&state);
    let sent: Vec<u64> = answer.workers.iter().map(|worker| worker.sent).collect();
    assert_eq!(sent, [6, 4]);
    assert!(answer.workers.iter().all(|worker| worker.balanced));
    assert_eq!(
        answer.balance,
        api::Balance { received: 12, sent: 10, dropped: 2, held: 0, balanced: true, violations: 0 }
    );
    assert_eq!((answer.drops["tx_full"], drops(&state).drops["tx_full"]), (2, 2));
    assert_eq!(stalls(&state, None).unwrap().next, [0, 1], "worker 0 has a log of its own here");
    assert_eq!(status(&state).workers.len(), 1);
}

#[test]
fn frames_between_workers_are_held_and_the_ring_is_shown() {
    let (mut state, mut hands) = daemon(&[Role::Rx, Role::GraphTx]);
    let (mut producer, mut consumer) = ring::channel(ring::Capacity::new(16).unwrap());
    let gauge = producer.gauge();
    let earlier = Cell::new((Instant::now(), gauge.read()));
    state.rings.push(RingView { from: 0, to: 1, gauge, earlier });
    let mut frames = ArrayVec::<u8, 8>::from_iter(0..6);
    assert_eq!(producer.push_burst(&mut frames), 6);
    assert_eq!(consumer.pop_burst(&mut frames, 1), 1);
    hands[0].counters.received(0, 6, 384);
    hands[0].counters.handed(6);
    hands[0].counters.publish();
    hands[1].counters.taken(1);
    hands[1].counters.sent(1, 1, 64);
    hands[1].counters.publish();
    let seen = balance(&state);
    assert_eq!((seen.held, seen.balanced), (5, true), "{seen:?}");
    let rings = latency(&state).unwrap().rings;
    assert_eq!((rings[0].occupancy, rings[0].passed, rings[0].capacity), (5, 1, 16));
}

#[test]
fn latency_is_told_by_worker_and_port_and_then_by_port() {
    let (state, mut hands) = daemon(&[Role::All, Role::All]);
    for (hand, ticks) in hands.iter_mut().zip([1_000, 4_000]) {
        hand.latency[1].0.record_n(ticks, 100);
        hand.latency[1].1.record_n(2 * ticks, 100);
    }
    let answer = latency(&state).unwrap();
    let found: Vec<_> =
        answer.entries.iter().map(|entry| (entry.worker, entry.port.as_str())).collect();
    assert_eq!(found, [(Some(0), "south"), (Some(1), "south"), (None, "south")]);
    let all = &answer.entries[2];
    assert_eq!((all.residence.count, all.residence.max_ns, all.bound.max_ns), (200, 4000, 8000));
    assert!(all.residence.min_ns.abs_diff(1_000) <= 4, "{all:?}");
    let told: Vec<_> = all.residence.percentiles.iter().map(|p| (p.percentile, p.weak)).collect();
    assert_eq!(told, [(50.0, false), (90.0, true)]);
    assert!((all.residence.mean_ns - 2_500.0).abs() < 1.0, "{all:?}");
    assert!(!all.residence.hdr_v2.is_empty());
}

#[test]
fn stalls_are_numbered_from_one_and_read_after_a_number() {
    let (state, mut hands) = daemon(&[Role::All, Role::All]);
    for at_tick in [1_000, 3_000] {
        hands[0].stalls.push(stall(at_tick));
    }
    hands[1].stalls.push(stall(2_000));
    let all = stalls(&state, None).unwrap();
    let seen: Vec<_> =
        all.stalls.iter().map(|s| (s.worker, s.cpu, s.sequence, s.start_ticks)).collect();
    assert_eq!(seen, [(0, 4, 1, 900), (1, 5, 1, 1_900), (0, 4, 2, 2_900)]);
    assert_eq!((all.next.as_slice(), all.total, all.lost), ([2, 1].as_slice(), 3, 0));
    let later = stalls(&state, Some(&[1, 1])).unwrap();
    assert_eq!(later.stalls.iter().map(|s| s.sequence).collect::<Vec<_>>(), [2]);
    assert!(stalls(&state, Some(&all.next)).unwrap().stalls.is_empty());
}

#[test]
fn an_answer_has_the_newest_stalls_and_counts_those_it_has_no_room_for() {
    let (mut state, _hands) = daemon(&[Role::All, Role::All]);
    let (mut log, reader) = stall_log::new(8192);
    state.workers[0].stalls = reader;
    (0..5000).for_each(|at_tick| log.push(stall(at_tick)));

    let answer = stalls(&state, None).unwrap();

    let first = answer.stalls.first().unwrap().sequence;
    assert_eq!((answer.stalls.len(), answer.lost, first), (4096, 904, 905));
    assert_eq!((answer.total, answer.next[0]), (5000, 5000));
}

#[test]
fn more_numbers_than_workers_are_refused_and_a_worker_without_one_is_read_whole() {
    let (state, mut hands) = daemon(&[Role::All, Role::All]);
    let refused = stalls(&state, Some(&[1, 2, 3])).unwrap_err();
    assert_eq!(refused.to_string(), "after has 3 numbers, and there are 2 workers");
    hands[1].stalls.push(stall(2_000));
    assert_eq!(stalls(&state, Some(&[7])).unwrap().stalls.len(), 1);
}

#[test]
fn every_reason_to_drop_has_a_meaning() {
    let (state, _hands) = daemon(&[Role::All]);
    let answer = drops(&state);
    assert!(answer.drops.keys().eq(answer.meanings.keys()));
    assert!(answer.meanings.values().all(|text| text.len() > 20));
}

#[test]
fn the_status_says_who_does_what() {
    let (mut state, mut hands) = daemon(&[Role::All]);
    state.draining = true;
    hands[0].counters.polled(1, 32);
    hands[0].counters.idle_turn(3, |_| {});
    let answer = status(&state);
    assert_eq!(answer.state, api::State::Draining);
    assert_eq!((answer.workers[0].role.as_str(), answer.workers[0].cpu), ("all", 4));
    assert!((answer.workers[0].busy_ratio - 0.25).abs() < 1e-9, "{answer:?}");
    assert_eq!(answer.tick_hz, 1_000_000_000);
    assert!(answer.dpdk.starts_with("DPDK"));
    assert_eq!(answer.warnings, ["worker 0 is not isolated"]);
}
