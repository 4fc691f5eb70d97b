//! From facts to outcomes: what is absent does not apply, and what is not known is never judged.

use config::CpuSet;

use super::{Context, Outcome};
use crate::{Fact, change::Change};

/// A judgement in which `?` ends with the outcome of a fact that there is none of.
pub(super) fn settled(look: impl FnOnce() -> Result<Outcome, Outcome>) -> Outcome {
    look().unwrap_or_else(|outcome| outcome)
}

/// The value; or that nothing is to be checked, for the reason `absent`, or that it is not known.
pub(super) fn known<'a, T>(fact: &'a Fact<T>, absent: &str) -> Result<&'a T, Outcome> {
    match fact {
        Fact::Is(value) => Ok(value),
        Fact::Absent => Err(Outcome::not_applicable(absent)),
        Fact::Unknown { why } => Err(Outcome::unknown(why)),
    }
}

impl Context<'_> {
    /// The workers' CPUs; or that they are not known.
    pub(super) fn workers(&self) -> Result<CpuSet, Outcome> {
        known(&self.intent.workers(), "there are no workers").cloned()
    }

    /// Everybody else's CPUs; or that they are not known.
    pub(super) fn housekeeping(&self) -> Result<CpuSet, Outcome> {
        known(&self.intent.housekeeping(), "nothing is placed").cloned()
    }

    /// What the kernel was started with; or that it is not known.
    pub(super) fn cmdline(&self) -> Result<&linux::cmdline::Cmdline, Outcome> {
        known(&self.facts.boot.cmdline, "there is no /proc/cmdline")
    }
}

/// A sysctl, now and at every boot.
pub(super) fn sysctl(key: &str, value: impl ToString) -> Change {
    Change::Sysctl { key: key.to_owned(), value: value.to_string() }
}

/// What a text says as a number; or that it says something else.
pub(super) fn number(text: &str) -> Result<i64, Outcome> {
    text.parse().map_err(|_| Outcome::unknown(format!("\"{text}\" is not a number")))
}
