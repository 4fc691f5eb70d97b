//! What the headers of a frame say, read once.

use crate::{
    DropReason, Frame,
    wire::{Arp, Extension, Icmp, Ipv4, Ipv6, Udp, ether_type, protocol, vlan},
};

/// Stages look behind this many IPv6 extension headers. RFC 8200 4.1 names five that come at most once, one of them twice.
pub const MAX_EXTENSIONS: usize = 8;

/// Smallest TCP header in bytes (RFC 9293 3.1).
const TCP_LEN: usize = 20;

/// What is behind the Ethernet header and its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// Something else, or nothing that could be read.
    Other,
    /// ARP.
    Arp,
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// What the headers of a frame say. 16 bytes, made once per frame and carried with it from stage to stage.
///
/// If [`trouble`](Meta::trouble) is `None`, then within the frame's first segment there are, complete:
///
/// | network | at `l3` | at `l4`, if [`has_transport`](Meta::has_transport) |
/// |---|---|---|
/// | `Arp` | 28 bytes | |
/// | `Ipv4` | a header with its options | UDP 8 bytes, TCP 20, ICMP 8 |
/// | `Ipv6` | a header with its extensions | UDP 8 bytes, TCP 20, ICMPv6 8 |
///
/// and `l3 ≤ l4 ≤ end ≤` the frame's length. With or without trouble `l3` and `l4` are within the first segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    end: u32,
    l4: u16,
    ether_type: u16,
    l3: u8,
    tags: u8,
    network: Network,
    protocol: u8,
    fragment: bool,
    later_fragment: bool,
    en_route: bool,
    trouble: Option<DropReason>,
}

impl Meta {
    /// Reads the headers of a frame that lies in one segment.
    #[must_use]
    pub fn parse(frame: &[u8]) -> Self {
        Self::read(frame, frame.len())
    }

    /// Reads the headers of a frame.
    #[must_use]
    #[inline]
    pub fn of(frame: &impl Frame) -> Self {
        Self::read(frame.head(), frame.wire_len())
    }

