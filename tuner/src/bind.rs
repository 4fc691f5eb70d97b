//! Giving devices to poll-mode drivers, and taking them back: what would be done, and why not.
//!
//! ```text
//!  facts + guard ─► judge ─► Candidate{decision} ─► steps    the driver now, a udev rule for later
//!  journal ─────────────────► original ─► way_back           the driver of before, without the rule
//! ```
//! It decides and does nothing: what changes the machine goes through the journal, as with everything else.

pub mod rules;

use std::collections::BTreeSet;

use config::{MacAddress, PciAddress};
use linux::pci::Function;
use serde::Serialize;

use crate::{
    Fact, Facts, Risk,
    change::Change,
    facts::pci::USER_DRIVERS,
    guard::Guard,
    hands::Hands,
    holders::Holder,
    journal::{Deed, Effect, Entry, Progress},
    knob::{Binding, Knob, KnobError, Value},
    plan::{Blast, Scope, Step},
};

/// The driver that gives devices to programs.
pub const VFIO: &str = "vfio-pci";

/// A device that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The function.
    pub device: PciAddress,
    /// Its interfaces, which disappear.
    pub interfaces: Vec<String>,
    /// The driver that has it.
    pub driver: Option<String>,
    /// What becomes of it.
    #[serde(flatten)]
    pub decision: Decision,
}

/// What becomes of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "decision")]
pub enum Decision {
    /// It changes its driver.
    Change {
        /// To this one.
        to: String,
    },
    /// It has that driver already.
    Already,
    /// Its driver shares it with poll-mode drivers, and stays.
    Shared,
    /// It is not touched.
    Refused {
        /// Why not.
        reasons: Vec<String>,
    },
}

/// Devices that a poll-mode driver may drive, by base class and subclass (`linux/pci_ids.h`): network controllers,
/// DMA engines, co-processors, encryption, accelerators.
fn is_for_poll_mode(class: u32) -> bool {
    matches!(class >> 16, 0x02 | 0x10 | 0x12) || matches!(class >> 8, 0x0801 | 0x0880 | 0x0b40)
}

/// What was accepted on the command line, by name.
#[derive(Debug, Clone, Default)]
pub struct Accepted {
    /// Ethernet addresses that may be lost.
    pub known: BTreeSet<MacAddress>,
    /// Devices that nothing confines may be given away.
    pub without_iommu: bool,
}

/// What giving a device to vfio-pci comes to.
#[must_use]
pub fn judge(facts: &Facts, guard: &Guard, function: &Function, accepted: &Accepted) -> Candidate {
    let decision = if facts.pci.is_shared(function) {
        Decision::Shared
    } else if function.driver.as_deref() == Some(VFIO) {
        // It may have been given away until the next boot only, and is not made to last in passing.
        match unconfined(facts, function, accepted).filter(|_| !is_kept(facts, function.address)) {
            Some(reason) => Decision::Refused { reasons: vec![reason] },
            None => Decision::Already,
        }
    } else {
        let reasons = against(facts, guard, function, accepted);
        match reasons.is_empty() {
            true => Decision::Change { to: VFIO.to_owned() },
            false => Decision::Refused { reasons },
        }
    };
    candidate(facts, function, decision)
}

fn candidate(facts: &Facts, function: &Function, decision: Decision) -> Candidate {
    let all = facts.nics.all.value().into_iter().flatten();
    let on_it = all.filter(|one| one.pci == Some(function.address)).map(|one| one.name.clone());
    Candidate {
        device: function.address,
        interfaces: on_it.collect(),
        driver: function.driver.clone(),
        decision,
    }
}

/// What speaks against giving a device to vfio-pci.
fn against(facts: &Facts, guard: &Guard, function: &Function, accepted: &Accepted) -> Vec<String> {
    let address = function.address;
    let mut reasons: Vec<String> = guard
        .of_function_knowing(address, &accepted.known)
        .iter()
        .map(ToString::to_string)
        .collect();
    if !is_for_poll_mode(function.class) {
        let class = function.class;
        reasons.push(format!("no poll-mode driver drives a device of class {class:06x}"));
    }
    let details = facts.pci.details.get(&address);
    let count = details.and_then(|details| details.virtual_functions.value().copied());
    if let Some(count) = count.filter(|&count| count > 0) {
        reasons.push(format!("it has {count} virtual functions, which its driver takes with it"));
    }
    reasons.extend(unconfined(facts, function, accepted));
    let reserved = facts.pci.reserved.value().into_iter().flatten();
    let mut reserved = reserved.filter(|line| line.contains(&address.to_string()));
    if let Some(line) = reserved.next() {
        reasons.push(format!("its firmware keeps memory for it: {line}"));
    }
    reasons
}

