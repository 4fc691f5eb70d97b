//! What changed since the machine was last looked at: states are compared, not texts.
//!
//! A watcher that reads a growing log reports the first bad line for ever. This one keeps the state of every check, and
//! says one thing for each transition.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Verdict,
    executor::{Standing, Verified},
    report::Report,
};

/// The version of [`State`] and [`Event`] in JSON.
pub const SCHEMA: u32 = 1;

/// What the checks said when they were last run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The version of this notation: 1.
    pub schema: u32,
    /// What each check found.
    pub checks: BTreeMap<String, CheckState>,
    /// What was applied and is something else now, by knob: what it is.
    #[serde(default)]
    pub drifted: BTreeMap<String, String>,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckState {
    /// How good it was.
    pub verdict: Verdict,
    /// What was seen then.
    pub seen: String,
}

/// One transition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Event {
    /// The version of this notation: 1.
    pub schema: u32,
    /// The check; `APPLIED` for a knob that was applied.
    pub id: String,
    /// What is checked, or the knob.
    pub title: String,
    /// What it was.
    pub from: Verdict,
    /// What it is.
    pub to: Verdict,
    /// What was seen before.
    pub was: String,
    /// What is seen now.
    pub seen: String,
    /// How much it matters.
    pub severity: Severity,
    /// What would mend it.
    pub commands: Vec<String>,
}

/// How much a transition matters, with the priorities of syslog(3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It became bad.
    Error,
    /// It became worse, or can not be seen any more.
    Warning,
    /// It became better.
    Notice,
}

impl Severity {
    /// The priority that systemd reads in front of a line (sd-daemon(3)).
    #[must_use]
    pub const fn priority(self) -> u8 {
        match self {
            Self::Error => 3,
            Self::Warning => 4,
            Self::Notice => 5,
        }
    }
}

impl State {
    /// The state that a report shows.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let checks = report.findings.iter().map(|entry| {
            let state = CheckState { verdict: entry.verdict, seen: entry.seen.clone() };
            (entry.id.clone(), state)
        });
        Self { schema: SCHEMA, checks: checks.collect(), drifted: BTreeMap::new() }
    }

    /// And what became of what was applied.
    #[must_use]
    pub fn with_applied(self, applied: &[Verified]) -> Self {
        Self { drifted: drifted(applied), ..self }
    }
}

/// What was applied and is something else now, by knob: a NIC that was reset and lost its rings, another tuner.
fn drifted(applied: &[Verified]) -> BTreeMap<String, String> {
    let now = |one: &Verified| match &one.standing {
        Standing::Changed { now } | Standing::Lapsed { now } | Standing::NotTaken { now } => {
            Some((one.what.clone(), now.clone()))
        }
        Standing::Took
        | Standing::Rounded { .. }
        | Standing::Refused { .. }
        | Standing::Pending
        | Standing::Unknown { .. } => None,
    };
    applied.iter().filter_map(now).collect()
}

