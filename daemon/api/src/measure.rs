use serde::{Deserialize, Serialize};

/// `GET /v1/latency`: how long frames were inside, since the start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// [`crate::SCHEMA`]
    pub schema: u32,
    /// When the reading was taken: nanoseconds since the daemon's start.
    pub at_ns: u64,
    /// One entry for each worker and egress port that sent anything, then one for each egress port over all workers
    /// (`worker` is `None`).
    pub entries: Vec<LatencyOf>,
    /// The rings between workers; none in run-to-completion.
    pub rings: Vec<RingGauge>,
    /// For each port, where the bound of its frames begins.
    #[serde(default)]
    pub stamps: Vec<RxStamps>,
}

/// Where the bound of frames from a port begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RxStamps {
    /// The port.
    pub port: String,
    /// `hardware`: at the device's own stamp. `poll`: at the last poll at which the frame was not there.
    pub from: String,
    /// How wrong a stamp of the device's may be in terms of the worker's clock, in nanoseconds.
    pub error_ns: Option<u64>,
    /// Why not at the device's stamps.
    pub reason: Option<String>,
}

/// The distributions of one worker and egress port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencyOf {
    /// The worker that sent; `None` for all.
    pub worker: Option<usize>,
    /// The egress port.
    pub port: String,
    /// From the poll that returned the frame to the transmit burst that took it.
    pub residence: Distribution,
    /// From the last poll at which the frame can not have been waiting to the transmit burst that took it: the
    /// longest that the frame can have been here.
    pub bound: Distribution,
    /// Where `bound` begins: `poll`, `hardware` where the NIC stamps frames, or `mixed`; [`Latency::stamps`] says more.
    pub bound_from: String,
    /// Frames among them whose bound begins at the NIC's stamp: all (`hardware`), none (`poll`), or some (`mixed`), as
    /// stamps that can not be right are not used, and those from before the NIC's clock was known.
    #[serde(default)]
    pub bound_stamped: u64,
}

/// A distribution of nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Frames.
    pub count: u64,
    /// The smallest value.
    pub min_ns: u64,
    /// The mean.
    pub mean_ns: f64,
    /// The largest value.
    pub max_ns: u64,
    /// p50, p90, p99, p99.9, p99.99, p99.999, as far as the sample supports them.
    pub percentiles: Vec<Percentile>,
    /// The whole distribution: HdrHistogram V2, deflated, base64.
    pub hdr_v2: String,
}

/// One percentile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Percentile {
    /// 50.0, 99.99, …
    pub percentile: f64,
    /// The value.
    pub ns: u64,
    /// Fewer than 100 samples lie beyond it: take it with care. (With fewer than 10 it is not here at all.)
    pub weak: bool,
}

/// One ring between two workers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RingGauge {
    /// The worker that puts frames in.
    pub from: usize,
    /// The worker that takes them out.
    pub to: usize,
    /// Frames it holds.
    pub capacity: u64,
    /// Frames in it now.
    pub occupancy: u64,
    /// The most frames that were ever in it.
    pub high_water: u64,
    /// Frames that went through it.
    pub passed: u64,
    /// At the rate of the last second, when it is full; `None` when it does not fill.
    pub overflow_in_ns: Option<u64>,
}

/// `GET /v1/stalls?after=41,7`: all that are there, or after these numbers, one for each worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stalls {
    /// [`crate::SCHEMA`]
    pub schema: u32,
    /// A gap longer than this is a stall.
    pub threshold_ns: u64,
    /// Stalls with a number greater than the one asked for of their worker, oldest first.
    pub stalls: Vec<Stall>,
    /// What to ask for next time: one number for each worker, those that have ended among them.
    pub next: Vec<u64>,
    /// Stalls since the numbers asked for that are not in this answer: overwritten before anyone asked for them, or more
    /// than an answer has room for.
    pub lost: u64,
    /// All stalls so far.
    pub total: u64,
}

/// A gap between two polls of one worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stall {
    /// The worker.
    pub worker: usize,
    /// The CPU it is pinned to.
    pub cpu: u32,
    /// Its number among the worker's stalls, from 1.
    pub sequence: u64,
    /// The clock when the gap began, in ticks (x86: TSC).
    pub start_ticks: u64,
    /// The same as wall-clock time: nanoseconds since 1970-01-01T00:00:00Z.
    pub start_unix_ns: u64,
    /// How long it was.
    pub length_ns: u64,
    /// Frames that the poll after it returned.
    pub pending: u32,
    /// That poll came back full: more may have been waiting.
    pub saturated: bool,
    /// What the kernel counted meanwhile. Not there before the next look at its counters, for the oldest stalls of a very
    /// noisy worker, with `stall_causes = false`, or where the counters can not be read (the log says so).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meanwhile: Option<crate::Meanwhile>,
}
