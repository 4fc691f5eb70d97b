//! The JSON that `barewired` serves on its control socket.
//!
//! Every answer is an object with a `schema` number: fields may be added under the same number; a field that is
//! renamed, removed or changes its meaning raises it. Clients refuse a number they do not know.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/status` | [`Status`] |
//! | `GET /v1/plan` | [`Plan`] |
//! | `GET /v1/ports` | [`Ports`] |
//! | `GET /v1/stages` | [`Stages`] |
//! | `GET /v1/counters` | [`Counters`] |
//! | `GET /v1/latency` | [`Latency`] |
//! | `GET /v1/stalls?after=41,7` (for each worker its last one seen) | [`Stalls`] |
//! | `GET /v1/drops` | [`Drops`] |
//! | `GET`, `PUT /v1/log-level` | [`LogLevel`] |
//! | `POST /v1/reload` | [`Reload`] from a [`ReloadRequest`] |
//! | `POST /v1/stop` | [`Stopping`] |
//!
//! A request that is refused is answered with a 4xx or 5xx status and a [`Problem`].
//!
//! All times are nanoseconds, all sizes bytes, unless a field's name says otherwise. Counts start at zero when the
//! daemon starts and never go back, over reloads and restarts of ports (a port that is taken away and comes back under
//! its old name goes on).
//!
//! ```
//! let problem: api::Problem = serde_json::from_str(r#"{"schema":1,"error":"no such page","help":null,"details":[]}"#)?;
//! assert_eq!(problem.schema, api::SCHEMA);
//! # Ok::<(), serde_json::Error>(())
//! ```
#![forbid(unsafe_code)]

mod counters;
mod lifecycle;
mod meanwhile;
mod measure;
mod plan;
mod status;

pub use counters::{
    Accounting, Balance, Counters, Drops, PortCounters, Ports, StageCounters, Stages,
    WorkerCounters,
};
pub use lifecycle::{LogLevel, Problem, Reload, ReloadRequest, Restart, Stopping};
pub use meanwhile::{EventKind, KernelEvent, Meanwhile, Verdict};
pub use measure::{
    Distribution, Latency, LatencyOf, Percentile, RingGauge, RxStamps, Stall, Stalls,
};
pub use plan::{CpuRole, Plan, PlanPool, PlanPort, PlanQueue, PlanRing, PlanWorker};
pub use status::{PortState, State, Status, WorkerState};

/// The number that every answer of this version carries.
pub const SCHEMA: u32 = 1;
