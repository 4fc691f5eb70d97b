use std::collections::BTreeMap;

use config::CpuId;

use super::*;
use crate::{
    Finding, Measured,
    Verdict::*,
    checks::testing::{Fake, quiet_seconds, table},
    measured::Clocks,
};

const INTEL: (&str, &str) =
    ("proc/cpuinfo", "vendor_id : GenuineIntel\ncpu family : 6\nmodel : 106\nflags : aperfmperf\n");
const OLD_INTEL: (&str, &str) =
    ("proc/cpuinfo", "vendor_id : GenuineIntel\ncpu family : 6\nmodel : 85\nflags : aperfmperf\n");
const AMD: (&str, &str) = ("proc/cpuinfo", "vendor_id : AuthenticAMD\nflags : aperfmperf\n");
const GUEST: (&str, &str) = ("proc/cpuinfo", "vendor_id : GenuineIntel\nflags : hypervisor\n");
const CMDLINE: &str = "proc/cmdline";

/// One policy for CPU 0 and 1, one for 2 and 3, each with these files.
fn machine(files: &[(&str, &str)]) -> Fake {
    let at = |policy: &str, file: &str| format!("sys/devices/system/cpu/cpufreq/{policy}/{file}");
    let fake = Fake::new()
        .file(&at("policy0", "affected_cpus"), "0 1")
        .file(&at("policy0", "scaling_governor"), "powersave")
        .file(&at("policy2", "affected_cpus"), "2 3");
    files.iter().fold(fake, |fake, (file, text)| fake.file(&at("policy2", file), text))
}

#[test]
fn the_governor_of_the_workers_is_performance() {
    let at = |driver: &str, governor: &str, verdict| {
        machine(&[("scaling_driver", driver), ("scaling_governor", governor)])
            .expect("PWR-01", verdict)
    };

    at("acpi-cpufreq", "performance", Good);
    at("acpi-cpufreq", "schedutil", Warn);
    at("acpi-cpufreq", "ondemand", Warn);
    let bad = at("acpi-cpufreq", "powersave", Bad);
    assert!(matches!(&bad.fix[..], [Change::Kernel { path, value, .. }]
        if path.ends_with("policy2/scaling_governor") && value == "performance"));
    at("intel_pstate", "powersave", Warn);
    at("amd-pstate-epp", "powersave", Warn);
    at("intel_cpufreq", "powersave", Bad);
    at("acpi-cpufreq", "\0", Unknown);
    table!("PWR-01", [] => NotApplicable);
    let not_offered =
        machine(&[("scaling_governor", "schedutil"), ("scaling_available_governors", "schedutil")]);
    assert!(not_offered.expect("PWR-01", Warn).fix.is_empty());
    machine(&[("scaling_governor", "performance")]).undecided("why").expect("PWR-01", Unknown);
}

#[test]
fn the_preference_is_performance() {
    let at = |value: &str, verdict| {
        machine(&[("energy_performance_preference", value)]).expect("PWR-02", verdict)
    };

    assert!(at("performance", Good).fix.is_empty());
    at("0", Good);
    assert_eq!(at("balance_performance", Warn).fix.len(), 1);
    at("default", Warn);
    at("128", Warn);
    at("129", Bad);
    at("balance_power", Bad);
    at("power", Bad);
    machine(&[]).expect("PWR-02", NotApplicable);
}

#[test]
fn the_bias_is_towards_speed() {
    let at = |bias: &str, verdict| {
        let file = |cpu| format!("sys/devices/system/cpu/cpu{cpu}/power/energy_perf_bias");
        Fake::new()
            .file(&file(0), "15")
            .file(&file(2), "0")
            .file(&file(3), bias)
            .expect("PWR-03", verdict)
    };

    at("0", Good);
    at("1", Warn);
    assert_eq!(at("6", Warn).fix.len(), 1);
    at("7", Bad);
    at("15", Bad);
    at("full", Unknown);
    table!("PWR-03", [] => NotApplicable);
    let file = "sys/devices/system/cpu/cpu0/power/energy_perf_bias";
    table!("PWR-03", [(file, "0")] => Unknown);
}

