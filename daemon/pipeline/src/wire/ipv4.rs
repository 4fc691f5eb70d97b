//! IPv4 (RFC 791).

use std::borrow::{Borrow, BorrowMut};

use super::{checksum, view};

view! {
    /// The fixed part of an IPv4 header.
    Ipv4, 20
}

impl<B: Borrow<[u8; Ipv4::<()>::LEN]>> Ipv4<B> {
    /// 4, if it is IPv4 at all.
    #[inline]
    pub fn version(&self) -> u8 {
        self.0.borrow()[0] >> 4
    }

    /// Length of the header with its options in bytes, 20 to 60 if it is well-formed (the field can say 0 to 60).
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.0.borrow()[0] & 0xf) * 4
    }

    /// Length of header and payload in bytes.
    #[inline]
    pub fn total_len(&self) -> u16 {
        let b = self.0.borrow();
        u16::from_be_bytes([b[2], b[3]])
    }

    /// Is it a part of a packet: "more fragments" or an offset?
    #[inline]
    pub fn is_fragment(&self) -> bool {
        let b = self.0.borrow();
        u16::from_be_bytes([b[6], b[7]]) & 0x3fff != 0
    }

    /// Place of this part's payload in the whole one, in units of 8 bytes.
    #[inline]
    pub fn fragment_offset(&self) -> u16 {
        let b = self.0.borrow();
        u16::from_be_bytes([b[6], b[7]]) & 0x1fff
    }

    /// How many more hops it may take.
    #[inline]
    pub fn ttl(&self) -> u8 {
        self.0.borrow()[8]
    }

    /// What the payload is: see [`protocol`](super::protocol).
    #[inline]
    pub fn protocol(&self) -> u8 {
        self.0.borrow()[9]
    }

    /// The header's checksum.
    #[inline]
    pub fn checksum(&self) -> u16 {
        let b = self.0.borrow();
        u16::from_be_bytes([b[10], b[11]])
    }

    /// Where it comes from.
    #[inline]
    pub fn source(&self) -> [u8; 4] {
        let b = self.0.borrow();
        [b[12], b[13], b[14], b[15]]
    }

    /// Where it goes.
    #[inline]
    pub fn destination(&self) -> [u8; 4] {
        let b = self.0.borrow();
        [b[16], b[17], b[18], b[19]]
    }
}

impl<B: BorrowMut<[u8; Ipv4::<()>::LEN]>> Ipv4<B> {
    /// Source and destination change places; every checksum over them stays right.
    // Once per frame, and smaller than a call.
    #[inline(always)]
    pub fn swap_addresses(&mut self) {
        let (source, destination) = (self.source(), self.destination());
        let b = self.0.borrow_mut();
        b[12..16].copy_from_slice(&destination);
        b[16..20].copy_from_slice(&source);
    }

    /// Sets how many hops it may take, and mends the checksum. (A wrong one stays as wrong as it was.)
    #[inline]
    pub fn set_ttl(&mut self, ttl: u8) {
        let (old, protocol) = (self.ttl(), self.protocol());
        let sum = checksum::replace(
            self.checksum(),
            u16::from_be_bytes([old, protocol]),
            u16::from_be_bytes([ttl, protocol]),
        );
        let b = self.0.borrow_mut();
        b[8] = ttl;
        b[10..12].copy_from_slice(&sum.to_be_bytes());
    }
}
