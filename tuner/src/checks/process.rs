//! One process that was asked about: whether anything about it makes its own threads wait.
//!
//! These are not about the machine, so they are not among [`super::all`], and only run with `--process`.

use linux::counters::Event;

use super::{Check, Context, Outcome, wording::count};
use crate::{
    Fact, Section,
    facts::process::{Counted, Process},
};

/// What is looked at of a process.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "PROC-01",
        title: "affinity of its threads",
        why: "a thread that polls needs one CPU of its own, and the others none of the workers' CPUs",
        explain: "A thread that may run on several CPUs is moved by the load balancer, and pays for it with cold \
                  caches; two that poll on one CPU take turns of milliseconds. What is good is one CPU for each \
                  thread on the workers' CPUs, and no CPU of theirs for the rest.\n\nThat a thread is bound to the \
                  workers' CPUs is the aim, not a fault.",
        sources: &["Linux Documentation/admin-guide/cpu-isolation.rst", "sched_setaffinity(2)"],
        look: affinity,
        ..PROCESS
    },
    Check {
        id: "PROC-02",
        title: "scheduling policy",
        why: "a polling thread with a real-time priority keeps the kernel's own threads off its CPU for ever",
        explain: "On an isolated CPU there is nobody to come before, so SCHED_OTHER is enough. With SCHED_FIFO a \
                  thread that never sleeps starves what the kernel has bound to that CPU; with throttling it is \
                  stopped for 50 ms in each second instead.",
        sources: &["sched(7)", "Linux Documentation/scheduler/sched-rt-group.rst"],
        look: policy,
        ..PROCESS
    },
    Check {
        id: "PROC-03",
        title: "memory it may lock",
        why: "vfio pins the memory that a device writes to, and is refused above the limit",
        explain: "Memory for direct access by a device is pinned and counts as locked. A limit of 64 KiB or 8 MiB, \
                  as shells have, is too small for any packet pool. Hugepages do not count, but their vfio mappings \
                  do.",
        sources: &["getrlimit(2)", "DPDK Linux guide, running as a user"],
        look: memlock,
        ..PROCESS
    },
    Check {
        id: "PROC-04",
        title: "page faults",
        why: "a fault takes a thread into the kernel for microseconds, or milliseconds when it has to read",
        explain: "Memory that is touched for the first time, was swapped out or is being moved makes the thread \
                  that touches it wait in the kernel. A thread that polls should have touched all it needs before \
                  it starts: mlockall(2), hugepages, prefaulted stacks.",
        sources: &["proc_pid_stat(5)", "mlockall(2)"],
        look: faults,
        ..PROCESS
    },
    Check {
        id: "PROC-05",
        title: "switches of its polling threads",
        why: "each involuntary switch gave the CPU to somebody else",
        explain: "A thread that polls on a CPU of its own is never switched. Involuntary switches say that somebody \
                  else ran there, voluntary ones that it waited: for a lock, for a file, for memory.",
        sources: &["proc_pid_status(5)"],
        look: switches,
        ..PROCESS
    },
    Check {
        id: "PROC-06",
        title: "NUMA nodes of its memory",
        why: "memory of another node costs a trip over the socket interconnect on every miss",
        explain: "Memory comes from the node of the CPU that touches it first, so a program that starts on one node \
                  and then pins its threads to another keeps its first pages where it started.",
        sources: &["numa_maps in proc_pid_numa_maps(5)", "numa(7)"],
        look: memory,
        is_proposed: true,
        ..PROCESS
    },
    Check {
        id: "PROC-07",
        title: "transparent hugepages",
        why: "the kernel compacts and copies memory behind a program's back to make them",
        explain: "With transparent hugepages, faults may take the time to clear 2 MiB, and khugepaged moves pages \
                  later, for which every CPU of the process is interrupted. Explicit hugepages have neither.",
        sources: &["Linux Documentation/admin-guide/mm/transhuge.rst"],
        look: transparent,
        ..PROCESS
    },
    Check {
        id: "PROC-08",
        title: "swapped memory",
        why: "touching it again waits for a disk",
        explain: "Memory that was swapped out comes back by a major fault, which takes as long as the swap device.",
        sources: &["smaps_rollup in proc_pid_smaps(5)"],
        look: swapped,
        ..PROCESS
    },
    Check {
        id: "PROC-09",
        title: "cycles, instructions and misses",
        why: "misses say where a thread waits for memory; instructions a cycle of a poll loop say next to nothing",
        explain: "The processor counts cycles, instructions, cache and branch misses of each thread. A thread that \
                  polls an empty queue executes the same few instructions from the first cache as fast as it can: \
                  its instructions a cycle are high when it has nothing to do, and fall when packets come. So the \
                  figure is shown and not judged; compare it with itself, at the same load, before and after a \
                  change.\n\nCache misses of a worker at a steady load are the figure to watch: they rise when a \
                  neighbour shares its last cache, when its memory is on another node, or when its tables outgrew \
                  the cache.\n\nMany virtual machines have no counters, and where kernel.perf_event_paranoid is 2 or \
                  more only root or CAP_PERFMON may count what the kernel does for a thread. What could not be \
                  counted is unknown, not good.",
        sources: &["perf_event_open(2)", "Linux Documentation/admin-guide/perf-security.rst"],
        look: hardware,
        ..PROCESS
    },
    Check {
        id: "PROC-10",
        title: "what the kernel counted of it",
        why: "a polling thread that is moved or switched away was not alone on its CPU",
        explain: "The kernel's own counts, of all threads of the process together while it was looked at: the time \
                  they ran, how often they left their CPU and came back on another, how often they touched memory \
                  that was not mapped. They need no counter of the processor. Threads that wait for a socket or a \
                  timer leave their CPU as they should; PROC-05 judges those on the workers' CPUs.",
        sources: &["perf_event_open(2)"],
        look: software,
        ..PROCESS
    },
];

