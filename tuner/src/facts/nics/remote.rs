//! What the machine needs the network for: storage, logins, other namespaces.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use config::PciAddress;
use linux::route;
use serde::{Deserialize, Serialize};

use super::{Elsewhere, told};
use crate::{Fact, Source};

/// Storage that is reached over the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteStorage {
    /// What it is: `nfs at /`, `NVMe/TCP nvme0`.
    pub what: String,
    /// Where it is; none when that can not be told.
    pub address: Option<IpAddr>,
    /// The interfaces that lead there; unknown when the route is not known.
    pub interfaces: Fact<Vec<String>>,
}

/// Somebody who is logged in over the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Our end.
    pub local: IpAddr,
    /// Theirs.
    pub peer: IpAddr,
}

/// File systems on other machines, by their names in `/proc/self/mountinfo`.
const REMOTE: [&str; 9] =
    ["nfs", "nfs4", "cifs", "smb3", "ceph", "glusterfs", "fuse.glusterfs", "9p", "lustre"];

/// The port of the secure shell.
const SSH: u16 = 22;

/// The most of each that is looked at.
const MOST: usize = 4096;

/// Storage that is reached over the network.
pub(super) fn storage(source: &Source) -> Fact<Vec<RemoteStorage>> {
    let mut found: Vec<(String, Option<IpAddr>)> = Vec::new();
    match source.root().text_up_to("proc/self/mountinfo", 4 << 20) {
        Ok(text) => found.extend(text.lines().filter_map(remote_mount).take(MOST)),
        Err(error) if error.is_missing() => {}
        Err(error) => return Fact::unknown(error.to_string()),
    }
    let names = |dir: &str| source.names(dir).into_value().unwrap_or_default();
    for name in names("sys/class/iscsi_connection").into_iter().take(MOST) {
        let text = source.text(&format!("sys/class/iscsi_connection/{name}/address"));
        let address = text.into_value().and_then(|text| text.parse().ok());
        found.push((format!("iSCSI {name}"), address));
    }
    for name in names("sys/class/nvme").into_iter().take(MOST) {
        let text = |file: &str| source.text(&format!("sys/class/nvme/{name}/{file}")).into_value();
        let transport = text("transport").unwrap_or_default();
        if matches!(transport.as_str(), "tcp" | "rdma") {
            let address = text("address").and_then(|text| {
                let mut parts = text.split(',').map(str::to_owned);
                parts.find_map(|part| part.strip_prefix("traddr=")?.parse().ok())
            });
            found.push((format!("NVMe/{} {name}", transport.to_uppercase()), address));
        }
    }
    let all = found.into_iter().map(|(what, address)| {
        let interfaces = match address {
            Some(address) => way_to(source, address),
            None => Fact::unknown("its address is not known"),
        };
        RemoteStorage { what, address, interfaces }
    });
    Fact::Is(all.collect())
}

/// The interfaces by which an address is reached.
pub(crate) fn way_to(source: &Source, address: IpAddr) -> Fact<Vec<String>> {
    source.ask(&format!("route/to/{address}"), || {
        told(route::route_to(address))
            .map(|route| route.ways.into_iter().map(|way| way.interface).collect())
    })
}

/// A mount of a file system of another machine, and that machine's address (`addr=` among its options).
fn remote_mount(line: &str) -> Option<(String, Option<IpAddr>)> {
    let (before, after) = line.split_once(" - ")?;
    let at = before.split(' ').nth(4)?;
    let mut after = after.split(' ');
    let kind = after.next().filter(|kind| REMOTE.contains(kind))?;
    let device = after.next()?;
    let options = after.next().unwrap_or_default();
    let option = options.split(',').find_map(|option| option.strip_prefix("addr=")?.parse().ok());
    // "192.0.2.1:/export", "[2001:db8::1]:/export", "192.0.2.1:6789:/".
    let device = match device.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, _)) => inside,
        None => device.split(':').next().unwrap_or_default(),
    };
    // A virtual machine's shared folder comes through its hypervisor, not over a network.
    let is_network = kind != "9p" || option.is_some();
    is_network.then(|| (format!("{kind} at {at}"), option.or_else(|| device.parse().ok())))
}

