//! What the headers of a frame say, read once.

mod headers;

use std::fmt;

use crate::{DropReason, Frame};
use headers::Headers;

/// Stages look behind this many IPv6 extension headers. RFC 8200 4.1 names five that come at most once, one of them twice.
pub const MAX_EXTENSIONS: usize = 8;

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
///
/// ```text
/// layout  63 … 56  55 … 48  47 … 32  31 … 0      kind  47 … 40        39 … 32  31 … 24  23 … 16   15 … 0
///         tags     l3       l4       end               trouble + 1    flags    network  protocol  Ethernet type
/// ```
// Two words and not eleven fields: a struct written field by field and then copied as a whole stalls the CPU on each
// copy until every store has reached the cache. It was more than half of what a burst cost in `count`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    layout: u64,
    kind: u64,
}

const FRAGMENT: u64 = 1 << 32;
const LATER_FRAGMENT: u64 = 1 << 33;
const EN_ROUTE: u64 = 1 << 34;

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

    #[inline]
    fn read(head: &[u8], wire_len: usize) -> Self {
        match Headers::plain(head, wire_len) {
            Some(headers) => Self::pack(headers),
            None => Self::any(head, wire_len),
        }
    }

    // Kept out of the loop over a burst, which stays small.
    #[inline(never)]
    fn any(head: &[u8], wire_len: usize) -> Self {
        Self::pack(Headers::any(head, wire_len))
    }

    #[inline]
    fn pack(headers: Headers) -> Self {
        let flag = |is_set: bool, flag: u64| if is_set { flag } else { 0 };
        let trouble = headers.trouble.map_or(0, |reason| reason.index() as u64 + 1);
        Self {
            layout: u64::from(headers.end)
                | u64::from(headers.l4) << 32
                | u64::from(headers.l3) << 48
                | u64::from(headers.tags) << 56,
            kind: u64::from(headers.ether_type)
                | u64::from(headers.protocol) << 16
                | (headers.network as u64) << 24
                | flag(headers.fragment, FRAGMENT)
                | flag(headers.later_fragment, LATER_FRAGMENT)
                | flag(headers.en_route, EN_ROUTE)
                | trouble << 40,
        }
    }

    /// What is behind the Ethernet header and its tags.
    #[must_use]
    #[inline]
    pub const fn network(&self) -> Network {
        match self.kind >> 24 & 0xff {
            1 => Network::Arp,
            2 => Network::Ipv4,
            3 => Network::Ipv6,
            _ => Network::Other,
        }
    }

    /// The Ethernet type behind the tags.
    #[must_use]
    #[inline]
    pub const fn ether_type(&self) -> u16 {
        (self.kind & 0xffff) as u16
    }

    /// VLAN tags in front of the network header.
    #[must_use]
    #[inline]
    pub const fn tags(&self) -> u8 {
        (self.layout >> 56) as u8
    }

    /// IP protocol of the payload, behind all extension headers; 0 when it is not IP.
    #[must_use]
    #[inline]
    pub const fn protocol(&self) -> u8 {
        (self.kind >> 16 & 0xff) as u8
    }

    /// Where the network header starts.
    #[must_use]
    #[inline]
    pub const fn l3(&self) -> usize {
        (self.layout >> 48 & 0xff) as usize
    }

    /// Where the payload of IP starts.
    #[must_use]
    #[inline]
    pub const fn l4(&self) -> usize {
        (self.layout >> 32 & 0xffff) as usize
    }

    /// Where the packet ends; padding may follow.
    #[must_use]
    #[inline]
    pub const fn end(&self) -> usize {
        (self.layout & 0xffff_ffff) as usize
    }

    /// Is it a part of a fragmented packet?
    #[must_use]
    #[inline]
    pub const fn is_fragment(&self) -> bool {
        self.kind & FRAGMENT != 0
    }

    /// Does a routing header name hops that are still to come?
    #[must_use]
    #[inline]
    pub const fn is_en_route(&self) -> bool {
        self.kind & EN_ROUTE != 0
    }

    /// Is there a transport header at `l4`? Not in ARP, and not in a fragment that is not the first.
    #[must_use]
    #[inline]
    pub const fn has_transport(&self) -> bool {
        matches!(self.network(), Network::Ipv4 | Network::Ipv6) && self.kind & LATER_FRAGMENT == 0
    }

    /// What is wrong with the headers, if something is.
    #[must_use]
    #[inline]
    pub fn trouble(&self) -> Option<DropReason> {
        let number = (self.kind >> 40) as usize;
        if number == 0 { None } else { DropReason::ALL.get(number - 1).copied() }
    }
}

impl fmt::Debug for Meta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meta")
            .field("network", &self.network())
            .field("protocol", &self.protocol())
            .field("ether_type", &self.ether_type())
            .field("tags", &self.tags())
            .field("l3", &self.l3())
            .field("l4", &self.l4())
            .field("end", &self.end())
            .field("is_fragment", &self.is_fragment())
            .field("has_transport", &self.has_transport())
            .field("is_en_route", &self.is_en_route())
            .field("trouble", &self.trouble())
            .finish()
    }
}

#[cfg(test)]
mod tests;
