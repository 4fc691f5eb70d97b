//! Open-loop probes: frames that leave when they should, whether or not earlier ones came back.
//!
//! One thread sends and receives, with one clock, so a round trip needs no second one. A frame's *response* time counts
//! from when it should have been sent, its *service* time from when it was: a path that stalls also delays what the
//! generator could not send meanwhile, and only the first of them shows it. Lost frames stay in the percentiles as if
//! they had never come back. A round trip is a round trip; nothing is halved.
//!
//! ```text
//!  Schedule ─► when ─┐                          ┌─► Account: lost, twice, out of order, damaged
//!  payload  ─► what ─┼─► run ─► Wire ─► run ────┤
//!  Clock ────────────┘                          └─► Latency: response, service
//! ```
//! [`Wire`] is whatever frames go through: a socket, a DPDK port, or a [`synthetic`] path whose every fault is known.

pub mod account;
pub mod clock;
mod due;
pub mod frame;
pub mod gaps;
pub mod latency;
pub mod payload;
pub mod run;
pub mod schedule;
pub mod synthetic;
pub mod validity;
pub mod wire;

pub use account::Account;
pub use clock::Clock;
pub use latency::Latency;
pub use run::{Plan, Trial, run};
pub use schedule::{Pattern, Schedule};
pub use wire::{Frames, Take, Wire};

#[cfg(test)]
mod tests;
