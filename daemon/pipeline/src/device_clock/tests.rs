//! Against a device whose clock is known.

use proptest::prelude::*;

use super::*;

/// A device beside a CPU of 3 GHz: its clock is a function of the CPU's.
#[derive(Debug, Clone, Copy)]
struct Device {
    /// Its clock when the CPU's is 0; near 2⁶⁴ it wraps around soon.
    origin: u64,
    hz: u64,
}

const HZ: u64 = 3_000_000_000;

/// So many thousandths.
fn part(whole: u64, thousandths: u64) -> u64 {
    u64::try_from(u128::from(whole) * u128::from(thousandths) / 1_000).unwrap()
}

impl Device {
    fn at(&self, ticks: u64) -> u64 {
        let device = u128::from(ticks) * u128::from(self.hz) / u128::from(HZ);
        self.origin.wrapping_add(u64::try_from(device).unwrap())
    }

    /// A reading at `ticks` that takes `width`; the device answers so many thousandths into it.
    fn read(&self, ticks: u64, width: u64, when: u64) -> Reading {
        let device = self.at(ticks + part(width, when));
        Reading { before: ticks, device, after: ticks + width }
    }
}

fn device() -> impl Strategy<Value = Device> {
    // From a microsecond counter to one at some GHz.
    let origin = prop_oneof![any::<u64>(), (0_u64..1 << 36).prop_map(|below| u64::MAX - below)];
    (origin, 1_000_000_u64..2_000_000_000).prop_map(|(origin, hz)| Device { origin, hz })
}

proptest! {
    #[test]
    fn a_steady_clock_is_converted_within_the_error_bar_also_where_it_wraps_around(
        device in device(),
        readings in proptest::collection::vec((1_u64..20_000, 0_u64..=1_000), 2..60),
        stamp in 20_u64..=2_980,
    ) {
        let (mut fit, mut clock) = new();
        let mut ticks = 20_000_000_000;
        let mut last = State::Learning;
        let mut first = 0;
        for (number, &(width, when)) in readings.iter().enumerate() {
            ticks += 300_000_000;
            last = fit.observe(device.read(ticks, width, when));
            prop_assert_ne!(last, State::Stepped);
            if number + WINDOW >= readings.len() && first == 0 {
                first = ticks;
            }
        }
        let State::Fitted { error } = last else { panic!("{last:?}") };
        clock.refresh();
        prop_assert_eq!(clock.error(), Some(error));
        // Somewhere from one span before the window to one span after it.
        let span = ticks - first;
        let at = first - span + part(span, stamp);
        let converted = clock.ticks(device.at(at)).unwrap();
        prop_assert!(converted.abs_diff(at) <= error, "{} {} {}", converted, at, error);
    }

    #[test]
    fn a_clock_that_drifts_stays_within_the_error_bar_of_a_line_through_its_readings(
        ppm in 0_u64..=200,
        is_slower: bool,
        when in 0_u64..=1_000,
    ) {
        // The rate changes by so many millionths over the span of the window, evenly.
        let span = 31 * 750_000_000_u128;
        let bent = |ticks: u64| {
            let by = u128::from(ticks) * u128::from(ticks) * u128::from(ppm) / (2 * span * 1_000_000);
            let by = u64::try_from(by).unwrap();
            if is_slower { ticks - by } else { ticks + by }
        };
        let (mut fit, mut clock) = new();
        let reading = |number: u64| {
            let ticks = number * 750_000_000;
            Reading { before: ticks - 500, device: bent(ticks), after: ticks + 500 }
        };
        for number in 1..=32 {
            prop_assert_ne!(fit.observe(reading(number)), State::Stepped);
        }
        clock.refresh();
        let error = clock.error().unwrap();
        let at = 750_000_000 + part(31 * 750_000_000, when);
        let converted = clock.ticks(bent(at)).unwrap();
        prop_assert!(converted.abs_diff(at) <= error, "{} {} {}", converted, at, error);
    }

    #[test]
    fn a_step_ends_the_line_and_a_new_one_is_as_good(
        device in device(),
        milliseconds in prop_oneof![-1_000_000_i64..-10, 10_i64..1_000_000],
    ) {
        let (mut fit, mut clock) = new();
        let mut ticks = 1_000_000_000;
        for _ in 0..10 {
            ticks += 300_000_000;
            fit.observe(device.read(ticks, 1_000, 500));
        }
        let by = device.hz.cast_signed() / 1_000 * milliseconds;
        let stepped = Device { origin: device.origin.wrapping_add_signed(by), ..device };
        ticks += 300_000_000;
        prop_assert_eq!(fit.observe(stepped.read(ticks, 1_000, 500)), State::Stepped);
        clock.refresh();
        prop_assert_eq!((clock.ticks(stepped.at(ticks)), clock.error()), (None, None));
        ticks += 300_000_000;
        let is_fitted = matches!(fit.observe(stepped.read(ticks, 1_000, 500)), State::Fitted { .. });
        prop_assert!(is_fitted);
        clock.refresh();
        let off = clock.ticks(stepped.at(ticks)).unwrap().abs_diff(ticks);
        prop_assert!(off <= clock.error().unwrap(), "{}", off);
    }

    #[test]
    fn no_readings_are_a_panic(words in proptest::collection::vec(any::<[u64; 3]>(), 0..40), stamp: u64) {
        let (mut fit, mut clock) = new();
        for [before, device, after] in words {
            fit.observe(Reading { before, device, after });
            clock.refresh();
            let _ticks = clock.ticks(stamp);
        }
    }
}

