//! What happens to a machine in the middle of `apply`, other than a power cut: it says so, and there is a way back.

use lab::Guest;

use crate::{
    capture::{assert_same, files, kernel},
    held::{hold, release},
    stock::{FAILED, INCOMPLETE, PENDING_REBOOT, reboot, stock, tune},
};

/// Some of the plan is done then, and some is not: the drivers are next. (Not before the hugepages: a signal would have
/// the kernel stop at fewer of them.)
const IN_THE_MIDDLE: &str =
    "grep -qx 64 /sys/devices/system/node/node*/hugepages/hugepages-2048kB/nr_hugepages";

/// Not a block is left, not even of those that only root may take.
const FILL: &str = "sync; i=0; for size in 512M 64M 8M 1M 64K 4K; do \
    while fallocate -l $size /fill.$i 2>/dev/null; do i=$((i+1)); done; rm -f /fill.$i; done; \
    ! dd if=/dev/zero of=/fill.last bs=4096 count=1 2>/dev/null";

#[test]
fn a_disk_that_is_full_before_apply_is_said_and_nothing_is_changed() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;
    let (files_before, kernel_before) = (files(guest), kernel(guest));
    guest.must(FILL);

    let said = tune(guest, "apply", FAILED);

    assert!(said.contains("the journal can not be used"), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
    guest.must("rm -f /fill.*");
    assert_same(&files_before, &files(guest));
    assert_same(&kernel_before, &kernel(guest));
    tune(guest, "apply", PENDING_REBOOT);
}

#[test]
fn a_disk_that_fills_in_the_middle_of_apply_is_said_and_rollback_works_when_there_is_room() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;
    let (files_before, kernel_before) = (files(guest), kernel(guest));

    hold(guest, "apply", IN_THE_MIDDLE);
    guest.must(FILL);
    let said = release(guest, INCOMPLETE);

    assert!(said.contains("No space left on device"), "{said}");
    is_cut_short_and_comes_back(guest, "rm -f /fill.*");
    assert_same(&files_before, &files(guest));
    reboot(guest, "the boot after the rollback");
    assert_same(&kernel_before, &kernel(guest));
}

#[test]
fn a_root_that_turns_read_only_in_the_middle_of_apply_is_said_and_rolled_back_after_a_boot() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;
    let (files_before, kernel_before) = (files(guest), kernel(guest));

    hold(guest, "apply", IN_THE_MIDDLE);
    // As errors=remount-ro does, open files or not.
    guest
        .must("echo u > /proc/sysrq-trigger; until grep -q ' / ext4 ro,' /proc/mounts; do :; done");
    let said = release(guest, INCOMPLETE);

    assert!(said.contains("Read-only file system"), "{said}");
    guest.power_cut().expect("the power can be cut");
    guest.power_on().unwrap_or_else(|error| panic!("the boot after it: {error:?}"));
    is_cut_short_and_comes_back(guest, "grep ' / ext4 rw,' /proc/mounts");
    assert_same(&files_before, &files(guest));
    reboot(guest, "the boot after the rollback");
    assert_same(&kernel_before, &kernel(guest));
}

/// It is said that an entry was cut short, before and after `mended`, and `rollback` does all of it then.
fn is_cut_short_and_comes_back(guest: &mut Guest, mended: &str) {
    guest.must(mended);
    let said = tune(guest, "verify", INCOMPLETE);
    assert!(said.contains("entry 0001 was cut short"), "{said}");
    tune(guest, "rollback", 0);
}

#[test]
fn a_clock_that_jumps_in_the_middle_of_apply_changes_nothing_of_it() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;
    let (files_before, kernel_before) = (files(guest), kernel(guest));

    hold(guest, "apply --confirm-within 3600s", IN_THE_MIDDLE);
    guest.must("date --set='2001-01-01 12:00'");
    release(guest, PENDING_REBOOT);

    // A day is more than the hour that the switch was set to, but no hour of the machine's has passed.
    guest.must("date --set='2030-01-01 12:00'");
    let said = tune(guest, "history", 0);
    assert!(said.contains("0001"), "{said}");
    guest.must("test -e /etc/sysctl.d/90-barewire.conf");
    guest.must("systemctl is-active barewire-tune-rollback-1.timer");
    tune(guest, "rollback", 0);
    assert_same(&files_before, &files(guest));
    reboot(guest, "the boot after the rollback");
    assert_same(&kernel_before, &kernel(guest));
}
