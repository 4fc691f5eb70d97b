//! Network interfaces, what they are set to, and what depends on them.

mod applied;
mod queues;
mod remote;

use std::{collections::BTreeMap, net::IpAddr};

use linux::{
    Known,
    ethtool::{
        self, Channels, Coalesce, Driver, Eee, EthtoolError, Feature, Fec, Pause, Rings, Rss,
        Timestamping,
    },
    net::Interface,
    route::{self, Address, Link, Route},
};
use serde::{Deserialize, Serialize};

pub use applied::Applied;
pub use queues::{Queue, Queues};
pub(crate) use remote::way_to;
pub use remote::{Login, RemoteStorage};

use crate::{Fact, Source};

/// Network interfaces, what they are set to, and what depends on them.
#[derive(Debug, Clone, Serialize)]
pub struct Nics {
    /// The interfaces of this network namespace, by name.
    pub all: Fact<Vec<Interface>>,
    /// More of those that have a device behind them.
    pub nics: Vec<Nic>,
    /// How interfaces stand on each other, as rtnetlink says.
    pub links: Fact<Vec<Link>>,
    /// The default routes of every table and both families.
    pub defaults: Fact<Vec<Route>>,
    /// The addresses of the interfaces.
    pub addresses: Fact<Vec<Address>>,
    /// Storage that is reached over the network, and by which interfaces.
    pub storage: Fact<Vec<RemoteStorage>>,
    /// Who is logged in over the network now.
    pub logins: Fact<Vec<Login>>,
    /// The functions behind the block devices that are mounted or swapped to.
    pub disks: Fact<Vec<config::PciAddress>>,
    /// What we set by ethtool and have not undone; absent without a journal.
    pub applied: Fact<Vec<Applied>>,
    /// Other network namespaces that use interfaces of this one, and which.
    pub elsewhere: Fact<Vec<Elsewhere>>,
}

/// An interface of another network namespace that stands on one of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// A process of that namespace.
    pub process: u32,
    /// Its interface.
    pub interface: String,
    /// Ours, by index.
    pub on: u32,
}

/// One interface with a device behind it.
#[derive(Debug, Clone, Serialize)]
pub struct Nic {
    /// What sysfs says of it.
    pub interface: Interface,
    /// Who drives it.
    pub driver: Fact<Driver>,
    /// Descriptors of its rings.
    pub rings: Fact<Rings>,
    /// Its queues with an interrupt.
    pub channels: Fact<Channels>,
    /// When it raises interrupts.
    pub coalesce: Fact<Coalesce>,
    /// Pause frames.
    pub pause: Fact<Pause>,
    /// Its features, by the kernel's names.
    pub features: Fact<BTreeMap<String, Feature>>,
    /// Energy-efficient Ethernet.
    pub eee: Fact<Eee>,
    /// Forward error correction.
    pub fec: Fact<Fec>,
    /// How it spreads what it receives.
    pub rss: Fact<Rss>,
    /// Its driver's own switches.
    pub private_flags: Fact<BTreeMap<String, bool>>,
    /// Who stamps frames with the time.
    pub timestamping: Fact<Timestamping>,
    /// `rx_missed_errors` and the like, since the driver was loaded.
    pub counters: Fact<BTreeMap<String, u64>>,
    /// Which CPUs may work on its queues.
    pub queues: Queues,
}

/// The most interfaces that are asked by ethtool.
const MOST: usize = 128;

/// The errors that are counted for every interface.
///
/// Source: `Documentation/ABI/testing/sysfs-class-net-statistics` of Linux 6.18.
pub const COUNTERS: [&str; 7] = [
    "rx_packets",
    "tx_packets",
    "rx_missed_errors",
    "rx_fifo_errors",
    "rx_over_errors",
    "rx_crc_errors",
    "rx_dropped",
];

