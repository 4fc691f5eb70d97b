//! What a host can be believed about: its class, from what it does to a thread that wants to be left alone.
//!
//! | class | longest gap of the measured CPU |
//! |---|---|
//! | A | below 10 µs |
//! | B | below 50 µs |
//! | C | below 1 ms |
//! | D | longer |
//!
//! The classes are this program's own proposal: no standard names any. From C and D hosts only ratios are worth telling.

use std::{collections::BTreeMap, io::Write as _, time::Duration};

pub use bench_result::host::{Class, CpuQuality, Qualification, WakeUp};
use config::{CpuId, CpuSet};
use linux::Root;
use noise::{CpuNoise, MeasureError, spin};

use crate::{cli::QualifyArgs, exit::Exit};

/// Shorter ones are not counted as gaps: a poll loop turns about once in this time.
const LEAST: Duration = Duration::from_micros(1);

/// Between two wake-ups.
const INTERVAL: Duration = Duration::from_millis(1);

/// Looks at both CPUs for so long, and at wake-ups for half as long.
///
/// # Errors
/// [`MeasureError`]
pub fn qualify(
    root: &Root,
    measured: CpuId,
    cpus: &CpuSet,
    over: Duration,
) -> Result<Qualification, MeasureError> {
    let rate = linux::clock::TickRate::calibrate(Duration::from_millis(100))?;
    let ticks = || root.text("proc/interrupts").ok();
    let steal = || root.text("proc/stat").ok();
    let before = (ticks(), steal());
    let threshold = Some(LEAST);
    let options = spin::Options { cpus: cpus.clone(), over, threshold, trace: false };
    let noise = spin::spin(&options)?;
    let after = (ticks(), steal());
    let late = noise::wakeup::measure(measured, INTERVAL, (over / 2).min(Duration::from_secs(10)))?;

    let quality = |(cpu, noise): (&CpuId, &CpuNoise)| {
        let between = |read: fn(&str, CpuId) -> Option<u64>, texts: [&Option<String>; 2]| {
            let [first, last] = texts.map(|text| text.as_deref().and_then(|text| read(text, *cpu)));
            first.zip(last).map(|(first, last)| last.saturating_sub(first))
        };
        let ticks = between(timer, [&before.0, &after.0]);
        let stolen = between(stolen, [&before.1, &after.1]);
        let quality = CpuQuality {
            longest_ns: noise.max_ns,
            gaps_per_second: float(noise.gaps) / noise.seconds,
            taken_percent: float(noise.taken_ns) / noise.seconds / 1e7,
            ticks_per_second: ticks.map(|ticks| float(ticks) / noise.seconds),
            stolen_ms: stolen.map(|ticks| ticks * 10),
        };
        (*cpu, quality)
    };
    let cpus: BTreeMap<CpuId, CpuQuality> = noise.cpus.iter().map(quality).collect();
    let longest = cpus.get(&measured).map_or(u64::MAX, |quality| quality.longest_ns);
    Ok(Qualification {
        class: Class::of(longest),
        measured,
        seconds: over.as_secs_f64(),
        cpus,
        wake_up: WakeUp {
            count: late.len(),
            p50_ns: late.value_at_quantile(0.5),
            p99_ns: late.value_at_quantile(0.99),
            max_ns: late.max(),
        },
        is_counter_steady: linux::clock::is_steady(root).into_known(),
        counter_error_ppm: rate.error_ppm(),
    })
}

/// Timer interrupts of a CPU: `LOC` on x86, `arch_timer` on Arm, in the column of the CPU.
fn timer(interrupts: &str, cpu: CpuId) -> Option<u64> {
    let mut lines = interrupts.lines();
    let name = format!("CPU{cpu}");
    let column = lines.next()?.split_ascii_whitespace().position(|word| word == name)?;
    let line = lines.find(|line| {
        let line = line.trim_ascii();
        line.starts_with("LOC:") || line.ends_with("arch_timer")
    })?;
    line.split_ascii_whitespace().nth(1 + column)?.parse().ok()
}

/// The eighth number of a `cpuN` line (proc_stat(5)).
fn stolen(stat: &str, cpu: CpuId) -> Option<u64> {
    let name = format!("cpu{cpu}");
    let mut words = stat
        .lines()
        .map(str::split_ascii_whitespace)
        .find(|words| words.clone().next() == Some(&name))?;
    words.nth(8)?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "counts of minutes, far below 2^53")]
fn float(count: u64) -> f64 {
    count as f64
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum QualifyError {
    /// The machine can not be read.
    #[error("cannot read the machine")]
    Machine(#[from] linux::ReadError),
    /// This process's CPUs can not be read.
    #[error(transparent)]
    Affinity(#[from] linux::thread::AffinityError),
    /// It could not be measured.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// It could not be said.
    #[error("cannot write the answer")]
    Write(#[source] std::io::Error),
    /// No such CPU.
    #[error("cpu {cpu} is not among the CPUs of this process ({allowed})")]
    NoSuchCpu {
        /// The CPU.
        cpu: CpuId,
        /// What there is.
        allowed: CpuSet,
    },
}

/// `barewire-bench qualify`
///
/// # Errors
/// [`QualifyError`]
pub fn run(args: &QualifyArgs) -> Result<Exit, QualifyError> {
    let root = Root::system()?;
    let allowed = linux::thread::affinity()?;
    let measured = args.cpu.or(allowed.last()).unwrap_or(CpuId::ZERO);
    if !allowed.contains(measured) {
        return Err(QualifyError::NoSuchCpu { cpu: measured, allowed });
    }
    let found = qualify(&root, measured, &allowed, Duration::from_secs_f64(args.seconds))?;
    let text = if args.json {
        serde_json::to_string_pretty(&found).map_err(|error| QualifyError::Write(error.into()))?
    } else {
        found.to_string()
    };
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(QualifyError::Write(error))
        }
        _ => Ok(Exit::Measured),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_are_found_by_the_column_of_the_cpu() {
        let text = "           CPU0       CPU2       \n  1:  9  8  IO-APIC  i8042\nLOC:        11         22   Local timer interrupts\n";
        assert_eq!(timer(text, CpuId::new(2).unwrap()), Some(22));
        assert_eq!(timer(text, CpuId::new(1).unwrap()), None);
        assert_eq!(stolen("cpu2 1 2 3 4 5 6 7 8 9 10", CpuId::new(2).unwrap()), Some(8));
    }

    #[test]
    fn a_host_has_a_class_for_what_was_seen() {
        let root = Root::system().unwrap();
        let cpus = linux::thread::affinity().unwrap();
        let measured = cpus.last().unwrap();

        let found = qualify(&root, measured, &cpus, Duration::from_millis(100)).unwrap();

        assert_eq!(found.class, Class::of(found.cpus[&measured].longest_ns));
        assert_eq!(found.cpus.len(), cpus.len());
        assert!(found.wake_up.count >= 1 && found.wake_up.max_ns >= found.wake_up.p50_ns);
        let text = serde_json::to_string(&found).unwrap();
        let again: Qualification = serde_json::from_str(&text).unwrap();
        assert_eq!((again.class, again.wake_up), (found.class, found.wake_up));
        assert!(found.to_string().contains(&format!("class {}", found.class)));
    }
}
