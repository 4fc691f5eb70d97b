//! A run that nobody measured: distributions with bodies and tails, a path that wins and one that loses, one that loses
//! probes, trials that do not count. For tests of the page; its numbers are consistent, and no claim.
#![expect(clippy::unwrap_used, reason = "a helper of tests that fails says where")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small numbers, made here"
)]

use std::collections::BTreeMap;

use bench_result::{
    arm::{Arm, Group},
    attribution::{Attribution, Cause, KnownBy, Overlap, Who},
    generator::Fault,
    host::{Class, CpuQuality, Qualification, WakeUp},
    plan::{Member, Plan},
    run::{
        Across, CellResult, Cpus, End, Floor, GroupResult, LeftOut, MemberResult, RunResult,
        SCHEMA, Versus, Word,
    },
    throughput::{
        BackToBack, Delay, LoadTrial, RateRatio, Repeated, Search, Spread, StrictLatency,
        Throughput,
    },
    trial::{
        Cell, Counters, Counts, Gaps, Invalid, PERCENTILES, Percentile, Started, Support, Trial,
    },
};
use config::CpuId;
use hdrhistogram::Histogram;
use statistics::{Estimate, Verdict, bootstrap, floor, verdict};

const BLOCKS: usize = 6;
const PROBES: u64 = 4000;
const COMPARED: [f64; 3] = [50.0, 99.0, 99.9];

const PLAN: &str = r#"
name = "made"
blocks = 6
warm_up_ms = 100
measure_ms = 400

[[group]]
kind = "reflect"
arms = ["kernel-echo-block", "kernel-echo-spin", "barewired-af-packet", "barewired-af-xdp", "testpmd-af-packet"]
reference = "kernel-echo-spin"
twin = "kernel-echo-spin"
loads = [5000, 20000, 80000]

[[group]]
kind = "forward"
arms = ["kernel-route", "kernel-bridge", "barewired-af-packet"]
reference = "kernel-route"
twin = "kernel-route"
loads = [20000]

[[group]]
kind = "shared"
arms = ["testpmd-virtio", "barewired-virtio"]
reference = "testpmd-virtio"
twin = "testpmd-virtio"
loads = [20000]

[[group]]
kind = "null"
arms = ["wire"]
reference = "wire"
twin = "wire"
loads = [20000]
"#;

/// How a path behaves here: its median in ns, how wide its tail is, and of a thousand probes, how many it loses.
fn behaviour(group: Group, arm: Arm, load: f64) -> (f64, f64, u64) {
    let busy = 1.0 + load / 100_000.0;
    match (group, arm) {
        (_, Arm::KernelEchoBlock) => (41_000.0, 0.5, 0),
        (_, Arm::KernelEchoSpin) => (18_000.0 * busy, 0.25, 0),
        (Group::Reflect, Arm::BarewiredAfPacket) => {
            (26_000.0 * busy, 0.3, if load > 5e4 { 4 } else { 0 })
        }
        (_, Arm::BarewiredAfXdp) => (12_500.0 * busy, 0.2, 0),
        (_, Arm::TestpmdAfPacket) => (18_100.0 * busy, 0.27, 0),
        (_, Arm::KernelRoute) => (7_000.0, 0.2, 0),
        (_, Arm::KernelBridge) => (6_200.0, 0.2, 0),
        (_, Arm::BarewiredAfPacket) => (24_000.0, 0.3, 0),
        (_, Arm::TestpmdVirtio) => (3_300.0, 0.15, 0),
        (_, Arm::BarewiredVirtio) => (3_320.0, 0.15, 0),
        _ => (4_000.0, 0.1, 0),
    }
}

