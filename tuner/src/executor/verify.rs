//! What of the journal still holds: what took, what the kernel or somebody made of it, what waits for a reboot.

use std::collections::BTreeSet;

use config::CpuSet;
use serde::Serialize;

use super::{boot_id, compile::is_about_an_interrupt};
use crate::{
    Source,
    boot::{self, Argument, Arguments},
    change::{BootValue, Change},
    hands::Hands,
    journal::{Deed, Entry, Progress},
    knob::{Knob, Value},
    plan::{Scope, Step},
};

/// One thing that was applied, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The entry that applied it.
    pub entry: u32,
    /// The knob, or the kernel argument.
    pub what: String,
    /// What was asked for.
    pub wanted: String,
    /// How it stands.
    pub standing: Standing,
}

/// How something stands that was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Standing {
    /// As it was asked for.
    Took,
    /// As near as the hardware comes.
    Rounded {
        /// What it is.
        now: String,
    },
    /// Something else.
    Changed {
        /// What it is.
        now: String,
    },
    /// It was, and is not any more since a reboot: `apply --boot` did not run.
    Lapsed {
        /// What it is.
        now: String,
    },
    /// The kernel did not let it, which does no harm.
    Refused {
        /// Why.
        why: String,
    },
    /// It counts after a reboot.
    Pending,
    /// It was to count after a reboot, and does not.
    NotTaken {
        /// What the kernel has.
        now: String,
    },
    /// It can not be read.
    Unknown {
        /// Why.
        why: String,
    },
}

/// How everything stands that entries in force applied; what a later one applied again counts for that one.
pub fn verify(hands: &dyn Hands, entries: &[Entry]) -> Vec<Verified> {
    let boot = boot_id(hands);
    let mut known = BTreeSet::new();
    let mut found = Vec::new();
    for entry in entries.iter().rev().filter(|entry| entry.is_active()) {
        let is_same_boot = entry.boot == boot;
        for effect in entry.effects.iter().rev() {
            let Deed::Turn { knob, to, .. } = &effect.deed else { continue };
            let scope = entry.steps.get(effect.step).map(|step| step.scope);
            if scope == Some(Scope::Once) && !is_same_boot {
                continue;
            }
            let standing = match &effect.progress {
                Progress::Planned | Progress::Undone => continue,
                Progress::Skipped { why } => Standing::Refused { why: why.clone() },
                Progress::Writing
                | Progress::Undoing
                | Progress::Kept { .. }
                | Progress::Done { .. } => {
                    if !known.insert(knob.name()) || !is_worth_a_line(knob, is_same_boot) {
                        continue;
                    }
                    let became = match &effect.progress {
                        Progress::Done { became } => became,
                        _ => to,
                    };
                    stands(hands, knob, to, became, is_same_boot)
                }
            };
            found.push(Verified {
                entry: entry.number,
                what: knob.name(),
                wanted: to.summary(),
                standing,
            });
        }
    }
    found.reverse();
    if let Ok(source) = Source::at(hands.root()) {
        found.extend(arguments(&source, entries, boot.as_deref()));
    }
    found
}

/// After a reboot threads and interrupts have other numbers; directories say nothing that their files do not.
fn is_worth_a_line(knob: &Knob, is_same_boot: bool) -> bool {
    match knob {
        Knob::Directory { .. } | Knob::Environment { .. } => false,
        Knob::Affinity { .. } => is_same_boot,
        Knob::Kernel { path, .. } => is_same_boot || !is_about_an_interrupt(path),
        _ => true,
    }
}

fn stands(
    hands: &dyn Hands,
    knob: &Knob,
    to: &Value,
    became: &Value,
    is_same_boot: bool,
) -> Standing {
    let now = match knob.read(hands) {
        Ok(now) => now,
        Err(error) => return Standing::Unknown { why: super::undo::chain(&error) },
    };
    if knob.is_same(&now, to) {
        return Standing::Took;
    }
    if matches!(knob, Knob::Affinity { .. }) && now == Value::Absent {
        return Standing::Refused { why: "it ended".to_owned() };
    }
    let text = now.summary();
    if knob.is_same(&now, became) || knob.is_within(&now, to) {
        Standing::Rounded { now: text }
    } else if !is_same_boot && !knob.is_lasting() {
        Standing::Lapsed { now: text }
    } else {
        Standing::Changed { now: text }
    }
}

