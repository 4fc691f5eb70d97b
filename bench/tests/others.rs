//! sockperf and irtt on the same wire, at the same rate, beside the kernel's echo as a run measures it: three programs that
//! know nothing of each other, and each of which has an error of its own.
//!
//! **sockperf** asks over and over, at both ends, as `kernel-echo-spin` and its generator do. Half of the spread of each (its
//! quartiles) is its error, and so is one call that sends, within which nobody knows when the frame left.
//!
//! **irtt** sleeps at both ends. The path does in `kernel-echo-block`, the generator never: so it may be longer by what a
//! sleeping thread takes to wake up on this machine, which the run's look at the host says, besides both spreads.
//!
//! What a host does to one of them for some seconds is no disagreement: one is what is seen in each of three rounds, in the
//! same direction.
#![expect(clippy::unwrap_used, reason = "a helper of tests that fails says where")]

use std::{fs, path::Path, process::Command};

use bench::run::{arm::Arm, result::RunResult, trial::Trial};
use config::CpuId;
use hdrhistogram::Histogram;

const PLAN: &str = r#"
name = "others"
blocks = 3
warm_up_ms = 50
measure_ms = 600
qualify_ms = 1000
is_first = true

[[group]]
kind = "reflect"
arms = ["kernel-echo-block", "kernel-echo-spin"]
reference = "kernel-echo-block"
loads = [1000]
"#;

