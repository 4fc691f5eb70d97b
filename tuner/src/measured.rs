//! What happened on the machine during some seconds: the counters that only grow, read twice and subtracted.
//!
//! A setting says what should happen, a difference what did. Checks that judge differences see a [`Measured`] in their
//! [`Context`](crate::checks::Context); without one they do not apply.

mod noise;
mod reading;
mod registers;

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use ::noise::spin;
use config::{CpuId, CpuSet};
use linux::activity::{CpuTime, Softnet};
use serde::{Deserialize, Serialize};

pub use noise::{Cause, CpuNoise, Effect, Gap, Noise};
use reading::Reading;
pub use registers::Clocks;
use registers::Registers;

use crate::{
    Fact, Intent, Source,
    daemon::{self, Daemon},
    facts::tasks::Tasks,
};

/// What happened on the machine during some seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// For how long, in seconds.
    pub seconds: f64,
    /// Interrupts and system events; only rows that counted.
    pub interrupts: Fact<Vec<Row>>,
    /// Software interrupts by kind (`NET_RX`) and CPU; only those that happened.
    pub softirqs: Fact<BTreeMap<String, PerCpu>>,
    /// How the CPUs spent the time, in ticks of 1/100 s.
    pub cpu_times: Fact<BTreeMap<CpuId, CpuTime>>,
    /// `/proc/vmstat`: what grew, by name (`pswpin`, `pgmajfault`).
    pub vmstat: Fact<BTreeMap<String, u64>>,
    /// Packets of the kernel's network stack; only CPUs that had any.
    pub softnet: Fact<BTreeMap<CpuId, Softnet>>,
    /// Threads that were there at both ends and did something.
    pub threads: Fact<Vec<ThreadActivity>>,
    /// Corrected and uncorrected memory errors: `sys/devices/system/edac/mc/mc0/ce_count`.
    pub edac: Fact<Counters>,
    /// `sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count` and the like.
    pub throttle: Fact<Counters>,
    /// PCIe errors: `sys/bus/pci/devices/0000:3b:00.0/aer_dev_correctable:BadTLP`.
    pub aer: Fact<Counters>,
    /// `sys/class/net/eth0/statistics/rx_missed_errors` and the like.
    pub network: Fact<Counters>,
    /// How far the clocks of the workers' CPUs went; absent where they have no such counters.
    pub clocks: Fact<BTreeMap<CpuId, Clocks>>,
    /// How often the firmware took all CPUs (system management interrupts); absent but on Intel's.
    pub firmware_interrupts: Fact<u64>,
    /// What the daemon says of itself; absent when none runs.
    pub daemon: Fact<Daemon>,
    /// What a spinning thread on each worker's CPU saw; absent where the daemon's own workers spin there.
    pub noise: Fact<Noise>,
    /// What an interleaved comparison of knobs found; none when there was none.
    pub effects: Option<Vec<Effect>>,
}

/// A number for each CPU; CPUs that are not there have 0.
pub type PerCpu = BTreeMap<CpuId, u64>;

/// How often one interrupt, or one kind of system event, came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its number (`24`) or name (`LOC`).
    pub label: String,
    /// Controller, hardware interrupt and handlers; or what the event is.
    pub description: String,
    /// How often each CPU took it; CPUs that did not are not there.
    pub counts: PerCpu,
}

impl Row {
    /// Is it an interrupt of a device, and not an event of the system?
    #[must_use]
    pub fn is_device(&self) -> bool {
        self.label.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// How often these CPUs took it.
    #[must_use]
    pub fn on(&self, cpus: &CpuSet) -> u64 {
        sum_on(&self.counts, cpus)
    }
}

/// The sum over these CPUs.
#[must_use]
pub fn sum_on(counts: &PerCpu, cpus: &CpuSet) -> u64 {
    let here = counts.iter().filter(|(cpu, _)| cpus.contains(**cpu));
    here.fold(0, |sum, (_, &count)| sum.saturating_add(count))
}

/// What one thread did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThreadActivity {
    /// Its process.
    pub process: u32,
    /// Its number.
    pub thread: u32,
    /// Its name.
    pub name: String,
    /// Is it the kernel's?
    pub is_kernel: bool,
    /// Where it was at the end.
    pub last_cpu: CpuId,
    /// How often it waited; `None` of kernel threads that are bound to a CPU, which are not looked at closely.
    pub voluntary: Option<u64>,
    /// How often its CPU was given to somebody else; `None` of the same.
    pub involuntary: Option<u64>,
    /// Page faults without reading.
    pub minor_faults: u64,
    /// Page faults that read from a device.
    pub major_faults: u64,
    /// Time it ran, in ticks of 1/100 s.
    pub ticks: u64,
}

/// Numbers that only grow, by their file (and, behind a colon, the line of the file).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// How many there are.
    pub read: usize,
    /// Those that are not zero at the end.
    pub set: BTreeMap<String, Counted>,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// At the beginning.
    pub from: u64,
    /// At the end.
    pub to: u64,
}

