//! One run: each effect written down, compared, done, read back.

use std::collections::BTreeSet;

use super::{
    EffectError, Event, chain,
    compile::is_about_an_interrupt,
    undo,
    undo::{Overwrite, undo_step},
};
use crate::{
    hands::Hands,
    journal::{Deed, Effect, Entry, IMMOVABLE, Journal, JournalError, Progress, State, Way},
    knob::{Knob, KnobError, Value},
};

/// How often an interrupt is moved that somebody else moves at the same time.
const TRIES: u32 = 3;

/// How it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// How many effects were done.
    pub done: usize,
    /// How many could not be, and need not be.
    pub skipped: usize,
}

impl Applied {
    /// One more, which went well.
    fn count(&mut self, effect: &Effect) {
        match effect.progress {
            Progress::Done { .. } => self.done += 1,
            _ => self.skipped += 1,
        }
    }
}

/// Why it did not go on.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Nothing was done: the journal could not be written.
    #[error("nothing was changed")]
    NotBegun(#[source] JournalError),
    /// Something failed, and all that was done is undone.
    #[error("everything is undone")]
    Undone(#[source] EffectError),
    /// Something failed, and not all that was done is seen to be undone.
    #[error("not everything is known to be undone: {}", left.join("; "))]
    Left {
        /// What failed.
        #[source]
        source: EffectError,
        /// What is not undone, and why.
        left: Vec<String>,
    },
}

/// Does what the entry says, which is written to the journal first. When something fails, all of it is undone.
///
/// # Errors
/// [`ApplyError`], which says how the machine was left.
pub fn apply(
    hands: &dyn Hands,
    journal: &Journal,
    entry: &mut Entry,
    tell: &mut dyn FnMut(Event),
) -> Result<Applied, ApplyError> {
    journal.remember(hands, entry).map_err(ApplyError::NotBegun)?;
    entry.state = State::Applying;
    journal.save(hands, entry).map_err(ApplyError::NotBegun)?;
    let performed = perform_all(hands, journal, entry, tell);
    // A note for the next plan. Without it that plan tries again, which does no harm.
    let _ = journal.learn(hands, entry);
    match performed {
        Ok(applied) => Ok(applied),
        Err(error) => match undo(hands, journal, entry, Overwrite::Values, tell) {
            Ok(undone) if undone.is_whole() => Err(ApplyError::Undone(error)),
            Ok(undone) => Err(ApplyError::Left { source: error, left: undone.left() }),
            Err(journal) => {
                let left = vec![format!("the journal can not be written: {}", chain(&journal))];
                Err(ApplyError::Left { source: error, left })
            }
        },
    }
}

/// Does what the entry says, each step for itself: what fails is undone with all that belongs to its step, told, and
/// given back; the others are done. For what was applied as a whole before, and is only set again.
///
/// # Errors
/// [`ApplyError`] when the journal can not be written, so that nothing more is done.
pub fn apply_each(
    hands: &dyn Hands,
    journal: &Journal,
    entry: &mut Entry,
    tell: &mut dyn FnMut(Event),
) -> Result<(Applied, Vec<String>), ApplyError> {
    journal.remember(hands, entry).map_err(ApplyError::NotBegun)?;
    entry.state = State::Applying;
    journal.save(hands, entry).map_err(ApplyError::NotBegun)?;
    let stopped = |error: JournalError| {
        let left = vec!["it is cut short".to_owned()];
        ApplyError::Left { source: EffectError::Journal(error), left }
    };
    let mut applied = Applied { done: 0, skipped: 0 };
    let (mut failed, mut failures) = (BTreeSet::new(), Vec::new());
    let mut begun = 0;
    for index in 0..entry.effects.len() {
        let step = entry.effects[index].step;
        let is_way_back = matches!(entry.effects[index].deed, Deed::Run { way: Way::Back, .. });
        if is_way_back || failed.contains(&step) {
            continue;
        }
        if index >= begun {
            begun = begin(hands, journal, entry, index).map_err(stopped)?;
        }
        match perform(hands, &mut entry.effects[index], tell) {
            Ok(()) => applied.count(&entry.effects[index]),
            Err(error) => {
                failed.insert(step);
                let of_it = |effect: &&mut Effect| effect.step == step;
                not_begun(entry.effects[index + 1..begun].iter_mut().filter(of_it));
                let (what, why) = (error.what().to_owned(), chain(&error));
                tell(Event::Failed { what, why: why.clone() });
                failures.push(why);
                let undone = undo_step(hands, journal, entry, step, tell).map_err(stopped)?;
                applied.done -= undone.restored.min(applied.done);
                failures.extend(undone.left());
            }
        }
    }
    entry.state = State::Applied;
    journal.save(hands, entry).map_err(stopped)?;
    let _ = journal.learn(hands, entry);
    Ok((applied, failures))
}

fn perform_all(
    hands: &dyn Hands,
    journal: &Journal,
    entry: &mut Entry,
    tell: &mut dyn FnMut(Event),
) -> Result<Applied, EffectError> {
    let mut applied = Applied { done: 0, skipped: 0 };
    let mut begun = 0;
    for index in 0..entry.effects.len() {
        if matches!(entry.effects[index].deed, Deed::Run { way: Way::Back, .. }) {
            continue;
        }
        if index >= begun {
            begun = begin(hands, journal, entry, index)?;
        }
        if let Err(error) = perform(hands, &mut entry.effects[index], tell) {
            not_begun(entry.effects[index + 1..begun].iter_mut());
            return Err(error);
        }
        applied.count(&entry.effects[index]);
    }
    entry.state = State::Applied;
    journal.save(hands, entry)?;
    Ok(applied)
}

/// Writes down that an effect is begun, and how those before it went. A large machine has a thousand interrupts and
/// kernel threads: those that follow one another are begun together, or each would cost a journal of its own. What was
/// begun and not done is found as it was on the way back. Gives back the first effect that is not begun.
fn begin(
    hands: &dyn Hands,
    journal: &Journal,
    entry: &mut Entry,
    index: usize,
) -> Result<usize, JournalError> {
    let is_small = |effect: &&Effect| match &effect.deed {
        Deed::Turn { knob, .. } => comes_and_goes(knob),
        Deed::Run { .. } => false,
    };
    let small = entry.effects[index..].iter().take_while(is_small).count();
    let end = index + small.max(1);
    for effect in &mut entry.effects[index..end] {
        effect.progress = Progress::Writing;
    }
    match journal.save(hands, entry) {
        Ok(()) => Ok(end),
        Err(error) => {
            not_begun(entry.effects[index..end].iter_mut());
            Err(error)
        }
    }
}

/// Nothing of these is ours, although they were written down.
fn not_begun<'a>(effects: impl Iterator<Item = &'a mut Effect>) {
    effects.for_each(|effect| effect.progress = Progress::Planned);
}

