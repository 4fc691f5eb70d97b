//! The directory that stands for the machine.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use config::CpuSet;
use rustix::{
    fs::{Dir, FileType, Mode, OFlags, ResolveFlags, fstat, open, openat2, readlinkat},
    io::Errno,
};

use crate::text;

/// A directory that stands for the machine: `/`, or one with the same files below it.
///
/// Paths are relative to it (`"sys/devices/system/cpu/online"`; a leading slash changes nothing). They are resolved by
/// the kernel as if the root were `/` (openat2(2) with `RESOLVE_IN_ROOT`, Linux 5.6), so neither `..` nor a symbolic
/// link leads out of it. Only regular files are read, and only so much of them.
#[derive(Clone)]
pub struct Root {
    path: PathBuf,
    dir: Arc<OwnedFd>,
    /// What was read, for those who want to keep it. Paths have no slash in front.
    seen: Option<Arc<Mutex<BTreeMap<String, Seen>>>>,
    /// What could not be read where these files were saved, and why.
    refused: Arc<BTreeMap<String, String>>,
}

/// What a [`Root`] that [remembers](Root::remembering) was asked for, and what there was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A file, with as much of it as was read.
    File(Vec<u8>),
    /// A symbolic link, and what it points to.
    Link(String),
    /// A directory, and the names in it.
    Names(Vec<String>),
    /// Something that was only asked for: it is there.
    Present {
        /// Is it a directory?
        is_directory: bool,
    },
    /// It is there, but could not be read, for this reason.
    Refused(String),
}

