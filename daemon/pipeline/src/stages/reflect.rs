//! `reflect`: answers as a host would, to check a box with a plain `ping` and any UDP client.
//!
//! For an address of ours (those of the port that received the frame, or those in the configuration), to our MAC:
//!
//! | frame | answer |
//! |---|---|
//! | ARP request, probes too (RFC 5227) | ARP reply |
//! | neighbour solicitation (RFC 4861), probes for duplicates too | advertisement, to all nodes if the asker has no address |
//! | ICMP or ICMPv6 echo request | echo reply |
//! | UDP | the same datagram back: MACs, addresses and ports swapped |
//!
//! With `any_address`, IP is answered for every unicast address and every MAC, TCP ports are swapped too, and the IPv4
//! header checksum is not verified (a swap keeps it as right or wrong as it was): the 5-tuple swap that load generators
//! use. ARP and neighbour discovery still answer for our addresses only, or the link's other hosts would suffer.
//!
//! Answers keep the frame's VLAN tags, IP options, extension headers and padding; they leave with TTL or hop limit 64
//! (an advertisement with 255, without extension headers). Checksums are mended, not computed: a frame that arrived
//! damaged is answered damaged, and its sender sees it.
//!
//! What is not ours to answer goes to the edge `other`; if that leads to `drop`, the reason is
//! [`NotForUs`](DropReason::NotForUs), [`Multicast`](DropReason::Multicast) (a ping to a group is not answered, or one
//! packet could make many), [`Fragment`](DropReason::Fragment) or [`Unsupported`](DropReason::Unsupported). What is
//! wrong is dropped wherever `other` leads: [`Truncated`](DropReason::Truncated), the `Malformed…` reasons,
//! [`BadChecksum`](DropReason::BadChecksum) (IPv4 header, solicitation, zero in UDP over IPv6),
//! [`BadSource`](DropReason::BadSource), [`NoRoom`](DropReason::NoRoom).
//!
//! Two reflectors facing each other would pass a UDP datagram back and forth for ever, as any two echo services would:
//! keep `any_address` away from networks with a second one.

use std::net::IpAddr;

use super::{PortIdentity, Shape, Stage};
use crate::{
    DropReason, Frame, Meta, Network, Outcome, Verdict,
    wire::{
        Arp, Ethernet, Icmp, Ipv4, Ipv6, Ports, Udp, checksum, icmp_kind, icmpv6_kind, nd, protocol,
    },
};

pub(super) const SHAPE: Shape = Shape { kind: "reflect", edges: &["to", "other"], counted: &[] };

const TO: Verdict = Verdict::edge(0);
const OTHER: Verdict = Verdict::edge(1);

/// TTL and hop limit of answers: what hosts use (IANA, "IP Option Numbers", IP time to live parameter).
const HOPS: u8 = 64;

/// Who we are on one port.
#[derive(Debug)]
pub(super) struct Local {
    mac: [u8; 6],
    v4: Vec<[u8; 4]>,
    v6: Vec<[u8; 16]>,
}

/// Who we are on each port: `addresses`, or the port's own when that is empty.
pub(super) fn local(addresses: &[IpAddr], ports: &[PortIdentity]) -> Vec<Local> {
    let of_port = |port: &PortIdentity| {
        let mut local = Local { mac: port.mac, v4: Vec::new(), v6: Vec::new() };
        let addresses = if addresses.is_empty() { &port.addresses } else { addresses };
        for address in addresses {
            match address {
                IpAddr::V4(v4) => local.v4.push(v4.octets()),
                IpAddr::V6(v6) => local.v6.push(v6.octets()),
            }
        }
        local
    };
    ports.iter().map(of_port).collect()
}

/// Answers ARP, neighbour discovery, ping and UDP.
#[derive(Debug)]
pub(super) struct Reflect {
    /// By port.
    local: Vec<Local>,
    any_address: bool,
    udp_echo: bool,
    /// Does `other` lead anywhere but to `drop`?
    has_other: bool,
}

