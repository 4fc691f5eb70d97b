use serde::{Deserialize, Serialize};

/// `GET /v1/plan` and `barewired plan --json`: which core turns which queue with which memory, and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`crate::SCHEMA`]
    pub schema: u32,
    /// `run-to-completion` or `staged`.
    pub mode: String,
    /// CPUs for everything that is not a worker, as a kernel list.
    pub housekeeping: String,
    /// The workers.
    pub workers: Vec<PlanWorker>,
    /// The ports.
    pub ports: Vec<PlanPort>,
    /// The packet buffers.
    pub pools: Vec<PlanPool>,
    /// The rings between workers; none in run-to-completion.
    pub rings: Vec<PlanRing>,
    /// One line for each CPU of the machine.
    pub cpus: Vec<CpuRole>,
    /// What DPDK is started with.
    pub eal_args: Vec<String>,
    /// What is worse than it could be.
    pub warnings: Vec<String>,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanWorker {
    /// Its number, from 0.
    pub worker: usize,
    /// The CPU it is pinned to.
    pub cpu: u32,
    /// The CPU's NUMA node, when known.
    pub node: Option<u32>,
    /// `all`, `rx`, `graph`, `tx`, or a sum such as `graph+tx`.
    pub role: String,
    /// The receive queues it polls.
    pub rx: Vec<PlanQueue>,
    /// The transmit queues it feeds.
    pub tx: Vec<PlanQueue>,
}

/// One queue of one port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanQueue {
    /// The port's name.
    pub port: String,
    /// The queue's number.
    pub queue: u16,
}

/// One port.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanPort {
    /// Its name in the configuration.
    pub name: String,
    /// The device behind it, as configured.
    pub device: String,
    /// Its NUMA node, when known.
    pub node: Option<u32>,
    /// Receive queues.
    pub rx_queues: u16,
    /// Transmit queues.
    pub tx_queues: u16,
    /// Which pool its buffers come from.
    pub pool: String,
}

/// One pool of packet buffers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanPool {
    /// Its name.
    pub name: String,
    /// The NUMA node whose memory it uses, when known.
    pub node: Option<u32>,
    /// How many buffers.
    pub buffers: u32,
    /// Bytes of packet data in each, headroom included.
    pub data_room: u16,
}

/// One ring between two workers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRing {
    /// The worker that puts frames in.
    pub from: usize,
    /// The worker that takes them out.
    pub to: usize,
    /// Frames it holds.
    pub capacity: usize,
}

/// What a CPU is for, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuRole {
    /// The CPU.
    pub cpu: u32,
    /// One sentence.
    pub reason: String,
}
