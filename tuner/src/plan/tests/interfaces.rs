//! The way in, and interfaces that go to another driver.

use super::*;

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
