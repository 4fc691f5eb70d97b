//! `barewire-bench`; see the library of this crate.
#![forbid(unsafe_code)]

use std::{error::Error, process::ExitCode};

use bench::{
    cli::{Cli, Command},
    compare,
    exit::Exit,
    peer, qualify, report, run, say, trex,
};
use clap::{CommandFactory as _, Parser as _};

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    match command {
        Command::Peer(args) => peer::run(&args).unwrap_or_else(|error| {
            say::note(format_args!("{}", chain(&error)));
            error.exit()
        }),
        Command::Run(args) => run::run(&args).unwrap_or_else(|error| {
            say::note(format_args!("{}", chain(&error)));
            error.exit()
        }),
        Command::Compare(args) => compare::run(&args).unwrap_or_else(|error| failure(&error)),
        Command::Report(args) => report::run(&args).unwrap_or_else(|error| failure(&error)),
        Command::Trex(args) => trex::run(&args).unwrap_or_else(|error| {
            say::note(format_args!("{}", chain(&error)));
            error.exit()
        }),
        Command::Qualify(args) => qualify::run(&args).unwrap_or_else(|error| failure(&error)),
        Command::Echo(args) => match run::echo::run(&args) {
            Ok(()) => Exit::Measured,
            Err(error) => failure(&error),
        },
        Command::Man { folder } => match clap_mangen::generate_to(Cli::command(), &folder) {
            Ok(()) => Exit::Measured,
            Err(error) => {
                say::note(format_args!("cannot write into {}: {error}", folder.display()));
                Exit::Failure
            }
        },
    }
    .into()
}

fn failure(error: &dyn Error) -> Exit {
    say::note(format_args!("{}", chain(error)));
    Exit::Failure
}

/// An error and its causes, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
