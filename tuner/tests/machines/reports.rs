//! What is said of each machine, word by word; and what must be so of all of them.

use std::{collections::BTreeSet, time::Instant};

use tuner::{Facts, Section, Verdict, report::Report};

use crate::fixture::{self, Fixture};

/// Looked at by a person when it changes: `cargo insta review`.
macro_rules! golden {
    ($($name:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            let machine = Fixture::new(&stringify!($name).replace('_', "-"));
            let name = &machine.name;
            insta::assert_snapshot!(format!("{name}.txt"), machine.said(&["analyze"]));
            insta::assert_snapshot!(format!("{name}.json"), lines(&machine));
            insta::assert_snapshot!(format!("{name}.plan.txt"), machine.said(&["plan"]));
            insta::assert_snapshot!(format!("{name}.plan.sh"), machine.said(&["plan", "--format", "sh"]));
        }
    )*

        #[test]
        fn every_machine_has_its_golden_reports() {
            let here: BTreeSet<String> =
                [$(stringify!($name)),*].iter().map(|name| name.replace('_', "-")).collect();
            assert_eq!(BTreeSet::from_iter(fixture::names()), here);
        }
    };
}

golden!(
    arm_server,
    cgroup_v1,
    epyc_nps4,
    hostile,
    intel_stock,
    mistuned,
    nothing,
    rhel_bls,
    rt_kernel,
    tuned,
    vm_2_cpus,
);

/// The JSON report, a line for each finding, without what is the same on every machine.
fn lines(machine: &Fixture) -> String {
    let report: serde_json::Value =
        serde_json::from_str(&machine.said(&["analyze", "--json"])).unwrap();
    let mut text = format!("{}\n{}\n", report["machine"], report["summary"]);
    for finding in report["findings"].as_array().unwrap() {
        let mut finding = finding.clone();
        for same in ["section", "title", "why", "risk", "cost", "is_contested", "is_proposed"] {
            assert!(finding.as_object_mut().unwrap().remove(same).is_some(), "{same}");
        }
        text.push_str(&format!("{finding}\n"));
    }
    text
}

/// All of it, once.
#[test]
fn a_small_machines_report_is_this_in_full() {
    let report = Fixture::new("vm-2-cpus").said(&["analyze", "--json", "--section", "network"]);
    insta::assert_snapshot!("network.json", report);
}

#[test]
fn every_report_is_what_its_schema_says() {
    for machine in fixture::all() {
        // Unknown fields are refused, missing ones too.
        let report: Report = serde_json::from_str(&machine.said(&["analyze", "--json"])).unwrap();

        assert!(report.findings.len() >= 140, "{}", report.findings.len());
        let total: usize = report.summary.values().sum();
        assert_eq!(total, report.findings.len());
        for finding in &report.findings {
            let id = format!("{}: {}", machine.name, finding.id);
            assert!(!finding.seen.is_empty() && !finding.why.is_empty(), "{id}");
            let is_clean = |text: &String| !text.chars().any(char::is_control);
            assert!(is_clean(&finding.seen) && is_clean(&finding.wanted), "{id}: {finding:?}");
            assert!(finding.seen.len() < 2000, "{id}: {} bytes", finding.seen.len());
        }
    }
}

#[test]
fn nothing_is_concluded_from_nothing() {
    let machine = Fixture::new("nothing");
    for finding in machine.findings() {
        assert_ne!(finding.verdict, Verdict::Bad, "{finding:#?}");
        assert!(finding.fix.is_empty(), "{finding:#?}");
    }
    assert!(machine.plan().is_empty(), "{:#?}", machine.plan());
}

#[test]
fn every_notation_takes_odd_machines() {
    for name in ["hostile", "mistuned", "nothing"] {
        let machine = Fixture::new(name);
        for format in ["text", "json", "junit", "sarif", "prom", "html"] {
            assert!(!machine.said(&["analyze", "--format", format]).is_empty());
        }
        for format in ["table", "json", "sh"] {
            assert!(!machine.said(&["plan", "--format", format]).is_empty());
        }
        // Where nothing differs there is nothing to show.
        let diff = machine.said(&["plan", "--format", "diff"]);
        assert_eq!(diff.is_empty(), machine.plan().is_empty(), "{diff}");
        assert!(!machine.said(&["facts"]).is_empty());
    }
}

#[test]
fn every_section_has_something_to_say_of_a_server() {
    let findings = Fixture::new("intel-stock").findings();
    let sections: BTreeSet<Section> = findings.iter().map(|finding| finding.section).collect();
    assert_eq!(sections.len(), 18, "{sections:?}");
}

/// Not asserted: whoever runs tests in release mode sees how long an audit takes.
#[test]
fn an_audit_says_how_long_it_takes() {
    for machine in fixture::all() {
        let source = machine.source();
        let begin = Instant::now();
        drop(Facts::read(&source));
        let read = begin.elapsed();
        let findings = machine.findings();
        assert!(!findings.is_empty());
        eprintln!("{:12} facts {:>9.1?}, audit {:>9.1?}", machine.name, read, begin.elapsed());
    }
}

#[test]
fn a_report_can_be_about_one_interface() {
    let machine = Fixture::new("mistuned");
    let of = |name: &str| -> Report {
        let text = machine.said(&["analyze", "--json", "--interface", name]);
        serde_json::from_str(&text).unwrap()
    };
    let verdict = |report: &Report, id: &str| {
        report.findings.iter().find(|finding| finding.id == id).map(|finding| finding.verdict)
    };

    let way_in = of("eno1");
    assert_eq!(verdict(&way_in, "RPS-01"), Some(Verdict::Bad));
    assert_eq!(verdict(&way_in, "IRQ-02"), Some(Verdict::Bad));
    // Ports of others are guessing when to interrupt; this one is not.
    assert_eq!(verdict(&way_in, "NIC-02"), Some(Verdict::Good));
    assert_eq!(verdict(&way_in, "VFIO-01"), None);
    assert_eq!(verdict(&way_in, "NET-03"), None);
    let port = of("ens1f0np0");
    assert_eq!(verdict(&port, "VFIO-01"), Some(Verdict::Bad));
    assert_eq!(verdict(&port, "RPS-01"), None);
    for (report, name) in [(&way_in, "eno1"), (&port, "ens1f0np0")] {
        let others = ["eno1", "ens1f0np0", "ens1f1np1", "ens5np0", "0000:3b:00.1"];
        for finding in &report.findings {
            for other in others.iter().filter(|other| **other != name) {
                // A file of ours is written as a whole, for all that it is about.
                let text = format!("{} {:?}", finding.seen, finding.details);
                assert!(!text.contains(other), "{name}: {finding:#?}");
            }
        }
    }

    let root = machine.root().to_str().unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let words = ["barewire-tune", "--root", root, "analyze", "--interface", "eno7"];
    let exit = tuner::commands::run(words, &Default::default(), &mut out, &mut err);
    assert_eq!((exit, out.len()), (tuner::Exit::Usage, 0));
    let talk = String::from_utf8(err).unwrap();
    assert!(talk.contains("there are eno1, ens1f0np0, ens1f1np1, ens5np0"), "{talk}");
}
