use crate::{
    Fact, Measured,
    Verdict::{Bad, Good, Info, NotApplicable, Unknown, Warn},
    change::{BootValue, Change},
    checks::{
        Outcome,
        sample::{Sample, quiet},
    },
    measured::ThreadActivity,
};

const CPU: &str = "sys/devices/system/cpu";
const CGROUP: &str = "sys/fs/cgroup";
const KERNEL: u32 = 0x0020_0000;
const BOUND: u32 = 0x0420_0000;

fn v2() -> Sample {
    Sample::server().with(&format!("{CGROUP}/cgroup.controllers"), "cpuset cpu memory")
}

fn isolated(cpus: &str) -> Sample {
    Sample::server().with(&format!("{CPU}/isolated"), cpus)
}

fn cmdline(text: &str) -> Sample {
    Sample::server().with("proc/cmdline", text)
}

fn boot(outcome: &Outcome) -> (&str, &str) {
    match &outcome.fix[..] {
        [Change::BootParameter { key, value: BootValue::Is(value) }] => (key, value),
        [Change::BootParameter { key, value: BootValue::Absent }] => (key, ""),
        other => panic!("{other:?}"),
    }
}

/// The threads that the fix moves, and where.
fn moves(outcome: &Outcome) -> Vec<(u32, String)> {
    let moved = outcome.fix.iter().filter_map(|change| match change {
        Change::Affinity { thread, cpus, .. } => Some((*thread, cpus.to_string())),
        _ => None,
    });
    moved.collect()
}

#[test]
fn workers_are_isolated_wholly_partly_or_not_at_all() {
    isolated("2-3").expect("ISO-01", Good);
    isolated("2-5").expect("ISO-01", Good);
    isolated("3-5").expect("ISO-01", Warn);
    assert_eq!(
        boot(&isolated("4-5").expect("ISO-01", Bad)),
        ("isolcpus", "managed_irq,domain,2-3")
    );
    Sample::server().without(&format!("{CPU}/isolated")).expect("ISO-01", NotApplicable);
    isolated("\u{7f}").expect("ISO-01", Unknown);
    Sample::empty().expect("ISO-01", Unknown);
}

#[test]
fn a_partition_counts_and_is_the_fix_where_there_can_be_one() {
    let outcome = v2().expect("ISO-01", Bad);
    assert_eq!(outcome.fix, [Change::Partition { cpus: "2-3".parse().unwrap() }]);
    v2().with(&format!("{CGROUP}/cpuset.cpus.isolated"), "2-3").expect("ISO-01", Good);
    let valid = v2()
        .with(&format!("{CGROUP}/dp/cpuset.cpus.partition"), "isolated")
        .with(&format!("{CGROUP}/dp/cpuset.cpus.exclusive.effective"), "2-3");
    valid.expect("ISO-01", Good);
}

#[test]
fn cgroup_v1_isolates_what_no_balanced_group_has() {
    let root = format!("{CGROUP}/cpuset");
    let with = |flag: &str| {
        Sample::server()
            .with(&format!("{root}/cpuset.cpus"), "0-15")
            .with(&format!("{root}/cpuset.sched_load_balance"), flag)
            .with(&format!("{root}/rest/cpuset.cpus"), "0-1,4-15")
            .with(&format!("{root}/rest/cpuset.sched_load_balance"), "1")
    };
    with("0").expect("ISO-01", Good);
    with("1").expect("ISO-01", Bad);
    with("1").expect("ISO-02", NotApplicable);
}

#[test]
fn a_partition_is_what_the_kernel_reads_back() {
    let with = |state: &str, cpus: &str| {
        v2().with(&format!("{CGROUP}/dp/cpuset.cpus.partition"), state)
            .with(&format!("{CGROUP}/dp/cpuset.cpus"), "2-3")
            .with(&format!("{CGROUP}/dp/cpuset.cpus.exclusive.effective"), cpus)
    };
    with("isolated", "2-3").expect("ISO-02", Good);
    with("isolated", "2").expect("ISO-02", Warn);
    with("root", "2-3").expect("ISO-02", Warn);
    let outcome =
        with("isolated invalid (Cpu list in cpuset.cpus not exclusive)", "").expect("ISO-02", Bad);
    assert!(outcome.details[0].contains("not exclusive") && outcome.fix.is_empty());
    with("member", "2-3").expect("ISO-02", NotApplicable);
    v2().expect("ISO-02", NotApplicable);
    Sample::server().expect("ISO-02", NotApplicable);
}

