//! Compares packet paths that do the same work, so that a sceptic can believe the result.
//!
//! A comparison is an experiment: arms take turns on one core in random order with a printed seed; a trial that was disturbed is
//! kept and does not count; one arm has a twin, so that it is known what two equal programs differ by; and what is printed
//! is a ratio with an interval, never an absolute rate. It refuses to compare what does not do the same work.
//!
//! ```text
//!  run          the kernel's paths against those around it: round trips of open-loop probes
//!  peer         barewired against dpdk-testpmd, driven through their own counters
//!  report       a run as a page for a browser
//!  compare      two runs: before and after, here and there
//!  qualify      what this host can be believed about
//!  trex         another generator, of somebody else's making
//!
//!  probe        probes: when they leave, what they carry, what became of them; no I/O
//!  wire         what they go through
//!  mlrsearch    the load that a path carries
//!  program      processes under measurement: started, paused, killed whatever happens
//!  core_time    whether a thread had its CPU to itself
//!  statistics   medians, bootstrap intervals, verdicts; pure
//! ```
//!
//! A new comparison is a folder next to `peer` and a variant of [`cli::Command`].
//!
//! ```
//! use bench::statistics::{Verdict, bootstrap, floor, verdict};
//!
//! let mut random = fastrand::Rng::with_seed(1);
//! // The logarithm of a ratio of rates, one for each block: of two equal programs, and of the two in question.
//! let twins = bootstrap(&[0.002, -0.004, 0.001, -0.001, 0.003], &mut random).unwrap().exp();
//! let ratio = bootstrap(&[0.051, 0.048, 0.055, 0.049, 0.052], &mut random).unwrap().exp();
//! assert_eq!(verdict(&ratio, floor(&twins)), Verdict::Faster);
//! ```
#![forbid(unsafe_code)]

pub use statistics;

pub mod cli;
pub mod compare;
pub mod core_time;
pub mod environment;
pub mod exit;
pub mod handoff;
pub mod http;
pub mod interrupt;
pub mod mlrsearch;
pub mod peer;
pub mod probe;
pub mod program;
pub mod qualify;
pub mod report;
pub mod run;
pub mod say;
pub mod trex;
pub mod wire;
