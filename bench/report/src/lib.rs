//! A run of `barewire-bench` as people read it: one page that needs nothing else, and its plots and tables as files.
//!
//! It reads `result.json` and concludes nothing: which trial counts, what a ratio means and which percentile enough samples
//! stand behind was decided by the bench. Whatever the file says is text to it, and is escaped.
//!
//! ```text
//!  result.json ─► read ─► RunResult ─┬─► verdict    sentences: who is faster, who is slower, how often
//!                                    ├─► samples    distributions of the trials that count ─► pictures ─┐
//!                                    └─► page       report.html ◄───────────────────────────────────────┤
//!                                                   plots/*.svg, *.png, *.csv ◄─────────────────────────┘
//! ```
//!
//! ```no_run
//! use std::path::Path;
//!
//! let result = bench_report::read(Path::new("bench-quick-20260102T030405Z"))?;
//! bench_report::write(&result, Path::new("bench-quick-20260102T030405Z"))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod files;
mod page;
mod pictures;
mod read;
mod samples;
mod shown;
mod table;
mod verdict;

pub use files::{Files, WriteError, write, write_page};
pub use page::page;
pub use read::{ReadError, read};
