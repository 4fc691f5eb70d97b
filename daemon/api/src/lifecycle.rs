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
    /// The longest time between two polls of a worker while this went on.
    pub longest_gap_ns: u64,
    /// Whether ports were stopped and started.
    pub ports_restarted: bool,
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