const PROCESS: Check = Check { section: Section::Process, ..Check::PLAIN };

/// Needed for a DMA mapping of a small pool: less is certainly too little.
const LEAST_LOCKED: u64 = 64 << 20;

fn of<'a>(context: &Context<'a>) -> Result<&'a Process, Outcome> {
    context.process.ok_or_else(|| Outcome::not_applicable("no process was asked about"))
}

fn affinity(context: &Context<'_>) -> Outcome {
    super::judge::settled(|| {
        let process = of(context)?;
        let workers = context.workers()?;
        let (mut polling, mut faults, mut unknown) = (0, Vec::new(), 0);
        let mut taken = config::CpuSet::new();
        for thread in &process.threads {
            let Some(allowed) = crate::facts::tasks::allowed(thread) else {
                unknown += 1;
                continue;
            };
            let (id, name) = (thread.stat.id, &thread.stat.name);
            if allowed.is_disjoint(&workers) {
                continue;
            }
            if allowed.len() > 1 {
                faults.push(format!("{name} ({id}) may run on CPU {allowed}"));
            } else if !taken.is_disjoint(allowed) {
                faults.push(format!("{name} ({id}) shares CPU {allowed} with another thread"));
            } else {
                polling += 1;
                taken = taken.union(allowed);
            }
        }
        let total = process.threads.len();
        Ok(match (faults.is_empty(), unknown) {
            (false, _) => Outcome::bad(format!(
                "can meet a worker: {} of {}",
                faults.len(),
                count(total, "thread")
            ))
            .wanted("one CPU for each thread on the workers' CPUs, none of them for the rest")
            .details(faults)
            .advice("pin the threads that poll, one CPU each, and the rest to housekeeping"),
            (true, 0) => Outcome::good(format!(
                "{}, {polling} alone on a worker's CPU",
                count(total, "thread")
            )),
            (true, _) => Outcome::unknown(format!(
                "the affinity of {unknown} of {} is not known",
                count(total, "thread")
            )),
        })
    })
}

fn policy(context: &Context<'_>) -> Outcome {
    super::judge::settled(|| {
        let process = of(context)?;
        let real: Vec<String> = process
            .threads
            .iter()
            .filter(|thread| thread.stat.policy.is_real_time())
            .map(|thread| {
                let linux::task::Stat { name, id, policy, rt_priority, .. } = &thread.stat;
                format!("{name} ({id}): {policy:?} {rt_priority}")
            })
            .collect();
        Ok(if real.is_empty() {
            Outcome::good("no thread has a real-time policy")
        } else {
            Outcome::warn(format!("{} with a real-time policy", count(real.len(), "thread")))
                .wanted("SCHED_OTHER on isolated CPUs")
                .details(real)
                .advice("leave the policy alone, or make sure that no such thread polls")
        })
    })
}

