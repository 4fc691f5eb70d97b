use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::run::conclude::tests::{a_run, trials};

/// A run whose blocking path takes so many times as long as the other, and loses so many of a thousand.
fn run_with(times: f64, lost: u64) -> RunResult {
    a_run(trials(10, times, lost))
}

fn compared(a: &RunResult, b: &RunResult, fail_on: &str) -> Comparison {
    let fail_on: Vec<FailOn> =
        fail_on.split(',').filter(|it| !it.is_empty()).map(|it| it.parse().unwrap()).collect();
    compare(a, b, ["a".into(), "b".into()], &fail_on, &["kernel-echo-block".to_owned()])
}

#[test]
fn a_slower_run_is_called_slower_and_the_other_way_round_faster() {
    let (fast, slow) = (run_with(1.0, 0), run_with(2.0, 0));

    assert_eq!(compared(&fast, &slow, "").rows[0].word, Word::Slower);
    assert_eq!(compared(&slow, &fast, "").rows[0].word, Word::Faster);
    assert!(matches!(compared(&fast, &fast, "").rows[0].word, Word::NoDifference { .. }));
}

#[test]
fn a_limit_is_broken_only_when_it_is_certain() {
    let (fast, slow) = (run_with(1.0, 0), run_with(1.2, 0));
    let outcome = |a, b, limit| {
        let found = compared(a, b, limit);
        (found.broken.len(), found.undecided.len())
    };

    assert_eq!(outcome(&fast, &slow, "p50>1.05"), (1, 0));
    assert_eq!(outcome(&fast, &slow, "p50>1.5"), (0, 0));
    assert_eq!(outcome(&slow, &fast, "p50>1.05"), (0, 0));
    // The medians differ by 1.2 and the blocks by 4 %.
    assert_eq!(outcome(&fast, &slow, "p50>1.19"), (0, 1));
    // One sample lies beyond the 99.9th percentile of a trial.
    assert_eq!(outcome(&fast, &slow, "p99.9>1.05"), (0, 1));
}

#[test]
fn a_run_that_loses_what_the_other_brought_back_breaks_the_limit() {
    let (whole, lossy) = (run_with(1.0, 0), run_with(0.5, 100));
    let found = compared(&whole, &lossy, "p99>1.05,p50>1.05");
    assert_eq!(found.broken.len(), 1, "{found:?}");
    assert!(found.broken[0].contains("never came back"), "{found:?}");
}

#[test]
fn what_differs_besides_is_told() {
    let a = run_with(1.0, 0);
    let mut b = a.clone();
    b.environment = BTreeMap::from([("kernel".to_owned(), "7.0".to_owned())]);
    b.plan.measure_ms += 1;
    b.trials.retain(|trial| !trial.member.to_string().contains("block"));

    let found = compared(&a, &b, "");

    let names: Vec<&str> = found.environment.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["kernel", "plan.measure_ms"]);
    assert_eq!(found.only_in_one.len(), 1);
    assert!(found.rows.is_empty());
    assert!(found.to_string().contains("only in A"));
}

#[test]
fn a_file_is_read_again_as_it_was_written_and_others_are_refused() {
    let run = run_with(1.0, 3);
    let text = serde_json::to_string(&run).unwrap();
    assert_eq!(parse(&text, "a").unwrap(), run);

    let other = text.replace(SCHEMA, "barewire-bench/run/0");
    assert!(matches!(parse(&other, "a"), Err(CompareError::Schema { .. })));
    let unknown = text.replacen("\"version\"", "\"verzion\"", 1);
    assert!(matches!(parse(&unknown, "a"), Err(CompareError::Parse { .. })));
    assert!(matches!(parse("{}", "a"), Err(CompareError::Parse { .. })));
}

#[test]
fn limits_are_read_or_refused() {
    assert_eq!("p99>1.05".parse(), Ok(FailOn { percentile: 99.0, above: 1.05 }));
    assert_eq!(" p99.9 > 2".parse(), Ok(FailOn { percentile: 99.9, above: 2.0 }));
    for wrong in ["", "p99", "p98>1", "99>1", "p99<1", "p99>x", "p99>0", "p99>inf"] {
        assert!(wrong.parse::<FailOn>().is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn an_interval_holds_the_ratio_of_the_medians(a in prop::collection::vec(1.0..1e6_f64, 5..20), b in prop::collection::vec(1.0..1e6_f64, 5..20), seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let ratio = between(&a, &b, &mut random).unwrap();
        prop_assert!(ratio.low <= ratio.value && ratio.value <= ratio.high);
        prop_assert!((ratio.value - median(&b).unwrap() / median(&a).unwrap()).abs() < 1e-9 * ratio.value);
    }
}
