//! `barewire-tune history`

use super::{
    Failure, Session,
    changes::{self, Stopped},
};
use crate::{
    Exit,
    hands::Hands,
    journal::{self, Deed, Entry, Kind, Progress, State, Way},
};

/// Say what was applied and undone, run by run.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Say all about this entry.
    #[arg(value_name = "N")]
    number: Option<u32>,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let hands = session.hands()?;
    let hands: &dyn Hands = &hands;
    let mut entries =
        journal::entries(hands, &session.common.state.path()?).map_err(changes::reading)?;
    if let Some(number) = args.number {
        entries.retain(|entry| entry.number == number);
        if entries.is_empty() {
            let what = format!("there is no entry {}", changes::numbered(number));
            return Err(Stopped::new(Exit::Usage, what).into());
        }
    }
    if args.json {
        session.json(&entries)?;
        return Ok(Exit::Success);
    }
    for entry in &entries {
        writeln!(session.out, "{}", line(entry))?;
        if args.number.is_some() {
            details(entry, session)?;
        }
    }
    Ok(Exit::Success)
}

fn line(entry: &Entry) -> String {
    let kind = match entry.kind {
        Kind::Apply => "apply".to_owned(),
        Kind::Boot => "apply --boot".to_owned(),
        Kind::Promotion { of } => format!("verify --boot of {}", changes::numbered(of)),
    };
    let state = match entry.state {
        State::Applying => "CUT SHORT",
        State::Applied if entry.waits() => "applied, not confirmed",
        State::Applied => "applied",
        State::Undoing => "CUT SHORT while it was undone",
        State::Undone => "undone",
        State::Incomplete => "NOT ALL UNDONE",
    };
    let (number, at) = (changes::numbered(entry.number), changes::moment(entry.began));
    let (steps, effects) = (entry.steps.len(), entry.effects.len());
    format!("{number}  {at}  {kind}: {state}; {steps} steps, {effects} effects")
}

fn details(entry: &Entry, session: &mut Session<'_>) -> Result<(), Failure> {
    for effect in &entry.effects {
        let how = match &effect.progress {
            Progress::Planned => "not begun".to_owned(),
            Progress::Writing => "BEGUN".to_owned(),
            Progress::Done { .. } => "done".to_owned(),
            Progress::Skipped { why } => format!("left out: {why}"),
            Progress::Undoing => "BEGUN TO UNDO".to_owned(),
            Progress::Undone => "undone".to_owned(),
            Progress::Kept { why } => format!("NOT UNDONE: {why}"),
        };
        let checks = entry.steps.get(effect.step).map(|step| step.checks.join(" "));
        let checks = checks.unwrap_or_default();
        match &effect.deed {
            Deed::Turn { knob, from, to } => {
                let (from, to) = (from.summary(), to.summary());
                writeln!(session.out, "  {}: {from} -> {to}  [{how}]  {checks}", knob.name())?;
            }
            Deed::Run { command, way } => {
                let when = match way {
                    Way::There => "",
                    Way::Back => " (on the way back)",
                };
                writeln!(session.out, "  {}{when}  [{how}]  {checks}", command.join(" "))?;
            }
        }
    }
    Ok(())
}
