//! What a configuration means, once it is known to be valid.
//!
//! Values of these types come from [`crate::load`] and [`crate::parse`] only: names are unique, every edge leads
//! somewhere, the graph has no cycle, and every number is in its range.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use serde::Serialize;

use crate::{CheckId, CpuSet, MacAddress, NumaNode, PciAddress, duration::as_text};

/// One valid configuration file.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Which CPUs do what.
    pub cores: Cores,
    /// Hugepages and packet buffers.
    pub memory: Memory,
    /// The ports, in the order of the file; a [`PortIx`] is an index into it.
    pub ports: Vec<Port>,
    /// How the work is spread over the workers.
    pub pipeline: Pipeline,
    /// The stages in topological order: an edge leads only to a later stage. A [`StageIx`] is an index into it.
    pub stages: Vec<Stage>,
    /// What is measured, and when a gap is a stall.
    pub latency: Latency,
    /// The control socket.
    pub control: Control,
    /// What is logged, and how.
    pub log: Log,
    /// How the machine is tuned for it.
    pub tune: Tune,
}

/// Index into [`Config::ports`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortIx(pub usize);

/// Index into [`Config::stages`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageIx(pub usize);

/// `"auto"`, or what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Auto<T> {
    /// The program decides, and says how.
    Auto,
    /// The file decides.
    Set(T),
}

/// `[cores]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cores {
    /// CPUs for everything that is not a worker.
    pub housekeeping: Auto<Box<CpuSet>>,
    /// CPUs for workers, one worker each.
    pub workers: Auto<Box<CpuSet>>,
    /// How many workers to place when `workers` is `"auto"`.
    pub count: Auto<usize>,
    /// Refuse CPUs that are not isolated or not local to their port, instead of warning.
    pub strict: bool,
}

/// `[memory]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Memory {
    /// The page size that packet memory comes from.
    pub huge: Huge,
    /// MiB of packet memory for each NUMA node in use.
    pub per_node_mib: Auto<u32>,
    /// Packet buffers for each NUMA node in use.
    pub buffers: Auto<u32>,
}

/// The page size that packet memory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Huge {
    /// 2 MiB pages.
    M2,
    /// 1 GiB pages.
    G1,
    /// Ordinary pages: works everywhere, for trials and tests, not for PCI devices in production.
    None,
}

/// `[[port]]`
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// The name that stages and statistics use.
    pub name: String,
    /// What is behind the port.
    pub device: Device,
    /// Receive queues.
    pub rx_queues: Auto<u16>,
    /// Transmit queues.
    pub tx_queues: Auto<u16>,
    /// Receive descriptors per queue.
    pub rx_ring: Auto<u16>,
    /// Transmit descriptors per queue.
    pub tx_ring: Auto<u16>,
    /// Largest IP packet, in bytes (Ethernet header and FCS not counted).
    pub mtu: u16,
    /// Receive frames for any destination MAC address.
    pub promiscuous: bool,
    /// Addresses that `reflect` answers for.
    pub addresses: Vec<IpNet>,
    /// The first stage for frames received here; `None` when the port only transmits.
    pub input: Option<StageIx>,
    /// The NUMA node to use when the device does not say.
    pub numa_node: Auto<NumaNode>,
}

/// What is behind a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Device {
    /// A PCI function, bound to a driver that DPDK can use.
    Pci(PciAddress),
    /// A virtual device.
    Vdev {
        /// DPDK's name of it, driver and number: `net_pcap0`.
        name: String,
        /// DPDK's arguments, without the leading comma; may be empty.
        args: String,
    },
}

/// `[pipeline]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pipeline {
    /// How the work is spread.
    pub mode: Mode,
    /// Frames asked of a receive queue at once: 1 to 64.
    pub burst: usize,
    /// Entries of each ring between workers in staged mode, a power of two.
    pub ring_capacity: usize,
    /// How often a worker offers frames again to a full transmit queue before it drops and counts them.
    pub tx_retries: u32,
}

/// How the work is spread over the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Each worker receives, processes and transmits.
    RunToCompletion,
    /// Receiving, processing and transmitting workers, joined by rings.
    Staged,
}

/// `[[stage]]`
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// The name that edges and statistics use.
    pub name: String,
    /// What it does.
    pub kind: StageKind,
}

/// Where frames go next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Edge {
    /// To a later stage.
    Stage(StageIx),
    /// Out of a port.
    Tx(PortIx),
    /// Dropped, and counted as dropped by configuration.
    Drop,
}

