//! What the plan has to know of the machine; unknown is a value.

use config::{
    Auto, Config, Device,
    machine::Machine,
    placement::{Locality, PortSite},
};
use linux::{
    Root, pci,
    topology::{self, DiscoverError},
};

/// The machine, and what is behind each port.
#[derive(Debug, Clone)]
pub struct Facts {
    /// CPUs and nodes.
    pub machine: Machine,
    /// Where each port is, in the order of the configuration.
    localities: Vec<Locality>,
    /// What the probed devices offer; empty before they are probed, `None` for one that is not there yet.
    pub limits: Vec<Option<DeviceLimits>>,
}

/// What a probed device offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceLimits {
    /// Receive queues at most.
    pub max_rx_queues: u16,
    /// Transmit queues at most.
    pub max_tx_queues: u16,
    /// Receive descriptors that its driver prefers.
    pub rx_ring: u16,
    /// Transmit descriptors that its driver prefers.
    pub tx_ring: u16,
}

impl Facts {
    /// Reads them.
    ///
    /// # Errors
    /// When not even the CPUs can be listed.
    pub fn read(root: &Root, config: &Config) -> Result<Self, DiscoverError> {
        let machine = topology::discover(root)?;
        Ok(Self { machine, localities: Vec::new(), limits: Vec::new() }.about(root, config))
    }

    /// The same machine, and what is behind the ports of this configuration. CPUs and memory are as they were first read:
    /// before this process confined itself.
    #[must_use]
    pub fn about(&self, root: &Root, config: &Config) -> Self {
        let machine = self.machine.clone();
        let localities = config.ports.iter().map(|port| locality(root, &machine, port)).collect();
        Self { machine, localities, limits: Vec::new() }
    }

    /// The ports, for the planner.
    pub fn sites(&self, config: &Config) -> Vec<PortSite> {
        (config.ports.iter().zip(&self.localities))
            .map(|(port, locality)| PortSite {
                name: port.name.clone(),
                locality: locality.clone(),
                receives: port.input.is_some(),
            })
            .collect()
    }

    /// What port number `port` offers, once it is probed.
    pub fn limits(&self, port: usize) -> Option<DeviceLimits> {
        self.limits.get(port).copied().flatten()
    }
}

fn locality(root: &Root, machine: &Machine, port: &config::Port) -> Locality {
    match (port.numa_node, &port.device) {
        (Auto::Set(node), _) => Locality::Node(node),
        (Auto::Auto, Device::Vdev { .. }) => Locality::Anywhere,
        (Auto::Auto, Device::Pci(address)) => match pci::function(root, *address) {
            Ok(function) => function.locality(machine),
            Err(error) => Locality::Unknown { why: error.to_string() },
        },
    }
}
