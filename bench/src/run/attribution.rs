//! Which of the slow probes were caught in a gap of somebody's loop, and of what cause. Pure.
//!
//! barewired says what the kernel has counted around each of its gaps; where that is one thing, it is the cause. Of the other
//! gaps, and of the generator's, the rhythm tells those of the timer.
//!
//! ```text
//!  probe      intended ──────────────── back
//!  worker        ·  ·  ·[    gap    ]·  ·  ·        both on one clock, so one comparison decides
//! ```

pub use bench_result::attribution::{Attribution, Cause, KnownBy, Overlap, Who};

use api::{EventKind, KernelEvent, Verdict};

use crate::probe::{gaps::Gap, run::Flight};

/// A loop and when it stood still, in ns of the trial.
#[derive(Debug, Clone)]
pub struct Loop {
    who: Who,
    cpu: u32,
    /// By when they began.
    gaps: Vec<(Gap, Cause, KnownBy)>,
}

/// A gap, and its cause if somebody has counted what happened in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standstill {
    /// When, in ns of the trial.
    pub gap: Gap,
    /// What the kernel's counters say.
    pub counted: Option<Cause>,
}

impl From<Gap> for Standstill {
    fn from(gap: Gap) -> Self {
        Self { gap, counted: None }
    }
}

/// The cause of a gap of this length, if what was counted around it is one: not if it may be any of several, or of another
/// gap in the same window.
#[must_use]
pub fn counted(meanwhile: &api::Meanwhile, length_ns: u64) -> Option<Cause> {
    match meanwhile.verdict {
        Verdict::Cause => {
            let first = meanwhile.events.first()?;
            // What the counted time leaves of all gaps in the window is too short to be this one.
            let left = first.time_ns.map_or(0, |time| meanwhile.stalled_ns.saturating_sub(time));
            (length_ns > left).then(|| cause(first))
        }
        Verdict::Suspects => None,
        Verdict::Nothing => Some(Cause::Uncounted),
    }
}

fn cause(event: &KernelEvent) -> Cause {
    let name = &event.name;
    match event.kind {
        EventKind::Preempted => Cause::Preempted,
        EventKind::Stolen => Cause::Stolen,
        EventKind::Waited => Cause::Waited,
        EventKind::MajorFault => Cause::MajorFault,
        EventKind::MinorFault => Cause::MinorFault,
        // What x86 calls the local timer, and what it leaves to do.
        EventKind::Interrupt if name.starts_with("LOC ") => Cause::Tick,
        EventKind::Softirq if name == "TIMER" => Cause::Tick,
        EventKind::Interrupt => Cause::Interrupt(name.clone()),
        EventKind::Softirq => Cause::Softirq(name.clone()),
    }
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
    pub fn new(who: Who, cpu: u32, mut all: Vec<Standstill>) -> Self {
        all.sort_unstable_by_key(|it| it.gap.at);
        let gaps: Vec<Gap> = all.iter().map(|it| it.gap).collect();
        let known = all.into_iter().zip(causes(&gaps)).map(|(it, by_rhythm)| match it.counted {
            Some(cause) => (it.gap, cause, KnownBy::Counters),
            None => (it.gap, by_rhythm, KnownBy::Rhythm),
        });
        Self { who, cpu, gaps: known.collect() }
    }

    /// The causes of the gaps that a flight overlaps, each once.
    fn met(&self, flight: &Flight) -> impl Iterator<Item = (&Cause, KnownBy)> {
        let first = self.gaps.partition_point(|(gap, ..)| gap.at + gap.length <= flight.intended);
        let met = self.gaps[first..].iter().take_while(|(gap, ..)| gap.at < flight.back);
        let mut found: Vec<_> = met.map(|(_, cause, known_by)| (cause, *known_by)).collect();
        found.sort_unstable();
        found.dedup();
        found.into_iter()
    }
}

