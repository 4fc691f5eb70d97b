//! Rings, interrupts and queues of the kernel's NICs.

use config::CpuSet;

use super::{
    super::{
        Check, Context, Outcome,
        judge::settled,
        several::{One, worst},
        wording::count,
    },
    NONE, nics,
};
use crate::{
    Profile, Risk, Section, Verdict,
    change::{Change, EthtoolSetting, Form},
    facts::nics::{Nic, Queue},
};

pub(super) const RINGS: Check = Check {
    id: "NIC-01",
    section: Section::Nics,
    title: "receive rings of the kernel's NICs",
    why: "a short ring overflows while its interrupt waits for a busy housekeeping core",
    explain: "The driver keeps a ring of descriptors for each receive queue; the NIC fills them, and drops what arrives \
              while the ring is full. Everything that was on the workers' cores now shares housekeeping, so interrupts \
              of the management NIC may wait longer than on a stock server.\n\nAt least half of what the driver \
              offers leaves room. More is not better for latency: a larger ring is a larger queue, and touches more \
              cache. So this asks for half, and calls it bad only when frames were lost already.\n\nA port on \
              vfio-pci has no ring here: the poll-mode driver sizes its own.",
    sources: &["ethtool(8), -g", "AWS trading-latency-benchmark, notes on ring sizes"],
    risk: Risk::Medium,
    cost: "the link goes down for a moment",
    is_proposed: true,
    look: rings,
    ..Check::PLAIN
};

pub(super) const COALESCING: Check = Check {
    id: "NIC-02",
    section: Section::Nics,
    title: "interrupt coalescing of the kernel's NICs",
    why: "a NIC that waits to raise an interrupt adds that wait to every answer of the kernel's path",
    explain: "Coalescing holds an interrupt back until some microseconds or frames have passed; adaptive coalescing lets \
              the driver choose by load, and choose differently each second. For sockets on the kernel's path that is \
              latency, and for adaptive modes latency that wanders.\n\nA fixed small value (the project proposes at \
              most 10 µs for the low-latency profile) bounds it. Zero is an interrupt for each frame, and a burst can \
              keep a core in interrupts; one or two microseconds are the usual compromise. With the throughput \
              profile batching is wanted, and adaptive is fine.\n\nPoll-mode ports raise no interrupts: this changes \
              nothing for them.",
    sources: &["ethtool(8), -c", "AWS ENA driver, best practices", "AWS trading-latency-benchmark"],
    risk: Risk::Low,
    cost: "more interrupts on housekeeping CPUs",
    is_proposed: true,
    look: coalescing,
    ..Check::PLAIN
};

pub(super) const RSS: Check = Check {
    id: "NIC-06",
    section: Section::Nics,
    title: "spreading of received flows",
    why: "when every flow hashes to one queue, one core does all the work and the others none",
    explain: "Receive-side scaling hashes each flow and looks the queue up in a table of buckets. A table that names one \
              queue only, left by a tool or a container runtime, makes the other queues idle.\n\nGood is a table that \
              names every queue. Steering some flows to certain queues by hand (ntuple filters) is on top of it and is \
              shown where it is possible.",
    sources: &["Linux Documentation/networking/scaling.rst", "ethtool(8), -x"],
    risk: Risk::Low,
    cost: "flows move to other queues",
    look: rss,
    ..Check::PLAIN
};

pub(super) const RPS: Check = Check {
    id: "RPS-01",
    section: Section::Nics,
    title: "receive packet steering",
    why: "RPS has packets of the kernel processed on the CPUs of its mask, whoever else is there",
    explain: "Receive packet steering hands packets from the CPU that took the interrupt to those in a queue's rps_cpus, by \
              an interrupt between CPUs. If a worker's CPU is in the mask it gets such interrupts and the kernel's \
              network stack on top.\n\nGood is an empty mask (nobody is handed anything) or one within housekeeping. The \
              file is a hexadecimal mask: `2` is CPU 1, not CPU 2, which guides get wrong. net.core.rps_default_mask is \
              what interfaces that appear later begin with.",
    sources: &[
        "Linux Documentation/networking/scaling.rst",
        "Linux Documentation/admin-guide/sysctl/net.rst, rps_default_mask",
        "openshift cluster-node-tuning-operator",
    ],
    risk: Risk::Low,
    cost: "housekeeping CPUs process the packets",
    look: rps,
    ..Check::PLAIN
};

pub(super) const XPS: Check = Check {
    id: "RPS-02",
    section: Section::Nics,
    title: "transmit packet steering",
    why: "a transmit queue that is tied to a worker's CPU has its completions and its lock there",
    explain: "Transmit packet steering maps CPUs to transmit queues, so that a queue's lock and completions stay on few \
              CPUs. Drivers set it at start so that every CPU has a queue, the workers' included. A worker that never \
              sends through the kernel makes no use of it; but a queue whose only CPUs are workers is left to nobody \
              else.\n\nGood is a mask within housekeeping. Note that a transmit queue of a one-queue device has no \
              mask at all.",
    sources: &["Linux Documentation/networking/scaling.rst", "seastar scripts/perftune.py"],
    risk: Risk::Low,
    cost: "housekeeping CPUs share the queues",
    look: xps,
    ..Check::PLAIN
};

