//! The way back: every effect of an entry in reverse, as far as the machine is still as we left it.

use std::collections::BTreeSet;

use super::{Event, boot_id, perform::comes_and_goes};
use crate::{
    hands::Hands,
    journal::{Deed, Entry, Journal, JournalError, Progress, State, Way},
    knob::{Knob, KnobError, Value},
};

/// What may be overwritten that is not as we left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Overwrite {
    /// Nothing: it is somebody else's now.
    Nothing,
    /// Values of the kernel, but no file that somebody edited.
    Values,
    /// Everything.
    All,
}

/// How the undoing of an entry went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UndoneEntry {
    /// How many effects were undone.
    pub restored: usize,
    /// What was not, and why.
    pub kept: Vec<String>,
    /// What can not be read, so that nobody knows, and what was done about it.
    pub unread: Vec<String>,
}

impl UndoneEntry {
    /// Is everything as it was, for all to see?
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.kept.is_empty() && self.unread.is_empty()
    }

    /// All that is not seen to be as it was.
    #[must_use]
    pub fn left(self) -> Vec<String> {
        self.kept.into_iter().chain(self.unread).collect()
    }
}

/// Undoes an entry that was done, or cut short anywhere. What was undone already is left alone.
///
/// # Errors
/// [`JournalError`] when it can not be written down; nothing more is done then.
pub fn undo(
    hands: &dyn Hands,
    journal: &Journal,
    entry: &mut Entry,
    overwrite: Overwrite,
    tell: &mut dyn FnMut(Event),
) -> Result<UndoneEntry, JournalError> {
    // A kill may have come between the last effect and the command that tells of it.
    let is_any = entry.state == State::Undoing
        || entry.state != State::Applied
            && entry.effects.iter().any(|effect| effect.progress == Progress::Undone);
    entry.state = State::Undoing;
    let mut way_back = WayBack {
        hands,
        journal,
        overwrite,
        is_same_boot: entry.boot == boot_id(hands),
        is_any,
        is_told: false,
        never_ran: BTreeSet::new(),
        undone: UndoneEntry::default(),
    };
    for index in (0..entry.effects.len()).rev() {
        way_back.effect(entry, index, tell)?;
    }
    let undone = way_back.undone;
    entry.state = if undone.is_whole() { State::Undone } else { State::Incomplete };
    journal.save(hands, entry)?;
    Ok(undone)
}

/// Undoes the effects of one step, and leaves the others as they are.
///
/// # Errors
/// [`JournalError`] when it can not be written down; nothing more is done then.
pub(super) fn undo_step(
    hands: &dyn Hands,
    journal: &Journal,
    entry: &mut Entry,
    step: usize,
    tell: &mut dyn FnMut(Event),
) -> Result<UndoneEntry, JournalError> {
    let mut way_back = WayBack {
        hands,
        journal,
        overwrite: Overwrite::Values,
        is_same_boot: true,
        is_any: false,
        // That it was begun is enough.
        is_told: true,
        never_ran: BTreeSet::new(),
        undone: UndoneEntry::default(),
    };
    for index in (0..entry.effects.len()).rev() {
        if entry.effects[index].step == step {
            way_back.effect(entry, index, tell)?;
        }
    }
    Ok(way_back.undone)
}

struct WayBack<'a> {
    hands: &'a dyn Hands,
    journal: &'a Journal,
    overwrite: Overwrite,
    is_same_boot: bool,
    /// Was anything put back that a command has to tell of?
    is_any: bool,
    /// Does the journal say that it is being undone?
    is_told: bool,
    /// The commands that could not even be started on the way there.
    never_ran: BTreeSet<Vec<String>>,
    undone: UndoneEntry,
}

