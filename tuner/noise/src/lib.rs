//! What a host does to a thread that wants to be left alone, measured.
//!
//! ```text
//!  spin ──► gaps of each CPU ─┐
//!  trace ─► what the kernel did ┴─► attribute ─► Gap { length, causes }
//!  counters of each thread ─► Cost
//!  wakeup, crossing, ipi, memory, loopback ─► histograms of nanoseconds
//! ```
//! [`spin`](spin::spin) asks what a poll loop would see: how long a thread that does nothing but read the clock is not
//! running. Where the kernel lets us trace it, each gap is joined with what ran meanwhile; where not, the reason is said
//! and nothing is guessed. The others ask what a wake-up, a message between cores, an interrupt between cores, a miss
//! and a datagram cost here.
//!
//! Everything runs on the CPUs that are named, and nothing outlives the call.
//!
//! ```
//! use std::time::Duration;
//! use noise::spin::{Options, spin};
//!
//! let cpus = linux::thread::affinity()?;
//! let over = Duration::from_millis(50);
//! let noise = spin(&Options { cpus: cpus.clone(), over, threshold: None, trace: false })?;
//! assert_eq!(noise.cpus.len(), cpus.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod attribute;
mod cost;
pub mod crossing;
mod gap;
pub mod loopback;
pub mod memory;
pub mod spin;
mod trace;
pub mod wakeup;

pub use cost::{Cost, Rate};
pub use gap::{Cause, CpuNoise, Gap, Noise};

use config::CpuId;
use hdrhistogram::Histogram;
use linux::{clock::CalibrationError, thread::AffinityError};

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The clock can not be trusted.
    #[error("the CPU's clock can not be used")]
    Clock(#[from] CalibrationError),
    /// A thread may not run where it should.
    #[error("cannot measure on CPU {cpu}")]
    Affinity {
        /// The CPU.
        cpu: CpuId,
        /// Why.
        source: AffinityError,
    },
    /// There is nothing to measure on.
    #[error("{what} needs {needed} CPUs, and {given} were named")]
    TooFewCpus {
        /// What was to be measured.
        what: &'static str,
        /// How many it needs.
        needed: usize,
        /// How many there are.
        given: usize,
    },
    /// The system refused.
    #[error("cannot measure {what}")]
    System {
        /// What was to be measured.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A thread that measured died.
    #[error("a measuring thread died")]
    Died,
}

/// A histogram of nanoseconds up to a minute, with an error of 0.1 %.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3)
        .expect("one, a minute and three digits are bounds")
}

/// Counts a time; what is longer than a minute is a minute.
fn record(histogram: &mut Histogram<u64>, nanoseconds: u64) {
    histogram.saturating_record(nanoseconds.max(1));
}
