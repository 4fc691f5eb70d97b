//! What the kernel did while a worker stood still.

use serde::{Deserialize, Serialize};

/// What the kernel counted around a stall, on the worker's CPU and of its thread.
///
/// The counters are read from outside, some ten times a second, so they tell what happened in the time between two looks
/// that has the whole stall in it, not in the stall alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meanwhile {
    /// From the look before the stall to the look after it.
    pub window_ns: u64,
    /// The worker's stalls in that time.
    pub stalls: u64,
    /// Their lengths, added up.
    pub stalled_ns: u64,
    /// How much that says.
    pub verdict: Verdict,
    /// What was counted, what says most first. With [`Verdict::Cause`] the first is the cause.
    pub events: Vec<KernelEvent>,
    /// Kinds that were counted as well, and say less than those listed.
    pub unlisted: usize,
}

/// How much the counts say about a stall's cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// One thing took nearly all of the time that the worker stood still, or one thing alone was counted, at least once
    /// for each stall.
    Cause,
    /// Any of them may have been it, or none.
    Suspects,
    /// Nothing that the kernel counts: firmware, a hypervisor that does not say so, or the worker's own work.
    Nothing,
}

/// Something that the kernel counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelEvent {
    /// What kind.
    pub kind: EventKind,
    /// Which one: the interrupt's number or label and what it is for, the software interrupt's name. Empty where the kind
    /// says it all.
    pub name: String,
    /// How often.
    pub count: u64,
    /// How long in all, where the kernel says so.
    pub time_ns: Option<u64>,
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// The CPU was given to another thread although the worker wanted it (`/proc/PID/task/TID/schedstat`, `status`).
    Preempted,
    /// The hypervisor gave the CPU to another machine, in steps of 10 ms (`/proc/stat`).
    Stolen,
    /// The worker waited for something by itself, or was stopped by a signal (`voluntary_ctxt_switches`).
    Waited,
    /// A page fault of the worker that read from a device.
    MajorFault,
    /// Any other page fault of the worker.
    MinorFault,
    /// An interrupt, the timer's and those between CPUs among them (`/proc/interrupts`).
    Interrupt,
    /// A software interrupt (`/proc/softirqs`).
    Softirq,
}