#[test]
fn a_clock_that_stands_still_is_never_fitted() {
    let (mut fit, mut clock) = new();
    for number in 0..10 {
        let ticks = number * 1_000_000;
        assert_ne!(
            std::mem::discriminant(&fit.observe(Reading {
                before: ticks,
                device: 77,
                after: ticks + 10
            })),
            std::mem::discriminant(&State::Fitted { error: 0 })
        );
    }
    clock.refresh();
    assert_eq!(clock.ticks(77), None);
}

#[test]
fn stamps_that_no_reading_is_near_are_not_converted() {
    let (mut fit, mut clock) = new();
    for ticks in [3_000_000, 6_000_000] {
        fit.observe(Reading { before: ticks - 10, device: ticks / 3, after: ticks + 10 });
    }
    clock.refresh();
    // The window is 1 000 000 … 2 000 000; a wall clock's microseconds are far from it.
    assert!(clock.ticks(0).is_some() && clock.ticks(3_000_000).is_some());
    assert_eq!((clock.ticks(3_000_001), clock.ticks(1_790_000_000_000_000)), (None, None));
}

#[test]
fn a_reader_beside_a_writer_sees_whole_lines_only() {
    let (mut fit, clock) = new();
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let reader = std::thread::spawn({
        let (mut clock, done) = (clock.clone(), Arc::clone(&done));
        move || {
            let mut seen = 0_u64;
            while !done.load(Acquire) {
                clock.refresh();
                // Every line says that the two clocks are equal, so a mixture of two lines would not.
                if let Some(line) = clock.line {
                    assert_eq!(line.at(line.to_words()[0]), Some(line.to_words()[1]), "{line:?}");
                    assert_eq!(line.to_words()[0], line.to_words()[1], "{line:?}");
                    seen += 1;
                }
            }
            seen
        }
    });
    for number in 1..200_000_u64 {
        let ticks = number * 1_000;
        fit.observe(Reading { before: ticks - 1, device: ticks, after: ticks + 1 });
    }
    done.store(true, Release);
    let seen = reader.join().unwrap();
    let mut late = clock;
    late.refresh();
    assert!(late.ticks(199_999_000).is_some(), "the last line is there; {seen} were seen before");
}
