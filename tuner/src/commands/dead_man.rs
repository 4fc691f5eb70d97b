//! `barewire-tune dead-man`: where there is no systemd, this process is the timer. `apply --confirm-within` starts it.

use std::{io, thread, time::Duration};

use super::{Failure, Session, changes::Stopped, rollback};
use crate::{Exit, executor};

/// Wait, and roll back unless somebody confirmed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How long.
    #[arg(long, value_name = "TIME", value_parser = config::parse_duration)]
    after: Duration,
    /// The entry.
    #[arg(long, value_name = "N")]
    to: u32,
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    executor::detach()
        .map_err(|error| Stopped::new(Exit::Internal, "cannot leave the session").because(error))?;
    writeln!(session.out, "{}", executor::READY)?;
    session.out.flush()?;
    thread::sleep(args.after);
    let (mut out, mut err) = (io::sink(), io::sink());
    let mut silent = Session {
        common: session.common.clone(),
        surroundings: session.surroundings,
        out: &mut out,
        err: &mut err,
        unheard: session.unheard.clone(),
    };
    rollback::run(&rollback::Args::of_the_switch(args.to), &mut silent)
}
