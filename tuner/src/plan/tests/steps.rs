//! What becomes a step, in which order, and what it says was there.

use super::*;

#[test]
fn warnings_and_bad_findings_become_steps_and_the_others_do_not() {
    let fake = Fake::new();
    fake.file("proc/sys/vm/swappiness", "60\n");
    let fix = || vec![sysctl("vm.swappiness", "1")];

    for (verdict, steps) in [
        (Verdict::Good, 0),
        (Verdict::Info, 0),
        (Verdict::NotApplicable, 0),
        (Verdict::Unknown, 0),
        (Verdict::Warn, 2),
        (Verdict::Bad, 2),
    ] {
        let plan = fake.plan(&[finding("MEM-14", verdict, fix())]);
        assert_eq!(plan.steps.len(), steps, "{verdict}");
        assert!(plan.left_out.is_empty(), "{verdict}");
    }
}

#[test]
fn a_sysctl_is_a_write_and_a_line_in_our_file_which_keeps_its_others() {
    let fake = Fake::new();
    fake.file("proc/sys/vm/swappiness", "60\n");
    fake.file(SYSCTL_FILE, "# old\nkernel.numa_balancing = 0\nvm.swappiness=5\n");

    let plan = fake.plan(&[warn("MEM-14", sysctl("vm.swappiness", "1"))]);

    let [write, file] = &plan.steps[..] else { panic!("{plan:#?}") };
    assert_eq!(write.change, kernel("proc/sys/vm/swappiness", "1", Form::Words));
    assert_eq!((write.from.clone(), write.to.as_str()), (Fact::Is("60".to_owned()), "1"));
    assert_eq!((write.scope, write.blast), (Scope::Both, Blast::Nothing));
    let Change::File { path, content } = &file.change else { panic!("{file:#?}") };
    assert_eq!(path, SYSCTL_FILE);
    assert!(content.ends_with("\nkernel.numa_balancing = 0\nvm.swappiness = 1\n"), "{content}");
    assert!(!content.contains("= 5") && file.scope == Scope::Boot);

    let gone = fake.plan(&[warn("MEM-14", sysctl("vm.not_there", "1"))]);
    assert!(gone.steps.is_empty());
    assert_eq!(why(&gone, "MEM-14"), "this kernel has no such sysctl");
}

#[test]
fn a_file_that_wins_at_boot_is_named() {
    let fake = Fake::new();
    fake.file("proc/sys/vm/swappiness", "60\n");
    fake.file("etc/sysctl.d/99-sysctl.conf", "#vm.swappiness=1\n-vm/swappiness = 60\nvm.other=1\n");
    fake.file("usr/lib/sysctl.d/10-first.conf", "vm.swappiness=60\n");
    fake.file("usr/lib/sysctl.d/95-same.conf", "vm.swappiness = 01\n");

    let plan = fake.plan(&[warn("MEM-14", sysctl("vm.swappiness", "1"))]);

    assert_eq!(
        plan.notes,
        [
            "/etc/sysctl.d/99-sysctl.conf sets vm.swappiness to 60 at boot, after our file: take that line out"
        ]
    );
}

#[test]
fn a_mount_for_others_is_made_when_it_is_asked_for() {
    let mut fake = Fake::new().with("MEM-05", Wish::Apply);
    fake.config.push_str("[memory]\nhuge = \"1G\"\n");

    let plan = fake.plan(&[finding("MEM-05", Verdict::Good, Vec::new())]);

    assert_eq!(
        targets(&plan),
        ["/etc/systemd/system/dev-hugepages\\x2d1G.mount", "dev-hugepages\\x2d1G.mount"]
    );
    let Change::File { content, .. } = &plan.steps[0].change else { panic!("{plan:#?}") };
    let dir = tempfile::tempdir().unwrap();
    let unit = dir.path().join("dev-hugepages\\x2d1G.mount");
    fs::write(&unit, content).unwrap();
    match Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output() {
        Ok(output) => {
            let talk = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !talk.contains("x2d1G"), "{talk}");
        }
        Err(error) => {
            eprintln!(
                "SKIPPED: a_mount_for_others_is_made_when_it_is_asked_for: systemd-analyze: {error}"
            );
        }
    }
}

