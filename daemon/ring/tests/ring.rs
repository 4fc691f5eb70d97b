//! The ring against a `VecDeque`, between real threads, and at its edges.
#![cfg(not(loom))]

use std::{
    collections::{BTreeMap, VecDeque},
    num::NonZeroUsize,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use arrayvec::ArrayVec;
use proptest::prelude::*;
use ring::{Capacity, InvalidCapacity, Reading, channel, mesh, time_to_overflow};

/// Under Miri everything is some thousand times slower.
const ITEMS: u64 = if cfg!(miri) { 2_000 } else { 1_000_000 };
const CASES: u32 = if cfg!(miri) { 8 } else { 512 };

fn capacity(items: usize) -> Capacity {
    Capacity::new(items).expect("the tests use powers of two")
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Pop { max: usize, held: usize },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..=16_usize).prop_map(Step::Push),
        (0..=20_usize, 0..=16_usize).prop_map(|(max, held)| Step::Pop { max, held }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CASES, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn it_does_what_a_bounded_deque_does(
        log in 0_u32..6,
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        let size = 1_usize << log;
        let (mut producer, mut consumer) = channel::<Box<u64>>(capacity(size));
        let gauge = consumer.gauge();
        let mut model = VecDeque::new();
        let (mut next, mut popped, mut highest) = (0_u64, 0_u64, 0_usize);
        for step in steps {
            match step {
                Step::Push(count) => {
                    let mut burst: ArrayVec<Box<u64>, 16> =
                        (next..).take(count).map(Box::new).collect();
                    let fits = count.min(size - model.len());
                    prop_assert_eq!(producer.push_burst(&mut burst), fits);
                    model.extend((next..).take(fits));
                    let rest: Vec<u64> = burst.iter().map(|item| **item).collect();
                    let expected: Vec<u64> =
                        (next..).take(count).skip(fits).collect();
                    prop_assert_eq!(rest, expected);
                    next += fits as u64;
                }
                Step::Pop { max, held } => {
                    let mut burst: ArrayVec<Box<u64>, 16> =
                        (0..held).map(|_| Box::new(u64::MAX)).collect();
                    let expected: Vec<u64> =
                        model.drain(..max.min(16 - held).min(model.len())).collect();
                    prop_assert_eq!(consumer.pop_burst(&mut burst, max), expected.len());
                    let got: Vec<u64> = burst.iter().skip(held).map(|item| **item).collect();
                    prop_assert_eq!(&got, &expected);
                    prop_assert!(burst[..held].iter().all(|item| **item == u64::MAX));
                    popped += expected.len() as u64;
                }
            }
            highest = highest.max(model.len());
            prop_assert_eq!(gauge.read(), Reading {
                capacity: size as u64,
                pushed: next,
                popped,
                high_water: highest as u64,
            });
            prop_assert_eq!(gauge.occupancy(), model.len() as u64);
        }
    }

    #[test]
    fn a_hash_always_takes_the_same_ring_and_there_is_such_a_ring(
        hash in any::<u32>(), rings in 1_usize..=64,
    ) {
        let rings = NonZeroUsize::new(rings).unwrap();
        let (outs, _ins) = mesh::<u8>(NonZeroUsize::MIN, rings, capacity(1));
        let (again, _ins) = mesh::<u8>(NonZeroUsize::MIN, rings, capacity(1));
        prop_assert!(outs[0].route(hash) < rings.get());
        prop_assert_eq!(outs[0].route(hash), again[0].route(hash));
    }
}

#[test]
fn two_threads_move_a_million_items_without_loss_repetition_or_reordering() {
    let (mut producer, mut consumer) = channel::<u64>(capacity(64));
    let gauge = producer.gauge();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut next = 0;
            let mut burst: ArrayVec<u64, 32> = ArrayVec::new();
            while next < ITEMS || !burst.is_empty() {
                let want = 1 + (next % 32) as usize;
                while next < ITEMS && burst.len() < want {
                    burst.push(next);
                    next += 1;
                }
                if producer.push_burst(&mut burst) == 0 {
                    std::thread::yield_now();
                }
            }
        });
        let mut expected = 0;
        let mut burst: ArrayVec<u64, 32> = ArrayVec::new();
        while expected < ITEMS {
            if consumer.pop_burst(&mut burst, 17) == 0 {
                std::thread::yield_now();
            }
            for item in burst.drain(..) {
                assert_eq!(item, expected);
                expected += 1;
            }
        }
    });
    let reading = gauge.read();
    assert_eq!((reading.pushed, reading.popped), (ITEMS, ITEMS));
    assert!((1..=64).contains(&reading.high_water), "{reading:?}");
}

