//! Memory management: no work behind the back.

use super::{
    Check, Context, Outcome,
    judge::{known, number, settled, sysctl},
    wording::lines,
};
use crate::{
    Fact, Risk, Section, Verdict,
    change::{Change, Form, UnitState},
    facts::tasks::{WORKER, allowed},
};

/// Memory management: no work behind the back.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "MEM-08",
        section: Section::Memory,
        title: "transparent hugepages",
        why: "making hugepages behind a program's back stalls it while memory is moved and page tables change",
        explain: "With always the kernel tries to use hugepages for every program's memory: a page fault may then compact \
                  memory first, and khugepaged merges pages later, with interrupts to the CPUs that have them in \
                  their TLBs. With madvise only programs that ask for it are served; with never nobody is.\n\nThe \
                  daemon's own packet memory is of hugetlbfs kind and not touched by this. madvise is enough, and what \
                  databases and JVMs on housekeeping want; never is fine where nobody asks.",
        sources: &[
            "Linux Documentation/admin-guide/mm/transhuge.rst",
            "aws-samples/trading-latency-benchmark, tuning reference",
        ],
        risk: Risk::Low,
        cost: "programs that profit without asking become slower",
        look: transparent,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-09",
        section: Section::Memory,
        title: "compaction for transparent hugepages",
        why: "a page fault that compacts memory first takes milliseconds",
        explain: "defrag says how hard the kernel tries when no hugepage is free: always makes the faulting program wait for \
                  compaction, defer wakes kernel threads instead, madvise waits only for programs that asked, never \
                  does not try.\n\nkhugepaged merges in the background whatever defrag says; it is one of the kernel's \
                  unbound threads and has to be kept off the workers' CPUs like the others (ISO-12).",
        sources: &["Linux Documentation/admin-guide/mm/transhuge.rst"],
        risk: Risk::Low,
        look: transparent_defrag,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-10",
        section: Section::Memory,
        title: "merging of equal pages",
        why: "ksmd reads all mergeable memory again and again, and evicts the workers' data from shared caches",
        explain: "Kernel same-page merging looks for equal pages of programs that allow it, which are mostly virtual \
                  machines, and keeps one copy. A write to such a page then takes a fault and a copy. Reading the memory \
                  of whole guests also pushes everything else out of the last-level cache.\n\n0 stops it and leaves merged \
                  pages merged; 2 stops it and takes them apart. ksmtuned switches it on again by itself, so it has \
                  to go too. What it costs is the memory that was saved.",
        sources: &[
            "Linux Documentation/admin-guide/mm/ksm.rst",
            "TuneD realtime-virtual-host profile",
        ],
        risk: Risk::Medium,
        cost: "memory: merged pages are copied apart",
        look: merging,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-11",
        section: Section::Memory,
        title: "automatic NUMA balancing",
        why: "it unmaps memory on purpose, to see by page faults which node uses it",
        explain: "On machines with several nodes the kernel samples which memory a task uses by making some of its pages \
                  inaccessible and catching the faults, then moves pages or tasks. A pinned worker with memory on its \
                  own node gains nothing and pays the faults, and TLB flushes reach it from other threads of its process.\n\n\
                  With one node it does nothing. Programs on housekeeping that are not pinned may lose some locality \
                  without it. The value 2 is another thing: moving cold pages to slow memory.",
        sources: &[
            "Linux Documentation/admin-guide/sysctl/kernel.rst, numa_balancing",
            "TuneD latency-performance and realtime profiles",
        ],
        risk: Risk::Low,
        cost: "programs that are not pinned may use remote memory",
        look: balancing,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-12",
        section: Section::Memory,
        title: "zone reclaim",
        why: "freeing memory of a node before using another's takes the time of whoever asks for memory",
        explain: "With vm.zone_reclaim_mode set, an allocation that finds its node full first writes out and frees page cache \
                  there. It was once the default on large NUMA machines, and made file servers stall. Zero takes memory \
                  of another node instead.\n\nPacket memory is reserved and does not care either way.",
        sources: &["Linux Documentation/admin-guide/sysctl/vm.rst, zone_reclaim_mode"],
        risk: Risk::Low,
        look: zone_reclaim,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-13",
        section: Section::Memory,
        title: "swap",
        why: "a page that was swapped out comes back by a page fault that reads from a disk",
        explain: "The daemon locks its memory, so its own pages stay. What it talks to does not: a control plane or a \
                  collector on housekeeping may stall for milliseconds, and writing pages out is work for kswapd and the \
                  disk's interrupts.\n\nSwap that is there and never used does no harm, and saves the machine when a \
                  program goes wrong. Switching it off while it holds pages reads all of them back, and kills programs \
                  if memory does not suffice: only where what is available is more than what is swapped out. It is an \
                  administrator's file (fstab) and decision, so nothing is changed here.",
        sources: &[
            "Linux Documentation/admin-guide/mm/concepts.rst",
            "rigtorp.se, low latency tuning guide",
        ],
        risk: Risk::Medium,
        look: swap,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-14",
        section: Section::Memory,
        title: "swappiness",
        why: "with swap present, a high value swaps idle programs out to keep file pages",
        explain: "vm.swappiness weighs swapping anonymous memory against dropping file pages, 60 by default. Latency profiles \
                  take 10; guides take 1. Both keep programs in memory until it is really short. 0 avoids swapping until \
                  it is nearly too late.\n\nWithout swap it has no effect.",
        sources: &[
            "Linux Documentation/admin-guide/sysctl/vm.rst, swappiness",
            "TuneD latency-performance profile",
        ],
        risk: Risk::Low,
        look: swappiness,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-15",
        section: Section::Memory,
        title: "compaction in advance",
        why: "kcompactd moves pages while nothing asks for it, and each move flushes TLBs of other CPUs",
        explain: "Since Linux 5.9 the kernel compacts memory in the background in proportion to \
                  vm.compaction_proactiveness, 20 by default. Moving a page changes page tables, and every CPU that runs a \
                  thread of its process gets an interrupt.\n\n0 stops it. Later requests for large pages are then \
                  less likely to succeed, which matters for hugepages at run time: reserve those at boot or early. The \
                  threshold is our proposal; no profile that we know of sets it.",
        sources: &["Linux Documentation/admin-guide/sysctl/vm.rst, compaction_proactiveness"],
        risk: Risk::Low,
        cost: "memory is more fragmented later",
        is_proposed: true,
        look: compaction,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-17",
        section: Section::Memory,
        title: "page faults of workers",
        why: "a worker that takes a page fault stops for microseconds, or milliseconds if a disk is read",
        explain: "Memory that is locked and touched in advance takes no faults. Minor faults of a worker come from memory that \
                  was allocated but never touched, from copy-on-write after a fork, or from NUMA balancing; major ones \
                  from code or data that was not in memory.\n\nOnly what happens while the daemon works counts; at its start \
                  faults are normal.",
        sources: &["Linux Documentation/admin-guide/cpu-isolation.rst", "man 2 mlockall"],
        look: faults,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-18",
        section: Section::Memory,
        title: "number of mappings",
        why: "a process that has used up its mappings gets ENOMEM with memory to spare",
        explain: "vm.max_map_count limits how many mappings a process may have, 65530 by default. DPDK needs a few for each \
                  memory segment. Guides set 262144, a number from database manuals; some distributions ship more than a \
                  million already, so that copying the guide lowers it. It is only ever raised here.",
        sources: &["Linux Documentation/admin-guide/sysctl/vm.rst, max_map_count"],
        risk: Risk::None,
        look: maps,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-20",
        section: Section::Memory,
        title: "dirty pages",
        why: "how much written data waits for the disk matters to programs that write files, not to a poll loop",
        explain: "Guides lower vm.dirty_ratio and vm.dirty_background_ratio so that writers are not stopped by large flushes. \
                  A data path that writes no files is not touched by it. Captures and logs on housekeeping are; then \
                  smaller values give shorter stalls and less throughput.\n\nThe values are shown and not judged.",
        sources: &["Linux Documentation/admin-guide/sysctl/vm.rst, dirty_ratio"],
        look: dirty,
        ..Check::PLAIN
    },
];