/// Why something under the root could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file or directory.
    #[error("{} does not exist", path.display())]
    Missing {
        /// What was to be read.
        path: PathBuf,
    },
    /// We may not read it.
    #[error("{} may not be read by this user", path.display())]
    Denied {
        /// What was to be read.
        path: PathBuf,
    },
    /// It is a directory, a device, a pipe.
    #[error("{} is not a {expected}", path.display())]
    WrongKind {
        /// What was to be read.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// It is larger than anything Linux writes there.
    #[error("{} is larger than {limit}", path.display())]
    TooLarge {
        /// What was to be read.
        path: PathBuf,
        /// The most that is read: bytes of a file, entries of a directory.
        limit: usize,
    },
    /// It is not text.
    #[error("{} is not text", path.display())]
    NotText {
        /// What was to be read.
        path: PathBuf,
    },
    /// It is text, but says something else than it should.
    #[error("{} says \"{found}\", which is not {expected}", path.display())]
    Malformed {
        /// What was read.
        path: PathBuf,
        /// What it should say.
        expected: &'static str,
        /// How it begins.
        found: String,
    },
    /// It could not be read on the machine whose files these are.
    #[error("{} could not be read when the machine was captured: {why}", path.display())]
    Refused {
        /// What was to be read.
        path: PathBuf,
        /// Why it could not.
        why: String,
    },
    /// The kernel refused for another reason.
    #[error("cannot read {}", path.display())]
    Io {
        /// What was to be read.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
}

impl ReadError {
    /// Is it just not there?
    #[must_use]
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

/// What an ordinary file under `/sys` or `/proc` holds at most, in bytes: a page or, as the longest CPU list, a few.
const ORDINARY: usize = 64 * 1024;

/// The most entries of a directory: there are 65 536 PCI functions in a segment.
const MOST_NAMES: usize = 128 * 1024;

impl Root {
    /// The machine this program runs on.
    ///
    /// # Errors
    /// [`ReadError`] when `/` can not be opened, which takes a broken sandbox.
    pub fn system() -> Result<Self, ReadError> {
        Self::at("/")
    }

    /// The machine whose files are below `dir`.
    ///
    /// # Errors
    /// [`ReadError`] when `dir` is not a directory that can be opened.
    pub fn at(dir: impl Into<PathBuf>) -> Result<Self, ReadError> {
        let path = dir.into();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(dir) => {
                let refused = Arc::new(BTreeMap::new());
                Ok(Self { path, dir: Arc::new(dir), seen: None, refused })
            }
            Err(errno) => Err(open_error(path, errno, "directory")),
        }
    }

    /// The same directory, but what is read from now on through it (and its clones) is remembered.
    #[must_use]
    pub fn remembering(self) -> Self {
        Self { seen: Some(Arc::default()), ..self }
    }

    /// The same directory, but nothing is remembered any more.
    #[must_use]
    pub fn forgetting(self) -> Self {
        Self { seen: None, ..self }
    }

    /// The same directory, in which these paths (without a slash in front) answer with a reason instead: a machine that
    /// was saved by somebody who could not read them.
    #[must_use]
    pub fn refusing(self, paths: BTreeMap<String, String>) -> Self {
        Self { refused: Arc::new(paths), ..self }
    }

    /// What was read since [`Root::remembering`], by path; nothing without it.
    #[must_use]
    pub fn seen(&self) -> BTreeMap<String, Seen> {
        match &self.seen {
            Some(seen) => seen.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            None => BTreeMap::new(),
        }
    }

    /// Note something that was found out in another way, as if it were a file.
    pub fn note(&self, path: &str, text: Vec<u8>) {
        self.remember(path, || Seen::File(text));
    }

    /// Is it the machine this program runs on?
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.path == Path::new("/")
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The text of an ordinary file, without white space at its ends.
    ///
    /// # Errors
    /// [`ReadError`]; one that is larger than 64 KiB is [`TooLarge`](ReadError::TooLarge).
    pub fn text(&self, path: &str) -> Result<String, ReadError> {
        self.text_up_to(path, ORDINARY)
    }

    /// The text of a file of at most `limit` bytes, without white space at its ends.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn text_up_to(&self, path: &str, limit: usize) -> Result<String, ReadError> {
        let bytes = self.bytes(path, limit.saturating_add(1))?;
        if bytes.len() > limit {
            return Err(ReadError::TooLarge { path: self.full(path), limit });
        }
        self.as_text(path, bytes)
    }

    /// The first `limit` bytes of a file that may be larger, without the last line that is not whole.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn head(&self, path: &str, limit: usize) -> Result<String, ReadError> {
        let mut bytes = self.bytes(path, limit)?;
        if bytes.len() == limit {
            let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            bytes.truncate(whole);
        }
        self.as_text(path, bytes)
    }

    /// The first `limit` bytes of a file that need not be text: a PCI function's configuration space, an EFI variable.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn binary(&self, path: &str, limit: usize) -> Result<Vec<u8>, ReadError> {
        self.bytes(path, limit)
    }

    /// What a file says, read by [`FromStr`]; `expected` describes it in errors ("a number").
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn parse<T: FromStr>(&self, path: &str, expected: &'static str) -> Result<T, ReadError> {
        self.parse_with(path, expected, |text| text.parse().ok())
    }

    /// What a file says, read by a function that answers `None` to nonsense.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn parse_with<T>(
        &self,
        path: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ReadError> {
        let text = self.text(path)?;
        parse(&text).ok_or_else(|| {
            let found = text::excerpt(&text);
            ReadError::Malformed { path: self.full(path), expected, found }
        })
    }

    /// A list of CPUs (`0-3,8`; empty for none).
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn cpu_list(&self, path: &str) -> Result<CpuSet, ReadError> {
        self.parse_with(path, "a list of CPUs", text::cpu_list)
    }

    /// The names in a directory, sorted, without `.` and `..`, and without those that are not text.
    ///
    /// # Errors
    /// [`ReadError`]; more than 131 072 names are [`TooLarge`](ReadError::TooLarge).
    pub fn names(&self, path: &str) -> Result<Vec<String>, ReadError> {
        let fd = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY, "directory")?;
        let fail = |errno| self.io_error(path, errno);
        let mut names = Vec::new();
        for entry in Dir::new(fd).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            if names.len() == MOST_NAMES {
                return Err(ReadError::TooLarge { path: self.full(path), limit: MOST_NAMES });
            }
            names.push(name.to_owned());
        }
        names.sort();
        self.remember(path, || Seen::Names(names.clone()));
        Ok(names)
    }

    /// The last part of what a symbolic link points to, which need not exist: `ice` of `driver`.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn link_name(&self, path: &str) -> Result<String, ReadError> {
        let target = self.link(path)?;
        let name = target.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        match name {
            "" | "." | ".." => Err(ReadError::Malformed {
                path: self.full(path),
                expected: "a link to something with a name",
                found: text::excerpt(&target),
            }),
            name => Ok(name.to_owned()),
        }
    }

    /// What a symbolic link points to, as it is written.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn link(&self, path: &str) -> Result<String, ReadError> {
        let fd = self.open(path, OFlags::PATH | OFlags::NOFOLLOW, "symbolic link")?;
        // An empty path reads the link that the descriptor itself is (readlinkat(2), since Linux 2.6.39).
        match readlinkat(&fd, "", Vec::new()) {
            Ok(target) => {
                let target = self.as_text(path, target.into_bytes())?;
                self.remember(path, || Seen::Link(target.clone()));
                Ok(target)
            }
            Err(Errno::INVAL | Errno::NOENT) => {
                Err(ReadError::WrongKind { path: self.full(path), expected: "symbolic link" })
            }
            Err(errno) => Err(self.io_error(path, errno)),
        }
    }

    /// Is there anything of this name?
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        let Ok(fd) = self.open(path, OFlags::PATH, "file") else { return false };
        let kind = fstat(&fd).map(|stat| FileType::from_raw_mode(stat.st_mode));
        self.remember(path, || Seen::Present { is_directory: kind == Ok(FileType::Directory) });
        true
    }

    /// Up to `limit` bytes of a regular file.
    fn bytes(&self, path: &str, limit: usize) -> Result<Vec<u8>, ReadError> {
        // O_NONBLOCK: a pipe that somebody put there must not hang us before its type is known.
        let fd = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY, "file")?;
        let stat = fstat(&fd).map_err(|errno| self.io_error(path, errno))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(ReadError::WrongKind { path: self.full(path), expected: "regular file" });
        }
        let mut bytes = Vec::new();
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        match File::from(fd).take(limit).read_to_end(&mut bytes) {
            Ok(_) => {
                self.remember(path, || Seen::File(bytes.clone()));
                Ok(bytes)
            }
            Err(source) => {
                self.remember(path, || Seen::Refused(source.to_string()));
                Err(ReadError::Io { path: self.full(path), source })
            }
        }
    }

    /// Note what was read. What says more stays: a file's text is more than that it exists.
    fn remember(&self, path: &str, what: impl FnOnce() -> Seen) {
        let Some(seen) = &self.seen else { return };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let what = what();
        let known =
            seen.entry(path.trim_start_matches('/').to_owned()).or_insert_with(|| what.clone());
        match (&*known, &what) {
            (Seen::File(had), Seen::File(has)) if had.len() > has.len() => {}
            (_, Seen::Present { .. }) => {}
            _ => *known = what,
        }
    }

    fn as_text(&self, path: &str, bytes: Vec<u8>) -> Result<String, ReadError> {
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => Ok(text.trim_ascii().to_owned()),
            Ok(_) | Err(_) => Err(ReadError::NotText { path: self.full(path) }),
        }
    }

    fn open(
        &self,
        path: &str,
        flags: OFlags,
        expected: &'static str,
    ) -> Result<OwnedFd, ReadError> {
        let inside = match path.trim_start_matches('/') {
            "" => ".",
            inside => inside,
        };
        if let Some(why) = self.refused.get(inside) {
            return Err(ReadError::Refused { path: self.full(path), why: why.clone() });
        }
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        // EAGAIN: something on the way was renamed meanwhile (openat2(2)).
        let attempt = |_| match openat2(
            self.dir.as_fd(),
            inside,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        ) {
            Err(Errno::AGAIN | Errno::INTR) => None,
            // systemd's RestrictSUIDSGID= takes openat2(2) away, as its flags can not be filtered (systemd.exec(5)). For
            // the real root every way of opening a path stays in it.
            Err(Errno::NOSYS) if self.is_system() => {
                Some(open(Path::new("/").join(inside), flags | OFlags::CLOEXEC, Mode::empty()))
            }
            result => Some(result),
        };
        let opened = (0..16).find_map(attempt).unwrap_or(Err(Errno::AGAIN));
        opened.map_err(|errno| {
            if !matches!(errno, Errno::NOENT | Errno::NOTDIR) {
                self.remember(path, || Seen::Refused(io::Error::from(errno).to_string()));
            }
            open_error(self.full(path), errno, expected)
        })
    }

    fn io_error(&self, path: &str, errno: Errno) -> ReadError {
        ReadError::Io { path: self.full(path), source: errno.into() }
    }

    fn full(&self, path: &str) -> PathBuf {
        self.path.join(path.trim_start_matches('/'))
    }
}

fn open_error(path: PathBuf, errno: Errno, expected: &'static str) -> ReadError {
    match errno {
        Errno::NOENT => ReadError::Missing { path },
        Errno::ACCESS | Errno::PERM => ReadError::Denied { path },
        Errno::NOTDIR if expected == "directory" => ReadError::WrongKind { path, expected },
        Errno::NOTDIR => ReadError::Missing { path },
        errno => ReadError::Io { path, source: errno.into() },
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Root").field(&self.path).finish()
    }
}
