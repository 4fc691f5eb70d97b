//! HdrHistogram V2 in base64, as it goes over sockets and into JSON: decoded with bounds.

use std::io::{self, Read};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use flate2::read::ZlibDecoder;
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer, V2DeflateSerializer},
};

/// The first word of a compressed V2 histogram, and of the plain one inside
/// (HdrHistogram, AbstractHistogram.java: the cookie bases with their word size).
const COMPRESSED: u32 = 0x1c84_9314;
const PLAIN: u32 = 0x1c84_9313;
/// A plain V2 header: cookie, payload length, normalizing offset, digits, lowest, highest, ratio.
const HEADER: usize = 40;
/// Of three digits over 64 bits: 55 × 1024 counts of at most nine bytes.
const LARGEST_PAYLOAD: u64 = 1 << 20;

/// What is wrong with the text of a distribution.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not base64.
    #[error("it is not base64")]
    Base64(#[source] base64::DecodeError),
    /// Not a histogram at all.
    #[error("it is not a compressed HdrHistogram V2")]
    Header,
    /// Not deflated.
    #[error("it does not decompress")]
    Inflate(#[source] io::Error),
    /// Not as long as it says, or longer than any.
    #[error("its length is not what its header says, or it is larger than any of three digits")]
    Length,
    /// Not counts.
    #[error("its counts do not decode")]
    Counts(#[source] hdrhistogram::serialization::DeserializeError),
}

/// Decodes HdrHistogram V2, deflated, in base64.
///
/// The library's own decoder takes the lengths in the header at their word; they are checked here
/// before it sees them, so that no text makes it reserve gigabytes.
///
/// # Errors
/// [`DecodeError`]
pub fn decode(text: &str) -> Result<Histogram<u64>, DecodeError> {
    let bytes = BASE64.decode(text).map_err(DecodeError::Base64)?;
    let (cookie, rest) = bytes.split_first_chunk().ok_or(DecodeError::Header)?;
    let (length, deflated) = rest.split_first_chunk().ok_or(DecodeError::Header)?;
    if u32::from_be_bytes(*cookie) != COMPRESSED {
        return Err(DecodeError::Header);
    }
    if u32::from_be_bytes(*length) as usize != deflated.len() {
        return Err(DecodeError::Length);
    }

    let mut plain = Vec::new();
    ZlibDecoder::new(deflated)
        .take(LARGEST_PAYLOAD + 1)
        .read_to_end(&mut plain)
        .map_err(DecodeError::Inflate)?;
    check_plain(&plain)?;
    Deserializer::new().deserialize(&mut plain.as_slice()).map_err(DecodeError::Counts)
}

fn check_plain(plain: &[u8]) -> Result<(), DecodeError> {
    let word = |at: usize| plain.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    let word = |at| word(at).map(u32::from_be_bytes).ok_or(DecodeError::Header);
    if word(0)? != PLAIN {
        return Err(DecodeError::Header);
    }
    let payload = plain.get(HEADER..).ok_or(DecodeError::Header)?;
    let digits = word(12)?;
    if plain.len() as u64 > LARGEST_PAYLOAD || word(4)? as usize != payload.len() || digits > 3 {
        return Err(DecodeError::Length);
    }
    // The longest varint with all bits set is the one number that the decoder can not negate. No
    // count below 2⁶² has nine such bytes.
    if payload.windows(9).any(|bytes| bytes == [0xff; 9]) {
        return Err(DecodeError::Length);
    }
    Ok(())
}

/// A histogram as HdrHistogram V2, deflated, in base64: the other way round of [`decode`].
///
/// # Panics
/// Never: memory takes what a histogram needs.
#[must_use]
pub fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(histogram, &mut bytes)
        .expect("a Vec takes what a histogram of a few thousand counts needs");
    BASE64.encode(bytes)
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::V2Serializer;
    use proptest::prelude::*;

    use super::*;

    /// As the daemon would send these bytes, whatever they are.
    fn wrap(plain: &[u8]) -> String {
        let mut encoder = flate2::read::ZlibEncoder::new(plain, flate2::Compression::fast());
        let mut deflated = Vec::new();
        encoder.read_to_end(&mut deflated).unwrap();
        let length = u32::try_from(deflated.len()).unwrap();
        BASE64.encode([&COMPRESSED.to_be_bytes()[..], &length.to_be_bytes(), &deflated].concat())
    }

    fn plain(values: &[u64]) -> Vec<u8> {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 1 << 40, 2).unwrap();
        values.iter().for_each(|value| histogram.record(*value).unwrap());
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&histogram, &mut bytes).unwrap();
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn what_was_encoded_comes_back(values in proptest::collection::vec(1..1_u64 << 40, 0..50)) {
            let mut histogram = Histogram::<u64>::new_with_bounds(1, 1 << 40, 2).unwrap();
            values.iter().for_each(|value| histogram.record(*value).unwrap());
            prop_assert_eq!(decode(&encode(&histogram)).unwrap(), histogram);
        }

        #[test]
        fn no_byte_of_it_changed_makes_it_panic(at in 0_usize..80, byte in any::<u8>()) {
            let mut bytes = plain(&[5, 700, 90_000]);
            let at = at % bytes.len();
            bytes[at] = byte;
            // An error or another histogram; either is an answer.
            if let Ok(histogram) = decode(&wrap(&bytes)) {
                prop_assert!(histogram.len() < u64::MAX);
            }
        }
    }

    #[test]
    fn lengths_that_lie_are_refused_before_memory_is_reserved() {
        let good = plain(&[5]);
        let with = |at: usize, word: u32| {
            let mut bytes = good.clone();
            bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
            wrap(&bytes)
        };
        assert!(decode(&wrap(&good)).is_ok());
        assert!(matches!(decode(&with(4, u32::MAX)), Err(DecodeError::Length)));
        assert!(matches!(decode(&with(12, 5)), Err(DecodeError::Length)));
        assert!(matches!(decode(&with(0, 7)), Err(DecodeError::Header)));
        let bomb = [&good[..], &vec![0; 4 << 20]].concat();
        assert!(matches!(decode(&wrap(&bomb)), Err(DecodeError::Length)));
        let all_ones = [&good[..HEADER], &[0xff; 9]].concat();
        let mut all_ones = all_ones;
        all_ones[4..8].copy_from_slice(&9_u32.to_be_bytes());
        assert!(matches!(decode(&wrap(&all_ones)), Err(DecodeError::Length)));
        assert!(matches!(decode("not base64!"), Err(DecodeError::Base64(_))));
        assert!(matches!(decode(""), Err(DecodeError::Header)));
    }
}
