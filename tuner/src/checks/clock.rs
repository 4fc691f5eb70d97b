//! Clocks, ticks and watchdogs.

use super::{Check, Context, Outcome};
use crate::{Fact, Risk, Section, change::Change};

/// Clocks, ticks and watchdogs.
pub(super) const CHECKS: &[Check] = &[Check {
    id: "WD-01",
    section: Section::Timers,
    title: "NMI watchdog",
    why: "the hard-lockup detector interrupts every CPU it watches, workers included",
    explain: "The NMI watchdog programs a performance counter on each watched CPU to raise a non-maskable interrupt \
              every few seconds of cycles. Nothing can hold it off, so a poll loop is interrupted for some \
              microseconds each time, and the counter is lost to profilers.\n\nWithout it the kernel does not notice \
              a CPU that hangs with interrupts off; the soft-lockup detector stays.",
    sources: &["Linux Documentation/admin-guide/lockup-watchdogs.rst"],
    risk: Risk::Low,
    cost: "hard lockups go unnoticed",
    look: nmi_watchdog,
    ..Check::PLAIN
}];

fn nmi_watchdog(context: &Context<'_>) -> Outcome {
    let outcome = match &context.facts.clock.nmi_watchdog {
        Fact::Absent => return Outcome::not_applicable("this kernel has no NMI watchdog"),
        Fact::Unknown { why } => return Outcome::unknown(why),
        Fact::Is(value) if value == "0" => Outcome::good("0"),
        Fact::Is(value) => Outcome::bad(value)
            .fix(Change::Sysctl { key: "kernel.nmi_watchdog".to_owned(), value: "0".to_owned() }),
    };
    outcome.wanted("0")
}
