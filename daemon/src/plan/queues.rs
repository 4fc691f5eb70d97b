//! Which worker turns which queue.

use config::{Auto, Config, Mode, Port, placement::Placement};

use super::{QueuePlan, Role, WorkerPlan};
use crate::facts::Facts;

/// The workers with their queues, and the queues of each port.
pub(super) struct Assigned {
    pub(super) workers: Vec<WorkerPlan>,
    pub(super) ports: Vec<PortQueues>,
}

/// How many queues a port has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PortQueues {
    pub(super) rx: u16,
    pub(super) tx: u16,
}

/// The queues that were asked for can not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// More queues than the device has.
    #[error("port {port:?}: {key} = {asked}, but {device} offers at most {offered}")]
    TooMany {
        /// The port's name.
        port: String,
        /// The key in the file.
        key: &'static str,
        /// What was asked for.
        asked: u16,
        /// The device.
        device: String,
        /// What there is.
        offered: u16,
    },
    /// Workers would have to share a transmit queue.
    #[error(
        "port {port:?}: {workers} workers send to it, each over a transmit queue of its own, but there {are}",
        are = if *queues == 1 { "is 1".to_owned() } else { format!("are {queues}") }
    )]
    TxTooFew {
        /// The port's name.
        port: String,
        /// Workers that send to it.
        workers: usize,
        /// Its queues.
        queues: u16,
    },
}

impl QueueError {
    /// What to do.
    pub fn help(&self) -> String {
        match self {
            QueueError::TooMany { offered, key, .. } => {
                format!("set {key} = \"auto\" or at most {offered}")
            }
            QueueError::TxTooFew { .. } => {
                "use fewer workers (cores.count, cores.workers), or pipeline.mode = \
                 \"staged\", in which one worker sends to each port"
                    .to_owned()
            }
        }
    }
}

/// Gives every queue to a worker.
pub(super) fn assign(
    config: &Config,
    facts: &Facts,
    placement: &Placement,
    warnings: &mut Vec<String>,
) -> Result<Assigned, Vec<QueueError>> {
    let roles = roles(config.pipeline.mode, placement.workers.len());
    let mut workers: Vec<WorkerPlan> = (placement.workers.iter().zip(roles))
        .map(|(site, role)| WorkerPlan {
            cpu: site.cpu,
            node: site.node,
            role,
            rx: Vec::new(),
            tx: Vec::new(),
        })
        .collect();
    let mut ports = Vec::new();
    let mut errors = Vec::new();
    for (at, port) in config.ports.iter().enumerate() {
        let rx = assign_rx(facts, placement, &mut workers, at, port, warnings, &mut errors);
        ports.push(PortQueues { rx, tx: 1 });
    }
    for (at, port) in config.ports.iter().enumerate() {
        ports[at].tx = assign_tx(config, facts, &mut workers, at, port, &mut errors);
    }
    if errors.is_empty() { Ok(Assigned { workers, ports }) } else { Err(errors) }
}

/// Who does what. In staged mode a quarter of the workers receive and a quarter transmit, at least one of each; of two
/// workers one receives and the other does the rest.
fn roles(mode: Mode, workers: usize) -> Vec<Role> {
    match (mode, workers) {
        (Mode::RunToCompletion, _) | (Mode::Staged, 0 | 1) => vec![Role::All; workers],
        (Mode::Staged, 2) => vec![Role::Rx, Role::GraphTx],
        (Mode::Staged, _) => {
            let ends = (workers / 4).max(1);
            let mut roles = vec![Role::Graph; workers];
            roles[..ends].fill(Role::Rx);
            roles[workers - ends..].fill(Role::Tx);
            roles
        }
    }
}

