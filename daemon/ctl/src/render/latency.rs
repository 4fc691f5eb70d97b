//! `barewire latency`

use api::{Distribution, Latency, LatencyOf, RingGauge, RxStamps};
use distribution::{PERCENTILES, Series, draw as draw_histogram};

use super::{
    Page,
    paint::{Paint, Tone},
    table::{
        Align::{Left, Right},
        Cell, Table,
    },
    units::{count, fine_nanos, nanos, percent},
};
use crate::metric::{Metric, Unreadable, sender};

/// What to show of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) summary: bool,
    /// `since the start`, or `in 5 s`.
    pub(crate) when: &'a str,
    pub(crate) columns: usize,
}

pub(crate) fn draw(latency: &Latency, view: View<'_>, paint: Paint) -> Result<String, Unreadable> {
    let mut page = Page::new(paint);
    let mut weak = false;
    let entries = shown(&latency.entries);
    for entry in &entries {
        page.gap();
        page.line(
            Tone::Heading,
            format_args!(
                "{} → {}: {} frames {}",
                sender(entry),
                entry.port,
                count(entry.residence.count),
                view.when
            ),
        );
        page.text.push_str(&figures(entry).draw(paint));
        weak |= Metric::BOTH.iter().any(|metric| is_weak(metric.of(entry)));
        if !view.summary {
            histograms(&mut page, entry, view.columns)?;
        }
    }
    if entries.is_empty() {
        page.line(Tone::Plain, format_args!("no frame was sent {}", view.when));
    } else {
        legend(&mut page, &entries, weak);
        stamps(&mut page, &latency.stamps);
    }
    page.table("", &rings(&latency.rings));
    Ok(page.finish())
}

/// The sum over all workers says nothing new when only one of them sent to the port.
fn shown(entries: &[LatencyOf]) -> Vec<&LatencyOf> {
    let senders = |port: &str| {
        entries.iter().filter(|entry| entry.worker.is_some() && entry.port == port).count()
    };
    entries.iter().filter(|entry| entry.worker.is_some() || senders(&entry.port) != 1).collect()
}

fn is_weak(distribution: &Distribution) -> bool {
    distribution.percentiles.iter().any(|percentile| percentile.weak)
}

fn figures(entry: &LatencyOf) -> Table {
    const TITLES: [&str; PERCENTILES.len()] = ["p50", "p90", "p99", "p99.9", "p99.99", "p99.999"];
    let mut columns = vec![("", Left), ("mean", Right)];
    columns.extend(TITLES.map(|title| (title, Right)));
    columns.push(("max", Right));
    let mut table = Table::new(columns);
    for metric in Metric::BOTH {
        let distribution = metric.of(entry);
        let mut row = vec![metric.name().into()];
        if distribution.count == 0 {
            row.extend((0..PERCENTILES.len() + 2).map(|_| Cell::none()));
        } else {
            row.push(fine_nanos(distribution.mean_ns).into());
            row.extend(PERCENTILES.map(|percentile| at(distribution, percentile)));
            row.push(nanos(distribution.max_ns).into());
        }
        table.row(row);
    }
    table
}

/// A percentile, a dash without enough samples, a question mark with few.
fn at(distribution: &Distribution, percentile: f64) -> Cell {
    let found = distribution
        .percentiles
        .iter()
        .find(|found| (found.percentile - percentile).abs() < f64::EPSILON * 100.0);
    match found {
        None => Cell::none(),
        Some(found) if found.weak => Cell::new(Tone::Warning, nanos(found.ns) + "?"),
        Some(found) => nanos(found.ns).into(),
    }
}

fn histograms(page: &mut Page, entry: &LatencyOf, columns: usize) -> Result<(), Unreadable> {
    let residence = Metric::Residence.read(entry)?;
    let bound = Metric::Bound.read(entry)?;
    let lines = draw_histogram(
        &[
            Series { title: Metric::Residence.name(), histogram: &residence },
            Series { title: Metric::Bound.name(), histogram: &bound },
        ],
        columns,
    );
    if !lines.is_empty() {
        page.gap();
        page.raw(&lines);
    }
    Ok(())
}

fn legend(page: &mut Page, entries: &[&LatencyOf], weak: bool) {
    page.gap();
    page.line(
        Tone::Dim,
        "residence: from the poll that returned the frame to the burst that sent it",
    );
    let hardware = entries.iter().any(|entry| entry.bound_from == "hardware");
    if hardware {
        page.line(Tone::Dim, "bound: from the NIC's own time stamp to the burst that sent it");
    }
    if entries.iter().any(|entry| entry.bound_from != "hardware") {
        let other = if hardware { " (ports without stamps)" } else { "" };
        page.line(
            Tone::Dim,
            format_args!(
                "bound: from the last poll before it{other}: the longest it can have been here"
            ),
        );
    }
    if weak {
        page.line(Tone::Dim, "?: fewer than 100 frames lie beyond; –: fewer than 10");
    }
}

/// How good the devices' stamps are, or why none are used.
fn stamps(page: &mut Page, stamps: &[RxStamps]) {
    for RxStamps { port, from, error_ns, reason } in stamps {
        match (error_ns, reason) {
            (Some(error), _) => page.line(
                Tone::Dim,
                format_args!("{port}: stamped by its device, right to ±{}", nanos(*error)),
            ),
            (None, Some(why)) if from != "hardware" => {
                page.line(Tone::Dim, format_args!("{port}: no stamps of its device: {why}"));
            }
            (None, _) => {}
        }
    }
}

fn rings(rings: &[RingGauge]) -> Table {
    let mut table = Table::new([
        ("RING", Left),
        ("IN IT", Right),
        ("HIGHEST", Right),
        ("CAPACITY", Right),
        ("FULL TO", Right),
        ("PASSED", Right),
        ("OVERFLOWS IN", Right),
    ]);
    for ring in rings {
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let filled = ring.high_water as f64 / ring.capacity.max(1) as f64;
        let tone = if filled < 0.5 { Tone::Plain } else { Tone::Warning };
        let overflow =
            ring.overflow_in_ns.map_or_else(Cell::none, |ns| Cell::new(Tone::Warning, nanos(ns)));
        table.row([
            format!("worker {} → worker {}", ring.from, ring.to).into(),
            count(ring.occupancy).into(),
            count(ring.high_water).into(),
            count(ring.capacity).into(),
            Cell::new(tone, percent(filled)),
            count(ring.passed).into(),
            overflow,
        ]);
    }
    table
}
