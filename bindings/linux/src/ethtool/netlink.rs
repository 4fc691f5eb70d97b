//! The generic netlink family `ethtool`.

use std::{collections::BTreeMap, io};

use netlink_packet_core::{DefaultNla, NLA_F_NESTED, NlaBuffer};
use netlink_sys::protocols::NETLINK_GENERIC;

use super::{
    Channels, Coalesce, CoalesceChange, Count, Eee, Feature, Fec, Pause, Rings, Timestamping,
};
use crate::netlink::{Connection, NetlinkError, attributes, encode, text};

/// `GENL_ID_CTRL`: the family that knows the others.
const CONTROLLER: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;

/// `ETHTOOL_MSG_*`, from user to kernel.
mod command {
    pub(super) const FEATURES_GET: u8 = 11;
    pub(super) const FEATURES_SET: u8 = 12;
    pub(super) const PRIVFLAGS_GET: u8 = 13;
    pub(super) const RINGS_GET: u8 = 15;
    pub(super) const RINGS_SET: u8 = 16;
    pub(super) const CHANNELS_GET: u8 = 17;
    pub(super) const CHANNELS_SET: u8 = 18;
    pub(super) const COALESCE_GET: u8 = 19;
    pub(super) const COALESCE_SET: u8 = 20;
    pub(super) const PAUSE_GET: u8 = 21;
    pub(super) const PAUSE_SET: u8 = 22;
    pub(super) const EEE_GET: u8 = 23;
    pub(super) const EEE_SET: u8 = 24;
    pub(super) const TSINFO_GET: u8 = 25;
    pub(super) const FEC_GET: u8 = 29;
}

/// `ETHTOOL_A_*`: attributes of the messages. Every message's first is the header with the interface.
mod attribute {
    pub(super) const HEADER: u16 = 1;
    pub(super) const HEADER_DEV_NAME: u16 = 2;

    pub(super) const BITSET_NOMASK: u16 = 1;
    pub(super) const BITSET_BITS: u16 = 3;
    pub(super) const BITS_BIT: u16 = 1;
    pub(super) const BIT_NAME: u16 = 2;
    pub(super) const BIT_VALUE: u16 = 3;

    pub(super) const RINGS_RX_MAX: u16 = 2;
    pub(super) const RINGS_TX_MAX: u16 = 5;
    pub(super) const RINGS_RX: u16 = 6;
    pub(super) const RINGS_TX: u16 = 9;

    /// rx, tx, other, combined: first the most there may be, then how many there are.
    pub(super) const CHANNELS_MAX: [u16; 4] = [2, 3, 4, 5];
    pub(super) const CHANNELS_COUNT: [u16; 4] = [6, 7, 8, 9];

    pub(super) const COALESCE_RX_USECS: u16 = 2;
    pub(super) const COALESCE_RX_MAX_FRAMES: u16 = 3;
    pub(super) const COALESCE_TX_USECS: u16 = 6;
    pub(super) const COALESCE_TX_MAX_FRAMES: u16 = 7;
    pub(super) const COALESCE_USE_ADAPTIVE_RX: u16 = 11;
    pub(super) const COALESCE_USE_ADAPTIVE_TX: u16 = 12;

    pub(super) const PAUSE_AUTONEG: u16 = 2;
    pub(super) const PAUSE_RX: u16 = 3;
    pub(super) const PAUSE_TX: u16 = 4;

    pub(super) const FEATURES_HW: u16 = 2;
    pub(super) const FEATURES_WANTED: u16 = 3;
    pub(super) const FEATURES_ACTIVE: u16 = 4;
    pub(super) const FEATURES_NOCHANGE: u16 = 5;

    pub(super) const PRIVFLAGS_FLAGS: u16 = 2;

    pub(super) const EEE_ACTIVE: u16 = 4;
    pub(super) const EEE_ENABLED: u16 = 5;

    pub(super) const TSINFO_TIMESTAMPING: u16 = 2;
    pub(super) const TSINFO_PHC_INDEX: u16 = 5;

    pub(super) const FEC_MODES: u16 = 2;
    pub(super) const FEC_AUTO: u16 = 3;
    pub(super) const FEC_ACTIVE: u16 = 4;
}

use attribute as a;

type Answered<T> = Result<T, NetlinkError>;

