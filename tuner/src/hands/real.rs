//! The machine itself, or a directory with the files of one.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use config::CpuSet;
use rustix::{
    fs::{
        AtFlags, Dir, FileType, FlockOperation, Gid, Mode, OFlags, ResolveFlags, Uid, fchmod,
        fchown, flock, fstat, fsync, mkdirat, openat, openat2, readlinkat, renameat, statat,
        unlinkat,
    },
    io::Errno,
    thread::Pid,
};

use super::{
    Bytes, Content, EthtoolGroup, Hands, HandsError, Lock, Output, Settings, There, command,
    ethtool,
};

/// The largest file that is tuned, in bytes; a boot menu with every kernel is far smaller.
const LARGEST: usize = 4 << 20;

/// The most names of a directory that are looked at.
const MOST_NAMES: usize = 64 * 1024;

/// The machine below a root. Paths are resolved by the kernel as if the root were `/` (openat2(2) with
/// `RESOLVE_IN_ROOT`, Linux 5.6), so neither `..` nor a link leads out of it.
#[derive(Debug)]
pub struct Real {
    is_live: bool,
    is_lasting: bool,
    path: PathBuf,
    dir: OwnedFd,
}

impl Real {
    /// The machine whose files are below `root`; `/` is the one that this program runs on.
    ///
    /// # Errors
    /// [`HandsError::File`] when it is not a directory that can be opened.
    pub fn at(root: impl Into<PathBuf>) -> Result<Self, HandsError> {
        let root = root.into();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&root, flags, Mode::empty())
            .map_err(|errno| failed("open", root.to_string_lossy().trim_matches('/'), errno))?;
        Ok(Self { is_live: root == Path::new("/"), is_lasting: true, path: root, dir })
    }

    /// The same, without waiting for disks: for rehearsals that end with the process.
    #[must_use]
    pub fn fleeting(self) -> Self {
        Self { is_lasting: false, ..self }
    }

    fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let inside = match path.trim_start_matches('/') {
            "" => ".",
            inside => inside,
        };
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC;
        // EAGAIN: something on the way was renamed meanwhile (openat2(2)).
        let attempt = |_| match openat2(self.dir.as_fd(), inside, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => None,
            result => Some(result),
        };
        (0..16).find_map(attempt).unwrap_or(Err(Errno::AGAIN))
    }

    /// The directory that something is in, and its name there.
    fn parent<'a>(
        &self,
        deed: &'static str,
        path: &'a str,
    ) -> Result<(OwnedFd, &'a str), HandsError> {
        let whole = path.trim_matches('/');
        let (dir, name) = whole.rsplit_once('/').unwrap_or(("", whole));
        if matches!(name, "" | "." | "..") {
            return Err(failed(deed, path, Errno::INVAL));
        }
        let dir = self
            .open(dir, OFlags::RDONLY | OFlags::DIRECTORY)
            .map_err(|errno| failed(deed, path, errno))?;
        Ok((dir, name))
    }

    fn sync(&self, fd: &OwnedFd) -> Result<(), Errno> {
        if self.is_lasting { fsync(fd) } else { Ok(()) }
    }

    /// Writes the new file under a name of its own.
    fn prepare(&self, dir: &OwnedFd, name: &str, file: &Content) -> Result<(), io::Error> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let fd = openat(dir, name, flags | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR)?;
        let mut to = File::from(fd);
        to.write_all(file.bytes.as_slice())?;
        let fd = OwnedFd::from(to);
        let stat = fstat(&fd)?;
        if (stat.st_uid, stat.st_gid) != (file.user, file.group) {
            let (user, group) = (Uid::from_raw(file.user), Gid::from_raw(file.group));
            match fchown(&fd, Some(user), Some(group)) {
                // Below a directory we may be anybody.
                Err(Errno::PERM) if !self.is_live => {}
                done => done?,
            }
        }
        fchmod(&fd, Mode::from_raw_mode(file.mode))?;
        Ok(self.sync(&fd)?)
    }

    fn only_live(&self, what: impl Into<String>) -> Result<(), HandsError> {
        if self.is_live { Ok(()) } else { Err(HandsError::NotLive { what: what.into() }) }
    }
}

