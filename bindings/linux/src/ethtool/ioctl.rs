//! `SIOCETHTOOL`: what netlink does not have, and what kernels without the netlink family are asked by.
//!
//! # Safety
//! `ioctl(2)` hands the kernel a pointer to a structure that begins with a command, and the kernel writes as much as
//! that command says. Everything here goes through [`exchange`], whose buffer is larger than any such answer.

use std::{collections::BTreeMap, io};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use std::os::fd::AsRawFd as _;

use super::{Channels, Coalesce, CoalesceChange, Count, Driver, Eee, Feature, Pause, Rings};

/// `ETHTOOL_*` of `linux/ethtool.h`.
mod command {
    pub(super) const GDRVINFO: u32 = 0x03;
    pub(super) const GCOALESCE: u32 = 0x0e;
    pub(super) const SCOALESCE: u32 = 0x0f;
    pub(super) const GRINGPARAM: u32 = 0x10;
    pub(super) const SRINGPARAM: u32 = 0x11;
    pub(super) const GPAUSEPARAM: u32 = 0x12;
    pub(super) const SPAUSEPARAM: u32 = 0x13;
    pub(super) const GSTRINGS: u32 = 0x1b;
    pub(super) const GSTATS: u32 = 0x1d;
    pub(super) const GSSET_INFO: u32 = 0x37;
    pub(super) const GRXFHINDIR: u32 = 0x38;
    pub(super) const GFEATURES: u32 = 0x3a;
    pub(super) const SFEATURES: u32 = 0x3b;
    pub(super) const GCHANNELS: u32 = 0x3c;
    pub(super) const SCHANNELS: u32 = 0x3d;
    pub(super) const GEEE: u32 = 0x44;
    pub(super) const SEEE: u32 = 0x45;
}

/// `ETH_SS_STATS`, `ETH_SS_FEATURES`: sets of names.
const SET_STATS: u32 = 1;
const SET_FEATURES: u32 = 4;

/// `ETH_GSTRING_LEN`: each name has so many bytes.
const NAME: usize = 32;

/// The most counters, names and buckets that are believed.
const MOST: u32 = 1 << 16;

/// The words behind a question that the kernel may fill with its answer: twice the most counters, of eight bytes, is
/// more than any answer.
const ROOM: usize = 4 * MOST as usize + 4096;

