//! Which of the slow probes were caught in a gap of somebody's loop. Pure.
//!
//! ```text
//!  probe      intended ──────────────── back
//!  worker        ·  ·  ·[    gap    ]·  ·  ·        both on one clock, so one comparison decides
//! ```

pub use bench_result::attribution::{Attribution, Cause, Overlap, Who};

use crate::probe::{gaps::Gap, run::Flight};

/// A loop and when it stood still, in ns of the trial.
#[derive(Debug, Clone)]
pub struct Loop {
    who: Who,
    cpu: u32,
    /// By when they began.
    gaps: Vec<(Gap, Cause)>,
}

/// The timers that Linux is built with, the slowest first (Kconfig, `HZ_100` to `HZ_1000`).
const TIMERS_HZ: [u64; 4] = [100, 250, 300, 1000];

/// A tick's own work takes microseconds. Who is away for longer was sent away by it, for somebody else.
const LONGEST_TICK: u64 = 200_000;

/// Fewer gaps have no rhythm.
const LEAST: usize = 8;

impl Loop {
    /// Its gaps, in any order.
    #[must_use]
    pub fn new(who: Who, cpu: u32, mut gaps: Vec<Gap>) -> Self {
        gaps.sort_unstable_by_key(|gap| gap.at);
        let causes = causes(&gaps);
        Self { who, cpu, gaps: gaps.into_iter().zip(causes).collect() }
    }

    /// The causes of the gaps that a flight overlaps, each once.
    fn met(&self, flight: &Flight) -> impl Iterator<Item = Cause> {
        let first = self.gaps.partition_point(|(gap, _)| gap.at + gap.length <= flight.intended);
        let met = self.gaps[first..].iter().take_while(|(gap, _)| gap.at < flight.back);
        let mut found: Vec<Cause> = met.map(|(_, cause)| *cause).collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter()
    }
}

/// Each gap's cause: the timer's begin at one place of its period, so most of the gaps do when it is the timer.
fn causes(gaps: &[Gap]) -> Vec<Cause> {
    let short: Vec<u64> =
        gaps.iter().filter(|gap| gap.length < LONGEST_TICK).map(|gap| gap.at).collect();
    let found = TIMERS_HZ.iter().find_map(|hz| {
        let period = 1_000_000_000 / hz;
        Some((period, phase(&short, period)?))
    });
    let cause = |gap: &Gap| match found {
        Some((period, phase))
            if gap.length < LONGEST_TICK && after(gap.at, phase, period) < period / 40 =>
        {
            Cause::Tick
        }
        _ => Cause::Other,
    };
    gaps.iter().map(cause).collect()
}

/// How long after this place of the period.
fn after(at: u64, phase: u64, period: u64) -> u64 {
    (at % period + period - phase) % period
}

/// Where in the period at least two fifths of these begin within a fortieth of it, if anywhere.
fn phase(times: &[u64], period: u64) -> Option<u64> {
    if times.len() < LEAST {
        return None;
    }
    let mut places: Vec<u64> = times.iter().map(|at| at % period).collect();
    places.sort_unstable();
    let count = places.len();
    let mut last = 0;
    let mut best = (0, 0);
    for first in 0..count {
        // The window may go around the end of the period.
        last = last.max(first);
        while last + 1 < first + count
            && after(places[(last + 1) % count], places[first], period) < period / 40
        {
            last += 1;
        }
        best = best.max((last - first + 1, places[first]));
    }
    let (inside, place) = best;
    (inside * 5 >= count * 2).then_some(place)
}

