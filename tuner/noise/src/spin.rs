//! Threads that do nothing but read the clock, and what they miss.

use std::{
    collections::BTreeMap,
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use config::{CpuId, CpuSet};
use hdrhistogram::Histogram;
use linux::{
    clock::{TickRate, ticks},
    counters::{Counters, Event, Of},
};

use crate::{CpuNoise, Gap, MeasureError, Noise, attribute, cost::Cost, trace::Trace};

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// On which CPUs, at the same time.
    pub cpus: CpuSet,
    /// For how long.
    pub over: Duration,
    /// The least time between two readings that is a gap; eight times the usual one when it is not given.
    pub threshold: Option<Duration>,
    /// Join the gaps with what the kernel did (needs root and tracefs; costs a little noise of its own).
    pub trace: bool,
}

/// A gap of less than eight times the usual reading is the loop itself, or a cache miss.
const TIMES: u64 = 8;
/// Readings shorter than so many ticks are counted exactly.
const SHORT: usize = 4096;
/// So many long gaps of a CPU are kept with their times, and so many short ones; more are only counted.
const KEPT: usize = 1 << 16;
/// Gaps from this on are kept apart from the shorter ones.
const LONG: Duration = Duration::from_micros(5);
/// So many of them are told.
const TOLD: usize = 256;

/// One gap, in ticks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawGap {
    /// The last reading before it.
    pub(crate) start: u64,
    /// How long it was.
    pub(crate) length: u64,
}

/// What spinning threads saw, in more detail than [`Noise`] keeps.
#[derive(Debug)]
pub struct Watched {
    /// The gaps.
    pub noise: Noise,
    /// By CPU: every time between two readings of the clock, in ns.
    pub readings: BTreeMap<CpuId, Histogram<u64>>,
    /// By CPU: the longest time between two readings that ended in each interval, in ns; 0 where there was none.
    pub maxima: BTreeMap<CpuId, Vec<u64>>,
    /// How long such an interval is.
    pub interval: Duration,
    /// By CPU: what spinning cost, where it could be counted.
    pub costs: BTreeMap<CpuId, Cost>,
}

/// Intervals that have a maximum.
const INTERVALS: u32 = 200;

/// What one thread counted.
#[derive(Debug)]
struct Counted {
    begin: u64,
    end: u64,
    /// How many readings were so many ticks after the one before.
    short: Vec<u64>,
    /// Longer ones, in ticks; how many they are, and the longest of all.
    longer: Histogram<u64>,
    long: u64,
    max: u64,
    /// The longest of each interval.
    maxima: Vec<u64>,
    gaps: u64,
    taken: u64,
    threshold: u64,
    kept: Vec<RawGap>,
    /// The longest gap that is not kept.
    lost_max: u64,
    cost: Cost,
}

/// Spins on every CPU at once, and says what each missed.
///
/// # Errors
/// [`MeasureError`]
pub fn spin(options: &Options) -> Result<Noise, MeasureError> {
    Ok(watch(options, None)?.noise)
}