/// Why a frame is not answered.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    /// It is nothing for this stage.
    Other(DropReason),
    /// It is wrong.
    Wrong(DropReason),
}

use Refusal::{Other, Wrong};

impl Reflect {
    pub(super) fn new(
        local: Vec<Local>,
        any_address: bool,
        udp_echo: bool,
        has_other: bool,
    ) -> Self {
        Self { local, any_address, udp_echo, has_other }
    }

    #[inline]
    fn answer<F: Frame>(
        &self,
        local: &Local,
        frame: &mut F,
        meta: &mut Meta,
    ) -> Result<(), Refusal> {
        if let Some(reason) = meta.trouble() {
            return Err(Wrong(reason));
        }
        match meta.network() {
            Network::Ipv4 => self.ipv4(local, frame.head_mut(), meta),
            Network::Ipv6 => self.ipv6(local, frame, meta),
            Network::Arp => arp(local, frame.head_mut(), meta),
            Network::Other => Err(Other(DropReason::Unsupported)),
        }
    }

    #[inline]
    fn ipv4(&self, local: &Local, head: &mut [u8], meta: &Meta) -> Result<(), Refusal> {
        let Parts { mut ethernet, header, payload } = parts(head, meta)?;
        let ip = Ipv4::new_checked(header).ok_or(TRUNCATED)?;
        let (source, destination) = (ip.source(), ip.destination());
        if ethernet.is_to_group() || destination[0] >= FIRST_GROUP_V4 {
            return Err(Other(DropReason::Multicast));
        }
        if !self.any_address {
            if ethernet.destination() != local.mac || !local.v4.contains(&destination) {
                return Err(Other(DropReason::NotForUs));
            }
            if !checksum::is_right(header) {
                return Err(Wrong(DropReason::BadChecksum));
            }
        }
        let is_host = !matches!(source[0], 0 | 127 | FIRST_GROUP_V4..) && source != destination;
        if !is_host || is_group_mac(ethernet.source()) {
            return Err(Wrong(DropReason::BadSource));
        }
        if meta.is_fragment() {
            return Err(Other(DropReason::Fragment));
        }
        match meta.protocol() {
            protocol::UDP if self.udp_echo => udp(payload, meta, true)?,
            protocol::TCP if self.any_address => tcp(payload)?,
            protocol::ICMP => echo(payload, icmp_kind::ECHO_REQUEST, icmp_kind::ECHO_REPLY)?,
            _ => return Err(Other(DropReason::Unsupported)),
        }
        let mut ip = Ipv4::new_checked_mut(header).ok_or(TRUNCATED)?;
        ip.swap_addresses();
        if ip.ttl() != HOPS {
            ip.set_ttl(HOPS);
        }
        ethernet.swap_addresses();
        Ok(())
    }

    #[inline]
    fn ipv6<F: Frame>(&self, local: &Local, frame: &mut F, meta: &mut Meta) -> Result<(), Refusal> {
        let Parts { mut ethernet, header, payload } = parts(frame.head_mut(), meta)?;
        let mut ip = Ipv6::new_checked_mut(header).ok_or(TRUNCATED)?;
        let (source, destination) = (ip.source(), ip.destination());
        let is_icmp = meta.protocol() == protocol::ICMPV6 && !meta.is_fragment();
        if is_icmp && payload.first() == Some(&icmpv6_kind::NEIGHBOR_SOLICITATION) {
            return solicitation(local, frame, meta);
        }
        if ethernet.is_to_group() || destination[0] == FIRST_GROUP_V6 {
            return Err(Other(DropReason::Multicast));
        }
        if !self.any_address
            && (ethernet.destination() != local.mac || !local.v6.contains(&destination))
        {
            return Err(Other(DropReason::NotForUs));
        }
        let is_host = source[0] != FIRST_GROUP_V6
            && source != nd::UNSPECIFIED
            && source != LOOPBACK_V6
            && source != destination;
        if !is_host || is_group_mac(ethernet.source()) {
            return Err(Wrong(DropReason::BadSource));
        }
        if meta.is_fragment() {
            return Err(Other(DropReason::Fragment));
        }
        if meta.is_en_route() {
            return Err(Other(DropReason::Unsupported));
        }
        match meta.protocol() {
            protocol::UDP if self.udp_echo => udp(payload, meta, false)?,
            protocol::TCP if self.any_address => tcp(payload)?,
            protocol::ICMPV6 => {
                echo(payload, icmpv6_kind::ECHO_REQUEST, icmpv6_kind::ECHO_REPLY)?;
            }
            _ => return Err(Other(DropReason::Unsupported)),
        }
        ip.swap_addresses();
        ip.set_hop_limit(HOPS);
        ethernet.swap_addresses();
        Ok(())
    }
}

