use std::collections::BTreeMap;

use config::CpuId;

use crate::{
    Fact, Measured,
    Verdict::{Bad, Good, Info, NotApplicable, Unknown, Warn},
    checks::sample::{CONFIG, Sample, quiet},
    daemon::{Daemon, PortActivity, WorkerActivity},
    measured::{Cause, CpuNoise, Effect, Gap, Noise},
};

/// A processor that says that it is a guest's.
const GUEST: &str = "vendor_id : GenuineIntel\nflags : hypervisor\n";

fn cpu(number: u32) -> CpuId {
    CpuId::new(number).unwrap()
}

fn with(measured: Measured) -> Sample {
    Sample::server().measured(measured)
}

/// Nothing on CPU 2, and this on CPU 3; the workers are on both.
fn noise(seen: CpuNoise) -> Sample {
    let calm = CpuNoise { seconds: 60.0, ..CpuNoise::default() };
    let cpus = BTreeMap::from([(cpu(2), calm), (cpu(3), seen)]);
    let noise = Noise { cpus, unattributed: None };
    with(Measured { noise: Fact::Is(noise), ..quiet() })
}

fn gap(length_ns: u64, causes: &[Cause]) -> Gap {
    Gap { at_ns: 0, length_ns, causes: causes.to_vec() }
}

#[test]
fn nothing_that_was_not_measured_is_good() {
    for id in ["MEAS-01", "MEAS-02", "MEAS-03", "MEAS-04", "MEAS-05", "MEAS-06"] {
        Sample::server().expect(id, NotApplicable);
        with(quiet()).expect(id, NotApplicable);
    }
}

#[test]
fn gaps_are_judged_by_the_longest_and_by_their_number() {
    let seen = |max_ns: u64, gaps: u64| {
        noise(CpuNoise { seconds: 60.0, max_ns, gaps, ..CpuNoise::default() })
    };
    seen(9_999, 59).expect("MEAS-01", Good);
    seen(10_000, 0).expect("MEAS-01", Warn);
    seen(9_999, 60).expect("MEAS-01", Warn);
    seen(49_999, 60).expect("MEAS-01", Warn);
    seen(50_000, 0).expect("MEAS-01", Bad);
    let cpus = BTreeMap::from([(cpu(2), CpuNoise::default())]);
    let one = Noise { cpus, unattributed: None };
    with(Measured { noise: Fact::Is(one), ..quiet() }).expect("MEAS-01", Unknown);
}

#[test]
fn gaps_are_explained_wholly_partly_or_not_at_all() {
    let seen = |longest: Vec<Gap>| {
        let max_ns = longest.iter().map(|gap| gap.length_ns).max().unwrap_or(0);
        noise(CpuNoise { seconds: 60.0, max_ns, longest, ..CpuNoise::default() })
    };
    let known = || gap(20_000, &[Cause::Interrupt("24 eth0".to_owned())]);
    seen(vec![]).expect("MEAS-02", Good);
    seen(vec![gap(10_000, &[])]).expect("MEAS-02", Good);
    assert!(seen(vec![known()]).expect("MEAS-02", Good).details[0].contains("24 eth0"));
    seen(vec![known(), gap(10_001, &[])]).expect("MEAS-02", Warn);
    seen(vec![gap(10_001, &[])]).expect("MEAS-02", Bad);
    let lost = CpuNoise { seconds: 60.0, max_ns: 20_000, ..CpuNoise::default() };
    noise(lost.clone()).expect("MEAS-02", Unknown);
    let cpus = BTreeMap::from([(cpu(2), CpuNoise::default()), (cpu(3), lost)]);
    let blind = Noise { cpus, unattributed: Some("no tracefs".to_owned()) };
    let outcome = with(Measured { noise: Fact::Is(blind), ..quiet() }).expect("MEAS-02", Unknown);
    assert_eq!(outcome.seen, "no tracefs");
    let failed = Measured { noise: Fact::unknown("could not pin"), ..quiet() };
    with(failed).expect("MEAS-01", Unknown);
}

#[test]
fn a_gap_in_which_the_kernel_did_nothing_has_no_cause_in_it() {
    let seen = |longest: Vec<Gap>| {
        noise(CpuNoise { seconds: 60.0, max_ns: 20_000, longest, ..CpuNoise::default() })
    };
    let outside = || gap(20_000, &[Cause::Outside]);
    let outcome = seen(vec![outside(), gap(15_000, &[Cause::Tick])]).expect("MEAS-02", Warn);
    assert_eq!(outcome.seen, "1 of 2 gaps over 10 µs have a cause, 1 not in this kernel");
    assert!(outcome.advice.is_some());
    seen(vec![outside()]).expect("MEAS-02", Bad);
    seen(vec![gap(20_000, &[Cause::Tick, Cause::Outside])]).expect("MEAS-02", Good);
}

