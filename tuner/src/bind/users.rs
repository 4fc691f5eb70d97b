//! Who has a vfio group open: the kernel does not let a device go before that program does.

use std::{fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{Fact, Source};

/// A program that has a group open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its number.
    pub process: u32,
    /// Its name.
    pub name: String,
}

/// The most descriptors of a process that are looked at.
const MOST: usize = 1 << 16;

/// The programs that have a group of vfio's open; only root sees them all.
#[must_use]
pub fn users_of_group(source: &Source, group: u32) -> Fact<Vec<User>> {
    source.ask(&format!("vfio/users/{group}"), || {
        let Ok(processes) = fs::read_dir("/proc") else {
            return Fact::unknown("the processes can not be listed");
        };
        let device = format!("/dev/vfio/{group}");
        let mut users = Vec::new();
        for process in processes.filter_map(Result::ok) {
            let Some(number) = process.file_name().to_str().and_then(|name| name.parse().ok())
            else {
                continue;
            };
            if has_open(&process.path(), Path::new(&device)) {
                let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                users.push(User { process: number, name: name.trim().to_owned() });
            }
        }
        Fact::Is(users)
    })
}

fn has_open(process: &Path, device: &Path) -> bool {
    // Processes that ended meanwhile, and those of others, have no list.
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    let mut descriptors = descriptors.filter_map(Result::ok).take(MOST);
    descriptors.any(|one| fs::read_link(one.path()).is_ok_and(|target| target == device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_open_what_its_descriptors_lead_to() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let held = fs::File::open(file.path()).unwrap();
        let us = Path::new("/proc/self");

        assert!(has_open(us, file.path()));
        assert!(!has_open(us, Path::new("/dev/vfio/0")));
        drop(held);
    }
}
