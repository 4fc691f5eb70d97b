use std::{fs, net::IpAddr, os::unix::fs::symlink};

use linux::route::{Address, Link, Route, Way};
use proptest::prelude::*;
use serde::Serialize;

use super::*;

/// A machine with two cards of two ports each: `mgmt0`, `mgmt1` on 3b, `data0`, `data1` on 5e. Nothing leads anywhere.
struct Machine {
    dir: tempfile::TempDir,
    links: Vec<Link>,
    routes: Vec<Route>,
    addresses: Vec<Address>,
}

const PORTS: [(&str, &str); 4] = [
    ("mgmt0", "0000:3b:00.0"),
    ("mgmt1", "0000:3b:00.1"),
    ("data0", "0000:5e:00.0"),
    ("data1", "0000:5e:00.1"),
];

fn pci(text: &str) -> PciAddress {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl Machine {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut machine =
            Self { dir, links: Vec::new(), routes: Vec::new(), addresses: Vec::new() };
        for (group, (name, address)) in PORTS.into_iter().enumerate() {
            let function = format!("sys/bus/pci/devices/{address}");
            machine.file(&format!("{function}/vendor"), "0x8086");
            machine.file(&format!("{function}/device"), "0x1592");
            machine.file(&format!("{function}/class"), "0x020000");
            machine.file(&format!("{function}/reset_method"), "flr bus");
            machine.link("../../drivers/ice", &format!("{function}/driver"));
            machine
                .link(&format!("../../iommu_groups/{group}"), &format!("{function}/iommu_group"));
            machine.interface(name);
            machine.link(
                &format!("../../../bus/pci/devices/{address}"),
                &format!("sys/class/net/{name}/device"),
            );
        }
        machine
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, to: &str, path: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        symlink(to, path).unwrap();
    }

    /// Adds an interface; its Ethernet address ends with its index.
    fn interface(&mut self, name: &str) -> u32 {
        let index = u32::try_from(self.links.len()).unwrap() + 2;
        self.file(&format!("sys/class/net/{name}/ifindex"), &index.to_string());
        self.file(&format!("sys/class/net/{name}/address"), &format!("02:00:00:00:00:{index:02x}"));
        self.links.push(Link { index, name: name.to_owned(), ..Link::default() });
        index
    }

    fn index(&self, name: &str) -> u32 {
        self.links.iter().find(|link| link.name == name).unwrap().index
    }

    /// `upper` stands on `lower`, as sysfs shows it.
    fn stack(&mut self, upper: &str, lower: &str) {
        if self.links.iter().all(|link| link.name != upper) {
            self.interface(upper);
        }
        self.file(&format!("sys/class/net/{upper}/lower_{lower}"), "");
        self.file(&format!("sys/class/net/{lower}/upper_{upper}"), "");
    }

    fn default_route(&mut self, interface: &str, table: u32, to: &str) {
        let way = Way { index: self.index(interface), interface: interface.to_owned(), via: None };
        self.routes.push(Route { table, to: ip(to), length: 0, ways: vec![way], is_unicast: true });
    }

    fn address(&mut self, interface: &str, address: &str, is_global: bool) {
        let index = self.index(interface);
        self.addresses.push(Address { index, address: ip(address), length: 24, is_global });
    }

    fn asked<T: Serialize>(&self, name: &str, answer: &Fact<T>) {
        let text = serde_json::to_string(answer).unwrap();
        self.file(&format!("barewire/asked/{name}.json"), &text);
    }

    fn source(&self) -> Source {
        self.asked("route/links", &Fact::Is(&self.links));
        self.asked("route/defaults", &Fact::Is(&self.routes));
        self.asked("route/addresses", &Fact::Is(&self.addresses));
        let elsewhere = self.dir.path().join("barewire/asked/route/elsewhere.json");
        if !elsewhere.exists() {
            self.asked("route/elsewhere", &Fact::Is(Vec::<nics::Elsewhere>::new()));
        }
        Source::at(self.dir.path()).unwrap()
    }

    fn guard_with(&self, connection: Option<&str>) -> Guard {
        let source = self.source();
        let session = Session::read(&source, connection);
        Guard::new(&Facts::read(&source), &session, &[])
    }

    /// Which of the four ports must stay, with the reasons.
    #[track_caller]
    fn expect(&self, connection: Option<&str>, held: &[&str]) -> Guard {
        let guard = self.guard_with(connection);
        for (name, address) in PORTS {
            let of_function = guard.of_function(pci(address));
            assert_eq!(
                !guard.of_interface(name).is_empty(),
                held.contains(&name),
                "{name}: {:?}",
                guard.of_interface(name)
            );
            assert_eq!(!of_function.is_empty(), held.contains(&name), "{name}: {of_function:?}");
        }
        guard
    }
}

