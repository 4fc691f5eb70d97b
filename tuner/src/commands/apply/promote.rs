//! Kernel arguments that were on trial, made lasting.

use super::{failed, new_entry, next_number, not_compiled};
use crate::{
    Source,
    commands::Failure,
    executor::{self, Event, boot_id, compile, trial},
    hands::Hands,
    journal::{Entry, Journal, Kind, State},
    plan::Step,
};

/// What was on trial, for good: another entry, so that it can be undone too. Says which; none when there is nothing.
pub(in crate::commands) fn promote(
    hands: &dyn Hands,
    journal: &Journal,
    entries: &[Entry],
    tell: &mut dyn FnMut(Event),
) -> Result<Option<u32>, Failure> {
    let source = Source::at(hands.root())?;
    let boot = boot_id(hands);
    // The last one in force says all of it, as for `verify`: an older trial would take back what came after it.
    let last =
        entries.iter().rev().find(|entry| entry.is_active() && trial::is_wanted(&entry.steps));
    let Some(tried) = last.filter(|entry| entry.state == State::Applied && !entry.waits()) else {
        return Ok(None);
    };
    let Some(trial) = &tried.trial else { return Ok(None) };
    if tried.boot == boot || !trial::has_come_up(&source, trial) {
        return Ok(None);
    }
    let held: Vec<Step> = trial.held.iter().filter_map(|i| tried.steps.get(*i)).cloned().collect();
    // The plan is of another boot; what is there now counts.
    let held: Vec<Step> = held.into_iter().map(executor::without_expectation).collect();
    // The trial's entry goes first: it has the same kernel as another one, and grubby would change it too.
    let mut effects = trial::clean(hands, tried);
    effects.extend(compile(hands, &held).map_err(not_compiled)?);
    let number = next_number(hands, journal)?;
    let kind = Kind::Promotion { of: tried.number };
    let mut entry = new_entry(hands, number, kind, held, effects);
    executor::apply(hands, journal, &mut entry, tell).map_err(|error| failed(&entry, error))?;
    Ok(Some(number))
}
