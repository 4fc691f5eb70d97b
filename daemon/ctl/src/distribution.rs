//! Distributions as they come over the socket: decoded with bounds, and subtracted.

use std::io::{self, Read};

use api::{Distribution, LatencyOf};
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
pub(crate) enum DistributionError {
    #[error("it is not base64")]
    Base64(#[source] base64::DecodeError),
    #[error("it is not a compressed HdrHistogram V2")]
    Header,
    #[error("it does not decompress")]
    Inflate(#[source] io::Error),
    #[error("its length is not what its header says, or it is larger than any of three digits")]
    Length,
    #[error("its counts do not decode")]
    Counts(#[source] hdrhistogram::serialization::DeserializeError),
}

/// Decodes HdrHistogram V2, deflated, in base64.
///
/// The library's own decoder takes the lengths in the header at their word; they are checked here
/// before it sees them, so that no text makes it reserve gigabytes.
fn decode(text: &str) -> Result<Histogram<u64>, DistributionError> {
    let bytes = BASE64.decode(text).map_err(DistributionError::Base64)?;
    let (cookie, rest) = bytes.split_first_chunk().ok_or(DistributionError::Header)?;
    let (length, deflated) = rest.split_first_chunk().ok_or(DistributionError::Header)?;
    if u32::from_be_bytes(*cookie) != COMPRESSED {
        return Err(DistributionError::Header);
    }
    if u32::from_be_bytes(*length) as usize != deflated.len() {
        return Err(DistributionError::Length);
    }

    let mut plain = Vec::new();
    ZlibDecoder::new(deflated)
        .take(LARGEST_PAYLOAD + 1)
        .read_to_end(&mut plain)
        .map_err(DistributionError::Inflate)?;
    check_plain(&plain)?;
    Deserializer::new().deserialize(&mut plain.as_slice()).map_err(DistributionError::Counts)
}

fn check_plain(plain: &[u8]) -> Result<(), DistributionError> {
    let word = |at: usize| plain.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    let word = |at| word(at).map(u32::from_be_bytes).ok_or(DistributionError::Header);
    if word(0)? != PLAIN {
        return Err(DistributionError::Header);
    }
    let payload = plain.get(HEADER..).ok_or(DistributionError::Header)?;
    let digits = word(12)?;
    if plain.len() as u64 > LARGEST_PAYLOAD || word(4)? as usize != payload.len() || digits > 3 {
        return Err(DistributionError::Length);
    }
    // The longest varint with all bits set is the one number that the decoder can not negate. No
    // count below 2⁶² has nine such bytes.
    if payload.windows(9).any(|bytes| bytes == [0xff; 9]) {
        return Err(DistributionError::Length);
    }
    Ok(())
}

/// The other way round.
pub(crate) fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(histogram, &mut bytes)
        .expect("a Vec takes what a histogram of a few thousand counts needs");
    BASE64.encode(bytes)
}

/// One of the two times that are measured of every frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    Residence,
    Bound,
}

impl Metric {
    pub(crate) const BOTH: [Self; 2] = [Self::Residence, Self::Bound];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Residence => "residence",
            Self::Bound => "bound",
        }
    }

    pub(crate) fn of(self, entry: &LatencyOf) -> &Distribution {
        match self {
            Self::Residence => &entry.residence,
            Self::Bound => &entry.bound,
        }
    }

    /// The whole distribution of an entry.
    pub(crate) fn read(self, entry: &LatencyOf) -> Result<Histogram<u64>, Unreadable> {
        decode(&self.of(entry).hdr_v2).map_err(|source| Unreadable {
            metric: self.name(),
            of: format!("{} → {}", sender(entry), entry.port),
            source,
        })
    }
}

/// A distribution whose text does not decode.
#[derive(Debug, thiserror::Error)]
#[error("the {metric} histogram of {of} can not be read")]
pub(crate) struct Unreadable {
    metric: &'static str,
    of: String,
    source: DistributionError,
}

