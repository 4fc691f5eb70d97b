//! For people: one line a finding, by section, with what to do below what is not good.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::{Entry, Group, Report, recommend};
use crate::{Section, Verdict};

/// How many lines of detail a finding shows; the JSON has them all.
const DETAILS: usize = 8;

/// Writes a report.
///
/// # Errors
/// What `out` answers.
pub fn write(report: &Report, has_color: bool, out: &mut dyn Write) -> io::Result<()> {
    let bold = if has_color { Style::new().bold() } else { Style::new() };
    about(report, out)?;
    let mut section: Option<Section> = None;
    for entry in &report.findings {
        if section != Some(entry.section) {
            section = Some(entry.section);
            writeln!(out, "\n{bold}{}{bold:#}", entry.section.title())?;
        }
        finding(entry, has_color, out)?;
    }
    recommendations(report, bold, out)?;
    let counts: Vec<String> = Verdict::ALL
        .into_iter()
        .map(|verdict| {
            let style = style(verdict, has_color);
            format!("{style}{} {verdict}{style:#}", report.count(verdict))
        })
        .collect();
    writeln!(out, "\n{} checks: {}", report.findings.len(), counts.join(", "))
}

/// What to do, in a line each.
fn recommendations(report: &Report, bold: Style, out: &mut dyn Write) -> io::Result<()> {
    let mut group: Option<Group> = None;
    for action in recommend::actions(report) {
        if group != Some(action.group) {
            group = Some(action.group);
            writeln!(out, "\n{bold}{}{bold:#}, the most effective first", action.group.title())?;
            if action.group == Group::Host {
                writeln!(
                    out,
                    "  (barewire-tune plan shows them as one plan, apply does them, rollback undoes them)"
                )?;
            }
        }
        writeln!(out, "  {:<8} {}", action.ids.join(", "), action.text)?;
    }
    Ok(())
}

fn about(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let about = &report.machine;
    match &about.configuration {
        Some(file) => writeln!(out, "for the configuration {file}:")?,
        None => writeln!(out, "without a configuration, for what fits this machine:")?,
    }
    match (&about.workers, &about.housekeeping, &about.undecided) {
        (Some(workers), Some(housekeeping), _) => {
            writeln!(out, "workers on CPU {workers}, everything else on CPU {housekeeping}")
        }
        (_, _, Some(why)) => writeln!(out, "no workers can be placed on this machine: {why}"),
        _ => Ok(()),
    }
}

fn finding(entry: &Entry, has_color: bool, out: &mut dyn Write) -> io::Result<()> {
    let style = style(entry.verdict, has_color);
    let Entry { id, verdict, title, seen, .. } = entry;
    write!(out, "  {style}{verdict:<7}{style:#} {id:<8} {title}: {seen}")?;
    if entry.is_open() && !entry.wanted.is_empty() {
        write!(out, " (wanted: {})", entry.wanted)?;
    }
    if entry.is_open() && entry.is_proposed {
        write!(out, " (threshold: proposed)")?;
    }
    writeln!(out)?;
    if !entry.is_open() {
        return Ok(());
    }
    let margin = " ".repeat(19);
    for line in entry.details.iter().take(DETAILS) {
        writeln!(out, "{margin}{line}")?;
    }
    if entry.details.len() > DETAILS {
        writeln!(out, "{margin}and {} more (--json has them)", entry.details.len() - DETAILS)?;
    }
    writeln!(out, "{margin}{}", entry.why)?;
    if entry.is_contested {
        writeln!(out, "{margin}contested: measure it on this host before you change it")?;
    }
    for command in &entry.commands {
        writeln!(out, "{margin}fix: {command}")?;
    }
    if let Some(advice) = &entry.advice {
        writeln!(out, "{margin}do: {advice}")?;
    }
    if !entry.commands.is_empty() {
        writeln!(out, "{margin}({})", entry.price())?;
    }
    Ok(())
}

/// The colour of a verdict.
fn style(verdict: Verdict, has_color: bool) -> Style {
    if !has_color {
        return Style::new();
    }
    let color = match verdict {
        Verdict::Good => AnsiColor::Green,
        Verdict::Warn => AnsiColor::Yellow,
        Verdict::Bad => AnsiColor::Red,
        Verdict::Info => AnsiColor::Blue,
        Verdict::Unknown | Verdict::NotApplicable => AnsiColor::BrightBlack,
    };
    Style::new().fg_color(Some(color.into()))
}
