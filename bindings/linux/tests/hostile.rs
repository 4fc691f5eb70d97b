//! Files that are not what the kernel writes: each is an error that names it, or an unknown with its reason; none of them
//! hangs, takes memory without bound, or leads out of the root.

#![expect(clippy::unwrap_used, reason = "tests")]

mod sysroots;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use config::{Auto, Cores, Mode, placement::place};
use linux::{
    Known, ReadError, Root, cmdline::Cmdline, cpu, hugepages, irq, net, numa, pci, topology,
};
use rustix::fs::{CWD, FileType};
use sysroots::{Entry, SHAPES, Shape};
use tempfile::TempDir;

fn shape(name: &str) -> &'static Shape {
    SHAPES.iter().find(|shape| shape.name == name).unwrap()
}

fn write(shape: &Shape, dir: &Path) {
    for (path, entry) in shape.tree() {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match entry {
            Entry::File(text) => fs::write(path, text).unwrap(),
            Entry::Link(target) => symlink(target, path).unwrap(),
        }
    }
}

fn with(files: &[(&str, &[u8])]) -> (TempDir, Root) {
    let dir = tempfile::tempdir().unwrap();
    for (path, bytes) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let root = Root::at(dir.path()).unwrap();
    (dir, root)
}

fn pipe(path: &Path) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
}

#[test]
fn links_stay_inside_the_root_wherever_they_point() {
    let (dir, root) = with(&[("etc/hostname", b"inside\n"), ("sys/a/file", b"a\n")]);
    symlink("/etc/hostname", dir.path().join("absolute")).unwrap();
    symlink("../../../../../../etc/hostname", dir.path().join("sys/climbs")).unwrap();
    symlink("/etc/passwd", dir.path().join("missing")).unwrap();

    assert_eq!(root.text("absolute").unwrap(), "inside");
    assert_eq!(root.text("sys/climbs").unwrap(), "inside");
    assert_eq!(root.text("../../../etc/hostname").unwrap(), "inside");
    assert!(root.text("missing").unwrap_err().is_missing());
    assert_eq!(root.link_name("absolute").unwrap(), "hostname");
    assert_eq!(root.names("/").unwrap(), ["absolute", "etc", "missing", "sys"]);
}

#[test]
fn links_in_a_circle_are_an_error() {
    let (dir, root) = with(&[]);
    symlink("b", dir.path().join("a")).unwrap();
    symlink("a", dir.path().join("b")).unwrap();

    assert!(matches!(root.text("a"), Err(ReadError::Io { .. })));
    assert_eq!(root.link_name("a").unwrap(), "b");
}

#[test]
fn what_is_not_a_file_is_not_read() {
    let (dir, root) = with(&[("file", b"text")]);
    pipe(&dir.path().join("pipe"));
    fs::create_dir(dir.path().join("directory")).unwrap();

    for path in ["pipe", "directory"] {
        assert!(matches!(root.text(path), Err(ReadError::WrongKind { .. })), "{path}");
    }
    assert!(matches!(root.names("file"), Err(ReadError::WrongKind { .. })));
    assert!(matches!(root.link("file"), Err(ReadError::WrongKind { .. })));
    assert!(root.text("file/below").unwrap_err().is_missing());
    assert!(matches!(Root::at(dir.path().join("file")), Err(ReadError::WrongKind { .. })));
    assert!(Root::at(dir.path().join("nothing")).unwrap_err().is_missing());
}

#[test]
fn a_file_without_end_is_not_read_to_the_end() {
    let (dir, root) = with(&[]);
    // 1 TiB that takes no space.
    fs::File::create(dir.path().join("huge")).unwrap().set_len(1 << 40).unwrap();

    assert!(matches!(root.text("huge"), Err(ReadError::TooLarge { limit: 65536, .. })));
}

#[test]
fn the_limit_is_the_largest_that_is_read() {
    let (_dir, root) = with(&[("file", b"12345678")]);

    assert_eq!(root.text_up_to("file", 8).unwrap(), "12345678");
    assert!(matches!(root.text_up_to("file", 7), Err(ReadError::TooLarge { limit: 7, .. })));
}

