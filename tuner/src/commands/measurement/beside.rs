//! `--cross-check`: ours and theirs, side by side.

use std::path::PathBuf;

use super::{Failure, Session};
use crate::{
    cross_check::{self, Question, Row, Theirs, Unit},
    measurement::Measurement,
};

/// What is in all the files.
pub(super) fn read(files: &[PathBuf]) -> Result<Vec<Theirs>, Failure> {
    let mut theirs = Vec::new();
    for file in files {
        theirs.extend(cross_check::read(file).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            Failure::Usage(format!("{error}{}", cause.unwrap_or_default()))
        })?);
    }
    Ok(theirs)
}

/// A line for each figure.
pub(super) fn show(
    ours: &Measurement,
    theirs: &[Theirs],
    is_json: bool,
    session: &mut Session<'_>,
) -> Result<(), Failure> {
    let rows = cross_check::compare(ours, theirs);
    if is_json {
        return session.json(&rows);
    }
    let out = &mut *session.out;
    let (ours, theirs) = ("ours", "theirs");
    writeln!(out, "{:<22} {:<8} {:<14} {ours:>22} {theirs:>22}", "", "", "")?;
    for row in &rows {
        let place = row.cpu.map_or_else(|| "all CPUs".to_owned(), |cpu| format!("CPU {cpu}"));
        let from_to = row.theirs;
        let theirs = range(from_to.0, from_to.1, row.unit);
        let ours = row.ours.map(|(from, to)| range(from, Some(to), row.unit));
        let ours = ours.unwrap_or_else(|| "not asked".to_owned());
        let verdict = match row.agrees {
            Some(true) => "agree",
            Some(false) => "differ",
            None => "",
        };
        let Row { tool, figure, .. } = row;
        writeln!(out, "{tool:<22} {place:<8} {figure:<14} {ours:>22} {theirs:>22}  {verdict}")?;
    }
    writeln!(
        out,
        "\nRanges have in them how exactly each counts (ours three digits and what reading the clock takes, theirs the width \
         of their steps) and chance. Figures agree when the ranges meet. A host whose noise changes from run to run, or \
         another priority of the other tool's threads, makes them differ too."
    )?;
    for (question, said) in [
        (Question::TimerInterrupt, "the timer's interrupt alone is not among what we ask"),
        (
            Question::Gap,
            "osnoise tells only gaps above its threshold, so the longest and how many are long are compared",
        ),
        (
            Question::Hardware,
            "hwlat sees only what no kernel can: its longest should not be longer than ours",
        ),
    ] {
        if rows.iter().any(|row| row.question == question) {
            writeln!(out, "{said}")?;
        }
    }
    Ok(())
}

fn range(from: f64, to: Option<f64>, unit: Unit) -> String {
    let number = |value: f64| match unit {
        Unit::Ns if value < 1e3 => format!("{value:.0} ns"),
        Unit::Ns if value < 1e6 => format!("{:.2} µs", value / 1e3),
        Unit::Ns => format!("{:.2} ms", value / 1e6),
        Unit::ASecond => format!("{value:.2}/s"),
    };
    match to {
        Some(to) => format!("{} – {}", number(from), number(to)),
        None => format!("over {}", number(from)),
    }
}
