use std::collections::BTreeMap;

use super::*;
use crate::{
    Measured,
    checks::testing::{Fake, quiet_seconds, table},
    measured::{Counted, Counters},
};

const INTEL: (&str, &str) = ("proc/cpuinfo", "vendor_id : GenuineIntel\nflags : tsc\n");
const AMD: (&str, &str) = ("proc/cpuinfo", "vendor_id : AuthenticAMD\nflags : tsc\n");
const GUEST: (&str, &str) = ("proc/cpuinfo", "vendor_id : GenuineIntel\nflags : hypervisor\n");

#[test]
fn throttling_counts_while_the_machine_is_watched() {
    const COUNT: &str = "sys/devices/system/cpu/cpu1/thermal_throttle/package_throttle_count";
    table!(
        "PWR-08",
        [(COUNT, "0")] => Good,
        [(COUNT, "1")] => Warn,
        [(COUNT, "x")] => Unknown,
        [] => NotApplicable,
    );
    let grew = |to: u64| {
        let set = BTreeMap::from([(COUNT.to_owned(), Counted { from: 5, to })]);
        let throttle = Fact::Is(Counters { read: 1, set });
        Fake::new().file(COUNT, "5").measured(Measured { throttle, ..quiet_seconds() })
    };
    grew(5).expect("PWR-08", Verdict::Good);
    assert_eq!(grew(6).expect("PWR-08", Verdict::Bad).details, [format!("{COUNT}: 1")]);
}

#[test]
fn the_uncore_stays_at_its_highest() {
    const TOP: &str = "sys/devices/system/cpu/intel_uncore_frequency/package_00_die_00";
    let at = |min: &str, verdict| {
        Fake::new()
            .file(&format!("{TOP}/min_freq_khz"), min)
            .file(&format!("{TOP}/max_freq_khz"), "2400000")
            .expect("UNC-01", verdict)
    };
    at("2400000", Verdict::Good);
    let spread = at("800000", Verdict::Warn);
    assert_eq!(spread.details, ["package_00_die_00: 800 to 2400 MHz"]);
    assert!(matches!(&spread.fix[..], [Change::Kernel { value, .. }] if value == "2400000"));
    at("low", Verdict::Unknown);
    table!("UNC-01", [] => NotApplicable);
}

#[test]
fn the_platform_profile_is_performance_where_it_is_offered() {
    const FILE: &str = "sys/firmware/acpi/platform_profile";
    const CHOICES: (&str, &str) =
        ("sys/firmware/acpi/platform_profile_choices", "low-power balanced performance");
    table!(
        "FW-01",
        [(FILE, "performance")] => Good,
        [(FILE, "balanced")] => Warn,
        [(FILE, "low-power")] => Bad,
        [(FILE, "quiet")] => Bad,
        [(FILE, "\0")] => Unknown,
        [(FILE, "\n")] => Unknown,
        [] => NotApplicable,
    );
    let fixes = |files| Fake::new().files(files).look("FW-01").fix.len();
    assert_eq!(fixes(&[(FILE, "low-power")]), 0);
    assert_eq!(fixes(&[(FILE, "low-power"), CHOICES]), 1);
}

#[test]
fn system_management_interrupts_are_judged_by_their_rate() {
    let since_boot = |count: u64| Fake::new().files(&[INTEL]).answer("msr/smi", &Fact::Is(count));
    since_boot(0).expect("FW-02", Verdict::Good);
    since_boot(9).expect("FW-02", Verdict::Info);
    let during = |seconds: f64, count: u64, verdict| {
        let firmware_interrupts = Fact::Is(count);
        let measured = Measured { seconds, firmware_interrupts, ..quiet_seconds() };
        since_boot(9).measured(measured).expect("FW-02", verdict)
    };
    during(60.0, 0, Verdict::Good);
    during(60.0, 1, Verdict::Warn);
    during(60.0, 5, Verdict::Warn);
    during(60.0, 6, Verdict::Bad);
    during(10.0, 1, Verdict::Bad);
    Fake::new().files(&[INTEL]).expect("FW-02", Verdict::Unknown);
    table!("FW-02", [AMD] => NotApplicable, [GUEST] => NotApplicable, [] => Unknown);
}

