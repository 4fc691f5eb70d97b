//! The longest response of each interval, block after block.

use bench_result::{
    plan::Plan,
    run::{CellResult, GroupResult},
    words,
};
use plots::{Caption, Series};

use super::{Picture, both, drawn, ink, names, time};
use crate::{
    samples::{Samples, float},
    shown,
    table::{Table, Value},
};

/// More points of one line are joined, several to their longest: they could not be told apart.
const MOST_POINTS: usize = 360;

/// The longest response of each interval: the trials of a path side by side, without what lay between them.
pub(crate) fn maxima(
    samples: &Samples<'_>,
    plan: &Plan,
    group: &GroupResult,
    cells: &CellResult,
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
            ("in block", "block"),
        ],
    );
    let every = |member| samples.trials(kind, member, cell);
    let trials = || cells.members.iter().flat_map(|it| every(it.member));
    let length = trials().map(|trial| trial.interval_ms).max().unwrap_or(0);
    let most = trials().map(|trial| trial.maxima_ns.len()).max().unwrap_or(0);
    let step = most.saturating_mul(plan.blocks).div_ceil(MOST_POINTS).max(1);
    let (before, measured) = (float(plan.warm_up_ms) / 1e3, float(plan.measure_ms) / 1e3);
    let mut series = Vec::new();
    for (place, member) in drawn(cells) {
        let mut points = Vec::new();
        let mut all: Vec<(u64, usize)> = Vec::new();
        for trial in every(member) {
            let into = |number: usize| {
                let number = u64::try_from(number).unwrap_or(u64::MAX);
                float(number.saturating_mul(trial.interval_ms)) / 1e3
            };
            for (number, ns) in trial.maxima_ns.iter().enumerate().filter(|(_, ns)| **ns > 0) {
                all.push((*ns, trial.block));
                let at = trial.at_s + before + into(number);
                data.rows.push(vec![
                    Value::text(member.to_string()),
                    Value::number(trial.block, (trial.block + 1).to_string()),
                    Value::number(format!("{at:.3}"), format!("{at:.3}")),
                    Value::number(ns, words::time(*ns)),
                ]);
            }
            let block = float(u64::try_from(trial.block).unwrap_or(u64::MAX));
            for (number, piece) in trial.maxima_ns.chunks(step).enumerate() {
                let longest = piece.iter().copied().max().filter(|ns| *ns > 0);
                let at = block * measured + into(number.saturating_mul(step));
                points.extend(longest.map(|ns| (at, float(ns))));
            }
        }
        all.sort_unstable();
        if let (Some((median, _)), Some((most, block))) = (all.get(all.len() / 2), all.last()) {
            table.rows.push(vec![
                Value::text(member.to_string()),
                Value::number(all.len(), all.len().to_string()),
                time(float(*median)),
                time(float(*most)),
                Value::number(block, (block + 1).to_string()),
            ]);
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        series.push(ink(Series::new(member.to_string(), points), place));
    }
    let piece = u64::try_from(step).unwrap_or(u64::MAX).saturating_mul(length);
    let note = format!(
        "Of {piece} ms each, of trials that count. Blocks stand side by side: what lay between them is left out."
    );
    Picture {
        name: format!("maxima-{kind}-{}", shown::slug(cell)),
        told: format!("The longest response of each {piece} ms of {}.", names(cells)),
        plots: both(|width| {
            plots::maxima_over_time(Caption { title: &title, note: &note, width }, &series)
        }),
        table,
        data: Some(data),
    }
}
