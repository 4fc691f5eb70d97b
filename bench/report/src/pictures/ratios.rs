//! Ratios with their intervals.

use bench_result::run::{CellResult, GroupResult};
use plots::{Caption, Forest, Ratio};

use super::{Picture, both};
use crate::{
    shown,
    table::{Table, Value},
    verdict::{self, same},
};

/// Ratios with their intervals against the reference, at one percentile.
pub(crate) fn ratios(group: &GroupResult, cells: &CellResult, percentile: f64) -> Option<Picture> {
    let kind = group.kind;
    let found: Vec<_> = cells
        .members
        .iter()
        .filter_map(|it| Some((it.member, verdict::at(it, percentile)?.ratio?)))
        .collect();
    if found.is_empty() {
        return None;
    }
    let rows: Vec<Ratio> = found
        .iter()
        .map(|(member, ratio)| Ratio {
            name: shown::member(*member),
            estimate: ratio.value,
            low: ratio.low,
            high: ratio.high,
        })
        .collect();
    let floor = cells.floors.iter().find(|floor| same(floor.percentile, percentile));
    let name = shown::percentile(percentile);
    let title = format!("{kind}, {}: {name} against {}", shown::cell(cells.cell), group.reference);
    let note = match floor {
        Some(_) => "Ratios of times with 95 % intervals over blocks.",
        None => {
            "Ratios of times with 95 % intervals over blocks. No twin tells what equal paths differ by."
        }
    };
    let mut table = Table::new(
        title.clone(),
        &[
            ("path", "path"),
            ("ratio", "ratio"),
            ("from", "low"),
            ("to", "high"),
            ("blocks", "blocks"),
        ],
    );
    for (member, ratio) in &found {
        table.rows.push(vec![
            Value::number(member, shown::member(*member)),
            Value::number(ratio.value, shown::ratio(ratio.value)),
            Value::number(ratio.low, shown::ratio(ratio.low)),
            Value::number(ratio.high, shown::ratio(ratio.high)),
            Value::number(ratio.blocks, ratio.blocks.to_string()),
        ]);
    }
    let forest = |width| Forest {
        caption: Caption { title: &title, note, width },
        band: floor.map(|floor| (1.0 / (1.0 + floor.share), 1.0 + floor.share)),
        below: "faster",
        above: "slower",
    };
    Some(Picture {
        name: format!("ratios-p{percentile}-{kind}-{}", shown::slug(cells.cell)),
        told: format!(
            "Ratios of the {name} of the response to that of {}, with intervals: below 1 is faster.",
            group.reference
        ),
        plots: both(|width| plots::ratios(forest(width), &rows)),
        table,
        data: None,
    })
}
