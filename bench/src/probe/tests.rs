//! The generator against paths whose every fault is known.

use std::{collections::BTreeSet, net::Ipv4Addr, time::Duration};

use super::{
    Frames, Pattern, Plan, Schedule, Trial,
    frame::{Route, Template},
    latency::percentile,
    run,
    synthetic::{Faults, Path, StepClock},
    validity::{Fault, Limits, faults},
};

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

fn template() -> Template {
    let route = Route {
        from: "02:00:00:00:00:01".parse().unwrap(),
        to: "02:00:00:00:00:02".parse().unwrap(),
        source: Ipv4Addr::new(198, 18, 0, 1),
        destination: Ipv4Addr::new(198, 18, 0, 2),
        first_port: 49152,
        port: 7,
        flows: 16,
    };
    Template::new(&route, 64).unwrap()
}

/// A second of 10,000 probes after 0.1 s of warming up: the numbers of the measured ones begin at 1,000.
fn plan() -> Plan {
    Plan {
        run: 7,
        warm_up: Duration::from_millis(100),
        measure: Duration::from_secs(1),
        drain: Duration::from_millis(200),
        overtime: Duration::from_millis(200),
        keep: 100,
        interval: Duration::from_millis(10),
        tagged: None,
    }
}

fn trial_with(path_faults: Faults, mut clock: StepClock) -> Trial {
    let mut path = Path::new(path_faults, &clock);
    let schedule = Schedule::new(10_000.0, Pattern::Constant).unwrap();
    run(&plan(), schedule, &mut template(), &mut path, &mut clock).unwrap()
}

fn trial(path_faults: Faults) -> Trial {
    trial_with(path_faults, StepClock::new(200))
}

fn numbers<const N: usize>(numbers: [u64; N]) -> BTreeSet<u64> {
    numbers.into_iter().collect()
}

#[test]
fn a_known_delay_is_what_is_measured() {
    let trial = trial(Faults { delay: 50 * US, ..Faults::default() });

    assert_eq!((trial.counts.sent, trial.counts.returned), (10_000, 10_000));
    assert_eq!((trial.warm_up.sent, trial.warm_up.returned), (1_000, 1_000));
    for quantile in [0.0, 0.5, 0.999, 1.0] {
        let service = trial.latency.service.value_at_quantile(quantile);
        // A turn of the loop reads the clock some times at 200 ns each.
        // Three digits: 50,000 is told as 49,984.
        assert!((49_900..53 * US).contains(&service), "{quantile}: {service}");
    }
    assert_eq!(faults(&trial, &Limits::METAL), []);
}

#[test]
fn a_devices_stamp_says_when_a_frame_was_back_and_not_when_it_was_fetched() {
    let late = Faults { delay: 50 * US, stamps: Some(30 * US), ..Faults::default() };

    let stamped = trial(late.clone());

    let at = |trial: &Trial| trial.latency.service.value_at_quantile(0.5);
    assert_eq!(stamped.counts.returned, 10_000);
    assert!((49_900..53 * US).contains(&at(&stamped)), "{}", at(&stamped));
    // The same delay without the stamps is longer by what the frames were held.
    let unstamped = trial(Faults { delay: 80 * US, stamps: None, ..late });
    assert!((79_800..83 * US).contains(&at(&unstamped)), "{}", at(&unstamped));
}

/// The demonstration of coordinated omission: a path that stops for 140 ms and takes nothing meanwhile.
#[test]
fn a_stall_is_in_the_response_times_and_not_in_the_service_times() {
    let stalled = Faults {
        delay: 20 * US,
        stall: Some((500 * MS, 140 * MS)),
        refuses: true,
        ..Faults::default()
    };

    let trial = trial(stalled);

    // 1,400 of 10,000 should have left during the stall: 14 %, so the 90th percentile waits for tens of milliseconds.
    let at = |histogram: &hdrhistogram::Histogram<u64>, p| {
        percentile(histogram, 0, p).unwrap().ns.unwrap()
    };
    let response = at(&trial.latency.response, 90.0);
    let service = at(&trial.latency.service, 90.0);
    assert!((35 * MS..45 * MS).contains(&response), "{response}");
    assert!(service < 30 * US, "{service}");
    assert_eq!(
        trial.counts.sent, 10_000,
        "what could not leave leaves later, and none is forgotten"
    );
    assert_eq!(trial.counts.lost(), 0);
}

