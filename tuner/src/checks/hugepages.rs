//! Hugepages where they are needed, and memory that may be locked.

mod boot_line;
mod files;
mod limits;
mod need;

use config::Huge;

use self::need::{comfort, lack, left_kib, need, place_name, size_name};
use super::{
    Check, Context, Outcome,
    judge::{known, settled},
    power::outcome,
    wording::lines,
};
use crate::{
    Fact, Risk, Section, Verdict,
    change::{Change, Form},
    facts::memory::huge::overcommit_file,
};

/// Hugepages where they are needed, and memory that may be locked.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "MEM-01",
        section: Section::Memory,
        title: "hugepages on the workers' nodes",
        why: "packet memory has to come from the workers' own node, and a missing page stops the daemon from starting",
        explain: "The daemon takes its packet memory as hugepages of each node that has workers, and asks for them by node. \
                  Pages on another node do not count: a packet in remote memory costs about twice the time for every \
                  miss. The kernel splits a number that is written for the whole machine evenly over all nodes, and \
                  quietly puts on others what one can not give.\n\nA write to nr_hugepages that can not be fulfilled is \
                  not an error: the kernel reserves fewer, so the number has to be read again. Pages of 2 MiB can usually \
                  be had while the machine runs; pages of 1 GiB need a gigabyte in one piece, which only a machine \
                  that has just booted surely has.\n\nPages that a running daemon uses are not free and not missing. \
                  Pages of another program are.\n\nReserved pages are lost for everything else: MEM-04.",
        sources: &[
            "Linux Documentation/admin-guide/mm/hugetlbpage.rst",
            "DPDK Getting Started Guide, system requirements",
        ],
        risk: Risk::Medium,
        cost: "the memory is not there for other programs",
        look: pages,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-02",
        section: Section::Memory,
        title: "pages of 1 GiB",
        why: "with 1 GiB pages the whole packet memory of a node needs a handful of TLB entries",
        explain: "Each access to memory is translated, and translations are cached in the TLB. 1 GiB of packet memory is 512 \
                  pages of 2 MiB or one of 1 GiB, and DMA mappings shrink likewise.\n\nThe processor must be able to \
                  (pdpe1gb on x86) and the kernel must have the pool. Guests see it only if the hypervisor backs and \
                  announces it. 2 MiB works too; DPDK recommends 1 GiB for 64-bit applications.",
        sources: &[
            "DPDK Getting Started Guide, system requirements",
            "Linux Documentation/admin-guide/mm/hugetlbpage.rst",
        ],
        look: gigantic,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-03",
        section: Section::Memory,
        title: "hugepages on the kernel's command line",
        why: "a pair in the wrong order is ignored with one line in the log",
        explain: "hugepagesz= says the size that the next hugepages= is about. A count without a size before it is about the \
                  default size; two counts in a row, a size twice, a size that the processor does not have, or a node that \
                  does not exist are ignored, and so is the count that follows a wrong size.\n\nSince Linux 5.16 a count may \
                  be said for each node (hugepages=0:4,1:4), which is the way to have them where they are needed.\n\nWhere \
                  fewer pages exist than were asked for, the kernel could not find them, or somebody took some back \
                  since.",
        sources: &[
            "Linux Documentation/admin-guide/mm/hugetlbpage.rst",
            "Linux mm/hugetlb.c, command line parsing",
        ],
        look: boot_line::look,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-04",
        section: Section::Memory,
        title: "memory left beside hugepages",
        why: "a machine whose memory is all hugepages does not boot, or kills its own services",
        explain: "Reserved hugepages can be used for nothing else, neither by the page cache nor by the kernel. What is left on \
                  each node has to hold everything that runs there. MemTotal already leaves out what the kernel took \
                  at boot, crash-dump memory included, so only hugepages are subtracted.\n\nThe thresholds are ours: 10 % \
                  of the node and at least 2 GiB are comfortable; below 5 %, or 1 GiB, a plan is refused. With the \
                  reservation on the kernel's command line such a machine does not come up again without help.",
        sources: &[
            "Linux Documentation/admin-guide/mm/hugetlbpage.rst",
            "ryran/cantboot, exercise 3 (too many hugepages)",
        ],
        risk: Risk::High,
        is_proposed: true,
        look: headroom,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-05",
        section: Section::Memory,
        title: "hugepage file systems",
        why: "programs that share hugepages need a file system of the right page size, which not everybody can fill",
        explain: "Hugepages can be had without a file system; the daemon does so, since its memory then vanishes with it. A \
                  mount is for other DPDK programs, for virtual machines and for processes that share memory by file. \
                  systemd mounts /dev/hugepages for the default size; another size needs a mount of its own.\n\nA mount \
                  that everybody may write to lets any user take all pages before the daemon starts.",
        sources: &[
            "DPDK Getting Started Guide, system requirements",
            "Linux Documentation/admin-guide/mm/hugetlbpage.rst",
        ],
        look: files::mounts,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-06",
        section: Section::Memory,
        title: "hugepages left behind",
        why: "files of a DPDK program that crashed keep their pages for ever",
        explain: "DPDK programs that do not run with --in-memory make files such as rtemap_0 in a hugepage file system. A \
                  program that is killed leaves them, and the pages in them are neither free nor used.\n\nA file that no \
                  process has mapped is left over, and may be removed, unless its program is about to start again and wants \
                  it. Seeing the mappings of other users takes root.",
        sources: &["DPDK Programmer's Guide, environment abstraction layer, memory mapping"],
        risk: Risk::Medium,
        look: files::leftovers,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-07",
        section: Section::Memory,
        title: "hugepages beyond the pool",
        why: "surplus pages are found one by one while a program waits, and come from any node",
        explain: "With nr_overcommit_hugepages the kernel may make pages beyond the pool when a mapping asks for them. That \
                  is work at the worst moment, succeeds or not depending on fragmentation, and hides that the pool is too \
                  small. Surplus pages go back when they are freed.",
        sources: &["Linux Documentation/admin-guide/mm/hugetlbpage.rst"],
        risk: Risk::Low,
        look: surplus,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-16",
        section: Section::Memory,
        title: "memory that the daemon may lock",
        why: "memory that a device writes to is locked, and a limit below it stops the daemon from starting",
        explain: "vfio counts everything that is mapped for DMA against the process's limit of locked memory, and mlockall \
                  does too. systemd's default is 8 MiB. A process with CAP_IPC_LOCK is exempt, so as root it works until \
                  the day the service gets a user of its own.\n\nulimit -l in a shell says nothing about a service: \
                  LimitMEMLOCK=infinity in its unit does. If the daemon runs, the limit of its process is what counts.",
        sources: &[
            "DPDK Getting Started Guide, running without root privileges",
            "systemd.exec(5)",
        ],
        risk: Risk::Low,
        look: limits::lockable,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-19",
        section: Section::Memory,
        title: "mappings for DMA",
        why: "vfio refuses a mapping beyond its limit, and the daemon does not start",
        explain: "The vfio driver for IOMMUs limits how many mappings one container may have, 65535 by default. With the \
                  IOVA of pages that are not contiguous each page may take one, so a daemon with much memory in 2 MiB \
                  pages, or without hugepages at all (4 KiB each), reaches the limit.\n\nIt can be raised at any time and \
                  counts for containers that are opened afterwards. It is there so that a process can not make the \
                  kernel spend its own memory on page tables.",
        sources: &[
            "DPDK Linux drivers guide, vfio, dma_entry_limit",
            "Linux drivers/vfio/vfio_iommu_type1.c",
        ],
        risk: Risk::Low,
        look: limits::dma_entries,
        ..Check::PLAIN
    },
];

