use std::collections::BTreeMap;

use config::CpuId;
use hdrhistogram::Histogram;
use proptest::prelude::*;

use super::*;
use crate::{
    peer::case::Cpus,
    probe::account::Counts,
    qualify::{Class, Qualification, WakeUp},
    run::{
        arm::{Arm, Group},
        counters::Counters,
        plan::Member,
        result::{End, RunResult, SCHEMA},
        trial::{Gaps, Invalid},
    },
};

const CELL: Cell = Cell { load: 1000.0, size: 64 };

fn plan(blocks: usize, twin: &str) -> Plan {
    let text = format!(
        "name = \"t\"\nblocks = {blocks}\nmeasure_ms = 1000\n[[group]]\nkind = \"reflect\"\n{twin}\n\
         arms = [\"kernel-echo-spin\", \"kernel-echo-block\"]\nreference = \"kernel-echo-spin\"\nloads = [1000]\n"
    );
    Plan::parse(&text, "t").unwrap()
}

fn trial(member: Member, block: usize, ns: u64, lost: u64) -> Trial {
    let mut latency = Latency::default();
    for number in 0..1000 - lost {
        latency.returned(0, 0, ns + number % 10);
    }
    let times: &Histogram<u64> = &latency.response;
    let all = || PERCENTILES.iter().filter_map(|p| percentile(times, lost, *p)).collect();
    Trial {
        group: Group::Reflect,
        member,
        cell: CELL,
        block,
        attempt: 0,
        at_s: 0.0,
        faults: vec![],
        counts: Counts { sent: 1000, returned: 1000 - lost, ..Counts::default() },
        warm_up: Counts::default(),
        intended: 1000,
        refused: 0,
        send_ns: 100.0,
        late_p999_ns: 10,
        response: all(),
        service: all(),
        range_ns: (times.min(), times.max()),
        gaps: Gaps::default(),
        path_gaps: None,
        attribution: None,
        interval_ms: 10,
        maxima_ns: vec![times.max(); 100],
        hardware: None,
        receive_bursts: BTreeMap::from([(1, 1000)]),
        path_bursts: None,
        counters: Counters { busy_ticks: 10, ..Counters::default() },
        arrivals: (1000, 0),
        response_hdr: distribution::encode(times),
        service_hdr: distribution::encode(times),
        warm_up_hdr: distribution::encode(times),
        gap_hdr: distribution::encode(times),
        path_gap_hdr: None,
    }
}

const SPIN: Member = Member { arm: Arm::KernelEchoSpin, is_twin: false };
const TWIN: Member = Member { arm: Arm::KernelEchoSpin, is_twin: true };
const BLOCK: Member = Member { arm: Arm::KernelEchoBlock, is_twin: false };

/// Ten blocks in which the second path takes `times` as long as the first, and the twin about as long.
pub(crate) fn trials(blocks: usize, times: f64, lost: u64) -> Vec<Trial> {
    let of = |block: usize| {
        let base = 10_000 + 100 * (block as u64 % 5);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a few thousand"
        )]
        let other = (base as f64 * times) as u64;
        let twin = base + 50 * (block as u64 % 3);
        [trial(SPIN, block, base, 0), trial(TWIN, block, twin, 0), trial(BLOCK, block, other, lost)]
    };
    (0..blocks).flat_map(of).collect()
}

pub(crate) fn some_trials() -> Vec<Trial> {
    let mut trials = trials(2, 1.0, 20);
    trials[0].faults.push(Invalid::Unbalanced);
    trials
}

/// A run of these.
pub(crate) fn a_run(trials: Vec<Trial>) -> RunResult {
    let plan = plan(10, WITH_TWIN);
    let groups = plan.groups.iter().map(|of| group(&plan, of, &trials, 1)).collect();
    RunResult {
        schema: SCHEMA.to_owned(),
        version: "0.0.0".to_owned(),
        begun: "2026-01-01T00:00:00Z".to_owned(),
        seconds: 1.5,
        end: End::Complete,
        seed: 1,
        plan,
        cpus: Cpus { measured: CpuId::new(1).unwrap(), other: CpuId::ZERO },
        host: Qualification {
            class: Class::C,
            measured: CpuId::new(1).unwrap(),
            seconds: 1.0,
            cpus: BTreeMap::new(),
            wake_up: WakeUp { count: 1, p50_ns: 2, p99_ns: 3, max_ns: 4 },
            is_counter_steady: Some(true),
            counter_error_ppm: 1,
        },
        environment: BTreeMap::new(),
        left_out: vec![],
        starts: vec![],
        trials,
        groups,
        across: vec![],
        throughput: vec![],
        rates: vec![],
    }
}

fn words_of(plan: &Plan, trials: &[Trial]) -> Vec<Word> {
    let result = group(plan, &plan.groups[0], trials, 1);
    let members = &result.cells[0].members;
    let blocking = members.iter().find(|it| it.member == BLOCK).unwrap();
    blocking.versus.iter().map(|versus| versus.word.clone()).collect()
}

const WITH_TWIN: &str = "twin = \"kernel-echo-spin\"";

