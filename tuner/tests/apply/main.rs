//! `apply`, `verify`, `rollback`, `history` and `confirm` as an operator runs them, on the files of a machine.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod boot;
mod confirm;
mod damage;
mod dry_run;
mod live;
mod mistakes;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tuner::{
    Fact, Profile, Risk,
    change::{Change, Form},
    plan::{Blast, Plan, Scope, Step},
};

const STATE: &str = "var/lib/barewire/tune";
const BOOT_ID: &str = "proc/sys/kernel/random/boot_id";
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

fn plan_of(steps: Vec<Step>) -> Plan {
    Plan {
        profile: Profile::LowLatency,
        steps,
        left_out: Vec::new(),
        by_hand: Vec::new(),
        notes: Vec::new(),
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
            (BOOT_ID, "one\n"),
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
        fs::write(&self.plan, serde_json::to_vec(&plan_of(steps)).unwrap()).unwrap();
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

    // That was decided for later boots, too.
    put(&machine.root(), BOOT_ID, "two\n");
    put(&machine.root(), SWAPPINESS, "60\n");
    let (exit, said) = machine.run(&["apply", "--boot"]);
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("warning: tuned.service (process 7) tunes this machine"), "{said}");
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
