//! The cache: QEMU, images, snapshots, and the folders of guests that run.
//!
//! ```text
//! target/lab/
//!   debs/            packages as downloaded, so that an image is rebuilt without a network's help
//!   qemu/<key>/      QEMU, unpacked
//!   images/<key>/    disk.raw, about.txt
//!   snapshots/<key>/ disk.qcow2, memory, console.log, about.txt
//!   run/<id>/        a guest that runs, and `lock` held by it; swept once nobody holds it
//! ```
//! An entry is made under another name and renamed when it is complete, so what has its name is whole. Its key has
//! the name of what it is and a hash of all that went into it: when that changes, a new entry takes its place.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use crate::LabError;

/// A folder that keeps what takes long to make.
#[derive(Debug, Clone)]
pub struct Cache {
    top: PathBuf,
}

/// How long one process waits for another that makes the same entry.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

impl Cache {
    /// That folder, made when it does not exist; what guests that are no more left in it is removed.
    ///
    /// # Errors
    /// [`LabError::Io`]
    pub fn at(top: impl Into<PathBuf>) -> Result<Cache, LabError> {
        let top: PathBuf = top.into();
        fs::create_dir_all(&top).map_err(LabError::file("create", &top))?;
        let top = top.canonicalize().map_err(LabError::file("find", &top))?;
        let cache = Cache { top };
        cache.sweep()?;
        Ok(cache)
    }

    /// Where it is.
    #[must_use]
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// Removes it, with all that is in it.
    ///
    /// # Errors
    /// [`LabError::Io`]; `ResourceBusy` while a guest runs.
    pub fn remove(self) -> Result<(), LabError> {
        let run = self.top.join("run");
        if run.is_dir() && !entries(&run)?.is_empty() {
            let busy = std::io::Error::from(std::io::ErrorKind::ResourceBusy);
            return Err(LabError::file("remove", &self.top)(busy));
        }
        remove(&self.top)
    }

    /// The entry's folder, if it is there.
    pub(crate) fn find(&self, kind: &str, name: &str, hash: &Hash) -> Option<PathBuf> {
        let path = self.top.join(kind).join(format!("{name}-{hash}"));
        path.is_dir().then_some(path)
    }

    /// The entry's folder; made by `make`, in a folder that it gets, when it is not there. Entries of the same name
    /// with another hash are then removed.
    pub(crate) fn find_or_make(
        &self,
        kind: &str,
        name: &str,
        hash: &Hash,
        make: impl FnOnce(&Path) -> Result<(), LabError>,
    ) -> Result<PathBuf, LabError> {
        if let Some(path) = self.find(kind, name, hash) {
            return Ok(path);
        }
        let parent = self.top.join(kind);
        fs::create_dir_all(&parent).map_err(LabError::file("create", &parent))?;
        let lock = parent.join(format!("{name}.lock"));
        let lock = locked(&lock)?;
        // Another process may have made it while this one waited.
        if let Some(path) = self.find(kind, name, hash) {
            return Ok(path);
        }
        let unfinished = parent.join(format!("{name}.unfinished"));
        remove(&unfinished)?;
        fs::create_dir(&unfinished).map_err(LabError::file("create", &unfinished))?;
        if let Err(error) = make(&unfinished) {
            // The first error is the one to tell.
            let _left_for_the_next_time = remove(&unfinished);
            return Err(error);
        }
        for old in self.others(kind, name)? {
            remove(&old)?;
        }
        let path = parent.join(format!("{name}-{hash}"));
        fs::rename(&unfinished, &path).map_err(LabError::file("make", &path))?;
        drop(lock);
        Ok(path)
    }

    /// Finished entries of that name, whatever their hash.
    fn others(&self, kind: &str, name: &str) -> Result<Vec<PathBuf>, LabError> {
        let parent = self.top.join(kind);
        Ok(entries(&parent)?
            .into_iter()
            .filter(|path| {
                let hash = path.file_name().and_then(|file| {
                    file.to_str()?.strip_prefix(name)?.strip_prefix('-').map(str::to_owned)
                });
                hash.is_some_and(|hash| hash.len() == 16 && !hash.contains('-'))
            })
            .collect())
    }

