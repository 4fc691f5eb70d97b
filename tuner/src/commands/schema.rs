//! `barewire-tune schema`

use super::{Failure, Session};
use crate::{Exit, report};

/// Print the JSON Schema of what `analyze --json` answers.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    session.json(&report::json_schema())?;
    Ok(Exit::Success)
}
