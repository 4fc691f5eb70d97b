//! Which NICs are not taken from the kernel, and which are.

use lab::Guest;

use crate::stock::{REFUSED, stock, tune};

#[test]
fn a_nic_that_somebody_needs_is_refused_and_another_goes_to_vfio_and_back() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;
    let (east, west) = (guest.interface("east"), guest.interface("west"));
    let addresses = ["east", "west"].map(|nic| guest.nic(nic).pci_address().to_owned());
    let driver = |guest: &mut Guest, address: &str| {
        guest.must(&format!("basename $(readlink /sys/bus/pci/devices/{address}/driver)"))
    };
    let own = driver(guest, &addresses[0]);
    for (disguise, make, end) in [
        ("the default route", "ip route add default via 192.0.2.1", "ip route del default"),
        ("a second table", "ip route add default via 192.0.2.1 table 7", "ip route flush table 7"),
        (
            "the default route of IPv6",
            "ip -6 route add default dev $W",
            "ip -6 route del default dev $W",
        ),
        (
            "a VLAN with an address",
            "ip link add link $W name v7 type vlan id 7; ip address add 198.51.100.1/24 dev v7; ip link set v7 up",
            "ip link del v7",
        ),
        (
            "a bridge with an address",
            "ip link add br0 type bridge; ip link set $W master br0; ip address add 198.51.100.1/24 dev br0; \
             ip link set br0 up",
            "ip link del br0",
        ),
    ] {
        let with = |line: &str| format!("set -e; W={west}; {line}");
        guest.must(&with("ip link set $W up"));
        if disguise.contains("route") || disguise.contains("table") {
            guest.must(&with("ip address add 192.0.2.2/24 dev $W"));
        }
        guest.must(&with(make));
        let said = tune(guest, &format!("bind {west}"), REFUSED);
        assert!(said.contains("refused; nothing was changed"), "{disguise}: {said}");
        guest.must(&with(end));
        guest.must(&with("ip address flush dev $W; ip link set $W down"));
        assert_eq!(driver(guest, &addresses[1]), own, "{disguise}");
    }

    tune(guest, &format!("bind {east}"), 0);
    assert_eq!(driver(guest, &addresses[0]), "vfio-pci\n");
    assert_eq!(driver(guest, &addresses[1]), own, "nothing else of the machine");
    let group = format!("/sys/bus/pci/devices/{}/iommu_group", addresses[0]);
    guest.must(&format!("test -c /dev/vfio/$(basename $(readlink {group}))"));
    assert_eq!(
        guest.must(&format!("ls {group}/devices")).trim(),
        addresses[0],
        "its group is its own"
    );
    tune(guest, &format!("unbind {}", addresses[0]), 0);
    assert_eq!(driver(guest, &addresses[0]), own);
    assert_eq!(guest.interface("east"), east);
}
