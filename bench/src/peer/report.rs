//! The result as a table for people and as JSON for everything else.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::{
    case::{Cpus, Kind, Mode, Settings},
    result::{CaseResult, Finding},
};
use crate::statistics::{CONFIDENCE, Estimate, RESAMPLES, Verdict};

/// The number that every JSON report of this shape carries.
pub const SCHEMA: u32 = 1;

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// [`SCHEMA`]
    pub schema: u32,
    /// How to read the numbers.
    pub note: &'static str,
    /// The machine.
    pub machine: Machine,
    /// The CPUs.
    pub cpus: Cpus,
    /// What both programs were set to.
    pub settings: Settings,
    /// How barewired spread its work.
    pub mode: Mode,
    /// What the capture of case (a) holds.
    pub frames: &'static str,
    /// Blocks, each with programs started afresh.
    pub blocks: usize,
    /// Slices of each arm in a block.
    pub rounds: usize,
    /// The time of a slice in milliseconds.
    pub slice_ms: u64,
    /// Orders and resamples follow from it.
    pub seed: u64,
    /// How often blocks were drawn again for an interval.
    pub resamples: usize,
    /// What an interval is meant to hold.
    pub confidence: f64,
    /// The cases that were measured.
    pub cases: Vec<CaseResult>,
    /// What was left out, and why.
    pub skipped: Vec<Skipped>,
}

/// Absolute numbers are of no use elsewhere, and of little use here.
pub const NOTE: &str = "rates are of this machine only, at this time only; what may be quoted are ratios within one case, with their intervals";

/// What the numbers were measured on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The first CPU's model.
    pub cpu: String,
    /// The kernel.
    pub kernel: String,
    /// How many CPUs are online.
    pub online: usize,
    /// The kernel's command line.
    pub command_line: String,
}

/// Something that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// The case.
    pub case: String,
    /// Why.
    pub why: String,
}

impl Report {
    /// An empty report.
    #[must_use]
    pub fn new(
        machine: Machine,
        cpus: Cpus,
        settings: Settings,
        mode: Mode,
        frames: &'static str,
        seed: u64,
    ) -> Self {
        Self {
            schema: SCHEMA,
            note: NOTE,
            machine,
            cpus,
            settings,
            mode,
            frames,
            blocks: 0,
            rounds: 0,
            slice_ms: 0,
            seed,
            resamples: RESAMPLES,
            confidence: CONFIDENCE,
            cases: Vec::new(),
            skipped: Vec::new(),
        }
    }

    /// Slices of all cases, and those among them that do not count.
    #[must_use]
    pub fn validity(&self) -> (usize, usize) {
        self.cases
            .iter()
            .map(CaseResult::validity)
            .fold((0, 0), |sum, case| (sum.0 + case.0, sum.1 + case.1))
    }

    /// The table.
    #[must_use]
    pub fn table(&self, is_coloured: bool) -> String {
        let mut text = String::new();
        let _infallible = self.write_table(&mut text, is_coloured);
        text
    }

    fn write_table(&self, text: &mut String, is_coloured: bool) -> std::fmt::Result {
        let bold = if is_coloured { Style::new().bold() } else { Style::new() };
        writeln!(
            text,
            "{bold}{:<6} {:<38} {:>8}  {:<17} {:>7}  verdict{bold:#}",
            "case", "rate of", "ratio", "95 % interval", "A/A"
        )?;
        for case in &self.cases {
            let floor = case
                .floor()
                .map_or_else(|| "-".to_owned(), |floor| format!("±{:.1} %", floor * 100.0));
            for finding in &case.findings {
                write_finding(text, case.case.name, finding, &floor, is_coloured)?;
            }
        }
        for case in &self.cases {
            writeln!(text, "\n{}: {}", case.case.name, case.case.what)?;
            let (slices, invalid) = case.validity();
            if invalid > 0 {
                writeln!(text, "  {invalid} of {slices} slices do not count; why is in the JSON")?;
            }
            for remark in &case.remarks {
                writeln!(text, "  {remark}")?;
            }
        }
        for skipped in &self.skipped {
            writeln!(text, "\nSKIPPED case {}: {}", skipped.case, skipped.why)?;
        }
        writeln!(
            text,
            "\n{} blocks of {} slices of {} ms for each arm, in random order (--seed {}); cpu {} measured, cpu {} for the \
             rest; burst {}, {} descriptors, {} buffers, {} pages. A/A: how far two equal testpmds are apart.",
            self.blocks,
            self.rounds,
            self.slice_ms,
            self.seed,
            self.cpus.measured,
            self.cpus.other,
            self.settings.burst,
            self.settings.descriptors,
            self.settings.buffers,
            match self.settings.memory {
                super::case::Memory::Huge2M => "2 MiB",
                super::case::Memory::Ordinary => "ordinary",
            },
        )
    }
}

