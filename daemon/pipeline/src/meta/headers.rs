//! Reading headers.

use super::{MAX_EXTENSIONS, Network};
use crate::{
    DropReason,
    wire::{Arp, Extension, Icmp, Ipv4, Ipv6, Udp, ether_type, protocol, vlan},
};

/// Smallest TCP header in bytes (RFC 9293 3.1).
const TCP_LEN: usize = 20;

/// What [`Meta`](super::Meta) says, one field each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Headers {
    pub(super) end: u32,
    pub(super) l4: u16,
    pub(super) l3: u8,
    pub(super) tags: u8,
    pub(super) ether_type: u16,
    pub(super) protocol: u8,
    pub(super) network: Network,
    pub(super) fragment: bool,
    pub(super) later_fragment: bool,
    pub(super) en_route: bool,
    pub(super) trouble: Option<DropReason>,
}

impl Headers {
    const NONE: Self = Self {
        end: 0,
        l4: 0,
        l3: 0,
        tags: 0,
        ether_type: 0,
        protocol: 0,
        network: Network::Other,
        fragment: false,
        later_fragment: false,
        en_route: false,
        trouble: None,
    };

    /// What most frames are, without a loop: IPv4 with neither tags, options nor fragments, with UDP or TCP in it, and
    /// nothing wrong. It only saves time: [`Headers::any`] reads the same in it.
    #[inline]
    pub(super) fn plain(head: &[u8], wire_len: usize) -> Option<Self> {
        const L3: usize = 14;
        const L4: usize = 34;
        /// Version 4, header of 20 bytes.
        const PLAIN: u8 = 0x45;
        let headers: &[u8; L4] = head.first_chunk()?;
        let (link, packet) = headers.split_first_chunk::<L3>()?;
        let ip = Ipv4::new_checked(packet)?;
        let is_ipv4 = u16::from_be_bytes([link[12], link[13]]) == ether_type::IPV4;
        if !is_ipv4 || packet[0] != PLAIN || ip.is_fragment() {
            return None;
        }
        let needed = match ip.protocol() {
            protocol::UDP => L4 + Udp::LEN,
            protocol::TCP => L4 + TCP_LEN,
            _ => return None,
        };
        let end = L3 + usize::from(ip.total_len());
        if needed > end || needed > head.len() || end > wire_len {
            return None;
        }
        Some(Self {
            end: 14 + u32::from(ip.total_len()),
            l4: 34,
            l3: 14,
            ether_type: ether_type::IPV4,
            network: Network::Ipv4,
            protocol: ip.protocol(),
            ..Self::NONE
        })
    }

    /// Any frame; `head` is the first segment of one of `wire_len` bytes.
    pub(super) fn any(head: &[u8], wire_len: usize) -> Self {
        let mut headers = Self::NONE;
        headers.trouble = headers.fill(head, wire_len).err();
        headers
    }

    /// Is there a transport header at `l4`?
    #[inline]
    pub(super) const fn has_transport(&self) -> bool {
        matches!(self.network, Network::Ipv4 | Network::Ipv6) && !self.later_fragment
    }

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
}
