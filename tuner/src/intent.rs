//! What the machine is to be tuned for.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use config::{
    Auto, Config, CpuSet, Device, Mode, NumaNode, PciAddress, Tune,
    machine::Machine,
    placement::{self, Locality, Placement, PortSite},
};
use serde::{Deserialize, Serialize};

use crate::{
    Fact, Facts,
    guard::{Guard, Session},
};

/// What matters most.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// The tail: whatever disturbs a worker goes, power is no object.
    #[default]
    LowLatency,
    /// Packets per second: batching and offloads stay.
    Throughput,
    /// Isolation without the knobs that cost much power.
    Balanced,
}

/// What the machine is to be tuned for: the same configuration that the daemon runs with, placed on this machine.
#[derive(Debug, Clone, Serialize)]
pub struct Intent {
    /// The configuration that says so.
    #[serde(skip)]
    pub origin: Origin,
    /// What matters most.
    pub profile: Profile,
    /// Which CPU does what; unknown when this machine can not be placed on, with the reasons.
    pub placement: Fact<Placement>,
    /// The devices that the daemon drives.
    pub data: Vec<DataPort>,
    /// The interfaces that nobody may cut: the operator's way in.
    pub management: Vec<String>,
    /// Why each of them must stay, and which PCI functions with them.
    #[serde(skip)]
    pub guard: Guard,
    /// The page size that the daemon's memory comes from.
    pub huge: config::Huge,
    /// Packet memory for each node in use, in MiB.
    pub per_node_mib: u32,
    /// How the work is spread over the workers.
    pub mode: Mode,
    /// The workers' CPUs as they were listed; none when the planner chooses them.
    pub listed: Option<CpuSet>,
    /// Receive descriptors of each port's queues, where the configuration says.
    pub rx_rings: BTreeMap<String, u16>,
    /// The node of each port of which the configuration says it.
    pub port_nodes: BTreeMap<String, NumaNode>,
    /// The daemon's control socket.
    pub socket: PathBuf,
    /// What the operator wants of a plan.
    pub tune: Tune,
}

/// Where an intent is from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// There was no configuration, or none was wanted.
    #[default]
    BuiltIn,
    /// The configuration that was named.
    Given(PathBuf),
    /// The daemon's, which nobody named.
    Found(PathBuf),
}

impl Origin {
    /// The configuration, if there was one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::BuiltIn => None,
            Self::Given(file) | Self::Found(file) => Some(file),
        }
    }
}

/// One device that the daemon drives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DataPort {
    /// The port's name in the configuration.
    pub name: String,
    /// The device; none for a virtual one.
    pub pci: Option<PciAddress>,
}

/// Why there is no intent.
#[derive(Debug, thiserror::Error)]
pub enum IntentError {
    /// The built-in configuration is wrong, which is our mistake.
    #[error("the built-in configuration is wrong: {0}")]
    BuiltIn(config::Errors),
}

/// Packet memory of a node when the configuration leaves it to us, in MiB.
const MIB_PER_NODE: u32 = 1024;