/// The part of the largest ring that is enough.
const HALF: u32 = 2;

/// In µs: the most that the low-latency profile lets an interrupt wait, and what is bad for it.
const SHORT: u32 = 10;
const LONG: u32 = 50;

/// What is set instead: an interrupt storm is worse than two microseconds.
const USECS: u32 = 2;

/// Intel's drivers that refuse two microseconds (and 4 to 9), and a time of their own for sending where queues are pairs:
/// `igb_set_coalesce()` and its like in Linux 6.18. For these it is the shortest fixed time they take.
const TEN_OR_MORE: [&str; 5] = ["e1000", "e1000e", "igb", "igbvf", "igc"];

fn rings(context: &Context<'_>) -> Outcome {
    settled(|| {
        let judged = nics(context)?.iter().filter_map(|nic| {
            let name = &nic.interface.name;
            One::of(name, &nic.rings, |rings| match (rings.rx.now, rings.rx.max) {
                (Some(now), Some(max)) if max > 0 => judge_ring(nic, now, max),
                _ => One::new(Verdict::NotApplicable, format!("{name}: it has no ring to size")),
            })
        });
        Ok(worst(judged, NONE).wanted("at least half of what the driver offers"))
    })
}

fn judge_ring(nic: &Nic, now: u32, max: u32) -> One {
    let name = &nic.interface.name;
    let wanted = max / HALF;
    let lost: u64 = ["rx_missed_errors", "rx_fifo_errors"]
        .iter()
        .filter_map(|counter| nic.counters.value()?.get(*counter))
        .sum();
    let line = format!("{name}: {now} of {max}");
    match (now >= wanted, lost) {
        (true, _) => return One::new(Verdict::Good, line),
        (false, 0) => One::new(Verdict::Warn, line),
        (false, lost) => One::new(Verdict::Bad, format!("{line}, {lost} frames lost since boot")),
    }
    .fix(Change::Ethtool {
        interface: name.clone(),
        setting: EthtoolSetting::Rings { rx: Some(wanted), tx: None },
    })
}

fn coalescing(context: &Context<'_>) -> Outcome {
    settled(|| {
        let profile = context.intent.profile;
        let judged = nics(context)?.iter().filter_map(|nic| {
            let name = &nic.interface.name;
            One::of(name, &nic.coalesce, |coalesce| {
                let is_adaptive =
                    coalesce.adaptive_rx == Some(true) || coalesce.adaptive_tx == Some(true);
                match coalesce.rx_usecs {
                    None if !is_adaptive => {
                        One::new(Verdict::NotApplicable, format!("{name}: it has no such knob"))
                    }
                    usecs => judge_coalescing(nic, profile, is_adaptive, usecs.unwrap_or(0)),
                }
            })
        });
        let wanted = match profile {
            Profile::LowLatency => "not adaptive, at most 10 µs",
            Profile::Throughput | Profile::Balanced => "whatever batches well",
        };
        Ok(worst(judged, NONE).wanted(wanted))
    })
}

fn judge_coalescing(nic: &Nic, profile: Profile, is_adaptive: bool, usecs: u32) -> One {
    let name = &nic.interface.name;
    let line = match is_adaptive {
        true => format!("{name}: adaptive, now {usecs} µs"),
        false => format!("{name}: {usecs} µs"),
    };
    let verdict = match (profile, is_adaptive, usecs) {
        (Profile::Throughput | Profile::Balanced, _, _) => Verdict::Good,
        (Profile::LowLatency, _, LONG..) => Verdict::Bad,
        (Profile::LowLatency, true, _) => Verdict::Warn,
        (Profile::LowLatency, false, ..=SHORT) => Verdict::Good,
        (Profile::LowLatency, false, _) => Verdict::Warn,
    };
    let one = One::new(verdict, line);
    let is_coarse =
        nic.driver.value().is_some_and(|driver| TEN_OR_MORE.contains(&driver.name.as_str()));
    let (rx_usecs, tx_usecs) = match is_coarse {
        true => (Some(SHORT), None),
        false => (Some(USECS), Some(USECS)),
    };
    match verdict {
        Verdict::Warn | Verdict::Bad => one.fix(Change::Ethtool {
            interface: name.to_owned(),
            setting: EthtoolSetting::Coalesce { adaptive: Some(false), rx_usecs, tx_usecs },
        }),
        _ => one,
    }
}

