//! Where interrupts are told to go.

use config::CpuSet;

use crate::{
    Fact,
    change::{Change, EthtoolSetting, Form, UnitState},
    checks::{
        Context, Outcome,
        judge::known,
        wording::{count, cpus, lines},
    },
    facts::interrupts::{Irq, SETTINGS},
};

const BANNED: &str = "IRQBALANCE_BANNED_CPULIST";
/// The same as a mask, which irqbalance calls deprecated.
const BANNED_MASK: &str = "IRQBALANCE_BANNED_CPUS";

/// `24 mlx5_comp0`
fn named(irq: &Irq) -> String {
    if irq.handlers.is_empty() {
        irq.number.to_string()
    } else {
        format!("{} {}", irq.number, irq.handlers)
    }
}

/// Tells an interrupt to go to these CPUs.
pub(super) fn affinity(number: u32, cpus: &CpuSet) -> Change {
    let (path, value) = (format!("proc/irq/{number}/smp_affinity_list"), cpus.to_string());
    Change::Kernel { path, value, form: Form::CpuList }
}

/// Where an interrupt goes: what the hardware does or, where the kernel does not say that, what it was told.
fn goes_to(irq: &Irq) -> Result<&CpuSet, &str> {
    let affinity = &irq.affinity;
    match (affinity.effective.known(), affinity.requested.known()) {
        (Some(effective), _) => Ok(effective),
        (None, Some(requested)) => Ok(requested),
        (None, None) => Err(affinity.requested.why().unwrap_or("no reason is known")),
    }
}

pub(super) fn bound(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let kept = context.housekeeping()?.difference(&workers);
    let facts = &context.facts.interrupts;
    let irqs = known(&facts.all, "this machine has no interrupts that can be moved")?;
    let (mut there, mut told, mut unread) = (Vec::new(), Vec::new(), Vec::new());
    for irq in irqs.iter().filter(|irq| !facts.is_managed(irq)) {
        match goes_to(irq) {
            Err(why) => unread.push(format!("{}: {why}", named(irq))),
            Ok(cpus) if !cpus.is_disjoint(&workers) => there.push(irq),
            Ok(_) => {
                let requested = irq.affinity.requested.known();
                if requested.is_some_and(|cpus| !cpus.is_disjoint(&workers)) {
                    told.push(irq);
                }
            }
        }
    }
    let outcome = match (there.len(), told.len()) {
        (0, 0) if !unread.is_empty() => {
            Outcome::unknown(format!("not readable: {}", count(unread.len(), "interrupt")))
        }
        (0, 0) => {
            Outcome::good(format!("{}, none for workers' CPUs", count(irqs.len(), "interrupt")))
        }
        (0, told) => {
            Outcome::warn(format!("allowed on workers' CPUs: {}", count(told, "interrupt")))
        }
        (there, others) => Outcome::bad(format!(
            "delivered to workers' CPUs: {}; allowed there: {others} more",
            count(there, "interrupt")
        )),
    };
    let wrong: Vec<&Irq> = there.into_iter().chain(told).collect();
    let line = |irq: &&Irq| match goes_to(irq) {
        Ok(to) => format!("{}: {}", named(irq), cpus(to)),
        Err(why) => format!("{}: {why}", named(irq)),
    };
    let details = lines(wrong.iter().map(line).chain(unread));
    let fixes = wrong.iter().filter(|_| !kept.is_empty()).map(|irq| affinity(irq.number, &kept));
    Ok(outcome.wanted(format!("all on {}", cpus(&kept))).details(details).fixes(fixes))
}

