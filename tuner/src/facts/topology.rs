//! What the planner does not need of the topology.

use config::{CpuSet, machine::Machine};
use linux::dimm::{self, Controller, Slot};
use serde::Serialize;

use crate::{Fact, Source};

const DIR: &str = "sys/devices/system/cpu";

/// What the planner does not need of the topology.
#[derive(Debug, Clone, Serialize)]
pub struct Topology {
    /// The CPUs that this kernel can have, as it writes them: not read as CPUs, for there may be too many.
    pub possible: Fact<String>,
    /// The largest number of a CPU that this kernel is built for.
    pub kernel_max: Fact<i64>,
    /// The CPUs that run and of which the kernel does not say what core and socket they are on.
    pub untold: Fact<CpuSet>,
    /// The mask that new interrupts are given, as the kernel writes it.
    pub a_mask: Fact<String>,
    /// Are there NUMA nodes in sysfs?
    pub has_nodes: bool,
    /// The memory controllers and their channels, by the EDAC drivers.
    pub controllers: Fact<Vec<Controller>>,
    /// The slots for memory modules, by the firmware; root only.
    pub slots: Fact<Vec<Slot>>,
}

impl Topology {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source, machine: Option<&Machine>) -> Self {
        let told = |cpu| {
            let dir = format!("{DIR}/cpu{cpu}/topology");
            let siblings = ["core_cpus_list", "thread_siblings_list"];
            siblings.iter().any(|name| source.exists(&format!("{dir}/{name}")))
        };
        let untold = match machine {
            // Only where something is missing is it worth a second look.
            Some(machine) => Fact::Is(machine.cpus_where(|cpu| {
                cpu.online && (cpu.package.is_none() || cpu.core.is_none()) && !told(cpu.id)
            })),
            None => Fact::unknown("the machine's CPUs are not known"),
        };
        Self {
            possible: source.text(&format!("{DIR}/possible")),
            kernel_max: source.number(&format!("{DIR}/kernel_max")),
            untold,
            a_mask: source.text("proc/irq/default_smp_affinity"),
            has_nodes: source.exists("sys/devices/system/node/online"),
            controllers: dimm::controllers(source.root()).into(),
            slots: dimm::slots(source.root()).into(),
        }
    }
}