/// Asks, and gives the words that the answer begins with.
fn exchange(interface: &str, question: &[u32]) -> io::Result<Vec<u32>> {
    let mut words = vec![0_u32; question.len() + ROOM];
    words[..question.len()].copy_from_slice(question);
    let mut name = [0 as libc::c_char; libc::IFNAMSIZ];
    if interface.len() >= name.len() {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    for (to, byte) in name.iter_mut().zip(interface.bytes()) {
        *to = byte.cast_signed();
    }
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let mut request = libc::ifreq {
        ifr_name: name,
        ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_data: words.as_mut_ptr().cast() },
    };
    // SAFETY: the socket is open until the end of this function. `request` is the ifreq that SIOCETHTOOL takes, its
    // name ends with a zero (it is shorter than the array), and its data points to `words`, which nobody else has and
    // which is larger than what the kernel writes for any command used here: fixed structures of at most 200 bytes, or
    // as many entries as the question says, or (GSTATS) as the driver has, of which ROOM holds twice the number that
    // the caller checked just before.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(words)
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// A structure of so many words, of which the first is the command.
fn get(interface: &str, command: u32, words: usize) -> io::Result<Vec<u32>> {
    let mut question = vec![0; words];
    question[0] = command;
    let mut answer = exchange(interface, &question)?;
    answer.truncate(words);
    Ok(answer)
}

/// Reads the structure, changes it and writes it back.
fn change(
    interface: &str,
    [get_it, set_it]: [u32; 2],
    words: usize,
    edit: impl FnOnce(&mut [u32]),
) -> io::Result<()> {
    let mut question = get(interface, get_it, words)?;
    question[0] = set_it;
    edit(&mut question);
    exchange(interface, &question).map(drop)
}

/// `struct ethtool_ringparam`: command, the most (rx, mini, jumbo, tx), now (the same).
const RINGS: usize = 9;

fn count(now: u32, max: u32) -> Count {
    // Zero of zero: the driver has no such thing.
    if max == 0 && now == 0 {
        return Count::default();
    }
    Count { now: Some(now), max: Some(max) }
}

pub(super) fn rings(interface: &str) -> io::Result<Rings> {
    let words = get(interface, command::GRINGPARAM, RINGS)?;
    Ok(Rings { rx: count(words[5], words[1]), tx: count(words[8], words[4]) })
}

pub(super) fn set_rings(interface: &str, rx: Option<u32>, tx: Option<u32>) -> io::Result<()> {
    let commands = [command::GRINGPARAM, command::SRINGPARAM];
    change(interface, commands, RINGS, |words| {
        words[5] = rx.unwrap_or(words[5]);
        words[8] = tx.unwrap_or(words[8]);
    })
}

/// `struct ethtool_channels`: command, the most (rx, tx, other, combined), now (the same).
const CHANNELS: usize = 9;

pub(super) fn channels(interface: &str) -> io::Result<Channels> {
    let words = get(interface, command::GCHANNELS, CHANNELS)?;
    Ok(Channels {
        rx: count(words[5], words[1]),
        tx: count(words[6], words[2]),
        other: count(words[7], words[3]),
        combined: count(words[8], words[4]),
    })
}

pub(super) fn set_channels(interface: &str, combined: u32) -> io::Result<()> {
    let commands = [command::GCHANNELS, command::SCHANNELS];
    change(interface, commands, CHANNELS, |words| words[8] = combined)
}

/// `struct ethtool_coalesce`: command, rx (usecs, frames, the same for irq), tx (the same), stats, adaptive rx and tx, …
const COALESCE: usize = 23;

pub(super) fn coalesce(interface: &str) -> io::Result<Coalesce> {
    let words = get(interface, command::GCOALESCE, COALESCE)?;
    Ok(Coalesce {
        adaptive_rx: Some(words[10] != 0),
        adaptive_tx: Some(words[11] != 0),
        rx_usecs: Some(words[1]),
        tx_usecs: Some(words[5]),
        rx_frames: Some(words[2]),
        tx_frames: Some(words[6]),
    })
}

pub(super) fn set_coalesce(interface: &str, to: &CoalesceChange) -> io::Result<()> {
    let commands = [command::GCOALESCE, command::SCOALESCE];
    change(interface, commands, COALESCE, |words| {
        words[1] = to.rx_usecs.unwrap_or(words[1]);
        words[5] = to.tx_usecs.unwrap_or(words[5]);
        words[10] = to.adaptive_rx.map_or(words[10], u32::from);
        words[11] = to.adaptive_tx.map_or(words[11], u32::from);
    })
}

/// `struct ethtool_pauseparam`: command, autonegotiation, rx, tx.
const PAUSE: usize = 4;

pub(super) fn pause(interface: &str) -> io::Result<Pause> {
    let words = get(interface, command::GPAUSEPARAM, PAUSE)?;
    Ok(Pause { autonegotiated: words[1] != 0, rx: words[2] != 0, tx: words[3] != 0 })
}

pub(super) fn set_pause(interface: &str, rx: bool, tx: bool) -> io::Result<()> {
    let commands = [command::GPAUSEPARAM, command::SPAUSEPARAM];
    change(interface, commands, PAUSE, |words| {
        words[2..].copy_from_slice(&[u32::from(rx), u32::from(tx)]);
    })
}

/// `struct ethtool_eee`: command, supported, advertised, the peer's, active, enabled, …
const EEE: usize = 10;

pub(super) fn eee(interface: &str) -> io::Result<Eee> {
    let words = get(interface, command::GEEE, EEE)?;
    Ok(Eee { is_active: words[4] != 0, is_enabled: words[5] != 0 })
}

pub(super) fn set_eee(interface: &str, is_enabled: bool) -> io::Result<()> {
    let commands = [command::GEEE, command::SEEE];
    change(interface, commands, EEE, |words| words[5] = u32::from(is_enabled))
}

/// `struct ethtool_drvinfo`: command, then texts of 32 bytes.
pub(super) fn driver(interface: &str) -> io::Result<Driver> {
    const WORDS: usize = 49;
    let bytes = bytes(&get(interface, command::GDRVINFO, WORDS)?[1..]);
    let text = |at: usize| crate::netlink::text(&bytes[at * NAME..(at + 1) * NAME]);
    Ok(Driver { name: text(0), version: text(1), firmware: text(2), bus: text(3) })
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// How many names a set has.
fn set_size(interface: &str, set: u32) -> io::Result<u32> {
    // struct ethtool_sset_info: command, reserved, a mask of sets (64 bits), then one number for each set in it.
    let mask = 1_u64 << set;
    let [low, high] = halves(mask);
    let answer = exchange(interface, &[command::GSSET_INFO, 0, low, high])?;
    match (answer[2..4] == [0, 0], answer[4]) {
        (true, _) => Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP)),
        (false, size) if size > MOST => Err(malformed("more names than any driver has")),
        (false, size) => Ok(size),
    }
}