/// Connections to the secure shell that are established, from `/proc/net/tcp` and `tcp6`.
pub(super) fn logins(source: &Source) -> Fact<Vec<Login>> {
    let mut found = Vec::new();
    for path in ["proc/net/tcp", "proc/net/tcp6"] {
        match source.root().head(path, 8 << 20) {
            Ok(text) => found.extend(text.lines().skip(1).filter_map(login).take(MOST)),
            Err(error) if error.is_missing() => {}
            Err(error) => return Fact::unknown(error.to_string()),
        }
    }
    found.dedup();
    Fact::Is(found)
}

/// `0: 0100007F:0016 0200007F:C350 01 …`: local, remote, state; 01 is established (`net/tcp_states.h`).
fn login(line: &str) -> Option<Login> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, port) = endpoint(fields.next()?)?;
    let (peer, _) = endpoint(fields.next()?)?;
    let is_login = fields.next()? == "01" && port == SSH && !local.is_loopback();
    is_login.then_some(Login { local, peer })
}

/// An address as words of 32 bits in the machine's order, and a port.
fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(address.get(at..at + 8)?, 16).ok();
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?.to_ne_bytes())),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at * 8)?.to_ne_bytes());
            }
            let v6 = Ipv6Addr::from(bytes);
            v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
        }
        _ => return None,
    };
    Some((address, port))
}

/// The PCI functions behind the block devices that are mounted, swapped to, or below such a one.
pub(super) fn disks(source: &Source) -> Fact<Vec<PciAddress>> {
    let mut devices: BTreeSet<String> = BTreeSet::new();
    match source.root().text_up_to("proc/self/mountinfo", 4 << 20) {
        Ok(text) => devices.extend(
            text.lines()
                .filter_map(|line| line.split(' ').nth(2))
                .filter(|number| !number.starts_with("0:"))
                .map(|number| format!("sys/dev/block/{number}")),
        ),
        Err(error) if error.is_missing() => {}
        Err(error) => return Fact::unknown(error.to_string()),
    }
    let swaps = source.text("proc/swaps").into_value().unwrap_or_default();
    devices.extend(swaps.lines().skip(1).filter_map(|line| {
        let path = line.split_ascii_whitespace().next()?;
        Some(format!("sys/class/block/{}", path.strip_prefix("/dev/")?))
    }));
    let (mut found, mut todo) = (BTreeSet::new(), Vec::from_iter(devices.iter().cloned()));
    while let Some(device) = todo.pop() {
        let Ok(target) = source.root().link(&device) else { continue };
        found.extend(target.split('/').filter_map(|part| part.parse::<PciAddress>().ok()));
        for name in source.names(&format!("{device}/slaves")).into_value().unwrap_or_default() {
            let below = format!("sys/class/block/{name}");
            if devices.len() < MOST && devices.insert(below.clone()) {
                todo.push(below);
            }
        }
    }
    Fact::Is(found.into_iter().collect())
}