#[test]
fn a_mesh_keeps_every_flow_in_order_between_two_rx_and_two_graph_workers() {
    const FLOWS: u64 = 100;
    let two = NonZeroUsize::new(2).unwrap();
    let per_worker = ITEMS / 10;
    // (rx worker, flow, number within the worker)
    let (outs, ins) = mesh::<(usize, u64, u64)>(two, two, capacity(128));
    let arrived = AtomicU64::new(0);
    let received: Vec<Vec<(usize, u64, u64)>> = std::thread::scope(|scope| {
        for (worker, mut out) in outs.into_iter().enumerate() {
            scope.spawn(move || {
                for number in 0..per_worker {
                    let flow = number % FLOWS;
                    // Spread by a multiplicative hash; the high bits are the mixed ones.
                    let hash = u32::try_from(flow).unwrap().wrapping_mul(0x9e37_79b1);
                    let ring = out.route(hash);
                    let mut burst: ArrayVec<_, 1> = ArrayVec::from([(worker, flow, number)]);
                    while out.push_burst(ring, &mut burst) == 0 {
                        std::thread::yield_now();
                    }
                }
            });
        }
        let arrived = &arrived;
        let readers: Vec<_> = ins
            .into_iter()
            .map(|mut fan_in| {
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    let mut burst: ArrayVec<_, 32> = ArrayVec::new();
                    let deadline = Instant::now() + Duration::from_secs(60);
                    while arrived.load(Relaxed) < 2 * per_worker {
                        let popped = fan_in.pop_burst(&mut burst, 32);
                        arrived.fetch_add(popped as u64, Relaxed);
                        seen.extend(burst.drain(..));
                        if popped == 0 {
                            assert!(Instant::now() < deadline, "{arrived:?} arrived");
                            std::thread::yield_now();
                        }
                    }
                    seen
                })
            })
            .collect();
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });

    assert!(received.iter().all(|seen| !seen.is_empty()), "both graph workers had flows");
    assert_eq!(received.iter().map(Vec::len).sum::<usize>() as u64, 2 * per_worker);
    let mut last: BTreeMap<(usize, u64), (usize, u64)> = BTreeMap::new();
    for (graph_worker, seen) in received.iter().enumerate() {
        for &(worker, flow, number) in seen {
            if let Some((before, earlier)) = last.insert((worker, flow), (graph_worker, number)) {
                assert_eq!(before, graph_worker, "flow {flow} changed its worker");
                assert!(earlier < number, "flow {flow}: {number} after {earlier}");
            }
        }
    }
}

/// Counts the drops of each value.
#[derive(Debug)]
struct Counted<'a>(usize, &'a [AtomicU64]);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.1[self.0].fetch_add(1, Relaxed);
    }
}

#[test]
fn dropping_both_ends_frees_what_is_left_even_across_the_end_of_the_memory() {
    let drops: [AtomicU64; 12] = Default::default();
    let (mut producer, mut consumer) = channel(capacity(8));
    let gauge = producer.gauge();
    let mut burst: ArrayVec<_, 16> = (0..6).map(|n| Counted(n, &drops)).collect();
    producer.push_burst(&mut burst);
    let mut out: ArrayVec<_, 16> = ArrayVec::new();
    consumer.pop_burst(&mut out, 4);
    burst.extend((6..12).map(|n| Counted(n, &drops)));
    assert_eq!(producer.push_burst(&mut burst), 6); // slots 6, 7, 0, 1, 2, 3
    drop(out);
    let so_far: Vec<u64> = drops.iter().map(|count| count.load(Relaxed)).collect();
    assert_eq!(so_far, [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);

    drop(consumer);
    drop(producer);

    let at_end: Vec<u64> = drops.iter().map(|count| count.load(Relaxed)).collect();
    assert_eq!(at_end, [1; 12]);
    assert_eq!(gauge.occupancy(), 8, "the gauge outlives the ring and keeps its last reading");
}

#[test]
fn items_may_borrow_and_need_only_be_send() {
    let text = String::from("borrowed");
    // `Cell<&str>` is Send and not Sync.
    let (mut producer, mut consumer) = channel::<std::cell::Cell<&str>>(capacity(1));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut burst: ArrayVec<_, 1> = ArrayVec::from([std::cell::Cell::new(text.as_str())]);
            assert_eq!(producer.push_burst(&mut burst), 1);
        });
    });
    let mut out: ArrayVec<_, 1> = ArrayVec::new();
    assert_eq!(consumer.pop_burst(&mut out, 1), 1);
    assert_eq!(out[0].get(), "borrowed");
}

#[test]
fn items_without_a_size_are_counted_like_any_other() {
    let (mut producer, mut consumer) = channel::<()>(capacity(4));
    let mut burst: ArrayVec<(), 8> = [(); 8].into_iter().collect();
    assert_eq!(producer.push_burst(&mut burst), 4);
    assert_eq!(burst.len(), 4);
    let mut out: ArrayVec<(), 8> = ArrayVec::new();
    assert_eq!(consumer.pop_burst(&mut out, usize::MAX), 4);
}

