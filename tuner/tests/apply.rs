//! `apply`, `verify`, `rollback`, `history` and `confirm` as an operator runs them, on the files of a machine.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tuner::{
    Fact, Profile, Risk,
    boot::{Arguments, MenuTool, grub},
    change::{Change, Form},
    commands::{self, Surroundings},
    plan::{Blast, Plan, Scope, Step},
};

const STATE: &str = "var/lib/barewire/tune";
const SWAPPINESS: &str = "proc/sys/vm/swappiness";
const DROP_IN: &str = "etc/sysctl.d/90-barewire.conf";

struct Machine {
    dir: TempDir,
    plan: PathBuf,
}

fn put(root: &Path, path: &str, text: &str) {
    let at = root.join(path);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(at, text).unwrap();
}

fn step(change: Change) -> Step {
    Step {
        checks: vec!["TEST-01".to_owned()],
        change,
        from: Fact::unknown("not looked at"),
        to: String::new(),
        scope: Scope::Both,
        risk: Risk::None,
        blast: Blast::Nothing,
        why: String::new(),
        sources: Vec::new(),
    }
}

fn kernel(path: &str, value: &str, form: Form) -> Step {
    step(Change::Kernel { path: path.to_owned(), value: value.to_owned(), form })
}

fn steps() -> Vec<Step> {
    vec![
        kernel(SWAPPINESS, "10", Form::Number),
        kernel("sys/kernel/mm/transparent_hugepage/enabled", "never", Form::Choice),
        step(Change::File { path: DROP_IN.to_owned(), content: "vm.swappiness = 10\n".to_owned() }),
        step(Change::Setting {
            path: "etc/default/irqbalance".to_owned(),
            key: "IRQBALANCE_BANNED_CPULIST".to_owned(),
            value: "2-7".to_owned(),
        }),
    ]
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        for (path, text) in [
            ("proc/sys/kernel/random/boot_id", "one\n"),
            ("proc/cmdline", "ro quiet\n"),
            (SWAPPINESS, "60\n"),
            ("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n"),
            ("etc/default/irqbalance", "# mine\nIRQBALANCE_BANNED_CPULIST=1\nA=b"),
        ] {
            put(&root, path, text);
        }
        fs::set_permissions(root.join("etc/default/irqbalance"), fs::Permissions::from_mode(0o640))
            .unwrap();
        fs::create_dir_all(root.join(STATE)).unwrap();
        fs::set_permissions(root.join(STATE), fs::Permissions::from_mode(0o700)).unwrap();
        let machine = Self { plan: dir.path().join("plan.json"), dir };
        machine.plan(steps());
        machine
    }

    fn plan(&self, steps: Vec<Step>) {
        let plan = Plan {
            profile: Profile::LowLatency,
            steps,
            left_out: Vec::new(),
            by_hand: Vec::new(),
            notes: Vec::new(),
        };
        fs::write(&self.plan, serde_json::to_vec(&plan).unwrap()).unwrap();
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barewire-tune"));
        command.arg("--root").arg(self.root()).args(words);
        command
    }

    fn run(&self, words: &[&str]) -> (i32, String) {
        let output = self.command(words).output().unwrap();
        (output.status.code().unwrap_or(-1), said(&output))
    }

    fn apply(&self, more: &[&str]) -> (i32, String) {
        let plan = self.plan.to_str().unwrap();
        self.run(&[&["apply", "--plan", plan], more].concat())
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }

    /// Every file but the journal's, with permissions.
    fn all(&self) -> BTreeMap<String, String> {
        fn walk(dir: &Path, root: &Path, into: &mut BTreeMap<String, String>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                if name == STATE {
                    continue;
                }
                let meta = path.symlink_metadata().unwrap();
                let mode = meta.permissions().mode();
                let text = match meta.is_dir() {
                    true => String::new(),
                    false => fs::read(&path).unwrap().escape_ascii().to_string(),
                };
                into.insert(name, format!("{mode:o} {text}"));
                if meta.is_dir() {
                    walk(&path, root, into);
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(&self.root(), &self.root(), &mut found);
        found
    }

    /// Until something of the machine is so.
    fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is_so(self) {
            assert!(Instant::now() < deadline, "{what}: {:#?}", self.all());
            std::thread::yield_now();
        }
    }
}

fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8(text).unwrap()
}