const TRANSPARENT: &str = "sys/kernel/mm/transparent_hugepage";

fn transparent(context: &Context<'_>) -> Outcome {
    settled(|| {
        let choice = known(&context.facts.memory.transparent, "this kernel makes none")?;
        let outcome = match choice.chosen.as_str() {
            "never" | "madvise" => Outcome::good(&choice.chosen),
            "always" => Outcome::bad("always").fix(Change::Kernel {
                path: format!("{TRANSPARENT}/enabled"),
                value: "madvise".to_owned(),
                form: Form::Choice,
            }),
            other => Outcome::unknown(format!("\"{other}\" is not known")),
        };
        Ok(outcome.wanted("madvise or never"))
    })
}

fn transparent_defrag(context: &Context<'_>) -> Outcome {
    settled(|| {
        let memory = &context.facts.memory;
        let choice = known(&memory.transparent_defrag, "this kernel makes no such pages")?;
        if memory.transparent.value().is_some_and(|enabled| enabled.chosen == "never") {
            return Ok(Outcome::good(format!("{}, and there are none", choice.chosen)));
        }
        let verdict = match choice.chosen.as_str() {
            "never" | "madvise" => Verdict::Good,
            "defer" | "defer+madvise" => Verdict::Warn,
            "always" => Verdict::Bad,
            other => return Err(Outcome::unknown(format!("\"{other}\" is not known"))),
        };
        let fix = (verdict != Verdict::Good).then(|| Change::Kernel {
            path: format!("{TRANSPARENT}/defrag"),
            value: "madvise".to_owned(),
            form: Form::Choice,
        });
        let wanted = "madvise or never, and khugepaged on housekeeping";
        let threads = context.facts.tasks.threads();
        let khugepaged = threads.value().and_then(|threads| {
            threads.iter().find(|task| task.stat.is_kernel() && task.stat.name == "khugepaged")
        });
        let reaches = match khugepaged.and_then(allowed) {
            Some(allowed) => !allowed.is_disjoint(&context.workers()?),
            None => false,
        };
        let outcome = if reaches {
            let seen = format!("{}, and khugepaged may run on the workers' CPUs", choice.chosen);
            super::power::outcome(verdict.max(Verdict::Warn), seen)
                .advice("ISO-12 moves khugepaged")
        } else {
            super::power::outcome(verdict, &choice.chosen)
        };
        Ok(outcome.wanted(wanted).fixes(fix))
    })
}

