//! Threads of the kernel and of others.

use config::CpuSet;
use linux::task::Task;
use serde::Serialize;

use crate::{Fact, Source};

/// The most threads that are looked at: a kernel of 8192 CPUs has some 80 000 of its own.
const MOST: usize = 128 * 1024;

/// The daemon's process is called this.
pub const DAEMON: &str = "barewired";
/// Its workers' names begin with this.
pub const WORKER: &str = "bw-worker-";

/// Threads of the kernel and of others.
#[derive(Debug, Clone, Serialize)]
pub struct Tasks {
    /// All of them.
    pub all: Fact<linux::task::Tasks>,
    /// This program's own process: not a disturbance to report. None of a captured machine.
    pub own: Option<u32>,
}

impl Tasks {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        let all = match linux::task::all(source.root(), MOST) {
            Ok(tasks) if tasks.threads.is_empty() => {
                Fact::unknown("there is not a single process below /proc")
            }
            other => other.into(),
        };
        Self { all, own: source.is_live().then(std::process::id) }
    }

    /// The threads; or why they are not known.
    pub fn threads(&self) -> Fact<&[Task]> {
        self.all.as_ref().map(|tasks| tasks.threads.as_slice())
    }

    /// Were there more threads than are looked at?
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.all.value().is_some_and(|tasks| tasks.is_cut)
    }

    /// The numbers of the daemon's processes: nearly always none or one.
    #[must_use]
    pub fn daemons(&self) -> Vec<u32> {
        let threads = self.all.value().map(|tasks| tasks.threads.as_slice()).unwrap_or_default();
        let is_daemon = |task: &&Task| task.stat.id == task.process && task.stat.name == DAEMON;
        threads.iter().filter(is_daemon).map(|task| task.process).collect()
    }

    /// The daemon's threads.
    pub fn of_daemon(&self) -> impl Iterator<Item = &Task> {
        let daemons = self.daemons();
        let threads = self.all.value().map(|tasks| tasks.threads.as_slice()).unwrap_or_default();
        threads.iter().filter(move |task| daemons.contains(&task.process))
    }

    /// The daemon's workers: the threads that turn poll loops.
    pub fn workers(&self) -> impl Iterator<Item = &Task> {
        self.of_daemon().filter(|task| is_worker(task))
    }

    /// Every thread that is neither the kernel's, nor the daemon's, nor this program's.
    pub fn strangers(&self) -> impl Iterator<Item = &Task> {
        let daemons = self.daemons();
        let threads = self.all.value().map(|tasks| tasks.threads.as_slice()).unwrap_or_default();
        threads.iter().filter(move |task| {
            !task.stat.is_kernel()
                && !daemons.contains(&task.process)
                && Some(task.process) != self.own
        })
    }

    /// The threads of the kernel that may be moved.
    pub fn movable_of_kernel(&self) -> impl Iterator<Item = &Task> {
        let threads = self.all.value().map(|tasks| tasks.threads.as_slice()).unwrap_or_default();
        threads.iter().filter(|task| task.stat.is_kernel() && !task.stat.is_bound())
    }

    /// A process's main thread.
    #[must_use]
    pub fn process(&self, id: u32) -> Option<&Task> {
        let threads = self.all.value()?.threads.as_slice();
        threads.iter().find(|task| task.process == id && task.stat.id == id)
    }

    /// Does a process of this name run? Names are cut to 15 bytes by the kernel.
    #[must_use]
    pub fn runs(&self, name: &str) -> bool {
        let threads = self.all.value().map(|tasks| tasks.threads.as_slice()).unwrap_or_default();
        let name = name.get(..15).unwrap_or(name);
        threads.iter().any(|task| task.stat.name == name && !task.stat.is_kernel())
    }
}

/// Is this thread of the daemon one that turns a poll loop?
#[must_use]
pub fn is_worker(task: &Task) -> bool {
    task.stat.name.starts_with(WORKER)
}

/// The CPUs that a thread may run on, when known.
#[must_use]
pub fn allowed(task: &Task) -> Option<&CpuSet> {
    task.status.known().map(|status| &status.allowed)
}
