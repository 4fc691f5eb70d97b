//! What a process says, collected while it runs.

use std::{
    io::{self, BufRead as _, BufReader},
    os::unix::net::UnixDatagram,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// What a daemon writes, line by line, as it comes.
#[derive(Debug, Clone, Default)]
pub(super) struct Said(pub(super) Arc<(Mutex<Vec<String>>, Condvar)>);

impl Said {
    pub(super) fn collect(&self, from: impl io::Read + Send + 'static) {
        let said = self.clone();
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                said.lines().push(String::from_utf8_lossy(&line).trim_end().to_owned());
                said.0.1.notify_all();
                line.clear();
            }
        });
    }

    /// What it tells its service manager. The socket holds ten notices, and who sends one more waits.
    pub(super) fn receive(&self, from: UnixDatagram) {
        let said = Arc::downgrade(&self.0);
        from.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket can time out");
        thread::spawn(move || {
            let mut notice = [0; 4096];
            while let Some(said) = said.upgrade().map(Said) {
                if let Ok(length) = from.recv(&mut notice) {
                    let notice = String::from_utf8_lossy(&notice[..length]);
                    said.lines().extend(notice.lines().map(str::to_owned));
                    said.0.1.notify_all();
                }
            }
        });
    }

    pub(super) fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
