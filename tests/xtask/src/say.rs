//! What xtask says: to stderr, so that stdout belongs to the programs it runs.

use std::{error::Error, fmt::Display, time::Duration};

use anstyle::{AnsiColor, Style};

use crate::run::Failure;

const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const LOUD: Style = AnsiColor::Yellow.on_default().bold();

/// A step begins.
pub(crate) fn begin(what: impl Display) {
    line(BOLD, "==>", what);
}

/// A step ended well.
pub(crate) fn done(what: impl Display, took: Duration) {
    line(GOOD, "<==", format!("{what}: ok, {:.1} s", took.as_secs_f64()));
}

/// Something worth knowing.
pub(crate) fn note(what: impl Display) {
    line(BOLD, "   ", what);
}

/// Something that must not be overlooked.
pub(crate) fn loud(what: impl Display) {
    line(LOUD, "!!!", what);
}

/// Why a command failed, with every cause.
pub(crate) fn failure(failure: &Failure) {
    line(BAD, "xtask:", failure);
    let mut cause = failure.source();
    while let Some(error) = cause {
        line(BAD, "  because:", error);
        cause = error.source();
    }
}

fn line(style: Style, mark: &str, what: impl Display) {
    if colour() {
        eprintln!("{style}{mark}{style:#} {what}");
    } else {
        eprintln!("{mark} {what}");
    }
}

fn colour() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}
