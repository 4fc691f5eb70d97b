//! Multiple Loss Ratio search: the load that a path carries, found with few trials and honest about noise.
//!
//! After RFC 9971. A load is not judged by one trial: it is a lower bound when, whatever the trials still to come said,
//! no more than a given share of the time would be lossy, an upper bound when it can not be one any more, and undecided
//! until then. The answer is a pair of bounds and the *conditional throughput*: what was really forwarded at the lower.
//!
//! ```text
//!  Goal ─► classify(trials at a load) ─► Bound
//!  Search ─► load, duration ─► a trial ─► Search ─► … ─► Outcome for each goal
//! ```
//!
//! ```
//! use std::time::Duration;
//! use bench::mlrsearch::{Goal, Loads, Output, search};
//!
//! // A path that carries 700 kpps, and loses all that is beyond.
//! let second = Duration::from_secs(1);
//! let goal = Goal::pdr(second, 11 * second, 0.005, 0.01);
//! let loads = Loads::new(1_000.0, 1e6).ok_or("no loads")?;
//! let found = search(&[goal], loads, |load, duration| {
//!     let loss_ratio = (1.0 - 700e3 / load).max(0.0);
//!     Ok::<_, String>(Output { loss_ratio, effective: duration })
//! })?;
//! let throughput = found.outcomes[0].conditional_throughput.ok_or("no throughput")?;
//! assert!((690e3..=700e3).contains(&throughput));
//! # Ok::<(), String>(())
//! ```

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// As it is called in reports: `ndr`.
    pub name: String,
    /// How long a trial has to be to count fully.
    pub final_trial: Duration,
    /// How long all trials at a load have to be together to be sure.
    pub duration_sum: Duration,
    /// The share of frames that may be lost in a trial: 0 for NDR, 0.005 for PDR.
    pub loss_ratio: f64,
    /// The share of the time that may be lossier than that: below 1.
    pub exceed_ratio: f64,
    /// How near the bounds have to be: (upper − lower) / upper.
    pub width: f64,
    /// Shorter trials, to find the neighbourhood first; none to begin with full ones.
    pub initial_trial: Option<Duration>,
}

impl Goal {
    /// No drop rate: no frame may be lost, in half of the time.
    #[must_use]
    pub fn ndr(trial: Duration, sum: Duration, width: f64) -> Self {
        Self {
            name: "ndr".to_owned(),
            final_trial: trial,
            duration_sum: sum,
            loss_ratio: 0.0,
            exceed_ratio: 0.5,
            width,
            initial_trial: None,
        }
    }

    /// Partial drop rate: this share may be lost, in half of the time.
    #[must_use]
    pub fn pdr(trial: Duration, sum: Duration, loss_ratio: f64, width: f64) -> Self {
        Self { name: "pdr".to_owned(), loss_ratio, ..Self::ndr(trial, sum, width) }
    }

    /// RFC 2544's throughput, as RFC 9971 writes it: 60 s without a single loss.
    #[must_use]
    pub fn rfc2544(width: f64) -> Self {
        let minute = Duration::from_secs(60);
        Self {
            name: "rfc2544".to_owned(),
            exceed_ratio: 0.0,
            initial_trial: Some(Duration::from_secs(1)),
            ..Self::ndr(minute, minute, width)
        }
    }
}

/// What a trial showed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The share of the frames that should have been sent and did not arrive. What the generator did not send is lost too.
    pub loss_ratio: f64,
    /// How long the trial took, with what belongs to it.
    pub effective: Duration,
}

/// One trial at some load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// How long it was to be.
    pub duration: Duration,
    /// What it showed.
    pub output: Output,
}

/// What is known of a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// It is carried.
    Lower,
    /// It is not.
    Upper,
    /// More trials are needed.
    Undecided,
}

/// The sums that a load is judged by, in seconds (RFC 9971, "Load Classification Logic").
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sums {
    full_high: f64,
    full_low: f64,
    short_high: f64,
    short_low: f64,
}

impl Sums {
    fn of(goal: &Goal, trials: &[Trial]) -> Self {
        let mut sums = Self::default();
        for trial in trials {
            let is_full = trial.duration >= goal.final_trial;
            let is_high = trial.output.loss_ratio > goal.loss_ratio;
            let sum = match (is_full, is_high) {
                (true, true) => &mut sums.full_high,
                (true, false) => &mut sums.full_low,
                (false, true) => &mut sums.short_high,
                (false, false) => &mut sums.short_low,
            };
            *sum += trial.output.effective.as_secs_f64();
        }
        sums
    }
}

