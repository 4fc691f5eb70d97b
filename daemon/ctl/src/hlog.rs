//! `barewire latency --hlog FILE`: the whole distributions in the format that HdrHistogram's own
//! tools read.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::Path,
    time::{Duration, SystemTime},
};

use api::Latency;
use distribution::hlog::{self, Interval};

use crate::metric::{Metric, Unreadable};

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HlogError {
    #[error("the file can not be written")]
    Write(#[from] io::Error),
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
    let mut histograms = Vec::new();
    for entry in &latency.entries {
        for metric in Metric::BOTH {
            histograms.push((tag(entry, metric), metric.read(entry)?));
        }
    }
    let interval = |(tag, histogram)| Interval { tag, histogram, after: Duration::ZERO, length };
    let intervals: Vec<Interval<'_>> =
        histograms.iter().map(|(tag, histogram)| interval((tag.as_str(), histogram))).collect();
    let begin = now.checked_sub(length).unwrap_or(SystemTime::UNIX_EPOCH);
    let comment = "barewire latency: nanoseconds per worker and egress port";
    Ok(hlog::write(BufWriter::new(File::create(path)?), comment, begin, &intervals)?)
}

fn tag(entry: &api::LatencyOf, metric: Metric) -> String {
    let worker = entry.worker.map_or_else(|| "all".to_owned(), |worker| format!("w{worker}"));
    format!("{worker}.{}.{}", entry.port, metric.name())
}
