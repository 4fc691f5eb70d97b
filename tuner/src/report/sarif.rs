//! For code-scanning services: SARIF 2.1.0 (OASIS), a rule for each check.
//!
//! Every result has a place in a file, for services refuse a log in which one has none (GitHub: "expected a physical
//! location"): the first file that a fix would change, or the part of `/proc` and `/sys` that the check is about. They
//! are relative to the root of the machine.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use serde_json::{Value, json};

use super::{Entry, Report};
use crate::{Section, Verdict, checks};

/// What paths are relative to.
const BASE: &str = "MACHINE";

/// Writes a SARIF log with one run.
///
/// # Errors
/// What `out` answers.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let rules: Vec<Value> = checks::catalogue()
        .map(|check| {
            json!({
                "id": check.id,
                "shortDescription": { "text": check.title },
                "fullDescription": { "text": check.why },
                "help": { "text": check.explain },
            })
        })
        .collect();
    let places: BTreeMap<&str, usize> =
        checks::catalogue().enumerate().map(|(place, check)| (check.id, place)).collect();
    let result = |entry: &Entry| result(entry, places.get(entry.id.as_str()).copied());
    let results: Vec<Value> = report.findings.iter().map(result).collect();
    let log = json!({
        "version": "2.1.0",
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "runs": [{
            "tool": { "driver": {
                "name": "barewire-tune",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "originalUriBaseIds": { BASE: { "uri": "file:///" } },
            "results": results,
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &log)?;
    writeln!(out)
}

fn result(entry: &Entry, rule: Option<usize>) -> Value {
    let (kind, level) = match entry.verdict {
        Verdict::Bad => ("fail", "error"),
        Verdict::Warn => ("fail", "warning"),
        // A kind other than "fail" has the level "none" (SARIF 2.1.0, 3.27.10).
        Verdict::Unknown => ("open", "none"),
        Verdict::Info => ("informational", "none"),
        Verdict::Good => ("pass", "none"),
        Verdict::NotApplicable => ("notApplicable", "none"),
    };
    let mut text = format!("{}: {}", entry.title, entry.seen);
    if !entry.wanted.is_empty() {
        text.push_str(&format!(" (wanted: {})", entry.wanted));
    }
    let mut result = json!({
        "ruleId": entry.id,
        "kind": kind,
        "level": level,
        "message": { "text": text },
        "locations": [location(entry)],
        // The same finding in the next run, whatever the machine's files are by then.
        "partialFingerprints": { "primaryLocationLineHash": format!("{}:1", entry.id) },
        "properties": { "commands": entry.commands, "details": entry.details },
    });
    if let (Some(rule), Some(result)) = (rule, result.as_object_mut()) {
        result.insert("ruleIndex".to_owned(), json!(rule));
    }
    result
}

fn location(entry: &Entry) -> Value {
    let file = entry.files.first().map_or_else(|| subject(entry.section), String::as_str);
    json!({
        "physicalLocation": {
            "artifactLocation": { "uri": uri(file), "uriBaseId": BASE },
            "region": { "startLine": 1 },
        },
        "logicalLocations": [{
            "name": entry.id,
            "fullyQualifiedName": format!("{}/{}", entry.section.title(), entry.id),
        }],
    })
}

/// What a part of the report is about, where nothing is to be changed: from the root, without a slash in front.
const fn subject(section: Section) -> &'static str {
    match section {
        Section::System | Section::Isolation => "sys/devices/system/cpu",
        Section::Frequency => "sys/devices/system/cpu/cpufreq",
        Section::Cstates => "sys/devices/system/cpu/cpuidle",
        Section::Interrupts | Section::Measured => "proc/interrupts",
        Section::Timers => "sys/devices/system/clocksource",
        Section::Memory => "proc/meminfo",
        Section::Numa => "sys/devices/system/node",
        Section::Pcie => "sys/bus/pci/devices",
        Section::Nics => "sys/class/net",
        Section::Network => "proc/net",
        Section::Boot => "proc/cmdline",
        Section::Load | Section::Process => "proc",
        Section::Thermal => "sys/class/thermal",
        Section::Firmware => "sys/firmware",
        Section::Security => "sys/devices/system/cpu/vulnerabilities",
    }
}

/// A path as a relative reference (RFC 3986): what is not allowed in one is escaped, and a colon of the first part too,
/// where it would end a scheme.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        let is_in_first = !uri.contains('/');
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            b':' | b'@' | b'+' | b',' | b'=' if !is_in_first => uri.push(char::from(byte)),
            other => uri.push_str(&format!("%{other:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{Facts, Intent, Source};

    /// The results of a machine with a knob that is set badly, as a log.
    fn log() -> Value {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("proc/sys/net/ipv4");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("tcp_sack"), "0\n").unwrap();
        let facts = Facts::read(&Source::at(dir.path()).unwrap());
        let intent = Intent::without_config(&facts).unwrap();
        let findings = checks::run(&checks::Context::new(&facts, &intent));
        let mut text = Vec::new();
        write(&Report::new(&findings, &intent, facts.boot.loader()), &mut text).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
        let found = value.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no text at {pointer} in {value:#}"))
    }

    /// What "shall" be there: SARIF 2.1.0, 3.13 (log), 3.14 (run), 3.18 and 3.19 (tool), 3.27 (result), 3.49 (rule).
    #[test]
    fn a_log_has_all_that_the_standard_and_services_require() {
        let log = log();

        assert_eq!(text(&log, "/version"), "2.1.0");
        assert_eq!(log["runs"].as_array().unwrap().len(), 1);
        let run = &log["runs"][0];
        assert_eq!(text(run, "/tool/driver/name"), "barewire-tune");
        // The URI of a base is absolute and ends with a slash (3.14.14).
        assert_eq!(text(run, "/originalUriBaseIds/MACHINE/uri"), "file:///");
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        let ids: BTreeSet<&str> = rules.iter().map(|rule| text(rule, "/id")).collect();
        assert_eq!(ids.len(), rules.len(), "a rule is there once (3.19.23)");
        for rule in rules {
            for part in ["/shortDescription/text", "/fullDescription/text", "/help/text"] {
                assert!(!text(rule, part).is_empty(), "{rule:#}");
            }
        }
        let results = run["results"].as_array().unwrap();
        assert!(results.len() >= 140, "{}", results.len());
        for result in results {
            let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(text(&rules[rule], "/id"), text(result, "/ruleId"));
            assert!(!text(result, "/message/text").is_empty());
            let is_failure = text(result, "/kind") == "fail";
            assert_eq!(is_failure, text(result, "/level") != "none", "{result:#}");
            let locations = result["locations"].as_array().unwrap();
            assert_eq!(locations.len(), 1);
            let place = &locations[0]["physicalLocation"];
            let uri = text(place, "/artifactLocation/uri");
            assert!(!uri.is_empty() && !uri.starts_with('/') && !uri.contains(' '), "{uri}");
            assert_eq!(text(place, "/artifactLocation/uriBaseId"), BASE);
            assert!(place["region"]["startLine"].as_u64().unwrap() >= 1);
            assert!(!text(&locations[0], "/logicalLocations/0/name").is_empty());
        }
    }

    #[test]
    fn a_result_is_at_the_file_that_shows_it() {
        let log = log();
        let of = |id: &str| {
            let results = log["runs"][0]["results"].as_array().unwrap();
            let result = results.iter().find(|result| result["ruleId"] == id).unwrap();
            let uri = "/locations/0/physicalLocation/artifactLocation/uri";
            (text(result, "/level").to_owned(), text(result, uri).to_owned())
        };

        assert_eq!(of("NET-03"), ("error".to_owned(), "proc/sys/net/ipv4/tcp_sack".to_owned()));
        assert_eq!(of("PCI-01").1, "sys/bus/pci/devices");
    }

    #[test]
    fn a_path_is_a_relative_reference() {
        for (path, expected) in [
            ("sys/bus/pci/devices/0000:3b:00.0/driver", "sys/bus/pci/devices/0000:3b:00.0/driver"),
            ("etc/a b%\\x2d.mount", "etc/a%20b%25%5Cx2d.mount"),
            ("a:b", "a%3Ab"),
            ("ä/#?", "%C3%A4/%23%3F"),
        ] {
            assert_eq!(uri(path), expected);
        }
    }
}
