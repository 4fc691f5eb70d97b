use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;

/// A stall whose fields all follow from its number, so that a mixture of two is recognised.
fn stall(number: u64) -> Stall {
    let low = u32::try_from(number).unwrap();
    Stall {
        at_tick: number * 3,
        length_ticks: number * 5,
        worker: low * 7,
        pending: low * 11,
        saturated: number.is_multiple_of(2),
        sequence: number,
    }
}

#[test]
fn a_continued_log_remembers_what_it_has_room_for_and_counts_on() {
    for (capacity, kept) in [(8, 5_u64), (2, 2)] {
        let (mut first, before) = new(5);
        (0..9).for_each(|number| first.push(stall(number)));
        drop(first);
        let (mut second, after) = continued(capacity, &before);
        assert_eq!(after.count(), 9);
        second.push(stall(9));
        let read = after.read(0);
        let oldest = 10 - (kept + 1).min(capacity as u64);
        assert_eq!(read.stalls, (oldest..10).map(stall).collect::<Vec<_>>());
        assert_eq!((read.lost, read.next), (oldest, 10));
        assert_eq!(after.read(9).stalls, [stall(9)]);
    }
    let (_, empty) = new(4);
    assert_eq!(continued(4, &empty).1.count(), 0);
}

proptest! {
    #[test]
    fn a_reader_gets_the_last_ones_in_order_and_the_number_of_the_others(
        capacity in 1..20_usize,
        writes in proptest::collection::vec(0..30_u64, 1..10),
    ) {
        let (mut log, reader) = new(capacity);
        let (mut written, mut place) = (0, 0);
        for count in writes {
            for _ in 0..count {
                log.push(stall(written));
                written += 1;
            }
            let read = reader.read(place);
            let kept = count.min(capacity as u64);
            prop_assert_eq!(read.lost, count - kept);
            let expected: Vec<_> = (written - kept..written).map(stall).collect();
            prop_assert_eq!(read.stalls, expected);
            place = read.next;
        }
        prop_assert_eq!(reader.count(), written);
    }
}

#[test]
fn a_place_beyond_the_end_reads_nothing() {
    let (mut log, reader) = new(4);
    log.push(stall(0));
    assert_eq!(reader.read(9), StallsRead { stalls: vec![], lost: 0, next: 1 });
}

#[test]
fn a_reader_beside_a_running_worker_sees_whole_stalls_only_and_misses_none_silently() {
    const STALLS: u64 = if cfg!(miri) { 200 } else { 100_000 };
    let (mut log, reader) = new(8);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            (0..STALLS).for_each(|number| log.push(stall(number)));
            done.store(true, Release);
        });
        let (mut place, mut seen) = (0, 0);
        loop {
            let is_last = done.load(Acquire);
            let read = reader.read(place);
            for found in &read.stalls {
                assert_eq!(*found, stall(found.sequence));
            }
            assert!(read.stalls.is_sorted_by_key(|found| found.sequence));
            seen += read.stalls.len() as u64 + read.lost;
            place = read.next;
            if is_last {
                break;
            }
        }
        assert_eq!((seen, place), (STALLS, STALLS));
    });
}