#[test]
fn the_high_water_mark_is_exact_although_the_producer_works_with_an_old_head() {
    let (mut producer, mut consumer) = channel::<u8>(capacity(64));
    let mut burst: ArrayVec<u8, 8> = ArrayVec::new();
    for _ in 0..100 {
        burst.extend([0; 8]);
        producer.push_burst(&mut burst);
        let mut out: ArrayVec<u8, 8> = ArrayVec::new();
        consumer.pop_burst(&mut out, 8);
    }
    assert_eq!(producer.gauge().high_water(), 8);
    for _ in 0..3 {
        burst.extend([0; 8]);
        producer.push_burst(&mut burst);
    }
    assert_eq!(producer.gauge().high_water(), 24);
}

#[test]
fn fan_in_serves_a_quiet_ring_beside_one_that_is_always_full() {
    let (mut outs, mut ins) =
        mesh::<&str>(NonZeroUsize::new(2).unwrap(), NonZeroUsize::MIN, capacity(8));
    let mut turns_waited = 0;
    let mut quiet: ArrayVec<&str, 8> = ArrayVec::from_iter(["quiet"]);
    outs[1].push_burst(0, &mut quiet);
    loop {
        let mut busy: ArrayVec<&str, 8> = ArrayVec::from(["busy"; 8]);
        outs[0].push_burst(0, &mut busy);
        let mut out: ArrayVec<&str, 8> = ArrayVec::new();
        ins[0].pop_burst(&mut out, 4);
        if out.contains(&"quiet") {
            break;
        }
        turns_waited += 1;
        assert!(turns_waited < 2, "the quiet ring waits for at most one turn of the other");
    }
}

#[test]
fn fan_in_fills_a_burst_from_several_rings_and_stops_at_max() {
    let (mut outs, mut ins) =
        mesh::<u8>(NonZeroUsize::new(3).unwrap(), NonZeroUsize::MIN, capacity(8));
    for out in &mut outs {
        out.push_burst(0, &mut ArrayVec::<u8, 4>::from([1, 2, 3, 4]));
    }
    let mut burst: ArrayVec<u8, 32> = ArrayVec::new();
    assert_eq!(ins[0].pop_burst(&mut burst, 10), 10);
    assert_eq!(ins[0].pop_burst(&mut burst, 10), 2);
    assert_eq!(ins[0].pop_burst(&mut burst, 10), 0);
    assert_eq!(ins[0].gauges().map(|gauge| gauge.read().popped).sum::<u64>(), 12);
}

#[test]
fn flows_spread_evenly_over_a_number_of_rings_that_shares_factors_with_the_rss_table() {
    // What one of four rx queues sees: hashes whose low two bits are equal.
    let (outs, _ins) = mesh::<u8>(NonZeroUsize::MIN, NonZeroUsize::new(4).unwrap(), capacity(1));
    let mut taken = [0_u32; 4];
    for n in 0..4_000_u32 {
        taken[outs[0].route(n.wrapping_mul(0x9e37_79b1) & !3)] += 1;
    }
    assert!(taken.iter().all(|count| (900..1100).contains(count)), "{taken:?}");
}

#[test]
fn a_capacity_that_is_no_power_of_two_or_too_large_is_refused() {
    for items in [0, 3, 1000, Capacity::MAX * 2, usize::MAX] {
        assert_eq!(Capacity::new(items), Err(InvalidCapacity(items)));
    }
    assert_eq!(
        InvalidCapacity(1000).to_string(),
        "ring capacity 1000 is not a power of two between 1 and 16777216"
    );
    assert_eq!(Capacity::new(Capacity::MAX).unwrap().items(), Capacity::MAX);
}

#[test]
fn time_to_overflow_is_zero_when_full_and_nothing_when_not_filling() {
    let empty = Reading { capacity: 100, pushed: 0, popped: 0, high_water: 0 };
    let half = Reading { capacity: 100, pushed: 150, popped: 100, high_water: 50 };
    let full = Reading { capacity: 100, pushed: 200, popped: 100, high_water: 100 };
    let second = Duration::from_secs(1);

    assert_eq!(time_to_overflow(empty, half, second), Some(second));
    assert_eq!(time_to_overflow(half, full, second), Some(Duration::ZERO));
    assert_eq!(time_to_overflow(full, full, second), Some(Duration::ZERO));
    assert_eq!(time_to_overflow(half, half, second), None);
    assert_eq!(time_to_overflow(full, half, second), None, "the wrong way round");
    let drained = Reading { pushed: 210, popped: 190, ..full };
    assert_eq!(time_to_overflow(full, drained, second), None);
    assert_eq!(time_to_overflow(empty, half, Duration::ZERO), None);
}
