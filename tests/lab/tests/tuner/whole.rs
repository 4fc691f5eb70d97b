//! A full capture, as a bug report has it: every file that the tuner reads, and everything that it asks.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use lab::Guest;

use crate::stock::tune;

/// A capture: the files by their paths; links as what they point to.
pub(crate) type Capture = BTreeMap<String, Vec<u8>>;

/// What of a file can not be the same after another boot.
enum Part {
    /// All of it.
    File,
    /// All but the lines that begin so, not counting white space.
    AllBut(&'static [&'static str]),
    /// The lines that begin so.
    Lines(&'static [&'static str]),
}

/// What is not compared, and why. `#` stands for a number, `*` for a name, and at the end of a name for its rest; `**`
/// for all below.
const VOLATILE: &[(&str, Part, &str)] = &[
    ("proc/#/**", Part::File, "threads have other numbers; compared by name"),
    ("proc/self/**", Part::File, "the tuner's own"),
    ("proc/self", Part::File, "the tuner's own"),
    (
        "proc/irq/#/*",
        Part::File,
        "a device's interrupt has another number, and irqbalance moves it; default_smp_affinity is compared",
    ),
    ("proc/interrupts", Part::File, "counts; where they go is in proc/irq"),
    ("proc/stat", Part::File, "counts"),
    ("proc/softirqs", Part::File, "counts"),
    ("proc/loadavg", Part::File, "of the last minutes"),
    ("proc/meminfo", Part::AllBut(&["HugePages_", "Hugepagesize", "Hugetlb", "Swap"]), "free now"),
    (
        "sys/devices/system/node/*/meminfo",
        Part::AllBut(&["Node 0 HugePages_", "Node 1 HugePages_"]),
        "free now",
    ),
    (
        "barewire/asked/machine.json",
        Part::Lines(&["\"memory_bytes\""]),
        "the kernel takes what it needs for itself from another node, as it is loaded elsewhere",
    ),
    (
        "boot/grub/grubenv",
        Part::Lines(&["next_entry=", "#"]),
        "GRUB leaves an empty line where it took a choice, and fills up; what it says is compared with the files",
    ),
    ("var/lib/barewire/tune/**", Part::File, "the journal of what was done stays"),
    ("proc/cpuinfo", Part::Lines(&["cpu MHz", "bogomips"]), "measured by each boot"),
];

