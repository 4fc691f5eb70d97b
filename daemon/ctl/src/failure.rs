//! Everything that can go wrong, told once: the chain of causes, then what to do.

use std::{error::Error, io, path::PathBuf};

use crate::{
    bundle::BundleError,
    client::RequestError,
    exit::Exit,
    hlog::HlogError,
    metric::Unreadable,
    render::{
        paint::{Paint, Tone, printable},
        rates::Restarted,
    },
};

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error(transparent)]
    Restarted(#[from] Restarted),
    #[error("{what}")]
    NoSuchEntry { what: String },
    #[error("top needs a terminal on standard output")]
    NoTerminal,
    #[error("{0} has no JSON")]
    NoJson(&'static str),
    #[error("process {pid} is still there after {seconds} s")]
    StillThere { pid: u32, seconds: f64 },
    #[error("process {pid} can not be waited for")]
    Wait { pid: u32, source: io::Error },
    #[error("{}", .path.display())]
    Hlog { path: PathBuf, source: HlogError },
    #[error("{}: the metrics can not be written", .path.display())]
    Metrics { path: PathBuf, source: io::Error },
    #[error("{}", .path.display())]
    Bundle { path: PathBuf, source: BundleError },
    #[error("{}: the man pages can not be written", .path.display())]
    Man { path: PathBuf, source: io::Error },
    #[error("the terminal does not answer")]
    Terminal(#[source] io::Error),
    #[error("standard output can not be written")]
    Output(#[source] io::Error),
    #[error("this process can not wait for anything")]
    Runtime(#[source] io::Error),
}

impl Failure {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Request(error) => error.exit(),
            Self::Unreadable(_) | Self::Restarted(_) => Exit::NotUnderstood,
            Self::NoSuchEntry { .. } | Self::NoTerminal | Self::NoJson(_) => Exit::Usage,
            Self::StillThere { .. } => Exit::Timeout,
            Self::Hlog { source: HlogError::Unreadable(_), .. } => Exit::NotUnderstood,
            Self::Wait { .. }
            | Self::Hlog { .. }
            | Self::Metrics { .. }
            | Self::Bundle { .. }
            | Self::Man { .. }
            | Self::Terminal(_)
            | Self::Output(_)
            | Self::Runtime(_) => Exit::Failure,
        }
    }

    /// Whoever read the output had enough of it; that is no failure.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    fn help(&self) -> Option<&str> {
        match self {
            Self::Request(error) => error.help(),
            Self::NoSuchEntry { .. } => Some("barewire latency without filters shows which did"),
            Self::NoTerminal => Some(
                "top --once prints one frame as text, top --once --json the same as JSON, counters \
                 --rate what happens per second",
            ),
            Self::StillThere { .. } => {
                Some("its log says what it waits for (journalctl -u barewired)")
            }
            Self::Restarted(_) => Some("ask again"),
            _ => None,
        }
    }

    /// All of it, for standard error.
    pub(crate) fn explain(&self, paint: Paint) -> String {
        let mut text =
            format!("{} {}\n", paint.apply(Tone::Bad, "error:"), printable(&self.to_string()));
        let mut cause = self.source();
        while let Some(error) = cause {
            text += &format!("  because: {}\n", printable(&error.to_string()));
            cause = error.source();
        }
        if let Self::Request(RequestError::Refused(problem)) = self {
            for detail in &problem.details {
                text += &format!("  {}\n", printable(detail));
            }
        }
        if let Some(help) = self.help() {
            text += &format!("{} {}\n", paint.apply(Tone::Heading, "help:"), printable(help));
        }
        text
    }
}
