//! What differs between machines that should be alike.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::{Verdict, report::Report};

/// The version of [`Differences`] in JSON.
pub const SCHEMA: u32 = 1;

/// What differs between machines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// The version of this notation: 1.
    pub schema: u32,
    /// The machines, in the order they were given.
    pub machines: Vec<String>,
    /// The checks that do not answer the same everywhere.
    pub checks: Vec<CheckDifference>,
    /// The facts that are not the same everywhere, when they were asked for.
    pub facts: Vec<FactDifference>,
}

/// One check that does not answer the same everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckDifference {
    /// The check.
    pub id: String,
    /// What is checked.
    pub title: String,
    /// The answers, and which machines gave each; the most frequent first.
    pub answers: Vec<Answer>,
}

/// One answer of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// How good it is.
    pub verdict: Verdict,
    /// What was seen.
    pub seen: String,
    /// Who says so.
    pub machines: Vec<String>,
}

/// One fact that is not the same everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FactDifference {
    /// Where it is in what `facts` says: `/clock/nmi_watchdog/is`.
    pub path: String,
    /// Its values (none where it is not there), and which machines have each.
    pub values: Vec<(Option<String>, Vec<String>)>,
}

/// One machine.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// What the checks say about it.
    pub report: Report,
    /// Everything that is known about it; null when facts are not compared.
    pub facts: Value,
}

/// Checks whose value is of the moment, and never the same twice: only their verdicts are compared.
const MOMENTARY: [&str; 2] = ["LOAD-01", "VIRT-01"];

/// Compares machines. A check is the same on two machines when verdict and value are.
#[must_use]
pub fn compare(members: &[Member]) -> Differences {
    let mut ids: Vec<(&str, &str)> = Vec::new();
    let mut known = BTreeSet::new();
    for entry in members.iter().flat_map(|member| &member.report.findings) {
        if known.insert(&entry.id) {
            ids.push((&entry.id, &entry.title));
        }
    }
    let checks = ids.into_iter().filter_map(|(id, title)| {
        let answers = members.iter().map(|member| {
            let entry = member.report.findings.iter().find(|entry| entry.id == id);
            let value = |seen: &str| if MOMENTARY.contains(&id) { "" } else { seen }.to_owned();
            (member.name.clone(), entry.map(|entry| (entry.verdict, value(&entry.seen))))
        });
        let answers = group(answers).into_iter().filter_map(|(answer, machines)| {
            let (verdict, seen) = answer?;
            Some(Answer { verdict, seen, machines })
        });
        let answers: Vec<Answer> = answers.collect();
        (answers.len() > 1).then(|| CheckDifference {
            id: id.to_owned(),
            title: title.to_owned(),
            answers,
        })
    });
    let flat: Vec<BTreeMap<String, String>> = members.iter().map(|m| flatten(&m.facts)).collect();
    let paths: BTreeSet<&String> = flat.iter().flat_map(BTreeMap::keys).collect();
    let facts = paths.into_iter().filter_map(|path| {
        let values = members.iter().zip(&flat);
        let values =
            group(values.map(|(member, facts)| (member.name.clone(), facts.get(path).cloned())));
        (values.len() > 1).then(|| FactDifference { path: path.clone(), values })
    });
    Differences {
        schema: SCHEMA,
        machines: members.iter().map(|member| member.name.clone()).collect(),
        checks: checks.collect(),
        facts: facts.collect(),
    }
}

/// Who has which value; the value that most have comes first.
fn group<V: Ord>(values: impl IntoIterator<Item = (String, V)>) -> Vec<(V, Vec<String>)> {
    let mut groups: BTreeMap<V, Vec<String>> = BTreeMap::new();
    for (machine, value) in values {
        groups.entry(value).or_default().push(machine);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, machines)| std::cmp::Reverse(machines.len()));
    groups
}

/// Every value in a document, by its JSON pointer.
fn flatten(value: &Value) -> BTreeMap<String, String> {
    fn walk(value: &Value, path: String, flat: &mut BTreeMap<String, String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    walk(value, format!("{path}/{name}"), flat);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    walk(value, format!("{path}/{index}"), flat);
                }
            }
            Value::Null if path.is_empty() => {}
            Value::String(text) => {
                flat.insert(path, text.clone());
            }
            other => {
                flat.insert(path, other.to_string());
            }
        }
    }
    let mut flat = BTreeMap::new();
    walk(value, String::new(), &mut flat);
    flat
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Facts, Intent, Source, checks};

    /// A machine with one file.
    fn member(name: &str, path: &str, text: &str) -> Member {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        let facts = Facts::read(&Source::at(dir.path()).unwrap());
        let intent = Intent::without_config(&facts).unwrap();
        let findings = checks::run(&checks::Context::new(&facts, &intent));
        Member {
            name: name.to_owned(),
            report: Report::new(&findings, &intent, None),
            facts: serde_json::to_value(&facts).unwrap(),
        }
    }

    #[test]
    fn what_is_of_the_moment_is_no_difference() {
        let one = member("one", "proc/loadavg", "0.01 0.02 0.03 1/100 9\n");
        let other = member("other", "proc/loadavg", "7.01 5.02 3.03 1/100 9\n");

        let checks = compare(&[one, other]).checks;

        assert!(checks.iter().all(|check| check.id != "LOAD-01"), "{checks:#?}");
        assert!(
            compare(&[member("a", "x", ""), member("b", "proc/loadavg", "1 1 1")])
                .checks
                .iter()
                .any(|check| check.id == "LOAD-01")
        );
    }

    #[test]
    fn the_odd_one_out_is_named_for_the_check_that_sees_it() {
        let path = "sys/kernel/mm/transparent_hugepage/enabled";
        let members = [
            member("a", path, "[never]"),
            member("b", path, "[always]"),
            member("c", path, "[never]"),
        ];

        let differences = compare(&members);

        let check = differences.checks.iter().find(|check| check.id == "MEM-08").unwrap();
        assert_eq!(check.answers[0].machines, ["a", "c"]);
        assert_eq!((check.answers[1].verdict, &*check.answers[1].seen), (Verdict::Bad, "always"));
        let is_it = |value: &Option<String>| value.as_deref() == Some("always");
        let fact = differences.facts.iter().find(|f| f.values.iter().any(|(v, _)| is_it(v)));
        let odd = fact.unwrap().values.iter().find(|(value, _)| is_it(value)).unwrap();
        assert_eq!(odd.1, ["b"]);
    }

    #[test]
    fn machines_that_are_alike_have_no_difference() {
        let path = "sys/kernel/mm/transparent_hugepage/enabled";

        let differences = compare(&[member("a", path, "[never]"), member("b", path, "[never]")]);

        assert!(differences.checks.is_empty(), "{:?}", differences.checks);
    }
}
