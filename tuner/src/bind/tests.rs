use std::{fs, os::unix::fs::symlink, path::Path, time::Duration};

use linux::route::{Address, Link, Route, Way};
use serde::Serialize;

use super::*;
use crate::{
    Source,
    executor::{apply, compile},
    guard::Session,
    hands::fake::Fake,
    journal::{Journal, Kind, State},
};

const PORT: &str = "0000:5e:00.0";
const OTHER: &str = "0000:5e:00.1";
const STATE: &str = "var/lib/barewire/tune";

fn pci(text: &str) -> PciAddress {
    text.parse().unwrap()
}

/// Two ports of one card, `data0` and `data1`, that nobody needs; each in a group of its own.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for (name, address, group, index) in [("data0", PORT, 1, 2), ("data1", OTHER, 2, 3)] {
            let dir = format!("sys/bus/pci/devices/{address}");
            machine.file(&format!("{dir}/vendor"), "0x8086\n");
            machine.file(&format!("{dir}/device"), "0x1592\n");
            machine.file(&format!("{dir}/class"), "0x020000\n");
            machine.file(&format!("{dir}/driver_override"), "(null)\n");
            machine.file(&format!("{dir}/reset_method"), "flr\n");
            machine.link("../../drivers/ice", &format!("{dir}/driver"));
            machine.link(&format!("../../groups/{group}"), &format!("{dir}/iommu_group"));
            let interface = format!("sys/class/net/{name}");
            machine.file(&format!("{interface}/ifindex"), &index.to_string());
            machine.file(&format!("{interface}/address"), &format!("02:00:00:00:00:0{index}"));
            machine.link(
                &format!("../../../bus/pci/devices/{address}"),
                &format!("{interface}/device"),
            );
        }
        for driver in ["ice", "vfio-pci"] {
            machine.file(&format!("sys/bus/pci/drivers/{driver}/unbind"), "");
        }
        machine.file("sys/bus/pci/drivers_probe", "");
        fs::create_dir_all(machine.root().join("etc/udev/rules.d")).unwrap();
        fs::create_dir(machine.root().join("proc")).unwrap();
        machine.asked("route/links", &Fact::Is(Vec::<Link>::new()));
        machine.asked("route/defaults", &Fact::Is(Vec::<Route>::new()));
        machine.asked("route/addresses", &Fact::Is(Vec::<Address>::new()));
        machine.asked("route/elsewhere", &Fact::Is(Vec::<crate::facts::nics::Elsewhere>::new()));
        machine
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn link(&self, to: &str, path: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        symlink(to, path).unwrap();
    }

    fn asked<T: Serialize>(&self, name: &str, answer: &Fact<T>) {
        let text = serde_json::to_string(answer).unwrap();
        self.file(&format!("barewire/asked/{name}.json"), &text);
    }

    /// A default route over `data0`.
    fn needed(self) -> Self {
        let way = Way { index: 2, interface: "data0".to_owned(), via: None };
        let to = "0.0.0.0".parse().unwrap();
        let route = Route { table: 254, to, length: 0, ways: vec![way], is_unicast: true };
        self.asked("route/defaults", &Fact::Is(vec![route]));
        self
    }

    fn facts(&self) -> Facts {
        Facts::read(&Source::at(self.root()).unwrap())
    }

    fn judge(&self, known: &[&str]) -> Decision {
        let known = known.iter().map(|mac| mac.parse().unwrap()).collect();
        self.judge_accepting(&Accepted { known, ..Accepted::default() })
    }

    fn judge_accepting(&self, accepted: &Accepted) -> Decision {
        let facts = self.facts();
        let guard = Guard::new(&facts, &Session::default(), &[]);
        judge(&facts, &guard, facts.pci.function(pci(PORT)).unwrap(), accepted).decision
    }

    #[track_caller]
    fn refusal(&self) -> String {
        match self.judge(&[]) {
            Decision::Refused { reasons } => reasons.join("; "),
            other => panic!("{other:?}"),
        }
    }

    fn driver(&self, address: &str) -> Binding {
        let facts = self.facts();
        let only = facts.pci.details[&pci(address)].only_driver.value().cloned();
        let driver = facts.pci.function(pci(address)).unwrap().driver.clone();
        Binding { driver, only }
    }

    fn carry_out(&self, (steps, effects): (Vec<Step>, Vec<Effect>)) {
        let hands = Fake::at(self.root()).unwrap();
        let journal = Journal::open(&hands, STATE, Duration::ZERO).unwrap();
        let number = journal.numbers(&hands).unwrap().last().map_or(1, |last| last + 1);
        let mut entry = Entry {
            version: crate::journal::VERSION,
            number,
            kind: Kind::Apply,
            state: State::Applying,
            began: 0,
            boot: crate::executor::boot_id(&hands),
            steps,
            effects,
            confirmation: None,
            trial: None,
        };
        apply(&hands, &journal, &mut entry, &mut |_| {}).unwrap();
    }

    fn bind(&self, addresses: &[&str]) {
        self.bind_for(addresses, true);
    }

    fn bind_for(&self, addresses: &[&str], is_lasting: bool) {
        let facts = self.facts();
        let guard = Guard::new(&facts, &Session::default(), &[]);
        let chosen: Vec<Candidate> = addresses
            .iter()
            .map(|one| {
                judge(&facts, &guard, facts.pci.function(pci(one)).unwrap(), &Accepted::default())
            })
            .collect();
        let hands = Fake::at(self.root()).unwrap();
        let steps = steps(&facts, &guard, &chosen, is_lasting);
        let effects = compile(&hands, &steps).unwrap();
        self.carry_out((steps, effects));
    }

    /// The kernel comes up anew, without udev.
    fn reboot(&self, id: &str) {
        self.file("proc/sys/kernel/random/boot_id", id);
        for address in [PORT, OTHER] {
            self.file(&format!("sys/bus/pci/devices/{address}/driver_override"), "(null)\n");
            self.link("../../drivers/ice", &format!("sys/bus/pci/devices/{address}/driver"));
        }
    }

    /// What the command does and says.
    fn run(&self, words: &str) -> (crate::Exit, String) {
        let root = self.root().to_str().unwrap();
        let args = ["barewire-tune", "--root", root].into_iter().chain(words.split(' '));
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = crate::commands::run(args, &Default::default(), &mut out, &mut err);
        (exit, String::from_utf8([out, err].concat()).unwrap())
    }

    fn unbind(&self, address: &str) {
        let hands = Fake::at(self.root()).unwrap();
        let facts = self.facts();
        let entries = crate::journal::entries(&hands, STATE).unwrap();
        let binding = original(&entries, pci(address)).unwrap();
        let function = facts.pci.function(pci(address)).unwrap();
        let one = judge_return(&facts, function, binding.driver.as_deref(), &[]);
        self.carry_out(way_back(&hands, &facts, &[(one, binding)]).unwrap());
    }
}

