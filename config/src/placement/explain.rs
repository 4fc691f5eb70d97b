//! The reason for every CPU, and what an operator should know besides.

use std::{collections::BTreeSet, fmt};

use serde::Serialize;

use crate::{
    Auto, CpuId, CpuSet, Mode,
    machine::{Cpu, Machine},
};

use super::{PortHome, PortSite, WorkerSite, cores};

/// What one CPU does, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The CPU.
    pub cpu: CpuId,
    /// What it does.
    pub role: Role,
    /// Why, in a few words.
    pub why: String,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cpu {}: {}: {}", self.cpu, self.role, self.why)
    }
}

/// What a CPU does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It runs a worker and nothing else of ours.
    Worker,
    /// It runs what is not a worker.
    Housekeeping,
    /// It runs a worker and housekeeping, for want of another.
    Shared,
    /// It does nothing, because another thread of its core is a worker.
    Idle,
    /// It is not needed, and left to others.
    Spare,
    /// It is switched off.
    Offline,
    /// This process may not use it.
    NotAllowed,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Worker => "worker",
            Self::Housekeeping => "housekeeping",
            Self::Shared => "worker and housekeeping",
            Self::Idle => "idle",
            Self::Spare => "spare",
            Self::Offline => "offline",
            Self::NotAllowed => "not allowed",
        })
    }
}

/// One reason for each CPU of the machine.
pub(super) fn reasons(
    machine: &Machine,
    cores: &cores::Cores,
    wish: &crate::Cores,
    ports: &[PortSite],
    workers: &[WorkerSite],
    housekeeping: &CpuSet,
) -> Vec<Reason> {
    let listed =
        |list: &Auto<Box<CpuSet>>, cpu: CpuId| matches!(list, Auto::Set(set) if set.contains(cpu));
    let reason = |cpu: &Cpu| {
        let id = cpu.id;
        let worker = workers.iter().find(|worker| worker.cpu == id);
        let neighbour = || {
            let threads = cores.threads_of(id);
            workers.iter().find(|worker| worker.cpu != id && threads.contains(worker.cpu))
        };
        let (role, why) = if !cpu.online {
            (Role::Offline, "switched off".to_owned())
        } else if !cpu.allowed {
            (Role::NotAllowed, "not in this process's cpuset".to_owned())
        } else if let Some(worker) = worker {
            let is_shared = housekeeping.contains(id);
            let role = if is_shared { Role::Shared } else { Role::Worker };
            let mut why = about_worker(cpu, worker, ports, listed(&wish.workers, id));
            if is_shared {
                why.push_str(", and no other CPU is left for housekeeping");
            }
            (role, why)
        } else if housekeeping.contains(id) {
            let why = if listed(&wish.housekeeping, id) {
                "listed"
            } else if id == CpuId::ZERO {
                "the boot CPU always has kernel work"
            } else if neighbour().is_some() {
                "nothing else is left, though it shares a worker's core"
            } else if cpu.isolated {
                "nothing else is left, though it is isolated"
            } else {
                "free"
            };
            (Role::Housekeeping, why.to_owned())
        } else if let Some(worker) = neighbour() {
            let why = format!("shares a core with worker {} (cpu {})", worker.index, worker.cpu);
            (Role::Idle, why)
        } else if cpu.isolated {
            (Role::Spare, "isolated, and no worker needs it".to_owned())
        } else if id == CpuId::ZERO {
            (Role::Spare, "never a worker, and not listed for housekeeping".to_owned())
        } else {
            (Role::Spare, "not listed for housekeeping, and no worker needs it".to_owned())
        };
        Reason { cpu: id, role, why }
    };
    let mut reasons: Vec<Reason> = machine.cpus.iter().map(reason).collect();
    reasons.sort_by_key(|reason| reason.cpu);
    reasons
}

fn about_worker(cpu: &Cpu, worker: &WorkerSite, ports: &[PortSite], is_listed: bool) -> String {
    let names = |which: &[usize]| {
        let names: Vec<String> =
            which.iter().map(|&port| format!("\"{}\"", ports[port].name)).collect();
        names.join(", ")
    };
    let mut why = format!("worker {}", worker.index);
    if is_listed {
        why.push_str(", listed");
    }
    if let Some(node) = worker.node {
        why.push_str(&format!(", on node {node}"));
        if !worker.ports.is_empty() {
            why.push_str(&format!(" with {}", names(&worker.ports)));
        }
        if !worker.remote_ports.is_empty() {
            why.push_str(&format!(", far from {}", names(&worker.remote_ports)));
        }
    }
    why.push_str(if cpu.isolated { ", isolated" } else { ", not isolated" });
    why
}

/// What is worth knowing but is nobody's fault.
pub(super) fn remarks(
    machine: &Machine,
    cores: &cores::Cores,
    workers: &[WorkerSite],
    housekeeping: &CpuSet,
    homes: &[PortHome],
    mode: Mode,
) -> Vec<String> {
    let mut remarks = Vec::new();
    let cpus: CpuSet = workers.iter().map(|worker| worker.cpu).collect();
    let isolated = machine.isolated();
    if cpus.contains(CpuId::ZERO) {
        remarks.push("cpu 0 is a worker, but the kernel always keeps some work there".to_owned());
    }
    let idle = cores.whole(&cpus.intersection(&isolated)).difference(&cpus);
    let noisy = idle.difference(housekeeping).difference(&isolated);
    if !noisy.is_empty() {
        remarks.push(format!(
            "cpu {noisy} shares a core with an isolated worker, but is not isolated itself: isolate it or switch it off"
        ));
    }
    let quiet = housekeeping.intersection(&isolated).difference(&cpus);
    if !quiet.is_empty() {
        remarks.push(format!(
            "housekeeping cpu {quiet} is isolated: the scheduler does not spread tasks over it"
        ));
    }
    if housekeeping.len() == 1 && machine.usable().len() >= 4 {
        remarks.push(format!("everything but the workers has to run on cpu {housekeeping}"));
    }
    let places = workers.iter().map(|worker| (worker.node, worker.memory));
    let places = places.chain(homes.iter().map(|home| (home.node, home.memory)));
    let moved: BTreeSet<_> = places.filter(|(node, memory)| node != memory).collect();
    for (node, memory) in moved {
        if let (Some(node), Some(memory)) = (node, memory) {
            remarks.push(format!(
                "node {node} has no memory: its packet buffers come from node {memory}"
            ));
        }
    }
    let caches: BTreeSet<_> =
        workers.iter().filter_map(|worker| machine.cpu(worker.cpu)?.l3).collect();
    if mode == Mode::Staged && caches.len() > 1 {
        remarks.push(format!(
            "the workers are spread over {} L3 caches: each ring between them costs more",
            caches.len()
        ));
    }
    remarks
}
