//! What the kernel has counted of a worker's CPU and thread, at one moment.

use std::collections::BTreeMap;

use api::{EventKind, KernelEvent};
use config::CpuId;
use linux::{
    Root, activity,
    clock::ticks,
    irq::{Interrupts, Row},
    task::{self, Schedule},
};

/// `/proc/stat` counts in hundredths of a second (`USER_HZ`).
const USER_TICK_NS: u64 = 10_000_000;

/// How often, and how long where that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amount {
    count: u64,
    time_ns: Option<u64>,
}

/// Numbers that only grow. All of them were read between two moments of the clock.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    /// Before the first was read.
    pub(super) begun: u64,
    /// When the last had been read.
    pub(super) done: u64,
    amounts: BTreeMap<(EventKind, String), Amount>,
}

impl Counts {
    /// Of each CPU with its worker's thread, in their order. What can not be read is said, and left out of the counts.
    pub(super) fn read(root: &Root, process: u32, of: &[(CpuId, u32)]) -> (Vec<Self>, Vec<String>) {
        let begun = ticks();
        let mut problems = Vec::new();
        let mut kept = |what: Result<(), linux::ReadError>| {
            problems.extend(what.err().map(|error| error.to_string()));
        };
        let interrupts = Interrupts::read(root).map_err(|error| kept(Err(error))).ok();
        let softirqs = activity::softirqs(root).map_err(|error| kept(Err(error))).ok();
        let times = activity::cpu_times(root).map_err(|error| kept(Err(error))).ok();
        let mut all = Vec::with_capacity(of.len());
        for &(cpu, thread) in of {
            let mut counts = Self { begun, ..Self::default() };
            if let Some(interrupts) = &interrupts {
                counts.interrupts(interrupts, cpu);
            }
            for (name, counters) in softirqs.iter().flatten() {
                let count = counters.get(&cpu).copied().unwrap_or(0);
                counts.add(EventKind::Softirq, name.clone(), count, None);
            }
            if let Some(time) = times.as_ref().and_then(|times| times.get(&cpu)) {
                let stolen = time.steal.saturating_mul(USER_TICK_NS);
                counts.add(EventKind::Stolen, String::new(), time.steal, Some(stolen));
            }
            let schedule = Schedule::read(root, process, thread);
            counts.thread(task::one(root, process, thread), schedule.as_ref().ok());
            kept(schedule.map(drop));
            all.push(counts);
        }
        let done = ticks();
        all.iter_mut().for_each(|counts| counts.done = done);
        (all, problems)
    }

    fn interrupts(&mut self, interrupts: &Interrupts, cpu: CpuId) {
        let Some(column) = interrupts.cpus.iter().position(|&id| id == cpu) else { return };
        for row in &interrupts.rows {
            // Some rows have one number for all CPUs.
            if row.counts.len() == interrupts.cpus.len() {
                self.add(EventKind::Interrupt, name(row), row.counts[column], None);
            }
        }
    }

    fn thread(&mut self, thread: Option<task::Task>, schedule: Option<&Schedule>) {
        let Some(task) = thread else { return };
        let waited_ns = schedule.map(|schedule| schedule.waited_ns);
        if let Some(status) = task.status.known() {
            self.add(EventKind::Preempted, String::new(), status.involuntary, waited_ns);
            self.add(EventKind::Waited, String::new(), status.voluntary, None);
        }
        self.add(EventKind::MinorFault, String::new(), task.stat.minor_faults, None);
        self.add(EventKind::MajorFault, String::new(), task.stat.major_faults, None);
    }

    fn add(&mut self, kind: EventKind, name: String, count: u64, time_ns: Option<u64>) {
        if count > 0 || time_ns.is_some_and(|time| time > 0) {
            self.amounts.insert((kind, name), Amount { count, time_ns });
        }
    }

    /// What was counted since an earlier look.
    pub(super) fn since(&self, earlier: &Self) -> Vec<KernelEvent> {
        let events = self.amounts.iter().map(|(key, now)| {
            let before = earlier.amounts.get(key).copied().unwrap_or_default();
            KernelEvent {
                kind: key.0,
                name: key.1.clone(),
                // A counter of 32 bits that ran over, or a device that came back, begins at zero.
                count: now.count.checked_sub(before.count).unwrap_or(now.count),
                time_ns: now.time_ns.map(|time| time.saturating_sub(before.time_ns.unwrap_or(0))),
            }
        });
        events
            .filter(|event| event.count > 0 || event.time_ns.is_some_and(|time| time > 0))
            .collect()
    }
}

/// `LOC Local timer interrupts`, `34 nvme0q3`: of a device's interrupt the last word is its handler.
fn name(row: &Row) -> String {
    let what = match row.number() {
        Some(_) => row.description.split_ascii_whitespace().last().unwrap_or(""),
        None => &row.description,
    };
    format!("{} {what}", row.label).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::witness::tests::{Machine, event};

    #[test]
    fn what_was_counted_between_two_looks_is_of_that_cpu_and_thread() {
        let machine = Machine::new();
        let (before, problems) = machine.read();
        assert_eq!(problems, Vec::<String>::new());
        machine.write(
            "proc/interrupts",
            "     CPU0 CPU1\n 34: 9 12 PCI-MSI 5-edge nvme0q3\nLOC: 8 7 Local timer interrupts\nERR: 3\n",
        );
        machine.write("proc/softirqs", "     CPU0 CPU1\nTIMER: 8 4\nNET_RX: 9 6\n");
        machine.times(3);
        machine.thread(5, 6_000_000, 1, 2);

        let (now, _) = machine.read();

        assert_eq!(
            now[0].since(&before[0]),
            [
                event(EventKind::Preempted, "", 2, Some(5_000_000)),
                event(EventKind::Stolen, "", 1, Some(10_000_000)),
                event(EventKind::MajorFault, "", 1, None),
                event(EventKind::Interrupt, "34 nvme0q3", 2, None),
                event(EventKind::Interrupt, "LOC Local timer interrupts", 2, None),
                event(EventKind::Softirq, "NET_RX", 1, None),
            ]
        );
        assert_eq!(now[0].since(&now[0]), []);
    }

    #[test]
    fn what_can_not_be_read_is_said_and_the_rest_is_counted() {
        let machine = Machine::new();
        let (before, _) = machine.read();
        machine.write("proc/interrupts", "odd");
        machine.remove("proc/softirqs");
        machine.thread(4, 1_000_000, 0, 2);

        let (now, problems) = machine.read();

        assert_eq!(problems.len(), 2, "{problems:?}");
        assert_eq!(now[0].since(&before[0]), [event(EventKind::Preempted, "", 1, Some(0))]);
    }
}
