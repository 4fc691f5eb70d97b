//! sockperf and irtt on the same wire, at the same rate, beside the kernel's echo as a run measures it: three programs that
//! know nothing of each other. sockperf's median is to lie within a factor of 1.5 of our quartiles, or ours of its. irtt's
//! factor, 2.5, was set after its figures were seen: it finds a gross mistake, and is no agreement.
//!
//! It measures, so it wants a quiet machine: `cargo nextest run -p bench --test others --run-ignored all`.
#![expect(clippy::unwrap_used, reason = "a helper of tests that fails says where")]

use std::{fs, path::Path, process::Command};

use bench::run::result::RunResult;

const PLAN: &str = r#"
name = "others"
blocks = 5
warm_up_ms = 100
measure_ms = 700
qualify_ms = 100
is_first = true

[[group]]
kind = "reflect"
arms = ["kernel-echo-block"]
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
$inside $first $MEASURED sockperf server -i 198.18.0.2 -p 11111 >/dev/null 2>&1 &
server=$!
until $inside ss -lun | grep -q 11111; do :; done
$first $OTHER sockperf ping-pong -i 198.18.0.2 -p 11111 -t 2 -m 18 --mps 1000 --full-rtt > "$DIR/sockperf" 2>&1
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

fn ours(dir: &Path) -> Spread {
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
    let result: RunResult =
        serde_json::from_str(&text.unwrap_or_else(|_| panic!("{output:?}"))).unwrap();
    let mut together: Option<hdrhistogram::Histogram<u64>> = None;
    for trial in &result.trials {
        let times = distribution::decode(&trial.response_hdr).unwrap();
        match &mut together {
            Some(sum) => sum.add(&times).unwrap(),
            None => together = Some(times),
        }
    }
    let times = together.unwrap();
    #[expect(clippy::cast_precision_loss, reason = "microseconds")]
    let at = |quantile| times.value_at_quantile(quantile) as f64 / 1e3;
    Spread { median: at(0.5), low: at(0.25), high: at(0.75) }
}

#[test]
#[ignore = "measures: wants a quiet machine"]
fn sockperf_is_near_and_irtt_is_not_far() {
    let test = "sockperf_is_near_and_irtt_is_not_far";
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
    let dir = tempfile::tempdir().unwrap();
    let others = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--kill-child",
            "--pid",
            "--fork",
            "--mount-proc",
            "sh",
            "-c",
            SCRIPT,
        ])
        .env("MEASURED", cpus.last().unwrap().to_string())
        .env("OTHER", cpus.first().unwrap().to_string())
        .env("DIR", dir.path())
        .output()
        .unwrap();
    let read = |name: &str| {
        fs::read_to_string(dir.path().join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}: {others:?}"))
    };
    let (sockperf, irtt) = (sockperf(&read("sockperf")), irtt(&read("irtt.json")));

    let ours = ours(dir.path());

    println!("median and quartiles in µs: ours {ours:?}, sockperf {sockperf:?}, irtt {irtt:?}");
    // What their programs do between the stamps and the calls is in their times.
    for (name, other, room) in [("sockperf", &sockperf, 1.5), ("irtt", &irtt, 2.5)] {
        // The spread of one holds the other's median.
        let holds =
            |spread: &Spread, median| (spread.low / room..=spread.high * room).contains(&median);
        let is_apart = !holds(&ours, other.median) && !holds(other, ours.median);
        assert!(!is_apart, "{name}: {other:?}, and ours {ours:?}");
    }
}
