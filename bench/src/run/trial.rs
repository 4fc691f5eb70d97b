//! One trial, and whether it counts.

use std::{collections::BTreeMap, io, time::Duration};

pub use bench_result::trial::{Cell, Gaps, HardwareStamps, Invalid, PERCENTILES, Trial};
use distribution::encode;
use hdrhistogram::Histogram;
use linux::Root;

use super::{
    arm::{Group, Waits},
    attribution::{Loop, Standstill, Who, attribute},
    counters::{self, Counters},
    first::{self, First},
    link::{self, Cabling},
    plan::{GroupPlan, Member, Plan},
    standing::{Standing, Worker, stood_still},
    start::{Lab, Running},
};
use crate::{
    interrupt::Interrupt,
    peer::case::Cpus,
    probe::{
        self, Frames, Latency, Schedule, Take, Wire,
        clock::Counter,
        frame::{FrameError, Template},
        gaps::Gap,
        latency::percentile,
        run::RunError,
        schedule::ScheduleError,
        validity::{self, Limits},
    },
    program::ProgramError,
};

/// The share of a trial that the hypervisor, or somebody else on the path's CPU, may have taken.
const STOLEN: f64 = 0.01;

/// Why there is no trial.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The path does not tell of its stalls.
    #[error(transparent)]
    Path(#[from] ProgramError),
    /// The wire broke, or the plan is impossible.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The kernel's counters can not be read.
    #[error("the kernel's counters can not be read")]
    Counters(#[from] linux::ReadError),
    /// Our socket can not be asked.
    #[error("our socket can not be asked what came")]
    Socket(#[from] io::Error),
    /// No loads to search in.
    #[error("there are no loads between the least and the most")]
    Loads,
    /// No such schedule.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// No such frames.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Where a trial stands in its run.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The block.
    pub block: usize,
    /// Load and size.
    pub cell: Cell,
    /// Invalid ones before it.
    pub attempt: usize,
    /// Its number in the run: probes carry it.
    pub number: u16,
    /// When it begins, in seconds of the run.
    pub at_s: f64,
}

/// Makes one.
///
/// # Errors
/// [`TrialError`]
pub fn make(
    lab: &Lab,
    running: &mut Running<'_>,
    plan: &Plan,
    group: &GroupPlan,
    clock: &mut Counter,
    place: Place,
) -> Result<Trial, TrialError> {
    let member = running.started.member;
    let route = link::probes(lab.external.as_ref(), group.kind, member.arm, group.flows);
    let mut template = match &group.mix {
        Some(mix) => Template::mixed(&route, &mix.sizes())?,
        None => Template::new(&route, place.cell.size)?,
    };
    let schedule = Schedule::new(place.cell.load, group.spacing.clone())?;
    let what = what(plan, place.number, &schedule);
    let Cpus { measured, other } = lab.cpus;
    let inside = running.inside();
    let read = || counters::read(&lab.root, inside, measured, other);
    let stalls = running.work.stalls(None)?;
    let bursts = running.work.bursts()?;
    running.wire.flush()?;
    let threads = match member.arm.waits() {
        Waits::Spinning => running.threads(&lab.root, measured),
        // Who sleeps waits a little at each wake-up, and that is its own doing.
        Waits::Sleeping | Waits::Inline | Waits::Unknown => Vec::new(),
    };
    // Who waits before it goes first, or after, does not wait in the trial.
    let first = plan.is_first.then(|| First::hold(&lab.root, running, measured));
    let waited = waited_ns(&lab.root, &threads);
    let before = read()?;
    let made = running.wire.with(|wire| {
        let mut watched = Watched { wire, interrupt: &lab.interrupt };
        probe::run(&what, schedule, &mut template, &mut watched, clock)
    })?;
    let counters = read()?.since(&before);
    let waited = waited_ns(&lab.root, &threads).saturating_sub(waited);
    drop(first);
    let arrivals = running.wire.arrivals()?;
    let bursts = bursts.zip(running.work.bursts()?);
    if plan.is_first {
        lab.interrupt.pass(plan.trial() / first::PAUSE).map_err(ProgramError::from)?;
    }
    let workers = match stalls {
        Some(before) => stood_still(lab, running, &before.next, clock, made.begin)?,
        None => Vec::new(),
    };

    let cabling = link::cabling(group.kind, member.arm);
    let mut faults = faults(&made, &counters, arrivals, cabling, &plan.limits.limits());
    let taken = plan.trial().as_secs_f64() * STOLEN;
    if ticks_as_s(counters.stolen_ticks) > taken {
        faults.push(Invalid::Stolen { ms: counters.stolen_ticks * 10 });
    }
    if float(waited) / 1e9 > taken {
        faults.push(Invalid::Waited { ms: waited / 1_000_000 });
    }
    let gaps = Standing { workers, is_told: running.work.tells_stalls(), generator: other };
    let mut trial =
        record(running.started.group, member, place, made, faults, counters, arrivals, &gaps);
    trial.interval_ms = interval_ms(plan.measure_ms);
    trial.path_bursts = bursts.map(|(before, after)| since(&before, &after));
    stamped(&mut trial, running.wire.stamped());
    Ok(trial)
}

/// How well the device stamped what came back, where it does.
fn stamped(trial: &mut Trial, found: Option<(u64, u64, u64)>) {
    let Some((stamped, unstamped, error_ns)) = found else { return };
    trial.hardware = Some(HardwareStamps { stamped, unstamped, error_ns });
    if unstamped > 0 {
        trial.faults.push(Invalid::Unstamped { frames: unstamped });
    }
}

/// Polls that returned frames, by how many, between two readings.
fn since(before: &[u64], after: &[u64]) -> BTreeMap<usize, u64> {
    let before = before.iter().copied().chain(std::iter::repeat(0));
    let polls = after.iter().zip(before).map(|(after, before)| after.saturating_sub(before));
    polls.enumerate().skip(1).filter(|(_, polls)| *polls > 0).collect()
}

/// What the generator is to do.
fn what(plan: &Plan, number: u16, schedule: &Schedule) -> probe::Plan {
    let [warm_up, measure, drain, interval] =
        [plan.warm_up_ms, plan.measure_ms, plan.drain_ms, interval_ms(plan.measure_ms)]
            .map(Duration::from_millis);
    let keep = thousandth(schedule.frames_in(measure));
    probe::Plan {
        run: number,
        warm_up,
        measure,
        drain,
        overtime: drain,
        keep,
        interval,
        tagged: None,
    }
}

/// How long these threads have waited for a CPU since they began: the second number of `schedstat`
/// (Documentation/scheduler/sched-stats.rst).
fn waited_ns(root: &Root, threads: &[u32]) -> u64 {
    let of = |thread: &u32| {
        let text = root.text(&format!("proc/{thread}/schedstat")).ok()?;
        text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()
    };
    threads.iter().filter_map(of).sum()
}

/// Pieces of 10 ms, and no more than a thousand.
fn interval_ms(measure_ms: u64) -> u64 {
    measure_ms.div_ceil(1000).max(10)
}

fn gaps_of<'g>(all: impl Iterator<Item = &'g Gap> + Clone, missed: u64) -> (Gaps, String) {
    let mut lengths = Latency::default().response;
    for gap in all.clone() {
        lengths.saturating_record(gap.length.max(1));
    }
    let gaps = Gaps {
        count: lengths.len() + missed,
        total_ns: all.clone().map(|gap| gap.length).sum(),
        longest_ns: all.map(|gap| gap.length).max().unwrap_or(0),
    };
    (gaps, encode(&lengths))
}

/// A wire that breaks when somebody wants us to end: a trial may take minutes.
pub(super) struct Watched<'a> {
    pub(super) wire: &'a mut dyn Wire,
    pub(super) interrupt: &'a Interrupt,
}