fn rss(context: &Context<'_>) -> Outcome {
    settled(|| {
        let mut uneven = Vec::new();
        let judged = nics(context)?.iter().filter_map(|nic| {
            let name = &nic.interface.name;
            let one = One::of(name, &nic.rss, |rss| judge_rss(nic, &rss.table))?;
            if matches!(one.verdict, Verdict::Bad | Verdict::Warn) {
                uneven.push(format!("ethtool -X {name} equal {}", queues(nic)));
            }
            Some(one)
        });
        let outcome = worst(judged, NONE).wanted("every queue is in the table");
        Ok(if uneven.is_empty() { outcome } else { outcome.advice(uneven.join("; ")) })
    })
}

/// Queues that receive; 0 when they are not known.
fn queues(nic: &Nic) -> u32 {
    let channels = nic.channels.value();
    channels.map_or(0, |all| all.combined.now.unwrap_or(0).saturating_add(all.rx.now.unwrap_or(0)))
}

fn judge_rss(nic: &Nic, table: &[u32]) -> One {
    let name = &nic.interface.name;
    let queues = queues(nic);
    if table.is_empty() || queues == 1 {
        return One::new(Verdict::NotApplicable, format!("{name}: it has one queue"));
    }
    let mut used: Vec<u32> = table.to_vec();
    used.sort_unstable();
    used.dedup();
    let is_steerable = nic
        .features
        .value()
        .and_then(|all| all.get("rx-ntuple-filter"))
        .is_some_and(|feature| feature.is_on || !feature.is_fixed);
    let steering = if is_steerable { ", filters possible" } else { "" };
    let line = match queues {
        0 => format!("{name}: {} in the table{steering}", count(used.len(), "queue")),
        all => format!("{name}: {} of {} in the table{steering}", used.len(), count(all, "queue")),
    };
    let used = u32::try_from(used.len()).unwrap_or(u32::MAX);
    let verdict = match (used, queues) {
        (1, 0) => Verdict::Unknown,
        (1, _) => Verdict::Bad,
        (used, queues) if used < queues => Verdict::Warn,
        _ => Verdict::Good,
    };
    One::new(verdict, line)
}

fn rps(context: &Context<'_>) -> Outcome {
    steering(context, |nic| &nic.queues.rx, "empty, or housekeeping only", true)
}

fn xps(context: &Context<'_>) -> Outcome {
    steering(context, |nic| &nic.queues.tx, "housekeeping only", false)
}

/// Masks of queues, none of which may name a worker's CPU.
fn steering(
    context: &Context<'_>,
    queues: impl Fn(&Nic) -> &[Queue],
    wanted: &str,
    is_receiving: bool,
) -> Outcome {
    settled(|| {
        let nics = nics(context)?;
        if nics.iter().all(|nic| queues(nic).is_empty()) {
            return Ok(Outcome::not_applicable("no queue has such a mask"));
        }
        let workers = context.workers()?;
        let housekeeping = context.housekeeping()?;
        let judged = nics.iter().flat_map(|nic| {
            queues(nic).iter().map(|queue| {
                let name = queue_name(&queue.path);
                One::of(&name, &queue.cpus, |cpus| {
                    judge_mask(&name, &queue.path, cpus, &workers, &housekeeping, is_receiving)
                })
            })
        });
        let default = context.facts.network.rps_default.value().filter(|_| is_receiving);
        let default = default.map(|cpus| {
            let path = "proc/sys/net/core/rps_default_mask";
            judge_mask("the default", path, cpus, &workers, &housekeeping, true)
        });
        Ok(worst(judged.flatten().chain(default), NONE).wanted(wanted))
    })
}

/// `eth0 rx-3` of a path in sysfs.
fn queue_name(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [.., interface, "queues", queue, _] => format!("{interface} {queue}"),
        _ => path.to_owned(),
    }
}

fn judge_mask(
    name: &str,
    path: &str,
    cpus: &CpuSet,
    workers: &CpuSet,
    housekeeping: &CpuSet,
    is_receiving: bool,
) -> One {
    let hit = cpus.intersection(workers);
    if hit.is_empty() {
        let line = match cpus.is_empty() {
            true => format!("{name}: no mask"),
            false => format!("{name}: cpu {cpus}"),
        };
        return One::new(Verdict::Good, line);
    }
    // Packets are handed to these; of the senders' mask only a queue that nobody else may use is one lost.
    let mut value = cpus.difference(workers);
    if value.is_empty() && !is_receiving {
        value = housekeeping.clone();
    }
    let value = value.to_hex_mask();
    let change = match path.strip_prefix("proc/sys/") {
        Some(name) => Change::Sysctl { key: name.replace('/', "."), value },
        None => Change::Kernel { path: path.to_owned(), value, form: Form::CpuMask },
    };
    One::new(Verdict::Bad, format!("{name}: cpu {cpus}, among them workers {hit}")).fix(change)
}
