//! For code-scanning services: SARIF 2.1.0 (OASIS), a rule for each check.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::{Entry, Report};
use crate::{Verdict, checks};

/// Writes a SARIF log with one run.
///
/// # Errors
/// What `out` answers.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let rules: Vec<Value> = checks::catalogue()
        .map(|check| {
            json!({
                "id": check.id,
                "shortDescription": { "text": check.title },
                "fullDescription": { "text": check.why },
                "help": { "text": check.explain },
            })
        })
        .collect();
    let results: Vec<Value> = report.findings.iter().map(result).collect();
    let log = json!({
        "version": "2.1.0",
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "runs": [{
            "tool": { "driver": {
                "name": "barewire-tune",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "results": results,
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    writeln!(out)
}

fn result(entry: &Entry) -> Value {
    let (kind, level) = match entry.verdict {
        Verdict::Bad => ("fail", "error"),
        Verdict::Warn => ("fail", "warning"),
        // A kind other than "fail" has the level "none" (SARIF 2.1.0, 3.27.10).
        Verdict::Unknown => ("open", "none"),
        Verdict::Info => ("informational", "none"),
        Verdict::Good => ("pass", "none"),
        Verdict::NotApplicable => ("notApplicable", "none"),
    };
    let mut text = format!("{}: {}", entry.title, entry.seen);
    if !entry.wanted.is_empty() {
        text.push_str(&format!(" (wanted: {})", entry.wanted));
    }
    json!({
        "ruleId": entry.id,
        "kind": kind,
        "level": level,
        "message": { "text": text },
        "properties": { "commands": entry.commands, "details": entry.details },
    })
}
