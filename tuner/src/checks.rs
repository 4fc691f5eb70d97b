//! The checks: what is looked at, what is good, and what would mend it.
//!
//! A check is pure: it sees a [`Context`] and answers an [`Outcome`]. Its id is for ever; scripts and waivers name it.
//! [`all`] is every check in the order of the report.

mod boot;
mod cache;
mod clock;
mod cstates;
mod firmware;
#[cfg(test)]
mod hardware;
mod hugepages;
mod interrupts;
mod isolation;
mod judge;
mod measured;
mod memory;
mod network;
mod nics;
#[cfg(test)]
mod nonsense;
mod pcie;
mod power;
mod process;
mod ras;
mod rivals;
#[cfg(test)]
pub(crate) mod sample;
mod security;
mod several;
#[cfg(test)]
mod testing;
mod topology;
mod watchdog;
mod wording;

use crate::{
    Facts, Finding, Intent, Measured, Risk, Section, Verdict, change::Change,
    facts::process::Process,
};

/// One check.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its name, for ever: `ISO-01`.
    pub id: &'static str,
    /// The part of the report.
    pub section: Section,
    /// What is checked, in a few words, lower case.
    pub title: &'static str,
    /// Why it matters, in one sentence.
    pub why: &'static str,
    /// A page of why, for `--explain`: what the kernel does, what good looks like, what the fix costs, what experts
    /// disagree about. Paragraphs are separated by empty lines.
    pub explain: &'static str,
    /// Where that is written: documents by name, with version where it matters.
    pub sources: &'static [&'static str],
    /// What the fix may break.
    pub risk: Risk,
    /// What the fix costs, in words; empty for nothing.
    pub cost: &'static str,
    /// Experts disagree; only a measurement on this host may decide.
    pub is_contested: bool,
    /// The thresholds are our proposal.
    pub is_proposed: bool,
    /// Looks.
    pub look: fn(&Context<'_>) -> Outcome,
}

impl Check {
    /// What most checks are: undisputed, with published thresholds, and a fix without risk or cost.
    pub(crate) const PLAIN: Self = Self {
        id: "",
        section: Section::System,
        title: "",
        why: "",
        explain: "",
        sources: &[],
        risk: Risk::None,
        cost: "",
        is_contested: false,
        is_proposed: false,
        look: |_| Outcome::not_applicable("nothing is checked"),
    };
}

/// What a check may look at.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The machine.
    pub facts: &'a Facts,
    /// What it is to be tuned for.
    pub intent: &'a Intent,
    /// What happened while it was watched; none when it was not.
    pub measured: Option<&'a Measured>,
    /// The process that was asked about, if one was.
    pub process: Option<&'a Process>,
}

impl<'a> Context<'a> {
    /// The machine and what it is for.
    #[must_use]
    pub fn new(facts: &'a Facts, intent: &'a Intent) -> Self {
        Self { facts, intent, measured: None, process: None }
    }

    /// And what happened while the machine was watched.
    #[must_use]
    pub fn with_measured(self, measured: Option<&'a Measured>) -> Self {
        Self { measured, ..self }
    }

    /// And a process that was asked about.
    #[must_use]
    pub fn with_process(self, process: Option<&'a Process>) -> Self {
        Self { process, ..self }
    }

    /// What happened while the machine was watched, or what a check that needs to know that answers without it.
    fn watched(&self) -> Result<&'a Measured, Outcome> {
        self.measured.ok_or_else(|| Outcome::not_applicable("not measured: run with --measure 5s"))
    }
}

/// What a check answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// How good it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// What is wanted.
    pub wanted: String,
    /// One line for each thing it is made of.
    pub details: Vec<String>,
    /// What would mend it.
    pub fix: Vec<Change>,
    /// What to do where no command helps.
    pub advice: Option<Box<str>>,
    /// This fix is harmless, whatever other fixes of the check may break.
    pub is_harmless: bool,
}

impl Outcome {
    fn new(verdict: Verdict, seen: impl Into<String>) -> Self {
        Self {
            verdict,
            seen: seen.into(),
            wanted: String::new(),
            details: Vec::new(),
            fix: Vec::new(),
            advice: None,
            is_harmless: false,
        }
    }

    /// As it should be.
    pub fn good(seen: impl Into<String>) -> Self {
        Self::new(Verdict::Good, seen)
    }

