//! `barewire-bench peer` as a process, with testpmd on both sides: it needs no barewired, no root and no hugepages.
#![expect(clippy::unwrap_used, reason = "a helper of tests that fails says where")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// As often a comparison is made again in which a program had the CPU in none of its slices.
const TRIES: usize = 10;

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barewire-bench"));
    command
        .arg("peer")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// A short comparison of testpmd with itself.
fn twins<'a>(json: &'a str, more: &[&'a str]) -> Command {
    let mut command = bench(&[
        "--case",
        "b",
        "--arms",
        "testpmd,testpmd-twin",
        "--memory",
        "none",
        "--json",
        json,
    ]);
    command.args(more);
    command
}

/// Why twins can not be compared here.
fn is_skipped(test: &str) -> bool {
    let cpus = thread::available_parallelism().map_or(1, usize::from);
    let why = if cpus < 2 {
        "it takes two CPUs"
    } else if bench::program::find("dpdk-testpmd").is_none() {
        "there is no dpdk-testpmd (Debian: dpdk-dev)"
    } else {
        return false;
    };
    eprintln!("SKIPPED: {test}: {why}");
    true
}

fn shown(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn twins_are_measured_in_the_order_of_the_seed_and_every_slice_is_published() {
    if is_skipped("twins_are_measured_in_the_order_of_the_seed_and_every_slice_is_published") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("out.json");
    let json = json.to_str().unwrap();
    let orders: Vec<Vec<String>> = (0..2)
        .map(|_| {
            let output = twins(
                json,
                &["--blocks", "1", "--seconds", "0.1", "--slice-ms", "20", "--seed", "42"],
            )
            .output()
            .unwrap();
            // 3: the machine was busy, which a machine that runs tests may well be.
            assert!(matches!(output.status.code(), Some(0 | 3)), "{}", shown(&output));
            assert!(shown(&output).contains("testpmd-twin / testpmd"), "{}", shown(&output));
            let report: Value = serde_json::from_str(&fs::read_to_string(json).unwrap()).unwrap();
            let block = &report["cases"][0]["blocks"][0];
            let slices = block["slices"].as_array().unwrap();
            // Five rounds and the warm-up, two arms.
            assert_eq!(slices.len(), 12, "{report:#}");
            for slice in slices {
                moved_or_said_why(slice);
                assert_eq!(slice["is_warm_up"], slice["round"] == 0, "{slice:#}");
            }
            for end in block["ends"].as_array().unwrap() {
                assert_eq!(end["is_conserved"], true, "{end:#}");
                assert_eq!(end["totals"]["received"], end["totals"]["sent"], "{end:#}");
            }
            assert_eq!((&report["schema"], &report["seed"]), (&1.into(), &42.into()));
            slices.iter().map(|slice| slice["arm"].as_str().unwrap().to_owned()).collect()
        })
        .collect();
    assert_eq!(orders[0], orders[1]);
}

#[test]
fn barewired_is_measured_against_testpmd_and_loses_no_frame() {
    let test = "barewired_is_measured_against_testpmd_and_loses_no_frame";
    if is_skipped(test) {
        return;
    }
    if !Path::new(env!("CARGO_BIN_EXE_barewire-bench")).with_file_name("barewired").is_file() {
        eprintln!(
            "SKIPPED: {test}: there is no barewired next to this program (cargo build -p daemon)"
        );
        return;
    }
    let mut silent = measure_both();
    let mut tries = 1;
    while !silent.is_empty() {
        assert!(tries < TRIES, "not a frame of {silent:?} in any of {TRIES} runs");
        silent = silent.intersection(&measure_both()).cloned().collect();
        tries += 1;
    }
}

/// Measures barewired and testpmd, looks that nothing is lost, and answers which arms have not moved a frame: a slice of 20 ms
/// is less than what a busy machine may keep a thread waiting.
fn measure_both() -> BTreeSet<String> {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("out.json");
    let arguments = "--case a,b --memory none --blocks 1 --seconds 0.1 --slice-ms 20 --json";
    let mut command = bench(&arguments.split(' ').collect::<Vec<_>>());
    let output = command.arg(&json).output().unwrap();
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", shown(&output));
    let report: Value = serde_json::from_str(&fs::read_to_string(&json).unwrap()).unwrap();
    let cases = report["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 3, "{report:#}");
    let mut frames: BTreeMap<String, u64> = BTreeMap::new();
    for case in cases {
        for end in case["blocks"][0]["ends"].as_array().unwrap() {
            assert_eq!(end["is_conserved"], true, "{}: {end:#}", case["name"]);
        }
        for slice in case["blocks"][0]["slices"].as_array().unwrap() {
            let arm = format!("{} {}", case["name"], slice["arm"]);
            *frames.entry(arm).or_default() += moved_or_said_why(slice);
        }
    }
    frames.into_iter().filter(|(_, frames)| *frames == 0).map(|(arm, _)| arm).collect()
}

/// The frames of a slice. One without any does not count, and says so.
fn moved_or_said_why(slice: &Value) -> u64 {
    let frames = slice["interval"]["frames"].as_u64().unwrap();
    assert!(frames > 0 || !slice["faults"].as_array().unwrap().is_empty(), "{slice:#}");
    frames
}

#[test]
fn an_interrupt_leaves_no_program_and_no_file_behind() {
    if is_skipped("an_interrupt_leaves_no_program_and_no_file_behind") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("out.json");
    let mut command = twins(json.to_str().unwrap(), &["--blocks", "1000", "--seconds", "1"]);
    let child = command.env("TMPDIR", dir.path()).spawn().unwrap();
    wait_for("two testpmds", || children(child.id()).len() == 2);

    let output = end(child, Signal::INT);

    assert_eq!(output.status.code(), Some(130), "{}", shown(&output));
    let left: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_kill_takes_the_programs_along() {
    if is_skipped("a_kill_takes_the_programs_along") {
        return;
    }
    if bench::program::find("setpriv").is_none() {
        eprintln!(
            "SKIPPED: a_kill_takes_the_programs_along: there is no setpriv (Debian: util-linux)"
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("out.json");
    let mut command = twins(json.to_str().unwrap(), &["--blocks", "1000", "--seconds", "1"]);
    let child = command.env("TMPDIR", dir.path()).spawn().unwrap();
    let mut programs = Vec::new();
    wait_for("two testpmds", || {
        programs = children(child.id());
        programs.len() == 2
    });

    let _output = end(child, Signal::KILL);

    wait_for("the testpmds to be gone", || !programs.iter().any(|pid| is_running(*pid)));
}

#[test]
fn what_can_not_be_measured_is_said_and_told_apart() {
    let no_testpmd =
        bench(&["--testpmd", "/nonexistent", "--case", "b", "--arms", "testpmd,testpmd-twin"])
            .output()
            .unwrap();
    assert_eq!(no_testpmd.status.code(), Some(2), "{}", shown(&no_testpmd));
    assert!(shown(&no_testpmd).contains("dpdk-testpmd"), "{}", shown(&no_testpmd));

    let nothing_left = bench(&["--case", "b", "--arms", "testpmd"]).output().unwrap();
    assert_eq!(nothing_left.status.code(), Some(2), "{}", shown(&nothing_left));

    let no_such_cpu = bench(&["--cpu", "8191", "--case", "b"]).output().unwrap();
    assert_eq!(no_such_cpu.status.code(), Some(2), "{}", shown(&no_such_cpu));
}

#[test]
fn without_hugepages_case_c_is_left_out_and_counted() {
    if is_skipped("without_hugepages_case_c_is_left_out_and_counted") {
        return;
    }
    let output = bench(&["--case", "c", "--arms", "testpmd,testpmd-twin", "--memory", "none"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
    assert!(shown(&output).contains("SKIPPED case c"), "{}", shown(&output));
}

/// Sends a signal, and waits for the end.
fn end(child: Child, signal: Signal) -> Output {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, signal).expect("it still runs");
    child.wait_with_output().expect("its output")
}

/// The testpmds that a process has started.
fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("procfs").flatten();
    let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    processes
        .filter(|pid| stat(*pid).is_some_and(|(name, of)| of == parent && name == "dpdk-testpmd"))
        .collect()
}

fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|(name, _)| name == "dpdk-testpmd")
        && !fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default().contains(") Z ")
}

/// A process's name and parent.
fn stat(pid: u32) -> Option<(String, u32)> {
    let text = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let (name, rest) = text.split_once('(')?.1.rsplit_once(") ")?;
    Some((name.to_owned(), rest.split(' ').nth(1)?.parse().ok()?))
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        // The pause between two questions, so that asking does not take the machine from who should answer.
        thread::sleep(Duration::from_millis(5));
    }
}