pub(super) fn managed(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let facts = &context.facts.interrupts;
    let irqs = known(&facts.all, "this machine has no interrupts that can be moved")?;
    let managed: Vec<&Irq> = irqs.iter().filter(|irq| facts.is_managed(irq)).collect();
    if managed.is_empty() {
        if let Fact::Unknown { why } = &facts.fixed {
            return Ok(Outcome::unknown(why));
        }
        return Ok(Outcome::not_applicable("the kernel keeps no interrupt to itself"));
    }
    let (mut strays, mut own) = (Vec::new(), Vec::new());
    let refused: Vec<_> = managed.iter().filter(|irq| facts.was_refused(irq)).collect();
    for irq in &managed {
        let Some(requested) = irq.affinity.requested.known() else {
            return Ok(Outcome::unknown(format!("the affinity of {} is not known", named(irq))));
        };
        let to = goes_to(irq).unwrap_or(requested);
        if requested.is_disjoint(&workers) || to.is_disjoint(&workers) {
            continue;
        }
        let line = format!("{}: {} of {}", named(irq), cpus(to), cpus(requested));
        if requested.is_subset(&workers) { own.push(line) } else { strays.push(line) }
    }
    let wanted = "delivered to housekeeping CPUs";
    let outcome = if !strays.is_empty() {
        let hint = "isolcpus=managed_irq (ISO-08) and irqaffinity= (ISO-09) on the boot line send them away";
        Outcome::warn(format!("delivered to workers without need: {}", strays.len()))
            .details([hint.to_owned()])
    } else if !own.is_empty() {
        Outcome::info(format!("the workers' own, which fire only when these do I/O: {}", own.len()))
    } else {
        Outcome::good(format!("{}, none delivered to workers", managed.len()))
    };
    let outcome = match refused.len() {
        0 => outcome,
        count => {
            let seen = format!("{}; the kernel refused to move {count}", outcome.seen);
            Outcome { seen, ..outcome }
        }
    };
    let told = refused.iter().map(|irq| format!("{}: the kernel refused to move it", named(irq)));
    Ok(outcome.wanted(wanted).details(lines(strays.into_iter().chain(own).chain(told))))
}

pub(super) fn irqbalance(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    known(&context.facts.tasks.threads(), "there are no threads")?;
    if !context.facts.tasks.runs("irqbalance") {
        return Ok(Outcome::good("it does not run"));
    }
    let facts = &context.facts.interrupts;
    // What the running process was given, or else what it would be given.
    let values = match (&facts.irqbalance, &facts.settings) {
        (Fact::Is(environment), _) => environment.clone(),
        (_, Fact::Is(settings)) => settings.values.clone(),
        (Fact::Absent, Fact::Absent) => std::collections::BTreeMap::new(),
        (_, Fact::Unknown { why }) | (Fact::Unknown { why }, Fact::Absent) => {
            return Ok(Outcome::unknown(why));
        }
    };
    let wanted = format!("{} left out", cpus(&workers));
    let by_default = [&context.facts.isolation.isolated, &context.facts.isolation.nohz_full]
        .into_iter()
        .filter_map(Fact::value)
        .fold(CpuSet::new(), |all, some| all.union(some));
    let is_default = workers.is_subset(&by_default);
    let mut banned = CpuSet::new();
    let outcome = match (values.get(BANNED_MASK).map(String::as_str), values.get(BANNED)) {
        (Some(mask), _) if !mask.is_empty() => match CpuSet::from_hex_mask(mask) {
            Ok(mask) if workers.is_subset(&mask) => {
                return Ok(Outcome::good(format!("{} left out by {BANNED_MASK}", cpus(&mask)))
                    .wanted(wanted));
            }
            Ok(mask) => {
                let outcome = Outcome::bad(format!("{} left out by {BANNED_MASK}", cpus(&mask)));
                banned = mask;
                outcome
            }
            Err(error) => Outcome::bad(format!("{BANNED_MASK}: {error}")),
        },
        (_, Some(list)) if !list.is_empty() => match list.parse::<CpuSet>() {
            Ok(list) if workers.is_subset(&list) => {
                return Ok(Outcome::good(format!("{} left out", cpus(&list))).wanted(wanted));
            }
            Ok(list) => {
                let outcome = Outcome::bad(format!("{} left out", cpus(&list)));
                banned = list;
                outcome
            }
            Err(error) => Outcome::bad(format!("{BANNED}: {error}")),
        },
        (_, Some(_)) if is_default => {
            Outcome::warn(format!("{BANNED} is set to nothing, which versions take differently"))
        }
        (_, Some(_)) => Outcome::bad(format!("{BANNED} is set to nothing")),
        (_, None) if is_default => {
            return Ok(
                Outcome::good(format!("{} left out by default", cpus(&by_default))).wanted(wanted)
            );
        }
        (_, None) => {
            let all = context.facts.isolation.all_isolated();
            if all.value().is_some_and(|all| workers.is_subset(all)) {
                Outcome::warn("the workers' CPUs are in a partition that it may not know of")
            } else {
                Outcome::bad(format!("{} left out by default", cpus(&by_default)))
            }
        }
    };
    let path = match &facts.settings {
        Fact::Is(settings) => settings.path.clone(),
        Fact::Absent | Fact::Unknown { .. } => SETTINGS[0].to_owned(),
    };
    // Those that are neither a worker's nor housekeeping stay idle, and what the plan moves away must not come back to them.
    let spare = spare(context, &workers);
    let value = banned.union(&workers).union(&spare).to_string();
    Ok(outcome
        .wanted(wanted)
        .fix(Change::Setting { path, key: BANNED.to_owned(), value })
        .fix(Change::Unit { unit: "irqbalance.service".to_owned(), state: UnitState::Restarted }))
}

