//! Distributions of times: figures, text over sockets, files and pictures.
//!
//! A distribution is an [`hdrhistogram::Histogram`] of nanoseconds. This crate says what may be said of it, and writes
//! it for people and for HdrHistogram's own tools. It measures nothing.
//!
//! ```text
//!  Histogram ─┬─► figures      percentiles that enough samples stand behind
//!             ├─► encode/decode  base64, for JSON; bounded against hostile text
//!             ├─► hlog, hgrm     files that other tools read
//!             └─► draw           lines for a terminal
//! ```
//!
//! ```
//! let mut histogram = hdrhistogram::Histogram::<u64>::new(2)?;
//! histogram.record_n(800, 100)?;
//! let text = distribution::encode(&histogram);
//! assert_eq!(distribution::decode(&text)?, histogram);
//! assert_eq!(distribution::figures(&histogram, text).percentiles[0].ns, 803);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod codec;
mod draw;
mod figures;
pub mod hgrm;
pub mod hlog;

pub use codec::{DecodeError, decode, encode};
pub use draw::{Series, draw};
pub use figures::{PERCENTILES, figures, since};
