//! What was applied with `--confirm-within`: it stays once somebody says so, and goes when nobody can.

use lab::{Guest, installed_or_skip};

use crate::{
    site::{CONFIG, ONE_WORKER, PENDING_REBOOT, drivers, files, until, wire},
    tuned::{APPLY, succeeded},
};

const RULE: &str = "/etc/udev/rules.d/90-barewire-vfio.rules";
const BALANCING: &str = "cat /proc/sys/kernel/numa_balancing";

/// A guest with the packages and a configuration that wants its NICs for vfio-pci, a worker and kernel arguments.
fn configured() -> Option<Guest> {
    let mut guest = installed_or_skip()?;
    let text = wire(&guest, ONE_WORKER);
    guest.write(CONFIG, 0o644, &text).unwrap();
    Some(guest)
}

/// Applies everything, and expects that a boot has to try the kernel arguments out.
#[track_caller]
fn apply(guest: &mut Guest, within: &str) {
    let line = format!("barewire-tune apply --confirm-within {within} > /root/said 2>&1; echo $?");
    assert_eq!(guest.must(&line), PENDING_REBOOT, "{}", guest.must("cat /root/said"));
}

fn power_cycle(guest: &mut Guest) {
    guest.must("sync");
    guest.power_cut().unwrap();
    guest.power_on().unwrap_or_else(|error| panic!("the boot after the power cut: {error:?}"));
}

#[test]
fn what_nobody_confirmed_before_the_power_went_is_gone_after_the_boot_with_files_and_nics() {
    let Some(mut guest) = configured() else { return };
    let guest = &mut guest;
    let (files_before, own) = (files(guest), drivers(guest));
    let (balancing, cmdline) = (guest.must(BALANCING), guest.must("cat /proc/cmdline"));
    apply(guest, "60m");
    assert_eq!(drivers(guest), ["vfio-pci", "vfio-pci"]);
    guest.must(&format!("test -e {RULE}"));
    assert_ne!(guest.must(BALANCING), balancing);

    power_cycle(guest);

    // The unit in its sandbox may write neither /etc nor /boot; what it starts may.
    let log = succeeded(guest, APPLY);
    for words in [
        "entry 0001 was not confirmed before this boot: it is rolled back",
        "undone: 0001",
        "keeps the arguments that are undone until the next boot",
    ] {
        assert!(log.contains(words), "{log}");
    }
    assert_eq!(drivers(guest), own, "{log}");
    assert_eq!(files(guest), files_before, "{log}");
    assert_eq!(guest.must(BALANCING), balancing, "{log}");

    guest.reboot().unwrap();
    assert_eq!(guest.must("cat /proc/cmdline"), cmdline);
    assert_eq!((files(guest), drivers(guest)), (files_before, own));
}

#[test]
fn what_was_confirmed_stays_after_the_power_went() {
    let Some(mut guest) = configured() else { return };
    let guest = &mut guest;
    let balancing = guest.must(BALANCING);
    apply(guest, "60m");
    guest.must("barewire-tune confirm 2>&1");
    let tuned = guest.must(BALANCING);
    assert_ne!(tuned, balancing);

    power_cycle(guest);

    let log = succeeded(guest, APPLY);
    assert!(!log.contains("was not confirmed"), "{log}");
    assert_eq!(drivers(guest), ["vfio-pci", "vfio-pci"], "{log}");
    assert_eq!(guest.must(BALANCING), tuned, "{log}");
}

#[test]
fn what_nobody_confirms_in_time_goes_by_itself_though_who_applied_it_is_cut_off() {
    let Some(mut guest) = configured() else { return };
    let guest = &mut guest;
    let (files_before, own, balancing) = (files(guest), drivers(guest), guest.must(BALANCING));

    // As from a login that ends: its scope and all in it is killed.
    let line = "barewire-tune apply --confirm-within 60s > /root/said 2>&1; echo $? > /root/exit; sleep infinity";
    guest.must(&format!("systemd-run --quiet --unit=login sh -c '{line}'"));
    until(guest, "test -s /root/exit");
    guest.must("systemctl kill --signal=KILL login");
    assert_eq!(guest.must("cat /root/exit"), PENDING_REBOOT, "{}", guest.must("cat /root/said"));

    guest.must(&format!("test -e {RULE} && systemctl is-active barewire-tune-rollback-1.timer"));
    let gone = "! systemctl is-active --quiet barewire-tune-rollback-1.timer barewire-tune-rollback-1.service";
    guest.must(&format!("timeout 100 sh -c 'until {gone}; do sleep 1; done'"));
    assert_eq!(drivers(guest), own);
    assert_eq!(files(guest), files_before);
    assert_eq!(guest.must(BALANCING), balancing);
}
