use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /v1/counters`: everything that is counted, in one consistent reading per worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// [`crate::SCHEMA`]
    pub schema: u32,
    /// When the reading was taken: nanoseconds since the daemon's start.
    pub at_ns: u64,
    /// Each port.
    pub ports: Vec<PortCounters>,
    /// Each worker. One that has ended, at a restart of the ports, stays with what it counted, and a later one of its
    /// number goes on from there.
    pub workers: Vec<WorkerCounters>,
    /// Frames dropped by all workers, by reason; a reason that never happened is there with 0.
    pub drops: BTreeMap<String, u64>,
    /// Whether every frame is accounted for.
    pub balance: Balance,
}

/// `GET /v1/ports`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ports {
    /// [`crate::SCHEMA`]
    pub schema: u32,
    /// Each port.
    pub ports: Vec<PortCounters>,
}

/// One port's counters.
///
/// Packets and bytes are counted by the workers: bytes are those of the frame from destination MAC address to the
/// end of the payload, without FCS. What never reached a worker is the driver's word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PortCounters {
    /// Its name in the configuration.
    pub name: String,
    /// Frames that workers received from it.
    pub rx_packets: u64,
    /// Their bytes.
    pub rx_bytes: u64,
    /// Frames that its transmit queues took.
    pub tx_packets: u64,
    /// Their bytes.
    pub tx_bytes: u64,
    /// Frames lost because a receive queue was full (the driver's count).
    pub rx_missed: u64,
    /// Frames received in error (the driver's count).
    pub rx_errors: u64,
    /// Failed allocations of receive buffers (the driver's count).
    pub rx_nombuf: u64,
    /// Frames that the driver took and could not send (the driver's count).
    pub tx_errors: u64,
    /// Whether there is a link.
    pub link_up: bool,
    /// The driver's own statistics, under its own names.
    pub driver: BTreeMap<String, u64>,
}

/// One worker's counters: `received + taken = sent + Σ dropped + handed + held`, in every reading.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerCounters {
    /// Its number, from 0.
    pub worker: usize,
    /// Frames received from ports.
    pub received: u64,
    /// Frames taken from rings.
    pub taken: u64,
    /// Frames that transmit queues took.
    pub sent: u64,
    /// Frames put into rings.
    pub handed: u64,
    /// Frames it holds between two turns.
    pub held: u64,
    /// Frames dropped, by reason; only those that happened.
    pub dropped: BTreeMap<String, u64>,
    /// Turns of its loop.
    pub turns: u64,
    /// Polls that returned nothing.
    pub polls_empty: u64,
    /// Polls that returned frames.
    pub polls_busy: u64,
    /// Polls that came back full, so that more frames may have been waiting.
    pub polls_saturated: u64,
    /// Polls by the number of frames they returned: index 0 to 64.
    pub burst_sizes: Vec<u64>,
    /// The longest time between two polls.
    pub worst_gap_ns: u64,
    /// Whether the two sides of the equation are equal in this reading; see [`Balance::balanced`].
    pub balanced: bool,
}

/// Whether every frame is accounted for: `received = sent + Σ dropped + held`, over all workers since the start; ports
/// that were taken away meanwhile are in these sums.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Balance {
    /// Frames received from ports.
    pub received: u64,
    /// Frames that transmit queues took.
    pub sent: u64,
    /// Frames dropped, all reasons.
    pub dropped: u64,
    /// Frames inside: in rings and between two turns of a worker.
    pub held: u64,
    /// Every worker's own equation held in this reading, and `held` is what the rings can hold at most. `false` also when a
    /// worker did not publish its counts in time, so that nobody can tell: [`Balance::accounting`].
    pub balanced: bool,
    /// Readings so far in which frames were not accounted for, this one included; each is logged as an error.
    pub violations: u64,
}

/// What a [`Balance`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accounting {
    /// Every frame is accounted for, and always was.
    Whole,
    /// A worker did not publish its counts in time, so they may not add up; they always did before.
    Unpublished,
    /// Frames are not accounted for, in this reading or one since the start.
    Violated,
}

impl Balance {
    /// Whether somebody has to look. A reading that finds a violation counts it, so what is neither balanced nor counted
    /// is not known.
    #[must_use]
    pub fn accounting(&self) -> Accounting {
        match (self.violations, self.balanced) {
            (0, true) => Accounting::Whole,
            (0, false) => Accounting::Unpublished,
            _ => Accounting::Violated,
        }
    }
}

/// `GET /v1/drops`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drops {
    /// [`crate::SCHEMA`]
    pub schema: u32,
    /// Frames dropped, by reason; a reason that never happened is there with 0.
    pub drops: BTreeMap<String, u64>,
    /// What each reason means, and what to do.
    pub meanings: BTreeMap<String, String>,
}

/// `GET /v1/stages`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stages {
    /// [`crate::SCHEMA`]
    pub schema: u32,
    /// Each stage, all workers together, in topological order.
    pub stages: Vec<StageCounters>,
}

/// One stage's counters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageCounters {
    /// Its name in the configuration.
    pub name: String,
    /// Its kind in the configuration.
    pub kind: String,
    /// Frames that came in.
    pub packets: u64,
    /// Frames that left, by edge: a stage's name, `tx:<port>` or `drop`.
    pub edges: BTreeMap<String, u64>,
    /// Frames dropped by this stage, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Clock ticks a frame, from the timed runs; `None` before the first.
    pub ticks_per_packet: Option<f64>,
    /// The same in nanoseconds.
    pub ns_per_packet: Option<f64>,
    /// Frames in the timed runs.
    pub timed_packets: u64,
    /// What the kind counts besides, under its own names (`count`: frames and bytes by class).
    pub extra: BTreeMap<String, u64>,
}
