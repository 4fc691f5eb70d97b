//! Commands that are printed for a machine, where the kernel refuses what they write, where it takes it and does nothing,
//! and where the file has gone.

use std::{fs, os::unix::fs::symlink, path::Path};

use tuner::change::Change;

use crate::{commands::run, fixture::Fixture};

/// Puts a device in the place of a file, while `f` runs.
fn instead<T>(path: &Path, device: &str, f: impl FnOnce() -> T) -> T {
    let aside = path.with_file_name("aside");
    fs::rename(path, &aside).unwrap();
    symlink(device, path).unwrap();
    let result = f();
    fs::remove_file(path).unwrap();
    fs::rename(&aside, path).unwrap();
    result
}

#[test]
fn a_command_fails_where_the_kernel_refuses_and_where_the_file_has_gone() {
    let mut refused = 0;
    for name in ["intel-stock", "mistuned", "cgroup-v1", "vm-2-cpus"] {
        let machine = Fixture::new(name);
        let root = machine.root().to_str().unwrap();
        let findings = machine.findings();
        let writes = |change: &&Change| {
            matches!(
                change,
                Change::Kernel { .. } | Change::Sysctl { .. } | Change::Hugepages { .. }
            )
        };
        for change in findings.iter().flat_map(|finding| &finding.fix).filter(writes) {
            let path = machine.root().join(change.file().unwrap());
            let fails = || !run(&machine, &change.shell_below(root)).status.success();
            // A write to this fails, as one to a file of the kernel's does that takes no such value now.
            assert!(instead(&path, "/dev/full", fails), "{name}: refused: {change:?}");
            let folder = path.parent().unwrap();
            let gone = folder.with_file_name("gone");
            fs::rename(folder, &gone).unwrap();
            let fails_without = fails();
            fs::rename(&gone, folder).unwrap();
            assert!(fails_without, "{name}: gone: {change:?}");
            // The kernel gives the pages that it finds, and says nothing when they are fewer.
            if let Change::Hugepages { .. } = change {
                assert!(instead(&path, "/dev/null", fails), "{name}: without effect: {change:?}");
            }
            refused += 1;
        }
    }
    assert!(refused > 80, "only {refused} changes");
}
