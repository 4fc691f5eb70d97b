//! Interrupts: none of them on the workers' CPUs.

mod affinity;
mod measured;
#[cfg(test)]
mod tests;

use super::{Check, judge::settled};
use crate::{Risk, Section};

/// What a check of interrupts is, unless it says otherwise.
const INTERRUPTS: Check = Check { section: Section::Interrupts, ..Check::PLAIN };

/// Interrupts: none of them on the workers' CPUs.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "IRQ-01",
        title: "interrupts that reached workers",
        why: "a device's interrupt on a worker's CPU is the largest measured cause of lost packets",
        explain: "This is the check that counts: /proc/interrupts is read twice, and each row is compared on the \
                  workers' CPUs. A published measurement at 100 Gb/s had one packet in 2 275 missed with the NIC's own \
                  completion interrupts on the polling cores, and one in 16 million after they were moved, without any \
                  boot parameter.\n\nGood is: no device at all, and at most two timer interrupts a second on each \
                  worker's CPU (row LOC, or arch_timer). Fewer than 100 a second of anything but devices is a warning. \
                  A device, or timer interrupts at the rate of a running tick, is bad.\n\nThe rows name what to mend: \
                  a device's affinity (IRQ-02), the tick (ISO-03), the kernel's calls between CPUs (IRQ-05). It means \
                  most while packets flow.",
        sources: &[
            "FastNetMon, Learning DPDK: eliminating NIC receive drops at 100GbE (2026)",
            "Linux 6.18 Documentation/admin-guide/cpu-isolation.rst (how to trace what disturbs)",
        ],
        is_proposed: true,
        look: |context| settled(|| measured::rows(context)),
        ..INTERRUPTS
    },
    Check {
        id: "IRQ-02",
        title: "interrupts are bound elsewhere",
        why: "an interrupt that may go to a worker's CPU goes there sooner or later",
        explain: "Each interrupt has the CPUs it was told (smp_affinity) and those the hardware delivers it to \
                  (effective_affinity): often one of the first. What counts is the second.\n\nGood is: no interrupt is \
                  told or delivered to a worker's CPU. Told but not delivered there is a warning: the next change moves \
                  it. Delivered there is bad. Interrupts that only the kernel moves are left to IRQ-03.\n\nThe write is \
                  accepted with EIO or silently changed for some; it is read back. Drivers set affinities anew when a \
                  link or a device is reset, and irqbalance does all the time (IRQ-04).",
        sources: &["Linux Documentation/core-api/irq/irq-affinity.rst", "TuneD plugin_irq"],
        risk: Risk::Low,
        look: |context| settled(|| affinity::bound(context)),
        ..INTERRUPTS
    },
    Check {
        id: "IRQ-03",
        title: "interrupts that only the kernel moves",
        why: "the queues of some devices are spread over all CPUs, and no write changes that",
        explain: "Managed interrupts (NVMe, some NICs and HBAs) are spread by the kernel, one queue for a group of \
                  CPUs. Writing their affinity answers EIO, for ever; newer kernels make the file read-only, or answer \
                  EPERM. So do a few that are not spread: a timer's, a bridge's. Where an older kernel does not show \
                  it, apply tries once and remembers the refusal until the kernel or the handler is another. With \
                  isolcpus=managed_irq the kernel delivers each to a housekeeping CPU of its group, if there is \
                  one.\n\nGood is: every such interrupt of a worker's group has a housekeeping CPU too, and goes there. \
                  Delivered to the worker although it need not be is a warning. A queue of workers' CPUs only fires \
                  when these do the I/O themselves, which workers do not: worth knowing, no more.",
        sources: &[
            "Linux commit 11ea68f553e2 (managed_irq)",
            "canonical/rt-conf, irqbalance #349 (EIO is final)",
        ],
        risk: Risk::Low,
        look: |context| settled(|| affinity::managed(context)),
        ..INTERRUPTS
    },
    Check {
        id: "IRQ-04",
        title: "irqbalance knows the workers",
        why: "irqbalance moves interrupts every ten seconds, also to where they were just moved away from",
        explain: "irqbalance leaves out CPUs that are isolated at boot (/sys/devices/system/cpu/isolated) or tick-free, \
                  unless IRQBALANCE_BANNED_CPULIST names others; then only those are left out. CPUs of a cpuset \
                  partition it may not know: on kernels that do not list them as isolated they have to be \
                  named.\n\nGood is: it does not run, or workers' CPUs are left out by what the running process was \
                  given. Left out by a partition alone is a warning. Not left out is bad. About an empty \
                  IRQBALANCE_BANNED_CPULIST= sources differ: the code of version 1.9 takes it as not set, others \
                  report that it switches the protection off; it is never taken as good.\n\nIt need not be stopped: \
                  spreading the rest over the housekeeping CPUs is useful.",
        sources: &[
            "irqbalance(1) and irqbalance 1.9 cputree.c",
            "ENA Linux driver best practices (do not disable irqbalance)",
        ],
        risk: Risk::Low,
        look: |context| settled(|| affinity::irqbalance(context)),
        ..INTERRUPTS
    },
    Check {
        id: "IRQ-05",
        title: "calls between CPUs",
        why: "another CPU that asks this one to do something stops the worker, isolated or not",
        explain: "CPUs interrupt each other: to reschedule (RES), to call a function (CAL), to drop translations of \
                  memory that went away (TLB), for deferred work (IWI). Isolation does not stop that; only not causing \
                  it does: unmapping memory in a process whose threads run on workers, patching kernel code (tracing, \
                  static keys), reading all CPUs' counters, memory barriers of membarrier(2).\n\nGood is: at most five \
                  a minute on the workers' CPUs. Fewer than ten a second are a warning, more are bad.\n\nWho sends them \
                  is seen with tracefs: the ipi events, or the osnoise tracer.",
        sources: &[
            "Linux 6.18 Documentation/admin-guide/cpu-isolation.rst",
            "Linux Documentation/trace/osnoise-tracer.rst",
        ],
        is_proposed: true,
        look: |context| settled(|| measured::calls(context)),
        ..INTERRUPTS
    },
    Check {
        id: "IRQ-06",
        title: "software interrupts on workers",
        why: "the kernel's network or block work on a worker's CPU takes it for up to milliseconds",
        explain: "Software interrupts are the second half of interrupt handling, and run where the first half was, or \
                  where the work was queued. Those of timers and RCU remain, about one a second.\n\nGood is: nothing \
                  else. NET_RX there means that a kernel interface's interrupt (IRQ-02) or RPS points there; BLOCK \
                  that a disk's does. One a second or more of these is bad, anything less, or another kind, a \
                  warning.",
        sources: &["Linux Documentation/admin-guide/kernel-per-CPU-kthreads.rst (softirqs)"],
        is_proposed: true,
        look: |context| settled(|| measured::softirqs(context)),
        ..INTERRUPTS
    },
    Check {
        id: "IRQ-07",
        section: Section::Thermal,
        title: "machine checks, thermal and watchdog interrupts",
        why: "these come from hardware that is failing, too hot, or watched, and can not be held off",
        explain: "NMI counts non-maskable interrupts: profilers and the hard-lockup watchdog. PMI counts overflowing \
                  performance counters. TRM counts thermal events, THR thresholds of corrected errors, DFR deferred \
                  errors, MCE machine checks. (MCP, the polling for machine checks, is housekeeping and not \
                  judged.)\n\nGood is: none on the workers' CPUs. NMI or PMI are a warning: stop the profiler, or the \
                  watchdog (WD-01). The others are bad: look at cooling and memory before anything else.",
        sources: &[
            "Linux arch/x86/kernel/irq.c (names of the rows)",
            "Linux Documentation/arch/x86/x86_64/machinecheck.rst",
        ],
        is_proposed: true,
        look: |context| settled(|| measured::hardware(context)),
        ..INTERRUPTS
    },
    Check {
        id: "IRQ-08",
        title: "queues of the management interface",
        why: "a NIC with a queue for every CPU interrupts the workers for the operator's packets",
        explain: "Drivers make as many queues as there are CPUs, each with an interrupt of its own. The interface that \
                  the operator comes in by needs no more than there are housekeeping CPUs, and with fewer queues there \
                  is none left for a worker.\n\nGood is: at most as many queues as housekeeping CPUs, and none of their \
                  interrupts on a worker. Too many are a warning, one on a worker is bad.\n\nChanging the number of \
                  queues takes the link down for a moment, on the very interface you are connected through: apply it \
                  with a time limit for the confirmation.",
        sources: &[
            "openshift cluster-node-tuning-operator (user-level networking)",
            "seastar scripts/perftune.py",
        ],
        risk: Risk::High,
        cost: "the management link goes down for a moment",
        look: |context| settled(|| affinity::management(context)),
        ..INTERRUPTS
    },
];
