//! One slice: an arm has the CPU for a short while, and its counters are read at both ends.
//!
//! ```text
//!  continue ─► settle ─► reading ─► the slice's time ─► reading ─► stop (SIGSTOP)
//! ```
//!
//! All arms of a block are alive at once and take turns in slices of some tens of milliseconds, in random order. A machine
//! changes its speed for seconds at a time (a neighbour on the same core, a clock step): in turns as short as these, all
//! arms get their share of every mood, where runs of a second each would compare moods.

use std::time::Duration;

use serde::Serialize;

use super::{
    case::Arm,
    reading::{Interval, between},
    running::{Lab, Running},
};
use crate::{core_time::Disturbance, program::ProgramError};

/// From the start signal to the first reading: caches, branch predictors and the program's own timers come back.
pub const SETTLE: Duration = Duration::from_millis(5);

/// The share of a slice for which something else may have had the CPU.
const WAITED: f64 = 0.01;

/// One slice.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slice {
    /// Whose it is.
    pub arm: Arm,
    /// Which round of the block; round 0 is the warm-up.
    pub round: usize,
    /// It does not count: caches were cold.
    pub is_warm_up: bool,
    /// What was counted.
    pub interval: Interval,
    /// What disturbed the thread on the measured CPU.
    pub disturbance: Option<Disturbance>,
    /// Why it does not count; empty when it does.
    pub faults: Vec<String>,
}

impl Slice {
    /// Does it count?
    #[must_use]
    pub fn is_valid(&self) -> bool {
        !self.is_warm_up && self.faults.is_empty()
    }
}

/// Gives an arm the CPU for a slice.
///
/// # Errors
/// When the program died or does not answer.
pub fn slice(
    lab: &Lab,
    running: &mut Running,
    egress: &[usize],
    round: usize,
    time: Duration,
) -> Result<Slice, ProgramError> {
    running.resume()?;
    lab.interrupt.pass(SETTLE)?;
    let undisturbed = disturbance(running);
    let before = running.read(&lab.interrupt)?;
    lab.interrupt.pass(time)?;
    let after = running.read(&lab.interrupt)?;
    let disturbed = disturbance(running);
    running.pause()?;

    let interval = between(&before, &after, egress);
    let disturbance = undisturbed.zip(disturbed).map(|(before, after)| after.since(&before));
    let mut faults = interval.faults.clone();
    faults.extend(disturbance.iter().flat_map(|found| complaints(found, time)));
    Ok(Slice { arm: running.arm, round, is_warm_up: round == 0, interval, disturbance, faults })
}

/// What the pinned thread has been through; `None` when there is none to watch, or it can not be watched.
fn disturbance(running: &Running) -> Option<Disturbance> {
    running.pinned().and_then(|pinned| pinned.read().ok())
}

fn complaints(found: &Disturbance, time: Duration) -> Vec<String> {
    let mut complaints = Vec::new();
    let waited = Duration::from_nanos(found.waited_ns);
    if waited > time.mul_f64(WAITED) {
        let times = found.preempted;
        complaints.push(format!("something else had the CPU for {waited:?} ({times} times)"));
    }
    if found.stolen_ticks > 0 {
        complaints
            .push(format!("the hypervisor gave {} ms of the CPU away", found.stolen_ticks * 10));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundredth_of_the_slice_may_be_lost_and_no_tick_stolen() {
        let time = Duration::from_millis(50);
        let waited = |waited_ns| Disturbance { waited_ns, preempted: 3, stolen_ticks: 0 };
        assert!(complaints(&waited(500_000), time).is_empty());
        assert_eq!(complaints(&waited(500_001), time).len(), 1);
        assert_eq!(complaints(&Disturbance { stolen_ticks: 1, ..waited(0) }, time).len(), 1);
    }
}