/// A 64-bit number as it lies in memory.
fn halves(number: u64) -> [u32; 2] {
    let bytes = number.to_ne_bytes();
    let [a, b, c, d, e, f, g, h] = bytes;
    [u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h])]
}

/// The names of a set.
fn names(interface: &str, set: u32) -> io::Result<Vec<String>> {
    let size = set_size(interface, set)?;
    // struct ethtool_gstrings: command, set, how many, then the names. Asked for in a buffer of its own, because a
    // name is four times as long as a counter.
    let room = usize::try_from(size).unwrap_or(0) * NAME / 4;
    let mut question = vec![0; 3 + room];
    question[..3].copy_from_slice(&[command::GSTRINGS, set, size]);
    let answer = exchange(interface, &question)?;
    let count = usize::try_from(answer[2].min(size)).unwrap_or(0);
    let bytes = bytes(&answer[3..3 + count * NAME / 4]);
    Ok(bytes.chunks_exact(NAME).map(crate::netlink::text).collect())
}

pub(super) fn statistics(interface: &str) -> io::Result<BTreeMap<String, u64>> {
    let names = names(interface, SET_STATS)?;
    let count = u32::try_from(names.len()).unwrap_or(MOST);
    // struct ethtool_stats: command, how many, then numbers of 64 bits.
    let answer = exchange(interface, &[command::GSTATS, count])?;
    let count = usize::try_from(answer[1]).unwrap_or(usize::MAX).min(names.len());
    let values = bytes(&answer[2..2 + 2 * count]);
    let values = values.chunks_exact(8).filter_map(|bytes| bytes.first_chunk::<8>());
    let values = values.map(|bytes| u64::from_ne_bytes(*bytes));
    Ok(names.into_iter().zip(values).collect())
}

/// The queue of each hash bucket.
pub(super) fn rss(interface: &str) -> io::Result<Vec<u32>> {
    // struct ethtool_rxfh_indir: command, how many, then as many queues; asked with zero for the number.
    let size = exchange(interface, &[command::GRXFHINDIR, 0])?[1];
    if size > MOST {
        return Err(malformed("more hash buckets than any driver has"));
    }
    let answer = exchange(interface, &[command::GRXFHINDIR, size])?;
    let count = usize::try_from(answer[1].min(size)).unwrap_or(0);
    Ok(answer[2..2 + count].to_vec())
}

/// For each block of 32 features: available, requested, active, never changed.
pub(super) fn features(interface: &str) -> io::Result<BTreeMap<String, Feature>> {
    let names = names(interface, SET_FEATURES)?;
    let blocks = names.len().div_ceil(32);
    let size = u32::try_from(blocks).unwrap_or(0);
    let answer = exchange(interface, &[command::GFEATURES, size])?;
    let bit = |at: usize, which: usize| answer[2 + at / 32 * 4 + which] >> (at % 32) & 1 == 1;
    let features = names.into_iter().enumerate().filter(|(_, name)| !name.is_empty());
    let features = features.map(|(at, name)| {
        let is_fixed = bit(at, 3) || !bit(at, 0);
        (name, Feature { is_on: bit(at, 2), is_wanted: bit(at, 1), is_fixed })
    });
    Ok(features.collect())
}

/// For each block of 32 features: which to set, and to what.
pub(super) fn set_features(interface: &str, wanted: &BTreeMap<String, bool>) -> io::Result<()> {
    let names = names(interface, SET_FEATURES)?;
    let blocks = names.len().div_ceil(32);
    let mut question = vec![0; 2 + 2 * blocks];
    question[..2].copy_from_slice(&[command::SFEATURES, u32::try_from(blocks).unwrap_or(0)]);
    for (at, name) in names.iter().enumerate() {
        let Some(&is_on) = wanted.get(name) else { continue };
        question[2 + at / 32 * 2] |= 1 << (at % 32);
        question[3 + at / 32 * 2] |= u32::from(is_on) << (at % 32);
    }
    exchange(interface, &question).map(drop)
}
