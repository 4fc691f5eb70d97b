//! The Internet checksum (RFC 1071): the one's complement of the one's complement sum of 16-bit words.

/// A sum that is not folded yet. Sums of several pieces add up, if every piece but the last has an even length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum(u64);

impl Sum {
    /// Adds bytes; an odd last one counts as the high half of a word.
    #[must_use]
    pub fn with(mut self, bytes: &[u8]) -> Self {
        // 2^48 words would be needed to overflow; a frame has fewer than 2^17 bytes.
        let mut words = bytes.chunks_exact(2);
        for word in &mut words {
            self.0 += u64::from(u16::from_be_bytes([word[0], word[1]]));
        }
        if let [last] = words.remainder() {
            self.0 += u64::from(*last) << 8;
        }
        self
    }

    /// Adds IPv6's pseudo-header (RFC 8200 8.1).
    #[must_use]
    pub fn add_ipv6_pseudo_header(
        self,
        source: [u8; 16],
        destination: [u8; 16],
        payload_len: u32,
        next_header: u8,
    ) -> Self {
        self.with(&source).with(&destination).with(&payload_len.to_be_bytes()).with(&[
            0,
            0,
            0,
            next_header,
        ])
    }

    /// The sum in 16 bits; 0xffff when bytes with a right checksum among them were added.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "folded until it fits")]
    pub fn fold(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        sum as u16
    }

    /// The checksum to write where a zero was added.
    #[must_use]
    pub fn checksum(self) -> u16 {
        !self.fold()
    }
}

/// Do these bytes, their checksum among them, add up?
#[must_use]
pub fn is_right(bytes: &[u8]) -> bool {
    Sum::default().with(bytes).fold() == 0xffff
}

/// The checksum after one 16-bit word under it changed from `old` to `new` (RFC 1624, equation 3).
#[must_use]
#[inline]
pub fn replace(checksum: u16, old: u16, new: u16) -> u16 {
    let sum = u64::from(!checksum) + u64::from(!old) + u64::from(new);
    Sum(sum).checksum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_example_of_rfc_1071_gives_its_sum() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::default().with(&bytes).fold(), 0xddf2);
    }

    #[test]
    fn the_example_of_rfc_1624_gives_its_checksum() {
        assert_eq!(replace(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    proptest! {
        #[test]
        fn replacing_a_word_is_the_same_as_adding_up_again(
            mut bytes in proptest::collection::vec(any::<u8>(), 2..200),
            new in any::<u16>(),
        ) {
            // The first word is never zero before or after, as in every header this is used on.
            bytes.insert(0, 0x45);
            bytes.insert(1, 0);
            let before = Sum::default().with(&bytes).checksum();
            let old = u16::from_be_bytes([bytes[2], bytes[3]]);
            bytes[2..4].copy_from_slice(&new.to_be_bytes());
            prop_assert_eq!(replace(before, old, new), Sum::default().with(&bytes).checksum());
        }

        #[test]
        fn bytes_with_their_checksum_add_up(
            mut bytes in proptest::collection::vec(any::<u8>(), 2..200),
        ) {
            bytes[0] |= 1;
            bytes.splice(0..0, [0, 0]);
            let sum = Sum::default().with(&bytes).checksum();
            bytes[..2].copy_from_slice(&sum.to_be_bytes());
            prop_assert!(is_right(&bytes));
        }
    }
}
