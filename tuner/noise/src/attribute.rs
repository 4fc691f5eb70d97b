//! Gaps joined with what the kernel did meanwhile.

use crate::{Cause, spin::RawGap};

/// Something that the kernel did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// When, in ticks.
    pub(crate) at: u64,
    /// What.
    pub(crate) what: What,
}

/// What the kernel did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Interrupt { number: u32, name: String },
    Softirq(String),
    Tick,
    Ipi(String),
    Switch { from: String, to: String },
    PageFault,
    Frequency,
}

/// The events of one CPU, in the order of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Events<'a> {
    pub(crate) events: &'a [Event],
    /// None was lost.
    pub(crate) is_whole: bool,
}

/// The names of our own threads: what runs there is not what took the CPU away.
const OURS: &str = "bw-noise-";

/// What happened in a gap, each cause once. Nothing when events were lost and none is left of the gap.
pub(crate) fn causes(gap: RawGap, events: Events<'_>) -> Vec<Cause> {
    let begin = events.events.partition_point(|event| event.at < gap.start);
    let end = gap.start.saturating_add(gap.length);
    let mut causes = Vec::new();
    // Whose fault a page fault is: another thread's, from when it was switched to until we were switched back to.
    let mut is_away = false;
    for event in events.events[begin..].iter().take_while(|event| event.at <= end) {
        match &event.what {
            What::Interrupt { number, name } => {
                causes.push(Cause::Interrupt(format!("{number} {name}")));
            }
            What::Softirq(name) => causes.push(Cause::Softirq(name.clone())),
            What::Tick => causes.push(Cause::Tick),
            What::Ipi(name) => causes.push(Cause::Ipi(name.clone())),
            What::Switch { to, .. } => {
                is_away = !to.starts_with(OURS);
                if is_away {
                    causes.push(Cause::Switch(to.clone()));
                }
            }
            What::PageFault if is_away => {}
            What::PageFault => causes.push(Cause::PageFault),
            What::Frequency => causes.push(Cause::Frequency),
        }
    }
    causes.sort();
    causes.dedup();
    if causes.is_empty() && events.is_whole {
        causes.push(Cause::Outside);
    }
    causes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(at: u64, what: What) -> Event {
        Event { at, what }
    }

    #[test]
    fn a_gap_has_the_causes_that_lie_in_it_once() {
        let to = |name: &str| What::Switch { from: "bw-noise-1".to_owned(), to: name.to_owned() };
        let events = [
            event(10, What::Tick),
            event(100, What::Tick),
            event(110, to("kworker/1:0")),
            event(140, What::Tick),
            event(
                150,
                What::Switch { from: "kworker/1:0".to_owned(), to: "bw-noise-1".to_owned() },
            ),
            event(300, What::PageFault),
        ];
        let all = Events { events: &events, is_whole: true };
        let of = |start, length| causes(RawGap { start, length }, all);

        assert_eq!(of(90, 70), [Cause::Switch("kworker/1:0".to_owned()), Cause::Tick]);
        assert_eq!(of(290, 20), [Cause::PageFault]);
        assert_eq!(of(200, 50), [Cause::Outside]);
    }

    #[test]
    fn a_page_fault_of_who_ran_meanwhile_is_not_ours() {
        let to = |name: &str| What::Switch { from: String::new(), to: name.to_owned() };
        let events = [
            event(10, to("rustc")),
            event(20, What::PageFault),
            event(30, to("bw-noise-1")),
            event(50, What::PageFault),
        ];
        let of = |start, length| {
            causes(RawGap { start, length }, Events { events: &events, is_whole: true })
        };

        assert_eq!(of(5, 30), [Cause::Switch("rustc".to_owned())]);
        assert_eq!(of(40, 20), [Cause::PageFault]);
    }

    #[test]
    fn nothing_is_said_of_a_silent_gap_when_events_were_lost() {
        let lost = Events { events: &[], is_whole: false };

        assert_eq!(causes(RawGap { start: 1, length: 5 }, lost), []);
    }

    proptest! {
        #[test]
        fn an_event_is_a_cause_exactly_when_it_lies_in_the_gap(at in 0..1000_u64, start in 0..1000_u64, length in 0..1000_u64) {
            let events = [event(at, What::Frequency)];
            let found = causes(RawGap { start, length }, Events { events: &events, is_whole: true });
            let is_inside = start <= at && at <= start + length;
            prop_assert_eq!(found.contains(&Cause::Frequency), is_inside);
        }
    }
}
