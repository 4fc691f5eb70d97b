//! The part that ICMP (RFC 792) and ICMPv6 (RFC 4443) have in common: eight bytes, the message type in front.

use std::borrow::{Borrow, BorrowMut};

use super::{checksum, view};

/// Message types of ICMP.
pub mod icmp_kind {
    /// Answer to a ping.
    pub const ECHO_REPLY: u8 = 0;
    /// Ping.
    pub const ECHO_REQUEST: u8 = 8;
}

/// Message types of ICMPv6.
pub mod icmpv6_kind {
    /// Ping.
    pub const ECHO_REQUEST: u8 = 128;
    /// Answer to a ping.
    pub const ECHO_REPLY: u8 = 129;
    /// Who has this address (RFC 4861 4.3)?
    pub const NEIGHBOR_SOLICITATION: u8 = 135;
    /// I have (RFC 4861 4.4).
    pub const NEIGHBOR_ADVERTISEMENT: u8 = 136;
}

view! {
    /// The header of an ICMP or ICMPv6 message.
    Icmp, 8
}

impl<B: Borrow<[u8; Icmp::<()>::LEN]>> Icmp<B> {
    /// Message type: see [`icmp_kind`] and [`icmpv6_kind`].
    #[inline]
    pub fn kind(&self) -> u8 {
        self.0.borrow()[0]
    }

    /// Subtype; 0 in the messages we answer.
    #[inline]
    pub fn code(&self) -> u8 {
        self.0.borrow()[1]
    }

    /// The checksum over the whole message.
    #[inline]
    pub fn checksum(&self) -> u16 {
        let b = self.0.borrow();
        u16::from_be_bytes([b[2], b[3]])
    }
}

impl<B: BorrowMut<[u8; Icmp::<()>::LEN]>> Icmp<B> {
    /// Changes the message type and mends the checksum without reading the message, which may be long, of odd length
    /// or in several segments. (A wrong checksum stays as wrong as it was: the receiver sees it.)
    #[inline]
    pub fn set_kind(&mut self, kind: u8) {
        let (old, code) = (self.kind(), self.code());
        let mended = checksum::replace(
            self.checksum(),
            u16::from_be_bytes([old, code]),
            u16::from_be_bytes([kind, code]),
        );
        // A message of nothing but zeros (echo reply, identifier 0, sequence 0, no data) needs 0xffff, as receivers
        // add everything up and expect 0xffff. In all others 0 and 0xffff are the same number to them.
        let mended = if mended == 0 { 0xffff } else { mended };
        let b = self.0.borrow_mut();
        b[0] = kind;
        b[2..4].copy_from_slice(&mended.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reply_to_the_emptiest_ping_has_a_checksum_that_adds_up() {
        let mut ping = [8, 0, 0xf7, 0xff, 0, 0, 0, 0];
        assert!(checksum::is_right(&ping));
        Icmp::new_checked_mut(&mut ping).unwrap().set_kind(icmp_kind::ECHO_REPLY);
        assert_eq!(ping, [0, 0, 0xff, 0xff, 0, 0, 0, 0]);
        assert!(checksum::is_right(&ping));
    }
}
