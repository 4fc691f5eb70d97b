//! `barewire-tune apply --boot`: what does not outlive a reboot, set again.

use std::time::Duration;

use super::{Args, How, company, dry_run, failed, new_entry, next_number, nothing, unconfirmed};
use crate::{
    Exit,
    commands::{
        Failure, Session,
        changes::{self, Stopped},
    },
    executor::{self, ApplyError, boot_steps, compile_each},
    hands::Hands,
    journal::{Effect, Entry, Journal, Kind},
    plan::Step,
};

/// `apply --boot`
pub(super) fn again(
    args: &Args,
    hands: &dyn Hands,
    session: &mut Session<'_>,
) -> Result<Exit, Failure> {
    company::warn(args, hands, session)?;
    unconfirmed::undo(args, hands, session)?;
    let journal = session.journal(hands, Duration::from_secs(60))?;
    if args.dry_run {
        let (_, effects) = forgotten(hands, &journal, session)?;
        return dry_run(args.how(), &effects, session);
    }
    let number = next_number(hands, &journal)?;
    let (steps, effects) = forgotten(hands, &journal, session)?;
    if effects.is_empty() {
        return nothing(args.how(), session);
    }
    let entry = new_entry(hands, number, Kind::Boot, steps, effects);
    carry_out_each(args.how(), hands, &journal, entry, session)
}

/// Does what an entry says as far as it can be done: a machine of which one knob is gone is not left untuned.
pub(super) fn carry_out_each(
    how: How,
    hands: &dyn Hands,
    journal: &Journal,
    mut entry: Entry,
    session: &mut Session<'_>,
) -> Result<Exit, Failure> {
    let mut events = Vec::new();
    let result = executor::apply_each(
        hands,
        journal,
        &mut entry,
        &mut session.telling(how.json, &mut events),
    );
    let (exit, left) = match &result {
        Ok((_, failures)) if failures.is_empty() => (Exit::Success, Vec::new()),
        Ok((_, failures)) => (Exit::Incomplete, failures.clone()),
        Err(ApplyError::NotBegun(_) | ApplyError::Undone(_)) => (Exit::RolledBack, Vec::new()),
        Err(ApplyError::Left { left, .. }) => (Exit::Incomplete, left.clone()),
    };
    let number = match &result {
        Ok(_) => folded(hands, journal, &entry, session)?,
        Err(_) => Some(entry.number),
    };
    how.answer(exit, number, &events, &left, session)?;
    let (applied, failures) = result.map_err(|error| failed(&entry, error))?;
    if failures.is_empty() {
        match number {
            Some(number) => writeln!(
                session.err,
                "set again as {}; `{}` undoes it",
                changes::numbered(number),
                changes::undo(number)
            )?,
            None => writeln!(session.err, "set again; what set it before undoes it")?,
        }
        return Ok(exit);
    }
    let number = changes::numbered(number.unwrap_or(entry.number));
    for failure in &failures {
        writeln!(session.err, "not set: {}", failure.trim_end())?;
    }
    let what = format!(
        "set again as {number}, but not all of it: {} done, {} not",
        applied.done,
        failures.len()
    );
    Err(Stopped::new(exit, what).help(format!("barewire-tune history {number}")).into())
}

/// The entry that leads back from what was set again, if earlier ones do not.
fn folded(
    hands: &dyn Hands,
    journal: &Journal,
    entry: &Entry,
    session: &mut Session<'_>,
) -> Result<Option<u32>, Failure> {
    let error = match executor::fold(hands, journal, entry.clone()) {
        Ok(number) => return Ok(number),
        Err(error) => executor::chain(&error),
    };
    // It leads back as it is.
    writeln!(session.err, "warning: an entry of its own is left: {error}")?;
    Ok(Some(entry.number))
}

/// What is in force and the kernel does not have: since a boot, or because somebody set it otherwise.
fn forgotten(
    hands: &dyn Hands,
    journal: &Journal,
    session: &mut Session<'_>,
) -> Result<(Vec<Step>, Vec<Effect>), Failure> {
    let entries = journal.entries(hands).map_err(changes::writing)?;
    let steps = boot_steps(hands, &entries);
    let (effects, errors) = compile_each(hands, &steps);
    for error in errors {
        // One device that is not there must not leave all the others untuned.
        writeln!(session.err, "warning: {}", executor::chain(&error))?;
    }
    Ok((steps, effects))
}

/// Sets again what is in force and is something else now; says how much that was.
pub(in crate::commands) fn reassert(
    hands: &dyn Hands,
    session: &mut Session<'_>,
) -> Result<usize, Failure> {
    let journal = session.journal(hands, Duration::from_secs(5))?;
    let number = next_number(hands, &journal)?;
    let (steps, effects) = forgotten(hands, &journal, session)?;
    if !effects.is_empty() {
        let mut entry = new_entry(hands, number, Kind::Boot, steps, effects);
        let (applied, failures) = executor::apply_each(hands, &journal, &mut entry, &mut |_| {})
            .map_err(|error| failed(&entry, error))?;
        folded(hands, &journal, &entry, session)?;
        for failure in failures {
            writeln!(session.err, "warning: not set: {}", failure.trim_end())?;
        }
        return Ok(applied.done);
    }
    Ok(0)
}
