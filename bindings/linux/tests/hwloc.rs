//! hwloc, each time in a process of its own: what it sees depends on the environment.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{path::PathBuf, process::Command};

use config::{
    CpuSet, NumaNode,
    machine::{Machine, Source},
};
use linux::{Root, hwloc, topology};

/// Tells the process which root to look at.
const ROOT: &str = "LINUX_TEST_ROOT";
const MARK: &str = "machine: ";

fn fixture(name: &str) -> String {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/sysroots");
    PathBuf::from(dir).join(name).to_str().unwrap().to_owned()
}

/// Runs in the processes that the other tests start; alone it looks at this machine.
#[test]
fn a_machine_is_printed_as_json() {
    let root = Root::at(std::env::var(ROOT).unwrap_or_else(|_| "/".to_owned())).unwrap();

    let machine = topology::discover(&root).unwrap();

    assert!(!machine.cpus.is_empty());
    println!("\n{MARK}{}", serde_json::to_string(&machine).unwrap());
}

/// The machine that a process with this environment sees.
fn discover(environment: &[(&str, &str)]) -> Machine {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_machine_is_printed_as_json", "--nocapture"])
        .env_remove(hwloc::FSROOT)
        .env_remove(hwloc::SYNTHETIC)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().find_map(|line| line.strip_prefix(MARK));
    let line = line.unwrap_or_else(|| panic!("{}\n{text}\n{error}", output.status));
    serde_json::from_str(line).unwrap()
}

fn set(list: &str) -> CpuSet {
    list.parse().unwrap()
}

#[test]
fn a_synthetic_machine_has_the_shape_that_was_asked_for() {
    let machine = discover(&[(hwloc::SYNTHETIC, "pack:2 [numa] core:4 pu:2")]);

    assert_eq!(machine.source, Source::Synthetic);
    assert_eq!((machine.cpus.len(), machine.nodes.len()), (16, 2));
    assert_eq!(machine.cpus[0].siblings, set("0-1"));
    assert_eq!(machine.cpus[8].package, Some(1));
    assert_eq!(machine.cpus[15].node, Some(NumaNode(1)));
    assert_eq!(machine.nodes[1].cpus, set("8-15"));
    assert!(machine.nodes.iter().all(|node| node.memory_bytes > 0), "{machine:#?}");
    assert_eq!(machine.distance(NumaNode(0), NumaNode(1)), Some(20));
    assert_eq!(machine.usable(), set("0-15"));
}

#[test]
fn a_synthetic_machine_can_have_caches() {
    let machine = discover(&[(hwloc::SYNTHETIC, "pack:1 [numa(memory=8GiB)] l3:2 core:3 pu:1")]);

    let caches: Vec<_> = machine.cpus.iter().map(|cpu| cpu.l3).collect();
    assert_eq!(caches, [Some(0), Some(0), Some(0), Some(3), Some(3), Some(3)]);
    assert_eq!(machine.nodes[0].memory_bytes, 8 << 30);
}

#[test]
fn hwloc_and_sysfs_agree_about_every_saved_machine() {
    let names = Root::at(fixture("")).unwrap().names("").unwrap();
    assert!(names.len() >= 9);
    for name in names {
        let dir = fixture(&name);
        let by_files = topology::discover(&Root::at(&dir).unwrap()).unwrap();

        let by_hwloc =
            discover(&[(hwloc::FSROOT, &dir), (hwloc::COMPONENTS, "-x86"), (ROOT, &dir)]);

        assert_eq!((by_hwloc.source, by_files.source), (Source::Hwloc, Source::Sysfs), "{name}");
        assert!(by_hwloc.notes.is_empty(), "{name}: {:?}", by_hwloc.notes);
        assert_eq!(by_hwloc.cpus, by_files.cpus, "{name}");
        assert_eq!(by_hwloc.nodes, by_files.nodes, "{name}");
    }
}

#[test]
fn a_root_that_hwloc_would_mix_with_this_processor_is_not_asked_about() {
    let dir = fixture("arm-64");

    let machine = discover(&[(hwloc::FSROOT, &dir), (ROOT, &dir)]);

    assert_eq!(machine.source, Source::Sysfs, "HWLOC_COMPONENTS is not set");
}

#[test]
fn with_threads_the_kernels_files_are_used_and_the_reason_is_said() {
    let machine = topology::discover(&Root::at(fixture("one-node")).unwrap()).unwrap();

    assert_eq!(machine.source, Source::Sysfs);
    assert!(machine.notes[0].contains("before threads are started"), "{:?}", machine.notes);
}

#[test]
fn nonsense_for_hwloc_falls_back_to_the_kernels_files() {
    let empty = tempfile::tempdir().unwrap();
    let empty = empty.path().to_str().unwrap();

    let machine = discover(&[(hwloc::FSROOT, empty)]);

    assert_eq!(machine.source, Source::Sysfs);
    assert!(!machine.notes.is_empty());
}

#[test]
fn this_machine_has_at_least_the_cpu_that_runs_the_test() {
    let machine = topology::discover(&Root::system().unwrap()).unwrap();

    assert_eq!(machine.source, Source::Hwloc, "{:?}", machine.notes);
    let mine = linux::thread::affinity().unwrap();
    assert!(mine.is_subset(&machine.usable()), "{mine} {}", machine.usable());
    assert!(machine.nodes.iter().any(|node| node.memory_bytes > 0));
}
