//! Which CPUs may work on an interface's queues.
//!
//! Source: `Documentation/networking/scaling.rst` and `Documentation/ABI/testing/sysfs-class-net-queues` of Linux 6.18.

use config::CpuSet;
use serde::Serialize;

use crate::{Fact, Source};

/// An interface's queues.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Queues {
    /// Receive queues and the CPUs that packets are handed to (RPS); none for those that their interrupt chooses.
    pub rx: Vec<Queue>,
    /// Transmit queues and the CPUs that use them (XPS). Absent where there is one queue only.
    pub tx: Vec<Queue>,
}

/// One queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Queue {
    /// The file with the mask, from the root.
    pub path: String,
    /// The CPUs in the mask.
    pub cpus: Fact<CpuSet>,
}

/// The most queues of each direction that are read.
const MOST: usize = 1024;

impl Queues {
    pub(super) fn read(source: &Source, dir: &str) -> Self {
        let mut all = Self::default();
        let names = source.names(&format!("{dir}/queues")).into_value().unwrap_or_default();
        let transmit = names.iter().filter(|name| name.starts_with("tx-")).count();
        for name in names {
            let (file, to) = match name.split_once('-') {
                Some(("rx", _)) => ("rps_cpus", &mut all.rx),
                // One transmit queue has no mask: its file is there and can not be read.
                Some(("tx", _)) if transmit > 1 => ("xps_cpus", &mut all.tx),
                _ => continue,
            };
            let path = format!("{dir}/queues/{name}/{file}");
            let cpus = source.cpu_mask(&path);
            if to.len() < MOST && !cpus.is_absent() {
                to.push(Queue { path, cpus });
            }
        }
        all
    }
}
