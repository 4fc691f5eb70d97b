//! The hands that change a machine, and the only ones: everything that `apply` and `rollback` do goes through [`Hands`].
//!
//! ```text
//!  executor ─► Hands ─┬─► Real   files below a root, commands, ethtool, sched_setaffinity
//!                     └─► Fake   the same on a directory, with a kernel's manners: refuses, clamps, forgets, dies
//! ```

pub(crate) mod command;
mod ethtool;
pub mod fake;
mod real;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use config::CpuSet;
use serde::{Deserialize, Serialize};

pub use real::Real;

use crate::holders::{self, Holder};

/// Settings of an interface by name (`rx`, `adaptive-rx`, `rx-gro`); what is on or off is 1 or 0.
pub type Settings = BTreeMap<String, u32>;

/// What ethtool reads and sets at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EthtoolGroup {
    /// Descriptors of the rings: `rx`, `tx`.
    Rings,
    /// Interrupt coalescing: `adaptive-rx`, `adaptive-tx`, `rx-usecs`, `tx-usecs`.
    Coalesce,
    /// Channels: `combined`.
    Channels,
    /// Features, by the kernel's names; those that can be changed.
    Features,
    /// Pause frames: `rx`, `tx`.
    Pause,
    /// Energy-efficient Ethernet: `eee`.
    Eee,
}

impl EthtoolGroup {
    /// As it is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rings => "rings",
            Self::Coalesce => "coalescing",
            Self::Channels => "channels",
            Self::Features => "features",
            Self::Pause => "pause frames",
            Self::Eee => "energy-efficient Ethernet",
        }
    }
}

/// What changes a machine. Paths are relative to its root, without a slash in front.
pub trait Hands {
    /// Is it the machine that this program runs on, whose kernel reads what is written? Below a directory, files are
    /// only files: nobody hears a command, and what was read is what has to be written back.
    fn is_live(&self) -> bool;

    /// The directory that stands for the machine.
    fn root(&self) -> &Path;

    /// What is there. A symbolic link at the end of the path is not followed.
    fn look(&self, path: &str) -> Result<There, HandsError>;

    /// Writes to a file that is there, in place and in one write: what files of the kernel need.
    fn write(&self, path: &str, text: &str) -> Result<(), HandsError>;

    /// Puts a file where one may be, all or nothing, and lasting: written next to it, synced, renamed, synced.
    fn replace(&self, path: &str, file: &Content) -> Result<(), HandsError>;

    /// Removes a file; one that is not there is no error.
    fn remove(&self, path: &str) -> Result<(), HandsError>;

    /// Removes what a [`Hands::replace`] left behind that was killed half-way.
    fn sweep(&self, path: &str) -> Result<(), HandsError>;

    /// Makes one directory.
    fn make_directory(&self, path: &str, mode: u32) -> Result<(), HandsError>;

    /// Removes one directory, which must be empty.
    fn remove_directory(&self, path: &str) -> Result<(), HandsError>;

    /// The names in a directory, sorted; none where there is no such directory.
    fn names(&self, path: &str) -> Result<Vec<String>, HandsError>;

    /// The last part of what a symbolic link points to; none where there is no link.
    fn link_name(&self, path: &str) -> Result<Option<String>, HandsError>;

    /// Runs a command and waits for it, for at most so long.
    fn run(&self, command: &[&str], limit: Duration) -> Result<Output, HandsError>;

    /// What an interface has set.
    fn ethtool(&self, interface: &str, group: EthtoolGroup) -> Result<Settings, HandsError>;

    /// Sets something of an interface.
    fn set_ethtool(
        &self,
        interface: &str,
        group: EthtoolGroup,
        settings: &Settings,
    ) -> Result<(), HandsError>;

    /// Lets a thread run on these CPUs only.
    fn set_affinity(&self, thread: u32, cpus: &CpuSet) -> Result<(), HandsError>;

