//! What is wrong with a wish for CPUs.

use crate::{CpuId, CpuSet, NumaNode};

/// One of the two CPU lists of `[cores]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// `workers`
    Workers,
    /// `housekeeping`
    Housekeeping,
}

impl List {
    /// Its key in the file.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Workers => "cores.workers",
            Self::Housekeeping => "cores.housekeeping",
        }
    }
}

impl std::fmt::Display for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Workers => "workers",
            Self::Housekeeping => "housekeeping",
        })
    }
}

/// Why CPUs cannot be given out as asked.
///
/// The second half of the variants (from [`NotIsolated`](Self::NotIsolated) on) are errors only with `strict = true`;
/// without it their text is a warning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// The machine has no CPU that is online and in this process's cpuset.
    #[error("no CPU is both online and allowed to this process")]
    NoUsableCpu,
    /// A list without CPUs.
    #[error("{list} names no CPU")]
    Empty {
        /// Which list.
        list: List,
    },
    /// CPUs that the machine does not have.
    #[error("{list} names cpu {cpus}, but this machine has cpu {present}")]
    NoSuchCpu {
        /// Which list.
        list: List,
        /// The CPUs that do not exist.
        cpus: CpuSet,
        /// The CPUs that do.
        present: CpuSet,
    },
    /// CPUs that are switched off.
    #[error("{list} names cpu {cpus}, which is offline")]
    Offline {
        /// Which list.
        list: List,
        /// The CPUs that are off.
        cpus: CpuSet,
    },
    /// CPUs outside this process's cpuset.
    #[error("{list} names cpu {cpus}, which this process may not use (its cpuset has {allowed})")]
    NotAllowed {
        /// Which list.
        list: List,
        /// The CPUs that are not allowed.
        cpus: CpuSet,
        /// The CPUs that are.
        allowed: CpuSet,
    },
    /// CPUs in both lists.
    #[error("cpu {cpus} is in workers and in housekeeping")]
    Overlap {
        /// The CPUs that both lists name.
        cpus: CpuSet,
    },
    /// Fewer free cores than workers.
    #[error(
        "{wanted} workers need {wanted} physical cores, but {available} of them are free of housekeeping"
    )]
    NotEnough {
        /// How many workers there should be.
        wanted: usize,
        /// How many cores can carry one.
        available: usize,
    },
    /// Staged mode with one worker.
    #[error("staged mode needs at least 2 workers, not {workers}")]
    TooFewForStaged {
        /// How many there are.
        workers: usize,
    },

    /// Workers that the scheduler balances other tasks onto.
    #[error("worker cpu {cpus} is not isolated: the scheduler may run other tasks there")]
    NotIsolated {
        /// The CPUs of the workers.
        cpus: CpuSet,
    },
    /// A worker whose physical core has other work.
    #[error("worker cpu {cpu} shares its physical core with cpu {with}")]
    SharesCore {
        /// The worker's CPU.
        cpu: CpuId,
        /// The busy threads of the same core.
        with: CpuSet,
    },
    /// Workers that housekeeping runs on too.
    #[error("cpu {cpus} is a worker and has to do the housekeeping as well")]
    SharesHousekeeping {
        /// The CPUs that do both.
        cpus: CpuSet,
    },
    /// A port without a worker on its node.
    #[error("port \"{port}\" is on node {node}, but no worker is")]
    NotLocal {
        /// The port's name.
        port: String,
        /// The port's node.
        node: NumaNode,
    },
    /// A worker on a node without ports.
    #[error("worker cpu {cpu} is on node {node}, but no port is")]
    RemoteWorker {
        /// The worker's CPU.
        cpu: CpuId,
        /// Its node.
        node: NumaNode,
    },
    /// A port of which nobody knows where it is.
    #[error("the node of port \"{port}\" is not known ({why}); node {assumed} is assumed")]
    UnknownNode {
        /// The port's name.
        port: String,
        /// Why it is not known.
        why: String,
        /// The node that stands in.
        assumed: NumaNode,
    },
}

impl PlacementError {
    /// The key of the configuration file that the error is about.
    #[must_use]
    pub fn key(&self) -> &'static str {
        match self {
            Self::Empty { list }
            | Self::NoSuchCpu { list, .. }
            | Self::Offline { list, .. }
            | Self::NotAllowed { list, .. } => list.key(),
            Self::NotEnough { .. } => "cores.count",
            Self::UnknownNode { .. } => "port.numa_node",
            Self::NoUsableCpu
            | Self::Overlap { .. }
            | Self::TooFewForStaged { .. }
            | Self::NotIsolated { .. }
            | Self::SharesCore { .. }
            | Self::SharesHousekeeping { .. }
            | Self::NotLocal { .. }
            | Self::RemoteWorker { .. } => "cores.workers",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::NoUsableCpu => {
                "look at /sys/devices/system/cpu/online and at the cpuset of this service's cgroup"
                    .to_owned()
            }
            Self::Empty { .. } => "write \"auto\", or a list such as \"2-5\"".to_owned(),
            Self::NoSuchCpu { present, .. } => format!("choose from {present}, or write \"auto\""),
            Self::Offline { cpus, .. } => {
                let cpu = cpus.first().unwrap_or(CpuId::ZERO);
                format!(
                    "switch it on with: echo 1 > /sys/devices/system/cpu/cpu{cpu}/online; or choose others"
                )
            }
            Self::NotAllowed { .. } => {
                "give this service the CPUs (AllowedCPUs= of its unit, or start it in the partition's cgroup), or choose others"
                    .to_owned()
            }
            Self::Overlap { .. } => {
                "take them out of one of the lists, or write housekeeping = \"auto\"".to_owned()
            }
            Self::NotEnough { available, .. } => match available {
                0 => "name fewer CPUs in housekeeping, or list the workers' CPUs to share them knowingly"
                    .to_owned(),
                1 => "use mode = \"run-to-completion\" with count = 1, or list the workers' CPUs to share cores knowingly"
                    .to_owned(),
                more => format!(
                    "set count to {more} or less, or list the workers' CPUs to share cores knowingly"
                ),
            },
            Self::TooFewForStaged { .. } => {
                "name two or more CPUs, or use mode = \"run-to-completion\"".to_owned()
            }
            Self::NotIsolated { cpus } => format!(
                "isolate {cpus} (a cpuset partition, or isolcpus=managed_irq,domain,{cpus} at boot), or set strict = false"
            ),
            Self::SharesCore { with, .. } => {
                format!("leave cpu {with} idle or switch it off, or set strict = false")
            }
            Self::SharesHousekeeping { .. } => {
                "leave at least one CPU to housekeeping, or set strict = false".to_owned()
            }
            Self::NotLocal { node, .. } => {
                format!("put a worker on a CPU of node {node}, or set strict = false")
            }
            Self::RemoteWorker { .. } => {
                "choose a CPU on a node that has a port, or set strict = false".to_owned()
            }
            Self::UnknownNode { .. } => "set numa_node in its [[port]]".to_owned(),
        }
    }
}
