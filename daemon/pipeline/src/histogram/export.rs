//! The HdrHistogram formats, for its many tools.

use std::time::{Duration, SystemTime};

use base64::{Engine, engine::general_purpose::STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{
        Serializer, V2DeflateSerializer,
        interval_log::{IntervalLogWriterBuilder, Tag},
    },
};

use super::Snapshot;

/// One hour, in nanoseconds: longer values are recorded as this.
const LONGEST: u64 = 3_600_000_000_000;
/// The exported scale keeps three decimal digits: 0.1 %.
const DIGITS: u8 = 3;

/// A histogram could not be written in a HdrHistogram format.
#[derive(Debug, thiserror::Error)]
#[error("the histogram can not be written as text")]
pub struct ExportError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl ExportError {
    fn new(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self(Box::new(source))
    }
}

impl Snapshot {
    /// The same distribution as a HdrHistogram of nanoseconds, 1 ns to 1 h with three digits; its maximum is exact to
    /// those digits.
    ///
    /// # Panics
    /// Never: the bounds are constants.
    #[must_use]
    pub fn to_hdr(&self, nanoseconds: impl Fn(u64) -> u64) -> Histogram<u64> {
        let mut hdr = Histogram::new_with_bounds(1, LONGEST, DIGITS)
            .expect("1 to an hour with three digits is a valid range");
        let mut left = self.iter().peekable();
        while let Some((ticks, count)) = left.next() {
            // One of the highest bucket is the maximum itself.
            let exact = u64::from(left.peek().is_none());
            hdr.saturating_record_n(nanoseconds(ticks), count - exact);
            if exact == 1 {
                hdr.saturating_record(nanoseconds(self.max().unwrap_or(ticks)));
            }
        }
        hdr
    }

    /// The distribution in nanoseconds as HdrHistogram's compressed V2 encoding, in base64.
    ///
    /// # Errors
    /// [`ExportError`], if the encoder fails.
    pub fn to_base64(&self, nanoseconds: impl Fn(u64) -> u64) -> Result<String, ExportError> {
        let mut bytes = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.to_hdr(nanoseconds), &mut bytes)
            .map_err(ExportError::new)?;
        Ok(STANDARD.encode(bytes))
    }
}

/// One interval of one histogram in a `.hlog` text.
#[derive(Debug)]
pub struct IntervalLog<'a> {
    /// Tells this histogram from others in the same log: `worker-2.south.residence`. No comma, space or line end, and
    /// not empty; other characters are replaced by `_`.
    pub tag: &'a str,
    /// From the log's start to the interval's.
    pub offset: Duration,
    /// The interval's length.
    pub length: Duration,
    /// What happened in it, in nanoseconds.
    pub histogram: &'a Histogram<u64>,
}

impl IntervalLog<'_> {
    /// The whole log as text, with its header: one line per interval, `offset` counted from `start`. Maxima are in
    /// milliseconds.
    ///
    /// # Errors
    /// [`ExportError`], if the encoder fails.
    pub fn text(start: SystemTime, intervals: &[IntervalLog<'_>]) -> Result<String, ExportError> {
        let mut bytes = Vec::new();
        let mut serializer = V2DeflateSerializer::new();
        let mut log = IntervalLogWriterBuilder::new()
            .with_start_time(start)
            .with_base_time(start)
            .with_max_value_divisor(1e6)
            .begin_log_with(&mut bytes, &mut serializer)
            .map_err(ExportError::new)?;
        for interval in intervals {
            let tag: String = interval.tag.chars().map(plain).collect();
            log.write_histogram(
                interval.histogram,
                interval.offset,
                interval.length,
                Tag::new(&tag),
            )
            .map_err(|error| ExportError(format!("{error:?}").into()))?;
        }
        String::from_utf8(bytes).map_err(ExportError::new)
    }
}

/// A character that a tag may have.
fn plain(c: char) -> char {
    if matches!(c, ',' | ' ' | '\r' | '\n') { '_' } else { c }
}
