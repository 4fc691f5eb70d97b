//! `barewire`: the operator's hands on a running `barewired`.
//!
//! ```text
//!  cli ──► commands ──► client ──► unix socket, HTTP + JSON      the only part that waits
//!             │            │
//!             │            ▼ api::Status, api::Counters, …
//!             ├──────► render     values to text: tables, histograms
//!             └──────► top        two samples ─► View ─► a screen
//! ```
//!
//! What it refuses to do: start the daemon, write its configuration, or change anything that the
//! daemon did not offer. It reads answers with a deadline and a size, and prints nothing of them that
//! could steer a terminal.
//!
//! The binary is a shell around [`run`]; [`command`] describes the command line to whatever makes man
//! pages or completions of it.
//!
//! ```
//! let barewire = ctl::command();
//! assert!(barewire.get_subcommands().any(|verb| verb.get_name() == "latency"));
//! ```
#![forbid(unsafe_code)]

mod bundle;
mod cli;
mod client;
mod commands;
mod exit;
mod failure;
mod hlog;
mod metric;
mod openmetrics;
mod render;
mod stop;
mod top;

use std::{ffi::OsString, io::Write, time::SystemTime};

use clap::{CommandFactory, Parser, error::ErrorKind};

pub use exit::Exit;
use failure::Failure;

/// What the program finds around it. Gathered in `main`, so that everything below depends on its
/// arguments alone.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Whether a person looks at the data.
    pub stdout_is_terminal: bool,
    /// Whether a person looks at the talk.
    pub stderr_is_terminal: bool,
    /// NO_COLOR is set, or the terminal has no colours.
    pub no_color: bool,
    /// The terminal's width, when there is one.
    pub columns: Option<u16>,
    /// The time of day.
    pub now: SystemTime,
}

/// The width of the terminal on standard output.
#[must_use]
pub fn terminal_columns() -> Option<u16> {
    ratatui::crossterm::terminal::size().ok().map(|(columns, _)| columns)
}

/// The command line, described.
#[must_use]
pub fn command() -> clap::Command {
    cli::Cli::command()
}

/// Runs one command: data to `out`, talk to `err`.
pub fn run(
    args: impl IntoIterator<Item = impl Into<OsString> + Clone>,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let cli = match cli::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return explain(&error, surroundings, out, err),
    };
    let paint = |is_terminal| render::paint::Paint {
        on: match cli.common.color {
            cli::Color::Always => true,
            cli::Color::Never => false,
            cli::Color::Auto => is_terminal && !surroundings.no_color,
        },
    };
    let talk = paint(surroundings.stderr_is_terminal);
    let data = paint(surroundings.stdout_is_terminal);
    match commands::run(cli, surroundings, data, out) {
        Ok(()) => Exit::Success,
        Err(failure) if failure.is_closed_pipe() => Exit::Success,
        Err(failure) => {
            // Nobody is left to tell when standard error is closed too.
            let _ = err.write_all(failure.explain(talk).as_bytes());
            failure.exit()
        }
    }
}

/// clap's own texts: help and version are data, errors are talk.
fn explain(
    error: &clap::Error,
    surroundings: &Surroundings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Exit {
    let (to, is_terminal): (&mut dyn Write, bool) = if error.use_stderr() {
        (err, surroundings.stderr_is_terminal)
    } else {
        (out, surroundings.stdout_is_terminal)
    };
    let text = error.render();
    let text = if is_terminal && !surroundings.no_color {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    // A closed pipe is success, and there is nobody to tell about a full disk but the exit code.
    let written = to.write_all(text.as_bytes()).and_then(|()| to.flush());
    match (error.kind(), written) {
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Ok(())) => Exit::Success,
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Err(error)) => {
            let failure = Failure::Output(error);
            if failure.is_closed_pipe() { Exit::Success } else { failure.exit() }
        }
        _ => Exit::Usage,
    }
}
