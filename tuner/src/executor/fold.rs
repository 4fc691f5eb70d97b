//! What is set again and again in one boot takes one entry, not one for each time.

use std::collections::{BTreeMap, BTreeSet};

use super::perform::comes_and_goes;
use crate::{
    hands::Hands,
    journal::{Deed, Effect, Entry, Journal, JournalError, Kind, Progress, State},
    knob::{Knob, Value},
};

/// Folds an entry that set something again into those that set it before in this boot. What somebody else made of it
/// meanwhile is not worth going back to: the way back leads to what the earlier ones left, and then on by them.
///
/// Gives back the entry that leads back now; none when earlier ones do all of it.
///
/// # Errors
/// [`JournalError`]. Killed anywhere, both entries hold what was folded, and the one finds it undone by the other.
pub fn fold(
    hands: &dyn Hands,
    journal: &Journal,
    mut entry: Entry,
) -> Result<Option<u32>, JournalError> {
    let mut others = journal.entries(hands)?;
    others.retain(|other| other.number < entry.number && other.boot == entry.boot);
    let left = left(&others);
    entry.effects.retain_mut(|effect| {
        let Effect { deed: Deed::Turn { knob, from, .. }, progress, .. } = effect else {
            return true;
        };
        match (left.get(&knob.name()), progress) {
            (Some(before), Progress::Done { became }) => {
                from.clone_from(before);
                !knob.is_same(before, became)
            }
            _ => true,
        }
    });
    let last = others.pop();
    let into = last.filter(|last| last.kind == Kind::Boot && last.state == State::Applied);
    let number = match into {
        _ if entry.effects.is_empty() => None,
        None => {
            without_idle_steps(&mut entry);
            journal.save(hands, &entry)?;
            return Ok(Some(entry.number));
        }
        Some(mut into) => {
            merge(hands, &mut into, entry.clone());
            journal.save(hands, &into)?;
            Some(into.number)
        }
    };
    journal.forget(hands, entry.number)?;
    Ok(number)
}

/// What entries in force left, by knob.
fn left(entries: &[Entry]) -> BTreeMap<String, Value> {
    let effects = entries.iter().filter(|entry| entry.is_active()).flat_map(|entry| &entry.effects);
    let done = effects.filter_map(|effect| match (&effect.deed, &effect.progress) {
        (Deed::Turn { knob, .. }, Progress::Done { became }) => Some((knob.name(), became.clone())),
        _ => None,
    });
    done.collect()
}

/// Takes the effects of a later entry into an earlier one, each knob once, so that it does not grow with every time.
fn merge(hands: &dyn Hands, into: &mut Entry, entry: Entry) {
    // Threads and interrupts that are gone have nothing to go back to, and those that come have other numbers.
    into.effects.retain(|effect| knob(effect).is_none_or(|knob| !is_gone(hands, knob)));
    let first = into.steps.len();
    into.steps.extend(entry.steps);
    for effect in entry.effects {
        let effect = Effect { step: first + effect.step, ..effect };
        let name = knob(&effect).map(Knob::name);
        let is_same = |known: &&mut Effect| name.is_some() && knob(known).map(Knob::name) == name;
        match into.effects.iter_mut().find(is_same) {
            None => into.effects.push(effect),
            Some(known) if !known.progress.may_count() => *known = effect,
            // It stays as the earlier one has it.
            Some(_) if !effect.progress.may_count() => {}
            Some(known) => again(known, effect),
        }
    }
    without_idle_steps(into);
}

/// The earlier effect as the later one did it again; back it goes to where the earlier one began.
fn again(known: &mut Effect, effect: Effect) {
    if let (Deed::Turn { to, .. }, Deed::Turn { to: later, .. }) = (&mut known.deed, effect.deed) {
        *to = later;
    }
    known.progress = effect.progress;
}

fn knob(effect: &Effect) -> Option<&Knob> {
    match &effect.deed {
        Deed::Turn { knob, .. } => Some(knob),
        Deed::Run { .. } => None,
    }
}

fn is_gone(hands: &dyn Hands, knob: &Knob) -> bool {
    comes_and_goes(knob) && knob.read(hands).is_ok_and(|now| now == Value::Absent)
}

/// Drops the steps that came down to nothing.
fn without_idle_steps(entry: &mut Entry) {
    let used: BTreeSet<usize> = entry.effects.iter().map(|effect| effect.step).collect();
    let moved: BTreeMap<usize, usize> =
        used.iter().enumerate().map(|(new, old)| (*old, new)).collect();
    for effect in &mut entry.effects {
        effect.step = moved.get(&effect.step).copied().unwrap_or_default();
    }
    let steps = std::mem::take(&mut entry.steps).into_iter().enumerate();
    entry.steps = steps.filter(|(at, _)| used.contains(at)).map(|(_, step)| step).collect();
}
