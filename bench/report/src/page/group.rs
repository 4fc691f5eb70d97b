//! A group: its ratios, its times, its pictures.

use bench_result::{
    plan::Member,
    run::{CellResult, GroupResult, MemberResult, RunResult, Versus, Word},
    trial::{PERCENTILES, Percentile},
    words,
};
use maud::{Markup, html};

use super::{figure, tight};
use crate::{
    pictures::{self, Of},
    samples::Samples,
    shown,
    table::{Table, Value, datum},
    verdict::{self, same},
};

pub(super) fn section(result: &RunResult, samples: &Samples<'_>, group: &GroupResult) -> Markup {
    let left_out: Vec<_> = result.left_out.iter().filter(|left| left.group == group.kind).collect();
    html! {
        section #(group.kind) aria-labelledby={ (group.kind) "-title" } {
            h2 #{ (group.kind) "-title" } { (group.kind) }
            p.lead { (group.kind.what()) " Ratios are against " code { (group.reference) } "." }
            @if !left_out.is_empty() {
                ul.fine {
                    @for left in left_out {
                        li {
                            @match left.member { Some(member) => { code { (member) } } None => { "The group" } }
                            " did not take part: " (left.why)
                        }
                    }
                }
            }
            @for (number, cell) in group.cells.iter().enumerate() {
                (self::cell(result, samples, group, cell, number == 0))
            }
            @for picture in pictures::against_load(group) { (figure(&picture)) }
        }
    }
}

fn cell(
    result: &RunResult,
    samples: &Samples<'_>,
    group: &GroupResult,
    cells: &CellResult,
    is_first: bool,
) -> Markup {
    let compared = verdict::compared(group);
    let id = format!("{}-{}", group.kind, shown::slug(cells.cell));
    html! {
        article #(id) aria-labelledby={ (id) "-title" } {
            h3 #{ (id) "-title" } { (shown::load(cells.cell.load)) " frames a second of " (cells.cell.size) " bytes" }
            @if cells.members.iter().all(|member| member.valid == 0) {
                p.warning { "No trial of this counts, so there is nothing to show; see " a href="#trials" { "why" } "." }
            } @else {
                @if !compared.is_empty() { (ratios(group, cells, &compared)) }
                (times(cells))
                (figure(&pictures::percentiles(samples, group, cells, Of::Response)))
                details.more open[is_first] {
                    summary { "More pictures: ratios, service times, interval maxima, gaps" }
                    @for percentile in &compared {
                        @if let Some(picture) = pictures::ratios(group, cells, *percentile) { (figure(&picture)) }
                    }
                    (figure(&pictures::percentiles(samples, group, cells, Of::Service)))
                    (figure(&pictures::maxima(samples, &result.plan, group, cells)))
                    (figure(&pictures::gaps(samples, group, cells)))
                }
                (attribution(cells))
            }
        }
    }
}

