//! Approval, or not, for CI and provisioning.
//!
//! Not knowing is never approval. What is let through in spite of its verdict is waived one by one, with a reason and a
//! last day, and the answer lists it: a gate that was weakened says so.

use std::collections::BTreeMap;

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Exit, Verdict, checks,
    report::{Entry, Report},
};

/// The version of [`Judgement`] in JSON.
pub const SCHEMA: u32 = 1;

/// Checks that may stay unknown without closing the gate: they need hardware, firmware or a driver that many good
/// machines do not have. With `--strict` they may not.
const MAY_BE_UNKNOWN: &[&str] = &[
    "FW-01", "FW-02", "FW-05", "MEM-19", "MEM-21", "MEM-22", "NIC-05", "NIC-06", "NIC-07",
    "NIC-08", "NIC-12", "PCI-02", "PCI-03", "PCI-04", "PERF-01", "PWR-06", "PWR-07", "PWR-08",
    "RAS-02", "RAS-03", "TOPO-09", "UNC-01",
];

/// How to judge.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Warnings count, and so does everything that is unknown.
    pub is_strict: bool,
    /// Only these checks count; all when empty.
    pub only: Vec<String>,
    /// What is let through.
    pub waivers: Vec<Waiver>,
    /// What was found before, and is not counted again unless it got worse.
    pub baseline: Option<Report>,
}

/// One check that is let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The check.
    pub id: String,
    /// Why.
    pub reason: String,
    /// The last day on which it is let through, as `2027-01-31`.
    pub expires: toml::value::Datetime,
}

/// A file of waivers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    waiver: Vec<Waiver>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Judgement {
    /// The version of this notation: 1.
    pub schema: u32,
    /// How it ends.
    pub summary: Summary,
    /// The checks that keep the gate closed, and those let through, with what was found.
    pub counted: Vec<Counted>,
}

/// How it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Summary {
    /// Is it open?
    pub is_approved: bool,
    /// The exit code.
    #[schemars(with = "u8")]
    pub exit: Exit,
    /// Why it is that, in a sentence.
    pub exit_reason: String,
    /// How many checks were judged.
    pub judged: usize,
}

/// One check that is not good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Counted {
    /// The check.
    pub id: String,
    /// What it found.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// Whether it closes the gate.
    pub effect: Effect,
    /// Why it does or does not: the waiver's reason, the baseline.
    pub note: String,
}

/// Whether a finding closes the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// It does.
    Closes,
    /// It would, but it is waived.
    Waived,
    /// It would, but it was so before.
    Known,
    /// It does not.
    Noted,
}

/// What is wrong with a file of waivers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WaiverError {
    /// It is not TOML, or has other keys.
    #[error("{0}")]
    Syntax(String),
    /// A check that does not exist.
    #[error("waiver of {id}: there is no such check")]
    NoSuchCheck {
        /// Its name.
        id: String,
    },
    /// There is no reason.
    #[error("waiver of {id}: it needs a reason")]
    NoReason {
        /// The check.
        id: String,
    },
    /// The last day is not a day.
    #[error("waiver of {id}: expires = {found}, but a day such as 2027-01-31 is wanted")]
    NotADay {
        /// The check.
        id: String,
        /// What stands there.
        found: String,
    },
}

/// Reads waivers.
///
/// # Errors
/// [`WaiverError`]: a waiver that is not understood must not open a gate.
///
/// # Example
/// ```
/// let waivers = tuner::gate::waivers(
///     r#"
///     [[waiver]]
///     id = "WD-01"
///     reason = "lockups are being looked for until the new kernel is out"
///     expires = 2027-01-31
///     "#,
/// )?;
/// assert_eq!(waivers[0].id, "WD-01");
/// # Ok::<(), tuner::gate::WaiverError>(())
/// ```
pub fn waivers(text: &str) -> Result<Vec<Waiver>, WaiverError> {
    let file: File = toml::from_str(text).map_err(|e| WaiverError::Syntax(e.to_string()))?;
    for waiver in &file.waiver {
        let id = waiver.id.clone();
        if checks::all().all(|check| check.id != id) {
            return Err(WaiverError::NoSuchCheck { id });
        }
        if waiver.reason.trim().is_empty() {
            return Err(WaiverError::NoReason { id });
        }
        if waiver.last_day().is_none() {
            return Err(WaiverError::NotADay { id, found: waiver.expires.to_string() });
        }
    }
    Ok(file.waiver)
}

impl Waiver {
    fn last_day(&self) -> Option<Date> {
        let date = self.expires.date.filter(|_| self.expires.time.is_none())?;
        let (month, day) = (i8::try_from(date.month).ok()?, i8::try_from(date.day).ok()?);
        Date::new(i16::try_from(date.year).ok()?, month, day).ok()
    }
}

