//! How much paths carry: MLRsearch, RFC 2544, RFC 8219, on the wires of the other trials.
//!
//! ```text
//!  ThroughputPlan ─► a path that runs ─► Offer: load, time ─► probes ─► LoadTrial
//!                          │
//!                          ├─► mlrsearch: NDR, PDR, RFC 2544's throughput
//!                          ├─► strict: frame loss, latency, back-to-back
//!                          └─► delays at shares of PDR
//! ```
//! What the generator did not send counts as lost, as what did not come back: a path is never better than its generator, and
//! where it comes near, the result says so.

use std::{io, time::Duration};

pub use bench_result::throughput::{
    BackToBack, Delay, LoadTrial, Rfc2544Plan, Search, StrictLatency, Throughput, ThroughputPlan,
};

use super::{
    arm::{Arm, Driver, Group},
    counters,
    first::First,
    link,
    plan::{Member, Plan},
    result::LeftOut,
    start::{Lab, Running, StartError, Started, Wanted},
    trial::{TrialError, Watched, ticks_as_s},
};
use crate::{
    interrupt::Interrupted,
    mlrsearch::{self, Found, Goal, Loads, Output},
    probe::{
        self, Latency, Pattern, Schedule, clock::Counter, frame::Template, latency::percentile,
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

/// Flows, where several workers share them.
const FLOWS: u16 = 64;

/// What there is so far.
#[derive(Debug, Default)]
pub struct Carried {
    /// What was found.
    pub found: Vec<Throughput>,
    /// How each was started.
    pub starts: Vec<Started>,
    /// Who could not take part.
    pub left_out: Vec<LeftOut>,
}

/// Searches everything that a plan asks for.
///
/// # Errors
/// [`TrialError`]; what there was until then is in `carried`.
pub fn run(
    lab: &Lab,
    generator: Option<Generator<'_>>,
    plans: &[ThroughputPlan],
    clock: &mut Counter,
    carried: &mut Carried,
) -> Result<(), TrialError> {
    for plan in plans {
        for size in &plan.sizes {
            let ceiling = ceiling(lab, generator, plan, *size, clock, carried)?;
            for arm in &plan.arms {
                for workers in &plan.workers {
                    let member = Member { arm: *arm, is_twin: false };
                    if let Some(why) = impossible(lab, *arm, *workers) {
                        let group = plan.kind;
                        carried.left_out.push(LeftOut { group, member: Some(member), why });
                        continue;
                    }
                    let wanted = Wanted { group: plan.kind, member, block: 0, workers: *workers };
                    let Some(mut offer) =
                        Offer::start(lab, generator, wanted, *size, clock, carried)?
                    else {
                        continue;
                    };
                    let mut result = offer.empty(ceiling);
                    let made = offer.all(plan, &mut result);
                    let stopped = offer.running.stop(&lab.interrupt);
                    if let Ok(Some(false)) = stopped {
                        let why = "at its end the path said that frames were missing".to_owned();
                        result.remark = Some(why);
                    }
                    carried.found.push(result);
                    made?;
                }
            }
        }
    }
    Ok(())
}

/// Why so many workers can not be.
fn impossible(lab: &Lab, arm: Arm, workers: usize) -> Option<String> {
    if workers == 1 {
        return None;
    }
    let has_queues = arm.is_barewired() && arm.driver() == Some(Driver::AfPacket);
    if !has_queues {
        return Some(format!("{arm} has one queue, and {workers} workers were asked for"));
    }
    let there = lab.workers(workers).len();
    (there < workers)
        .then(|| format!("{workers} workers were asked for, and there are CPUs for {there}"))
}

/// What the generator offers on a wire by itself, with frames of this size: the PDR of the null path.
fn ceiling(
    lab: &Lab,
    generator: Option<Generator<'_>>,
    plan: &ThroughputPlan,
    size: usize,
    clock: &mut Counter,
    carried: &mut Carried,
) -> Result<Option<f64>, TrialError> {
    let arm = match plan.kind {
        Group::Shared | Group::External => Arm::Ring,
        Group::Reflect | Group::Forward | Group::Tap | Group::Null => Arm::Wire,
    };
    let member = Member { arm, is_twin: false };
    let wanted = Wanted { group: Group::Null, member, block: 0, workers: 1 };
    let Some(mut offer) = Offer::start(lab, generator, wanted, size, clock, carried)? else {
        return Ok(None);
    };
    let trial = Duration::from_millis(plan.trial_ms);
    let goals = [Goal::pdr(trial, 3 * trial, plan.pdr_loss, plan.width)];
    let found = offer.search(&goals, plan, &mut Vec::new())?;
    Ok(found.outcomes.first().and_then(|outcome| outcome.conditional_throughput.or(outcome.lower)))
}

/// A path that runs, and probes for it.
struct Offer<'a, 'eal> {
    lab: &'a Lab,
    running: Running<'eal>,
    clock: &'a mut Counter,
    template: Template,
    wanted: Wanted,
    size: usize,
    number: u16,
}

/// How to offer.
#[derive(Debug, Clone, Copy)]
struct Terms {
    load: f64,
    warm_up: Duration,
    measure: Duration,
    tagged: Option<Duration>,
}

impl Terms {
    fn new(load: f64, measure: Duration) -> Self {
        // What is not in the caches, or asleep, is not lost for it.
        let warm_up = (measure / 10).min(Duration::from_millis(100));
        Self { load, warm_up, measure, tagged: None }
    }
}

impl<'a, 'eal> Offer<'a, 'eal> {
    fn start(
        lab: &'a Lab,
        generator: Option<Generator<'eal>>,
        wanted: Wanted,
        size: usize,
        clock: &'a mut Counter,
        carried: &mut Carried,
    ) -> Result<Option<Self>, TrialError> {
        let Wanted { group, member, workers, .. } = wanted;
        let flows = if workers > 1 { FLOWS } else { 1 };
        let route = link::probes(lab.external.as_ref(), group, member.arm, flows);
        let template = Template::new(&route, size)?;
        match Running::start(lab, generator, wanted) {
            Ok(running) => {
                carried.starts.push(running.started.clone());
                Ok(Some(Self { lab, running, clock, template, wanted, size, number: 0 }))
            }
            Err(error) if error.is_interrupt() => Err(interrupted()),
            Err(error) => {
                carried.left_out.push(left_out(group, member, &error));
                Ok(None)
            }
        }
    }

    fn empty(&self, ceiling: Option<f64>) -> Throughput {
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
            remark: None,
        }
    }

    /// One trial.
    fn offer(&mut self, terms: Terms) -> Result<probe::Trial, TrialError> {
        let Terms { load, warm_up, measure, tagged } = terms;
        self.lab.interrupt.check().map_err(|_| interrupted())?;
        self.number = self.number.wrapping_add(1).max(1);
        let schedule = Schedule::new(load, Pattern::Constant)?;
        let what = probe::Plan {
            run: self.number,
            warm_up,
            measure,
            drain: DRAIN,
            keep: 0,
            interval: measure,
            tagged,
        };
        self.running.wire.flush()?;
        let Self { lab, running, clock, template, .. } = self;
        let is_short = warm_up + measure + DRAIN <= Plan::LONGEST_FIRST;
        let first = is_short.then(|| First::hold(&lab.root, running, lab.cpus.measured));
        let made = running.wire.with(|wire| {
            let mut watched = Watched { wire, interrupt: &lab.interrupt };
            probe::run(&what, schedule, template, &mut watched, *clock)
        })?;
        drop(first);
        Ok(made)
    }

    fn search(
        &mut self,
        goals: &[Goal],
        plan: &ThroughputPlan,
        trials: &mut Vec<LoadTrial>,
    ) -> Result<Found, TrialError> {
        let loads = Loads::new(plan.least, plan.most).ok_or(TrialError::Loads)?;
        mlrsearch::search(goals, loads, |load, duration| {
            let Wanted { group, member, workers, .. } = self.wanted;
            say::progress(format_args!(
                "{group}, {member}, {} bytes, {workers} worker(s): trial {}, {load:.0} frames a second for {} ms",
                self.size,
                trials.len() + 1,
                duration.as_millis()
            ));
            let made = self.offer(Terms::new(load, duration))?;
            let trial = told(load, duration, &made);
            trials.push(trial);
            Ok(Output { loss_ratio: trial.loss_ratio(), effective: duration + DRAIN })
        })
    }

    /// Everything, as far as it is asked for and possible.
    fn all(&mut self, plan: &ThroughputPlan, result: &mut Throughput) -> Result<(), TrialError> {
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
            found.outcomes.iter().map(|outcome| searched(outcome, result.ceiling)).collect();
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
        if let Some(wanted) = &plan.rfc2544 {
            let rate = result.ceiling.unwrap_or(plan.most).min(plan.most);
            result.frame_loss = self.frame_loss(rate, ms(wanted.trial_ms))?;
            if let Some(load) = strict.or(ndr) {
                result.latency = Some(self.latency(load, wanted)?);
            }
            result.back_to_back = Some(self.back_to_back(rate, wanted)?);
        }
        Ok(())
    }

    /// CPU-seconds of the measured CPU for a million frames that came back.
    fn cost(&mut self, load: f64, time: Duration) -> Result<Option<f64>, TrialError> {
        let (inside, cpus) = (self.running.inside(), self.lab.cpus);
        let read = |lab: &Lab| counters::read(&lab.root, inside, cpus.measured, cpus.other);
        let before = read(self.lab)?;
        let made = self.offer(Terms { warm_up: Duration::ZERO, ..Terms::new(load, time) })?;
        let busy = ticks_as_s(read(self.lab)?.since(&before).busy_ticks);
        let returned = float(made.counts.returned);
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

    /// RFC 2544, 26.3.
    fn frame_loss(&mut self, most: f64, time: Duration) -> Result<Vec<LoadTrial>, TrialError> {
        let mut trials: Vec<LoadTrial> = Vec::new();
        for tenths in (1..=10_u32).rev() {
            let load = most * f64::from(tenths) / 10.0;
            let made = self.offer(Terms::new(load, time))?;
            trials.push(told(load, time, &made));
            let is_done = trials.len() >= 2
                && trials.iter().rev().take(2).all(|trial| trial.returned == trial.intended);
            if is_done {
                break;
            }
        }
        Ok(trials)
    }

    /// RFC 2544, 26.2.
    fn latency(&mut self, load: f64, plan: &Rfc2544Plan) -> Result<StrictLatency, TrialError> {
        let time = ms(plan.latency_ms);
        let mut times = Vec::new();
        for _ in 0..plan.latency_repeats {
            let terms = Terms { tagged: Some(time / 2), ..Terms::new(load, time) };
            times.extend(self.offer(terms)?.tagged.map(|flight| float(flight.response())));
        }
        let samples = times.len();
        let mean_ns = (samples > 0).then(|| times.iter().sum::<f64>() / float(samples as u64));
        Ok(StrictLatency { load, samples, lost: plan.latency_repeats - samples, mean_ns })
    }

    /// RFC 2544, 26.4: the longest burst without a loss, found by halving.
    fn back_to_back(&mut self, rate: f64, plan: &Rfc2544Plan) -> Result<BackToBack, TrialError> {
        let most = frames(rate, ms(plan.burst_ms));
        let mut sum = 0;
        for _ in 0..plan.burst_repeats {
            let (mut carried, mut lost) = (0, most + 1);
            // The whole first: mostly it is carried, and then nothing is left to look for.
            let mut next = most;
            while lost - carried > 1 {
                let time = Duration::from_secs_f64(float(next) / rate);
                let terms = Terms { warm_up: Duration::ZERO, ..Terms::new(rate, time) };
                let made = self.offer(terms)?;
                if made.counts.returned == made.intended {
                    carried = next;
                } else {
                    lost = next;
                }
                next = carried + (lost - carried) / 2;
            }
            sum += carried;
        }
        let repeats = plan.burst_repeats;
        Ok(BackToBack { rate, most, repeats, frames: float(sum) / float(repeats as u64) })
    }
}

fn interrupted() -> TrialError {
    TrialError::Socket(io::Error::other(Interrupted))
}

fn left_out(group: Group, member: Member, error: &StartError) -> LeftOut {
    let why = super::experiment::chain(error);
    say::end_of_progress();
    say::note(format_args!("{group}: {member} is not searched: {why}"));
    LeftOut { group, member: Some(member), why }
}

fn told(load: f64, time: Duration, made: &probe::Trial) -> LoadTrial {
    let counts = made.counts;
    LoadTrial {
        load,
        seconds: time.as_secs_f64(),
        intended: made.intended,
        sent: counts.sent,
        returned: counts.returned,
    }
}

fn searched(outcome: &mlrsearch::Outcome, ceiling: Option<f64>) -> Search {
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
            .is_some_and(|(found, ceiling)| found > LIMITED * ceiling),
        remark: outcome.remark.clone(),
    }
}

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate of at most 1e8 for at most a minute"
)]
fn frames(rate: f64, time: Duration) -> u64 {
    (rate * time.as_secs_f64()).max(1.0) as u64
}

#[expect(clippy::cast_precision_loss, reason = "counts of a trial are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_leave_is_lost_too() {
        let trial = LoadTrial { load: 1e3, seconds: 1.0, intended: 1000, sent: 900, returned: 890 };
        assert!((trial.loss_ratio() - 0.11).abs() < 1e-12);
        assert!((LoadTrial { intended: 0, ..trial }.loss_ratio() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_path_near_what_the_generator_can_is_said_to_be_limited_by_it() {
        let goal = Goal::ndr(ms(100), ms(500), 0.01);
        let outcome = mlrsearch::Outcome {
            goal,
            lower: Some(79.0),
            upper: Some(80.0),
            conditional_throughput: Some(79.0),
            is_regular: true,
            remark: String::new(),
        };
        assert!(!searched(&outcome, None).is_generator_limited);
        assert!(!searched(&outcome, Some(100.0)).is_generator_limited);
        assert!(searched(&outcome, Some(98.0)).is_generator_limited);
    }
}
