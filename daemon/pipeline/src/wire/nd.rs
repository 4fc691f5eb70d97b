//! Neighbour discovery (RFC 4861): the question "who has this IPv6 address" and its answer.

use super::{Ipv6, checksum::Sum, icmpv6_kind, protocol};

/// Length of a solicitation without options, in bytes.
pub const SOLICITATION_LEN: usize = 24;

/// Length of an advertisement with the target's link-layer address, in bytes.
pub const ADVERTISEMENT_LEN: usize = 32;

/// Every node on the link (RFC 4291 2.7.1).
pub const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// The Ethernet address of [`ALL_NODES`] (RFC 2464 7).
pub const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// "Nobody": the source of a probe for duplicates (RFC 4862 5.4.2).
pub const UNSPECIFIED: [u8; 16] = [0; 16];

/// The option with the sender's link-layer address.
const SOURCE_LINK_LAYER: u8 = 1;
/// The option with the target's link-layer address.
const TARGET_LINK_LAYER: u8 = 2;

/// The group that an address's owner listens to for solicitations (RFC 4291 2.7.1).
#[must_use]
pub fn solicited_node(address: [u8; 16]) -> [u8; 16] {
    let mut group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0];
    group[13..].copy_from_slice(&address[13..]);
    group
}

/// The address that a solicitation asks for; `None` when it fails one of the checks of RFC 4861 7.1.1, which a node
/// must make before it answers. (The checksum is [`is_intact`]'s.)
#[must_use]
pub fn solicited_target<B>(ip: &Ipv6<B>, message: &[u8]) -> Option<[u8; 16]>
where
    B: std::borrow::Borrow<[u8; Ipv6::<()>::LEN]>,
{
    let fixed: &[u8; SOLICITATION_LEN] = message.first_chunk()?;
    let mut target = [0; 16];
    target.copy_from_slice(&fixed[8..]);
    // A hop limit of 255 proves that the sender is on this link: no router passes that on.
    if ip.hop_limit() != 255 || fixed[1] != 0 || target[0] == 0xff {
        return None;
    }
    let has_source_link_layer = options(&message[SOLICITATION_LEN..])?;
    let is_probe = ip.source() == UNSPECIFIED;
    if is_probe && (has_source_link_layer || ip.destination() != solicited_node(target)) {
        return None;
    }
    Some(target)
}

/// Is there a source link-layer address among the options? `None` when they do not fill the space.
fn options(mut bytes: &[u8]) -> Option<bool> {
    let mut found = false;
    // Each turn takes at least 8 bytes away.
    while let [kind, units, ..] = *bytes {
        let len = usize::from(units) * 8;
        if len == 0 {
            return None;
        }
        bytes = bytes.get(len..)?;
        found |= kind == SOURCE_LINK_LAYER;
    }
    bytes.is_empty().then_some(found)
}

/// Is the checksum of this ICMPv6 message right?
#[must_use]
pub fn is_intact<B>(ip: &Ipv6<B>, message: &[u8]) -> bool
where
    B: std::borrow::Borrow<[u8; Ipv6::<()>::LEN]>,
{
    let Ok(len) = u32::try_from(message.len()) else { return false };
    Sum::default()
        .add_ipv6_pseudo_header(ip.source(), ip.destination(), len, protocol::ICMPV6)
        .with(message)
        .fold()
        == 0xffff
}

/// The advertisement that `target` is at `mac`, for `asker` (a probe's answer goes to [`ALL_NODES`], unsolicited).
#[must_use]
pub fn advertisement(
    target: [u8; 16],
    mac: [u8; 6],
    destination: [u8; 16],
    solicited: bool,
) -> [u8; ADVERTISEMENT_LEN] {
    /// "Take this link-layer address instead of one you know."
    const OVERRIDE: u8 = 0x20;
    /// "You asked."
    const SOLICITED: u8 = 0x40;
    let mut message = [0; ADVERTISEMENT_LEN];
    message[0] = icmpv6_kind::NEIGHBOR_ADVERTISEMENT;
    message[4] = OVERRIDE | if solicited { SOLICITED } else { 0 };
    message[8..24].copy_from_slice(&target);
    message[24..26].copy_from_slice(&[TARGET_LINK_LAYER, 1]);
    message[26..].copy_from_slice(&mac);
    let sum = Sum::default()
        .add_ipv6_pseudo_header(target, destination, 32, protocol::ICMPV6)
        .with(&message)
        .checksum();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}
