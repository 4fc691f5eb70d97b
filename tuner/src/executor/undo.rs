//! The way back: every effect of an entry in reverse, as far as the machine is still as we left it.

use super::{Event, boot_id};
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoneEntry {
    /// How many effects were undone.
    pub restored: usize,
    /// What was not, and why.
    pub kept: Vec<String>,
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
    let is_same_boot = entry.boot == boot_id(hands);
    let mut undone = UndoneEntry { restored: 0, kept: Vec::new() };
    // A kill may have come between the last effect and the command that tells of it.
    let mut is_any = entry.state != State::Applied
        && entry.effects.iter().any(|effect| effect.progress == Progress::Undone);
    entry.state = State::Undoing;
    for index in (0..entry.effects.len()).rev() {
        let effect = &entry.effects[index];
        let before = effect.progress.clone();
        match &effect.deed {
            Deed::Run { way: Way::There, .. } => {
                is_any |= before.may_count();
                entry.effects[index].progress = match before {
                    Progress::Planned => Progress::Planned,
                    _ => Progress::Undone,
                };
            }
            Deed::Run { way: Way::Back, .. } if !is_any => {}
            Deed::Run { command, way: Way::Back } => {
                let command = command.clone();
                entry.effects[index].progress = Progress::Undoing;
                journal.save(hands, entry)?;
                let words: Vec<&str> = command.iter().map(String::as_str).collect();
                let what = command.join(" ");
                entry.effects[index].progress = match hands.must_run(&words) {
                    Ok(_) => {
                        tell(Event::Restored { what, to: "run".to_owned() });
                        Progress::Undone
                    }
                    Err(error) => keep(&mut undone, tell, what, chain(&error)),
                };
            }
            Deed::Turn { .. } if !before.may_count() => {}
            Deed::Turn { knob, from, to } => {
                let (knob, from, to) = (knob.clone(), from.clone(), to.clone());
                let what = knob.name();
                if !knob.is_lasting() && !is_same_boot {
                    // The kernel began anew.
                    entry.effects[index].progress = Progress::Undone;
                    continue;
                }
                let tried = restore(
                    &Restore { hands, knob: &knob, from: &from, to: &to, before: &before },
                    overwrite,
                    || {
                        entry.effects[index].progress = Progress::Undoing;
                        journal.save(hands, entry)
                    },
                );
                entry.effects[index].progress = match tried {
                    Ok(Restored::Already) => Progress::Undone,
                    Ok(Restored::Now) => {
                        is_any = true;
                        undone.restored += 1;
                        tell(Event::Restored { what, to: from.summary() });
                        Progress::Undone
                    }
                    Err(RestoreError::Journal(error)) => return Err(error),
                    Err(RestoreError::Theirs { now }) => {
                        keep(&mut undone, tell, what, theirs(&to, &now));
                        before
                    }
                    // Somebody put something of theirs into a directory that we made.
                    Err(RestoreError::Knob(error))
                        if is_in_use(&knob, &error) && undone.kept.is_empty() =>
                    {
                        tell(Event::Kept { what, why: chain(&error) });
                        Progress::Undone
                    }
                    Err(RestoreError::Knob(error)) => {
                        keep(&mut undone, tell, what, chain(&error));
                        before
                    }
                };
            }
        }
    }
    entry.state = if undone.kept.is_empty() { State::Undone } else { State::Incomplete };
    journal.save(hands, entry)?;
    Ok(undone)
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
}

enum RestoreError {
    Journal(JournalError),
    Knob(KnobError),
    Theirs { now: Value },
}

fn restore(
    what: &Restore<'_>,
    overwrite: Overwrite,
    write_down: impl FnOnce() -> Result<(), JournalError>,
) -> Result<Restored, RestoreError> {
    let Restore { hands, knob, from, to, before } = *what;
    let fail = RestoreError::Knob;
    knob.sweep(hands).map_err(fail)?;
    let now = knob.read(hands).map_err(fail)?;
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
    let may = match overwrite {
        Overwrite::All => true,
        Overwrite::Values => !knob.is_file(),
        Overwrite::Nothing => false,
    };
    if !is_ours && !may {
        return Err(RestoreError::Theirs { now });
    }
    write_down().map_err(RestoreError::Journal)?;
    match knob.write(hands, from) {
        Err(error) if error.is_gone() && matches!(knob, Knob::Affinity { .. }) => {}
        done => done.map_err(fail)?,
    }
    let now = knob.read(hands).map_err(fail)?;
    if knob.is_same(&now, from) || (now == Value::Absent && matches!(knob, Knob::Affinity { .. })) {
        return Ok(Restored::Now);
    }
    Err(fail(KnobError::Odd {
        what: knob.name(),
        problem: format!(
            "was set back to \"{}\", and became \"{}\"",
            from.summary(),
            now.summary()
        ),
    }))
}

fn is_in_use(knob: &Knob, error: &KnobError) -> bool {
    let KnobError::Hands(error) = error else { return false };
    matches!(knob, Knob::Directory { .. }) && error.errno() == Some(rustix::io::Errno::NOTEMPTY)
}

fn keep(
    undone: &mut UndoneEntry,
    tell: &mut dyn FnMut(Event),
    what: String,
    why: String,
) -> Progress {
    undone.kept.push(format!("{what}: {why}"));
    tell(Event::Kept { what, why: why.clone() });
    Progress::Kept { why }
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
