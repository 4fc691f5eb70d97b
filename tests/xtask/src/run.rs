//! Running other programs: in steps that say what they do and how long they took, and that Ctrl-C ends cleanly.

use std::{
    io,
    process::{Child, Command, ExitCode, ExitStatus, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open},
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::say;

/// Why a command did not do all it should.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A program ran and said no.
    #[error("{what}: `{command}` ended with {status}")]
    Step { what: String, command: String, status: ExitStatus },
    /// A program did not run at all.
    #[error("{what}: cannot run `{command}`")]
    Start { what: String, command: String, source: io::Error },
    /// A file or a directory would not do.
    #[error("{what}")]
    Io { what: String, source: io::Error },
    /// A check of ours says no.
    #[error("{0}")]
    Check(String),
    /// Something is missing on this machine.
    #[error("{0}")]
    Missing(String),
    /// Ctrl-C, or a polite kill.
    #[error("interrupted")]
    Interrupted,
}

impl Failure {
    /// See the crate's documentation.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Failure::Step { .. }
            | Failure::Start { .. }
            | Failure::Io { .. }
            | Failure::Check(_) => 1,
            Failure::Missing(_) => 3,
            Failure::Interrupted => 130,
        })
    }

    /// For `map_err`: what we were doing when an I/O error came.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Failure {
        let what = what.into();
        move |source| Failure::Io { what, source }
    }
}

/// Knows whether somebody wants us to end. The signals only set it, so every `Drop` still runs.
#[derive(Debug, Clone)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Catches SIGINT, SIGTERM and SIGHUP from now on.
    pub(crate) fn install() -> Result<Interrupt, Failure> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag))
                .map_err(Failure::io(format!("cannot catch signal {signal}")))?;
        }
        Ok(Interrupt(flag))
    }

    /// An error once somebody wants us to end.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        // Relaxed: the flag carries no other data.
        if self.0.load(Ordering::Relaxed) { Err(Failure::Interrupted) } else { Ok(()) }
    }
}

/// Runs a program as a step of its own: announced, timed, an error unless it exits with 0.
pub(crate) fn step(
    interrupt: &Interrupt,
    what: &str,
    command: &mut Command,
) -> Result<(), Failure> {
    interrupt.check()?;
    say::begin(format!("{what}: {}", shown(command)));
    let begun = Instant::now();
    quiet_step(interrupt, what, command)?;
    say::done(what, begun.elapsed());
    Ok(())
}

/// Runs a program to its end, without words; an error unless it exits with 0.
pub(crate) fn quiet_step(
    interrupt: &Interrupt,
    what: &str,
    command: &mut Command,
) -> Result<(), Failure> {
    let status = status(interrupt, what, command)?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::Step { what: what.into(), command: shown(command), status })
    }
}

/// Runs a program to its end, and gives back how it ended.
pub(crate) fn status(
    interrupt: &Interrupt,
    what: &str,
    command: &mut Command,
) -> Result<ExitStatus, Failure> {
    let mut child = start(what, command)?;
    let ended = wait(interrupt, &mut child, None);
    if ended.is_err() {
        end(&mut child);
    }
    match ended? {
        Some(status) => Ok(status),
        None => unreachable!("a wait without a limit ends with the program"),
    }
}

/// Runs a short program and gives back what it wrote; an error unless it exits with 0.
pub(crate) fn output(what: &str, command: &mut Command) -> Result<String, Failure> {
    let Output { status, stdout, stderr } = command
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Failure::Start { what: what.into(), command: shown(command), source })?;
    if !status.success() {
        say::note(String::from_utf8_lossy(&stderr).trim());
        return Err(Failure::Step { what: what.into(), command: shown(command), status });
    }
    Ok(String::from_utf8_lossy(&stdout).into_owned())
}

/// Starts a program that runs beside us.
pub(crate) fn start(what: &str, command: &mut Command) -> Result<Child, Failure> {
    command.spawn().map_err(|source| Failure::Start {
        what: what.into(),
        command: shown(command),
        source,
    })
}

/// Waits for a program's end, for Ctrl-C, or for so long; `None` means that it still runs.
pub(crate) fn wait(
    interrupt: &Interrupt,
    child: &mut Child,
    limit: Option<Duration>,
) -> Result<Option<ExitStatus>, Failure> {
    let deadline = limit.map(|limit| Instant::now() + limit);
    let failed = || Failure::io("cannot wait for a program");
    let pid = pid_of(child);
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|e| failed()(e.into()))?;
    loop {
        if let Some(status) = child.try_wait().map_err(failed())? {
            // Ctrl-C reaches the program as well, and it may have ended because of that.
            interrupt.check()?;
            return Ok(Some(status));
        }
        interrupt.check()?;
        let now = Instant::now();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Ok(None);
        }
        // A signal ends the poll at once, unless it came just before it; so look again now and then.
        let pause = deadline.map_or(LOOK_AGAIN, |deadline| (deadline - now).min(LOOK_AGAIN));
        let pause = Timespec {
            tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: pause.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&pause)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed()(error.into())),
        }
    }
}

const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Asks a program to end, waits a little, then kills it.
pub(crate) fn end(child: &mut Child) {
    if child.try_wait().ok().flatten().is_some() {
        return;
    }
    let _gone_already = kill_process(pid_of(child), Signal::TERM);
    let deadline = Instant::now() + Duration::from_secs(5);
    // Not `wait`: that one leaves at once after Ctrl-C, and here we are cleaning up because of it.
    while Instant::now() < deadline {
        if child.try_wait().ok().flatten().is_some() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// The process id of a child that has not been waited for.
pub(crate) fn pid_of(child: &Child) -> Pid {
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .expect("the kernel's process ids are positive and fit a pid_t")
}

/// A command as one would type it.
fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or(&program).to_owned();
    let mut text = program;
    for arg in command.get_args() {
        let arg = arg.to_string_lossy();
        text.push(' ');
        if arg.contains(' ') {
            text.push_str(&format!("'{arg}'"));
        } else {
            text.push_str(&arg);
        }
    }
    text
}
