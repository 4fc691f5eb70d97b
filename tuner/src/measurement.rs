//! The tuner's own proof: what this host does to a thread that wants to be left alone, as one value.

use std::{collections::BTreeMap, time::Duration};

use api::Distribution;
use config::{CpuId, CpuSet, NumaNode, machine::Machine};
use distribution::{encode, figures};
use hdrhistogram::Histogram;
use noise::{Cost, MeasureError, Noise, crossing, loopback, memory, spin, wakeup};
use serde::{Deserialize, Serialize};

/// The version of [`Measurement`] in JSON.
pub const SCHEMA: u32 = 1;

/// How often a wake-up is asked for.
const WAKE_UP: Duration = Duration::from_millis(1);
/// Messages, interrupts and datagrams of each kind.
const ROUNDS: u64 = 20_000;
/// Memory that is walked through: more than any cache here.
const MEMORY: usize = 256 << 20;
/// For how long.
const WALK: Duration = Duration::from_millis(300);

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// The version of this notation: 1.
    pub schema: u32,
    /// The program that measured.
    pub made_by: String,
    /// The kernel that ran.
    pub kernel: Option<String>,
    /// The CPUs that were measured.
    pub cpus: CpuSet,
    /// What spinning threads missed.
    pub noise: Noise,
    /// What spinning cost, as far as the processor and the kernel count it.
    #[serde(default)]
    pub costs: BTreeMap<CpuId, Cost>,
    /// The longest gap of each interval; none in measurements of before there were any.
    #[serde(default)]
    pub maxima: Option<Maxima>,
    /// Everything in ns, by name: `wake-up/cpu2`.
    pub times: BTreeMap<String, Times>,
    /// What could not be measured, and why.
    pub failed: BTreeMap<String, String>,
}

/// The longest gap of each interval, one interval after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maxima {
    /// How long an interval is.
    pub interval_ns: u64,
    /// In ns, by CPU; 0 where there was no gap.
    pub cpus: BTreeMap<CpuId, Vec<u64>>,
}

/// One distribution of times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// What it is of.
    pub title: String,
    /// Its figures, and all of it.
    pub distribution: Distribution,
}

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// On which CPUs.
    pub cpus: CpuSet,
    /// The CPU that messages come from.
    pub housekeeping: Option<CpuId>,
    /// For how long threads spin, and wait to be woken.
    pub over: Duration,
    /// Join gaps with the kernel's trace.
    pub trace: bool,
    /// `kernel.perf_event_paranoid`: why what spinning costs may not be counted.
    pub paranoid: Option<i32>,
}

impl Measurement {
    /// Measures, one thing after the other; `progress` is told what comes next, and for how long.
    ///
    /// # Errors
    /// [`MeasureError`] when not even a thread can spin; what fails besides is in [`Measurement::failed`].
    pub fn take(
        options: &Options,
        machine: Option<&Machine>,
        kernel: Option<String>,
        progress: &mut dyn FnMut(&str, Duration),
    ) -> Result<Self, MeasureError> {
        let Options { cpus, housekeeping, over, trace, paranoid } = options;
        progress("spinning", *over);
        let spinning =
            spin::Options { cpus: cpus.clone(), over: *over, threshold: None, trace: *trace };
        let watched = spin::watch(&spinning, *paranoid)?;
        let mut measured = Self {
            schema: SCHEMA,
            made_by: format!("barewire-tune {}", env!("CARGO_PKG_VERSION")),
            kernel,
            cpus: cpus.clone(),
            noise: watched.noise,
            costs: watched.costs,
            maxima: Some(Maxima {
                interval_ns: u64::try_from(watched.interval.as_nanos()).unwrap_or(u64::MAX),
                cpus: watched.maxima,
            }),
            times: BTreeMap::new(),
            failed: BTreeMap::new(),
        };
        for (cpu, readings) in watched.readings {
            let title = format!("time between two readings of the clock on CPU {cpu}");
            measured.keep(format!("reading/cpu{cpu}"), title, Ok(readings));
        }
        for cpu in cpus.iter() {
            progress(&format!("waking up on CPU {cpu}"), *over);
            let title = format!("how late a thread wakes up on CPU {cpu}");
            measured.keep(format!("wake-up/cpu{cpu}"), title, wakeup::measure(cpu, WAKE_UP, *over));
        }
        // Another CPU to talk with: housekeeping's, or any other of those that are measured.
        for cpu in cpus.iter() {
            let other = housekeeping.filter(|other| *other != cpu);
            let Some(other) = other.or_else(|| cpus.iter().find(|other| *other != cpu)) else {
                measured.failed.insert("crossing".to_owned(), "there is one CPU".to_owned());
                continue;
            };
            progress(
                &format!("messages between CPU {other} and CPU {cpu}"),
                Duration::from_secs(1),
            );
            let between = format!("cpu{other}-cpu{cpu}");
            let title = format!("a cache line from CPU {other} to CPU {cpu} and back");
            let times = crossing::cache_line(other, cpu, ROUNDS);
            measured.keep(format!("cache-line/{between}"), title, times);
            let title = format!("an interrupt from CPU {other} to CPU {cpu}, until it is taken");
            measured.keep(format!("ipi/{between}"), title, crossing::interrupt(other, cpu, ROUNDS));
            let title = format!("a datagram over loopback from CPU {other} to CPU {cpu} and back");
            let times = loopback::round_trip(other, cpu, ROUNDS);
            measured.keep(format!("udp-loopback/{between}"), title, times);
        }
        for (node, reader, maker) in walks(cpus, machine) {
            progress(&format!("memory of node {node} from CPU {reader}"), WALK);
            let title = format!("a load of CPU {reader} that misses, from memory of node {node}");
            let times = memory::latency(reader, maker, MEMORY, WALK);
            measured.keep(format!("memory/cpu{reader}-node{node}"), title, times);
        }
        Ok(measured)
    }