/// CPUs that are neither a worker's nor housekeeping, as far as that is known.
fn spare(context: &Context<'_>, workers: &CpuSet) -> CpuSet {
    match (context.facts.machine.value(), context.housekeeping()) {
        (Some(machine), Ok(kept)) => {
            machine.cpus_where(|cpu| cpu.online).difference(&kept).difference(workers)
        }
        _ => CpuSet::new(),
    }
}

pub(super) fn management(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let kept = context.housekeeping()?.difference(&workers);
    let facts = &context.facts.interrupts;
    let interfaces = context.intent.management.iter();
    let interfaces: Vec<_> =
        interfaces.filter_map(|name| Some((name, facts.interfaces.get(name)?))).collect();
    if interfaces.is_empty() {
        return Ok(Outcome::not_applicable("no management interface has interrupts of its own"));
    }
    let irqs = known(&facts.all, "this machine has no interrupts that can be moved")?;
    let (mut there, mut many, mut details) = (0, 0, Vec::new());
    let mut fixes = Vec::new();
    for (name, interface) in interfaces {
        let on_workers = irqs.iter().filter(|irq| {
            interface.irqs.contains(&irq.number)
                && goes_to(irq).is_ok_and(|to| !to.is_disjoint(&workers))
        });
        let on_workers: Vec<&Irq> = on_workers.collect();
        there += usize::from(!on_workers.is_empty());
        many += usize::from(interface.rx_queues > kept.len());
        details.push(format!(
            "{name}: {}, {} on workers' CPUs",
            count(interface.rx_queues, "queue"),
            count(on_workers.len(), "interrupt")
        ));
        let movable = on_workers.iter().filter(|irq| !facts.is_managed(irq) && !kept.is_empty());
        fixes.extend(movable.map(|irq| affinity(irq.number, &kept)));
        if interface.rx_queues > kept.len()
            && let Ok(combined @ 1..) = u32::try_from(kept.len())
        {
            let setting = EthtoolSetting::Channels { combined };
            fixes.push(Change::Ethtool { interface: name.clone(), setting });
        }
    }
    let outcome = if there > 0 {
        Outcome::bad("its interrupts are delivered to workers' CPUs")
    } else if many > 0 {
        Outcome::warn(format!("more queues than {}", count(kept.len(), "housekeeping CPU")))
    } else {
        Outcome::good("no more queues than housekeeping CPUs")
    };
    let wanted =
        format!("at most {}, and no interrupts on workers' CPUs", count(kept.len(), "queue"));
    // Fewer channels take the link down for a moment; an interrupt that goes elsewhere does not.
    let is_harmless = !fixes.iter().any(|fix| matches!(fix, Change::Ethtool { .. }));
    Ok(outcome.wanted(wanted).details(lines(details)).fixes(fixes).harmless(is_harmless))
}
