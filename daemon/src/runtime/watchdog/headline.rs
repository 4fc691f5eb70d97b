//! One line of how it goes: `systemctl status` shows it.

use std::time::{Duration, Instant};

use api::Accounting;
use pipeline::histogram::Snapshot;

use crate::state::State;

/// Between two lines.
const EVERY: Duration = Duration::from_secs(5);

/// Looked for in this order: the highest that enough frames stand behind.
const PERCENTILES: [f64; 4] = [99.99, 99.9, 99.0, 50.0];

/// Lines about the time between two of them.
pub(super) struct Headlines {
    since: Instant,
    totals: Totals,
    bound: Snapshot,
}

/// Frames, since the start.
#[derive(Debug, Clone, Copy, Default)]
struct Totals {
    received: u64,
    sent: u64,
    dropped: u64,
}

impl Totals {
    fn of(balance: &api::Balance) -> Self {
        let &api::Balance { received, sent, dropped, .. } = balance;
        Self { received, sent, dropped }
    }
}

impl Headlines {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, totals: Totals::default(), bound: Snapshot::default() }
    }

    /// Counts from here on.
    pub(super) fn begin(&mut self, state: &State<'_>, now: Instant) {
        self.since = now;
        self.totals = Totals::of(&crate::answers::balance(state));
        self.bound = bound(state);
    }

    /// The next line, when it is time for it.
    pub(super) fn next(
        &mut self,
        state: &State<'_>,
        balance: &api::Balance,
        now: Instant,
    ) -> Option<String> {
        let time = now.duration_since(self.since);
        if time < EVERY {
            return None;
        }
        let (totals, bound) = (Totals::of(balance), bound(state));
        let latency = latency(&bound.since(&self.bound), |ticks| state.clock.rate.to_ns(ticks));
        let line = format!(
            "{}; {latency}; {} workers, {} ports",
            rates(self.totals, totals, time),
            state.workers.len(),
            state.ports.len(),
        );
        (self.since, self.totals, self.bound) = (now, totals, bound);
        Some(format!("{}{line}", trouble(balance.accounting())))
    }
}

/// Comes first, in the log's words.
fn trouble(accounting: Accounting) -> &'static str {
    match accounting {
        Accounting::Whole => "",
        Accounting::Unpublished => "a worker did not publish its counts in time; ",
        Accounting::Violated => "FRAMES ARE NOT ACCOUNTED FOR; ",
    }
}

/// Of all workers and ports.
fn bound(state: &State<'_>) -> Snapshot {
    let mut sum = Snapshot::default();
    for view in state.workers.iter().flat_map(|worker| &worker.latency) {
        sum.merge(&view.bound.snapshot());
    }
    sum
}

#[expect(clippy::cast_precision_loss, reason = "rates")]
fn rates(before: Totals, now: Totals, time: Duration) -> String {
    let rate = |before: u64, now: u64| {
        let per_second = now.saturating_sub(before) as f64 / time.as_secs_f64();
        match per_second {
            n if n >= 1e6 => format!("{:.2} M", n / 1e6),
            n if n >= 1e3 => format!("{:.1} k", n / 1e3),
            n => format!("{n:.0} "),
        }
    };
    format!(
        "in {}pps, out {}pps, dropped {}pps",
        rate(before.received, now.received),
        rate(before.sent, now.sent),
        rate(before.dropped, now.dropped)
    )
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn latency(bound: &Snapshot, ns: impl Fn(u64) -> u64) -> String {
    let found =
        PERCENTILES.iter().find_map(|&percent| Some((percent, bound.percentile(percent / 100.0)?)));
    let Some((percent, found)) = found else {
        return "too few frames for a percentile".to_owned();
    };
    let time = match ns(found.ticks) {
        ns if ns >= 1_000_000 => format!("{:.2} ms", ns as f64 / 1e6),
        ns if ns >= 1_000 => format!("{:.1} µs", ns as f64 / 1e3),
        ns => format!("{ns} ns"),
    };
    format!("p{percent} at most {time}")
}

#[cfg(test)]
mod tests {
    use pipeline::histogram;

    use super::*;

    #[test]
    fn rates_are_per_second_in_fitting_units() {
        let now = Totals { received: 15_000_000, sent: 7_500, dropped: 35 };
        let line = rates(Totals::default(), now, Duration::from_secs(5));
        assert_eq!(line, "in 3.00 Mpps, out 1.5 kpps, dropped 7 pps");
        assert_eq!(rates(now, now, Duration::from_secs(5)), "in 0 pps, out 0 pps, dropped 0 pps");
    }

    #[test]
    fn the_alarm_is_only_about_a_violation() {
        let trouble = |balanced, violations| {
            let [received, sent, dropped, held] = [0; 4];
            let balance = api::Balance { received, sent, dropped, held, balanced, violations };
            super::trouble(balance.accounting())
        };
        assert_eq!(trouble(true, 0), "");
        assert_eq!(trouble(false, 0), "a worker did not publish its counts in time; ");
        assert_eq!(trouble(false, 1), "FRAMES ARE NOT ACCOUNTED FOR; ");
        assert_eq!(trouble(true, 1), "FRAMES ARE NOT ACCOUNTED FOR; ", "of an earlier reading");
    }

    #[test]
    fn the_percentile_told_is_the_highest_with_enough_frames_behind_it() {
        let (mut recorder, reader) = histogram::new();
        assert_eq!(latency(&reader.snapshot(), |t| t), "too few frames for a percentile");
        recorder.record_n(700, 2_000);
        assert_eq!(latency(&reader.snapshot(), |_| 700), "p99 at most 700 ns");
        recorder.record_n(700, 98_000);
        assert_eq!(latency(&reader.snapshot(), |_| 12_340), "p99.99 at most 12.3 µs");
        assert_eq!(latency(&reader.snapshot(), |_| 5_000_000), "p99.99 at most 5.00 ms");
    }
}
