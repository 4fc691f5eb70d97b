//! Ours and theirs, figure by figure.

use std::collections::BTreeMap;

use config::CpuId;
use distribution::decode;
use hdrhistogram::Histogram;
use serde::Serialize;

use super::{Question, Theirs};
use crate::measurement::Measurement;

/// One figure of both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What was asked.
    pub question: Question,
    /// Who else asked.
    pub tool: &'static str,
    /// Where; none for all of the CPUs together.
    pub cpu: Option<CpuId>,
    /// Which figure: `p99`, `max`, `10 µs or more`.
    pub figure: String,
    /// What the numbers are.
    pub unit: Unit,
    /// Ours, from and to; none where we do not ask that, or not there.
    pub ours: Option<(f64, f64)>,
    /// Theirs, from and to; the end is open where it is beyond their last step.
    pub theirs: (f64, Option<f64>),
    /// Do the two ranges meet? None where there is nothing to compare, and for the longest: it is one value of each run.
    pub agrees: Option<bool>,
}

/// What the numbers of a row are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Nanoseconds.
    Ns,
    /// So many times a second.
    ASecond,
}

/// Quantiles of a row each.
const QUANTILES: [(f64, &str); 3] = [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")];
/// How long a gap is that is counted, in ns.
const LONG: [(u64, &str); 3] =
    [(10_000, "10 µs or more"), (100_000, "100 µs or more"), (1_000_000, "1 ms or more")];
/// Our histograms have three digits.
const DIGITS: f64 = 0.001;

/// Every figure that both have, and theirs that we do not have.
#[must_use]
pub fn compare(ours: &Measurement, theirs: &[Theirs]) -> Vec<Row> {
    theirs.iter().flat_map(|theirs| of(ours, theirs)).collect()
}

fn of(ours: &Measurement, theirs: &Theirs) -> Vec<Row> {
    let (kind, has_quantiles) = match theirs.question {
        Question::WakeUp => (Some("wake-up"), true),
        Question::Reading => (Some("reading"), true),
        Question::Gap | Question::Hardware => (Some("reading"), false),
        Question::TimerInterrupt => (None, true),
    };
    let mine = kind.and_then(|kind| histogram(ours, kind, theirs.cpu));
    // Reading the clock takes this long, and each of ours has two readings.
    let clock = histogram(ours, "reading", theirs.cpu).map_or(0, |all| all.value_at_quantile(0.5));
    let time = |ns: u64| {
        let (ns, clock) = (float(ns), float(clock));
        ((ns * (1.0 - DIGITS) - clock).max(0.0), ns * (1.0 + DIGITS) + clock)
    };
    let row = |figure: &str, ours: Option<(f64, f64)>, (from, to): (f64, Option<f64>), unit| Row {
        question: theirs.question,
        tool: theirs.tool,
        cpu: theirs.cpu,
        figure: figure.to_owned(),
        unit,
        ours,
        theirs: (from, to),
        agrees: ours.map(|(least, most)| most >= from && to.is_none_or(|to| least <= to)),
    };
    let mut rows = Vec::new();
    if has_quantiles {
        for (quantile, figure) in QUANTILES {
            let (low, high) = around(quantile, theirs.count());
            let (Some((from, _)), Some((_, to))) = (theirs.quantile(low), theirs.quantile(high))
            else {
                continue;
            };
            let ours = mine.as_ref().map(|mine| {
                let (low, high) = around(quantile, mine.len());
                (time(mine.value_at_quantile(low)).0, time(mine.value_at_quantile(high)).1)
            });
            rows.push(row(figure, ours, (float(from), to.map(float)), Unit::Ns));
        }
    }
    if let Some((from, to)) = theirs.max {
        let ours = mine.as_ref().map(|mine| time(mine.max()));
        // The longest of two runs are two chances: they are shown and not judged.
        let row = row("max", ours, (float(from), Some(float(to))), Unit::Ns);
        rows.push(Row { agrees: None, ..row });
    }
    if let (Question::Reading | Question::Gap, Some(seconds)) = (theirs.question, theirs.seconds) {
        for (ns, figure) in LONG {
            let (least, most) = theirs.beyond(ns);
            let ours = mine.as_ref().and_then(|mine| {
                let count = float(mine.count_between(ns, mine.high()));
                rate(count, count, watched(ours, theirs.cpu)?)
            });
            if let Some((from, to)) = rate(float(least), float(most), seconds) {
                rows.push(row(figure, ours, (from, Some(to)), Unit::ASecond));
            }
        }
    }
    rows
}

/// The quantiles between which one of so many values lies in nineteen of twenty runs.
fn around(quantile: f64, count: u64) -> (f64, f64) {
    let wide = 2.0 * (quantile * (1.0 - quantile) / float(count.max(1))).sqrt();
    ((quantile - wide).max(0.0), (quantile + wide).min(1.0))
}

/// Twice the standard deviation of counts that come by chance, around at least and at most so many.
fn rate(least: f64, most: f64, seconds: f64) -> Option<(f64, f64)> {
    let low = (least - 2.0 * least.sqrt()).max(0.0) / seconds;
    // Nothing seen is compatible with up to three.
    let high = if most > 0.0 { most + 2.0 * most.sqrt() } else { 3.0 } / seconds;
    (seconds > 0.0).then_some((low, high))
}

/// Seconds for which a CPU, or all of them together, was watched.
fn watched(ours: &Measurement, cpu: Option<CpuId>) -> Option<f64> {
    let seconds: f64 = ours
        .noise
        .cpus
        .iter()
        .filter(|(number, _)| cpu.is_none_or(|cpu| cpu == **number))
        .map(|(_, noise)| noise.seconds)
        .sum();
    (seconds > 0.0).then_some(seconds)
}

/// Our times of a kind on a CPU, or on all CPUs together.
fn histogram(ours: &Measurement, kind: &str, cpu: Option<CpuId>) -> Option<Histogram<u64>> {
    let of_kind: BTreeMap<&String, Histogram<u64>> = ours
        .times
        .iter()
        .filter(|(name, _)| match cpu {
            Some(cpu) => **name == format!("{kind}/cpu{cpu}"),
            None => name.split_once('/').is_some_and(|(first, _)| first == kind),
        })
        .filter_map(|(name, times)| Some((name, decode(&times.distribution.hdr_v2).ok()?)))
        .collect();
    let mut all = of_kind.into_values().filter(|histogram| !histogram.is_empty());
    let mut sum = all.next()?;
    for histogram in all {
        // Both are ours and hold the same range; what doesn't fit is no figure of this measurement.
        sum.add(histogram).ok()?;
    }
    Some(sum)
}

fn float(value: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "compared with three digits")]
    let value = value as f64;
    value
}
