//! The files of a run, in one directory.
//!
//! | file | what |
//! |---|---|
//! | `result.json` | every trial and what follows; [`SCHEMA`](super::result::SCHEMA) |
//! | `env.json` | what it all depends on |
//! | `<group>-<arm>-<load>-<size>.hlog` | a distribution for each trial that counts; tags `response`, `service`, `warmup` |
//! | `<group>-<arm>-<load>-<size>.hgrm` | the distribution of all responses that count together, in µs |
//! | `trials.csv` | a line for each trial |

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::Path,
    time::{Duration, SystemTime},
};

use distribution::{
    decode, hgrm,
    hlog::{self, Interval},
};
use hdrhistogram::Histogram;

use super::{
    arm::Group,
    plan::Member,
    result::RunResult,
    trial::{Cell, Trial},
};

/// Writes all of them. The directory is made if need be.
///
/// # Errors
/// What the system says; with the file that it says it of.
pub fn write(result: &RunResult, begun: SystemTime, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir).map_err(named(dir))?;
    json(&dir.join("result.json"), result)?;
    json(&dir.join("env.json"), &result.environment)?;
    let file = dir.join("trials.csv");
    fs::write(&file, csv(&result.trials)).map_err(named(&file))?;
    for group in &result.groups {
        for cell in &group.cells {
            for member in &cell.members {
                distributions(result, begun, dir, group.kind, member.member, cell.cell)?;
            }
        }
    }
    Ok(())
}

fn named(path: &Path) -> impl FnOnce(io::Error) -> io::Error + use<> {
    let path = path.display().to_string();
    move |error| io::Error::new(error.kind(), format!("{path}: {error}"))
}

fn json(file: &Path, value: &impl serde::Serialize) -> io::Result<()> {
    let write = || {
        let mut out = BufWriter::new(File::create(file)?);
        serde_json::to_writer_pretty(&mut out, value)?;
        out.write_all(b"\n")?;
        out.flush()
    };
    write().map_err(named(file))
}

fn distributions(
    result: &RunResult,
    begun: SystemTime,
    dir: &Path,
    group: Group,
    member: Member,
    cell: Cell,
) -> io::Result<()> {
    let trials: Vec<&Trial> = result
        .trials
        .iter()
        .filter(|it| it.group == group && it.member == member && it.cell == cell && it.is_valid())
        .collect();
    let mut intervals: Vec<(&str, Histogram<u64>, Duration, Duration)> = Vec::new();
    let mut together: Option<Histogram<u64>> = None;
    let none = String::new();
    let warm_up = Duration::from_millis(result.plan.warm_up_ms);
    let measure = Duration::from_millis(result.plan.measure_ms);
    for trial in trials {
        let at = Duration::try_from_secs_f64(trial.at_s).unwrap_or_default();
        for (tag, text, after, length) in [
            ("warmup", &trial.warm_up_hdr, at, warm_up),
            ("response", &trial.response_hdr, at + warm_up, measure),
            ("service", &trial.service_hdr, at + warm_up, measure),
            ("gap-gen", &trial.gap_hdr, at, warm_up + measure),
            ("gap-dut", trial.path_gap_hdr.as_ref().unwrap_or(&none), at, warm_up + measure),
        ] {
            if text.is_empty() {
                continue;
            }
            let histogram = decode(text).map_err(io::Error::other)?;
            if tag == "response" {
                match &mut together {
                    Some(sum) => sum
                        .add(&histogram)
                        .map_err(|error| io::Error::other(format!("{error:?}")))?,
                    None => together = Some(histogram.clone()),
                }
            }
            intervals.push((tag, histogram, after, length));
        }
    }
    let Some(together) = together else { return Ok(()) };
    let name = format!("{group}-{member}-{}-{}", cell.load, cell.size);
    let log = dir.join(format!("{name}.hlog"));
    let intervals: Vec<Interval<'_>> = intervals
        .iter()
        .map(|(tag, histogram, after, length)| Interval {
            tag,
            histogram,
            after: *after,
            length: *length,
        })
        .collect();
    let comment = format!("barewire-bench: {name}, round trips in ns");
    File::create(&log)
        .and_then(|file| hlog::write(BufWriter::new(file), &comment, begun, &intervals))
        .map_err(named(&log))?;
    let table = dir.join(format!("{name}.hgrm"));
    let write = || {
        let mut out = BufWriter::new(File::create(&table)?);
        hgrm::write(&mut out, &together, 1000.0)?;
        out.flush()
    };
    write().map_err(named(&table))
}

/// The columns of `trials.csv`. Times are in ns; a percentile that never came back is `inf`, one that too few samples
/// support is empty.
const COLUMNS: &str = "group,arm,is_twin,load,size,block,attempt,at_s,is_valid,intended,sent,returned,duplicates,\
    reordered,damaged,unexpected,foreign,refused,send_ns,late_p999_ns,response_p50,response_p99,response_p99_9,\
    service_p50,service_p99,service_p99_9,longest,generator_gaps,generator_longest_gap,stolen_ticks,busy_ticks";

fn csv(trials: &[Trial]) -> String {
    let mut text = format!("{COLUMNS}\n");
    for trial in trials {
        let counts = &trial.counts;
        let at = |all: &[crate::probe::latency::Percentile], wanted: f64| {
            let found = all.iter().find(|it| (it.percentile - wanted).abs() < 1e-9);
            found.map_or(String::new(), |it| it.ns.map_or("inf".to_owned(), |ns| ns.to_string()))
        };
        let cells = [
            trial.group.to_string(),
            trial.member.arm.to_string(),
            trial.member.is_twin.to_string(),
            trial.cell.load.to_string(),
            trial.cell.size.to_string(),
            trial.block.to_string(),
            trial.attempt.to_string(),
            format!("{:.3}", trial.at_s),
            trial.is_valid().to_string(),
            trial.intended.to_string(),
            counts.sent.to_string(),
            counts.returned.to_string(),
            counts.duplicates.to_string(),
            counts.reordered.to_string(),
            counts.damaged.to_string(),
            counts.unexpected.to_string(),
            counts.foreign.to_string(),
            trial.refused.to_string(),
            format!("{:.0}", trial.send_ns),
            trial.late_p999_ns.to_string(),
            at(&trial.response, 50.0),
            at(&trial.response, 99.0),
            at(&trial.response, 99.9),
            at(&trial.service, 50.0),
            at(&trial.service, 99.0),
            at(&trial.service, 99.9),
            trial.range_ns.1.to_string(),
            trial.gaps.count.to_string(),
            trial.gaps.longest_ns.to_string(),
            trial.counters.stolen_ticks.to_string(),
            trial.counters.busy_ticks.to_string(),
        ];
        let _infallible = writeln!(text, "{}", cells.join(","));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_every_column() {
        let trials = crate::run::conclude::tests::some_trials();
        let text = csv(&trials);
        let columns = COLUMNS.split(',').count();
        assert_eq!(text.lines().count(), trials.len() + 1);
        for line in text.lines() {
            assert_eq!(line.split(',').count(), columns, "{line}");
        }
    }
}
