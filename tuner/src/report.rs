//! Findings, for people and for programs.
//!
//! [`Report`] is the whole of it as data; each module writes it in one notation.

pub mod html;
pub mod junit;
pub mod prometheus;
mod recommend;
pub mod sarif;
pub mod text;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Fact, Finding, Intent, Profile, Risk, Section, Verdict, change::Change};

pub use recommend::Group;

/// The version of [`Report`] in JSON. It changes when a field goes or means something else, not when one comes.
pub const SCHEMA: u32 = 1;

/// Everything that `analyze` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// The version of this notation: 1.
    pub schema: u32,
    /// The program that made it.
    pub made_by: String,
    /// What the machine was looked at for.
    pub machine: About,
    /// How many findings there are of each verdict.
    pub summary: BTreeMap<Verdict, usize>,
    /// What was found, section by section.
    pub findings: Vec<Entry>,
    /// What to do, the most effective first: ids of findings.
    pub recommendations: Vec<Recommendation>,
}

/// What the machine was looked at for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// What matters most.
    pub profile: Profile,
    /// The CPUs of the workers, as a list; none when they could not be placed.
    pub workers: Option<String>,
    /// The CPUs of everything else, as a list.
    pub housekeeping: Option<String>,
    /// Why the workers could not be placed.
    pub undecided: Option<String>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The check, for ever: `ISO-01`.
    pub id: String,
    /// The part of the report.
    pub section: Section,
    /// What is checked.
    pub title: String,
    /// How good it is.
    pub verdict: Verdict,
    /// What was seen, or why nothing was.
    pub seen: String,
    /// What is wanted; empty where nothing is.
    pub wanted: String,
    /// Why it matters.
    pub why: String,
    /// One line for each thing that the value is made of.
    pub details: Vec<String>,
    /// The shell commands that mend it, in order.
    pub commands: Vec<String>,
    /// What to do where no command helps.
    pub advice: Option<String>,
    /// Does the fix only count after a reboot?
    pub needs_reboot: bool,
    /// What the fix may break.
    pub risk: Risk,
    /// What the fix costs, in words.
    pub cost: String,
    /// Only a measurement on this host may decide.
    pub is_contested: bool,
    /// The thresholds are proposals, not published numbers.
    pub is_proposed: bool,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recommendation {
    /// Who can do it.
    pub group: Group,
    /// The finding it mends.
    pub id: String,
    /// What to do.
    pub text: String,
}

impl Report {
    /// Puts findings together, in the order of their sections.
    #[must_use]
    pub fn new(findings: &[Finding], intent: &Intent) -> Self {
        let mut findings: Vec<&Finding> = findings.iter().collect();
        findings.sort_by_key(|finding| finding.section);
        let mut summary = BTreeMap::new();
        for finding in &findings {
            *summary.entry(finding.verdict).or_insert(0) += 1;
        }
        let list = |fact: Fact<config::CpuSet>| fact.value().map(ToString::to_string);
        Self {
            schema: SCHEMA,
            made_by: format!("barewire-tune {}", env!("CARGO_PKG_VERSION")),
            machine: About {
                profile: intent.profile,
                workers: list(intent.workers()),
                housekeeping: list(intent.housekeeping()),
                undecided: intent.placement.why().map(str::to_owned),
            },
            summary,
            recommendations: recommend::all(&findings),
            findings: findings.into_iter().map(Entry::of).collect(),
        }
    }

    /// How many findings there are of one verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.summary.get(&verdict).copied().unwrap_or(0)
    }
}

impl Entry {
    fn of(finding: &Finding) -> Self {
        Self {
            id: finding.id.to_owned(),
            section: finding.section,
            title: finding.title.to_owned(),
            verdict: finding.verdict,
            seen: finding.seen.clone(),
            wanted: finding.wanted.clone(),
            why: finding.why.to_owned(),
            details: finding.details.clone(),
            commands: commands(&finding.fix),
            advice: finding.advice.clone(),
            needs_reboot: finding.needs_reboot,
            risk: finding.risk,
            cost: finding.cost.to_owned(),
            is_contested: finding.is_contested,
            is_proposed: finding.is_proposed,
        }
    }

    /// Is there something to do about it?
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.verdict, Verdict::Warn | Verdict::Bad)
    }

    /// What the fix costs and needs, in a few words.
    #[must_use]
    pub fn price(&self) -> String {
        let reboot = if self.needs_reboot { "needs a reboot" } else { "no reboot" };
        let risk = match self.risk {
            Risk::None => "no risk",
            Risk::Low => "low risk",
            Risk::Medium => "medium risk",
            Risk::High => "high risk",
        };
        if self.cost.is_empty() {
            format!("{reboot}, {risk}")
        } else {
            format!("{reboot}, {risk}: {}", self.cost)
        }
    }
}

/// What a shell is told.
fn commands(changes: &[Change]) -> Vec<String> {
    changes.iter().flat_map(Change::shell).collect()
}

/// The JSON Schema of [`Report`].
#[must_use]
pub fn json_schema() -> schemars::Schema {
    schemars::schema_for!(Report)
}