#[test]
fn what_is_applied_is_verified_told_and_undone() {
    let machine = Machine::new();
    let before = machine.all();

    let (exit, said) = machine.apply(&[]);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("set       /proc/sys/vm/swappiness: 60 -> 10"), "{said}");
    assert_eq!(machine.text(SWAPPINESS), "10\n");
    assert!(machine.text("etc/default/irqbalance").contains("IRQBALANCE_BANNED_CPULIST=1-7\n"));

    let (exit, said) = machine.run(&["verify"]);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("took      /proc/sys/vm/swappiness: 10"), "{said}");
    let (exit, said) = machine.run(&["history"]);
    assert_eq!(exit, 0);
    assert!(said.contains("0001  ") && said.contains("apply: applied; 4 steps"), "{said}");
    let (exit, said) = machine.run(&["history", "1"]);
    assert_eq!(exit, 0);
    assert!(said.contains("/proc/sys/vm/swappiness: 60 -> 10  [done]  TEST-01"), "{said}");

    let (exit, said) = machine.run(&["rollback"]);
    assert_eq!(exit, 0, "{said}");
    assert_eq!(machine.all(), before);
    let (exit, said) = machine.run(&["verify"]);
    assert_eq!((exit, said.trim()), (0, "nothing is applied"));
}

#[test]
fn applied_twice_nothing_is_written_and_no_entry_made() {
    let machine = Machine::new();
    machine.apply(&[]);
    let after = machine.all();

    let (exit, said) = machine.apply(&[]);

    assert_eq!(exit, 0);
    assert!(said.contains("nothing was written"), "{said}");
    assert_eq!(machine.all(), after);
    assert!(!machine.root().join(STATE).join("0002.json").exists());
}

#[test]
fn a_dry_run_tells_and_leaves_no_trace() {
    let machine = Machine::new();
    let before = machine.all();

    let (exit, said) = machine.apply(&["--dry-run"]);

    assert_eq!(exit, 0);
    assert!(said.contains("would set  /proc/sys/vm/swappiness: 60 -> 10"), "{said}");
    assert_eq!(machine.all(), before);
    assert_eq!(fs::read_dir(machine.root().join(STATE)).unwrap().count(), 0);
}

#[test]
fn json_says_how_it_ended_and_what_was_done() {
    let machine = Machine::new();

    let apply =
        machine.command(&["apply", "--json", "--plan"]).arg(&machine.plan).output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&apply.stdout).unwrap();
    assert_eq!((&answer["exit"], &answer["exit_reason"]), (&0.into(), &"done".into()));
    assert_eq!(answer["entries"][0], 1);
    assert_eq!(answer["events"][0]["event"], "done");
    assert_eq!(answer["events"][0]["to"], "10");

    put(&machine.root(), SWAPPINESS, "33\n");
    let verify = machine.command(&["verify", "--json"]).output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&verify.stdout).unwrap();
    assert_eq!(verify.status.code(), Some(20));
    assert_eq!(answer["exit"], 20);
    assert_eq!(answer["verified"][0]["standing"]["is"], "changed");
    assert_eq!(answer["verified"][0]["standing"]["now"], "33");
}

/// A machine that GRUB starts, with kernel arguments on trial, and booted with them.
fn on_trial(more: &[Step]) -> Machine {
    let machine = Machine::new();
    let menu = "menuentry 'Debian' --id 'debian' {\n\tlinux\t/boot/vmlinuz ro quiet\n}\n\
                source ${config_directory}/custom.cfg\n";
    let mut block = "# GRUB Environment Block\n".to_owned();
    block.extend(std::iter::repeat_n('#', 1024 - block.len()));
    for (path, text) in [
        ("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"),
        ("etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n"),
        ("boot/grub/grub.cfg", menu),
        ("boot/grub/grubenv", &block),
    ] {
        put(&machine.root(), path, text);
    }
    fs::create_dir_all(machine.root().join("etc/default/grub.d")).unwrap();
    let content = grub::drop_in(&Arguments::from_line("nohz_full=2-3"), false);
    let file = step(Change::File { path: grub::DROP_IN.to_owned(), content });
    machine.plan([&[file], more].concat());
    let (exit, said) = machine.apply(&[]);
    assert_eq!(exit, 40, "{said}");
    put(&machine.root(), "proc/sys/kernel/random/boot_id", "two\n");
    put(&machine.root(), "proc/cmdline", "ro quiet nohz_full=2-3\n");
    machine
}

#[test]
fn what_came_up_is_made_lasting_and_told_in_one_json_document() {
    let machine = on_trial(&[]);

    let verify = machine.command(&["verify", "--boot", "--json"]).output().unwrap();

    // Nothing but one document, or this is an error.
    let answer: serde_json::Value = serde_json::from_slice(&verify.stdout).unwrap();
    assert_eq!(answer["made_lasting"], 2, "{answer:#}");
    assert_eq!(answer["events"][0]["event"], "done", "{answer:#}");
    assert!(answer["verified"].as_array().is_some_and(|all| !all.is_empty()), "{answer:#}");
    assert!(machine.text(grub::DROP_IN).contains("nohz_full=2-3"));
    let verify = machine.command(&["verify", "--boot", "--json"]).output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&verify.stdout).unwrap();
    assert_eq!(answer["made_lasting"], serde_json::Value::Null, "once is enough");
}

