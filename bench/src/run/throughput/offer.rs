//! A path that runs, and what is offered to it.

use std::time::Duration;

use bench_result::{
    mix::Mix,
    plan::Plan,
    throughput::{Delay, LoadTrial, Rfc2544Plan, Search, Throughput, ThroughputPlan},
};

use super::{Carried, FLOWS, Left, float, interrupted, left_out, ms};
use crate::{
    mlrsearch::{self, Found, Goal, Loads, Output},
    probe::{
        self, Latency, Pattern, Schedule, clock::Counter, frame::Template, latency::percentile,
    },
    run::{
        counters,
        first::{self, First},
        link,
        start::{Lab, Running, Wanted},
        trial::{TrialError, Watched, ticks_as_s},
    },
    say,
    wire::Generator,
};

/// How long the last probes of a trial are waited for.
const DRAIN: Duration = Duration::from_millis(100);

/// Delays are measured in pieces of at most this.
const PIECE: Duration = Duration::from_millis(700);

/// Above this share of what the generator can offer, the generator may be what is measured.
const LIMITED: f64 = 0.8;

/// A generator that is behind by more than this share of a trial at its end does not keep the rate; never less than
/// [`LEAST_OVERTIME`], which a turn of its loop may take.
const OVERTIME: u32 = 1000;

/// See [`OVERTIME`].
const LEAST_OVERTIME: Duration = Duration::from_micros(100);

/// What the frames are: all of one size, or a mix, which has this one on average.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frames<'p> {
    pub(super) size: usize,
    pub(super) mix: Option<&'p Mix>,
}

/// A path that runs, and probes for it.
pub(super) struct Offer<'a, 'eal> {
    lab: &'a Lab,
    pub(super) running: Running<'eal>,
    clock: &'a mut Counter,
    template: Template,
    wanted: Wanted,
    size: usize,
    number: u16,
    left: Left,
    /// What others are owed of the CPUs before the next trial.
    owed: Duration,
}

/// How to offer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) load: f64,
    pub(super) warm_up: Duration,
    pub(super) measure: Duration,
    pub(super) tagged: Option<Duration>,
    /// How long the last frames are waited for.
    pub(super) drain: Duration,
    /// Before it begins.
    pub(super) settle: Duration,
}

impl Terms {
    pub(super) fn new(load: f64, measure: Duration) -> Self {
        // What is not in the caches, or asleep, is not lost for it.
        let warm_up = (measure / 10).min(Duration::from_millis(100));
        let settle = Duration::ZERO;
        Self { load, warm_up, measure, tagged: None, drain: DRAIN, settle }
    }

    /// With what RFC 2544 wants between two trials (23, e and f).
    pub(super) fn strict(load: f64, measure: Duration, plan: &Rfc2544Plan) -> Self {
        let (drain, settle) = (ms(plan.residual_ms), ms(plan.settle_ms));
        Self { drain, settle, ..Self::new(load, measure) }
    }
}

impl<'a, 'eal> Offer<'a, 'eal> {
    pub(super) fn start(
        lab: &'a Lab,
        generator: Option<Generator<'eal>>,
        wanted: Wanted,
        frames: Frames<'_>,
        left: Left,
        clock: &'a mut Counter,
        carried: &mut Carried,
    ) -> Result<Option<Self>, TrialError> {
        let Wanted { group, member, workers, .. } = wanted;
        let flows = if workers > 1 { FLOWS } else { 1 };
        let route = link::probes(lab.external.as_ref(), group, member.arm, flows);
        let Frames { size, mix } = frames;
        let template = match mix {
            Some(mix) => Template::mixed(&route, &mix.sizes())?,
            None => Template::new(&route, size)?,
        };
        match Running::start(lab, generator, wanted) {
            Ok(running) => {
                carried.starts.push(running.started.clone());
                Ok(Some(Self {
                    lab,
                    running,
                    clock,
                    template,
                    wanted,
                    size,
                    number: 0,
                    left,
                    owed: Duration::ZERO,
                }))
            }
            Err(error) if error.is_interrupt() => Err(interrupted()),
            Err(error) => {
                carried.left_out.push(left_out(group, member, &error));
                Ok(None)
            }
        }
    }

