//! For CI servers: a test case for each check.

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::{Entry, Report};
use crate::{Section, Verdict};

/// Writes JUnit XML: BAD is a failure, UNKNOWN an error, N/A a skip; WARN passes, with its text as output.
///
/// # Errors
/// What `out` answers.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let mut junit = quick_junit::Report::new("barewire-tune");
    let mut sections: Vec<Section> = report.findings.iter().map(|entry| entry.section).collect();
    sections.dedup();
    for section in sections {
        let mut suite = TestSuite::new(section.title());
        let entries = report.findings.iter().filter(|entry| entry.section == section);
        suite.add_test_cases(entries.map(case));
        junit.add_test_suite(suite);
    }
    junit.serialize(out).map_err(io::Error::other)
}

fn case(entry: &Entry) -> TestCase {
    let failed = |kind| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(format!("{}: {}", entry.title, entry.seen)).set_description(text(entry));
        status
    };
    let status = match entry.verdict {
        Verdict::Bad => failed(NonSuccessKind::Failure),
        Verdict::Unknown => failed(NonSuccessKind::Error),
        Verdict::NotApplicable => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(&entry.seen);
            status
        }
        Verdict::Good | Verdict::Info | Verdict::Warn => TestCaseStatus::success(),
    };
    let mut case = TestCase::new(format!("{} {}", entry.id, entry.title), status);
    if entry.verdict == Verdict::Warn {
        case.set_system_out(text(entry));
    }
    case
}

fn text(entry: &Entry) -> String {
    let mut lines = vec![format!("seen: {}", entry.seen)];
    if !entry.wanted.is_empty() {
        lines.push(format!("wanted: {}", entry.wanted));
    }
    lines.push(entry.why.clone());
    lines.extend(entry.details.iter().cloned());
    lines.extend(entry.commands.iter().map(|command| format!("fix: {command}")));
    lines.extend(entry.advice.iter().map(|advice| format!("do: {advice}")));
    lines.join("\n")
}
