//! What an operator gets wrong, and readers that go away: the exit code is the one of the table, and what is said names
//! what failed.

use std::io::{self, Write};

use tuner::{
    Exit,
    commands::{self, Surroundings},
};

use super::*;

/// A pipe whose reader has gone.
struct Unread;

impl Write for Unread {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

impl Machine {
    /// Runs it where standard output is this, and says what was said on standard error.
    fn run_into(&self, out: &mut dyn Write, words: &[&str]) -> (Exit, String) {
        let root = self.root();
        let args = [&["barewire-tune", "--root", root.to_str().unwrap()], words].concat();
        let mut err = Vec::new();
        let exit = commands::run(args, &Surroundings::default(), out, &mut err);
        (exit, String::from_utf8(err).unwrap())
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure_and_no_approval() {
    let machine = Machine::new();
    for words in [
        &["facts"][..],
        &["analyze"],
        &["analyze", "--json"],
        &["analyze", "--format", "sarif"],
        &["plan", "--format", "json"],
        &["gate"],
        &["gate", "--json"],
        &["verify", "--json"],
        &["history", "--json"],
        &["schema"],
        &["--help"],
    ] {
        let mut heard = Vec::new();
        let (expected, said) = machine.run_into(&mut heard, words);
        assert!(!heard.is_empty(), "{words:?}: {said}");

        let unread = machine.run_into(&mut Unread, words);

        assert_eq!(unread, (expected, said), "{words:?}");
        let is_gate = words[0] == "gate";
        assert_eq!(is_gate, expected != Exit::Success, "{words:?}: {expected:?}");
    }
}

#[test]
fn what_is_applied_ends_with_its_own_code_though_nobody_reads_it() {
    let machine = Machine::new();
    let mut wrong = steps();
    wrong.push(kernel("sys/no/such/file", "1", Form::Number));
    let plan = machine.plan.to_str().unwrap();
    for json in [&[][..], &["--json"]] {
        machine.plan(steps());
        let (exit, said) =
            machine.run_into(&mut Unread, &[&["apply", "--plan", plan], json].concat());
        assert_eq!(exit, Exit::Success, "{said}");
        assert_eq!(machine.text(SWAPPINESS), "10\n");
        let (exit, said) = machine.run_into(&mut Unread, &[&["rollback"], json].concat());
        assert_eq!(exit, Exit::Success, "{said}");
        assert_eq!(machine.text(SWAPPINESS), "60\n");

        machine.plan(wrong.clone());
        let (exit, said) =
            machine.run_into(&mut Unread, &[&["apply", "--plan", plan], json].concat());
        assert_eq!(exit, Exit::Refused, "{said}");
    }
}

#[test]
fn watching_ends_with_its_reader() {
    let machine = Machine::new();
    let last = machine.dir.path().join("watch.json");
    let words = ["watch", "--last", last.to_str().unwrap()];
    let mut out = Vec::new();
    assert_eq!(machine.run_into(&mut out, &words), (Exit::Success, String::new()));
    assert_eq!(out, b"", "the first look only remembers");
    put(&machine.root(), "sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n");

    // It would look again in a day.
    let (exit, said) =
        machine.run_into(&mut Unread, &[&words[..], &["--interval", "1440m"]].concat());

    assert_eq!((exit, said.as_str()), (Exit::Success, ""));
}

#[test]
fn a_full_disk_is_a_failure() {
    let machine = Machine::new();
    for words in [["analyze", "--json"], ["plan", "--format=sh"]] {
        let mut full = fs::File::options().write(true).open("/dev/full").unwrap();
        let (exit, said) = machine.run_into(&mut full, &words);
        assert_eq!(exit, Exit::Internal, "{said}");
        assert_eq!(said, "error: cannot write the output: No space left on device (os error 28)\n");
    }
}

#[test]
fn bytes_of_a_file_do_not_steer_the_terminal() {
    let machine = Machine::new();
    let archive = machine.dir.path().join("x.tar");
    // Where an archive has its check sum; what is wrong with it is quoted.
    fs::write(&archive, "\x1b]0;title\x07\x1b[2J\u{9b}31m".repeat(100)).unwrap();

    let output = Command::new(env!("CARGO_BIN_EXE_barewire-tune"))
        .args(["analyze", "--snapshot"])
        .arg(&archive)
        .output()
        .unwrap();

    let said = said(&output);
    assert_eq!(output.status.code(), Some(64), "{said}");
    assert!(said.contains("x.tar"), "{said}");
    assert!(!said.trim_end().contains(|c: char| c.is_control()), "{said:?}");
}

#[test]
fn a_file_that_is_not_there_is_not_a_wrong_plan() {
    let machine = Machine::new();
    fs::write(machine.dir.path().join("binary"), b"\xff\xfe").unwrap();
    fs::write(machine.dir.path().join("other"), "{}").unwrap();
    for (name, expected) in [
        ("absent", "absent: No such file or directory"),
        ("root", "root: Is a directory"),
        ("binary", "binary is not a plan: it is not text; barewire-tune plan --format json"),
        ("other", "other is not a plan: missing field"),
    ] {
        let plan = machine.dir.path().join(name);
        let (exit, said) = machine.run(&["apply", "--plan", plan.to_str().unwrap()]);
        assert_eq!(exit, 64, "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let absent = machine.dir.path().join("absent");
    let output = Command::new(env!("CARGO_BIN_EXE_barewire-tune"))
        .args(["apply", "--root"])
        .arg(&absent)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    assert_eq!(said(&output).matches("cannot open").count(), 1, "{output:?}");
}

#[test]
fn times_that_make_no_sense_are_refused() {
    let machine = Machine::new();
    for words in [
        ["measure", "--over=1ns"],
        ["measure", "--over=0s"],
        ["watch", "--interval=0s"],
        ["watch", "--interval=1ms"],
        ["analyze", "--measure=1441m"],
    ] {
        let (exit, said) = machine.run(&words);
        assert_eq!(exit, 64, "{said}");
        assert!(said.contains("not between 1s and 1440m"), "{said}");
    }
}

#[test]
fn a_folder_that_can_not_be_had_is_known_before_anything_is_measured() {
    let machine = Machine::new();
    let output = Command::new(env!("CARGO_BIN_EXE_barewire-tune"))
        .args(["measure", "--without-config", "--cpus=0", "--out"])
        .arg(&machine.plan)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64), "{output:?}");
    let plan = machine.plan.display();
    let expected = format!("error: cannot keep anything in {plan}: File exists (os error 17)\n");
    assert_eq!(said(&output), expected);
}