fn assign_rx(
    facts: &Facts,
    placement: &Placement,
    workers: &mut [WorkerPlan],
    at: usize,
    port: &Port,
    warnings: &mut Vec<String>,
    errors: &mut Vec<QueueError>,
) -> u16 {
    let offered = facts.limits(at).map(|limits| limits.max_rx_queues);
    if port.input.is_none() {
        // Nothing is received, but drivers want a queue; nobody polls it.
        return 1;
    }
    // Those whom the placement gave the port; in staged mode only those of them that receive, or else any that does.
    let serves = |index: usize| {
        let site = &placement.workers[index];
        site.ports.contains(&at) || site.remote_ports.contains(&at)
    };
    let receivers: Vec<usize> =
        (0..workers.len()).filter(|&index| workers[index].role.receives()).collect();
    let mut mine: Vec<usize> = receivers.iter().copied().filter(|&index| serves(index)).collect();
    if mine.is_empty() {
        mine = receivers;
    }
    let count = match port.rx_queues {
        Auto::Set(asked) => {
            if let Some(offered) = offered.filter(|&offered| asked > offered) {
                let (port, device) = (port.name.clone(), port.device.to_string());
                errors.push(QueueError::TooMany { port, key: "rx_queues", asked, device, offered });
            }
            asked
        }
        Auto::Auto => {
            let one_each = u16::try_from(mine.len()).unwrap_or(u16::MAX);
            one_each.min(offered.unwrap_or(u16::MAX)).max(1)
        }
    };
    if usize::from(count) < mine.len() && offered.is_some() {
        warnings.push(format!(
            "port {:?} has {count} receive queue(s) for {} workers: the others do not receive from it",
            port.name,
            mine.len()
        ));
    }
    for queue in 0..count {
        // Ports that have fewer queues than there are workers start at different ones.
        let turn = if usize::from(count) < mine.len() { at } else { 0 };
        let worker = mine[(usize::from(queue) + turn) % mine.len()];
        workers[worker].rx.push(QueuePlan { port: at, queue });
    }
    count
}

fn assign_tx(
    config: &Config,
    facts: &Facts,
    workers: &mut [WorkerPlan],
    at: usize,
    port: &Port,
    errors: &mut Vec<QueueError>,
) -> u16 {
    let offered = facts.limits(at).map(|limits| limits.max_tx_queues);
    let senders: Vec<usize> =
        (0..workers.len()).filter(|&index| workers[index].role.transmits()).collect();
    let asked = match port.tx_queues {
        Auto::Set(asked) => {
            if let Some(offered) = offered.filter(|&offered| asked > offered) {
                let (port, device) = (port.name.clone(), port.device.to_string());
                errors.push(QueueError::TooMany { port, key: "tx_queues", asked, device, offered });
            }
            Some(asked)
        }
        Auto::Auto => None,
    };
    let most = usize::from(asked.or(offered).unwrap_or(u16::MAX));
    let chosen: Vec<usize> = match config.pipeline.mode {
        // One sender for each port: order within a flow holds, and no queue is shared.
        Mode::Staged => senders.get(at % senders.len().max(1)).copied().into_iter().collect(),
        // Each worker has a queue on every port, so that a reload may send anything anywhere; where there are too few,
        // only those whose frames can get there.
        Mode::RunToCompletion if senders.len() <= most => senders,
        Mode::RunToCompletion => {
            let reaching = inputs_reaching(config, at);
            let reaches = |index: &usize| {
                workers[*index].rx.iter().any(|queue| reaching.contains(&queue.port))
            };
            senders.into_iter().filter(reaches).collect()
        }
    };
    if chosen.len() > most {
        errors.push(QueueError::TxTooFew {
            port: port.name.clone(),
            workers: chosen.len(),
            queues: u16::try_from(most).unwrap_or(u16::MAX),
        });
    }
    let used = u16::try_from(chosen.len()).unwrap_or(u16::MAX);
    for (queue, worker) in (0..used).zip(chosen) {
        workers[worker].tx.push(QueuePlan { port: at, queue });
    }
    asked.unwrap_or(used).max(1)
}

/// The ports whose frames can leave by port `to`.
fn inputs_reaching(config: &Config, to: usize) -> Vec<usize> {
    let mut reaches = vec![false; config.stages.len()];
    // Edges lead to later stages only, so one sweep from the back sees every path.
    for (at, stage) in config.stages.iter().enumerate().rev() {
        reaches[at] = stage.kind.edges().into_iter().any(|(_, edge)| match edge {
            config::Edge::Stage(next) => reaches.get(next.0).copied().unwrap_or(false),
            config::Edge::Tx(port) => port.0 == to,
            config::Edge::Drop => false,
        });
    }
    let reaches_from = |port: &Port| port.input.is_some_and(|stage| reaches[stage.0]);
    (0..config.ports.len()).filter(|&port| reaches_from(&config.ports[port])).collect()
}
