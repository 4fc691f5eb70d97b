//! Plans for made-up findings on a made-up machine: two nodes of four cores with two threads each (cpu n and n + 8).

use std::{fs, process::Command};

use config::{NumaNode, Wish};
use proptest::prelude::*;

use super::*;
use crate::{
    Section, Verdict,
    boot::{ArgumentTool, Arguments, MenuTool, grub},
    change::{BootValue, EthtoolSetting, Form, SYSCTL_FILE, UnitState},
};

const CONFIG: &str = r#"
[cores]
housekeeping = "0,8,4,12"
workers = "1-3"
[[port]]
name = "north"
device = "0000:3b:00.0"
input = "wire"
[[stage]]
name = "wire"
kind = "cross"
to = "tx:north"
"#;

struct Fake {
    dir: tempfile::TempDir,
    config: String,
    wishes: Wishes,
}

impl Fake {
    /// The machine, with Debian's GRUB.
    fn new() -> Self {
        let fake = Self::bare("two-socket-smt");
        fake.file(
            "boot/grub/grub.cfg",
            "menuentry 'a' --id a {\n  linux /vmlinuz root=/dev/sda1 ro quiet\n}\n",
        );
        fake.file(
            "etc/default/grub",
            "GRUB_CMDLINE_LINUX=\"\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n",
        );
        fake.file(
            "etc/default/grub.d/50-cloud.cfg",
            "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT console=ttyS0\"\n",
        );
        fake.file("proc/sys/kernel/osrelease", "6.12.1-amd64\n");
        fake
    }

    /// With what the kernel says of its two ports, so that it can be told which of them may be given away.
    fn with_links() -> Self {
        let fake = Self::new();
        let link = |index: u32, name: &str| {
            format!(
                r#"{{"index":{index},"name":"{name}","kind":null,"master":null,"parent":null,"parent_namespace":null,"is_up":true}}"#
            )
        };
        let links = format!(r#"{{"is":[{},{}]}}"#, link(2, "ens1f0np0"), link(3, "ens1f1np1"));
        let none = r#"{"is":[]}"#;
        for (name, answer) in
            [("links", &*links), ("defaults", none), ("addresses", none), ("elsewhere", none)]
        {
            fake.file(&format!("{}/route/{name}.json", crate::source::ASKED), answer);
        }
        fake
    }

    fn bare(machine: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let from = format!("{}/../tests/fixtures/sysroots/{machine}/.", env!("CARGO_MANIFEST_DIR"));
        let copied = Command::new("cp").args(["-a", &from]).arg(dir.path()).status().unwrap();
        assert!(copied.success());
        Self { dir, config: CONFIG.to_owned(), wishes: Wishes::default() }
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.dir.path().join(path)).unwrap();
    }

    fn with(mut self, id: &str, wish: Wish) -> Self {
        self.wishes.set.insert(id.to_owned(), wish);
        self
    }

    fn plan(&self, findings: &[Finding]) -> Plan {
        let source = Source::at(self.dir.path()).unwrap();
        let facts = Facts::read(&source);
        let mut intent = Intent::new(&config::parse(&self.config, "test").unwrap(), &facts);
        intent.management = vec!["eno1".to_owned()];
        let plan = Plan::new(findings, &intent, &facts, &source, &self.wishes);
        // What is stored is what was planned.
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
        plan
    }
}

fn finding(id: &'static str, verdict: Verdict, fix: Vec<Change>) -> Finding {
    Finding {
        id,
        section: Section::System,
        title: "",
        verdict,
        seen: String::new(),
        wanted: String::new(),
        why: "because",
        details: Vec::new(),
        needs_reboot: fix.iter().any(Change::needs_reboot),
        fix,
        advice: None,
        risk: Risk::Low,
        cost: "",
        is_contested: false,
        is_proposed: false,
    }
}

fn warn(id: &'static str, change: Change) -> Finding {
    finding(id, Verdict::Warn, vec![change])
}