impl Wire for Watched<'_> {
    fn send(&mut self, frames: &Frames) -> io::Result<usize> {
        self.wire.send(frames)
    }

    fn receive(&mut self, take: &mut Take<'_>) -> io::Result<usize> {
        self.interrupt.check().map_err(io::Error::other)?;
        self.wire.receive(take)
    }
}

fn thousandth(probes: u64) -> usize {
    usize::try_from(probes / 1000).unwrap_or(usize::MAX).clamp(1, 100_000)
}

fn faults(
    made: &probe::Trial,
    counters: &Counters,
    arrivals: (u64, u64),
    cabling: Cabling,
    limits: &Limits,
) -> Vec<Invalid> {
    let mut faults: Vec<Invalid> =
        validity::faults(made, limits).into_iter().map(Invalid::Generator).collect();
    // Where the kernel has no part in it, it has nothing to say; the path does, at its end.
    let Some((out, back)) = cabling.ours() else { return faults };
    let sent = made.counts.sent + made.warm_up.sent;
    let link = counters.link(out);
    // What the kernel dropped may have been refused and sent again, or taken and lost.
    if sent < link.sent || sent > link.sent + link.send_dropped {
        faults.push(Invalid::Sent { ours: sent, kernels: link.sent });
    }
    let link = counters.link(back);
    let (arrived, _) = arrivals;
    // The kernel counts a frame before it looks whether its own queue has room for it.
    if arrived > link.received || arrived + link.receive_dropped < link.received {
        faults.push(Invalid::Received { ours: arrived, kernels: link.received });
    }
    faults
}