fn memlock(context: &Context<'_>) -> Outcome {
    super::judge::settled(|| {
        let process = of(context)?;
        Ok(match &process.memlock {
            Fact::Is(u64::MAX) => Outcome::good("unlimited"),
            Fact::Is(bytes) if *bytes >= LEAST_LOCKED => {
                Outcome::info(format!("{} MiB", bytes >> 20))
            }
            Fact::Is(bytes) => Outcome::warn(format!("{} KiB", bytes >> 10))
                .wanted("unlimited where vfio is used")
                .advice("LimitMEMLOCK=infinity in the unit that starts it"),
            Fact::Absent => Outcome::not_applicable("the machine does not say"),
            Fact::Unknown { why } => Outcome::unknown(why),
        })
    })
}

/// The threads of the process that ran on the workers' CPUs while it was watched.
fn watched<'a>(context: &Context<'a>) -> Result<Vec<&'a crate::measured::ThreadActivity>, Outcome> {
    let process = of(context)?;
    let workers = context.workers()?;
    let measured = context.watched()?;
    let threads = super::judge::known(&measured.threads, "no thread did anything")?;
    let of_it = threads.iter().filter(|thread| thread.process == process.id);
    Ok(of_it.filter(|thread| workers.contains(thread.last_cpu)).collect())
}

fn faults(context: &Context<'_>) -> Outcome {
    super::judge::settled(|| {
        let threads = watched(context)?;
        let lines: Vec<String> = threads
            .iter()
            .filter(|thread| thread.minor_faults + thread.major_faults > 0)
            .map(|t| {
                format!(
                    "{} ({}): {} minor, {} major",
                    t.name, t.thread, t.minor_faults, t.major_faults
                )
            })
            .collect();
        let major: u64 = threads.iter().map(|thread| thread.major_faults).sum();
        let minor: u64 = threads.iter().map(|thread| thread.minor_faults).sum();
        let seen = format!("{minor} minor and {major} major faults on the workers' CPUs");
        let outcome = match (minor, major) {
            (0, 0) => return Ok(Outcome::good(seen)),
            (_, 0) => Outcome::warn(seen),
            (_, _) => Outcome::bad(seen),
        };
        Ok(outcome.wanted("none").details(lines).advice(
            "touch all memory before polling, and lock it: mlockall(MCL_CURRENT | MCL_FUTURE)",
        ))
    })
}

fn switches(context: &Context<'_>) -> Outcome {
    super::judge::settled(|| {
        let threads = watched(context)?;
        let sum = |count: fn(&crate::measured::ThreadActivity) -> Option<u64>| -> u64 {
            threads.iter().filter_map(|thread| count(thread)).sum()
        };
        let (involuntary, voluntary) = (sum(|t| t.involuntary), sum(|t| t.voluntary));
        let seen = format!("{involuntary} involuntary, {voluntary} voluntary on the workers' CPUs");
        Ok(match involuntary {
            0 => Outcome::good(seen),
            _ => Outcome::warn(seen)
                .wanted("no involuntary one")
                .advice("see who else runs there: ISO-14 and IRQ-01 name them"),
        })
    })
}

fn memory(context: &Context<'_>) -> Outcome {
    super::judge::settled(|| {
        let process = of(context)?;
        let nodes = super::judge::known(&process.memory, "the kernel has no NUMA")?;
        let workers = context.workers()?;
        let machine = super::judge::known(&context.facts.machine, "there is no machine")?;
        let local: Vec<_> = workers.iter().filter_map(|cpu| machine.cpu(cpu)?.node).collect();
        let total: u64 = nodes.values().sum();
        let far: u64 =
            nodes.iter().filter(|(node, _)| !local.contains(node)).map(|(_, bytes)| bytes).sum();
        if machine.nodes.len() < 2 {
            return Ok(Outcome::not_applicable("there is one node"));
        }
        let lines = nodes.iter().map(|(node, bytes)| format!("node {node}: {} MiB", bytes >> 20));
        let seen =
            format!("{} of {} MiB are on the workers' nodes", (total - far) >> 20, total >> 20);
        let outcome = match far.saturating_mul(10) {
            far if far > total => Outcome::warn(seen)
                .wanted("at least nine tenths")
                .advice("start it with numactl --membind, or pin before allocating"),
            _ => Outcome::good(seen),
        };
        Ok(outcome.details(lines))
    })
}

