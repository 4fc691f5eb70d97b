//! `barewire-tune measure`

mod beside;
mod keep;
mod pictures;

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use config::CpuSet;
use distribution::{Series, decode, draw};
use linux::counters::Event;

use super::{Failure, Session};
use crate::{
    Exit, Facts,
    measurement::{self, Measurement, Options},
};

/// The largest measurement that is read, in bytes.
const MOST: u64 = 256 << 20;
/// Columns of the terminal picture.
const WIDTH: usize = 100;

/// Measure what this host does to a thread that wants to be left alone.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// On these CPUs; the workers' when it is not given.
    #[arg(long, value_name = "LIST")]
    cpus: Option<CpuSet>,
    /// For how long threads spin, and then wait to be woken, on each CPU (1s to 1440m).
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = super::measure::parse)]
    over: Duration,
    /// Do not join gaps with the kernel's trace, which makes a little noise of its own.
    #[arg(long)]
    no_trace: bool,
    /// Keep everything in this folder: measure.json, an .hlog, an .hgrm for each distribution, and pictures of them in
    /// SVG and PNG.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Measure nothing: compare two measurements that were kept.
    #[arg(long, num_args = 2, value_names = ["BEFORE.json", "AFTER.json"])]
    compare: Option<Vec<PathBuf>>,
    /// Print what other tools measured beside ours: files that `cyclictest --json` or `-h`, `oslat --json`, `rtla timerlat
    /// hist`, `rtla osnoise hist` or the hwlat tracer wrote.
    #[arg(long, num_args = 1.., value_name = "FILE", conflicts_with = "compare")]
    cross_check: Vec<PathBuf>,
    /// Measure nothing: cross-check this measurement, which was kept.
    #[arg(long, value_name = "MEASURE.json", requires = "cross_check", conflicts_with_all = ["cpus", "out"])]
    kept: Option<PathBuf>,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    if let Some([before, after]) = args.compare.as_deref() {
        let changes = measurement::compare(&read(before)?, &read(after)?);
        if args.json {
            session.json(&changes)?;
            return Ok(Exit::Success);
        }
        writeln!(
            session.out,
            "{:<32} {:<18} {:>12} {:>12} {:>7}",
            "", "", "before", "after", "ratio"
        )?;
        for change in &changes {
            let measurement::Change { name, figure, before, after, ratio } = change;
            writeln!(
                session.out,
                "{name:<32} {figure:<18} {before:>12.0} {after:>12.0} {ratio:>7.2}"
            )?;
        }
        writeln!(
            session.out,
            "ns, unless it says otherwise; one run each, so chance is not known"
        )?;
        return Ok(Exit::Success);
    }
    // Before anything takes its time.
    let theirs = beside::read(&args.cross_check)?;
    if let Some(kept) = &args.kept {
        beside::show(&read(kept)?, &theirs, args.json, session)?;
        return Ok(Exit::Success);
    }
    let source = session.source()?;
    if !source.is_live() {
        return Err(Failure::Usage("only the machine this runs on can be measured".to_owned()));
    }
    let facts = Facts::read(&source);
    let intent = session.intent(&source, &facts)?;
    let cpus = match (&args.cpus, intent.workers().into_value()) {
        (Some(cpus), _) => cpus.clone(),
        (None, Some(workers)) => workers,
        (None, None) => {
            let why = intent.placement.why().unwrap_or_default();
            return Err(Failure::Usage(format!("no workers can be placed ({why}): name --cpus")));
        }
    };
    if let Some(folder) = &args.out {
        // A folder that can not be had is better known now.
        fs::create_dir_all(folder).map_err(|error| cannot_keep(folder, &error))?;
    }
    let options = Options {
        cpus,
        housekeeping: intent.housekeeping().value().and_then(CpuSet::first),
        over: args.over,
        trace: !args.no_trace,
        paranoid: source.parse("proc/sys/kernel/perf_event_paranoid", "a number").into_value(),
    };
    let kernel = source.text("proc/sys/kernel/osrelease").into_value();
    let err = &mut *session.err;
    let mut progress = |what: &str, over: Duration| {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(err, "{what} ({:.1} s)", over.as_secs_f64());
    };
    let measured = Measurement::take(&options, facts.machine.value(), kernel, &mut progress)?;
    if let Some(folder) = &args.out {
        keep::keep(folder, &measured, args.over).map_err(|error| cannot_keep(folder, &error))?;
    }
    if !theirs.is_empty() {
        beside::show(&measured, &theirs, args.json, session)?;
    } else if args.json {
        session.json(&measured)?;
    } else {
        show(&measured, session)?;
    }
    Ok(Exit::Success)
}