    /// Waits for at most so long until nobody else holds the lock file, and holds it.
    fn lock(&self, path: &str, wait: Duration) -> Result<Lock, HandsError>;
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum There {
    /// Nothing.
    Nothing,
    /// A regular file.
    File(Content),
    /// A directory, with its permissions and the user it belongs to.
    Directory {
        /// The permission bits.
        mode: u32,
        /// The user.
        user: u32,
    },
    /// A symbolic link, a device, a pipe.
    Other,
}

/// A file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// What is in it.
    #[serde(flatten)]
    pub bytes: Bytes,
    /// Its permission bits.
    pub mode: u32,
    /// The user it belongs to.
    pub user: u32,
    /// The group it belongs to.
    pub group: u32,
}

/// Bytes that are text in JSON where they can be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bytes {
    /// They are UTF-8.
    Text(String),
    /// They are not.
    Hex(#[serde(with = "hex")] Vec<u8>),
}

impl Bytes {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Hex(bytes) => bytes,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Hex(_) => None,
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Hex(error.into_bytes()),
        }
    }
}

impl Content {
    /// A file of root's that everybody may read.
    #[must_use]
    pub fn ours(text: impl Into<String>) -> Self {
        Self { bytes: Bytes::Text(text.into()), mode: 0o644, user: 0, group: 0 }
    }

    /// The same file with another text in it.
    #[must_use]
    pub fn with_text(&self, text: impl Into<String>) -> Self {
        Self { bytes: Bytes::Text(text.into()), ..self.clone() }
    }
}

/// What a command said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended; none when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output, the first of it.
    pub stdout: String,
    /// Its standard error, the first of it.
    pub stderr: String,
}

/// Held until it is dropped, or its process ends.
#[derive(Debug)]
pub struct Lock {
    /// What holds it; nothing where there is nobody else.
    file: Option<rustix::fd::OwnedFd>,
}

impl Drop for Lock {
    /// A command that is being started has a copy of the file until it runs, and the lock would last as long: flock(2)
    /// takes it away from all copies.
    fn drop(&mut self) {
        if let Some(file) = &self.file {
            // It goes with the last copy otherwise.
            let _ = rustix::fs::flock(file, rustix::fs::FlockOperation::Unlock);
        }
    }
}

/// Why a machine did not let itself be changed, or looked at.
#[derive(Debug, thiserror::Error)]
pub enum HandsError {
    /// The kernel refused.
    #[error("cannot {deed} /{path}")]
    File {
        /// What was tried: "write".
        deed: &'static str,
        /// On what.
        path: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// The file is larger than anything that is tuned.
    #[error("/{path} is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: String,
        /// The most that is read, in bytes.
        limit: usize,
    },
    /// Something else is there.
    #[error("/{path} is not a {expected}")]
    Kind {
        /// Where.
        path: String,
        /// What should be there.
        expected: &'static str,
    },
    /// The command could not be started or waited for.
    #[error("cannot run {command}")]
    Run {
        /// The command.
        command: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// The command took too long, and was killed.
    #[error("{command} did not end within {} s", limit.as_secs())]
    TooSlow {
        /// The command.
        command: String,
        /// How long it had.
        limit: Duration,
    },
    /// The command said no.
    #[error("{command} failed: {said}")]
    Command {
        /// The command.
        command: String,
        /// What it said, or how it ended.
        said: String,
    },
    /// The machine is only a directory.
    #[error("{what} needs the machine itself, and this is a directory")]
    NotLive {
        /// What was asked for.
        what: String,
    },
    /// The interface said no.
    #[error("cannot {deed} {what} of {interface}")]
    Interface {
        /// What was tried: "set".
        deed: &'static str,
        /// What of it.
        what: &'static str,
        /// The interface.
        interface: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The thread could not be moved.
    #[error("cannot set the affinity of thread {thread}")]
    Affinity {
        /// The thread.
        thread: u32,
        /// The kernel's error.
        source: io::Error,
    },
    /// Another one of us is at work.
    #[error("another barewire-tune holds /{path}")]
    Locked {
        /// The lock file.
        path: String,
    },
}

impl HandsError {
    /// Was it a command that did nothing, for it was never started?
    #[must_use]
    pub fn is_not_started(&self) -> bool {
        use io::ErrorKind::{NotFound, PermissionDenied};
        match self {
            Self::NotLive { .. } => true,
            Self::Run { source, .. } => matches!(source.kind(), NotFound | PermissionDenied),
            _ => false,
        }
    }

    /// The kernel's error number, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<rustix::io::Errno> {
        match self {
            Self::File { source, .. }
            | Self::Run { source, .. }
            | Self::Affinity { source, .. } => rustix::io::Errno::from_io_error(source),
            Self::TooLarge { .. }
            | Self::Kind { .. }
            | Self::TooSlow { .. }
            | Self::Command { .. }
            | Self::NotLive { .. }
            | Self::Interface { .. }
            | Self::Locked { .. } => None,
        }
    }

    /// Is what was to be changed not there any more?
    #[must_use]
    pub fn is_gone(&self) -> bool {
        use rustix::io::Errno;
        if let Self::Interface { source, .. } = self {
            return matches!(
                source.downcast_ref(),
                Some(linux::ethtool::EthtoolError::NoInterface { .. })
            );
        }
        matches!(self.errno(), Some(Errno::NOENT | Errno::NODEV | Errno::SRCH | Errno::NXIO))
    }
}

impl dyn Hands + '_ {
    /// A regular file; none where there is nothing.
    pub(crate) fn file(&self, path: &str) -> Result<Option<Content>, HandsError> {
        match self.look(path)? {
            There::Nothing => Ok(None),
            There::File(content) => Ok(Some(content)),
            There::Directory { .. } | There::Other => {
                Err(HandsError::Kind { path: path.to_owned(), expected: "regular file" })
            }
        }
    }

