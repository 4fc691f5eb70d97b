//! What the control plane knows of the running daemon: readers' ends of what the workers write, and facts that stay.
//!
//! Nothing here touches a worker: counters, histograms, stalls and gauges are read from shared memory, and a worker never
//! waits for a reader.

mod driver;
mod past;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, SystemTime},
};

use config::Config;
use dpdk::PortObserver;
use linux::clock::TickRate;
use pipeline::{CountersReader, StageCounterSet, histogram, stalls::StallReader};

use crate::{plan::Role, rx_clock::RxStamps, witness::Witness};

pub use driver::{DriverCounts, DriverLedger};
pub use past::{Past, added};

/// The running daemon, as the control plane sees it.
#[derive(Debug)]
pub struct State<'eal> {
    /// When the program started.
    pub started: Instant,
    /// From the start to READY.
    pub ready_after: Duration,
    /// The configuration in force.
    pub config: Config,
    /// The file it came from.
    pub config_path: std::path::PathBuf,
    /// How often a configuration was put in force.
    pub generation: u64,
    /// `GET /v1/plan`
    pub plan: api::Plan,
    /// The workers.
    pub workers: Vec<WorkerView>,
    /// The ports, in the order of the configuration.
    pub ports: Vec<PortView<'eal>>,
    /// The rings between workers.
    pub rings: Vec<RingView>,
    /// Workers that have ended, at restarts of the ports.
    pub past: Past,
    /// What was going on while workers stood still.
    pub witness: Witness,
    /// The clock.
    pub clock: Clock,
    /// Readings in which frames were not accounted for.
    pub violations: Arc<AtomicU64>,
    /// What an operator should know.
    pub warnings: Vec<String>,
    /// Frames are still in flight, and no new ones are received.
    pub draining: bool,
}

/// One worker.
#[derive(Debug)]
pub struct WorkerView {
    /// The CPU it is pinned to.
    pub cpu: u32,
    /// The CPU's NUMA node.
    pub node: Option<u32>,
    /// What it does.
    pub role: Role,
    /// Its counters.
    pub counters: CountersReader,
    /// Its stages' counters, as of the configuration in force; empty for a worker without a graph.
    pub stages: StageCounterSet,
    /// Its stalls.
    pub stalls: StallReader,
    /// By egress port, in the order of the configuration.
    pub latency: Vec<LatencyView>,
}

/// Two histograms of one worker and egress port, in ticks.
#[derive(Debug, Clone)]
pub struct LatencyView {
    /// From the poll that returned the frame to the transmit burst that took it.
    pub residence: histogram::Reader,
    /// From the last poll at which it can not have been waiting, or from the device's stamp.
    pub bound: histogram::Reader,
    /// Frames whose bound begins at the device's stamp.
    pub stamped: Arc<AtomicU64>,
}

/// One port.
#[derive(Debug)]
pub struct PortView<'eal> {
    /// Its name in the configuration.
    pub name: String,
    /// The device, as configured.
    pub device: String,
    /// DPDK's driver.
    pub driver: String,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its NUMA node.
    pub node: Option<u32>,
    /// The driver's statistics and link.
    pub observer: PortObserver<'eal>,
    /// The device stamps frames that it receives.
    pub is_stamping: bool,
    /// Where the bound of its frames begins.
    pub stamps: RxStamps,
    /// What the driver's statistics mean, since it may have been started again.
    pub ledger: DriverLedger,
}

/// One ring.
#[derive(Debug)]
pub struct RingView {
    /// The worker that puts frames in.
    pub from: usize,
    /// The worker that takes them out.
    pub to: usize,
    /// Its gauge.
    pub gauge: ring::Gauge,
    /// The reading of about a second ago, for the time to overflow.
    pub earlier: std::cell::Cell<(Instant, ring::Reading)>,
}

/// Ticks and wall-clock time, side by side.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Ticks per second.
    pub rate: TickRate,
    /// A reading of the clock …
    pub origin_ticks: u64,
    /// … and the wall-clock time of it.
    pub origin: SystemTime,
}

impl Clock {
    /// Starts here and now.
    pub fn new(rate: TickRate) -> Self {
        Self { rate, origin_ticks: linux::clock::ticks(), origin: SystemTime::now() }
    }

    /// Nanoseconds since 1970 at a reading of the clock; 0 before that.
    pub fn unix_ns(&self, ticks: u64) -> u64 {
        let origin = self.origin.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let origin = u64::try_from(origin.as_nanos()).unwrap_or(u64::MAX);
        if ticks >= self.origin_ticks {
            origin.saturating_add(self.rate.to_ns(ticks - self.origin_ticks))
        } else {
            origin.saturating_sub(self.rate.to_ns(self.origin_ticks - ticks))
        }
    }
}

impl State<'_> {
    /// Counts a reading in which frames were not accounted for.
    pub fn violated(&self) {
        self.violations.fetch_add(1, Relaxed);
    }
}
