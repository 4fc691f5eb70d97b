//! `barewire-tune apply`

mod again;
mod company;
mod keep;
mod promote;
mod told;
mod unconfirmed;

use std::{
    fs,
    io::{self, Read as _},
    path::PathBuf,
    time::Duration,
};

use super::{
    Failure, Session,
    changes::{self, Stopped},
    plan,
};
pub(super) use again::reassert;
pub(super) use promote::promote;
pub(super) use told::{How, dry_run, nothing};
use told::{is_pending, summary};

use crate::{
    Exit,
    executor::{self, ApplyError, CompileError, DeadMan, boot_id, compile, trial},
    hands::Hands,
    journal::{self, Confirmation, Deed, Effect, Entry, Guard, Journal, Kind, State},
    plan::{Blast, Plan, Step},
};

/// Do what the plan says, so that it can be undone.
///
/// Every value is written to the journal before it is changed, and read back after. When something fails, all of it is
/// undone. Kernel arguments are tried out by one boot before they stay.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan to carry out, as `plan --format json` prints it; without it, what `plan` would say.
    #[arg(long, value_name = "FILE", conflicts_with = "boot")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    wanted: plan::Wanted,
    #[command(flatten)]
    measure: super::Measure,
    /// Set again what does not outlive a reboot, as it was applied before: for a unit that runs at boot. What can not be
    /// set is undone by itself and told (exit code 61); the rest is set.
    #[arg(long)]
    boot: bool,
    /// Roll back after so long, or at the next boot, unless `barewire-tune confirm` comes: for what may cut you off.
    #[arg(long, value_name = "TIME", value_parser = confirm_within)]
    confirm_within: Option<Duration>,
    /// Take steps that may cut you off without waiting for a confirmation.
    #[arg(long, conflicts_with = "confirm_within")]
    without_confirmation: bool,
    /// Go on although another tuner runs; it may set everything again as it likes.
    #[arg(long)]
    adopt: bool,
    /// Make kernel arguments last without a boot that shows that the machine comes up with them.
    #[arg(long)]
    without_trial_boot: bool,
    #[command(flatten)]
    keep: keep::Keep,
    /// Say what would be written, and write nothing.
    #[arg(long)]
    dry_run: bool,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn confirm_within(text: &str) -> Result<Duration, String> {
    let within = config::parse_duration(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60)).contains(&within) {
        Ok(within)
    } else {
        Err("not between 1s and 1440m".to_owned())
    }
}

/// The largest plan that is read, in bytes.
const MOST_PLAN: u64 = 16 << 20;

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let hands = session.hands()?;
    let hands: &dyn Hands = &hands;
    if args.boot {
        return again::again(args, hands, session);
    }
    if args.keep.keep_what_helps {
        return keep::run(args, hands, session);
    }
    let plan = match &args.plan {
        Some(file) => read(file)?,
        None => {
            let source = session.source()?;
            plan::make(&args.wanted, args.measure, &source, session)?
        }
    };
    company::refuse(args, hands, &plan.steps)?;
    if args.dry_run {
        let split = split(args, hands, plan.steps)?;
        let mut effects = split.effects;
        effects.extend(compile(hands, &split.held).map_err(not_compiled)?);
        return dry_run(args.how(), &effects, session);
    }
    let cuts_off = plan.steps.iter().find(|step| step.blast == Blast::Management);
    if let (Some(step), None, false) = (cuts_off, args.confirm_within, args.without_confirmation) {
        let what = format!("{} may cut you off", step.change.target());
        let help = "--confirm-within 120s rolls back unless you come back and confirm; \
                    --without-confirmation takes the risk";
        return Err(Stopped::refused(what).help(help).into());
    }
    let journal = session.journal(hands, Duration::from_secs(5))?;
    let number = next_number(hands, &journal)?;
    let split = split(args, hands, plan.steps)?;
    if split.effects.is_empty() {
        return nothing(args.how(), session);
    }
    let mut entry = new_entry(hands, number, Kind::Apply, split.steps, split.effects);
    entry.trial = split.trial;
    entry.confirmation = args.confirm_within.map(|within| Confirmation {
        within_s: within.as_secs(),
        guard: Guard::None,
        is_given: false,
    });
    carry_out(args.how(), hands, &journal, entry, session)
}

