//! The examples below systemd/provisioning, on machines that really boot: from a stock Debian to one that is approved.

#![expect(clippy::unwrap_used, reason = "what these helpers do is part of the tests")]

mod ansible;
mod cloud_init;

use std::time::Duration;

use lab::{Guest, Machine, Snapshot, image_or_skip, packages_or_skip, skip, under_test};

/// An emulated CPU runs Python slowly.
const LONG: Duration = Duration::from_secs(900);

/// What nobody can tune away here: an emulated counter is not constant, emulated bridges take 128 bytes at once, and igb
/// makes the table of an interface's queues when it is first brought up, which nobody does.
const CANNOT: &[&str] = &["CLK-01", "PCI-02", "NIC-06"];

/// A stock machine with cloud-init and Ansible, and the package of the tuner in `/srv/barewire`.
fn stock() -> Option<Guest> {
    let (recipe, model) = under_test();
    let image = image_or_skip(&recipe.clone().provisioning())?;
    let packages = packages_or_skip(recipe.debian())?;
    let machine = Machine::new().nic("east", model, 0).nic("west", model, 1);
    let mut guest = Snapshot::of(&image, &machine).and_then(|it| Guest::restore(&it)).unwrap();
    let tuner = packages.iter().find(|file| file.to_string_lossy().contains("barewire-tune_"));
    guest.copy_in(tuner.unwrap(), "/srv/barewire/barewire-tune.deb").unwrap();
    if !guest.run("command -v barewire-tune").unwrap().success() {
        return Some(guest);
    }
    skip("needs a stock machine, and this one has a tuner");
    None
}

/// The gate's waivers.
fn waivers() -> String {
    let one = |id: &&str| {
        format!(
            "[[waiver]]\nid = \"{id}\"\nreason = \"an emulated machine\"\nexpires = 9999-12-31\n"
        )
    };
    CANNOT.iter().map(one).collect()
}

/// Runs a line that may take long, and must succeed.
#[track_caller]
fn must(guest: &mut Guest, line: &str) -> String {
    let done = guest.run_within(line, LONG).unwrap();
    assert!(done.success(), "`{line}`: {done:?}");
    done.text()
}
