//! What network interfaces are set to, and setting it: what `ethtool` shows and changes.
//!
//! The kernel is asked over generic netlink (family `ethtool`, Linux 5.6) and, where it does not have that, by the
//! older `SIOCETHTOOL`; the answers are the same. Everything is about interfaces of the network namespace that the
//! calling thread is in.
//!
//! Setting is not the end of it: drivers round, and some restart the link. Read back what was set.
//!
//! Sources: `Documentation/networking/ethtool-netlink.rst` and `include/uapi/linux/ethtool.h` of Linux 6.18.
//!
//! ```no_run
//! use linux::ethtool;
//!
//! let before = ethtool::rings("eth0")?;
//! ethtool::set_rings("eth0", before.rx.max, None)?;
//! println!("{:?} -> {:?}", before.rx, ethtool::rings("eth0")?.rx);
//! # Ok::<(), ethtool::EthtoolError>(())
//! ```

mod ioctl;
mod names;
mod netlink;

use std::{collections::BTreeMap, io};

use serde::{Deserialize, Serialize};

pub use names::kernel_names;

use crate::netlink::NetlinkError;

/// Why an interface did not answer, or was not set.
#[derive(Debug, thiserror::Error)]
pub enum EthtoolError {
    /// There is no such interface (in this network namespace).
    #[error("there is no interface {interface}")]
    NoInterface {
        /// The interface.
        interface: String,
    },
    /// The driver does not have this.
    #[error("the driver of {interface} does not support {what}")]
    Unsupported {
        /// The interface.
        interface: String,
        /// What was asked for.
        what: &'static str,
    },
    /// It takes CAP_NET_ADMIN.
    #[error("this user may not do this to {interface}: {what}")]
    Denied {
        /// The interface.
        interface: String,
        /// What was asked for.
        what: &'static str,
    },
    /// No feature has this name.
    #[error("{interface} has no feature {feature:?}")]
    NoFeature {
        /// The interface.
        interface: String,
        /// The name.
        feature: String,
    },
    /// The kernel refused for another reason.
    #[error("cannot handle {what} of {interface}")]
    Netlink {
        /// The interface.
        interface: String,
        /// What was asked for.
        what: &'static str,
        /// What the kernel says.
        source: NetlinkError,
    },
    /// The kernel refused for another reason.
    #[error("cannot handle {what} of {interface}")]
    Io {
        /// The interface.
        interface: String,
        /// What was asked for.
        what: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
}

impl EthtoolError {
    /// Does the interface just not have this?
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Unsupported { .. })
    }
}

/// A number of something: how many there are, and how many there may be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many; `None` where the driver has no such thing.
    pub now: Option<u32>,
    /// How many there may be.
    pub max: Option<u32>,
}

/// Descriptors of the rings (`ethtool -g`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rings {
    /// Receive.
    pub rx: Count,
    /// Transmit.
    pub tx: Count,
}

/// Queues with an interrupt (`ethtool -l`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Channels {
    /// Only receive.
    pub rx: Count,
    /// Only transmit.
    pub tx: Count,
    /// Neither: link changes, mailbox.
    pub other: Count,
    /// Receive and transmit.
    pub combined: Count,
}

/// Interrupt coalescing (`ethtool -c`). What a driver does not have is `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coalesce {
    /// Does the driver choose by itself, for receiving?
    pub adaptive_rx: Option<bool>,
    /// Does the driver choose by itself, for transmitting?
    pub adaptive_tx: Option<bool>,
    /// An interrupt at the latest so long after a frame arrived, in µs.
    pub rx_usecs: Option<u32>,
    /// An interrupt at the latest so long after a frame left, in µs.
    pub tx_usecs: Option<u32>,
    /// An interrupt after so many frames.
    pub rx_frames: Option<u32>,
    /// An interrupt after so many frames.
    pub tx_frames: Option<u32>,
}

/// What of the coalescing to set; `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CoalesceChange {
    /// Does the driver choose by itself, for receiving?
    pub adaptive_rx: Option<bool>,
    /// Does the driver choose by itself, for transmitting?
    pub adaptive_tx: Option<bool>,
    /// An interrupt at the latest so long after a frame arrived, in µs.
    pub rx_usecs: Option<u32>,
    /// An interrupt at the latest so long after a frame left, in µs.
    pub tx_usecs: Option<u32>,
}

/// Pause frames (`ethtool -a`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Is it agreed with the peer?
    pub autonegotiated: bool,
    /// Do we heed the peer's?
    pub rx: bool,
    /// Do we send some?
    pub tx: bool,
}

/// One feature (`ethtool -k`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feature {
    /// Is it on?
    pub is_on: bool,
    /// Is it asked for? (It may be off nevertheless: another one that it needs is off.)
    pub is_wanted: bool,
    /// Can it not be changed?
    pub is_fixed: bool,
}