impl Counted {
    /// How much it grew; a counter that was reset began at zero.
    #[must_use]
    pub fn grew(self) -> u64 {
        self.to.checked_sub(self.from).unwrap_or(self.to)
    }
}

impl Counters {
    /// Those that grew, by how much.
    pub fn grown(&self) -> impl Iterator<Item = (&str, u64)> {
        let grown = self.set.iter().map(|(name, counted)| (name.as_str(), counted.grew()));
        grown.filter(|(_, by)| *by > 0)
    }

    /// By how much those grew whose names end so: `ue_count`.
    #[must_use]
    pub fn grown_at(&self, ending: &str) -> u64 {
        let these = self.grown().filter(|(name, _)| name.ends_with(ending));
        these.fold(0, |sum, (_, by)| sum.saturating_add(by))
    }
}

/// The question that a capture keeps the answer of.
const QUESTION: &str = "measured";

impl Measured {
    /// Reads the counters, waits for `over`, and reads them again; then lets a thread spin on each worker's CPU for as
    /// long again, unless the daemon's workers do. `progress` is told what is left of either, once a second at most.
    ///
    /// A captured machine answers with what was measured when it was captured, if anything was.
    pub fn take(
        source: &Source,
        intent: &Intent,
        over: Duration,
        progress: &mut dyn FnMut(Duration),
    ) -> Fact<Self> {
        source.ask(QUESTION, || {
            let asked = daemon::read(&intent.socket);
            let workers = intent.workers();
            let registers = Registers::read(source, &workers);
            let (before, begin) = (Reading::take(source), Instant::now());
            loop {
                let left = over.saturating_sub(begin.elapsed());
                if left.is_zero() {
                    break;
                }
                progress(left);
                thread::sleep(left.min(Duration::from_secs(1)));
            }
            let after = Reading::take(source);
            let seconds = begin.elapsed().as_secs_f64();
            let registers_after = Registers::read(source, &workers);
            let daemon = daemon::difference(asked, daemon::read(&intent.socket));
            let noise = loop_on(source, &workers, over, progress);
            Fact::Is(Self {
                daemon,
                noise,
                clocks: registers.clocks_until(&registers_after),
                firmware_interrupts: registers.firmware_interrupts_until(&registers_after),
                ..before.until(&after, seconds)
            })
        })
    }

    /// What was measured when the machine was captured; unknown when nothing was, or the machine is this one.
    #[must_use]
    pub fn captured(source: &Source) -> Fact<Self> {
        if source.is_live() {
            return Fact::unknown("nothing was measured yet");
        }
        source.ask(QUESTION, || Fact::unknown("nothing was measured yet"))
    }

    /// A number of events as events in a second.
    #[expect(clippy::cast_precision_loss, reason = "a rate is an approximation")]
    #[must_use]
    pub fn per_second(&self, count: u64) -> f64 {
        if self.seconds > 0.0 { count as f64 / self.seconds } else { 0.0 }
    }
}

/// What a thread sees that spins on each worker's CPU. After the counters, for the kernel's trace of what took the CPU
/// away makes calls between CPUs of its own.
fn loop_on(
    source: &Source,
    workers: &Fact<CpuSet>,
    over: Duration,
    progress: &mut dyn FnMut(Duration),
) -> Fact<Noise> {
    if !Tasks::read(source).daemons().is_empty() {
        return Fact::Absent;
    }
    workers.as_ref().and_then(|workers| {
        progress(over);
        let options = spin::Options { cpus: workers.clone(), over, threshold: None, trace: true };
        match spin::spin(&options) {
            Ok(noise) => Fact::Is(noise),
            Err(error) => Fact::unknown(error.to_string()),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{checks::sample::quiet, source::ASKED};

    #[test]
    fn what_was_measured_is_part_of_a_capture() {
        let cpu = CpuId::new(8191).unwrap();
        let row = Row {
            label: "24".to_owned(),
            description: "eth0".to_owned(),
            counts: PerCpu::from([(cpu, 7)]),
        };
        let measured = Measured { interrupts: Fact::Is(vec![row]), ..quiet() };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(ASKED).join("measured.json");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, serde_json::to_vec(&Fact::Is(&measured)).unwrap()).unwrap();

        let source = Source::at(dir.path()).unwrap();

        assert_eq!(Measured::captured(&source), Fact::Is(measured));
    }

    #[test]
    fn a_machine_that_was_not_watched_says_so() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Measured::captured(&Source::at(dir.path()).unwrap()).is_unknown());
        assert!(Measured::captured(&Source::system().unwrap()).is_unknown());
    }

    #[test]
    fn rates_are_by_the_second() {
        assert_eq!(quiet().per_second(10), 2.0);
        assert_eq!(Measured { seconds: 0.0, ..quiet() }.per_second(10), 0.0);
    }
}