/// Why a device that no IOMMU confines is not given away, if it is one.
fn unconfined(facts: &Facts, function: &Function, accepted: &Accepted) -> Option<String> {
    if facts.pci.is_confined(function) {
        return None;
    }
    let reach = "its DMA reaches all memory";
    if !accepted.without_iommu {
        return Some(format!(
            "no IOMMU confines it: {reach}, so who has the device has the machine \
             (--without-iommu takes the risk)"
        ));
    }
    match facts.pci.vfio.no_iommu.value() {
        Some(true) => None,
        Some(false) | None => Some(format!(
            "no IOMMU confines it, and vfio takes nothing of that kind while its \
             enable_unsafe_noiommu_mode is off: {reach}"
        )),
    }
}

/// Devices of the same IOMMU group that keep it from being opened: the kernel drives them.
#[must_use]
pub fn siblings_in_the_way(facts: &Facts, chosen: &[PciAddress]) -> Vec<String> {
    let mut found = BTreeSet::new();
    for address in chosen {
        let Some(group) = facts.pci.function(*address).and_then(|one| one.iommu_group) else {
            continue;
        };
        for other in facts.pci.group(group) {
            let is_bridge = other.class >> 16 == 0x06;
            let is_free = matches!(other.driver.as_deref(), None | Some(VFIO | "pci-stub"));
            if !is_bridge && !is_free && !chosen.contains(&other.address) {
                let driver = other.driver.as_deref().unwrap_or_default();
                found.insert(format!("{} ({driver}) in group {group}", other.address));
            }
        }
    }
    found.into_iter().collect()
}

/// The steps that give devices to vfio-pci: first the files, then the drivers.
///
/// `guard` tells which of them cut somebody off.
#[must_use]
pub fn steps(facts: &Facts, guard: &Guard, chosen: &[Candidate], is_lasting: bool) -> Vec<Step> {
    let keep: Vec<&Function> = chosen
        .iter()
        .filter(|one| matches!(one.decision, Decision::Change { .. } | Decision::Already))
        .filter(|one| is_lasting && !is_kept(facts, one.device))
        .filter_map(|one| facts.pci.function(one.device))
        .collect();
    let files = rules::keep(&facts.pci.vfio, &keep).into_iter();
    let drivers = chosen.iter().filter_map(|one| match &one.decision {
        Decision::Change { to } => Some((one, to)),
        Decision::Already | Decision::Shared | Decision::Refused { .. } => None,
    });
    let drivers = drivers.map(|(one, to)| {
        let change = Change::Driver { device: one.device, driver: to.clone() };
        let blast = match guard.of_function(one.device).is_empty() {
            true => Blast::Programs,
            false => Blast::Management,
        };
        let from = one.driver.clone().map_or(Fact::Absent, Fact::Is);
        let scope = if is_lasting { Scope::Runtime } else { Scope::Once };
        let why = "a poll-mode driver only opens what vfio has";
        Step { scope, ..step("VFIO-01", change, from, blast, why) }
    });
    let why = "a binding in sysfs is forgotten at the next boot";
    let unread = || Fact::unknown("it is read when it is written");
    let files = files.map(|change| step("VFIO-03", change, unread(), Blast::Nothing, why));
    files.chain(drivers).collect()
}

fn is_kept(facts: &Facts, device: PciAddress) -> bool {
    let vfio = &facts.pci.vfio;
    let name = rules::driverctl_name(device);
    let by_driverctl = vfio.driverctl.value().into_iter().flatten();
    rules::has(&vfio.rules, device)
        || by_driverctl.into_iter().any(|(file, driver)| *file == name && driver == VFIO)
}

