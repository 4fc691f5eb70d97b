//! What loops on the workers' CPUs saw.

use config::{CpuId, CpuSet};

use crate::{
    checks::{
        Context, Outcome,
        judge::known,
        wording::{count, cpus, lines},
    },
    facts::processor::Processor,
    measured::{Cause, CpuNoise, Gap, Noise},
};

/// A longest gap below this is good, in ns.
const SHORT: u64 = 10_000;
/// One from this on is bad, in ns.
const LONG: u64 = 50_000;
/// Gaps a minute from which on there are too many.
const MANY_A_MINUTE: f64 = 60.0;
/// Hardware noise below this is good, in ns.
const QUIET: u64 = 5_000;
/// From this on it is bad, in ns.
const NOISY: u64 = 20_000;

/// 12 345 ns as `12.3 µs`.
fn microseconds(ns: u64) -> String {
    format!("{}.{} µs", ns / 1000, ns % 1000 / 100)
}

/// What was seen on each worker's CPU; none is missing.
fn of_workers<'a>(
    context: &Context<'a>,
    workers: &CpuSet,
) -> Result<Vec<(CpuId, &'a CpuNoise)>, Outcome> {
    let noise: &Noise = known(&context.watched()?.noise, "no loop ran on workers' CPUs")?;
    let missing: CpuSet = workers.iter().filter(|cpu| !noise.cpus.contains_key(cpu)).collect();
    if !missing.is_empty() {
        return Err(Outcome::unknown(format!("no loop ran on {}", cpus(&missing))));
    }
    let here = noise.cpus.iter().filter(|(cpu, _)| workers.contains(**cpu));
    Ok(here.map(|(cpu, seen)| (*cpu, seen)).collect())
}

#[expect(clippy::cast_precision_loss, reason = "a rate is an approximation")]
fn a_minute(seen: &CpuNoise) -> f64 {
    if seen.seconds > 0.0 { seen.gaps as f64 / seen.seconds * 60.0 } else { f64::INFINITY }
}

pub(super) fn gaps(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let noise = of_workers(context, &workers)?;
    let longest = noise.iter().map(|(_, seen)| seen.max_ns).max().unwrap_or(0);
    let most = noise.iter().map(|(_, seen)| a_minute(seen)).fold(0.0, f64::max);
    let seen = format!("at most {}, {most:.0} a minute", microseconds(longest));
    let outcome = if longest >= LONG {
        Outcome::bad(seen)
    } else if longest >= SHORT || most >= MANY_A_MINUTE {
        Outcome::warn(seen)
    } else {
        Outcome::good(seen)
    };
    let details = lines(noise.iter().map(|(cpu, seen)| {
        let (max, p999) = (microseconds(seen.max_ns), microseconds(seen.p999_ns));
        format!("cpu {cpu}: max {max}, p99.9 {p999}, {:.0} a minute", a_minute(seen))
    }));
    Ok(outcome.wanted("below 10 µs, fewer than 60 a minute").details(details))
}

pub(super) fn causes(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let noise = of_workers(context, &workers)?;
    if let Some(why) = context.watched()?.noise.value().and_then(|n| n.unattributed.as_ref())
        && noise.iter().any(|(_, seen)| seen.max_ns > SHORT)
    {
        return Ok(Outcome::unknown(why));
    }
    let long = |gap: &&Gap| gap.length_ns > SHORT;
    let all = noise
        .iter()
        .flat_map(|(cpu, seen)| seen.longest.iter().filter(long).map(move |gap| (*cpu, gap)));
    let all: Vec<(CpuId, &Gap)> = all.collect();
    // The list of the longest may be shorter than the longest of all would need.
    if all.is_empty() && noise.iter().any(|(_, seen)| seen.max_ns > SHORT) {
        return Ok(Outcome::unknown("there were gaps over 10 µs, and none was kept"));
    }
    let wanted = "a cause for each gap over 10 µs";
    if all.is_empty() {
        return Ok(Outcome::good("no gap over 10 µs").wanted(wanted));
    }
    let is_outside = |gap: &Gap| gap.causes == [Cause::Outside];
    let known = all.iter().filter(|(_, gap)| !gap.causes.is_empty() && !is_outside(gap)).count();
    let outside = all.iter().filter(|(_, gap)| is_outside(gap)).count();
    let mut seen = format!("{known} of {} over 10 µs have a cause", count(all.len(), "gap"));
    if outside > 0 {
        seen.push_str(&format!(", {outside} not in this kernel"));
    }
    let outcome = if known == all.len() {
        Outcome::good(seen)
    } else if known > 0 {
        Outcome::warn(seen)
    } else {
        Outcome::bad(seen)
    };
    let outcome = match known == all.len() {
        true => outcome,
        false => outcome
            .advice("what the kernel can not see: the firmware (FW-02), the hypervisor (VIRT-01)"),
    };
    let details =
        lines(all.iter().map(|(cpu, gap)| {
            format!("cpu {cpu}: {}, {}", microseconds(gap.length_ns), gap.told())
        }));
    Ok(outcome.wanted(wanted).details(details))
}

pub(super) fn hardware(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let noise = of_workers(context, &workers)?;
    if let Some(why) = context.watched()?.noise.value().and_then(|n| n.unattributed.as_ref()) {
        return Ok(Outcome::unknown(format!("whose gaps they were is not known: {why}")));
    }
    let mut bounds = Vec::new();
    for (cpu, seen) in noise {
        let bound = seen.outside_ns().ok_or_else(|| {
            Outcome::unknown(format!("the kernel's trace of CPU {cpu} has gaps of its own"))
        })?;
        bounds.push((cpu, bound));
    }
    let longest = bounds.iter().map(|(_, ns)| *ns).max().unwrap_or(0);
    let details = lines(bounds.iter().map(|(cpu, ns)| format!("cpu {cpu}: {}", microseconds(*ns))));
    let seen = format!("at most {}", microseconds(longest));
    let is_guest = context.facts.processor.as_ref().map(Processor::is_virtual);
    let outcome = match (longest, is_guest.into_value()) {
        // Whose it is, only the host can tell.
        (_, Some(true)) => Outcome::info(format!("{seen}, the hypervisor's part included")),
        (NOISY.., _) => {
            Outcome::bad(seen).advice("turn off in the firmware what interrupts behind the kernel")
        }
        (QUIET.., _) => Outcome::warn(seen),
        _ => Outcome::good(seen),
    };
    Ok(outcome.wanted("below 5 µs").details(details))
}