#[test]
fn a_path_that_holds_frames_back_shows_it_in_both() {
    let holding = Faults { delay: 20 * US, stall: Some((500 * MS, 140 * MS)), ..Faults::default() };

    let trial = trial(holding);

    for histogram in [&trial.latency.response, &trial.latency.service] {
        let max = histogram.max();
        assert!((139 * MS..141 * MS).contains(&max), "{max}");
    }
    assert_eq!(trial.slowest.len(), 100);
    // The stall begins 0.4 s into the measured time, and each piece of 10 ms waits as long as is left of it.
    assert_eq!(trial.maxima.len(), 100);
    for (piece, longest) in trial.maxima.iter().enumerate() {
        let left = (54 * 10 * MS).saturating_sub(piece as u64 * 10 * MS);
        let expected = if (40..54).contains(&piece) { left } else { 20 * US };
        assert!(longest.abs_diff(expected) < 100 * US, "{piece}: {longest} {expected}");
    }
    assert!(trial.slowest.windows(2).all(|pair| pair[0].response() >= pair[1].response()));
    assert_eq!(
        trial.slowest[0].response(),
        trial.latency.response.max().min(trial.slowest[0].response())
    );
}

#[test]
fn the_probe_in_the_middle_is_followed_by_itself() {
    let tagged = |lost| {
        let mut clock = StepClock::new(200);
        let mut path = Path::new(Faults { delay: 50 * US, lost, ..Faults::default() }, &clock);
        let schedule = Schedule::new(10_000.0, Pattern::Constant).unwrap();
        let plan = Plan { tagged: Some(Duration::from_millis(500)), ..plan() };
        run(&plan, schedule, &mut template(), &mut path, &mut clock).unwrap().tagged
    };

    let flight = tagged(BTreeSet::new()).unwrap();

    // 0.1 s to warm up, then 0.5 s.
    assert_eq!(flight.intended, 600 * MS);
    assert!((50 * US..53 * US).contains(&flight.response()), "{flight:?}");
    assert_eq!(tagged(numbers([6_000])), None);
}

#[test]
fn every_fault_is_counted_exactly() {
    let trial = trial(Faults {
        delay: 5 * US,
        // The numbers before 1,000 warm up and are not measured.
        lost: numbers([3, 1_000, 4_000, 4_001, 10_999]),
        twice: numbers([2_000, 2_002]),
        late: numbers([3_000]),
        damaged: numbers([5_000]),
        ..Faults::default()
    });

    let counts = trial.counts;
    // A damaged probe is not back.
    assert_eq!((counts.sent, counts.lost(), counts.damaged), (10_000, 5, 1));
    assert_eq!((counts.duplicates, counts.unexpected, counts.foreign), (2, 0, 0));
    assert_eq!(trial.warm_up.lost(), 1);
    let p99 = percentile(&trial.latency.response, counts.lost(), 99.9).unwrap();
    assert!(p99.ns.is_some_and(|ns| ns < 10 * US));
}

#[test]
fn frames_out_of_order_are_counted() {
    // At 10,000 a second frames are 100 µs apart: one that is held for longer than that is overtaken.
    let trial =
        trial(Faults { delay: 150 * US, late: numbers([3_000, 6_000]), ..Faults::default() });

    assert_eq!((trial.counts.reordered, trial.counts.lost()), (2, 0));
}

#[test]
fn a_generator_that_stands_still_makes_the_trial_invalid_and_says_when() {
    let clock = StepClock::with_stalls(200, vec![(300 * MS, 50 * MS)]);

    let trial = trial_with(Faults { delay: 10 * US, ..Faults::default() }, clock);

    let found = faults(&trial, &Limits::METAL);
    let lateness = trial.latency.lateness.max();
    assert!(
        found.iter().any(|fault| matches!(fault, Fault::Late { .. })),
        "{found:?} {lateness} {:?}",
        trial.counts
    );
    let longest = trial.gaps.iter().map(|gap| gap.length).max().unwrap_or(0);
    assert!((49 * MS..51 * MS).contains(&longest), "{:?}", trial.gaps);
}

