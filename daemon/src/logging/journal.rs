//! Standard error as the journal reads it: a line that begins with `<3>` has that priority (sd-daemon(3)), so that
//! `journalctl --priority=warning` finds what somebody must look at. The journal keeps the time itself.

use std::io::{self, Write};

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Is standard error the journal? `JOURNAL_STREAM` says which stream is (systemd.exec(5)); a redirection is another one.
pub(crate) fn is_stderr() -> bool {
    let said = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    rustix::fs::fstat(io::stderr())
        .is_ok_and(|stream| said == format!("{}:{}", stream.st_dev, stream.st_ino))
}

/// Gives each line its priority.
#[derive(Debug, Clone, Copy)]
pub(super) struct Journal;

/// One line.
#[derive(Debug)]
pub(super) struct Line {
    priority: &'static str,
}

impl<'a> MakeWriter<'a> for Journal {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { priority: priority(Level::INFO) }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Line {
        Line { priority: priority(*about.level()) }
    }
}

fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        Level::DEBUG | Level::TRACE => "<7>",
    }
}

impl Write for Line {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        // In one go: other threads write lines as well.
        io::stderr().write_all(&[self.priority.as_bytes(), text].concat())?;
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_must_look_at_has_the_journal_s_priority_for_it() {
        // syslog(3): 3 error, 4 warning, 6 informational, 7 debug.
        let all = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        assert_eq!(all.map(priority), ["<3>", "<4>", "<6>", "<7>", "<7>"]);
    }
}