#[test]
fn noise_of_the_hardware_is_the_longest_gap_without_the_kernel() {
    let seen = |length_ns: u64, causes: &[Cause]| {
        let longest = vec![gap(90_000, &[Cause::Tick]), gap(length_ns, causes)];
        noise(CpuNoise { seconds: 60.0, gaps: 2, max_ns: 90_000, longest, ..CpuNoise::default() })
    };
    let outside = |length_ns| seen(length_ns, &[Cause::Outside]);
    outside(4_999).expect("MEAS-03", Good);
    outside(5_000).expect("MEAS-03", Warn);
    outside(19_999).expect("MEAS-03", Warn);
    outside(20_000).expect("MEAS-03", Bad);
    seen(20_000, &[Cause::Tick]).expect("MEAS-03", Good);
    seen(20_000, &[]).expect("MEAS-03", Unknown);
    // Only the host could tell its part from the hardware's.
    let guest = outside(20_000).with("proc/cpuinfo", GUEST).expect("MEAS-03", Info);
    assert!(guest.seen.contains("hypervisor"), "{guest:?}");
    let cpus = BTreeMap::from([(cpu(2), CpuNoise::default()), (cpu(3), CpuNoise::default())]);
    let blind = Noise { cpus, unattributed: Some("no tracefs".to_owned()) };
    let outcome = with(Measured { noise: Fact::Is(blind), ..quiet() }).expect("MEAS-03", Unknown);
    assert!(outcome.seen.contains("no tracefs"), "{outcome:?}");
}

fn daemon(port: PortActivity, worst_gap_ns: u64) -> Measured {
    let worker = WorkerActivity { worker: 0, cpu: Some(2), turns: 1, worst_gap_ns };
    let daemon = Daemon {
        pid: 5,
        seconds: 5.0,
        ports: BTreeMap::from([("north".to_owned(), port)]),
        workers: vec![worker],
        received: 0,
        sent: 0,
        dropped: BTreeMap::new(),
    };
    Measured { daemon: Fact::Is(daemon), ..quiet() }
}

#[test]
fn the_ring_outlasts_the_gap_by_far_barely_or_not() {
    // 1000 frames a second on each of two queues, rings of 512.
    let port = || PortActivity { received: 10_000, rx_queues: Some(2), ..PortActivity::default() };
    let ring = CONFIG.replace("input = \"cross\"", "input = \"cross\"\nrx_ring = 512");
    let gap = |milliseconds: u64| with(daemon(port(), milliseconds * 1_000_000)).config(&ring);
    gap(127).expect("MEAS-04", Good);
    gap(128).expect("MEAS-04", Warn);
    gap(383).expect("MEAS-04", Warn);
    gap(384).expect("MEAS-04", Bad);
    with(daemon(port(), 1)).expect("MEAS-04", Unknown);
    let still = PortActivity { rx_queues: Some(2), ..PortActivity::default() };
    with(daemon(still, 1)).config(&ring).expect("MEAS-04", NotApplicable);
    let silent = Measured { daemon: Fact::unknown("no answer"), ..quiet() };
    with(silent).expect("MEAS-04", Unknown);
}

#[test]
fn lost_frames_are_counted_against_those_that_came() {
    let lost = |received: u64, missed: u64, errors: u64, no_buffer: u64| {
        let port = PortActivity { received, missed, errors, no_buffer, rx_queues: None };
        with(daemon(port, 1))
    };
    lost(10_000_000, 0, 0, 0).expect("MEAS-05", Good);
    lost(9_999_999, 1, 0, 0).expect("MEAS-05", Warn);
    lost(10_000_000, 0, 1, 0).expect("MEAS-05", Warn);
    lost(10_000_000, 0, 0, 2).expect("MEAS-05", Bad);
    lost(0, 1, 0, 0).expect("MEAS-05", Bad);
    lost(0, 0, 0, 0).expect("MEAS-05", NotApplicable);
}

#[test]
fn only_what_was_measured_to_help_is_worth_keeping() {
    let effect = |low: f64, high: f64, runs: u32, is_kept: bool| {
        let what = "nohz_full".to_owned();
        let effects = vec![Effect { what, runs, gain: (low + high) / 2.0, low, high, is_kept }];
        with(Measured { effects: Some(effects), ..quiet() })
    };
    effect(0.1, 0.2, 5, true).expect("MEAS-06", Good);
    effect(0.1, 0.2, 4, true).expect("MEAS-06", Warn);
    effect(0.0, 0.2, 5, true).expect("MEAS-06", Warn);
    effect(-0.1, 0.0, 5, true).expect("MEAS-06", Warn);
    effect(-0.2, -0.1, 5, true).expect("MEAS-06", Bad);
    effect(-0.2, -0.1, 5, false).expect("MEAS-06", Good);
}
