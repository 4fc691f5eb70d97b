//! Pictures of latency: plain numbers in, SVG text or PNG bytes out.
//!
//! It knows how such numbers want to be seen (times on a logarithmic axis, percentiles by their nines, a loss of zero as
//! a place of its own) and nothing about where they come from. It doesn't decide what may be said: which percentiles
//! enough samples stand behind, which trials are valid, what an interval means is the caller's to know.
//!
//! ```text
//!  Curve ──► percentiles ─────────────┐
//!  Series ─► maxima_over_time         │
//!            latency_against_load     ├─► Plot ─► svg()     a file of its own, light or dark as its reader likes
//!            loss_against_load        │       ├─► inline()  for a page that has STYLE, or its own, in its head
//!  Ratio ──► ratios                   │       └─► png()     the same picture, lettered with a font built in
//!  Gaps ───► gaps ────────────────────┘
//! ```
//!
//! Numbers that have no place on an axis (not finite, a percentile beyond 100 %, …) are left out and counted below the
//! picture. Names may hold anything: they are escaped, and cut where they would not fit.
//!
//! ```
//! use plots::{Caption, Curve, percentiles};
//!
//! let mut histogram = hdrhistogram::Histogram::<u64>::new(3)?;
//! for ns in 1_000..2_000 {
//!     histogram.record(ns)?;
//! }
//! let plot = percentiles(Caption::titled("round trip"), &[Curve::of("daemon", &histogram)]);
//! assert!(plot.svg().starts_with("<svg"));
//! assert!(plot.png(1.0)?.starts_with(b"\x89PNG"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod axis;
mod canvas;
mod curves;
mod data;
mod forest;
mod gaps;
mod ink;
mod legend;
mod plot;
mod sheet;
mod text;
mod xml;

pub use curves::{latency_against_load, loss_against_load, maxima_over_time, percentiles};
pub use data::{Bar, Caption, Curve, Gaps, Ratio, Series, Width};
pub use forest::{Forest, ratios};
pub use gaps::gaps;
pub use ink::STYLE;
pub use plot::{Plot, PngError};
