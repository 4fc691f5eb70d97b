//! Workers that have ended, at restarts of the ports: totals go on over them.

use std::collections::BTreeMap;

use pipeline::{StageCounterSet, WorkerSnapshot, counters::PortTotals, stalls::StallReader};

use super::{LatencyView, State};
use crate::worker::Earlier;

/// What there was before the workers of now. A worker of now goes on with the histograms, stalls and stages of its number;
/// its counters are to be added to those here.
#[derive(Debug, Default)]
pub struct Past {
    /// By worker number.
    pub workers: Vec<PastWorker>,
    /// By port name, ports that are gone among them: what all workers counted.
    pub ports: BTreeMap<String, PortTotals>,
}

/// The workers of one number that have ended.
#[derive(Debug)]
pub struct PastWorker {
    /// The CPU of the last one.
    pub cpu: u32,
    /// All that they counted; `ports` has one entry, the sum.
    pub counters: WorkerSnapshot,
    /// Of the last one that had a graph.
    pub stages: StageCounterSet,
    /// All stalls.
    pub stalls: StallReader,
    /// By egress port, ports that are gone among them.
    pub latency: BTreeMap<String, LatencyView>,
}

impl Past {
    /// Adds what was counted before to what the workers of now have counted, by worker number. In the result, the ports
    /// that a frame came from or went to can not be told apart.
    pub fn plus(&self, now: &[WorkerSnapshot]) -> Vec<WorkerSnapshot> {
        let numbers = self.workers.len().max(now.len());
        let sum = |number: usize| {
            let mut sum = empty();
            let now = now.get(number).map(lump);
            let before = self.workers.get(number).map(|worker| &worker.counters);
            now.iter().chain(before).for_each(|part| sum.merge(part));
            sum
        };
        (0..numbers).map(sum).collect()
    }

    /// What a new worker of this number goes on from, with these ports.
    pub fn earlier(&self, number: usize, ports: &[config::Port]) -> Earlier<'_> {
        let Some(worker) = self.workers.get(number) else { return Earlier::default() };
        let latency = ports.iter().map(|port| worker.latency.get(&port.name)).collect();
        Earlier { stalls: Some(&worker.stalls), latency }
    }

    /// The stages' counters of the last worker of this number that had a graph.
    pub fn stages(&self, number: usize) -> StageCounterSet {
        self.workers.get(number).map(|worker| worker.stages.clone()).unwrap_or_default()
    }
}

impl State<'_> {
    /// The workers have ended: what they counted becomes the past.
    pub fn retire(&mut self) {
        self.rings.clear();
        for (number, worker) in std::mem::take(&mut self.workers).into_iter().enumerate() {
            let counters = worker.counters.snapshot();
            for (port, totals) in self.ports.iter().zip(&counters.ports) {
                let sum = self.past.ports.entry(port.name.clone()).or_default();
                *sum = added(*sum, *totals);
            }
            let latency = self.ports.iter().map(|port| port.name.clone()).zip(worker.latency);
            let lump = lump(&counters);
            match self.past.workers.get_mut(number) {
                Some(past) => {
                    past.cpu = worker.cpu;
                    past.counters.merge(&lump);
                    past.stalls = worker.stalls;
                    past.latency.extend(latency);
                    if worker.role.has_graph() {
                        past.stages = worker.stages;
                    }
                }
                None => self.past.workers.push(PastWorker {
                    cpu: worker.cpu,
                    counters: lump,
                    stages: worker.stages,
                    stalls: worker.stalls,
                    latency: latency.collect(),
                }),
            }
        }
    }
}

/// Nothing, with one entry for all ports.
fn empty() -> WorkerSnapshot {
    WorkerSnapshot { consistent: true, ..WorkerSnapshot::empty(1) }
}

/// The same with all ports in one entry.
fn lump(counters: &WorkerSnapshot) -> WorkerSnapshot {
    let all = counters.ports.iter().copied().fold(PortTotals::default(), added);
    WorkerSnapshot { ports: vec![all], ..counters.clone() }
}

/// The sum of both.
pub fn added(one: PortTotals, other: PortTotals) -> PortTotals {
    PortTotals {
        rx_packets: one.rx_packets + other.rx_packets,
        rx_bytes: one.rx_bytes + other.rx_bytes,
        tx_packets: one.tx_packets + other.tx_packets,
        tx_bytes: one.tx_bytes + other.tx_bytes,
    }
}
