//! `barewire-tune bind` and `unbind` on a machine with an IOMMU: what a directory with a kernel's manners can not show.

use lab::{Guest, guest_or_skip};

/// Runs `barewire-tune` in the guest: how it ended, and all that it said.
fn tune(guest: &mut Guest, words: &str) -> (i32, String) {
    let line = format!("barewire-tune {words} 2>&1; echo exit=$?");
    let said = guest.must(&line);
    let (text, exit) = said.trim_end().rsplit_once("exit=").expect("the shell says how it ended");
    (exit.parse().expect("a number"), text.to_owned())
}

fn driver(guest: &mut Guest, address: &str) -> String {
    let link = format!("/sys/bus/pci/devices/{address}/driver");
    guest.must(&format!("basename $(readlink {link}) || true")).trim().to_owned()
}

fn ready() -> Option<Guest> {
    let mut guest = guest_or_skip()?;
    guest.install_or_skip("barewire-tune").then_some(guest)
}

#[test]
fn a_port_that_nobody_needs_goes_to_vfio_stays_there_over_a_reboot_and_comes_back() {
    let Some(mut guest) = ready() else { return };
    let (east, west) =
        (guest.nic("east").pci_address().to_owned(), guest.nic("west").pci_address().to_owned());
    let own = driver(&mut guest, &east);
    let interface = guest.interface("east");

    let (exit, said) = tune(&mut guest, &format!("bind {interface}"));
    assert_eq!(exit, 0, "{said}");
    assert_eq!(driver(&mut guest, &east), "vfio-pci");
    assert_eq!(driver(&mut guest, &west), own, "the other port of its model is left alone");
    guest.must(&format!("! test -e /sys/class/net/{interface}"));
    let (exit, said) = tune(&mut guest, &format!("bind {east}"));
    assert_eq!(exit, 0, "{said}");
    assert!(said.contains("nothing was written"), "{said}");

    guest.reboot().expect("it comes up again");
    assert_eq!(driver(&mut guest, &east), "vfio-pci", "{}", guest.console());
    assert_eq!(driver(&mut guest, &west), own);

    let (exit, said) = tune(&mut guest, &format!("unbind {east}"));
    assert_eq!(exit, 0, "{said}");
    assert_eq!(driver(&mut guest, &east), own);
    guest.must("! test -e /etc/udev/rules.d/90-barewire-vfio.rules");
    let only = guest.must(&format!("cat /sys/bus/pci/devices/{east}/driver_override"));
    assert_eq!(only.trim(), "(null)");

    guest.reboot().expect("it comes up again");
    assert_eq!(driver(&mut guest, &east), own);
}

#[test]
fn a_port_that_was_bound_once_is_its_driver_s_again_after_a_reboot_and_stays_so() {
    let Some(mut guest) = ready() else { return };
    let east = guest.nic("east").pci_address().to_owned();
    let own = driver(&mut guest, &east);
    let rules = "ls /etc/udev/rules.d /etc/modules-load.d";
    let rules_before = guest.must(rules);
    let (exit, said) = tune(&mut guest, &format!("bind {east} --once"));
    assert_eq!(exit, 0, "{said}");
    assert_eq!(driver(&mut guest, &east), "vfio-pci");
    assert_eq!(guest.must(rules), rules_before);

    guest.reboot().expect("it comes up again");
    let (exit, said) = tune(&mut guest, "apply --boot");
    assert_eq!(exit, 0, "{said}");
    assert_eq!(driver(&mut guest, &east), own, "{said}");

    let (exit, said) = tune(&mut guest, "verify");
    assert_eq!(exit, 0, "{said}");
    let (exit, said) = tune(&mut guest, "rollback --pristine");
    assert_eq!(exit, 0, "{said}");
    assert_eq!(driver(&mut guest, &east), own, "{said}");
}

#[test]
fn a_port_with_the_default_route_below_a_bond_or_a_bridge_is_refused() {
    let Some(mut guest) = ready() else { return };
    let (east, west) =
        (guest.nic("east").pci_address().to_owned(), guest.nic("west").pci_address().to_owned());
    let (lower, other) = (guest.interface("east"), guest.interface("west"));
    let own = driver(&mut guest, &east);
    guest.must(&format!(
        "set -e; ip link add br0 type bridge; ip link set {lower} master br0; ip link set {lower} up; \
         ip link set br0 up; ip addr add 192.0.2.1/24 dev br0; ip route add default via 192.0.2.254 dev br0 table 77; \
         ip link set {other} up"
    ));

    let (exit, said) = tune(&mut guest, &format!("bind {east}"));
    assert_eq!(exit, 50, "{said}");
    assert!(said.contains(&format!("br0, which must stay, stands on {lower}")), "{said}");
    assert_eq!(driver(&mut guest, &east), own);

    let (exit, said) = tune(&mut guest, &format!("bind {west} --dry-run"));
    assert_eq!(exit, 0, "{said}");

    let mac = guest.must(&format!("cat /sys/class/net/{lower}/address"));
    let (exit, said) = tune(&mut guest, &format!("bind {east} --once --i-know {}", mac.trim()));
    assert_eq!(exit, 0, "{said}");
    assert_eq!(driver(&mut guest, &east), "vfio-pci");
    let (exit, said) = tune(&mut guest, &format!("unbind {east}"));
    assert_eq!(exit, 0, "{said}");
    assert_eq!(driver(&mut guest, &east), own);
}

#[test]
fn a_device_that_a_program_has_open_is_not_taken_back() {
    let Some(mut guest) = ready() else { return };
    let east = guest.nic("east").pci_address().to_owned();
    let (exit, said) = tune(&mut guest, &format!("bind {east} --once"));
    assert_eq!(exit, 0, "{said}");
    guest.must(&format!(
        "group=$(basename $(readlink /sys/bus/pci/devices/{east}/iommu_group)); \
         systemd-run --quiet --unit=holder sh -c \"exec sleep 600 3<>/dev/vfio/$group\"; \
         until ls -l /proc/$(systemctl show -P MainPID holder)/fd | grep -q /dev/vfio/; do sleep 0.1; done"
    ));

    let (exit, said) = tune(&mut guest, &format!("unbind {east}"));
    assert_eq!(exit, 50, "{said}");
    assert!(said.contains("uses it"), "{said}");
    let (exit, said) = tune(&mut guest, "rollback --force");
    assert_eq!(exit, 61, "{said}");
    assert!(said.contains(&format!("uses {east}: stop it first")), "{said}");
    assert_eq!(driver(&mut guest, &east), "vfio-pci");

    guest.must("systemctl stop holder");
    let (exit, said) = tune(&mut guest, &format!("unbind {east}"));
    assert_eq!(exit, 0, "{said}");
}