impl<F: Frame> Stage<F> for Reflect {
    fn process(
        &mut self,
        port: usize,
        frames: &mut [F],
        metas: &mut [Meta],
        verdicts: &mut [Verdict],
    ) -> Outcome {
        let Some(local) = self.local.get(port) else {
            return Outcome::All(self.verdict(Other(DropReason::NotForUs)));
        };
        for ((frame, meta), verdict) in frames.iter_mut().zip(metas).zip(&mut *verdicts) {
            *verdict = match self.answer(local, frame, meta) {
                Ok(()) => TO,
                Err(refusal) => self.verdict(refusal),
            };
        }
        Outcome::of(verdicts)
    }

    fn needs_meta(&self) -> bool {
        true
    }
}

impl Reflect {
    fn verdict(&self, refusal: Refusal) -> Verdict {
        match refusal {
            Other(_) if self.has_other => OTHER,
            Other(reason) | Wrong(reason) => Verdict::drop(reason),
        }
    }
}

/// A frame's first segment, cut at what [`Meta`] knows.
struct Parts<'a> {
    ethernet: Ethernet<&'a mut [u8; Ethernet::<()>::LEN]>,
    /// The network header with options and extensions.
    header: &'a mut [u8],
    payload: &'a mut [u8],
}

/// [`Meta`] promises that this does not fail; a compiler can not know, and a branch never taken costs nothing.
const TRUNCATED: Refusal = Wrong(DropReason::Truncated);

// Once per frame, and smaller than a call.
#[inline(always)]
fn parts<'a>(head: &'a mut [u8], meta: &Meta) -> Result<Parts<'a>, Refusal> {
    let (headers, payload) = head.split_at_mut_checked(meta.l4()).ok_or(TRUNCATED)?;
    let (link, header) = headers.split_at_mut_checked(meta.l3()).ok_or(TRUNCATED)?;
    let ethernet = Ethernet::new_checked_mut(link).ok_or(TRUNCATED)?;
    Ok(Parts { ethernet, header, payload })
}

/// 224.0.0.0/4 are groups, 240.0.0.0/4 is reserved and has 255.255.255.255 in it (RFC 1112 4, RFC 6890).
const FIRST_GROUP_V4: u8 = 224;
/// ff00::/8 (RFC 4291 2.7).
const FIRST_GROUP_V6: u8 = 0xff;
/// ::1
const LOOPBACK_V6: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

#[inline]
const fn is_group_mac(address: [u8; 6]) -> bool {
    address[0] & 1 == 1
}

// Once per frame, and smaller than a call.
#[inline(always)]
fn udp(payload: &mut [u8], meta: &Meta, checksum_is_optional: bool) -> Result<(), Refusal> {
    let mut udp = Udp::new_checked_mut(payload).ok_or(TRUNCATED)?;
    let len = usize::from(udp.len());
    if len < Udp::LEN || len > meta.end() - meta.l4() {
        return Err(Wrong(DropReason::MalformedUdp));
    }
    if udp.checksum() == 0 && !checksum_is_optional {
        return Err(Wrong(DropReason::BadChecksum));
    }
    udp.swap_ports();
    Ok(())
}

