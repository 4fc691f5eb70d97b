//! Who has a file open.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// A program that has it open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its number.
    pub process: u32,
    /// Its name.
    pub name: String,
}

/// What the device file of a group that no IOMMU made begins with.
pub const NO_IOMMU: &str = "noiommu-";

/// The device of a group of vfio's, which a program has open for as long as it has a device of that group: until then
/// the kernel does not let the device go.
#[must_use]
pub fn vfio_group(group: u32) -> PathBuf {
    Path::new("/dev/vfio").join(group.to_string())
}

/// The most descriptors of a process that are looked at.
const MOST: usize = 1 << 16;

/// The programs below a `/proc` that have a file open; only root sees them all.
///
/// # Errors
/// When the processes can not be listed.
pub fn of(proc: &Path, file: &Path) -> io::Result<Vec<Holder>> {
    let mut holders = Vec::new();
    for process in fs::read_dir(proc)?.filter_map(Result::ok) {
        let Some(number) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if has_open(&process.path(), file) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            holders.push(Holder { process: number, name: name.trim().to_owned() });
        }
    }
    Ok(holders)
}

fn has_open(process: &Path, file: &Path) -> bool {
    // Processes that ended meanwhile, and those of others, have no list.
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    let mut descriptors = descriptors.filter_map(Result::ok).take(MOST);
    descriptors.any(|one| fs::read_link(one.path()).is_ok_and(|target| target == file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_open_what_its_descriptors_lead_to() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let held = fs::File::open(file.path()).unwrap();

        let holders = of(Path::new("/proc"), file.path()).unwrap();

        let numbers: Vec<u32> = holders.iter().map(|one| one.process).collect();
        assert_eq!(numbers, [std::process::id()]);
        assert_eq!(of(Path::new("/proc"), Path::new("/dev/vfio/none")).unwrap(), []);
        drop(held);
    }
}