fn perform(
    hands: &dyn Hands,
    effect: &mut Effect,
    tell: &mut dyn FnMut(Event),
) -> Result<(), EffectError> {
    let (knob, from, to) = match &effect.deed {
        Deed::Run { command, .. } => return ran(hands, command, &mut effect.progress, tell),
        Deed::Turn { knob, from, to } => (knob, from, to),
    };
    let what = knob.name();
    let failed = |source| EffectError::Knob { what: what.clone(), source };
    let found = match knob.read(hands) {
        Ok(found) => found,
        Err(error) => {
            // Nothing of it is ours.
            effect.progress = Progress::Planned;
            return Err(failed(error));
        }
    };
    if found == Value::Absent && comes_and_goes(knob) {
        effect.progress = Progress::Skipped { why: "it is gone".to_owned() };
        tell(Event::Skipped { what, why: "it is gone".to_owned() });
        return Ok(());
    }
    if !is_moved_by_others(knob) && !knob.is_same(&found, from) {
        // Nothing of it is ours.
        effect.progress = Progress::Planned;
        // At boot, udev binds devices as its rules say while what the rules are for is set again.
        if knob.is_same(&found, to) {
            tell(Event::Skipped { what, why: "somebody else has just set it so".to_owned() });
            return Ok(());
        }
        let (expected, found) = (from.summary(), found.summary());
        return Err(EffectError::Moved { what, expected, found });
    }
    let became = match turn(hands, knob, to) {
        Ok(Value::Absent) if comes_and_goes(knob) => Err("it is gone"),
        Ok(became) => Ok(became),
        Err(error) => Err(tolerable(knob, &error).ok_or_else(|| failed(error))?),
    };
    let became = match became {
        Ok(became) => became,
        Err(why) => {
            effect.progress = Progress::Skipped { why: why.to_owned() };
            tell(Event::Skipped { what, why: why.to_owned() });
            return Ok(());
        }
    };
    let is_as_asked = knob.is_same(&became, to);
    let (asked, is) = (to.summary(), became.summary());
    let from = from.summary();
    let may_round = matches!(knob, Knob::Ethtool { .. }) || knob.is_within(&became, to);
    effect.progress = Progress::Done { became };
    if is_as_asked {
        tell(Event::Done { what, from, to: is });
    } else if may_round {
        // Drivers round to what the hardware has, and irqbalance chooses among the CPUs that it is left.
        tell(Event::Differs { what, asked, is });
    } else {
        return Err(EffectError::NotApplied { what, asked, became: is });
    }
    Ok(())
}

