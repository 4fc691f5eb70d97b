//! What the machine says of itself: the map of its CPUs, its memory, the notation of its masks.

use config::{CpuId, CpuSet, machine::Machine};
use linux::dimm::Slot;

use crate::{
    Fact,
    checks::{
        Context, Outcome,
        judge::known,
        wording::{count, cpus, lines},
    },
};

pub(super) fn consistent(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let wanted = "every cpu on one node, siblings that name each other";
    let machine = known(&context.facts.machine, "this machine has no CPUs")?;
    let wrong = contradictions(machine);
    if !wrong.is_empty() {
        return Ok(Outcome::bad(count(wrong.len(), "contradiction"))
            .wanted(wanted)
            .details(lines(wrong))
            .advice("list workers by hand until the firmware's tables are right"));
    }
    let untold = known(&context.facts.topology.untold, "this machine has no CPUs")?;
    if !untold.is_empty() {
        let why = format!("the kernel does not say which core {} belongs to", cpus(untold));
        return Ok(Outcome::unknown(why).wanted(wanted));
    }
    let (cpus, nodes) = (machine.cpus_where(|cpu| cpu.online).len(), machine.nodes.len());
    if !context.facts.topology.has_nodes {
        let seen =
            format!("{}; the kernel knows no NUMA nodes, and one is assumed", count(cpus, "CPU"));
        return Ok(Outcome::warn(seen).wanted(wanted));
    }
    Ok(Outcome::good(format!("{} on {}", count(cpus, "CPU"), count(nodes, "node"))).wanted(wanted))
}

/// What of the machine's map can not be true.
fn contradictions(machine: &Machine) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = CpuSet::new();
    for node in &machine.nodes {
        let twice = seen.intersection(&node.cpus);
        if !twice.is_empty() {
            wrong.push(format!("{} is on node {} and on another one", cpus(&twice), node.id));
        }
        seen = seen.union(&node.cpus);
    }
    let online = machine.cpus_where(|cpu| cpu.online);
    let nowhere = online.difference(&seen);
    if !nowhere.is_empty() {
        wrong.push(format!("{} is on no node", cpus(&nowhere)));
    }
    for cpu in machine.cpus.iter().filter(|cpu| cpu.online) {
        let forgetful = cpu.siblings.iter().filter(|id| {
            machine.cpu(*id).is_some_and(|other| other.online && !other.siblings.contains(cpu.id))
        });
        let forgetful: CpuSet = forgetful.collect();
        if !forgetful.is_empty() {
            let (id, others) = (cpu.id, cpus(&forgetful));
            wrong.push(format!(
                "cpu {id} says that it shares its core with {others}, not the reverse"
            ));
        }
    }
    wrong
}

pub(super) fn memory(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let wanted = "a module of the same size in every channel";
    let topology = &context.facts.topology;
    if let Fact::Is(controllers) = &topology.controllers
        && !controllers.is_empty()
    {
        let details = lines(controllers.iter().map(|mc| {
            let mib: Vec<String> = mc.mib.iter().map(ToString::to_string).collect();
            format!("{}: {} MiB by channel", mc.name, mib.join(", "))
        }));
        let (channels, populated) = controllers
            .iter()
            .fold((0, 0), |(all, full), mc| (all + mc.mib.len(), full + mc.populated()));
        let seen = format!("{populated} of {channels} channels have memory");
        let is_uneven = controllers.iter().any(|mc| mc.mib.iter().any(|mib| *mib != mc.mib[0]));
        let is_single = controllers.iter().any(|mc| mc.mib.len() > 1 && mc.populated() == 1);
        let outcome = if is_single {
            Outcome::bad(seen)
        } else if is_uneven {
            Outcome::warn(seen)
        } else {
            Outcome::good(seen)
        };
        return Ok(outcome.wanted(wanted).details(details));
    }
    let slots = known(&topology.slots, "this machine tells of no memory modules")?;
    Ok(by_slots(slots).wanted(wanted))
}

/// What the firmware's list of slots allows to say: it does not know channels.
fn by_slots(slots: &[Slot]) -> Outcome {
    let full: Vec<&Slot> = slots.iter().filter(|slot| slot.mib != Some(0)).collect();
    let seen = format!("modules in {} of {} slots; channels are not told", full.len(), slots.len());
    let details = lines(full.iter().map(|slot| match slot.mib {
        Some(mib) => format!("{}: {mib} MiB", slot.locator),
        None => format!("{}: of a size that the firmware does not know", slot.locator),
    }));
    let is_uneven = full.windows(2).any(|pair| pair[0].mib != pair[1].mib);
    let outcome = match (full.len(), slots.len()) {
        (0, _) => return Outcome::not_applicable("the firmware lists no memory modules"),
        // The one module of a virtual machine has no channel.
        (1, 1) => Outcome::info(seen),
        (1, _) => Outcome::bad(seen),
        _ if is_uneven => Outcome::warn(seen),
        _ => Outcome::info(seen),
    };
    outcome.details(details)
}

pub(super) fn masks(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let topology = &context.facts.topology;
    let wanted = "lists and masks of all possible CPUs";
    let text = known(&topology.possible, "this kernel does not say which CPUs it can have")?;
    let possible: CpuSet = match text.parse() {
        Ok(cpus) => cpus,
        Err(error) => {
            let seen = format!("the possible CPUs are not understood: {error}");
            return Ok(Outcome::bad(seen).wanted(wanted));
        }
    };
    let mask = possible.to_hex_mask();
    let survives = CpuSet::from_hex_mask(&mask).is_ok_and(|cpus| cpus == possible)
        && possible.to_string().parse() == Ok(possible.clone());
    if !survives {
        let seen = format!("{} does not survive its own notation", cpus(&possible));
        return Ok(Outcome::bad(seen).wanted(wanted));
    }
    if let Fact::Is(mask) = &topology.a_mask
        && let Err(error) = CpuSet::from_hex_mask(mask)
    {
        let seen = format!("the kernel's mask is not understood: {error}");
        return Ok(Outcome::bad(seen).wanted(wanted));
    }
    let count = possible.last().map_or(0, |last: CpuId| last.index() + 1);
    Ok(Outcome::good(format!("{count} CPUs are possible")).wanted(wanted))
}
