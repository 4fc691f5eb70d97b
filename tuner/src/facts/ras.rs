//! Memory errors, machine checks, and who samples the CPUs.

use serde::{Deserialize, Serialize};

use crate::{Fact, Source};

/// Memory errors, machine checks, and who samples the CPUs.
#[derive(Debug, Clone, Serialize)]
pub struct Ras {
    /// Are corrected errors not polled for (`ignore_ce`)? The same for all CPUs.
    pub ignores_corrected: Fact<String>,
    /// The memory controllers whose errors are counted; absent without a driver for them.
    pub controllers: Fact<Vec<Controller>>,
    /// `kernel.perf_event_max_sample_rate`, in Hz.
    pub perf_max_sample_rate: Fact<String>,
    /// The processes that hold performance events open; no more than [`MOST_USERS`].
    pub perf_users: Fact<Vec<PerfUser>>,
}

/// A memory controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Controller {
    /// `mc0`
    pub name: String,
    /// Errors that were corrected, since boot.
    pub corrected: Fact<u64>,
    /// Errors that were not, since boot.
    pub uncorrected: Fact<u64>,
}

/// A process that holds performance events open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerfUser {
    /// Its number.
    pub process: u32,
    /// Its name.
    pub name: String,
    /// Does its command line ask for all CPUs (`perf record -a`)?
    pub is_system_wide: bool,
}

/// The most users that are listed.
pub const MOST_USERS: usize = 64;
/// The most open files that are looked at, so that a host of many processes is not searched for seconds.
const MOST_FILES: usize = 50_000;

const MACHINE_CHECKS: &str = "sys/devices/system/machinecheck";
const CONTROLLERS: &str = "sys/devices/system/edac/mc";

impl Ras {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        let ignores_corrected = source.names(MACHINE_CHECKS).and_then(|names| {
            match names.iter().find(|name| name.starts_with("machinecheck")) {
                Some(first) => source.text(&format!("{MACHINE_CHECKS}/{first}/ignore_ce")),
                None => Fact::Absent,
            }
        });
        Self {
            ignores_corrected,
            controllers: controllers(source),
            perf_max_sample_rate: source.sysctl("kernel.perf_event_max_sample_rate"),
            // Not as files: a capture should not list what every process has open.
            perf_users: source
                .ask("perf/users", || perf_users(&Source::of(source.root().clone().forgetting()))),
        }
    }
}

fn controllers(source: &Source) -> Fact<Vec<Controller>> {
    source.names(CONTROLLERS).and_then(|names| {
        let is_controller = |name: &&String| {
            name.strip_prefix("mc").is_some_and(|rest| rest.parse::<u32>().is_ok())
        };
        let read = |name: &String| Controller {
            name: name.clone(),
            corrected: source.parse(&format!("{CONTROLLERS}/{name}/ce_count"), "a number"),
            uncorrected: source.parse(&format!("{CONTROLLERS}/{name}/ue_count"), "a number"),
        };
        let found: Vec<Controller> = names.iter().filter(is_controller).map(read).collect();
        if found.is_empty() { Fact::Absent } else { Fact::Is(found) }
    })
}

/// Looks through the open files of every process; unknown as soon as one may not be looked at.
fn perf_users(source: &Source) -> Fact<Vec<PerfUser>> {
    let processes = match source.names("proc") {
        Fact::Is(names) => names.into_iter().filter_map(|name| name.parse::<u32>().ok()),
        Fact::Absent => return Fact::Absent,
        Fact::Unknown { why } => return Fact::Unknown { why },
    };
    let (mut users, mut looked, mut hidden) = (Vec::new(), 0_usize, 0_usize);
    for process in processes {
        let files = match source.names(&format!("proc/{process}/fd")) {
            Fact::Is(files) => files,
            // It has ended.
            Fact::Absent => continue,
            Fact::Unknown { .. } => {
                hidden += 1;
                continue;
            }
        };
        looked += files.len();
        if looked > MOST_FILES {
            return Fact::unknown(format!("more than {MOST_FILES} files are open"));
        }
        let is_event = |file: &String| {
            let link = source.root().link(&format!("proc/{process}/fd/{file}"));
            link.is_ok_and(|target| target == "anon_inode:[perf_event]")
        };
        if users.len() < MOST_USERS && files.iter().any(is_event) {
            users.push(PerfUser {
                process,
                name: source.text(&format!("proc/{process}/comm")).into_value().unwrap_or_default(),
                is_system_wide: is_system_wide(source, process),
            });
        }
    }
    match (users.is_empty(), hidden) {
        (true, 1..) => Fact::unknown(format!(
            "the open files of {hidden} processes may not be seen by this user"
        )),
        _ => Fact::Is(users),
    }
}

/// Does the command line have perf's option for all CPUs?
fn is_system_wide(source: &Source, process: u32) -> bool {
    let line = source.root().binary(&format!("proc/{process}/cmdline"), 4096).unwrap_or_default();
    let mut words = line.split(|&byte| byte == 0);
    words.any(|word| matches!(word, b"-a" | b"--all-cpus") || word.starts_with(b"-C"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_process_with_an_open_event_is_found_and_a_system_wide_one_named_so() {
        let dir = tempfile::tempdir().unwrap();
        let process = |id: &str, target: &str, cmdline: &[u8]| {
            let at = dir.path().join("proc").join(id);
            fs::create_dir_all(at.join("fd")).unwrap();
            fs::write(at.join("comm"), "perf\n").unwrap();
            fs::write(at.join("cmdline"), cmdline).unwrap();
            symlink(target, at.join("fd/3")).unwrap();
        };
        process("10", "anon_inode:[perf_event]", b"perf\0record\0-a\0");
        process("11", "anon_inode:[perf_event]", b"perf\0stat\0--pid=1\0");
        process("12", "/dev/null", b"sleep\0");
        let source = Source::at(dir.path()).unwrap();

        let users = perf_users(&source).into_value().unwrap();

        let found: Vec<(u32, bool)> = users.iter().map(|u| (u.process, u.is_system_wide)).collect();
        assert_eq!(found, [(10, true), (11, false)]);
    }

    #[test]
    fn controllers_are_counted_and_a_wrong_number_is_unknown() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join(CONTROLLERS);
        for (name, corrected) in [("mc0", "3\n"), ("mc1", "lots\n"), ("power", "1\n")] {
            fs::create_dir_all(at.join(name)).unwrap();
            fs::write(at.join(name).join("ce_count"), corrected).unwrap();
            fs::write(at.join(name).join("ue_count"), "0\n").unwrap();
        }

        let found = Ras::read(&Source::at(dir.path()).unwrap()).controllers.into_value().unwrap();

        assert_eq!(found.len(), 2);
        assert_eq!(found[0].corrected, Fact::Is(3));
        assert!(found[1].corrected.is_unknown());
    }
}
