//! `barewire-tune bind` and `unbind`

use std::time::Duration;

use config::{MacAddress, PciAddress};
use linux::pci::Function;
use serde::Serialize;

use super::{
    Failure, Session, apply,
    changes::{Stopped, writing},
};
use crate::{
    Exit, Fact, Facts, Intent, Source,
    bind::{self, Accepted, Candidate, Decision},
    executor::{self, compile},
    hands::Hands,
    holders::Holder,
    journal::{self, Confirmation, Kind},
    knob::{self, Binding},
};

/// Give devices to poll-mode drivers: to vfio-pci, now and at every boot.
///
/// What anybody needs is refused, by name and reason: default routes, your SSH session, addresses, storage, and what
/// these stand on. Devices whose driver shares them (mlx5, mlx4, mana) are left alone.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    common: Common,
    /// Take this interface although it must stay: its Ethernet address, for each that is lost.
    #[arg(long = "i-know", value_name = "MAC")]
    known: Vec<MacAddress>,
    /// Until the next boot only.
    #[arg(long)]
    once: bool,
    /// Take also what no IOMMU confines: its DMA reaches all memory.
    #[arg(long)]
    without_iommu: bool,
}

/// Take devices back from poll-mode drivers: their own driver comes back.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Back {
    #[command(flatten)]
    common: Common,
    /// The driver, where the journal does not know it.
    #[arg(long, value_name = "NAME", value_parser = driver)]
    driver: Option<String>,
}

#[derive(Debug, Clone, clap::Args)]
struct Common {
    /// PCI functions (0000:3b:00.0), interfaces, or ports of the configuration.
    #[arg(required = true, value_name = "DEVICE|IF")]
    devices: Vec<String>,
    /// Roll back after so long, or at the next boot, unless `barewire-tune confirm` comes.
    #[arg(long, value_name = "TIME", value_parser = apply::confirm_within)]
    confirm_within: Option<Duration>,
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

/// A driver's name is a directory in sysfs, and an argument of modprobe.
fn driver(text: &str) -> Result<String, String> {
    let is_name = !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        && !text.starts_with('-');
    if is_name { Ok(text.to_owned()) } else { Err("not the name of a driver".to_owned()) }
}

/// What is answered in JSON where nothing is done: refused, or only asked.
#[derive(Debug, Serialize)]
struct Judged<'a> {
    version: u32,
    exit: Exit,
    devices: &'a [Candidate],
    warnings: &'a [String],
}

pub(super) fn bind(args: &Args, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let source = session.source()?;
    let facts = Facts::read(&source);
    let intent = session.intent(&source, &facts)?;
    let functions = find(&args.common.devices, &facts, &intent)?;
    let accepted =
        Accepted { known: args.known.iter().copied().collect(), without_iommu: args.without_iommu };
    let judged = functions.iter().map(|one| bind::judge(&facts, &intent.guard, one, &accepted));
    let judged: Vec<Candidate> = judged.collect();
    let changing: Vec<PciAddress> = changing(&judged).map(|one| one.device).collect();
    let siblings = bind::siblings_in_the_way(&facts, &changing).into_iter();
    let warnings: Vec<String> = siblings
        .map(|who| format!("{who}: vfio opens no group in which the kernel drives something"))
        .collect();
    let common = &args.common;
    if let Some(exit) = answer(common, &judged, &warnings, session)? {
        return Ok(exit);
    }
    let hands = session.hands()?;
    let hands: &dyn Hands = &hands;
    let steps = bind::steps(&facts, &intent.guard, &judged, !args.once);
    let effects = compile(hands, &steps).map_err(apply::not_compiled)?;
    let journal = match common.dry_run {
        true => return dry_run(common, &judged, &warnings, &effects, session),
        false => session.journal(hands, Duration::from_secs(5))?,
    };
    carry_out(common, hands, &journal, (steps, effects), session)
}

pub(super) fn unbind(args: &Back, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let source = session.source()?;
    let facts = Facts::read(&source);
    let intent = session.intent_whatever(&source, &facts)?;
    let functions = find(&args.common.devices, &facts, &intent)?;
    let common = &args.common;
    let hands = session.hands()?;
    let hands: &dyn Hands = &hands;
    let entries = journal::entries(hands, &session.common.state.path()?).map_err(writing)?;
    let mut judged = Vec::new();
    let mut chosen = Vec::new();
    for function in functions {
        let remembered = bind::original(&entries, function.address);
        let binding = match &args.driver {
            Some(driver) => Some(Binding { driver: Some(driver.clone()), only: None }),
            None => remembered,
        };
        let users = users(&source, hands, function)?;
        let to = binding.as_ref().and_then(|binding| binding.driver.as_deref());
        let candidate = bind::judge_return(&facts, function, to, &users);
        if let (Decision::Change { .. }, Some(binding)) = (&candidate.decision, binding) {
            chosen.push((candidate.clone(), binding));
        }
        judged.push(candidate);
    }
    if let Some(exit) = answer(common, &judged, &[], session)? {
        return Ok(exit);
    }
    let unread = |error| Stopped::new(Exit::Unknown, "nothing was changed").because(error);
    if common.dry_run {
        let (_, effects) = bind::way_back(hands, &facts, &chosen).map_err(unread)?;
        return dry_run(common, &judged, &[], &effects, session);
    }
    let journal = session.journal(hands, Duration::from_secs(5))?;
    let done = bind::way_back(hands, &facts, &chosen).map_err(unread)?;
    carry_out(common, hands, &journal, done, session)
}