fn bad(id: &'static str, change: Change) -> Finding {
    finding(id, Verdict::Bad, vec![change])
}

fn sysctl(key: &str, value: &str) -> Change {
    Change::Sysctl { key: key.to_owned(), value: value.to_owned() }
}

fn kernel(path: &str, value: &str, form: Form) -> Change {
    Change::Kernel { path: path.to_owned(), value: value.to_owned(), form }
}

fn boot(key: &str, value: &str) -> Change {
    Change::BootParameter { key: key.to_owned(), value: BootValue::Is(value.to_owned()) }
}

fn no_boot(key: &str) -> Change {
    Change::BootParameter { key: key.to_owned(), value: BootValue::Absent }
}

/// What the drop-in of a plan sets.
fn words(plan: &Plan) -> Vec<String> {
    let content = plan.steps.iter().find_map(|step| match &step.change {
        Change::File { path, content } if path == grub::DROP_IN => Some(content.clone()),
        _ => None,
    });
    content.map(|content| grub::read(&content).words()).unwrap_or_default()
}

fn targets(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.change.target()).collect()
}

fn why(plan: &Plan, check: &str) -> String {
    let left: Vec<&LeftOut> = plan.left_out.iter().filter(|left| left.check == check).collect();
    assert!(!left.is_empty(), "{plan:#?}");
    left[0].why.clone()
}

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
fn the_contested_needs_to_be_asked_for_or_measured() {
    let fake = Fake::new();
    fake.file("proc/sys/kernel/timer_migration", "1\n");
    let mut contested = warn("CLK-05", sysctl("kernel.timer_migration", "0"));
    contested.is_contested = true;

    let plan = fake.plan(std::slice::from_ref(&contested));
    assert!(plan.steps.is_empty());
    assert!(why(&plan, "CLK-05").contains("experts disagree"), "{plan:#?}");

    let mut measured = Fake::new();
    measured.file("proc/sys/kernel/timer_migration", "1\n");
    measured.wishes.measured.insert("CLK-05".to_owned());
    assert_eq!(measured.plan(std::slice::from_ref(&contested)).steps.len(), 2);

    let asked = fake.with("CLK-05", Wish::Apply);
    // What is only worth knowing is done too when somebody asks for it.
    contested.verdict = Verdict::Info;
    assert_eq!(asked.plan(&[contested]).steps.len(), 2);
}

#[test]
fn the_harmful_is_refused_unless_it_is_named() {
    let mut fake = Fake::new().with("ISO-18", Wish::Value("-1".to_owned()));
    fake.file("proc/sys/kernel/sched_rt_runtime_us", "950000\n");
    let good = finding("ISO-18", Verdict::Good, Vec::new());

    let plan = fake.plan(std::slice::from_ref(&good));
    assert!(plan.steps.is_empty());
    assert!(why(&plan, "ISO-18").contains("--i-want ISO-18"), "{plan:#?}");

    fake.wishes.i_want.insert("ISO-01".to_owned());
    assert!(fake.plan(std::slice::from_ref(&good)).steps.is_empty(), "another one was named");
    fake.wishes.i_want.insert("ISO-18".to_owned());
    assert_eq!(fake.plan(&[good]).steps[0].to, "-1");
}

