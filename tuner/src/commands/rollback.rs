//! `barewire-tune rollback`

use std::time::Duration;

use super::{
    Failure, Session,
    changes::{self, Answer, Stopped},
};
use crate::{
    Exit,
    executor::{self, Overwrite, boot_id},
    hands::Hands,
    journal::{Entry, Journal, Kind},
};

/// Undo what was applied: the last of it, or all since an entry, or everything.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Back to before this entry: it and every later one are undone.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) to: Option<u32>,
    /// Back to before the first entry, and to the first value that any of us ever found.
    #[arg(long, conflicts_with = "to")]
    pub(super) pristine: bool,
    /// Put back also what somebody else changed since.
    #[arg(long)]
    pub(super) force: bool,
    /// Do nothing if the entry was confirmed: for the dead man's switch.
    #[arg(long, requires = "to")]
    pub(super) unless_confirmed: bool,
    /// Answer in JSON.
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let hands = session.hands()?;
    let hands: &dyn Hands = &hands;
    // The switch must not give way to an `apply` that hangs.
    let wait = Duration::from_secs(if args.unless_confirmed { 600 } else { 5 });
    let journal = session.journal(hands, wait)?;
    let (entries, damaged) = read(args, hands, &journal)?;
    if args.unless_confirmed {
        let entry = entries.iter().find(|entry| Some(entry.number) == args.to);
        if entry.is_some_and(|entry| !entry.waits()) {
            writeln!(session.err, "it was confirmed, or is undone already")?;
            return Ok(Exit::Success);
        }
    }
    let overwrite = match (args.force, args.unless_confirmed) {
        (true, _) => Overwrite::All,
        (false, true) => Overwrite::Values,
        (false, false) => Overwrite::Nothing,
    };
    let chosen = choose(args, entries)?;
    let mut events = Vec::new();
    let (mut left, mut unread) = (damaged, Vec::new());
    let mut numbers = Vec::new();
    for outline in chosen.into_iter().rev() {
        let mut entry = journal.entry(hands, outline.number).map_err(changes::writing)?;
        let undone = executor::undo(
            hands,
            &journal,
            &mut entry,
            overwrite,
            &mut session.telling(args.json, &mut events),
        )
        .map_err(|error| Stopped::new(Exit::Incomplete, "rollback stopped").because(error))?;
        numbers.push(entry.number);
        left.extend(undone.kept);
        unread.extend(undone.unread);
    }
    if args.pristine {
        pristine(
            args,
            hands,
            &journal,
            (&mut left, &mut unread),
            &mut session.telling(args.json, &mut events),
        )?;
    }
    let exit = match (left.is_empty(), unread.is_empty()) {
        (true, true) => Exit::Success,
        (true, false) => Exit::Unknown,
        (false, _) => Exit::Incomplete,
    };
    if args.json {
        let answer = Answer {
            version: 1,
            end: exit.into(),
            entries: numbers,
            events: &events,
            left: &left,
            unread: &unread,
        };
        session.json(&answer)?;
        return Ok(exit);
    }
    match (exit, numbers.as_slice()) {
        (Exit::Success, []) => writeln!(session.err, "there was nothing to undo")?,
        (Exit::Success, numbers) => {
            let all: Vec<String> = numbers.iter().map(|n| changes::numbered(*n)).collect();
            writeln!(session.err, "undone: {}", all.join(", "))?;
        }
        _ => {
            for what in &left {
                writeln!(session.err, "not undone: {}", what.trim_end())?;
            }
            for what in &unread {
                writeln!(session.err, "not known: {}", what.trim_end())?;
            }
            writeln!(
                session.err,
                "help: --force puts back also what somebody else changed since, and what can not be read"
            )?;
        }
    }
    Ok(exit)
}

/// The entries in outline, and for `--pristine`, which goes without them, those that are damaged. What was done is read
/// when its turn comes: of a journal of any size, one entry is in memory.
fn read(
    args: &Args,
    hands: &dyn Hands,
    journal: &Journal,
) -> Result<(Vec<Entry>, Vec<String>), Failure> {
    let mut entries = Vec::new();
    let mut damaged = Vec::new();
    for number in journal.numbers(hands).map_err(changes::writing)? {
        match journal.entry(hands, number) {
            Ok(entry) => entries.push(Entry { steps: Vec::new(), effects: Vec::new(), ..entry }),
            Err(error) if args.pristine => damaged.push(executor::chain(&error)),
            Err(error) => {
                return Err(changes::writing(error).ending(Exit::Incomplete).into());
            }
        }
    }
    Ok((entries, damaged))
}

/// The entries to undo, in order.
fn choose(args: &Args, entries: Vec<Entry>) -> Result<Vec<Entry>, Failure> {
    let first = match args.to {
        Some(number) => {
            if !entries.iter().any(|entry| entry.number == number) {
                let what = format!("there is no entry {}", changes::numbered(number));
                return Err(Stopped::new(Exit::Usage, what).help("barewire-tune history").into());
            }
            number
        }
        None if args.pristine => 0,
        None => {
            // What was cut short comes first, and by itself: it is what stands in the way.
            let is_last = |e: &&Entry| e.is_active() && (e.kind == Kind::Apply || e.is_cut_short());
            let last = entries.iter().rev().find(is_last);
            last.or_else(|| entries.iter().rev().find(|entry| entry.is_active()))
                .map_or(u32::MAX, |entry| entry.number)
        }
    };
    let is_of_an_earlier_one =
        |entry: &Entry| matches!(entry.kind, Kind::Promotion { of } if of < first);
    Ok(entries
        .into_iter()
        .filter(|entry| entry.is_active() && entry.number >= first && !is_of_an_earlier_one(entry))
        .collect())
}

/// What is still not as it was before any of us: what damaged entries did.
fn pristine(
    args: &Args,
    hands: &dyn Hands,
    journal: &Journal,
    (left, unread): (&mut Vec<String>, &mut Vec<String>),
    tell: &mut dyn FnMut(executor::Event),
) -> Result<(), Failure> {
    let boot = boot_id(hands);
    let known = journal
        .pristine(hands)
        .map_err(|error| changes::writing(error).ending(Exit::Incomplete))?;
    for first in known.knobs.iter().rev() {
        if !first.knob.is_lasting() && first.boot != boot {
            continue;
        }
        let what = first.knob.name();
        let now = match first.knob.read(hands) {
            Ok(now) => now,
            Err(error) => {
                unread.push(format!("{what}: {}", executor::chain(&error)));
                continue;
            }
        };
        if first.knob.is_same(&now, &first.value) {
            continue;
        }
        if first.knob.is_file() && !args.force {
            left.push(format!(
                "{what}: it is {}, and was {}",
                now.summary(),
                first.value.summary()
            ));
            continue;
        }
        match first.knob.write(hands, &first.value) {
            Ok(()) => tell(executor::Event::Restored { what, to: first.value.summary() }),
            Err(error) => left.push(format!("{what}: {}", executor::chain(&error))),
        }
    }
    Ok(())
}
