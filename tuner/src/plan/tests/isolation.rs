//! Which CPUs are the workers' alone, and by which arguments.

use super::*;

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
