//! What each machine was made for: what is planted there is found, and what is done there is not asked for.

use tuner::{
    Verdict::{self, Bad, Good, NotApplicable as None, Unknown, Warn},
    change::Change,
};

use crate::fixture::Fixture;

/// By machine, and by check.
const PLANTED: &[(&str, &[(&str, Verdict)])] = &[
    (
        "intel-stock",
        &[
            // As it is delivered.
            ("PWR-01", Warn),
            ("PWR-02", Warn),
            ("PWR-05", Bad),
            ("CST-01", Bad),
            ("CST-03", Bad),
            ("ISO-01", Bad),
            ("ISO-03", Bad),
            ("ISO-09", Bad),
            ("ISO-13", Bad),
            ("IRQ-02", Bad),
            ("IRQ-04", Bad),
            ("WD-01", Bad),
            ("MEM-11", Bad),
            ("FW-03", Bad),
            // One card sits in a slot of four lanes, and both are the kernel's.
            ("PCI-01", Bad),
            ("VFIO-01", Bad),
            ("NIC-02", Bad),
            ("NIC-04", Verdict::Info),
            // What is right.
            ("NIC-00", Good),
            ("IOM-01", Good),
            ("CLK-01", Good),
            ("CLK-02", Good),
            ("RAS-01", Good),
            ("NET-02", Good),
            ("NET-03", Good),
            ("PWR-04", Good),
            ("ISO-18", Good),
            ("TOPO-01", Good),
        ],
    ),
    (
        "epyc-nps4",
        &[
            ("PWR-02", Bad),
            ("FW-01", Bad),
            ("MEM-11", Bad),
            ("CST-01", Bad),
            ("VFIO-01", Good),
            ("VFIO-02", None),
            ("VFIO-03", Good),
            ("ISO-01", Good),
            ("ISO-03", Good),
            ("ISO-08", Good),
            ("TOPO-02", Warn),
            // Intel's, which it has not.
            ("PWR-03", None),
            ("UNC-01", None),
            ("FW-02", None),
        ],
    ),
    (
        "arm-server",
        &[
            ("MEM-08", Bad),
            ("VFIO-02", Bad),
            ("PWR-01", Warn),
            ("CLK-01", Good),
            ("CLK-03", None),
            ("PWR-03", None),
            ("PWR-06", None),
            ("RAS-01", None),
            ("FW-02", None),
            ("TOPO-03", None),
            ("ISO-01", Good),
        ],
    ),
    (
        "vm-2-cpus",
        &[
            ("NIC-00", Bad),
            ("VIRT-01", Bad),
            ("CLK-01", Warn),
            ("PWR-01", None),
            ("PWR-04", None),
            ("CST-01", None),
            ("CST-03", None),
            ("FW-02", None),
            ("IOM-01", None),
        ],
    ),
    (
        "rt-kernel",
        &[
            ("ISO-17", Bad),
            ("ISO-18", Bad),
            ("ISO-15", Good),
            ("ISO-16", Good),
            ("ISO-19", Verdict::Info),
            ("ISO-09", Good),
            ("ISO-10", Good),
        ],
    ),
    (
        "mistuned",
        &[
            ("RAS-01", Bad),
            ("NET-01", Verdict::Info),
            ("NET-02", Bad),
            ("NET-03", Bad),
            ("NET-04", Warn),
            ("ISO-01", Warn),
            ("ISO-06", Verdict::Info),
            ("ISO-15", Bad),
            ("ISO-16", Bad),
            ("ISO-17", Bad),
            ("ISO-18", Bad),
            ("IRQ-02", Bad),
            ("IRQ-08", Bad),
            ("RPS-01", Bad),
            ("CST-05", Warn),
            ("PWR-04", Bad),
            ("WD-03", Warn),
            ("WD-04", Warn),
            ("WD-05", Bad),
            ("MEM-03", Bad),
            ("MEM-10", Bad),
            ("VFIO-04", Bad),
            ("PPD-01", Warn),
            ("SEC-01", Verdict::Info),
            ("SEC-04", Verdict::Info),
        ],
    ),
    (
        "cgroup-v1",
        &[
            ("TOPO-04", Unknown),
            ("TOPO-05", Bad),
            ("MEM-13", Warn),
            ("MEM-14", Warn),
            ("BOOT-07", Bad),
            ("ISO-01", Bad),
            ("ISO-02", None),
            // On Skylake its own driver is a matter of taste.
            ("PWR-04", Verdict::Info),
        ],
    ),
    (
        "rhel-bls",
        &[
            ("ISO-01", Good),
            ("IRQ-04", Warn),
            ("BOOT-02", Good),
            ("PPD-01", Verdict::Info),
            ("VFIO-01", Good),
        ],
    ),
    (
        "hostile",
        &[
            ("NET-02", Unknown),
            ("NET-03", Unknown),
            ("ISO-01", Unknown),
            ("ISO-09", Unknown),
            ("ISO-18", Unknown),
            ("CLK-01", Unknown),
            ("PWR-01", Unknown),
            ("MEM-08", Unknown),
            ("MEM-11", Unknown),
            ("WD-01", Unknown),
            ("FW-01", Unknown),
            ("PPD-01", Unknown),
            ("BOOT-07", Unknown),
            ("NIC-00", Unknown),
        ],
    ),
    (
        "nothing",
        &[("PPD-01", Unknown), ("MEM-02", Unknown), ("IOM-01", None), ("TOPO-01", Unknown)],
    ),
];