fn ran(
    hands: &dyn Hands,
    command: &[String],
    progress: &mut Progress,
    tell: &mut dyn FnMut(Event),
) -> Result<(), EffectError> {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let what = command.join(" ");
    if let Err(error) = hands.must_run(&words) {
        if error.is_not_started() {
            *progress = Progress::Skipped { why: chain(&error) };
        }
        return Err(EffectError::Knob { what, source: error.into() });
    }
    *progress = Progress::Done { became: Value::Present };
    tell(Event::Done { what, from: String::new(), to: "run".to_owned() });
    Ok(())
}

/// Writes it, and says what became of it. irqbalance, which looks at all interrupts every ten seconds, may move one in
/// between: it is overruled, but not for ever.
fn turn(hands: &dyn Hands, knob: &Knob, to: &Value) -> Result<Value, KnobError> {
    let mut tries = if is_moved_by_others(knob) { TRIES } else { 1 };
    loop {
        knob.write(hands, to)?;
        let became = knob.read(hands)?;
        tries -= 1;
        if tries == 0 || knob.is_same(&became, to) || knob.is_within(&became, to) {
            return Ok(became);
        }
    }
}

fn is_moved_by_others(knob: &Knob) -> bool {
    matches!(knob, Knob::Kernel { path, .. } if is_about_an_interrupt(path))
}

/// Threads end and interrupts are freed while we work.
pub(crate) fn comes_and_goes(knob: &Knob) -> bool {
    match knob {
        Knob::Affinity { .. } => true,
        Knob::Kernel { path, .. } => is_about_an_interrupt(path),
        _ => false,
    }
}

/// What the kernel may say no to without harm.
fn tolerable(knob: &Knob, error: &KnobError) -> Option<&'static str> {
    use rustix::io::Errno;

    if !comes_and_goes(knob) {
        return None;
    }
    if error.is_gone() {
        return Some("it is gone");
    }
    let KnobError::Hands(error) = error else { return None };
    match (knob, error.errno()) {
        // An interrupt that nobody may move answers EIO for ever, or EPERM since Linux 6.15: one that its driver spread
        // over the CPUs itself ("managed"), a timer's.
        (Knob::Kernel { .. }, Some(Errno::IO | Errno::PERM)) => Some(IMMOVABLE),
        // A kernel thread with a CPU of its own.
        (Knob::Affinity { .. }, Some(Errno::INVAL)) => Some("the kernel keeps it where it is"),
        _ => None,
    }
}