impl Intent {
    /// What `config` asks for, on the machine that `facts` are about.
    #[must_use]
    pub fn new(config: &Config, facts: &Facts) -> Self {
        let data = config.ports.iter().map(|port| DataPort {
            name: port.name.clone(),
            pci: match &port.device {
                Device::Pci(address) => Some(*address),
                Device::Vdev { .. } => None,
            },
        });
        let placement = facts.machine.as_ref().and_then(|machine| {
            let sites: Vec<PortSite> = config
                .ports
                .iter()
                .map(|port| PortSite {
                    name: port.name.clone(),
                    locality: locality(port, facts),
                    receives: port.input.is_some(),
                })
                .collect();
            match placement::place(machine, &config.cores, &sites, config.pipeline.mode) {
                Ok(mut placement) => {
                    if config.cores.housekeeping == Auto::Auto {
                        placement.housekeeping = placement.housekeeping.union(&elsewhere(machine));
                    }
                    Fact::Is(placement)
                }
                Err(errors) => {
                    let why: Vec<String> = errors.iter().map(ToString::to_string).collect();
                    Fact::unknown(why.join("; "))
                }
            }
        });
        let intent = Self {
            origin: Origin::default(),
            profile: config.tune.profile.into(),
            placement,
            data: data.collect(),
            management: Vec::new(),
            guard: Guard::default(),
            huge: config.memory.huge,
            per_node_mib: match config.memory.per_node_mib {
                Auto::Auto => MIB_PER_NODE,
                Auto::Set(mib) => mib,
            },
            mode: config.pipeline.mode,
            listed: match &config.cores.workers {
                Auto::Auto => None,
                Auto::Set(cpus) => Some(CpuSet::clone(cpus)),
            },
            rx_rings: config
                .ports
                .iter()
                .filter_map(|port| match port.rx_ring {
                    Auto::Auto => None,
                    Auto::Set(descriptors) => Some((port.name.clone(), descriptors)),
                })
                .collect(),
            port_nodes: config
                .ports
                .iter()
                .filter_map(|port| match port.numa_node {
                    Auto::Auto => None,
                    Auto::Set(node) => Some((port.name.clone(), node)),
                })
                .collect(),
            socket: config.control.socket.clone(),
            tune: config.tune.clone(),
        };
        intent.guarding(facts, &Session::default())
    }

    /// The same, where the operator came in over `session`.
    #[must_use]
    pub fn guarding(mut self, facts: &Facts, session: &Session) -> Self {
        self.guard = Guard::new(facts, session, &self.tune.management);
        self.management = self.guard.interfaces();
        self
    }

    /// What is asked for where there is no configuration: the workers that this machine has room for, no port.
    ///
    /// # Errors
    /// [`IntentError::BuiltIn`], which is our mistake.
    pub fn without_config(facts: &Facts) -> Result<Self, IntentError> {
        let config =
            config::parse(BUILT_IN, "built-in configuration").map_err(IntentError::BuiltIn)?;
        let mut intent = Self::new(&config, facts);
        intent.data.clear();
        Ok(intent)
    }

    /// The CPUs of the workers: P in the literature.
    #[must_use]
    pub fn workers(&self) -> Fact<CpuSet> {
        self.placement.as_ref().map(Placement::worker_cpus)
    }

    /// The CPUs of everything else: HK in the literature.
    #[must_use]
    pub fn housekeeping(&self) -> Fact<CpuSet> {
        self.placement.as_ref().map(|placement| placement.housekeeping.clone())
    }
}

/// Two ports that exist everywhere, so that the planner has something to place.
const BUILT_IN: &str = r#"
[[port]]
name = "built-in"
device = "vdev:net_null0"
input = "built-in"
[[stage]]
name = "built-in"
kind = "cross"
to = "tx:built-in"
"#;

/// CPUs that the cpuset of this process does not have. The daemon is not placed there, but the rest of the machine may
/// be: the tuner speaks of all of it.
fn elsewhere(machine: &Machine) -> CpuSet {
    machine.cpus_where(|cpu| cpu.online && !cpu.allowed && !cpu.isolated)
}

fn locality(port: &config::Port, facts: &Facts) -> Locality {
    match (port.numa_node, &port.device, facts.machine.value()) {
        (Auto::Set(node), _, _) => Locality::Node(node),
        (Auto::Auto, Device::Vdev { .. }, _) => Locality::Anywhere,
        (Auto::Auto, Device::Pci(address), Some(machine)) => match facts.pci.function(*address) {
            Some(function) => function.locality(machine),
            None => Locality::Unknown { why: format!("there is no PCI function {address}") },
        },
        (Auto::Auto, Device::Pci(_), None) => {
            Locality::Unknown { why: "the machine's CPUs are not known".to_owned() }
        }
    }
}
