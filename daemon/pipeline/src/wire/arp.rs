//! ARP for IPv4 over Ethernet (RFC 826).

use std::borrow::{Borrow, BorrowMut};

use super::view;

view! {
    /// An ARP packet for Ethernet and IPv4.
    Arp, 28
}

/// Ethernet, IPv4, and the lengths of their addresses: the first six bytes of every packet we understand.
const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];

impl<B: Borrow<[u8; Arp::<()>::LEN]>> Arp<B> {
    /// Is it about Ethernet and IPv4 addresses? Otherwise nothing else here means anything.
    #[inline]
    pub fn is_ethernet_ipv4(&self) -> bool {
        self.0.borrow()[..6] == ETHERNET_IPV4
    }

    /// Is it a question ("who has")?
    #[inline]
    pub fn is_request(&self) -> bool {
        self.0.borrow()[6..8] == [0, 1]
    }

    /// MAC address of the asker.
    #[inline]
    pub fn sender_mac(&self) -> [u8; 6] {
        let b = self.0.borrow();
        [b[8], b[9], b[10], b[11], b[12], b[13]]
    }

    /// IPv4 address of the asker; 0.0.0.0 in a probe (RFC 5227 2.1).
    #[inline]
    pub fn sender_ip(&self) -> [u8; 4] {
        let b = self.0.borrow();
        [b[14], b[15], b[16], b[17]]
    }

    /// The IPv4 address asked for.
    #[inline]
    pub fn target_ip(&self) -> [u8; 4] {
        let b = self.0.borrow();
        [b[24], b[25], b[26], b[27]]
    }
}

impl<B: BorrowMut<[u8; Arp::<()>::LEN]>> Arp<B> {
    /// Turns the question into the answer that the target address is at `mac`.
    pub fn answer(&mut self, mac: [u8; 6]) {
        let (asker_mac, asker_ip, target) = (self.sender_mac(), self.sender_ip(), self.target_ip());
        let b = self.0.borrow_mut();
        b[6..8].copy_from_slice(&[0, 2]);
        b[8..14].copy_from_slice(&mac);
        b[14..18].copy_from_slice(&target);
        b[18..24].copy_from_slice(&asker_mac);
        b[24..28].copy_from_slice(&asker_ip);
    }
}