#[test]
fn the_tick_stops_on_all_workers_some_or_none() {
    let with = |cpus: &str| Sample::server().with(&format!("{CPU}/nohz_full"), cpus);
    with("2-3").expect("ISO-03", Good);
    with("3").expect("ISO-03", Warn);
    assert_eq!(boot(&with("(null)").expect("ISO-03", Bad)), ("nohz_full", "2-3"));
    with("").expect("ISO-03", Bad);
    with("4-5").expect("ISO-03", Bad);
    with("x").expect("ISO-03", Unknown);
    let without = Sample::server().without(&format!("{CPU}/nohz_full"));
    assert!(without.expect("ISO-03", Warn).fix.is_empty());
}

#[test]
fn callbacks_are_offloaded_by_nohz_full_by_the_boot_line_or_by_what_runs() {
    Sample::server().with(&format!("{CPU}/nohz_full"), "2-3").expect("ISO-04", Good);
    cmdline("rcu_nocbs=2-3").expect("ISO-04", Good);
    cmdline("rcu_nocbs=all").expect("ISO-04", Good);
    assert_eq!(boot(&cmdline("rcu_nocbs=2").expect("ISO-04", Bad)), ("rcu_nocbs", "2-3"));
    cmdline("rcu_nocbs").expect("ISO-04", Bad);
    let one = Sample::server().task((20, 20), "rcuop/2", KERNEL, "0-1", 0);
    one.expect("ISO-04", Bad);
    let both = Sample::server().task((20, 20), "rcuop/2", KERNEL, "0-1", 0).task(
        (21, 21),
        "rcuos/3",
        KERNEL,
        "0-1",
        0,
    );
    both.expect("ISO-04", Good);
}

#[test]
fn rcus_threads_stay_off_workers() {
    let with = |cpus: &str, cpu: u32| Sample::server().task((20, 20), "rcuog/2", KERNEL, cpus, cpu);
    with("0-1", 0).expect("ISO-05", Good);
    with("0-15", 0).expect("ISO-05", Warn);
    with("0-15", 2).expect("ISO-05", Bad);
    let outcome = with("2", 2).expect("ISO-05", Bad);
    assert_eq!(moves(&outcome), [(20, "0-1,4-9,12-15".to_owned())]);
    Sample::server().expect("ISO-05", NotApplicable);
    let unread = with("0-1", 0).without("proc/20/task/20/status");
    unread.expect("ISO-05", Unknown);
}

#[test]
fn polling_rcu_threads_are_only_mentioned() {
    cmdline("quiet").expect("ISO-06", Good);
    assert_eq!(boot(&cmdline("rcu_nocb_poll").expect("ISO-06", Info)), ("rcu_nocb_poll", ""));
    Sample::empty().expect("ISO-06", NotApplicable);
}

#[test]
fn patience_matters_only_with_tick_free_cpus() {
    let file = "sys/module/rcutree/parameters/nohz_full_patience_delay";
    let with =
        |value: &str| Sample::server().with(file, value).with(&format!("{CPU}/nohz_full"), "2-3");
    with("1000").expect("ISO-07", Good);
    assert_eq!(boot(&with("999").expect("ISO-07", Info)).1, "1000");
    with("long").expect("ISO-07", Unknown);
    Sample::server().with(file, "0").expect("ISO-07", NotApplicable);
    Sample::server().expect("ISO-07", NotApplicable);
}

#[test]
fn managed_interrupts_matter_where_there_are_disks_with_queues() {
    let disk = |line: &str| {
        cmdline(line)
            .function("0000:5e:00.0", 0)
            .with("sys/bus/pci/devices/0000:5e:00.0/class", "0x010802")
    };
    disk("isolcpus=managed_irq,domain,2-3").expect("ISO-08", Good);
    disk("isolcpus=domain,managed_irq,2-N").expect("ISO-08", Good);
    let plain = disk("isolcpus=2-3").expect("ISO-08", Warn);
    assert_eq!(boot(&plain), ("isolcpus", "managed_irq,domain,2-3"));
    assert_eq!(boot(&disk("quiet").expect("ISO-08", Warn)), ("isolcpus", "managed_irq,2-3"));
    disk("isolcpus=managed_irq,2").expect("ISO-08", Warn);
    cmdline("quiet").expect("ISO-08", Info);
    Sample::empty().expect("ISO-08", Unknown);
}

