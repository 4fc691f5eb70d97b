//! A program under measurement: started in a process group of its own, stopped and continued, killed whatever happens.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fmt::Write as _,
    io::{self, BufRead as _, BufReader, Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use config::CpuSet;
use rustix::process::{Pid, Signal, kill_process_group};

use crate::interrupt::{Interrupt, Interrupted, STEP};

/// Lines of output kept to show why a program failed.
const REMEMBERED: usize = 40;

/// Bytes of one line; a longer one is cut into several.
const LINE: u64 = 64 * 1024;

/// Lines of output that wait for us to read them; the program waits when there are more.
const UNREAD: usize = 4096;

/// A running program. Killed on drop, with everything it started; and by the kernel, should we be killed ourselves.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    group: Pid,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    tail: Arc<Mutex<VecDeque<String>>>,
    is_gone: bool,
}

/// Why a program is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It did not start at all.
    #[error("{name}: cannot run {}", file.display())]
    Start {
        /// What it is to us.
        name: String,
        /// The file.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended, or closed its output.
    #[error("{name} ended while {doing}{said}")]
    Ended {
        /// What it is to us.
        name: String,
        /// What it should have done.
        doing: String,
        /// Its last lines.
        said: String,
    },
    /// It did not do it in time.
    #[error("{name} did not finish {doing} within {seconds} s{said}")]
    Late {
        /// What it is to us.
        name: String,
        /// What it should have done.
        doing: String,
        /// The limit.
        seconds: u64,
        /// Its last lines.
        said: String,
    },
    /// It can not be talked to.
    #[error("{name}: cannot {doing}")]
    Talk {
        /// What it is to us.
        name: String,
        /// What we wanted.
        doing: String,
        /// Why not.
        source: io::Error,
    },
    /// It answered with something else than it should.
    #[error("{name}: {what}{said}")]
    Nonsense {
        /// What it is to us.
        name: String,
        /// What is wrong with the answer.
        what: String,
        /// Its last lines.
        said: String,
    },
    /// Ctrl-C.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// A command line, to be run and to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// The program's file.
    pub file: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Added to its environment.
    pub environment: Vec<(String, OsString)>,
}

impl CommandLine {
    /// A program without arguments yet.
    #[must_use]
    pub fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), arguments: Vec::new(), environment: Vec::new() }
    }

    /// With these arguments as well.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|text| text.as_ref().to_owned()));
        self
    }

    /// As one would type it.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut text = self.file.display().to_string();
        for argument in &self.arguments {
            let _infallible = write!(text, " {}", argument.display());
        }
        text
    }
}

