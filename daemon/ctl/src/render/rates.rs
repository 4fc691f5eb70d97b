//! `barewire counters --rate`, and the numbers that `top` moves.

use std::collections::BTreeMap;

use api::{Counters, PortCounters};
use serde::Serialize;

use super::{
    Page,
    counters::busy_ratio,
    paint::{Paint, Tone},
    table::{
        Align::{Left, Right},
        Cell, Table,
    },
    units::{bit_rate, event_rate, nanos, packet_rate, percent},
};

/// What two readings of the counters say about the time between them. Rates are per second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Rates {
    pub(crate) schema: u32,
    pub(crate) interval_ns: u64,
    pub(crate) ports: Vec<PortRates>,
    pub(crate) workers: Vec<WorkerRates>,
    /// By reason; only those that happened meanwhile.
    pub(crate) drops: BTreeMap<String, f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PortRates {
    pub(crate) name: String,
    pub(crate) rx_packets: f64,
    pub(crate) rx_bits: f64,
    pub(crate) tx_packets: f64,
    pub(crate) tx_bits: f64,
    /// Frames that the driver lost: missed, in error, without buffer, not sent.
    pub(crate) lost: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct WorkerRates {
    pub(crate) worker: usize,
    pub(crate) packets: f64,
    /// Of the polls meanwhile, the share that returned frames.
    pub(crate) busy_ratio: f64,
    pub(crate) polls: f64,
}

/// Two readings that do not follow one another.
#[derive(Debug, thiserror::Error)]
#[error("the daemon was restarted between two readings")]
pub(crate) struct Restarted;

impl Rates {
    pub(crate) fn between(earlier: &Counters, later: &Counters) -> Result<Self, Restarted> {
        let interval_ns =
            later.at_ns.checked_sub(earlier.at_ns).filter(|ns| *ns > 0).ok_or(Restarted)?;
        #[expect(clippy::cast_precision_loss, reason = "rates are shown with three digits")]
        let per_second = |earlier: u64, later: u64| {
            later.saturating_sub(earlier) as f64 * 1e9 / interval_ns as f64
        };
        let ports = later.ports.iter().filter_map(|now| {
            let before = earlier.ports.iter().find(|port| port.name == now.name)?;
            Some(PortRates {
                name: now.name.clone(),
                rx_packets: per_second(before.rx_packets, now.rx_packets),
                rx_bits: per_second(before.rx_bytes, now.rx_bytes) * 8.0,
                tx_packets: per_second(before.tx_packets, now.tx_packets),
                tx_bits: per_second(before.tx_bytes, now.tx_bytes) * 8.0,
                lost: per_second(lost(before), lost(now)),
            })
        });
        let workers = later.workers.iter().filter_map(|now| {
            let before = earlier.workers.iter().find(|worker| worker.worker == now.worker)?;
            let busy = now.polls_busy.saturating_sub(before.polls_busy);
            let empty = now.polls_empty.saturating_sub(before.polls_empty);
            let came = |worker: &api::WorkerCounters| worker.received.saturating_add(worker.taken);
            Some(WorkerRates {
                worker: now.worker,
                packets: per_second(came(before), came(now)),
                busy_ratio: busy_ratio(busy, empty),
                polls: per_second(0, busy.saturating_add(empty)),
            })
        });
        let drops = later.drops.iter().filter_map(|(reason, now)| {
            let before = earlier.drops.get(reason).copied().unwrap_or(0);
            (*now > before).then(|| (reason.clone(), per_second(before, *now)))
        });
        Ok(Self {
            schema: api::SCHEMA,
            interval_ns,
            ports: ports.collect(),
            workers: workers.collect(),
            drops: drops.collect(),
        })
    }
}

fn lost(port: &PortCounters) -> u64 {
    [port.rx_missed, port.rx_errors, port.rx_nombuf, port.tx_errors]
        .into_iter()
        .fold(0, u64::saturating_add)
}

pub(crate) fn draw(rates: &Rates, paint: Paint) -> String {
    let mut page = Page::new(paint);
    page.line(Tone::Dim, format_args!("per second, over {}", nanos(rates.interval_ns)));
    let mut ports = Table::new([
        ("PORT", Left),
        ("RX", Right),
        ("", Right),
        ("TX", Right),
        ("", Right),
        ("LOST BY DRIVER", Right),
    ]);
    for port in &rates.ports {
        ports.row([
            Cell::from(&port.name),
            packet_rate(port.rx_packets).into(),
            bit_rate(port.rx_bits).into(),
            packet_rate(port.tx_packets).into(),
            bit_rate(port.tx_bits).into(),
            Cell::new(trouble(port.lost), event_rate(port.lost)),
        ]);
    }
    page.table("", &ports);

    let mut workers =
        Table::new([("WORKER", Right), ("FRAMES", Right), ("POLLS", Right), ("BUSY", Right)]);
    for worker in &rates.workers {
        workers.row([
            worker.worker.to_string().into(),
            packet_rate(worker.packets).into(),
            event_rate(worker.polls).into(),
            percent(worker.busy_ratio).into(),
        ]);
    }
    page.table("", &workers);

    let mut drops = Table::new([("DROPPED", Right), ("REASON", Left)]);
    for (reason, rate) in &rates.drops {
        drops.row([Cell::new(trouble(*rate), event_rate(*rate)), Cell::from(reason)]);
    }
    page.table("", &drops);
    if drops.is_empty() {
        page.gap();
        page.line(Tone::Good, "no frame was dropped");
    }
    page.finish()
}

fn trouble(rate: f64) -> Tone {
    if rate > 0.0 { Tone::Bad } else { Tone::Dim }
}
