//! `barewire-tune facts`

use super::{Failure, Session};
use crate::{Exit, Facts};

/// Say everything that is known about the machine.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let source = session.source()?;
    let facts = Facts::read(&source);
    serde_json::to_writer_pretty(&mut *session.out, &facts)?;
    writeln!(session.out)?;
    Ok(Exit::Success)
}
