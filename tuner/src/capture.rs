//! A machine in a folder or an archive: what was looked at, byte for byte, and nothing else.
//!
//! A capture is a subset of the machine's files at their own places, with the symbolic links on the way, so it reads
//! like the machine. Names that a listing gave are there, as empty files where nothing of them was read. What could not
//! be read is in `barewire/capture.json` with its reason; what is not a file of the machine is below `barewire/asked`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read as _, Write},
    os::unix::fs::symlink,
    path::{Component, Path, PathBuf},
};

use linux::{Root, Seen};
use serde::{Deserialize, Serialize};

/// What could not be read, and by which version the capture was made.
const MANIFEST: &str = "barewire/capture.json";
/// The version of [`Manifest`].
const VERSION: u32 = 1;
/// As the kernel: more links than this on one way are a loop (path_resolution(7)).
const MOST_LINKS: usize = 40;
/// The most that an archive may unpack to, in bytes.
const MOST_BYTES: u64 = 1 << 30;
/// The most entries of an archive.
const MOST_ENTRIES: usize = 1 << 20;

/// What a captured machine says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    version: u32,
    /// The program that made it.
    made_by: String,
    /// What could not be read, and why.
    refused: BTreeMap<String, String>,
}

/// A machine, as far as it was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capture {
    files: BTreeMap<String, Vec<u8>>,
    links: BTreeMap<String, String>,
    folders: BTreeSet<String>,
    refused: BTreeMap<String, String>,
}

/// Why a capture could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The place it should go to is not free.
    #[error("{} already exists", path.display())]
    Exists {
        /// The place.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The archive could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The archive is not a captured machine.
    #[error("{} is not a captured machine: {why}", path.display())]
    NotACapture {
        /// The archive.
        path: PathBuf,
        /// Why not.
        why: String,
    },
}

impl Capture {
    /// What was read through `root` since it began to [remember](Root::remembering).
    #[must_use]
    pub fn of(root: &Root) -> Self {
        let mut capture = Self::default();
        let mut listings = Vec::new();
        for (path, seen) in root.seen() {
            let place = match &seen {
                // The link itself, not what it points to.
                Seen::Link(_) => capture.resolve_parent(root, &path),
                _ => capture.resolve(root, &path),
            };
            match seen {
                Seen::File(bytes) => {
                    capture.files.insert(place, bytes);
                }
                Seen::Link(target) => {
                    capture.links.insert(place, target);
                }
                Seen::Names(names) => listings.push((place, names)),
                Seen::Present { is_directory: true } => {
                    capture.folders.insert(place);
                }
                Seen::Present { is_directory: false } => {
                    capture.files.entry(place).or_default();
                }
                Seen::Refused(why) => {
                    capture.refused.insert(path, why);
                }
            }
        }
        let mut inner: BTreeSet<String> = BTreeSet::new();
        let places = capture.files.keys().chain(capture.links.keys()).chain(&capture.folders);
        for place in places.chain(listings.iter().map(|(place, _)| place)) {
            inner.extend(Path::new(place).ancestors().skip(1).map(text));
        }
        for (folder, names) in listings {
            for name in names {
                let place = format!("{folder}/{name}");
                let is_known = inner.contains(&place)
                    || capture.links.contains_key(&place)
                    || capture.folders.contains(&place);
                if !is_known {
                    capture.files.entry(place).or_default();
                }
            }
            capture.folders.insert(folder);
        }
        // What turned out to be a folder, an empty one too, is not an empty file.
        let Self { files, folders, .. } = &mut capture;
        files.retain(|place, _| !inner.contains(place) && !folders.contains(place));
        capture
    }

