//! `barewire-tune man`

use std::path::PathBuf;

use super::{Failure, Session};
use crate::Exit;

/// Write the man pages into a folder.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder, which exists.
    folder: PathBuf,
}

pub(super) fn run(args: &Args, _session: &mut Session<'_>) -> Result<Exit, Failure> {
    clap_mangen::generate_to(super::command(), &args.folder)?;
    Ok(Exit::Success)
}