#[test]
fn new_interrupts_are_given_housekeeping_cpus() {
    let with = |mask: &str| Sample::server().with("proc/irq/default_smp_affinity", mask);
    with("fff3").expect("ISO-09", Good);
    let outcome = with("ffff").expect("ISO-09", Bad);
    // Now, and for the interrupts of the next boot.
    let [Change::Kernel { value, .. }, Change::BootParameter { key, value: BootValue::Is(list) }] =
        &outcome.fix[..]
    else {
        panic!("{outcome:?}")
    };
    assert_eq!(value, "0000f3f3");
    assert_eq!((key.as_str(), list.as_str()), ("irqaffinity", "0-1,4-9,12-15"));
    with("fff7").expect("ISO-09", Bad);
    with("what").expect("ISO-09", Unknown);
    Sample::server().expect("ISO-09", NotApplicable);
}

#[test]
fn irqaffinity_names_no_worker() {
    cmdline("irqaffinity=0-1").expect("ISO-10", Good);
    assert_eq!(boot(&cmdline("irqaffinity=0-2").expect("ISO-10", Bad)).1, "0-1,4-9,12-15");
    cmdline("irqaffinity=all").expect("ISO-10", Bad);
    cmdline("irqaffinity=0-1n").expect("ISO-10", Unknown);
    assert_eq!(boot(&cmdline("quiet").expect("ISO-10", Info)).0, "irqaffinity");
}

#[test]
fn the_common_mask_of_workqueues_is_worse_than_one_of_them() {
    let dir = "sys/devices/virtual/workqueue";
    let with = |common: &str, one: &str| {
        Sample::server()
            .with(&format!("{dir}/cpumask"), common)
            .with(&format!("{dir}/writeback/cpumask"), one)
            .with(&format!("{dir}/power/control"), "auto")
    };
    with("fff3", "fff3").expect("ISO-11", Good);
    assert_eq!(with("fff3", "ffff").expect("ISO-11", Warn).fix.len(), 1);
    assert_eq!(with("ffff", "ffff").expect("ISO-11", Bad).fix.len(), 2);
    with("fff3", "what").expect("ISO-11", Unknown);
    with("what", "fff3").expect("ISO-11", Unknown);
    Sample::server().expect("ISO-11", NotApplicable);
}

#[test]
fn kernel_threads_that_can_be_moved_are_moved() {
    let with = |flags: u32, cpus: &str, cpu: u32| {
        Sample::server().task((9, 9), "kswapd0", flags, cpus, cpu)
    };
    with(KERNEL, "0-1", 0).expect("ISO-12", Good);
    with(KERNEL, "0-15", 0).expect("ISO-12", Warn);
    let outcome = with(KERNEL, "0-15", 3).expect("ISO-12", Bad);
    assert_eq!(moves(&outcome).len(), 1);
    with(BOUND, "3", 3).expect("ISO-12", Good);
    with(KERNEL, "0-1", 0).without("proc/9/task/9/status").expect("ISO-12", Unknown);
    Sample::empty().expect("ISO-12", Unknown);
}

#[test]
fn a_kernel_thread_that_did_nothing_is_not_held_against_the_machine() {
    let with = |threads: Vec<ThreadActivity>| {
        let measured = Measured { threads: Fact::Is(threads), ..quiet() };
        Sample::server().task((9, 9), "kswapd0", KERNEL, "0-15", 3).measured(measured)
    };
    let active = ThreadActivity {
        process: 9,
        thread: 9,
        name: "kswapd0".to_owned(),
        is_kernel: true,
        last_cpu: config::CpuId::new(3).unwrap(),
        voluntary: Some(1),
        involuntary: Some(0),
        minor_faults: 0,
        major_faults: 0,
        ticks: 0,
    };
    with(vec![active]).expect("ISO-12", Bad);
    with(Vec::new()).expect("ISO-12", Warn);
}

