//! `/v1/latency`

use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use pipeline::histogram::{Confidence, ExportError, Snapshot};

use super::{at_ns, mean_ns};
use crate::{
    rx_clock::Source,
    state::{LatencyView, PortView, RingView, State},
};

/// What is told of a distribution, where the sample supports it.
const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 99.999];

/// A ring's rate is that since a reading which is at least this old when it is replaced.
const RATE_SPAN: Duration = Duration::from_secs(1);

/// Residence and bound.
#[derive(Default)]
struct Pair {
    residence: Snapshot,
    bound: Snapshot,
    /// Frames whose bound begins at a device's stamp.
    stamped: u64,
}

/// `GET /v1/latency`
///
/// # Errors
/// [`ExportError`] when a histogram can not be written.
pub(crate) fn latency(state: &State<'_>) -> Result<api::Latency, ExportError> {
    let mut entries = Vec::new();
    let mut of_ports: Vec<Pair> = state.config.ports.iter().map(|_| Pair::default()).collect();
    for number in 0..state.workers.len().max(state.past.workers.len()) {
        for ((at, port), sum) in state.config.ports.iter().enumerate().zip(&mut of_ports) {
            let Some(view) = view(state, number, at, &port.name) else { continue };
            let (residence, bound) = (view.residence.snapshot(), view.bound.snapshot());
            // Read last: the worker counts a bound before its stamp, so none of those above is left out.
            let stamped = view.stamped.load(Relaxed).min(bound.count());
            let pair = Pair { residence, bound, stamped };
            sum.stamped += stamped;
            sum.residence.merge(&pair.residence);
            sum.bound.merge(&pair.bound);
            entries.extend(entry(state, Some(number), &port.name, &pair)?);
        }
    }
    for (sum, port) in of_ports.iter().zip(&state.config.ports) {
        entries.extend(entry(state, None, &port.name, sum)?);
    }
    let rings = state.rings.iter().map(gauge).collect();
    let stamps = state.ports.iter().map(rx_stamps).collect();
    Ok(api::Latency { schema: api::SCHEMA, at_ns: at_ns(state), entries, rings, stamps })
}

/// Of a worker of now, which goes on from those of its number before, or of the last of that number.
fn view<'a>(state: &'a State<'_>, number: usize, at: usize, port: &str) -> Option<&'a LatencyView> {
    match state.workers.get(number) {
        Some(worker) => worker.latency.get(at),
        None => state.past.workers.get(number)?.latency.get(port),
    }
}

/// `None` when nothing was sent.
fn entry(
    state: &State<'_>,
    worker: Option<usize>,
    port: &str,
    pair: &Pair,
) -> Result<Option<api::LatencyOf>, ExportError> {
    if pair.residence.count() == 0 {
        return Ok(None);
    }
    Ok(Some(api::LatencyOf {
        worker,
        port: port.to_owned(),
        residence: distribution(state, &pair.residence)?,
        bound: distribution(state, &pair.bound)?,
        bound_from: bound_from(pair).to_owned(),
        bound_stamped: pair.stamped,
    }))
}

fn bound_from(pair: &Pair) -> &'static str {
    match pair.stamped {
        0 => "poll",
        stamped if stamped == pair.bound.count() => "hardware",
        _ => "mixed",
    }
}

fn rx_stamps(port: &PortView<'_>) -> api::RxStamps {
    let (from, error_ns, reason) = match port.stamps.source() {
        Source::Poll { why } => ("poll", None, Some(why)),
        Source::Hardware { error_ns } => ("hardware", Some(error_ns), None),
    };
    api::RxStamps { port: port.name.clone(), from: from.to_owned(), error_ns, reason }
}

fn distribution(state: &State<'_>, ticks: &Snapshot) -> Result<api::Distribution, ExportError> {
    let ns = |ticks| state.clock.rate.to_ns(ticks);
    let percentiles = PERCENTILES.into_iter().filter_map(|percentile| {
        let found = ticks.percentile(percentile / 100.0)?;
        let weak = found.confidence == Confidence::Weak;
        Some(api::Percentile { percentile, ns: ns(found.ticks), weak })
    });
    Ok(api::Distribution {
        count: ticks.count(),
        min_ns: ticks.iter().next().map_or(0, |(shortest, _)| ns(shortest)),
        mean_ns: mean_ns(state, ticks.mean().unwrap_or(0.0)),
        max_ns: ns(ticks.max().unwrap_or(0)),
        percentiles: percentiles.collect(),
        hdr_v2: ticks.to_base64(ns)?,
    })
}

fn gauge(ring: &RingView) -> api::RingGauge {
    let (now, reading) = (Instant::now(), ring.gauge.read());
    let (then, earlier) = ring.earlier.get();
    let between = now.saturating_duration_since(then);
    if between >= RATE_SPAN {
        ring.earlier.set((now, reading));
    }
    let overflow = ring::time_to_overflow(earlier, reading, between);
    api::RingGauge {
        from: ring.from,
        to: ring.to,
        capacity: reading.capacity,
        occupancy: reading.occupancy(),
        high_water: reading.high_water,
        passed: reading.popped,
        overflow_in_ns: overflow.map(|left| u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)),
    }
}
