use std::collections::BTreeMap;

use config::CpuId;

use crate::{
    Fact, Measured,
    Verdict::{Bad, Good, Info, NotApplicable, Unknown, Warn},
    change::{Change, EthtoolSetting},
    checks::sample::{Sample, quiet},
    measured::Row,
};

const CPU: &str = "sys/devices/system/cpu";

fn irq(sample: Sample, number: u32, name: &str, told: &str, goes: &str) -> Sample {
    sample
        .with(&format!("sys/kernel/irq/{number}/actions"), name)
        .with(&format!("proc/irq/{number}/smp_affinity_list"), told)
        .with(&format!("proc/irq/{number}/effective_affinity_list"), goes)
}

fn fixed(sample: Sample, numbers: &str) -> Sample {
    sample.with("barewire/asked/irq/fixed.json", &format!("{{\"is\":[{numbers}]}}"))
}

/// Five seconds in which these rows counted so much on CPU 2, a worker's.
fn rows(counts: &[(&str, u64)]) -> Sample {
    let row = |(label, count): &(&str, u64)| Row {
        label: (*label).to_owned(),
        description: String::new(),
        counts: BTreeMap::from([(CpuId::new(2).unwrap(), *count)]),
    };
    let interrupts = Fact::Is(counts.iter().map(row).collect());
    Sample::server().measured(Measured { interrupts, ..quiet() })
}

fn softirqs(counts: &[(&str, u64)]) -> Sample {
    let kind = |(name, count): &(&str, u64)| {
        ((*name).to_owned(), BTreeMap::from([(CpuId::new(3).unwrap(), *count)]))
    };
    let softirqs = Fact::Is(counts.iter().map(kind).collect());
    Sample::server().measured(Measured { softirqs, ..quiet() })
}

#[test]
fn without_a_measurement_what_is_measured_does_not_apply() {
    for id in ["IRQ-01", "IRQ-05", "IRQ-06", "IRQ-07"] {
        let outcome = Sample::server().expect(id, NotApplicable);
        assert!(outcome.seen.contains("--measure"), "{id}");
    }
}

#[test]
fn what_could_not_be_counted_is_unknown() {
    let without = || {
        let (interrupts, softirqs) = (Fact::unknown("denied"), Fact::unknown("denied"));
        Sample::server().measured(Measured { interrupts, softirqs, ..quiet() })
    };
    for id in ["IRQ-01", "IRQ-05", "IRQ-06", "IRQ-07"] {
        without().expect(id, Unknown);
    }
}

#[test]
fn a_single_device_interrupt_on_a_worker_is_bad() {
    rows(&[]).expect("IRQ-01", Good);
    let outcome = rows(&[("24", 1), ("LOC", 1)]).expect("IRQ-01", Bad);
    assert!(matches!(&outcome.fix[..], [Change::Kernel { path, value, .. }]
        if path == "proc/irq/24/smp_affinity_list" && value == "0-1,4-9,12-15"));
    let elsewhere = Row {
        label: "24".to_owned(),
        description: String::new(),
        counts: BTreeMap::from([(CpuId::new(1).unwrap(), 1000)]),
    };
    let measured = Measured { interrupts: Fact::Is(vec![elsewhere]), ..quiet() };
    Sample::server().measured(measured).expect("IRQ-01", Good);
}

#[test]
fn timers_are_judged_by_their_rate_on_each_worker() {
    // Two workers, five seconds: 2/s on each are 20.
    rows(&[("LOC", 20)]).expect("IRQ-01", Good);
    rows(&[("LOC", 21)]).expect("IRQ-01", Warn);
    rows(&[("LOC", 499)]).expect("IRQ-01", Warn);
    rows(&[("LOC", 500)]).expect("IRQ-01", Bad);
    rows(&[("RES", 1)]).expect("IRQ-01", Warn);
    rows(&[("RES", 999)]).expect("IRQ-01", Warn);
    rows(&[("RES", 1000)]).expect("IRQ-01", Bad);
}

#[test]
fn the_timer_of_arm_is_no_device() {
    let row = Row {
        label: "11".to_owned(),
        description: "GICv3  27 Level     arch_timer".to_owned(),
        counts: BTreeMap::from([(CpuId::new(2).unwrap(), 5)]),
    };
    let measured = Measured { interrupts: Fact::Is(vec![row]), ..quiet() };
    Sample::server().measured(measured).expect("IRQ-01", Good);
}