    /// A folder for a guest that runs, and its lock: whoever inherits that keeps the folder.
    pub(crate) fn run_dir(&self) -> Result<(PathBuf, File), LabError> {
        let parent = self.top.join("run");
        fs::create_dir_all(&parent).map_err(LabError::file("create", &parent))?;
        // So that nobody sweeps a folder between its making and its lock.
        let _making = locked(&self.top.join("run.lock"))?;
        for number in 0_u32.. {
            let path = parent.join(format!("{}-{number}", std::process::id()));
            match fs::create_dir(&path) {
                Ok(()) => {
                    let lock = path.join("lock");
                    let lock = File::create(&lock).map_err(LabError::file("create", &lock))?;
                    lock.lock().map_err(LabError::io("cannot lock a guest's folder"))?;
                    return Ok((path, lock));
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(LabError::file("create", &path)(error)),
            }
        }
        unreachable!("a folder has fewer than 2^32 entries")
    }

    /// Removes the folders of guests that are no more.
    fn sweep(&self) -> Result<(), LabError> {
        let parent = self.top.join("run");
        if !parent.is_dir() {
            return Ok(());
        }
        let _sweeping = locked(&self.top.join("run.lock"))?;
        for path in entries(&parent)? {
            let in_use = File::open(path.join("lock")).is_ok_and(|lock| lock.try_lock().is_err());
            if !in_use {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

fn entries(parent: &Path) -> Result<Vec<PathBuf>, LabError> {
    let entries = fs::read_dir(parent).map_err(LabError::file("read", parent))?;
    Ok(entries.flatten().map(|entry| entry.path()).collect())
}

fn remove(path: &Path) -> Result<(), LabError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(LabError::file("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// A lock that is free again when the file is dropped, or its holder dies.
fn locked(path: &Path) -> Result<File, LabError> {
    let file = File::create(path).map_err(LabError::file("create", path))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            Err(fs::TryLockError::WouldBlock) => {
                return Err(LabError::Late {
                    what: format!("another process holds {}", path.display()),
                    limit: PATIENCE,
                });
            }
            Err(fs::TryLockError::Error(error)) => return Err(LabError::file("lock", path)(error)),
        }
    }
}

/// FNV-1a of all that went into something: 64 bits, for names in a cache and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hash(u64);

impl Hash {
    pub(crate) fn new() -> Hash {
        Hash(0xcbf2_9ce4_8422_2325)
    }

    /// With one more thing, and its end: "ab" and "c" are not "a" and "bc".
    pub(crate) fn of(self, thing: impl AsRef<[u8]>) -> Hash {
        let bytes = thing.as_ref().iter().chain(&[0xff]);
        Hash(bytes.fold(self.0, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }))
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> Cache {
        let top = std::env::temp_dir().join(format!("lab-cache-{name}-{}", std::process::id()));
        Cache::at(top).unwrap()
    }

    #[test]
    fn an_entry_is_made_once_and_replaced_when_its_content_changes() {
        let cache = scratch("entry");
        let (old, new) = (Hash::new().of("old"), Hash::new().of("new"));
        let make = |dir: &Path| fs::write(dir.join("file"), "x").map_err(LabError::io("x"));

        let first = cache.find_or_make("images", "a", &old, make).unwrap();
        let again = cache.find_or_make("images", "a", &old, |_| panic!("made twice")).unwrap();
        let other = cache.find_or_make("images", "a-rt", &old, make).unwrap();
        let second = cache.find_or_make("images", "a", &new, make).unwrap();

        assert_eq!(first, again);
        assert!(!first.exists() && second.join("file").exists() && other.exists());
        remove(cache.top()).unwrap();
    }

    #[test]
    fn what_failed_to_be_made_is_not_there() {
        let cache = scratch("failed");
        let hash = Hash::new();
        let make = |_: &Path| Err(LabError::Missing("no".into()));

        cache.find_or_make("images", "a", &hash, make).unwrap_err();

        assert_eq!(cache.find("images", "a", &hash), None);
        remove(cache.top()).unwrap();
    }

    #[test]
    fn the_folder_of_a_guest_is_swept_once_nobody_holds_its_lock() {
        let cache = scratch("sweep");
        let (held, lock) = cache.run_dir().unwrap();
        let (left, nobody) = cache.run_dir().unwrap();
        drop(nobody);

        Cache::at(cache.top()).unwrap();

        assert!(held.exists() && !left.exists());
        drop(lock);
        remove(cache.top()).unwrap();
    }

    #[test]
    fn things_are_hashed_with_their_ends() {
        assert_ne!(Hash::new().of("ab").of("c"), Hash::new().of("a").of("bc"));
        assert_eq!(Hash::new().of("x").to_string().len(), 16);
    }
}