    pub(super) fn empty(&self, ceiling: Option<f64>) -> Throughput {
        let Wanted { group, member, workers, .. } = self.wanted;
        Throughput {
            group,
            member,
            size: self.size,
            workers,
            ceiling,
            searches: Vec::new(),
            trials: Vec::new(),
            cpu_s_per_million: None,
            frame_loss: Vec::new(),
            latency: None,
            back_to_back: None,
            delays: Vec::new(),
            repeated: None,
            remark: None,
        }
    }

    /// Lets others have the CPUs, as long as they are owed.
    fn rest(&mut self) -> Result<(), TrialError> {
        self.lab.interrupt.pass(std::mem::take(&mut self.owed)).map_err(|_| interrupted())
    }

    /// One trial.
    pub(super) fn offer(&mut self, terms: Terms) -> Result<probe::Trial, TrialError> {
        let Terms { load, warm_up, measure, tagged, drain, settle } = terms;
        self.rest()?;
        self.lab.interrupt.pass(settle).map_err(|_| interrupted())?;
        self.number = self.number.wrapping_add(1).max(1);
        let schedule = Schedule::new(load, Pattern::Constant)?;
        let what = probe::Plan {
            run: self.number,
            warm_up,
            measure,
            drain,
            overtime: (measure / OVERTIME).max(LEAST_OVERTIME),
            keep: 0,
            interval: measure,
            tagged,
        };
        self.running.wire.flush()?;
        let Self { lab, running, clock, template, .. } = self;
        let is_short = warm_up + measure + drain <= Plan::LONGEST_FIRST;
        let first = is_short.then(|| First::hold(&lab.root, running, lab.cpus.measured));
        let made = running.wire.with(|wire| {
            let mut watched = Watched { wire, interrupt: &lab.interrupt };
            probe::run(&what, schedule, template, &mut watched, *clock)
        })?;
        if first.is_some() {
            self.owed = (warm_up + measure + drain) / first::PAUSE;
        }
        drop(first);
        Ok(made)
    }

    pub(super) fn search(
        &mut self,
        goals: &[Goal],
        plan: &ThroughputPlan,
        trials: &mut Vec<LoadTrial>,
    ) -> Result<Found, TrialError> {
        let loads = Loads::new(plan.least, plan.most).ok_or(TrialError::Loads)?;
        mlrsearch::search(goals, loads, |load, duration| {
            let Wanted { group, member, workers, .. } = self.wanted;
            say::progress(format_args!(
                "{group}, {member}, {} bytes, {workers} worker(s): trial {}, {load:.0} frames a second for {} ms; about {} left",
                self.size,
                trials.len() + 1,
                duration.as_millis(),
                say::duration(self.left.now())
            ));
            let terms = match &plan.rfc2544 {
                Some(strict) if duration >= ms(strict.trial_ms) => {
                    Terms::strict(load, duration, strict)
                }
                _ => Terms::new(load, duration),
            };
            let made = self.offer(terms)?;
            let trial = told(load, duration, &made);
            trials.push(trial);
            Ok(Output { loss_ratio: trial.loss_ratio(), effective: duration + terms.drain })
        })
    }

    /// Everything, as far as it is asked for and possible.
    pub(super) fn all(
        &mut self,
        plan: &ThroughputPlan,
        result: &mut Throughput,
    ) -> Result<(), TrialError> {
        let (trial, sum) = (ms(plan.trial_ms), ms(plan.sum_ms));
        let mut goals = vec![
            Goal::pdr(trial, sum, plan.pdr_loss, plan.width),
            Goal::ndr(trial, sum, plan.width),
        ];
        if let Some(strict) = &plan.rfc2544 {
            let whole = ms(strict.trial_ms);
            let initial_trial = Some(trial.min(whole));
            let goal = Goal::rfc2544(plan.width);
            goals.push(Goal { final_trial: whole, duration_sum: whole, initial_trial, ..goal });
        }
        let found = self.search(&goals, plan, &mut result.trials)?;
        result.searches =
            found.outcomes.iter().map(|it| searched(it, result.ceiling, &result.trials)).collect();
        let of = |goal: &str| {
            let search = result.searches.iter().find(|search| search.goal == goal);
            search.and_then(|search| search.throughput.or(search.lower))
        };
        let (pdr, ndr, strict) = (of("pdr"), of("ndr"), of("rfc2544"));
        if let Some(pdr) = pdr {
            result.cpu_s_per_million = self.cost(pdr, sum)?;
        }
        for share in &plan.delays_at {
            let Some(pdr) = pdr else { break };
            result.delays.push(self.delay(*share, pdr * share, sum)?);
        }
        if let (Some(wanted), Some(load)) = (&plan.rfc8219, strict.or(ndr)) {
            result.repeated = Some(self.repeated(load, wanted)?);
        }
        if let Some(wanted) = &plan.rfc2544 {
            let rate = result.ceiling.unwrap_or(plan.most).min(plan.most);
            result.frame_loss = self.frame_loss(rate, wanted)?;
            if let Some(load) = strict.or(ndr) {
                result.latency = Some(self.latency(load, wanted)?);
            }
            result.back_to_back = Some(self.back_to_back(rate, wanted)?);
        }
        Ok(())
    }