#[test]
fn an_interrupt_is_where_the_hardware_delivers_it() {
    irq(Sample::server(), 24, "eth0", "0-1", "0").expect("IRQ-02", Good);
    irq(Sample::server(), 24, "eth0", "0-3", "0").expect("IRQ-02", Warn);
    let outcome = irq(Sample::server(), 24, "eth0", "0-3", "2").expect("IRQ-02", Bad);
    assert_eq!(outcome.details, ["24 eth0: cpu 2"]);
    assert!(matches!(&outcome.fix[..], [Change::Kernel { path, value, .. }]
        if path == "proc/irq/24/smp_affinity_list" && value == "0-1,4-9,12-15"));
    // Nobody handles it.
    irq(Sample::server(), 24, "", "0-3", "2").expect("IRQ-02", Good);
    let old = irq(Sample::server(), 24, "eth0", "0-3", "0");
    old.without("proc/irq/24/effective_affinity_list").expect("IRQ-02", Bad);
    let odd = irq(Sample::server(), 24, "eth0", "x", "x");
    odd.expect("IRQ-02", Unknown);
    Sample::server().expect("IRQ-02", NotApplicable);
}

#[test]
fn what_only_the_kernel_moves_is_judged_apart() {
    let disk = |told: &str, goes: &str| irq(Sample::server(), 40, "nvme0q3", told, goes);
    disk("0-3", "2").expect("IRQ-02", Good);
    disk("0-3", "0").expect("IRQ-03", Good);
    disk("0-3", "2").expect("IRQ-03", Warn);
    disk("2-3", "2").expect("IRQ-03", Info);
    disk("4-5", "4").expect("IRQ-03", Good);
    disk("x", "2").expect("IRQ-03", Unknown);
    fixed(irq(Sample::server(), 41, "hba", "0-3", "2"), "41").expect("IRQ-03", Warn);
    fixed(irq(Sample::server(), 41, "hba", "0-3", "2"), "41").expect("IRQ-02", Good);
    fixed(irq(Sample::server(), 41, "hba", "0-3", "2"), "").expect("IRQ-03", NotApplicable);
    irq(Sample::server(), 41, "hba", "0-3", "2").expect("IRQ-03", Unknown);
}

#[test]
fn what_the_kernel_refused_to_move_is_not_asked_for_again_while_it_is_the_same() {
    let refused = |release: &str, handlers: &str| {
        irq(Sample::server(), 31, "pciehp", "0-3", "2")
            .with("proc/sys/kernel/osrelease", release)
            .with(
                "var/lib/barewire/tune/immovable.json",
                &format!(
                    r#"{{"version":1,"kernel":"6.1.0-37-amd64","interrupts":{{"31":"{handlers}"}}}}"#
                ),
            )
    };
    let same = || refused("6.1.0-37-amd64", "pciehp");
    assert!(same().expect("IRQ-02", Good).fix.is_empty());
    let outcome = same().expect("IRQ-03", Warn);
    assert!(outcome.details.iter().any(|line| line == "31 pciehp: the kernel refused to move it"));
    assert!(outcome.seen.ends_with("; the kernel refused to move 1"), "{outcome:?}");
    // Another kernel, another handler of that number, a note that can not be read: tried anew.
    refused("6.12.0", "pciehp").expect("IRQ-02", Bad);
    refused("6.1.0-37-amd64", "eth0").expect("IRQ-02", Bad);
    same().with("var/lib/barewire/tune/immovable.json", "{").expect("IRQ-02", Bad);
}