fn write_finding(
    text: &mut String,
    case: &str,
    finding: &Finding,
    floor: &str,
    is_coloured: bool,
) -> std::fmt::Result {
    let comparison = &finding.comparison;
    let what = format!("{} / {}", comparison.arm, comparison.against);
    let Some(estimate) = &finding.estimate else {
        return writeln!(text, "{case:<6} {what:<38} {:>8}  too few valid slices", "-");
    };
    let Estimate { value, low, high, blocks: _ } = estimate;
    match comparison.kind {
        Kind::Nanoseconds => {
            let what = format!("{} - {}", comparison.arm, comparison.against);
            writeln!(
                text,
                "{case:<6} {what:<38} {value:>+8.3}  {:<17} {:>7}  ns a packet more",
                format!("{low:+.3} … {high:+.3}"),
                ""
            )
        }
        Kind::Floor => writeln!(
            text,
            "{case:<6} {what:<38} {value:>8.3}  {:<17} {floor:>7}  the floor: two equal programs",
            format!("{low:.3} … {high:.3}")
        ),
        Kind::Ratio => {
            let (word, style) = words(finding.verdict.as_ref(), is_coloured);
            writeln!(
                text,
                "{case:<6} {what:<38} {value:>8.3}  {:<17} {floor:>7}  {style}{word}{style:#}",
                format!("{low:.3} … {high:.3}")
            )
        }
    }
}

fn words(verdict: Option<&Verdict>, is_coloured: bool) -> (String, Style) {
    let colour = |colour: AnsiColor| Style::new().fg_color(is_coloured.then(|| colour.into()));
    match verdict {
        Some(Verdict::Faster) => ("faster".to_owned(), colour(AnsiColor::Green)),
        Some(Verdict::Slower) => ("slower".to_owned(), colour(AnsiColor::Red)),
        Some(Verdict::NoDifference { within }) => {
            (format!("no difference at ±{:.1} %", within * 100.0), Style::new())
        }
        None => (String::new(), Style::new()),
    }
}

#[cfg(test)]
mod tests {
    use config::CpuId;

    use super::*;
    use crate::peer::case::{self, Memory};

    fn report() -> Report {
        let machine =
            Machine { cpu: "x".into(), kernel: "y".into(), online: 2, command_line: String::new() };
        let cpus = Cpus { measured: CpuId::new(1).unwrap(), other: CpuId::ZERO };
        let settings = Settings {
            memory: Memory::Ordinary,
            burst: 32,
            descriptors: 1024,
            buffers: 8192,
            cache: 256,
        };
        Report::new(machine, cpus, settings, Mode::RunToCompletion, "frames", 7)
    }

    #[test]
    fn a_case_without_a_valid_slice_and_one_that_was_skipped_are_named() {
        let mut report = report();
        let case = case::all().remove(0);
        report.cases.push(CaseResult::conclude(case, Vec::new(), Vec::new(), 7));
        report.skipped.push(Skipped { case: "c".into(), why: "no hugepages".into() });
        let table = report.table(false);
        assert!(table.contains("too few valid slices"), "{table}");
        assert!(table.contains("SKIPPED case c: no hugepages"), "{table}");
    }

    #[test]
    fn the_json_says_that_rates_are_of_this_machine_only() {
        let json: serde_json::Value = serde_json::to_value(report()).unwrap();
        assert_eq!(json["schema"], 1);
        assert!(json["note"].as_str().unwrap().contains("this machine only"));
        assert_eq!(json["settings"]["memory"], "none");
        assert_eq!(json["seed"], 7);
    }
}