    /// How many files it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Is nothing in it?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// How many files could not be read.
    #[must_use]
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// Writes it into a folder that does not exist yet.
    ///
    /// # Errors
    /// [`CaptureError`]
    pub fn write_folder(&self, folder: &Path) -> Result<(), CaptureError> {
        let fail = |path: &Path| {
            let path = path.to_owned();
            move |source| CaptureError::Write { path, source }
        };
        if folder.exists() {
            return Err(CaptureError::Exists { path: folder.to_owned() });
        }
        fs::create_dir_all(folder).map_err(fail(folder))?;
        let parent_of = |place: &Path| match place.parent() {
            Some(parent) => fs::create_dir_all(parent).map_err(fail(parent)),
            None => Ok(()),
        };
        for place in &self.folders {
            let place = folder.join(place);
            fs::create_dir_all(&place).map_err(fail(&place))?;
        }
        for (place, bytes) in self.files.iter().chain([(&MANIFEST.to_owned(), &self.manifest())]) {
            let place = folder.join(place);
            parent_of(&place)?;
            fs::write(&place, bytes).map_err(fail(&place))?;
        }
        for (place, target) in &self.links {
            let place = folder.join(place);
            parent_of(&place)?;
            symlink(target, &place).map_err(fail(&place))?;
        }
        Ok(())
    }

    /// Writes it as a tar archive.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write_tar(&self, out: impl Write) -> io::Result<()> {
        let mut archive = tar::Builder::new(out);
        let header = |kind: tar::EntryType, size: usize| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(size as u64);
            header.set_mode(if kind.is_dir() { 0o755 } else { 0o644 });
            header
        };
        for folder in self.folders.iter().filter(|folder| !folder.is_empty()) {
            let folder = format!("{folder}/");
            archive.append_data(&mut header(tar::EntryType::Directory, 0), folder, io::empty())?;
        }
        for (place, bytes) in self.files.iter().chain([(&MANIFEST.to_owned(), &self.manifest())]) {
            let mut header = header(tar::EntryType::Regular, bytes.len());
            archive.append_data(&mut header, place, bytes.as_slice())?;
        }
        for (place, target) in &self.links {
            archive.append_link(&mut header(tar::EntryType::Symlink, 0), place, target)?;
        }
        archive.into_inner()?.flush()
    }

    fn manifest(&self) -> Vec<u8> {
        let manifest = Manifest {
            version: VERSION,
            made_by: format!("barewire-tune {}", env!("CARGO_PKG_VERSION")),
            refused: self.refused.clone(),
        };
        serde_json::to_vec_pretty(&manifest).expect("text and numbers are JSON")
    }

    /// Where a path leads, with the links on the way noted.
    fn resolve(&mut self, root: &Root, path: &str) -> String {
        let mut done = PathBuf::new();
        let mut left: Vec<String> = parts(path);
        left.reverse();
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part == ".." {
                done.pop();
                continue;
            }
            let next = done.join(&part);
            let place = text(&next);
            let target = match self.links.get(&place) {
                Some(target) => Some(target.clone()),
                // Not remembered: asking for links must not add to what was looked at.
                None => root.clone().forgetting().link(&place).ok(),
            };
            match target {
                Some(target) if links < MOST_LINKS => {
                    links += 1;
                    if target.starts_with('/') {
                        done = PathBuf::new();
                    }
                    left.extend(parts(&target).into_iter().rev());
                    self.links.insert(place, target);
                }
                _ => done = next,
            }
        }
        text(&done)
    }

    /// Where the last part of a path is, without following it.
    fn resolve_parent(&mut self, root: &Root, path: &str) -> String {
        match path.rsplit_once('/') {
            Some((parent, name)) => {
                let parent = self.resolve(root, parent);
                if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") }
            }
            None => path.to_owned(),
        }
    }
}