#[test]
fn irqbalance_is_judged_by_what_it_was_given() {
    let file = "etc/default/irqbalance";
    let running = |machine: Sample| machine.task((60, 60), "irqbalance", 0, "0-15", 0);
    let isolated = || Sample::server().with(&format!("{CPU}/isolated"), "2-3");
    let given = |text: &str| {
        let answer = format!("{{\"is\":{{{text}}}}}");
        running(Sample::server().with("barewire/asked/irqbalance/environment.json", &answer))
    };
    Sample::server().expect("IRQ-04", Good);
    given(r#""IRQBALANCE_BANNED_CPULIST":"2-3""#).expect("IRQ-04", Good);
    given(r#""IRQBALANCE_BANNED_CPUS":"c""#).expect("IRQ-04", Good);
    given(r#""IRQBALANCE_BANNED_CPUS":"4""#).expect("IRQ-04", Bad);
    given("").expect("IRQ-04", Bad);
    given(r#""IRQBALANCE_BANNED_CPULIST":"x""#).expect("IRQ-04", Bad);
    // The file counts only as far as the process does not say.
    given("").with(file, "IRQBALANCE_BANNED_CPULIST=2-3").expect("IRQ-04", Bad);
    running(Sample::server()).with(file, "IRQBALANCE_BANNED_CPULIST=2-3").expect("IRQ-04", Good);
    running(isolated()).with(file, "").expect("IRQ-04", Good);
    running(isolated()).with(file, "IRQBALANCE_BANNED_CPULIST=").expect("IRQ-04", Warn);
    running(Sample::server()).with(file, "IRQBALANCE_BANNED_CPULIST=").expect("IRQ-04", Bad);
    let partition = Sample::server().with("sys/fs/cgroup/cpuset.cpus.isolated", "2-3");
    running(partition).with(file, "").expect("IRQ-04", Warn);
    running(Sample::server()).expect("IRQ-04", Unknown);
}

#[test]
fn the_administrators_list_is_kept_when_workers_are_added() {
    let outcome = Sample::server()
        .task((60, 60), "irqbalance", 0, "0-15", 0)
        .with("etc/sysconfig/irqbalance", "IRQBALANCE_BANNED_CPULIST=\"0,2\"")
        .expect("IRQ-04", Bad);
    assert!(
        matches!(&outcome.fix[..], [Change::Setting { path, value, .. }, Change::Unit { .. }]
        if path == "etc/sysconfig/irqbalance" && value == "0,2-3,10-11"),
        "{:?}",
        outcome.fix
    );
}

#[test]
fn irqbalance_is_kept_from_cpus_that_are_nobodys_too() {
    let outcome = Sample::server()
        .config(
            &crate::checks::sample::CONFIG
                .replace("workers = ", "housekeeping = \"0-1,8-9\"\nworkers = "),
        )
        .task((60, 60), "irqbalance", 0, "0-15", 0)
        .with("etc/default/irqbalance", "")
        .expect("IRQ-04", Bad);
    assert!(
        matches!(&outcome.fix[..], [Change::Setting { value, .. }, Change::Unit { .. }]
        if value == "2-7,10-15"),
        "{:?}",
        outcome.fix
    );
}

#[test]
fn calls_between_cpus_are_few_some_or_many() {
    rows(&[("CAL", 0)]).expect("IRQ-05", Good);
    // One in five seconds is twelve a minute.
    rows(&[("CAL", 1)]).expect("IRQ-05", Warn);
    rows(&[("RES", 49)]).expect("IRQ-05", Warn);
    rows(&[("TLB", 25), ("IWI", 25)]).expect("IRQ-05", Bad);
    rows(&[("IPI1", 50)]).expect("IRQ-05", Bad);
    rows(&[("LOC", 5000)]).expect("IRQ-05", Good);
    let minute = rows(&[("CAL", 5)]).ask("IRQ-05");
    assert_eq!(minute.verdict, Warn);
}

#[test]
fn software_interrupts_of_devices_do_not_belong_on_workers() {
    softirqs(&[]).expect("IRQ-06", Good);
    softirqs(&[("TIMER", 20), ("RCU", 20)]).expect("IRQ-06", Good);
    softirqs(&[("TIMER", 21)]).expect("IRQ-06", Warn);
    softirqs(&[("TASKLET", 1)]).expect("IRQ-06", Warn);
    softirqs(&[("NET_RX", 4)]).expect("IRQ-06", Warn);
    softirqs(&[("NET_RX", 5)]).expect("IRQ-06", Bad);
    softirqs(&[("BLOCK", 5)]).expect("IRQ-06", Bad);
}

#[test]
fn failing_hardware_is_bad_and_a_watchdog_a_warning() {
    rows(&[("MCP", 9), ("LOC", 9)]).expect("IRQ-07", Good);
    rows(&[("NMI", 1)]).expect("IRQ-07", Warn);
    rows(&[("PMI", 1)]).expect("IRQ-07", Warn);
    for grave in ["MCE", "TRM", "THR", "DFR"] {
        rows(&[(grave, 1)]).expect("IRQ-07", Bad);
    }
}

#[test]
fn the_management_interface_has_no_more_queues_than_housekeeping_has_cpus() {
    let nic = |queues: usize, goes: &str| {
        let mut machine = irq(Sample::server(), 24, "eth0-rx", "0-15", goes)
            .with("sys/class/net/eth0/device/msi_irqs/24", "msix")
            .management("eth0");
        for queue in 0..queues {
            machine = machine.with(&format!("sys/class/net/eth0/queues/rx-{queue}/rps_cpus"), "0");
        }
        machine
    };
    // Twelve CPUs are for housekeeping.
    nic(12, "0").expect("IRQ-08", Good);
    let outcome = nic(13, "0").expect("IRQ-08", Warn);
    let setting = EthtoolSetting::Channels { combined: 12 };
    assert_eq!(outcome.fix, [Change::Ethtool { interface: "eth0".to_owned(), setting }]);
    assert!(matches!(&nic(1, "2").expect("IRQ-08", Bad).fix[..], [Change::Kernel { .. }]));
    Sample::server().expect("IRQ-08", NotApplicable);
    Sample::server().management("wlan9").expect("IRQ-08", NotApplicable);
}
