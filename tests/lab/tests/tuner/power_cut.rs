//! Power cuts in the middle of it.

use std::time::Instant;

use lab::Guest;

use crate::{
    capture::{assert_same, files, kernel},
    held::hold,
    stock::{INCOMPLETE, PENDING_REBOOT, reboot, stock, tune},
};

#[test]
fn a_power_cut_in_the_middle_of_apply_is_said_and_rolled_back() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;
    let (files_before, kernel_before) = (files(guest), kernel(guest));

    cut_in(guest, "apply", "test -e /etc/sysctl.d/90-barewire.conf");

    let said = tune(guest, "verify", INCOMPLETE);
    assert!(
        said.contains("entry 0001 was cut short: `barewire-tune rollback --to 0001` undoes it"),
        "{said}"
    );
    tune(guest, "rollback", 0);
    assert_same(&files_before, &files(guest));
    reboot(guest, "the boot after the rollback");
    assert_same(&kernel_before, &kernel(guest));
}

#[test]
fn a_power_cut_in_the_middle_of_rollback_is_said_and_a_second_one_completes_it() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;
    let (files_before, kernel_before) = (files(guest), kernel(guest));
    tune(guest, "apply", PENDING_REBOOT);

    cut_in(guest, "rollback", "! test -e /etc/udev/rules.d/90-barewire-vfio.rules");

    let said = tune(guest, "verify", INCOMPLETE);
    assert!(
        said.contains("entry 0001 was cut short: `barewire-tune rollback --to 0001` undoes it"),
        "{said}"
    );
    tune(guest, "rollback", 0);
    assert_same(&files_before, &files(guest));
    reboot(guest, "the boot after the rollback");
    assert_same(&kernel_before, &kernel(guest));
}

/// Cuts the power when `is_so`, and starts the machine again.
fn cut_in(guest: &mut Guest, words: &str, is_so: &str) {
    hold(guest, words, is_so);
    guest.power_cut().expect("the power can be cut");
    let begun = Instant::now();
    guest.power_on().unwrap_or_else(|error| panic!("the boot after the power cut: {error:?}"));
    eprintln!("the boot after the power cut took {:.0} s", begun.elapsed().as_secs_f64());
}