#[expect(clippy::too_many_arguments, reason = "each is a part of the trial")]
fn record(
    group: Group,
    member: Member,
    place: Place,
    made: probe::Trial,
    faults: Vec<Invalid>,
    counters: Counters,
    arrivals: (u64, u64),
    standing: &Standing,
) -> Trial {
    let lost = made.counts.lost();
    let all = |times: &Histogram<u64>| {
        PERCENTILES.iter().filter_map(|wanted| percentile(times, lost, *wanted)).collect()
    };
    let latency = &made.latency;
    let (gaps, gap_hdr) = gaps_of(made.gaps.iter(), made.gaps_missed);
    let of_path = standing.workers.iter().flat_map(|worker| &worker.gaps).map(|it| &it.gap);
    let (path_gaps, path_gap_hdr) = gaps_of(of_path, 0);
    let own = made.gaps.iter().copied().map(Standstill::from).collect();
    let mut loops = vec![Loop::new(Who::Generator, standing.generator.get(), own)];
    for Worker { number, cpu, gaps } in &standing.workers {
        loops.push(Loop::new(Who::Worker(*number), *cpu, gaps.clone()));
    }
    let attribution = attribute(&made.slowest, &loops);
    let sends = made.counts.sent + made.warm_up.sent + made.refused;
    Trial {
        group,
        member,
        cell: place.cell,
        block: place.block,
        attempt: place.attempt,
        at_s: place.at_s,
        faults,
        counts: made.counts,
        warm_up: made.warm_up,
        intended: made.intended,
        refused: made.refused,
        send_ns: if sends == 0 { 0.0 } else { float(made.sending_ns) / float(sends) },
        late_p999_ns: latency.lateness.value_at_quantile(0.999),
        response: all(&latency.response),
        service: all(&latency.service),
        range_ns: if latency.response.is_empty() {
            (0, 0)
        } else {
            (latency.response.min(), latency.response.max())
        },
        gaps,
        path_gaps: standing.is_told.then_some(path_gaps),
        attribution,
        path_bursts: None,
        interval_ms: 0,
        hardware: None,
        maxima_ns: made.maxima,
        receive_bursts: made
            .receive_bursts
            .iter()
            .copied()
            .enumerate()
            .filter(|(_, times)| *times > 0)
            .collect(),
        counters,
        arrivals,
        response_hdr: encode(&latency.response),
        service_hdr: encode(&latency.service),
        warm_up_hdr: encode(&made.warm_up_latency.response),
        gap_hdr,
        path_gap_hdr: standing.is_told.then_some(path_gap_hdr),
    }
}

/// Ticks of `/proc/stat`, 100 of which are a second.
#[must_use]
pub fn ticks_as_s(ticks: u64) -> f64 {
    float(ticks) / 100.0
}