#[test]
fn wishes_skip_replace_and_restrict() {
    let fake = Fake::new().with("MEM-14", Wish::Skip).with("MEM-11", Wish::Value("1".to_owned()));
    fake.file("proc/sys/vm/swappiness", "60\n");
    fake.file("proc/sys/kernel/numa_balancing", "0\n");
    fake.file("proc/sys/vm/stat_interval", "1\n");
    let findings = [
        warn("MEM-14", sysctl("vm.swappiness", "1")),
        finding("MEM-11", Verdict::Good, Vec::new()),
        warn("VM-01", sysctl("vm.stat_interval", "10")),
        finding("MEM-22", Verdict::Info, Vec::new()),
    ];

    let plan = fake.plan(&findings);
    assert_eq!(
        targets(&plan),
        [
            "/proc/sys/kernel/numa_balancing",
            "/proc/sys/vm/stat_interval",
            "/etc/sysctl.d/90-barewire.conf"
        ]
    );
    assert!(why(&plan, "MEM-14").contains("skip"));

    let mut only = fake;
    only.wishes.only.insert("VM-01".to_owned());
    assert_eq!(only.plan(&findings).steps.len(), 2);
    let knobless = Fake::new().with("MEM-22", Wish::Apply);
    assert!(knobless.plan(&findings[3..]).notes[0].starts_with("MEM-22 is asked for"));
}

