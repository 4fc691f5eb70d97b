//! What the daemon says of its frames.

use std::time::Duration;

use crate::{
    checks::{Context, Outcome, judge::known, wording::lines},
    daemon::Daemon,
};

/// Less of a ring than this is good.
const AMPLE: f64 = 0.25;
/// From this on it is bad.
const SCARCE: f64 = 0.75;
/// More lost frames of those that came than this are bad.
const FEW: f64 = 1e-7;

/// A daemon that received something while the machine was watched.
fn busy<'a>(context: &Context<'a>) -> Result<&'a Daemon, Outcome> {
    let daemon = known(&context.watched()?.daemon, "no daemon runs")?;
    if daemon.ports.values().all(|port| port.received == 0 && port.missed == 0) {
        return Err(Outcome::not_applicable("no frame came while the machine was watched"));
    }
    Ok(daemon)
}

#[expect(clippy::cast_precision_loss, reason = "shares and rates are approximations")]
pub(super) fn budget(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let daemon = busy(context)?;
    let worst = daemon.workers.iter().map(|worker| worker.worst_gap_ns).max().unwrap_or(0);
    let gap = Duration::from_nanos(worst).as_secs_f64();
    let (mut largest, mut unknown, mut details) = (0.0_f64, Vec::new(), Vec::new());
    for (name, port) in daemon.ports.iter().filter(|(_, port)| port.received > 0) {
        let ring = context.intent.rx_rings.get(name).copied().filter(|ring| *ring > 0);
        let (Some(queues @ 1..), Some(ring)) = (port.rx_queues, ring) else {
            unknown.push(name.as_str());
            continue;
        };
        let frames = port.received.saturating_add(port.missed) as f64;
        let a_second = frames / daemon.seconds.max(f64::MIN_POSITIVE) / f64::from(queues);
        let share = a_second * gap / f64::from(ring);
        largest = largest.max(share);
        details.push(format!(
            "{name}: {a_second:.0} frames/s on each queue of {ring}, {:.1} % in {:.1} µs",
            share * 100.0,
            gap * 1e6
        ));
    }
    let seen = format!("{:.1} % of a ring in the longest gap", largest * 100.0);
    let outcome = if largest >= SCARCE {
        Outcome::bad(seen).advice("remove the gap (MEAS-01), or set a larger rx_ring")
    } else if !unknown.is_empty() {
        let names = unknown.join(", ");
        Outcome::unknown(format!("the rings of {names} are not known: set rx_ring"))
    } else if largest >= AMPLE {
        Outcome::warn(seen)
    } else {
        Outcome::good(seen)
    };
    Ok(outcome.wanted("less than a quarter of the ring").details(lines(details)))
}

#[expect(clippy::cast_precision_loss, reason = "shares are approximations")]
pub(super) fn losses(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let daemon = busy(context)?;
    let (mut came, mut lost, mut details) = (0_u64, 0_u64, Vec::new());
    for (name, port) in &daemon.ports {
        let here = port.missed.saturating_add(port.errors).saturating_add(port.no_buffer);
        lost = lost.saturating_add(here);
        came = came.saturating_add(port.received).saturating_add(port.missed);
        details.push(format!(
            "{name}: {} received, {} missed, {} in error, {} times no buffer",
            port.received, port.missed, port.errors, port.no_buffer
        ));
    }
    let dropped = daemon.dropped.iter();
    details
        .extend(dropped.map(|(reason, count)| format!("dropped by the daemon: {count} {reason}")));
    let seen = format!("{lost} of {came} lost");
    let outcome = if lost == 0 {
        Outcome::good(seen)
    } else if lost as f64 / came.max(1) as f64 <= FEW {
        Outcome::warn(seen)
    } else {
        Outcome::bad(seen).advice("IRQ-01 and MEAS-01 say what took the workers away")
    };
    Ok(outcome.wanted("none").details(lines(details)))
}
