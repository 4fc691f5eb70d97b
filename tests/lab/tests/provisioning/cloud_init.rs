//! cloud-init's user-data.

use std::time::Instant;

use lab::Guest;

use crate::{LONG, must, stock, waivers};

const USER_DATA: &str = include_str!("../../../../systemd/provisioning/cloud-init/user-data");
const MAKE: &str = include_str!("../../../../systemd/provisioning/payload/make");
const FIRST_BOOT: &str =
    include_str!("../../../../systemd/provisioning/payload/barewire-first-boot");
const UNIT: &str =
    include_str!("../../../../systemd/provisioning/payload/barewire-first-boot.service");

/// Where the example has the archive; here nobody serves it.
const ADDRESS: &str = "https://provision.example.net/barewire.tar";

/// What the example waives.
const WAIVED: &str = "[[waiver]]";

#[test]
fn a_cloud_s_image_tunes_itself_over_one_reboot_and_is_approved() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;
    payload(guest);
    // As a disk with the label CIDATA would bring them.
    let seed = "/var/lib/cloud/seed/nocloud";
    guest.write(&format!("{seed}/meta-data"), 0o644, "instance-id: one\n").unwrap();
    guest.write(&format!("{seed}/user-data"), 0o644, &user_data()).unwrap();
    let begun = Instant::now();
    let image_s = guest.boot_id().unwrap().to_owned();

    guest.must("systemctl reboot --no-block");

    approved(guest);
    eprintln!("approved {:.0} s after the reboot", begun.elapsed().as_secs_f64());
    let log = guest.must("journalctl --unit barewire-first-boot --no-pager");
    assert!(log.contains("tried out by a reboot"), "{log}");
    let boots = guest.must("journalctl --list-boots --no-pager | wc -l");
    assert_ne!(guest.boot_id().unwrap(), image_s);
    eprintln!("boots in the journal: {}", boots.trim());
    assert!(guest.must("cat /proc/cmdline").contains("nohz_full="), "{log}");
    must(guest, "barewire-tune --config /etc/barewire/barewire.toml verify");
    must(guest, "cloud-init status --wait");

    // And so it stays.
    guest.reboot().unwrap();
    let unit = "barewire-first-boot.service";
    must(
        guest,
        &format!(
            "timeout 90 sh -c 'while test $(systemctl show -P ActiveState {unit}) = activating; do sleep 1; done'"
        ),
    );
    must(guest, &format!("test $(systemctl show -P Result {unit}) = success"));
    must(guest, "barewire-tune --config /etc/barewire/barewire.toml verify");
}

/// The archive, made as the example says of the tuner in its package.
fn payload(guest: &mut Guest) {
    for (name, content) in
        [("make", MAKE), ("barewire-first-boot", FIRST_BOOT), ("barewire-first-boot.service", UNIT)]
    {
        guest.write(&format!("/root/payload/{name}"), 0o755, content).unwrap();
    }
    // The configuration and the waivers of the user-data are there first, and are kept.
    must(
        guest,
        "cd /root && dpkg-deb --extract /srv/barewire/barewire-tune.deb tuner && touch empty && \
         payload/make tuner/usr/bin/barewire-tune empty empty > barewire.tar && rm -r tuner",
    );
}

/// The example, with an address that is on the machine itself, and the waivers of this machine.
fn user_data() -> String {
    let (before, waived) = USER_DATA.split_once(WAIVED).unwrap();
    let (_, after) = waived.split_once("\n\nruncmd:").unwrap();
    let waivers = waivers().replace('\n', "\n      ");
    let text = format!("{before}{}\n\nruncmd:{after}", waivers.trim_end());
    assert!(text.contains(ADDRESS), "{text}");
    text.replace(ADDRESS, "file:///root/barewire.tar")
}

/// Waits until it is, over the reboots that the machine does by itself.
#[track_caller]
fn approved(guest: &mut Guest) {
    let deadline = Instant::now() + LONG;
    let done = "/var/lib/barewire/first-boot/approved";
    let failed = "systemctl is-failed --quiet barewire-first-boot";
    // The guest looks by itself: it has enough to do.
    let wait = format!("timeout 60 sh -c 'until test -e {done} || {failed}; do sleep 1; done'");
    loop {
        // While it goes down and comes up it does not answer, or not to the end.
        let _ended_or_not = guest.run(&wait);
        if guest.run(&format!("test -e {done}")).is_ok_and(|it| it.success()) {
            return;
        }
        let is_failed = guest.run(failed).is_ok_and(|it| it.success());
        if is_failed || Instant::now() > deadline {
            let log =
                guest.must("journalctl --unit barewire-first-boot --unit cloud-final --no-pager");
            let gate = guest.must(
                "barewire-tune --config /etc/barewire/barewire.toml gate \
                 --waivers /etc/barewire/waivers.toml 2>&1; cloud-init status --long; true",
            );
            panic!("it is not approved\n{log}\n{gate}\n{}", guest.console());
        }
    }
}