#[test]
fn a_generator_that_can_not_keep_up_makes_the_trial_invalid() {
    // A turn of the loop takes longer than a burst of frames should.
    let clock = StepClock::new(MS);

    let trial = trial_with(Faults::default(), clock);

    assert!(trial.counts.sent < trial.intended, "{:?}", trial.counts);
    let found = faults(&trial, &Limits::VIRTUAL);
    assert!(found.iter().any(|fault| matches!(fault, Fault::Unsent { .. })), "{found:?}");
}

/// A generator that stands still for 5 ms in which 50 probes should have left.
fn behind(path_faults: Faults) -> (Trial, Vec<(u64, usize)>) {
    let mut clock = StepClock::with_stalls(200, vec![(300 * MS, 5 * MS)]);
    let mut path = Path::new(path_faults, &clock);
    let schedule = Schedule::new(10_000.0, Pattern::Constant).unwrap();
    let trial = run(&plan(), schedule, &mut template(), &mut path, &mut clock).unwrap();
    (trial, path.calls)
}

#[test]
fn what_is_due_leaves_in_one_call_and_nothing_before_its_time() {
    let (trial, calls) = behind(Faults { delay: 10 * US, ..Faults::default() });

    assert_eq!((trial.counts.sent, trial.counts.returned, trial.refused), (10_000, 10_000, 0));
    let sizes: Vec<usize> = calls.iter().map(|(_, frames)| *frames).filter(|it| *it > 1).collect();
    assert_eq!((sizes.first(), sizes.len()), (Some(&Frames::MOST), 2), "{sizes:?}");
    assert!((48..53).contains(&sizes.iter().sum::<usize>()), "{sizes:?}");
    // Each counts from its own time: the first waited for all of the stall, the last for none of it.
    let late: Vec<u64> = trial.slowest.iter().map(|it| it.sent - it.intended).take(48).collect();
    assert!(late[0] > 4_800 * US && late[47] < 400 * US, "{late:?}");
    assert!(
        late.windows(2).all(|pair| (80..120).contains(&((pair[0] - pair[1]) / US))),
        "{late:?}"
    );
    // And what was fetched meanwhile is in the service times, which are those of the path.
    assert!(trial.latency.service.max() < 15 * US, "{}", trial.latency.service.max());
    let mut left = 0_u64;
    for (at, frames) in calls {
        left += frames as u64;
        assert!((left - 1) * 100 * US <= at + US, "{left} frames had left by {at}");
    }
}

#[test]
fn what_there_is_no_room_for_leaves_later_and_once() {
    let (trial, calls) = behind(Faults { delay: 10 * US, room: Some(3), ..Faults::default() });

    let counts = trial.counts;
    assert_eq!((counts.sent, counts.returned, counts.duplicates), (10_000, 10_000, 0));
    assert!(trial.refused > 0);
    // Once it is known how many are taken, not many more are put together.
    let wasted = calls.iter().filter(|(_, frames)| *frames > 6).count();
    assert_eq!(
        wasted,
        1,
        "{:?}",
        calls.iter().filter(|(_, frames)| *frames > 1).collect::<Vec<_>>()
    );
    let in_order = trial.counts.reordered;
    assert_eq!(in_order, 0);
}

#[test]
fn a_path_that_returns_nothing_is_waited_for_no_longer_than_planned() {
    let mut clock = StepClock::new(1_000);
    let mut path = Path::new(Faults { lost: (0..20_000).collect(), ..Faults::default() }, &clock);
    let schedule = Schedule::new(10_000.0, Pattern::Constant).unwrap();

    let trial = run(&plan(), schedule, &mut template(), &mut path, &mut clock).unwrap();

    assert_eq!((trial.counts.returned, trial.counts.lost()), (0, 10_000));
    assert_eq!(percentile(&trial.latency.response, 10_000, 50.0).unwrap().ns, None);
    let elapsed = super::Clock::now(&mut clock);
    assert!((1_300 * MS..1_310 * MS).contains(&elapsed), "{elapsed}");
}

#[test]
fn a_trial_that_a_probe_can_not_time_is_refused() {
    let long = Plan { measure: Duration::from_secs(2_000), ..plan() };
    let mut clock = StepClock::new(200);
    let mut path = Path::new(Faults::default(), &clock);
    let schedule = Schedule::new(10.0, Pattern::Constant).unwrap();

    assert!(run(&long, schedule, &mut template(), &mut path, &mut clock).is_err());
}
