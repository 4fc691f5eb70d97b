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

mod offer;
mod strict;

use std::{
    io,
    time::{Duration, Instant},
};

use bench_result::generator::Via;
pub use bench_result::throughput::{
    BackToBack, Delay, LoadTrial, RateRatio, Repeated, Rfc2544Plan, Search, Spread, StrictLatency,
    Throughput, ThroughputPlan,
};

use self::offer::{Frames, Offer};
use super::{
    arm::{Arm, Driver, Group},
    plan::Member,
    result::LeftOut,
    start::{Lab, StartError, Started, Wanted},
    trial::TrialError,
};
use crate::{interrupt::Interrupted, mlrsearch::Goal, probe::clock::Counter, say, wire::Generator};

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
    let mut left = Left::of(plans);
    for plan in plans {
        for size in &plan.sizes {
            let frames = Frames { size: *size, mix: plan.mix.as_ref() };
            let ceiling = ceiling(lab, generator, plan, frames, left, clock, carried)?;
            left.done(plan.ceiling_expected());
            for member in plan.members() {
                for workers in &plan.workers {
                    let wanted = Wanted {
                        group: plan.kind,
                        member,
                        block: 0,
                        workers: *workers,
                        via: Via::default(),
                    };
                    let search = Path { plan, wanted, frames, ceiling, left };
                    one(lab, generator, search, clock, carried)?;
                    left.done(plan.expected());
                }
            }
        }
    }
    Ok(())
}

/// One path, at one size.
struct Path<'p> {
    plan: &'p ThroughputPlan,
    wanted: Wanted,
    frames: Frames<'p>,
    ceiling: Option<f64>,
    left: Left,
}

fn one(
    lab: &Lab,
    generator: Option<Generator<'_>>,
    search: Path<'_>,
    clock: &mut Counter,
    carried: &mut Carried,
) -> Result<(), TrialError> {
    let Path { plan, wanted, frames, ceiling, left } = search;
    if let Some(why) = impossible(lab, wanted.member.arm, wanted.workers) {
        let member = Some(wanted.member);
        carried.left_out.push(LeftOut { group: plan.kind, member, why });
        return Ok(());
    }
    let Some(mut offer) = Offer::start(lab, generator, wanted, frames, left, clock, carried)?
    else {
        return Ok(());
    };
    let mut result = offer.empty(ceiling);
    let made = offer.all(plan, &mut result);
    let stopped = offer.running.stop(&lab.interrupt);
    if let Ok(Some(false)) = stopped {
        result.remark = Some("at its end the path said that frames were missing".to_owned());
    }
    carried.found.push(result);
    made
}

/// What is left to do, by what was expected and how long it really took until now.
#[derive(Debug, Clone, Copy)]
struct Left {
    begun: Instant,
    all: Duration,
    done: Duration,
    /// When so much of it was done.
    at: Instant,
}

impl Left {
    fn of(plans: &[ThroughputPlan]) -> Self {
        let now = Instant::now();
        let all = plans.iter().map(ThroughputPlan::whole).sum();
        Self { begun: now, all, done: Duration::ZERO, at: now }
    }

    fn done(&mut self, expected: Duration) {
        self.done += expected;
        self.at = Instant::now();
    }

    fn now(&self) -> Duration {
        left(self.all, self.done, self.at - self.begun, self.at.elapsed())
    }
}

/// What is left of `all` when `done` of it took so long, and the rest is under way for so long.
fn left(all: Duration, done: Duration, took: Duration, since: Duration) -> Duration {
    let pace = if done.is_zero() { 1.0 } else { took.as_secs_f64() / done.as_secs_f64() };
    all.saturating_sub(done).mul_f64(pace).saturating_sub(since)
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
    frames: Frames<'_>,
    left: Left,
    clock: &mut Counter,
    carried: &mut Carried,
) -> Result<Option<f64>, TrialError> {
    let arm = match plan.kind {
        Group::Shared => Arm::Memory,
        Group::External => Arm::Ring,
        Group::Reflect | Group::Forward | Group::Tap => Arm::Wire,
        // It is what would be measured.
        Group::Null => return Ok(None),
    };
    let member = Member { arm, is_twin: false };
    let wanted = Wanted { group: Group::Null, member, block: 0, workers: 1, via: Via::default() };
    let Some(mut offer) = Offer::start(lab, generator, wanted, frames, left, clock, carried)?
    else {
        return Ok(None);
    };
    let trial = Duration::from_millis(plan.trial_ms);
    let goals = [Goal::pdr(trial, 3 * trial, plan.pdr_loss, plan.width)];
    let found = offer.search(&goals, plan, &mut Vec::new())?;
    Ok(found.outcomes.first().and_then(|outcome| outcome.conditional_throughput.or(outcome.lower)))
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

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a trial are far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::{offer::searched, *};
    use crate::mlrsearch::Outcome;

    const TRIAL: LoadTrial =
        LoadTrial { load: 80.0, seconds: 1.0, intended: 80, sent: 80, returned: 70, refused: 0 };

    #[test]
    fn what_did_not_leave_is_lost_too() {
        let trial = LoadTrial { intended: 1000, sent: 900, returned: 890, ..TRIAL };
        assert!((trial.loss_ratio() - 0.11).abs() < 1e-12);
        assert!((LoadTrial { intended: 0, ..trial }.loss_ratio() - 1.0).abs() < 1e-12);
    }

    fn outcome() -> Outcome {
        Outcome {
            goal: Goal::ndr(ms(100), ms(500), 0.01),
            lower: Some(79.0),
            upper: Some(80.0),
            conditional_throughput: Some(79.0),
            is_regular: true,
            remark: String::new(),
        }
    }

    #[test]
    fn a_path_near_what_the_generator_can_is_said_to_be_limited_by_it() {
        for (ceiling, is_limited) in [(None, false), (Some(100.0), false), (Some(98.0), true)] {
            let search = searched(&outcome(), ceiling, &[]);
            assert_eq!(search.is_generator_limited, is_limited, "{ceiling:?}");
        }
    }

    #[test]
    fn a_generator_that_keeps_frames_back_although_there_is_room_is_the_limit() {
        for (sent, refused, is_limited) in
            [(80, 0, false), (76, 0, false), (74, 0, true), (74, 1, false)]
        {
            let trials = [TRIAL, LoadTrial { sent, refused, ..TRIAL }];
            let search = searched(&outcome(), Some(1000.0), &trials[1..]);
            assert_eq!(search.is_generator_limited, is_limited, "{sent} {refused}");
            let elsewhere = LoadTrial { load: 90.0, ..trials[1] };
            assert!(!searched(&outcome(), None, &[elsewhere]).is_generator_limited);
        }
    }

    #[test]
    fn what_is_left_follows_the_pace() {
        let s = Duration::from_secs;
        assert_eq!(left(s(100), s(0), s(0), s(7)), s(93));
        assert_eq!(left(s(100), s(50), s(25), s(5)), s(20));
        assert_eq!(left(s(100), s(50), s(100), s(0)), s(100));
        assert_eq!(left(s(100), s(100), s(1), s(9)), s(0));
    }
}
