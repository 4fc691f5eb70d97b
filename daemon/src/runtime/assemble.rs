//! Gives each worker its queues, rings, graph and measuring tools.

use std::sync::{Arc, atomic::AtomicBool};

use config::{Config, StageKind};
use dpdk::{Port, RxQueue, Stamps, Started, TxQueue};
use pipeline::{Graph, PortIdentity, StageCounterSet};
use ring::{Capacity, Consumer, Producer};

use super::{RunError, ring_view, worker_view};
use crate::{
    plan::{Plan, Role},
    state::{PortView, State},
    worker::{self, Hardware, Meter, Orders, Packet, Program, RxPort, TxPort, Work, Worker},
};

/// A worker, and the way to tell it something.
pub(super) struct Made<'port, 'eal> {
    pub(super) worker: Worker<'port, 'eal>,
    pub(super) orders: Orders<'eal>,
}

/// Who the ports are, for the stages.
pub(super) fn identities(config: &Config, ports: &[PortView<'_>]) -> Vec<PortIdentity> {
    (config.ports.iter().zip(ports))
        .map(|(port, view)| PortIdentity {
            mac: view.mac,
            addresses: port.addresses.iter().map(ipnet::IpNet::addr).collect(),
        })
        .collect()
}

/// What a configuration means for one worker.
pub(super) fn program<'eal>(
    state: &State<'eal>,
    config: &Config,
    role: Role,
    previous: &StageCounterSet,
) -> Result<(Program<'eal>, StageCounterSet), RunError> {
    let graph = if role.has_graph() {
        Some(Graph::build(config, &identities(config, &state.ports), previous)?)
    } else {
        None
    };
    let stages = graph.as_ref().map(Graph::counters).unwrap_or_default();
    let program = Program {
        graph: graph.map(Box::new),
        burst: config.pipeline.burst,
        tx_retries: config.pipeline.tx_retries,
        keeps_lengths: config.stages.iter().all(|stage| match stage.kind {
            StageKind::Cross { .. } | StageKind::Count { .. } | StageKind::Sample { .. } => true,
            StageKind::Reflect { .. } => false,
        }),
        stall_ticks: state.clock.rate.from_duration(config.latency.stall_threshold),
    };
    Ok((program, stages))
}

/// Both ends of every ring, each to be taken once.
struct Ends<'eal> {
    producers: Vec<Option<Producer<Packet<'eal>>>>,
    consumers: Vec<Option<Consumer<Packet<'eal>>>>,
}

/// Makes all workers, which go on from those that have ended. Their views go into the state. `since` says for each port
/// from when on frames may have been waiting in it, and `hardware` how its device stamps them, if it does.
pub(super) fn workers<'port, 'eal: 'port>(
    plan: &Plan,
    state: &mut State<'eal>,
    ports: impl Iterator<Item = &'port mut Port<'eal, Started>>,
    since: &[u64],
    stamps: Stamps<'eal>,
    hardware: &[Option<Hardware<'eal>>],
) -> Result<Vec<Made<'port, 'eal>>, RunError> {
    let mut rx: Vec<Vec<Option<RxQueue<'port, 'eal>>>> = Vec::new();
    let mut tx: Vec<Vec<Option<TxQueue<'port, 'eal>>>> = Vec::new();
    for port in ports {
        let queues = port.split();
        rx.push(queues.rx.into_iter().map(Some).collect());
        tx.push(queues.tx.into_iter().map(Some).collect());
    }
    let mut ends = Ends { producers: Vec::new(), consumers: Vec::new() };
    for ring in &plan.rings {
        let (producer, consumer) = ring::channel(Capacity::new(ring.capacity)?);
        state.rings.push(ring_view(ring.from, ring.to, producer.gauge()));
        ends.producers.push(Some(producer));
        ends.consumers.push(Some(consumer));
    }
    let done: Vec<Arc<AtomicBool>> = plan.workers.iter().map(|_| Arc::default()).collect();
    let mut made = Vec::new();
    for (index, planned) in plan.workers.iter().enumerate() {
        let before = state.past.stages(index);
        let (program, stages) = program(state, &state.config, planned.role, &before)?;
        let (meter, readers) = Meter::new(
            index,
            plan.ports.len(),
            &state.config.latency,
            program.stall_ticks,
            &state.past.earlier(index, &state.config.ports),
        );
        let (orders, desk) = worker::channel();
        orders.program(program);
        let work = work(plan, index, planned.role, stamps, &mut ends);
        let mut from: Vec<usize> =
            plan.rings.iter().filter(|ring| ring.to == index).map(|ring| ring.from).collect();
        from.sort_unstable();
        from.dedup();
        let mut sends: Vec<Option<TxPort<'port, 'eal>>> = plan.ports.iter().map(|_| None).collect();
        for queue in &planned.tx {
            if let Some(taken) = tx[queue.port][usize::from(queue.queue)].take() {
                sends[queue.port] = Some(TxPort { queue: taken, port: queue.port });
            }
        }
        let receives = (planned.rx.iter())
            .filter_map(|queue| {
                let taken = rx[queue.port][usize::from(queue.queue)].take()?;
                let (port, bound) = (queue.port, since[queue.port]);
                Some(RxPort { queue: taken, port, bound, hardware: hardware[port].clone() })
            })
            .collect();
        let worker = Worker {
            desk,
            meter,
            rx: receives,
            tx: sends,
            work,
            ports: plan.ports.len(),
            upstream: from.into_iter().map(|from| Arc::clone(&done[from])).collect(),
            done: Arc::clone(&done[index]),
        };
        state.workers.push(worker_view(planned, readers, stages));
        made.push(Made { worker, orders });
    }
    Ok(made)
}

fn work<'eal>(
    plan: &Plan,
    index: usize,
    role: Role,
    stamps: Stamps<'eal>,
    ends: &mut Ends<'eal>,
) -> Work<'eal> {
    let mut consumers = Vec::new();
    let mut producers: Vec<Vec<Producer<Packet<'eal>>>> =
        plan.ports.iter().map(|_| Vec::new()).collect();
    for (at, ring) in plan.rings.iter().enumerate() {
        if ring.to == index {
            consumers.extend(ends.consumers[at].take().map(|end| (end, ring.port)));
        }
        if ring.from == index {
            producers[ring.port].extend(ends.producers[at].take());
        }
    }
    match role {
        Role::All => Work::All,
        Role::Graph | Role::GraphTx => {
            let out = producers.into_iter().map(|mut rings| rings.pop()).collect();
            Work::Process { stamps, input: consumers, out }
        }
        Role::Rx => Work::Spread { stamps, out: producers },
        Role::Tx => Work::Send { stamps, input: consumers },
    }
}
