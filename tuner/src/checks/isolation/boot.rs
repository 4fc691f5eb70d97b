//! What the boot line says about isolation.

use config::{CpuId, CpuSet};
use linux::cmdline::{self, Cmdline};

use super::scheduler::boot_list;
use crate::{
    change::{BootValue, Change},
    checks::{
        Context, Outcome,
        judge::known,
        wording::{self, cpus, lines},
    },
};

/// The parameters that take a list of CPUs.
const LISTS: &[&str] = &["isolcpus", "nohz_full", "rcu_nocbs", "irqaffinity", "kthread_cpus"];

/// The last CPU that `N` can mean.
fn last(context: &Context<'_>) -> Result<CpuId, Outcome> {
    known(&context.facts.isolation.last_cpu, "this kernel does not say which CPUs it can have")
        .copied()
}

/// The list part of a parameter's value.
fn list_of<'v>(key: &str, value: &'v str) -> &'v str {
    if key == "isolcpus" { cmdline::isolcpus(value).1 } else { value }
}

/// The CPUs that every parameter of this name lists, as far as the lists can be read; `None` when there is none.
fn listed(line: &Cmdline, key: &str, last: CpuId) -> Option<CpuSet> {
    let mut all = None;
    for parameter in line.all(key) {
        let Some(value) = &parameter.value else { continue };
        if let Some(cpus) = cmdline::cpu_list(list_of(key, value), last) {
            all = Some(all.unwrap_or_else(CpuSet::new).union(&cpus));
        }
    }
    all
}

pub(super) fn lists(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let (line, last) = (context.cmdline()?, last(context)?);
    let (mut wrong, mut count) = (Vec::new(), 0);
    for key in LISTS {
        for parameter in line.all(key) {
            count += 1;
            match &parameter.value {
                // rcu_nocbs may stand alone; the others then mean nothing.
                None if *key == "rcu_nocbs" => {}
                None => wrong.push(format!("{key} has no list")),
                Some(value) if cmdline::cpu_list(list_of(key, value), last).is_none() => {
                    let shown: String =
                        value.chars().take(60).flat_map(char::escape_default).collect();
                    wrong.push(format!("{key}={shown} is no list of CPU 0-{last}"));
                }
                Some(_) => {}
            }
        }
    }
    if count == 0 {
        return Ok(Outcome::not_applicable("the boot line has no lists of CPUs"));
    }
    let outcome = if wrong.is_empty() {
        Outcome::good(format!("{}, all readable", wording::count(count, "list")))
    } else {
        let outcome = Outcome::bad(format!(
            "not readable: {} of {}",
            wrong.len(),
            wording::count(count, "list")
        ));
        outcome.advice("write these parameters anew: the kernel ignores them as they are")
    };
    Ok(outcome.wanted("lists of CPUs that exist").details(lines(wrong)))
}

pub(super) fn rcu_offload(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let wanted = format!("{} offloaded", cpus(&workers));
    if let Some(nohz) = context.facts.isolation.nohz_full.value()
        && workers.is_subset(nohz)
    {
        return Ok(Outcome::good("implied by nohz_full").wanted(wanted));
    }
    // What the kernel did: it has a thread for the callbacks of each CPU that is offloaded.
    let threads = context.facts.tasks.threads();
    let served = |name: &str| -> Option<CpuId> {
        let number = name.strip_prefix("rcuop/").or_else(|| name.strip_prefix("rcuos/"))?;
        number.parse().ok()
    };
    let offloaded: Option<CpuSet> = threads
        .value()
        .map(|threads| threads.iter().filter_map(|task| served(&task.stat.name)).collect());
    if offloaded.as_ref().is_some_and(|cpus| workers.is_subset(cpus)) {
        return Ok(Outcome::good("RCU has threads for the callbacks of these CPUs").wanted(wanted));
    }
    let (line, last) = (context.cmdline()?, last(context)?);
    let asked = listed(line, "rcu_nocbs", last).unwrap_or_default();
    if workers.is_subset(&asked) {
        return Ok(Outcome::good(format!("rcu_nocbs={asked}")).wanted(wanted));
    }
    let asked = asked.union(&offloaded.unwrap_or_default());
    Ok(Outcome::bad(format!("{} offloaded", cpus(&asked))).wanted(wanted).fix(boot_list(
        "rcu_nocbs",
        "",
        &workers,
    )))
}