fn pages(context: &Context<'_>) -> Outcome {
    settled(|| {
        let need = need(context)?;
        let huge = &context.facts.memory.huge;
        let all = known(&huge.places, "nothing is known of the memory")?;
        let size = size_name(need.size_kib);
        let wanted = format!("{} free pages of {size} on each of the workers' nodes", need.pages);
        let machine = known(&huge.machine, "this kernel has no hugepages")?;
        if !machine.iter().any(|pool| pool.size_kib == need.size_kib) {
            let sizes: Vec<String> = machine.iter().map(|pool| size_name(pool.size_kib)).collect();
            let seen = match sizes.is_empty() {
                true => "this kernel has no hugepages".to_owned(),
                false => format!("no pages of {size} here, only of {}", sizes.join(" and ")),
            };
            let advice = "choose another size in [memory] huge, or a kernel that has it";
            return Ok(Outcome::bad(seen).wanted(wanted).advice(advice));
        }
        let (mut verdict, mut seen, mut details, mut fix) =
            (Verdict::Good, Vec::new(), Vec::new(), Vec::new());
        let mut is_refused = false;
        for node in &need.nodes {
            let Some(place) = huge.place(*node) else {
                return Err(Outcome::unknown(format!("nothing is known of node {node}")));
            };
            let lack = lack(context, place, &need);
            let name = place_name(place);
            details.push(format!("{name}: {} of {} pages are free", lack.free, lack.total));
            if lack.missing == 0 {
                continue;
            }
            let is_elsewhere = all.iter().any(|other| {
                other.node != place.node
                    && other.pool(need.size_kib).is_some_and(|pool| pool.free >= need.pages)
            });
            let here = if is_elsewhere { Verdict::Warn } else { Verdict::Bad };
            verdict = verdict.max(here);
            let elsewhere = if is_elsewhere { ", but on another node" } else { "" };
            seen.push(format!("{name} lacks {}{elsewhere}", lack.missing));
            if comfort(left_kib(context, place, Some(&need)), place.memory_kib) == Verdict::Bad {
                is_refused = true;
                details.push(format!("{name}: too little would be left (MEM-04)"));
            } else {
                fix.push(Change::Hugepages {
                    node: place.node,
                    size_kib: need.size_kib,
                    count: lack.total.saturating_add(lack.missing),
                });
            }
        }
        let seen = match seen.is_empty() {
            true => format!("{} pages of {size} or more on each node", need.pages),
            false => seen.join(", "),
        };
        let outcome = outcome(verdict, seen).wanted(wanted).details(lines(details)).fixes(fix);
        Ok(if is_refused {
            outcome.advice(
                "ask for less in [memory] per_node_mib, free other hugepages, or add memory",
            )
        } else {
            outcome
        })
    })
}