fn merging(context: &Context<'_>) -> Outcome {
    settled(|| {
        let run =
            known(&context.facts.memory.merging, "this kernel does not merge pages")?.as_str();
        let units = ["ksmtuned.service", "ksm.service"].into_iter().filter(|name| {
            let unit = context.facts.units.unit(name);
            unit.is_some_and(|unit| {
                unit.is_installed
                    && (unit.is_active == Fact::Is(true) || unit.is_enabled == Fact::Is(true))
            })
        });
        let disable: Vec<Change> = units
            .map(|unit| Change::Unit { unit: unit.to_owned(), state: UnitState::Disabled })
            .collect();
        let outcome = match (run, disable.is_empty()) {
            ("1", _) => Outcome::bad("on").fixes(disable).fix(Change::Kernel {
                path: "sys/kernel/mm/ksm/run".to_owned(),
                value: "2".to_owned(),
                form: Form::Number,
            }),
            ("0" | "2", true) => Outcome::good("off"),
            ("0" | "2", false) => {
                Outcome::warn("off, but ksmtuned may switch it on").fixes(disable)
            }
            (other, _) => Outcome::unknown(format!("\"{other}\" is not known")),
        };
        Ok(outcome.wanted("off"))
    })
}

fn balancing(context: &Context<'_>) -> Outcome {
    settled(|| {
        let value = known(&context.facts.memory.numa_balancing, "this kernel does not balance")?;
        let nodes = match &context.facts.machine {
            Fact::Is(machine) => machine.nodes.len(),
            Fact::Absent => 1,
            Fact::Unknown { why } if value != "0" => return Err(Outcome::unknown(why)),
            Fact::Unknown { .. } => 1,
        };
        let fix = sysctl("kernel.numa_balancing", 0);
        let outcome = match (number(value)?, nodes) {
            (0, _) => Outcome::good("off"),
            (_, ..=1) => Outcome::good("on, without effect: there is one node"),
            (2, _) => Outcome::warn("2: cold pages are moved to slow memory").fix(fix),
            (_, _) => Outcome::bad(format!("on, with {nodes} nodes")).fix(fix),
        };
        Ok(outcome.wanted("off"))
    })
}

fn zone_reclaim(context: &Context<'_>) -> Outcome {
    settled(|| {
        let absent = "this kernel has no NUMA nodes";
        let outcome = match number(known(&context.facts.memory.zone_reclaim, absent)?)? {
            0 => Outcome::good("0"),
            other => Outcome::warn(other.to_string()).fix(sysctl("vm.zone_reclaim_mode", 0)),
        };
        Ok(outcome.wanted("0"))
    })
}

fn swap(context: &Context<'_>) -> Outcome {
    settled(|| {
        let memory = &context.facts.memory;
        let swaps = known(&memory.swaps, "this kernel does not swap")?;
        if swaps.is_empty() {
            return Ok(Outcome::good("none"));
        }
        let used: u64 = swaps.iter().fold(0, |sum, swap| sum.saturating_add(swap.used_kib));
        let details = lines(swaps.iter().map(|swap| {
            format!("{}: {} of {} MiB used", swap.path, swap.used_kib >> 10, swap.size_kib >> 10)
        }));
        let advice = match memory.available_kib.value() {
            Some(available) if *available > used => {
                "swapoff -a is possible now: more memory is available than is swapped out; then fstab"
            }
            Some(_) => "swapoff would run out of memory: add memory or stop something first",
            None => "swapoff only if more memory is available than is swapped out",
        };
        let read_back = match context.measured {
            None => None,
            Some(measured) => {
                let vmstat = known(&measured.vmstat, "there is no /proc/vmstat")?;
                Some(vmstat.get("pswpin").copied().unwrap_or(0))
            }
        };
        let seen = format!("{} MiB used", used >> 10);
        Ok(match read_back {
            Some(pages @ 1..) => {
                Outcome::bad(format!("{pages} pages were read back while it was watched"))
            }
            Some(0) => Outcome::warn(format!("{seen}, nothing read back while it was watched")),
            None => Outcome::warn(seen),
        }
        .wanted("none, or never used")
        .details(details)
        .advice(advice))
    })
}

