//! The Ansible role, run by ansible-core against machines made of files.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

use tempfile::TempDir;

use crate::{
    commands, examples,
    machine::{self, Recorder, put, said, tree},
    skip,
};

/// The release that the role is tested with.
const ANSIBLE: &str = "ansible-core==2.19.14";

/// A Python that has Ansible: one next to the build, made when it is not there.
static PYTHON: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(ANSIBLE.replace("==", "-"));
    let python = home.join("bin/python3");
    if python.is_file() {
        return Ok(python);
    }
    // Tests run side by side: each makes its own, and the first that is done moves it to its place.
    let own = tempfile::Builder::new()
        .prefix("ansible-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .map_err(|error| error.to_string())?;
    let venv = own.path().join("venv");
    run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    run(Command::new(venv.join("bin/python3"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(["--timeout", "15", "--retries", "1", ANSIBLE]))?;
    match fs::rename(&venv, &home) {
        Err(error) if !python.is_file() => Err(error.to_string()),
        Ok(()) | Err(_) => Ok(python),
    }
});

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() { Ok(()) } else { Err(said(&output)) }
}

/// Two machines, and a controller that is this machine.
struct Fleet {
    dir: TempDir,
    python: &'static Path,
    recorder: Recorder,
}

/// How a playbook ended on each machine that it came to.
struct Played {
    said: String,
    one: Option<Recap>,
    two: Option<Recap>,
}

/// How many tasks changed something on a machine, and how many failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Recap {
    changed: u32,
    failed: u32,
}

impl Recap {
    /// Something was changed, and nothing failed.
    fn is_changed(self) -> bool {
        self.changed > 0 && self.failed == 0
    }
}

/// Where the other machine would show nothing new: a play takes its time.
const ONE: &[&str] = &["--limit", "one"];

impl Fleet {
    /// None, loudly, where Ansible can not be had.
    fn new(as_if_it_cut_off: bool) -> Option<Self> {
        let python = match &*PYTHON {
            Ok(python) => python,
            Err(why) => {
                let why = why.lines().last().unwrap_or_default();
                skip(&format!("needs Ansible (`pip install {ANSIBLE}`): {why}"));
                return None;
            }
        };
        let dir = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            machine::virtual_machine(&dir.path().join(name));
        }
        fs::create_dir(dir.path().join("bin")).unwrap();
        let recorder = Recorder::at(&dir.path().join("bin/program"), as_if_it_cut_off);
        let fleet = Self { dir, python, recorder };
        put(fleet.dir.path(), "inventory.yml", &fleet.inventory());
        Some(fleet)
    }

    fn inventory(&self) -> String {
        let dir = self.dir.path().display();
        format!(
            r#"
bypass:
  vars:
    ansible_connection: local
    ansible_become: false
    ansible_python_interpreter: "{{{{ ansible_playbook_python }}}}"
    barewire_tune_root: "{dir}/{{{{ inventory_hostname }}}}"
    barewire_tune_binary: "{dir}/bin/program"
    barewire_tune_program: "{dir}/{{{{ inventory_hostname }}}}/barewire-tune"
    barewire_tune_controller_program: "{program}"
    barewire_tune_captures: "{dir}/captures"
    barewire_tune_packages: []
    barewire_tune_reboot: false
    # A folder is no machine: most checks can not be answered there.
    barewire_tune_gate_checks: [MEM-14]
    huge: none
    north: vdev:net_ring0
    south: vdev:net_ring1
  hosts:
    one:
    two:
"#,
            program = machine::PROGRAM,
        )
    }

    fn root(&self, machine: &str) -> PathBuf {
        self.dir.path().join(machine)
    }

    /// Runs a playbook.
    fn play(&self, playbook: &str, more: &[&str]) -> Played {
        fs::create_dir_all(self.dir.path().join("captures")).unwrap();
        let output = Command::new(self.python)
            .args(["-m", "ansible", "playbook", "--inventory"])
            .arg(self.dir.path().join("inventory.yml"))
            .args(more)
            .arg(examples().join("ansible").join(playbook))
            .current_dir(examples().join("ansible"))
            .env("ANSIBLE_LOCAL_TEMP", self.dir.path().join("local"))
            .env("ANSIBLE_REMOTE_TEMP", self.dir.path().join("remote"))
            .env("ANSIBLE_GATHERING", "explicit")
            .env("ANSIBLE_PIPELINING", "1")
            .env("ANSIBLE_NOCOLOR", "1")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("ANSIBLE_CONFIG")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = said(&output);
        assert!(!said.contains("[WARNING]") && !said.contains("DEPRECATION"), "{said}");
        Played { one: recap(&said, "one"), two: recap(&said, "two"), said }
    }

    /// What the role called the program with since the last time, all of which it takes.
    fn calls(&self) -> Vec<Vec<String>> {
        let calls = self.recorder.calls();
        for words in &calls {
            commands::is_taken(words, "the role");
        }
        calls
    }

    fn swappiness(&self, machine: &str) -> String {
        fs::read_to_string(self.root(machine).join("proc/sys/vm/swappiness")).unwrap()
    }
}