#[test]
fn a_device_goes_to_vfio_and_comes_back_as_it_was() {
    let machine = Machine::new();
    let before = (machine.driver(PORT), machine.driver(OTHER));
    let rule = |address: &str| rules::has(&machine.facts().pci.vfio.rules, pci(address));

    machine.bind(&[PORT, OTHER]);
    assert_eq!(machine.driver(PORT), Binding::only(VFIO));
    assert_eq!(machine.driver(OTHER), Binding::only(VFIO));
    assert!(rule(PORT) && rule(OTHER));

    machine.unbind(PORT);
    assert_eq!(machine.driver(PORT), before.0);
    assert_eq!(machine.driver(OTHER), Binding::only(VFIO));
    assert!(!rule(PORT) && rule(OTHER));

    machine.unbind(OTHER);
    assert_eq!(machine.driver(OTHER), before.1);
    assert!(!machine.root().join(rules::FILE).exists());
}

#[test]
fn binding_twice_writes_nothing_the_second_time() {
    let machine = Machine::new();
    machine.bind(&[PORT]);
    let facts = machine.facts();
    let guard = Guard::new(&facts, &Session::default(), &[]);
    let function = facts.pci.function(pci(PORT)).unwrap();

    let again = judge(&facts, &guard, function, &Accepted::default());

    assert_eq!(again.decision, Decision::Already);
    assert_eq!(steps(&facts, &guard, &[again], true), []);
}

#[test]
fn what_is_bound_for_once_is_in_force_until_the_next_boot_and_not_after_it() {
    let machine = Machine::new();
    machine.reboot("one");
    machine.bind_for(&[PORT], false);
    machine.bind_for(&[OTHER], true);
    let again = |machine: &Machine| machine.run("apply --boot --dry-run");
    let (exit, said) = machine.run("verify");
    assert_eq!(exit, crate::Exit::Success, "{said}");
    assert!(said.contains(&format!("took      driver of {PORT}")), "{said}");

    // Somebody else took them in the same boot.
    machine.reboot("one");
    let (_, said) = again(&machine);
    assert!(said.contains(PORT) && said.contains(OTHER), "{said}");
    assert!(machine.run("verify").1.contains(&format!("CHANGED   driver of {PORT}")));

    machine.reboot("two");
    let (exit, said) = again(&machine);
    assert_eq!(exit, crate::Exit::Success, "{said}");
    assert!(!said.contains(PORT) && said.contains(OTHER), "{said}");
    let (_, said) = machine.run("verify");
    assert!(!said.contains(PORT) && said.contains(OTHER), "{said}");
}

#[test]
fn a_file_of_driverctl_is_written_where_it_is_installed_and_taken_away_again() {
    let machine = Machine::new();
    machine.file("usr/sbin/driverctl", "");
    fs::create_dir_all(machine.root().join("etc/driverctl.d")).unwrap();
    let file = machine.root().join(format!("etc/driverctl.d/pci-{PORT}"));

    machine.bind(&[PORT]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "vfio-pci\n");
    assert!(!machine.root().join(rules::FILE).exists());

    machine.unbind(PORT);
    assert!(!file.exists());
}

