//! The socket's file: whose it is, who may open it, and that it goes away.
//!
//! A socket that nobody listens on any more has to be replaced, and looking whether somebody does and replacing it are
//! two steps, between which another daemon may have done the same. So who wants to listen first locks a file beside the
//! socket, for as long as it lives. The kernel gives the lock back with the process, however that ends.

mod lock;

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Gid, Mode, chown},
    process::umask,
};

use self::lock::{Lock, LockError};

/// Owner and group.
const MODE: u32 = 0o660;

/// The control socket, listening. Dropping it removes its file.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    file: (u64, u64),
    /// Dropped after the file is gone.
    _lock: Lock,
}

/// The control socket can not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// Somebody listens there.
    #[error("another barewired listens on {}", .0.display())]
    Taken(PathBuf),
    /// A file that is no socket.
    #[error("{} exists and is no socket", .0.display())]
    NoSocket(PathBuf),
    /// `[control] group` names no group.
    #[error("there is no group \"{0}\" in /etc/group")]
    NoGroup(String),
    /// `[control] group` is a group that this process may not give a file to.
    #[error("{} can not be given to the group \"{group}\"", .path.display())]
    Group {
        /// The group, as configured.
        group: String,
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system refuses.
    #[error("can not {what} {}", .path.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl BindError {
    /// What to do.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::Taken(_) => {
                "stop it first (barewire stop), or give this one another [control] socket"
            }
            Self::NoSocket(_) => "remove the file, or set [control] socket to another path",
            Self::NoGroup(_) => {
                "create the group (groupadd --system), or leave [control] group out"
            }
            // chown(2): to a group of the process, and user_namespaces(7): one that the namespace maps.
            Self::Group { .. } => {
                "leave [control] group out, and add people to the group that barewired runs as; or let it run as that \
                 group (a drop-in with Group=). Another of its groups will do (SupplementaryGroups=), but under \
                 PrivateUsers=yes none is known but its own"
            }
            Self::System { .. } => {
                "set [control] socket to a path in a directory that barewired may write to"
            }
        }
    }
}

impl Listener {
    /// Listens at the configured path, for owner and group only. A missing directory is made; a socket that nobody
    /// listens on any more is replaced.
    ///
    /// The process's umask is changed for a moment: a file that another thread makes just then may be stricter than it
    /// would have been, never laxer.
    ///
    /// # Errors
    /// [`BindError`]
    pub(crate) fn bind(control: &config::Control) -> Result<Self, BindError> {
        let path = control.socket.as_path();
        let failed = |what| {
            let path = path.to_owned();
            move |source: io::Error| BindError::System { what, path, source }
        };
        let group = control.group.as_deref().map(|name| Ok((name, group_id(name)?))).transpose()?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)
                .map_err(failed("make the directory of"))?;
        }
        let lock = Lock::take(path).map_err(|error| match error {
            LockError::Taken => BindError::Taken(path.to_owned()),
            LockError::System { path, source } => BindError::System { what: "lock", path, source },
        })?;
        make_way(path)?;
        let before = umask(Mode::from_raw_mode(0o177));
        let bound = UnixListener::bind(path);
        umask(before);
        let socket = bound.map_err(failed("listen on"))?;
        let metadata = fs::symlink_metadata(path).map_err(failed("look at"))?;
        // From here on the file is removed on failure, too.
        let file = (metadata.dev(), metadata.ino());
        let listener = Self { socket, path: path.to_owned(), file, _lock: lock };
        if let Some((name, group)) = group {
            chown(path, None, Some(group)).map_err(|error| BindError::Group {
                group: name.to_owned(),
                path: path.to_owned(),
                source: error.into(),
            })?;
        }
        fs::set_permissions(path, Permissions::from_mode(MODE))
            .map_err(failed("set the permissions of"))?;
        listener.socket.set_nonblocking(true).map_err(failed("listen on"))?;
        Ok(listener)
    }

    /// The socket, for a runtime.
    pub(super) fn socket(&self) -> io::Result<UnixListener> {
        self.socket.try_clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.file);
        if is_ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "the control socket stays behind");
        }
    }
}

/// Removes a socket that nobody listens on.
fn make_way(path: &Path) -> Result<(), BindError> {
    let failed = |what, source| BindError::System { what, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at", error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(BindError::NoSocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(BindError::Taken(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| failed("remove the old", error))
        }
        Err(error) => Err(failed("find out who listens on", error)),
    }
}