    /// It costs something, sometimes.
    pub fn warn(seen: impl Into<String>) -> Self {
        Self::new(Verdict::Warn, seen)
    }

    /// It ruins the tail, or endangers the machine.
    pub fn bad(seen: impl Into<String>) -> Self {
        Self::new(Verdict::Bad, seen)
    }

    /// Worth knowing.
    pub fn info(seen: impl Into<String>) -> Self {
        Self::new(Verdict::Info, seen)
    }

    /// It could not be found out, for this reason.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::new(Verdict::Unknown, why)
    }

    /// There is nothing here to check, for this reason.
    pub fn not_applicable(why: impl Into<String>) -> Self {
        Self::new(Verdict::NotApplicable, why)
    }

    /// This is wanted.
    #[must_use]
    pub fn wanted(mut self, wanted: impl Into<String>) -> Self {
        self.wanted = wanted.into();
        self
    }

    /// This would mend it.
    #[must_use]
    pub fn fix(mut self, change: Change) -> Self {
        self.fix.push(change);
        self
    }

    /// These would mend it, together.
    #[must_use]
    pub fn fixes(mut self, changes: impl IntoIterator<Item = Change>) -> Self {
        self.fix.extend(changes);
        self
    }

    /// No command mends it, but this does.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into().into_boxed_str());
        self
    }

    /// This fix breaks nothing, whatever other fixes of the check may.
    #[must_use]
    pub fn harmless(mut self, is_harmless: bool) -> Self {
        self.is_harmless = is_harmless;
        self
    }

    /// One more line.
    #[must_use]
    pub fn details(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(lines);
        self
    }
}

/// Every check, section by section.
pub fn all() -> impl Iterator<Item = &'static Check> {
    [
        topology::CHECKS,
        isolation::CHECKS,
        interrupts::CHECKS,
        clock::CHECKS,
        watchdog::CHECKS,
        ras::CHECKS,
        power::CHECKS,
        cstates::CHECKS,
        firmware::CHECKS,
        rivals::CHECKS,
        hugepages::CHECKS,
        memory::CHECKS,
        cache::CHECKS,
        pcie::CHECKS,
        nics::CHECKS,
        network::CHECKS,
        security::CHECKS,
        boot::CHECKS,
        measured::CHECKS,
    ]
    .into_iter()
    .flatten()
}

/// Every check, and those that are about one process.
pub fn catalogue() -> impl Iterator<Item = &'static Check> {
    all().chain(process::CHECKS)
}

/// Runs every check; and those that are about one process, if one was asked about.
#[must_use]
pub fn run(context: &Context<'_>) -> Vec<Finding> {
    let of_process = context.process.map_or(&[][..], |_| process::CHECKS);
    all().chain(of_process).map(|check| check.run(context)).collect()
}

impl Check {
    /// Looks, and says what was found.
    #[must_use]
    pub fn run(&self, context: &Context<'_>) -> Finding {
        let outcome = (self.look)(context);
        // A file that is there and empty says nothing, whatever a comparison with it says.
        let outcome = match outcome.seen.trim().is_empty() {
            true => Outcome::unknown("the value that it is about is empty").wanted(outcome.wanted),
            false => outcome,
        };
        Finding {
            id: self.id,
            section: self.section,
            title: self.title,
            verdict: outcome.verdict,
            seen: outcome.seen,
            wanted: outcome.wanted,
            why: self.why,
            details: outcome.details,
            needs_reboot: outcome.fix.iter().any(Change::needs_reboot),
            fix: outcome.fix,
            advice: outcome.advice.map(String::from),
            risk: if outcome.is_harmless { Risk::Low } else { self.risk },
            cost: if outcome.is_harmless { "" } else { self.cost },
            is_contested: self.is_contested,
            is_proposed: self.is_proposed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_check_has_a_name_of_its_own_and_says_why() {
        let mut ids = BTreeSet::new();
        for check in catalogue() {
            assert!(ids.insert(check.id), "{} is there twice", check.id);
            let (letters, digits) = check.id.split_once('-').unwrap();
            assert!(letters.bytes().all(|b| b.is_ascii_uppercase()), "{}", check.id);
            assert!(
                digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit()),
                "{}",
                check.id
            );
            for text in [check.title, check.why, check.explain] {
                assert!(!text.is_empty(), "{}", check.id);
            }
            assert!(!check.sources.is_empty(), "{} names no source", check.id);
        }
    }
}