/// Energy-efficient Ethernet (`ethtool --show-eee`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eee {
    /// Is it allowed?
    pub is_enabled: bool,
    /// Has it been agreed with the peer?
    pub is_active: bool,
}

/// Forward error correction (`ethtool --show-fec`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fec {
    /// May the driver choose?
    pub is_auto: bool,
    /// The modes that are allowed: `RS`, `BASER`.
    pub allowed: Vec<String>,
    /// The one in use, as a link mode's number; `None` for none.
    pub active: Option<u32>,
}

/// How received frames are spread over the queues (`ethtool -x`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rss {
    /// The queue of each hash bucket; empty when there is only one queue.
    pub table: Vec<u32>,
}

/// Who can stamp frames with the time (`ethtool -T`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamping {
    /// What it can: `hardware-transmit`, `software-receive`, …
    pub modes: Vec<String>,
    /// The number of its clock, `/dev/ptpN`.
    pub clock: Option<u32>,
}

impl Timestamping {
    /// Can the hardware stamp what arrives?
    #[must_use]
    pub fn has_hardware_rx(&self) -> bool {
        self.modes.iter().any(|mode| mode == "hardware-receive")
    }
}

/// Who drives an interface (`ethtool -i`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Driver {
    /// Its name.
    pub name: String,
    /// Its version; the kernel's for most drivers today.
    pub version: String,
    /// The firmware's version; empty where the driver does not say.
    pub firmware: String,
    /// The device's address on its bus.
    pub bus: String,
}

/// Asks by netlink, and by ioctl where the kernel has no such netlink family.
macro_rules! either {
    ($interface:expr, $what:expr, $netlink:expr, $ioctl:expr) => {
        match $netlink {
            Ok(done) => Ok(done),
            Err(error) if netlink::is_missing(&error) => {
                $ioctl.map_err(|error| named_io($interface, $what, error))
            }
            Err(error) => Err(named($interface, $what, error)),
        }
    };
}

/// How many descriptors the rings have (`ethtool -g`).
///
/// # Errors
/// [`EthtoolError`]
pub fn rings(interface: &str) -> Result<Rings, EthtoolError> {
    either!(interface, "rings", netlink::rings(interface), ioctl::rings(interface))
}

/// Sets the rings' descriptors; `None` stays. Most drivers restart the link.
///
/// # Errors
/// [`EthtoolError`]; more than the maximum is refused.
pub fn set_rings(interface: &str, rx: Option<u32>, tx: Option<u32>) -> Result<(), EthtoolError> {
    let by_netlink = netlink::set_rings(interface, rx, tx);
    either!(interface, "rings", by_netlink, ioctl::set_rings(interface, rx, tx))
}

/// How many queues with an interrupt there are (`ethtool -l`).
///
/// # Errors
/// [`EthtoolError`]
pub fn channels(interface: &str) -> Result<Channels, EthtoolError> {
    either!(interface, "channels", netlink::channels(interface), ioctl::channels(interface))
}

/// Sets the number of combined channels. Most drivers restart the link.
///
/// # Errors
/// [`EthtoolError`]
pub fn set_channels(interface: &str, combined: u32) -> Result<(), EthtoolError> {
    let by_netlink = netlink::set_channels(interface, combined);
    either!(interface, "channels", by_netlink, ioctl::set_channels(interface, combined))
}

/// When interrupts are raised (`ethtool -c`).
///
/// # Errors
/// [`EthtoolError`]
pub fn coalesce(interface: &str) -> Result<Coalesce, EthtoolError> {
    either!(interface, "coalescing", netlink::coalesce(interface), ioctl::coalesce(interface))
}

/// Sets when interrupts are raised.
///
/// # Errors
/// [`EthtoolError`]; a driver refuses what it does not have.
pub fn set_coalesce(interface: &str, change: &CoalesceChange) -> Result<(), EthtoolError> {
    let by_netlink = netlink::set_coalesce(interface, change);
    either!(interface, "coalescing", by_netlink, ioctl::set_coalesce(interface, change))
}

/// Whether frames that say "pause" are sent and heeded (`ethtool -a`).
///
/// # Errors
/// [`EthtoolError`]
pub fn pause(interface: &str) -> Result<Pause, EthtoolError> {
    either!(interface, "pause frames", netlink::pause(interface), ioctl::pause(interface))
}

/// Sets both directions; whether it is agreed with the peer stays as it is. May restart the link.
///
/// # Errors
/// [`EthtoolError`]
pub fn set_pause(interface: &str, rx: bool, tx: bool) -> Result<(), EthtoolError> {
    let by_netlink = netlink::set_pause(interface, rx, tx);
    either!(interface, "pause frames", by_netlink, ioctl::set_pause(interface, rx, tx))
}

/// Every feature by the kernel's name: `rx-gro`, `rx-lro` (`ethtool -k`).
///
/// # Errors
/// [`EthtoolError`]
pub fn features(interface: &str) -> Result<BTreeMap<String, Feature>, EthtoolError> {
    either!(interface, "features", netlink::features(interface), ioctl::features(interface))
}

