//! What is to be done, decided: an ordered list of typed steps that leaves no decision for the execution.

use serde::{Deserialize, Serialize};

use crate::{Fact, Profile, Risk, change::Change};

/// What is to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What mattered most when it was made.
    pub profile: Profile,
    /// The steps: first what can not hurt, last what could cut the operator's way in.
    pub steps: Vec<Step>,
    /// What was wanted and is not done, and why.
    pub left_out: Vec<LeftOut>,
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
