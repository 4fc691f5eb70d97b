//! `barewired` as a process: started, waited for, asked, stopped; killed and shown when a test fails.

mod balance;
mod said;
mod setup;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;

use self::said::Said;
pub use self::{
    balance::Balance,
    setup::{Setup, with_control},
};
use crate::{
    Site,
    http::{self, Answer},
    programs, wait,
};

/// A running `barewired`. Killed on drop; if the test is failing, what it wrote is shown.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    /// What it told its service manager, line by line …
    notices: Said,
    /// … and how much of that was looked at.
    heard: usize,
    said: Said,
    socket: PathBuf,
    config: PathBuf,
    ended: bool,
}

/// How a daemon ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Everything it wrote.
    pub said: String,
    /// For how long its end was waited for.
    pub took: Duration,
}

impl Daemon {
    /// Starts it with this configuration, and waits until it is ready; see [`Setup`] for more.
    #[must_use]
    pub fn start(site: &Site, config: &str) -> Daemon {
        Setup::new(site, config).start()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id is positive")
    }

    /// Whether it has not ended.
    ///
    /// # Panics
    /// When the state of the process can not be had.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the state of our child").is_none()
    }

    /// Its control socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Waits until it says READY.
    ///
    /// # Panics
    /// When it ends before that, or not in time.
    pub fn wait_until_ready(&mut self) {
        if let Err(why) = self.notice("READY=1") {
            panic!("barewired {why}\n{}", self.state());
        }
    }

    /// Waits until it tells its service manager this, in a line of its own.
    ///
    /// # Errors
    /// When it ends before that, or does not say it in time.
    ///
    /// # Panics
    /// When the state of the process can not be had.
    pub fn notice(&mut self, wanted: &str) -> Result<(), String> {
        let deadline = Instant::now() + wait::PATIENCE;
        let mut lines = self.notices.lines();
        loop {
            if let Some(at) = lines.iter().skip(self.heard).position(|line| line == wanted) {
                self.heard += at + 1;
                return Ok(());
            }
            if self.child.try_wait().expect("the state of our child").is_some() {
                return Err(format!("ended instead of saying {wanted}"));
            }
            if Instant::now() > deadline {
                return Err(format!("does not say {wanted}"));
            }
            // Not longer, to look at the process again.
            let a_while = Duration::from_millis(20);
            let waited = self.notices.0.1.wait_timeout(lines, a_while);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Everything it has told its service manager so far, line by line.
    #[must_use]
    pub fn notices(&self) -> Vec<String> {
        self.notices.lines().clone()
    }

    /// Everything it has written so far.
    #[must_use]
    pub fn said(&self) -> String {
        self.said.lines().join("\n")
    }

    /// Waits until it has written a line that contains this, and gives it back.
    ///
    /// # Panics
    /// When it does not, in time.
    pub fn wait_for_line(&self, wanted: &str) -> String {
        let deadline = Instant::now() + wait::PATIENCE;
        let mut lines = self.said.lines();
        loop {
            if let Some(line) = lines.iter().find(|line| line.contains(wanted)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(lines);
                panic!("barewired does not write {wanted:?}\n{}", self.state());
            }
            lines =
                self.said.0.1.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// One request to the control socket.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn request(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        http::request(&self.socket, method, path, body)
            .unwrap_or_else(|e| panic!("no answer to {method} {path}: {e}\n{}", self.state()))
    }

    /// `GET`, and the answer as what it should be.
    ///
    /// # Panics
    /// When there is none, or it is something else.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.request("GET", path, None);
        assert_eq!(answer.status, 200, "GET {path}: {}\n{}", answer.body, self.state());
        answer.parse()
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> api::Counters {
        self.get("/v1/counters")
    }

    /// Waits until every frame of this many has been received and is accounted for: none is inside any more.
    ///
    /// # Panics
    /// When that does not happen in time, or more are received.
    pub fn wait_until_through(&self, frames: u64) -> api::Counters {
        let mut last = None;
        let begun = Instant::now();
        while begun.elapsed() < wait::PATIENCE {
            let counters = self.counters();
            let Balance { received, sent, dropped, .. } = Balance::of(&counters);
            assert!(received <= frames, "received {received} of {frames} frames\n{}", self.state());
            if received == frames && sent + dropped == frames {
                return counters;
            }
            last = Some(counters);
            thread::sleep(Duration::from_millis(5));
        }
        panic!("not all {frames} frames came through: {last:#?}\n{}", self.state());
    }

    /// `barewire` with these arguments, at this daemon's socket.
    ///
    /// # Panics
    /// When it can not be run.
    #[must_use]
    pub fn barewire<const N: usize>(&self, args: [&str; N]) -> Output {
        Command::new(programs::barewire())
            .arg("--socket")
            .arg(&self.socket)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|e| panic!("cannot run barewire: {e}"))
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal)
            .unwrap_or_else(|e| panic!("{signal:?}: {e}\n{}", self.state()));
    }

    /// Stops every one of its threads for this long, its workers among them: SIGSTOP, and SIGCONT.
    ///
    /// # Panics
    /// When they do not stop, or it is gone.
    pub fn pause(&self, length: Duration) {
        self.signal(Signal::STOP);
        let tasks = format!("/proc/{}/task", self.pid().as_raw_nonzero());
        wait::until("every thread to stop", || {
            let mut tasks = std::fs::read_dir(&tasks).expect("a daemon that runs has threads");
            tasks.all(|task| is_stopped(&task.expect("a thread").path())).then_some(())
        });
        // How long it is paused is the caller's input: at least so long, and on a busy machine longer.
        thread::sleep(length);
        self.signal(Signal::CONT);
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    pub fn stop(self) -> Ended {
        self.end_by(Signal::TERM)
    }

    /// A signal that ends it, and how it ended.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    pub fn end_by(self, signal: Signal) -> Ended {
        self.signal(signal);
        self.wait()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    pub fn wait(mut self) -> Ended {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the state of our child") {
                break status;
            }
            assert!(begun.elapsed() < wait::PATIENCE, "barewired does not end\n{}", self.state());
            thread::sleep(Duration::from_millis(2));
        };
        self.ended = true;
        // The pipes' last lines: the collectors end when the pipes do.
        let said = Arc::downgrade(&self.said.0);
        let lines = self.said.clone();
        wait::until("barewired's last words", || (said.strong_count() <= 2).then_some(()));
        let said = lines.lines().join("\n");
        Ended { status, said, took: begun.elapsed() }
    }

    /// What is known of it, for the message of a failing test.
    #[must_use]
    pub fn state(&self) -> String {
        let config = std::fs::read_to_string(&self.config).unwrap_or_default();
        let said = self.said.lines().join("\n");
        let counters = http::request(&self.socket, "GET", "/v1/counters", None)
            .map_or_else(|e| e.to_string(), |answer| answer.body);
        format!(
            "--- configuration\n{config}\n--- barewired wrote\n{said}\n--- counters\n{counters}\n---"
        )
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if thread::panicking() {
            let said = self.said.lines().join("\n");
            eprintln!("--- barewired wrote\n{said}\n---");
        }
        let _gone_already = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a thread does not run until it is told to.
fn is_stopped(task: &Path) -> bool {
    let stat = std::fs::read_to_string(task.join("stat")).unwrap_or_default();
    // proc(5): the state follows the name in parentheses, which may have some of its own.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}