#[test]
fn what_was_planted_is_found() {
    let mut wrong = Vec::new();
    for (name, planted) in PLANTED {
        let findings = Fixture::new(name).findings();
        for (id, verdict) in *planted {
            let finding = findings.iter().find(|finding| finding.id == *id).unwrap();
            if finding.verdict != *verdict {
                let (is, seen) = (finding.verdict, &finding.seen);
                wrong.push(format!("{name} {id}: {is} instead of {verdict}: {seen}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_is_asked_of_a_machine_that_is_tuned() {
    let machine = Fixture::new("tuned");
    for finding in machine.findings() {
        let is_flagged = matches!(finding.verdict, Verdict::Bad | Verdict::Warn | Unknown);
        assert!(!is_flagged, "{finding:#?}");
    }
    let plan = machine.plan();
    assert!(plan.is_empty() && plan.left_out.is_empty(), "{plan:#?}");
}

/// Guests have no knobs for frequencies, idle states, IOMMU and firmware: nobody is blamed for that.
#[test]
fn a_guest_is_not_blamed_for_knobs_that_it_has_not() {
    use tuner::Section::{Cstates, Firmware, Frequency, Thermal};
    for finding in Fixture::new("vm-2-cpus").findings() {
        if matches!(finding.section, Cstates | Firmware | Frequency | Thermal) {
            let is_flagged = matches!(finding.verdict, Verdict::Bad | Verdict::Warn);
            assert!(!is_flagged, "{finding:#?}");
        }
    }
}

/// Whatever the machine is, the operator's card is never bound, and what is refused is said.
#[test]
fn the_way_in_is_never_planned_away() {
    let plan = Fixture::new("vm-2-cpus").plan();

    let is_binding = |change: &Change| matches!(change, Change::Driver { .. });
    assert!(!plan.steps.iter().any(|step| is_binding(&step.change)), "{plan:#?}");
    let isolating = ["isolcpus", "nohz_full", "barewire.slice"];
    for step in &plan.steps {
        let text = format!("{:?}", step.change);
        assert!(!isolating.iter().any(|word| text.contains(word)), "{step:#?}");
    }
    assert!(plan.left_out.iter().any(|left| left.why.contains("too few")), "{plan:#?}");
}

/// Harm that somebody did before is undone; contested knobs are left as they are.
#[test]
fn a_mistuned_machine_is_untuned() {
    let plan = Fixture::new("mistuned").plan();

    let value = |path: &str| {
        plan.steps.iter().find_map(|step| match &step.change {
            Change::Kernel { path: at, value, .. } if at == path => Some(value.as_str()),
            _ => Option::None,
        })
    };
    assert_eq!(value("proc/sys/net/ipv4/tcp_sack"), Some("1"));
    assert_eq!(value("proc/sys/net/ipv4/tcp_timestamps"), Some("1"));
    assert_eq!(value("proc/sys/kernel/sched_rt_runtime_us"), Some("950000"));
    assert_eq!(value("sys/class/net/eno1/queues/rx-0/rps_cpus"), Some("00000000"));
    for contested in ["proc/sys/kernel/timer_migration", "proc/sys/net/core/busy_poll"] {
        assert_eq!(value(contested), Option::None, "{contested}");
    }
    let drop_in = plan.steps.iter().find_map(|step| match &step.change {
        Change::File { path, content } if path.contains("grub.d") => Some(content),
        _ => Option::None,
    });
    let drop_in = drop_in.unwrap();
    for removed in ["mce", "idle", "nowatchdog", "intel_pstate"] {
        assert!(drop_in.contains(removed), "{removed}: {drop_in}");
    }
    assert!(!drop_in.contains("mitigations"), "nobody asked: {drop_in}");
}
