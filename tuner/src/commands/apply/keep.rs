//! `apply --keep-what-helps`

use std::time::Duration;

use noise::spin::{Options, spin};
use serde::Serialize;

use super::{Args, carry, changes, new_entry, next_number, not_compiled};
use crate::{
    Exit, Facts,
    commands::{Failure, Session, changes::Stopped, plan},
    executor::{self, Overwrite, compile},
    hands::Hands,
    journal::{Entry, Journal, Kind},
    keep::{self, Group, Trials},
    measured::Effect,
};

/// How trials are made.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Keep {
    /// Try each group of knobs in turns, with it and without, and keep only what makes the workers' CPUs quieter.
    #[arg(long, conflicts_with_all = ["boot", "dry_run", "confirm_within"])]
    pub(super) keep_what_helps: bool,
    /// Blocks of two runs for each group; fewer than five say hardly anything.
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(3..=100))]
    runs: u32,
    /// How long each run measures.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = config::parse_duration)]
    run_for: Duration,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Found {
    version: u32,
    seed: u64,
    /// What each group did.
    effects: Vec<Effect>,
    /// Steps that could not be tried, because they need a reboot or could cut the operator off.
    not_tried: Vec<String>,
    /// Groups that could not be taken at all, and why.
    failed: Vec<(String, String)>,
}

pub(super) fn run(
    args: &Args,
    hands: &dyn Hands,
    session: &mut Session<'_>,
) -> Result<Exit, Failure> {
    let source = session.source()?;
    if !source.is_live() {
        let what = "only the machine this runs on can be measured".to_owned();
        return Err(Failure::Usage(what));
    }
    let plan = match &args.plan {
        Some(file) => super::read(file)?,
        None => plan::make(&args.wanted, args.measure, &source, session)?,
    };
    super::company::refuse(args, hands, &plan.steps)?;
    let facts = Facts::read(&source);
    let intent = session.intent(&source, &facts)?;
    let Some(cpus) = intent.workers().into_value() else {
        let why = intent.placement.why().unwrap_or_default().to_owned();
        return Err(Stopped::refused(format!("no workers can be placed: {why}")).into());
    };
    let journal = session.journal(hands, Duration::from_secs(5))?;
    let (groups, left_out) = keep::groups(plan.steps);
    let seed = fastrand::u64(..1 << 32);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut found = Found {
        version: 1,
        seed,
        effects: Vec::new(),
        not_tried: left_out.iter().map(|step| step.change.target()).collect(),
        failed: Vec::new(),
    };
    let options = Options { cpus, over: args.keep.run_for, threshold: None, trace: false };
    for (number, group) in groups.iter().enumerate() {
        let left = u32::try_from(groups.len() - number).unwrap_or(u32::MAX);
        let time = args.keep.run_for * 2 * args.keep.runs * left;
        writeln!(session.err, "trying {} (about {} s left)", group.name, time.as_secs())?;
        let mut machine = Machine { hands, journal: &journal, options: &options, entry: None };
        match keep::try_out(group, args.keep.runs, &mut random, &mut machine) {
            Ok(effect) => found.effects.push(effect),
            // Nothing of it is in force; the others can still help.
            Err(TrialError::Take(why)) => found.failed.push((group.name.clone(), why)),
            Err(TrialError::Stop(failure)) => return Err(failure),
        }
    }
    if args.json {
        session.json(&found)?;
    } else {
        show(&found, session)?;
    }
    Ok(Exit::Success)
}

fn show(found: &Found, session: &mut Session<'_>) -> Result<(), Failure> {
    let out = &mut *session.out;
    writeln!(out, "{:<28} {:>7} {:>20}  kept", "group", "gain", "95 % interval")?;
    for effect in &found.effects {
        let Effect { what, gain, low, high, is_kept, .. } = effect;
        let interval = format!("{:+.1} % … {:+.1} %", low * 100.0, high * 100.0);
        let kept = if *is_kept { "yes" } else { "no" };
        writeln!(out, "{what:<28} {:>+6.1}% {interval:>20}  {kept}", gain * 100.0)?;
    }
    for (group, why) in &found.failed {
        writeln!(out, "{group}: not taken: {why}")?;
    }
    for what in &found.not_tried {
        writeln!(out, "{what}: not tried: it needs a reboot, or may cut you off")?;
    }
    writeln!(
        out,
        "gain: the share of the time taken from spinning workers that is gone (seed {})",
        found.seed
    )?;
    Ok(())
}

/// Why a trial ended.
enum TrialError {
    /// The group could not be taken, and nothing of it is in force.
    Take(String),
    /// It can not go on.
    Stop(Failure),
}

/// The machine that is tried on.
struct Machine<'a> {
    hands: &'a dyn Hands,
    journal: &'a Journal,
    options: &'a Options,
    /// What is in force for the moment.
    entry: Option<Entry>,
}

impl Trials for Machine<'_> {
    type Error = TrialError;

    fn take(&mut self, group: &Group) -> Result<(), TrialError> {
        let steps: Vec<_> =
            group.steps.iter().cloned().map(executor::without_expectation).collect();
        let effects = compile(self.hands, &steps)
            .map_err(|error| TrialError::Take(not_compiled(error).to_string()))?;
        let number = next_number(self.hands, self.journal).map_err(TrialError::Stop)?;
        let mut entry = new_entry(self.hands, number, Kind::Apply, steps, effects);
        carry(self.hands, self.journal, &mut entry).map_err(|(exit, why)| match exit {
            Exit::RolledBack => TrialError::Take(why),
            exit => TrialError::Stop(Stopped::new(exit, why).into()),
        })?;
        self.entry = Some(entry);
        Ok(())
    }

    fn undo(&mut self) -> Result<(), TrialError> {
        let Some(mut entry) = self.entry.take() else { return Ok(()) };
        let failed = |what: String| {
            TrialError::Stop(
                Stopped::new(Exit::Incomplete, what).help("barewire-tune rollback").into(),
            )
        };
        let undone =
            executor::undo(self.hands, self.journal, &mut entry, Overwrite::Nothing, &mut |_| {})
                .map_err(|error| failed(executor::chain(&error)))?;
        if let [first, ..] = undone.left().as_slice() {
            return Err(failed(format!("a trial could not be undone: {first}")));
        }
        // A trial that is undone is no history.
        self.journal
            .forget(self.hands, entry.number)
            .map_err(|error| TrialError::Stop(changes::writing(error).into()))
    }

    #[expect(clippy::cast_precision_loss, reason = "a ratio is formed of it")]
    fn measure(&mut self) -> Result<f64, TrialError> {
        let noise = spin(self.options).map_err(|error| TrialError::Stop(error.into()))?;
        let taken = noise.cpus.values().map(|cpu| cpu.taken_ns as f64 / cpu.seconds.max(1e-9));
        Ok(taken.sum())
    }
}