fn gigantic(context: &Context<'_>) -> Outcome {
    settled(|| {
        let machine = known(&context.facts.memory.huge.machine, "this kernel has no hugepages")?;
        if machine.iter().any(|pool| pool.size_kib == 1 << 20) {
            return Ok(Outcome::good("yes"));
        }
        let is_able = context.facts.processor.value().is_some_and(|p| p.has("pdpe1gb"));
        let seen = match (is_able, machine.is_empty()) {
            (_, true) if context.facts.memory.huge.mounts.is_absent() => {
                return Ok(Outcome::unknown("nothing is known of hugepages"));
            }
            (_, true) => "this kernel has no hugepages",
            (true, false) => "the processor has them, the kernel does not",
            (false, false) => "2 MiB or others only",
        };
        let outcome = if context.intent.huge == Huge::G1 {
            Outcome::bad(seen)
                .advice("set [memory] huge = \"2M\", or let the hypervisor announce pdpe1gb")
        } else {
            Outcome::warn(seen)
        };
        Ok(outcome.wanted("pages of 1 GiB"))
    })
}

fn headroom(context: &Context<'_>) -> Outcome {
    settled(|| {
        let places = known(&context.facts.memory.huge.places, "nothing is known of the memory")?;
        let need = match context.intent.huge {
            Huge::None => None,
            Huge::M2 | Huge::G1 => Some(need(context)?),
        };
        let (mut verdict, mut details, mut worst) = (Verdict::Good, Vec::new(), None);
        for place in places.iter().filter(|place| place.memory_kib > 0) {
            let left = left_kib(context, place, need.as_ref());
            let here = comfort(left, place.memory_kib);
            let line = format!(
                "{}: {} of {} MiB left",
                place_name(place),
                left >> 10,
                place.memory_kib >> 10
            );
            // A node of less than 2 GiB without any hugepages is small, not badly tuned.
            let is_reserved = left < place.memory_kib;
            if is_reserved && (worst.is_none() || here > verdict) {
                worst = Some(line.clone());
            }
            if is_reserved {
                verdict = verdict.max(here);
            }
            details.push(line);
        }
        if details.is_empty() {
            return Ok(Outcome::unknown("no node with memory is known"));
        }
        let seen = worst.unwrap_or_else(|| "nothing is reserved".to_owned());
        let outcome = outcome(verdict, seen).wanted("10 % and 2 GiB on each node");
        let outcome = outcome.details(lines(details));
        Ok(match verdict {
            Verdict::Bad => outcome.advice("reserve fewer hugepages, or add memory"),
            _ => outcome,
        })
    })
}

fn surplus(context: &Context<'_>) -> Outcome {
    settled(|| {
        let huge = &context.facts.memory.huge;
        let pools = known(&huge.machine, "this kernel has no hugepages")?;
        if pools.is_empty() {
            return Ok(Outcome::not_applicable("this kernel has no hugepages"));
        }
        let (mut details, mut fix) = (Vec::new(), Vec::new());
        for pool in pools {
            let allowed = match huge.overcommit.get(&pool.size_kib) {
                Some(Fact::Is(allowed)) => *allowed,
                Some(Fact::Unknown { why }) => return Err(Outcome::unknown(why)),
                Some(Fact::Absent) | None => 0,
            };
            if allowed > 0 || pool.surplus > 0 {
                let size = size_name(pool.size_kib);
                details
                    .push(format!("{size}: {} beyond the pool, {allowed} allowed", pool.surplus));
            }
            if allowed > 0 {
                fix.push(Change::Kernel {
                    path: overcommit_file(pool.size_kib),
                    value: "0".to_owned(),
                    form: Form::Number,
                });
            }
        }
        let outcome = match details.is_empty() {
            true => Outcome::good("none"),
            false => Outcome::warn(details.join(", ")),
        };
        Ok(outcome.wanted("none").fixes(fix))
    })
}

#[cfg(test)]
mod tests;
