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