/// What the trials at one load say of it.
#[must_use]
pub fn classify(goal: &Goal, trials: &[Trial]) -> Bound {
    let sums = Sums::of(goal, trials);
    // Short lossy trials count as far as short good ones do not outweigh them.
    let balance = sums.short_low * goal.exceed_ratio / (1.0 - goal.exceed_ratio);
    let lossy = sums.full_high + (sums.short_high - balance).max(0.0);
    let known = lossy + sums.full_low;
    let whole = known.max(goal.duration_sum.as_secs_f64());
    let allowed = whole * goal.exceed_ratio;
    // At best all that is missing will be good, at worst lossy.
    let (best, worst) = (lossy, whole - sums.full_low);
    match (best <= allowed, worst <= allowed) {
        (true, true) => Bound::Lower,
        (false, _) => Bound::Upper,
        (true, false) => Bound::Undecided,
    }
}

/// What is forwarded at a load, typically; `None` without a trial there.
///
/// (RFC 9971, "Conditional Throughput Code".)
#[must_use]
pub fn conditional_throughput(goal: &Goal, load: f64, trials: &[Trial]) -> Option<f64> {
    let mut full: Vec<&Trial> =
        trials.iter().filter(|trial| trial.duration >= goal.final_trial).collect();
    full.sort_by(|a, b| a.output.loss_ratio.total_cmp(&b.output.loss_ratio));
    let sum: f64 = full.iter().map(|trial| trial.output.effective.as_secs_f64()).sum();
    let mut left = sum.max(goal.duration_sum.as_secs_f64()) * (1.0 - goal.exceed_ratio);
    let mut loss = None;
    for trial in full {
        if loss.is_some() && left <= 0.0 {
            break;
        }
        loss = Some(trial.output.loss_ratio);
        left -= trial.output.effective.as_secs_f64();
    }
    // Time that nobody looked at is taken for lost.
    let loss = if left > 0.0 { loss.map(|_| 1.0) } else { loss };
    loss.map(|loss| load * (1.0 - loss))
}

/// The loads that may be offered, in frames per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loads {
    min: f64,
    max: f64,
}

impl Loads {
    /// From `min` to `max`; `None` unless both are positive numbers in that order.
    #[must_use]
    pub fn new(min: f64, max: f64) -> Option<Self> {
        let is_good = min >= 1.0 && max >= min && max.is_finite() && max < 1e15;
        is_good.then_some(Self { min: min.round(), max: max.round() })
    }
}

/// What was found for one goal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// The goal.
    pub goal: Goal,
    /// The largest load below the upper bound that is carried, in frames per second.
    pub lower: Option<f64>,
    /// The smallest load that is not.
    pub upper: Option<f64>,
    /// What is forwarded at the lower bound.
    pub conditional_throughput: Option<f64>,
    /// Both bounds exist and are near enough; otherwise the path was not limited by what was measured, or carried nothing.
    pub is_regular: bool,
    /// What is the matter when it is not.
    pub remark: String,
}

/// What a search found, with everything it is from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Found {
    /// For each goal, in their order.
    pub outcomes: Vec<Outcome>,
    /// Every trial, in the order they were made: load and what it showed.
    pub trials: Vec<(f64, Trial)>,
}

/// No search takes more trials than this: a path whose answers contradict themselves must not be measured for ever.
const MOST_TRIALS: usize = 2000;

/// Looks for every goal, by trials of a load and a duration.
///
/// The trial at the largest load comes first and only warms the path up.
///
/// # Errors
/// What a trial answers: the search ends with it.
pub fn search<E>(
    goals: &[Goal],
    loads: Loads,
    mut trial: impl FnMut(f64, Duration) -> Result<Output, E>,
) -> Result<Found, E> {
    let mut known = Known::default();
    if let Some(goal) = goals.first() {
        trial(loads.max, goal.initial_trial.unwrap_or(goal.final_trial))?;
    }
    for goal in goals {
        if let Some(initial) = goal.initial_trial {
            let short = Goal {
                final_trial: initial,
                duration_sum: initial,
                initial_trial: None,
                width: goal.width * 4.0,
                ..goal.clone()
            };
            known.look_for(&short, loads, &mut trial)?;
        }
        known.look_for(goal, loads, &mut trial)?;
    }
    let outcomes = goals.iter().map(|goal| known.outcome(goal, loads)).collect();
    Ok(Found { outcomes, trials: known.order })
}

/// Everything that was measured, by load. Loads are whole numbers of frames per second.
#[derive(Debug, Default)]
struct Known {
    by_load: BTreeMap<u64, Vec<Trial>>,
    order: Vec<(f64, Trial)>,
}

