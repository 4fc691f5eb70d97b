//! The files that a plan writes, read by the programs that they are for.

use std::{fs, process::Command};

use tuner::{change::Change, plan::Plan};

use crate::fixture::{self, Fixture};

/// The files of a plan, written into the machine.
fn written(machine: &Fixture) -> Vec<(String, String)> {
    let plan: Plan = machine.plan();
    let mut files = Vec::new();
    for step in plan.steps {
        if let Change::File { path, content } = step.change {
            let at = machine.root().join(&path);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::write(at, &content).unwrap();
            files.push((path, content));
        }
    }
    files
}

/// The first line of what it says when it is asked for help, to know what it can do.
fn can(program: &str, words: &[&str], option: &str) -> bool {
    let said = Command::new(program).args(words).output();
    let is_able = said.is_ok_and(|said| {
        let text = [said.stdout, said.stderr].concat();
        String::from_utf8_lossy(&text).contains(option)
    });
    if !is_able {
        eprintln!("SKIPPED: {program} {option} is not here");
    }
    is_able
}

#[test]
fn grub_reads_its_words_from_every_drop_in() {
    let mut count = 0;
    for machine in fixture::all() {
        // A shell would run on for ever in what is hostile there already.
        if machine.name == "hostile" {
            continue;
        }
        for (path, _) in written(&machine).iter().filter(|(path, _)| path.contains("grub.d/")) {
            count += 1;
            let root = machine.root().display();
            let script = format!(
                "set -eu; . {root}/etc/default/grub; for f in {root}/etc/default/grub.d/*.cfg; do . \"$f\"; done; \
                 printf '%s %s' \"$GRUB_CMDLINE_LINUX\" \"$GRUB_CMDLINE_LINUX_DEFAULT\""
            );
            let said = Command::new("sh").args(["-c", &script]).output().unwrap();
            let talk = String::from_utf8_lossy(&said.stderr).into_owned();
            assert!(said.status.success() && talk.is_empty(), "{path}: {talk}");
            let words = String::from_utf8(said.stdout).unwrap();
            let line = linux::cmdline::Cmdline::parse(&words);
            // What was there stays, what is ours is there once, and nothing has a tail.
            assert!(line.has("quiet") || line.has("console"), "{}: {line:?}", machine.name);
            for key in ["isolcpus", "nohz_full", "tsc", "skew_tick", "iommu"] {
                assert!(line.all(key).count() <= 1, "{}: {line:?}", machine.name);
            }
            assert!(!line.has("mce"), "{}: {line:?}", machine.name);
            let menu = machine.beside("menu.cfg");
            fs::write(
                &menu,
                format!("menuentry 'a' {{\n\tlinux /vmlinuz root=/dev/sda1 ro {words}\n}}\n"),
            )
            .unwrap();
            match Command::new("grub-script-check").arg(&menu).status() {
                Ok(status) => assert!(status.success(), "{words}"),
                Err(error) => eprintln!("SKIPPED: grub-script-check: {error}"),
            }
        }
    }
    assert!(count >= 5, "{count}");
}

#[test]
fn sysctl_reads_every_line_of_its_drop_in() {
    if !can("sysctl", &["--help"], "--dry-run") {
        return;
    }
    for machine in fixture::all() {
        for (path, content) in written(&machine) {
            if !path.starts_with("etc/sysctl.d/") {
                continue;
            }
            let at = machine.root().join(&path);
            let said =
                Command::new("sysctl").args(["--dry-run", "--ignore", "-p"]).arg(&at).output();
            let said = String::from_utf8(said.unwrap().stdout).unwrap();
            let wanted = content.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            for line in wanted {
                let (key, value) = line.split_once(" = ").unwrap();
                // One that this kernel does not have, or does not let be written, is left out.
                let file = fs::metadata(format!("/proc/sys/{}", key.replace('.', "/")));
                let is_here = file.is_ok_and(|file| !file.permissions().readonly());
                let is_read = said.lines().any(|line| line == format!("{key} = {value}"));
                assert!(is_read || !is_here, "{}: {line}\n{said}", machine.name);
            }
        }
    }
}

#[test]
fn systemd_finds_what_is_written_for_it() {
    for machine in fixture::all() {
        let files = written(&machine);
        let manager = files.iter().find(|(path, _)| path.contains("system.conf.d"));
        let Some((path, content)) = manager else { continue };
        let said = Command::new("systemd-analyze")
            .arg(format!("--root={}", machine.root().display()))
            .args(["cat-config", "systemd/system.conf"])
            .output();
        match said {
            Ok(said) => {
                let text = String::from_utf8(said.stdout).unwrap();
                assert!(text.contains(content.trim_end()), "{path}: {text}");
            }
            Err(error) => eprintln!("SKIPPED: systemd-analyze: {error}"),
        }
        let affinity = content.lines().find_map(|line| line.strip_prefix("CPUAffinity=")).unwrap();
        let cpus: config::CpuSet = affinity.replace(' ', ",").parse().unwrap();
        assert!(!cpus.is_empty(), "{content}");
    }
}

#[test]
fn udev_reads_its_rules() {
    if !can("udevadm", &["--help"], "verify") {
        return;
    }
    for machine in fixture::all() {
        for (path, content) in written(&machine) {
            if path.ends_with(".rules") {
                let at = machine.root().join(&path);
                let said = Command::new("udevadm").arg("verify").arg(&at).output().unwrap();
                assert!(
                    said.status.success(),
                    "{content}\n{}",
                    String::from_utf8_lossy(&said.stdout)
                );
            }
        }
    }
}
