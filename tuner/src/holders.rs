//! Who has files open.

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

/// The device files of which a program has one open for as long as it has a function of vfio's; until then the kernel
/// does not let the function go. `group` is what the function's `iommu_group` leads to, `devices` are the names below
/// its `vfio-dev`.
///
/// Sources: `Documentation/driver-api/vfio.rst` of Linux 6.18 (groups, and VFIO Device cdev), drivers/vfio/group.c (a
/// group that vfio made up has a file of another name).
#[must_use]
pub fn vfio_files(group: Option<&str>, devices: &[String]) -> Vec<PathBuf> {
    let dir = Path::new("/dev/vfio");
    let groups = group.into_iter().flat_map(|number| [number.to_owned(), made_up(number)]);
    let devices = devices.iter().map(|name| dir.join("devices").join(name));
    groups.map(|name| dir.join(name)).chain(devices).collect()
}

/// The file of a group that stands for a function without an IOMMU, below `/dev/vfio`.
#[must_use]
pub fn made_up(group: &str) -> String {
    format!("noiommu-{group}")
}

/// The most descriptors of a process that are looked at.
const MOST: usize = 1 << 16;

/// The programs below a `/proc` that have one of the files open; only root sees them all.
///
/// # Errors
/// When the processes can not be listed.
pub fn of(proc: &Path, files: &[PathBuf]) -> io::Result<Vec<Holder>> {
    let mut holders = Vec::new();
    for process in fs::read_dir(proc)?.filter_map(Result::ok) {
        let Some(number) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if has_open(&process.path(), files) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            holders.push(Holder { process: number, name: name.trim().to_owned() });
        }
    }
    Ok(holders)
}

fn has_open(process: &Path, files: &[PathBuf]) -> bool {
    // Processes that ended meanwhile, and those of others, have no list.
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    let mut descriptors = descriptors.filter_map(Result::ok).take(MOST);
    descriptors.any(|one| fs::read_link(one.path()).is_ok_and(|target| files.contains(&target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_open_what_its_descriptors_lead_to() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let held = fs::File::open(file.path()).unwrap();

        let holders = of(Path::new("/proc"), &[file.path().to_owned()]).unwrap();

        let numbers: Vec<u32> = holders.iter().map(|one| one.process).collect();
        assert_eq!(numbers, [std::process::id()]);
        assert_eq!(of(Path::new("/proc"), &["/dev/vfio/none".into()]).unwrap(), []);
        drop(held);
    }
}
