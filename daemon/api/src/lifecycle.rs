use serde::{Deserialize, Serialize};

/// `POST /v1/reload`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReloadRequest {
    /// Allow changes that need ports to stop and start.
    #[serde(default)]
    pub restart_ports: bool,
}

/// What a reload did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reload {
    /// [`crate::SCHEMA`]
    pub schema: u32,
    /// The configuration's number from now on.
    pub generation: u64,
    /// What changed, one line each; empty when nothing did.
    pub changes: Vec<String>,
    /// From the request to the last worker's first turn with the new graph; milliseconds.
    pub took_ms: f64,
    /// The longest time between two polls of a worker while this went on; with a restart of ports, the time without one.
    pub longest_gap_ns: u64,
    /// Whether ports were stopped and started.
    pub ports_restarted: bool,
    /// What that cost; `None` when they were not.
    #[serde(default)]
    pub restart: Option<Restart>,
}

/// A restart of ports: the workers finish what is inside and end, the ports change, and new workers begin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Restart {
    /// Ports that were started, or stopped and started.
    pub started: Vec<String>,
    /// Ports that went on as they were: what came in meanwhile waited in their receive rings, as far as there was room.
    pub kept: Vec<String>,
    /// From the order to receive no more to the last new worker's first turn; milliseconds.
    pub blackout_ms: f64,
    /// Frames inside when the order was given.
    pub in_flight: u64,
    /// Frames dropped from then on until the old workers had ended, for any reason; they are in the counters.
    pub dropped: u64,
    /// Whether all that was inside was finished before `[control] stop_timeout`; what was not is in `dropped`.
    pub in_time: bool,
}

/// `POST /v1/stop`: the daemon has begun to stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopping {
    /// [`crate::SCHEMA`]
    pub schema: u32,
    /// The daemon's process, to wait for.
    pub pid: u32,
    /// It will be gone after this long; milliseconds.
    pub deadline_ms: u64,
}

/// `GET`, `PUT /v1/log-level`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLevel {
    /// [`crate::SCHEMA`]
    pub schema: u32,
    /// A tracing filter: `info`, `barewired=debug`, …
    pub level: String,
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// [`crate::SCHEMA`]
    pub schema: u32,
    /// What failed, on what.
    pub error: String,
    /// What to do.
    pub help: Option<String>,
    /// One line each: configuration errors, changes that need a restart, …
    pub details: Vec<String>,
}
