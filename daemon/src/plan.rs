//! Which core turns which queue with which memory: a pure function and a value that can be printed.
//!
//! ```text
//!  Config ─┐
//!  Facts ──┴─► Plan::new ─► Plan ─► eal_args ─► Eal ─► limits of the probed devices ─► Plan::new again
//! ```
//! Placement does not depend on the devices' limits, so the second plan has the same cores and EAL arguments; only
//! queues are fitted to what the devices offer.

mod queues;
mod rings;
#[cfg(test)]
mod tests;

use config::{
    Auto, Config, CpuId, CpuSet, Device, Huge, Mode, NumaNode,
    placement::{Placement, PlacementError, place},
};

use crate::facts::Facts;

pub use queues::QueueError;

/// Buffers that a worker's cache in a pool holds at most.
pub const POOL_CACHE: u32 = 256;

/// Frames that a worker holds in one burst at most.
const BURST: u32 = 64;
const _: () = assert!(BURST as usize == pipeline::MAX_BURST);

/// The least buffers of a pool: what a driver holds back (`net_af_xdp` fills its rings first) and room to breathe.
const POOL_FLOOR: u32 = 8192;

/// Descriptors of a queue when neither the file nor, yet, the device says.
const USUAL_RING: u16 = 1024;

/// Bytes of a buffer for frames of the usual size: 2 KiB and the headroom of 128.
const USUAL_DATA_ROOM: u16 = 2048 + dpdk::HEADROOM;

/// The largest MTU whose frames, with two VLAN tags, fit into [`USUAL_DATA_ROOM`].
const USUAL_MTU: u16 = 2048 - ETHERNET_OVERHEAD;

/// Ethernet header and two VLAN tags.
const ETHERNET_OVERHEAD: u16 = 14 + 8;

/// What runs where.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// How the work is spread.
    pub mode: Mode,
    /// Cores and homes, with a reason for each CPU.
    pub placement: Placement,
    /// The workers; a worker's number is its index.
    pub workers: Vec<WorkerPlan>,
    /// The ports, in the order of the configuration.
    pub ports: Vec<PortPlan>,
    /// The pools of packet buffers.
    pub pools: Vec<PoolPlan>,
    /// The rings between workers.
    pub rings: Vec<RingPlan>,
    /// What the EAL has to know of memory.
    pub memory: MemoryPlan,
    /// What is worse than it could be.
    pub warnings: Vec<String>,
    /// What the machine has not, now, and could be given before the plan is carried out.
    pub shortages: Vec<Shortage>,
}

/// Too few free hugepages.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{node} has {free_mib} MiB of free {size} hugepages, and the plan needs {needed_mib} MiB")]
pub struct Shortage {
    /// The NUMA node, in words.
    node: String,
    /// The page size, in the kernel's words.
    size: &'static str,
    /// What is free.
    free_mib: u64,
    /// What is needed.
    needed_mib: u64,
}

impl Shortage {
    /// What to do.
    pub fn help(&self) -> String {
        format!(
            "reserve them (/sys/devices/system/node/node*/hugepages/hugepages-{}/nr_hugepages, at least {} MiB), or \
             set memory.huge = \"none\" for a trial",
            self.size, self.needed_mib
        )
    }
}

/// One worker.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerPlan {
    /// The CPU it is pinned to.
    pub cpu: CpuId,
    /// The CPU's node.
    pub node: Option<NumaNode>,
    /// What it does.
    pub role: Role,
    /// The receive queues it polls.
    pub rx: Vec<QueuePlan>,
    /// The transmit queues it feeds.
    pub tx: Vec<QueuePlan>,
}

/// What a worker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Receives, processes and transmits.
    All,
    /// Receives, and hands frames to the processing workers.
    Rx,
    /// Processes, and hands frames to the transmitting workers.
    Graph,
    /// Processes and transmits.
    GraphTx,
    /// Transmits.
    Tx,
}

impl Role {
    /// The role's name in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::All => "all",
            Role::Rx => "rx",
            Role::Graph => "graph",
            Role::GraphTx => "graph+tx",
            Role::Tx => "tx",
        }
    }

    /// Does it run the stages?
    pub fn has_graph(self) -> bool {
        matches!(self, Role::All | Role::Graph | Role::GraphTx)
    }

    /// Does it poll receive queues?
    pub fn receives(self) -> bool {
        matches!(self, Role::All | Role::Rx)
    }

    /// Does it feed transmit queues?
    pub fn transmits(self) -> bool {
        matches!(self, Role::All | Role::GraphTx | Role::Tx)
    }
}