    fn keep(&mut self, name: String, title: String, times: Result<Histogram<u64>, MeasureError>) {
        match times {
            Ok(histogram) => {
                let distribution = figures(&histogram, encode(&histogram));
                self.times.insert(name, Times { title, distribution });
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                self.failed.insert(name, format!("{error}{}", cause.unwrap_or_default()));
            }
        }
    }
}

/// From the first measured CPU of each node, the memory of every node that has CPUs to touch it.
fn walks(cpus: &CpuSet, machine: Option<&Machine>) -> Vec<(NumaNode, CpuId, CpuId)> {
    let Some(machine) = machine else { return Vec::new() };
    let mut readers: BTreeMap<Option<NumaNode>, CpuId> = BTreeMap::new();
    for cpu in cpus.iter() {
        readers.entry(machine.cpu(cpu).and_then(|cpu| cpu.node)).or_insert(cpu);
    }
    let usable = machine.usable();
    let mut walks = Vec::new();
    for node in machine.nodes.iter().filter(|node| node.memory_bytes > 0) {
        for &reader in readers.values() {
            let local = node.cpus.intersection(&usable);
            // The reader itself touches the memory of its own node.
            let maker = if local.contains(reader) { Some(reader) } else { local.first() };
            if let Some(maker) = maker {
                walks.push((node.id, reader, maker));
            }
        }
    }
    walks
}

/// One figure before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// What it is of: `wake-up/cpu2`.
    pub name: String,
    /// Which figure: `p99.9`.
    pub figure: String,
    /// Before, in ns.
    pub before: f64,
    /// After, in ns.
    pub after: f64,
    /// After over before.
    pub ratio: f64,
}

/// What two measurements have in common, figure by figure. One run each says nothing about chance: for that,
/// `apply --keep-what-helps` repeats them in turns.
#[must_use]
pub fn compare(before: &Measurement, after: &Measurement) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut push = |name: &str, figure: String, before: f64, after: f64| {
        if before > 0.0 {
            let ratio = after / before;
            changes.push(Change { name: name.to_owned(), figure, before, after, ratio });
        }
    };
    #[expect(clippy::cast_precision_loss, reason = "compared with three digits")]
    let float = |value: u64| value as f64;
    for (cpu, was) in &before.noise.cpus {
        let Some(is) = after.noise.cpus.get(cpu) else { continue };
        let name = format!("gaps/cpu{cpu}");
        push(&name, "max".to_owned(), float(was.max_ns), float(is.max_ns));
        let share = |noise: &noise::CpuNoise| float(noise.taken_ns) / noise.seconds.max(1e-9);
        push(&name, "ns taken a second".to_owned(), share(was), share(is));
        let rate = |noise: &noise::CpuNoise| float(noise.gaps) / noise.seconds.max(1e-9);
        push(&name, "gaps a second".to_owned(), rate(was), rate(is));
    }
    for (name, was) in &before.times {
        let Some(is) = after.times.get(name) else { continue };
        for percentile in &was.distribution.percentiles {
            let same = is
                .distribution
                .percentiles
                .iter()
                .find(|p| (p.percentile - percentile.percentile).abs() < f64::EPSILON);
            if let Some(same) = same {
                let figure = format!("p{}", percentile.percentile);
                push(name, figure, float(percentile.ns), float(same.ns));
            }
        }
        let (was, is) = (was.distribution.max_ns, is.distribution.max_ns);
        push(name, "max".to_owned(), float(was), float(is));
    }
    changes
}
