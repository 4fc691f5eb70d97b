//! `barewire-tune verify`

use std::time::Duration;

use serde::Serialize;

use super::{Failure, Session, apply, changes};
use crate::{
    Exit,
    executor::{Event, Standing, Verified, boot_id, verify},
    hands::Hands,
    journal::{self, Entry},
};

/// Say what of all that was applied took, what the kernel or somebody changed since, and what waits for a reboot.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Make kernel arguments last that were on trial, if this boot came up with them: for a unit that runs at boot.
    #[arg(long)]
    boot: bool,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// What `verify --json` answers.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    version: u32,
    #[serde(flatten)]
    end: changes::End,
    cut_short: Vec<u32>,
    unconfirmed: Vec<u32>,
    /// The entry that made kernel arguments last that were on trial.
    made_lasting: Option<u32>,
    /// What was done for that.
    events: &'a [Event],
    verified: &'a [Verified],
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let hands = session.hands()?;
    let hands: &dyn Hands = &hands;
    let state = session.common.state.path()?;
    let mut entries = journal::entries(hands, &state).map_err(changes::reading)?;
    let mut made_lasting = None;
    let mut events = Vec::new();
    if args.boot && entries.iter().any(|entry| entry.is_active() && entry.trial.is_some()) {
        let journal = session.journal(hands, Duration::from_secs(60))?;
        entries = journal.entries(hands).map_err(changes::writing)?;
        let promoted =
            apply::promote(hands, &journal, &entries, &mut session.telling(args.json, &mut events));
        entries = journal.entries(hands).map_err(changes::writing)?;
        made_lasting = match promoted {
            Ok(promoted) => promoted,
            Err(failure) => {
                if args.json {
                    let verified = verify(hands, &entries);
                    let end = failure.exit();
                    answer(session, end, &entries, &verified, (None, &events))?;
                }
                return Err(failure);
            }
        };
        if made_lasting.is_some() {
            writeln!(session.err, "the machine came up with the kernel arguments: they last now")?;
        }
    }
    let verified = verify(hands, &entries);
    let boot = boot_id(hands);
    let exit = exit(&entries, &verified, boot.as_deref());
    if args.json {
        answer(session, exit, &entries, &verified, (made_lasting, &events))?;
        return Ok(exit);
    }
    say(&entries, &verified, boot.as_deref(), session)?;
    Ok(exit)
}

fn say(
    entries: &[Entry],
    verified: &[Verified],
    boot: Option<&str>,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    for one in verified {
        let (word, more) = match &one.standing {
            Standing::Took => ("took", one.wanted.clone()),
            Standing::Rounded { now } => ("rounded", format!("{} became {now}", one.wanted)),
            Standing::Changed { now } => ("CHANGED", format!("{} became {now}", one.wanted)),
            Standing::Lapsed { now } => ("LAPSED", format!("{now}, until `apply --boot` runs")),
            Standing::Refused { why } => ("left out", why.clone()),
            Standing::Pending => ("pending", format!("{} after a reboot", one.wanted)),
            Standing::NotTaken { now } => {
                ("NOT TAKEN", format!("{} was asked for, {now} is there", one.wanted))
            }
            Standing::Unknown { why } => ("UNKNOWN", why.clone()),
        };
        writeln!(session.out, "{word:<9} {}: {more}", one.what)?;
    }
    for number in numbers(entries, Entry::is_cut_short) {
        let (entry, undo) = (changes::numbered(number), changes::undo(number));
        writeln!(session.err, "entry {entry} was cut short: `{undo}` undoes it")?;
    }
    for entry in entries.iter().filter(|entry| entry.waits()) {
        let number = changes::numbered(entry.number);
        match entry.is_unconfirmed(boot) {
            true => writeln!(
                session.err,
                "entry {number} was not confirmed before this boot: `barewire-tune apply --boot` undoes it"
            )?,
            false => writeln!(session.err, "entry {number} waits for `barewire-tune confirm`")?,
        }
    }
    if entries.iter().all(|entry| !entry.is_active()) {
        writeln!(session.err, "nothing is applied")?;
    }
    Ok(())
}

fn numbers(entries: &[Entry], is: fn(&Entry) -> bool) -> Vec<u32> {
    entries.iter().filter(|entry| is(entry)).map(|entry| entry.number).collect()
}

fn answer(
    session: &mut Session<'_>,
    exit: Exit,
    entries: &[Entry],
    verified: &[Verified],
    (made_lasting, events): (Option<u32>, &[Event]),
) -> Result<(), Failure> {
    session.json(&Answer {
        version: 1,
        end: exit.into(),
        cut_short: numbers(entries, Entry::is_cut_short),
        unconfirmed: numbers(entries, Entry::waits),
        made_lasting,
        events,
        verified,
    })
}

/// The worst of it.
fn exit(entries: &[Entry], verified: &[Verified], boot: Option<&str>) -> Exit {
    let any = |is: fn(&Standing) -> bool| verified.iter().any(|one| is(&one.standing));
    let is_unconfirmed = entries.iter().any(|entry| entry.is_unconfirmed(boot));
    if entries.iter().any(Entry::is_cut_short) {
        Exit::Incomplete
    } else if is_unconfirmed
        || any(|standing| match standing {
            Standing::Changed { .. } | Standing::Lapsed { .. } | Standing::NotTaken { .. } => true,
            Standing::Took
            | Standing::Rounded { .. }
            | Standing::Refused { .. }
            | Standing::Pending
            | Standing::Unknown { .. } => false,
        })
    {
        Exit::Bad
    } else if any(|standing| matches!(standing, Standing::Unknown { .. })) {
        Exit::Unknown
    } else if any(|standing| matches!(standing, Standing::Pending)) {
        Exit::PendingReboot
    } else {
        Exit::Success
    }
}
