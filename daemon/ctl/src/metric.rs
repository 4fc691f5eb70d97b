//! The two distributions that the daemon has of every sender and port.

use api::{Distribution, LatencyOf};
use distribution::{DecodeError, decode};
use hdrhistogram::Histogram;

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
    source: DecodeError,
}

/// `worker 3` or `all workers`
pub(crate) fn sender(entry: &LatencyOf) -> String {
    entry.worker.map_or_else(|| "all workers".to_owned(), |worker| format!("worker {worker}"))
}
