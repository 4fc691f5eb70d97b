//! The experiment: blocks, in which each path is started afresh and measured, in random order.

use std::time::{Duration, Instant};

use linux::clock::CalibrationError;

use super::{
    arm::Group,
    plan::{GroupPlan, Member, Plan},
    result::{End, LeftOut},
    start::{Lab, Running, StartError, Started, Wanted},
    throughput::{self, Carried, Throughput, ThroughputPlan},
    trial::{self, Cell, Invalid, Place, Trial},
};
use crate::{interrupt::Interrupted, probe::clock::Counter, say, wire::Generator};

/// An invalid trial is made again so often.
const AGAIN: usize = 2;

/// Of all trials, the share that is made again at most: on a machine that disturbs all of them, the plan's time is kept.
pub(super) const SPARE: usize = 4;

/// To start and stop a path, before it is known.
const START: Duration = Duration::from_millis(1500);

/// What there is so far: also when the end comes early.
#[derive(Debug, Default)]
pub struct Made {
    /// Every trial.
    pub trials: Vec<Trial>,
    /// Every start.
    pub starts: Vec<Started>,
    /// Who could not take part.
    pub left_out: Vec<LeftOut>,
    /// What paths carry.
    pub throughput: Vec<Throughput>,
}

/// Why it ended early.
#[derive(Debug, thiserror::Error)]
enum Stop {
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Trial(#[from] trial::TrialError),
    #[error("the CPU's counter can not be used")]
    Clock(#[from] CalibrationError),
}

impl From<Interrupted> for Stop {
    fn from(_: Interrupted) -> Self {
        Self::Interrupted
    }
}

/// Runs a plan.
#[must_use]
pub fn run(lab: &Lab, generator: Option<Generator<'_>>, plan: &Plan, seed: u64) -> (Made, End) {
    let mut experiment = Experiment {
        lab,
        generator,
        plan,
        random: fastrand::Rng::with_seed(seed),
        begun: Instant::now(),
        done: 0,
        number: 0,
        spare: plan.trials().div_ceil(SPARE),
        made: Made::default(),
    };
    let end = match experiment.all() {
        Ok(()) => End::Complete,
        Err(Stop::Interrupted) => End::Interrupted,
        // It breaks the wire of the trial that is under way.
        Err(_) if lab.interrupt.check().is_err() => End::Interrupted,
        Err(stop) => End::Failed { why: chain(&stop) },
    };
    say::end_of_progress();
    (experiment.made, end)
}

pub(super) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

struct Experiment<'a> {
    lab: &'a Lab,
    generator: Option<Generator<'a>>,
    plan: &'a Plan,
    random: fastrand::Rng,
    begun: Instant,
    /// Trials that were planned and are made, or never will be.
    done: usize,
    /// Trials so far, repeated ones included: probes carry it, and 0 is for those before the first.
    number: u16,
    /// Trials that may still be made again.
    spare: usize,
    made: Made,
}

impl Experiment<'_> {
    fn all(&mut self) -> Result<(), Stop> {
        let mut clock = Counter::start(Duration::from_millis(200))?;
        for block in 0..self.plan.blocks {
            // Groups take turns as well: a machine that changes its mood does so to all of them.
            let mut order: Vec<(&GroupPlan, Member)> = Vec::new();
            let mut groups: Vec<&GroupPlan> = self.plan.groups.iter().collect();
            self.random.shuffle(&mut groups);
            for group in groups {
                let mut members = group.members();
                self.random.shuffle(&mut members);
                order.extend(members.into_iter().map(|member| (group, member)));
            }
            for (group, member) in order {
                self.lab.interrupt.check()?;
                self.progress(block, group.kind, member);
                if self.is_left_out(group.kind, member) {
                    self.done += group.cells();
                    continue;
                }
                self.member(block, group, member, &mut clock)?;
            }
        }
        let mut carried = Carried::default();
        let searches = &self.plan.throughput;
        let done = throughput::run(self.lab, self.generator, searches, &mut clock, &mut carried);
        self.made.starts.extend(carried.starts);
        self.made.left_out.extend(carried.left_out);
        self.made.throughput.extend(carried.found);
        Ok(done?)
    }

    fn is_left_out(&self, group: Group, member: Member) -> bool {
        self.made.left_out.iter().any(|out| out.group == group && out.member == Some(member))
    }

    fn progress(&self, block: usize, group: Group, member: Member) {
        let all = self.plan.trials();
        let (done, left) = (self.done, all.saturating_sub(self.done));
        let each = match u32::try_from(done) {
            Ok(done @ 1..) => self.begun.elapsed() / done,
            _ => self.plan.trial() + START,
        };
        let searches: Duration = self.plan.throughput.iter().map(ThroughputPlan::whole).sum();
        let left = each * u32::try_from(left).unwrap_or(u32::MAX) + searches;
        say::progress(format_args!(
            "trial {} of {all}: block {} of {}, {group}, {member}; about {} left",
            done + 1,
            block + 1,
            self.plan.blocks,
            say::duration(left)
        ));
    }

    fn member(
        &mut self,
        block: usize,
        group: &GroupPlan,
        member: Member,
        clock: &mut Counter,
    ) -> Result<(), Stop> {
        let wanted = Wanted { group: group.kind, member, block, workers: 1, via: group.generator };
        let mut running = match Running::start(self.lab, self.generator, wanted) {
            Ok(running) => running,
            Err(error) => {
                self.done += group.cells();
                return self.leave_out(group.kind, member, &error);
            }
        };
        self.made.starts.push(running.started.clone());
        let mut cells: Vec<Cell> = group
            .loads
            .iter()
            .flat_map(|load| group.sizes.iter().map(|size| Cell { load: *load, size: *size }))
            .collect();
        self.random.shuffle(&mut cells);
        let first = self.made.trials.len();
        for cell in cells {
            for attempt in 0..=AGAIN {
                self.lab.interrupt.check()?;
                self.number = self.number.wrapping_add(1).max(1);
                let at_s = self.begun.elapsed().as_secs_f64();
                let place = Place { block, cell, attempt, number: self.number, at_s };
                let made = trial::make(self.lab, &mut running, self.plan, group, clock, place)?;
                let is_valid = made.is_valid();
                self.made.trials.push(made);
                if is_valid || self.spare == 0 {
                    break;
                }
                self.spare -= usize::from(attempt < AGAIN);
            }
            self.done += 1;
        }
        match running.stop(&self.lab.interrupt) {
            Ok(Some(false)) => {
                for trial in &mut self.made.trials[first..] {
                    trial.faults.push(Invalid::Unbalanced);
                }
                Ok(())
            }
            Ok(Some(true) | None) => Ok(()),
            Err(error) => self.leave_out(group.kind, member, &error),
        }
    }

    fn leave_out(&mut self, group: Group, member: Member, error: &StartError) -> Result<(), Stop> {
        if error.is_interrupt() {
            return Err(Stop::Interrupted);
        }
        let why = chain(error);
        say::end_of_progress();
        say::note(format_args!("{group}: {member} is left out from here on: {why}"));
        self.made.left_out.push(LeftOut { group, member: Some(member), why });
        Ok(())
    }
}
