//! `barewire-tune`: takes a server from stock to one on which a poll-mode worker is left alone, proves it, and can undo
//! every byte.
//!
//! ```text
//!  Source ─► Facts ──┐                     ┌─► report    text, JSON, JUnit, SARIF, Prometheus, HTML
//!  Config ─► Intent ─┼─► checks ─► Finding ┤
//!            Measured┘                     └─► plan ─► Step ─► journal ─► write ─► read back ─► verify / rollback
//! ```
//! Left of the plan nothing changes the machine; each arrow is a value that can be printed. A fact that can not be read
//! is a [`Fact::Unknown`] with its reason, and never counts as good. What a check wants changed is a typed
//! [`Change`](change::Change): the command that a report prints and the step that `apply` takes are the same value.
//!
//! It knows nothing of DPDK: it prepares the machine for it.
//!
//! ```
//! use tuner::{Facts, Intent, Source, checks};
//!
//! let source = Source::system()?;
//! let facts = Facts::read(&source);
//! let intent = Intent::without_config(&facts)?;
//! let findings = checks::run(&checks::Context::new(&facts, &intent));
//! assert!(findings.iter().all(|finding| !finding.seen.is_empty()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod bind;
pub mod boot;
pub mod capture;
pub mod change;
pub mod checks;
pub mod commands;
pub mod cross_check;
pub mod daemon;
pub mod executor;
mod exit;
mod fact;
pub mod facts;
mod finding;
pub mod fleet;
pub mod gate;
pub mod guard;
pub mod hands;
pub mod holders;
mod intent;
pub mod journal;
pub mod keep;
pub mod knob;
pub mod measured;
pub mod measurement;
pub mod plan;
pub mod report;
mod source;
pub mod watch;

pub use exit::Exit;
pub use fact::Fact;
pub use facts::Facts;
pub use finding::{Finding, Risk, Section, Verdict};
pub use intent::{DataPort, Intent, IntentError, Origin, Profile};
pub use measured::Measured;
pub use source::{Choice, Source};
