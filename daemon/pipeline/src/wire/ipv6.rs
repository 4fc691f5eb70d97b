//! IPv6 (RFC 8200).

use std::borrow::{Borrow, BorrowMut};

use super::{protocol, view};

view! {
    /// The fixed IPv6 header.
    Ipv6, 40
}

impl<B: Borrow<[u8; Ipv6::<()>::LEN]>> Ipv6<B> {
    /// 6, if it is IPv6 at all.
    #[inline]
    pub fn version(&self) -> u8 {
        self.0.borrow()[0] >> 4
    }

    /// Length of everything behind this header in bytes; 0 in a jumbogram (RFC 2675), which is not supported.
    #[inline]
    pub fn payload_len(&self) -> u16 {
        let b = self.0.borrow();
        u16::from_be_bytes([b[4], b[5]])
    }

    /// What follows: an extension header or the payload.
    #[inline]
    pub fn next_header(&self) -> u8 {
        self.0.borrow()[6]
    }

    /// How many more hops it may take.
    #[inline]
    pub fn hop_limit(&self) -> u8 {
        self.0.borrow()[7]
    }

    /// Where it comes from.
    #[inline]
    pub fn source(&self) -> [u8; 16] {
        let mut address = [0; 16];
        address.copy_from_slice(&self.0.borrow()[8..24]);
        address
    }

    /// Where it goes.
    #[inline]
    pub fn destination(&self) -> [u8; 16] {
        let mut address = [0; 16];
        address.copy_from_slice(&self.0.borrow()[24..40]);
        address
    }
}

impl<B: BorrowMut<[u8; Ipv6::<()>::LEN]>> Ipv6<B> {
    /// Source and destination change places; every checksum over them stays right.
    // Once per frame, and smaller than a call.
    #[inline(always)]
    pub fn swap_addresses(&mut self) {
        let (source, destination) = (self.source(), self.destination());
        let b = self.0.borrow_mut();
        b[8..24].copy_from_slice(&destination);
        b[24..40].copy_from_slice(&source);
    }

    /// Sets how many hops it may take. There is no checksum over it.
    #[inline]
    pub fn set_hop_limit(&mut self, hops: u8) {
        self.0.borrow_mut()[7] = hops;
    }

    /// Writes a whole header: no traffic class, no flow label.
    pub fn write(
        &mut self,
        payload_len: u16,
        next_header: u8,
        hop_limit: u8,
        source: [u8; 16],
        destination: [u8; 16],
    ) {
        let b = self.0.borrow_mut();
        b[..4].copy_from_slice(&[0x60, 0, 0, 0]);
        b[4..6].copy_from_slice(&payload_len.to_be_bytes());
        b[6] = next_header;
        b[7] = hop_limit;
        b[8..24].copy_from_slice(&source);
        b[24..40].copy_from_slice(&destination);
    }
}

/// An extension header that stages can look behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension {
    /// What follows it.
    pub next_header: u8,
    /// Its length in bytes: 8 to 2048, a multiple of 8.
    pub len: usize,
    /// A fragment header of a real part; an "atomic fragment" (RFC 6946) is whole.
    pub fragment: bool,
    /// A part that is not the first: what follows is payload from the middle, not a header.
    pub later_fragment: bool,
    /// A routing header with segments left: the packet has not arrived where it goes.
    pub en_route: bool,
}

impl Extension {
    /// Is `next_header` one that [`Extension::new_checked`] reads?
    ///
    /// Authentication (51) and encryption (50) are not: behind them there is nothing for us to change or answer.
    #[must_use]
    #[inline]
    pub const fn is_known(next_header: u8) -> bool {
        matches!(
            next_header,
            protocol::HOP_BY_HOP
                | protocol::ROUTING
                | protocol::FRAGMENT
                | protocol::DESTINATION_OPTIONS
        )
    }

    /// Reads the header of kind `next_header` at the start of `bytes`; `None` when they end within its first 8.
    #[must_use]
    pub fn new_checked(next_header: u8, bytes: &[u8]) -> Option<Self> {
        let head: &[u8; 8] = bytes.first_chunk()?;
        let is_fragment = next_header == protocol::FRAGMENT;
        let offset_and_more = u16::from_be_bytes([head[2], head[3]]);
        Some(Self {
            next_header: head[0],
            len: if is_fragment { 8 } else { 8 * (usize::from(head[1]) + 1) },
            fragment: is_fragment && offset_and_more & 0xfff9 != 0,
            later_fragment: is_fragment && offset_and_more & 0xfff8 != 0,
            en_route: next_header == protocol::ROUTING && head[3] != 0,
        })
    }
}