/// The line of one machine at the end.
fn recap(said: &str, machine: &str) -> Option<Recap> {
    let (_, recap) = said.rsplit_once("PLAY RECAP")?;
    let line = recap.lines().find(|line| line.starts_with(machine))?;
    let number = |name: &str| -> u32 {
        let word = line.split_whitespace().find_map(|word| word.strip_prefix(name));
        word.unwrap_or_else(|| panic!("no {name} in {line}")).parse().unwrap()
    };
    Some(Recap { changed: number("changed="), failed: number("failed=") + number("unreachable=") })
}

/// What a task first said of a machine.
fn of_task<'a>(said: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = said.split_once(&format!("TASK [barewire_tune : {name}] "))?;
    rest.lines().nth(1)
}

fn has(calls: &[Vec<String>], word: &str) -> usize {
    calls.iter().filter(|words| words.iter().any(|it| it == word)).count()
}

#[test]
fn the_role_plans_in_check_mode_then_changes_then_has_nothing_to_do_and_names_what_differs() {
    let Some(fleet) = Fleet::new(false) else { return };
    // What one machine has, and the other has not.
    put(&fleet.root("two"), "proc/sys/kernel/numa_balancing", "1\n");
    let before = tree(&fleet.root("one"));

    let checked = fleet.play("tune.yml", &["--limit", "one", "--check", "--diff"]);

    assert!(checked.one.is_some_and(Recap::is_changed), "{}", checked.said);
    let said = &checked.said;
    assert_eq!(of_task(said, "Plan"), Some("changed: [one]"), "{said}");
    assert!(said.contains("+++ /etc/sysctl.d/90-barewire.conf"), "the plan is shown: {said}");
    assert!(tree(&fleet.root("one")) == before, "{said}");

    let done = fleet.play("tune.yml", &[]);

    for recap in [done.one, done.two] {
        assert!(recap.is_some_and(Recap::is_changed), "{}", done.said);
    }
    for machine in ["one", "two"] {
        assert_eq!(fleet.swappiness(machine), "10\n", "{}", done.said);
        assert!(fleet.root(machine).join("etc/barewire/barewire.toml").is_file(), "{}", done.said);
        assert!(fleet.dir.path().join("captures").join(format!("{machine}.tar")).is_file());
    }
    let report = fs::read_to_string(fleet.dir.path().join("captures/differences.txt")).unwrap();
    assert!(report.contains("MEM-11"), "{report}");
    assert!(report.contains("one.tar: this kernel does not balance"), "{report}");
    assert!(!report.contains("MEM-14"), "both were tuned: {report}");

    let again = fleet.play("tune.yml", &[]);

    let nothing = Some(Recap { changed: 0, failed: 0 });
    assert_eq!((again.one, again.two), (nothing, nothing), "{}", again.said);
    let checked = fleet.play("tune.yml", &["--limit", "one", "--check"]);
    assert_eq!(checked.one, nothing, "nothing is planned any more: {}", checked.said);
    let calls = fleet.calls();
    for verb in ["plan", "apply", "verify", "gate", "facts"] {
        assert!(has(&calls, verb) > 0, "{verb}: {calls:?}");
    }
    assert_eq!(has(&calls, "--confirm-within"), 0, "{calls:?}");

    let undone = fleet.play("rollback.yml", ONE);

    assert!(undone.one.is_some_and(Recap::is_changed), "{}", undone.said);
    assert_eq!(fleet.swappiness("one"), "60\n", "{}", undone.said);
    assert_eq!(has(&fleet.calls(), "rollback"), 1);
}

