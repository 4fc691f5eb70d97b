//! For a browser, or a ticket: one page that needs nothing else.

use std::io::{self, Write};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{Entry, Group, Report, recommend};
use crate::{Section, Verdict};

const STYLE: &str = include_str!("html.css");

/// Writes the page.
///
/// # Errors
/// What `out` answers.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(page(report).into_string().as_bytes())
}

fn page(report: &Report) -> Markup {
    let mut sections: Vec<Section> = report.findings.iter().map(|entry| entry.section).collect();
    sections.dedup();
    let actions = recommend::actions(report);
    let groups = [Group::Host, Group::Application, Group::Hardware];
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "barewire-tune: this host" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "This host" }
                p { (about(report)) }
                ul.counts {
                    @for verdict in Verdict::ALL {
                        li class=(class(verdict)) { (report.count(verdict)) " " (verdict.label()) }
                    }
                }
                @for group in groups {
                    @let mut rows = actions.iter().filter(|action| action.group == group).peekable();
                    @if rows.peek().is_some() {
                        h2 { (group.title()) }
                        ol {
                            @for action in rows {
                                li {
                                    @for id in &action.ids { a href={ "#" (id) } { (id) } " " }
                                    @if action.is_command { code { (action.text) } } @else { (action.text) }
                                }
                            }
                        }
                    }
                }
                @for section in sections {
                    h2 { (section.title()) }
                    @for entry in report.findings.iter().filter(|entry| entry.section == section) {
                        (finding(entry))
                    }
                }
                footer { "made by " (report.made_by) }
            }
        }
    }
}

fn about(report: &Report) -> String {
    let about = &report.machine;
    match (&about.workers, &about.housekeeping, &about.undecided) {
        (Some(workers), Some(rest), _) => {
            format!("Workers on CPU {workers}, everything else on CPU {rest}.")
        }
        (_, _, Some(why)) => format!("No workers can be placed on this machine: {why}."),
        _ => String::new(),
    }
}

fn finding(entry: &Entry) -> Markup {
    html! {
        details id=(entry.id) class=(class(entry.verdict)) open[entry.is_open()] {
            summary {
                b { (entry.verdict.label()) } " " code { (entry.id) } " " (entry.title) ": " (entry.seen)
            }
            @if !entry.wanted.is_empty() { p { "Wanted: " (entry.wanted) } }
            p { (entry.why) }
            @if entry.is_contested { p { "Contested: measure it on this host before you change it." } }
            @if !entry.details.is_empty() {
                ul { @for line in &entry.details { li { (line) } } }
            }
            @if !entry.commands.is_empty() {
                pre { (entry.commands.join("\n")) }
                p { (entry.price()) }
            }
            @if let Some(advice) = &entry.advice { p { (advice) } }
        }
    }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "good",
        Verdict::Warn => "warn",
        Verdict::Bad => "bad",
        Verdict::Info => "info",
        Verdict::Unknown | Verdict::NotApplicable => "none",
    }
}
