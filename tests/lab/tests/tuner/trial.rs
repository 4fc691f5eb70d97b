//! Kernel arguments that do not boot.

use lab::Guest;

use crate::{
    capture::{assert_same, files},
    stock::{CONFIG, PENDING_REBOOT, reboot, stock, tune},
};

#[test]
fn kernel_arguments_that_do_not_boot_are_gone_after_the_reset_and_it_is_said() {
    let Some(mut guest) = stock() else { return };
    let (files_before, cmdline) = (files(&mut guest), guest.must("cat /proc/cmdline"));
    // Without its initramfs the kernel does not know the root's UUID, and panics. (An `init=` that is not there does
    // not do: Debian's initramfs takes another one.)
    guest.must(&format!(
        "barewire-tune --config {CONFIG} plan --json | sed 's|# barewire sets:|& rdinit=/nonexistent panic=1|' \
         > /root/plan.json; grep -q rdinit=/nonexistent /root/plan.json"
    ));
    tune(&mut guest, "apply --plan /root/plan.json", PENDING_REBOOT);
    let loads = |guest: &Guest| guest.console().matches("Loading Linux").count();
    let before = loads(&guest);

    reboot(&mut guest, "a boot that fails, and the one after it");

    assert!(loads(&guest) >= before + 2, "the trial entry was booted\n{}", guest.console());
    assert_eq!(guest.must("cat /proc/cmdline"), cmdline);
    let said = guest.must(&format!("barewire-tune --config {CONFIG} verify --boot 2>&1 || :"));
    assert!(said.contains("NOT TAKEN kernel argument nohz_full"), "{said}");
    assert!(!said.contains("they last now"), "{said}");
    guest.must("! test -e /etc/default/grub.d/zz-90-barewire.cfg");
    tune(&mut guest, "rollback", 0);
    assert_same(&files_before, &files(&mut guest));
}