#[test]
fn the_role_confirms_over_a_new_connection_what_may_cut_it_off() {
    let Some(fleet) = Fleet::new(true) else { return };

    let done = fleet.play("tune.yml", ONE);

    assert!(done.one.is_some_and(Recap::is_changed), "{}", done.said);
    let calls = fleet.calls();
    assert_eq!((has(&calls, "--confirm-within"), has(&calls, "confirm")), (1, 1), "{calls:?}");
    // What was confirmed does not wait, so it stays.
    let mut verify = Command::new(machine::PROGRAM);
    verify.arg("--root").arg(fleet.root("one")).args(["verify", "--json"]);
    let output = verify.output().unwrap();
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["unconfirmed"], serde_json::json!([]), "{}", said(&output));
    assert_eq!(answer["exit"], 0, "{}", said(&output));
}

#[test]
fn the_role_plans_again_what_somebody_changed_since_it_planned() {
    let Some(fleet) = Fleet::new(false) else { return };
    let (bin, knob) =
        (fleet.dir.path().join("bin"), fleet.root("one").join("proc/sys/vm/swappiness"));
    let calls = bin.join("applied");
    let text = format!(
        "#!/bin/sh\ncase \"$*\" in *' apply --plan '*)\n[ -e {calls} ] || echo 61 > {knob}\n\
         echo once >> {calls};;\nesac\nexec {program} \"$@\"\n",
        calls = calls.display(),
        knob = knob.display(),
        program = machine::PROGRAM,
    );
    machine::put_program(&bin, "program", &text);

    let done = fleet.play("tune.yml", ONE);

    assert!(done.one.is_some_and(Recap::is_changed), "{}", done.said);
    assert_eq!(fs::read_to_string(calls).unwrap(), "once\nonce\n", "{}", done.said);
    assert_eq!(fleet.swappiness("one"), "10\n", "{}", done.said);
}

#[test]
fn the_role_fails_where_the_gate_stays_closed_and_leaves_the_next_machine_alone() {
    let Some(fleet) = Fleet::new(false) else { return };
    let checks = r#"{"barewire_tune_gate_checks": ["MEM-14", "ISO-01"]}"#;

    let stopped = fleet.play("tune.yml", &["--extra-vars", checks]);

    assert_eq!(stopped.one.map(|recap| recap.failed), Some(1), "{}", stopped.said);
    assert!(stopped.said.contains("ISO-01   closes the gate"), "{}", stopped.said);
    assert_eq!(stopped.two, None, "{}", stopped.said);
    assert_eq!(fleet.swappiness("two"), "60\n");
}

#[test]
fn the_role_says_that_a_reboot_is_pending_until_there_was_one() {
    let Some(fleet) = Fleet::new(false) else { return };
    machine::grub(&fleet.root("one"));

    for why in ["the kernel arguments count after a reboot", "an earlier run waits for a reboot"] {
        let done = fleet.play("tune.yml", ONE);

        assert!(done.one.is_some_and(Recap::is_changed), "{}", done.said);
        assert!(done.said.contains(why), "{}", done.said);
        assert!(done.said.contains("kernel arguments wait for a reboot"), "{}", done.said);
    }
}
