//! `barewire stages`

use api::Stages;

use super::{
    Page,
    paint::Paint,
    table::{
        Align::{Left, Right},
        Cell, Table,
    },
    units::{count, fine_nanos},
};

pub(crate) fn draw(stages: &Stages, paint: Paint) -> String {
    let mut page = Page::new(paint);
    let mut table = Table::new([
        ("STAGE", Left),
        ("KIND", Left),
        ("PACKETS", Right),
        ("TIME EACH", Right),
        ("TICKS EACH", Right),
        ("", Right),
        ("", Left),
    ]);
    for stage in &stages.stages {
        table.row([
            Cell::from(&stage.name),
            Cell::from(&stage.kind),
            count(stage.packets).into(),
            stage.ns_per_packet.map_or_else(Cell::none, |ns| fine_nanos(ns).into()),
            stage.ticks_per_packet.map_or_else(Cell::none, |ticks| format!("{ticks:.1}").into()),
            "".into(),
            "".into(),
        ]);
        // Where they went, under the stage: edges, drops by reason, the kind's own counts.
        let edges = stage.edges.iter().map(|(edge, frames)| (format!("→ {edge}"), frames, false));
        let drops = stage
            .dropped
            .iter()
            .map(|(reason, frames)| (format!("dropped: {reason}"), frames, true));
        let extra = stage.extra.iter().map(|(name, value)| (name.clone(), value, false));
        for (what, frames, is_drop) in edges.chain(drops).chain(extra) {
            let number = if is_drop { Cell::trouble(*frames) } else { count(*frames).into() };
            table
                .row(["", "", "", "", ""].map(Cell::from).into_iter().chain([number, what.into()]));
        }
    }
    page.table("", &table);
    page.finish()
}
