//! `bind` and `unbind` as an operator runs them, on the files of a machine.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, os::unix::fs::symlink, path::Path};

use serde_json::Value;
use tuner::commands::{self, Surroundings};

const PORT: &str = "0000:5e:00.0";

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn link(root: &Path, to: &str, path: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let _ = fs::remove_file(&path);
    symlink(to, path).unwrap();
}

/// A machine with one port, over which these default routes lead.
fn machine(defaults: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let function = format!("sys/bus/pci/devices/{PORT}");
    put(root, &format!("{function}/vendor"), "0x8086\n");
    put(root, &format!("{function}/device"), "0x1592\n");
    put(root, &format!("{function}/class"), "0x020000\n");
    put(root, &format!("{function}/driver_override"), "(null)\n");
    link(root, "../../drivers/ice", &format!("{function}/driver"));
    link(root, "../../groups/1", &format!("{function}/iommu_group"));
    put(root, "sys/bus/pci/drivers/vfio-pci/unbind", "");
    put(root, "sys/class/net/data0/ifindex", "2");
    put(root, "sys/class/net/data0/address", "02:00:00:00:00:02");
    link(root, &format!("../../../bus/pci/devices/{PORT}"), "sys/class/net/data0/device");
    fs::create_dir_all(root.join("etc/udev/rules.d")).unwrap();
    for question in ["links", "addresses", "elsewhere"] {
        put(root, &format!("barewire/asked/route/{question}.json"), "{\"is\":[]}");
    }
    put(root, "barewire/asked/route/defaults.json", &format!("{{\"is\":[{defaults}]}}"));
    dir
}

const DEFAULT: &str = "{\"table\":254,\"to\":\"0.0.0.0\",\"length\":0,\"is_unicast\":true,\
                       \"ways\":[{\"index\":2,\"interface\":\"data0\",\"via\":null}]}";