/// The same with all that was seen. `paranoid` is `kernel.perf_event_paranoid`, for what is said where the cost of
/// spinning may not be counted.
///
/// # Errors
/// [`MeasureError`]
pub fn watch(options: &Options, paranoid: Option<i32>) -> Result<Watched, MeasureError> {
    let given = options.cpus.len();
    if given == 0 {
        return Err(MeasureError::TooFewCpus { what: "spinning", needed: 1, given });
    }
    let rate = TickRate::calibrate(Duration::from_millis(50))?;
    let trace = if options.trace { Some(Trace::start(&options.cpus)) } else { None };
    let barrier = Arc::new(Barrier::new(given));
    let threads: Vec<(CpuId, thread::JoinHandle<Result<Counted, MeasureError>>)> = options
        .cpus
        .iter()
        .map(|cpu| {
            let (options, barrier) = (options.clone(), Arc::clone(&barrier));
            let thread = thread::Builder::new()
                .name(format!("bw-noise-{cpu}"))
                .spawn(move || count(cpu, &options, rate, &barrier, paranoid))
                .map_err(|source| MeasureError::System { what: "with a thread", source })?;
            Ok((cpu, thread))
        })
        .collect::<Result<_, MeasureError>>()?;
    let mut counted = Vec::new();
    for (cpu, thread) in threads {
        counted.push((cpu, thread.join().map_err(|_| MeasureError::Died)??));
    }
    let (events, unattributed) = match trace {
        Some(Ok(trace)) => match trace.stop() {
            Ok(events) => (Some(events), None),
            Err(why) => (None, Some(why)),
        },
        Some(Err(why)) => (None, Some(why)),
        None => (None, Some("it was not asked for".to_owned())),
    };
    let mut watched = Watched {
        noise: Noise { cpus: BTreeMap::new(), unattributed },
        readings: BTreeMap::new(),
        maxima: BTreeMap::new(),
        interval: interval(options.over),
        costs: BTreeMap::new(),
    };
    for (cpu, mut counted) in counted {
        let events = events.as_ref().map(|events| events.of(cpu));
        watched.readings.insert(cpu, counted.readings(rate));
        let maxima = std::mem::take(&mut counted.maxima);
        watched.maxima.insert(cpu, maxima.into_iter().map(|ticks| rate.to_ns(ticks)).collect());
        watched.costs.insert(cpu, std::mem::take(&mut counted.cost));
        watched.noise.cpus.insert(cpu, summary(counted, rate, events));
    }
    Ok(watched)
}

fn interval(over: Duration) -> Duration {
    (over / INTERVALS).max(Duration::from_millis(1))
}

fn count(
    cpu: CpuId,
    options: &Options,
    rate: TickRate,
    barrier: &Barrier,
    paranoid: Option<i32>,
) -> Result<Counted, MeasureError> {
    let pinned = linux::thread::pin(cpu);
    // Whoever fails must not keep the others waiting.
    let mut short = vec![0_u64; SHORT];
    // Touched now, so that no page is made while it counts. Short ones do not take the place of long ones.
    let room = || {
        let mut room = vec![RawGap { start: 0, length: 0 }; KEPT];
        room.clear();
        room
    };
    let (mut kept, mut kept_short) = (room(), room());
    let long_gap = rate.from_duration(LONG);
    let mut longer = crate::histogram();
    let mut maxima = vec![0_u64; INTERVALS as usize + 1];
    let each = rate.from_duration(interval(options.over)).max(1);
    let mut counters = Counters::start(Of::ThisThread, &Event::ALL, paranoid);
    barrier.wait();
    pinned.map_err(|source| MeasureError::Affinity { cpu, source })?;

    let threshold = match options.threshold {
        Some(threshold) => rate.from_duration(threshold).max(1),
        None => usual().saturating_mul(TIMES),
    };
    counters.restart();
    let begin = ticks();
    let until = begin.saturating_add(rate.from_duration(options.over));
    let (mut long, mut max, mut gaps, mut taken, mut last) = (0, 0, 0_u64, 0_u64, begin);
    let mut lost_max = 0;
    // Nothing here allocates, locks or calls the kernel.
    while last < until {
        let now = ticks();
        let delta = now.saturating_sub(last);
        match usize::try_from(delta).ok().and_then(|delta| short.get_mut(delta)) {
            Some(count) => *count += 1,
            None => {
                long += 1;
                longer.saturating_record(delta);
            }
        }
        if delta >= threshold {
            gaps += 1;
            // Only gaps are looked up: a division for each reading would be a part of what is measured.
            let interval = usize::try_from((now - begin) / each).unwrap_or(usize::MAX);
            if let Some(longest) = maxima.get_mut(interval) {
                *longest = delta.max(*longest);
            }
            taken += delta;
            max = max.max(delta);
            let gap = RawGap { start: last, length: delta };
            match (delta >= long_gap, kept.len(), kept_short.len()) {
                (true, ..KEPT, _) => kept.push(gap),
                (false, _, ..KEPT) => kept_short.push(gap),
                _ => lost_max = delta.max(lost_max),
            }
        }
        last = now;
    }
    let cost = Cost::of(&counters.counts());
    kept.append(&mut kept_short);
    // The last interval is the end of the one before, and begins as the spinning ends.
    maxima.truncate(usize::try_from((last - begin) / each).unwrap_or(usize::MAX).max(1));
    Ok(Counted {
        begin,
        end: last,
        short,
        longer,
        long,
        max,
        maxima,
        gaps,
        taken,
        threshold,
        kept,
        lost_max,
        cost,
    })
}