/// Takes one, and brings it here.
pub(crate) fn capture(guest: &mut Guest) -> Capture {
    tune(guest, "facts --capture /run/capture.tar >/dev/null", 0);
    let dir = std::env::temp_dir().join(format!("lab-capture-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("there is a place for temporary files");
    let tar = dir.join("capture.tar");
    guest.copy_out("/run/capture.tar", &tar).expect("the guest gives files");
    guest.must("rm /run/capture.tar");
    let unpacked = dir.join("unpacked");
    fs::create_dir(&unpacked).expect("the place is new");
    let untar = Command::new("tar").arg("-xf").arg(&tar).arg("-C").arg(&unpacked).status();
    assert!(untar.expect("tar is there").success());
    let mut found = Capture::new();
    read(&unpacked, PathBuf::new(), &mut found);
    fs::remove_dir_all(&dir).expect("it is ours");
    assert!(found.len() > 500, "only {} files: {:?}", found.len(), found.keys());
    found
}

fn read(top: &Path, below: PathBuf, into: &mut Capture) {
    for entry in fs::read_dir(top.join(&below)).expect("we have unpacked it").flatten() {
        let (path, here) = (below.join(entry.file_name()), entry.path());
        let kind = entry.file_type().expect("it has a type");
        if kind.is_dir() {
            read(top, path, into);
            continue;
        }
        let content = if kind.is_symlink() {
            let to = fs::read_link(here).expect("it is a link");
            format!("-> {}", to.display()).into_bytes()
        } else {
            fs::read(here).expect("it is a file")
        };
        into.insert(path.display().to_string(), content);
    }
}

/// Every file of both is the same, but for what can not be; threads are, by their names.
#[track_caller]
pub(crate) fn assert_same_machine(before: &Capture, after: &Capture) {
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let different: Vec<String> = paths
        .into_iter()
        .filter_map(|path| difference(path, before.get(path), after.get(path)))
        .collect();
    assert!(different.is_empty(), "{} files differ:\n{}", different.len(), different.join("\n"));
    let (threads_before, threads_after) = (threads(before), threads(after));
    let common = threads_before.keys().filter(|name| threads_after.contains_key(*name));
    let mut compared = 0;
    for name in common {
        assert_eq!(threads_before[name], threads_after[name], "the CPUs of {name}");
        compared += 1;
    }
    assert!(compared > 30, "only {compared} threads are in both");
}

/// How a file differs in what is compared of it; not at all, mostly.
fn difference(path: &str, before: Option<&Vec<u8>>, after: Option<&Vec<u8>>) -> Option<String> {
    let volatile =
        VOLATILE.iter().find(|(pattern, ..)| fits(pattern, path)).map(|(_, part, _)| part);
    if matches!(volatile, Some(Part::File)) || before == after {
        return None;
    }
    let begins = |line: &str, starts: &[&str]| {
        starts.iter().any(|start| line.trim_start().starts_with(start))
    };
    let is_compared = |line: &str| match volatile {
        None => true,
        Some(Part::File) => false,
        Some(Part::AllBut(starts)) => begins(line, starts),
        Some(Part::Lines(starts)) => !begins(line, starts),
    };
    let lines = |content: Option<&Vec<u8>>| -> Option<Vec<String>> {
        let text = String::from_utf8_lossy(content?).into_owned();
        Some(text.lines().filter(|line| is_compared(line)).map(str::to_owned).collect())
    };
    let (old, new) = (lines(before), lines(after));
    if volatile.is_some() && old == new {
        return None;
    }
    let shown = |lines: Option<Vec<String>>, other: &Option<Vec<String>>| match lines {
        None => "not there".to_owned(),
        Some(lines) => {
            let other = other.clone().unwrap_or_default();
            let own: Vec<String> = lines.into_iter().filter(|line| !other.contains(line)).collect();
            own.join("\n    ").chars().take(600).collect()
        }
    };
    let (was, is) = (shown(old.clone(), &new), shown(new, &old));
    Some(format!("{path}:\n  - {was}\n  + {is}"))
}

/// The CPUs of each thread, by its name. Workers of workqueues come and go, and go where their queue's mask says.
fn threads(capture: &Capture) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, content) in capture {
        if !fits("proc/#/task/#/status", path) {
            continue;
        }
        let text = String::from_utf8_lossy(content);
        let field =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let (Some(name), Some(cpus)) = (field("Name:"), field("Cpus_allowed_list:")) else {
            continue;
        };
        if !name.starts_with("kworker/") {
            found.entry(name.to_owned()).or_default().insert(cpus.to_owned());
        }
    }
    found
}

/// Whether a path is one of those that a pattern stands for.
fn fits(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut names) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), names.next()) {
            (Some("**"), Some(_)) | (None, None) => return true,
            (Some(pattern), Some(name)) => {
                let is_so = match pattern.strip_suffix('*') {
                    Some(start) => name.starts_with(start),
                    None if pattern == "#" => name.bytes().all(|byte| byte.is_ascii_digit()),
                    None => name == pattern,
                };
                if !is_so {
                    return false;
                }
            }
            _ => return false,
        }
    }
}

#[test]
fn a_difference_is_seen_where_it_counts_and_nowhere_else() {
    let of = |path: &str, text: &str| {
        difference(path, Some(&b"x 1\ny 2\n".to_vec()), Some(&text.into()))
    };
    assert_eq!(of("etc/fstab", "x 1\ny 2\n"), None);
    assert!(of("etc/fstab", "x 1\ny 3\n").is_some());
    assert!(difference("etc/fstab", None, Some(&Vec::new())).is_some());
    assert_eq!(of("proc/interrupts", "x 1\ny 3\n"), None);
    let info =
        |pages: u32, free: u32| format!("HugePages_Total: {pages}\nMemFree: {free}\n").into();
    let meminfo = |after: Vec<u8>| difference("proc/meminfo", Some(&info(0, 7)), Some(&after));
    assert_eq!(meminfo(info(0, 8)), None);
    assert!(meminfo(info(1, 7)).is_some());
    let cpuinfo = |after: &str| {
        let before = b"cpu MHz : 1\nflags : a\n".to_vec();
        difference("proc/cpuinfo", Some(&before), Some(&after.into()))
    };
    assert_eq!(cpuinfo("cpu MHz : 2\nflags : a\n"), None);
    assert!(cpuinfo("cpu MHz : 1\nflags : b\n").is_some());
    assert!(fits("proc/#/task/#/status", "proc/7/task/8/status"));
    assert!(!fits("proc/#/task/#/status", "proc/7/status"));
    assert!(fits("proc/#/**", "proc/7/task/8/status") && !fits("proc/#/**", "proc/irq/8"));
    assert!(fits("sys/node*/x", "sys/node1/x") && !fits("sys/node*/x", "sys/cpu1/x"));
}