/// One queue of one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueuePlan {
    /// Index of the port.
    pub port: usize,
    /// Number of the queue.
    pub queue: u16,
}

/// One port.
#[derive(Debug, Clone, PartialEq)]
pub struct PortPlan {
    /// Its name in the configuration.
    pub name: String,
    /// What is behind it.
    pub device: Device,
    /// The node its queues and buffers belong to.
    pub node: Option<NumaNode>,
    /// Receive queues; at least one, as drivers want it, even where nothing is received.
    pub rx_queues: u16,
    /// Transmit queues; at least one.
    pub tx_queues: u16,
    /// Receive descriptors per queue, where the file says.
    pub rx_ring: Option<u16>,
    /// Transmit descriptors per queue, where the file says.
    pub tx_ring: Option<u16>,
    /// Largest IP packet.
    pub mtu: u16,
    /// Receive frames for any destination.
    pub promiscuous: bool,
    /// Use the device's receive stamps, if it makes any.
    pub rx_timestamps: bool,
    /// Index of its pool.
    pub pool: usize,
}

/// One pool of packet buffers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolPlan {
    /// Its name.
    pub name: String,
    /// The node whose memory it uses.
    pub node: Option<NumaNode>,
    /// How many buffers.
    pub buffers: u32,
    /// Bytes of each, headroom included.
    pub data_room: u16,
    /// Buffers are freed on other CPUs than they are received on.
    pub is_shared: bool,
}

impl PoolPlan {
    /// Bytes of memory it takes, roughly: buffer, its `rte_mbuf` of 128 bytes and the pool's own header of 64.
    fn bytes(&self) -> u64 {
        u64::from(self.buffers) * (u64::from(self.data_room) + 128 + 64)
    }
}

/// One ring from one worker to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingPlan {
    /// The worker that puts frames in.
    pub from: usize,
    /// The worker that takes them out.
    pub to: usize,
    /// The port that its frames were received on (rings that lead to a graph) or go out of (rings that lead to tx).
    pub port: usize,
    /// Whether it leads to a transmitting worker.
    pub egress: bool,
    /// Frames it holds.
    pub capacity: usize,
}

/// What the EAL has to know of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPlan {
    /// The page size.
    pub huge: Huge,
    /// MiB by NUMA node, where the file says: to be reserved at start.
    pub reserve_mib: Vec<(NumaNode, u32)>,
    /// MiB that the pools and what DPDK adds to them take, all nodes together.
    pub needed_mib: u64,
}

/// Why there is no plan. Each is one line for the operator.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// CPUs.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// Queues.
    #[error(transparent)]
    Queues(#[from] QueueError),
}

impl PlanError {
    /// What to do.
    pub fn help(&self) -> String {
        match self {
            PlanError::Placement(error) => error.help(),
            PlanError::Queues(error) => error.help(),
        }
    }
}

impl Plan {
    /// Plans for this machine. Pure: the same input gives the same plan.
    ///
    /// # Errors
    /// Everything that is in the way, not only the first.
    pub fn new(config: &Config, facts: &Facts) -> Result<Self, Vec<PlanError>> {
        let placement =
            place(&facts.machine, &config.cores, &facts.sites(config), config.pipeline.mode)
                .map_err(|errors| errors.into_iter().map(PlanError::from).collect::<Vec<_>>())?;
        let mut warnings = placement.warnings.clone();
        let queues = queues::assign(config, facts, &placement, &mut warnings)
            .map_err(|errors| errors.into_iter().map(PlanError::from).collect::<Vec<_>>())?;
        let rings = rings::join(config, &queues.workers);
        let (pools, pool_of_port) = pools(config, facts, &placement, &queues, &rings);
        let ports: Vec<PortPlan> = (config.ports.iter().enumerate())
            .map(|(at, port)| PortPlan {
                name: port.name.clone(),
                device: port.device.clone(),
                node: placement.ports[at].memory,
                rx_queues: queues.ports[at].rx,
                tx_queues: queues.ports[at].tx,
                rx_ring: set(port.rx_ring),
                tx_ring: set(port.tx_ring),
                mtu: port.mtu,
                promiscuous: port.promiscuous,
                rx_timestamps: config.latency.hardware_timestamps,
                pool: pool_of_port[at],
            })
            .collect();
        let memory = memory(config, &placement, &pools);
        let shortages = hugepage_shortages(facts, &memory, &pools);
        let (mode, workers) = (config.pipeline.mode, queues.workers);
        Ok(Self { mode, placement, workers, ports, pools, rings, memory, warnings, shortages })
    }

