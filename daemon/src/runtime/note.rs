//! For how long nothing was received over a restart of the whole process. The one that stops leaves a note of when its
//! workers received no more, and the next one, once its own turn, tells the time between.
//!
//! The clock is the one that stamps frames: it counts from the boot, so only a note of the same boot is believed.

use std::{fs, path::PathBuf, time::Duration};

use linux::{Root, clock::TickRate};

/// The file's name in the state directory.
const NAME: &str = "stopped";
/// A note is a boot's number and the clock's.
const LONGEST: usize = 128;

/// Where the note is.
#[derive(Debug)]
pub(super) struct Note {
    /// `None` without a state directory, as when a person starts the daemon.
    path: Option<PathBuf>,
    boot: String,
}

impl Note {
    /// In the directory that the service manager keeps for the service: `STATE_DIRECTORY` (systemd.exec(5)), of which the
    /// first is meant when there are several.
    pub(super) fn of_this_service(root: &Root) -> Self {
        let folders = std::env::var_os("STATE_DIRECTORY").unwrap_or_default();
        let folder = folders.to_str().and_then(|folders| folders.split(':').next());
        let path = folder
            .filter(|folder| !folder.is_empty())
            .map(|folder| PathBuf::from(folder).join(NAME));
        let boot =
            root.text("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        Self { path, boot }
    }

    /// Workers received no more from that reading of the clock on.
    pub(super) fn leave(&self, stopped: u64) {
        let Some(path) = &self.path else { return };
        if let Err(error) = fs::write(path, format!("{} {stopped}\n", self.boot)) {
            tracing::warn!(%error, path = %path.display(), "the next start will not know for how long nothing was received");
        }
    }

    /// The time from the last daemon's stop to that reading of the clock, if it left a note; the note is gone then.
    pub(super) fn take(&self, root: &Root, first_turns: u64, rate: TickRate) -> Option<Duration> {
        let path = self.path.as_ref()?;
        let text = root.head(path.to_str()?, LONGEST).ok()?;
        if let Err(error) = fs::remove_file(path) {
            tracing::debug!(%error, "the note of the last stop stays");
        }
        let stopped = read(&text, &self.boot)?;
        Some(Duration::from_nanos(rate.to_ns(first_turns.checked_sub(stopped)?)))
    }
}

/// When the workers stopped, if it was in this boot.
fn read(text: &str, boot: &str) -> Option<u64> {
    let (of, stopped) = text.trim().split_once(' ')?;
    if boot.is_empty() || of != boot { None } else { stopped.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Root {
        Root::system().unwrap()
    }

    fn note(folder: &std::path::Path, boot: &str) -> Note {
        Note { path: Some(folder.join(NAME)), boot: boot.to_owned() }
    }

    #[test]
    fn the_next_daemon_learns_how_long_ago_the_last_one_stopped_once() {
        let folder = tempfile::tempdir().unwrap();
        let rate = TickRate::from_hz(1_000_000_000).unwrap();
        note(folder.path(), "a").leave(5_000_000);

        let next = note(folder.path(), "a");
        assert_eq!(next.take(&root(), 47_000_000, rate), Some(Duration::from_millis(42)));
        assert_eq!(next.take(&root(), 48_000_000, rate), None, "it was taken");
    }

    #[test]
    fn a_note_of_another_boot_of_the_future_or_of_nobody_says_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let rate = TickRate::from_hz(1_000_000_000).unwrap();
        for (left_in, stopped, boot) in [("a", 5, "b"), ("a", 50, "a"), ("", 5, "")] {
            note(folder.path(), left_in).leave(stopped);
            assert_eq!(
                note(folder.path(), boot).take(&root(), 10, rate),
                None,
                "{left_in} {stopped}"
            );
        }
        for text in ["", "a", "a five", "a 5 6", &"a".repeat(1000)] {
            fs::write(folder.path().join(NAME), text).unwrap();
            assert_eq!(note(folder.path(), "a").take(&root(), 10, rate), None, "{text}");
        }
        assert_eq!(Note { path: None, boot: "a".to_owned() }.take(&root(), 10, rate), None);
    }
}