/// Is it the family itself that the kernel does not have?
pub(super) fn is_missing(error: &NetlinkError) -> bool {
    match error {
        NetlinkError::Socket(_) => true,
        NetlinkError::Refused { error, .. } => error.raw_os_error() == Some(libc::ENOENT),
        NetlinkError::Malformed(_) => false,
    }
}

/// The attributes of one answer.
struct Message(Vec<u8>);

impl Message {
    fn find(&self, kind: u16) -> Option<NlaBuffer<&[u8]>> {
        attributes(&self.0).find(|attribute| attribute.kind() == kind)
    }

    fn number(&self, kind: u16) -> Option<u32> {
        self.find(kind)?.value().first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes))
    }

    fn flag(&self, kind: u16) -> Option<bool> {
        self.find(kind)?.value().first().map(|&byte| byte != 0)
    }

    fn count(&self, now: u16, max: u16) -> Count {
        Count { now: self.number(now), max: self.number(max) }
    }

    /// The bits of a set, by name. A set without a mask lists those that are set; one with a mask lists all that it is
    /// about.
    fn bits(&self, kind: u16) -> BTreeMap<String, bool> {
        match self.find(kind) {
            Some(set) => bits(set.value()),
            None => BTreeMap::new(),
        }
    }
}

fn bits(set: &[u8]) -> BTreeMap<String, bool> {
    let is_plain = attributes(set).any(|attribute| attribute.kind() == a::BITSET_NOMASK);
    let mut found = BTreeMap::new();
    for list in attributes(set).filter(|attribute| attribute.kind() == a::BITSET_BITS) {
        for bit in attributes(list.value()).filter(|bit| bit.kind() == a::BITS_BIT) {
            let name = attributes(bit.value())
                .find(|attribute| attribute.kind() == a::BIT_NAME)
                .map(|name| text(name.value()));
            let is_set = is_plain
                || attributes(bit.value()).any(|attribute| attribute.kind() == a::BIT_VALUE);
            if let Some(name) = name {
                found.insert(name, is_set);
            }
        }
    }
    found
}

fn text_attribute(kind: u16, value: &str) -> DefaultNla {
    DefaultNla::new(kind, value.bytes().chain([0]).collect())
}

fn number(kind: u16, value: u32) -> DefaultNla {
    DefaultNla::new(kind, value.to_ne_bytes().to_vec())
}

fn flag(kind: u16, value: bool) -> DefaultNla {
    DefaultNla::new(kind, vec![u8::from(value)])
}

fn nest(kind: u16, inside: &[DefaultNla]) -> DefaultNla {
    DefaultNla::new(kind | NLA_F_NESTED, encode(inside))
}

/// `struct genlmsghdr`, then the attributes.
fn generic(command: u8, attributes: &[DefaultNla]) -> Vec<u8> {
    let mut payload = vec![command, 1, 0, 0];
    payload.extend(encode(attributes));
    payload
}

/// Sends one command about one interface, and gives what is answered.
fn ask(interface: &str, command: u8, more: Vec<DefaultNla>) -> Answered<Option<Message>> {
    if interface.len() >= libc::IFNAMSIZ {
        let error = io::Error::from_raw_os_error(libc::ENODEV);
        return Err(NetlinkError::Refused { error, says: None });
    }
    let mut connection = Connection::open(NETLINK_GENERIC)?;
    let name = text_attribute(CTRL_ATTR_FAMILY_NAME, "ethtool");
    let answers = connection.ask(CONTROLLER, &generic(CTRL_CMD_GETFAMILY, &[name]))?;
    let family = answers.first().and_then(|answer| {
        let id = attributes(answer.payload.get(4..)?)
            .find(|attribute| attribute.kind() == CTRL_ATTR_FAMILY_ID)?;
        id.value().first_chunk::<2>().map(|bytes| u16::from_ne_bytes(*bytes))
    });
    let family =
        family.ok_or_else(|| NetlinkError::Malformed("the family has no number".to_owned()))?;
    let mut all = vec![nest(a::HEADER, &[text_attribute(a::HEADER_DEV_NAME, interface)])];
    all.extend(more);
    let answers = connection.ask(family, &generic(command, &all))?;
    let answer = answers.into_iter().find(|answer| answer.kind == family);
    Ok(answer.map(|answer| Message(answer.payload.get(4..).unwrap_or_default().to_vec())))
}