impl Program {
    /// Starts it in `dir`, allowed on `cpus`. `name` is for messages.
    ///
    /// It goes through util-linux' `setpriv --pdeathsig` where that exists, so that it does not outlive us.
    ///
    /// # Errors
    /// [`ProgramError::Start`]
    pub fn start(
        name: &str,
        line: &CommandLine,
        dir: &Path,
        cpus: &CpuSet,
    ) -> Result<Self, ProgramError> {
        let failed =
            |source| ProgramError::Start { name: name.to_owned(), file: line.file.clone(), source };
        let mut wrapped: Vec<OsString> = Vec::new();
        if find("setpriv").is_some() {
            wrapped.extend(["setpriv", "--pdeathsig", "KILL", "--"].map(OsString::from));
        }
        wrapped.push(line.file.clone().into_os_string());
        wrapped.extend(line.arguments.iter().cloned());

        let mut command = Command::new(&wrapped[0]);
        command
            .args(&wrapped[1..])
            .envs(line.environment.iter().map(|(key, value)| (key, value)))
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Ctrl-C in a terminal goes to a whole group: this one is ours to end.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        // A child has its parent's affinity, and ours is confined to the CPU that is not measured.
        let mut child = linux::thread::with_affinity(cpus, || command.spawn())
            .map_err(io::Error::other)
            .and_then(|spawned| spawned)
            .map_err(failed)?;

        let group = i32::try_from(child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("the kernel's process ids are positive and fit");
        let tail = Arc::new(Mutex::new(VecDeque::new()));
        let (send, lines) = sync_channel(UNREAD);
        if let Some(stdout) = child.stdout.take() {
            collect(stdout, Some(send), Arc::clone(&tail));
        }
        if let Some(stderr) = child.stderr.take() {
            collect(stderr, None, Arc::clone(&tail));
        }
        let stdin = child.stdin.take();
        Ok(Self { name: name.to_owned(), child, group, stdin, lines, tail, is_gone: false })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Takes the whole group off the CPUs, without its noticing.
    ///
    /// # Errors
    /// When it is gone.
    pub fn pause(&self) -> Result<(), ProgramError> {
        self.signal(Signal::STOP, "pause it")
    }

    /// Puts it back.
    ///
    /// # Errors
    /// When it is gone.
    pub fn resume(&self) -> Result<(), ProgramError> {
        self.signal(Signal::CONT, "continue it")
    }

    /// Asks it to end.
    ///
    /// # Errors
    /// When it is gone.
    pub fn terminate(&self) -> Result<(), ProgramError> {
        self.signal(Signal::TERM, "ask it to end")
    }

    fn signal(&self, signal: Signal, doing: &str) -> Result<(), ProgramError> {
        kill_process_group(self.group, signal).map_err(|errno| self.talk(doing)(errno.into()))
    }

    /// Writes one line to its standard input.
    ///
    /// # Errors
    /// When it does not read any more.
    pub fn say(&mut self, line: &str) -> Result<(), ProgramError> {
        let failed = self.talk("write to it");
        let Some(stdin) = self.stdin.as_mut() else {
            return Err(self.ended("being told something"));
        };
        stdin.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdin.flush()).map_err(failed)
    }

    /// The next line of its standard output.
    ///
    /// # Errors
    /// When there is none until the deadline, or it ends, or somebody interrupts.
    pub fn hear(
        &mut self,
        doing: &str,
        deadline: &Deadline,
        interrupt: &Interrupt,
    ) -> Result<String, ProgramError> {
        loop {
            interrupt.check()?;
            match self.lines.recv_timeout(deadline.left().min(STEP)) {
                Ok(line) => return Ok(line),
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended(doing)),
                Err(RecvTimeoutError::Timeout) if deadline.has_passed() => {
                    return Err(self.late(doing, deadline));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When it does not until the deadline, or somebody interrupts.
    pub fn wait(
        &mut self,
        deadline: &Deadline,
        interrupt: &Interrupt,
    ) -> Result<ExitStatus, ProgramError> {
        self.stdin = None;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => {
                    self.is_gone = true;
                    return Ok(status);
                }
                Ok(None) if deadline.has_passed() => return Err(self.late("ending", deadline)),
                // Its output is closed when it ends, which wakes us; what it prints until then is of no interest.
                Ok(None) => match self.lines.recv_timeout(deadline.left().min(STEP)) {
                    Ok(_) | Err(RecvTimeoutError::Timeout) => interrupt.check()?,
                    Err(RecvTimeoutError::Disconnected) => {
                        interrupt.pass(Duration::from_millis(1))?
                    }
                },
                Err(source) => return Err(self.talk("wait for it")(source)),
            }
        }
    }

    /// Has it ended?
    pub fn has_ended(&mut self) -> bool {
        self.is_gone = self.is_gone || matches!(self.child.try_wait(), Ok(Some(_)));
        self.is_gone
    }

    /// It ended instead.
    #[must_use]
    pub fn ended(&self, doing: &str) -> ProgramError {
        ProgramError::Ended { name: self.name.clone(), doing: doing.to_owned(), said: self.said() }
    }

    /// It took too long.
    #[must_use]
    pub fn late(&self, doing: &str, deadline: &Deadline) -> ProgramError {
        ProgramError::Late {
            name: self.name.clone(),
            doing: doing.to_owned(),
            seconds: deadline.limit.as_secs(),
            said: self.said(),
        }
    }

    /// It answered with something else.
    #[must_use]
    pub fn nonsense(&self, what: impl Into<String>) -> ProgramError {
        ProgramError::Nonsense { name: self.name.clone(), what: what.into(), said: self.said() }
    }

    /// For `map_err`: it can not be talked to.
    pub fn talk(&self, doing: &str) -> impl FnOnce(io::Error) -> ProgramError + use<> {
        let (name, doing) = (self.name.clone(), doing.to_owned());
        move |source| ProgramError::Talk { name, doing, source }
    }

    /// Its last lines, to go under a message.
    fn said(&self) -> String {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for line in tail.iter() {
            let _infallible = write!(text, "\n  | {line}");
        }
        text
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !self.is_gone {
            // Works on a stopped group too. An error means that nobody is left.
            let _gone = kill_process_group(self.group, Signal::KILL);
            let _reaped = self.child.wait();
        }
    }
}

/// Reads lines as they come, into the channel and the tail.
fn collect(
    from: impl Read + Send + 'static,
    to: Option<SyncSender<String>>,
    tail: Arc<Mutex<VecDeque<String>>>,
) {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.by_ref().take(LINE).read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            {
                let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
                if tail.len() == REMEMBERED {
                    tail.pop_front();
                }
                tail.push_back(text.clone());
            }
            if let Some(to) = &to {
                // Nobody listens once the program is dropped; its output is read to the end all the same.
                let _nobody = to.send(text);
            }
        }
    });
}

/// A point in time after which something is late.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// So much from now.
    #[must_use]
    pub fn after(limit: Duration) -> Self {
        Self { at: Instant::now() + limit, limit }
    }

    /// What is left of it.
    #[must_use]
    pub fn left(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Is nothing left of it?
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.left().is_zero()
    }
}

/// A program of the system.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