#[test]
fn pid_1_hands_its_affinity_on() {
    let with = |machine: Sample, name: &str, cpus: &str| machine.task((1, 1), name, 0, cpus, 0);
    with(Sample::server(), "systemd", "0-1").expect("ISO-13", Good);
    with(isolated("2-3"), "systemd", "0-15").expect("ISO-13", Warn);
    let outcome = with(Sample::server(), "systemd", "0-15").expect("ISO-13", Bad);
    let [Change::File { path, content }] = &outcome.fix[..] else { panic!("{outcome:?}") };
    assert!(path.ends_with("90-barewire.conf"));
    assert!(content.ends_with("[Manager]\nCPUAffinity=0-1 4-9 12-15\n"), "{content}");
    assert!(with(Sample::server(), "tini", "0-15").expect("ISO-13", Bad).fix.is_empty());
    let hidden = Sample::server().without("proc/1").task((2, 2), "x", 0, "0-1", 0);
    hidden.expect("ISO-13", Unknown);
}

#[test]
fn programs_on_workers_cpus_live_there_or_pass_by() {
    let with = |cpus: &str, cpu: u32, state: char| {
        Sample::server().thread((70, 71), "java", 0, cpus, cpu, state, 0, 0)
    };
    with("0-15", 1, 'R').expect("ISO-14", Good);
    let passing = with("0-15", 2, 'S').expect("ISO-14", Warn);
    assert_eq!(moves(&passing).len(), 1);
    with("0-15", 2, 'R').expect("ISO-14", Bad);
    with("2-3", 2, 'S').expect("ISO-14", Bad);
    with("2-3", 2, 'Z').expect("ISO-14", Good);
    Sample::server().task((9, 9), "kswapd0", KERNEL, "0-15", 3).expect("ISO-14", Good);
    let ours = Sample::server().task((5, 5), "barewired", 0, "0-1", 0);
    ours.task((5, 6), "bw-worker-0", 0, "2", 2).expect("ISO-14", Good);
    let v2 = v2().task((70, 71), "java", 0, "0-15", 2).expect("ISO-14", Warn);
    assert_eq!(v2.fix, [Change::Partition { cpus: "2-3".parse().unwrap() }]);
}

fn daemon() -> Sample {
    Sample::server()
        .task((5, 5), "barewired", 0, "0-1", 0)
        .task((5, 6), "bw-worker-0", 0, "2", 2)
        .task((5, 7), "bw-worker-1", 0, "3", 3)
        .task((5, 8), "eal-intr-thread", 0, "0-1", 1)
}

#[test]
fn workers_have_one_cpu_each_and_none_twice() {
    daemon().expect("ISO-15", Good);
    daemon().task((5, 7), "bw-worker-1", 0, "2", 2).expect("ISO-15", Bad);
    daemon().task((5, 7), "bw-worker-1", 0, "2-3", 3).expect("ISO-15", Bad);
    daemon().without("proc/5/task/7/status").expect("ISO-15", Unknown);
    let starting = Sample::server().task((5, 5), "barewired", 0, "0-1", 0);
    starting.expect("ISO-15", Unknown);
    Sample::server().expect("ISO-15", NotApplicable);
}

#[test]
fn helpers_stay_off_workers() {
    daemon().expect("ISO-16", Good);
    let outcome = daemon().task((5, 8), "eal-intr-thread", 0, "0-2", 1).expect("ISO-16", Bad);
    assert_eq!(moves(&outcome), [(8, "0-1,4-9,12-15".to_owned())]);
    daemon().without("proc/5/task/8/status").expect("ISO-16", Unknown);
    Sample::server().expect("ISO-16", NotApplicable);
}

