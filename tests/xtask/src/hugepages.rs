//! A few hugepages for the tests that want them, given back afterwards.

use std::{fs, path::PathBuf};

use crate::{say, tree};

const WANTED: u64 = 256;

/// 2 MiB pages that we reserved; dropping it restores the number that was there.
#[derive(Debug)]
pub(crate) struct Hugepages {
    file: PathBuf,
    before: u64,
}

impl Hugepages {
    /// Reserves pages when we are root and the machine has none; otherwise says why not, and changes nothing.
    pub(crate) fn reserve() -> Option<Hugepages> {
        let file = PathBuf::from("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
        let Some(before) = read(&file) else {
            say::loud("this kernel has no 2 MiB hugepages: what needs them is skipped");
            return None;
        };
        if before > 0 {
            return None;
        }
        if !tree::is_root() {
            say::loud("no hugepages are reserved and we are not root: what needs them is skipped");
            return None;
        }
        let reserved = Hugepages { file, before };
        if let Err(error) = fs::write(&reserved.file, WANTED.to_string()) {
            say::loud(format!("cannot reserve hugepages: {error}"));
        }
        let got = read(&reserved.file).unwrap_or(0);
        say::note(format!(
            "reserved {got} hugepages of 2 MiB, of {WANTED} wanted; they are given back at the end"
        ));
        Some(reserved)
    }
}

impl Drop for Hugepages {
    fn drop(&mut self) {
        match fs::write(&self.file, self.before.to_string()) {
            Ok(()) => say::note(format!("hugepages of 2 MiB: {} again, as before", self.before)),
            Err(error) => say::loud(format!("cannot give the hugepages back: {error}")),
        }
    }
}

fn read(file: &PathBuf) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}
