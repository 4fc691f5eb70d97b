//! Distributions in the format that HdrHistogram's own tools read: an interval log.

use std::{
    io::{self, Write},
    time::{Duration, SystemTime},
};

use hdrhistogram::{
    Histogram,
    serialization::{
        V2DeflateSerializer,
        interval_log::{IntervalLogWriterBuilder, IntervalLogWriterError, Tag},
    },
};

/// One distribution of a log.
#[derive(Debug, Clone, Copy)]
pub struct Interval<'a> {
    /// What it is of. The format keeps commas, blanks and line ends for itself; they become `_`.
    pub tag: &'a str,
    /// Nanoseconds.
    pub histogram: &'a Histogram<u64>,
    /// When it begins, behind the log's own beginning.
    pub after: Duration,
    /// How long it is.
    pub length: Duration,
}

/// Writes a log that begins at `begin`.
///
/// # Errors
/// What `out` answers; `InvalidData` for a histogram that can not be written, of which there is none.
pub fn write(
    out: impl Write,
    comment: &str,
    begin: SystemTime,
    intervals: &[Interval<'_>],
) -> io::Result<()> {
    let mut out = out;
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(comment)
        .with_start_time(begin)
        .with_base_time(begin)
        .begin_log_with(&mut out, &mut serializer)?;
    for Interval { tag, histogram, after, length } in intervals {
        let tag = tag.replace(|c: char| c == ',' || c.is_whitespace() || c.is_control(), "_");
        log.write_histogram(histogram, *after, *length, Tag::new(&tag)).map_err(
            |error| match error {
                IntervalLogWriterError::IoError(source) => source,
                IntervalLogWriterError::SerializeError(_) => io::ErrorKind::InvalidData.into(),
            },
        )?;
    }
    drop(log);
    out.flush()
}
