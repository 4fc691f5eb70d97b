//! Steps in the order in which they are taken: least harm first.

use super::{Blast, Chosen, Draft, Scope, Step, told};
use crate::{
    Fact, Intent,
    change::{Change, UnitState},
    checks,
};

impl Draft<'_> {
    /// The steps: with the values that are there, without those that are done, and in order.
    pub(super) fn order(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for chosen in std::mem::take(&mut self.chosen) {
            let from = told::now(&chosen.change, self.facts, chosen.change.current(self.source));
            if chosen.change.is_done(&from) {
                continue;
            }
            let is_gone = matches!(
                chosen.change,
                Change::Kernel { .. } | Change::Hugepages { .. } | Change::Affinity { .. }
            );
            if is_gone && from.is_absent() {
                for check in &chosen.checks {
                    self.leave_out(check, chosen.change.clone(), "there is no such thing here");
                }
                continue;
            }
            steps.push(self.step(chosen, from));
        }
        // A menu is made, and a unit restarted, because of other steps.
        let is_written = steps.iter().any(|step| {
            step.change.needs_reboot() && !matches!(step.change, Change::BootMenu { .. })
                || matches!(&step.change, Change::Setting { path, .. } if path == "etc/default/grub")
        });
        let causes: Vec<String> = steps
            .iter()
            .filter(|step| !matches!(step.change, Change::Unit { state: UnitState::Restarted, .. }))
            .flat_map(|step| step.checks.clone())
            .collect();
        steps.retain(|step| match &step.change {
            Change::BootMenu { .. } => is_written,
            Change::Unit { state: UnitState::Restarted, .. } => {
                step.checks.iter().any(|check| causes.contains(check))
            }
            _ => true,
        });
        // Stable: what is alike stays in the order of the report.
        steps.sort_by_key(|step| (step.blast, rank(&step.change)));
        steps
    }

    fn step(&self, chosen: Chosen, from: Fact<String>) -> Step {
        let mut sources: Vec<String> = Vec::new();
        for check in &chosen.checks {
            let known = checks::all().find(|known| known.id == check);
            for source in known.map_or(&[][..], |known| known.sources) {
                if !sources.iter().any(|there| there == source) {
                    sources.push((*source).to_owned());
                }
            }
        }
        Step {
            to: chosen.change.wanted(),
            scope: chosen.scope.unwrap_or_else(|| scope(&chosen.change)),
            blast: blast(&chosen.change, self.intent),
            change: chosen.change,
            checks: chosen.checks,
            from,
            risk: chosen.risk,
            why: chosen.why,
            sources,
        }
    }
}

/// When a change counts, if nothing else was said.
fn scope(change: &Change) -> Scope {
    match change {
        Change::Kernel { .. }
        | Change::Ethtool { .. }
        | Change::Affinity { .. }
        | Change::Partition { .. }
        | Change::Hugepages { .. }
        | Change::Driver { .. }
        | Change::Unit { state: UnitState::Restarted, .. } => Scope::Runtime,
        Change::File { .. }
        | Change::Setting { .. }
        | Change::BootParameter { .. }
        | Change::KernelArguments(_)
        | Change::BootMenu { .. } => Scope::Boot,
        Change::Sysctl { .. }
        | Change::Unit { state: UnitState::Disabled | UnitState::Enabled, .. } => Scope::Both,
    }
}

/// Whom a change hits when it goes wrong.
fn blast(change: &Change, intent: &Intent) -> Blast {
    match change {
        Change::Kernel { path, .. } => {
            if path.starts_with("sys/devices/system/cpu/cpu") && path.ends_with("/online") {
                Blast::Programs
            } else if path.contains("hugepage") || path.starts_with("sys/kernel/mm/") {
                Blast::Memory
            } else if let Some(name) = interface(path)
                && intent.management.iter().any(|known| known == name)
            {
                Blast::Management
            } else {
                Blast::Nothing
            }
        }
        Change::Sysctl { .. } | Change::Affinity { .. } => Blast::Nothing,
        Change::Hugepages { .. } => Blast::Memory,
        Change::Partition { .. } | Change::Driver { .. } | Change::Unit { .. } => Blast::Programs,
        Change::Ethtool { interface, .. } => match intent.management.contains(interface) {
            true => Blast::Management,
            false => Blast::Programs,
        },
        Change::Setting { path, .. } => match path.as_str() {
            "etc/default/grub" => Blast::Boot,
            _ => Blast::Nothing,
        },
        Change::File { path, .. } => {
            let is_boot = change.needs_reboot() || path.starts_with("etc/systemd/system.conf.d/");
            if is_boot { Blast::Boot } else { Blast::Nothing }
        }
        Change::BootParameter { .. } | Change::KernelArguments(_) | Change::BootMenu { .. } => {
            Blast::Boot
        }
    }
}

/// The interface that a file is about.
fn interface(path: &str) -> Option<&str> {
    path.strip_prefix("sys/class/net/")?.split('/').next()
}

/// Within the same harm: values first, then what moves, then files, then what makes them count.
fn rank(change: &Change) -> u8 {
    match change {
        Change::Kernel { path, .. } if path.starts_with("proc/sys/") => 0,
        Change::Sysctl { .. } => 0,
        Change::Kernel { .. } | Change::Hugepages { .. } => 1,
        Change::Affinity { .. } => 2,
        Change::File { .. } | Change::Setting { .. } => 3,
        Change::Partition { .. } => 4,
        Change::Driver { .. } => 5,
        Change::Ethtool { .. } => 6,
        Change::BootParameter { .. } | Change::KernelArguments(_) => 7,
        Change::BootMenu { .. } | Change::Unit { .. } => 8,
    }
}