#[test]
fn each_word_is_said_when_it_is_true() {
    let plan = plan(10, WITH_TWIN);
    let first = |trials: &[Trial]| words_of(&plan, trials)[0].clone();

    assert_eq!(first(&trials(10, 2.0, 0)), Word::Slower);
    assert_eq!(first(&trials(10, 0.5, 0)), Word::Faster);
    assert!(matches!(first(&trials(10, 1.002, 0)), Word::NoDifference { .. }));
    assert!(matches!(first(&trials(4, 2.0, 0)), Word::Inconclusive { .. }));
}

#[test]
fn without_a_twin_nothing_is_called_faster() {
    let words = words_of(&plan(10, ""), &trials(10, 2.0, 0));
    assert!(words.iter().all(|word| matches!(word, Word::Inconclusive { .. })), "{words:?}");
}

#[test]
fn a_path_that_loses_what_is_asked_for_is_slower() {
    // Every tenth is lost: the median came, the 99th percentile never did.
    let words = words_of(&plan(10, WITH_TWIN), &trials(10, 0.5, 100));
    assert_eq!(words[..2], [Word::Faster, Word::Slower]);
}

#[test]
fn trials_that_do_not_count_decide_nothing_and_are_counted() {
    let plan = plan(10, WITH_TWIN);
    let mut trials = trials(10, 2.0, 0);
    for trial in trials.iter_mut().filter(|trial| trial.member == BLOCK).take(6) {
        trial.faults.push(Invalid::Unbalanced);
    }

    let result = group(&plan, &plan.groups[0], &trials, 1);

    let blocking = result.cells[0].members.iter().find(|it| it.member == BLOCK).unwrap();
    assert_eq!((blocking.valid, blocking.invalid, blocking.sent), (4, 6, 4000));
    assert!(matches!(blocking.versus[0].word, Word::Inconclusive { .. }));
}

#[test]
fn all_trials_together_have_the_samples_of_all() {
    let plan = plan(10, WITH_TWIN);
    let result = group(&plan, &plan.groups[0], &trials(10, 1.0, 10), 1);

    let blocking = result.cells[0].members.iter().find(|it| it.member == BLOCK).unwrap();

    assert_eq!((blocking.sent, blocking.lost), (10_000, 100));
    // 10,000 samples: 99.9 has ten beyond it, and those were lost.
    let last = blocking.response.last().unwrap();
    assert!(same(last.percentile, 99.9) && last.ns.is_none(), "{last:?}");
    // A tenth of a second busy in each of ten trials, for 10,000 probes.
    assert!((blocking.cpu_s_per_million.unwrap() - 100.0).abs() < 1e-9);
}

#[test]
fn across_wires_there_are_ratios_and_no_words() {
    let text = "name = \"t\"\nblocks = 10\nmeasure_ms = 1000\n\
        [[group]]\nkind = \"reflect\"\narms = [\"kernel-echo-spin\"]\nreference = \"kernel-echo-spin\"\nloads = [1000, 2000]\n\
        [[group]]\nkind = \"shared\"\narms = [\"barewired-virtio\"]\nreference = \"barewired-virtio\"\nloads = [1000, 3000]\n";
    let plan = Plan::parse(text, "t").unwrap();
    let virtio = Member { arm: Arm::BarewiredVirtio, is_twin: false };
    let trials: Vec<Trial> = (0..10)
        .flat_map(|block| {
            let shared = Trial { group: Group::Shared, ..trial(virtio, block, 5_000, 0) };
            [shared, trial(SPIN, block, 10_000, 0)]
        })
        .collect();

    let found = across(&plan, &trials, 1);

    // One load is the same in both, and three percentiles are compared.
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|it| it.cell == CELL && it.first.1 == virtio && it.second.1 == SPIN));
    let ratio = found[0].ratio.unwrap();
    assert!((0.49..0.51).contains(&ratio.value) && ratio.low <= ratio.high, "{ratio:?}");
    assert_eq!(found[2].ratio, None, "a thousand probes say nothing of p99.9");
    assert!(across(&self::plan(10, WITH_TWIN), &trials, 1).is_empty());
}

proptest! {
    #[test]
    fn turning_a_ratio_around_turns_the_word_around(low in 0.5..1.5_f64, width in 0.0..0.3_f64, floor in 0.0..0.2_f64) {
        let high = low + width;
        let ratio = Estimate { value: f64::midpoint(low, high), low, high, blocks: 10 };
        let inverse = Estimate { value: 1.0 / ratio.value, low: 1.0 / high, high: 1.0 / low, blocks: 10 };
        match (word(&ratio, Some(floor), 0.1), word(&inverse, Some(floor), 0.1)) {
            (Word::Faster, Word::Slower) | (Word::Slower, Word::Faster) => {}
            (Word::NoDifference { within: a }, Word::NoDifference { within: b }) => {
                prop_assert!((a - b).abs() < 1e-9 && a <= 0.1);
            }
            (Word::Inconclusive { .. }, Word::Inconclusive { .. }) => {}
            (a, b) => prop_assert!(false, "{a:?} and {b:?}"),
        }
    }
}
