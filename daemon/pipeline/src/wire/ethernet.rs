//! Ethernet II (IEEE 802.3 clause 3).

use std::borrow::{Borrow, BorrowMut};

use super::view;

/// What an Ethernet header says comes next.
pub mod ether_type {
    /// IPv4 (RFC 894).
    pub const IPV4: u16 = 0x0800;
    /// ARP (RFC 826).
    pub const ARP: u16 = 0x0806;
    /// A customer VLAN tag (IEEE 802.1Q).
    pub const VLAN: u16 = 0x8100;
    /// IPv6 (RFC 2464).
    pub const IPV6: u16 = 0x86dd;
    /// A service VLAN tag (IEEE 802.1ad, "QinQ").
    pub const SERVICE_VLAN: u16 = 0x88a8;
    /// A service VLAN tag as some switches wrote it before 802.1ad.
    pub const OLD_SERVICE_VLAN: u16 = 0x9100;
}

view! {
    /// An Ethernet header.
    Ethernet, 14
}

impl<B: Borrow<[u8; Ethernet::<()>::LEN]>> Ethernet<B> {
    /// Who it is for.
    #[inline]
    pub fn destination(&self) -> [u8; 6] {
        let b = self.0.borrow();
        [b[0], b[1], b[2], b[3], b[4], b[5]]
    }

    /// Who sent it.
    #[inline]
    pub fn source(&self) -> [u8; 6] {
        let b = self.0.borrow();
        [b[6], b[7], b[8], b[9], b[10], b[11]]
    }

    /// Type of what follows; below 0x600 it is a length (IEEE 802.3 3.2.6).
    #[inline]
    pub fn ether_type(&self) -> u16 {
        let b = self.0.borrow();
        u16::from_be_bytes([b[12], b[13]])
    }

    /// Is it for a group of stations (or for all)?
    #[inline]
    pub fn is_to_group(&self) -> bool {
        self.0.borrow()[0] & 1 == 1
    }
}

impl<B: BorrowMut<[u8; Ethernet::<()>::LEN]>> Ethernet<B> {
    /// Sets who it is for.
    // Once per frame, and smaller than a call.
    #[inline(always)]
    pub fn set_destination(&mut self, address: [u8; 6]) {
        self.0.borrow_mut()[..6].copy_from_slice(&address);
    }

    /// Sets who sent it.
    // Once per frame, and smaller than a call.
    #[inline(always)]
    pub fn set_source(&mut self, address: [u8; 6]) {
        self.0.borrow_mut()[6..12].copy_from_slice(&address);
    }

    /// Source and destination change places.
    // Once per frame, and smaller than a call.
    #[inline(always)]
    pub fn swap_addresses(&mut self) {
        let (destination, source) = (self.destination(), self.source());
        self.set_destination(source);
        self.set_source(destination);
    }
}
