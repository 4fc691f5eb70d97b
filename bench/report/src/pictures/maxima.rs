//! The longest response of each interval, over the whole run.

use std::time::Duration;

use bench_result::{
    run::{CellResult, GroupResult},
    words,
};
use plots::{Caption, Series};

use super::{Picture, drawn, ink, names, time};
use crate::{
    samples::{Samples, float},
    shown,
    table::{Table, Value},
};

/// The longest response of each interval, over the whole run.
pub(crate) fn maxima(
    samples: &Samples<'_>,
    group: &GroupResult,
    cells: &CellResult,
    warm_up: Duration,
) -> Picture {
    let (kind, cell) = (group.kind, cells.cell);
    let title = format!("{kind}, {}: longest response of each interval", shown::cell(cell));
    let columns = [("path", "path"), ("block", "block"), ("seconds", "s"), ("longest", "ns")];
    let mut data = Table::new(title.clone(), &columns);
    let mut table = Table::new(
        title.clone(),
        &[
            ("path", "path"),
            ("intervals", "intervals"),
            ("median", "median_ns"),
            ("longest", "longest_ns"),
            ("at", "at_s"),
        ],
    );
    let mut series = Vec::new();
    let mut length = 0;
    for (place, member) in drawn(cells) {
        let mut points = Vec::new();
        for trial in samples.trials(kind, member, cell) {
            length = trial.interval_ms;
            for (number, ns) in trial.maxima_ns.iter().enumerate().filter(|(_, ns)| **ns > 0) {
                let number = u64::try_from(number).unwrap_or(u64::MAX);
                let into = float(number.saturating_mul(trial.interval_ms)) / 1000.0;
                let at = trial.at_s + warm_up.as_secs_f64() + into;
                points.push((at, float(*ns)));
                data.rows.push(vec![
                    Value::text(member.to_string()),
                    Value::number(trial.block, trial.block.to_string()),
                    Value::number(format!("{at:.3}"), format!("{at:.3}")),
                    Value::number(ns, words::time(*ns)),
                ]);
            }
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((at, most)) = points.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)) {
            let mut sorted: Vec<f64> = points.iter().map(|point| point.1).collect();
            sorted.sort_by(f64::total_cmp);
            let median = sorted[sorted.len() / 2];
            table.rows.push(vec![
                Value::text(member.to_string()),
                Value::number(points.len(), points.len().to_string()),
                time(median),
                time(most),
                Value::number(format!("{at:.3}"), format!("{at:.1} s")),
            ]);
        }
        series.push(ink(Series::new(member.to_string(), points), place));
    }
    let note = format!(
        "Of {length} ms each; trials that count only. What all paths share is the machine's."
    );
    Picture {
        name: format!("maxima-{kind}-{}", shown::slug(cell)),
        told: format!("The longest response of each {length} ms of {} over the run.", names(cells)),
        plot: plots::maxima_over_time(Caption { title: &title, note: &note }, &series),
        table,
        data: Some(data),
    }
}
