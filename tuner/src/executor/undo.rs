//! The way back: every effect of an entry in reverse, as far as the machine is still as we left it.

use std::collections::BTreeSet;

use super::{Event, Imagined, boot_id, perform::comes_and_goes};
use crate::{
    hands::{Hands, HandsError},
    journal::{Deed, Entry, Journal, JournalError, Progress, State, Way},
    knob::{Knob, KnobError, Value},
    plan::Scope,
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
    let mut way_back = WayBack::of(hands, Doing::Really(journal), entry, overwrite);
    entry.state = State::Undoing;
    way_back.effects(entry, tell)?;
    let undone = way_back.undone;
    entry.state = if undone.is_whole() { State::Undone } else { State::Incomplete };
    journal.save(hands, entry)?;
    Ok(undone)
}

/// What [`undo`] would do, after all that was imagined before; nothing is written. Whether a program uses a device is
/// not asked.
///
/// # Errors
/// None: nothing is written down.
pub fn imagine(
    hands: &dyn Hands,
    imagined: &mut Imagined,
    entry: &Entry,
    overwrite: Overwrite,
    tell: &mut dyn FnMut(Event),
) -> Result<UndoneEntry, JournalError> {
    let mut way_back = WayBack::of(hands, Doing::Imagined(imagined), entry, overwrite);
    way_back.effects(&mut entry.clone(), tell)?;
    Ok(way_back.undone)
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
        is_same_boot: true,
        is_any: false,
        // That it was begun is enough.
        is_told: true,
        ..WayBack::of(hands, Doing::Really(journal), entry, Overwrite::Values)
    };
    for index in (0..entry.effects.len()).rev() {
        if entry.effects[index].step == step {
            way_back.effect(entry, index, tell)?;
        }
    }
    Ok(way_back.undone)
}