/// Interfaces of other network namespaces that stand on interfaces of ours: containers' macvlans, VLANs, ipvlans.
pub(super) fn elsewhere() -> Fact<Vec<Elsewhere>> {
    let ours = match std::fs::read_link("/proc/self/ns/net") {
        Ok(ours) => ours,
        Err(error) => {
            return Fact::unknown(format!("cannot tell network namespaces apart: {error}"));
        }
    };
    let mut others: BTreeMap<std::path::PathBuf, u32> = BTreeMap::new();
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Fact::unknown("cannot list processes");
    };
    for process in processes.filter_map(Result::ok) {
        let Some(number) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        match std::fs::read_link(process.path().join("ns/net")) {
            Ok(namespace) if namespace != ours && others.len() < MOST => {
                others.entry(namespace).or_insert(number);
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return Fact::unknown("only root sees the network namespaces of all processes");
            }
            // Processes that ended meanwhile have none that can be read.
            Ok(_) | Err(_) => {}
        }
    }
    let mut found = Vec::new();
    for &process in others.values() {
        match route::links_standing_on_ours(process) {
            Ok(links) => found.extend(links.into_iter().map(|(interface, on)| Elsewhere {
                process,
                interface,
                on,
            })),
            // It may have ended.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                let why = format!("cannot look into the network namespace of process {process}");
                return Fact::unknown(format!("{why}: {error}"));
            }
        }
    }
    Fact::Is(found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_remote_mount_names_the_other_machine() {
        let mount = |device: &str, kind: &str, options: &str| {
            remote_mount(&format!("29 1 0:25 / / rw,relatime - {kind} {device} {options}"))
        };
        let ip = |text: &str| Some(text.parse::<IpAddr>().unwrap());

        let nfs =
            mount("server:/export", "nfs4", "rw,vers=4.2,addr=192.0.2.7,clientaddr=192.0.2.1");
        assert_eq!(nfs, Some(("nfs4 at /".to_owned(), ip("192.0.2.7"))));
        let v6 = mount("[2001:db8::7]:/export", "nfs", "rw");
        assert_eq!(v6, Some(("nfs at /".to_owned(), ip("2001:db8::7"))));
        assert_eq!(mount("server:/export", "nfs", "rw"), Some(("nfs at /".to_owned(), None)));
        assert_eq!(mount("/dev/sda1", "ext4", "rw"), None);
        assert_eq!(mount("shared", "9p", "rw,trans=virtio"), None);
    }

    #[test]
    fn a_login_is_an_established_connection_to_our_port_22() {
        let end = |ip: [u8; 4], port: u16| format!("{:08X}:{port:04X}", u32::from_ne_bytes(ip));
        let line = |local: String, state: &str| {
            format!("   0: {local} {} {state} 00000000:00000000", end([198, 51, 100, 9], 50000))
        };
        let ssh = || end([192, 0, 2, 1], 22);

        let found = login(&line(ssh(), "01")).unwrap();
        assert_eq!(found.local, IpAddr::from([192, 0, 2, 1]));
        assert_eq!(found.peer, IpAddr::from([198, 51, 100, 9]));
        assert_eq!(login(&line(ssh(), "0A")), None);
        assert_eq!(login(&line(end([192, 0, 2, 1], 80), "01")), None);
        assert_eq!(login(&line(end([127, 0, 0, 1], 22), "01")), None);
    }

    #[test]
    fn an_address_of_version_4_in_a_table_of_version_6_is_one_of_version_4() {
        let mut text = String::new();
        for word in Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().octets().chunks_exact(4) {
            let word = u32::from_ne_bytes(*word.first_chunk::<4>().unwrap());
            text.push_str(&format!("{word:08X}"));
        }

        assert_eq!(endpoint(&format!("{text}:0016")), Some((IpAddr::from([192, 0, 2, 1]), 22)));
    }

    #[test]
    fn disks_are_found_below_volumes() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for path in [
            "proc/self",
            "sys/dev/block",
            "sys/class/block",
            "sys/devices/virtual/block/dm-0/slaves/sda3",
        ] {
            std::fs::create_dir_all(at(path)).unwrap();
        }
        std::fs::write(at("proc/self/mountinfo"), "22 1 253:0 / / rw - xfs /dev/mapper/r rw\n")
            .unwrap();
        let link = |to: &str, path: &str| std::os::unix::fs::symlink(to, at(path)).unwrap();
        link("../../devices/virtual/block/dm-0", "sys/dev/block/253:0");
        link("../../devices/pci0000:00/0000:00:1f.2/ata1/block/sda/sda3", "sys/class/block/sda3");

        let found = disks(&Source::at(dir.path()).unwrap());

        assert_eq!(found, Fact::Is(vec!["0000:00:1f.2".parse().unwrap()]));
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_a_panic(line in ".{0,100}|[0-9A-F]{8}:[0-9A-F]{4} .{0,40}") {
            let _ = login(&line);
            let _ = remote_mount(&line);
            let _ = endpoint(&line);
        }
    }
}
