//! `barewire-tune confirm`

use std::{path::Path, time::Duration};

use super::{
    Failure, Session,
    changes::{self, Stopped},
};
use crate::{Exit, executor::disarm, hands::Hands};

/// Say that you can still get in: what was applied with `--confirm-within` stays.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The entry; without it, the one that waits.
    #[arg(value_name = "N")]
    number: Option<u32>,
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let hands = session.hands()?;
    let hands: &dyn Hands = &hands;
    let journal = session.journal(hands, Duration::from_secs(60))?;
    let entries = journal.entries(hands).map_err(changes::writing)?;
    let asked = entries.into_iter().rev().find(|entry| match args.number {
        Some(number) => entry.number == number,
        None => entry.confirmation.is_some(),
    });
    let Some(mut entry) = asked else {
        return Err(Stopped::new(Exit::Usage, "nothing waits for a confirmation").into());
    };
    let number = changes::numbered(entry.number);
    if !entry.is_active() {
        let what = format!("entry {number} is rolled back already");
        return Err(Stopped::new(Exit::RolledBack, what).into());
    }
    if entry.is_cut_short() {
        let what = format!("entry {number} was cut short, so that there is nothing to confirm");
        return Err(Stopped::refused(what).help(changes::undo(entry.number)).into());
    }
    let Some(confirmation) = &mut entry.confirmation else {
        return Err(Stopped::new(Exit::Usage, format!("entry {number} waits for nothing")).into());
    };
    let guard = confirmation.guard.clone();
    if confirmation.is_given {
        writeln!(session.err, "entry {number} was confirmed before")?;
        return Ok(Exit::Success);
    }
    confirmation.is_given = true;
    journal.save(hands, &entry).map_err(changes::writing)?;
    if session.surroundings.timers.is_some() {
        disarm(&guard, Path::new("systemctl"));
    }
    writeln!(session.err, "entry {number} stays")?;
    Ok(Exit::Success)
}