impl Args {
    fn how(&self) -> How {
        How { json: self.json, confirm_within: self.confirm_within }
    }
}

/// What a plan comes down to.
struct Split {
    steps: Vec<Step>,
    held: Vec<Step>,
    effects: Vec<Effect>,
    trial: Option<journal::Trial>,
}

fn split(args: &Args, hands: &dyn Hands, steps: Vec<Step>) -> Result<Split, Failure> {
    if args.without_trial_boot || !trial::is_wanted(&steps) {
        let effects = compile(hands, &steps).map_err(not_compiled)?;
        return Ok(Split { steps, held: Vec::new(), effects, trial: None });
    }
    let split = trial::split(hands, steps).map_err(|error| {
        Stopped::refused(error.to_string())
            .help("--without-trial-boot makes them last at once; have another way in")
    })?;
    let mut effects = compile(hands, &split.steps[..split.at_once]).map_err(not_compiled)?;
    let held = split.steps[split.at_once..].to_vec();
    let trial = split.trial.map(|(trial, more)| {
        effects.extend(more.into_iter().filter(|effect| match &effect.deed {
            Deed::Turn { knob, from, to } => !knob.is_same(from, to),
            Deed::Run { .. } => true,
        }));
        trial
    });
    let held = if trial.is_some() { held } else { Vec::new() };
    Ok(Split { steps: split.steps, held, effects, trial })
}

pub(super) fn carry_out(
    how: How,
    hands: &dyn Hands,
    journal: &Journal,
    mut entry: Entry,
    session: &mut Session<'_>,
) -> Result<Exit, Failure> {
    if let Some(within) = how.confirm_within {
        arm(hands, journal, &mut entry, within, session)?;
    }
    let mut events = Vec::new();
    let result =
        executor::apply(hands, journal, &mut entry, &mut session.telling(how.json, &mut events));
    let left = match &result {
        Err(ApplyError::Left { left, .. }) => left.clone(),
        _ => Vec::new(),
    };
    let exit = match &result {
        Ok(_) if is_pending(&entry) => Exit::PendingReboot,
        Ok(_) => Exit::Success,
        Err(ApplyError::NotBegun(_) | ApplyError::Undone(_)) => Exit::RolledBack,
        Err(ApplyError::Left { .. }) => Exit::Incomplete,
    };
    how.answer(exit, Some(entry.number), &events, &left, session)?;
    match result {
        Ok(_) => {
            // That nobody listens any more does not undo it.
            let _ = summary(&entry, session);
            Ok(exit)
        }
        Err(error) => Err(failed(&entry, error).into()),
    }
}

/// Does what an entry says, and tells nobody; or says how that ended.
fn carry(hands: &dyn Hands, journal: &Journal, entry: &mut Entry) -> Result<(), (Exit, String)> {
    match executor::apply(hands, journal, entry, &mut |_| {}) {
        Ok(_) => Ok(()),
        Err(error) => {
            let exit = match &error {
                ApplyError::NotBegun(_) | ApplyError::Undone(_) => Exit::RolledBack,
                ApplyError::Left { .. } => Exit::Incomplete,
            };
            Err((exit, executor::chain(&error)))
        }
    }
}

fn failed(entry: &Entry, error: ApplyError) -> Stopped {
    let number = changes::numbered(entry.number);
    match error {
        ApplyError::Left { .. } => {
            Stopped::new(Exit::Incomplete, "apply failed").because(error).help(format!(
                "barewire-tune history {number}; {} tries again",
                changes::undo(entry.number)
            ))
        }
        ApplyError::NotBegun(_) | ApplyError::Undone(_) => {
            Stopped::new(Exit::RolledBack, "apply failed").because(error)
        }
    }
}

