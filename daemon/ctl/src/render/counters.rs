//! `barewire counters`, `ports` and `drops`

use std::collections::BTreeMap;

use api::{Accounting, Counters, Drops, PortCounters, WorkerCounters};

use super::{
    Page,
    paint::{Paint, Tone},
    status::balance,
    table::{
        Align::{Left, Right},
        Cell, Table,
    },
    units::{count, nanos, percent},
};

pub(crate) fn counters(counters: &Counters, paint: Paint) -> String {
    let mut page = Page::new(paint);
    balance(&mut page, &counters.balance);
    page.table("", &port_table(&counters.ports));
    page.table("", &worker_table(counters));
    page.table("", &burst_table(&counters.workers));
    page.gap();
    drop_lines(&mut page, &counters.drops);
    page.finish()
}

pub(crate) fn ports(ports: &[PortCounters], with_driver: bool, paint: Paint) -> String {
    let mut page = Page::new(paint);
    page.table("", &port_table(ports));
    for port in ports.iter().filter(|_| with_driver) {
        let mut table = Table::new([("DRIVER'S COUNTER", Left), ("VALUE", Right)]);
        for (name, value) in &port.driver {
            table.row([Cell::from(name), count(*value).into()]);
        }
        page.table(&port.name, &table);
    }
    page.finish()
}

pub(crate) fn drops(drops: &Drops, all: bool, paint: Paint) -> String {
    let mut page = Page::new(paint);
    let shown: Vec<_> = drops.drops.iter().filter(|(_, frames)| all || **frames > 0).collect();
    if shown.is_empty() {
        drop_lines(&mut page, &drops.drops);
        return page.finish();
    }
    let mut table = Table::new([("DROPPED", Right), ("REASON", Left), ("WHAT IT MEANS", Left)]);
    for (reason, frames) in shown {
        let meaning = drops.meanings.get(reason).map_or("", String::as_str);
        table.row([Cell::trouble(*frames), Cell::from(reason), Cell::from(meaning)]);
    }
    page.table("", &table);
    page.finish()
}

fn port_table(ports: &[PortCounters]) -> Table {
    let mut table = Table::new([
        ("PORT", Left),
        ("LINK", Left),
        ("RX PACKETS", Right),
        ("RX BYTES", Right),
        ("TX PACKETS", Right),
        ("TX BYTES", Right),
        ("MISSED", Right),
        ("RX ERRORS", Right),
        ("NO BUFFER", Right),
        ("TX ERRORS", Right),
    ]);
    for port in ports {
        let link =
            if port.link_up { Cell::new(Tone::Good, "up") } else { Cell::new(Tone::Bad, "down") };
        table.row([
            Cell::from(&port.name),
            link,
            count(port.rx_packets).into(),
            count(port.rx_bytes).into(),
            count(port.tx_packets).into(),
            count(port.tx_bytes).into(),
            Cell::trouble(port.rx_missed),
            Cell::trouble(port.rx_errors),
            Cell::trouble(port.rx_nombuf),
            Cell::trouble(port.tx_errors),
        ]);
    }
    table
}

fn worker_table(counters: &Counters) -> Table {
    let accounting = counters.balance.accounting();
    let mut table = Table::new([
        ("WORKER", Right),
        ("RECEIVED", Right),
        ("TAKEN", Right),
        ("SENT", Right),
        ("HANDED", Right),
        ("DROPPED", Right),
        ("HELD", Right),
        ("BUSY", Right),
        ("FULL POLLS", Right),
        ("WORST GAP", Right),
        ("BALANCED", Left),
    ]);
    for worker in &counters.workers {
        let dropped =
            worker.dropped.values().fold(0, |sum: u64, frames| sum.saturating_add(*frames));
        let balanced = match (worker.balanced, accounting) {
            (true, _) => Cell::new(Tone::Good, "yes"),
            (false, Accounting::Unpublished) => Cell::new(Tone::Warning, "?"),
            (false, _) => Cell::new(Tone::Bad, "NO"),
        };
        table.row([
            worker.worker.to_string().into(),
            count(worker.received).into(),
            count(worker.taken).into(),
            count(worker.sent).into(),
            count(worker.handed).into(),
            Cell::trouble(dropped),
            count(worker.held).into(),
            percent(busy_ratio(worker.polls_busy, worker.polls_empty)).into(),
            count(worker.polls_saturated).into(),
            nanos(worker.worst_gap_ns).into(),
            balanced,
        ]);
    }
    table
}

/// Of the polls, the share that returned frames; 0 of none.
pub(crate) fn busy_ratio(busy: u64, empty: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let (busy, all) = (busy as f64, busy as f64 + empty as f64);
    if all == 0.0 { 0.0 } else { busy / all }
}

/// How full the busy polls were, in steps that double.
fn burst_table(workers: &[WorkerCounters]) -> Table {
    let mut table = Table::new([
        ("FRAMES A POLL", Right),
        ("1", Right),
        ("2–3", Right),
        ("4–7", Right),
        ("8–15", Right),
        ("16–31", Right),
        ("32–63", Right),
        ("64", Right),
    ]);
    for worker in workers {
        let polls: u64 = worker.burst_sizes.iter().skip(1).fold(0, |sum, n| sum.saturating_add(*n));
        if polls == 0 {
            continue;
        }
        let cell = |from: usize, to: usize| {
            let sizes = worker.burst_sizes.iter().take(to + 1).skip(from);
            let polls_here = sizes.fold(0, |sum: u64, n| sum.saturating_add(*n));
            match polls_here {
                0 => Cell::none(),
                _ => percent(busy_ratio(polls_here, polls - polls_here)).into(),
            }
        };
        table.row([
            format!("worker {}", worker.worker).into(),
            cell(1, 1),
            cell(2, 3),
            cell(4, 7),
            cell(8, 15),
            cell(16, 31),
            cell(32, 63),
            cell(64, 64),
        ]);
    }
    table
}

/// The reasons that happened, and how many did not.
fn drop_lines(page: &mut Page, drops: &BTreeMap<String, u64>) {
    let mut table = Table::new([("DROPPED", Right), ("REASON", Left)]);
    for (reason, frames) in drops.iter().filter(|(_, frames)| **frames > 0) {
        table.row([Cell::trouble(*frames), Cell::from(reason)]);
    }
    if table.is_empty() {
        let reasons = drops.len();
        page.line(Tone::Good, format_args!("no frame was dropped, for any of {reasons} reasons"));
    } else {
        page.text.push_str(&table.draw(page.paint));
    }
}