fn get(interface: &str, command: u8) -> Answered<Message> {
    let answer = ask(interface, command, Vec::new())?;
    answer.ok_or_else(|| NetlinkError::Malformed("no answer but an acknowledgement".to_owned()))
}

fn set(interface: &str, command: u8, more: Vec<DefaultNla>) -> Answered<()> {
    ask(interface, command, more).map(drop)
}

pub(super) fn rings(interface: &str) -> Answered<Rings> {
    let message = get(interface, command::RINGS_GET)?;
    Ok(Rings {
        rx: message.count(a::RINGS_RX, a::RINGS_RX_MAX),
        tx: message.count(a::RINGS_TX, a::RINGS_TX_MAX),
    })
}

pub(super) fn set_rings(interface: &str, rx: Option<u32>, tx: Option<u32>) -> Answered<()> {
    let rx = rx.map(|rx| number(a::RINGS_RX, rx));
    let tx = tx.map(|tx| number(a::RINGS_TX, tx));
    set(interface, command::RINGS_SET, rx.into_iter().chain(tx).collect())
}

pub(super) fn channels(interface: &str) -> Answered<Channels> {
    let message = get(interface, command::CHANNELS_GET)?;
    let count = |at: usize| message.count(a::CHANNELS_COUNT[at], a::CHANNELS_MAX[at]);
    Ok(Channels { rx: count(0), tx: count(1), other: count(2), combined: count(3) })
}

pub(super) fn set_channels(interface: &str, combined: u32) -> Answered<()> {
    set(interface, command::CHANNELS_SET, vec![number(a::CHANNELS_COUNT[3], combined)])
}

pub(super) fn coalesce(interface: &str) -> Answered<Coalesce> {
    let message = get(interface, command::COALESCE_GET)?;
    Ok(Coalesce {
        adaptive_rx: message.flag(a::COALESCE_USE_ADAPTIVE_RX),
        adaptive_tx: message.flag(a::COALESCE_USE_ADAPTIVE_TX),
        rx_usecs: message.number(a::COALESCE_RX_USECS),
        tx_usecs: message.number(a::COALESCE_TX_USECS),
        rx_frames: message.number(a::COALESCE_RX_MAX_FRAMES),
        tx_frames: message.number(a::COALESCE_TX_MAX_FRAMES),
    })
}

pub(super) fn set_coalesce(interface: &str, change: &CoalesceChange) -> Answered<()> {
    let all = [
        change.adaptive_rx.map(|on| flag(a::COALESCE_USE_ADAPTIVE_RX, on)),
        change.adaptive_tx.map(|on| flag(a::COALESCE_USE_ADAPTIVE_TX, on)),
        change.rx_usecs.map(|usecs| number(a::COALESCE_RX_USECS, usecs)),
        change.tx_usecs.map(|usecs| number(a::COALESCE_TX_USECS, usecs)),
    ];
    set(interface, command::COALESCE_SET, all.into_iter().flatten().collect())
}

pub(super) fn pause(interface: &str) -> Answered<Pause> {
    let message = get(interface, command::PAUSE_GET)?;
    let is = |kind| message.flag(kind).unwrap_or(false);
    Ok(Pause { autonegotiated: is(a::PAUSE_AUTONEG), rx: is(a::PAUSE_RX), tx: is(a::PAUSE_TX) })
}

pub(super) fn set_pause(interface: &str, rx: bool, tx: bool) -> Answered<()> {
    set(interface, command::PAUSE_SET, vec![flag(a::PAUSE_RX, rx), flag(a::PAUSE_TX, tx)])
}

