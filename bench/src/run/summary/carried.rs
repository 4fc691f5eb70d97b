//! What paths carry, and what systems with different wires take: the two tables that are no comparison of paths.

use std::fmt::Write as _;

use super::super::{
    result::{Across, RunResult},
    throughput::{Delay, RateRatio, Repeated, Search, Spread, Throughput},
};
use crate::say;

/// What paths carry, if it was searched.
pub(super) fn throughput(text: &mut String, result: &RunResult, heading: &dyn Fn(&str) -> String) {
    if result.throughput.is_empty() {
        return;
    }
    let title = "Throughput, in frames a second (MLRsearch, RFC 9971; what the generator did not send is lost, too)";
    let _infallible = writeln!(text, "\n{}", heading(title));
    for found in &result.throughput {
        one(text, found);
    }
    for rate in &result.rates {
        let _infallible = writeln!(text, "  {}", rated(rate));
    }
}

/// `reflect, 64 bytes: NDR of xdp-tx through that of kernel-echo-spin 2.310 [2.290, 2.331], floor ±1.2 %: faster`
fn rated(rate: &RateRatio) -> String {
    let RateRatio { group, member, reference, size, workers, goal, ratio, floor, word } = rate;
    let workers = if *workers > 1 { format!(", {workers} workers") } else { String::new() };
    let ratio = ratio
        .map_or("–".to_owned(), |it| format!("{:.3} [{:.3}, {:.3}]", it.value, it.low, it.high));
    let floor = floor.map_or("no floor".to_owned(), |it| format!("floor ±{:.1} %", it * 100.0));
    format!(
        "{group}, {size} bytes{workers}: {} of {member} through that of {reference} {ratio}, {floor}: {word}",
        goal.to_uppercase()
    )
}

fn one(text: &mut String, found: &Throughput) {
    let Throughput { group, member, size, workers, .. } = found;
    let workers = if *workers > 1 { format!(", {workers} workers") } else { String::new() };
    let ceiling = found.ceiling.map_or("not known".to_owned(), rate);
    let _infallible = writeln!(
        text,
        "  {group}: {member}, frames of {size} bytes{workers}; without a path the generator carries {ceiling}"
    );
    for search in &found.searches {
        let _infallible = writeln!(text, "    {}", told(search));
    }
    if let Some(cost) = found.cpu_s_per_million {
        let _infallible = writeln!(
            text,
            "    {cost:.2} CPU-seconds of the measured CPU for a million frames at PDR"
        );
    }
    for delay in &found.delays {
        let _infallible = writeln!(text, "    {}", delayed(delay));
    }
    if let Some(repeated) = &found.repeated {
        let _infallible = writeln!(text, "    {}", repeatedly(repeated));
    }
    if let Some(last) = found.frame_loss.last() {
        let first_lossless = found.frame_loss.iter().find(|trial| trial.returned == trial.intended);
        let at = first_lossless.map_or("no load that was tried".to_owned(), |it| rate(it.load));
        let _infallible = writeln!(
            text,
            "    RFC 2544 frame loss: from {at} on downwards none was lost (tried down to {})",
            rate(last.load)
        );
    }
    if let Some(latency) = &found.latency {
        let mean = latency.mean_ns.map_or("none came back".to_owned(), |ns| say::time(whole(ns)));
        let _infallible = writeln!(
            text,
            "    RFC 2544 latency: {mean} on average, of {} single frames at {}",
            latency.samples,
            rate(latency.load)
        );
    }
    if let Some(burst) = &found.back_to_back {
        let _infallible = writeln!(
            text,
            "    RFC 2544 back-to-back: {:.0} frames at {} (at most {} were tried, {} times{})",
            burst.frames,
            rate(burst.rate),
            burst.most,
            burst.repeats,
            if burst.is_generator_limited { "; limited by the generator" } else { "" }
        );
    }
    if let Some(remark) = &found.remark {
        let _infallible = writeln!(text, "    {remark}");
    }
}

fn told(search: &Search) -> String {
    let of = |value: Option<f64>| value.map_or("–".to_owned(), rate);
    let mut text = format!(
        "{}: {} (carried {}, not carried {}; loss {} %, in {:.0} % of the time more)",
        search.goal.to_uppercase(),
        of(search.throughput),
        of(search.lower),
        of(search.upper),
        search.loss_ratio * 100.0,
        search.exceed_ratio * 100.0
    );
    if search.is_generator_limited {
        text.push_str("; limited by the generator");
    }
    if !search.remark.is_empty() {
        let _infallible = write!(text, "; {}", search.remark);
    }
    text
}

fn delayed(delay: &Delay) -> String {
    let of = |ns: Option<u64>| ns.map_or("lost".to_owned(), say::time);
    format!(
        "RFC 8219 at {:.0} % of PDR ({}): typical {}, worst case {}, variation {}",
        delay.share * 100.0,
        rate(delay.load),
        of(delay.typical_ns),
        of(delay.worst_ns),
        of(delay.variation_ns)
    )
}

fn repeatedly(found: &Repeated) -> String {
    let of = |spread: Spread| {
        let [low, median, high] = [spread.low, spread.median, spread.high]
            .map(|ns| ns.map_or("lost".to_owned(), say::time));
        format!("{median} ({low} to {high})")
    };
    format!(
        "RFC 8219 at {}, {} streams: typical {}, worst case {}, variation {}",
        rate(found.load),
        found.repeats,
        of(found.typical),
        of(found.worst),
        of(found.variation)
    )
}

/// What systems take on different wires, if both were measured.
pub(super) fn across(text: &mut String, result: &RunResult, heading: &dyn Fn(&str) -> String) {
    if result.across.is_empty() {
        return;
    }
    let title = "DIFFERENT WIRES: what goes through shared memory, against what goes through the kernel on its own wire";
    let _infallible = writeln!(
        text,
        "\n{}\nA statement about whole systems: neither the wire nor the generator is the same, and there is no floor.",
        heading(title)
    );
    for Across { first, second, cell, percentile, ratio } in &result.across {
        let shown = ratio.map_or("–".to_owned(), |ratio| {
            format!("{:.3} [{:.3}, {:.3}]", ratio.value, ratio.low, ratio.high)
        });
        let who = format!("{} / {}", first.1, second.1);
        let _infallible = writeln!(
            text,
            "  {who:<44} {}/s of {} bytes  p{percentile:<5} {shown}",
            cell.load, cell.size
        );
    }
}

/// `312 k`, `1.20 M`
fn rate(frames: f64) -> String {
    match frames {
        frames if frames < 1e4 => format!("{frames:.0}"),
        frames if frames < 1e6 => format!("{:.1} k", frames / 1e3),
        frames => format!("{:.2} M", frames / 1e6),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "nanoseconds of a trial"
)]
fn whole(ns: f64) -> u64 {
    ns as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_digits() {
        for (frames, text) in [(999.4, "999"), (12_345.0, "12.3 k"), (1_234_567.0, "1.23 M")] {
            assert_eq!(rate(frames), text);
        }
    }
}