#[test]
fn what_can_not_be_made_lasting_is_undone_as_a_whole_and_says_so() {
    // Below a directory nobody hears update-grub.
    let machine = on_trial(&[step(Change::BootMenu { tool: MenuTool::UpdateGrub })]);
    let before = machine.all();

    let verify = machine.command(&["verify", "--boot", "--json"]).output().unwrap();

    let text = said(&verify);
    assert_eq!(verify.status.code(), Some(60), "{text}");
    let answer: serde_json::Value = serde_json::from_slice(&verify.stdout).unwrap();
    assert_eq!((&answer["exit"], &answer["made_lasting"]), (&60.into(), &serde_json::Value::Null));
    assert!(text.contains("update-grub needs the machine itself"), "{text}");
    assert_eq!(machine.all(), before);
    let (exit, said) = machine.run(&["rollback"]);
    assert_eq!(exit, 0, "{said}");
    assert!(!machine.root().join("boot/grub/custom.cfg").exists());
}

#[test]
fn rollback_to_an_entry_undoes_it_and_every_later_one() {
    let machine = Machine::new();
    machine.plan(vec![kernel(SWAPPINESS, "10", Form::Number)]);
    machine.apply(&[]);
    let first = machine.all();
    for value in ["20", "30"] {
        machine.plan(vec![kernel(SWAPPINESS, value, Form::Number)]);
        machine.apply(&[]);
    }

    let (exit, said) = machine.run(&["rollback", "--to", "2"]);

    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("undone: 0003, 0002"), "{said}");
    assert_eq!(machine.all(), first);
    assert_eq!(machine.run(&["rollback", "--to", "9"]).0, 64);
}

#[test]
fn an_edited_file_of_ours_is_kept_and_its_difference_shown() {
    let machine = Machine::new();
    let before = machine.all();
    machine.apply(&[]);
    put(&machine.root(), DROP_IN, "vm.swappiness = 10\nvm.mine = 1\n");

    let (exit, said) = machine.run(&["rollback"]);

    assert_eq!(exit, 61);
    assert!(said.contains("+vm.mine = 1"), "{said}");
    assert!(machine.text(DROP_IN).contains("vm.mine"));
    let (exit, said) = machine.run(&["rollback", "--force"]);
    assert_eq!(exit, 0, "{said}");
    assert_eq!(machine.all(), before);
}

#[test]
fn a_plan_that_can_not_be_carried_out_changes_nothing() {
    let machine = Machine::new();
    let before = machine.all();
    let mut all = steps();
    all.push(kernel("sys/no/such/file", "1", Form::Number));
    machine.plan(all);

    let (exit, said) = machine.apply(&[]);

    assert_eq!(exit, 50);
    assert!(said.contains("there is no /sys/no/such/file"), "{said}");
    assert_eq!(machine.all(), before);
    fs::write(&machine.plan, "{\"profile\":").unwrap();
    assert_eq!(machine.apply(&[]).0, 64);
}

#[test]
fn another_tuner_is_named_and_refused_unless_adopted() {
    let machine = Machine::new();
    put(&machine.root(), "proc/7/cgroup", "0::/system.slice/tuned.service\n");

    let (exit, said) = machine.apply(&[]);
    assert_eq!(exit, 50);
    assert!(said.contains("tuned.service (process 7) tunes this machine"), "{said}");
    assert_eq!(machine.text(SWAPPINESS), "60\n");

    assert_eq!(machine.apply(&["--adopt"]).0, 0);
    assert_eq!(machine.text(SWAPPINESS), "10\n");
}

#[test]
fn what_may_cut_the_operator_off_needs_a_way_back() {
    let machine = Machine::new();
    let mut all = steps();
    all[0].blast = Blast::Management;
    machine.plan(all);

    let (exit, said) = machine.apply(&[]);

    assert_eq!(exit, 50);
    assert!(said.contains("vm/swappiness may cut you off"), "{said}");
    assert_eq!(machine.apply(&["--without-confirmation"]).0, 0);
}

