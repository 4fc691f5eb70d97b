//! For people: one line a finding, by section.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use crate::{Finding, Section, Verdict};

/// Writes the findings, section by section.
///
/// # Errors
/// What `out` answers.
pub fn write(findings: &[Finding], has_color: bool, out: &mut dyn Write) -> io::Result<()> {
    let mut section: Option<Section> = None;
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.section);
    for finding in sorted {
        if section != Some(finding.section) {
            section = Some(finding.section);
            writeln!(out, "\n{}", finding.section.title())?;
        }
        let style = if has_color { style(finding.verdict) } else { Style::new() };
        let Finding { id, verdict, title, seen, .. } = finding;
        writeln!(out, "  {style}{verdict:<7}{style:#} {id:<8} {title}: {seen}")?;
    }
    Ok(())
}

/// The colour of a verdict.
pub(crate) fn style(verdict: Verdict) -> Style {
    let color = match verdict {
        Verdict::Good => AnsiColor::Green,
        Verdict::Warn => AnsiColor::Yellow,
        Verdict::Bad => AnsiColor::Red,
        Verdict::Info => AnsiColor::Blue,
        Verdict::Unknown | Verdict::NotApplicable => AnsiColor::BrightBlack,
    };
    Style::new().fg_color(Some(color.into()))
}
