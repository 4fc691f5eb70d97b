//! From a machine's files to a plan, to a script that a shell runs, to a machine on which nothing is left to plan.

use std::{fs, path::PathBuf, process::Command};

use crate::machine::Fake;
use tuner::{
    Facts, Intent, Source,
    change::Change,
    checks::{self, Context},
    plan::{Plan, Wishes, render},
};

const CONFIG: &str = r#"
[[port]]
name = "north"
device = "0000:3b:00.0"
input = "wire"
[[stage]]
name = "wire"
kind = "cross"
to = "tx:north"
"#;

fn sysroot(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/sysroots").join(name)
}

/// The machine with Debian's GRUB and the files that most of Linux has.
fn debian(name: &str) -> Fake {
    let fake = Fake::new();
    let from = sysroot(name).join(".");
    assert!(Command::new("cp").arg("-a").arg(from).arg(fake.root()).status().unwrap().success());
    fake.without("grubby");
    for (path, text) in [
        (
            "boot/grub/grub.cfg",
            "menuentry 'a' --id a {\n  linux /vmlinuz root=/dev/sda1 ro quiet\n}\n",
        ),
        ("etc/default/grub", "GRUB_CMDLINE_LINUX=\"\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n"),
        (
            "etc/default/grub.d/50-cloud.cfg",
            "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT console=ttyS0\"\n",
        ),
        ("proc/sys/kernel/osrelease", "6.12.1-amd64\n"),
        ("proc/sys/kernel/nmi_watchdog", "1\n"),
        ("proc/sys/vm/stat_interval", "1\n"),
        ("proc/sys/kernel/watchdog_cpumask", "0-15\n"),
        ("proc/irq/default_smp_affinity", "ffff\n"),
        ("sys/devices/virtual/workqueue/cpumask", "ffff\n"),
        ("sys/devices/system/cpu/isolated", "\n"),
        ("sys/devices/system/cpu/nohz_full", "\n"),
    ] {
        fake.file(path, text);
    }
    fake
}

fn plan(fake: &Fake) -> Plan {
    let source = Source::at(fake.root()).unwrap();
    let facts = Facts::read(&source);
    let intent = Intent::new(&config::parse(CONFIG, "test").unwrap(), &facts);
    let findings = checks::run(&Context::new(&facts, &intent));
    Plan::new(&findings, &intent, &facts, &source, &Wishes::default())
}

fn script(plan: &Plan, fake: &Fake) -> String {
    let mut text = Vec::new();
    render::sh_below(plan, fake.root(), &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn a_plan_that_a_shell_carried_out_leaves_nothing_to_plan() {
    let fake = debian("two-socket-smt");
    let first = plan(&fake);
    assert!(first.steps.len() >= 6, "{first:#?}");
    assert!(first.needs_reboot());

    fake.run_ok(&[script(&first, &fake)]);
    assert!(fake.called().contains(&"update-grub".to_owned()));

    let second = plan(&fake);
    // What no file shows is asked for again, and found done then.
    let files: Vec<&Change> = second
        .steps
        .iter()
        .map(|step| &step.change)
        .filter(|change| {
            !matches!(change, Change::Ethtool { .. } | Change::Unit { .. } | Change::Driver { .. })
        })
        .collect();
    assert!(files.is_empty(), "{files:#?}");
    // And the script can be run again.
    fake.run_ok(&[script(&first, &fake)]);
}

#[test]
fn the_next_boot_gets_exactly_the_words_of_the_plan() {
    let fake = debian("two-socket-smt");
    let plan = plan(&fake);

    fake.run_ok(&[script(&plan, &fake)]);

    let line = fake.grub_variable("GRUB_CMDLINE_LINUX_DEFAULT");
    let line = linux::cmdline::Cmdline::parse(&line);
    assert!(line.has("quiet") && line.value("console") == Some("ttyS0"), "{line:?}");
    let source = fake.source();
    let facts = Facts::read(&source);
    let intent = Intent::new(&config::parse(CONFIG, "test").unwrap(), &facts);
    let workers = intent.workers().into_value().unwrap();
    let housekeeping = intent.housekeeping().into_value().unwrap();
    for key in ["isolcpus", "nohz_full"] {
        let value = line.value(key).unwrap_or_else(|| panic!("no {key} in {line:?}"));
        let list = value.trim_start_matches(|c: char| !c.is_ascii_digit());
        let cpus: config::CpuSet = list.parse().unwrap();
        assert!(workers.is_subset(&cpus) && cpus.is_disjoint(&housekeeping), "{key}={value}");
        assert_eq!(line.all(key).count(), 1);
    }
    assert_eq!(fake.grub_variable("GRUB_CMDLINE_LINUX"), "");
}

#[test]
fn a_script_stops_where_the_kernel_refuses() {
    let fake = debian("two-socket-smt");
    let plan = plan(&fake);
    let first = plan.steps.iter().find_map(|step| match &step.change {
        Change::Kernel { path, .. } => Some(path.clone()),
        _ => None,
    });
    // A directory can not be written to, not even by root.
    let path = PathBuf::from(fake.root()).join(first.unwrap());
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();

    let output = fake.run(&[script(&plan, &fake)]);

    assert!(!output.status.success());
    assert!(!fake.called().contains(&"update-grub".to_owned()));
}

#[test]
fn grub_itself_reads_a_menu_with_our_words() {
    let fake = debian("two-socket-smt");
    fake.run_ok(&[script(&plan(&fake), &fake)]);
    let words = fake.grub_variable("GRUB_CMDLINE_LINUX_DEFAULT");
    fake.file(
        "menu.cfg",
        &format!("menuentry 'a' {{\n  linux /vmlinuz root=/dev/sda1 ro {words}\n}}\n"),
    );

    match Command::new("grub-script-check").arg(format!("{}/menu.cfg", fake.root())).status() {
        Ok(status) => assert!(status.success(), "{words}"),
        Err(error) => {
            eprintln!(
                "SKIPPED: grub_itself_reads_a_menu_with_our_words: grub-script-check: {error}"
            );
        }
    }
}

#[test]
fn a_difference_is_one_that_patch_understands() {
    let fake = debian("two-socket-smt");
    fake.file("etc/sysctl.d/90-barewire.conf", "# ours\na = 1\nb = 2\nc = 3\nd = 4\ne = 5\n");
    let plan = plan(&fake);
    let mut text = Vec::new();
    render::diff(&plan, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("\n+++ /etc/sysctl.d/90-barewire.conf\n"), "{text}");
    assert!(text.contains("--- /dev/null\n+++ /etc/default/grub.d/zz-90-barewire.cfg"), "{text}");

    // The file alone, as `patch` wants it.
    let at = text.find("--- /etc/sysctl.d/90-barewire.conf").unwrap();
    let hunk = &text[at..];
    let end = hunk[3..].find("\n--- ").map_or(hunk.len(), |end| end + 4);
    fake.file("sysctl.patch", &hunk[..end]);
    let root = fake.root();
    let patched = Command::new("patch")
        .args([
            "-s",
            &format!("{root}/etc/sysctl.d/90-barewire.conf"),
            &format!("{root}/sysctl.patch"),
        ])
        .output();
    match patched {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}\n{}", &hunk[..end]);
            let wanted = plan.steps.iter().find_map(|step| match &step.change {
                Change::File { path, content }
                    if path.ends_with("90-barewire.conf") && path.contains("sysctl") =>
                {
                    Some(content)
                }
                _ => None,
            });
            assert_eq!(Some(&fake.read("etc/sysctl.d/90-barewire.conf")), wanted);
        }
        Err(error) => {
            eprintln!("SKIPPED: a_difference_is_one_that_patch_understands: patch: {error}")
        }
    }
}

