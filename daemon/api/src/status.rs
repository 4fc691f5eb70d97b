use serde::{Deserialize, Serialize};

use crate::Balance;

/// `GET /v1/status`: one screen of how the daemon is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`crate::SCHEMA`]
    pub schema: u32,
    /// Barewire's version.
    pub version: String,
    /// DPDK's version at run time: `DPDK 22.11.11`.
    pub dpdk: String,
    /// The daemon's process.
    pub pid: u32,
    /// Since READY was said; seconds.
    pub uptime_seconds: f64,
    /// From the program's start to READY; milliseconds.
    pub start_to_ready_ms: f64,
    /// The file that is in force.
    pub config: String,
    /// How often a configuration has been put in force: 1 at the start, one more with each reload.
    pub generation: u64,
    /// `run-to-completion` or `staged`.
    pub mode: String,
    /// What the daemon is doing.
    pub state: State,
    /// Each worker.
    pub workers: Vec<WorkerState>,
    /// Each port.
    pub ports: Vec<PortState>,
    /// Whether every frame is accounted for.
    pub balance: Balance,
    /// The clock behind all times, in ticks per second, as calibrated against `CLOCK_MONOTONIC_RAW`.
    pub tick_hz: u64,
    /// What an operator should know: a worker that is not isolated, a port without link, …
    pub warnings: Vec<String>,
}

/// What the daemon is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Frames flow.
    Running,
    /// Frames in flight are being sent; no new ones are received.
    Draining,
}

/// One worker, at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerState {
    /// Its number, from 0.
    pub worker: usize,
    /// The CPU it is pinned to.
    pub cpu: u32,
    /// The CPU's NUMA node, when known.
    pub node: Option<u32>,
    /// `all`, `rx`, `graph`, `tx`, or a sum such as `graph+tx`.
    pub role: String,
    /// Turns of its loop so far: a worker whose turns stand still is stuck.
    pub turns: u64,
    /// Of the polls so far, the share that returned frames.
    pub busy_ratio: f64,
    /// The longest time between two polls so far.
    pub worst_gap_ns: u64,
    /// Gaps over the threshold so far.
    pub stalls: u64,
}

/// One port, at a glance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PortState {
    /// Its name in the configuration.
    pub name: String,
    /// The device behind it, as configured.
    pub device: String,
    /// DPDK's driver of it.
    pub driver: String,
    /// Its MAC address.
    pub mac: String,
    /// Whether there is a link.
    pub link_up: bool,
    /// Mb/s; `None` when the driver does not know.
    pub link_mbps: Option<u32>,
    /// The port's NUMA node, when known.
    pub node: Option<u32>,
}
