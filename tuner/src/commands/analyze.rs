//! `barewire-tune analyze`

use super::{Failure, Session};
use crate::{Exit, Facts, checks, report};

/// Say what is good and what is not, why, and what would mend it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let source = session.source()?;
    let facts = Facts::read(&source);
    let intent = session.intent(&facts)?;
    let findings = checks::run(&checks::Context::new(&facts, &intent));
    let has_color = session.has_color();
    report::text::write(&findings, has_color, session.out)?;
    Ok(Exit::Success)
}