#[test]
fn nothing_is_held_where_nothing_leads_anywhere() {
    Machine::new().expect(None, &[]);
}

#[test]
fn what_the_configuration_names_is_held_with_what_it_stands_on() {
    let mut machine = Machine::new();
    machine.stack("bond0", "data0");
    let source = machine.source();

    let guard = Guard::new(&Facts::read(&source), &Session::default(), &["bond0".to_owned()]);

    assert_eq!(guard.interfaces(), ["bond0", "data0"]);
    assert_eq!(
        guard.of_interface("bond0")[0].to_string(),
        "the configuration names bond0 as a way in"
    );
    assert!(!guard.of_function(pci("0000:5e:00.0")).is_empty());
}

#[test]
fn a_default_route_of_either_family_and_any_table_holds_its_interface() {
    for (table, to, says) in [
        (254, "0.0.0.0", "the IPv4 default route of table 254 leads over mgmt0"),
        (254, "::", "the IPv6 default route of table 254 leads over mgmt0"),
        (1000, "0.0.0.0", "the IPv4 default route of table 1000 leads over mgmt0"),
    ] {
        let mut machine = Machine::new();
        machine.default_route("mgmt0", table, to);

        let guard = machine.expect(None, &["mgmt0"]);

        let reasons = guard.of_function(pci("0000:3b:00.0"));
        assert_eq!(reasons[0].to_string(), says);
    }
}

#[test]
fn a_global_address_holds_its_interface_and_a_local_one_does_not() {
    let mut machine = Machine::new();
    machine.address("mgmt0", "2001:db8::1", true);
    machine.address("data0", "fe80::1", false);

    machine.expect(None, &["mgmt0"]);
}

#[test]
fn a_bond_a_bridge_and_a_vlan_hold_what_they_stand_on() {
    for upper in ["bond0", "br0", "mgmt0.5"] {
        let mut machine = Machine::new();
        machine.stack(upper, "mgmt0");
        machine.default_route(upper, 254, "0.0.0.0");
        machine.expect(None, &["mgmt0"]);
    }
    let mut machine = Machine::new();
    machine.stack("bond0", "mgmt0");
    machine.stack("bond0", "mgmt1");
    machine.stack("bond0.7", "bond0");
    machine.stack("br0", "bond0.7");
    machine.default_route("br0", 254, "0.0.0.0");

    let guard = machine.expect(None, &["mgmt0", "mgmt1"]);

    assert_eq!(guard.interfaces(), ["bond0", "bond0.7", "br0", "mgmt0", "mgmt1"]);
}

#[test]
fn links_that_only_rtnetlink_shows_are_followed() {
    // A macvlan names its parent; a bond's member its master.
    for is_parent in [true, false] {
        let mut machine = Machine::new();
        let upper = machine.interface("upper");
        let lower = machine.index("mgmt0");
        let at = |index: u32| usize::try_from(index - 2).unwrap();
        if is_parent {
            machine.links[at(upper)].kind = Some("macvlan".to_owned());
            machine.links[at(upper)].parent = Some(lower);
        } else {
            machine.links[at(lower)].master = Some(upper);
        }
        machine.default_route("upper", 254, "0.0.0.0");

        machine.expect(None, &["mgmt0"]);
    }
}

#[test]
fn the_ends_of_a_wire_do_not_stand_on_each_other() {
    let mut machine = Machine::new();
    machine.stack("br0", "data0");
    let (near, far) = (machine.interface("near"), machine.interface("far"));
    for (one, other) in [(near, far), (far, near)] {
        let link = &mut machine.links[usize::try_from(one - 2).unwrap()];
        link.kind = Some("veth".to_owned());
        link.parent = Some(other);
    }
    machine.stack("br0", "near");
    machine.default_route("far", 254, "0.0.0.0");

    machine.expect(None, &[]);
}

#[test]
fn an_open_vswitch_holds_its_ports_by_the_address_of_its_own_interface() {
    let mut machine = Machine::new();
    let bridge = machine.interface("br-ex");
    let system = machine.interface("ovs-system");
    let port = machine.index("mgmt0");
    for index in [bridge, system] {
        machine.links[usize::try_from(index - 2).unwrap()].kind = Some("openvswitch".to_owned());
    }
    machine.links[usize::try_from(port - 2).unwrap()].master = Some(system);
    machine.address("br-ex", "192.0.2.1", true);

    machine.expect(None, &["mgmt0"]);
}

