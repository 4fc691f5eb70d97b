//! What reached the workers' CPUs while the machine was watched.

use config::CpuSet;

use super::affinity::affinity;
use crate::{
    Measured,
    change::Change,
    checks::{Context, Outcome, judge::known, wording::lines},
    measured::{Row, sum_on},
};

/// Timer interrupts a second on each CPU that a tick-free CPU may have.
const QUIET_TIMER: f64 = 2.0;
/// Timer interrupts a second on each CPU from which on the tick is taken to run: half of the slowest one (100).
const TICKING: f64 = 50.0;
/// Interrupts of all kinds a second on each CPU from which on it is bad.
const MANY: f64 = 100.0;
/// Calls between CPUs on all workers: a minute, and a second.
const FEW_CALLS_A_MINUTE: f64 = 5.0;
const MANY_CALLS: f64 = 10.0;
/// Software interrupts of devices a second from which on they are steady.
const STEADY: f64 = 1.0;

/// What a row of `/proc/interrupts` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The scheduler's and programs' timers: a row of its own on x86, a device on Arm.
    Timer,
    Device,
    Call,
    Other,
}

fn kind(row: &Row) -> Kind {
    let label = row.label.as_str();
    if label == "LOC" || row.description.ends_with("arch_timer") {
        Kind::Timer
    } else if row.is_device() {
        Kind::Device
    } else if matches!(label, "RES" | "CAL" | "TLB" | "IWI") || label.starts_with("IPI") {
        Kind::Call
    } else {
        Kind::Other
    }
}

/// A rate on each of these CPUs.
#[expect(clippy::cast_precision_loss, reason = "a rate is an approximation")]
fn on_each(measured: &Measured, count: u64, cpus: &CpuSet) -> f64 {
    measured.per_second(count) / cpus.len().max(1) as f64
}

/// `24 PCI-MSIX eth0: 12.0/s`
fn line(measured: &Measured, row: &Row, workers: &CpuSet) -> String {
    let per_second = measured.per_second(row.on(workers));
    format!("{} {}: {per_second:.1}/s", row.label, row.description)
}

/// The rows that counted on the workers' CPUs, of the kinds that are asked for.
fn rows_of<'a>(
    context: &Context<'a>,
    workers: &CpuSet,
    is_wanted: fn(Kind, &str) -> bool,
) -> Result<(&'a Measured, Vec<&'a Row>), Outcome> {
    let measured = context.watched()?;
    let rows = known(&measured.interrupts, "this kernel does not count interrupts")?;
    let here = |row: &&Row| is_wanted(kind(row), &row.label) && row.on(workers) > 0;
    Ok((measured, rows.iter().filter(here).collect()))
}

pub(super) fn rows(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let (measured, rows) = rows_of(context, &workers, |_, _| true)?;
    let wanted = format!("no devices, at most {QUIET_TIMER}/s of timers on each");
    let sum = |wanted: Kind| {
        rows.iter().filter(|row| kind(row) == wanted).map(|row| row.on(&workers)).sum::<u64>()
    };
    let total = rows.iter().map(|row| row.on(&workers)).sum::<u64>();
    let (devices, timers) = (sum(Kind::Device), sum(Kind::Timer));
    let timers_each = on_each(measured, timers, &workers);
    let total_each = on_each(measured, total, &workers);
    let seen = format!("{total_each:.1}/s on each worker's CPU, {devices} of devices");
    let outcome = if devices > 0 || timers_each >= TICKING || total_each >= MANY {
        Outcome::bad(seen).fixes(moves(context, &rows)?)
    } else if total > timers || timers_each > QUIET_TIMER {
        Outcome::warn(seen)
    } else {
        Outcome::good(seen)
    };
    let details = lines(rows.iter().map(|row| line(measured, row, &workers)));
    Ok(outcome.wanted(wanted).details(details))
}

