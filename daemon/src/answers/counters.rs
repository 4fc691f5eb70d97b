//! `/v1/counters`, `/v1/ports` and `/v1/stages`

use std::collections::BTreeMap;

use pipeline::{DropReason, StageCounterSet, StageSnapshot, WorkerSnapshot, counters::PortTotals};

use super::{at_ns, balance, mean_ns};
use crate::state::{DriverCounts, PortView, State, WorkerView, added};

/// `GET /v1/counters`
pub(crate) fn counters(state: &State<'_>) -> api::Counters {
    let balance::Reading { now, workers, balance } = balance::read(state);
    let counted = workers.iter().enumerate();
    api::Counters {
        schema: api::SCHEMA,
        at_ns: at_ns(state),
        ports: port_counters(state, &now),
        drops: all_drops(&workers),
        workers: counted.map(|(number, worker)| of_worker(state, number, worker)).collect(),
        balance,
    }
}

/// `GET /v1/ports`
pub(crate) fn ports(state: &State<'_>) -> api::Ports {
    let now = snapshots(&state.workers);
    api::Ports { schema: api::SCHEMA, ports: port_counters(state, &now) }
}

/// `GET /v1/stages`
pub(crate) fn stages(state: &State<'_>) -> api::Stages {
    let merged = state.config.stages.iter().filter_map(|stage| {
        let now = state.workers.iter().filter_map(|worker| worker.stages.stage(&stage.name));
        let shape = now.clone().next()?.shape();
        let before = past_stages(state).filter_map(|stages| stages.stage(&stage.name));
        let parts = now.chain(before.filter(|counters| counters.shape() == shape));
        let sum = parts.map(|counters| counters.snapshot()).reduce(|mut sum, part| {
            sum.merge(&part);
            sum
        })?;
        Some(of_stage(state, stage, &sum))
    });
    api::Stages { schema: api::SCHEMA, stages: merged.collect() }
}

/// The stages of workers that have ended and that no worker of now goes on with.
fn past_stages<'a>(state: &'a State<'_>) -> impl Iterator<Item = &'a StageCounterSet> {
    let is_continued =
        |number: usize| state.workers.get(number).is_some_and(|worker| worker.role.has_graph());
    let past = state.past.workers.iter().enumerate();
    past.filter(move |&(number, _)| !is_continued(number)).map(|(_, worker)| &worker.stages)
}

/// Each worker by itself: for pages that say nothing about all of them together.
pub(super) fn snapshots(workers: &[WorkerView]) -> Vec<WorkerSnapshot> {
    workers.iter().map(|worker| worker.counters.snapshot()).collect()
}

/// Every reason, those that never happened with 0.
pub(super) fn all_drops(workers: &[WorkerSnapshot]) -> BTreeMap<String, u64> {
    DropReason::ALL
        .into_iter()
        .map(|reason| {
            let frames = workers.iter().map(|worker| worker.dropped[reason.index()]).sum();
            (reason.as_str().to_owned(), frames)
        })
        .collect()
}

fn of_worker(state: &State<'_>, number: usize, worker: &WorkerSnapshot) -> api::WorkerCounters {
    api::WorkerCounters {
        worker: number,
        received: worker.received(),
        taken: worker.taken,
        sent: worker.sent(),
        handed: worker.handed,
        held: worker.held,
        dropped: worker.drops().map(|(reason, n)| (reason.as_str().to_owned(), n)).collect(),
        turns: worker.turns,
        polls_empty: worker.polls_empty,
        polls_busy: worker.polls_busy,
        polls_saturated: worker.polls_saturated,
        burst_sizes: worker.burst_sizes.to_vec(),
        worst_gap_ns: state.clock.rate.to_ns(worker.worst_gap_ticks),
        balanced: worker.consistent && worker.check().is_ok(),
    }
}

fn port_counters(state: &State<'_>, now: &[WorkerSnapshot]) -> Vec<api::PortCounters> {
    let before = |port: &PortView<'_>| state.past.ports.get(&port.name).copied();
    let ports = state.ports.iter().enumerate();
    ports
        .map(|(index, port)| {
            let parts = now.iter().filter_map(|worker| worker.ports.get(index).copied());
            of_port(port, parts.fold(before(port).unwrap_or_default(), added))
        })
        .collect()
}

fn of_port(port: &PortView<'_>, totals: PortTotals) -> api::PortCounters {
    let (now, untold) = DriverCounts::read(&port.observer);
    for error in untold {
        let _untold: Option<()> = known(port, "statistics", Err(error));
    }
    let driver = port.ledger.total(&now);
    let link = known(port, "link", port.observer.link()).unwrap_or_default();
    api::PortCounters {
        name: port.name.clone(),
        rx_packets: totals.rx_packets,
        rx_bytes: totals.rx_bytes,
        tx_packets: totals.tx_packets,
        tx_bytes: totals.tx_bytes,
        rx_missed: driver.missed,
        rx_errors: driver.errors,
        rx_nombuf: driver.no_buffer,
        tx_errors: driver.unsent,
        link_up: link.up,
        driver: driver.own,
    }
}

/// What a driver said; `None`, and a line in the log for who looks, when it does not say.
pub(super) fn known<T, E: std::error::Error + 'static>(
    port: &PortView<'_>,
    what: &str,
    answer: Result<T, E>,
) -> Option<T> {
    answer
        .inspect_err(|error| {
            let error: &dyn std::error::Error = error;
            tracing::debug!(port = port.name, error, "the driver does not tell its {what}");
        })
        .ok()
}

fn of_stage(state: &State<'_>, stage: &config::Stage, sum: &StageSnapshot) -> api::StageCounters {
    let mut edges = BTreeMap::new();
    for ((_, edge), frames) in stage.kind.edges().into_iter().zip(&sum.edges) {
        // Two edges may lead to the same place.
        *edges.entry(state.config.edge_text(edge).into_owned()).or_default() += frames;
    }
    let dropped = DropReason::ALL.into_iter().zip(sum.drops).filter(|&(_, frames)| frames > 0);
    let extra = sum.shape.counted.iter().map(|&name| name.to_owned()).zip(sum.counted.clone());
    let ticks_per_packet = sum.ticks_per_frame();
    api::StageCounters {
        name: sum.name.clone(),
        kind: sum.shape.kind.to_owned(),
        packets: sum.frames,
        edges,
        dropped: dropped.map(|(reason, frames)| (reason.as_str().to_owned(), frames)).collect(),
        ticks_per_packet,
        ns_per_packet: ticks_per_packet.map(|ticks| mean_ns(state, ticks)),
        timed_packets: sum.timed_frames,
        extra: extra.collect(),
    }
}