pub(super) fn features(interface: &str) -> Answered<BTreeMap<String, Feature>> {
    let message = get(interface, command::FEATURES_GET)?;
    // "hw" is a set with a mask: its mask is every feature that the kernel knows, its values those that can be changed.
    let changeable = message.bits(a::FEATURES_HW);
    let wanted = message.bits(a::FEATURES_WANTED);
    let active = message.bits(a::FEATURES_ACTIVE);
    let never = message.bits(a::FEATURES_NOCHANGE);
    let has = |set: &BTreeMap<String, bool>, name: &str| set.get(name).copied().unwrap_or(false);
    let mut names: Vec<&String> =
        changeable.keys().chain(active.keys()).chain(never.keys()).collect();
    names.sort();
    names.dedup();
    // Numbers that the kernel keeps for later have no name.
    names.retain(|name| !name.is_empty());
    let features = names.into_iter().map(|name| {
        let feature = Feature {
            is_on: has(&active, name),
            is_wanted: has(&wanted, name),
            is_fixed: has(&never, name) || !has(&changeable, name),
        };
        (name.clone(), feature)
    });
    Ok(features.collect())
}

pub(super) fn set_features(interface: &str, wanted: &BTreeMap<String, bool>) -> Answered<()> {
    let bits: Vec<DefaultNla> = wanted
        .iter()
        .map(|(name, &is_on)| {
            let mut bit = vec![text_attribute(a::BIT_NAME, name)];
            bit.extend(is_on.then(|| DefaultNla::new(a::BIT_VALUE, Vec::new())));
            nest(a::BITS_BIT, &bit)
        })
        .collect();
    let set_of = nest(a::FEATURES_WANTED, &[nest(a::BITSET_BITS, &bits)]);
    set(interface, command::FEATURES_SET, vec![set_of])
}

pub(super) fn private_flags(interface: &str) -> Answered<BTreeMap<String, bool>> {
    get(interface, command::PRIVFLAGS_GET).map(|message| message.bits(a::PRIVFLAGS_FLAGS))
}

pub(super) fn eee(interface: &str) -> Answered<Eee> {
    let message = get(interface, command::EEE_GET)?;
    Ok(Eee {
        is_enabled: message.flag(a::EEE_ENABLED).unwrap_or(false),
        is_active: message.flag(a::EEE_ACTIVE).unwrap_or(false),
    })
}

pub(super) fn set_eee(interface: &str, is_enabled: bool) -> Answered<()> {
    set(interface, command::EEE_SET, vec![flag(a::EEE_ENABLED, is_enabled)])
}

pub(super) fn fec(interface: &str) -> Answered<Fec> {
    let message = get(interface, command::FEC_GET)?;
    let modes = message.bits(a::FEC_MODES);
    Ok(Fec {
        is_auto: message.flag(a::FEC_AUTO).unwrap_or(false),
        allowed: modes.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect(),
        active: message.number(a::FEC_ACTIVE),
    })
}

pub(super) fn timestamping(interface: &str) -> Answered<Timestamping> {
    let message = get(interface, command::TSINFO_GET)?;
    let modes = message.bits(a::TSINFO_TIMESTAMPING);
    Ok(Timestamping {
        modes: modes.into_iter().filter(|(_, is_set)| *is_set).map(|(name, _)| name).collect(),
        clock: message.number(a::TSINFO_PHC_INDEX),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set_of(names: &[(&str, bool)], is_plain: bool) -> Vec<u8> {
        let bits: Vec<DefaultNla> = names
            .iter()
            .map(|(name, is_set)| {
                let mut bit = vec![text_attribute(a::BIT_NAME, name)];
                bit.extend(is_set.then(|| DefaultNla::new(a::BIT_VALUE, Vec::new())));
                nest(a::BITS_BIT, &bit)
            })
            .collect();
        let mut all = vec![nest(a::BITSET_BITS, &bits)];
        all.extend(is_plain.then(|| DefaultNla::new(a::BITSET_NOMASK, Vec::new())));
        encode(&all)
    }

    #[test]
    fn a_set_with_a_mask_has_bits_that_are_not_set() {
        let with_mask = bits(&set_of(&[("rx-gro", true), ("rx-lro", false)], false));
        let without = bits(&set_of(&[("rx-gro", false)], true));

        assert_eq!(with_mask, BTreeMap::from([("rx-gro".into(), true), ("rx-lro".into(), false)]));
        assert_eq!(without, BTreeMap::from([("rx-gro".into(), true)]));
    }

    proptest! {
        #[test]
        fn any_message_is_read_without_a_panic(bytes: Vec<u8>) {
            let message = Message(bytes.clone());
            for kind in 0..16 {
                message.number(kind);
                message.flag(kind);
                message.bits(kind);
            }
        }
    }
}
