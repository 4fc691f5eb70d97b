//! What is to be done, decided: an ordered list of typed steps that leaves no decision for the execution.
//!
//! ```text
//!  findings ─► choose ─► isolation ─► lower ─► merge ─► order ─► Plan
//!  wishes ───────┘ │      one set of   one write  one write  least
//!                  │      arguments    a step     a knob     harm first
//!                  └► left out, each with its reason
//! ```
//! It is pure but for looking at the values that are there now: the same findings on the same machine make the same
//! plan, and on a machine where it was carried out, an empty one.

mod bound;
mod choose;
mod harm;
mod hugepages;
mod invariants;
mod isolation;
mod lower;
mod merge;
mod order;
pub mod render;
mod told;
mod wishes;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use invariants::broken;
pub use wishes::{Wishes, WishesError};

use crate::{Fact, Facts, Finding, Intent, Profile, Risk, Source, change::Change};

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What mattered most when it was made.
    pub profile: Profile,
    /// The steps: first what can not hurt, last what could cut the operator's way in.
    pub steps: Vec<Step>,
    /// What was wanted and is not done, and why.
    pub left_out: Vec<LeftOut>,
    /// What has to be done by hand, for no file or program of ours can.
    #[serde(default)]
    pub by_hand: Vec<ByHand>,
    /// What else is worth knowing.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The checks that asked for it.
    pub checks: Vec<String>,
    /// What is changed.
    pub change: Change,
    /// The value that was there when the plan was made. If it is another one when it is applied, somebody else is
    /// tuning, and the step is not taken.
    pub from: Fact<String>,
    /// The value that will be there.
    pub to: String,
    /// When it counts.
    pub scope: Scope,
    /// What it may break.
    pub risk: Risk,
    /// Whom it hits when it goes wrong.
    pub blast: Blast,
    /// Why, in one sentence.
    pub why: String,
    /// Where that is written.
    pub sources: Vec<String>,
}

/// When a step counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// At once, until the next boot; `apply --boot` does it again then.
    Runtime,
    /// At once, until the next boot, and not again.
    Once,
    /// From the next boot on.
    Boot,
    /// At once, and from the next boot on.
    Both,
}

/// Whom a step hits when it goes wrong. Steps are taken in this order, and undone in reverse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blast {
    /// Nobody but the value itself.
    Nothing,
    /// Programs that need memory.
    Memory,
    /// Programs that lose a device or their CPUs.
    Programs,
    /// The next boot.
    Boot,
    /// The way that the operator came in.
    Management,
}

/// Something that was wanted and is not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The check that wanted it.
    pub check: String,
    /// What it was.
    pub change: Change,
    /// Why it is not done: contested and not asked for, refused as harmful, not possible here.
    pub why: String,
}

/// Something that a person has to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByHand {
    /// The checks that asked for it.
    pub checks: Vec<String>,
    /// What, and why it is not done here.
    pub what: String,
    /// The commands that probably do it; none where only words help.
    pub commands: Vec<String>,
}

/// One change that was chosen, on its way to a step.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Chosen {
    checks: Vec<String>,
    change: Change,
    scope: Option<Scope>,
    risk: Risk,
    /// The finding is bad, and not only a warning.
    is_bad: bool,
    why: String,
}

/// What is being made.
#[derive(Debug)]
struct Draft<'a> {
    intent: &'a Intent,
    facts: &'a Facts,
    source: &'a Source,
    wishes: &'a Wishes,
    chosen: Vec<Chosen>,
    left_out: Vec<LeftOut>,
    by_hand: Vec<ByHand>,
    notes: Vec<String>,
}

impl Plan {
    /// Decides what is to be done about `findings`. The values that are there now are read from `source`.
    #[must_use]
    pub fn new(
        findings: &[Finding],
        intent: &Intent,
        facts: &Facts,
        source: &Source,
        wishes: &Wishes,
    ) -> Self {
        let mut draft = Draft {
            intent,
            facts,
            source,
            wishes,
            chosen: Vec::new(),
            left_out: Vec::new(),
            by_hand: Vec::new(),
            notes: Vec::new(),
        };
        draft.choose(findings);
        draft.leave_bound_interfaces();
        draft.check_hugepages();
        draft.isolate();
        draft.lower();
        draft.merge();
        let steps = draft.order();
        Self {
            profile: wishes.profile,
            steps,
            left_out: draft.left_out,
            by_hand: draft.by_hand,
            notes: draft.notes,
        }
    }

    /// Is there nothing to do?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.by_hand.is_empty()
    }

    /// Does something of it only count after a reboot?
    #[must_use]
    pub fn needs_reboot(&self) -> bool {
        self.steps.iter().any(|step| step.change.needs_reboot())
    }
}

impl Draft<'_> {
    /// Remembers that a change is not made.
    fn leave_out(&mut self, check: &str, change: Change, why: impl Into<String>) {
        self.left_out.push(LeftOut { check: check.to_owned(), change, why: why.into() });
    }

    /// Leaves out every chosen change that `is_refused` gives a reason against.
    fn refuse(&mut self, mut is_refused: impl FnMut(&Chosen) -> Option<String>) {
        let mut kept = Vec::with_capacity(self.chosen.len());
        for chosen in std::mem::take(&mut self.chosen) {
            match is_refused(&chosen) {
                None => kept.push(chosen),
                Some(why) => {
                    for check in &chosen.checks {
                        self.leave_out(check, chosen.change.clone(), why.clone());
                    }
                }
            }
        }
        self.chosen = kept;
    }
}
