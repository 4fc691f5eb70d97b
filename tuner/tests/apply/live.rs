//! What a virtual machine has of knobs, turned and turned back on the machine that the tests run on. As root only; the
//! values that were there are put back whatever happens.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command},
};

use tempfile::TempDir;
use tuner::{
    change::{Change, EthtoolSetting, Form},
    plan::Step,
};

use super::{plan_of, step};

const BINARY: &str = env!("CARGO_BIN_EXE_barewire-tune");

/// A plan and a journal of their own, in a directory that goes away.
fn prepared(steps: Vec<Step>) -> (TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (file, state) = (dir.path().join("plan.json"), dir.path().join("state"));
    fs::write(&file, serde_json::to_vec(&plan_of(steps)).unwrap()).unwrap();
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    (dir, file, state)
}

/// Puts values back and ends a process, even when a test fails.
struct Restore {
    before: BTreeMap<String, String>,
    process: Child,
}

impl Drop for Restore {
    fn drop(&mut self) {
        for (path, text) in &self.before {
            // A failed test says what is wrong; here is only put back what can be.
            let _ = fs::write(path, text);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn is_root(test: &str) -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        eprintln!("SKIPPED: {test}: only root can turn the knobs of this machine");
    }
    is_root
}

fn allowed(pid: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find(|line| line.starts_with("Cpus_allowed_list")).unwrap().to_owned()
}

#[test]
fn knobs_of_this_machine_are_turned_and_turned_back() {
    if !is_root("knobs_of_this_machine_are_turned_and_turned_back") {
        return;
    }
    // Each with a value that is not the one that is there.
    let number = |now: &str| (now.trim().parse::<u64>().unwrap() ^ 1).to_string();
    let choice = |now: &str| if now.contains("[never]") { "madvise" } else { "never" }.to_owned();
    let mask = |now: &str| if now.trim() == "1" { "3" } else { "1" }.to_owned();
    type Other<'a> = &'a dyn Fn(&str) -> String;
    let list = |now: &str| if now.trim() == "0" { "0-1" } else { "0" }.to_owned();
    let knobs: [(&str, Form, Other<'_>); 10] = [
        ("proc/sys/vm/swappiness", Form::Number, &number),
        ("proc/sys/vm/stat_interval", Form::Number, &number),
        ("sys/kernel/mm/transparent_hugepage/enabled", Form::Choice, &choice),
        ("sys/kernel/mm/transparent_hugepage/defrag", Form::Choice, &choice),
        ("sys/kernel/mm/transparent_hugepage/khugepaged/defrag", Form::Number, &number),
        ("sys/devices/virtual/workqueue/cpumask", Form::CpuMask, &mask),
        ("proc/irq/default_smp_affinity", Form::CpuMask, &mask),
        ("proc/sys/kernel/watchdog_cpumask", Form::CpuList, &list),
        ("proc/sys/kernel/timer_migration", Form::Number, &number),
        ("proc/sys/vm/compaction_proactiveness", Form::Number, &number),
    ];
    let sleeper = Command::new("sleep").arg("600").spawn().unwrap();
    let pid = sleeper.id();
    let mut before = BTreeMap::new();
    let mut back = BTreeMap::new();
    let mut steps = Vec::new();
    for (path, form, other) in knobs {
        let at = format!("/{path}");
        if !Path::new(&at).exists() {
            eprintln!("SKIPPED: {at}: this kernel does not have it");
            continue;
        }
        let now = fs::read_to_string(&at).unwrap();
        let value = other(&now);
        back.insert(at.clone(), form.canonical(&now).unwrap());
        before.insert(at, now);
        steps.push(step(Change::Kernel { path: path.to_owned(), value, form }));
    }
    let affinity = allowed(pid);
    steps.push(step(Change::Affinity {
        thread: pid,
        name: "sleep".to_owned(),
        cpus: "0".parse().unwrap(),
    }));
    let _restore = Restore { before: back, process: sleeper };
    let (_dir, plan, state) = prepared(steps);
    let run = |words: &[&str]| {
        let output = Command::new(BINARY).args(words).arg("--state").arg(&state).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let now = || -> BTreeMap<String, String> {
        before.keys().map(|at| (at.clone(), fs::read_to_string(at).unwrap())).collect()
    };

    let all_before = everything(&state, "before");

    let (exit, said) = run(&["apply", "--adopt", "--plan", plan.to_str().unwrap()]);

    assert_eq!(exit, Some(0), "{said}");
    let during = different(&all_before, &everything(&state, "during"));
    let is_knob = |line: &&String| {
        let name = line.split(": ").next().unwrap_or_default();
        before.contains_key(&format!("/{name}"))
    };
    let others: Vec<&String> = during.iter().filter(|line| !is_knob(line)).collect();
    assert!(!during.is_empty() && others.is_empty(), "others than the knobs: {others:#?}");
    for (path, text) in now() {
        assert_ne!(text, before[&path], "{path} was not turned");
    }
    assert_eq!(allowed(pid), "Cpus_allowed_list:\t0");
    let (exit, said) = run(&["verify"]);
    assert_eq!(exit, Some(0), "{said}");

    let (exit, said) = run(&["rollback"]);

    assert_eq!(exit, Some(0), "{said}");
    assert_eq!(now(), before);
    assert_eq!(allowed(pid), affinity);
    let after = different(&all_before, &everything(&state, "after"));
    assert!(after.is_empty(), "{after:#?}");
}

/// What a capture has that is not the same twice, whoever looks: a part of a path, and why.
const VOLATILE: [(&str, &str); 10] = [
    ("proc/self", "it is about the program that captures"),
    ("proc/stat", "time goes on"),
    ("proc/loadavg", "the same"),
    ("meminfo", "memory is used and given back"),
    ("free_hugepages", "other programs take pages and give them back"),
    ("resv_hugepages", "the same"),
    ("barewire/asked/route/", "interfaces and namespaces come and go with other tests"),
    ("barewire/asked/perf/", "it is about threads and their open files"),
    ("barewire/asked/memory/daemons", "the same"),
    ("barewire/capture.json", "it names what could not be read, of threads too"),
];

/// Everything that the tuner reads of this machine: a capture's files, without those that are volatile, threads, and
/// interfaces that have no device, for they come and go with other tests.
fn everything(state: &Path, name: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = state.parent().unwrap().join(name);
    let output = Command::new(BINARY).args(["facts", "--capture"]).arg(&folder).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let is_thread = |path: &str| {
        let rest = path.strip_prefix("proc/").unwrap_or_default();
        rest.starts_with(|c: char| c.is_ascii_digit())
    };
    let interfaces = fs::read_dir("/sys/class/net").unwrap().map(|entry| entry.unwrap().path());
    let virtual_ones: Vec<String> = interfaces
        .filter(|path| !path.join("device").exists())
        .map(|path| format!("/{}", path.file_name().unwrap().to_str().unwrap()))
        .collect();
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.clone()];
    while let Some(dir) = folders.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
            let is_volatile = is_thread(&name)
                || VOLATILE.iter().any(|(part, _)| name.contains(part))
                || virtual_ones.iter().any(|interface| {
                    name.strip_suffix(".json").unwrap_or(&name).ends_with(interface.as_str())
                        || name.contains(&format!("{interface}/"))
                });
            if kind.is_dir() {
                folders.push(path);
            } else if !is_volatile {
                let what = match kind.is_symlink() {
                    true => fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes(),
                    false => fs::read(&path).unwrap(),
                };
                files.insert(name, what);
            }
        }
    }
    assert!(files.len() > 100, "only {} files", files.len());
    files
}

