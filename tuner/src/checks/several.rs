//! Judging several things of one kind: the worst one is the verdict, and each has its line.

use linux::pci::Function;

use super::{Context, Outcome, judge::known, wording};
use crate::{Fact, Verdict, change::Change};

/// What was found at one of them.
#[derive(Debug, Clone)]
pub(super) struct One {
    pub(super) verdict: Verdict,
    line: String,
    fix: Vec<Change>,
}

impl One {
    /// This verdict, with what was seen, which names the thing.
    pub(super) fn new(verdict: Verdict, line: impl Into<String>) -> Self {
        Self { verdict, line: line.into(), fix: Vec::new() }
    }

    /// This would mend it.
    pub(super) fn fix(mut self, change: Change) -> Self {
        self.fix.push(change);
        self
    }

    /// What a fact that there is none of says; the thing itself is left out where it does not apply.
    pub(super) fn of<T>(
        name: &str,
        fact: &Fact<T>,
        judge: impl FnOnce(&T) -> Self,
    ) -> Option<Self> {
        match fact {
            Fact::Is(value) => Some(judge(value)),
            Fact::Absent => None,
            Fact::Unknown { why } => Some(Self::new(Verdict::Unknown, format!("{name}: {why}"))),
        }
    }
}

/// How bad a verdict is among others of one kind: one thing that does not apply says nothing of the others.
fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::NotApplicable => 0,
        Verdict::Good => 1,
        Verdict::Info => 2,
        Verdict::Warn => 3,
        Verdict::Unknown => 4,
        Verdict::Bad => 5,
    }
}

/// The worst of them, with the fixes of all; `none` says why there is nothing to check.
pub(super) fn worst(all: impl IntoIterator<Item = One>, none: &str) -> Outcome {
    let all: Vec<One> = all.into_iter().collect();
    let Some(worst) = all.iter().max_by_key(|one| rank(one.verdict)) else {
        return Outcome::not_applicable(none);
    };
    // Of several that are equally bad the first is shown.
    let shown = all.iter().find(|one| one.verdict == worst.verdict).unwrap_or(worst);
    let mut outcome = Outcome::new(shown.verdict, shown.line.clone());
    if all.len() > 1 {
        let lines = all.iter().map(|one| format!("{:<7} {}", one.verdict.label(), one.line));
        outcome = outcome.details(wording::lines(lines));
    }
    outcome.fixes(all.into_iter().flat_map(|one| one.fix))
}

impl<'a> Context<'a> {
    /// The PCI functions of the data path: those that the configuration names or, without one, those that a poll-mode
    /// driver has already.
    pub(super) fn data_functions(&self) -> Result<Vec<&'a Function>, Outcome> {
        let pci = &self.facts.pci;
        known(&pci.functions, "this machine has no PCI")?;
        let named: Vec<_> = self.intent.data.iter().filter_map(|port| port.pci).collect();
        if named.is_empty() {
            let all: Vec<&Function> = pci.given_away().collect();
            return match all.is_empty() {
                true => Err(Outcome::not_applicable(
                    "no port is configured, and no device is given to a poll-mode driver",
                )),
                false => Ok(all),
            };
        }
        let found = named.into_iter().map(|address| {
            pci.function(address)
                .ok_or_else(|| Outcome::unknown(format!("there is no PCI function {address}")))
        });
        found.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_is_the_verdict_and_what_is_not_known_is_worse_than_a_warning() {
        let one = |verdict| One::new(verdict, verdict.label());
        let of = |all: &[Verdict]| worst(all.iter().map(|&v| one(v)), "none").verdict;
        use Verdict::{Bad, Good, Info, NotApplicable, Unknown, Warn};

        assert_eq!(of(&[]), NotApplicable);
        assert_eq!(of(&[NotApplicable, Good]), Good);
        assert_eq!(of(&[Good, Info]), Info);
        assert_eq!(of(&[Info, Warn, Good]), Warn);
        assert_eq!(of(&[Unknown, Warn]), Unknown);
        assert_eq!(of(&[Bad, Unknown]), Bad);
    }
}
