//! Topology: which CPU does what, and what is local to what.

mod cores;
mod hardware;
mod locality;
#[cfg(test)]
mod tests;

use super::{Check, judge::settled};
use crate::{Risk, Section};

/// Topology: which CPU does what, and what is local to what.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "TOPO-01",
        section: Section::System,
        title: "topology is consistent",
        why: "cores chosen by a wrong map are the wrong cores",
        explain: "The kernel says of each CPU which socket, core and cache it belongs to, and of each NUMA node which \
                  CPUs it has. Firmware tables and virtual machines get this wrong often enough: a CPU on two nodes, a \
                  thread whose sibling does not know it, nodes that together do not have all CPUs.\n\nGood is: every \
                  CPU that runs is on exactly one node, and the threads of a core name each other. Where the kernel has \
                  no NUMA nodes at all one is assumed, which is right on small machines and a warning on large ones. \
                  Where the files about cores are missing, nothing can be planned, and the answer is unknown.\n\nThe \
                  fix is in the firmware (ACPI SRAT, PPTT) or in how the virtual machine is defined; workers can be \
                  listed by hand in the meantime.",
        sources: &[
            "Linux Documentation/admin-guide/cputopology.rst",
            "Linux Documentation/ABI/stable/sysfs-devices-node",
        ],
        look: |context| settled(|| hardware::consistent(context)),
        ..Check::PLAIN
    },
    Check {
        id: "TOPO-02",
        section: Section::System,
        title: "housekeeping has CPUs",
        why: "what is driven off the workers' CPUs has to run somewhere near, or it comes back as latency",
        explain: "Interrupts, kernel threads, RCU callbacks and every other program are sent to the housekeeping CPUs. \
                  When there are none the kernel ignores part of the isolation; when there is one, it becomes the \
                  bottleneck of logging, SSH and the control plane, and a hang there hangs the machine.\n\nGood is: CPU \
                  0 is among them (the kernel keeps work there for ever), and on each node that has a port or the \
                  management interface there is a whole physical core for them, so that interrupts and the memory \
                  they touch stay local.\n\nIt costs cores. On machines with three CPUs or fewer there is nothing to \
                  isolate with; share them and expect a tail.",
        sources: &[
            "Linux Documentation/admin-guide/cpu-isolation.rst (at least one housekeeping CPU, one per node)",
            "seastar scripts/perftune.py (one interrupt core per 16)",
        ],
        risk: Risk::High,
        cost: "cores that do not poll",
        look: |context| settled(|| cores::housekeeping(context)),
        ..Check::PLAIN
    },
    Check {
        id: "TOPO-03",
        section: Section::Numa,
        title: "a worker has its core to itself",
        why: "two threads of one core share its execution units and its L1 and L2 caches, so the sibling's work is jitter",
        explain: "With simultaneous multithreading (hyper-threading) two CPUs are one core. The scheduler's isolation \
                  does not know that: a busy sibling takes issue slots and cache lines from the worker, and how many \
                  depends on what it runs. A polling worker halves its sibling's speed just the same.\n\nGood is: the \
                  siblings of a worker's CPU are offline, or kept out of the scheduler and idle. A sibling that \
                  nothing is planned for but that any program may run on is a warning; one that belongs to housekeeping \
                  or to another worker is bad.\n\nTaking the sibling offline costs a thread, not a core. Switching SMT \
                  off in the firmware (or nosmt) does it for all cores, which is more than is needed. Throughput \
                  set-ups that run two workers on one core on purpose gain perhaps a quarter per core and lose \
                  predictability.",
        sources: &[
            "Linux Documentation/admin-guide/cpu-isolation.rst (avoid SMT siblings)",
            "openshift cluster-node-tuning-operator (refuses odd numbers of isolated CPUs)",
        ],
        risk: Risk::Medium,
        cost: "the sibling's capacity",
        is_proposed: true,
        look: |context| settled(|| cores::siblings(context)),
        ..Check::PLAIN
    },
    Check {
        id: "TOPO-04",
        section: Section::Numa,
        title: "ports are polled on their own node",
        why: "each packet that crosses the sockets costs some hundred nanoseconds and bandwidth of the interconnect",
        explain: "A NIC writes packets into the cache or memory of the node it is plugged into. A worker on another \
                  node reads descriptors and headers across the interconnect, and every doorbell goes back the same \
                  way.\n\nGood is: every port is polled by workers of its own node. A node at a distance of at most 20 \
                  by the firmware's table (the other half of a split socket) is a warning, anything further is \
                  bad.\n\nMove the card to a slot of the other socket, or choose workers on the card's node; the memory \
                  follows the workers.",
        sources: &[
            "DPDK Linux Guide, How to get best performance with NICs on Intel platforms",
            "DPDK NIC guide, mlx5 (NUMA)",
        ],
        is_proposed: true,
        look: |context| settled(|| locality::ports(context)),
        ..Check::PLAIN
    },
    Check {
        id: "TOPO-05",
        section: Section::Numa,
        title: "devices say which node they are on",
        why: "a device that does not say where it is gets its memory and its worker by guess",
        explain: "numa_node of a PCI function is what the firmware's ACPI tables say (_PXM). Where they say nothing it \
                  reads -1, and the kernel, DPDK and we treat the device as if it were anywhere. On a machine with \
                  one node that is harmless.\n\nWith several nodes, the CPUs that the kernel takes to be near \
                  (local_cpulist) may all be on one node, which is then taken, with a warning. Otherwise say it in the \
                  configuration: numa_node under the port.",
        sources: &[
            "Linux Documentation/ABI/testing/sysfs-bus-pci (numa_node)",
            "irqbalance (how it treats devices without a node)",
        ],
        look: |context| settled(|| locality::devices_say(context)),
        ..Check::PLAIN
    },
    Check {
        id: "TOPO-06",
        section: Section::Numa,
        title: "workers that hand over frames share a cache",
        why: "a frame handed to a core behind another L3 cache is read through memory or the interconnect",
        explain: "In staged mode frames go from the receiving worker over rings to others. What the first has touched \
                  is in its L3 cache; where the next one has another L3 (the next core complex of an EPYC, the next \
                  socket), each line is fetched from there.\n\nGood is: all workers of one node share an L3 cache. \
                  Another cache of the same socket is a warning, another socket is bad.\n\nWhere a core complex has too \
                  few cores for the chain, run to completion instead: then nothing is handed over, and this check does \
                  not apply.",
        sources: &[
            "DPDK Linux Guide, AMD platforms (NPS and L3 as NUMA)",
            "Linux Documentation/ABI/stable/sysfs-devices-system-cpu (shared_cpu_list)",
        ],
        is_proposed: true,
        look: |context| settled(|| cores::caches(context)),
        ..Check::PLAIN
    },
    Check {
        id: "TOPO-07",
        section: Section::Numa,
        title: "CPU 0 is no worker",
        why: "the kernel keeps timekeeping and other work on the boot CPU, whatever it is told",
        explain: "CPU 0 boots the machine; on x86 it can not be taken offline on current kernels, it is the default \
                  timekeeper, and code that needs just some CPU takes it. nohz_full leaves it out even when it is \
                  listed.\n\nGood is: no worker there. It costs nothing but to choose another core.",
        sources: &[
            "DPDK Linux Guide, Enabling Additional Functionality (core isolation)",
            "Linux Documentation/admin-guide/kernel-parameters.txt (nohz_full)",
        ],
        look: |context| settled(|| cores::boot_cpu(context)),
        ..Check::PLAIN
    },
    Check {
        id: "TOPO-08",
        section: Section::System,
        title: "the workers' CPUs run",
        why: "a worker can not be pinned to a CPU that is offline",
        explain: "A CPU may be offline because SMT was switched off, because it was taken out at run time, or because \
                  the machine has fewer than it had. A CPU that comes back gets the default affinities: whatever was \
                  moved off it may be on it again.\n\nGood is: every CPU that the configuration lists runs. The \
                  planner chooses only such CPUs by itself.",
        sources: &["Linux Documentation/core-api/cpu_hotplug.rst"],
        risk: Risk::Low,
        look: |context| settled(|| cores::online(context)),
        ..Check::PLAIN
    },
    Check {
        id: "TOPO-09",
        section: Section::Numa,
        title: "memory channels are populated",
        why: "a memory controller with one module has a fraction of its bandwidth, which polling many ports needs",
        explain: "Each memory controller has several channels that work in parallel. DPDK's guide calls a module in \
                  every channel the most direct influence on performance; an uneven set makes the controller \
                  interleave only part of the memory.\n\nGood is: every channel has a module, all of the same size. \
                  The EDAC driver knows the channels. Without it the firmware's list of slots says how many are empty, \
                  but not which belong to one channel; then only a single module is judged.\n\nOnly hardware mends it.",
        sources: &[
            "DPDK Linux Guide, How to get best performance with NICs on Intel platforms (memory channels)",
            "System Management BIOS reference specification 3.7, 7.18",
        ],
        look: |context| settled(|| hardware::memory(context)),
        ..Check::PLAIN
    },
    Check {
        id: "TOPO-10",
        section: Section::System,
        title: "masks of this width are understood",
        why: "a mask that is cut at 32 or 64 CPUs moves interrupts to the wrong cores",
        explain: "The kernel writes sets of CPUs as lists (0-3,8) and as hexadecimal masks in groups of 32 bits with \
                  commas. Tools have broken on machines with more than 64 CPUs, on groups without leading zeros, and \
                  on more than 256 CPUs.\n\nThis checks our own reading and writing on this machine's CPUs: the set of \
                  possible CPUs must survive both notations, and the kernel's own mask must be read. Up to 8192 CPUs \
                  are understood; Linux is built for no more.",
        sources: &[
            "Linux Documentation/core-api/irq/irq-affinity.rst",
            "openshift cluster-node-tuning-operator and cri-o (mask faults on large machines)",
        ],
        look: |context| settled(|| hardware::masks(context)),
        ..Check::PLAIN
    },
];
