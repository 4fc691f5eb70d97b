//! Distributions on an axis of nines.

use bench_result::{
    plan::Member,
    run::{CellResult, GroupResult},
    trial::Trial,
    words,
};
use plots::{Caption, Curve, Series};

use super::{Picture, both, drawn, ink, names};
use crate::{
    samples::{Samples, Together, float},
    shown,
    table::{Table, Value},
};

/// The percentiles that stand in a table.
const TOLD: [f64; 8] = [50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999];
/// Fewer samples beyond a percentile say nothing of it.
const FEW: f64 = 10.0;

/// Which distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    /// From when probes should have left.
    Response,
    /// From when they left.
    Service,
}

impl Of {
    fn name(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Service => "service",
        }
    }

    fn text(self, trial: &Trial) -> Option<&str> {
        Some(match self {
            Self::Response => &trial.response_hdr,
            Self::Service => &trial.service_hdr,
        })
    }
}

/// Distributions on an axis of nines.
pub(crate) fn percentiles(
    samples: &Samples<'_>,
    group: &GroupResult,
    cells: &CellResult,
    of: Of,
) -> Picture {
    let (kind, cell) = (group.kind, cells.cell);
    let found: Vec<(usize, Member, Together)> = drawn(cells)
        .into_iter()
        .filter_map(|(place, member)| {
            let together = samples.together(kind, member, cell, |trial| of.text(trial))?;
            Some((place, member, together))
        })
        .collect();
    let title = format!("{kind}, {}: {} times", shown::cell(cell), of.name());
    let mut table = Table::new(title.clone(), &[("percentile", "percentile")]);
    let mut data =
        Table::new(title.clone(), &[("path", "path"), ("quantile", "quantile"), ("time", "ns")]);
    let mut curves = Vec::new();
    for (place, member, together) in &found {
        let points = together.curve();
        for (quantile, ns) in &points {
            data.rows.push(vec![
                Value::text(member.to_string()),
                Value::number(quantile, quantile.to_string()),
                Value::number(ns, ns.to_string()),
            ]);
        }
        let series = ink(Series::new(member.to_string(), points), *place);
        curves.push(Curve { series, samples: Some(together.total()) });
        table.column(member.to_string(), format!("{member}_ns"));
    }
    for percentile in TOLD {
        let mut row = vec![Value::text(shown::percentile(percentile))];
        row.extend(found.iter().map(|(_, _, together)| told(together, percentile)));
        if row[1..].iter().any(|value| !value.raw.is_empty()) {
            table.rows.push(row);
        }
    }
    let mut longest = vec![Value::text("longest")];
    let most = |times: &Together| Value::number(times.times.max(), words::time(times.times.max()));
    longest.extend(found.iter().map(|(_, _, together)| most(together)));
    table.rows.push(longest);
    let mut lost = vec![Value::text("lost")];
    lost.extend(
        found.iter().map(|(_, _, times)| Value::number(times.lost, shown::whole(times.lost))),
    );
    table.rows.push(lost);

    let note = match of {
        Of::Response => {
            "From when each probe should have left. A line ends where only lost probes are left."
        }
        Of::Service => "From when each probe left: a stall of the path is missing here in part.",
    };
    Picture {
        name: format!("percentiles-{}-{kind}-{}", of.name(), shown::slug(cell)),
        told: format!(
            "Percentiles of the {} times of {} at {}, each nine as wide as the one before.",
            of.name(),
            names(cells),
            shown::cell(cell)
        ),
        plots: both(|width| plots::percentiles(Caption { title: &title, note, width }, &curves)),
        table,
        data: Some(data),
    }
}

/// One percentile, where enough samples lie beyond it.
fn told(together: &Together, percentile: f64) -> Value {
    let beyond = float(together.total()) * (100.0 - percentile) / 100.0;
    if beyond < FEW * 0.999 {
        return Value::none();
    }
    match together.at(percentile / 100.0) {
        Some(ns) => Value::number(ns, words::time(ns)),
        None => Value::number("inf", "lost"),
    }
}