/// The wire of a run, and the two programs one after the other, at a thousand datagrams of 18 bytes a second.
const SCRIPT: &str = r#"
set -e
mount -t sysfs x /sys
unshare --net sleep 60 &
there=$!
until [ "$(readlink /proc/$there/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
inside="nsenter --net=/proc/$there/ns/net"
ip link add gen0 type veth peer name dut0 netns $there
offloads="rx off tx off sg off tso off gso off gro off"
ethtool -K gen0 $offloads >/dev/null 2>&1 || true
$inside ethtool -K dut0 $offloads >/dev/null 2>&1 || true
ip addr add 198.18.0.1/24 dev gen0; ip link set gen0 up
$inside ip addr add 198.18.0.2/24 dev dut0; $inside ip link set dut0 up
ping -c 1 -w 5 198.18.0.2 >/dev/null
first="chrt -f 1 taskset -c"
$inside $first $MEASURED sockperf server -i 198.18.0.2 -p 11111 --nonblocked >/dev/null 2>&1 &
server=$!
until $inside ss -lun | grep -q 11111; do :; done
$first $OTHER sockperf ping-pong -i 198.18.0.2 -p 11111 -t 2 -m 18 --mps 1000 --full-rtt --nonblocked > "$DIR/sockperf" 2>&1
kill $server
$inside $first $MEASURED irtt server -i 1ms -b 198.18.0.2 >/dev/null 2>&1 &
server=$!
until $inside ss -lun | grep -q 2112; do :; done
$first $OTHER irtt client -Q -i 1ms -d 3s -l 18 -o "$DIR/irtt.json" 198.18.0.2 >/dev/null 2>&1
kill $server $there
"#;

/// Round trips in µs.
#[derive(Debug)]
struct Spread {
    median: f64,
    low: f64,
    high: f64,
}

fn sockperf(text: &str) -> Spread {
    let at = |label: &str| -> f64 {
        let line =
            text.lines().find(|line| line.contains(label)).unwrap_or_else(|| panic!("{text}"));
        line.rsplit(' ').next().unwrap().trim().parse().unwrap()
    };
    Spread {
        median: at("percentile 50.000"),
        low: at("percentile 25.000"),
        high: at("percentile 75.000"),
    }
}

fn irtt(text: &str) -> Spread {
    let all: serde_json::Value = serde_json::from_str(text).unwrap();
    let trips = all["round_trips"].as_array().unwrap();
    let mut times: Vec<f64> =
        trips.iter().filter_map(|trip| trip["delay"]["rtt"].as_f64()).map(|ns| ns / 1e3).collect();
    times.sort_by(f64::total_cmp);
    let at = |quarter: usize| times[(times.len() - 1) * quarter / 4];
    Spread { median: at(2), low: at(1), high: at(3) }
}

fn run(dir: &Path) -> RunResult {
    let plan = dir.join("plan.toml");
    fs::write(&plan, PLAN).unwrap();
    let out = dir.join("out");
    let output = Command::new(env!("CARGO_BIN_EXE_barewire-bench"))
        .arg("run")
        .arg(&plan)
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    let text = fs::read_to_string(out.join("result.json"));
    serde_json::from_str(&text.unwrap_or_else(|_| panic!("{output:?}"))).unwrap()
}

/// All trials of a path together, and what a send took on average in the one in the middle.
fn ours(result: &RunResult, arm: Arm) -> (Spread, f64) {
    let mut times = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
    let own: Vec<&Trial> = result.trials.iter().filter(|trial| trial.member.arm == arm).collect();
    for trial in &own {
        times.add(distribution::decode(&trial.response_hdr).unwrap()).unwrap();
    }
    #[expect(clippy::cast_precision_loss, reason = "microseconds")]
    let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    let mut sends: Vec<f64> = own.iter().map(|trial| trial.send_ns / 1e3).collect();
    sends.sort_by(f64::total_cmp);
    let send = sends[sends.len() / 2];
    (Spread { median: at(0.5), low: at(0.25), high: at(0.75) }, send)
}

/// How much more another program saw than we did in one round, and between which bounds that is explained, in µs.
#[derive(Debug)]
struct Apart {
    by: f64,
    at_least: f64,
    at_most: f64,
}

impl Apart {
    fn new(other: &Spread, own: &Spread, below: f64, above: f64) -> Self {
        let room = other.error() + own.error();
        Self { by: other.median - own.median, at_least: -room - below, at_most: room + above }
    }

    fn is_too_little(&self) -> bool {
        self.by < self.at_least
    }

    fn is_too_much(&self) -> bool {
        self.by > self.at_most
    }
}

impl Spread {
    fn error(&self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

/// What sockperf and irtt saw on a wire of their own.
fn others(dir: &Path, measured: CpuId, other: CpuId) -> (Spread, Spread) {
    let output = Command::new("unshare")
        .args(["--net", "--mount", "--kill-child", "--pid", "--fork", "--mount-proc"])
        .args(["sh", "-c", SCRIPT])
        .env("MEASURED", measured.to_string())
        .env("OTHER", other.to_string())
        .env("DIR", dir)
        .output()
        .unwrap();
    let read = |name: &str| {
        fs::read_to_string(dir.join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}: {output:?}"))
    };
    (sockperf(&read("sockperf")), irtt(&read("irtt.json")))
}

/// One round of all three: sockperf and irtt against ours.
fn round(measured: CpuId, other: CpuId) -> (Apart, Apart) {
    let dir = tempfile::tempdir().unwrap();
    let (sockperf, irtt) = others(dir.path(), measured, other);
    let result = run(dir.path());
    let (spinning, send) = ours(&result, Arm::KernelEchoSpin);
    let (sleeping, _) = ours(&result, Arm::KernelEchoBlock);
    #[expect(clippy::cast_precision_loss, reason = "microseconds")]
    let wake_up = result.host.wake_up.p50_ns as f64 / 1e3;
    println!(
        "median and quartiles in µs: spinning {spinning:?}, sockperf {sockperf:?}, a send {send:.2}; \
         sleeping {sleeping:?}, irtt {irtt:?}, a wake-up {wake_up:.1}"
    );
    (Apart::new(&sockperf, &spinning, send, send), Apart::new(&irtt, &sleeping, 0.0, wake_up))
}

#[test]
fn sockperf_and_irtt_agree_within_their_errors() {
    let test = "sockperf_and_irtt_agree_within_their_errors";
    for (program, package) in [("sockperf", "sockperf"), ("irtt", "irtt"), ("chrt", "util-linux")] {
        if bench::program::find(program).is_none() {
            eprintln!("SKIPPED: {test}: no {program} (Debian: {package})");
            return;
        }
    }
    let cpus = linux::thread::affinity().unwrap();
    if !rustix::process::geteuid().is_root() || cpus.len() < 2 {
        eprintln!("SKIPPED: {test}: it takes root and two CPUs");
        return;
    }
    let (measured, other) = (cpus.last().unwrap(), cpus.first().unwrap());
    let (mut sockperf, mut irtt) = (Vec::new(), Vec::new());
    let disagrees = |rounds: &[Apart]| {
        rounds.iter().all(Apart::is_too_little) || rounds.iter().all(Apart::is_too_much)
    };
    while sockperf.len() < 3 && (disagrees(&sockperf) || disagrees(&irtt)) {
        let (one, two) = round(measured, other);
        sockperf.push(one);
        irtt.push(two);
    }
    assert!(!disagrees(&sockperf), "sockperf and ours are {sockperf:?} µs apart");
    assert!(!disagrees(&irtt), "irtt and ours are {irtt:?} µs apart");
}