#[test]
fn each_profile_leaves_its_own_alone() {
    let governor = "sys/devices/system/cpu/cpufreq/policy1/scaling_governor";
    let coalesce = Change::Ethtool {
        interface: "ens1".into(),
        setting: EthtoolSetting::Coalesce {
            adaptive: Some(false),
            rx_usecs: Some(0),
            tx_usecs: None,
        },
    };
    let mut fake = Fake::new();
    fake.file(governor, "powersave\n");
    let findings =
        [bad("PWR-01", kernel(governor, "performance", Form::Text)), warn("NIC-02", coalesce)];

    for (profile, steps) in
        [(Profile::LowLatency, 2), (Profile::Throughput, 1), (Profile::Balanced, 1)]
    {
        fake.wishes.profile = profile;
        let plan = fake.plan(&findings);
        assert_eq!((plan.steps.len(), plan.profile), (steps, profile));
        let left = match profile {
            Profile::LowLatency => continue,
            Profile::Throughput => "NIC-02",
            Profile::Balanced => "PWR-01",
        };
        assert_eq!(why(&plan, left), format!("not part of the profile {}", profile.name()));
    }
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
fn what_can_cut_the_way_in_comes_last() {
    let fake = Fake::new();
    fake.file("proc/sys/vm/swappiness", "60\n");
    fake.file("sys/kernel/mm/ksm/run", "1\n");
    fake.file("sys/class/net/eno1/queues/rx-0/rps_cpus", "0\n");
    let channels = |interface: &str| Change::Ethtool {
        interface: interface.into(),
        setting: EthtoolSetting::Channels { combined: 4 },
    };

    let plan = fake.plan(&[
        warn("IRQ-08", channels("eno1")),
        warn("RPS-01", kernel("sys/class/net/eno1/queues/rx-0/rps_cpus", "1", Form::CpuMask)),
        warn("CLK-04", boot("skew_tick", "1")),
        warn("NIC-01", channels("ens1")),
        warn("MEM-10", kernel("sys/kernel/mm/ksm/run", "2", Form::Number)),
        warn("MEM-14", sysctl("vm.swappiness", "1")),
    ]);

    let blasts: Vec<Blast> = plan.steps.iter().map(|step| step.blast).collect();
    assert_eq!(
        blasts,
        [
            Blast::Nothing,
            Blast::Nothing,
            Blast::Memory,
            Blast::Programs,
            Blast::Boot,
            Blast::Boot,
            Blast::Management,
            Blast::Management
        ],
        "{:#?}",
        targets(&plan)
    );
    assert!(matches!(plan.steps[5].change, Change::BootMenu { .. }));
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
fn the_arguments_that_isolate_are_one_consistent_set() {
    let fake = Fake::new();

    let plan = fake.plan(&[
        bad("ISO-01", boot("isolcpus", "domain,1")),
        warn("ISO-08", boot("isolcpus", "managed_irq,1-3")),
        warn("ISO-03", boot("nohz_full", "1-3")),
        warn("ISO-04", boot("rcu_nocbs", "1-3")),
        warn("ISO-10", boot("irqaffinity", "0")),
    ]);

    // The workers' other threads (9-11) are nobody's, and stay idle.
    assert_eq!(
        words(&plan),
        ["nohz_full=1-3,9-11", "irqaffinity=0,4,8,12", "isolcpus=managed_irq,domain,1-3,9-11"]
    );
    assert_eq!(why(&plan, "ISO-04"), "nohz_full does it as well");
    assert_eq!(plan.steps.len(), 2);
    assert!(plan.needs_reboot());
}

#[test]
fn a_thread_that_was_taken_offline_stays_isolated() {
    let fake = Fake::new();
    let findings = [warn("ISO-03", boot("nohz_full", "1-3"))];
    fake.file(grub::DROP_IN, &grub::drop_in(&Arguments::from_line("nohz_full=1-3,9-11"), false));
    for (cpu, sibling) in [("1", "cpu9"), ("2", "cpu10"), ("3", "cpu11")] {
        fake.file(&format!("sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"), cpu);
        fake.file(&format!("sys/devices/system/cpu/{sibling}/online"), "0\n");
    }
    fake.file("sys/devices/system/cpu/online", "0-8,12-15\n");

    assert!(fake.plan(&findings).is_empty());

    // Everybody else has some of them now: these go.
    fake.file(grub::DROP_IN, &grub::drop_in(&Arguments::from_line("nohz_full=1-4,9-11"), false));
    assert_eq!(words(&fake.plan(&findings)), ["nohz_full=1-3,9-11"]);
}

#[test]
fn rcu_offload_stays_where_the_tick_does() {
    let fake = Fake::new();

    let plan = fake.plan(&[warn("ISO-04", boot("rcu_nocbs", "1"))]);

    assert_eq!(words(&plan), ["rcu_nocbs=1-3,9-11"]);
}

#[test]
fn a_partition_is_for_a_daemon_that_lives_in_it() {
    let fix = || [bad("ISO-01", Change::Partition { cpus: "1-3".parse().unwrap() })];
    let outside = Fake::new();
    outside.file("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory\n");

    let plan = outside.plan(&fix());
    assert_eq!(words(&plan), ["isolcpus=managed_irq,domain,1-3,9-11"]);
    assert!(why(&plan, "ISO-01").contains("barewired.service is not in"), "{plan:#?}");

    outside.file("usr/lib/systemd/system/barewired.service", "[Service]\nSlice=barewire.slice\n");
    let plan = outside.plan(&fix());
    assert_eq!(words(&plan), ["isolcpus=managed_irq,1-3,9-11"]);
    let partition = plan.steps.iter().find_map(|step| match &step.change {
        Change::Partition { cpus } => Some(cpus.to_string()),
        _ => None,
    });
    assert_eq!(partition.as_deref(), Some("1-3,9-12"), "with a CPU for the daemon's own threads");
    assert!(targets(&plan).contains(&"/etc/systemd/system/barewire.slice".to_owned()));

    // Asked for, the daemon is moved.
    outside.remove("usr/lib/systemd/system/barewired.service");
    let asked = outside.with("ISO-01", Wish::Apply);
    let drop_in = "/etc/systemd/system/barewired.service.d/90-barewire.conf".to_owned();
    assert!(targets(&asked.plan(&fix())).contains(&drop_in));
    // An older kernel has no exclusive CPUs.
    asked.file("proc/sys/kernel/osrelease", "6.6.30\n");
    assert_eq!(words(&asked.plan(&fix())), ["isolcpus=managed_irq,domain,1-3,9-11"]);
}

#[test]
fn nothing_is_isolated_where_too_few_cpus_would_be_left() {
    let fake = Fake::bare("vm-2-cpus");
    let fake = Fake {
        config: CONFIG
            .replace("housekeeping = \"0,8,4,12\"\nworkers = \"1-3\"", "count = 1")
            .replace("0000:3b:00.0", "vdev:net_null0"),
        ..fake
    };
    fake.file("sys/devices/system/cpu/cpu1/online", "1\n");
    let changes = [
        boot("isolcpus", "1"),
        boot("nohz_full", "1"),
        Change::Partition { cpus: "1".parse().unwrap() },
        Change::File {
            path: "etc/systemd/system.conf.d/90-barewire.conf".into(),
            content: "[Manager]\nCPUAffinity=0\n".into(),
        },
        kernel("sys/devices/system/cpu/cpu1/online", "0", Form::Number),
    ];

    for change in changes {
        let plan = fake.plan(&[bad("ISO-01", change)]);
        assert!(plan.is_empty(), "{plan:#?}");
        assert!(why(&plan, "ISO-01").contains("2 CPUs are too few"), "{plan:#?}");
    }
}

#[test]
fn the_invariants_of_the_core_sets_are_asked_first() {
    let broken_with = |cores: &str| {
        let mut fake = Fake::new();
        fake.config = CONFIG.replace("housekeeping = \"0,8,4,12\"\nworkers = \"1-3\"", cores);
        let plan = fake.plan(&[bad("ISO-03", boot("nohz_full", "1-3"))]);
        assert!(plan.is_empty(), "{plan:#?}");
        why(&plan, "ISO-03")
    };

    assert!(broken_with("workers = \"0-1\"").contains("CPU 0 is a worker's"));
    // The planner itself refuses CPUs that are not there.
    assert!(broken_with("workers = \"70\"").contains("not known"));
}

#[test]
fn work_is_never_put_onto_the_workers() {
    let fake = Fake::new();
    fake.file("proc/irq/24/smp_affinity_list", "0-15\n");
    fake.file("proc/irq/default_smp_affinity", "ffff\n");
    fake.file("sys/devices/virtual/workqueue/cpumask", "ffff\n");

    let plan = fake.plan(&[
        warn("IRQ-02", kernel("proc/irq/24/smp_affinity_list", "0-3", Form::CpuList)),
        warn("ISO-09", kernel("proc/irq/default_smp_affinity", "2", Form::CpuMask)),
        warn("ISO-11", kernel("sys/devices/virtual/workqueue/cpumask", "0", Form::CpuMask)),
    ]);

    assert!(plan.steps.is_empty());
    assert!(why(&plan, "IRQ-02").contains("onto CPUs 1-3"));
    // A hexadecimal 2 is CPU 1.
    assert!(why(&plan, "ISO-09").contains("onto CPUs 1,"));
    assert!(why(&plan, "ISO-11").contains("names no CPU"));
}

#[test]
fn a_port_of_the_way_in_is_never_given_away() {
    let mut fake = Fake::with_links();
    fake.wishes.i_want.insert("VFIO-01".to_owned());
    fake.wishes.set.insert("VFIO-01".to_owned(), Wish::Apply);
    fake.config.push_str("[tune]\nmanagement = [\"ens1f0np0\"]\n");
    let device = "0000:3b:00.0".parse().unwrap();
    let change = Change::Driver { device, driver: "vfio-pci".into() };

    let plan = fake.plan(&[bad("VFIO-01", change)]);

    assert!(plan.steps.is_empty());
    let why = why(&plan, "VFIO-01");
    assert!(why.contains("0000:3b:00.0 must stay with its driver: "), "{plan:#?}");
    assert!(why.contains("ens1f0np0"), "{plan:#?}");
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

#[test]
fn nothing_is_set_on_an_interface_that_goes_to_another_driver() {
    let fake = Fake::with_links();
    let rings = |interface: &str| Change::Ethtool {
        interface: interface.to_owned(),
        setting: EthtoolSetting::Rings { rx: Some(2048), tx: None },
    };
    let driver =
        Change::Driver { device: "0000:3b:00.0".parse().unwrap(), driver: "vfio-pci".to_owned() };

    let plan = fake.plan(&[
        finding("NIC-01", Verdict::Warn, vec![rings("ens1f0np0"), rings("ens1f1np1")]),
        bad("VFIO-01", driver.clone()),
    ]);

    let changes: Vec<&Change> = plan.steps.iter().map(|step| &step.change).collect();
    assert!(changes.contains(&&rings("ens1f1np1")) && changes.contains(&&driver), "{plan:#?}");
    let left: Vec<&Change> = plan.left_out.iter().map(|left| &left.change).collect();
    assert_eq!(left, [&rings("ens1f0np0")]);
}

#[test]
fn each_loader_is_written_in_its_own_way() {
    let parameters = [warn("CLK-04", boot("skew_tick", "1")), bad("RAS-01", no_boot("mce"))];
    // Fedora, RHEL.
    let fake = Fake::bare("one-node");
    let fake = Fake {
        config: CONFIG.replace("housekeeping = \"0,8,4,12\"\nworkers = \"1-3\"", ""),
        ..fake
    };
    fake.file("boot/grub2/grub.cfg", "set default=0\n");
    fake.file("etc/default/grub", "GRUB_ENABLE_BLSCFG=true\n");
    let entry = |id: &str, options: &str| {
        let text = format!("title {id}\nversion {id}\nlinux /vmlinuz-{id}\noptions {options}\n");
        fake.file(&format!("boot/loader/entries/{id}.conf"), &text);
    };
    entry("m-6.1", "root=/dev/sda ro mce=off");
    let plan = fake.plan(&parameters);
    let [Step { change: Change::KernelArguments(arguments), from, .. }] = &plan.steps[..] else {
        panic!("{plan:#?}")
    };
    assert_eq!(arguments.tool, ArgumentTool::Grubby);
    assert_eq!(
        (arguments.add.join(" "), arguments.remove.join(" ")),
        ("skew_tick=1".into(), "skew_tick mce".into())
    );
    assert_eq!(*from, Fact::Is("mce=off".to_owned()));
    entry("m-6.1", "root=/dev/sda ro skew_tick=1");
    assert!(fake.plan(&parameters).is_empty());
    // What new kernels are started with, where a file says it.
    fake.file("etc/kernel/cmdline", "root=/dev/sda ro mce=off\n");
    let plan = fake.plan(&parameters);
    let [file] = &plan.steps[..] else { panic!("{plan:#?}") };
    assert_eq!(file.to, "root=/dev/sda ro skew_tick=1\n");
    assert!(file.change.needs_reboot());

    // systemd-boot.
    fake.remove("boot/grub2/grub.cfg");
    fake.file("efi/EFI/systemd/systemd-bootx64.efi", "");
    fake.file("efi/loader/entries/m.conf", "title m\nlinux /m\noptions root=/dev/sda ro\n");
    fake.file("proc/sys/kernel/osrelease", "6.12.1-amd64\n");
    fake.file("etc/kernel/cmdline", "root=/dev/sda  mce=off ro\n");
    let plan = fake.plan(&parameters);
    let [file, menu] = &plan.steps[..] else { panic!("{plan:#?}") };
    assert_eq!(file.to, "root=/dev/sda ro skew_tick=1\n");
    assert_eq!(
        menu.change,
        Change::BootMenu { tool: MenuTool::KernelInstall { version: "6.12.1-amd64".into() } }
    );

    // An image-based system: by hand.
    fake.file("run/ostree-booted", "");
    entry("m-6.1", "root=/dev/sda ro mce=off");
    let plan = fake.plan(&parameters);
    assert!(plan.steps.is_empty() && !plan.is_empty());
    assert_eq!(
        plan.by_hand[0].commands,
        [
            "rpm-ostree kargs --delete-if-present=skew_tick --delete-if-present=mce --append-if-missing=skew_tick=1"
        ]
    );
    assert_eq!(plan.by_hand[0].checks, ["CLK-04", "RAS-01"]);
}

#[test]
fn grub_without_drop_ins_is_set_in_its_one_file() {
    let fake = Fake::new();
    fs::remove_dir_all(fake.dir.path().join("etc/default/grub.d")).unwrap();
    fake.file(
        "etc/default/grub",
        "GRUB_CMDLINE_LINUX=\"mce=off a\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet skew_tick=0\"\n",
    );
    let parameters = [warn("CLK-04", boot("skew_tick", "1")), bad("RAS-01", no_boot("mce"))];

    let plan = fake.plan(&parameters);

    let wanted: Vec<&str> = plan.steps.iter().map(|step| step.to.as_str()).collect();
    assert_eq!(wanted, ["quiet skew_tick=1", "a", "made anew"]);

    fake.file("etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"$(cat /etc/args)\"\n");
    let plan = fake.plan(&parameters);
    assert!(plan.steps.is_empty() && plan.by_hand.len() == 1, "{plan:#?}");
}

#[test]
fn a_command_line_that_the_kernel_would_cut_is_refused() {
    let fake = Fake::new();
    let most = 2047 - "root=/dev/sda1 ro quiet skew_tick=".len();

    let plan = fake.plan(&[warn("CLK-04", boot("skew_tick", &"1".repeat(most)))]);
    assert_eq!(plan.steps.len(), 2, "{plan:#?}");
    let plan = fake.plan(&[warn("CLK-04", boot("skew_tick", &"1".repeat(most + 1)))]);
    assert!(plan.steps.is_empty());
    assert!(why(&plan, "CLK-04").contains("2048 bytes"), "{plan:#?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Whatever is wanted: least harm first, one step a knob, and a second plan where the first one was carried out is
    /// empty.
    #[test]
    fn any_plan_is_in_order_and_once_done_is_done(
        wanted in proptest::collection::vec((0_usize..8, 0_u32..4, any::<bool>()), 0..24),
    ) {
        let fake = Fake::new();
        let files = [
            "proc/sys/vm/swappiness", "proc/sys/kernel/nmi_watchdog", "sys/kernel/mm/ksm/run",
            "sys/class/net/eno1/queues/rx-0/rps_cpus",
        ];
        for file in files {
            fake.file(file, "7\n");
        }
        let findings: Vec<Finding> = wanted
            .iter()
            .map(|(which, value, is_bad)| {
                let value = value.to_string();
                let change = match which {
                    0 => sysctl("vm.swappiness", &value),
                    1 => sysctl("kernel.nmi_watchdog", &value),
                    2 => kernel("sys/kernel/mm/ksm/run", &value, Form::Number),
                    3 => kernel("sys/class/net/eno1/queues/rx-0/rps_cpus", "1", Form::CpuMask),
                    4 => boot("skew_tick", &value),
                    5 => no_boot("mce"),
                    6 => Change::File { path: "etc/modprobe.d/90-barewire.conf".into(), content: value },
                    _ => Change::Setting {
                        path: "etc/default/irqbalance".into(),
                        key: "K".into(),
                        value,
                    },
                };
                if *is_bad { bad("MEM-14", change) } else { warn("MEM-11", change) }
            })
            .collect();

        let plan = fake.plan(&findings);
        prop_assert_eq!(&fake.plan(&findings), &plan);
        prop_assert!(plan.steps.is_sorted_by_key(|step| step.blast));
        let mut targets = targets(&plan);
        targets.sort();
        let all = targets.len();
        targets.dedup();
        prop_assert_eq!(targets.len(), all);

        for step in &plan.steps {
            match &step.change {
                Change::Kernel { path, value, .. } => fake.file(path, value),
                Change::File { path, content } => fake.file(path, content),
                Change::Setting { path, key, value } => {
                    fake.file(path, &crate::change::setting_line(key, value));
                }
                _ => {}
            }
        }
        let again = fake.plan(&findings);
        prop_assert!(again.is_empty(), "{again:#?}");
    }
}