#[test]
fn workers_that_are_real_time_are_bad_but_for_one_case() {
    let with = |priority: u32, policy: u32, runtime: &str, realtime: &str, stalld: bool| {
        let machine = daemon()
            .thread((5, 7), "bw-worker-1", 0, "3", 3, 'R', priority, policy)
            .with("proc/sys/kernel/sched_rt_runtime_us", runtime)
            .with("sys/kernel/realtime", realtime);
        if stalld { machine.task((30, 30), "stalld", 0, "0-1", 0) } else { machine }
    };
    daemon().expect("ISO-17", Good);
    with(1, 1, "950000", "1", true).expect("ISO-17", Warn);
    with(2, 1, "950000", "1", true).expect("ISO-17", Bad);
    with(1, 2, "950000", "1", true).expect("ISO-17", Bad);
    with(1, 1, "-1", "1", true).expect("ISO-17", Bad);
    with(1, 1, "950000", "0", true).expect("ISO-17", Bad);
    let outcome = with(1, 1, "950000", "1", false).expect("ISO-17", Bad);
    assert_eq!(outcome.advice.as_deref(), Some("chrt -o -p 0 7"));
    Sample::server().expect("ISO-17", NotApplicable);
}

#[test]
fn a_limit_on_real_time_tasks_is_kept() {
    let with =
        |runtime: &str| Sample::server().with("proc/sys/kernel/sched_rt_runtime_us", runtime);
    let busy = |runtime: &str, state: char| {
        with(runtime).thread((40, 40), "loop", 0, "0-1", 0, state, 50, 1)
    };
    with("950000").expect("ISO-18", Good);
    with("-1").task((1, 1), "init", 0, "0-1", 0).expect("ISO-18", Warn);
    with("1000000").task((1, 1), "init", 0, "0-1", 0).expect("ISO-18", Warn);
    busy("-1", 'S').expect("ISO-18", Warn);
    busy("-1", 'R').expect("ISO-18", Bad);
    busy("950000", 'R').expect("ISO-18", Good);
    let fix = busy("-1", 'R').ask("ISO-18").fix;
    assert!(matches!(&fix[..], [Change::Sysctl { value, .. }] if value == "950000"));
    with("much").expect("ISO-18", Unknown);
    Sample::server().expect("ISO-18", NotApplicable);
}

#[test]
fn no_kind_of_kernel_is_bad() {
    let version =
        |text: &str| Sample::server().with("proc/version", text).expect("ISO-19", Info).seen;
    assert!(version("Linux version 6.1.0-rt #1 SMP PREEMPT_RT Debian").starts_with("PREEMPT_RT"));
    assert!(version("Linux version 6.1.0 #1 SMP PREEMPT_DYNAMIC").starts_with("not"));
    let file = Sample::server().with("sys/kernel/realtime", "1").expect("ISO-19", Info);
    assert!(file.seen.starts_with("PREEMPT_RT"));
    Sample::empty().expect("ISO-19", NotApplicable);
}

#[test]
fn lists_that_the_kernel_would_drop_are_found() {
    cmdline("isolcpus=managed_irq,2-3 nohz_full=2-3 rcu_nocbs").expect("ISO-20", Good);
    for wrong in [
        "isolcpus=",
        "isolcpus=2-3n",
        "isolcpus=managed_irq,domain",
        "nohz_full=16",
        "nohz_full",
        "irqaffinity=0-1,x",
        "rcu_nocbs=3-2",
    ] {
        cmdline(wrong).expect("ISO-20", Bad);
    }
    cmdline("quiet").expect("ISO-20", NotApplicable);
    cmdline("nohz_full=2").without(&format!("{CPU}/possible")).expect("ISO-20", NotApplicable);
    cmdline("nohz_full=2").with(&format!("{CPU}/possible"), "").expect("ISO-20", Unknown);
}

#[test]
fn selinux_remembers_enough() {
    let file = "sys/fs/selinux/avc/cache_threshold";
    Sample::server().with(file, "8192").expect("ISO-21", Good);
    assert_eq!(Sample::server().with(file, "8191").expect("ISO-21", Warn).fix.len(), 1);
    Sample::server().with(file, "x").expect("ISO-21", Unknown);
    Sample::server().expect("ISO-21", NotApplicable);
}

#[test]
fn programs_that_stamp_packets_are_mentioned() {
    Sample::server().expect("ISO-22", NotApplicable);
    let outcome =
        Sample::server().task((50, 50), "systemd-timesyn", 0, "0-1", 0).expect("ISO-22", Info);
    assert!(outcome.seen.contains("systemd-timesyncd"));
    Sample::empty().with("proc/x", "").expect("ISO-22", Unknown);
}