/// How long two readings are apart where nothing is between them, in ticks.
fn usual() -> u64 {
    let mut apart = vec![0_u64; 10_000];
    let mut last = ticks();
    for delta in &mut apart {
        let now = ticks();
        *delta = now.saturating_sub(last);
        last = now;
    }
    median(&mut apart)
}

/// Not the least of all: the clock of a virtual machine hardly moves between some readings (one in fifty was seen), or
/// goes back, and with that for a measure every reading would be a gap.
fn median(apart: &mut Vec<u64>) -> u64 {
    apart.retain(|delta| *delta > 0);
    apart.sort_unstable();
    apart.get(apart.len() / 2).copied().unwrap_or(1)
}

fn summary(counted: Counted, rate: TickRate, events: Option<attribute::Events<'_>>) -> CpuNoise {
    let p999 = counted.p999();
    let Counted { begin, end, max, gaps, taken, threshold, mut kept, lost_max, .. } = counted;
    // The longest reading may be below the threshold.
    let max = max.max(p999);
    kept.sort_by_key(|gap| std::cmp::Reverse(gap.length));
    let untold = kept.get(TOLD).map_or(0, |gap| gap.length).max(lost_max);
    let longest = kept.iter().take(TOLD).map(|gap| Gap {
        at_ns: rate.to_ns(gap.start.saturating_sub(begin)),
        length_ns: rate.to_ns(gap.length),
        causes: events.map(|events| attribute::causes(*gap, events)).unwrap_or_default(),
    });
    #[expect(clippy::cast_precision_loss, reason = "seconds are shown with a few digits")]
    let seconds = rate.to_ns(end.saturating_sub(begin)) as f64 / 1e9;
    CpuNoise {
        seconds,
        threshold_ns: rate.to_ns(threshold),
        gaps,
        p999_ns: rate.to_ns(p999),
        max_ns: rate.to_ns(max),
        taken_ns: rate.to_ns(taken),
        untold_ns: rate.to_ns(untold),
        longest: longest.collect(),
    }
}

impl Counted {
    /// Every reading, in ns.
    fn readings(&self, rate: TickRate) -> Histogram<u64> {
        let mut readings = crate::histogram();
        let mut record = |ticks: u64, count: u64| {
            readings.saturating_record_n(rate.to_ns(ticks).max(1), count);
        };
        for (ticks, count) in self.short.iter().enumerate().filter(|(_, count)| **count > 0) {
            record(ticks as u64, *count);
        }
        for value in self.longer.iter_recorded() {
            record(value.value_iterated_to().min(self.max), value.count_since_last_iteration());
        }
        readings
    }

