//! What the screen shows: the difference of two samples, as values.

use api::{Balance, Stall, State};
use distribution::{figures, since};
use hdrhistogram::Histogram;
use serde::Serialize;

use super::sample::{Distributions, Sample};
use crate::render::rates::{Rates, Restarted};

/// `barewire top --json` prints this.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct View {
    pub(crate) schema: u32,
    pub(crate) version: String,
    pub(crate) pid: u32,
    pub(crate) state: State,
    pub(crate) mode: String,
    pub(crate) uptime_seconds: f64,
    pub(crate) generation: u64,
    pub(crate) balance: Balance,
    /// Per second, between the two looks.
    pub(crate) rates: Rates,
    pub(crate) workers: Vec<WorkerRow>,
    /// Of the frames sent between the two looks.
    pub(crate) latency: Vec<LatencyRow>,
    pub(crate) drops: Vec<DropRow>,
    /// Newest first.
    pub(crate) stalls: Vec<Stall>,
    pub(crate) stall_threshold_ns: u64,
    pub(crate) warnings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct WorkerRow {
    pub(crate) worker: usize,
    pub(crate) cpu: u32,
    pub(crate) node: Option<u32>,
    pub(crate) role: String,
    pub(crate) busy_ratio: f64,
    pub(crate) packets_per_second: f64,
    pub(crate) polls_per_second: f64,
    /// Since the start.
    pub(crate) worst_gap_ns: u64,
    /// Since the start.
    pub(crate) stalls: u64,
    /// Between the two looks.
    pub(crate) new_stalls: u64,
    /// Its turns stand still.
    pub(crate) stuck: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct LatencyRow {
    /// All workers when there is none.
    pub(crate) worker: Option<usize>,
    pub(crate) port: String,
    pub(crate) frames: u64,
    pub(crate) residence: Figures,
    pub(crate) bound: Figures,
}

/// Nanoseconds; nothing where there are too few frames to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Figures {
    pub(crate) p50: Option<u64>,
    pub(crate) p99: Option<u64>,
    #[serde(rename = "p99.99")]
    pub(crate) p99_99: Option<u64>,
    pub(crate) max: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DropRow {
    pub(crate) reason: String,
    /// Since the start.
    pub(crate) frames: u64,
    pub(crate) per_second: f64,
}

impl View {
    pub(super) fn between(earlier: &Sample, later: &Sample) -> Result<Self, Restarted> {
        let Sample { status, counters, stalls, .. } = later;
        if earlier.status.pid != status.pid {
            return Err(Restarted);
        }
        let rates = Rates::between(&earlier.counters, counters)?;
        let latency = latency(earlier, later)?;
        let workers = workers(earlier, later, &rates);
        let drop_row = |(reason, frames): (&String, &u64)| DropRow {
            reason: reason.clone(),
            frames: *frames,
            per_second: rates.drops.get(reason).copied().unwrap_or(0.0),
        };
        let mut drops: Vec<DropRow> = counters.drops.iter().map(drop_row).collect();
        // What happens now comes first, then what happened most.
        drops.sort_by(|a, b| b.per_second.total_cmp(&a.per_second).then(b.frames.cmp(&a.frames)));
        let mut newest_first = stalls.stalls.clone();
        newest_first.sort_by_key(|stall| std::cmp::Reverse(stall.start_unix_ns));
        Ok(Self {
            schema: api::SCHEMA,
            version: status.version.clone(),
            pid: status.pid,
            state: status.state,
            mode: status.mode.clone(),
            uptime_seconds: status.uptime_seconds,
            generation: status.generation,
            balance: counters.balance.clone(),
            rates,
            workers,
            latency,
            drops,
            stalls: newest_first,
            stall_threshold_ns: stalls.threshold_ns,
            warnings: status.warnings.clone(),
        })
    }
}

fn workers(earlier: &Sample, later: &Sample, rates: &Rates) -> Vec<WorkerRow> {
    let rows = later.status.workers.iter().map(|now| {
        let before = earlier.status.workers.iter().find(|before| before.worker == now.worker);
        let rate = rates.workers.iter().find(|rate| rate.worker == now.worker);
        WorkerRow {
            worker: now.worker,
            cpu: now.cpu,
            node: now.node,
            role: now.role.clone(),
            busy_ratio: rate.map_or(0.0, |rate| rate.busy_ratio),
            packets_per_second: rate.map_or(0.0, |rate| rate.packets),
            polls_per_second: rate.map_or(0.0, |rate| rate.polls),
            worst_gap_ns: now.worst_gap_ns,
            stalls: now.stalls,
            new_stalls: before.map_or(0, |before| now.stalls.saturating_sub(before.stalls)),
            stuck: before.is_some_and(|before| now.turns == before.turns),
        }
    });
    rows.collect()
}

fn latency(earlier: &Sample, later: &Sample) -> Result<Vec<LatencyRow>, Restarted> {
    let rows = later.distributions.iter().map(|((worker, port), now)| {
        let before = earlier.distributions.get(&(*worker, port.clone()));
        let of = |pick: fn(&Distributions) -> &Histogram<u64>| match before {
            None => Ok(pick(now).clone()),
            Some(before) => since(pick(before), pick(now)).ok_or(Restarted),
        };
        let residence = of(|both| &both.residence)?;
        let bound = of(|both| &both.bound)?;
        Ok(LatencyRow {
            worker: *worker,
            port: port.clone(),
            frames: residence.len(),
            residence: summarize(&residence),
            bound: summarize(&bound),
        })
    });
    rows.collect()
}

fn summarize(histogram: &Histogram<u64>) -> Figures {
    let all = figures(histogram, String::new());
    let at = |wanted: f64| {
        let found = all.percentiles.iter().find(|one| (one.percentile - wanted).abs() < 1e-9);
        found.map(|one| one.ns)
    };
    Figures {
        p50: at(50.0),
        p99: at(99.0),
        p99_99: at(99.99),
        max: (all.count > 0).then_some(all.max_ns),
    }
}