    /// The CPUs for everything that is not a worker.
    pub fn housekeeping(&self) -> &CpuSet {
        &self.placement.housekeeping
    }
}

/// What was set, if anything.
fn set<T>(value: Auto<T>) -> Option<T> {
    match value {
        Auto::Auto => None,
        Auto::Set(value) => Some(value),
    }
}

/// One pool for each node and buffer size in use.
fn pools(
    config: &Config,
    facts: &Facts,
    placement: &Placement,
    queues: &queues::Assigned,
    rings: &[RingPlan],
) -> (Vec<PoolPlan>, Vec<usize>) {
    let mut pools: Vec<PoolPlan> = Vec::new();
    let mut pool_of_port = Vec::new();
    for (at, port) in config.ports.iter().enumerate() {
        let node = placement.ports[at].memory;
        let data_room = data_room(port.mtu);
        let found = pools.iter().position(|pool| pool.node == node && pool.data_room == data_room);
        let index = found.unwrap_or_else(|| {
            let suffix = if data_room == USUAL_DATA_ROOM { "" } else { "-jumbo" };
            let name = node.map_or_else(|| "any".to_owned(), |node| format!("node{node}"));
            let (name, is_shared) = (format!("{name}{suffix}"), !rings.is_empty());
            pools.push(PoolPlan { name, node, buffers: 0, data_room, is_shared });
            pools.len() - 1
        });
        let limits = facts.limits(at);
        let ring = |asked: Auto<u16>, device: Option<u16>| {
            u32::from(set(asked).or(device).unwrap_or(USUAL_RING))
        };
        pools[index].buffers += u32::from(queues.ports[at].rx)
            * ring(port.rx_ring, limits.map(|limits| limits.rx_ring))
            + u32::from(queues.ports[at].tx)
                * ring(port.tx_ring, limits.map(|limits| limits.tx_ring));
        pool_of_port.push(index);
    }
    let workers = u32::try_from(queues.workers.len()).unwrap_or(u32::MAX);
    let in_rings = rings.iter().map(|ring| ring.capacity).sum::<usize>();
    let in_rings = u32::try_from(in_rings).unwrap_or(u32::MAX);
    for pool in &mut pools {
        // A cache may grow to one and a half times its size before it is flushed.
        let in_workers = workers.saturating_mul(POOL_CACHE * 2 + 2 * BURST);
        pool.buffers = match config.memory.buffers {
            Auto::Set(buffers) => buffers,
            Auto::Auto => {
                let sum = pool.buffers.saturating_add(in_workers).saturating_add(in_rings);
                // One less than a power of two is what DPDK's rings under the pool hold best.
                sum.max(POOL_FLOOR).checked_next_power_of_two().unwrap_or(1 << 31) - 1
            }
        };
    }
    (pools, pool_of_port)
}

/// Bytes of a buffer that holds any frame of that MTU in one piece. Larger ones have some to spare: net_af_packet wants
/// buffers that hold a whole slot of its ring, headers included.
fn data_room(mtu: u16) -> u16 {
    if mtu <= USUAL_MTU {
        USUAL_DATA_ROOM
    } else {
        (mtu + ETHERNET_OVERHEAD + dpdk::HEADROOM).next_multiple_of(2048)
    }
}

fn memory(config: &Config, placement: &Placement, pools: &[PoolPlan]) -> MemoryPlan {
    let mut nodes: Vec<NumaNode> = placement.ports.iter().filter_map(|home| home.memory).collect();
    nodes.sort_unstable();
    nodes.dedup();
    let reserve_mib = match config.memory.per_node_mib {
        Auto::Auto => Vec::new(),
        Auto::Set(mib) => nodes.into_iter().map(|node| (node, mib)).collect(),
    };
    // The EAL, the drivers' rings and what alignment wastes.
    let needed_mib = (pools.iter().map(PoolPlan::bytes).sum::<u64>() >> 20) * 5 / 4 + 48;
    MemoryPlan { huge: config.memory.huge, reserve_mib, needed_mib }
}