#[test]
fn the_head_of_a_file_ends_with_a_whole_line() {
    let (_dir, root) = with(&[("file", b"one\ntwo\nthree\n"), ("line", b"without end")]);

    assert_eq!(root.head("file", 9).unwrap(), "one\ntwo");
    assert_eq!(root.head("file", 100).unwrap(), "one\ntwo\nthree");
    assert_eq!(root.head("line", 4).unwrap(), "");
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    let (_dir, root) = with(&[("latin", b"caf\xe9"), ("zero", b"a\0b")]);

    for path in ["latin", "zero"] {
        assert!(matches!(root.text(path), Err(ReadError::NotText { .. })), "{path}");
    }
}

#[test]
fn errors_name_the_file_and_what_it_says() {
    let (_dir, root) = with(&[("sys/number", b"twelve\x1b[31m")]);

    let error = root.parse::<u32>("sys/number", "a number").unwrap_err().to_string();

    assert!(
        error.ends_with("sys/number says \"twelve\\u{1b}[31m\", which is not a number"),
        "{error}"
    );
}

#[test]
fn a_machine_without_a_list_of_cpus_is_not_described() {
    let (_dir, root) = with(&[]);

    let error = topology::discover(&root).unwrap_err();

    assert_eq!(error.to_string(), "the list of online CPUs can not be read");
    assert!(std::error::Error::source(&error).is_some());
}

#[test]
fn a_machine_of_one_file_has_cpus_and_says_what_is_missing() {
    let (_dir, root) = with(&[("sys/devices/system/cpu/online", b"0-1\n")]);

    let machine = topology::discover(&root).unwrap();

    assert_eq!(machine.usable().to_string(), "0-1");
    assert_eq!(machine.nodes.len(), 1);
    for part in ["hwloc", "NUMA", "memory", "isolated", "cpuset"] {
        let is_noted = machine.notes.iter().any(|note| note.contains(part));
        assert!(is_noted, "{part}: {:#?}", machine.notes);
    }
}

#[test]
fn isolation_is_the_union_of_boot_line_and_partitions() {
    let sys = "sys/devices/system/cpu/online";
    let boot = "sys/devices/system/cpu/isolated";
    let all = "sys/fs/cgroup/cpuset.cpus.isolated";
    let group = "sys/fs/cgroup/a.slice/b.service";
    let isolated = |files: &[(&str, &[u8])]| {
        let (_dir, root) = with(&[&[(sys, b"0-7".as_slice())], files].concat());
        cpu::read(&root).unwrap().isolated.map(|set| set.to_string())
    };
    let partition = format!("{group}/cpuset.cpus.partition");
    let cpus = format!("{group}/cpuset.cpus.effective");
    let v2: (&str, &[u8]) = ("sys/fs/cgroup/cgroup.controllers", b"cpuset");

    assert_eq!(isolated(&[(boot, b"2-3"), (all, b"6")]), Known::Known("2-3,6".to_owned()));
    assert_eq!(isolated(&[(boot, b"\n")]), Known::Known(String::new()));
    assert_eq!(
        isolated(&[(boot, b""), v2, (&partition, b"isolated"), (&cpus, b"4-5")]),
        Known::Known("4-5".to_owned()),
        "before Linux 6.8"
    );
    assert_eq!(
        isolated(&[(boot, b""), v2, (&partition, b"isolated invalid (why)"), (&cpus, b"4-5")]),
        Known::Known(String::new()),
        "an invalid partition isolates nothing"
    );
    assert!(isolated(&[(boot, b"two")]).why().is_some());
}