/// The name under which a file is prepared. No tool reads files that begin with a dot and end in `.new`.
pub(super) fn in_the_making(name: &str) -> String {
    format!(".{name}.barewire-tune.new")
}

pub(super) fn failed(deed: &'static str, path: &str, source: impl Into<io::Error>) -> HandsError {
    HandsError::File { deed, path: path.trim_start_matches('/').to_owned(), source: source.into() }
}

impl Hands for Real {
    fn is_live(&self) -> bool {
        self.is_live
    }

    fn root(&self) -> &Path {
        &self.path
    }

    fn look(&self, path: &str) -> Result<There, HandsError> {
        let fd = match self.open(path, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(There::Nothing),
            Err(errno) => return Err(failed("look at", path, errno)),
        };
        let stat = fstat(&fd).map_err(|errno| failed("look at", path, errno))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => {
                let mode = Mode::from_raw_mode(stat.st_mode).as_raw_mode();
                return Ok(There::Directory { mode, user: stat.st_uid });
            }
            _ => return Ok(There::Other),
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = match self.open(path, flags) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(There::Nothing),
            Err(errno) => return Err(failed("read", path, errno)),
        };
        let mut bytes = Vec::new();
        let most = u64::try_from(LARGEST).unwrap_or(u64::MAX);
        File::from(fd)
            .take(most.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|source| failed("read", path, source))?;
        if bytes.len() > LARGEST {
            return Err(HandsError::TooLarge { path: path.to_owned(), limit: LARGEST });
        }
        Ok(There::File(Content {
            bytes: Bytes::from(bytes),
            mode: Mode::from_raw_mode(stat.st_mode).as_raw_mode(),
            user: stat.st_uid,
            group: stat.st_gid,
        }))
    }

    fn write(&self, path: &str, text: &str) -> Result<(), HandsError> {
        let fail = |errno| failed("write", path, errno);
        let mut flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW;
        if !self.is_live {
            // An ordinary file would keep the end of a longer text. Emptied first, a kill leaves nothing rather than a
            // mixture, which could be taken for the old value.
            flags |= OFlags::TRUNC;
        }
        let fd = self.open(path, flags).map_err(fail)?;
        let stat = fstat(&fd).map_err(fail)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(HandsError::Kind { path: path.to_owned(), expected: "regular file" });
        }
        // One write: the kernel takes each as a command of its own.
        let written = rustix::io::write(&fd, text.as_bytes()).map_err(fail)?;
        if written != text.len() {
            return Err(failed("write all to", path, Errno::IO));
        }
        Ok(())
    }

    fn replace(&self, path: &str, file: &Content) -> Result<(), HandsError> {
        let (dir, name) = self.parent("write", path)?;
        if let Ok(stat) = statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)
            && FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
        {
            return Err(HandsError::Kind { path: path.to_owned(), expected: "regular file" });
        }
        self.sweep(path)?;
        let new = in_the_making(name);
        let made = self
            .prepare(&dir, &new, file)
            .and_then(|()| Ok(renameat(&dir, &new, &dir, name)?))
            .and_then(|()| Ok(self.sync(&dir)?));
        made.map_err(|source| {
            // The first error is the one to tell; what is left here is swept by the next try.
            let _ = unlinkat(&dir, &new, AtFlags::empty());
            failed("write", path, source)
        })
    }

    fn remove(&self, path: &str) -> Result<(), HandsError> {
        let (dir, name) = match self.parent("remove", path) {
            Ok(found) => found,
            Err(error) if error.is_gone() => return Ok(()),
            Err(error) => return Err(error),
        };
        match unlinkat(&dir, name, AtFlags::empty()) {
            Ok(()) => self.sync(&dir).map_err(|errno| failed("remove", path, errno)),
            Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed("remove", path, errno)),
        }
    }

    fn sweep(&self, path: &str) -> Result<(), HandsError> {
        let (dir, name) = match self.parent("tidy up", path) {
            Ok(found) => found,
            Err(error) if error.is_gone() => return Ok(()),
            Err(error) => return Err(error),
        };
        match unlinkat(&dir, in_the_making(name), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed("tidy up", path, errno)),
        }
    }

    fn make_directory(&self, path: &str, mode: u32) -> Result<(), HandsError> {
        let (dir, name) = self.parent("make", path)?;
        mkdirat(&dir, name, Mode::from_raw_mode(mode))
            .and_then(|()| match self.sync(&dir) {
                // Directories of the kernel are not kept anywhere.
                Err(Errno::INVAL) => Ok(()),
                done => done,
            })
            .map_err(|errno| failed("make", path, errno))
    }

    fn remove_directory(&self, path: &str) -> Result<(), HandsError> {
        let (dir, name) = self.parent("remove", path)?;
        unlinkat(&dir, name, AtFlags::REMOVEDIR).map_err(|errno| failed("remove", path, errno))
    }

    fn names(&self, path: &str) -> Result<Vec<String>, HandsError> {
        let fd = match self.open(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(Vec::new()),
            Err(errno) => return Err(failed("list", path, errno)),
        };
        let fail = |errno| failed("list", path, errno);
        let mut names = Vec::new();
        for entry in Dir::new(fd).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            if names.len() == MOST_NAMES {
                return Err(HandsError::TooLarge { path: path.to_owned(), limit: MOST_NAMES });
            }
            names.push(name.to_owned());
        }
        names.sort();
        Ok(names)
    }

    fn link_name(&self, path: &str) -> Result<Option<String>, HandsError> {
        let fd = match self.open(path, OFlags::PATH | OFlags::NOFOLLOW) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(errno) => return Err(failed("look at", path, errno)),
        };
        let target =
            readlinkat(&fd, "", Vec::new()).map_err(|errno| failed("look at", path, errno))?;
        let target = target.to_string_lossy();
        Ok(target.rsplit('/').next().map(str::to_owned))
    }

    fn run(&self, command: &[&str], limit: Duration) -> Result<Output, HandsError> {
        self.only_live(command.join(" "))?;
        command::run(command, limit)
    }

    fn ethtool(&self, interface: &str, group: EthtoolGroup) -> Result<Settings, HandsError> {
        self.only_live(format!("ethtool {interface}"))?;
        ethtool::read(interface, group)
    }

    fn set_ethtool(
        &self,
        interface: &str,
        group: EthtoolGroup,
        settings: &Settings,
    ) -> Result<(), HandsError> {
        self.only_live(format!("ethtool {interface}"))?;
        ethtool::write(interface, group, settings)
    }

    fn set_affinity(&self, thread: u32, cpus: &CpuSet) -> Result<(), HandsError> {
        self.only_live("the affinity of a thread")?;
        let fail = |errno: Errno| HandsError::Affinity { thread, source: errno.into() };
        let pid = i32::try_from(thread).ok().and_then(Pid::from_raw);
        // Zero would be this thread.
        let pid = pid.ok_or_else(|| fail(Errno::SRCH))?;
        let mut wanted = rustix::thread::CpuSet::new();
        for cpu in cpus.iter() {
            let number = usize::try_from(cpu.get()).unwrap_or(usize::MAX);
            if number >= rustix::thread::CpuSet::MAX_CPU {
                return Err(fail(Errno::INVAL));
            }
            wanted.set(number);
        }
        rustix::thread::sched_setaffinity(Some(pid), &wanted).map_err(fail)
    }

    fn lock(&self, path: &str, wait: Duration) -> Result<Lock, HandsError> {
        let fail = |errno| failed("lock", path, errno);
        let (dir, name) = self.parent("lock", path)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&dir, name, flags, Mode::RUSR | Mode::WUSR).map_err(fail)?;
        let deadline = Instant::now() + wait;
        loop {
            match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { file: Some(fd) }),
                Err(Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(50));
                }
                Err(Errno::WOULDBLOCK) => {
                    return Err(HandsError::Locked { path: path.to_owned() });
                }
                Err(errno) => return Err(fail(errno)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_was_given_back_is_free_whoever_has_a_copy_of_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let hands = Real::at(dir.path()).unwrap();
        let lock = hands.lock("lock", Duration::ZERO).unwrap();
        let taken = hands.lock("lock", Duration::ZERO);
        assert!(matches!(taken, Err(HandsError::Locked { .. })), "{taken:?}");
        // As a command has it between fork and exec.
        let copy = lock.file.as_ref().unwrap().try_clone().unwrap();

        drop(lock);

        hands.lock("lock", Duration::ZERO).unwrap();
        drop(copy);
    }
}
