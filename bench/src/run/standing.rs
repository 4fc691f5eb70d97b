//! When the loops of a path stood still in a trial, and why, as far as its program says so.

use std::{collections::BTreeMap, time::Duration};

use config::CpuId;

use super::{
    attribution::{Standstill, counted},
    start::{Lab, Running},
};
use crate::{
    probe::{clock::Counter, gaps::Gap},
    program::{Deadline, ProgramError},
};

/// How long the daemon is waited for to look at what the kernel counted: it does so some ten times a second.
const LOOKS: Duration = Duration::from_millis(300);

/// Between two questions about that.
const STEP: Duration = Duration::from_millis(50);

/// Who stood still, and when, besides the generator.
#[derive(Debug)]
pub struct Standing {
    /// barewired's.
    pub workers: Vec<Worker>,
    /// Does the path tell of its gaps at all?
    pub is_told: bool,
    /// The generator's CPU.
    pub generator: CpuId,
}

/// One of barewired's workers.
#[derive(Debug)]
pub struct Worker {
    /// Its number.
    pub number: usize,
    /// The CPU it turns on.
    pub cpu: u32,
    /// When it stood still, in the order of time.
    pub gaps: Vec<Standstill>,
}

/// What the daemon says of its gaps since then, once it has looked at what the kernel counted meanwhile.
///
/// # Errors
/// When the daemon does not answer, or somebody wants us to end.
pub fn stood_still(
    lab: &Lab,
    running: &Running<'_>,
    after: &[u64],
    clock: &Counter,
    begin: u64,
) -> Result<Vec<Worker>, ProgramError> {
    // Those that came since the trial ended are none of ours, and the last of ours is looked at when they begin.
    let over = linux::clock::ticks();
    let deadline = Deadline::after(LOOKS);
    loop {
        let Some(stalls) = running.work.stalls(Some(after))? else { return Ok(Vec::new()) };
        let mut ours = stalls.stalls.iter().rev().skip_while(|stall| stall.start_ticks >= over);
        let is_looked_at = ours.next().is_none_or(|last| last.meanwhile.is_some());
        if is_looked_at || deadline.has_passed() {
            return Ok(workers(&stalls, clock, begin));
        }
        lab.interrupt.pass(STEP)?;
    }
}

/// The daemon's gaps in ns of the trial: both read the same counter.
fn workers(stalls: &api::Stalls, clock: &Counter, begin: u64) -> Vec<Worker> {
    let mut found: BTreeMap<(usize, u32), Vec<Standstill>> = BTreeMap::new();
    for stall in &stalls.stalls {
        let at = clock.at(stall.start_ticks);
        // One that began before the trial and lasted into it.
        let (at, end) = (at.saturating_sub(begin), (at + stall.length_ns).saturating_sub(begin));
        if end > at {
            let gap = Gap { at, length: end - at };
            let counted = stall.meanwhile.as_ref().and_then(|it| counted(it, stall.length_ns));
            found.entry((stall.worker, stall.cpu)).or_default().push(Standstill { gap, counted });
        }
    }
    let worker = |((number, cpu), gaps)| Worker { number, cpu, gaps };
    found.into_iter().map(worker).collect()
}

#[cfg(test)]
mod tests {
    use linux::clock::ticks;

    use super::*;
    use crate::run::attribution::Cause;

    #[test]
    fn a_workers_gaps_are_in_the_time_of_the_trial_with_what_was_counted_in_them() {
        let clock = Counter::start(Duration::from_millis(20)).unwrap();
        let begun = ticks();
        let begin = clock.at(begun);
        let stall = |worker, cpu, start_ticks, length_ns, meanwhile| api::Stall {
            worker,
            cpu,
            sequence: 1,
            start_ticks,
            start_unix_ns: 0,
            length_ns,
            pending: 0,
            saturated: false,
            meanwhile,
        };
        let preempted = api::KernelEvent {
            kind: api::EventKind::Preempted,
            name: String::new(),
            count: 1,
            time_ns: Some(900),
        };
        let meanwhile = api::Meanwhile {
            window_ns: 100_000_000,
            stalls: 1,
            stalled_ns: 1_000,
            verdict: api::Verdict::Cause,
            events: vec![preempted],
            unlisted: 0,
        };
        let earlier = begun - (begun - clock.begin()) / 2;
        let stalls = vec![
            // Over before the trial; lasting into it; in it.
            stall(0, 1, earlier, 1, None),
            stall(0, 1, earlier, begin - clock.at(earlier) + 500, None),
            stall(
                0,
                1,
                begun + clock.rate().from_duration(Duration::from_nanos(2_000)),
                1_000,
                Some(meanwhile),
            ),
            stall(1, 3, begun, 70, None),
        ];
        let said = api::Stalls {
            schema: 1,
            threshold_ns: 10,
            next: vec![4, 1],
            lost: 0,
            total: stalls.len() as u64,
            stalls,
        };

        let found = workers(&said, &clock, begin);

        let [first, second] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((first.number, first.cpu, second.number, second.cpu), (0, 1, 1, 3));
        let [into, within] = first.gaps.as_slice() else { panic!("{found:?}") };
        assert_eq!(*into, Standstill::from(Gap { at: 0, length: 500 }));
        assert!(within.gap.at.abs_diff(2_000) <= 1 && within.gap.length == 1_000, "{within:?}");
        assert_eq!(within.counted, Some(Cause::Preempted));
        assert_eq!(second.gaps, [Gap { at: 0, length: 70 }.into()]);
    }
}
