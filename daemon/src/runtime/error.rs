//! Why the daemon does not run.

use std::io;

use crate::{
    control::BindError,
    exit::Exit,
    plan::{PlanError, Shortage},
};

/// Why the daemon does not run, or no longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("the machine can not be read: {}", chain(.0))]
    Root(#[from] linux::ReadError),
    #[error("the machine can not be read: {}", chain(.0))]
    Facts(#[from] linux::topology::DiscoverError),
    #[error("{}", lines(.0))]
    Plan(Vec<PlanError>),
    #[error("{}", lines(.0))]
    Memory(Vec<Shortage>),
    #[error("the housekeeping CPUs can not be used: {0}")]
    Affinity(#[from] linux::thread::AffinityError),
    #[error("a worker would run on CPU {cpu}, which this process has for everything else")]
    Housekeeping { cpu: u32 },
    #[error("the clock can not be used: {0}")]
    Clock(#[from] linux::clock::CalibrationError),
    #[error("control socket: {}", chain(.0))]
    Control(#[from] BindError),
    #[error("DPDK's log can not be read: {0}")]
    Log(#[from] dpdk::LogError),
    #[error("DPDK did not start with {args}: {}", chain(.source))]
    Eal { args: String, source: dpdk::EalError },
    #[error("port {port:?} ({device}): {}", chain(.source))]
    Port { port: String, device: String, source: dpdk::PortError },
    #[error("port {port:?} ({device}): {}", chain(.source))]
    Plug { port: String, device: String, source: dpdk::PlugError },
    #[error("port {port:?} ({device}): its driver can not be set up a second time in one process")]
    Once { port: String, device: String },
    #[error("{}", chain(.0))]
    Pool(dpdk::MempoolError),
    #[error("{}", chain(.0))]
    Dynfield(#[from] dpdk::DynfieldError),
    #[error("{0}")]
    Graph(#[from] pipeline::BuildError),
    #[error("{0}")]
    Ring(#[from] ring::InvalidCapacity),
    #[error("a thread can not be started: {0}")]
    Thread(io::Error),
    #[error("worker {worker} on CPU {cpu} does not turn")]
    Worker { worker: usize, cpu: u32 },
    #[error("worker {worker}: {error}")]
    WorkerFailed { worker: usize, error: String },
    #[error("signals and sockets can not be waited for: {0}")]
    Loop(io::Error),
}

impl RunError {
    /// What to do.
    pub(crate) fn help(&self) -> Option<String> {
        match self {
            Self::Plan(errors) => errors.first().map(PlanError::help),
            Self::Memory(shortages) => shortages.first().map(Shortage::help),
            Self::Control(error) => Some(error.help().to_owned()),
            Self::Eal { .. } => Some(
                "set log.level = \"info,dpdk=trace\" to see what DPDK says; hugepages and devices are the usual reasons"
                    .to_owned(),
            ),
            Self::Housekeeping { .. } => {
                Some("where workers run is settled at the start: systemctl restart barewired".to_owned())
            }
            Self::Once { .. } => Some("systemctl restart barewired".to_owned()),
            Self::Pool(_) => Some("give it more memory: [memory] per_node_mib, or fewer buffers".to_owned()),
            Self::Port { source: dpdk::PortError::NotFound { .. }, .. } => Some(
                "is the device there, and bound to vfio-pci? For a virtual device, do its arguments name what exists?"
                    .to_owned(),
            ),
            Self::Plug { .. } | Self::Port { source: dpdk::PortError::Driver { .. }, .. } => Some(
                "DPDK's own lines above say more (log.level = \"info,dpdk=trace\": all of them); do the device's arguments name what exists?"
                    .to_owned(),
            ),
            Self::Root(_)
            | Self::Facts(_)
            | Self::Affinity(_)
            | Self::Clock(_)
            | Self::Log(_)
            | Self::Port { .. }
            | Self::Dynfield(_)
            | Self::Graph(_)
            | Self::Ring(_)
            | Self::Thread(_)
            | Self::Worker { .. }
            | Self::WorkerFailed { .. }
            | Self::Loop(_) => None,
        }
    }

    /// How the program ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Facts(_)
            | Self::Root(_)
            | Self::Plan(_)
            | Self::Memory(_)
            | Self::Affinity(_)
            | Self::Housekeeping { .. }
            | Self::Clock(_) => Exit::Machine,
            Self::Eal { .. }
            | Self::Port { .. }
            | Self::Plug { .. }
            | Self::Once { .. }
            | Self::Pool(_)
            | Self::Dynfield(_)
            | Self::Log(_) => Exit::Dpdk,
            Self::Control(_)
            | Self::Graph(_)
            | Self::Ring(_)
            | Self::Thread(_)
            | Self::Worker { .. }
            | Self::WorkerFailed { .. }
            | Self::Loop(_) => Exit::Failure,
        }
    }
}

fn lines(errors: &[impl std::fmt::Display]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
