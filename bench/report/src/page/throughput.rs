//! What paths carry.

use bench_result::{
    run::RunResult,
    throughput::{Search, Spread, Throughput},
    words,
};
use maud::{Markup, html};

use super::figure;
use crate::{
    pictures, shown,
    table::{Table, Value},
};

pub(super) fn section(result: &RunResult) -> Markup {
    if result.throughput.is_empty() {
        return html! {};
    }
    let all = &result.throughput;
    let remarks: Vec<_> =
        all.iter().filter_map(|found| Some((found, found.remark.as_ref()?))).collect();
    html! {
        section #throughput aria-labelledby="throughput-title" {
            h2 #throughput-title { "Throughput" }
            p.lead {
                "The largest load that a path carries, and what it forwards there. A result above 80 % of what the generator can offer, \
                 or above which the generator kept frames back, is the generator’s limit as much as the path’s."
            }
            (searches(all).cards())
            @let rates = self::rates(result);
            @if !rates.rows.is_empty() { (rates.cards()) }
            @if !remarks.is_empty() {
                ul.fine { @for (found, remark) in remarks { li { code { (name(found)) } ": " (remark) } } }
            }
            @if let Some(picture) = pictures::frame_loss(result) { (figure(&picture)) }
            @let delays = self::delays(all);
            @if !delays.rows.is_empty() { (delays.cards()) }
            @let repeated = self::repeated(all);
            @if !repeated.rows.is_empty() { (repeated.cards()) }
            @let strict = self::strict(all);
            @if !strict.rows.is_empty() { (strict.cards()) }
        }
    }
}

fn name(found: &Throughput) -> String {
    let workers = match found.workers {
        1 => String::new(),
        workers => format!(", {workers} workers"),
    };
    format!("{} {}, {} bytes{workers}", found.group, found.member, found.size)
}

fn rate(rate: Option<f64>) -> Value {
    rate.map_or_else(Value::none, |rate| Value::number(rate, shown::load(rate.round())))
}

fn searches(all: &[Throughput]) -> Table {
    let columns = [
        ("path", "path"),
        ("goal", "goal"),
        ("forwards, frames/s", "throughput"),
        ("carries", "lower"),
        ("does not carry", "upper"),
        ("generator’s ceiling", "ceiling"),
        ("CPU-s per million", "cpu_s_per_million"),
        ("remark", "remark"),
    ];
    let mut table = Table::new("Searches (MLRsearch and RFC 2544)", &columns);
    for found in all {
        for search in &found.searches {
            table.rows.push(vec![
                Value::text(name(found)),
                Value::text(goal(search)),
                rate(search.throughput),
                rate(search.lower),
                rate(search.upper),
                rate(found.ceiling),
                found.cpu_s_per_million.map_or_else(Value::none, |seconds| {
                    Value::number(seconds, format!("{seconds:.3}"))
                }),
                Value::text(remark(search)),
            ]);
        }
    }
    table
}

/// Against the reference, with what the twin says of it.
fn rates(result: &RunResult) -> Table {
    let columns = [
        ("path", "path"),
        ("goal", "goal"),
        ("through", "against"),
        ("ratio", "ratio"),
        ("from the bounds", "interval"),
        ("A/A floor", "floor"),
        ("is", "word"),
    ];
    let mut table = Table::new(
        "What paths carry, through what the reference does (above 1 is more; one search each)",
        &columns,
    );
    for rate in &result.rates {
        let workers = match rate.workers {
            1 => String::new(),
            workers => format!(", {workers} workers"),
        };
        let (ratio, interval) = match &rate.ratio {
            Some(ratio) => (
                Value::number(ratio.value, shown::ratio(ratio.value)),
                Value::text(shown::interval(ratio)),
            ),
            None => (Value::none(), Value::none()),
        };
        table.rows.push(vec![
            Value::text(format!("{} {}, {} bytes{workers}", rate.group, rate.member, rate.size)),
            Value::text(&rate.goal),
            Value::text(rate.reference.to_string()),
            ratio,
            interval,
            rate.floor.map_or_else(Value::none, |floor| {
                Value::number(floor, format!("±{}", shown::percent(floor)))
            }),
            Value::text(rate.word.to_string()),
        ]);
    }
    table
}

fn goal(search: &Search) -> String {
    match search.loss_ratio {
        0.0 => format!("{}, no loss", search.goal),
        loss => format!("{}, loss up to {}", search.goal, shown::percent(loss)),
    }
}