fn swappiness(context: &Context<'_>) -> Outcome {
    settled(|| {
        let memory = &context.facts.memory;
        let value = number(known(&memory.swappiness, "this kernel does not swap")?)?;
        let has_swap = memory.swaps.value().is_none_or(|swaps| !swaps.is_empty());
        let outcome = match (value, has_swap) {
            (..=10, _) => Outcome::good(value.to_string()),
            (_, false) => Outcome::good(format!("{value}, without effect: there is no swap")),
            (_, true) => Outcome::warn(value.to_string()).fix(sysctl("vm.swappiness", 10)),
        };
        Ok(outcome.wanted("10 or less"))
    })
}

fn compaction(context: &Context<'_>) -> Outcome {
    settled(|| {
        let absent = "this kernel does not compact in advance";
        let outcome = match number(known(&context.facts.memory.compaction, absent)?)? {
            0 => Outcome::good("0"),
            other => Outcome::warn(other.to_string()).fix(sysctl("vm.compaction_proactiveness", 0)),
        };
        Ok(outcome.wanted("0"))
    })
}

fn faults(context: &Context<'_>) -> Outcome {
    settled(|| {
        let measured = context.watched()?;
        let threads = known(&measured.threads, "there are no threads")?;
        let daemons = context.facts.tasks.daemons();
        if daemons.is_empty() {
            return Ok(Outcome::not_applicable("the daemon does not run"));
        }
        let workers = threads
            .iter()
            .filter(|thread| daemons.contains(&thread.process) && thread.name.starts_with(WORKER));
        let (mut minor, mut major, mut details) = (0_u64, 0_u64, Vec::new());
        for worker in workers.filter(|worker| worker.minor_faults > 0 || worker.major_faults > 0) {
            minor = minor.saturating_add(worker.minor_faults);
            major = major.saturating_add(worker.major_faults);
            details.push(format!(
                "{}: {} minor, {} major",
                worker.name, worker.minor_faults, worker.major_faults
            ));
        }
        let outcome = match (major, minor) {
            (0, 0) => Outcome::good("none"),
            (0, minor) => Outcome::warn(format!("{minor} minor")),
            (major, minor) => Outcome::bad(format!("{major} major, {minor} minor")),
        };
        let outcome = outcome.wanted("none").details(lines(details));
        Ok(match outcome.verdict {
            Verdict::Good => outcome,
            _ => outcome
                .advice("let the daemon lock its memory and touch it before it starts to work"),
        })
    })
}

fn maps(context: &Context<'_>) -> Outcome {
    settled(|| {
        /// The kernel's default (`DEFAULT_MAX_MAP_COUNT`).
        const DEFAULT: u64 = 65_530;
        let memory = &context.facts.memory;
        let text = known(&memory.max_maps, "this kernel has no such limit")?;
        let limit = u64::try_from(number(text)?)
            .map_err(|_| Outcome::unknown(format!("{text} is no limit")))?;
        let used = memory.daemons.value().into_iter().flatten();
        let used = used.filter_map(|process| process.maps.value().copied()).max().unwrap_or(0);
        let is_near = u128::from(used) * 5 >= u128::from(limit) * 4;
        let seen = match used {
            0 => limit.to_string(),
            used => format!("{limit}, of which the daemon has {used}"),
        };
        let raise = |to: u64| sysctl("vm.max_map_count", to);
        let outcome = if used >= limit {
            Outcome::bad(seen).fix(raise(limit.saturating_mul(2).max(DEFAULT)))
        } else if is_near {
            Outcome::warn(seen).fix(raise(limit.saturating_mul(2).max(DEFAULT)))
        } else if limit < DEFAULT {
            Outcome::warn(seen).fix(raise(DEFAULT))
        } else {
            Outcome::good(seen)
        };
        Ok(outcome.wanted("65530 or more, four fifths of it used at most"))
    })
}

fn dirty(context: &Context<'_>) -> Outcome {
    settled(|| {
        let (ratio, background) =
            known(&context.facts.memory.dirty, "this kernel has no such limits")?;
        Ok(Outcome::info(format!("{background} % in the background, {ratio} % at most")))
    })
}

#[cfg(test)]
mod tests;
