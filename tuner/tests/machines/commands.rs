//! Every command that is printed for a machine is run by `sh` on a copy of the machine, and does what it says.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output},
};

use tuner::{
    Fact, Facts,
    change::{Change, shell_all},
};

use crate::fixture::{self, Fixture};

/// Programs that a file can not stand for: each writes down how it was called.
const PROGRAMS: [&str; 7] =
    ["ethtool", "grubby", "modprobe", "systemctl", "update-grub", "grub2-mkconfig", "taskset"];

/// What `taskset -pc CPUS PID` does to the files of a thread.
const TASKSET: &str = "sed -i \"s/^Cpus_allowed_list:.*/Cpus_allowed_list:\\t$2/\" \
                       \"$ROOT/proc/$3/status\" \"$ROOT\"/proc/*/task/\"$3\"/status";

/// What `grubby --info=ALL` says.
const GRUBBY: &str = "if [ \"$*\" = --info=ALL ]; then printf 'index=%s\\nkernel=\"/boot/vmlinuz-%s\"\\nargs=\"ro\"\\n' \
                      0 6.12 1 0-rescue-4f1e; fi";

pub(crate) fn run(machine: &Fixture, lines: &[String]) -> Output {
    let bin = machine.beside("bin");
    if !bin.exists() {
        fs::create_dir(&bin).unwrap();
        for name in PROGRAMS {
            // Only Red Hat's family has grubby.
            if name == "grubby" && !machine.root().join("boot/loader/entries").exists() {
                continue;
            }
            let effect = match name {
                "taskset" => TASKSET,
                "grubby" => GRUBBY,
                _ => "",
            };
            let text = format!("#!/bin/sh\nprintf '%s\\n' \"{name} $*\" >> \"$CALLS\"\n{effect}\n");
            fs::write(bin.join(name), text).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
    // Not this machine's own programs: it may have a grubby.
    let path = format!("{}:/usr/bin:/bin", bin.display());
    Command::new("sh")
        .arg("-c")
        .arg(format!("set -eu\n{}", lines.join("\n")))
        .current_dir(machine.root().parent().unwrap())
        .env("PATH", path)
        .env("ROOT", machine.root())
        .env("CALLS", machine.beside("calls"))
        .output()
        .unwrap()
}

fn calls(machine: &Fixture) -> String {
    let calls = fs::read_to_string(machine.beside("calls")).unwrap_or_default();
    let _ = fs::remove_file(machine.beside("calls"));
    calls
}

/// The kernel makes the files of a cgroup with the directory; and says what a choice became.
fn kernel(change: &Change, root: &Path) {
    let dir = root.join("sys/fs/cgroup/barewire.slice");
    if let Change::Partition { .. } = change {
        fs::create_dir_all(&dir).unwrap();
        for name in ["cpuset.cpus", "cpuset.cpus.exclusive"] {
            fs::write(dir.join(name), "\n").unwrap();
        }
        fs::write(root.join("sys/fs/cgroup/cgroup.subtree_control"), "cpu memory\n").unwrap();
    }
}

/// Was it done, as far as the files of the machine show? Otherwise the program that does it was called.
fn is_done(machine: &Fixture, change: &Change, called: &str) -> bool {
    let source = machine.source();
    match change {
        Change::Sysctl { key, value } => {
            let file = source.text("etc/sysctl.d/90-barewire.conf").into_value().unwrap();
            change.is_done(&change.current(&source))
                && file.lines().any(|line| line == format!("{key} = {value}"))
        }
        Change::BootParameter { key, .. } => {
            let drop_in = source.text("etc/default/grub.d/zz-90-barewire.cfg");
            assert!(!called.contains("=ALL --") && !called.contains("rescue"), "{called}");
            (called.contains("grubby --update-kernel=/boot/vmlinuz-6.12 ")
                && called.contains(key.as_str()))
                || (called.contains("update-grub")
                    && drop_in.value().is_some_and(|text| text.contains(key.as_str())))
        }
        Change::Ethtool { interface, .. } => {
            called.lines().any(|line| line.starts_with("ethtool -") && line.contains(interface))
        }
        Change::Unit { unit, .. } => {
            called.lines().any(|line| line.starts_with("systemctl ") && line.contains(unit))
        }
        Change::Driver { device, driver } => {
            let dir = format!("sys/bus/pci/devices/{device}");
            let probed = source.text("sys/bus/pci/drivers_probe");
            called.contains(&format!("modprobe -- {driver}"))
                && source.text(&format!("{dir}/driver_override")) == Fact::Is(driver.clone())
                && probed == Fact::Is(device.to_string())
        }
        Change::Kernel { .. }
        | Change::File { .. }
        | Change::Setting { .. }
        | Change::Affinity { .. }
        | Change::Partition { .. }
        | Change::Hugepages { .. } => change.is_done(&change.current(&source)),
        Change::KernelArguments(_) | Change::BootMenu { .. } => {
            panic!("no check asks for what plans are made of: {change:?}")
        }
    }
}

#[test]
fn every_printed_command_does_what_it_says() {
    let mut count = 0;
    for name in fixture::names() {
        let machine = Fixture::new(&name);
        let loader = Facts::read(&machine.source()).boot.loader().cloned();
        for finding in machine.findings() {
            for change in &finding.fix {
                count += 1;
                let about = format!("{name}: {}: {change:?}", finding.id);
                kernel(change, machine.root());
                let root = machine.root().to_str().unwrap();
                let Ok(lines) = change.shell_on(loader.as_ref(), root) else {
                    assert!(matches!(change, Change::BootParameter { .. }), "{about}");
                    continue;
                };

                let output = run(&machine, &lines);

                let talk = String::from_utf8_lossy(&output.stderr).into_owned();
                assert!(output.status.success() && talk.is_empty(), "{about}\n{talk}");
                let called = calls(&machine);
                assert!(is_done(&machine, change, &called), "{about}\n{called}");
            }
        }
    }
    assert!(count > 100, "{count}");
}

/// What a report prints for many changes at once is a shell text too.
#[test]
fn every_printed_text_is_a_shell_text() {
    for machine in fixture::all() {
        for finding in machine.findings() {
            let text = shell_all(&finding.fix).join("\n");
            let checked = Command::new("sh").args(["-n", "-c", &text]).output().unwrap();
            assert!(checked.status.success(), "{}: {text}", finding.id);
        }
        let plan = machine.said(&["plan", "--format", "sh"]);
        let checked = Command::new("sh").args(["-n", "-c", &plan]).output().unwrap();
        assert!(checked.status.success(), "{}: {plan}", machine.name);
    }
}

#[test]
fn what_was_mended_is_better_afterwards() {
    use tuner::Verdict::{Bad, Good, Info, NotApplicable, Unknown, Warn};
    // Where only a file is between the finding and its mending: no reboot, no other program.
    let rank = |verdict| match verdict {
        Good | Info | NotApplicable => 0,
        Warn => 1,
        Unknown => 2,
        Bad => 3,
    };
    let mut mended = 0;
    for name in fixture::names() {
        let machine = Fixture::new(&name);
        let before = machine.findings();
        let is_file = |change: &Change| {
            matches!(
                change,
                Change::Sysctl { .. }
                    | Change::Kernel { .. }
                    | Change::Affinity { .. }
                    | Change::Hugepages { .. }
            )
        };
        for finding in &before {
            // Where interrupts go follows from where they may go, and needs a kernel for that.
            let is_about_interrupts = finding.id.starts_with("IRQ-");
            if finding.fix.is_empty() || !finding.fix.iter().all(is_file) || is_about_interrupts {
                continue;
            }
            let root = machine.root().to_str().unwrap();
            let lines: Vec<String> =
                finding.fix.iter().flat_map(|change| change.shell_below(root)).collect();
            assert!(run(&machine, &lines).status.success(), "{name}: {}", finding.id);
        }
        let after = machine.findings();
        for (before, after) in before.iter().zip(&after) {
            assert_eq!(before.id, after.id);
            assert!(rank(after.verdict) <= rank(before.verdict), "{name}: {before:#?} {after:#?}");
        }
        let pairs = before.iter().zip(&after);
        mended += pairs.filter(|(b, a)| rank(a.verdict) < rank(b.verdict)).count();
    }
    assert!(mended > 60, "{mended}");
}