impl WayBack<'_> {
    fn effect(
        &mut self,
        entry: &mut Entry,
        index: usize,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), JournalError> {
        let before = entry.effects[index].progress.clone();
        match entry.effects[index].deed.clone() {
            Deed::Run { command, way: Way::There } => {
                self.is_any |= before.may_count();
                entry.effects[index].progress = match before {
                    Progress::Planned => Progress::Planned,
                    Progress::Skipped { why } => {
                        self.never_ran.insert(command);
                        Progress::Skipped { why }
                    }
                    _ => Progress::Undone,
                };
            }
            Deed::Run { way: Way::Back, .. } if !self.is_any => {}
            Deed::Run { command, way: Way::Back } => {
                entry.effects[index].progress = Progress::Undoing;
                self.journal.save(self.hands, entry)?;
                self.is_told = true;
                let words: Vec<&str> = command.iter().map(String::as_str).collect();
                let what = command.join(" ");
                entry.effects[index].progress = match self.hands.must_run(&words) {
                    Ok(_) => {
                        tell(Event::Restored { what, to: "run".to_owned() });
                        Progress::Undone
                    }
                    // What it makes was never made anew, so that there is nothing to make as it was.
                    Err(error) if self.never_ran.contains(&command) && error.is_not_started() => {
                        tell(Event::Skipped { what, why: chain(&error) });
                        Progress::Undone
                    }
                    Err(error) => self.keep(tell, what, chain(&error)),
                };
            }
            Deed::Turn { .. } if !before.may_count() => {}
            Deed::Turn { knob, from, to } => {
                return self.turn(entry, index, (knob, from, to), tell);
            }
        }
        Ok(())
    }

    fn turn(
        &mut self,
        entry: &mut Entry,
        index: usize,
        (knob, from, to): (Knob, Value, Value),
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), JournalError> {
        let (hands, journal) = (self.hands, self.journal);
        let before = entry.effects[index].progress.clone();
        let what = knob.name();
        if !knob.is_lasting() && !self.is_same_boot {
            // The kernel began anew.
            entry.effects[index].progress = Progress::Undone;
            return Ok(());
        }
        let is_told = &mut self.is_told;
        let tried = restore(
            &Restore { hands, knob: &knob, from: &from, to: &to, before: &before },
            self.overwrite,
            || {
                entry.effects[index].progress = Progress::Undoing;
                // One of many, as when they were begun: what the journal knows of it is enough to do this again.
                if *is_told && comes_and_goes(&knob) {
                    return Ok(());
                }
                journal.save(hands, entry)?;
                *is_told = true;
                Ok(())
            },
        );
        entry.effects[index].progress = match tried {
            Ok(Restored::Already) => Progress::Undone,
            Ok(Restored::Now) => {
                self.is_any = true;
                self.undone.restored += 1;
                tell(Event::Restored { what, to: from.summary() });
                Progress::Undone
            }
            Ok(Restored::Unseen(error)) => {
                self.is_any = true;
                let why = format!(
                    "it was set back to \"{}\", which can not be seen: {}",
                    from.summary(),
                    chain(&error)
                );
                self.unread(tell, what, why)
            }
            Err(RestoreError::Journal(error)) => return Err(error),
            Err(RestoreError::Theirs { now }) => {
                self.keep(tell, what, theirs(&to, &now));
                before
            }
            Err(RestoreError::Unread(error)) => {
                let why = format!(
                    "whether it is as we left it can not be seen, so that it was left alone: {}",
                    chain(&error)
                );
                self.unread(tell, what, why);
                before
            }
            // Somebody put something of theirs into a directory that we made.
            Err(RestoreError::Knob(error))
                if is_in_use(&knob, &error) && self.undone.kept.is_empty() =>
            {
                tell(Event::Kept { what, why: chain(&error) });
                Progress::Undone
            }
            Err(RestoreError::Knob(error)) => {
                self.keep(tell, what, chain(&error));
                before
            }
        };
        Ok(())
    }

    fn keep(&mut self, tell: &mut dyn FnMut(Event), what: String, why: String) -> Progress {
        self.undone.kept.push(format!("{what}: {why}"));
        tell(Event::Kept { what, why: why.clone() });
        Progress::Kept { why }
    }

    fn unread(&mut self, tell: &mut dyn FnMut(Event), what: String, why: String) -> Progress {
        self.undone.unread.push(format!("{what}: {why}"));
        tell(Event::Unseen { what, why: why.clone() });
        Progress::Kept { why }
    }
}