#[test]
fn what_somebody_needs_is_refused_unless_its_address_is_named() {
    let machine = Machine::new().needed();

    assert_eq!(machine.refusal(), "the IPv4 default route of table 254 leads over data0");
    assert!(matches!(machine.judge(&["02:00:00:00:00:03"]), Decision::Refused { .. }));
    assert!(matches!(machine.judge(&["02:00:00:00:00:02"]), Decision::Change { .. }));
}

#[test]
fn what_vfio_or_the_device_can_not_take_is_refused() {
    let dir = format!("sys/bus/pci/devices/{PORT}");

    let machine = Machine::new();
    machine.file(&format!("{dir}/class"), "0x010802");
    assert!(machine.refusal().contains("class 010802"));

    let machine = Machine::new();
    machine.file(&format!("{dir}/sriov_numvfs"), "2");
    assert!(machine.refusal().contains("2 virtual functions"));

    let machine = Machine::new();
    let line = format!("DMAR: 1:1 IOMMU mapping for {PORT}");
    machine.asked("kernel-log/iommu-reserved", &Fact::Is(vec![line]));
    assert!(machine.refusal().contains("firmware keeps memory"));
}

#[test]
fn what_no_iommu_confines_is_refused_unless_that_is_accepted_and_vfio_takes_it() {
    let machine = Machine::new();
    let dir = format!("sys/bus/pci/devices/{PORT}");
    fs::remove_file(machine.root().join(format!("{dir}/iommu_group"))).unwrap();
    let accepted = Accepted { without_iommu: true, ..Accepted::default() };
    let mode = |text| machine.file("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", text);

    for text in ["N", "Y"] {
        mode(text);
        let refusal = machine.refusal();
        assert!(refusal.contains("reaches all memory"), "{refusal}");
        assert!(refusal.contains("--without-iommu"), "{refusal}");
    }
    mode("N");
    match machine.judge_accepting(&accepted) {
        Decision::Refused { reasons } => assert!(reasons[0].contains("noiommu_mode is off")),
        other => panic!("{other:?}"),
    }
    mode("Y");
    assert!(matches!(machine.judge_accepting(&accepted), Decision::Change { .. }));
}

#[test]
fn what_vfio_has_already_without_an_iommu_is_not_made_to_last_in_passing() {
    let machine = Machine::new();
    let dir = format!("sys/bus/pci/devices/{PORT}");
    machine.link("../../drivers/vfio-pci", &format!("{dir}/driver"));
    assert_eq!(machine.judge(&[]), Decision::Already);

    let name = "noiommu-1".to_owned();
    let file = crate::facts::pci::vfio::DeviceFile { name, user: 0, group: 0, mode: 0o600 };
    machine.asked("files/dev-vfio", &Fact::Is(vec![file]));
    machine.file("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y");

    assert!(machine.refusal().contains("reaches all memory"));
    let accepted = Accepted { without_iommu: true, ..Accepted::default() };
    assert_eq!(machine.judge_accepting(&accepted), Decision::Already);
    machine.file(rules::FILE, &format!("KERNEL==\"{PORT}\", ATTR{{driver_override}}=\"vfio-pci\""));
    assert_eq!(machine.judge(&[]), Decision::Already);
}

#[test]
fn a_driver_that_shares_its_device_keeps_it() {
    let machine = Machine::new();
    machine.file(&format!("sys/bus/pci/devices/{PORT}/vendor"), "0x15b3");
    assert_eq!(machine.judge(&[]), Decision::Shared);

    let machine = Machine::new();
    machine.link("../../drivers/mlx4_core", &format!("sys/bus/pci/devices/{PORT}/driver"));
    assert_eq!(machine.judge(&[]), Decision::Shared);
}

#[test]
fn a_device_in_use_is_not_taken_away() {
    let machine = Machine::new();
    machine.bind(&[PORT]);
    let facts = machine.facts();
    let function = facts.pci.function(pci(PORT)).unwrap();
    let user = Holder { process: 7, name: "barewired".to_owned() };

    let used = judge_return(&facts, function, Some("ice"), &[user]).decision;
    let unknown = judge_return(&facts, function, None, &[]).decision;
    let kernels = facts.pci.function(pci(OTHER)).unwrap();

    assert_eq!(
        used,
        Decision::Refused { reasons: vec!["barewired (process 7) uses it".to_owned()] }
    );
    assert!(matches!(unknown, Decision::Refused { .. }));
    assert_eq!(judge_return(&facts, kernels, None, &[]).decision, Decision::Already);
}

#[test]
fn siblings_that_the_kernel_drives_are_named() {
    let machine = Machine::new();
    machine.link("../../groups/1", &format!("sys/bus/pci/devices/{OTHER}/iommu_group"));
    let facts = machine.facts();

    assert_eq!(siblings_in_the_way(&facts, &[pci(PORT)]), [format!("{OTHER} (ice) in group 1")]);
    assert!(siblings_in_the_way(&facts, &[pci(PORT), pci(OTHER)]).is_empty());
}