/// The kernel arguments that a step keeps for the next boot.
#[must_use]
pub(super) fn arguments_of(step: &Step) -> Option<Arguments> {
    match &step.change {
        Change::File { path, content } if path == boot::grub::DROP_IN => {
            Some(boot::grub::read(content))
        }
        Change::KernelArguments(arguments) => Some(arguments.arguments()),
        _ => None,
    }
}

/// What became of kernel arguments: on the command line, and in what the kernel made of them.
fn arguments(source: &Source, entries: &[Entry], boot: Option<&str>) -> Vec<Verified> {
    let mut found = Vec::new();
    let Some(line) = source.text("proc/cmdline").into_value() else { return found };
    let running = Arguments::from_line(&line);
    // The last one in force says all of it: the file is owned as a whole.
    let last = entries.iter().rev().filter(|entry| entry.is_active()).find_map(|entry| {
        let all: Vec<Arguments> = entry.steps.iter().filter_map(arguments_of).collect();
        (!all.is_empty()).then_some((entry, all))
    });
    let Some((entry, all)) = last else { return found };
    let is_rebooted = entry.boot.as_deref() != boot;
    for wanted in all {
        let mut add = |what: String, wanted: String, standing: Standing| {
            found.push(Verified { entry: entry.number, what, wanted, standing });
        };
        for argument in wanted.iter() {
            let now = running.get(&argument.key);
            let is_there = now.unwrap_or(&BootValue::Absent) == &argument.value;
            let standing = match (is_there, is_rebooted) {
                (true, _) => effective(source, &argument.key, &argument.value),
                (false, false) => Standing::Pending,
                (false, true) => Standing::NotTaken { now: said(now) },
            };
            add(format!("kernel argument {}", argument.key), said(Some(&argument.value)), standing);
        }
        for (size, count) in wanted.hugepages() {
            let now = running.hugepages().get(size);
            let standing = match (now == Some(count), is_rebooted) {
                (true, _) => Standing::Took,
                (false, false) => Standing::Pending,
                (false, true) => Standing::NotTaken { now: now.cloned().unwrap_or_default() },
            };
            add(format!("kernel argument hugepages ({size})"), count.clone(), standing);
        }
    }
    found
}

/// Was the kernel that runs started with an argument of this entry's? Then it has it until the next boot, whatever
/// becomes of the entry.
#[must_use]
pub fn is_booted_with(hands: &dyn Hands, entry: &Entry) -> bool {
    let Ok(Some(line)) = hands.text("proc/cmdline") else { return false };
    let running = Arguments::from_line(&line);
    let is_there = |wanted: &Argument| running.get(&wanted.key) == Some(&wanted.value);
    let mut all = entry.steps.iter().filter_map(arguments_of);
    entry.boot != boot_id(hands) && all.any(|wanted| wanted.iter().any(is_there))
}

fn said(value: Option<&BootValue>) -> String {
    match value {
        None | Some(BootValue::Absent) => "absent".to_owned(),
        Some(BootValue::Flag) => "there".to_owned(),
        Some(BootValue::Is(value)) => value.clone(),
    }
}

/// What the kernel made of an argument that it was given, where it says so.
fn effective(source: &Source, key: &str, value: &BootValue) -> Standing {
    let BootValue::Is(value) = value else { return Standing::Took };
    let list = |path: &str| source.cpu_list(path).into_value();
    // Flags such as "managed_irq," stand in front of the CPUs.
    let cpus = |text: &str| -> Option<CpuSet> {
        let numbers = text.split(',').filter(|part| part.starts_with(|c: char| c.is_ascii_digit()));
        numbers.collect::<Vec<_>>().join(",").parse().ok()
    };
    let (now, is_at_least) = match key {
        "nohz_full" => (list("sys/devices/system/cpu/nohz_full"), true),
        // Without "domain" the flags isolate from other things, which no file shows.
        "isolcpus"
            if value.starts_with(|c: char| c.is_ascii_digit()) || value.contains("domain") =>
        {
            (list("sys/devices/system/cpu/isolated"), true)
        }
        "irqaffinity" => (source.cpu_mask("proc/irq/default_smp_affinity").into_value(), false),
        _ => return Standing::Took,
    };
    match (now, cpus(value)) {
        (Some(now), Some(wanted)) if now == wanted || (is_at_least && wanted.is_subset(&now)) => {
            Standing::Took
        }
        (Some(now), Some(_)) => Standing::Changed { now: now.to_string() },
        (None, _) | (_, None) => Standing::Took,
    }
}
