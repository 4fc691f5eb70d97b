//! `/v1/status`

use config::MacAddress;
use pipeline::WorkerSnapshot;

use super::{balance, counters::known};
use crate::state::{PortView, State, WorkerView};

/// `GET /v1/status`
pub(crate) fn status(state: &State<'_>) -> api::Status {
    let balance::Reading { workers, balance, now: _ } = balance::read(state);
    let ports: Vec<_> = state.ports.iter().map(of_port).collect();
    let mut warnings = state.warnings.clone();
    for port in ports.iter().filter(|port| !port.link_up) {
        let warning = format!("port \"{}\" has no link", port.name);
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    let both = state.workers.iter().zip(&workers).enumerate();
    api::Status {
        schema: api::SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        dpdk: dpdk::Eal::version().to_owned(),
        pid: std::process::id(),
        uptime_seconds: state.started.elapsed().saturating_sub(state.ready_after).as_secs_f64(),
        start_to_ready_ms: state.ready_after.as_secs_f64() * 1e3,
        config: state.config_path.display().to_string(),
        generation: state.generation,
        mode: state.plan.mode.clone(),
        state: if state.draining { api::State::Draining } else { api::State::Running },
        workers: both
            .map(|(number, (view, worker))| of_worker(state, number, view, worker))
            .collect(),
        ports,
        balance,
        tick_hz: state.clock.rate.hz(),
        warnings,
    }
}

fn of_worker(
    state: &State<'_>,
    number: usize,
    view: &WorkerView,
    worker: &WorkerSnapshot,
) -> api::WorkerState {
    api::WorkerState {
        worker: number,
        cpu: view.cpu,
        node: view.node,
        role: view.role.as_str().to_owned(),
        turns: worker.turns,
        busy_ratio: ratio(worker.polls_busy, worker.polls_busy + worker.polls_empty),
        worst_gap_ns: state.clock.rate.to_ns(worker.worst_gap_ticks),
        stalls: view.stalls.count(),
    }
}

/// 0 when there is nothing to take a part of.
#[expect(clippy::cast_precision_loss, reason = "a share")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn of_port(port: &PortView<'_>) -> api::PortState {
    let link = known(port, "link", port.observer.link()).unwrap_or_default();
    api::PortState {
        name: port.name.clone(),
        device: port.device.clone(),
        driver: port.driver.clone(),
        mac: MacAddress(port.mac).to_string(),
        link_up: link.up,
        link_mbps: link.speed_mbps,
        node: port.node,
    }
}