/// Whether it is done, or only said what would be.
enum Doing<'a> {
    Really(&'a Journal),
    Imagined(&'a mut Imagined),
}

struct WayBack<'a> {
    hands: &'a dyn Hands,
    doing: Doing<'a>,
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

impl<'a> WayBack<'a> {
    fn of(hands: &'a dyn Hands, doing: Doing<'a>, entry: &Entry, overwrite: Overwrite) -> Self {
        // A kill may have come between the last effect and the command that tells of it.
        let is_any = entry.state == State::Undoing
            || entry.state != State::Applied
                && entry.effects.iter().any(|effect| effect.progress == Progress::Undone);
        Self {
            hands,
            doing,
            overwrite,
            is_same_boot: entry.boot == boot_id(hands),
            is_any,
            is_told: false,
            never_ran: BTreeSet::new(),
            undone: UndoneEntry::default(),
        }
    }

    fn effects(
        &mut self,
        entry: &mut Entry,
        tell: &mut dyn FnMut(Event),
    ) -> Result<(), JournalError> {
        (0..entry.effects.len()).rev().try_for_each(|index| self.effect(entry, index, tell))
    }

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
                self.write_down(entry)?;
                let what = command.join(" ");
                entry.effects[index].progress = match self.run(&command) {
                    Ok(()) => {
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
        let before = entry.effects[index].progress.clone();
        let is_gone = !knob.is_lasting() && !self.is_same_boot;
        if is_gone && !self.is_given_again(entry, index, &knob, &to) {
            // The kernel began anew.
            entry.effects[index].progress = Progress::Undone;
            return Ok(());
        }
        let what = knob.name();
        entry.effects[index].progress = match self.judge(&knob, (&from, &to), &before) {
            Judged::Already => Progress::Undone,
            Judged::Ours => {
                entry.effects[index].progress = Progress::Undoing;
                // One of many, as when they were begun: what the journal knows of it is enough to do this again.
                if !(self.is_told && comes_and_goes(&knob)) {
                    self.write_down(entry)?;
                }
                let done = self.put_back(&knob, &from);
                self.restored((&knob, &from), done, tell).unwrap_or(before)
            }
            Judged::Theirs { now } => {
                self.keep(tell, what, theirs(&to, &now));
                before
            }
            Judged::Unread(error) => {
                let why = format!(
                    "whether it is as we left it can not be seen, so that it was left alone: {}",
                    chain(&error)
                );
                self.unread(tell, what, why);
                before
            }
            Judged::Stuck(error) => {
                self.keep(tell, what, chain(&error));
                before
            }
        };
        Ok(())
    }

    /// It is as an entry of an earlier boot made it, by what of that entry outlives a boot: a rule of udev's gave the
    /// device its driver again, a file the sysctl its value, and a unit that is disabled did not start.
    fn is_given_again(&self, entry: &Entry, index: usize, knob: &Knob, to: &Value) -> bool {
        let scope = entry.steps.get(entry.effects[index].step).map(|step| step.scope);
        let may_be = match knob {
            Knob::Driver { .. } => scope != Some(Scope::Once),
            Knob::Kernel { .. } | Knob::Unit { .. } => scope == Some(Scope::Both),
            _ => false,
        };
        may_be && self.read(knob).is_ok_and(|now| knob.is_same(&now, to))
    }

    fn read(&self, knob: &Knob) -> Result<Value, KnobError> {
        match &self.doing {
            Doing::Really(_) => knob.read(self.hands),
            Doing::Imagined(imagined) => imagined.read(self.hands, knob),
        }
    }

    /// Tells how putting back went; nothing for what is as it was before.
    fn restored(
        &mut self,
        (knob, from): (&Knob, &Value),
        done: Result<Restored, KnobError>,
        tell: &mut dyn FnMut(Event),
    ) -> Option<Progress> {
        let what = knob.name();
        match done {
            Ok(Restored::Now) => {
                self.is_any = true;
                self.undone.restored += 1;
                tell(Event::Restored { what, to: from.summary() });
                Some(Progress::Undone)
            }
            Ok(Restored::Unseen(error)) => {
                self.is_any = true;
                let why = format!(
                    "it was set back to \"{}\", which can not be seen: {}",
                    from.summary(),
                    chain(&error)
                );
                Some(self.unread(tell, what, why))
            }
            // Somebody put something of theirs into a directory that we made.
            Err(error) if is_in_use(knob, &error) && self.undone.kept.is_empty() => {
                tell(Event::Kept { what, why: chain(&error) });
                Some(Progress::Undone)
            }
            Err(error) => {
                self.keep(tell, what, chain(&error));
                None
            }
        }
    }

    fn write_down(&mut self, entry: &Entry) -> Result<(), JournalError> {
        self.is_told = true;
        match self.doing {
            Doing::Really(journal) => journal.save(self.hands, entry),
            Doing::Imagined(_) => Ok(()),
        }
    }

    fn run(&self, command: &[String]) -> Result<(), HandsError> {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        match self.doing {
            Doing::Really(_) => self.hands.must_run(&words).map(drop),
            Doing::Imagined(_) => Ok(()),
        }
    }

    /// Is a knob as we left it?
    fn judge(&self, knob: &Knob, (from, to): (&Value, &Value), before: &Progress) -> Judged {
        if let Doing::Really(_) = self.doing
            && let Err(error) = knob.sweep(self.hands)
        {
            return Judged::Stuck(error);
        }
        let now = self.read(knob);
        let may = match self.overwrite {
            Overwrite::All => true,
            Overwrite::Values => !knob.is_file(),
            Overwrite::Nothing => false,
        };
        let now = match now {
            Ok(now) => now,
            Err(_) if may => return Judged::Ours,
            Err(error) => return Judged::Unread(error),
        };
        let has_ended = comes_and_goes(knob) && now == Value::Absent;
        if knob.is_same(&now, from) || has_ended {
            return Judged::Already;
        }
        let is_ours = match before {
            Progress::Done { became } => knob.is_same(&now, became) || knob.is_within(&now, became),
            // Cut short: what takes several deeds, or what the kernel may have rounded, can be anything.
            _ => knob.is_compound() || knob.is_same(&now, to),
        };
        if is_ours || may { Judged::Ours } else { Judged::Theirs { now } }
    }

    fn put_back(&mut self, knob: &Knob, from: &Value) -> Result<Restored, KnobError> {
        if let Doing::Imagined(imagined) = &mut self.doing {
            return imagined.write(self.hands, knob, from).map(|()| Restored::Now);
        }
        match knob.write(self.hands, from) {
            Err(error) if error.is_gone() && comes_and_goes(knob) => {}
            done => done?,
        }
        match knob.read(self.hands) {
            Ok(now) if knob.is_same(&now, from) => Ok(Restored::Now),
            Ok(Value::Absent) if comes_and_goes(knob) => Ok(Restored::Now),
            Ok(now) => Err(not_back(knob, from, &now)),
            Err(error) => Ok(Restored::Unseen(error)),
        }
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

/// What a knob is that shall be put back.
enum Judged {
    /// As it was before us.
    Already,
    /// As we left it, or whatever it is: it may be written.
    Ours,
    /// Somebody else's.
    Theirs { now: Value },
    /// It can not be read, and so might be somebody else's.
    Unread(KnobError),
    /// What a kill left next to it does not go.
    Stuck(KnobError),
}

enum Restored {
    Now,
    /// It was written, and can not be read.
    Unseen(KnobError),
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