fn transparent(context: &Context<'_>) -> Outcome {
    super::judge::settled(|| {
        let process = of(context)?;
        let bytes = super::judge::known(&process.transparent_huge, "the kernel does not say")?;
        Ok(match bytes {
            0 => Outcome::good("none"),
            bytes => Outcome::info(format!("{} MiB", bytes >> 20))
                .advice("MEM-08 has what it costs and how to switch it off"),
        })
    })
}

fn swapped(context: &Context<'_>) -> Outcome {
    super::judge::settled(|| {
        let process = of(context)?;
        let bytes = super::judge::known(&process.swapped, "the kernel does not say")?;
        Ok(match bytes {
            0 => Outcome::good("none"),
            bytes => Outcome::warn(format!("{} KiB", bytes >> 10))
                .wanted("none")
                .advice("lock its memory, or run without swap (MEM-13)"),
        })
    })
}

/// What was counted, with a line about the counting.
fn counted<'a>(context: &Context<'a>) -> Result<(&'a Counted, String), Outcome> {
    let process = of(context)?;
    let counted = super::judge::known(&process.cost, "nothing was counted")?;
    let Counted { seconds, threads, of, .. } = counted;
    let line = match threads == of {
        true => format!("{}, counted for {seconds:.2} s", count(threads, "thread")),
        false => format!("{threads} of {}, counted for {seconds:.2} s", count(of, "thread")),
    };
    Ok((counted, line))
}

/// A line for each event of one kind: its count, or why there is none.
fn lines(counted: &Counted, is_hardware: bool) -> Vec<String> {
    let known = counted.cost.counted.iter().filter(|(event, _)| event.is_hardware() == is_hardware);
    let known = known.map(|(event, count)| {
        let scaled = match count.share < 0.995 {
            true => format!(", estimated from {:.0} % of the time", count.share * 100.0),
            false => String::new(),
        };
        let user = if count.is_user_only { ", without the kernel's part" } else { "" };
        match event {
            Event::TaskClock => format!("{event}: {} ms{scaled}{user}", count.value / 1_000_000),
            _ => format!("{event}: {}{scaled}{user}", count.value),
        }
    });
    let unknown = counted.cost.unknown.iter().filter(|(event, _)| {
        event.is_hardware() == is_hardware && !counted.cost.counted.contains_key(event)
    });
    known.chain(unknown.map(|(event, why)| format!("{event}: not known: {why}"))).collect()
}

fn hardware(context: &Context<'_>) -> Outcome {
    super::judge::settled(|| {
        let (counted, line) = counted(context)?;
        if let Some(why) = counted.cost.no_hardware() {
            return Ok(Outcome::unknown(why));
        }
        let rates = counted.cost.rates();
        let rates: Vec<String> = rates.iter().map(ToString::to_string).collect();
        let seen = match rates.is_empty() {
            true => "counted, but not enough for a rate".to_owned(),
            false => rates.join(", "),
        };
        Ok(Outcome::info(seen)
            .details([line].into_iter().chain(lines(counted, true)).collect::<Vec<_>>()))
    })
}

fn software(context: &Context<'_>) -> Outcome {
    super::judge::settled(|| {
        let (counted, line) = counted(context)?;
        let known: Vec<String> = counted
            .cost
            .counted
            .iter()
            .filter(|(event, _)| !event.is_hardware())
            .map(|(event, count)| match event {
                Event::TaskClock => {
                    #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
                    let cpus = count.value as f64 / 1e9 / counted.seconds.max(1e-9);
                    format!("{cpus:.2} CPUs busy")
                }
                _ => format!("{} {event}", count.value),
            })
            .collect();
        if known.is_empty() {
            let why = counted.cost.unknown.iter().find(|(event, _)| !event.is_hardware());
            return Ok(Outcome::unknown(why.map_or("nothing was counted", |(_, why)| why)));
        }
        Ok(Outcome::info(known.join(", "))
            .details([line].into_iter().chain(lines(counted, false)).collect::<Vec<_>>()))
    })
}

#[cfg(test)]
mod tests;
