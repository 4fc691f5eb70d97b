//! How long loops stood still.

use bench_result::{
    run::{CellResult, GroupResult},
    trial::Trial,
};
use plots::{Caption, Gaps};

use super::{Picture, both, time};
use crate::{
    samples::{Samples, Together, float},
    shown,
    table::{Table, Value},
};

/// How long loops stood still while this was measured: the generator's, and those of paths that tell.
pub(crate) fn gaps(samples: &Samples<'_>, group: &GroupResult, cells: &CellResult) -> Picture {
    let (kind, cell) = (group.kind, cells.cell);
    let title = format!("{kind}, {}: gaps of the loops", shown::cell(cell));
    let mut all: Vec<(String, Together)> = Vec::new();
    let mut generator: Option<Together> = None;
    for member in cells.members.iter().map(|it| it.member) {
        let gaps = samples.together(kind, member, cell, |trial| Some(&trial.gap_hdr));
        match (&mut generator, gaps) {
            (Some(sum), Some(gaps)) => drop(sum.times.add(&gaps.times)),
            (none @ None, found) => *none = found,
            (Some(_), None) => {}
        }
        let path = |trial: &'_ Trial| trial.path_gap_hdr.is_some();
        if !member.is_twin && samples.trials(kind, member, cell).iter().any(|trial| path(trial)) {
            let gaps = samples.together(kind, member, cell, |trial| trial.path_gap_hdr.as_deref());
            all.extend(gaps.map(|gaps| (member.to_string(), gaps)));
        }
    }
    all.splice(0..0, generator.map(|gaps| ("generator".to_owned(), gaps)));
    let mut table = Table::new(
        title.clone(),
        &[
            ("loop", "loop"),
            ("gaps", "gaps"),
            ("median", "p50_ns"),
            ("p99", "p99_ns"),
            ("longest", "longest_ns"),
        ],
    );
    let columns = [("loop", "loop"), ("from", "from_ns"), ("to", "to_ns"), ("gaps", "count")];
    let mut data = Table::new(title.clone(), &columns);
    let mut drawn = Vec::new();
    for (name, Together { times, .. }) in &all {
        let at = |quantile| time(float(times.value_at_quantile(quantile)));
        table.rows.push(vec![
            Value::text(name.as_str()),
            Value::number(times.len(), shown::whole(times.len())),
            if times.is_empty() { Value::none() } else { at(0.5) },
            if times.is_empty() { Value::none() } else { at(0.99) },
            if times.is_empty() { Value::none() } else { at(1.0) },
        ]);
        let gaps = Gaps::of(name.as_str(), times);
        for bar in &gaps.bars {
            data.rows.push(vec![
                Value::text(name.as_str()),
                Value::number(bar.from, bar.from.to_string()),
                Value::number(bar.to, bar.to.to_string()),
                Value::number(bar.count, bar.count.to_string()),
            ]);
        }
        drawn.push(gaps);
    }
    let note = "A gap is a turn of the loop that took far longer than the others: something else had the CPU.";
    Picture {
        name: format!("gaps-{kind}-{}", shown::slug(cell)),
        told:
            "How many gaps of which length: of the generator's loop, and of paths that tell theirs."
                .to_owned(),
        plots: both(|width| plots::gaps(Caption { title: &title, note, width }, &drawn)),
        table,
        data: Some(data),
    }
}