/// Times with a body that is nearly normal in its logarithm, and a few stalls that hit probes in a row.
fn times(random: &mut fastrand::Rng, median: f64, width: f64, count: u64) -> Histogram<u64> {
    let mut times = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
    let mut stall: f64 = 0.0;
    for _ in 0..count {
        if random.f64() < 0.0002 {
            stall = 150_000.0 + 3e6 * random.f64().powi(6);
        }
        let normal = (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        let ns = median * (normal * width).exp() + stall;
        stall = (stall - 200_000.0).max(0.0);
        times.record(ns as u64).unwrap();
    }
    times
}

/// A percentile as the bench tells it.
fn percentile(times: &Histogram<u64>, lost: u64, percentile: f64) -> Option<Percentile> {
    let total = times.len() + lost;
    let beyond = total as f64 * (100.0 - percentile) / 100.0 + 1e-6;
    if beyond < 10.0 {
        return None;
    }
    let rank = ((total as f64 * percentile / 100.0).ceil() as u64).clamp(1, total);
    let ns = (rank <= times.len())
        .then(|| times.value_at_quantile((rank as f64 / times.len() as f64).min(1.0)));
    let support = if beyond >= 100.0 { Support::Firm } else { Support::Weak };
    Some(Percentile { percentile, ns, support })
}

fn all(times: &Histogram<u64>, lost: u64) -> Vec<Percentile> {
    PERCENTILES.iter().filter_map(|wanted| percentile(times, lost, *wanted)).collect()
}

fn trial(
    random: &mut fastrand::Rng,
    group: Group,
    member: Member,
    cell: Cell,
    block: usize,
    at_s: f64,
) -> Trial {
    let mood = 1.0 + 0.02 * (block as f64 - 2.5) + 0.01 * (random.f64() - 0.5);
    let (median, width, loss) = behaviour(group, member.arm, cell.load);
    let lost = PROBES * loss / 1000;
    let response = times(random, median * mood, width, PROBES - lost);
    let service = times(random, median * mood * 0.97, width * 0.95, PROBES - lost);
    let gap = times(random, 30_000.0, 1.1, 40);
    let is_ours = member.arm.is_barewired();
    let overlap = |who, cpu, cause, known_by, probes| Overlap { who, cpu, cause, known_by, probes };
    let mut by = vec![overlap(Who::Generator, 0, Cause::Other, KnownBy::Rhythm, 1)];
    if is_ours {
        by.push(overlap(Who::Worker(0), 1, Cause::Tick, KnownBy::Counters, 2));
    }
    Trial {
        group,
        member,
        cell,
        block,
        attempt: 0,
        at_s,
        faults: vec![],
        counts: Counts { sent: PROBES, returned: PROBES - lost, ..Counts::default() },
        warm_up: Counts { sent: 1000, returned: 1000, ..Counts::default() },
        intended: PROBES,
        refused: 0,
        send_ns: 850.0,
        late_p999_ns: 40_000,
        response: all(&response, lost),
        service: all(&service, lost),
        range_ns: (response.min(), response.max()),
        gaps: Gaps { count: gap.len(), total_ns: 2_000_000, longest_ns: gap.max() },
        path_gaps: is_ours.then(Gaps::default),
        attribution: Some(Attribution { probes: 4, unexplained: 1, by }),
        interval_ms: 100,
        maxima_ns: (0..4).map(|_| response.value_at_quantile(0.99 + 0.01 * random.f64())).collect(),
        hardware: None,
        receive_bursts: BTreeMap::from([(1, PROBES - lost)]),
        path_bursts: None,
        counters: Counters { busy_ticks: 35, ..Counters::default() },
        arrivals: (PROBES - lost, 0),
        response_hdr: distribution::encode(&response),
        service_hdr: distribution::encode(&service),
        warm_up_hdr: distribution::encode(&response),
        gap_hdr: distribution::encode(&gap),
        path_gap_hdr: is_ours.then(|| distribution::encode(&gap)),
    }
}

fn ratio(
    trials: &[Trial],
    of: &dyn Fn(&Trial) -> bool,
    against: &dyn Fn(&Trial) -> bool,
    at: f64,
) -> Option<Estimate> {
    let value = |is_it: &dyn Fn(&Trial) -> bool, block| {
        let found =
            trials.iter().find(|trial| trial.block == block && trial.is_valid() && is_it(trial))?;
        found.response_at(at).filter(|ns| ns.is_finite())
    };
    let logarithms: Vec<f64> = (0..BLOCKS)
        .filter_map(|block| Some((value(of, block)? / value(against, block)?).ln()))
        .collect();
    if logarithms.len() < 5 {
        return None;
    }
    bootstrap(&logarithms, &mut fastrand::Rng::with_seed(7)).map(Estimate::exp)
}

fn word(ratio: Option<Estimate>, floor: Option<f64>) -> Word {
    let (Some(ratio), Some(floor)) = (ratio, floor) else {
        return Word::Inconclusive { why: "too few samples or blocks".to_owned() };
    };
    let rates = Estimate {
        value: 1.0 / ratio.value,
        low: 1.0 / ratio.high,
        high: 1.0 / ratio.low,
        blocks: ratio.blocks,
    };
    match verdict(&rates, floor) {
        Verdict::Faster => Word::Faster,
        Verdict::Slower => Word::Slower,
        Verdict::NoDifference { within } if within < 0.1 => Word::NoDifference { within },
        Verdict::NoDifference { within } => {
            let within = within * 100.0;
            Word::Inconclusive {
                why: format!("±{within:.0} % could not be told apart, ±10 % was asked"),
            }
        }
    }
}

fn cell(plan: &Plan, kind: Group, cell: Cell, all_trials: &[Trial]) -> CellResult {
    let group = plan.groups.iter().find(|group| group.kind == kind).unwrap();
    let trials: Vec<Trial> = all_trials
        .iter()
        .filter(|trial| trial.group == kind && trial.cell == cell)
        .cloned()
        .collect();
    let reference = Member { arm: group.reference, is_twin: false };
    let twin = Member { arm: group.reference, is_twin: true };
    let is = |member: Member| move |trial: &Trial| trial.member == member;
    let floors: Vec<Floor> = COMPARED
        .into_iter()
        .filter_map(|percentile| {
            let ratio = ratio(&trials, &is(twin), &is(reference), percentile)?;
            Some(Floor { percentile, ratio, share: floor(&ratio) })
        })
        .collect();
    let members = group.members().into_iter().map(|member| {
        let own: Vec<&Trial> = trials.iter().filter(|trial| trial.member == member).collect();
        let valid: Vec<&&Trial> = own.iter().filter(|trial| trial.is_valid()).collect();
        let sum = |text: fn(&Trial) -> &str| {
            let mut sum: Histogram<u64> = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
            for trial in &valid {
                sum.add(distribution::decode(text(trial)).unwrap()).unwrap();
            }
            sum
        };
        let (response, service) =
            (sum(|trial| &trial.response_hdr), sum(|trial| &trial.service_hdr));
        let lost = valid.iter().map(|trial| trial.counts.lost()).sum();
        let mut attribution: Option<Attribution> = None;
        for trial in &valid {
            match (&mut attribution, &trial.attribution) {
                (Some(sum), Some(more)) => sum.add(more),
                (none, more) => *none = more.clone(),
            }
        }
        let versus = COMPARED.into_iter().filter(|_| member != reference).map(|percentile| {
            let ratio = ratio(&trials, &is(member), &is(reference), percentile);
            let floor = floors.iter().find(|floor| floor.percentile == percentile);
            Versus { percentile, ratio, word: word(ratio, floor.map(|floor| floor.share)) }
        });
        MemberResult {
            member,
            waits: member.arm.waits(),
            valid: valid.len(),
            invalid: own.len() - valid.len(),
            sent: valid.iter().map(|trial| trial.counts.sent).sum(),
            lost,
            response: all(&response, lost),
            service: all(&service, lost),
            range_ns: if response.is_empty() { (0, 0) } else { (response.min(), response.max()) },
            cpu_s_per_million: Some(17.5),
            send_ns: 850.0,
            versus: versus.collect(),
            attribution,
        }
    });
    CellResult { cell, members: members.collect(), floors }
}

fn host() -> Qualification {
    let quality = |longest_ns, gaps_per_second| CpuQuality {
        longest_ns,
        gaps_per_second,
        taken_percent: 0.42,
        ticks_per_second: Some(250.0),
        stolen_ms: Some(10),
    };
    let [first, second] = [0, 1].map(|cpu| CpuId::new(cpu).unwrap());
    Qualification {
        class: Class::C,
        measured: second,
        seconds: 5.0,
        cpus: BTreeMap::from([(first, quality(612_000, 420.0)), (second, quality(488_000, 260.0))]),
        wake_up: WakeUp { count: 2500, p50_ns: 61_000, p99_ns: 180_000, max_ns: 912_000 },
        is_counter_steady: Some(true),
        counter_error_ppm: 1,
    }
}

fn throughput() -> Vec<Throughput> {
    let search = |goal: &str, loss_ratio, lower: f64| Search {
        goal: goal.to_owned(),
        loss_ratio,
        exceed_ratio: 0.5,
        trial_s: 1.0,
        sum_s: 11.0,
        lower: Some(lower),
        upper: Some(lower * 1.008),
        throughput: Some(lower * 0.999),
        is_regular: true,
        is_generator_limited: lower > 480_000.0,
        remark: String::new(),
    };
    let of = |arm, pdr: f64| Throughput {
        group: Group::Reflect,
        member: Member { arm, is_twin: false },
        size: 64,
        workers: 1,
        ceiling: Some(600_000.0),
        searches: vec![search("ndr", 0.0, pdr * 0.7), search("pdr", 0.005, pdr)],
        trials: vec![],
        cpu_s_per_million: Some(2.25),
        frame_loss: (0..6_u32)
            .map(|step| {
                let load = 600_000.0 * (1.0 - f64::from(step) / 10.0);
                let returned = load.min(pdr);
                LoadTrial {
                    load,
                    seconds: 1.0,
                    intended: load as u64,
                    sent: load as u64,
                    returned: returned as u64,
                    refused: 0,
                }
            })
            .collect(),
        latency: Some(StrictLatency {
            load: pdr * 0.7,
            samples: 20,
            lost: 0,
            mean_ns: Some(43_210.5),
        }),
        back_to_back: Some(BackToBack {
            rate: 590_000.0,
            most: 1_180_000,
            repeats: 50,
            frames: 22_141.0,
            is_generator_limited: pdr > 500_000.0,
        }),
        delays: [0.1, 0.5, 0.9]
            .map(|share| Delay {
                share,
                load: pdr * share,
                sent: 10_000,
                lost: 0,
                typical_ns: Some(20_000),
                worst_ns: Some(310_000),
                variation_ns: Some(295_000),
            })
            .to_vec(),
        repeated: Some(Repeated {
            load: pdr * 0.97,
            repeats: 20,
            sent: 1_000_000,
            lost: 3,
            typical: Spread { low: Some(20_000), median: Some(21_000), high: Some(26_000) },
            worst: Spread { low: Some(290_000), median: Some(310_000), high: None },
            variation: Spread { low: Some(280_000), median: Some(295_000), high: None },
        }),
        remark: None,
    };
    vec![of(Arm::KernelEchoSpin, 310_000.0), of(Arm::BarewiredAfXdp, 520_000.0)]
}

/// Of one of them against the other.
fn rates() -> Vec<RateRatio> {
    let member = |arm| Member { arm, is_twin: false };
    vec![RateRatio {
        group: Group::Reflect,
        member: member(Arm::BarewiredAfXdp),
        reference: member(Arm::KernelEchoSpin),
        size: 64,
        workers: 1,
        goal: "ndr".to_owned(),
        ratio: Some(Estimate { value: 1.677, low: 1.664, high: 1.691, blocks: 1 }),
        floor: Some(0.012),
        word: Word::Faster,
    }]
}

/// A whole run, the same each time.
pub(crate) fn run() -> RunResult {
    let plan = Plan::parse(PLAN, "made").unwrap();
    let mut random = fastrand::Rng::with_seed(11);
    let mut trials = Vec::new();
    let mut starts = Vec::new();
    let mut at_s = 6.0;
    for block in 0..BLOCKS {
        for group in &plan.groups {
            for load in &group.loads {
                for member in group.members() {
                    let cell = Cell { load: *load, size: 64 };
                    trials.push(trial(&mut random, group.kind, member, cell, block, at_s));
                    at_s += 0.9;
                    let is_ours = member.arm.is_barewired();
                    starts.push(Started {
                        group: group.kind,
                        member,
                        block,
                        command: is_ours.then(|| "barewired --config barewired.toml".to_owned()),
                        configuration: is_ours.then(|| "[cores]\nworkers = \"1\"\n".to_owned()),
                        ready_ms: 310.0 + 20.0 * random.f64(),
                        handoff_ns: Some(540 + 40 * (block as u64 % 2)),
                        wire: BTreeMap::new(),
                    });
                }
            }
        }
    }
    // One that was disturbed, and its repetition.
    let mut again = trials[3].clone();
    again.attempt = 1;
    trials[3].faults = vec![
        Invalid::Generator(Fault::Late { p999_ns: 2_400_000, allowed_ns: 1_000_000 }),
        Invalid::Stolen { ms: 20 },
    ];
    trials.insert(4, again);
    let groups: Vec<GroupResult> = plan
        .groups
        .iter()
        .map(|group| GroupResult {
            kind: group.kind,
            reference: Member { arm: group.reference, is_twin: false },
            cells: group
                .loads
                .iter()
                .map(|load| cell(&plan, group.kind, Cell { load: *load, size: 64 }, &trials))
                .collect(),
        })
        .collect();
    let member = |arm| Member { arm, is_twin: false };
    let across = [50.0, 99.0].map(|percentile| Across {
        first: (Group::Shared, member(Arm::BarewiredVirtio)),
        second: (Group::Reflect, member(Arm::KernelEchoSpin)),
        cell: Cell { load: 20_000.0, size: 64 },
        percentile,
        ratio: Some(Estimate { value: 0.158, low: 0.149, high: 0.171, blocks: 6 }),
    });
    let environment = [
        ("barewire_bench.is_optimised", "true"),
        ("cpu.model", "A CPU that nobody has"),
        ("kernel", "6.18.0-made"),
        (
            "kernel.command_line",
            "quiet isolcpus=1 nohz_full=1 a_setting_whose_name_is_much_longer_than_any_line_of_a_phone=with_its_value",
        ),
        ("network.default_qdisc", "pfifo_fast"),
    ];
    RunResult {
        schema: SCHEMA.to_owned(),
        version: "0.1.0".to_owned(),
        begun: "2026-01-02T03:04:05Z".to_owned(),
        seconds: at_s,
        end: End::Complete,
        seed: 11,
        plan,
        cpus: Cpus { measured: CpuId::new(1).unwrap(), other: CpuId::ZERO },
        host: host(),
        environment: environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        left_out: vec![LeftOut {
            group: Group::Reflect,
            member: Some(member(Arm::TestpmdAfXdp)),
            why: "there is no dpdk-testpmd here".to_owned(),
        }],
        starts,
        trials,
        groups,
        across: across.to_vec(),
        throughput: throughput(),
        rates: rates(),
    }
}
