//! What to do first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Section, Verdict};

use super::{Entry, Recommendation, Report};

/// Who can do it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// The tuner, or a shell.
    Host,
    /// The program that polls: its configuration, its unit.
    Application,
    /// Somebody with the firmware's menus, the hypervisor's settings, or a screwdriver.
    Hardware,
}

impl Group {
    /// The heading of a report.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Host => "High-priority actions",
            Self::Application => "The application",
            Self::Hardware => "By hand: hardware, firmware, and what no command does",
        }
    }

    fn of(entry: &Entry) -> Self {
        let is_the_programs = entry.section == Section::Process
            || matches!(
                entry.id.as_str(),
                "ISO-15" | "ISO-16" | "ISO-17" | "ISO-22" | "MEM-16" | "MEM-17"
            );
        match (is_the_programs, entry.commands.is_empty()) {
            (true, _) => Self::Application,
            (false, false) => Self::Host,
            (false, true) => Self::Hardware,
        }
    }
}

/// What does most for the tail, first. The order is what was measured or reported elsewhere: interrupts on polling cores
/// (a receive-loss factor of about 7,000 at 100 GbE), then what else is scheduled there, then cores that sleep or slow
/// down, then memory that is far away. What is not named comes after, by verdict and section.
const FIRST: &[&str] = &[
    "NIC-00", "VFIO-04", "RAS-01", "ISO-17", "ISO-18", // may hang or break the machine
    "MEAS-01", "IRQ-01", "IRQ-02", "IRQ-08", "IRQ-04", "ISO-09", "ISO-10", "RPS-01",
    "RPS-02", // interrupts
    "ISO-01", "ISO-02", "ISO-14", "TOPO-03", "TOPO-07", "ISO-03", "ISO-12", "ISO-11",
    "ISO-13", // others
    "CST-01", "CST-02", "CST-03", "PWR-01", "PWR-08", "PWR-07", "PWR-05",
    "PWR-02", // sleep and speed
    "TOPO-04", "MEM-01", "MEM-08", "MEM-11", "MEM-13", // memory
    "WD-01", "CLK-01", "CLK-02", "FW-02", "FW-04", "PCI-01",
];

/// What to do about findings, the most effective first, group by group.
pub(super) fn all(entries: &[Entry]) -> Vec<Recommendation> {
    let rank = |entry: &Entry| {
        let place = FIRST.iter().position(|id| *id == entry.id).unwrap_or(FIRST.len());
        (Group::of(entry), entry.verdict != Verdict::Bad, place, entry.section)
    };
    let mut open: Vec<&Entry> = entries.iter().filter(|entry| is_recommended(entry)).collect();
    open.sort_by_key(|entry| rank(entry));
    open.into_iter()
        .map(|entry| Recommendation {
            group: Group::of(entry),
            id: entry.id.clone(),
            text: match (&entry.advice, entry.commands.is_empty()) {
                (Some(advice), true) => advice.clone(),
                _ => entry.commands.join("; "),
            },
        })
        .collect()
}

/// Contested knobs are shown with their finding; nobody is told to turn them.
fn is_recommended(entry: &Entry) -> bool {
    entry.is_open() && !entry.is_contested && (!entry.commands.is_empty() || entry.advice.is_some())
}

/// One line of what to do: findings that the same commands mend share it.
pub(super) struct Action<'a> {
    /// Who can do it.
    pub(super) group: Group,
    /// The findings.
    pub(super) ids: Vec<&'a str>,
    /// What to do.
    pub(super) text: String,
    /// Is it a command, not prose?
    pub(super) is_command: bool,
}

/// Commands longer than this are not said twice.
const SHORT: usize = 80;

/// The recommendations of a report, for people.
pub(super) fn actions(report: &Report) -> Vec<Action<'_>> {
    let is_same = |a: &Recommendation, b: &Recommendation| (a.group, &a.text) == (b.group, &b.text);
    let actions = report.recommendations.chunk_by(is_same).map(|same| {
        let ids: Vec<&str> = same.iter().map(|one| one.id.as_str()).collect();
        let first = &same[0];
        let entry = report.findings.iter().find(|entry| entry.id == first.id);
        let is_long = first.text.chars().count() > SHORT || first.text.contains('\n');
        let (text, is_command) = match entry {
            Some(entry) if entry.advice.is_some() && entry.commands.is_empty() => {
                (first.text.clone(), false)
            }
            Some(entry) if entry.advice.is_some() || is_long => (summary(entry), false),
            _ => (first.text.clone(), true),
        };
        Action { group: first.group, ids, text, is_command }
    });
    actions.collect()
}

/// What is wanted, and where the commands are.
fn summary(entry: &Entry) -> String {
    let wanted =
        if entry.wanted.is_empty() { String::new() } else { format!(": {}", entry.wanted) };
    let (count, plural) = (entry.commands.len(), if entry.commands.len() == 1 { "" } else { "s" });
    let reboot = if entry.needs_reboot { " and a reboot" } else { "" };
    format!("{}{wanted} ({count} command{plural}{reboot}: see {})", entry.title, entry.id)
}