struct Restore<'a> {
    hands: &'a dyn Hands,
    knob: &'a Knob,
    from: &'a Value,
    to: &'a Value,
    before: &'a Progress,
}

enum Restored {
    Already,
    Now,
    /// It was written, and can not be read.
    Unseen(KnobError),
}

enum RestoreError {
    Journal(JournalError),
    Knob(KnobError),
    Theirs {
        now: Value,
    },
    /// It can not be read, and so might be somebody else's.
    Unread(KnobError),
}

fn restore(
    what: &Restore<'_>,
    overwrite: Overwrite,
    write_down: impl FnOnce() -> Result<(), JournalError>,
) -> Result<Restored, RestoreError> {
    let Restore { hands, knob, from, to, before } = *what;
    let fail = RestoreError::Knob;
    knob.sweep(hands).map_err(fail)?;
    let may = match overwrite {
        Overwrite::All => true,
        Overwrite::Values => !knob.is_file(),
        Overwrite::Nothing => false,
    };
    let now = match knob.read(hands) {
        Ok(now) => now,
        Err(error) if !may => return Err(RestoreError::Unread(error)),
        Err(_) => {
            write_down().map_err(RestoreError::Journal)?;
            knob.write(hands, from).map_err(fail)?;
            return match knob.read(hands) {
                Ok(now) if knob.is_same(&now, from) => Ok(Restored::Now),
                Ok(now) => Err(fail(not_back(knob, from, &now))),
                Err(error) => Ok(Restored::Unseen(error)),
            };
        }
    };
    if knob.is_same(&now, from) {
        return Ok(Restored::Already);
    }
    if matches!(knob, Knob::Affinity { .. }) && now == Value::Absent {
        return Ok(Restored::Already);
    }
    let is_ours = match before {
        Progress::Done { became } => knob.is_same(&now, became) || knob.is_within(&now, became),
        // Cut short: what takes several deeds, or what the kernel may have rounded, can be anything.
        _ => knob.is_compound() || knob.is_same(&now, to),
    };
    if !is_ours && !may {
        return Err(RestoreError::Theirs { now });
    }
    write_down().map_err(RestoreError::Journal)?;
    match knob.write(hands, from) {
        Err(error) if error.is_gone() && matches!(knob, Knob::Affinity { .. }) => {}
        done => done.map_err(fail)?,
    }
    match knob.read(hands) {
        Ok(now) if knob.is_same(&now, from) => Ok(Restored::Now),
        Ok(Value::Absent) if matches!(knob, Knob::Affinity { .. }) => Ok(Restored::Now),
        Ok(now) => Err(fail(not_back(knob, from, &now))),
        Err(error) => Ok(Restored::Unseen(error)),
    }
}

fn not_back(knob: &Knob, from: &Value, now: &Value) -> KnobError {
    KnobError::Odd {
        what: knob.name(),
        problem: format!(
            "was set back to \"{}\", and became \"{}\"",
            from.summary(),
            now.summary()
        ),
    }
}

fn is_in_use(knob: &Knob, error: &KnobError) -> bool {
    let KnobError::Hands(error) = error else { return false };
    matches!(knob, Knob::Directory { .. }) && error.errno() == Some(rustix::io::Errno::NOTEMPTY)
}

/// What somebody made of what we left.
fn theirs(ours: &Value, now: &Value) -> String {
    let (Value::File(ours), Value::File(now)) = (ours, now) else {
        return format!("it is \"{}\" now, which somebody else made it", now.summary());
    };
    match (ours.bytes.text(), now.bytes.text()) {
        (Some(ours), Some(now)) if ours != now => {
            format!("somebody changed it since:\n{}", super::diff::lines(ours, now))
        }
        (Some(_), Some(_)) => "somebody changed whose it is, or who may read it".to_owned(),
        _ => "somebody changed it since, and it is not text".to_owned(),
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
