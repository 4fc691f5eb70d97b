//! What has to be asked for, and what is refused all the same.

use super::*;

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