// Once per frame, and smaller than a call.
#[inline(always)]
fn tcp(payload: &mut [u8]) -> Result<(), Refusal> {
    Ports::new_checked_mut(payload).ok_or(TRUNCATED)?.swap();
    Ok(())
}

#[inline]
fn echo(payload: &mut [u8], request: u8, reply: u8) -> Result<(), Refusal> {
    let mut icmp = Icmp::new_checked_mut(payload).ok_or(TRUNCATED)?;
    if icmp.kind() != request || icmp.code() != 0 {
        return Err(Other(DropReason::Unsupported));
    }
    icmp.set_kind(reply);
    Ok(())
}

fn arp(local: &Local, head: &mut [u8], meta: &Meta) -> Result<(), Refusal> {
    let Parts { mut ethernet, header: _, payload } = parts(head, meta)?;
    let mut arp = Arp::new_checked_mut(payload).ok_or(TRUNCATED)?;
    if !arp.is_ethernet_ipv4() || !arp.is_request() {
        return Err(Other(DropReason::Unsupported));
    }
    let is_to_us = ethernet.is_to_group() || ethernet.destination() == local.mac;
    if !is_to_us || !local.v4.contains(&arp.target_ip()) {
        return Err(Other(DropReason::NotForUs));
    }
    let asker = arp.sender_mac();
    if is_group_mac(asker) || asker == [0; 6] {
        return Err(Wrong(DropReason::MalformedArp));
    }
    arp.answer(local.mac);
    ethernet.set_destination(asker);
    ethernet.set_source(local.mac);
    Ok(())
}

fn solicitation<F: Frame>(local: &Local, frame: &mut F, meta: &mut Meta) -> Result<(), Refusal> {
    let Parts { ethernet, header, .. } = parts(frame.head_mut(), meta)?;
    let ip = Ipv6::new_checked(header).ok_or(TRUNCATED)?;
    let (asker, asker_mac) = (ip.source(), ethernet.source());
    let is_to_us = ethernet.is_to_group() || ethernet.destination() == local.mac;
    // Its end can be behind the first segment only in a frame that nobody needs to send.
    let message = frame.head().get(meta.l4()..meta.end()).ok_or(Wrong(DropReason::NoRoom))?;
    let ip = Ipv6::new_checked(&frame.head()[meta.l3()..]).ok_or(TRUNCATED)?;
    let target = nd::solicited_target(&ip, message).ok_or(Wrong(DropReason::MalformedIcmp))?;
    if !is_to_us || !local.v6.contains(&target) {
        return Err(Other(DropReason::NotForUs));
    }
    if !nd::is_intact(&ip, message) {
        return Err(Wrong(DropReason::BadChecksum));
    }
    if asker[0] == FIRST_GROUP_V6 || is_group_mac(asker_mac) {
        return Err(Wrong(DropReason::BadSource));
    }
    let is_probe = asker == nd::UNSPECIFIED;
    let (to, to_mac) =
        if is_probe { (nd::ALL_NODES, nd::ALL_NODES_MAC) } else { (asker, asker_mac) };
    let answer = nd::advertisement(target, local.mac, to, !is_probe);

    // The question's length is not the answer's: 8 bytes more when it did not say who asked.
    let header_at = meta.l3();
    let message_at = header_at + Ipv6::LEN;
    let len = message_at + nd::ADVERTISEMENT_LEN;
    frame.resize(len).map_err(|_| Wrong(DropReason::NoRoom))?;
    let head = frame.head_mut();
    head[message_at..len].copy_from_slice(&answer);
    Ipv6::new_checked_mut(&mut head[header_at..]).ok_or(TRUNCATED)?.write(
        32,
        protocol::ICMPV6,
        255,
        target,
        to,
    );
    let mut ethernet = Ethernet::new_checked_mut(head).ok_or(TRUNCATED)?;
    ethernet.set_destination(to_mac);
    ethernet.set_source(local.mac);
    *meta = Meta::of(frame);
    Ok(())
}

#[cfg(test)]
mod tests;
