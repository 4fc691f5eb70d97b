//! The dead man's switch.

use std::os::unix::process::CommandExt as _;

use tuner::commands::{self, Surroundings};

use super::*;

#[test]
fn nobody_confirms_and_it_is_rolled_back_though_the_connection_is_lost() {
    let machine = Machine::new();
    let before = machine.all();
    // A shell of its own, as a connection has: all of it is told when the connection is lost.
    let mut apply = machine.command(&["apply", "--confirm-within", "1s", "--plan"]);
    let child = apply.arg(&machine.plan).process_group(0).spawn().unwrap();
    let group = child.id();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let hang_up = Command::new("kill").args(["-HUP", "--", &format!("-{group}")]).output().unwrap();
    assert!(!hang_up.status.success(), "somebody of the connection's group is left");

    machine.wait_for("undone", |machine| machine.run(&["history"]).1.contains("apply: undone"));
    assert_eq!(machine.all(), before);
    let (exit, said) = machine.run(&["confirm"]);
    assert_eq!(exit, 60);
    assert!(said.contains("is rolled back already"), "{said}");
}

#[test]
fn confirmed_it_stays_when_the_time_comes() {
    let machine = Machine::new();
    // Longer than this test takes, however busy the machine is.
    let (exit, said) = machine.apply(&["--confirm-within", "600s"]);
    assert_eq!(exit, 0, "{said}");
    let pid = said.split("(by process ").nth(1).unwrap().split(')').next().unwrap();
    let waiting = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let waiting: Vec<&str> =
        waiting.split(|b| *b == 0).map(|w| str::from_utf8(w).unwrap()).collect();
    assert_eq!(waiting[1..6], ["dead-man", "--after", "600s", "--to", "1"]);
    assert!(machine.run(&["history"]).1.contains("not confirmed"));
    // Nothing else is begun meanwhile.
    assert_eq!(machine.apply(&[]).0, 50);

    let (exit, said) = machine.run(&["confirm"]);

    assert_eq!(exit, 0, "{said}");
    // The time comes: the same program, with a shorter one.
    assert!(Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
    let (exit, said) = machine.run(&["dead-man", "--after", "1ms", "--to", "1"]);
    assert_eq!((exit, said.as_str()), (0, "ready\n"));
    assert_eq!(machine.text(SWAPPINESS), "10\n");
    assert_eq!(machine.run(&["verify"]).0, 0);
}

#[test]
fn where_systemd_runs_a_timer_of_its_rolls_back() {
    let machine = Machine::new();
    let before = machine.all();
    // A systemd-run that remembers what it was asked for.
    let timers = machine.dir.path().join("systemd-run");
    let asked = machine.dir.path().join("asked");
    fs::write(&timers, format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > {}\n", asked.display()))
        .unwrap();
    fs::set_permissions(&timers, fs::Permissions::from_mode(0o755)).unwrap();
    let surroundings = Surroundings {
        program: Some(env!("CARGO_BIN_EXE_barewire-tune").into()),
        timers: Some(timers),
        ..Surroundings::default()
    };
    let root = machine.root();
    let words = ["barewire-tune", "apply", "--confirm-within", "120s", "--plan"];
    let words =
        words.map(PathBuf::from).into_iter().chain([machine.plan.clone(), "--root".into(), root]);

    let exit = commands::run(words, &surroundings, &mut Vec::new(), &mut Vec::new());

    assert_eq!(exit, tuner::Exit::Success);
    let asked = fs::read_to_string(asked).unwrap();
    let asked: Vec<&str> = asked.lines().collect();
    let at = asked.iter().position(|word| *word == "--").unwrap();
    assert_eq!(asked[..2], ["--unit=barewire-tune-rollback-1", "--on-active=120s"]);
    // The time comes.
    let rolled = Command::new(asked[at + 1]).args(&asked[at + 2..]).output().unwrap();
    assert!(rolled.status.success(), "{}", said(&rolled));
    assert_eq!(machine.all(), before);
}

/// A machine that was started anew before somebody confirmed the second of two entries, and as it was before that one.
fn cut_off_and_reset() -> (Machine, BTreeMap<String, String>) {
    let machine = Machine::new();
    machine.plan(vec![kernel(THP, "never", Form::Choice)]);
    machine.apply(&[]);
    let before = machine.all();
    machine.plan(steps());
    let (exit, said) = machine.apply(&["--confirm-within", "600s"]);
    assert_eq!(exit, 0, "{said}");
    let pid = said.split("(by process ").nth(1).unwrap().split(')').next().unwrap();
    assert!(Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
    for (path, text) in [(BOOT_ID, "two\n"), (SWAPPINESS, "60\n"), (THP, THP_AT_BOOT)] {
        put(&machine.root(), path, text);
    }
    (machine, before)
}

const THP: &str = "sys/kernel/mm/transparent_hugepage/enabled";
const THP_AT_BOOT: &str = "always [madvise] never\n";

/// What is as it was: all but the boot's id.
fn without_id(mut all: BTreeMap<String, String>) -> BTreeMap<String, String> {
    all.remove(BOOT_ID);
    all
}

#[test]
fn what_nobody_confirmed_before_a_reboot_is_undone_by_it_and_the_rest_set_again() {
    let (machine, before) = cut_off_and_reset();
    let (exit, said) = machine.run(&["verify", "--boot"]);
    assert_eq!(exit, 20, "{said}");
    assert!(said.contains("entry 0002 was not confirmed before this boot"), "{said}");

    let (exit, said) = machine.run(&["apply", "--boot"]);

    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("entry 0002 was not confirmed before this boot"), "{said}");
    assert!(said.contains("undone: 0002"), "{said}");
    assert_eq!(without_id(machine.all()), without_id(before));
    let (_, history) = machine.run(&["history"]);
    let states: Vec<bool> = history.lines().map(|line| line.contains(": undone;")).collect();
    assert_eq!(states, [false, true, false], "{history}");
    assert_eq!(machine.run(&["verify"]).0, 0);
    assert_eq!(machine.run(&["confirm"]).0, 60);
}

#[test]
fn a_dry_run_at_boot_leaves_alone_what_nobody_confirmed() {
    let (machine, _) = cut_off_and_reset();
    let after = machine.all();

    let (exit, said) = machine.run(&["apply", "--boot", "--dry-run"]);

    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("entry 0002 was not confirmed before this boot"), "{said}");
    assert_eq!(machine.all(), after);
}

#[test]
fn an_edited_file_of_what_nobody_confirmed_is_kept_and_the_boot_says_so() {
    let (machine, _) = cut_off_and_reset();
    put(&machine.root(), DROP_IN, "vm.mine = 1\n");

    let (exit, said) = machine.run(&["apply", "--boot"]);

    assert_eq!(exit, 61, "{said}");
    assert!(said.contains("barewire-tune rollback --to 0002 --force"), "{said}");
    assert_eq!(machine.text(DROP_IN), "vm.mine = 1\n");
    assert!(!machine.text("etc/default/irqbalance").contains("2-7"));
}

#[test]
fn where_systemd_runs_a_unit_of_its_own_undoes_it() {
    let (machine, before) = cut_off_and_reset();
    // A systemd-run that remembers what it was asked for, and does it.
    let timers = machine.dir.path().join("systemd-run");
    let asked = machine.dir.path().join("asked");
    let script = "while [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\"";
    let script = format!("#!/bin/sh\nprintf '%s\\n' \"$@\" > {}\n{script}\n", asked.display());
    fs::write(&timers, script).unwrap();
    fs::set_permissions(&timers, fs::Permissions::from_mode(0o755)).unwrap();
    let surroundings = Surroundings {
        program: Some(env!("CARGO_BIN_EXE_barewire-tune").into()),
        timers: Some(timers),
        ..Surroundings::default()
    };
    let root = machine.root();
    let words = ["barewire-tune", "apply", "--boot", "--json", "--root"].map(PathBuf::from);
    let (mut out, mut err) = (Vec::new(), Vec::new());

    let exit = commands::run(words.into_iter().chain([root]), &surroundings, &mut out, &mut err);

    assert_eq!(exit, tuner::Exit::Success);
    let answer: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(answer["entries"], serde_json::json!([3]), "{answer:#}");
    let said = String::from_utf8(err).unwrap();
    assert!(said.contains("undone: 0002"), "{said}");
    let asked = fs::read_to_string(asked).unwrap();
    for words in ["--unit=barewire-tune-rollback-2\n", "--wait\n", "--unless-confirmed\n"] {
        assert!(asked.contains(words), "{words}: {asked}");
    }
    assert_eq!(without_id(machine.all()), without_id(before));
}
