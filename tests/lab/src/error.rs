//! What can go wrong in the lab, told with what the guest last said.

use std::{error::Error, fmt, io, path::Path, time::Duration};

/// Why the lab did not do what was asked.
///
/// Its `Debug` is what a test's `unwrap` prints, so it is the message, every cause, and the end of the console.
#[derive(thiserror::Error)]
pub enum LabError {
    /// A file, a directory or a socket of the host would not do.
    #[error("{what}")]
    Io {
        /// What was attempted, on what.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program of the host failed.
    #[error("{what}: {program} {how}")]
    Program {
        /// What it was for.
        what: String,
        /// Its name.
        program: String,
        /// How it ended.
        how: String,
        /// The end of what it wrote.
        output: String,
    },
    /// The machine lacks something.
    #[error("{0}")]
    Missing(String),
    /// A step with a guest failed.
    #[error("{what}")]
    Guest {
        /// What was attempted, and what is wrong.
        what: String,
        /// The end of the guest's console.
        console: String,
    },
    /// Something did not come in time.
    #[error("{what}: nothing within {} s", limit.as_secs_f64())]
    Late {
        /// What was waited for.
        what: String,
        /// For how long.
        limit: Duration,
    },
}

impl LabError {
    /// For `map_err`: what we were doing when an I/O error came.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> LabError {
        let what = what.into();
        move |source| LabError::Io { what, source }
    }

    /// For `map_err`, of what is done with a file.
    pub(crate) fn file(what: &str, path: &Path) -> impl FnOnce(io::Error) -> LabError {
        LabError::io(format!("cannot {what} {}", path.display()))
    }

    /// The end of what a program, or the guest's console, said.
    #[must_use]
    pub fn tail(&self) -> Option<&str> {
        match self {
            LabError::Program { output: tail, .. } | LabError::Guest { console: tail, .. } => {
                Some(tail)
            }
            LabError::Io { .. } | LabError::Missing(_) | LabError::Late { .. } => None,
        }
    }
}

impl fmt::Debug for LabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = self.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        if let Some(tail) = self.tail().filter(|tail| !tail.is_empty()) {
            write!(f, "\n----- it last said:\n{}\n-----", tail.trim_end())?;
        }
        Ok(())
    }
}

/// The last so many lines of a text, made safe for a terminal.
pub(crate) fn last_lines(bytes: &[u8], lines: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let printable: String =
        text.chars().filter(|c| *c == '\n' || *c == '\t' || !c.is_control()).collect();
    let all: Vec<&str> = printable.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unwrapped_error_shows_the_cause_and_the_console() {
        let io = LabError::io("cannot read x")(io::Error::other("worn out"));
        assert_eq!(format!("{io:?}"), "cannot read x: worn out");
        let guest = LabError::Guest { what: "no answer".into(), console: "Kernel panic\n".into() };
        assert_eq!(format!("{guest:?}"), "no answer\n----- it last said:\nKernel panic\n-----");
    }

    #[test]
    fn the_tail_of_a_console_has_no_control_characters() {
        assert_eq!(last_lines(b"a\r\n\x1b[2Jb\nc\n", 2), "[2Jb\nc");
        assert_eq!(last_lines(b"", 2), "");
    }
}
