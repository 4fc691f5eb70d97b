//! What a probe carries, in the 18 bytes that a 64-byte frame leaves of UDP.
//!
//! ```text
//!  0    1         3               7                 12          15          18
//!  ├magic┼── run ──┼── sequence ───┼──── intended ────┼─── late ──┼── check ──┤ filler …
//!    u8     u16          u32         u40, ns of run      u24, ns     CRC-32, low 24 bits
//! ```
//! All numbers are big-endian. `late` is how long after the intended time it was sent; 2²⁴ − 1 means that or longer. The
//! check covers everything but itself, filler included.

/// What a probe says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probe {
    /// The run it belongs to.
    pub run: u16,
    /// Its number in the run, from 0.
    pub sequence: u32,
    /// When it should have left: ns since the run began, below 2⁴⁰ (18 minutes).
    pub intended: u64,
    /// How long after that it did leave, in ns, at most [`Probe::LATEST`].
    pub late: u32,
}

/// What is wrong with a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// It is not one of ours.
    #[error("not a probe")]
    Foreign,
    /// It was one of ours.
    #[error("a damaged probe")]
    Damaged,
}

const MAGIC: u8 = 0xB7;

impl Probe {
    /// The bytes of a payload at least.
    pub const LEAST: usize = 18;
    /// The longest lateness that is written.
    pub const LATEST: u32 = (1 << 24) - 1;

    /// Writes it over a payload, filler included.
    ///
    /// # Panics
    /// When the payload is shorter than [`Probe::LEAST`].
    pub fn write(&self, payload: &mut [u8]) {
        let (head, filler) = payload.split_at_mut(Self::LEAST);
        head[0] = MAGIC;
        head[1..3].copy_from_slice(&self.run.to_be_bytes());
        head[3..7].copy_from_slice(&self.sequence.to_be_bytes());
        head[7..12].copy_from_slice(&self.intended.to_be_bytes()[3..]);
        head[12..15].copy_from_slice(&self.late.min(Self::LATEST).to_be_bytes()[1..]);
        // Not the same in every frame, so that a device that mixes frames up is found out.
        let [.., seed] = self.sequence.to_be_bytes();
        filler.fill(seed);
        let check = check(&head[..15], filler);
        head[15..18].copy_from_slice(&check);
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`PayloadError`]
    pub fn read(payload: &[u8]) -> Result<Self, PayloadError> {
        if payload.len() < Self::LEAST || payload[0] != MAGIC {
            return Err(PayloadError::Foreign);
        }
        let (head, filler) = payload.split_at(Self::LEAST);
        if check(&head[..15], filler) != head[15..18] {
            return Err(PayloadError::Damaged);
        }
        let number =
            |bytes: &[u8]| bytes.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let narrow = |bytes| u32::try_from(number(bytes)).unwrap_or(u32::MAX);
        Ok(Self {
            run: u16::from_be_bytes([head[1], head[2]]),
            sequence: narrow(&head[3..7]),
            intended: number(&head[7..12]),
            late: narrow(&head[12..15]),
        })
    }
}

fn check(head: &[u8], filler: &[u8]) -> [u8; 3] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(filler);
    let [_, a, b, c] = hasher.finalize().to_be_bytes();
    [a, b, c]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn probe() -> impl Strategy<Value = Probe> {
        (any::<u16>(), any::<u32>(), 0..1_u64 << 40, 0..=Probe::LATEST)
            .prop_map(|(run, sequence, intended, late)| Probe { run, sequence, intended, late })
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(probe in probe(), length in 18..1500_usize) {
            let mut payload = vec![0; length];
            probe.write(&mut payload);
            prop_assert_eq!(Probe::read(&payload), Ok(probe));
        }

        #[test]
        fn a_changed_bit_is_noticed(probe in probe(), length in 18..200_usize, bit in 8..1600_usize) {
            let mut payload = vec![0; length];
            probe.write(&mut payload);
            let bit = bit % (length * 8);
            payload[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(Probe::read(&payload).is_err());
        }

        #[test]
        fn any_bytes_have_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Probe::read(&bytes);
        }
    }

    #[test]
    fn what_is_too_late_to_write_is_the_latest() {
        let mut payload = [0; 18];
        Probe { run: 1, sequence: 2, intended: 3, late: u32::MAX }.write(&mut payload);

        assert_eq!(Probe::read(&payload).unwrap().late, Probe::LATEST);
    }
}