#[test]
fn the_cpuset_is_the_nearest_that_says_something() {
    let allowed = |groups: &[u8], files: &[(&str, &[u8])]| {
        let own: [(&str, &[u8]); 2] =
            [("sys/devices/system/cpu/online", b"0-7"), ("proc/self/cgroup", groups)];
        let (_dir, root) = with(&[&own, files].concat());
        cpu::read(&root).unwrap().allowed.map(|set| set.to_string())
    };
    let known = |list: &str| Known::Known(list.to_owned());
    let top: (&str, &[u8]) = ("sys/fs/cgroup/cpuset.cpus.effective", b"0-7");
    let slice: (&str, &[u8]) = ("sys/fs/cgroup/a/cpuset.cpus.effective", b"0-3");
    let v1: (&str, &[u8]) = ("sys/fs/cgroup/cpuset/x/cpuset.cpus", b"4-9");

    assert_eq!(allowed(b"0::/a/b", &[top, slice]), known("0-3"));
    assert_eq!(allowed(b"0::/c", &[top, slice]), known("0-7"));
    assert_eq!(allowed(b"0::/../../a", &[top, slice]), known("0-3"), "out of a namespace");
    assert_eq!(allowed(b"5:cpu,cpuset:/x/y\n0::/", &[v1]), known("4-7"), "only CPUs that exist");
    assert!(allowed(b"0::/", &[]).why().is_some());
    assert!(allowed(b"nonsense", &[top]).why().is_some());
}

#[test]
fn a_virtio_interface_is_found_on_its_pci_function() {
    let device = "sys/devices/pci0000:00/0000:00:03.0";
    let (dir, root) = with(&[
        (&format!("{device}/uevent"), b"DRIVER=virtio-pci\nPCI_SLOT_NAME=0000:00:03.0\n"),
        (&format!("{device}/virtio1/net/eth0/ifindex"), b"2\n"),
        (&format!("{device}/virtio1/net/eth0/address"), b"02:00:00:00:00:01\n"),
        ("sys/class/net/bonding_masters", b"\n"),
    ]);
    let up = |path: &str| dir.path().join(path);
    symlink("../../../virtio1", up(&format!("{device}/virtio1/net/eth0/device"))).unwrap();
    symlink("../../devices/pci0000:00/0000:00:03.0/virtio1/net/eth0", up("sys/class/net/eth0"))
        .unwrap();

    let interfaces = net::interfaces(&root).unwrap();

    assert_eq!(interfaces.len(), 1, "{interfaces:?}");
    assert_eq!(interfaces[0].pci, Some("0000:00:03.0".parse().unwrap()));
    assert!(interfaces[0].speed_mbps.why().is_some());
}

/// What a file may be instead of what it was.
const ODDITIES: &[&[u8]] = &[
    b"",
    b"\n",
    b"-1",
    b"0-4294967295",
    b"18446744073709551616",
    b"\xff\xfe\x00",
    b"(null)",
    b"8191",
    b"0-8191",
    b"7-0",
    b"0::/../../../..",
    b"%s%n ../../../etc/passwd",
];

/// Everything that reads; results are of no interest, that there are results is.
fn read_everything(root: &Root) {
    if let Ok(machine) = topology::discover(root) {
        let wish = Cores {
            housekeeping: Auto::Auto,
            workers: Auto::Auto,
            count: Auto::Auto,
            strict: false,
        };
        let _ = place(&machine, &wish, &[], Mode::RunToCompletion);
        for function in pci::functions(root).unwrap_or_default() {
            let _ = function.locality(&machine);
        }
    }
    let _ = numa::read(root);
    let _ = hugepages::machine(root);
    let _ = net::interfaces(root);
    let _ = irq::Interrupts::read(root);
    let _ = irq::affinity(root, 24);
    let _ = Cmdline::read(root);
    let _ = linux::clock::is_steady(root);
}

#[test]
fn any_file_can_be_odd_without_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let shape = shape("offline-cpus");
    write(shape, dir.path());
    let root = Root::at(dir.path()).unwrap();
    let paths: Vec<PathBuf> = shape.tree().keys().map(|path| dir.path().join(path)).collect();

    let mut odd = 0;
    for path in paths.iter().filter(|path| !path.is_symlink()) {
        let before = fs::read(path).unwrap();
        for oddity in ODDITIES {
            fs::write(path, oddity).unwrap();
            read_everything(&root);
            odd += 1;
        }
        fs::remove_file(path).unwrap();
        read_everything(&root);
        symlink(".", path).unwrap();
        read_everything(&root);
        fs::remove_file(path).unwrap();
        pipe(path);
        read_everything(&root);
        fs::remove_file(path).unwrap();
        fs::write(path, before).unwrap();
    }

    assert!(odd > 500, "{odd}");
    assert!(topology::discover(&root).unwrap().usable().len() == 5, "everything is back");
}
