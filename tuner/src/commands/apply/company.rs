//! Other tuners beside which `barewire-tune apply` works.

use super::Args;
use crate::{
    Exit,
    change::{Change, UnitState},
    commands::{Failure, Session, changes::Stopped},
    executor::{self, others},
    hands::Hands,
    plan::Step,
};

/// Refuses to work against another tuner, unless the plan puts it to rest.
pub(super) fn refuse(args: &Args, hands: &dyn Hands, steps: &[Step]) -> Result<(), Failure> {
    if args.adopt {
        return Ok(());
    }
    let running = others::running(hands).map_err(|error| {
        Stopped::new(Exit::Unknown, "cannot tell whether another tuner runs").because(error)
    })?;
    let is_stopped = |unit: &str| {
        steps.iter().any(|step| match &step.change {
            Change::Unit { unit: other, state } => other == unit && *state == UnitState::Disabled,
            _ => false,
        })
    };
    let Some(other) = running.iter().find(|other| !is_stopped(&other.unit)) else { return Ok(()) };
    let help = format!(
        "systemctl disable --now {}; or --adopt, and what both set is whose turn it was last",
        other.unit
    );
    Err(Stopped::refused(company(other)).help(help).into())
}

/// Whether to work beside another tuner was decided at `apply`; at boot nobody is there who could be asked.
pub(super) fn warn(
    args: &Args,
    hands: &dyn Hands,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    if args.adopt {
        return Ok(());
    }
    match others::running(hands) {
        Ok(running) => {
            for other in &running {
                writeln!(session.err, "warning: {}", company(other))?;
            }
        }
        Err(error) => {
            let why = executor::chain(&error);
            writeln!(session.err, "warning: cannot tell whether another tuner runs: {why}")?;
        }
    }
    Ok(())
}

fn company(other: &others::Other) -> String {
    format!("{} (process {}) tunes this machine: it {}", other.unit, other.pid, other.does)
}
