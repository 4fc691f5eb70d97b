//! Wire formats, as far as the stages need them.
//!
//! A header is a view of a byte array of exactly the header's length. `new_checked` is the only place that can fail:
//! afterwards every accessor reads or writes at a constant offset of an array whose length the compiler knows, so
//! there is neither a panic nor a bounds check in it. A view borrows the bytes (`&[u8; LEN]`) or may write them
//! (`&mut [u8; LEN]`), with the same names.
//!
//! ```
//! use pipeline::wire::Udp;
//!
//! let mut datagram = [0x12, 0x34, 0x00, 0x07, 0, 9, 0, 0, b'!'];
//! let mut udp = Udp::new_checked_mut(&mut datagram).unwrap();
//! udp.swap_ports();
//! assert_eq!((udp.source_port(), udp.destination_port(), udp.len()), (7, 0x1234, 9));
//! assert!(Udp::new_checked(&datagram[..7]).is_none());
//! ```

mod arp;
pub mod checksum;
mod ethernet;
mod icmp;
mod ipv4;
mod ipv6;
pub mod nd;
mod udp;
pub mod vlan;

pub use arp::Arp;
pub use ethernet::{Ethernet, ether_type};
pub use icmp::{Icmp, icmp_kind, icmpv6_kind};
pub use ipv4::Ipv4;
pub use ipv6::{Extension, Ipv6};
pub use udp::{Ports, Udp};

/// IP protocol and next-header numbers (IANA, "Assigned Internet Protocol Numbers").
pub mod protocol {
    /// IPv6 hop-by-hop options (RFC 8200 4.3).
    pub const HOP_BY_HOP: u8 = 0;
    /// ICMP for IPv4 (RFC 792).
    pub const ICMP: u8 = 1;
    /// TCP (RFC 9293).
    pub const TCP: u8 = 6;
    /// UDP (RFC 768).
    pub const UDP: u8 = 17;
    /// IPv6 routing header (RFC 8200 4.4).
    pub const ROUTING: u8 = 43;
    /// IPv6 fragment header (RFC 8200 4.5).
    pub const FRAGMENT: u8 = 44;
    /// ICMP for IPv6 (RFC 4443).
    pub const ICMPV6: u8 = 58;
    /// IPv6 destination options (RFC 8200 4.6).
    pub const DESTINATION_OPTIONS: u8 = 60;
}

/// Defines a view of `$len` bytes: `new_checked`, `new_checked_mut`, and nothing else.
macro_rules! view {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name<B>(B);

        impl $name<&[u8; $name::<()>::LEN]> {
            /// Views the start of `bytes`; `None` when they are fewer than the header has.
            #[must_use]
            #[inline]
            pub fn new_checked(bytes: &[u8]) -> Option<$name<&[u8; $name::<()>::LEN]>> {
                bytes.first_chunk().map($name)
            }
        }

        impl $name<&mut [u8; $name::<()>::LEN]> {
            /// Views the start of `bytes` for writing; `None` when they are fewer than the header has.
            #[must_use]
            #[inline]
            pub fn new_checked_mut(
                bytes: &mut [u8],
            ) -> Option<$name<&mut [u8; $name::<()>::LEN]>> {
                bytes.first_chunk_mut().map($name)
            }
        }

        impl $name<()> {
            /// Length of the header in bytes, without options.
            pub const LEN: usize = $len;
        }
    };
}
use view;