/// What a stage does, with its parameters and edges.
#[derive(Debug, Clone, PartialEq)]
pub enum StageKind {
    /// A wire: every frame, whatever is in it.
    Cross {
        /// Where the frames go.
        to: Edge,
        /// What happens to the MAC addresses.
        macs: Macs,
    },
    /// Answers ARP, neighbour discovery, ping and UDP echo.
    Reflect {
        /// Where answers go (`tx:` the port they came from, as a rule).
        to: Edge,
        /// Where frames go that are not for this stage: dropped when not set.
        other: Edge,
        /// The addresses to answer for; empty means those of the ports whose input reaches the stage.
        addresses: Vec<IpAddr>,
        /// Echo UDP and ping for any destination address, not only ours.
        any_address: bool,
        /// Swap MACs, addresses and ports of UDP datagrams.
        udp_echo: bool,
    },
    /// Counts frames and bytes by kind of traffic.
    Count {
        /// Where the frames go.
        to: Edge,
    },
    /// Takes one frame of every `every` to another edge.
    Sample {
        /// Where the frames go that are not sampled.
        to: Edge,
        /// Where the sampled frames go.
        sampled: Edge,
        /// One frame in so many; at least 1.
        every: u32,
    },
}

/// What `cross` does to MAC addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Macs {
    /// Nothing: a wire.
    Keep,
    /// Source and destination change places.
    Swap,
    /// New source, new destination, or both.
    Rewrite {
        /// The new source, if any.
        source: Option<MacAddress>,
        /// The new destination, if any.
        destination: Option<MacAddress>,
    },
}

/// `[latency]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Latency {
    /// Record residence and bound; off only to measure what recording costs.
    pub histograms: bool,
    /// A gap between two polls longer than this is a stall.
    #[serde(serialize_with = "as_text")]
    pub stall_threshold: Duration,
    /// How many stalls each worker remembers, a power of two.
    pub stall_log: usize,
    /// Look at what the kernel counted while a worker stood still.
    pub stall_causes: bool,
    /// Use the NIC's receive timestamps where the driver offers them.
    pub hardware_timestamps: bool,
}

/// `[control]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Control {
    /// Path of the control socket.
    pub socket: PathBuf,
    /// The group that may use it (mode 0660); the daemon's own when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// How long a stop may take before what is left is dropped and counted.
    #[serde(serialize_with = "as_text")]
    pub stop_timeout: Duration,
    /// How long to wait for a port's link before saying READY without it.
    #[serde(serialize_with = "as_text")]
    pub link_timeout: Duration,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Log {
    /// A tracing filter: `info`, `barewired=debug`, …
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[tune]`
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tune {
    /// What matters most.
    pub profile: TuneProfile,
    /// Interfaces that nobody may cut, besides those that the tuner finds itself.
    pub management: Vec<String>,
    /// Checks whose fix is wanted although it is harmful.
    pub i_want: Vec<CheckId>,
    /// What is to be done about single checks.
    pub set: BTreeMap<CheckId, Wish>,
}

/// What matters most when the machine is tuned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TuneProfile {
    /// The tail.
    LowLatency,
    /// Packets per second.
    Throughput,
    /// Isolation without the knobs that cost much power.
    Balanced,
}

/// What is to be done about a check.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wish {
    /// What it wants, even where experts disagree.
    Apply,
    /// Nothing.
    Skip,
    /// This value instead of the one that it wants.
    Value(String),
}

impl StageKind {
    /// Every edge of the stage, with the key that says where it leads.
    #[must_use]
    pub fn edges(&self) -> Vec<(&'static str, Edge)> {
        match *self {
            Self::Cross { to, macs: _ } | Self::Count { to } => vec![("to", to)],
            Self::Reflect { to, other, .. } => vec![("to", to), ("other", other)],
            Self::Sample { to, sampled, every: _ } => vec![("to", to), ("sampled", sampled)],
        }
    }

    /// Every edge of the stage, to be renumbered.
    pub(crate) fn edges_mut(&mut self) -> Vec<&mut Edge> {
        match self {
            Self::Cross { to, macs: _ } | Self::Count { to } => vec![to],
            Self::Reflect { to, other, .. } => vec![to, other],
            Self::Sample { to, sampled, every: _ } => vec![to, sampled],
        }
    }
}