pub(super) fn rcu_polling(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let outcome = if context.cmdline()?.has("rcu_nocb_poll") {
        let key = "rcu_nocb_poll".to_owned();
        Outcome::info("RCU's threads poll")
            .fix(Change::BootParameter { key, value: BootValue::Absent })
    } else {
        Outcome::good("RCU's threads are woken")
    };
    Ok(outcome.wanted("no rcu_nocb_poll"))
}

pub(super) fn patience(context: &Context<'_>) -> Result<Outcome, Outcome> {
    const ENOUGH: i64 = 1000;
    let facts = &context.facts.isolation;
    let patience = *known(&facts.patience_ms, "this kernel has no such delay")?;
    let nohz = known(&facts.nohz_full, "this kernel has no tick-free CPUs")?;
    if nohz.is_empty() {
        return Ok(Outcome::not_applicable("no CPU is tick-free"));
    }
    let seen = format!("{patience} ms");
    let outcome = if patience >= ENOUGH {
        Outcome::good(seen)
    } else {
        Outcome::info(seen).fix(Change::BootParameter {
            key: "rcutree.nohz_full_patience_delay".to_owned(),
            value: BootValue::Is(ENOUGH.to_string()),
        })
    };
    Ok(outcome.wanted(format!("{ENOUGH} ms, if measured to help")))
}

pub(super) fn managed_irq(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let (workers, line, last) = (context.workers()?, context.cmdline()?, last(context)?);
    let wanted = format!("isolcpus=managed_irq,{workers}");
    let (mut managed, mut domain) = (CpuSet::new(), CpuSet::new());
    for parameter in line.all("isolcpus") {
        let (flags, list) = cmdline::isolcpus(parameter.value.as_deref().unwrap_or_default());
        let Some(cpus) = cmdline::cpu_list(list, last) else { continue };
        if flags.contains(&"managed_irq") {
            managed = managed.union(&cpus);
        }
        // Without flags it means domain.
        if flags.contains(&"domain") || flags.is_empty() {
            domain = domain.union(&cpus);
        }
    }
    if workers.is_subset(&managed) {
        return Ok(Outcome::good(format!("managed_irq for {}", cpus(&managed))).wanted(wanted));
    }
    let functions = known(&context.facts.pci.functions, "this machine has no PCI")?;
    // Mass storage (01), non-volatile memory (08).
    let disks = functions.iter().filter(|function| function.class >> 8 == 0x0108).count();
    let seen =
        format!("managed_irq for {}; {}", cpus(&managed), wording::count(disks, "NVMe controller"));
    let prefix = if domain.is_empty() { "managed_irq," } else { "managed_irq,domain," };
    let outcome = if disks == 0 { Outcome::info(seen) } else { Outcome::warn(seen) };
    Ok(outcome.wanted(wanted).fix(boot_list("isolcpus", prefix, &workers.union(&domain))))
}

pub(super) fn irqaffinity(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let (workers, line, last) = (context.workers()?, context.cmdline()?, last(context)?);
    let kept = context.housekeeping()?.difference(&workers);
    let wanted = format!("irqaffinity={kept}");
    if !line.has("irqaffinity") {
        let outcome = Outcome::info("no irqaffinity=").wanted(wanted);
        return Ok(outcome.fixes((!kept.is_empty()).then(|| boot_list("irqaffinity", "", &kept))));
    }
    let Some(asked) = listed(line, "irqaffinity", last) else {
        return Ok(Outcome::unknown("irqaffinity= can not be read (see ISO-20)").wanted(wanted));
    };
    let seen = format!("irqaffinity={asked}");
    if workers.is_disjoint(&asked) {
        return Ok(Outcome::good(seen).wanted(wanted));
    }
    let outcome = Outcome::bad(seen).wanted(wanted);
    Ok(outcome.fixes((!kept.is_empty()).then(|| boot_list("irqaffinity", "", &kept))))
}