/// The functions that were asked for: by address, by interface, by the name of a port.
fn find<'a>(
    names: &[String],
    facts: &'a Facts,
    intent: &Intent,
) -> Result<Vec<&'a Function>, Failure> {
    let by_name = |name: &str| -> Option<PciAddress> {
        let interfaces = facts.nics.all.value().into_iter().flatten();
        let interface = interfaces.into_iter().find(|one| one.name == name);
        let port = || intent.data.iter().find(|port| port.name == name);
        name.parse().ok().or_else(|| interface?.pci).or_else(|| port()?.pci)
    };
    let mut found: Vec<&Function> = Vec::new();
    for name in names {
        let function = by_name(name).and_then(|address| facts.pci.function(address));
        let Some(function) = function else {
            let wrong = format!("there is no PCI function behind {name:?}");
            return Err(Failure::Usage(wrong));
        };
        if !found.iter().any(|known| known.address == function.address) {
            found.push(function);
        }
    }
    Ok(found)
}

/// Who uses a device that is away; that nobody can say so counts as somebody.
fn users(source: &Source, hands: &dyn Hands, function: &Function) -> Result<Vec<Holder>, Failure> {
    let device = function.address;
    let asked = source.ask(&format!("vfio/users/{device}"), || match knob::users(hands, device) {
        Ok(users) => Fact::Is(users),
        Err(error) => Fact::unknown(executor::chain(&error)),
    });
    match asked {
        Fact::Is(users) => Ok(users),
        Fact::Absent => Ok(Vec::new()),
        Fact::Unknown { why } => {
            let what = format!("cannot tell who uses {device}: {why}");
            Err(Stopped::new(Exit::Unknown, what).into())
        }
    }
}

fn changing(judged: &[Candidate]) -> impl Iterator<Item = &Candidate> {
    judged.iter().filter(|one| matches!(one.decision, Decision::Change { .. }))
}

/// Says what was decided; ends the program when one of them is refused: all of them change, or none.
fn answer(
    common: &Common,
    judged: &[Candidate],
    warnings: &[String],
    session: &mut Session<'_>,
) -> Result<Option<Exit>, Failure> {
    let is_refused = judged.iter().any(|one| matches!(one.decision, Decision::Refused { .. }));
    if !common.json {
        for one in judged {
            say(one, session)?;
        }
        for warning in warnings {
            writeln!(session.err, "warning: {warning}")?;
        }
    }
    if !is_refused {
        return Ok(None);
    }
    if common.json {
        let exit = Exit::Refused;
        session.json(&Judged { version: 1, exit, devices: judged, warnings })?;
    } else {
        writeln!(session.err, "refused; nothing was changed")?;
    }
    Ok(Some(Exit::Refused))
}

fn say(one: &Candidate, session: &mut Session<'_>) -> Result<(), Failure> {
    let device = one.device;
    let interfaces = match one.interfaces.as_slice() {
        [] => String::new(),
        names => format!(" ({})", names.join(", ")),
    };
    let driver = one.driver.as_deref().unwrap_or("no driver");
    match &one.decision {
        Decision::Change { to } => {
            writeln!(session.err, "{device}{interfaces}: {driver} -> {to}")?;
        }
        Decision::Already => writeln!(session.err, "{device}{interfaces}: {driver} already")?,
        Decision::Shared => {
            writeln!(
                session.err,
                "{device}{interfaces}: left with {driver}, through which its poll-mode driver works"
            )?;
        }
        Decision::Refused { reasons } => {
            for reason in reasons {
                writeln!(session.err, "{device}{interfaces}: refused: {reason}")?;
            }
        }
    }
    Ok(())
}

fn dry_run(
    common: &Common,
    judged: &[Candidate],
    warnings: &[String],
    effects: &[journal::Effect],
    session: &mut Session<'_>,
) -> Result<Exit, Failure> {
    if common.json {
        let exit = Exit::Success;
        session.json(&Judged { version: 1, exit, devices: judged, warnings })?;
        return Ok(exit);
    }
    apply::dry_run(common.how(), effects, session)
}

impl Common {
    fn how(&self) -> apply::How {
        apply::How { json: self.json, confirm_within: self.confirm_within }
    }
}

fn carry_out(
    common: &Common,
    hands: &dyn Hands,
    journal: &journal::Journal,
    (steps, effects): (Vec<crate::plan::Step>, Vec<journal::Effect>),
    session: &mut Session<'_>,
) -> Result<Exit, Failure> {
    let number = apply::next_number(hands, journal)?;
    if effects.is_empty() {
        return apply::nothing(common.how(), session);
    }
    let mut entry = apply::new_entry(hands, number, Kind::Apply, steps, effects);
    entry.confirmation = common.confirm_within.map(|within| Confirmation {
        within_s: within.as_secs(),
        guard: journal::Guard::None,
        is_given: false,
    });
    apply::carry_out(common.how(), hands, journal, entry, session)
}