    /// The reading that 99.9 % are not longer than, in ticks; the longest when it is not among the short ones.
    fn p999(&self) -> u64 {
        let total = self.short.iter().sum::<u64>() + self.long;
        let wanted = total - total / 1000;
        let mut seen = 0;
        for (ticks, count) in self.short.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return ticks as u64;
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(short: &[(usize, u64)], long: u64, max: u64) -> Counted {
        let mut counts = vec![0; SHORT];
        for (ticks, count) in short {
            counts[*ticks] = *count;
        }
        Counted {
            begin: 0,
            end: 1_000_000_000,
            short: counts,
            longer: crate::histogram(),
            long,
            max,
            maxima: Vec::new(),
            gaps: long,
            taken: 0,
            threshold: 100,
            kept: Vec::new(),
            lost_max: 0,
            cost: Cost::default(),
        }
    }

    #[test]
    fn a_clock_that_stands_at_times_is_not_a_fast_one() {
        let mut apart = vec![60; 9_000];
        apart.extend([0; 500]);
        apart.extend([1; 500]);
        assert_eq!(median(&mut apart), 60);
        assert_eq!(median(&mut vec![20, 30, 90]), 30);
        assert_eq!(median(&mut vec![0]), 1);
    }

    #[test]
    fn the_percentile_is_of_all_readings() {
        assert_eq!(counted(&[(20, 999), (90, 1)], 0, 0).p999(), 20);
        assert_eq!(counted(&[(20, 998), (90, 2)], 0, 0).p999(), 90);
        assert_eq!(counted(&[(20, 100)], 100, 77_777).p999(), 77_777);
    }

    #[test]
    fn a_thread_that_spins_sees_no_more_time_than_there_is() {
        let cpus = linux::thread::affinity().unwrap();
        let over = Duration::from_millis(100);

        let noise = spin(&Options { cpus, over, threshold: None, trace: false }).unwrap();

        for noise in noise.cpus.values() {
            assert!(noise.seconds >= 0.1, "{noise:?}");
            assert!(noise.max_ns >= noise.p999_ns, "{noise:?}");
            #[expect(clippy::cast_precision_loss, reason = "compared roughly")]
            let taken = noise.taken_ns as f64 / 1e9;
            assert!(taken <= noise.seconds, "{noise:?}");
            let sorted =
                noise.longest.windows(2).all(|pair| pair[0].length_ns >= pair[1].length_ns);
            assert!(sorted && noise.longest.iter().all(|gap| gap.length_ns >= noise.threshold_ns));
        }
    }

    #[test]
    fn every_reading_is_in_the_histogram_and_every_gap_in_the_maxima() {
        let cpus = linux::thread::affinity().unwrap();
        let over = Duration::from_millis(100);

        let watched =
            watch(&Options { cpus, over, threshold: None, trace: false }, Some(2)).unwrap();

        assert_eq!(watched.interval, Duration::from_millis(1));
        for (cpu, noise) in &watched.noise.cpus {
            let (readings, maxima) = (&watched.readings[cpu], &watched.maxima[cpu]);
            assert!(readings.len() > noise.gaps, "{noise:?}");
            // A histogram of three digits, of another of three digits.
            let longest = readings.max();
            assert!(longest >= noise.max_ns - noise.max_ns / 400, "{longest} {noise:?}");
            assert!(longest <= noise.max_ns + noise.max_ns / 400 + 1, "{longest} {noise:?}");
            assert!(maxima.len() >= 100, "{}", maxima.len());
            let greatest = maxima.iter().copied().max().unwrap();
            assert!(greatest <= noise.max_ns, "{greatest} {noise:?}");
            assert_eq!(watched.costs[cpu].counted.len() + watched.costs[cpu].unknown.len(), 10);
        }
    }

    #[test]
    fn long_readings_keep_their_number_and_are_not_longer_than_the_longest() {
        let mut counted = counted(&[(20, 5)], 2, 1_000_003);
        counted.longer.record_n(1_000_003, 2).unwrap();

        let readings = counted.readings(TickRate::from_hz(1_000_000_000).unwrap());

        assert_eq!(readings.len(), 7);
        assert_eq!(readings.count_between(20, 20), 5);
        assert_eq!(readings.count_at(1_000_003), 2);
    }

    #[test]
    fn no_cpu_is_an_error() {
        let options =
            Options { cpus: CpuSet::new(), over: Duration::ZERO, threshold: None, trace: false };

        assert!(matches!(spin(&options), Err(MeasureError::TooFewCpus { .. })));
    }
}