/// The files that are not the same.
fn different(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let text = |bytes: Option<&Vec<u8>>| bytes.map(|b| String::from_utf8_lossy(b).into_owned());
    let names: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    let differ = names.into_iter().filter(|name| one.get(*name) != other.get(*name));
    differ.map(|n| format!("{n}: {:?} and {:?}", text(one.get(n)), text(other.get(n)))).collect()
}

#[test]
fn an_interface_and_its_sysctls_are_set_and_set_back_in_a_namespace_of_their_own() {
    if !is_root("an_interface_and_its_sysctls_are_set_and_set_back_in_a_namespace_of_their_own") {
        return;
    }
    let steps = vec![
        step(Change::Kernel {
            path: "proc/sys/net/ipv4/ip_default_ttl".to_owned(),
            value: "63".to_owned(),
            form: Form::Number,
        }),
        step(Change::Ethtool {
            interface: "v0".to_owned(),
            setting: EthtoolSetting::Features(BTreeMap::from([
                ("gro".to_owned(), true),
                ("tso".to_owned(), false),
            ])),
        }),
    ];
    let (_dir, plan, state) = prepared(steps);
    let script = r#"
        ip link add v0 type veth peer name v1 || exit 99
        look() { cat /proc/sys/net/ipv4/ip_default_ttl; ethtool -k v0; }
        look > "$STATE/../before"
        "$TUNE" apply --adopt --plan "$PLAN" --state "$STATE" || exit 1
        look > "$STATE/../during"
        "$TUNE" verify --state "$STATE" || exit 2
        "$TUNE" rollback --state "$STATE" || exit 3
        look > "$STATE/../after"
    "#;
    let output = Command::new("unshare")
        .args(["-n", "sh", "-c", script])
        .env("TUNE", BINARY)
        .env("PLAN", &plan)
        .env("STATE", &state)
        .output()
        .unwrap();
    if output.status.code() == Some(99) {
        eprintln!("SKIPPED: an_interface_and_its_sysctls_…: no namespace with a veth can be made");
        return;
    }
    assert!(output.status.success(), "{output:?}");
    let text = |name: &str| fs::read_to_string(state.parent().unwrap().join(name)).unwrap();
    assert!(text("during").starts_with("63\n"), "{}", text("during"));
    assert!(text("during").contains("tcp-segmentation-offload: off"), "{}", text("during"));
    assert!(text("during").contains("generic-receive-offload: on"), "{}", text("during"));
    assert_ne!(text("during"), text("before"));
    assert_eq!(text("after"), text("before"));
}

