//! What is wrong with a wish before anything is placed, and what is not good about what was placed.

use crate::{
    Auto, CpuSet, Mode,
    machine::{Cpu, Machine},
};

use super::{List, PlacementError, PortHome, PortSite, WorkerSite, cores};

/// Refuse what can not be done at all.
pub(super) fn check(
    machine: &Machine,
    wish: &crate::Cores,
    mode: Mode,
) -> Result<(), Vec<PlacementError>> {
    if machine.usable().is_empty() {
        return Err(vec![PlacementError::NoUsableCpu]);
    }
    let mut errors = Vec::new();
    let lists = [(List::Workers, &wish.workers), (List::Housekeeping, &wish.housekeeping)];
    for (list, wanted) in lists {
        if let Auto::Set(cpus) = wanted {
            check_list(machine, list, cpus, &mut errors);
        }
    }
    if let (Auto::Set(workers), Auto::Set(housekeeping)) = (&wish.workers, &wish.housekeeping) {
        let cpus = workers.intersection(housekeeping);
        if !cpus.is_empty() {
            errors.push(PlacementError::Overlap { cpus });
        }
    }
    let workers = match (&wish.workers, wish.count) {
        (Auto::Set(list), _) => list.len(),
        (Auto::Auto, Auto::Set(count)) => count.max(1),
        (Auto::Auto, Auto::Auto) => 2,
    };
    if mode == Mode::Staged && workers == 1 {
        errors.push(PlacementError::TooFewForStaged { workers });
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn check_list(machine: &Machine, list: List, cpus: &CpuSet, errors: &mut Vec<PlacementError>) {
    let present = machine.cpus_where(|_| true);
    let online = machine.cpus_where(|cpu| cpu.online);
    let missing = cpus.difference(&present);
    let offline = cpus.intersection(&present).difference(&online);
    let forbidden = cpus.intersection(&machine.cpus_where(|cpu| cpu.online && !cpu.allowed));
    if cpus.is_empty() {
        errors.push(PlacementError::Empty { list });
    }
    if !missing.is_empty() {
        errors.push(PlacementError::NoSuchCpu { list, cpus: missing, present });
    }
    if !offline.is_empty() {
        errors.push(PlacementError::Offline { list, cpus: offline });
    }
    if !forbidden.is_empty() {
        let allowed = machine.usable();
        errors.push(PlacementError::NotAllowed { list, cpus: forbidden, allowed });
    }
}

/// What strict placement refuses, and any other warns of.
pub(super) fn faults(
    machine: &Machine,
    cores: &cores::Cores,
    workers: &[WorkerSite],
    housekeeping: &CpuSet,
    ports: &[PortSite],
    homes: &[PortHome],
) -> Vec<PlacementError> {
    let mut faults = Vec::new();
    let cpus: CpuSet = workers.iter().map(|worker| worker.cpu).collect();
    let plain = cpus.intersection(&machine.cpus_where(|cpu: &Cpu| !cpu.isolated));
    if !plain.is_empty() {
        faults.push(PlacementError::NotIsolated { cpus: plain });
    }
    let busy = cpus.union(housekeeping);
    for worker in workers {
        let mut with = cores.threads_of(worker.cpu).intersection(&busy);
        with.remove(worker.cpu);
        if !with.is_empty() {
            faults.push(PlacementError::SharesCore { cpu: worker.cpu, with });
        }
    }
    let shared = cpus.intersection(housekeeping);
    if !shared.is_empty() {
        faults.push(PlacementError::SharesHousekeeping { cpus: shared });
    }

    let any_receives = ports.iter().any(|port| port.receives);
    let needing = |port: &usize| ports[*port].receives || !any_receives;
    for (index, (port, home)) in ports.iter().zip(homes).enumerate() {
        if let (Some(assumed), Some(why)) = (home.node, &home.assumed) {
            let (port, why) = (port.name.clone(), why.clone());
            faults.push(PlacementError::UnknownNode { port, why, assumed });
        }
        let is_served = workers.iter().any(|worker| worker.ports.contains(&index));
        if let Some(node) = home.node.filter(|_| home.is_fixed && needing(&index) && !is_served) {
            faults.push(PlacementError::NotLocal { port: port.name.clone(), node });
        }
    }
    for worker in workers {
        let is_remote = !worker.remote_ports.is_empty() && !worker.ports.iter().any(needing);
        if let Some(node) = worker.node.filter(|_| is_remote) {
            faults.push(PlacementError::RemoteWorker { cpu: worker.cpu, node });
        }
    }
    faults
}