/// The nodes that have a pool and too few free pages for it.
fn hugepage_shortages(facts: &Facts, memory: &MemoryPlan, pools: &[PoolPlan]) -> Vec<Shortage> {
    let (page_mib, size) = match memory.huge {
        Huge::None => return Vec::new(),
        Huge::M2 => (2, "2048kB"),
        Huge::G1 => (1024, "1048576kB"),
    };
    let free = |node: &config::machine::Node| {
        page_mib * if memory.huge == Huge::M2 { node.huge_2m_free } else { node.huge_1g_free }
    };
    let mut wanted: Vec<(Option<NumaNode>, u64)> = Vec::new();
    for pool in pools {
        let mib = (pool.bytes() >> 20) * 5 / 4 + 1;
        match wanted.iter_mut().find(|(node, _)| *node == pool.node) {
            Some((_, sum)) => *sum += mib,
            None => wanted.push((pool.node, mib)),
        }
    }
    for &(node, mib) in &memory.reserve_mib {
        if let Some((_, sum)) = wanted.iter_mut().find(|(wanted, _)| *wanted == Some(node)) {
            *sum = (*sum).max(u64::from(mib));
        }
    }
    let shortage = |(node, needed_mib): (Option<NumaNode>, u64)| {
        let nodes = facts.machine.nodes.iter().filter(|n| node.is_none_or(|node| n.id == node));
        let free_mib: u64 = nodes.map(free).sum();
        let node = node.map_or_else(|| "the machine".to_owned(), |node| format!("node {node}"));
        (free_mib < needed_mib).then_some(Shortage { node, size, free_mib, needed_mib })
    };
    wanted.into_iter().filter_map(shortage).collect()
}

impl Plan {
    /// For `barewired plan --json` and the control socket.
    pub fn to_api(&self, eal_args: Vec<String>) -> api::Plan {
        let queue = |queue: &QueuePlan| api::PlanQueue {
            port: self.ports[queue.port].name.clone(),
            queue: queue.queue,
        };
        let shortages = self.shortages.iter().map(ToString::to_string);
        api::Plan {
            schema: api::SCHEMA,
            mode: mode_name(self.mode).to_owned(),
            housekeeping: self.housekeeping().to_string(),
            workers: (self.workers.iter().enumerate())
                .map(|(index, worker)| api::PlanWorker {
                    worker: index,
                    cpu: worker.cpu.get(),
                    node: worker.node.map(|node| node.0),
                    role: worker.role.as_str().to_owned(),
                    rx: worker.rx.iter().map(queue).collect(),
                    tx: worker.tx.iter().map(queue).collect(),
                })
                .collect(),
            ports: (self.ports.iter())
                .map(|port| api::PlanPort {
                    name: port.name.clone(),
                    device: port.device.to_string(),
                    node: port.node.map(|node| node.0),
                    rx_queues: port.rx_queues,
                    tx_queues: port.tx_queues,
                    pool: self.pools[port.pool].name.clone(),
                })
                .collect(),
            pools: (self.pools.iter())
                .map(|pool| api::PlanPool {
                    name: pool.name.clone(),
                    node: pool.node.map(|node| node.0),
                    buffers: pool.buffers,
                    data_room: pool.data_room,
                })
                .collect(),
            rings: (self.rings.iter())
                .map(|ring| api::PlanRing { from: ring.from, to: ring.to, capacity: ring.capacity })
                .collect(),
            cpus: (self.placement.reasons.iter())
                .map(|reason| api::CpuRole {
                    cpu: reason.cpu.get(),
                    reason: format!("{}: {}", reason.role, reason.why),
                })
                .collect(),
            eal_args,
            warnings: self.warnings.iter().cloned().chain(shortages).collect(),
        }
    }
}

/// The mode's name in the file and in answers.
pub fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::RunToCompletion => "run-to-completion",
        Mode::Staged => "staged",
    }
}
