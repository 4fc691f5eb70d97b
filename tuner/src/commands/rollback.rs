//! `barewire-tune rollback`

use std::time::Duration;

use super::{
    Failure, Session,
    changes::{self, Answer, Stopped},
};
use crate::{
    Exit,
    executor::{self, Event, Imagined, Overwrite, boot_id},
    hands::Hands,
    journal::{Entry, Journal, Kind},
    knob::Value,
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
    /// Say what would be put back, and what would not and why, and do nothing; the exit code is that of the rollback.
    /// Whether a program uses a device is not asked.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Answer in JSON.
    #[arg(long)]
    pub(super) json: bool,
}

impl Args {
    /// What the dead man's switch asks for when nobody confirmed an entry.
    pub(super) fn of_the_switch(entry: u32) -> Self {
        Self {
            to: Some(entry),
            pristine: false,
            force: false,
            unless_confirmed: true,
            dry_run: false,
            json: false,
        }
    }
}

/// How it went.
#[derive(Debug, Default)]
struct Gone {
    numbers: Vec<u32>,
    left: Vec<String>,
    unread: Vec<String>,
    /// Was the kernel that runs started with arguments that are gone?
    until_reboot: bool,
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let hands = session.hands()?;
    let hands: &dyn Hands = &hands;
    let Some(journal) = open(args, hands, session)? else {
        return answer(args, &Gone::default(), &[], session);
    };
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
    let mut gone = Gone { left: damaged, ..Gone::default() };
    let mut imagined = Imagined::default();
    let mut tell = telling(args, session, &mut events);
    for outline in chosen.into_iter().rev() {
        let mut entry = journal.entry(hands, outline.number).map_err(changes::writing)?;
        let undone = match args.dry_run {
            true => executor::imagine(hands, &mut imagined, &entry, overwrite, &mut tell),
            false => executor::undo(hands, &journal, &mut entry, overwrite, &mut tell),
        }
        .map_err(|error| Stopped::new(Exit::Incomplete, "rollback stopped").because(error))?;
        gone.numbers.push(entry.number);
        gone.until_reboot |= executor::is_booted_with(hands, &entry);
        gone.left.extend(undone.kept);
        gone.unread.extend(undone.unread);
    }
    if args.pristine {
        pristine(args, hands, &journal, &mut imagined, &mut gone, &mut tell)?;
    }
    drop(tell);
    answer(args, &gone, &events, session)
}

/// The journal; none where there is none and nothing would be written.
fn open(args: &Args, hands: &dyn Hands, session: &Session<'_>) -> Result<Option<Journal>, Failure> {
    if args.dry_run {
        let dir = session.common.state.path()?;
        return Journal::look(hands, &dir).map_err(|error| changes::reading(error).into());
    }
    // The switch must not give way to an `apply` that hangs.
    let wait = Duration::from_secs(if args.unless_confirmed { 600 } else { 5 });
    session.journal(hands, wait).map(Some)
}

/// Remembers each thing that is, or would be, put back, and tells it unless the answer is JSON.
fn telling<'a>(
    args: &Args,
    session: &'a mut Session<'_>,
    events: &'a mut Vec<Event>,
) -> Box<dyn FnMut(Event) + 'a> {
    if !args.dry_run {
        return Box::new(session.telling(args.json, events));
    }
    let is_json = args.json;
    Box::new(move |event| {
        if !is_json {
            let line = match &event {
                Event::Restored { what, to } => format!("would restore  {what}: {to}"),
                Event::Kept { what, why } => format!("would keep     {what}: {}", why.trim_end()),
                Event::Unseen { what, why } => format!("can not see    {what}: {}", why.trim_end()),
                Event::Done { what, .. }
                | Event::Skipped { what, .. }
                | Event::Differs { what, .. }
                | Event::Failed { what, .. } => what.clone(),
            };
            // As with what is done: that nobody listens stops nothing.
            let _ = writeln!(session.out, "{line}");
        }
        events.push(event);
    })
}

fn answer(
    args: &Args,
    gone: &Gone,
    events: &[Event],
    session: &mut Session<'_>,
) -> Result<Exit, Failure> {
    let Gone { numbers, left, unread, until_reboot } = gone;
    let exit = match (left.is_empty(), unread.is_empty()) {
        (true, true) => Exit::Success,
        (true, false) => Exit::Unknown,
        (false, _) => Exit::Incomplete,
    };
    if args.json {
        let entries = numbers.clone();
        session.json(&Answer {
            version: 1,
            end: exit.into(),
            entries,
            events,
            left,
            unread,
            until_reboot: *until_reboot,
        })?;
        return Ok(exit);
    }
    let would = if args.dry_run { "would be " } else { "" };
    match (exit, numbers.as_slice()) {
        (Exit::Success, []) if args.dry_run => writeln!(session.err, "there is nothing to undo")?,
        (Exit::Success, []) => writeln!(session.err, "there was nothing to undo")?,
        (Exit::Success, numbers) => {
            let all: Vec<String> = numbers.iter().map(|n| changes::numbered(*n)).collect();
            writeln!(session.err, "{would}undone: {}", all.join(", "))?;
        }
        _ => {
            let would = if args.dry_run { "would not be" } else { "not" };
            for what in left {
                writeln!(session.err, "{would} undone: {}", what.trim_end())?;
            }
            for what in unread {
                writeln!(session.err, "not known: {}", what.trim_end())?;
            }
            writeln!(
                session.err,
                "help: --force puts back also what somebody else changed since, and what can not be read"
            )?;
        }
    }
    if *until_reboot {
        writeln!(
            session.err,
            "the running kernel keeps the arguments that are undone until the next boot"
        )?;
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
    imagined: &mut Imagined,
    gone: &mut Gone,
    tell: &mut dyn FnMut(Event),
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
        let now = match imagined.read(hands, &first.knob) {
            Ok(now) => now,
            Err(error) => {
                gone.unread.push(format!("{what}: {}", executor::chain(&error)));
                continue;
            }
        };
        let has_ended = now == Value::Absent && executor::comes_and_goes(&first.knob);
        if has_ended || first.knob.is_same(&now, &first.value) {
            continue;
        }
        if first.knob.is_file() && !args.force {
            gone.left.push(format!(
                "{what}: it is {}, and was {}",
                now.summary(),
                first.value.summary()
            ));
            continue;
        }
        let written = match args.dry_run {
            true => imagined.write(hands, &first.knob, &first.value),
            false => first.knob.write(hands, &first.value),
        };
        match written {
            Ok(()) => tell(Event::Restored { what, to: first.value.summary() }),
            Err(error) => gone.left.push(format!("{what}: {}", executor::chain(&error))),
        }
    }
    Ok(())
}
