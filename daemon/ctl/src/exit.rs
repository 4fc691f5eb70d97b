//! How `barewire` ends.

use std::{fmt::Write as _, process::ExitCode};

/// The exit codes, in one place; `barewire --help` prints this table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Also when whoever read the output had enough of it (a closed pipe).
    Success = 0,
    /// Something failed on this side: a file that can not be written, a terminal without answer.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// Nobody listens on the socket, or this user may not connect.
    Unreachable = 3,
    /// The daemon understood the request and refused it, and said why.
    Refused = 4,
    /// No complete answer within the time.
    Timeout = 5,
    /// An answer that is broken, too large, or of another version.
    NotUnderstood = 6,
}

impl Exit {
    const ALL: [Self; 7] = [
        Self::Success,
        Self::Failure,
        Self::Usage,
        Self::Unreachable,
        Self::Refused,
        Self::Timeout,
        Self::NotUnderstood,
    ];

    fn meaning(self) -> &'static str {
        match self {
            Self::Success => "did what was asked (a closed pipe included)",
            Self::Failure => "something failed on this side: a file, the terminal",
            Self::Usage => "the command line is wrong",
            Self::Unreachable => {
                "the daemon can not be reached: no socket, nobody listening, no permission"
            }
            Self::Refused => "the daemon refused the request, and said why",
            Self::Timeout => "the daemon did not answer in time",
            Self::NotUnderstood => "the answer is broken, too large, or of another version",
        }
    }

    /// For `--help`.
    pub(crate) fn table() -> String {
        Self::ALL.iter().fold(String::from("Exit codes:"), |mut table, exit| {
            write!(table, "\n  {}  {}", *exit as u8, exit.meaning()).expect("a String takes text");
            table
        })
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