    /// `head` is the first segment of a frame of `wire_len` bytes.
    #[inline]
    fn read(head: &[u8], wire_len: usize) -> Self {
        let mut meta = Self {
            end: 0,
            l4: 0,
            ether_type: 0,
            l3: 0,
            tags: 0,
            network: Network::Other,
            protocol: 0,
            fragment: false,
            later_fragment: false,
            en_route: false,
            trouble: None,
        };
        meta.trouble = meta.fill(head, wire_len).err();
        meta
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "l3 is at most 14 + 4 * 4, the offsets of headers at most 30 + 40 + 8 * 2048, the end at most that of a frame"
    )]
    fn fill(&mut self, head: &[u8], wire_len: usize) -> Result<(), DropReason> {
        let behind_tags = vlan::payload(head).ok_or(DropReason::Truncated)?;
        let l3 = behind_tags.offset;
        self.l3 = l3 as u8;
        self.l4 = l3 as u16;
        self.end = l3 as u32;
        self.ether_type = behind_tags.ether_type;
        self.tags = behind_tags.tags;
        let packet = &head[l3..];
        let room = wire_len.saturating_sub(l3);
        let (header_len, packet_len) = match self.ether_type {
            ether_type::IPV4 => {
                self.network = Network::Ipv4;
                self.ipv4(packet)?
            }
            ether_type::IPV6 => {
                self.network = Network::Ipv6;
                self.ipv6(packet)?
            }
            ether_type::ARP => {
                self.network = Network::Arp;
                Arp::new_checked(packet).ok_or(DropReason::Truncated)?;
                (0, Arp::LEN)
            }
            _ => return Ok(()),
        };
        if packet_len > room {
            return Err(DropReason::Truncated);
        }
        self.l4 = (l3 + header_len) as u16;
        self.end = (l3 + packet_len) as u32;
        if self.has_transport() {
            self.transport(packet, header_len, packet_len)?;
        }
        Ok(())
    }

    /// Header and packet length.
    #[inline]
    fn ipv4(&mut self, packet: &[u8]) -> Result<(usize, usize), DropReason> {
        let ip = Ipv4::new_checked(packet).ok_or(DropReason::Truncated)?;
        let (header_len, packet_len) = (ip.header_len(), usize::from(ip.total_len()));
        if ip.version() != 4 || header_len < Ipv4::LEN || packet_len < header_len {
            return Err(DropReason::MalformedIpv4);
        }
        if header_len > packet.len() {
            return Err(DropReason::Truncated);
        }
        self.protocol = ip.protocol();
        self.fragment = ip.is_fragment();
        self.later_fragment = ip.fragment_offset() != 0;
        Ok((header_len, packet_len))
    }

    /// Length of all headers and of the packet.
    #[inline]
    fn ipv6(&mut self, packet: &[u8]) -> Result<(usize, usize), DropReason> {
        let ip = Ipv6::new_checked(packet).ok_or(DropReason::Truncated)?;
        if ip.version() != 6 {
            return Err(DropReason::MalformedIpv6);
        }
        let packet_len = Ipv6::LEN + usize::from(ip.payload_len());
        self.protocol = ip.next_header();
        let mut header_len = Ipv6::LEN;
        let mut passed = 0;
        while Extension::is_known(self.protocol) {
            // Hop-by-hop options come first or not at all (RFC 8200 4.1).
            let misplaced = self.protocol == protocol::HOP_BY_HOP && passed > 0;
            if misplaced || passed == MAX_EXTENSIONS {
                return Err(DropReason::MalformedIpv6);
            }
            let rest = packet.get(header_len..).ok_or(DropReason::Truncated)?;
            let extension =
                Extension::new_checked(self.protocol, rest).ok_or(DropReason::Truncated)?;
            if header_len + extension.len > packet_len {
                return Err(DropReason::MalformedIpv6);
            }
            if extension.len > rest.len() {
                return Err(DropReason::Truncated);
            }
            header_len += extension.len;
            passed += 1;
            self.protocol = extension.next_header;
            self.fragment |= extension.fragment;
            self.later_fragment |= extension.later_fragment;
            self.en_route |= extension.en_route;
            if extension.later_fragment {
                break;
            }
        }
        Ok((header_len, packet_len))
    }

    /// Is the transport header, whose length is known, within both the packet and the first segment?
    #[inline]
    fn transport(
        &self,
        packet: &[u8],
        header_len: usize,
        packet_len: usize,
    ) -> Result<(), DropReason> {
        let (needed, malformed) = match (self.network, self.protocol) {
            (_, protocol::UDP) => (Udp::LEN, DropReason::MalformedUdp),
            (_, protocol::TCP) => (TCP_LEN, DropReason::Truncated),
            (Network::Ipv4, protocol::ICMP) | (Network::Ipv6, protocol::ICMPV6) => {
                (Icmp::LEN, DropReason::MalformedIcmp)
            }
            _ => return Ok(()),
        };
        if header_len + needed > packet_len {
            return Err(malformed);
        }
        if header_len + needed > packet.len() {
            return Err(DropReason::Truncated);
        }
        Ok(())
    }

    /// What is behind the Ethernet header and its tags.
    #[must_use]
    pub const fn network(&self) -> Network {
        self.network
    }

    /// The Ethernet type behind the tags.
    #[must_use]
    pub const fn ether_type(&self) -> u16 {
        self.ether_type
    }

    /// VLAN tags in front of the network header.
    #[must_use]
    pub const fn tags(&self) -> u8 {
        self.tags
    }

    /// IP protocol of the payload, behind all extension headers; 0 when it is not IP.
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        self.protocol
    }

    /// Where the network header starts.
    #[must_use]
    pub const fn l3(&self) -> usize {
        self.l3 as usize
    }

    /// Where the payload of IP starts.
    #[must_use]
    pub const fn l4(&self) -> usize {
        self.l4 as usize
    }

    /// Where the packet ends; padding may follow.
    #[must_use]
    pub const fn end(&self) -> usize {
        self.end as usize
    }

    /// Is it a part of a fragmented packet?
    #[must_use]
    pub const fn is_fragment(&self) -> bool {
        self.fragment
    }

    /// Does a routing header name hops that are still to come?
    #[must_use]
    pub const fn is_en_route(&self) -> bool {
        self.en_route
    }

    /// Is there a transport header at `l4`? Not in ARP, and not in a fragment that is not the first.
    #[must_use]
    pub const fn has_transport(&self) -> bool {
        matches!(self.network, Network::Ipv4 | Network::Ipv6) && !self.later_fragment
    }

    /// What is wrong with the headers, if something is.
    #[must_use]
    pub const fn trouble(&self) -> Option<DropReason> {
        self.trouble
    }
}

#[cfg(test)]
mod tests;
