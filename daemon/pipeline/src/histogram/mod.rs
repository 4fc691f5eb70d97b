//! Distributions of durations: one thread records, any thread reads, nobody waits.
//!
//! Values are raw clock ticks; a reader that knows the clock's rate converts them. The scale is log-linear, so that one
//! array serves a cache miss and a stall of a minute:
//!
//! ```text
//!   ticks      0 ……… 127 | 128 …… 255 | 256 …… 511 | 512 … 1023 | … | 2^38 … 2^39
//!   buckets    128       | 128        | 128        | 128        |   | 128            = 4224, 33 KiB
//!   width      1         | 1          | 2          | 4          |   | 2^31
//! ```
//!
//! A bucket is at most 1/128 (0.8 %) of its values wide, so its middle is at most 0.4 % away from any of them. The scale
//! ends at 2^39 ticks, 110 s at 5 GHz; longer durations count in the last bucket, and are counted as saturated.
//!
//! ```
//! let (mut recorder, reader) = pipeline::histogram::new();
//! recorder.record_n(1_000, 900);
//! recorder.record_n(50_000, 100);
//! let seen = reader.snapshot();
//! assert_eq!((seen.count(), seen.max()), (1_000, Some(50_000)));
//! let median = seen.percentile(0.5).unwrap();
//! assert!(median.ticks.abs_diff(1_000) <= 4 && median.confidence == pipeline::histogram::Confidence::Solid);
//! assert_eq!(seen.percentile(0.9999), None, "one frame in ten thousand, out of one thousand");
//! ```

mod export;
mod scale;
mod snapshot;
#[cfg(test)]
mod tests;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use crossbeam::utils::CachePadded;

pub use export::{ExportError, IntervalLog};
pub use snapshot::{Confidence, Percentile, Snapshot};

use crate::single_writer::{add, raise, zeros};

/// The shared cells.
///
/// Written by the one [`Recorder`], read by any [`Reader`]. All relaxed: each cell is a count of its own and publishes
/// nothing else. One writer means that a load and a store lose no count. A snapshot taken while the writer works is the
/// state of each bucket at some moment of the reading; as buckets only grow, every bucket is between its states at the
/// snapshot's start and end, and so is the total, which is their sum and not a cell of its own. `max` is raised before
/// its bucket counts, but a reader may still see the one without the other.
#[derive(Debug)]
struct Cells {
    buckets: Box<[AtomicU64]>,
    extremes: CachePadded<Extremes>,
}

#[derive(Debug, Default)]
struct Extremes {
    max: AtomicU64,
    sum: AtomicU64,
    saturated: AtomicU64,
}

/// The writing end; there is one.
#[derive(Debug)]
pub struct Recorder(Arc<Cells>);

/// A reading end.
#[derive(Debug, Clone)]
pub struct Reader(Arc<Cells>);

/// An empty histogram.
#[must_use]
pub fn new() -> (Recorder, Reader) {
    let cells = Arc::new(Cells {
        buckets: zeros(scale::BUCKETS),
        extremes: CachePadded::new(Extremes::default()),
    });
    (Recorder(Arc::clone(&cells)), Reader(cells))
}

/// A histogram that goes on from what another one has recorded, whose recorder is gone: the same cells would not do, for
/// nobody but a recorder knows that it is the only one.
#[must_use]
pub fn continued(from: &Reader) -> (Recorder, Reader) {
    let Cells { buckets, extremes } = &*from.0;
    let copy = |cell: &AtomicU64| AtomicU64::new(cell.load(Relaxed));
    let cells = Arc::new(Cells {
        buckets: buckets.iter().map(copy).collect(),
        extremes: CachePadded::new(Extremes {
            max: copy(&extremes.max),
            sum: copy(&extremes.sum),
            saturated: copy(&extremes.saturated),
        }),
    });
    (Recorder(Arc::clone(&cells)), Reader(cells))
}

impl Recorder {
    /// Counts `n` durations of `ticks` each. Some nanoseconds, whatever `n` is.
    #[inline]
    pub fn record_n(&mut self, ticks: u64, n: u64) {
        let Cells { buckets, extremes } = &*self.0;
        raise(&extremes.max, ticks);
        add(&extremes.sum, ticks.wrapping_mul(n));
        let index =
            if ticks <= scale::LARGEST { scale::index(ticks) } else { saturated(extremes, n) };
        if let Some(bucket) = buckets.get(index) {
            add(bucket, n);
        }
    }

    /// Another reading end.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader(Arc::clone(&self.0))
    }
}

/// Counts what is beyond the scale, which nothing is as a rule; returns its bucket.
#[cold]
fn saturated(extremes: &Extremes, n: u64) -> usize {
    add(&extremes.saturated, n);
    scale::BUCKETS - 1
}

impl Reader {
    /// What was recorded so far; it may miss what is recorded right now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let Cells { buckets, extremes } = &*self.0;
        let buckets: Vec<u64> = buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let max = extremes.max.load(Relaxed);
        // The maximum of what was counted: a longer one may be on its way.
        let max = match buckets.iter().rposition(|&count| count > 0) {
            Some(highest) if highest < scale::BUCKETS - 1 => {
                let (low, high) = scale::bounds(highest);
                max.clamp(low, high)
            }
            _ => max,
        };
        let (sum, saturated) = (extremes.sum.load(Relaxed), extremes.saturated.load(Relaxed));
        Snapshot::new(buckets, max, sum, saturated)
    }
}
