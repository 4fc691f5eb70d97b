//! Waiting for a condition, with a deadline.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long the harness waits for what should come at once: long enough for a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer; panics when there is none in time.
///
/// # Panics
/// When the deadline passes; the message is `what`.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "after {} s still waiting for {what}",
            PATIENCE.as_secs()
        );
        // The pause between two questions, so that asking does not take the machine from who should answer.
        thread::sleep(Duration::from_millis(5));
    }
}