#[test]
fn what_ethtool_and_systemd_said_is_what_was_there() {
    let fake = Fake::new();
    let answer = |name: &str, text: &str| {
        fake.file(&format!("{}/{name}.json", crate::source::ASKED), text);
    };
    answer(
        "ethtool/ens1f0np0/rings",
        r#"{"is": {"rx": {"now": 512, "max": 8160}, "tx": {"now": 4096, "max": 8160}}}"#,
    );
    let rings = |rx, tx| Change::Ethtool {
        interface: "ens1f0np0".into(),
        setting: EthtoolSetting::Rings { rx, tx },
    };

    let plan = fake.plan(&[warn("NIC-01", rings(Some(4096), Some(4096)))]);
    assert_eq!(plan.steps[0].from, Fact::Is("rx 512 tx 4096".to_owned()));
    assert_eq!(plan.steps[0].to, "rx 4096 tx 4096");
    assert!(fake.plan(&[warn("NIC-01", rings(None, Some(4096)))]).is_empty());
    // What nobody was asked is asked when the plan is applied.
    let pause = Change::Ethtool {
        interface: "ens1f0np0".into(),
        setting: EthtoolSetting::Pause { rx: false, tx: false },
    };
    assert!(fake.plan(&[warn("NIC-03", pause)]).steps[0].from.is_unknown());
}

