//! The tuner's units do in their sandboxes what root does outside of them.

use std::collections::BTreeMap;

use lab::{Guest, installed_or_skip};
use serde_json::Value;

use crate::site::{CONFIG, PENDING_REBOOT, journal, property, wire};

/// The unit that sets again at boot.
pub(crate) const APPLY: &str = "barewire-tune-apply.service";
const VERIFY: &str = "barewire-tune-verify.service";
const WATCH: &str = "barewire-tune-watch.service";

#[test]
fn at_boot_units_set_again_make_kernel_arguments_last_and_watch_as_root_would() {
    let Some(mut guest) = installed_or_skip() else { return };
    let guest = &mut guest;
    let text = wire(guest, "[memory]\nper_node_mib = 64\n[cores]\ncount = 1\n");
    guest.write(CONFIG, 0o644, &text).unwrap();
    let tune = format!("barewire-tune --config {CONFIG}");
    let said = guest.must(&format!("{tune} apply > /root/said 2>&1; echo $?"));
    assert_eq!(said, PENDING_REBOOT, "{}", guest.must("cat /root/said"));

    guest.reboot().unwrap();

    assert!(guest.must("cat /proc/cmdline").contains(" nohz_full="), "{}", guest.console());
    succeeded(guest, APPLY);
    let log = succeeded(guest, VERIFY);
    assert!(log.contains("they last now"), "{log}");
    guest.must("grep -q nohz_full= /boot/grub/grub.cfg");
    let said = guest.must(&format!("{tune} verify 2>&1; echo exit $?"));
    assert!(said.contains("exit 0"), "{said}\n{}", journal(guest, APPLY));

    sees_what_root_sees(guest, &tune);
    sets_again_with_the_drop_in(guest);
}

/// It ended well, in this boot, and stays; what it wrote.
#[track_caller]
pub(crate) fn succeeded(guest: &mut Guest, unit: &str) -> String {
    guest.must(&format!(
        "timeout 90 sh -c 'while test $(systemctl show -P ActiveState {unit}) = activating; do :; done'"
    ));
    let log = journal(guest, unit);
    assert_eq!(property(guest, unit, "ActiveState"), "active", "{log}");
    log
}

/// Each check says the same to the watch, which may do little, and to root, who may do all.
fn sees_what_root_sees(guest: &mut Guest, tune: &str) {
    has_a_network_of_its_own(guest);
    guest.must(&format!("systemctl start {WATCH}"));
    let watched = guest.must("cat /var/lib/barewire/tune/watch.json");
    let watched: Value = serde_json::from_str(&watched).unwrap();
    let analyzed = guest.must(&format!("{tune} analyze --json || :"));
    let analyzed: Value = serde_json::from_str(&analyzed).unwrap();
    let by_watch: BTreeMap<&str, &str> = watched["checks"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(id, check)| (id.as_str(), check["verdict"].as_str().unwrap()))
        .collect();
    let by_root: BTreeMap<&str, &str> = analyzed["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["id"].as_str().unwrap(), entry["verdict"].as_str().unwrap()))
        .collect();
    assert!(by_root.len() > 50, "{analyzed:#}");
    let differ: Vec<_> = by_root
        .iter()
        .map(|(id, verdict)| (id, verdict, by_watch.get(id)))
        .filter(|(_, root, watch)| Some(*root) != *watch)
        .collect();
    assert!(differ.is_empty(), "check, to root, to the watch: {differ:?}\n{watched:#}");
}

/// Without it the watch could not, and says so by doing nothing.
fn sets_again_with_the_drop_in(guest: &mut Guest) {
    let drop_in = include_str!("../../../../systemd/drop-ins/reassert.conf");
    let file = format!("/etc/systemd/system/{WATCH}.d/reassert.conf");
    guest.write(&file, 0o644, drop_in).unwrap();
    let knobs = "cat /proc/sys/kernel/numa_balancing /sys/devices/virtual/workqueue/cpumask";
    let wanted = guest.must(knobs);
    guest.must(
        "systemctl daemon-reload; echo 1 > /proc/sys/kernel/numa_balancing; \
         echo f > /sys/devices/virtual/workqueue/cpumask",
    );
    assert_ne!(guest.must(knobs), wanted);

    guest.must(&format!("systemctl start {WATCH}"));

    let log = journal(guest, WATCH);
    assert!(log.contains("GOOD became BAD") && log.contains("again"), "{log}");
    assert_eq!(guest.must(knobs), wanted, "{log}");
}

/// A service as Debian has many: some of its own, in its newer releases, and every container.
fn has_a_network_of_its_own(guest: &mut Guest) {
    guest.must("systemd-run --quiet --property=PrivateNetwork=yes --unit=apart sleep infinity");
    guest.must(
        "until test $(readlink /proc/$(systemctl show -P MainPID apart)/ns/net) != $(readlink /proc/1/ns/net); \
         do sleep 0.1; done",
    );
}

#[test]
fn a_service_with_a_network_of_its_own_keeps_no_nic_from_its_unit() {
    let Some(mut guest) = installed_or_skip() else { return };
    let guest = &mut guest;
    has_a_network_of_its_own(guest);
    let device = guest.nic("east").pci_address().to_owned();
    let unit = format!("barewire-bind@{device}.service");

    let started = guest.run(&format!("systemctl start {unit}")).unwrap();

    assert!(started.success(), "{}", journal(guest, &unit));
    let driver = guest.must(&format!("basename $(readlink /sys/bus/pci/devices/{device}/driver)"));
    assert_eq!(driver, "vfio-pci\n");
}

#[test]
fn the_machine_s_systemd_finds_every_unit_as_closed_as_its_file_says() {
    let Some(mut guest) = installed_or_skip() else { return };
    for unit in [
        "barewired.service",
        "barewired@edge.service",
        "barewire-bind@0000:41:00.0.service",
        APPLY,
        VERIFY,
        WATCH,
    ] {
        let said = |guest: &mut Guest, options: &str| {
            let line = format!("systemd-analyze security --no-pager {options} {unit} | tail -1");
            guest.must(&line).split_whitespace().find_map(|word| word.parse::<f32>().ok())
        };
        let (runs, written) = (said(&mut guest, ""), said(&mut guest, "--offline=yes"));
        assert!(runs.is_some(), "{unit}");
        assert_eq!(runs, written, "{unit}");
        eprintln!("{unit}: {runs:?}");
    }
}
