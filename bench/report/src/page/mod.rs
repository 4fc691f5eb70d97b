//! The page: one file, without anything from anywhere else.

mod group;
mod host;
mod method;
mod throughput;
mod trials;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bench_result::{
    host::Class,
    run::{GroupResult, RunResult},
};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

use crate::{pictures::Picture, samples::Samples, shown, verdict};

const STYLE: &str = include_str!("style.css");
/// What the page does not need: it opens folded pictures before it is printed. Their numbers stay folded: they are files, too.
const SCRIPT: &str = include_str!("script.js");

/// The whole page.
#[must_use]
pub fn page(result: &RunResult) -> String {
    let samples = Samples::of(result);
    let groups: Vec<(&GroupResult, Markup)> =
        result.groups.iter().map(|it| (it, group::section(result, &samples, it))).collect();
    let title =
        format!("barewire-bench: {}, host of class {}", result.plan.name, result.host.class);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                title { (title) }
                style { (PreEscaped(plots::STYLE)) (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#verdict" { "Skip to the verdict" }
                header { (head(result)) }
                main {
                    (contents(result))
                    (answer(result))
                    @for (_, section) in &groups { (section) }
                    (group::across(result))
                    (throughput::section(result))
                    (trials::section(result))
                    (host::section(result))
                    (method::section(result))
                }
                footer {
                    p {
                        "Made by barewire-bench " (result.version) " from " code { "result.json" } " (" code { (result.schema) }
                        "). Everything here is in the files beside this page: " code { "trials.csv" } ", "
                        code { "env.json" } ", " code { "*.hlog" } " and " code { "*.hgrm" } ", "
                        code { "plots/" } " as SVG, PNG and CSV."
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// Nothing is loaded, nothing is sent; of scripts, only ours runs.
fn policy() -> String {
    let digest = BASE64.encode(Sha256::digest(SCRIPT));
    format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
}

fn head(result: &RunResult) -> Markup {
    let (trials, invalid) = result.validity();
    let class = result.host.class;
    let minutes = result.seconds / 60.0;
    html! {
        p.kicker { "barewire-bench run" }
        h1 { (verdict::headline(result)) }
        ul.stamps {
            li class=(class_of(class)) { b { "Host class " (class) } " " (worth(class)) }
            li class=(if verdict::is_unfit(trials, invalid) { "bad" } else { "plain" }) {
                b { data value=(trials - invalid) { (shown::whole((trials - invalid) as u64)) } " of "
                    data value=(trials) { (shown::whole(trials as u64)) } }
                " trials count"
            }
            li { "plan " b { (result.plan.name) } }
            li { (result.plan.blocks) " blocks" }
            li { time datetime=(result.begun) { (minute(&result.begun)) } }
            li { @if minutes >= 1.5 { (format!("{minutes:.0} min")) } @else { (format!("{:.0} s", result.seconds)) } }
            li { "seed " (result.seed) }
        }
    }
}

/// `2026-01-02 03:04 UTC` of a time that is written like one; of anything else, all of it.
fn minute(begun: &str) -> String {
    match (begun.get(..10), begun.get(10..11), begun.get(11..16), begun.ends_with('Z')) {
        (Some(day), Some("T"), Some(minute), true) => format!("{day} {minute} UTC"),
        _ => begun.to_owned(),
    }
}

fn class_of(class: Class) -> &'static str {
    match class {
        Class::A | Class::B => "good",
        Class::C => "fair",
        Class::D => "bad",
    }
}

fn worth(class: Class) -> &'static str {
    match class {
        Class::A | Class::B => "times and ratios are worth telling",
        Class::C | Class::D => "only ratios are worth telling, not times",
    }
}

fn contents(result: &RunResult) -> Markup {
    html! {
        nav aria-label="Contents" {
            a href="#verdict" { "Verdict" }
            @for group in &result.groups { a href={ "#" (group.kind) } { (group.kind) } }
            @if !result.across.is_empty() { a href="#across" { "Different wires" } }
            @if !result.throughput.is_empty() { a href="#throughput" { "Throughput" } }
            a href="#trials" { "Trials" }
            a href="#host" { "Host" }
            a href="#method" { "Method" }
        }
    }
}

/// In plain words.
fn answer(result: &RunResult) -> Markup {
    let warnings = verdict::warnings(result);
    html! {
        section #verdict aria-labelledby="verdict-title" {
            h2 #verdict-title { "Verdict" }
            @for warning in warnings { p.warning role="note" { (warning) } }
            @let tallies = [50.0, 99.0, 99.9].map(|at| (at, verdict::bypass(result, at)));
            @if tallies.iter().any(|(_, tally)| tally.all() > 0) {
                p.lead { "Bypass paths against the kernel’s, on the same wire and doing the same work:" }
                ul.tally {
                    @for (at, tally) in tallies {
                        @if tally.all() > 0 {
                            li { b { (shown::percentile(at)) } " " span { (tally.words()) } }
                        }
                    }
                }
            }
            @for group in result.groups.iter().filter(|group| verdict::is_of_paths(group)) {
                @let said = verdict::group(group);
                @if !said.is_empty() {
                    h3 { a href={ "#" (group.kind) } { (group.kind) } ", against " code { (group.reference) } }
                    dl.said {
                        @for said in said {
                            dt { code { (said.member) } @if said.member.arm.is_bypass() { " " span.tag { "bypass" } } }
                            @for (percentile, sentence) in said.sentences {
                                dd { b { (shown::percentile(percentile)) } " " span { (tight(&sentence)) } }
                            }
                        }
                    }
                }
            }
            p.fine {
                "Ratios are of round-trip times: below 1 is faster. " b { "Faster" } " and " b { "slower" }
                " are said only where the whole 95 % interval lies beyond what two equal paths differ by here (the A/A floor)."
            }
        }
    }
}

/// A picture with its table.
fn figure(picture: &Picture) -> Markup {
    html! {
        figure #(picture.name) aria-label=(picture.told) {
            div.plot-box {
                @for (class, plot) in ["on-wide", "on-narrow"].iter().zip(&picture.plots) {
                    div class=(class) { (PreEscaped(plot.inline())) }
                }
            }
            details {
                summary { "Numbers" }
                (picture.table.markup())
            }
        }
    }
}

/// What must not be torn apart at the end of a line.
fn tight(text: &str) -> String {
    text.replace(" %", "\u{a0}%").replace("± ", "±")
}
