//! The machine: what it can be believed about, what everything depends on, and how each path was started.

use std::collections::BTreeMap;

use bench_result::{
    arm::Group, host::Qualification, plan::Member, run::RunResult, trial::Started, words,
};
use maud::{Markup, html};

use crate::{
    shown,
    table::{Table, Value},
};

pub(super) fn section(result: &RunResult) -> Markup {
    let host = &result.host;
    html! {
        section #host aria-labelledby="host-title" {
            h2 #host-title { "Host" }
            p.lead {
                "Class " b { (host.class) } ", by the longest gap of the measured CPU " (result.cpus.measured)
                " within " (format!("{:.0}", host.seconds)) " s. The generator and everything else ran on CPU " (result.cpus.other) "."
            }
            (cpus(host).markup())
            ul.fine {
                li {
                    "A sleeping thread woke up late by " (words::time(host.wake_up.p50_ns)) " (median), "
                    (words::time(host.wake_up.p99_ns)) " (p99), " (words::time(host.wake_up.max_ns)) " at most, of "
                    (shown::whole(host.wake_up.count)) " wake-ups."
                }
                li {
                    "The CPU’s counter is " (steady(host.is_counter_steady)) ", its rate known to " (host.counter_error_ppm) " ppm."
                }
                @if let Some((median, least, most)) = result.handoff_ns() {
                    li {
                        "A cache line went from the generator’s CPU to the measured one and back in "
                        (words::time(median)) " (median of the starts; " (words::time(least)) " to " (words::time(most))
                        "). A round trip by way of that CPU has one such exchange in it at least; where it changes, so do they."
                    }
                }
                li {
                    "A: below 10 µs. B: below 50 µs. C: below 1 ms. D: longer. These classes are this program’s own proposal; no \
                     standard names any."
                }
            }
            h3 { "Environment" }
            details.more open {
                summary { (result.environment.len()) " names and values" }
                dl.environment {
                    @for (name, value) in &result.environment { dt { (name) } dd { (value) } }
                }
            }
            (starts(result))
        }
    }
}

fn steady(known: Option<bool>) -> &'static str {
    match known {
        Some(true) => "steady",
        Some(false) => "not steady: times are not to be trusted",
        None => "of unknown steadiness",
    }
}

fn cpus(host: &Qualification) -> Table {
    let columns = [
        ("CPU", "cpu"),
        ("longest gap", "longest_ns"),
        ("gaps a second", "gaps_per_second"),
        ("time taken", "taken_percent"),
        ("ticks a second", "ticks_per_second"),
        ("stolen", "stolen_ms"),
    ];
    let mut table =
        Table::new("What the host does to a thread that wants to be left alone", &columns);
    for (cpu, quality) in &host.cpus {
        table.rows.push(vec![
            Value::text(cpu.to_string()),
            Value::number(quality.longest_ns, words::time(quality.longest_ns)),
            Value::number(quality.gaps_per_second, format!("{:.0}", quality.gaps_per_second)),
            Value::number(quality.taken_percent, format!("{:.3} %", quality.taken_percent)),
            quality.ticks_per_second.map_or_else(
                || Value::text("unknown"),
                |ticks| Value::number(ticks, format!("{ticks:.0}")),
            ),
            quality
                .stolen_ms
                .map_or_else(|| Value::text("unknown"), |ms| Value::number(ms, format!("{ms} ms"))),
        ]);
    }
    table
}

/// How each path was started: what all its starts have in common, and how long they took.
fn starts(result: &RunResult) -> Markup {
    let mut all: BTreeMap<(Group, Member), Vec<&Started>> = BTreeMap::new();
    for start in result.starts.iter().filter(|start| !start.member.is_twin) {
        all.entry((start.group, start.member)).or_default().push(start);
    }
    html! {
        @if !all.is_empty() {
            h3 { "How each path was started" }
            @for ((group, member), starts) in &all {
                @let first = starts[0];
                details.more {
                    summary { (group) " " code { (member) } }
                    p { (member.arm.what()) ". Started " (starts.len()) " times, ready within " (slowest(starts)) " each time." }
                    @if let Some(command) = &first.command { pre tabindex="0" { (command) } }
                    @if let Some(configuration) = &first.configuration { pre tabindex="0" { (configuration) } }
                }
            }
        }
    }
}

fn slowest(starts: &[&Started]) -> String {
    let most = starts.iter().map(|start| start.ready_ms).fold(0.0, f64::max);
    if most < 1000.0 { format!("{most:.0} ms") } else { format!("{:.1} s", most / 1000.0) }
}