/// The exit code, what was answered, and what was said.
fn run(dir: &tempfile::TempDir, words: &str) -> (u8, String, String) {
    let root = dir.path().to_str().unwrap();
    let args = ["barewire-tune", "--root", root].into_iter().chain(words.split(' '));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = commands::run(args, &Surroundings::default(), &mut out, &mut err);
    (exit as u8, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// Every file and what is in it.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(next).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            let name = entry.path().display().to_string();
            if kind.is_dir() {
                todo.push(entry.path());
            } else if kind.is_file() {
                found.push((name, fs::read(entry.path()).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn the_way_in_is_refused_by_name_and_reason_and_nothing_is_written() {
    let machine = machine(DEFAULT);
    let before = files(machine.path());

    for asked in [PORT, "data0"] {
        let (exit, _, err) = run(&machine, &format!("bind {asked}"));
        assert_eq!(exit, 50, "{err}");
        let wanted = format!(
            "{PORT} (data0): refused: the IPv4 default route of table 254 leads over data0"
        );
        assert!(err.contains(&wanted), "{err}");
    }
    let (exit, _, err) = run(&machine, &format!("bind {PORT} --i-know 02:00:00:00:00:03"));
    assert_eq!(exit, 50, "{err}");

    assert_eq!(files(machine.path()), before);
}

#[test]
fn a_refusal_in_json_has_the_device_and_its_reasons() {
    let (exit, out, _) = run(&machine(DEFAULT), "bind data0 --json");
    let answer: Value = serde_json::from_str(&out).unwrap();

    assert_eq!((exit, &answer["exit"]), (50, &Value::from(50)));
    assert_eq!(answer["devices"][0]["device"], PORT);
    assert_eq!(answer["devices"][0]["decision"], "refused");
    assert_eq!(answer["devices"][0]["reasons"].as_array().unwrap().len(), 1);
}

#[test]
fn a_dry_run_says_what_would_be_written_and_writes_nothing() {
    let machine = machine("");
    let before = files(machine.path());

    let (exit, out, err) = run(&machine, "bind data0 --dry-run");

    assert_eq!(exit, 0, "{err}");
    assert!(err.contains(&format!("{PORT} (data0): ice -> vfio-pci")), "{err}");
    assert!(out.contains("90-barewire-vfio.rules"), "{out}");
    assert!(out.contains(&format!("driver of {PORT}: ice -> vfio-pci only")), "{out}");
    assert_eq!(files(machine.path()), before);

    let (_, once, _) = run(&machine, "bind data0 --dry-run --once");
    assert!(!once.contains(".rules"), "{once}");
}

#[test]
fn who_names_the_address_of_what_is_lost_gets_it() {
    let (exit, out, err) =
        run(&machine(DEFAULT), "bind data0 --i-know 02:00:00:00:00:02 --dry-run --json");
    let answer: Value = serde_json::from_str(&out).unwrap();

    assert_eq!(exit, 0, "{err}");
    assert_eq!(answer["devices"][0]["decision"], "change");
    assert_eq!(answer["devices"][0]["to"], "vfio-pci");
}

#[test]
fn a_device_that_no_iommu_confines_is_only_given_away_by_name() {
    let machine = machine("");
    let function = machine.path().join("sys/bus/pci/devices").join(PORT);
    fs::remove_file(function.join("iommu_group")).unwrap();
    put(machine.path(), "sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y");

    let (exit, _, err) = run(&machine, "bind data0 --dry-run");
    assert_eq!(exit, 50, "{err}");
    assert!(err.contains("reaches all memory"), "{err}");

    let (exit, out, err) = run(&machine, "bind data0 --dry-run --without-iommu");
    assert_eq!(exit, 0, "{err}");
    assert!(out.contains("ice -> vfio-pci only"), "{out}");
}

#[test]
fn a_device_whose_driver_shares_it_is_left_alone() {
    let machine = machine(DEFAULT);
    put(machine.path(), &format!("sys/bus/pci/devices/{PORT}/vendor"), "0x15b3");

    let (exit, _, err) = run(&machine, "bind data0");

    assert_eq!(exit, 0, "{err}");
    assert!(err.contains("left with ice"), "{err}");
    assert!(err.contains("nothing was written"), "{err}");
}

#[test]
fn a_wrong_configuration_that_nobody_named_keeps_no_device_from_coming_back() {
    let machine = machine("");
    put(machine.path(), "etc/barewire/barewire.toml", "[[");
    link(machine.path(), "../../drivers/vfio-pci", &format!("sys/bus/pci/devices/{PORT}/driver"));
    put(machine.path(), &format!("barewire/asked/vfio/users/{PORT}.json"), "{\"is\":[]}");

    let (exit, out, err) = run(&machine, "unbind data0 --driver ice --dry-run");
    assert_eq!(exit, 0, "{err}");
    assert!(out.contains("vfio-pci -> ice"), "{out}");
    assert!(err.contains("warning: going on without this configuration"), "{err}");

    let file = machine.path().join("etc/barewire/barewire.toml");
    let named = format!("unbind data0 --driver ice --dry-run --config {}", file.display());
    for words in [named.as_str(), "bind data0 --dry-run"] {
        let (exit, _, err) = run(&machine, words);
        assert_eq!(exit, 64, "{err}");
    }
}

#[test]
fn what_is_not_there_is_a_mistake_of_the_command_line() {
    for words in ["bind eth9", "bind 0000:ff:00.0", "unbind data0 --driver ../x", "bind"] {
        let (exit, _, err) = run(&machine(""), words);
        assert_eq!(exit, 64, "{words}: {err}");
    }
}

#[test]
fn a_device_of_which_nobody_knows_the_driver_is_not_guessed() {
    let machine = machine("");
    link(machine.path(), "../../drivers/vfio-pci", &format!("sys/bus/pci/devices/{PORT}/driver"));
    put(machine.path(), &format!("barewire/asked/vfio/users/{PORT}.json"), "{\"is\":[]}");

    let (exit, _, err) = run(&machine, &format!("unbind {PORT}"));
    assert_eq!(exit, 50, "{err}");
    assert!(err.contains("--driver"), "{err}");

    let (exit, out, err) = run(&machine, &format!("unbind {PORT} --driver ice --dry-run"));
    assert_eq!(exit, 0, "{err}");
    assert!(out.contains("vfio-pci -> ice"), "{out}");
}

#[test]
fn a_device_is_not_taken_from_a_program_that_uses_it_nor_when_that_is_not_known() {
    let machine = machine("");
    link(machine.path(), "../../drivers/vfio-pci", &format!("sys/bus/pci/devices/{PORT}/driver"));
    let (exit, _, err) = run(&machine, &format!("unbind {PORT} --driver ice"));
    assert_eq!(exit, 30, "{err}");

    let users = "{\"is\":[{\"process\":7,\"name\":\"barewired\"}]}";
    put(machine.path(), &format!("barewire/asked/vfio/users/{PORT}.json"), users);
    let (exit, _, err) = run(&machine, &format!("unbind {PORT} --driver ice"));
    assert_eq!(exit, 50, "{err}");
    assert!(err.contains("barewired (process 7) uses it"), "{err}");
}