fn remark(search: &Search) -> String {
    let limited = search.is_generator_limited.then_some("generator-limited");
    let irregular = (!search.is_regular).then_some("not regular");
    let own = Some(search.remark.as_str()).filter(|remark| !remark.is_empty());
    [limited, irregular, own].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn delays(all: &[Throughput]) -> Table {
    let columns = [
        ("path", "path"),
        ("of PDR", "share"),
        ("load", "load"),
        ("typical (median)", "typical_ns"),
        ("worst case (p99.9)", "worst_ns"),
        ("variation", "variation_ns"),
        ("lost", "lost"),
    ];
    let mut table = Table::new("Delays (RFC 8219, of round trips)", &columns);
    let time = |ns: Option<u64>| {
        ns.map_or_else(|| Value::number("inf", "lost"), |ns| Value::number(ns, words::time(ns)))
    };
    for found in all {
        for delay in &found.delays {
            table.rows.push(vec![
                Value::text(name(found)),
                Value::number(delay.share, shown::percent(delay.share)),
                Value::number(delay.load, shown::load(delay.load.round())),
                time(delay.typical_ns),
                time(delay.worst_ns),
                time(delay.variation_ns),
                Value::number(delay.lost, shown::whole(delay.lost)),
            ]);
        }
    }
    table
}

fn repeated(all: &[Throughput]) -> Table {
    let columns = [
        ("path", "path"),
        ("at", "load"),
        ("typical (median)", "typical_ns"),
        ("worst case (p99.9)", "worst_ns"),
        ("variation", "variation_ns"),
        ("streams", "repeats"),
        ("lost", "lost"),
    ];
    let mut table = Table::new(
        "RFC 8219: latency and delay variation at the throughput rate (of round trips; medians of the streams, and their \
         1st and 99th percentiles)",
        &columns,
    );
    let spread = |found: Spread| {
        let told = |ns: Option<u64>| ns.map_or_else(|| "lost".to_owned(), words::time);
        let text = format!("{} ({} to {})", told(found.median), told(found.low), told(found.high));
        found.median.map_or_else(
            || Value::number("inf", text.clone()),
            |ns| Value::number(ns, text.clone()),
        )
    };
    for found in all {
        let Some(repeated) = &found.repeated else { continue };
        table.rows.push(vec![
            Value::text(name(found)),
            Value::number(repeated.load, format!("{}/s", shown::load(repeated.load.round()))),
            spread(repeated.typical),
            spread(repeated.worst),
            spread(repeated.variation),
            Value::number(repeated.repeats, repeated.repeats.to_string()),
            Value::number(repeated.lost, shown::whole(repeated.lost)),
        ]);
    }
    table
}

fn strict(all: &[Throughput]) -> Table {
    let columns = [
        ("path", "path"),
        ("mean round trip", "mean_ns"),
        ("of", "samples"),
        ("at", "load"),
        ("longest burst without a loss", "frames"),
        ("of at most", "most"),
    ];
    let mut table = Table::new(
        "RFC 2544: latency (an average, which can not see a tail) and back-to-back frames",
        &columns,
    );
    for found in all.iter().filter(|it| it.latency.is_some() || it.back_to_back.is_some()) {
        let latency = found.latency.as_ref();
        let burst = found.back_to_back.as_ref();
        table.rows.push(vec![
            Value::text(name(found)),
            latency
                .and_then(|it| it.mean_ns)
                .map_or_else(Value::none, |ns| Value::number(ns, mean(ns))),
            latency.map_or_else(Value::none, |it| {
                Value::number(it.samples, format!("{} frames, {} lost", it.samples, it.lost))
            }),
            latency.map_or_else(Value::none, |it| {
                Value::number(it.load, format!("{}/s", shown::load(it.load.round())))
            }),
            burst.map_or_else(Value::none, |it| {
                let limited = if it.is_generator_limited { ", generator-limited" } else { "" };
                Value::number(it.frames, format!("{:.0} frames{limited}", it.frames))
            }),
            burst.map_or_else(Value::none, |it| Value::number(it.most, shown::whole(it.most))),
        ]);
    }
    table
}

/// A time that need not be whole.
fn mean(ns: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast of anything ends within the bounds, and three digits are shown"
    )]
    words::time(ns.round() as u64)
}