#[test]
fn firmware_updates_do_not_start_by_themselves() {
    const UNIT: (&str, &str) = ("usr/lib/systemd/system/fwupd-refresh.timer", "[Timer]\n");
    const WANTED: (&str, &str) = ("etc/systemd/system/timers.target.wants/fwupd-refresh.timer", "");
    table!("FW-03", [] => NotApplicable, [UNIT] => Good, [UNIT, WANTED] => Bad);
    let fix = Fake::new().files(&[UNIT, WANTED]).look("FW-03").fix;
    let unit = "fwupd-refresh.timer".to_owned();
    assert_eq!(fix, [Change::Unit { unit, state: UnitState::Disabled }]);
}

#[test]
fn links_stay_awake_by_policy_or_one_by_one() {
    const POLICY: &str = "sys/module/pcie_aspm/parameters/policy";
    const CLASS: (&str, &str) = ("sys/bus/pci/devices/0000:3b:00.0/class", "0x020000");
    const L1: &str = "sys/bus/pci/devices/0000:3b:00.0/link/l1_aspm";
    const DEFAULT: (&str, &str) = (POLICY, "[default] performance powersave powersupersave");
    table!(
        "FW-04",
        [(POLICY, "default [performance] powersave")] => Good,
        [DEFAULT] => Warn,
        [(POLICY, "default performance [powersave]")] => Bad,
        [(POLICY, "default performance powersave")] => Unknown,
        [] => NotApplicable,
    );
    let port = |files: &[(&str, &str)]| Fake::new().files(files).port("0000:3b:00.0");
    port(&[DEFAULT, GUEST]).expect("FW-04", Verdict::NotApplicable);
    port(&[DEFAULT, GUEST, CLASS, (L1, "1")]).expect("FW-04", Verdict::Warn);
    port(&[DEFAULT, CLASS, (L1, "0")]).expect("FW-04", Verdict::Good);
    let sleepy = port(&[DEFAULT, CLASS, (L1, "1")]).expect("FW-04", Verdict::Warn);
    assert!(matches!(&sleepy.fix[..], [Change::Kernel { path, .. }] if path == L1));
    let without = port(&[DEFAULT, CLASS]).expect("FW-04", Verdict::Warn);
    assert!(matches!(&without.fix[..], [Change::Kernel { path, .. }] if path == POLICY));
    port(&[DEFAULT, CLASS, (L1, "?")]).expect("FW-04", Verdict::Unknown);
}

#[test]
fn idle_vfio_ports_only_matter_for_those_that_are_known_not_to_wake_up() {
    const FILE: &str = "sys/module/vfio_pci/parameters/disable_idle_d3";
    table!(
        "FW-05",
        [AMD, (FILE, "N")] => Info,
        [AMD, (FILE, "Y")] => Info,
        [AMD, (FILE, "?")] => Unknown,
        [] => NotApplicable,
    );
    let solarflare = |processor, value| {
        let at = |file: &str| format!("sys/bus/pci/devices/0000:3b:00.0/{file}");
        Fake::new()
            .files(&[processor, (FILE, value)])
            .file(&at("vendor"), "0x1924")
            .file(&at("device"), "0x0b03")
            .file(&at("class"), "0x020000")
            .port("0000:3b:00.0")
    };
    assert_eq!(solarflare(AMD, "N").expect("FW-05", Verdict::Warn).fix.len(), 1);
    solarflare(AMD, "Y").expect("FW-05", Verdict::Good);
    solarflare(INTEL, "N").expect("FW-05", Verdict::Info);
}
