//! What a run of `barewire-bench` is asked for, and what it leaves: the plan and `result.json`, as types and as a JSON
//! Schema. It measures nothing and concludes nothing.
//!
//! ```text
//!  plan       groups of arms, loads, sizes: read from TOML, everything that is wrong said at once
//!  arm        the paths, and what each one is
//!  generator  how probes are spaced, what the generator must keep, what it did wrong
//!  trial      one trial: counts, percentiles, distributions, and why it does not count
//!  attribution  what its slowest probes were caught in
//!  throughput what a path carries: searches, RFC 2544, RFC 8219
//!  host       the class of a host, and what it is from
//!  run        all of it: [`run::RunResult`], the text of `result.json`
//!  words      numbers as people read them
//! ```
//! Who reads a result of another version is told so: [`run::SCHEMA`] changes when a field goes or means something else.
//!
//! ```
//! use bench_result::plan::Plan;
//!
//! let plan = Plan::find("quick").unwrap();
//! assert!(plan.groups.iter().all(|group| group.arms.contains(&group.reference)));
//! ```
#![forbid(unsafe_code)]

pub mod arm;
pub mod attribution;
pub mod generator;
pub mod host;
pub mod mix;
pub mod plan;
pub mod run;
pub mod throughput;
pub mod trial;
mod what;
pub mod words;
