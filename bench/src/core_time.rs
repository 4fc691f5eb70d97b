//! Whether a measured thread had its CPU to itself.

use config::CpuId;
use linux::{ReadError, Root};
use serde::Serialize;

/// The thread of a program that turns on the measured CPU.
#[derive(Debug, Clone)]
pub struct Pinned {
    root: Root,
    process: u32,
    thread: u32,
    cpu: CpuId,
}

/// What disturbed it, since it and the machine started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Disturbance {
    /// Nanoseconds that the thread could have run and did not, because something else had the CPU.
    pub waited_ns: u64,
    /// Times that it was taken off the CPU.
    pub preempted: u64,
    /// Clock ticks (10 ms each) that the hypervisor gave the CPU to somebody else.
    pub stolen_ticks: u64,
}

impl Disturbance {
    /// What came on top of an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            waited_ns: self.waited_ns.saturating_sub(earlier.waited_ns),
            preempted: self.preempted.saturating_sub(earlier.preempted),
            stolen_ticks: self.stolen_ticks.saturating_sub(earlier.stolen_ticks),
        }
    }
}

impl Pinned {
    /// Finds the thread of a process that may run on this CPU and on no other; `None` when there is none, or several.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn find(root: &Root, process: u32, cpu: CpuId) -> Result<Option<Self>, ReadError> {
        let tasks = root.names(&format!("proc/{process}/task"))?;
        let mut found = tasks.iter().filter_map(|name| {
            let thread: u32 = name.parse().ok()?;
            let status = root.text(&format!("proc/{process}/task/{thread}/status")).ok()?;
            (field(&status, "Cpus_allowed_list:")? == cpu.to_string()).then_some(thread)
        });
        let first = found.next();
        let is_one = found.next().is_none();
        Ok(first.filter(|_| is_one).map(|thread| Self { root: root.clone(), process, thread, cpu }))
    }

    /// Reads what has disturbed it so far.
    ///
    /// # Errors
    /// When the thread is gone.
    pub fn read(&self) -> Result<Disturbance, ReadError> {
        let Self { root, process, thread, cpu } = self;
        let task = format!("proc/{process}/task/{thread}");
        // schedstat: on the CPU, waiting for it (both ns), times scheduled: Documentation/scheduler/sched-stats.rst. The
        // first is brought up to date at ticks only and so too coarse for us, the second whenever the thread gets the CPU.
        let waited_ns =
            root.parse_with(&format!("{task}/schedstat"), "scheduler statistics", |text| {
                text.split_ascii_whitespace().nth(1)?.parse().ok()
            })?;
        let preempted =
            root.parse_with(&format!("{task}/status"), "the status of a thread", |text| {
                field(text, "nonvoluntary_ctxt_switches:")?.parse().ok()
            })?;
        let stolen_ticks =
            root.parse_with("proc/stat", "the CPUs' times", |text| steal(text, *cpu))?;
        Ok(Disturbance { waited_ns, preempted, stolen_ticks })
    }
}

/// The value of a `Name:\tvalue` line.
fn field<'t>(status: &'t str, name: &str) -> Option<&'t str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim_ascii)
}

/// The eighth number of a `cpuN` line (proc_stat(5)).
fn steal(stat: &str, cpu: CpuId) -> Option<u64> {
    let name = format!("cpu{cpu}");
    let mut words = stat
        .lines()
        .map(str::split_ascii_whitespace)
        .find(|words| words.clone().next() == Some(&name))?;
    words.nth(8)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process;

    use super::*;

    #[test]
    fn steal_is_the_eighth_number_of_its_cpu() {
        let stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 9 10\ncpu1 0 0 0 0 0 0 0 42 0 0\nintr 5";
        assert_eq!(steal(stat, CpuId::new(0).unwrap()), Some(8));
        assert_eq!(steal(stat, CpuId::new(1).unwrap()), Some(42));
        assert_eq!(steal(stat, CpuId::new(2).unwrap()), None);
    }

    #[test]
    fn the_one_thread_that_is_pinned_is_found_and_read() {
        let root = Root::system().unwrap();
        let cpu = linux::thread::affinity().unwrap().last().unwrap();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let pinned = std::thread::spawn(move || {
            linux::thread::pin(cpu).unwrap();
            ready.send(linux::thread::id()).unwrap();
            let _until_dropped = is_done.recv();
        });
        let thread = is_ready.recv().unwrap();
        // On a machine with one CPU every thread may run on it alone.
        if let Some(found) = Pinned::find(&root, process::id(), cpu).unwrap() {
            assert_eq!(found.thread, thread);
            let first = found.read().unwrap();
            // Numbers that only grow; by how much is up to the machine.
            let since = found.read().unwrap().since(&first);
            assert!(since.waited_ns <= found.read().unwrap().waited_ns);
            assert_eq!(first.since(&first), Disturbance::default());
        } else {
            assert_eq!(linux::thread::affinity().unwrap().len(), 1);
        }
        drop(done);
        pinned.join().unwrap();
    }
}
