//! What has to be done again at every boot, for the kernel forgot it.

use std::collections::BTreeSet;

use super::{
    boot_id,
    compile::{CompileError, compile},
};
use crate::{
    Fact,
    change::Change,
    hands::Hands,
    journal::{Deed, Effect, Entry, Kind, Progress},
    plan::{Scope, Step},
};

/// The steps in force that do not outlive a reboot: of each knob the last one, in the order of their entries. What was
/// done for one boot is in force in that one.
///
/// Threads are looked for by name, for their numbers are others now. Interrupts keep the numbers of the plan, which a
/// machine with the same devices gives again; all of them are sent to the same CPUs.
pub fn boot_steps(hands: &dyn Hands, entries: &[Entry]) -> Vec<Step> {
    let boot = boot_id(hands);
    let mut known = BTreeSet::new();
    let mut steps = Vec::new();
    let in_force = |entry: &&Entry| entry.is_active() && entry.kind == Kind::Apply;
    for entry in entries.iter().rev().filter(in_force) {
        for step in entry.steps.iter().rev() {
            let is_over = step.scope == Scope::Once && entry.boot != boot;
            if is_forgotten(step) && !is_over && known.insert(step.change.target()) {
                steps.push(without_expectation(step.clone()));
            }
        }
    }
    steps.reverse();
    let names = steps.iter().any(|step| matches!(step.change, Change::Affinity { .. }));
    let threads = if names { threads(hands) } else { Vec::new() };
    steps.into_iter().flat_map(|step| renumber(step, &threads)).collect()
}

/// A step whose value may be any: what was there when the plan was made is of another boot.
#[must_use]
pub fn without_expectation(step: Step) -> Step {
    Step { from: Fact::unknown("this boot began with values of its own"), ..step }
}

/// Each step for itself: what can not be done is told, and the others are done.
pub fn compile_each(hands: &dyn Hands, steps: &[Step]) -> (Vec<Effect>, Vec<CompileError>) {
    let mut effects: Vec<Effect> = Vec::new();
    let mut errors = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        match compile(hands, std::slice::from_ref(step)) {
            Ok(found) => effects.extend(found.into_iter().map(|effect| Effect {
                step: index,
                progress: Progress::Planned,
                ..effect
            })),
            Err(error) => errors.push(error),
        }
    }
    // Two steps may share what they stand on.
    let mut known = BTreeSet::new();
    effects.retain(|effect| match &effect.deed {
        Deed::Turn { knob, .. } => known.insert(knob.name()),
        Deed::Run { .. } => true,
    });
    (effects, errors)
}

fn is_forgotten(step: &Step) -> bool {
    let is_of_the_kernel = match &step.change {
        Change::Kernel { .. }
        | Change::Hugepages { .. }
        | Change::Ethtool { .. }
        | Change::Affinity { .. }
        | Change::Partition { .. }
        | Change::Driver { .. } => true,
        Change::File { .. }
        | Change::Setting { .. }
        | Change::Unit { .. }
        | Change::Sysctl { .. }
        | Change::BootParameter { .. }
        | Change::KernelArguments(_)
        | Change::BootMenu { .. } => false,
    };
    is_of_the_kernel && step.scope != Scope::Boot
}

/// Every thread group's number and name. Threads of the kernel are groups of their own.
fn threads(hands: &dyn Hands) -> Vec<(u32, String)> {
    let names = hands.names("proc").unwrap_or_default();
    let numbers = names.iter().filter_map(|name| name.parse::<u32>().ok());
    numbers
        .filter_map(|pid| {
            // It may end while we look.
            let name = hands.text(&format!("proc/{pid}/comm")).ok().flatten()?;
            Some((pid, name))
        })
        .collect()
}

fn renumber(step: Step, threads: &[(u32, String)]) -> Vec<Step> {
    let Change::Affinity { name, cpus, .. } = &step.change else { return vec![step] };
    let same = threads.iter().filter(|(_, known)| known == name);
    same.map(|(thread, _)| Step {
        change: Change::Affinity { thread: *thread, name: name.clone(), cpus: cpus.clone() },
        ..step.clone()
    })
    .collect()
}