    /// CPU-seconds of the measured CPU for a million frames that came back; in pieces, as [`delay`](Self::delay).
    fn cost(&mut self, load: f64, time: Duration) -> Result<Option<f64>, TrialError> {
        let (inside, cpus) = (self.running.inside(), self.lab.cpus);
        let read = |lab: &Lab| counters::read(&lab.root, inside, cpus.measured, cpus.other);
        let (mut busy, mut returned, mut left) = (0.0, 0.0, time);
        while !left.is_zero() {
            let piece = left.min(PIECE);
            self.rest()?;
            let before = read(self.lab)?;
            let terms = Terms { warm_up: Duration::ZERO, ..Terms::new(load, piece) };
            returned += float(self.offer(terms)?.counts.returned);
            busy += ticks_as_s(read(self.lab)?.since(&before).busy_ticks);
            left -= piece;
        }
        Ok((returned > 0.0).then(|| busy / (returned / 1e6)))
    }

    /// In pieces that are short enough to go before all other programs; together they are one stream's worth.
    fn delay(&mut self, share: f64, load: f64, time: Duration) -> Result<Delay, TrialError> {
        let mut latency = Latency::default();
        let (mut sent, mut lost, mut left) = (0, 0, time);
        while !left.is_zero() {
            let piece = left.min(PIECE);
            let made = self.offer(Terms::new(load, piece))?;
            latency.add(&made.latency);
            sent += made.counts.sent;
            lost += made.counts.lost();
            left -= piece;
        }
        let times = &latency.response;
        let at = |wanted| percentile(times, lost, wanted).and_then(|found| found.ns);
        let worst_ns = at(99.9);
        Ok(Delay {
            share,
            load,
            sent,
            lost,
            typical_ns: at(50.0),
            worst_ns,
            variation_ns: worst_ns.map(|worst| worst.saturating_sub(times.min())),
        })
    }
}

pub(super) fn told(load: f64, time: Duration, made: &probe::Trial) -> LoadTrial {
    let counts = made.counts;
    LoadTrial {
        load,
        seconds: time.as_secs_f64(),
        intended: made.intended,
        sent: counts.sent,
        returned: counts.returned,
        refused: made.refused,
    }
}

/// Is what was missing at this load mostly what the generator kept back, although there was room? Then it was too slow
/// itself, whatever it can without a path.
pub(super) fn is_kept_back(trials: &[LoadTrial], load: f64) -> bool {
    let lossy =
        trials.iter().filter(|it| (it.load - load).abs() < 1.0 && it.returned < it.intended);
    let (mut missing, mut kept) = (0, 0);
    for trial in lossy {
        missing += trial.intended - trial.returned;
        kept += if trial.refused == 0 { trial.intended.saturating_sub(trial.sent) } else { 0 };
    }
    kept > missing / 2
}

pub(super) fn searched(
    outcome: &mlrsearch::Outcome,
    ceiling: Option<f64>,
    trials: &[LoadTrial],
) -> Search {
    let goal = &outcome.goal;
    let found = outcome.conditional_throughput.or(outcome.lower);
    Search {
        goal: goal.name.clone(),
        loss_ratio: goal.loss_ratio,
        exceed_ratio: goal.exceed_ratio,
        trial_s: goal.final_trial.as_secs_f64(),
        sum_s: goal.duration_sum.as_secs_f64(),
        lower: outcome.lower,
        upper: outcome.upper,
        throughput: outcome.conditional_throughput,
        is_regular: outcome.is_regular,
        is_generator_limited: found
            .zip(ceiling)
            .is_some_and(|(found, ceiling)| found > LIMITED * ceiling)
            || outcome.upper.is_some_and(|upper| is_kept_back(trials, upper)),
        remark: outcome.remark.clone(),
    }
}