/// What the slowest probes were caught in; `None` of no probes.
#[must_use]
pub fn attribute(slowest: &[Flight], loops: &[Loop]) -> Option<Attribution> {
    if slowest.is_empty() {
        return None;
    }
    let mut found = Attribution { probes: 0, unexplained: 0, by: Vec::new() };
    for flight in slowest {
        let met = loops.iter().flat_map(|own| {
            own.met(flight).map(|cause| Overlap { who: own.who, cpu: own.cpu, cause, probes: 1 })
        });
        let by: Vec<Overlap> = met.collect();
        let unexplained = u64::from(by.is_empty());
        found.add(&Attribution { probes: 1, unexplained, by });
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const US: u64 = 1_000;
    const MS: u64 = 1_000_000;

    fn flight(intended: u64, back: u64) -> Flight {
        Flight { intended, sent: intended, back }
    }

    #[test]
    fn a_probe_is_caught_by_a_gap_that_it_overlaps_and_by_no_other() {
        let gap = |at, length| Gap { at, length };
        let worker = Loop::new(Who::Worker(0), 1, vec![gap(300, 50), gap(100, 50)]);
        let generator = Loop::new(Who::Generator, 0, vec![gap(320, 10)]);
        // Before, touching, inside, around, between.
        let flights = [(0, 100), (150, 300), (110, 120), (290, 400), (50, 101), (200, 250)];
        let flights: Vec<Flight> = flights.into_iter().map(|(a, b)| flight(a, b)).collect();

        let found = attribute(&flights, &[worker, generator]).unwrap();

        let by = |who, cpu, probes| Overlap { who, cpu, cause: Cause::Other, probes };
        assert_eq!((found.probes, found.unexplained), (6, 3));
        assert_eq!(found.by, [by(Who::Worker(0), 1, 3), by(Who::Generator, 0, 1)]);
        assert_eq!(attribute(&[], &[]), None);
    }

    #[test]
    fn gaps_in_the_rhythm_of_a_timer_are_ticks_unless_they_are_long() {
        for hz in TIMERS_HZ {
            let period = 1_000_000_000 / hz;
            let mut gaps: Vec<Gap> =
                (1..40).map(|n| Gap { at: n * period - 3 * US, length: 9 * US }).collect();
            gaps.push(Gap { at: 50 * period - 3 * US, length: 4 * MS });
            gaps.push(Gap { at: 7 * period + period / 2, length: 9 * US });
            gaps.sort_by_key(|gap| gap.at);

            let found = causes(&gaps);

            let others: Vec<&Gap> = gaps
                .iter()
                .zip(&found)
                .filter(|(_, cause)| **cause == Cause::Other)
                .map(|(gap, _)| gap)
                .collect();
            assert_eq!(others.len(), 2, "{hz}: {others:?}");
            assert!(others[0].at % period > period / 4 && others[1].length == 4 * MS, "{hz}");
        }
    }

    #[test]
    fn gaps_without_rhythm_are_no_ticks() {
        let mut random = fastrand::Rng::with_seed(3);
        let gaps: Vec<Gap> =
            (0..200).map(|_| Gap { at: random.u64(..1_000 * MS), length: 5 * US }).collect();
        assert!(causes(&gaps).iter().all(|cause| *cause == Cause::Other));
        assert!(causes(&gaps[..3]).iter().all(|cause| *cause == Cause::Other));
    }

    proptest! {
        #[test]
        fn every_slow_probe_is_explained_or_not(
            flights in prop::collection::vec((0..1_000_u64, 0..100_u64), 1..50),
            gaps in prop::collection::vec((0..1_000_u64, 1..50_u64), 0..50),
        ) {
            let flights: Vec<Flight> = flights.into_iter().map(|(at, took)| flight(at, at + took)).collect();
            let gaps: Vec<Gap> = gaps.into_iter().map(|(at, length)| Gap { at, length }).collect();
            // One after the other, as the gaps of one loop are.
            let mut end = 0;
            let apart: Vec<Gap> = gaps
                .iter()
                .map(|gap| {
                    end += gap.length + gap.at % 7;
                    Gap { at: end - gap.length, length: gap.length }
                })
                .collect();
            let caught = flights
                .iter()
                .filter(|it| apart.iter().any(|gap| gap.at < it.back && it.intended < gap.at + gap.length))
                .count() as u64;

            let found = attribute(&flights, &[Loop::new(Who::Generator, 0, apart)]).unwrap();

            prop_assert_eq!(found.probes, flights.len() as u64);
            prop_assert_eq!(found.probes - found.unexplained, caught);
        }
    }
}
