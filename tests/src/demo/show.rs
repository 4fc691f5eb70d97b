//! What a running daemon measured, in the words of `barewire`.

use std::process::{Command, Stdio};

use scenarios::{Daemon, programs};

use crate::say;

/// Status, latency, drops and stalls; then the daemon is stopped, and says how it ended.
pub(crate) fn all(daemon: Daemon) {
    for (title, verb) in [
        ("Every frame is accounted for", "status"),
        ("How long frames were inside", "latency"),
        ("What was dropped, and why", "drops"),
    ] {
        say::chapter(format!("{title} (barewire {verb})"));
        let status = Command::new(programs::barewire())
            .arg("--socket")
            .arg(daemon.socket())
            .arg(verb)
            .stdin(Stdio::null())
            .status()
            .unwrap_or_else(|e| panic!("cannot run barewire: {e}"));
        assert!(status.success(), "barewire {verb} ended with {status}");
    }
    say::chapter("The end (SIGTERM)");
    let before = daemon.said().lines().count();
    let ended = daemon.stop();
    for line in ended.said.lines().skip(before) {
        say::remark(line);
    }
    assert!(ended.status.success(), "barewired ended with {}", ended.status);
    say::remark(format!(
        "barewired ended with 0, {} ms after it was asked to",
        ended.took.as_millis()
    ));
}