impl Nics {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        let all: Fact<Vec<Interface>> = match linux::net::interfaces(source.root()) {
            Ok(all) => Fact::Is(all),
            Err(error) if error.is_missing() => Fact::Is(Vec::new()),
            Err(error) => Fact::unknown(error.to_string()),
        };
        let real = all.value().into_iter().flatten().filter(|one| is_real(source, &one.name));
        Self {
            nics: real.take(MOST).map(|one| Nic::read(source, one)).collect(),
            links: source.ask("route/links", || told(route::links())),
            defaults: source.ask("route/defaults", || {
                told(route::routes()).map(|all| all.into_iter().filter(Route::is_default).collect())
            }),
            addresses: source.ask("route/addresses", || told(route::addresses())),
            storage: remote::storage(source),
            logins: remote::logins(source),
            disks: remote::disks(source),
            applied: applied::read(source),
            elsewhere: source.ask("route/elsewhere", remote::elsewhere),
            all,
        }
    }

    /// The interface of this name, if it has a device behind it.
    #[must_use]
    pub fn nic(&self, name: &str) -> Option<&Nic> {
        self.nics.iter().find(|nic| nic.interface.name == name)
    }

    /// The interface of this index.
    #[must_use]
    pub fn name_of(&self, index: u32) -> Option<&str> {
        let known = |one: &&Interface| one.index == Known::Known(index);
        let by_sysfs = self.all.value().into_iter().flatten().find(known);
        let by_link = || self.links.value()?.iter().find(|link| link.index == index);
        by_sysfs.map(|one| one.name.as_str()).or_else(|| by_link().map(|link| link.name.as_str()))
    }

    /// The interfaces that have an address.
    pub fn having(&self, address: IpAddr) -> impl Iterator<Item = &str> {
        let all = self.addresses.value().into_iter().flatten();
        all.filter(move |one| one.address == address).filter_map(|one| self.name_of(one.index))
    }
}

/// Has it a device behind it? Virtual ones have no driver that could be asked anything.
fn is_real(source: &Source, name: &str) -> bool {
    source.exists(&format!("sys/class/net/{name}/device"))
}

impl Nic {
    fn read(source: &Source, interface: &Interface) -> Self {
        let name = interface.name.as_str();
        let dir = format!("sys/class/net/{name}");
        Self {
            driver: ask(source, name, "driver", ethtool::driver),
            rings: ask(source, name, "rings", ethtool::rings),
            channels: ask(source, name, "channels", ethtool::channels),
            coalesce: ask(source, name, "coalesce", ethtool::coalesce),
            pause: ask(source, name, "pause", ethtool::pause),
            features: ask(source, name, "features", ethtool::features),
            eee: ask(source, name, "eee", ethtool::eee),
            fec: ask(source, name, "fec", ethtool::fec),
            rss: ask(source, name, "rss", ethtool::rss),
            private_flags: ask(source, name, "private-flags", ethtool::private_flags),
            timestamping: ask(source, name, "timestamping", ethtool::timestamping),
            counters: counters(source, &dir),
            queues: Queues::read(source, &dir),
            interface: interface.clone(),
        }
    }
}

fn ask<T: Serialize + serde::de::DeserializeOwned>(
    source: &Source,
    name: &str,
    what: &str,
    ask: impl FnOnce(&str) -> Result<T, EthtoolError>,
) -> Fact<T> {
    source.ask(&format!("ethtool/{name}/{what}"), || match ask(name) {
        Ok(answer) => Fact::Is(answer),
        Err(error) if error.is_unsupported() => Fact::Absent,
        Err(error) => Fact::unknown(with_cause(&error)),
    })
}

fn told<T>(answer: Result<T, linux::NetlinkError>) -> Fact<T> {
    match answer {
        Ok(answer) => Fact::Is(answer),
        Err(error) => Fact::unknown(with_cause(&error)),
    }
}

/// An error and what caused it, in one line.
fn with_cause(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn counters(source: &Source, dir: &str) -> Fact<BTreeMap<String, u64>> {
    let mut all = BTreeMap::new();
    for name in COUNTERS {
        match source.parse::<u64>(&format!("{dir}/statistics/{name}"), "a number") {
            Fact::Is(count) => {
                all.insert(name.to_owned(), count);
            }
            Fact::Absent => {}
            Fact::Unknown { why } => return Fact::Unknown { why },
        }
    }
    if all.is_empty() { Fact::Absent } else { Fact::Is(all) }
}