#[test]
fn the_way_to_the_ssh_peer_is_held_whatever_the_default_route_is() {
    let machine = Machine::new();
    machine.asked("route/to/198.51.100.9", &Fact::Is(vec!["mgmt1".to_owned()]));
    let guard = machine.expect(Some("198.51.100.9 50000 192.0.2.1 22"), &["mgmt1"]);
    let reasons = guard.of_interface("mgmt1");
    assert_eq!(reasons[0].to_string(), "your SSH session came in over mgmt1");

    let machine = Machine::new();
    machine.expect(Some("fe80::9%mgmt0 50000 fe80::1%mgmt0 22"), &["mgmt0"]);

    let mut machine = Machine::new();
    machine.asked("route/to/198.51.100.9", &Fact::Is(Vec::<String>::new()));
    machine.address("mgmt0", "192.0.2.1", false);
    machine.expect(Some("198.51.100.9 50000 192.0.2.1 22"), &["mgmt0"]);
}

#[test]
fn a_session_that_can_not_be_understood_holds_everything() {
    let machine = Machine::new();
    let all = ["mgmt0", "mgmt1", "data0", "data1"];

    machine.expect(Some("gibberish"), &all);
    // The route was not asked for when the machine was captured.
    machine.expect(Some("203.0.113.1 1 192.0.2.1 22"), &all);
    machine.expect(Some(""), &[]);
}

#[test]
fn somebody_elses_login_is_held() {
    let mut machine = Machine::new();
    machine.address("mgmt1", "192.0.2.1", false);
    let end = |ip: [u8; 4], port: u16| format!("{:08X}:{port:04X}", u32::from_ne_bytes(ip));
    let line = format!(
        "header\n   0: {} {} 01 0\n",
        end([192, 0, 2, 1], 22),
        end([198, 51, 100, 9], 4000)
    );
    machine.file("proc/net/tcp", &line);

    machine.expect(None, &["mgmt1"]);
}

#[test]
fn remote_storage_holds_the_way_to_it() {
    let mount = "29 1 0:25 / / rw - nfs4 192.0.2.7:/x rw,addr=192.0.2.7\n";
    let way = Fact::Is(vec!["mgmt0".to_owned()]);

    let machine = Machine::new();
    machine.file("proc/self/mountinfo", mount);
    machine.asked("route/to/192.0.2.7", &way);
    machine.expect(None, &["mgmt0"]);

    let machine = Machine::new();
    machine.file("sys/class/nvme/nvme0/transport", "tcp");
    machine.file("sys/class/nvme/nvme0/address", "traddr=192.0.2.7,trsvcid=4420");
    machine.asked("route/to/192.0.2.7", &way);
    machine.expect(None, &["mgmt0"]);

    let machine = Machine::new();
    machine.file("sys/class/iscsi_connection/connection1:0/address", "192.0.2.7");
    machine.asked("route/to/192.0.2.7", &way);
    machine.expect(None, &["mgmt0"]);

    let machine = Machine::new();
    machine.file("proc/self/mountinfo", mount);
    machine.expect(None, &["mgmt0", "mgmt1", "data0", "data1"]);
}

