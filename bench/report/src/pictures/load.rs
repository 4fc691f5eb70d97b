//! Latency and loss against load.

use bench_result::run::{CellResult, GroupResult, RunResult};
use plots::{Caption, Series};

use super::{Picture, both, drawn, ink, names};
use crate::{
    samples::float,
    shown,
    table::{Table, Value},
    verdict::same,
};

/// Latency and loss against load, where a group has several loads.
pub(crate) fn against_load(group: &GroupResult) -> Vec<Picture> {
    let mut sizes: Vec<usize> = group.cells.iter().map(|cell| cell.cell.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let mut pictures = Vec::new();
    for size in sizes {
        let mut cells: Vec<&CellResult> =
            group.cells.iter().filter(|cell| cell.cell.size == size).collect();
        cells.sort_by(|a, b| a.cell.load.total_cmp(&b.cell.load));
        if cells.len() > 1 {
            pictures.push(latency(group, size, &cells));
            pictures.push(loss(group, size, &cells));
        }
    }
    pictures
}

fn latency(group: &GroupResult, size: usize, cells: &[&CellResult]) -> Picture {
    let kind = group.kind;
    let title = format!("{kind}, {size} bytes: latency against load");
    let columns = [("path", "path"), ("load", "load"), ("p50", "p50_ns"), ("p99", "p99_ns")];
    let mut table = Table::new(title.clone(), &columns);
    let mut series = Vec::new();
    for (place, member) in drawn(cells[0]) {
        for (dash, percentile) in [(0, 50.0), (1, 99.0)] {
            let points = cells.iter().filter_map(|cell| {
                let it = cell.members.iter().find(|it| it.member == member)?;
                let at = it.response.iter().find(|found| same(found.percentile, percentile))?;
                Some((cell.cell.load, float(at.ns?)))
            });
            let name = format!("{member} {}", shown::percentile(percentile));
            series.push(Series::new(name, points.collect()).styled(place, dash));
        }
        for cell in cells {
            let Some(it) = cell.members.iter().find(|it| it.member == member) else { continue };
            let at = |wanted: f64| {
                let found = it.response.iter().find(|found| same(found.percentile, wanted));
                found.map_or_else(Value::none, |found| {
                    let raw = found.ns.map_or("inf".to_owned(), |ns| ns.to_string());
                    Value::number(raw, shown::time(found))
                })
            };
            table.rows.push(vec![
                Value::text(member.to_string()),
                Value::number(cell.cell.load, shown::load(cell.cell.load)),
                at(50.0),
                at(99.0),
            ]);
        }
    }
    let note = "Response times; full lines are medians, dashed ones 99th percentiles.";
    Picture {
        name: format!("latency-{kind}-{size}"),
        told: format!(
            "Median and 99th percentile of the response of {} at each load.",
            names(cells[0])
        ),
        plots: both(|width| {
            plots::latency_against_load(Caption { title: &title, note, width }, &series)
        }),
        table,
        data: None,
    }
}

fn loss(group: &GroupResult, size: usize, cells: &[&CellResult]) -> Picture {
    let kind = group.kind;
    let title = format!("{kind}, {size} bytes: loss against load");
    let columns = [
        ("path", "path"),
        ("load", "load"),
        ("sent", "sent"),
        ("lost", "lost"),
        ("share", "share"),
    ];
    let mut table = Table::new(title.clone(), &columns);
    let mut series = Vec::new();
    for (place, member) in drawn(cells[0]) {
        let mut points = Vec::new();
        for cell in cells {
            let Some(it) = cell.members.iter().find(|it| it.member == member) else { continue };
            if it.sent == 0 {
                continue;
            }
            let share = shown::share(it.lost, it.sent);
            points.push((cell.cell.load, share));
            table.rows.push(vec![
                Value::text(member.to_string()),
                Value::number(cell.cell.load, shown::load(cell.cell.load)),
                Value::number(it.sent, shown::whole(it.sent)),
                Value::number(it.lost, shown::whole(it.lost)),
                Value::number(share, shown::percent(share)),
            ]);
        }
        series.push(ink(Series::new(member.to_string(), points), place));
    }
    let note = "Of the probes that left in trials that count.";
    Picture {
        name: format!("loss-{kind}-{size}"),
        told: format!(
            "The share of the probes of {} that did not come back, at each load.",
            names(cells[0])
        ),
        plots: both(|width| {
            plots::loss_against_load(Caption { title: &title, note, width }, &series)
        }),
        table,
        data: None,
    }
}

/// RFC 2544's frame loss, where it was measured.
pub(crate) fn frame_loss(result: &RunResult) -> Option<Picture> {
    let title = "Frame loss (RFC 2544)".to_owned();
    let columns = [
        ("path", "path"),
        ("bytes", "size"),
        ("load", "load"),
        ("intended", "intended"),
        ("returned", "returned"),
        ("lost", "share"),
    ];
    let mut table = Table::new(title.clone(), &columns);
    let mut series = Vec::new();
    for found in result.throughput.iter().filter(|found| !found.frame_loss.is_empty()) {
        let name = format!("{} {} {} B", found.group, found.member, found.size);
        let points = found.frame_loss.iter().map(|trial| (trial.load, trial.loss_ratio()));
        series.push(Series::new(name.clone(), points.collect()));
        for trial in &found.frame_loss {
            table.rows.push(vec![
                Value::text(name.as_str()),
                Value::number(found.size, found.size.to_string()),
                Value::number(trial.load, shown::load(trial.load)),
                Value::number(trial.intended, shown::whole(trial.intended)),
                Value::number(trial.returned, shown::whole(trial.returned)),
                Value::number(trial.loss_ratio(), shown::percent(trial.loss_ratio())),
            ]);
        }
    }
    if series.is_empty() {
        return None;
    }
    let note = "From the largest load down by tenths. What did not leave is lost, too.";
    Some(Picture {
        name: "frame-loss".to_owned(),
        told: "The share of the frames that were lost at each load.".to_owned(),
        plots: both(|width| {
            plots::loss_against_load(Caption { title: &title, note, width }, &series)
        }),
        table,
        data: None,
    })
}
