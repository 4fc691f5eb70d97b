//! The tabs, as tables.

use super::{
    Tab,
    view::{Figures, LatencyRow, View},
};
use crate::render::{
    known,
    paint::Tone,
    stalls,
    table::{
        Align::{Left, Right},
        Cell, Table,
    },
    units::{bit_rate, count, event_rate, nanos, packet_rate, percent, utc},
};

/// A part of a tab: a sentence, or a table.
#[derive(Debug)]
pub(super) enum Part {
    Text(Tone, String),
    Table(Table),
    Gap,
}

/// What a tab shows, from top to bottom.
pub(super) fn parts(view: &View, tab: Tab) -> Vec<Part> {
    match tab {
        Tab::Overview => overview(view),
        Tab::Workers => vec![Part::Table(workers(view))],
        Tab::Latency => latency_tab(view),
        Tab::Drops => vec![Part::Table(drops(view, usize::MAX))],
        Tab::Stalls => stalls_tab(view),
    }
}

fn overview(view: &View) -> Vec<Part> {
    let mut parts = vec![Part::Table(ports(view)), Part::Gap, Part::Table(workers(view))];
    let totals: Vec<&LatencyRow> = view.latency.iter().filter(|row| row.worker.is_none()).collect();
    if !totals.is_empty() {
        parts.extend([Part::Gap, Part::Table(bounds(&totals))]);
    }
    parts.push(Part::Gap);
    let drops = drops(view, 4);
    if drops.is_empty() {
        parts.push(Part::Text(Tone::Good, "no frame was dropped".to_owned()));
    } else {
        parts.push(Part::Table(drops));
    }
    for warning in &view.warnings {
        parts.push(Part::Text(Tone::Warning, format!("warning: {warning}")));
    }
    parts
}

fn ports(view: &View) -> Table {
    let mut table = Table::new([
        ("PORT", Left),
        ("RX", Right),
        ("", Right),
        ("TX", Right),
        ("", Right),
        ("LOST", Right),
    ]);
    for port in &view.rates.ports {
        table.row([
            Cell::from(&port.name),
            packet_rate(port.rx_packets).into(),
            bit_rate(port.rx_bits).into(),
            packet_rate(port.tx_packets).into(),
            bit_rate(port.tx_bits).into(),
            rate_cell(port.lost),
        ]);
    }
    table
}

fn workers(view: &View) -> Table {
    let mut table = Table::new([
        ("WORKER", Right),
        ("CPU", Right),
        ("NODE", Right),
        ("ROLE", Left),
        ("BUSY", Right),
        ("FRAMES", Right),
        ("WORST GAP", Right),
        ("STALLS", Right),
        ("NEW", Right),
    ]);
    for worker in &view.workers {
        let busy = if worker.stuck {
            Cell::new(Tone::Bad, "STUCK")
        } else {
            percent(worker.busy_ratio).into()
        };
        table.row([
            worker.worker.to_string().into(),
            worker.cpu.to_string().into(),
            known(worker.node),
            Cell::from(&worker.role),
            busy,
            packet_rate(worker.packets_per_second).into(),
            nanos(worker.worst_gap_ns).into(),
            count(worker.stalls).into(),
            Cell::trouble(worker.new_stalls),
        ]);
    }
    table
}

/// The bound alone: what no frame exceeded.
fn bounds(rows: &[&LatencyRow]) -> Table {
    let mut table = Table::new([
        ("BOUND TO", Left),
        ("FRAMES", Right),
        ("p50", Right),
        ("p99", Right),
        ("p99.99", Right),
        ("max", Right),
    ]);
    for row in rows {
        let figures = figure_cells(row.bound);
        table.row([Cell::from(&row.port), count(row.frames).into()].into_iter().chain(figures));
    }
    table
}

fn latency_tab(view: &View) -> Vec<Part> {
    let mut table = Table::new([
        ("SENT BY", Left),
        ("TO", Left),
        ("FRAMES", Right),
        ("", Left),
        ("p50", Right),
        ("p99", Right),
        ("p99.99", Right),
        ("max", Right),
    ]);
    for row in &view.latency {
        let by = row.worker.map_or_else(|| "all".to_owned(), |worker| format!("worker {worker}"));
        let names =
            [by.into(), Cell::from(&row.port), count(row.frames).into(), "residence".into()];
        table.row(names.into_iter().chain(figure_cells(row.residence)));
        let blank = ["".into(), "".into(), "".into(), "bound".into()];
        table.row(blank.into_iter().chain(figure_cells(row.bound)));
    }
    let over = format!("frames sent in the last {}", nanos(view.rates.interval_ns));
    vec![Part::Text(Tone::Dim, over), Part::Table(table)]
}

fn figure_cells(figures: Figures) -> [Cell; 4] {
    [figures.p50, figures.p99, figures.p99_99, figures.max]
        .map(|ns| ns.map_or_else(Cell::none, |ns| nanos(ns).into()))
}

/// Reasons that ever happened; those that happen now are first.
fn drops(view: &View, most: usize) -> Table {
    let mut table = Table::new([("DROPPED", Right), ("NOW", Right), ("REASON", Left)]);
    for row in view.drops.iter().filter(|row| row.frames > 0).take(most) {
        table.row([count(row.frames).into(), rate_cell(row.per_second), Cell::from(&row.reason)]);
    }
    table
}

fn stalls_tab(view: &View) -> Vec<Part> {
    let threshold = nanos(view.stall_threshold_ns);
    if view.stalls.is_empty() {
        let text = format!("no gap between two polls was longer than {threshold}");
        return vec![Part::Text(Tone::Good, text)];
    }
    let mut table = Table::new([
        ("BEGAN (UTC)", Left),
        ("WORKER", Right),
        ("CPU", Right),
        ("LENGTH", Right),
        ("PENDING", Right),
        ("CAUSE", Left),
    ]);
    for stall in &view.stalls {
        let more = if stall.saturated { "+" } else { "" };
        table.row([
            utc(stall.start_unix_ns).into(),
            stall.worker.to_string().into(),
            stall.cpu.to_string().into(),
            nanos(stall.length_ns).into(),
            Cell::from(format!("{}{more}", stall.pending)),
            Cell::from(stalls::cause(stall.meanwhile.as_ref())),
        ]);
    }
    let text = format!("gaps between two polls longer than {threshold}, newest first");
    vec![Part::Text(Tone::Dim, text), Part::Table(table)]
}

fn rate_cell(rate: f64) -> Cell {
    let tone = if rate > 0.0 { Tone::Bad } else { Tone::Dim };
    Cell::new(tone, event_rate(rate))
}
