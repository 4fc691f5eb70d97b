//! `barewire status`

use api::{Accounting, Balance, State, Status};

use super::{
    Page, known,
    paint::{Paint, Tone},
    table::{
        Align::{Left, Right},
        Cell, Table,
    },
    units::{count, nanos, percent, uptime},
};

pub(crate) fn draw(status: &Status, paint: Paint) -> String {
    let mut page = Page::new(paint);
    page.line(
        Tone::Heading,
        format_args!("barewired {}, {}, process {}", status.version, status.dpdk, status.pid),
    );
    let state = match status.state {
        State::Running => "running",
        State::Draining => "draining: what is in flight is sent, nothing new is received",
    };
    page.fact("state", state);
    page.fact(
        "up",
        format_args!(
            "{}, ready {:.0} ms after its start",
            uptime(status.uptime_seconds),
            status.start_to_ready_ms
        ),
    );
    page.fact("config", format_args!("{} (generation {})", status.config, status.generation));
    page.fact("mode", &status.mode);
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    page.fact("clock", format_args!("{:.3} GHz", status.tick_hz as f64 / 1e9));
    balance(&mut page, &status.balance);

    let mut workers = Table::new([
        ("WORKER", Right),
        ("CPU", Right),
        ("NODE", Right),
        ("ROLE", Left),
        ("BUSY", Right),
        ("TURNS", Right),
        ("WORST GAP", Right),
        ("STALLS", Right),
    ]);
    for worker in &status.workers {
        let stalls = if worker.stalls == 0 { Tone::Dim } else { Tone::Warning };
        workers.row([
            worker.worker.to_string().into(),
            worker.cpu.to_string().into(),
            known(worker.node),
            Cell::from(&worker.role),
            percent(worker.busy_ratio).into(),
            count(worker.turns).into(),
            nanos(worker.worst_gap_ns).into(),
            Cell::new(stalls, count(worker.stalls)),
        ]);
    }
    page.table("", &workers);

    let mut ports = Table::new([
        ("PORT", Left),
        ("LINK", Left),
        ("DRIVER", Left),
        ("MAC", Left),
        ("NODE", Right),
        ("DEVICE", Left),
    ]);
    for port in &status.ports {
        ports.row([
            Cell::from(&port.name),
            link(port.link_up, port.link_mbps),
            Cell::from(&port.driver),
            Cell::from(&port.mac),
            known(port.node),
            Cell::from(&port.device),
        ]);
    }
    page.table("", &ports);
    warnings(&mut page, &status.warnings);
    page.finish()
}

fn link(up: bool, mbps: Option<u32>) -> Cell {
    match (up, mbps) {
        (false, _) => Cell::new(Tone::Bad, "down"),
        (true, None) => Cell::new(Tone::Good, "up"),
        (true, Some(mbps)) if mbps >= 1000 && mbps % 1000 == 0 => {
            Cell::new(Tone::Good, format!("{} Gb/s", mbps / 1000))
        }
        (true, Some(mbps)) => Cell::new(Tone::Good, format!("{mbps} Mb/s")),
    }
}

/// `received = sent + dropped + held`, with the numbers.
pub(crate) fn balance(page: &mut Page, balance: &Balance) {
    page.fact(
        "balance",
        format_args!(
            "received {} = sent {} + dropped {} + held {}",
            count(balance.received),
            count(balance.sent),
            count(balance.dropped),
            count(balance.held),
        ),
    );
    match balance.accounting() {
        Accounting::Whole => {}
        Accounting::Unpublished => page.line(
            Tone::Warning,
            "a worker did not publish its counts in time, so they may not add up",
        ),
        Accounting::Violated => {
            let readings = count(balance.violations);
            page.line(
                Tone::Bad,
                format_args!(
                    "NOT BALANCED: frames are not accounted for, in {readings} readings since the start"
                ),
            );
        }
    }
}

/// What is worse than it could be.
pub(crate) fn warnings(page: &mut Page, warnings: &[String]) {
    if !warnings.is_empty() {
        page.gap();
    }
    for warning in warnings {
        page.line(Tone::Warning, format_args!("warning: {warning}"));
    }
}