#[test]
fn what_is_already_so_is_no_step() {
    let fake = Fake::new();
    fake.file("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    fake.file("proc/irq/default_smp_affinity", "0000,00001111\n");

    let plan = fake.plan(&[
        warn(
            "MEM-08",
            kernel("sys/kernel/mm/transparent_hugepage/enabled", "madvise", Form::Choice),
        ),
        warn("ISO-09", kernel("proc/irq/default_smp_affinity", "1111", Form::CpuMask)),
        warn("IRQ-02", kernel("proc/irq/99/smp_affinity_list", "0", Form::CpuList)),
    ]);

    assert!(plan.steps.is_empty() && plan.is_empty(), "{plan:#?}");
    assert_eq!(why(&plan, "IRQ-02"), "there is no such thing here");
}

#[test]
fn one_knob_is_turned_once_and_the_worse_finding_decides() {
    let fake = Fake::new();
    let path = "sys/kernel/mm/ksm/run";
    fake.file(path, "1\n");

    let plan = fake.plan(&[
        warn("MEM-10", kernel(path, "0", Form::Number)),
        bad("MEM-11", kernel(path, "2", Form::Number)),
        warn("MEM-12", kernel(path, "02", Form::Number)),
    ]);

    assert_eq!(plan.steps.len(), 1);
    assert_eq!(
        (plan.steps[0].to.as_str(), plan.steps[0].checks.join(" ")),
        ("2", "MEM-11 MEM-12".into())
    );
    assert_eq!(why(&plan, "MEM-10"), "MEM-11 wants 2 instead");
}

#[test]
fn a_unit_is_restarted_only_when_something_of_it_changed() {
    let fake = Fake::new();
    fake.file("etc/default/irqbalance", "IRQBALANCE_BANNED_CPULIST=1-3\n");
    let fix = |cpus: &str| {
        vec![
            Change::Setting {
                path: "etc/default/irqbalance".into(),
                key: "IRQBALANCE_BANNED_CPULIST".into(),
                value: cpus.into(),
            },
            Change::Unit { unit: "irqbalance.service".into(), state: UnitState::Restarted },
        ]
    };

    assert!(fake.plan(&[finding("IRQ-04", Verdict::Warn, fix("1-3"))]).steps.is_empty());
    let plan = fake.plan(&[finding("IRQ-04", Verdict::Warn, fix("1-3,9-11"))]);
    assert_eq!(
        targets(&plan),
        ["IRQBALANCE_BANNED_CPULIST in /etc/default/irqbalance", "irqbalance.service"]
    );
}

#[test]
fn hugepages_leave_enough_and_the_largest_come_with_the_next_boot() {
    let fake = Fake::new();
    let pages = |node: u32, size_kib: u32, count: u64| Change::Hugepages {
        node: Some(NumaNode(node)),
        size_kib,
        count,
    };
    let memory = |node: u32, kib: u64| {
        fake.file(
            &format!("sys/devices/system/node/node{node}/meminfo"),
            &format!("Node {node} MemTotal: {kib} kB\nNode {node} MemFree: {kib} kB\n"),
        );
        for size in [2048, 1_048_576] {
            fake.file(
                &format!(
                    "sys/devices/system/node/node{node}/hugepages/hugepages-{size}kB/nr_hugepages"
                ),
                "0\n",
            );
        }
    };
    memory(0, 16 << 20);
    memory(1, 16 << 20);
    fake.file("sys/devices/system/node/node1/hugepages/hugepages-1048576kB/nr_hugepages", "2\n");

    let plan = fake.plan(&[bad("MEM-01", pages(0, 1_048_576, 4))]);
    assert_eq!(words(&plan), ["hugepagesz=1G", "hugepages=0:4,1:2"], "{plan:#?}");
    let plan = fake.plan(&[bad("MEM-01", pages(0, 2048, 512))]);
    assert_eq!(targets(&plan), ["2048 KiB pages of node 0"]);
    assert_eq!(plan.steps[0].blast, Blast::Memory);

    // 15 GiB of 16 leave 1 GiB, which is just enough; one more page is not.
    assert_eq!(fake.plan(&[bad("MEM-01", pages(0, 2048, 7680))]).steps.len(), 1);
    let plan = fake.plan(&[bad("MEM-01", pages(0, 2048, 7681))]);
    assert!(plan.steps.is_empty());
    assert!(
        why(&plan, "MEM-01").contains("1022 MiB of the 16384 MiB of node 0 would be left"),
        "{plan:#?}"
    );

    // Before 5.16 there were no counts for single nodes.
    fake.file("proc/sys/kernel/osrelease", "5.15.0-100-generic\n");
    let plan = fake.plan(&[bad("MEM-01", pages(0, 1_048_576, 4))]);
    assert_eq!(words(&plan), ["hugepagesz=1G", "hugepages=6"]);
    assert!(plan.notes[0].contains("evenly over all nodes"));
}

#[test]
fn a_drop_in_keeps_what_it_has_and_clears_away_rivals() {
    let fake = Fake::new();
    fake.file(
        grub::DROP_IN,
        &grub::drop_in(&Arguments::from_line("skew_tick=1 nohz_full=9"), false),
    );
    let plan = fake.plan(&[warn("ISO-03", boot("nohz_full", "1-3"))]);
    assert_eq!(words(&plan), ["skew_tick=1", "nohz_full=1-3,9-11"]);
    let Change::File { content, .. } = &plan.steps[0].change else { panic!("{plan:#?}") };
    assert!(!content.contains("set -f"), "nobody else sets these: {content}");

    fake.file("etc/default/grub", "GRUB_CMDLINE_LINUX=\"mce=off\"\n");
    let plan = fake.plan(&[bad("RAS-01", no_boot("mce"))]);
    let Change::File { content, .. } = &plan.steps[0].change else { panic!("{plan:#?}") };
    assert!(content.contains("set -f"), "{content}");

    // The menu has been made anew: the second plan finds all of it.
    fake.file(grub::DROP_IN, content);
    assert!(fake.plan(&[bad("RAS-01", no_boot("mce"))]).is_empty());
}