/// What the program says to `analyze --json`, run by this program with these words in front.
fn analyzed(before: &[&str]) -> Option<tuner::report::Report> {
    let words: Vec<&str> = [before, &[BINARY, "analyze", "--json"]].concat();
    let output = Command::new(words[0]).args(&words[1..]).output().ok()?;
    if !output.status.success() && output.stdout.is_empty() && words[0] != BINARY {
        // The one in front can not do it here; what it says is shown with the skip.
        eprintln!("{}: {}", words[0], String::from_utf8_lossy(&output.stderr).trim_end());
        return None;
    }
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn nobody_may_look_and_what_is_hidden_is_unknown() {
    const NAME: &str = "nobody_may_look_and_what_is_hidden_is_unknown";
    if !is_root(NAME) {
        return;
    }
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let Some(report) = analyzed(&nobody) else {
        eprintln!("SKIPPED: {NAME}: nobody can not run the program here");
        return;
    };

    let all = analyzed(&[]).unwrap();
    assert_eq!(report.findings.len(), all.findings.len());
    // Whose files a process has open is for its owner and root: what they are used for can not be known.
    let of = |report: &tuner::report::Report, id: &str| {
        report.findings.iter().find(|finding| finding.id == id).unwrap().verdict
    };
    assert_eq!(of(&report, "PERF-01"), tuner::Verdict::Unknown);
    assert_ne!(of(&all, "PERF-01"), tuner::Verdict::Unknown);
}

#[test]
fn a_machine_without_a_network_is_looked_at_like_any_other() {
    const NAME: &str = "a_machine_without_a_network_is_looked_at_like_any_other";
    if !is_root(NAME) {
        return;
    }
    // What /sys shows of interfaces is of the namespace that it was mounted in.
    let script = r#"mount -t sysfs none /sys && exec "$0" "$@""#;
    let Some(report) = analyzed(&["unshare", "-n", "-m", "sh", "-c", script]) else {
        eprintln!("SKIPPED: {NAME}: no namespace can be made here");
        return;
    };
    assert!(report.findings.len() >= 140, "{}", report.findings.len());
    let unknown = report.findings.iter().filter(|f| f.verdict == tuner::Verdict::Unknown);
    let about_nics: Vec<_> = unknown.filter(|f| f.section == tuner::Section::Nics).collect();
    assert!(about_nics.is_empty(), "{about_nics:#?}");
}