/// The ratios, with what they mean.
fn ratios(group: &GroupResult, cells: &CellResult, compared: &[f64]) -> Markup {
    html! {
        table.cards.ratios role="table" {
            caption { "Response times through those of " code { (group.reference) } ", with 95 % intervals" }
            thead role="rowgroup" { tr role="row" {
                th scope="col" role="columnheader" { "path" }
                @for percentile in compared { th scope="col" role="columnheader" { (shown::percentile(*percentile)) } }
            } }
            tbody role="rowgroup" {
                @for member in &cells.members {
                    @if member.member == group.reference {
                        tr.reference role="row" data-path=(member.member) {
                            (path(member))
                            @for percentile in compared {
                                td role="cell" data-label=(shown::percentile(*percentile)) { "1, the reference" }
                            }
                        }
                    } @else if !member.member.is_twin {
                        tr role="row" data-path=(member.member) {
                            (path(member))
                            @for percentile in compared {
                                td role="cell" data-label=(shown::percentile(*percentile)) {
                                    @match verdict::at(member, *percentile) {
                                        Some(versus) => { (ratio(versus)) }
                                        None => { "–" }
                                    }
                                }
                            }
                        }
                    }
                }
                tr.floor role="row" data-path="floor" {
                    th scope="row" role="rowheader" { "A/A floor" span.what { "what two equal paths differ by" } }
                    @for percentile in compared {
                        @let floor = cells.floors.iter().find(|floor| same(floor.percentile, *percentile));
                        td role="cell" data-label=(shown::percentile(*percentile)) {
                            @match floor {
                                Some(floor) => {
                                    data value=(floor.share) { "±" (shown::percent(floor.share)) }
                                    span.interval {
                                        (shown::ratio(floor.ratio.value)) ", " (shown::interval(&floor.ratio))
                                        ", " (floor.ratio.blocks) " blocks"
                                    }
                                }
                                None => { "not known: no word is said" }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn path(member: &MemberResult) -> Markup {
    html! {
        th scope="row" role="rowheader" {
            code { (shown::member(member.member)) }
            @if member.member.arm.is_bypass() { " " span.tag { "bypass" } }
            span.what { (member.member.arm.what()) }
        }
    }
}

fn ratio(versus: &Versus) -> Markup {
    html! {
        @if let Some(ratio) = &versus.ratio {
            data.ratio value=(ratio.value) { (shown::ratio(ratio.value)) }
            span.interval {
                data value=(ratio.low) { (shown::ratio(ratio.low)) } " to "
                data value=(ratio.high) { (shown::ratio(ratio.high)) }
            }
        }
        (word(&versus.word))
    }
}

fn word(word: &Word) -> Markup {
    let (class, mark) = match word {
        Word::Faster => ("faster", "▼"),
        Word::Slower => ("slower", "▲"),
        Word::NoDifference { .. } => ("same", "="),
        Word::Inconclusive { .. } => ("undecided", "?"),
    };
    html! { span class={ "word " (class) } { span aria-hidden="true" { (mark) } " " (tight(&word.to_string())) } }
}

/// Times, as they are counted in both ways.
fn times(cells: &CellResult) -> Markup {
    let told: Vec<f64> = PERCENTILES
        .into_iter()
        .filter(|wanted| {
            let mut all = cells.members.iter().flat_map(|it| it.response.iter().chain(&it.service));
            all.any(|found| same(found.percentile, *wanted))
        })
        .collect();
    let caption = "Round trips, in times of this host: from when probes should have left (response), and below it from when they left (service)";
    html! {
        div.wide.times tabindex="0" role="region" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr {
                    th scope="col" { "path" }
                    @for percentile in &told { th scope="col" { (shown::percentile(*percentile)) } }
                    th scope="col" { "longest" }
                    th scope="col" { "lost" }
                    th scope="col" { "a send" }
                    th scope="col" { "CPU-s per million" }
                } }
                tbody {
                    @for member in &cells.members {
                        tr data-path=(member.member) {
                            th scope="row" { code { (shown::member(member.member)) } span.what { (member.waits) } }
                            @for percentile in &told {
                                td {
                                    (time(&member.response, *percentile))
                                    span.interval { (time(&member.service, *percentile)) }
                                }
                            }
                            td { (datum(&Value::number(member.range_ns.1, words::time(member.range_ns.1)))) }
                            td { (datum(&lost(member))) }
                            td { (datum(&Value::number(member.send_ns, send(member.send_ns)))) }
                            td { (datum(&cpu(member))) }
                        }
                    }
                }
            }
        }
        p.fine {
            "* has 10 to 99 samples beyond it. A percentile that fewer stand behind is not told. A lost probe counts as if it took for \
             ever. The time of a send has in it what a path does inside the sender’s call."
        }
    }
}

fn time(all: &[Percentile], wanted: f64) -> Markup {
    let found = all.iter().find(|found| same(found.percentile, wanted));
    datum(&found.map_or_else(Value::none, |found| {
        let raw = found.ns.map_or("inf".to_owned(), |ns| ns.to_string());
        Value::number(raw, shown::time(found))
    }))
}

/// A mean of nanoseconds, of which those of a send are a few hundred.
fn send(ns: f64) -> String {
    if (0.0..1e18).contains(&ns) { format!("{:.2} µs", ns / 1000.0) } else { format!("{ns:e} ns") }
}

fn cpu(member: &MemberResult) -> Value {
    member
        .cpu_s_per_million
        .map_or_else(Value::none, |seconds| Value::number(seconds, format!("{seconds:.2}")))
}

fn lost(member: &MemberResult) -> Value {
    if member.sent == 0 {
        return Value::text("no trial");
    }
    let shown = match member.lost {
        0 => "0".to_owned(),
        lost => {
            format!("{} ({})", shown::whole(lost), shown::percent(shown::share(lost, member.sent)))
        }
    };
    Value::number(member.lost, shown)
}

/// What the slowest probes were caught in.
fn attribution(cells: &CellResult) -> Markup {
    let found: Vec<(Member, _)> = cells
        .members
        .iter()
        .filter_map(|member| Some((member.member, member.attribution.as_ref()?)))
        .filter(|(member, _)| !member.is_twin)
        .collect();
    html! {
        @if !found.is_empty() {
            h4 { "What the slowest probes were caught in" }
            dl.said {
                @for (member, attribution) in found {
                    dt { code { (member) } }
                    dd { (tight(&sentence(&attribution.to_string()))) }
                }
            }
        }
    }
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}

/// Paths on different wires: of whole systems, and without a word.
pub(super) fn across(result: &RunResult) -> Markup {
    if result.across.is_empty() {
        return html! {};
    }
    let columns = [
        ("path", "path"),
        ("through", "against"),
        ("at", "at"),
        ("percentile", "percentile"),
        ("ratio", "ratio"),
        ("95 % interval", "interval"),
    ];
    let mut table = Table::new("Response times on different wires", &columns);
    for across in &result.across {
        let [first, second] = [across.first, across.second]
            .map(|(group, member)| Value::text(format!("{group} {member}")));
        let (ratio, interval) = match &across.ratio {
            Some(ratio) => (
                Value::number(ratio.value, shown::ratio(ratio.value)),
                Value::text(shown::interval(ratio)),
            ),
            None => (Value::none(), Value::none()),
        };
        table.rows.push(vec![
            first,
            second,
            Value::text(shown::cell(across.cell)),
            Value::number(across.percentile, shown::percentile(across.percentile)),
            ratio,
            interval,
        ]);
    }
    html! {
        section #across aria-labelledby="across-title" {
            h2 #across-title { "Different wires" }
            p.warning {
                "These paths do the same work on different wires. It is a statement about whole systems, not about paths: part of \
                 every difference is the wire’s. Nothing tells what two equal paths would differ by here, so no word is said."
            }
            (table.markup())
        }
    }
}