fn step(check: &str, change: Change, from: Fact<String>, blast: Blast, why: &str) -> Step {
    Step {
        checks: vec![check.to_owned()],
        to: change.wanted(),
        scope: if matches!(change, Change::File { .. }) { Scope::Boot } else { Scope::Runtime },
        change,
        from,
        risk: Risk::High,
        blast,
        why: why.to_owned(),
        sources: vec!["DPDK 25.11, Linux Drivers".to_owned()],
    }
}

/// What a device had before one of us gave it away: the oldest entry of the journal that is about it knows.
#[must_use]
pub fn original(entries: &[Entry], device: PciAddress) -> Option<Binding> {
    let effects = entries.iter().filter(|entry| entry.is_active()).flat_map(|entry| &entry.effects);
    let mut bindings = effects.filter_map(|effect| match &effect.deed {
        Deed::Turn { knob: Knob::Driver { device: other }, from: Value::Driver(from), .. } => {
            (*other == device && effect.progress.may_count()).then(|| from.clone())
        }
        Deed::Turn { .. } | Deed::Run { .. } => None,
    });
    let is_own = |binding: &Binding| {
        binding.driver.as_deref().is_some_and(|driver| !USER_DRIVERS.contains(&driver))
    };
    bindings.find(is_own)
}

/// What taking a device back comes to. `to` is the driver that it had, if that is known.
#[must_use]
pub fn judge_return(
    facts: &Facts,
    function: &Function,
    to: Option<&str>,
    users: &[Holder],
) -> Candidate {
    let is_away = function.driver.as_deref().is_none_or(|driver| USER_DRIVERS.contains(&driver));
    let decision = if !is_away {
        Decision::Already
    } else if let Some(user) = users.first() {
        // The kernel would wait for it to let go, for as long as that takes.
        let reasons = vec![format!("{} (process {}) uses it", user.name, user.process)];
        Decision::Refused { reasons }
    } else if let Some(to) = to {
        Decision::Change { to: to.to_owned() }
    } else {
        let why = "the journal does not say who drove it: name its driver with --driver";
        Decision::Refused { reasons: vec![why.to_owned()] }
    };
    candidate(facts, function, decision)
}

/// The steps that take devices back, and what they come down to: the driver of before (and any may bind again), and
/// our rule gone.
///
/// # Errors
/// [`KnobError`] when what is there can not be read.
pub fn way_back(
    hands: &dyn Hands,
    facts: &Facts,
    chosen: &[(Candidate, Binding)],
) -> Result<(Vec<Step>, Vec<Effect>), KnobError> {
    let devices: Vec<PciAddress> = chosen.iter().map(|(one, _)| one.device).collect();
    let (mut steps, mut effects) = (Vec::new(), Vec::new());
    let mut turn = |step: usize, knob: Knob, to: Value| -> Result<(), KnobError> {
        let from = knob.read(hands)?;
        if !knob.is_same(&from, &to) {
            let deed = Deed::Turn { knob, from, to };
            effects.push(Effect { step, deed, progress: Progress::Planned });
        }
        Ok(())
    };
    for (one, binding) in chosen {
        let driver = binding.driver.clone().unwrap_or_default();
        let change = Change::Driver { device: one.device, driver };
        let from = one.driver.clone().map_or(Fact::Absent, Fact::Is);
        let why = "its own driver comes back";
        steps.push(step("VFIO-01", change, from, Blast::Programs, why));
        let index = steps.len() - 1;
        let knob = Knob::Driver { device: one.device };
        turn(index, knob, Value::Driver(binding.clone()))?;
        let path = format!("etc/driverctl.d/{}", rules::driverctl_name(one.device));
        let knob = Knob::File { path };
        if let Value::File(there) = knob.read(hands)?
            && there.bytes.text().is_some_and(|text| text.trim() == VFIO)
        {
            turn(index, knob, Value::Absent)?;
        }
    }
    let knob = Knob::File { path: rules::FILE.to_owned() };
    let has_ours = devices.iter().any(|device| rules::has(&facts.pci.vfio.rules, *device));
    if let (true, Value::File(there)) = (has_ours && !steps.is_empty(), knob.read(hands)?) {
        let to = match rules::without(&facts.pci.vfio.rules, &devices) {
            Some(text) => Value::File(there.with_text(text)),
            None => Value::Absent,
        };
        turn(steps.len() - 1, knob, to)?;
    }
    Ok((steps, effects))
}

#[cfg(test)]
mod tests;
