//! Running the host's programs: bounded in time, dead with us, their output kept for the error.

use std::{
    ffi::OsStr,
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, pidfd_open},
};

use crate::error::{LabError, last_lines};

/// A program that the kernel kills when the calling thread ends, however it ends.
pub(crate) fn bound(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "nice", "-n", "10"]).arg(program);
    command.env("LC_ALL", "C.UTF-8");
    command
}

/// A program that is confined to mount and process namespaces of its own: when it ends, or we do, every process it
/// started is killed and nothing it mounted is left.
pub(crate) fn confined(program: impl AsRef<OsStr>) -> Command {
    let mut command = bound("unshare");
    command
        .args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL"])
        .args(["--mount-proc", "--"])
        .arg(program);
    command
}

/// Runs it to its end; an error unless it exits with 0 within the limit.
pub(crate) fn run(
    what: &str,
    command: &mut Command,
    log: &Path,
    limit: Duration,
) -> Result<(), LabError> {
    let file = File::create(log).map_err(LabError::file("write", log))?;
    let both = file.try_clone().map_err(LabError::file("write", log))?;
    let program = name_of(command);
    let failed = |how: String| LabError::Program {
        what: what.to_owned(),
        program: program.clone(),
        how,
        output: tail(log, 40),
    };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(both)
        .spawn()
        .map_err(LabError::io(format!("{what}: cannot run {program}")))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pidfd = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty()));
    let deadline = Instant::now() + limit;
    loop {
        let status = child.try_wait().map_err(LabError::io(format!("{what}: cannot wait")))?;
        if let Some(status) = status {
            return if status.success() {
                Ok(())
            } else {
                Err(failed(format!("ended with {status}")))
            };
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let _gone_already = child.kill();
            let _reaped = child.wait();
            return Err(failed(format!("took longer than {} s", limit.as_secs())));
        }
        // Without a pidfd, this looks again after a while.
        match &pidfd {
            Some(Ok(pidfd)) => {
                let _looked_at_above =
                    poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&timespec(left)));
            }
            _ => std::thread::sleep(left.min(Duration::from_millis(50))),
        }
    }
}

/// What a short program writes to its standard output.
pub(crate) fn output(what: &str, command: &mut Command) -> Result<String, LabError> {
    let program = name_of(command);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(LabError::io(format!("{what}: cannot run {program}")))?;
    if !output.status.success() {
        return Err(LabError::Program {
            what: what.to_owned(),
            program,
            how: format!("ended with {}", output.status),
            output: last_lines(&output.stderr, 40),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A program in `PATH`, or where only root's `PATH` looks.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// The last lines of a file, of which at most the last 64 KiB are read.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    const MOST: u64 = 64 * 1024;
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MOST)))?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    read().map(|bytes| last_lines(&bytes, lines)).unwrap_or_default()
}

/// For poll(2).
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}

/// The program behind the ones that only bind it.
fn name_of(command: &Command) -> String {
    let args: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    let start = args.iter().rposition(|arg| arg == "--").map_or(0, |at| at + 1);
    let mut words = args[start..].iter();
    let name = match words.next() {
        Some(nice) if nice == "nice" => words.nth(2),
        Some(word) if command.get_program() == "setpriv" => Some(word),
        _ => None,
    };
    name.map_or_else(|| command.get_program().to_string_lossy().into_owned(), |n| n.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_program_and_not_its_wrappers() {
        assert_eq!(name_of(bound("mke2fs").arg("-q")), "mke2fs");
        assert_eq!(name_of(confined("mmdebstrap").arg("--quiet")), "mmdebstrap");
        assert_eq!(name_of(Command::new("apt-get").arg("update")), "apt-get");
    }

    #[test]
    fn a_program_that_takes_too_long_is_killed_and_its_words_are_kept() {
        let log = std::env::temp_dir().join(format!("lab-program-{}", std::process::id()));
        let mut command = bound("sh");
        command.args(["-c", "echo so far; exec sleep 1000"]);

        let error = run("a test", &mut command, &log, Duration::from_millis(500)).unwrap_err();

        assert!(format!("{error:?}").contains("took longer than 0 s"), "{error:?}");
        assert_eq!(error.tail(), Some("so far"));
        std::fs::remove_file(&log).unwrap();
    }
}
