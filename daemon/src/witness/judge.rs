//! How much the counts say about the cause of stalls.

use std::cmp::Reverse;

use api::{EventKind, KernelEvent, Verdict};

/// One thing is the cause when its time is at least so much of the stalls': numerator and denominator.
const NEARLY_ALL: (u64, u64) = (3, 4);

/// Puts what says most first, and says how much that is. The stalls are all of the worker in the same time.
pub(super) fn judge(events: &mut [KernelEvent], stalls: u64, stalled_ns: u64) -> Verdict {
    // A time says more than a count; what is rare is more likely to be what happened in rare stalls; and software
    // interrupts are what interrupts, or the worker's own system calls, left to do.
    events.sort_by_key(|event| {
        let is_softirq = event.kind == EventKind::Softirq;
        (Reverse(explains(event, stalled_ns)), is_softirq, event.count, event.kind)
    });
    let Some(first) = events.first() else { return Verdict::Nothing };
    if explains(first, stalled_ns) {
        return Verdict::Cause;
    }
    let is_alone = match first.kind {
        // What it left to do is its own.
        EventKind::Interrupt => events[1..].iter().all(|event| event.kind == EventKind::Softirq),
        _ => events.len() == 1,
    };
    // A time that is known and too short says that it was not this alone.
    let is_enough = first.count >= stalls && first.time_ns.is_none();
    if is_alone && is_enough { Verdict::Cause } else { Verdict::Suspects }
}

/// Its time is nearly all that the stalls took.
fn explains(event: &KernelEvent, stalled_ns: u64) -> bool {
    let (some, all) = NEARLY_ALL;
    let wanted = u128::from(stalled_ns) * u128::from(some);
    event.time_ns.is_some_and(|time| time > 0 && u128::from(time) * u128::from(all) >= wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::witness::tests::event;

    /// The verdict, and what stands first.
    fn judged(mut events: Vec<KernelEvent>, stalls: u64, stalled_ns: u64) -> (Verdict, String) {
        let verdict = judge(&mut events, stalls, stalled_ns);
        let first = events.first().map(|event| format!("{:?} {}", event.kind, event.name));
        (verdict, first.unwrap_or_default().trim_end().to_owned())
    }

    fn preempted(count: u64, time_ns: u64) -> KernelEvent {
        event(EventKind::Preempted, "", count, Some(time_ns))
    }

    fn interrupt(name: &str, count: u64) -> KernelEvent {
        event(EventKind::Interrupt, name, count, None)
    }

    fn softirq(name: &str, count: u64) -> KernelEvent {
        event(EventKind::Softirq, name, count, None)
    }

    #[test]
    fn time_that_fits_is_the_cause_whatever_else_was_counted() {
        let others = || vec![interrupt("LOC", 1), softirq("TIMER", 1)];
        let with = |time| [vec![preempted(1, time)], others()].concat();
        assert_eq!(judged(with(750), 1, 1000), (Verdict::Cause, "Preempted".to_owned()));
        assert_eq!(judged(with(749), 1, 1000).0, Verdict::Suspects);
        // Nothing took no time.
        assert_eq!(judged(with(0), 1, 0).0, Verdict::Suspects);
    }

    #[test]
    fn one_thing_alone_is_the_cause_if_there_is_one_for_each_stall() {
        assert_eq!(judged(vec![interrupt("34", 2)], 2, 9), (Verdict::Cause, "Interrupt 34".into()));
        assert_eq!(judged(vec![interrupt("34", 1)], 2, 9).0, Verdict::Suspects);
        assert_eq!(judged(vec![softirq("RCU", 3)], 2, 9).0, Verdict::Cause);
        // It waited, but for too short a time.
        assert_eq!(judged(vec![preempted(1, 10)], 1, 1000).0, Verdict::Suspects);
    }

    #[test]
    fn what_an_interrupt_left_to_do_is_its_own() {
        let events = vec![softirq("TIMER", 1), softirq("SCHED", 1), interrupt("LOC", 5)];
        assert_eq!(judged(events, 3, 9), (Verdict::Cause, "Interrupt LOC".to_owned()));
        assert_eq!(judged(vec![softirq("A", 1), softirq("B", 1)], 1, 9).0, Verdict::Suspects);
    }

    #[test]
    fn several_are_suspects_and_the_rarest_is_first() {
        let events = vec![interrupt("LOC", 100), interrupt("34", 1), softirq("NET_RX", 1)];
        assert_eq!(judged(events, 1, 9), (Verdict::Suspects, "Interrupt 34".to_owned()));
        assert_eq!(judged(vec![], 1, 9), (Verdict::Nothing, String::new()));
    }
}