#[test]
fn a_disk_in_use_is_held() {
    let machine = Machine::new();
    machine.file("proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
    machine.link("../../devices/pci0000:00/0000:00:1f.2/ata1/block/sda/sda1", "sys/dev/block/8:1");

    let guard = machine.expect(None, &[]);

    let disk = guard.of_function(pci("0000:00:1f.2"));
    assert_eq!(disk[0].to_string(), "a disk in use is behind 0000:00:1f.2");
}

#[test]
fn what_shares_an_iommu_group_with_a_held_function_is_held() {
    let mut machine = Machine::new();
    machine.link("../../iommu_groups/0", "sys/bus/pci/devices/0000:5e:00.1/iommu_group");
    machine.default_route("mgmt0", 254, "0.0.0.0");

    let guard = machine.guard_with(None);

    assert!(guard.of_interface("data1").is_empty());
    assert_eq!(
        guard.of_function(pci("0000:5e:00.1"))[0].to_string(),
        "0000:3b:00.0 (mgmt0), which must stay, is in the same IOMMU group 0"
    );
    assert!(guard.of_function(pci("0000:5e:00.0")).is_empty());
}

#[test]
fn a_card_that_is_only_reset_as_a_whole_is_held_as_a_whole() {
    for (ways, is_held) in [("bus", true), ("flr bus", false), ("pm", false)] {
        let mut machine = Machine::new();
        machine.file("sys/bus/pci/devices/0000:3b:00.1/reset_method", ways);
        machine.default_route("mgmt0", 254, "0.0.0.0");

        let guard = machine.guard_with(None);

        let reasons = guard.of_function(pci("0000:3b:00.1"));
        assert_eq!(!reasons.is_empty(), is_held, "{ways}: {reasons:?}");
    }
    let mut machine = Machine::new();
    fs::remove_file(machine.dir.path().join("sys/bus/pci/devices/0000:3b:00.1/reset_method"))
        .unwrap();
    machine.default_route("mgmt0", 254, "0.0.0.0");
    assert!(!machine.guard_with(None).of_function(pci("0000:3b:00.1")).is_empty());
}

#[test]
fn a_physical_function_whose_virtual_one_must_stay_is_held() {
    let mut machine = Machine::new();
    machine.link("../0000:5e:00.0", "sys/bus/pci/devices/0000:3b:00.0/physfn");
    machine.default_route("mgmt0", 254, "0.0.0.0");

    let guard = machine.guard_with(None);

    assert_eq!(
        guard.of_function(pci("0000:5e:00.0"))[0].to_string(),
        "0000:3b:00.0 (mgmt0), which must stay, is a virtual function of it"
    );
}

#[test]
fn an_interface_that_another_namespace_took_or_stands_on_is_held() {
    let machine = Machine::new();
    fs::remove_dir_all(machine.dir.path().join("sys/class/net/data1")).unwrap();
    let guard = machine.guard_with(None);
    assert!(matches!(guard.of_function(pci("0000:5e:00.1"))[0], Reason::OutOfSight { .. }));

    let machine = Machine::new();
    let on = machine.index("data0");
    let above = nics::Elsewhere { process: 7, interface: "eth0".to_owned(), on };
    machine.asked("route/elsewhere", &Fact::Is(vec![above]));
    machine.expect(None, &["data0"]);
}

#[test]
fn what_can_not_be_read_holds_everything() {
    let machine = Machine::new();
    let source = machine.source();
    for name in ["links", "defaults", "addresses", "elsewhere"] {
        let path = machine.dir.path().join(format!("barewire/asked/route/{name}.json"));
        let text = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();

        let guard = Guard::new(&Facts::read(&source), &Session::default(), &[]);

        let reasons = guard.of_function(pci("0000:5e:00.0"));
        assert!(matches!(reasons[0], Reason::CannotTell { .. }), "{name}: {reasons:?}");
        fs::write(&path, text).unwrap();
    }
}

#[test]
fn only_the_ethernet_addresses_of_all_that_is_lost_are_a_way_around() {
    let mut machine = Machine::new();
    machine.stack("bond0", "mgmt0");
    machine.default_route("bond0", 254, "0.0.0.0");
    let guard = machine.expect(None, &["mgmt0"]);
    let known = |names: &[&str]| names.iter().map(|name| guard.mac(name).unwrap()).collect();
    let function = pci("0000:3b:00.0");

    assert!(!guard.of_function_knowing(function, &BTreeSet::new()).is_empty());
    assert!(!guard.of_function_knowing(function, &known(&["data0"])).is_empty());
    assert!(guard.of_function_knowing(function, &known(&["mgmt0"])).is_empty());

    machine.file("sys/bus/pci/devices/0000:3b:00.1/reset_method", "bus");
    let guard = machine.guard_with(None);
    let sibling = pci("0000:3b:00.1");
    assert!(!guard.of_function_knowing(sibling, &known(&["mgmt1"])).is_empty());
    let held: Vec<_> =
        guard.of_function(sibling).into_iter().flat_map(Reason::interfaces).collect();
    assert!(guard.of_function_knowing(sibling, &known(&held)).is_empty());
}

proptest! {
    #[test]
    fn any_ssh_connection_is_read_without_a_panic(text in ".{0,80}") {
        let machine = tempfile::tempdir().unwrap();
        let source = Source::at(machine.path()).unwrap();
        let session = Session::read(&source, Some(&text));
        prop_assert_eq!(session.interfaces.is_none(), text.trim().is_empty());
    }
}
