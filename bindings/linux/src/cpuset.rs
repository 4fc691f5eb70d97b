//! The CPUs that control groups give and keep apart.
//!
//! Sources: "Cpuset" in `Documentation/admin-guide/cgroup-v2.rst` and `cgroup-v1/cpusets.rst` of Linux 6.18.

use config::CpuSet;
use serde::Serialize;

use crate::{Known, ReadError, Root};

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
            let isolated = partitions(root).into_iter().filter(Partition::is_isolated);
            Known::Known(isolated.fold(CpuSet::new(), |all, one| all.union(&one.effective)))
        }
        Err(error) => Known::unknown(error.to_string()),
    }
}

/// The control groups of CPUs that a machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hierarchy {
    /// cgroup v2, with a cpuset controller: it can have partitions.
    V2,
    /// cgroup v1's cpuset controller.
    V1,
    /// None of both.
    None,
}

/// Which control groups of CPUs the machine has.
#[must_use]
pub fn hierarchy(root: &Root) -> Hierarchy {
    let controllers = root.text(&format!("{DIR}/cgroup.controllers")).unwrap_or_default();
    if controllers.split_ascii_whitespace().any(|name| name == "cpuset") {
        Hierarchy::V2
    } else if root.exists(&format!("{DIR}/cpuset/cpuset.cpus")) {
        Hierarchy::V1
    } else {
        Hierarchy::None
    }
}

/// A cgroup-v2 group that is, or was to be, a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Partition {
    /// The group, from the root group.
    pub group: String,
    /// What `cpuset.cpus.partition` says: `isolated`, `root`, `isolated invalid (why)`.
    pub state: String,
    /// The CPUs that were asked for.
    pub wanted: CpuSet,
    /// The CPUs that it has.
    pub effective: CpuSet,
}

impl Partition {
    /// Is it in force, and isolated?
    #[must_use]
    pub fn is_isolated(&self) -> bool {
        // An invalid one says "isolated invalid (why)" and isolates nothing.
        self.state == "isolated"
    }
}

/// The partitions near the root group, valid or not. (One that is deeper needs its parents to be partitions, or CPUs
/// that are made exclusive all the way down, which nobody does by hand.)
#[must_use]
pub fn partitions(root: &Root) -> Vec<Partition> {
    let (mut left, mut found) = (MOST_GROUPS, Vec::new());
    search(root, "", DEPTH, &mut left, &mut found);
    found
}

fn search(root: &Root, group: &str, depth: usize, left: &mut usize, found: &mut Vec<Partition>) {
    for name in root.names(&format!("{DIR}{group}")).unwrap_or_default() {
        // Groups are directories; the controllers' files all have a dot and a known beginning.
        if ["cgroup.", "cpuset.", "cpu.", "memory.", "io.", "pids.", "hugetlb.", "rdma.", "misc."]
            .iter()
            .any(|p| name.starts_with(p))
        {
            continue;
        }
        let Some(rest) = left.checked_sub(1) else { return };
        *left = rest;
        let below = format!("{group}/{name}");
        let state = root.text(&format!("{DIR}{below}/cpuset.cpus.partition"));
        if let Some(state) = state.ok().filter(|state| state != "member") {
            let list = |name: &&str| root.cpu_list(&format!("{DIR}{below}/{name}")).ok();
            let first = |names: &[&str]| {
                names.iter().filter_map(list).find(|cpus| !cpus.is_empty()).unwrap_or_default()
            };
            found.push(Partition {
                group: below.trim_start_matches('/').to_owned(),
                state,
                wanted: first(&["cpuset.cpus.exclusive", "cpuset.cpus"]),
                effective: first(&["cpuset.cpus.exclusive.effective", "cpuset.cpus.effective"]),
            });
        }
        if depth > 1 {
            search(root, &below, depth - 1, left, found);
        }
    }
}