#[test]
fn the_driver_fits_the_generation() {
    const STATUS: &str = "sys/devices/system/cpu/intel_pstate/status";
    const AMD_STATUS: &str = "sys/devices/system/cpu/amd_pstate/status";
    const DRIVER: &str = "sys/devices/system/cpu/cpufreq/policy0/scaling_driver";
    const DISABLED: (&str, &str) = (CMDLINE, "intel_pstate=disable");
    table!(
        "PWR-04",
        [INTEL, (DRIVER, "intel_pstate"), (STATUS, "active")] => Good,
        [INTEL, (DRIVER, "intel_cpufreq"), (STATUS, "passive")] => Warn,
        [INTEL, (DRIVER, "acpi-cpufreq"), DISABLED] => Bad,
        [INTEL, (DRIVER, "acpi-cpufreq")] => Bad,
        [OLD_INTEL, (DRIVER, "intel_pstate"), (STATUS, "active")] => Info,
        [OLD_INTEL, (DRIVER, "acpi-cpufreq"), DISABLED] => Info,
        [AMD, (DRIVER, "amd-pstate-epp"), (AMD_STATUS, "active")] => Good,
        [AMD, (DRIVER, "amd-pstate"), (AMD_STATUS, "guided")] => Good,
        [AMD, (DRIVER, "amd-pstate"), (AMD_STATUS, "passive")] => Warn,
        [AMD, (DRIVER, "acpi-cpufreq")] => Info,
        [("proc/cpuinfo", "CPU implementer : 0x41\n"), (DRIVER, "cppc_cpufreq")] => Info,
        [INTEL] => Warn,
        [GUEST] => NotApplicable,
        [INTEL, (DRIVER, "\0")] => Unknown,
    );
    let fix = Fake::new().files(&[INTEL, (DRIVER, "acpi-cpufreq"), DISABLED]).look("PWR-04").fix;
    assert!(matches!(&fix[..], [Change::BootParameter { key, value: BootValue::Absent }]
        if key == "intel_pstate"));
}

#[test]
fn the_lowest_frequency_is_the_highest() {
    let at = |min: &str, max: &str, verdict| -> Finding {
        machine(&[
            ("scaling_governor", "schedutil"),
            ("scaling_min_freq", min),
            ("scaling_max_freq", max),
        ])
        .expect("PWR-05", verdict)
    };

    assert!(at("3000", "3000", Good).fix.is_empty());
    at("2970", "3000", Warn);
    at("2400", "3000", Warn);
    let bad = at("2399", "3000", Bad);
    assert!(matches!(&bad.fix[..], [Change::Kernel { value, .. }] if value == "3000"));
    at("0", "0", Unknown);
    at("slow", "3000", Unknown);
    machine(&[("scaling_governor", "performance"), ("scaling_min_freq", "800")])
        .expect("PWR-05", Good);
    let percent = |percent: &str| {
        machine(&[
            ("scaling_governor", "powersave"),
            ("scaling_min_freq", "800"),
            ("scaling_max_freq", "3000"),
        ])
        .file("sys/devices/system/cpu/intel_pstate/status", "active")
        .file("sys/devices/system/cpu/intel_pstate/min_perf_pct", percent)
    };
    percent("100").expect("PWR-05", Good);
    percent("99").expect("PWR-05", Bad);
    table!("PWR-05", [] => NotApplicable);
}

#[test]
fn turbo_is_shown_and_never_judged() {
    const NO_TURBO: &str = "sys/devices/system/cpu/intel_pstate/no_turbo";
    table!(
        "PWR-06",
        [(NO_TURBO, "0")] => Info,
        [(NO_TURBO, "1")] => Info,
        [(NO_TURBO, "x")] => Unknown,
        [] => NotApplicable,
    );
    assert_eq!(Fake::new().file(NO_TURBO, "1").look("PWR-06").seen, "off");
}

#[test]
fn the_real_frequency_is_judged_of_cores_that_work() {
    let with = |cpus: &[(u32, u64, u64)]| {
        let clocks: BTreeMap<CpuId, Clocks> = cpus
            .iter()
            .map(|&(cpu, aperf, mperf)| {
                (CpuId::new(cpu).unwrap(), Clocks { tsc: 1000, mperf, aperf })
            })
            .collect();
        Fake::new()
            .files(&[INTEL])
            .measured(Measured { clocks: Fact::Is(clocks), ..quiet_seconds() })
    };

    with(&[(2, 1000, 1000), (3, 1300, 1000)]).expect("PWR-07", Good);
    with(&[(2, 999, 1000), (3, 1300, 1000)]).expect("PWR-07", Warn);
    with(&[(2, 950, 1000)]).expect("PWR-07", Warn);
    with(&[(2, 949, 1000)]).expect("PWR-07", Bad);
    with(&[(2, 500, 500)]).expect("PWR-07", Good);
    // Not a worker, and slow.
    with(&[(0, 100, 1000), (2, 1000, 1000)]).expect("PWR-07", Good);
    with(&[(2, 100, 499)]).expect("PWR-07", Unknown);
    with(&[(2, 100, 499), (3, 900, 1000)]).expect("PWR-07", Bad);
    with(&[]).expect("PWR-07", Unknown);
    let unreadable = Measured { clocks: Fact::unknown("not root"), ..quiet_seconds() };
    Fake::new().files(&[INTEL]).measured(unreadable).expect("PWR-07", Unknown);
    Fake::new().files(&[INTEL]).expect("PWR-07", NotApplicable);
    with(&[(2, 1, 1000)]).files(&[GUEST]).expect("PWR-07", NotApplicable);
}