impl Known {
    fn look_for<E>(
        &mut self,
        goal: &Goal,
        loads: Loads,
        trial: &mut impl FnMut(f64, Duration) -> Result<Output, E>,
    ) -> Result<(), E> {
        while let Some(load) = self.next(goal, loads) {
            if self.order.len() >= MOST_TRIALS {
                return Ok(());
            }
            let output = trial(load, goal.final_trial)?;
            let made = Trial { duration: goal.final_trial, output };
            self.by_load.entry(key(load)).or_default().push(made);
            self.order.push((load, made));
        }
        Ok(())
    }

    /// The load to try next; `None` when the goal is reached, or can not be.
    fn next(&self, goal: &Goal, loads: Loads) -> Option<f64> {
        let (lower, upper) = self.bounds(goal);
        // A load between the bounds that was begun is decided before another is.
        let begun = self.by_load.iter().find(|(load, trials)| {
            let load = float(**load);
            classify(goal, trials) == Bound::Undecided
                && !trials.is_empty()
                && lower.is_none_or(|lower| load > lower)
                && upper.is_none_or(|upper| load < upper)
        });
        if let Some((load, _)) = begun {
            return Some(float(*load));
        }
        match (lower, upper) {
            (_, None) => {
                let is_carried = self.bound(goal, loads.max) == Bound::Lower;
                (!is_carried).then_some(loads.max)
            }
            (None, Some(upper)) => {
                if upper <= loads.min {
                    return None;
                }
                // What arrived of too much is a good guess of what is carried.
                let guess = self.forwarded(upper).filter(|load| *load < upper * (1.0 - goal.width));
                Some(guess.unwrap_or(upper / 2.0).max(loads.min).round())
            }
            (Some(lower), Some(upper)) => {
                if (upper - lower) / upper <= goal.width || upper - lower <= 1.0 {
                    return None;
                }
                let middle = (lower * upper).sqrt().round();
                Some(middle.clamp(lower + 1.0, upper - 1.0))
            }
        }
    }

    /// The relevant bounds (RFC 9971): the smallest upper, and the largest lower below it; without an upper the largest.
    fn bounds(&self, goal: &Goal) -> (Option<f64>, Option<f64>) {
        let of = |wanted: Bound| {
            self.by_load
                .iter()
                .filter(move |(_, trials)| classify(goal, trials) == wanted)
                .map(|(load, _)| float(*load))
        };
        let upper = of(Bound::Upper).next();
        let lower = of(Bound::Lower).rfind(|load| upper.is_none_or(|upper| *load < upper));
        (lower, upper)
    }

    fn bound(&self, goal: &Goal, load: f64) -> Bound {
        self.by_load.get(&key(load)).map_or(Bound::Undecided, |trials| classify(goal, trials))
    }

    /// The most that was forwarded of a load.
    fn forwarded(&self, load: f64) -> Option<f64> {
        let trials = self.by_load.get(&key(load))?;
        trials.iter().map(|trial| load * (1.0 - trial.output.loss_ratio)).max_by(f64::total_cmp)
    }

    fn outcome(&self, goal: &Goal, loads: Loads) -> Outcome {
        let (lower, upper) = self.bounds(goal);
        let trials =
            |load: f64| self.by_load.get(&key(load)).map(Vec::as_slice).unwrap_or_default();
        let throughput = lower.and_then(|lower| conditional_throughput(goal, lower, trials(lower)));
        let is_near =
            |lower: f64, upper: f64| (upper - lower) / upper <= goal.width || upper - lower <= 1.0;
        let (is_regular, remark) = match (lower, upper) {
            (Some(lower), Some(upper)) if is_near(lower, upper) => (true, String::new()),
            (Some(_), Some(_)) => {
                (false, format!("the bounds did not come near enough in {MOST_TRIALS} trials"))
            }
            (Some(_), None) => (
                false,
                format!("the largest load, {}, is carried: the path was not the limit", loads.max),
            ),
            (None, Some(_)) => (false, format!("not even {} a second are carried", loads.min)),
            (None, None) => (false, "nothing was decided".to_owned()),
        };
        Outcome {
            goal: goal.clone(),
            lower,
            upper,
            conditional_throughput: throughput,
            is_regular,
            remark,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "loads are whole numbers from 1 to 10^15"
)]
fn key(load: f64) -> u64 {
    load.round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "loads are below 10^15")]
fn float(load: u64) -> f64 {
    load as f64
}

#[cfg(test)]
mod tests;
