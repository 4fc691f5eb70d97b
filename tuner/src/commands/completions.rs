//! `barewire-tune completions`

use clap_complete::{Shell, generate};

use super::{Failure, Session};
use crate::Exit;

/// Print the completions for a shell.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    // clap panics when its writer fails, so it gets one that does not.
    let mut script = Vec::new();
    generate(args.shell, &mut super::command(), "barewire-tune", &mut script);
    session.out.write_all(&script)?;
    Ok(Exit::Success)
}