/// Judges a report, on a day.
#[must_use]
pub fn judge(report: &Report, rules: &Rules, today: Date) -> Judgement {
    let before: BTreeMap<&str, Verdict> = match &rules.baseline {
        Some(baseline) => baseline.findings.iter().map(|e| (e.id.as_str(), e.verdict)).collect(),
        None => BTreeMap::new(),
    };
    let is_judged = |entry: &&Entry| rules.only.is_empty() || rules.only.contains(&entry.id);
    let entries: Vec<&Entry> = report.findings.iter().filter(is_judged).collect();
    let counted: Vec<Counted> =
        entries.iter().filter_map(|entry| count(entry, rules, &before, today)).collect();
    let closes = |verdict| {
        counted.iter().filter(|c| c.effect == Effect::Closes && c.verdict == verdict).count()
    };
    let (bad, unknown, warn) =
        (closes(Verdict::Bad), closes(Verdict::Unknown), closes(Verdict::Warn));
    // Of checks that were named, one that does not apply (or was not measured) approves nothing.
    let says_nothing = |entry: &&Entry| entry.verdict == Verdict::NotApplicable;
    let (exit, exit_reason) = if entries.is_empty() {
        (Exit::Unknown, "no check was judged".to_owned())
    } else if !rules.only.is_empty() && entries.iter().all(says_nothing) {
        (Exit::Unknown, "none of the named checks applies, or was measured".to_owned())
    } else if bad > 0 {
        (Exit::Bad, format!("{bad} checks are bad"))
    } else if unknown > 0 {
        (Exit::Unknown, format!("{unknown} checks that have to be known are not"))
    } else if warn > 0 {
        (Exit::Warnings, format!("{warn} checks warn"))
    } else {
        (Exit::Success, "no check that counts is bad or unknown".to_owned())
    };
    Judgement {
        schema: SCHEMA,
        summary: Summary {
            is_approved: exit == Exit::Success,
            exit,
            exit_reason,
            judged: entries.len(),
        },
        counted,
    }
}

fn count(
    entry: &Entry,
    rules: &Rules,
    before: &BTreeMap<&str, Verdict>,
    today: Date,
) -> Option<Counted> {
    let id = entry.id.as_str();
    let would_close = match entry.verdict {
        Verdict::Bad => true,
        Verdict::Unknown => rules.is_strict || !MAY_BE_UNKNOWN.contains(&id),
        Verdict::Warn => rules.is_strict,
        Verdict::Good | Verdict::Info | Verdict::NotApplicable => return None,
    };
    let waiver = rules.waivers.iter().find(|waiver| waiver.id == id);
    let was = before.get(id).copied();
    let (effect, note) = match (would_close, waiver, was) {
        (false, _, _) => (Effect::Noted, String::new()),
        (true, Some(waiver), _) if waiver.last_day().is_some_and(|last| today <= last) => {
            (Effect::Waived, format!("until {}: {}", waiver.expires, waiver.reason))
        }
        (true, waiver, was) if was.is_some_and(|was| badness(was) >= badness(entry.verdict)) => {
            let expired = waiver.map(|_| ", and its waiver has expired").unwrap_or_default();
            (Effect::Known, format!("it was so in the baseline{expired}"))
        }
        (true, Some(waiver), _) => {
            (Effect::Closes, format!("its waiver expired on {}", waiver.expires))
        }
        (true, None, Some(was)) => (Effect::Closes, format!("it was {was} in the baseline")),
        (true, None, None) => (Effect::Closes, String::new()),
    };
    let (id, seen) = (entry.id.clone(), entry.seen.clone());
    Some(Counted { id, verdict: entry.verdict, seen, effect, note })
}

