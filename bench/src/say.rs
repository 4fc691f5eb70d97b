//! What goes to the terminal besides the result: notes and progress, on standard error.

use std::{
    fmt,
    io::{IsTerminal as _, Write as _, stderr},
    time::Duration,
};

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

/// `1 min 05 s`
#[must_use]
pub fn duration(time: Duration) -> String {
    match (time.as_secs() / 60, time.as_secs() % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, seconds) => format!("{minutes} min {seconds:02} s"),
    }
}

/// `850 ns`, `12.3 µs`, `1.20 ms`: three digits.
#[must_use]
pub fn time(ns: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = ns as f64;
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (value / 1e3, "µs"),
        1_000_000..1_000_000_000 => (value / 1e6, "ms"),
        _ => (value / 1e9, "s"),
    };
    match value {
        value if value < 9.995 => format!("{value:.2} {unit}"),
        value if value < 99.95 => format!("{value:.1} {unit}"),
        value => format!("{value:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        for (ns, text) in [
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (12_345, "12.3 µs"),
            (123_456, "123 µs"),
            (1_234_567, "1.23 ms"),
            (61_000_000_000, "61.0 s"),
        ] {
            assert_eq!(time(ns), text);
        }
    }

    #[test]
    fn times_are_read_at_a_glance() {
        assert_eq!(duration(Duration::from_millis(59_900)), "59 s");
        assert_eq!(duration(Duration::from_secs(65)), "1 min 05 s");
    }
}