/// Sets features by ethtool's short names (`lro`, `tso`) or the kernel's. A short name that stands for several sets
/// those that the interface has and that are not fixed.
///
/// # Errors
/// [`EthtoolError`]; [`NoFeature`](EthtoolError::NoFeature) when the interface has none of that name.
pub fn set_features(interface: &str, wanted: &BTreeMap<String, bool>) -> Result<(), EthtoolError> {
    let there = features(interface)?;
    let mut bits = BTreeMap::new();
    for (name, &is_on) in wanted {
        let names: Vec<&String> = kernel_names(name, there.keys());
        if names.is_empty() {
            let (interface, feature) = (interface.to_owned(), name.clone());
            return Err(EthtoolError::NoFeature { interface, feature });
        }
        let is_single = names.len() == 1;
        let changeable = names.into_iter().filter(|name| is_single || !there[*name].is_fixed);
        bits.extend(changeable.map(|name| (name.clone(), is_on)));
    }
    let by_netlink = netlink::set_features(interface, &bits);
    either!(interface, "features", by_netlink, ioctl::set_features(interface, &bits))
}

/// Whether the link may sleep between frames (`ethtool --show-eee`).
///
/// # Errors
/// [`EthtoolError`]
pub fn eee(interface: &str) -> Result<Eee, EthtoolError> {
    either!(interface, "energy-efficient Ethernet", netlink::eee(interface), ioctl::eee(interface))
}

/// Lets the link sleep between frames, or not. Restarts the link.
///
/// # Errors
/// [`EthtoolError`]
pub fn set_eee(interface: &str, is_enabled: bool) -> Result<(), EthtoolError> {
    let by_netlink = netlink::set_eee(interface, is_enabled);
    let what = "energy-efficient Ethernet";
    either!(interface, what, by_netlink, ioctl::set_eee(interface, is_enabled))
}

/// Forward error correction (`ethtool --show-fec`). Netlink only (Linux 5.13).
///
/// # Errors
/// [`EthtoolError`]
pub fn fec(interface: &str) -> Result<Fec, EthtoolError> {
    netlink::fec(interface).map_err(|error| named(interface, "error correction", error))
}

/// How received frames are spread over the queues (`ethtool -x`).
///
/// # Errors
/// [`EthtoolError`]
pub fn rss(interface: &str) -> Result<Rss, EthtoolError> {
    let table = ioctl::rss(interface);
    let table = table.map_err(|error| named_io(interface, "the indirection table", error))?;
    Ok(Rss { table })
}

/// The driver's own switches, by name (`ethtool --show-priv-flags`). Netlink only.
///
/// # Errors
/// [`EthtoolError`]
pub fn private_flags(interface: &str) -> Result<BTreeMap<String, bool>, EthtoolError> {
    netlink::private_flags(interface).map_err(|error| named(interface, "private flags", error))
}

/// Who can stamp frames with the time (`ethtool -T`). Netlink only.
///
/// # Errors
/// [`EthtoolError`]
pub fn timestamping(interface: &str) -> Result<Timestamping, EthtoolError> {
    netlink::timestamping(interface).map_err(|error| named(interface, "time stamps", error))
}

/// Who drives it (`ethtool -i`).
///
/// # Errors
/// [`EthtoolError`]
pub fn driver(interface: &str) -> Result<Driver, EthtoolError> {
    ioctl::driver(interface).map_err(|error| named_io(interface, "the driver", error))
}

/// The driver's own counters, by its own names (`ethtool -S`).
///
/// # Errors
/// [`EthtoolError`]
pub fn statistics(interface: &str) -> Result<BTreeMap<String, u64>, EthtoolError> {
    ioctl::statistics(interface).map_err(|error| named_io(interface, "counters", error))
}

fn named(interface: &str, what: &'static str, error: NetlinkError) -> EthtoolError {
    let name = interface.to_owned();
    match error.errno() {
        Some(libc::ENODEV) => EthtoolError::NoInterface { interface: name },
        Some(libc::EOPNOTSUPP) => EthtoolError::Unsupported { interface: name, what },
        Some(libc::EPERM) => EthtoolError::Denied { interface: name, what },
        _ => EthtoolError::Netlink { interface: name, what, source: error },
    }
}

fn named_io(interface: &str, what: &'static str, error: io::Error) -> EthtoolError {
    let name = interface.to_owned();
    match error.raw_os_error() {
        Some(libc::ENODEV) => EthtoolError::NoInterface { interface: name },
        Some(libc::EOPNOTSUPP) => EthtoolError::Unsupported { interface: name, what },
        Some(libc::EPERM) => EthtoolError::Denied { interface: name, what },
        _ => EthtoolError::Io { interface: name, what, source: error },
    }
}

#[cfg(test)]
mod tests;
