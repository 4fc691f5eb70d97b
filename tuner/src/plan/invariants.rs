//! What has to hold before anything is isolated.

use config::CpuSet;

use crate::{Facts, Intent, change::Change};

/// Below this nothing is isolated: what is left would be less than one core for all of the kernel and everybody else.
pub(super) const FEWEST: usize = 4;

/// Everything that forbids to isolate the workers' CPUs on this machine; empty when nothing does.
#[must_use]
pub fn broken(intent: &Intent, facts: &Facts) -> Vec<String> {
    let Some(placement) = intent.placement.value() else {
        let why = intent.placement.why().unwrap_or("there are no workers");
        return vec![format!("which CPUs are the workers' is not known: {why}")];
    };
    let (workers, housekeeping) = (placement.worker_cpus(), &placement.housekeeping);
    let mut broken = Vec::new();
    let Some(machine) = facts.machine.value() else {
        return vec!["the machine's CPUs are not known".to_owned()];
    };
    let online: CpuSet = machine.cpus.iter().filter(|cpu| cpu.online).map(|cpu| cpu.id).collect();
    if online.len() < FEWEST {
        broken.push(format!(
            "{} CPUs are too few to keep any for the workers alone: they share, and their tail shows it",
            online.len()
        ));
        // The others would only repeat it.
        return broken;
    }
    if workers.is_empty() {
        broken.push("there are no workers".to_owned());
    }
    if housekeeping.intersection(&online).is_empty() {
        broken.push("no CPU would be left for the kernel and everybody else".to_owned());
    }
    let both = workers.intersection(housekeeping);
    if !both.is_empty() {
        broken.push(format!("CPUs {both} would be the workers' and everybody else's"));
    }
    if workers.contains(config::CpuId::ZERO) {
        broken.push("CPU 0 is a worker's, and it has work that no other CPU does".to_owned());
    }
    if !workers.is_subset(&online) {
        broken.push(format!("CPUs {} of the workers are not online", workers.difference(&online)));
    }
    broken
}

/// Why a change would put others' work onto the workers' CPUs, if it would.
pub(super) fn burdens(change: &Change, workers: &CpuSet) -> Option<String> {
    let Change::Kernel { path, value, .. } = change else { return None };
    let name = path.rsplit('/').next().unwrap_or_default();
    let cpus = match name {
        "smp_affinity_list" => value.parse::<CpuSet>().ok(),
        "smp_affinity" | "default_smp_affinity" | "cpumask" | "rps_cpus" | "xps_cpus" => {
            CpuSet::from_hex_mask(value).ok()
        }
        _ => return None,
    };
    let Some(cpus) = cpus else { return Some(format!("\"{value}\" is no set of CPUs")) };
    let common = cpus.intersection(workers);
    if !common.is_empty() {
        return Some(format!("it would put work onto CPUs {common}, which are the workers'"));
    }
    // No CPU at all means none in particular to packet steering, and is refused by the others.
    (cpus.is_empty() && !name.ends_with("ps_cpus")).then(|| "it names no CPU".to_owned())
}