/// How bad a verdict is for a gate. What was not known before says nothing about now.
fn badness(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Good | Verdict::Info | Verdict::NotApplicable => 0,
        Verdict::Warn => 1,
        Verdict::Unknown => 2,
        Verdict::Bad => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Profile, Risk, Section, report::About};

    fn report(findings: &[(&str, Verdict)]) -> Report {
        let entry = |&(id, verdict): &(&str, Verdict)| Entry {
            id: id.to_owned(),
            section: Section::Timers,
            title: String::new(),
            verdict,
            seen: "seen".to_owned(),
            wanted: String::new(),
            why: String::new(),
            details: Vec::new(),
            files: Vec::new(),
            commands: Vec::new(),
            advice: None,
            needs_reboot: false,
            risk: Risk::None,
            cost: String::new(),
            is_contested: false,
            is_proposed: false,
        };
        Report {
            schema: crate::report::SCHEMA,
            made_by: String::new(),
            machine: About {
                profile: Profile::LowLatency,
                workers: None,
                housekeeping: None,
                undecided: None,
                configuration: None,
            },
            summary: BTreeMap::new(),
            findings: findings.iter().map(entry).collect(),
            recommendations: Vec::new(),
        }
    }

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    fn exit(findings: &[(&str, Verdict)], rules: &Rules) -> u8 {
        judge(&report(findings), rules, day("2026-11-22")).summary.exit as u8
    }

    #[test]
    fn each_verdict_has_its_exit_code_and_the_worst_wins() {
        use Verdict::{Bad, Good, Info, NotApplicable, Unknown, Warn};
        let normal = Rules::default();
        let strict = Rules { is_strict: true, ..Rules::default() };

        for (findings, plain, hard) in [
            (&[("A-01", Good), ("B-01", Info), ("C-01", NotApplicable)][..], 0, 0),
            (&[("A-01", Good), ("B-01", Warn)][..], 0, 10),
            (&[("A-01", Warn), ("B-01", Unknown)][..], 30, 30),
            (&[("A-01", Good), ("FW-02", Unknown)][..], 0, 30),
            (&[("A-01", Unknown), ("B-01", Bad)][..], 20, 20),
            (&[][..], 30, 30),
        ] {
            assert_eq!(exit(findings, &normal), plain, "{findings:?}");
            assert_eq!(exit(findings, &strict), hard, "{findings:?} strictly");
        }
    }

    #[test]
    fn a_waiver_counts_until_its_last_day_and_is_listed() {
        let text = "[[waiver]]\nid = \"WD-01\"\nreason = \"why\"\nexpires = 2026-11-22\n";
        let rules = Rules { waivers: waivers(text).unwrap(), ..Rules::default() };
        let report = report(&[("WD-01", Verdict::Bad)]);

        let last = judge(&report, &rules, day("2026-11-22"));
        assert!(last.summary.is_approved);
        assert_eq!(last.counted[0].effect, Effect::Waived);
        assert!(last.counted[0].note.contains("why"));
        let after = judge(&report, &rules, day("2026-11-23"));
        assert_eq!(after.summary.exit, Exit::Bad);
        assert!(after.counted[0].note.contains("expired"));
    }

    #[test]
    fn what_was_so_before_is_known_and_what_got_worse_closes() {
        let baseline =
            |verdict| Rules { baseline: Some(report(&[("WD-01", verdict)])), ..Rules::default() };

        for (was, is, code) in [
            (Verdict::Bad, Verdict::Bad, 0),
            (Verdict::Warn, Verdict::Bad, 20),
            (Verdict::Unknown, Verdict::Bad, 20),
            (Verdict::Good, Verdict::Unknown, 30),
            (Verdict::Unknown, Verdict::Unknown, 0),
        ] {
            assert_eq!(exit(&[("WD-01", is)], &baseline(was)), code, "{was} then {is}");
        }
        let new =
            judge(&report(&[("B-01", Verdict::Bad)]), &baseline(Verdict::Bad), day("2026-11-22"));
        assert_eq!(new.summary.exit, Exit::Bad);
    }

    #[test]
    fn only_the_checks_that_were_named_count() {
        let rules = Rules { only: vec!["A-01".to_owned()], ..Rules::default() };

        assert_eq!(exit(&[("A-01", Verdict::Good), ("B-01", Verdict::Bad)], &rules), 0);
        assert_eq!(exit(&[("B-01", Verdict::Bad)], &rules), 30);
        assert_eq!(exit(&[("A-01", Verdict::NotApplicable)], &rules), 30);
    }

    #[test]
    fn a_waiver_that_is_not_understood_is_an_error() {
        let file = |id: &str, reason: &str, expires: &str| {
            format!("[[waiver]]\nid = \"{id}\"\nreason = \"{reason}\"\nexpires = {expires}\n")
        };

        for (text, expected) in [
            (file("XX-99", "why", "2027-01-31"), "there is no such check"),
            (file("WD-01", " ", "2027-01-31"), "it needs a reason"),
            (file("WD-01", "why", "2027-01-31T10:00:00"), "a day such as"),
            (file("WD-01", "why", "07:32:00"), "a day such as"),
            (file("WD-01", "why", "\"soon\""), "expected"),
            ("[[waiver]]\nid = \"WD-01\"\nreason = \"x\"\n".to_owned(), "missing field `expires`"),
            ("[[waivers]]\n".to_owned(), "unknown field"),
        ] {
            let error = waivers(&text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
