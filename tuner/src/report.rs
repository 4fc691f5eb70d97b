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

use crate::{
    Fact, Finding, Intent, Profile, Risk, Section, Verdict, change::Change, facts::boot::Loader,
};

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
    /// The configuration that this is from; none when it is what fits the machine.
    #[serde(default)]
    pub configuration: Option<String>,
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
    /// The files that show it and that a fix changes, from the root, without a slash in front; empty where nothing would.
    #[serde(default)]
    pub files: Vec<String>,
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
    /// Puts findings together, in the order of their sections. `loader` is what keeps the kernel's arguments on that
    /// machine; none where nothing on it does.
    #[must_use]
    pub fn new(findings: &[Finding], intent: &Intent, loader: Option<&Loader>) -> Self {
        let mut findings: Vec<&Finding> = findings.iter().collect();
        findings.sort_by_key(|finding| finding.section);
        let mut summary = BTreeMap::new();
        for finding in &findings {
            *summary.entry(finding.verdict).or_insert(0) += 1;
        }
        let findings: Vec<Entry> =
            findings.into_iter().map(|finding| Entry::of(finding, loader)).collect();
        let list = |fact: Fact<config::CpuSet>| fact.value().map(ToString::to_string);
        Self {
            schema: SCHEMA,
            made_by: format!("barewire-tune {}", env!("CARGO_PKG_VERSION")),
            machine: About {
                profile: intent.profile,
                workers: list(intent.workers()),
                housekeeping: list(intent.housekeeping()),
                undecided: intent.placement.why().map(str::to_owned),
                configuration: intent.origin.file().map(|file| file.display().to_string()),
            },
            summary,
            recommendations: recommend::all(&findings),
            findings,
        }
    }

    /// How many findings there are of one verdict.
    #[must_use]
    pub fn count(&self, verdict: Verdict) -> usize {
        self.summary.get(&verdict).copied().unwrap_or(0)
    }
}

impl Entry {
    fn of(finding: &Finding, loader: Option<&Loader>) -> Self {
        let (mut commands, mut by_hand) =
            (Vec::new(), finding.advice.iter().cloned().collect::<Vec<_>>());
        for change in &finding.fix {
            match change.shell_on(loader, "") {
                Ok(lines) => commands.extend(lines),
                Err(what) => by_hand.push(what),
            }
        }
        let mut files: Vec<String> = finding.fix.iter().filter_map(Change::file).collect();
        files.dedup();
        Self {
            id: finding.id.to_owned(),
            section: finding.section,
            title: finding.title.to_owned(),
            verdict: finding.verdict,
            seen: finding.seen.clone(),
            wanted: finding.wanted.clone(),
            why: finding.why.to_owned(),
            details: finding.details.clone(),
            files,
            commands,
            advice: (!by_hand.is_empty()).then(|| by_hand.join("; ")),
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

/// The JSON Schema of [`Report`].
#[must_use]
pub fn json_schema() -> schemars::Schema {
    schemars::schema_for!(Report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Facts, Source,
        change::{BootValue, Form},
        checks,
    };

    #[test]
    fn what_no_command_does_here_is_said_in_words() {
        let dir = tempfile::tempdir().unwrap();
        let facts = Facts::read(&Source::at(dir.path()).unwrap());
        let intent = Intent::without_config(&facts).unwrap();
        let mut finding = checks::run(&checks::Context::new(&facts, &intent)).swap_remove(0);
        finding.verdict = Verdict::Bad;
        finding.advice = None;
        let value = BootValue::Is("0".to_owned());
        finding.fix = vec![Change::BootParameter { key: "irqaffinity".to_owned(), value }];
        let of = |finding: &Finding, loader: Option<&Loader>| {
            let mut report = Report::new(std::slice::from_ref(finding), &intent, loader);
            (report.findings.swap_remove(0), report.recommendations.swap_remove(0))
        };

        let (entry, what) = of(&finding, None);
        assert!(entry.commands.is_empty(), "{entry:?}");
        assert!(entry.advice.unwrap().ends_with(": irqaffinity=0"));
        assert_eq!((what.group, entry.files), (Group::Hardware, vec!["proc/cmdline".to_owned()]));

        let (entry, what) = of(&finding, Some(&Loader::Ostree));
        assert!(entry.advice.is_none() && what.text.starts_with("rpm-ostree kargs "), "{entry:?}");

        let path = "proc/irq/default_smp_affinity".to_owned();
        finding.fix.push(Change::Kernel { path, value: "1".to_owned(), form: Form::CpuMask });
        let (entry, what) = of(&finding, None);
        assert_eq!(entry.commands, ["echo 1 > /proc/irq/default_smp_affinity"]);
        assert!(entry.advice.is_some());
        assert_eq!((what.group, what.text), (Group::Host, entry.commands[0].clone()));
    }
}