/// The machine in a folder: its root refuses what the capture could not read.
///
/// # Errors
/// [`CaptureError::NotACapture`] when its manifest is not one; a folder without a manifest is a machine like any other.
pub fn open_folder(root: Root) -> Result<Root, CaptureError> {
    let path = root.path().join(MANIFEST);
    let wrong = |why: String| CaptureError::NotACapture { path: path.clone(), why };
    let manifest = match root.text_up_to(MANIFEST, 16 << 20) {
        Ok(manifest) => manifest,
        Err(error) if error.is_missing() => return Ok(root),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let manifest: Manifest = serde_json::from_str(&manifest).map_err(|e| wrong(e.to_string()))?;
    if manifest.version != VERSION {
        return Err(wrong(format!("it is of version {}, known is {VERSION}", manifest.version)));
    }
    Ok(root.refusing(manifest.refused))
}

/// Unpacks an archive into `folder`, which is empty.
///
/// Nothing is written outside of it: absolute paths, `..` and links that lead out are not followed. Only folders, files
/// and symbolic links are unpacked, at most 1 GiB and 1 048 576 of them.
///
/// # Errors
/// [`CaptureError`]
pub fn unpack(archive: &Path, folder: &Path) -> Result<(), CaptureError> {
    let unreadable = |source| CaptureError::Read { path: archive.to_owned(), source };
    let wrong = |why: &str| CaptureError::NotACapture { path: archive.to_owned(), why: why.into() };
    let file = fs::File::open(archive).map_err(unreadable)?;
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err(wrong("it is not a file"));
    }
    let mut bytes = 0_u64;
    let mut links = Vec::new();
    // One byte more than allowed, to see that there is more.
    let mut tar = tar::Archive::new(io::BufReader::new(file).take(2 * MOST_BYTES));
    for (number, entry) in tar.entries().map_err(unreadable)?.enumerate() {
        let mut entry = entry.map_err(unreadable)?;
        bytes = bytes.saturating_add(entry.size());
        if number >= MOST_ENTRIES || bytes > MOST_BYTES {
            return Err(wrong("it is larger than any captured machine"));
        }
        let place = entry.path().map_err(unreadable)?.into_owned();
        if !place.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        {
            return Err(wrong("it has a path that leads out of it"));
        }
        let place = folder.join(place);
        let written = |source| CaptureError::Write { path: place.clone(), source };
        match entry.header().entry_type() {
            tar::EntryType::Directory => fs::create_dir_all(&place).map_err(written)?,
            tar::EntryType::Regular => {
                if let Some(parent) = place.parent() {
                    fs::create_dir_all(parent).map_err(written)?;
                }
                let mut file = fs::File::create(&place).map_err(written)?;
                io::copy(&mut entry, &mut file).map_err(written)?;
            }
            // Links come last, so that nothing is written through one.
            tar::EntryType::Symlink => match entry.link_name().map_err(unreadable)? {
                Some(target) => links.push((place, target.into_owned())),
                None => return Err(wrong("it has a link that points nowhere")),
            },
            _ => return Err(wrong("it has something else than folders, files and symbolic links")),
        }
    }
    for (place, target) in links {
        let written = |source| CaptureError::Write { path: place.clone(), source };
        if let Some(parent) = place.parent() {
            // A parent that is a link was made by us a moment ago, and may lead anywhere.
            let leads_out =
                parent.ancestors().take_while(|part| *part != folder).any(Path::is_symlink);
            if leads_out {
                return Err(wrong("it has a link below a link"));
            }
            fs::create_dir_all(parent).map_err(written)?;
        }
        symlink(target, &place).map_err(written)?;
    }
    Ok(())
}

fn parts(path: &str) -> Vec<String> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
}