#[test]
fn a_damaged_journal_is_named_and_the_pristine_store_still_leads_back() {
    let whole = {
        let machine = Machine::new();
        machine.apply(&[]);
        fs::read(machine.root().join(STATE).join("0001.json")).unwrap()
    };
    let hostile: Vec<Vec<u8>> = vec![
        Vec::new(),
        whole[..whole.len() / 2].to_vec(),
        b"\0\xff\xfe".to_vec(),
        b"{\"version\": 1}".to_vec(),
        b"{\"version\": 99}".to_vec(),
        b"[".repeat(100_000),
        String::from_utf8(whole.clone()).unwrap().replace("\"number\": 1", "\"number\": 7").into(),
    ];
    for text in hostile {
        let machine = Machine::new();
        let before = machine.all();
        machine.apply(&[]);
        let entry = machine.root().join(STATE).join("0001.json");
        fs::write(&entry, &text).unwrap();
        let after = machine.all();

        for (words, expected) in
            [(vec!["rollback"], 61), (vec!["verify"], 30), (vec!["history"], 30)]
        {
            let (exit, said) = machine.run(&words);
            assert_eq!(exit, expected, "{words:?}: {said}");
            assert!(said.contains("0001.json"), "{said}");
        }
        assert_eq!(machine.apply(&[]).0, 50);
        assert_eq!(machine.all(), after);
        assert_eq!(fs::read(&entry).unwrap(), text, "nothing is lost");

        let (exit, said) = machine.run(&["rollback", "--pristine"]);
        assert_eq!(exit, 61, "{said}");
        assert_eq!(machine.text(SWAPPINESS), "60\n");
        // Whether a file is still ours, only the entry could tell.
        let (exit, said) = machine.run(&["rollback", "--pristine", "--force"]);
        assert_eq!(exit, 61, "the damage stays: {said}");
        assert_eq!(machine.all(), before);
    }
}

#[test]
fn a_journal_that_others_may_write_is_not_trusted() {
    let machine = Machine::new();
    machine.apply(&[]);
    let state = machine.root().join(STATE);
    fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();

    let (exit, said) = machine.run(&["rollback"]);

    assert_eq!(exit, 50);
    assert!(said.contains("may be written by others"), "{said}");
    assert_eq!(machine.text(SWAPPINESS), "10\n");
}

#[test]
fn after_a_reboot_verify_says_what_lapsed_and_apply_boot_sets_it_again() {
    let machine = Machine::new();
    machine.apply(&[]);
    put(&machine.root(), "proc/sys/kernel/random/boot_id", "two\n");
    put(&machine.root(), SWAPPINESS, "60\n");

    let (exit, said) = machine.run(&["verify"]);
    assert_eq!(exit, 20);
    assert!(said.contains("LAPSED    /proc/sys/vm/swappiness"), "{said}");

    let (exit, said) = machine.run(&["apply", "--boot"]);
    assert_eq!(exit, 0, "{said}");
    assert_eq!(machine.text(SWAPPINESS), "10\n");
    assert_eq!(machine.run(&["verify"]).0, 0);
    // What earlier boots set again is forgotten with them.
    put(&machine.root(), "proc/sys/kernel/random/boot_id", "three\n");
    put(&machine.root(), SWAPPINESS, "60\n");
    assert_eq!(machine.run(&["apply", "--boot"]).0, 0);
    assert!(!machine.root().join(STATE).join("0002.json").exists());

    let (exit, said) = machine.run(&["rollback"]);
    assert_eq!(exit, 0, "{said}");
    assert_eq!(machine.text(SWAPPINESS), "60\n");
    assert!(!machine.root().join("etc/sysctl.d").exists());
}

#[test]
fn killed_before_every_system_call_that_changes_something_it_rolls_back() {
    const CALLS: &str = "write,renameat,renameat2,unlinkat,mkdirat,fsync,fchmod,fchown";

    let probe = Command::new("strace").args(["-f", "-e", "trace=none", "true"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "SKIPPED: killed_before_every_system_call_that_changes_something_it_rolls_back: \
             strace can not trace here"
        );
        return;
    }
    let mut deaths = 0;
    for call in CALLS.split(',') {
        for nth in 1.. {
            let machine = Machine::new();
            let before = machine.all();
            let output = Command::new("strace")
                .args(["-f", "-qq", "-o", "/dev/null"])
                .args(["-e", &format!("trace={call}")])
                .args(["-e", &format!("inject={call}:signal=SIGKILL:when={nth}")])
                .arg(env!("CARGO_BIN_EXE_barewire-tune"))
                .args(["apply", "--plan"])
                .arg(&machine.plan)
                .arg("--root")
                .arg(machine.root())
                .output()
                .unwrap();

            let (exit, said) = machine.run(&["rollback"]);

            assert_eq!(exit, 0, "{call} {nth}: {said}");
            assert_eq!(machine.all(), before, "{call} {nth}");
            if output.status.success() {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths > 60, "only {deaths} deaths");
}

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
