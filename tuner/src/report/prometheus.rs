//! For Prometheus' text collector: one gauge for each check.

use std::io::{self, Write};

use super::Report;
use crate::Verdict;

/// Writes the text exposition format, version 0.0.4.
///
/// `barewire_tune_check{id,section,verdict} 1` says what each check found, `barewire_tune_checks{verdict}` how many
/// there are. Ids, sections and verdicts are ours and need no escaping.
///
/// # Errors
/// What `out` answers.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# HELP barewire_tune_check What a check of the host found: 1 for its verdict.")?;
    writeln!(out, "# TYPE barewire_tune_check gauge")?;
    for entry in &report.findings {
        let (id, section, verdict) = (&entry.id, slug(entry.section), slug(entry.verdict));
        writeln!(
            out,
            "barewire_tune_check{{id=\"{id}\",section=\"{section}\",verdict=\"{verdict}\"}} 1"
        )?;
    }
    writeln!(out, "# HELP barewire_tune_checks How many checks of the host have a verdict.")?;
    writeln!(out, "# TYPE barewire_tune_checks gauge")?;
    for verdict in Verdict::ALL {
        let label = slug(verdict);
        writeln!(out, "barewire_tune_checks{{verdict=\"{label}\"}} {}", report.count(verdict))?;
    }
    Ok(())
}

/// The name that the JSON has.
fn slug(value: impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}
