//! `barewire latency --hlog FILE`: the whole distributions in the format that HdrHistogram's own
//! tools read.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    time::{Duration, SystemTime},
};

use api::Latency;
use hdrhistogram::serialization::{
    V2DeflateSerializer,
    interval_log::{IntervalLogWriterBuilder, IntervalLogWriterError, Tag},
};

use crate::distribution::{Metric, Unreadable};

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HlogError {
    #[error("the file can not be written")]
    Write(#[from] io::Error),
    #[error("a distribution can not be written")]
    Format(#[source] io::Error),
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
}

/// Writes one interval for each worker, egress port and metric, tagged `w0.north.residence` (`all`
/// in place of `w0` for the sum), that ends at `now` and is `length` long.
pub(crate) fn write(
    path: &Path,
    latency: &Latency,
    now: SystemTime,
    length: Duration,
) -> Result<(), HlogError> {
    // Read all of it before the file is touched.
    let mut intervals = Vec::new();
    for entry in &latency.entries {
        for metric in Metric::BOTH {
            intervals.push((tag(entry, metric), metric.read(entry)?));
        }
    }

    let mut file = BufWriter::new(File::create(path)?);
    let mut serializer = V2DeflateSerializer::new();
    let begin = now.checked_sub(length).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("barewire latency: nanoseconds per worker and egress port")
        .with_start_time(begin)
        .with_base_time(begin)
        .begin_log_with(&mut file, &mut serializer)?;
    for (tag, histogram) in &intervals {
        log.write_histogram(histogram, Duration::ZERO, length, Tag::new(tag)).map_err(|error| {
            match error {
                IntervalLogWriterError::IoError(source) => HlogError::Write(source),
                IntervalLogWriterError::SerializeError(_) => {
                    HlogError::Format(io::ErrorKind::InvalidData.into())
                }
            }
        })?;
    }
    drop(log);
    file.flush()?;
    Ok(())
}

/// The format keeps commas, spaces and line ends for itself.
fn tag(entry: &api::LatencyOf, metric: Metric) -> String {
    let worker = entry.worker.map_or_else(|| "all".to_owned(), |worker| format!("w{worker}"));
    let allowed = |c: char| if c == ',' || c.is_whitespace() || c.is_control() { '_' } else { c };
    format!("{worker}.{}.{}", entry.port.chars().map(allowed).collect::<String>(), metric.name())
}