/// The CPUs that cgroup v1's cpusets keep out of load balancing: those that no group which is balanced has.
///
/// # Errors
/// [`ReadError`]; [`ReadError::Missing`] without that controller.
pub fn unbalanced(root: &Root) -> Result<CpuSet, ReadError> {
    let dir = format!("{DIR}/cpuset");
    let all = root.cpu_list(&format!("{dir}/cpuset.cpus"))?;
    let is_balanced = |group: &str| {
        root.text(&format!("{group}/cpuset.sched_load_balance")).is_ok_and(|flag| flag != "0")
    };
    // The root group has every CPU, so as long as it is balanced, all are.
    if is_balanced(&dir) {
        return Ok(CpuSet::new());
    }
    let (mut balanced, mut left) = (CpuSet::new(), MOST_GROUPS);
    let mut groups = vec![(dir, DEPTH)];
    while let Some((group, depth)) = groups.pop() {
        if is_balanced(&group) {
            let cpus = root.cpu_list(&format!("{group}/cpuset.cpus")).unwrap_or_default();
            balanced = balanced.union(&cpus);
            continue;
        }
        for name in root.names(&group).unwrap_or_default() {
            let below = format!("{group}/{name}");
            if depth > 0 && left > 0 && root.exists(&format!("{below}/cpuset.cpus")) {
                left -= 1;
                groups.push((below, depth - 1));
            }
        }
    }
    Ok(all.difference(&balanced))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn root(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let file = dir.path().join(DIR).join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let root = Root::at(dir.path()).unwrap();
        (dir, root)
    }

    #[test]
    fn partitions_are_found_valid_or_not() {
        let (_dir, root) = root(&[
            ("cgroup.controllers", "cpuset cpu io\n"),
            ("a.slice/cpuset.cpus.partition", "isolated\n"),
            ("a.slice/cpuset.cpus.exclusive", "2-3\n"),
            ("a.slice/cpuset.cpus.exclusive.effective", "2-3\n"),
            (
                "b.slice/cpuset.cpus.partition",
                "isolated invalid (Cpu list in cpuset.cpus not exclusive)",
            ),
            ("b.slice/cpuset.cpus", "4\n"),
            ("c.slice/cpuset.cpus.partition", "member\n"),
        ]);

        let found = partitions(&root);
        assert_eq!(hierarchy(&root), Hierarchy::V2);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].group.as_str(), found[0].is_isolated()), ("a.slice", true));
        assert_eq!(found[0].effective.to_string(), "2-3");
        assert_eq!((found[1].wanted.to_string().as_str(), found[1].is_isolated()), ("4", false));
        assert_eq!(isolated(&root).known().unwrap().to_string(), "2-3");
    }

    #[test]
    fn a_v1_root_that_is_balanced_isolates_nothing() {
        let (_dir, root) =
            root(&[("cpuset/cpuset.cpus", "0-3\n"), ("cpuset/cpuset.sched_load_balance", "1\n")]);

        assert_eq!(hierarchy(&root), Hierarchy::V1);
        assert!(unbalanced(&root).unwrap().is_empty());
    }

    #[test]
    fn v1_groups_that_are_balanced_keep_their_cpus() {
        let (_dir, root) = root(&[
            ("cpuset/cpuset.cpus", "0-7\n"),
            ("cpuset/cpuset.sched_load_balance", "0\n"),
            ("cpuset/system/cpuset.cpus", "0-3\n"),
            ("cpuset/system/cpuset.sched_load_balance", "1\n"),
            ("cpuset/data/cpuset.cpus", "4-7\n"),
            ("cpuset/data/cpuset.sched_load_balance", "0\n"),
            ("cpuset/data/half/cpuset.cpus", "4\n"),
            ("cpuset/data/half/cpuset.sched_load_balance", "1\n"),
        ]);

        assert_eq!(unbalanced(&root).unwrap().to_string(), "5-7");
    }

    #[test]
    fn a_machine_without_cpusets_has_none() {
        let (_dir, root) = root(&[("cgroup.controllers", "cpu io\n")]);

        assert_eq!(hierarchy(&root), Hierarchy::None);
        assert!(unbalanced(&root).unwrap_err().is_missing());
        assert!(partitions(&root).is_empty());
    }
}