/// Writes the entry down and arms what undoes it; nothing of it is done yet.
fn arm(
    hands: &dyn Hands,
    journal: &Journal,
    entry: &mut Entry,
    within: Duration,
    session: &Session<'_>,
) -> Result<(), Failure> {
    let Some(program) = session.surroundings.program.as_deref() else {
        return Err(Stopped::refused("this program does not know where it is").into());
    };
    journal.save(hands, entry).map_err(changes::writing)?;
    let dead_man = DeadMan {
        program,
        timers: session.surroundings.timers.as_deref(),
        root: &session.common.root,
        state: journal.dir(),
        entry: entry.number,
        within,
    };
    match dead_man.arm() {
        Ok(guard) => {
            if let Some(confirmation) = &mut entry.confirmation {
                confirmation.guard = guard;
            }
            Ok(())
        }
        Err(error) => {
            entry.state = State::Undone;
            journal.save(hands, entry).map_err(changes::writing)?;
            Err(Stopped::refused("nothing could be armed that rolls back").because(error).into())
        }
    }
}

fn read(file: &std::path::Path) -> Result<Plan, Failure> {
    let makes = "barewire-tune plan --format json makes one";
    let wrong =
        |why: String| Failure::Usage(format!("{} is not a plan: {why}; {makes}", file.display()));
    let mut text = String::new();
    fs::File::open(file)
        .and_then(|file| file.take(MOST_PLAN + 1).read_to_string(&mut text))
        .map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => wrong("it is not text".to_owned()),
            _ => Failure::Usage(format!("cannot read {}: {error}", file.display())),
        })?;
    if text.len() as u64 > MOST_PLAN {
        return Err(wrong("it is too large".to_owned()));
    }
    serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
}

/// The number of the next entry; none while an earlier one is neither done nor undone.
///
/// What earlier boots set again is forgotten before: it is gone with them, cut short or not.
pub(super) fn next_number(hands: &dyn Hands, journal: &Journal) -> Result<u32, Failure> {
    let boot = boot_id(hands);
    let numbers = journal.numbers(hands).map_err(changes::writing)?;
    let mut count = numbers.len();
    for number in &numbers {
        let entry = journal.entry(hands, *number).map_err(changes::writing)?;
        if entry.kind == Kind::Boot && entry.boot != boot {
            journal.forget(hands, *number).map_err(changes::writing)?;
            count -= 1;
            continue;
        }
        let number = changes::numbered(*number);
        let undo = changes::undo(entry.number);
        if entry.is_cut_short() {
            let what = format!("entry {number} was cut short");
            return Err(Stopped::refused(what).help(undo).into());
        }
        if entry.waits() {
            let what = format!("entry {number} waits for its confirmation");
            return Err(Stopped::refused(what)
                .help(format!("barewire-tune confirm, or {undo}"))
                .into());
        }
    }
    journal.has_room(count).map_err(changes::writing)?;
    let last = numbers.last().copied().unwrap_or_default();
    last.checked_add(1).ok_or_else(|| Stopped::refused("the journal is full").into())
}

pub(super) fn new_entry(
    hands: &dyn Hands,
    number: u32,
    kind: Kind,
    steps: Vec<Step>,
    effects: Vec<Effect>,
) -> Entry {
    Entry {
        version: journal::VERSION,
        number,
        kind,
        state: State::Applying,
        began: changes::now(),
        boot: boot_id(hands),
        steps,
        effects,
        confirmation: None,
        trial: None,
    }
}

pub(super) fn not_compiled(error: CompileError) -> Failure {
    let exit = match &error {
        CompileError::Knob { .. } | CompileError::Root(_) => Exit::Unknown,
        CompileError::Moved { .. }
        | CompileError::Impossible { .. }
        | CompileError::ByHand { .. } => Exit::Refused,
    };
    Stopped::new(exit, "nothing was changed").because(error).into()
}

#[cfg(test)]
mod tests;