#[expect(clippy::cast_precision_loss, reason = "counts and times of a trial are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use bench_result::attribution::Cause;
    use config::CpuId;

    use super::*;
    use crate::{
        probe::synthetic::{Faults, Path, StepClock},
        run::counters::Link,
    };

    fn synthetic(faults: Faults) -> probe::Trial {
        let mut clock = StepClock::new(100);
        let mut path = Path::new(faults, &clock);
        let plan = probe::Plan {
            run: 1,
            warm_up: Duration::ZERO,
            measure: Duration::from_millis(20),
            drain: Duration::from_millis(1),
            overtime: Duration::from_millis(1),
            keep: 2,
            interval: Duration::from_millis(10),
            tagged: None,
        };
        let mut template =
            Template::new(&link::route(link::FIRST, link::FIRST_ADDRESS, 1), 64).unwrap();
        let schedule = Schedule::new(100_000.0, probe::Pattern::Constant).unwrap();
        probe::run(&plan, schedule, &mut template, &mut path, &mut clock).unwrap()
    }

    fn counters(sent: u64, send_dropped: u64, received: u64, receive_dropped: u64) -> Counters {
        let link = Link { received, receive_dropped, sent, send_dropped };
        let (name, _) = Cabling::One.ours().unwrap();
        Counters { links: BTreeMap::from([(name.to_owned(), link)]), ..Counters::default() }
    }

    fn of(counters: &Counters, arrived: u64) -> Vec<Invalid> {
        let made = synthetic(Faults { delay: 5_000, ..Faults::default() });
        assert_eq!(made.counts.sent, 2000);
        faults(&made, counters, (arrived, 0), Cabling::One, &Limits::VIRTUAL)
    }

    #[test]
    fn bursts_of_a_path_are_those_of_the_trial_and_polls_without_frames_are_none() {
        let found = since(&[900, 5, 2], &[5000, 8, 2, 0, 7]);
        assert_eq!(found, BTreeMap::from([(1, 3), (4, 7)]));
    }

    #[test]
    fn a_trial_counts_when_every_frame_is_accounted_for() {
        assert_eq!(of(&counters(2000, 0, 2000, 0), 2000), []);
        assert_eq!(of(&counters(1990, 10, 1990, 3), 1987), []);
    }

    #[test]
    fn frames_that_nobody_accounts_for_make_it_invalid() {
        let sent = |kernels| vec![Invalid::Sent { ours: 2000, kernels }];
        assert_eq!(of(&counters(1999, 0, 2000, 0), 2000), sent(1999));
        assert_eq!(of(&counters(2001, 0, 2000, 0), 2000), sent(2001));
        let received = |ours, kernels| vec![Invalid::Received { ours, kernels }];
        assert_eq!(of(&counters(2000, 0, 2000, 0), 1999), received(1999, 2000));
        assert_eq!(of(&counters(2000, 0, 2000, 5), 1994), received(1994, 2000));
        assert_eq!(of(&counters(2000, 0, 2000, 5), 2001), received(2001, 2000));
    }

    #[test]
    fn what_is_written_is_read_and_lost_probes_stay_in_the_percentiles() {
        let lost = (0..100).collect();
        let made = synthetic(Faults { delay: 5_000, lost, ..Faults::default() });
        let cell = Cell { load: 1e5, size: 64 };
        let place = Place { block: 1, cell, attempt: 0, number: 1, at_s: 0.5 };
        let member = Member { arm: crate::run::arm::Arm::KernelEchoSpin, is_twin: false };
        let gap = |at, length, counted| Standstill { gap: Gap { at, length }, counted };
        let gaps = vec![gap(0, 7_000, None), gap(9_000, 1_000, Some(Cause::Preempted))];
        let workers = vec![Worker { number: 0, cpu: 1, gaps }];
        let standing = Standing { workers, is_told: true, generator: CpuId::ZERO };

        let trial = record(
            Group::Reflect,
            member,
            place,
            made,
            vec![],
            counters(1, 2, 3, 4),
            (5, 6),
            &standing,
        );

        assert_eq!(trial.counts.lost(), 100);
        assert!(trial.response_at(50.0).unwrap() >= 5_000.0);
        assert_eq!(trial.response_at(99.0), Some(f64::INFINITY));
        assert_eq!(trial.response_at(99.99), None);
        let expected = Gaps { count: 2, total_ns: 8_000, longest_ns: 7_000 };
        assert_eq!(trial.path_gaps, Some(expected));
        assert_eq!(trial.attribution.as_ref().map(|found| found.probes), Some(2));
        assert_eq!(distribution::decode(&trial.response_hdr).unwrap().len(), 1900);
        let text = serde_json::to_string(&trial).unwrap();
        assert_eq!(serde_json::from_str::<Trial>(&text).unwrap(), trial);
    }
}
