//! What goes to the terminal besides the result: notes and progress, on standard error.

use std::{
    fmt,
    io::{IsTerminal as _, Write as _, stderr},
    time::Duration,
};

pub use bench_result::words::time;

/// One line.
pub fn note(text: fmt::Arguments<'_>) {
    // A closed standard error is nobody's error.
    let _closed = writeln!(stderr(), "barewire-bench: {text}");
}

/// Where we are, on a line that the next one replaces; a line of its own each where standard error is no terminal.
pub fn progress(text: fmt::Arguments<'_>) {
    let _closed = if stderr().is_terminal() {
        write!(stderr(), "\r\x1b[K{text}").and_then(|()| stderr().flush())
    } else {
        writeln!(stderr(), "{text}")
    };
}

/// Takes the last progress line away.
pub fn end_of_progress() {
    if stderr().is_terminal() {
        let _closed = write!(stderr(), "\r\x1b[K");
    }
}

/// `1 min 05 s`, `30 h 05 min`
#[must_use]
pub fn duration(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes @ ..120, seconds) => format!("{minutes} min {seconds:02} s"),
        (minutes, _) => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_at_a_glance() {
        assert_eq!(duration(Duration::from_millis(59_900)), "59 s");
        assert_eq!(duration(Duration::from_secs(65)), "1 min 05 s");
        assert_eq!(duration(Duration::from_secs(7_199)), "119 min 59 s");
        assert_eq!(duration(Duration::from_secs(30 * 3600 + 359)), "30 h 05 min");
    }
}