/// `worker 3` or `all workers`
pub(crate) fn sender(entry: &LatencyOf) -> String {
    entry.worker.map_or_else(|| "all workers".to_owned(), |worker| format!("worker {worker}"))
}

/// The percentiles that are shown.
pub(crate) const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 99.999];

/// What came between two readings; nothing when the second is not a continuation of the first.
pub(crate) fn since(earlier: &Histogram<u64>, later: &Histogram<u64>) -> Option<Histogram<u64>> {
    let mut between = later.clone();
    between.subtract(earlier).ok()?;
    Some(between)
}

/// The figures of a distribution, by the rule the daemon has: a percentile needs ten samples beyond
/// it to be shown, and a hundred to be firm.
pub(crate) fn figures(histogram: &Histogram<u64>, hdr_v2: String) -> Distribution {
    let count = histogram.len();
    let percentiles = PERCENTILES.iter().filter_map(|&percentile| {
        #[expect(clippy::cast_precision_loss, reason = "compared with 10 and 100")]
        let beyond = count as f64 * (100.0 - percentile) / 100.0;
        // Percentiles are not exact in binary: 10,000 × (100 − 99.9) % is a hair under 10.
        let beyond = beyond + 1e-6;
        (beyond >= 10.0).then(|| api::Percentile {
            percentile,
            ns: histogram.value_at_percentile(percentile),
            weak: beyond < 100.0,
        })
    });
    Distribution {
        count,
        min_ns: histogram.min(),
        mean_ns: histogram.mean(),
        max_ns: histogram.max(),
        percentiles: percentiles.collect(),
        hdr_v2,
    }
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
        assert!(matches!(decode(&with(4, u32::MAX)), Err(DistributionError::Length)));
        assert!(matches!(decode(&with(12, 5)), Err(DistributionError::Length)));
        assert!(matches!(decode(&with(0, 7)), Err(DistributionError::Header)));
        let bomb = [&good[..], &vec![0; 4 << 20]].concat();
        assert!(matches!(decode(&wrap(&bomb)), Err(DistributionError::Length)));
        let all_ones = [&good[..HEADER], &[0xff; 9]].concat();
        let mut all_ones = all_ones;
        all_ones[4..8].copy_from_slice(&9_u32.to_be_bytes());
        assert!(matches!(decode(&wrap(&all_ones)), Err(DistributionError::Length)));
        assert!(matches!(decode("not base64!"), Err(DistributionError::Base64(_))));
        assert!(matches!(decode(""), Err(DistributionError::Header)));
    }

    #[test]
    fn a_percentile_needs_ten_samples_beyond_it() {
        let shown = |count: u64| {
            let mut histogram = Histogram::<u64>::new(2).unwrap();
            histogram.record_n(100, count).unwrap();
            let figures = figures(&histogram, String::new());
            figures.percentiles.iter().map(|p| (p.percentile, p.weak)).collect::<Vec<_>>()
        };
        assert_eq!(shown(0), []);
        assert_eq!(shown(19), []);
        assert_eq!(shown(20), [(50.0, true)]);
        assert_eq!(shown(1_000), [(50.0, false), (90.0, false), (99.0, true)]);
        assert_eq!(shown(10_000).last(), Some(&(99.9, true)));
        assert_eq!(shown(9_999).last(), Some(&(99.0, true)));
        assert_eq!(shown(10_000_000).last(), Some(&(99.999, false)));
    }

    #[test]
    fn the_difference_of_two_readings_is_what_came_between() {
        let mut earlier = Histogram::<u64>::new_with_bounds(1, 1 << 40, 2).unwrap();
        earlier.record_n(100, 5).unwrap();
        let mut later = earlier.clone();
        later.record_n(90_000, 3).unwrap();
        let between = since(&earlier, &later).unwrap();
        assert_eq!((between.len(), between.count_between(1, 1_000)), (3, 0));
        assert!(since(&later, &earlier).is_none(), "the daemon was restarted in between");
    }
}