fn text(path: &Path) -> String {
    // It was made of text.
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with the shapes that sysfs has: links with files behind them, links nobody follows, listings.
    fn machine() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::create_dir_all(at("sys/devices/pci0/a/net/eth0")).unwrap();
        fs::create_dir_all(at("sys/bus/pci/devices")).unwrap();
        fs::create_dir_all(at("sys/class/net")).unwrap();
        fs::create_dir_all(at("sys/drivers/ice")).unwrap();
        fs::write(at("sys/devices/pci0/a/vendor"), "0x8086\n").unwrap();
        fs::write(at("sys/devices/pci0/a/never-read"), "secret\n").unwrap();
        fs::write(at("sys/devices/pci0/a/net/eth0/mtu"), "1500\n").unwrap();
        symlink("../../../devices/pci0/a", at("sys/bus/pci/devices/a")).unwrap();
        symlink("../../drivers/ice", at("sys/devices/pci0/a/driver")).unwrap();
        symlink("../../devices/pci0/a/net/eth0", at("sys/class/net/eth0")).unwrap();
        dir
    }

    fn look(root: &Root) -> Vec<String> {
        vec![
            format!("{:?}", root.names("sys/bus/pci/devices").ok()),
            format!("{:?}", root.text("sys/bus/pci/devices/a/vendor").ok()),
            format!("{:?}", root.link_name("sys/bus/pci/devices/a/driver").ok()),
            format!("{:?}", root.link("sys/bus/pci/devices/a").ok()),
            format!("{:?}", root.names("sys/bus/pci/devices/a/net").ok()),
            format!("{:?}", root.text("sys/class/net/eth0/mtu").ok()),
            format!("{:?}", root.exists("sys/class/net/eth0")),
            format!("{:?}", root.exists("sys/class/net/eth1")),
            format!("{:?}", root.text("sys/class/net/eth0/speed").ok()),
            format!("{:?}", root.names("sys/drivers").ok()),
            format!("{:?}", root.names("sys/drivers/ice").ok()),
        ]
    }

    #[test]
    fn a_captured_machine_answers_like_the_machine() {
        let machine = machine();
        let root = Root::at(machine.path()).unwrap().remembering();
        let said = look(&root);
        let capture = Capture::of(&root);
        let place = tempfile::tempdir().unwrap();

        let folder = place.path().join("folder");
        capture.write_folder(&folder).unwrap();
        let archive = place.path().join("x.tar");
        capture.write_tar(fs::File::create(&archive).unwrap()).unwrap();
        let unpacked = place.path().join("unpacked");
        fs::create_dir(&unpacked).unwrap();
        unpack(&archive, &unpacked).unwrap();

        for copy in [folder, unpacked] {
            let root = open_folder(Root::at(&copy).unwrap()).unwrap();
            assert_eq!(look(&root), said, "{}", copy.display());
            assert!(!root.exists("sys/devices/pci0/a/never-read"));
        }
    }

    #[test]
    fn what_could_not_be_read_is_refused_with_its_reason_later() {
        let machine = machine();
        let refused = BTreeMap::from([("sys/devices/pci0/a/vendor".to_owned(), "no".to_owned())]);
        let root = Root::at(machine.path()).unwrap().remembering();
        let capture = Capture { refused, ..Capture::of(&root) };
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("folder");
        capture.write_folder(&folder).unwrap();

        let root = open_folder(Root::at(&folder).unwrap()).unwrap();

        let error = root.text("sys/devices/pci0/a/vendor").unwrap_err();
        assert!(error.to_string().ends_with("could not be read when the machine was captured: no"));
    }

    #[test]
    fn a_hostile_archive_writes_nothing_outside() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("in");
        let attempt = |make: &dyn Fn(&mut tar::Builder<Vec<u8>>)| {
            let mut archive = tar::Builder::new(Vec::new());
            make(&mut archive);
            let path = place.path().join("x.tar");
            fs::write(&path, archive.into_inner().unwrap()).unwrap();
            let _ = fs::remove_dir_all(&folder);
            fs::create_dir(&folder).unwrap();
            unpack(&path, &folder)
        };
        let header = |kind: tar::EntryType, name: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name);
            header.set_entry_type(kind);
            header.set_size(0);
            header.set_cksum();
            header
        };

        for name in [&b"../out"[..], b"/out", b"a/../../out"] {
            let result = attempt(&|archive| {
                archive.append(&header(tar::EntryType::Regular, name), io::empty()).unwrap();
            });
            assert!(matches!(result, Err(CaptureError::NotACapture { .. })), "{name:?}");
        }
        let through_a_link = attempt(&|archive| {
            let mut link = header(tar::EntryType::Symlink, b"a");
            archive.append_link(&mut link, "a", "..").unwrap();
            let mut link = header(tar::EntryType::Symlink, b"a/out");
            archive.append_link(&mut link, "a/out", "x").unwrap();
        });
        assert!(matches!(through_a_link, Err(CaptureError::NotACapture { .. })));
        let device = attempt(&|archive| {
            archive.append(&header(tar::EntryType::Char, b"dev"), io::empty()).unwrap();
        });
        assert!(matches!(device, Err(CaptureError::NotACapture { .. })));
        assert!(!place.path().join("out").exists());
    }
}
