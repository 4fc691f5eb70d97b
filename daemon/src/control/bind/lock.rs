//! A lock file that goes away with its owner.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
};

/// The lock, held. Dropping it removes its file.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

/// The lock can not be had.
#[derive(Debug)]
pub(super) enum LockError {
    /// Somebody has it.
    Taken,
    /// The system refuses.
    System { path: PathBuf, source: io::Error },
}

impl Lock {
    /// Locks the file beside `socket`, without waiting.
    pub(super) fn take(socket: &Path) -> Result<Self, LockError> {
        let mut name = socket.as_os_str().to_owned();
        name.push(".lock");
        let path = PathBuf::from(name);
        let system = |source| LockError::System { path: path.clone(), source };
        // Who had the lock removes the file before giving the lock back, and then it is the lock of nothing: open again.
        loop {
            let flags = (OFlags::NOFOLLOW | OFlags::CLOEXEC).bits().cast_signed();
            let mut options = OpenOptions::new();
            options.write(true).create(true).truncate(false).mode(0o600).custom_flags(flags);
            let file = options.open(&path).map_err(system)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(LockError::Taken),
                Err(error) => return Err(system(error.into())),
            }
            let lock = Self { path: path.clone(), file };
            if lock.is_ours().map_err(system)? {
                return Ok(lock);
            }
        }
    }

    /// Whether the file of that name is the one that is locked.
    fn is_ours(&self) -> io::Result<bool> {
        let held = self.file.metadata()?;
        match fs::symlink_metadata(&self.path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (held.dev(), held.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let is_ours = self.is_ours().unwrap_or(false);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the lock of the control socket stays behind");
        }
    }
}