/// What of all that was applied is something else since the last look, or is again as it was applied.
#[must_use]
pub fn drift(before: &State, applied: &[Verified]) -> Vec<Event> {
    let now = drifted(applied);
    let event = |what: &str, is_good: bool, was: String, seen: String| Event {
        schema: SCHEMA,
        id: "APPLIED".to_owned(),
        title: what.to_owned(),
        from: if is_good { Verdict::Bad } else { Verdict::Good },
        to: if is_good { Verdict::Good } else { Verdict::Bad },
        was,
        seen,
        severity: if is_good { Severity::Notice } else { Severity::Error },
        commands: vec!["barewire-tune apply --boot".to_owned()],
    };
    let mut events = Vec::new();
    for one in applied {
        match (before.drifted.get(&one.what), now.get(&one.what)) {
            (None, Some(is)) => {
                events.push(event(&one.what, false, one.wanted.clone(), is.clone()));
            }
            (Some(was), None) => {
                events.push(event(&one.what, true, was.clone(), one.wanted.clone()));
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
    }
    events
}

/// What changed between a state and a report, the worst first.
///
/// Only verdicts count: a number that moves within its verdict is not an event. A check that was not there before (a
/// newer version of the program) is one when it is bad.
#[must_use]
pub fn transitions(before: &State, report: &Report) -> Vec<Event> {
    let mut events: Vec<Event> = report
        .findings
        .iter()
        .filter_map(|entry| {
            let (from, was) = match before.checks.get(&entry.id) {
                Some(state) => (state.verdict, state.seen.clone()),
                None => (Verdict::NotApplicable, "not looked at before".to_owned()),
            };
            let severity = severity(from, entry.verdict)?;
            Some(Event {
                schema: SCHEMA,
                id: entry.id.clone(),
                title: entry.title.clone(),
                from,
                to: entry.verdict,
                was,
                seen: entry.seen.clone(),
                severity,
                commands: entry.commands.clone(),
            })
        })
        .collect();
    events.sort_by(|a, b| (a.severity, &a.id).cmp(&(b.severity, &b.id)));
    events
}

fn severity(from: Verdict, to: Verdict) -> Option<Severity> {
    // Good, informative and not applicable are all "nothing to do".
    let rank = |verdict| match verdict {
        Verdict::Good | Verdict::Info | Verdict::NotApplicable => 0,
        Verdict::Warn => 1,
        Verdict::Unknown => 2,
        Verdict::Bad => 3,
    };
    match (rank(from), rank(to)) {
        (from, to) if from == to => None,
        (_, 3) => Some(Severity::Error),
        (from, to) if to > from => Some(Severity::Warning),
        // What is seen again is not better than before for it.
        (2, to) if to > 0 => Some(Severity::Warning),
        _ => Some(Severity::Notice),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Facts, Intent, Source, checks};

    fn report(chosen: &str) -> Report {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("sys/kernel/mm/transparent_hugepage");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("enabled"), chosen).unwrap();
        let facts = Facts::read(&Source::at(dir.path()).unwrap());
        let intent = Intent::without_config(&facts).unwrap();
        let findings = checks::run(&checks::Context::new(&facts, &intent));
        Report::new(&findings, &intent, None)
    }

    #[test]
    fn a_knob_that_came_back_is_one_event_and_then_none() {
        let (good, bad) = (report("always madvise [never]"), report("[always] madvise never"));

        let events = transitions(&State::of(&good), &bad);

        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((&*event.id, event.from, event.to), ("MEM-08", Verdict::Good, Verdict::Bad));
        assert_eq!(event.severity, Severity::Error);
        assert_eq!(transitions(&State::of(&bad), &bad), []);
        assert_eq!(transitions(&State::of(&bad), &good)[0].severity, Severity::Notice);
    }

    #[test]
    fn a_knob_that_was_turned_back_is_told_once_and_again_when_it_is_mended() {
        let applied = |standing| {
            let (what, wanted) = ("eth0 rings".to_owned(), "4096".to_owned());
            [Verified { entry: 1, what, wanted, standing }]
        };
        let took = applied(Standing::Took);
        let lost = applied(Standing::Changed { now: "512".to_owned() });
        let start = State { schema: SCHEMA, checks: BTreeMap::new(), drifted: BTreeMap::new() };

        let events = drift(&start, &lost);
        let [event] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((&*event.was, &*event.seen, event.severity), ("4096", "512", Severity::Error));
        let after = start.clone().with_applied(&lost);
        assert_eq!(drift(&after, &lost), []);
        assert_eq!(drift(&after, &took)[0].severity, Severity::Notice);
        assert_eq!(drift(&start, &took), []);
    }

    fn any_verdict() -> impl Strategy<Value = Verdict> {
        prop::sample::select(&Verdict::ALL[..])
    }

    proptest! {
        #[test]
        fn becoming_bad_is_always_an_error_and_staying_never_an_event(from in any_verdict(), to in any_verdict()) {
            let severity = severity(from, to);
            if from == to {
                prop_assert_eq!(severity, None);
            } else if to == Verdict::Bad {
                prop_assert_eq!(severity, Some(Severity::Error));
            } else if from == Verdict::Bad {
                prop_assert!(severity.is_some());
            }
        }
    }
}