#[test]
fn every_form_is_printed_and_the_command_line_is_checked() {
    let fake = debian("two-socket-smt");
    fake.file("barewire.toml", CONFIG);
    let config = format!("{}/barewire.toml", fake.root());
    let run = |args: &[&str]| {
        let mut all = vec!["barewire-tune", "--root", fake.root(), "--config", &config, "plan"];
        all.extend(args);
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let surroundings = tuner::commands::Surroundings::default();
        let exit = tuner::commands::run(all, &surroundings, &mut out, &mut err);
        (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    };

    let (_, table, talk) = run(&[]);
    assert!(table.starts_with("Plan (low-latency): ") && talk.is_empty(), "{table}{talk}");
    let (_, json, _) = run(&["--json"]);
    let parsed: Plan = serde_json::from_str(&json).unwrap();
    assert_eq!(parsed, plan(&fake));
    let (_, sh, _) = run(&["--format", "sh"]);
    assert!(sh.starts_with("#!/bin/sh\n") && sh.contains("\nset -eu\n"), "{sh}");
    let checked = Command::new("sh").args(["-n", "-c", &sh]).status().unwrap();
    assert!(checked.success());
    let (_, diff, _) = run(&["--format", "diff"]);
    assert!(diff.contains("@@ -1 +1 @@\n-1\n+0\n"), "{diff}");

    let (_, one, _) = run(&["--only", "wd-01", "--json"]);
    let one: Plan = serde_json::from_str(&one).unwrap();
    assert!(one.steps.iter().all(|step| step.checks == ["WD-01"]) && one.steps.len() == 2);
    let (_, none, _) = run(&["--only", "WD-01", "--skip", "WD-01", "--json"]);
    assert!(serde_json::from_str::<Plan>(&none).unwrap().steps.is_empty());
    let (_, set, _) = run(&["--only", "VM-01", "--set", "VM-01=30", "--json"]);
    assert_eq!(serde_json::from_str::<Plan>(&set).unwrap().steps[0].to, "30");
    let (_, balanced, _) = run(&["--profile", "balanced"]);
    assert!(balanced.starts_with("Plan (balanced): "), "{balanced}");
    for (wrong, says) in [
        (["--only", "WD-77"], "no check called WD-77"),
        (["--set", "VM-01"], "ID=VALUE is wanted"),
        (["--i-want", "nothing"], "capital letters, a dash and two digits"),
    ] {
        let (exit, out, talk) = run(&wrong);
        assert_eq!(exit, tuner::Exit::Usage, "{out}");
        assert!(talk.contains(says), "{talk}");
    }
}