/// Moves the devices' interrupts of these rows, as far as anybody but the kernel can.
fn moves(context: &Context<'_>, rows: &[&Row]) -> Result<Vec<Change>, Outcome> {
    let kept = context.housekeeping()?.difference(&context.workers()?);
    let facts = &context.facts.interrupts;
    let irqs = facts.all.value().map(Vec::as_slice).unwrap_or_default();
    let movable = rows.iter().filter(|row| kind(row) == Kind::Device).filter_map(|row| {
        let number: u32 = row.label.parse().ok()?;
        let is_managed = irqs.iter().any(|irq| irq.number == number && facts.is_managed(irq));
        (!is_managed && !kept.is_empty()).then(|| affinity(number, &kept))
    });
    Ok(movable.collect())
}

pub(super) fn calls(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let (measured, rows) = rows_of(context, &workers, |kind, _| kind == Kind::Call)?;
    let count: u64 = rows.iter().map(|row| row.on(&workers)).sum();
    let per_second = measured.per_second(count);
    let seen = format!("{per_second:.1}/s on workers' CPUs");
    let outcome = if per_second >= MANY_CALLS {
        Outcome::bad(seen)
    } else if per_second * 60.0 > FEW_CALLS_A_MINUTE {
        Outcome::warn(seen)
    } else {
        return Ok(Outcome::good(seen).wanted("a few a minute at most"));
    };
    let hint = "who sends them: the ipi events of tracefs, or rtla osnoise".to_owned();
    let details = rows.iter().map(|row| line(measured, row, &workers)).chain([hint]);
    Ok(outcome.wanted("a few a minute at most").details(lines(details)))
}

pub(super) fn softirqs(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let measured = context.watched()?;
    let kinds = known(&measured.softirqs, "this kernel does not count software interrupts")?;
    let here: Vec<(&str, u64)> = kinds
        .iter()
        .map(|(name, counts)| (name.as_str(), sum_on(counts, &workers)))
        .filter(|(_, count)| *count > 0)
        .collect();
    let is_expected = |(name, count): &&(&str, u64)| {
        matches!(*name, "TIMER" | "RCU") && on_each(measured, *count, &workers) <= QUIET_TIMER
    };
    let unexpected: Vec<_> = here.iter().filter(|kind| !is_expected(kind)).collect();
    let is_steady = |(name, count): &&&(&str, u64)| {
        matches!(*name, "NET_RX" | "BLOCK") && measured.per_second(*count) >= STEADY
    };
    let seen = if unexpected.is_empty() {
        "nothing but timers and RCU".to_owned()
    } else {
        let names: Vec<&str> = unexpected.iter().map(|(name, _)| *name).collect();
        names.join(", ")
    };
    let outcome = if unexpected.iter().any(|kind| is_steady(&kind)) {
        let hint = "IRQ-02 moves the interrupt that causes it, RPS-01 the packets".to_owned();
        Outcome::bad(seen).details([hint])
    } else if unexpected.is_empty() {
        Outcome::good(seen)
    } else {
        Outcome::warn(seen)
    };
    let rate =
        |(name, count): &(&str, u64)| format!("{name}: {:.1}/s", measured.per_second(*count));
    Ok(outcome.wanted("nothing but timers and RCU").details(lines(here.iter().map(rate))))
}

pub(super) fn hardware(context: &Context<'_>) -> Result<Outcome, Outcome> {
    /// Failing or throttled hardware.
    const GRAVE: &[&str] = &["MCE", "TRM", "THR", "DFR"];
    let workers = context.workers()?;
    let is_wanted = |_: Kind, label: &str| GRAVE.contains(&label) || matches!(label, "NMI" | "PMI");
    let (measured, rows) = rows_of(context, &workers, is_wanted)?;
    let wanted = "none";
    if rows.is_empty() {
        return Ok(Outcome::good("none on workers' CPUs").wanted(wanted));
    }
    let names: Vec<&str> = rows.iter().map(|row| row.label.as_str()).collect();
    let seen = format!("{} on workers' CPUs", names.join(", "));
    let outcome = if names.iter().any(|name| GRAVE.contains(name)) {
        Outcome::bad(seen).advice("look at cooling, memory and the machine-check log first")
    } else {
        Outcome::warn(seen).advice("stop profilers; WD-01 is about the watchdog")
    };
    let details = lines(rows.iter().map(|row| line(measured, row, &workers)));
    Ok(outcome.wanted(wanted).details(details))
}
