//! Which worker hands frames to which, over which ring.

use config::{Config, Mode};

use super::{RingPlan, WorkerPlan};

/// The rings of staged mode: from each receiving worker to each processing one, one for each port it receives from; and
/// from each processing worker to the sender of each port, unless it sends itself. A ring carries frames of one port, so
/// nothing has to be written into a frame to know where it came from or goes to.
pub(super) fn join(config: &Config, workers: &[WorkerPlan]) -> Vec<RingPlan> {
    if config.pipeline.mode == Mode::RunToCompletion {
        return Vec::new();
    }
    let capacity = config.pipeline.ring_capacity;
    let graphs = || workers.iter().enumerate().filter(|(_, worker)| worker.role.has_graph());
    let mut rings = Vec::new();
    for (from, receiver) in workers.iter().enumerate().filter(|(_, worker)| worker.role.receives())
    {
        let mut ports: Vec<usize> = receiver.rx.iter().map(|queue| queue.port).collect();
        ports.sort_unstable();
        ports.dedup();
        for port in ports {
            for (to, _) in graphs() {
                rings.push(RingPlan { from, to, port, egress: false, capacity });
            }
        }
    }
    for (from, _) in graphs() {
        for (to, sender) in workers.iter().enumerate() {
            for queue in sender.tx.iter().filter(|_| to != from) {
                rings.push(RingPlan { from, to, port: queue.port, egress: true, capacity });
            }
        }
    }
    rings
}