    /// The text of a file, without white space at its ends; none where there is nothing.
    pub(crate) fn text(&self, path: &str) -> Result<Option<String>, HandsError> {
        let Some(content) = self.file(path)? else { return Ok(None) };
        match content.bytes.text() {
            Some(text) => Ok(Some(text.trim().to_owned())),
            None => Err(HandsError::Kind { path: path.to_owned(), expected: "text file" }),
        }
    }

    /// Is there anything?
    pub(crate) fn exists(&self, path: &str) -> Result<bool, HandsError> {
        Ok(self.look(path)? != There::Nothing)
    }

    /// Makes a directory and those above it.
    pub(crate) fn make_directories(&self, path: &str, mode: u32) -> Result<(), HandsError> {
        let path = path.trim_matches('/');
        for (at, _) in path.match_indices('/') {
            self.make_one(&path[..at], 0o755)?;
        }
        self.make_one(path, mode)
    }

    fn make_one(&self, path: &str, mode: u32) -> Result<(), HandsError> {
        match self.make_directory(path, mode) {
            Err(error) if error.errno() == Some(rustix::io::Errno::EXIST) => Ok(()),
            done => done,
        }
    }

    /// The programs that have one of the files open; only root sees them all.
    pub(crate) fn holders(&self, files: &[PathBuf]) -> Result<Vec<Holder>, HandsError> {
        holders::of(&self.root().join("proc"), files)
            .map_err(|source| real::failed("list", "proc", source))
    }

    /// Runs a command that has to succeed.
    pub(crate) fn must_run(&self, command: &[&str]) -> Result<Output, HandsError> {
        let output = self.run(command, COMMAND_LIMIT)?;
        if output.code == Some(0) {
            return Ok(output);
        }
        let said = [output.stderr.trim(), output.stdout.trim()]
            .into_iter()
            .find(|text| !text.is_empty())
            .map_or_else(|| "it says nothing".to_owned(), |text| text.chars().take(300).collect());
        Err(HandsError::Command { command: command.join(" "), said })
    }
}

/// How long a command may take: making a boot menu looks at every disk.
pub(crate) const COMMAND_LIMIT: Duration = Duration::from_secs(120);

mod hex {
    use std::fmt::Write as _;

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        to.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        let digits = text.as_bytes();
        let byte = |pair: &[u8]| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok().filter(|_| pair.bytes().all(|b| b != b'+'))
        };
        let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
        match bytes {
            Some(bytes) if digits.len() % 2 == 0 => Ok(bytes),
            _ => Err(D::Error::custom("bytes are not pairs of hexadecimal digits")),
        }
    }
}
