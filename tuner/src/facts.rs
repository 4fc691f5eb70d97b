//! Everything that is known about a machine, read once; the checks only look at it.
//!
//! Each module is one subject: a struct of [`Fact`]s and a `read` that never fails.

pub mod boot;
pub mod clock;
pub mod firmware;
pub mod idle;
pub mod interrupts;
pub mod isolation;
pub mod memory;
pub mod msr;
pub mod network;
pub mod nics;
pub mod pci;
pub mod power;
pub mod process;
pub mod processor;
pub mod ras;
pub mod security;
pub mod system;
pub mod tasks;
pub mod topology;
pub mod units;

use config::machine::Machine;
use serde::Serialize;

use crate::{Fact, Source};

/// Everything that is known about a machine.
#[derive(Debug, Clone, Serialize)]
pub struct Facts {
    /// CPUs, caches and nodes, as the planner sees them.
    pub machine: Fact<Machine>,
    /// Kernel, distribution, virtualisation.
    pub system: system::System,
    /// What the planner does not need of the topology.
    pub topology: topology::Topology,
    /// cpusets, nohz_full, workqueues, RCU.
    pub isolation: isolation::Isolation,
    /// Interrupts and who serves them.
    pub interrupts: interrupts::Interrupts,
    /// The processor: who made it and what it promises.
    pub processor: Fact<processor::Processor>,
    /// Clock sources, timers and watchdogs.
    pub clock: clock::Clock,
    /// Memory errors, machine checks, and who samples the CPUs.
    pub ras: ras::Ras,
    /// Frequencies.
    pub power: power::Power,
    /// How deep idle CPUs sleep.
    pub idle: idle::Idle,
    /// What the firmware does by itself.
    pub firmware: firmware::Firmware,
    /// Hugepages and the rest of memory management.
    pub memory: memory::Memory,
    /// PCI functions, IOMMU, vfio.
    pub pci: pci::Pci,
    /// Network interfaces.
    pub nics: nics::Nics,
    /// The kernel's network stack.
    pub network: network::Network,
    /// Mitigations and what was switched off.
    pub security: security::Security,
    /// Boot loader and command line.
    pub boot: boot::Boot,
    /// Threads of the kernel and of others.
    pub tasks: tasks::Tasks,
    /// systemd's units and other tuners.
    pub units: units::Units,
}

impl Facts {
    /// Reads everything; what can not be read is unknown, with the reason.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        // Not files alone: hwloc asks the processor as well. Its answer on the real machine is part of a capture.
        let machine = source.ask_or_read("machine", |root| match linux::topology::discover(root) {
            Ok(machine) => Fact::Is(machine),
            Err(error) => Fact::unknown(error.to_string()),
        });
        let processor = processor::Processor::read(source);
        Self {
            system: system::System::read(source),
            topology: topology::Topology::read(source, machine.value()),
            isolation: isolation::Isolation::read(source),
            interrupts: interrupts::Interrupts::read(source),
            clock: clock::Clock::read(source),
            ras: ras::Ras::read(source),
            power: power::Power::read(source, machine.value()),
            idle: idle::Idle::read(source, machine.value()),
            firmware: firmware::Firmware::read(source, machine.value(), processor.value()),
            processor,
            memory: memory::Memory::read(source, machine.value()),
            pci: pci::Pci::read(source),
            nics: nics::Nics::read(source),
            network: network::Network::read(source),
            security: security::Security::read(source),
            boot: boot::Boot::read(source),
            tasks: tasks::Tasks::read(source),
            units: units::Units::read(source),
            machine,
        }
    }
}
