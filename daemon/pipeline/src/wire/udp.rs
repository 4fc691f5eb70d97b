//! UDP (RFC 768), and the ports that UDP and TCP have at the same place.

use std::borrow::{Borrow, BorrowMut};

use super::view;

view! {
    /// A UDP header.
    Udp, 8
}

view! {
    /// Source and destination port: the first four bytes of UDP and of TCP (RFC 9293 3.1).
    Ports, 4
}

impl<B: Borrow<[u8; Udp::<()>::LEN]>> Udp<B> {
    /// The sender's port.
    #[inline]
    pub fn source_port(&self) -> u16 {
        let b = self.0.borrow();
        u16::from_be_bytes([b[0], b[1]])
    }

    /// The receiver's port.
    #[inline]
    pub fn destination_port(&self) -> u16 {
        let b = self.0.borrow();
        u16::from_be_bytes([b[2], b[3]])
    }

    /// Length of header and payload in bytes, at least 8 if it is well-formed.
    #[inline]
    pub fn len(&self) -> u16 {
        let b = self.0.borrow();
        u16::from_be_bytes([b[4], b[5]])
    }

    /// Does the header say that there is not even a header?
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The checksum; 0 is "none", which IPv6 does not allow (RFC 8200 8.1).
    #[inline]
    pub fn checksum(&self) -> u16 {
        let b = self.0.borrow();
        u16::from_be_bytes([b[6], b[7]])
    }
}

impl<B: BorrowMut<[u8; Udp::<()>::LEN]>> Udp<B> {
    /// The ports change places; the checksum stays right.
    // Once per frame, and smaller than a call.
    #[inline(always)]
    pub fn swap_ports(&mut self) {
        swap(self.0.borrow_mut());
    }
}

impl<B: BorrowMut<[u8; Ports::<()>::LEN]>> Ports<B> {
    /// The ports change places; the checksum stays right.
    // Once per frame, and smaller than a call.
    #[inline(always)]
    pub fn swap(&mut self) {
        swap(self.0.borrow_mut());
    }
}

#[inline]
fn swap<const N: usize>(b: &mut [u8; N]) {
    let swapped = [b[2], b[3], b[0], b[1]];
    b[..4].copy_from_slice(&swapped);
}
