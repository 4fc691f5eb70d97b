//! Which bucket a value belongs to.

/// log2 of the buckets in an octave.
const OCTAVE_BITS: u32 = 7;
/// Values below this have a bucket each; so have those of the octave above it.
const LINEAR: u64 = 1 << OCTAVE_BITS;
/// The scale ends here.
const END_BITS: u32 = 39;

/// The largest value with a bucket of its own.
pub(super) const LARGEST: u64 = (1 << END_BITS) - 1;

/// How many buckets there are.
pub(super) const BUCKETS: usize = ((END_BITS - OCTAVE_BITS + 1) << OCTAVE_BITS) as usize;

/// The bucket of a value; the last one for what is beyond the scale.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "below BUCKETS")]
pub(super) fn index(value: u64) -> usize {
    let value = value.min(LARGEST);
    // How many low bits the bucket does not tell apart: none below 256. The `|` keeps the count of zeros in range.
    let shift = (u64::BITS - 1 - OCTAVE_BITS) - (value | LINEAR).leading_zeros();
    // `value >> shift` is below 128 in the linear part, and 128 to 255 in each octave above.
    ((u64::from(shift) << OCTAVE_BITS) + (value >> shift)) as usize
}

/// The smallest and the largest value of a bucket.
pub(super) fn bounds(index: usize) -> (u64, u64) {
    let index = index.min(BUCKETS - 1) as u64;
    if index < 2 * LINEAR {
        return (index, index);
    }
    let shift = (index >> OCTAVE_BITS) - 1;
    let low = (index - (shift << OCTAVE_BITS)) << shift;
    (low, low + (1 << shift) - 1)
}

/// The value that stands for a bucket: its middle.
pub(super) fn middle(index: usize) -> u64 {
    let (low, high) = bounds(index);
    low + (high - low) / 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_follow_each_other_without_gaps_from_zero_to_the_end() {
        let mut next = 0;
        for bucket in 0..BUCKETS {
            let (low, high) = bounds(bucket);
            assert_eq!(low, next, "bucket {bucket}");
            assert_eq!((index(low), index(high)), (bucket, bucket));
            next = high + 1;
        }
        assert_eq!(next, LARGEST + 1);
        const { assert!(LARGEST / 5_000_000_000 >= 68, "seconds at 5 GHz") };
    }

    #[test]
    fn no_bucket_is_wider_than_a_128th_of_its_values() {
        for bucket in 0..BUCKETS {
            let (low, high) = bounds(bucket);
            assert!(high == low || (high - low + 1) * 128 <= low, "bucket {bucket}");
        }
    }

    proptest! {
        #[test]
        fn every_value_is_within_its_bucket(bits in 0..64_u32, noise in any::<u64>()) {
            let value = noise >> bits;
            let (low, high) = bounds(index(value));
            prop_assert!(low <= value.min(LARGEST) && value.min(LARGEST) <= high);
        }
    }
}
