//! Places of our own, which the kernel takes away with the processes in them: whatever ends us, nothing is left.
//!
//! ```text
//!  the machine            our namespaces              the path's namespace
//!  (untouched)            network: gen0, gen1 ◄─veth─► dut0, dut1
//!                         mounts: a tmpfs for files,    mounts: its own /sys
//!                         our own /sys                  held by a child that dies with us
//! ```

use std::{
    io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use config::CpuSet;
use linux::{Root, namespace::LeaveError};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use crate::{
    interrupt::Interrupt,
    program::{CommandLine, Deadline, Program, ProgramError, find},
};

/// How long it may take until a namespace is there.
const START: Duration = Duration::from_secs(10);

/// Directories that every system has and none needs; one of them is covered, for us only, by a file system in memory.
const COVERED: [&str; 3] = ["/mnt", "/media", "/srv"];

/// Why there is no place of our own.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// No namespaces.
    #[error(transparent)]
    Leave(#[from] LeaveError),
    /// Something could not be mounted.
    #[error("cannot mount {what} on {at} for ourselves")]
    Mount {
        /// What.
        what: &'static str,
        /// Where.
        at: String,
        /// Why.
        source: io::Error,
    },
    /// Nowhere to put files.
    #[error("none of /mnt, /media and /srv is there and not in use by what was asked for")]
    Nowhere,
    /// A program of the system failed.
    #[error("{command} failed: {said}")]
    Failed {
        /// Its command line.
        command: String,
        /// What it said.
        said: String,
    },
    /// A program of the system is not there, or can not be run.
    #[error("cannot run {command}")]
    Run {
        /// Its command line.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// The program that holds a namespace.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A setting was refused.
    #[error("cannot write {value} to {file}")]
    Write {
        /// The file.
        file: String,
        /// What should be in it.
        value: String,
        /// Why.
        source: io::Error,
    },
}

/// Takes this process into namespaces of its own; says where files can go that vanish with it. `used` are paths that
/// must stay visible.
///
/// # Errors
/// [`OwnError`]
pub fn enter(root: &Root, used: &[&Path]) -> Result<PathBuf, OwnError> {
    let at = COVERED.iter().map(Path::new).find(|at| {
        at.is_dir() && !used.iter().any(|path| path.canonicalize().is_ok_and(|p| p.starts_with(at)))
    });
    let at = at.ok_or(OwnError::Nowhere)?;
    linux::namespace::leave_network_and_mounts(root)?;
    let failed = |what, at: &Path| {
        let at = at.display().to_string();
        move |errno: rustix::io::Errno| OwnError::Mount { what, at, source: errno.into() }
    };
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(failed("nothing new", Path::new("/")))?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    mount("barewire-bench", at, "tmpfs", flags, Some(c"mode=0700"))
        .map_err(failed("a file system in memory", at))?;
    // The one that is there shows the interfaces of the namespace it was mounted in.
    mount("barewire-bench", "/sys", "sysfs", MountFlags::empty(), None)
        .map_err(failed("sysfs", Path::new("/sys")))?;
    // DPDK makes a directory for each process and leaves it; here it is among what vanishes.
    linux::namespace::set_variable(root, "RUNTIME_DIRECTORY", at)?;
    // libxdp would look for other programs at the interface, and say at length that it can not.
    linux::namespace::set_variable(root, "LIBXDP_SKIP_DISPATCHER", Path::new("1"))?;
    command(&["ip", "link", "set", "lo", "up"])?;
    Ok(at.to_owned())
}

/// Runs a program of the system; its words are separate.
///
/// # Errors
/// [`OwnError`]
pub fn command(words: &[&str]) -> Result<String, OwnError> {
    let shown = words.join(" ");
    let file = find(words[0]).unwrap_or_else(|| words[0].into());
    let output = Command::new(file)
        .args(&words[1..])
        .output()
        .map_err(|source| OwnError::Run { command: shown.clone(), source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(OwnError::Failed { command: shown, said });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The namespaces of a path under measurement, held by a child. Dropping it takes them away.
#[derive(Debug)]
pub struct Namespace {
    holder: Program,
}

impl Namespace {
    /// A new one, empty but for `lo`.
    ///
    /// # Errors
    /// [`OwnError`]
    pub fn new(dir: &Path, cpus: &CpuSet, interrupt: &Interrupt) -> Result<Self, OwnError> {
        let script =
            "mount -t sysfs barewire-bench /sys && ip link set lo up && echo ready && exec cat";
        let line = CommandLine::new(Path::new("unshare"))
            .args(["--net", "--mount", "--", "sh", "-c", script]);
        let mut holder = Program::start("the path's namespace", &line, dir, cpus)?;
        let deadline = Deadline::after(START);
        while holder.hear("being made", &deadline, interrupt)? != "ready" {}
        Ok(Self { holder })
    }

    /// The process that holds it: what `/proc` says of it is said of the namespace.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.holder.pid()
    }

    fn entering(&self) -> [String; 4] {
        let of = |kind| format!("/proc/{}/ns/{kind}", self.pid());
        let (network, mounts) = (of("net"), of("mnt"));
        ["nsenter".into(), format!("--net={network}"), format!("--mount={mounts}"), "--".into()]
    }

    /// The same program, inside.
    #[must_use]
    pub fn inside(&self, line: CommandLine) -> CommandLine {
        let [enter, arguments @ ..] = self.entering();
        CommandLine {
            environment: line.environment,
            ..CommandLine::new(Path::new(&enter))
                .args(arguments)
                .args([line.file.into_os_string()])
                .args(line.arguments)
        }
    }

    /// Runs a program of the system inside.
    ///
    /// # Errors
    /// [`OwnError`]
    pub fn command(&self, words: &[&str]) -> Result<String, OwnError> {
        let entering = self.entering();
        let words: Vec<&str> =
            entering.iter().map(String::as_str).chain(words.iter().copied()).collect();
        command(&words)
    }

    /// Writes a setting of the network inside (`/proc/sys/net`).
    ///
    /// # Errors
    /// [`OwnError`]
    pub fn set(&self, name: &str, value: &str) -> Result<(), OwnError> {
        // Which network a file there belongs to is decided by who opens it.
        let script = format!("echo {value} > /proc/sys/net/{name}");
        self.command(&["sh", "-c", &script]).map(drop)
    }

    /// Writes a setting of an interface inside (`/sys/class/net`).
    ///
    /// # Errors
    /// [`OwnError`]
    pub fn set_interface(&self, name: &str, value: &str) -> Result<(), OwnError> {
        let script = format!("echo {value} > /sys/class/net/{name}");
        self.command(&["sh", "-c", &script]).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_the_system_that_fails_says_why() {
        let failed = command(&["sh", "-c", "echo no such thing >&2; exit 3"]).unwrap_err();
        assert_eq!(
            failed.to_string(),
            "sh -c echo no such thing >&2; exit 3 failed: no such thing"
        );
        assert!(matches!(command(&["no-such-program"]), Err(OwnError::Run { .. })));
    }
}
