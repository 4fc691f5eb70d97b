//! Which NICs are not taken from the kernel, and which are.

use lab::Guest;

use crate::stock::{REFUSED, stock, tune, tune_with};

/// One way in which the machine may need a NIC, `$W`.
struct Disguise {
    /// Makes it so; `$W` is up and has no address.
    make: &'static str,
    /// Takes it back; addresses and routes of `$W` go by themselves.
    end: &'static str,
    /// What `bind` says of it, where `$W` is the interface.
    why: &'static str,
}

/// What an SSH daemon's connection looks like to the kernel: established, and our end has port 22.
const LOGIN: &str = r#"use IO::Socket::INET;
my $address = "198.51.100.1";
my $listens = IO::Socket::INET->new(LocalAddr => $address, LocalPort => 22, Listen => 1) or die;
my $theirs = IO::Socket::INET->new(PeerAddr => $address, PeerPort => 22) or die;
my $ours = $listens->accept or die;
sleep 600;
"#;

const DISGUISES: [Disguise; 10] = [
    Disguise {
        make: "ip route add default dev $W",
        end: ":",
        why: "the IPv4 default route of table 254 leads over $W",
    },
    Disguise {
        make: "ip route add default dev $W table 7",
        end: "ip route flush table 7",
        why: "the IPv4 default route of table 7 leads over $W",
    },
    Disguise {
        make: "ip -6 route add default dev $W",
        end: "ip -6 route del default dev $W",
        why: "the IPv6 default route of table 254 leads over $W",
    },
    Disguise {
        make: "ip -6 route add default dev $W table 7",
        end: "ip -6 route flush table 7",
        why: "the IPv6 default route of table 7 leads over $W",
    },
    Disguise {
        make: "ip address add 198.51.100.1/24 dev $W",
        end: ":",
        why: "$W has the address 198.51.100.1",
    },
    Disguise {
        make: "ip link add link $W name v7 type vlan id 7; ip link set v7 up; \
               ip address add 198.51.100.1/24 dev v7",
        end: "ip link del v7",
        why: "v7, which must stay, stands on $W",
    },
    Disguise {
        make: "ip link add br0 type bridge; ip link set $W master br0; ip link set br0 up; \
               ip route add default dev br0",
        end: "ip link del br0",
        why: "br0, which must stay, stands on $W",
    },
    Disguise {
        make: "ip link add bond7 type bond mode active-backup; ip link set $W down; \
               ip link set $W master bond7; ip link set bond7 up; ip -6 route add default dev bond7",
        end: "ip link del bond7",
        why: "bond7, which must stay, stands on $W",
    },
    Disguise {
        make: "ip link add bond7 type bond mode active-backup; ip link set $W down; \
               ip link set $W master bond7; ip link set bond7 up; \
               ip link add link bond7 name v8 type vlan id 8; ip link add br1 type bridge; \
               ip link set v8 master br1; ip link set v8 up; ip link set br1 up; \
               ip address add 198.51.100.1/24 dev br1",
        end: "ip link del br1; ip link del v8; ip link del bond7",
        why: "bond7, which must stay, stands on $W",
    },
    Disguise {
        make: "ip address add 198.51.100.1/24 dev $W; \
               systemd-run --quiet --unit=login perl /root/login.pl; \
               until grep -q ':0016 .* 01 ' /proc/net/tcp; do sleep 0.1; done",
        end: "systemctl stop login.service",
        why: "somebody is logged in over $W, at 198.51.100.1",
    },
];

#[test]
fn a_nic_that_somebody_needs_is_refused_in_every_disguise() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;
    let west = guest.interface("west");
    let address = guest.nic("west").pci_address().to_owned();
    let own = driver(guest, &address);
    let with = |line: &str| format!("set -e; W={west}; {line}");
    guest.write("/root/login.pl", 0o644, LOGIN).expect("the guest takes files");
    for Disguise { make, end, why } in DISGUISES {
        guest.must(&with(&format!("ip link set $W up; {make}")));
        // By its name, and by its address.
        for one in [&west, &address] {
            let said = tune(guest, &format!("bind {one}"), REFUSED);
            assert!(said.contains("refused; nothing was changed"), "{make}: {said}");
            assert!(said.contains(&why.replace("$W", &west)), "{make}: {said}");
        }
        guest.must(&with(&format!("{end}; ip address flush dev $W; ip link set $W down")));
        assert_eq!(driver(guest, &address), own, "{make}");
    }

    // The way that the operator came in, by what their SSH daemon tells their shell.
    guest.must(&with("ip link set $W up; ip route add 203.0.113.0/24 dev $W"));
    let connection = "SSH_CONNECTION='203.0.113.9 50000 198.51.100.1 22'";
    let said = tune_with(guest, connection, &format!("bind {west}"), REFUSED);
    assert!(said.contains(&format!("your SSH session came in over {west}")), "{said}");
    guest.must(&with("ip link set $W down"));

    // Nobody needs it any more: it was refused for those reasons and no other.
    tune(guest, &format!("bind {address} --dry-run"), 0);
}

#[test]
fn a_nic_that_nobody_needs_goes_to_vfio_alone_and_comes_back() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;
    let east = guest.interface("east");
    let addresses = ["east", "west"].map(|nic| guest.nic(nic).pci_address().to_owned());
    let own = driver(guest, &addresses[0]);

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

fn driver(guest: &mut Guest, address: &str) -> String {
    guest.must(&format!("basename $(readlink /sys/bus/pci/devices/{address}/driver)"))
}
