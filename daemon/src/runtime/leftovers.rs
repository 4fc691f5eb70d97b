//! Directories of DPDK's that daemons left behind which were killed.

use std::{fs, path::Path};

use linux::Root;

const BEGINNING: &str = "barewire-";

/// The name by which DPDK keeps this process apart from others.
pub(super) fn prefix(pid: u32) -> String {
    format!("{BEGINNING}{pid}")
}

/// Removes what is empty and belongs to no process any more, beside the directory of this one. What can not be removed
/// does no harm and is left.
pub(super) fn sweep(own: &Path, root: &Root) {
    let Some(beside) = own.parent().and_then(|dir| fs::read_dir(dir).ok()) else { return };
    for entry in beside.filter_map(Result::ok) {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(BEGINNING)?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !root.exists(&format!("proc/{pid}"))) {
            let _not_empty = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_nobody_goes_and_all_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        // No process can have this number: it is above the kernel's limit.
        let gone = dir.path().join(prefix(u32::MAX));
        let own = dir.path().join(prefix(std::process::id()));
        let others = [own.clone(), dir.path().join("rte"), dir.path().join("barewire-x")];
        let full = dir.path().join(prefix(u32::MAX - 1));
        for dir in others.iter().chain([&gone, &full]) {
            fs::create_dir(dir).unwrap();
        }
        fs::write(full.join("socket"), "").unwrap();

        sweep(&own, &Root::system().unwrap());

        assert!(!gone.exists());
        assert!(full.exists() && others.iter().all(|dir| dir.exists()));
        sweep(Path::new("/nowhere/at/all"), &Root::system().unwrap());
    }
}
