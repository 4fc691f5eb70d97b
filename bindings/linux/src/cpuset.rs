//! The CPUs that control groups give and keep apart.
//!
//! Sources: "Cpuset" in `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/cpusets.rst` of Linux 6.18.

use config::CpuSet;

use crate::{Known, Root};

/// Where cgroup v2 is mounted, or the directory of the v1 controllers.
const DIR: &str = "sys/fs/cgroup";
/// How deep below it partitions are looked for: `system.slice`, a unit, and one of its own.
const DEPTH: usize = 3;
/// How many groups are looked at.
const MOST_GROUPS: usize = 2000;

/// The CPUs that this process's cpuset has: those of its group or, where a group says nothing, of the nearest above it.
pub(crate) fn allowed(root: &Root) -> Known<CpuSet> {
    let groups = match root.text("proc/self/cgroup") {
        Ok(text) => text,
        Err(error) => return Known::unknown(error.to_string()),
    };
    let mut answer = Known::unknown("no cpuset controller is mounted under /sys/fs/cgroup");
    // "hierarchy:controllers:path"; v2 has the hierarchy 0 and no controllers.
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let found = if number == "0" && controllers.is_empty() {
            nearest(root, DIR, path, &["cpuset.cpus.effective"])
        } else if controllers.split(',').any(|controller| controller == "cpuset") {
            let names = ["cpuset.effective_cpus", "cpuset.cpus"];
            nearest(root, &format!("{DIR}/cpuset"), path, &names)
        } else {
            None
        };
        if let Some(cpus) = found {
            answer = Known::Known(cpus);
        }
    }
    answer
}

/// The list in the group's file or, when it is not there or empty, in that of the nearest group above it.
fn nearest(root: &Root, mount: &str, group: &str, names: &[&str]) -> Option<CpuSet> {
    // A path that leaves the cgroup namespace ("/../..") begins at the mount.
    let mut parts: Vec<&str> =
        group.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
    loop {
        let dir = [&[mount], parts.as_slice()].concat().join("/");
        let list = |name: &&str| root.cpu_list(&format!("{dir}/{name}")).ok();
        if let Some(cpus) = names.iter().filter_map(list).find(|cpus| !cpus.is_empty()) {
            return Some(cpus);
        }
        parts.pop()?;
    }
}

/// The CPUs of isolated partitions.
pub(crate) fn isolated(root: &Root) -> Known<CpuSet> {
    // The whole machine's, in the root group: Linux 6.8 and later.
    let all = root.cpu_list(&format!("{DIR}/cpuset.cpus.isolated"));
    match all {
        Ok(cpus) => Known::Known(cpus),
        Err(_) if root.exists(&format!("{DIR}/cgroup.controllers")) => {
            let mut found = CpuSet::new();
            let mut left = MOST_GROUPS;
            search(root, DIR, DEPTH, &mut left, &mut found);
            Known::Known(found)
        }
        Err(error) => Known::unknown(error.to_string()),
    }
}

fn search(root: &Root, dir: &str, depth: usize, left: &mut usize, found: &mut CpuSet) {
    for name in root.names(dir).unwrap_or_default() {
        // Groups are directories; the controllers' files all have a dot and a known beginning.
        if ["cgroup.", "cpuset.", "cpu.", "memory.", "io.", "pids."]
            .iter()
            .any(|p| name.starts_with(p))
        {
            continue;
        }
        let Some(rest) = left.checked_sub(1) else { return };
        *left = rest;
        let group = format!("{dir}/{name}");
        // An invalid partition says "isolated invalid (why)" and isolates nothing.
        let partition = root.text(&format!("{group}/cpuset.cpus.partition"));
        if partition.is_ok_and(|state| state == "isolated") {
            let names = ["cpuset.cpus.exclusive.effective", "cpuset.cpus.effective"];
            let list = |name: &&str| root.cpu_list(&format!("{group}/{name}")).ok();
            if let Some(cpus) = names.iter().filter_map(list).find(|cpus| !cpus.is_empty()) {
                *found = found.union(&cpus);
            }
        }
        if depth > 1 {
            search(root, &group, depth - 1, left, found);
        }
    }
}
