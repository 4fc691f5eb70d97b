//! What the pages of the control socket say: functions from the daemon's [`State`] to the types of the `api` crate.
//!
//! They read; no worker notices. Nothing is kept between two answers but the earlier reading of each ring and the
//! number of violations.

mod balance;
mod counters;
mod drops;
mod latency;
mod stalls;
mod status;

#[cfg(test)]
mod tests;

pub(crate) use balance::balance;
pub(crate) use counters::{counters, ports, stages};
pub(crate) use drops::drops;
pub(crate) use latency::latency;
pub(crate) use stalls::stalls;
pub(crate) use status::status;

use crate::state::State;

/// Nanoseconds since the daemon's start.
fn at_ns(state: &State<'_>) -> u64 {
    u64::try_from(state.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// A mean of ticks in nanoseconds.
#[expect(clippy::cast_precision_loss, reason = "a mean of measurements")]
fn mean_ns(state: &State<'_>, ticks: f64) -> f64 {
    ticks * 1e9 / state.clock.rate.hz() as f64
}
