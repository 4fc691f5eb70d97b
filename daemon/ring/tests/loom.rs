//! Every interleaving of two threads on a small ring, under loom's memory model:
//! `CARGO_TARGET_DIR=target/loom RUSTFLAGS="--cfg loom" cargo test -p ring --release --test loom`
#![cfg(loom)]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use arrayvec::ArrayVec;
use ring::{Capacity, channel};

/// Counts its drops in a counter that loom does not see, so it adds no interleavings.
struct Counted {
    value: usize,
    drops: Arc<AtomicUsize>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.drops.fetch_add(1, SeqCst);
    }
}

fn push_all(producer: &mut ring::Producer<Counted>, mut burst: ArrayVec<Counted, 4>) {
    while !burst.is_empty() {
        if producer.push_burst(&mut burst) == 0 {
            loom::thread::yield_now();
        }
    }
}

fn burst(drops: &Arc<AtomicUsize>, values: std::ops::Range<usize>) -> ArrayVec<Counted, 4> {
    values.map(|value| Counted { value, drops: Arc::clone(drops) }).collect()
}

#[test]
fn every_item_arrives_once_and_in_order() {
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut producer, mut consumer) = channel(Capacity::new(2).unwrap());
        let items = Arc::clone(&drops);
        let pushing = loom::thread::spawn(move || {
            push_all(&mut producer, burst(&items, 0..3));
            push_all(&mut producer, burst(&items, 3..4));
        });

        let mut seen = Vec::new();
        while seen.len() < 4 {
            let mut out: ArrayVec<Counted, 4> = ArrayVec::new();
            if consumer.pop_burst(&mut out, 2) == 0 {
                loom::thread::yield_now();
            }
            seen.extend(out.iter().map(|item| item.value));
        }
        pushing.join().unwrap();

        assert_eq!(seen, [0, 1, 2, 3]);
        drop(consumer);
        assert_eq!(drops.load(SeqCst), 4, "each item is dropped once");
    });
}

#[test]
fn whichever_end_goes_last_frees_what_is_left_exactly_once() {
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut producer, mut consumer) = channel(Capacity::new(2).unwrap());
        let items = Arc::clone(&drops);
        let pushing = loom::thread::spawn(move || {
            let mut first = burst(&items, 0..3);
            let taken = producer.push_burst(&mut first);
            let mut second = burst(&items, 3..4);
            taken + producer.push_burst(&mut second)
        });
        let mut out: ArrayVec<Counted, 4> = ArrayVec::new();
        let popped = consumer.pop_burst(&mut out, 1);
        drop(consumer);
        let pushed = pushing.join().unwrap();

        assert!(popped <= pushed, "{popped} popped of {pushed}");
        assert_eq!(drops.load(SeqCst) + out.len(), 4, "{pushed} pushed, {popped} popped");
    });
}

#[test]
fn a_gauge_never_sees_more_popped_than_pushed_nor_a_mark_below_the_occupancy() {
    loom::model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut producer, mut consumer) = channel(Capacity::new(2).unwrap());
        let gauge = producer.gauge();
        let items = Arc::clone(&drops);
        let pushing = loom::thread::spawn(move || {
            producer.push_burst(&mut burst(&items, 0..1));
            producer.push_burst(&mut burst(&items, 1..3));
        });
        let popping = loom::thread::spawn(move || {
            let mut out: ArrayVec<Counted, 4> = ArrayVec::new();
            consumer.pop_burst(&mut out, 2);
        });

        let reading = gauge.read();
        assert!(reading.popped <= reading.pushed, "{reading:?}");
        assert!(reading.high_water <= reading.capacity, "{reading:?}");
        assert!(reading.occupancy() <= reading.high_water, "{reading:?}");
        assert!(reading.pushed == 0 || reading.high_water > 0, "{reading:?}");
        pushing.join().unwrap();
        popping.join().unwrap();
    });
}