/// A name goes before a number: a group may be called 12.
fn group_id(name: &str) -> Result<Gid, BindError> {
    let path = Path::new("/etc/group");
    let groups = fs::read_to_string(path).map_err(|source| BindError::System {
        what: "read",
        path: path.to_owned(),
        source,
    })?;
    let found = find_group(&groups, name).or_else(|| number(name));
    found.ok_or_else(|| BindError::NoGroup(name.to_owned()))
}

/// A group's number. The largest means "leave it" to chown(2).
fn number(text: &str) -> Option<Gid> {
    text.parse().ok().filter(|&number| number != u32::MAX).map(Gid::from_raw)
}

/// group(5): `name:password:number:members`
fn find_group(groups: &str, name: &str) -> Option<Gid> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let number = (fields.next() == Some(name)).then(|| fields.nth(1))??;
        self::number(number)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn control(path: &Path) -> config::Control {
        config::Control {
            socket: path.to_owned(),
            group: None,
            stop_timeout: Duration::from_secs(1),
            link_timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn the_socket_is_for_owner_and_group_and_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/deeper/barewire.sock");
        let listener = Listener::bind(&control(&path)).unwrap();
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.mode() & 0o777, MODE);
        drop(listener);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0, "nothing stays");
    }

    #[test]
    fn of_many_that_want_a_stale_socket_at_once_one_gets_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        for _ in 0..50 {
            drop(UnixListener::bind(&path).unwrap());
            let start = std::sync::Barrier::new(8);
            let contend = || {
                start.wait();
                Listener::bind(&control(&path))
            };
            let bound: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(contend)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            let (winners, losers): (Vec<_>, Vec<_>) = bound.into_iter().partition(Result::is_ok);
            assert_eq!(winners.len(), 1, "{losers:?}");
            for lost in losers {
                assert!(matches!(lost, Err(BindError::Taken(_))), "{lost:?}");
            }
            UnixStream::connect(&path).unwrap();
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_socket_that_somebody_listens_on_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        let first = Listener::bind(&control(&path)).unwrap();
        let refused = Listener::bind(&control(&path)).unwrap_err();
        assert!(matches!(refused, BindError::Taken(_)), "{refused}");
        UnixStream::connect(&path).unwrap();
        drop(first);
    }

    #[test]
    fn a_socket_that_nobody_listens_on_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let _listener = Listener::bind(&control(&path)).unwrap();
        UnixStream::connect(&path).unwrap();
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        fs::write(&path, "precious").unwrap();
        let refused = Listener::bind(&control(&path)).unwrap_err();
        assert!(matches!(refused, BindError::NoSocket(_)), "{refused}");
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn the_file_of_a_successor_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        let first = Listener::bind(&control(&path)).unwrap();
        // Somebody cleared the directory.
        fs::rename(&path, dir.path().join("aside")).unwrap();
        fs::remove_file(dir.path().join("sock.lock")).unwrap();
        let _second = Listener::bind(&control(&path)).unwrap();
        drop(first);
        assert!(path.exists());
    }

    #[test]
    fn groups_are_found_by_their_whole_name() {
        let groups = "root:x:0:\nnet:x:12:a,b\nbroken\nnetwork:x:many:\nlast:x:4294967295:\n";
        assert_eq!(find_group(groups, "net").map(Gid::as_raw), Some(12));
        assert_eq!(find_group(groups, "network"), None);
        assert_eq!(find_group(groups, "last"), None);
        assert_eq!(find_group(groups, "broken"), None);
        assert_eq!(find_group(groups, "ne"), None);
    }

    #[test]
    fn a_group_may_be_a_number_that_no_name_has() {
        assert_eq!(group_id("4000123").map(Gid::as_raw).unwrap(), 4_000_123);
        assert!(group_id("4294967295").is_err());
        assert!(group_id("-1").is_err());
    }

    #[test]
    fn a_group_that_is_not_there_is_refused_before_anything_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sock");
        let wish = config::Control { group: Some("no such group".into()), ..control(&path) };
        let refused = Listener::bind(&wish).unwrap_err();
        assert!(matches!(refused, BindError::NoGroup(_)), "{refused}");
        assert!(!path.exists());
    }
}
