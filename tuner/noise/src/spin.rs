//! Threads that do nothing but read the clock, and what they miss.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use config::{CpuId, CpuSet};
use linux::clock::{TickRate, ticks};

use crate::{CpuNoise, Gap, MeasureError, Noise, attribute, trace::Trace};

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// On which CPUs, at the same time.
    pub cpus: CpuSet,
    /// For how long.
    pub over: Duration,
    /// The least time between two readings that is a gap; eight times the shortest when it is not given.
    pub threshold: Option<Duration>,
    /// Join the gaps with what the kernel did (needs root and tracefs; costs a little noise of its own).
    pub trace: bool,
}

/// A gap of less than eight times the shortest reading is the loop itself, or a cache miss.
const TIMES: u64 = 8;
/// Readings shorter than so many ticks are counted exactly.
const SHORT: usize = 4096;
/// So many gaps of a CPU are kept with their times; more are only counted.
const KEPT: usize = 1 << 16;
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

/// What one thread counted.
#[derive(Debug)]
struct Counted {
    begin: u64,
    end: u64,
    /// How many readings were so many ticks after the one before.
    short: Vec<u64>,
    /// Longer ones, and the longest of all.
    long: u64,
    max: u64,
    gaps: u64,
    taken: u64,
    threshold: u64,
    kept: Vec<RawGap>,
}

/// Spins on every CPU at once, and says what each missed.
///
/// # Errors
/// [`MeasureError`]
pub fn spin(options: &Options) -> Result<Noise, MeasureError> {
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
                .spawn(move || count(cpu, &options, rate, &barrier))
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
    let cpus = counted.into_iter().map(|(cpu, counted)| {
        let events = events.as_ref().map(|events| events.of(cpu));
        (cpu, summary(counted, rate, events))
    });
    Ok(Noise { cpus: cpus.collect(), unattributed })
}

fn count(
    cpu: CpuId,
    options: &Options,
    rate: TickRate,
    barrier: &Barrier,
) -> Result<Counted, MeasureError> {
    let pinned = linux::thread::pin(cpu);
    // Whoever fails must not keep the others waiting.
    let mut short = vec![0_u64; SHORT];
    let mut kept = Vec::with_capacity(KEPT);
    // Touched now, so that no page is made while it counts.
    kept.resize(KEPT, RawGap { start: 0, length: 0 });
    kept.clear();
    barrier.wait();
    pinned.map_err(|source| MeasureError::Affinity { cpu, source })?;

    let threshold = match options.threshold {
        Some(threshold) => rate.from_duration(threshold).max(1),
        None => shortest().saturating_mul(TIMES),
    };
    let begin = ticks();
    let until = begin.saturating_add(rate.from_duration(options.over));
    let (mut long, mut max, mut gaps, mut taken, mut last) = (0, 0, 0_u64, 0_u64, begin);
    // Nothing here allocates, locks or calls the kernel.
    while last < until {
        let now = ticks();
        let delta = now.saturating_sub(last);
        match usize::try_from(delta).ok().and_then(|delta| short.get_mut(delta)) {
            Some(count) => *count += 1,
            None => long += 1,
        }
        if delta >= threshold {
            gaps += 1;
            taken += delta;
            max = max.max(delta);
            if kept.len() < KEPT {
                kept.push(RawGap { start: last, length: delta });
            }
        }
        last = now;
    }
    Ok(Counted { begin, end: last, short, long, max, gaps, taken, threshold, kept })
}

/// The shortest time between two readings, in ticks.
fn shortest() -> u64 {
    let mut shortest = u64::MAX;
    let mut last = ticks();
    for _ in 0..10_000 {
        let now = ticks();
        shortest = shortest.min(now.saturating_sub(last).max(1));
        last = now;
    }
    shortest
}

fn summary(counted: Counted, rate: TickRate, events: Option<attribute::Events<'_>>) -> CpuNoise {
    let p999 = counted.p999();
    let Counted { begin, end, max, gaps, taken, threshold, mut kept, .. } = counted;
    // The longest reading may be below the threshold.
    let max = max.max(p999);
    kept.sort_by_key(|gap| std::cmp::Reverse(gap.length));
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
        longest: longest.collect(),
    }
}

impl Counted {
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
            long,
            max,
            gaps: long,
            taken: 0,
            threshold: 100,
            kept: Vec::new(),
        }
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
    fn no_cpu_is_an_error() {
        let options =
            Options { cpus: CpuSet::new(), over: Duration::ZERO, threshold: None, trace: false };

        assert!(matches!(spin(&options), Err(MeasureError::TooFewCpus { .. })));
    }
}