fn cannot_keep(folder: &Path, error: &io::Error) -> Failure {
    Failure::Usage(format!("cannot keep anything in {}: {error}", folder.display()))
}

fn show(measured: &Measurement, session: &mut Session<'_>) -> Result<(), Failure> {
    let out = &mut *session.out;
    for (cpu, noise) in &measured.noise.cpus {
        let noise::CpuNoise { seconds, threshold_ns, gaps, max_ns, p999_ns, taken_ns, .. } = noise;
        writeln!(
            out,
            "CPU {cpu}: {gaps} gaps of {threshold_ns} ns or more in {seconds:.1} s, {:.3} % of the time; \
             reading p99.9 {p999_ns} ns, longest {:.1} µs",
            percent(*taken_ns, *seconds),
            micros(*max_ns)
        )?;
        for gap in noise.longest.iter().take(5) {
            writeln!(out, "  {:>9.1} µs  {}", micros(gap.length_ns), gap.told())?;
        }
    }
    if let Some(why) = &measured.noise.unattributed {
        writeln!(out, "no causes: {why}")?;
    }
    for (cpu, cost) in &measured.costs {
        let mut said: Vec<String> = cost.rates().iter().map(ToString::to_string).collect();
        said.extend(cost.counted.iter().filter(|(event, _)| !event.is_hardware()).map(
            |(event, count)| match event {
                Event::TaskClock => format!("ran for {:.3} s", seconds(count.value)),
                _ => format!("{} {event}", count.value),
            },
        ));
        if !said.is_empty() {
            writeln!(out, "CPU {cpu}, its spinning thread: {}", said.join(", "))?;
        }
    }
    if let Some(why) = measured.costs.values().find_map(noise::Cost::no_hardware) {
        writeln!(out, "no counts of the processor: {why}")?;
    }
    for times in measured.times.values() {
        let figures: Vec<String> = times
            .distribution
            .percentiles
            .iter()
            .map(|p| format!("p{} {} ns", p.percentile, p.ns))
            .collect();
        let (max, count) = (times.distribution.max_ns, times.distribution.count);
        writeln!(out, "\n{}: {}, max {max} ns, of {count}", times.title, figures.join(", "))?;
        if let Ok(histogram) = decode(&times.distribution.hdr_v2) {
            for line in draw(&[Series { title: "share", histogram: &histogram }], WIDTH) {
                writeln!(out, "  {}", line.trim_end())?;
            }
        }
    }
    for (name, why) in &measured.failed {
        writeln!(out, "\n{name} was not measured: {why}")?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn micros(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e3
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn percent(nanoseconds: u64, seconds: f64) -> f64 {
    nanoseconds as f64 / 1e9 / seconds.max(1e-9) * 100.0
}

fn read(file: &Path) -> Result<Measurement, Failure> {
    let wrong = |why: String| Failure::Usage(format!("{}: {why}", file.display()));
    let size = fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
    if size > MOST {
        return Err(wrong("it is larger than 256 MiB".to_owned()));
    }
    let text = fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let measured: Measurement = serde_json::from_str(&text)
        .map_err(|error| wrong(format!("it is not a measurement: {error}")))?;
    if measured.schema != measurement::SCHEMA {
        return Err(wrong(format!("it is of version {}", measured.schema)));
    }
    Ok(measured)
}
