//! The Ansible role, by Debian's own Ansible, on the machine that it plays to.

use lab::Guest;

use crate::{must, stock, waivers};

/// The example's files.
const FILES: &[(&str, &str)] = &[
    ("tune.yml", include_str!("../../../../systemd/provisioning/ansible/tune.yml")),
    ("rollback.yml", include_str!("../../../../systemd/provisioning/ansible/rollback.yml")),
    (
        "templates/barewire.toml.j2",
        include_str!("../../../../systemd/provisioning/ansible/templates/barewire.toml.j2"),
    ),
];

#[test]
fn the_role_takes_a_stock_machine_to_an_approved_one_and_back() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;
    copied(guest);
    repository(guest);

    // A machine that plays to itself is rebooted by somebody else, who is told; the gate waits for that.
    let first = play(guest, "tune.yml", "-e '{\"barewire_tune_gate\": false}'");
    assert!(first.contains("kernel arguments wait for a reboot"), "{first}");
    assert!(first.contains("failed=0"), "{first}");
    guest.must("dpkg --status barewire-tune | grep -q '^Status: install ok installed$'");
    guest.reboot().unwrap();
    assert!(guest.must("cat /proc/cmdline").contains("nohz_full="), "{}", guest.console());
    set_again(guest);
    let second = play(guest, "tune.yml", "");
    assert!(second.contains("failed=0"), "{second}");
    let third = play(guest, "tune.yml", "");
    assert!(third.contains("changed=0 ") && third.contains("failed=0"), "{third}");
    must(guest, "barewire-tune --config /etc/barewire/barewire.toml verify");

    let back = play(guest, "rollback.yml", "");
    assert!(back.contains("failed=0"), "{back}");
    guest.reboot().unwrap();
    assert!(!guest.must("cat /proc/cmdline").contains("nohz_full="));
}

/// The example, with an inventory of this one machine.
fn copied(guest: &mut Guest) {
    let role = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../systemd/provisioning/ansible/roles/barewire_tune");
    for part in ["defaults/main.yml", "handlers/main.yml", "meta/main.yml", "vars/main.yml"] {
        let to = format!("/root/ansible/roles/barewire_tune/{part}");
        guest.copy_in(&role.join(part), &to).unwrap();
    }
    for task in std::fs::read_dir(role.join("tasks")).unwrap() {
        let task = task.unwrap();
        let name = task.file_name().into_string().unwrap();
        let to = format!("/root/ansible/roles/barewire_tune/tasks/{name}");
        guest.copy_in(&task.path(), &to).unwrap();
    }
    for (name, content) in FILES {
        guest.write(&format!("/root/ansible/{name}"), 0o644, content).unwrap();
    }
    guest.write("/root/waivers.toml", 0o644, &waivers()).unwrap();
    guest.must("mkdir -p /root/ansible/captures");
    let (north, south) = (guest.nic("east").pci_address(), guest.nic("west").pci_address());
    let inventory = format!(
        "bypass:\n  vars:\n    ansible_connection: local\n    ansible_become: false\n    \
         barewire_tune_reboot: false\n    huge: none\n  hosts:\n    lab:\n      north: \"{north}\"\n      \
         south: \"{south}\"\n"
    );
    guest.write("/root/ansible/inventory.yml", 0o644, &inventory).unwrap();
}

/// A repository with the package, as an operator has one.
fn repository(guest: &mut Guest) {
    guest.must(
        "cd /srv/barewire && (dpkg-deb --field barewire-tune.deb && echo Filename: ./barewire-tune.deb && \
         echo Size: $(stat -c %s barewire-tune.deb) && echo SHA256: $(sha256sum barewire-tune.deb | cut -d' ' -f1)) \
         > Packages && rm -f /etc/apt/sources.list /etc/apt/sources.list.d/* && \
         echo 'deb [trusted=yes] file:/srv/barewire ./' > /etc/apt/sources.list.d/barewire.list && apt-get update",
    );
}

/// What the boot forgot, by the package's unit.
#[track_caller]
fn set_again(guest: &mut Guest) {
    let unit = "barewire-tune-apply.service";
    must(
        guest,
        &format!(
            "while test $(systemctl show -P ActiveState {unit}) = activating; do sleep 1; done; \
             journalctl --boot --no-pager --unit {unit}; systemctl is-active --quiet {unit}"
        ),
    );
}

#[track_caller]
fn play(guest: &mut Guest, playbook: &str, more: &str) -> String {
    let begun = std::time::Instant::now();
    let line = format!(
        "cd /root/ansible && ANSIBLE_NOCOLOR=1 ANSIBLE_PIPELINING=1 LC_ALL=C.UTF-8 \
         ansible-playbook --inventory inventory.yml {playbook} {more} 2>&1"
    );
    let said = must(guest, &line);
    eprintln!("{playbook} took {:.0} s", begun.elapsed().as_secs_f64());
    said
}