/// Each gap's cause by its rhythm: the timer's begin at one place of its period, so most of the gaps do when it is the timer.
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
            own.met(flight).map(|(cause, known_by)| {
                let (who, cpu, cause) = (own.who, own.cpu, cause.clone());
                Overlap { who, cpu, cause, known_by, probes: 1 }
            })
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
        let gap = |at, length| Gap { at, length }.into();
        let worker = Loop::new(Who::Worker(0), 1, vec![gap(300, 50), gap(100, 50)]);
        let generator = Loop::new(Who::Generator, 0, vec![gap(320, 10)]);
        // Before, touching, inside, around, between.
        let flights = [(0, 100), (150, 300), (110, 120), (290, 400), (50, 101), (200, 250)];
        let flights: Vec<Flight> = flights.into_iter().map(|(a, b)| flight(a, b)).collect();

        let found = attribute(&flights, &[worker, generator]).unwrap();

        let (cause, known_by) = (Cause::Other, KnownBy::Rhythm);
        let by = |who, cpu, probes| Overlap { who, cpu, cause: cause.clone(), known_by, probes };
        assert_eq!((found.probes, found.unexplained), (6, 3));
        assert_eq!(found.by, [by(Who::Worker(0), 1, 3), by(Who::Generator, 0, 1)]);
        assert_eq!(attribute(&[], &[]), None);
    }

    fn meanwhile(verdict: Verdict, events: &[(EventKind, &str)]) -> api::Meanwhile {
        let events = events.iter().map(|(kind, name)| KernelEvent {
            kind: *kind,
            name: (*name).to_owned(),
            count: 3,
            time_ns: None,
        });
        let events = events.collect();
        api::Meanwhile { window_ns: 9, stalls: 1, stalled_ns: 5, verdict, events, unlisted: 0 }
    }

    #[test]
    fn one_thing_that_was_counted_is_the_cause_and_several_are_none() {
        let timer = (EventKind::Interrupt, "LOC Local timer interrupts");
        let disk = (EventKind::Interrupt, "34 nvme0q3");
        for (verdict, events, wanted) in [
            (Verdict::Cause, vec![timer, disk], Some(Cause::Tick)),
            (Verdict::Cause, vec![(EventKind::Softirq, "TIMER")], Some(Cause::Tick)),
            (Verdict::Cause, vec![disk], Some(Cause::Interrupt("34 nvme0q3".to_owned()))),
            (
                Verdict::Cause,
                vec![(EventKind::Softirq, "RCU")],
                Some(Cause::Softirq("RCU".to_owned())),
            ),
            (Verdict::Cause, vec![(EventKind::Preempted, "")], Some(Cause::Preempted)),
            (Verdict::Cause, vec![(EventKind::Stolen, "")], Some(Cause::Stolen)),
            (Verdict::Cause, vec![(EventKind::Waited, "")], Some(Cause::Waited)),
            (Verdict::Cause, vec![(EventKind::MajorFault, "")], Some(Cause::MajorFault)),
            (Verdict::Cause, vec![(EventKind::MinorFault, "")], Some(Cause::MinorFault)),
            (Verdict::Cause, vec![], None),
            (Verdict::Suspects, vec![timer, disk], None),
            (Verdict::Nothing, vec![], Some(Cause::Uncounted)),
        ] {
            assert_eq!(counted(&meanwhile(verdict, &events), 5), wanted, "{verdict:?} {events:?}");
        }
    }

    #[test]
    fn the_cause_of_a_long_gap_is_not_that_of_a_short_one_beside_it() {
        let mut both = meanwhile(Verdict::Cause, &[(EventKind::Preempted, "")]);
        // 20 ms and 10 µs, of which the kernel says that the worker waited for all but 30 µs.
        both.stalled_ns = 20 * MS + 10 * US;
        both.events[0].time_ns = Some(20 * MS - 20 * US);

        assert_eq!(counted(&both, 20 * MS), Some(Cause::Preempted));
        assert_eq!(counted(&both, 30 * US), None);
        assert_eq!(counted(&both, 30 * US + 1), Some(Cause::Preempted));
    }

    #[test]
    fn what_was_counted_goes_before_the_rhythm_which_is_for_the_rest() {
        let period = 1_000_000_000 / 250;
        let mut gaps: Vec<Standstill> =
            (0..20).map(|n| Gap { at: n * period, length: 9 * US }.into()).collect();
        gaps[3].counted = Some(Cause::Interrupt("34 nvme0q3".to_owned()));
        gaps[4].counted = Some(Cause::Tick);
        let worker = Loop::new(Who::Worker(1), 1, gaps);
        // In the gaps 3, 4, 5 and 5 once more.
        let flights: Vec<Flight> =
            [3, 4, 5, 5].map(|n| flight(n * period, n * period + US)).to_vec();

        let found = attribute(&flights, &[worker]).unwrap();

        let by = |cause, known_by, probes| Overlap {
            who: Who::Worker(1),
            cpu: 1,
            cause,
            known_by,
            probes,
        };
        assert_eq!(
            found.by,
            [
                by(Cause::Interrupt("34 nvme0q3".to_owned()), KnownBy::Counters, 1),
                by(Cause::Tick, KnownBy::Counters, 1),
                by(Cause::Tick, KnownBy::Rhythm, 2),
            ]
        );
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

            let found = attribute(&flights, &[Loop::new(Who::Generator, 0, apart.iter().copied().map(Into::into).collect())]).unwrap();

            prop_assert_eq!(found.probes, flights.len() as u64);
            prop_assert_eq!(found.probes - found.unexplained, caught);
        }
    }
}
