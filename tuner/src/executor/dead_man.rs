//! The dead man's switch: what rolls back if nobody says in time that they can still get in.
//!
//! It must not hang on the connection that it is there for: a timer of systemd's, or a process in a session of its own.
//! Neither outlives the boot: then `apply --boot` does it. Neither has to be stopped for a confirmation to count: when
//! its time comes it looks into the journal first.

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use crate::journal::Guard;

/// What has to be known to roll back later.
#[derive(Debug, Clone, Copy)]
pub struct DeadMan<'a> {
    /// This program.
    pub program: &'a Path,
    /// What makes timers; none where systemd does not run.
    pub timers: Option<&'a Path>,
    /// The machine's root.
    pub root: &'a Path,
    /// The journal, from the root.
    pub state: &'a str,
    /// The entry to roll back.
    pub entry: u32,
    /// When.
    pub within: Duration,
}

/// Why nothing could be armed.
#[derive(Debug, thiserror::Error)]
pub enum DeadManError {
    /// The process could not be started.
    #[error("cannot start {}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// It did not say that it is ready.
    #[error("the process that should roll back did not get ready: {said}")]
    NotReady {
        /// What it said instead.
        said: String,
    },
}

/// What the process says once the connection can not take it along.
pub(crate) const READY: &str = "ready";

impl DeadMan<'_> {
    /// Arms it: by a timer where there are timers, by a process otherwise, or when the timer is refused.
    ///
    /// # Errors
    /// [`DeadManError`]; then nothing that needs it should be done.
    pub fn arm(&self) -> Result<Guard, DeadManError> {
        match self.timers.and_then(|timers| self.arm_timer(timers)) {
            Some(guard) => Ok(guard),
            None => self.arm_process(),
        }
    }

    /// What is run when nobody confirmed.
    fn rollback(&self) -> Vec<String> {
        let words = ["rollback", "--unless-confirmed", "--to"];
        let mut all: Vec<String> = words.map(str::to_owned).to_vec();
        all.push(self.entry.to_string());
        all.extend(self.place());
        all
    }

    /// The name that its unit has.
    fn unit(&self) -> String {
        format!("barewire-tune-rollback-{}", self.entry)
    }

    fn place(&self) -> [String; 4] {
        let root = self.root.to_string_lossy().into_owned();
        ["--root".to_owned(), root, "--state".to_owned(), self.state.to_owned()]
    }

    fn arm_timer(&self, timers: &Path) -> Option<Guard> {
        let unit = self.unit();
        let status = Command::new(timers)
            .arg(format!("--unit={unit}"))
            .arg(format!("--on-active={}s", self.within.as_secs()))
            .args(["--timer-property=AccuracySec=1s", "--collect", "--quiet", "--"])
            .arg(self.program)
            .args(self.rollback())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.is_ok_and(|status| status.success()).then_some(Guard::Timer { unit })
    }

    /// Rolls back at once, by a unit of its own, as the timer would have, and waits for it. Whether it did, the journal
    /// says.
    ///
    /// What it says is passed on here: systemd's journal takes the last lines of a process that ends for nobody's.
    pub fn roll_back(&self, timers: &Path, say: &mut dyn Write) {
        let Ok((mut said, end)) = io::pipe() else { return };
        let Ok(other_end) = end.try_clone() else { return };
        let started = Command::new(timers)
            .arg(format!("--unit={}", self.unit()))
            .args(["--wait", "--pipe", "--collect", "--quiet", "--"])
            .arg(self.program)
            .args(self.rollback())
            .stdin(Stdio::null())
            .stdout(end)
            .stderr(other_end)
            .spawn();
        let Ok(mut child) = started else { return };
        if io::copy(&mut said, say).is_err() {
            // That nobody listens stops nothing.
            let _ = io::copy(&mut said, &mut io::sink());
        }
        let _ = child.wait();
    }

    fn arm_process(&self) -> Result<Guard, DeadManError> {
        let mut child = Command::new(self.program)
            .arg("dead-man")
            .args(["--after", &format!("{}s", self.within.as_secs())])
            .args(["--to", &self.entry.to_string()])
            .args(self.place())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| DeadManError::Start { program: self.program.to_owned(), source })?;
        let mut said = String::new();
        if let Some(stdout) = child.stdout.take() {
            // A process that ends closes its end, and so ends the line.
            let _ = BufReader::new(stdout.take(256)).read_line(&mut said);
        }
        match said.trim() {
            READY => Ok(Guard::Process { pid: child.id() }),
            other => Err(DeadManError::NotReady { said: format!("\"{}\"", other.escape_debug()) }),
        }
    }
}

/// Stops a timer that is not needed any more. It would look into the journal and do nothing, so that a failure is none.
pub fn disarm(guard: &Guard, systemctl: &Path) {
    if let Guard::Timer { unit } = guard {
        let _ = Command::new(systemctl)
            .args(["stop", "--", &format!("{unit}.timer")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// Leaves the session of whoever started us: a connection that is lost ends its session, and not us.
///
/// # Errors
/// The kernel's; a process that leads its group can not.
pub fn detach() -> io::Result<()> {
    rustix::process::setsid()?;
    Ok(())
}
