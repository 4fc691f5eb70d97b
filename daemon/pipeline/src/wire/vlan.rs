//! VLAN tags (IEEE 802.1Q clause 9, 802.1ad): four bytes before the type of the payload, possibly several.

use super::{Ethernet, ether_type};

/// Length of one tag in bytes: control information and the type of what follows.
pub const TAG_LEN: usize = 4;

/// Stages look behind this many tags. A frame with more is one of an unknown type to them.
pub const MAX_TAGS: u8 = 4;

/// Does this Ethernet type announce a tag?
#[must_use]
#[inline]
pub const fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, ether_type::VLAN | ether_type::SERVICE_VLAN | ether_type::OLD_SERVICE_VLAN)
}

/// What is behind a frame's tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    /// Type of the payload; a tag's own type when there are more than [`MAX_TAGS`].
    pub ether_type: u16,
    /// Where the payload starts, at most the frame's length.
    pub offset: usize,
    /// How many tags were passed.
    pub tags: u8,
}

/// Walks over the tags of a frame; `None` when it ends within its Ethernet header or a tag.
#[must_use]
#[inline]
pub fn payload(frame: &[u8]) -> Option<Payload> {
    let ether_type = Ethernet::new_checked(frame)?.ether_type();
    let mut found = Payload { ether_type, offset: Ethernet::LEN, tags: 0 };
    while is_tag(found.ether_type) && found.tags < MAX_TAGS {
        let tag: &[u8; TAG_LEN] = frame.get(found.offset..)?.first_chunk()?;
        found.ether_type = u16::from_be_bytes([tag[2], tag[3]]);
        found.offset += TAG_LEN;
        found.tags += 1;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(tags: usize) -> Vec<u8> {
        let mut frame = vec![0; 12];
        (0..tags).for_each(|id| frame.extend([0x81, 0x00, 0, u8::try_from(id).unwrap()]));
        frame.extend([0x08, 0x06]);
        frame
    }

    #[test]
    fn four_tags_are_passed_and_a_fifth_is_not() {
        for tags in 0..=4 {
            let found = payload(&tagged(tags)).unwrap();
            assert_eq!((found.ether_type, found.offset), (ether_type::ARP, 14 + 4 * tags));
            assert_eq!(usize::from(found.tags), tags);
        }
        let found = payload(&tagged(5)).unwrap();
        assert_eq!((found.ether_type, found.offset, found.tags), (ether_type::VLAN, 30, 4));
    }

    #[test]
    fn a_frame_cut_within_its_tags_has_no_payload() {
        let frame = tagged(2);
        for len in 0..frame.len() {
            assert_eq!(payload(&frame[..len]), None, "{len} bytes");
        }
    }
}
