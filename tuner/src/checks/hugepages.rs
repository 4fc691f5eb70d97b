//! Hugepages where they are needed, and memory that may be locked.

mod boot_line;

use std::collections::BTreeSet;

use config::{Huge, NumaNode};

use super::{
    Check, Context, Outcome,
    judge::{known, settled},
    power::outcome,
    wording::lines,
};
use crate::{
    Fact, Risk, Section, Verdict,
    change::{Change, Form},
    facts::memory::huge::{Place, overcommit_file},
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
        look: mounts,
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
        look: leftovers,
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
        look: lockable,
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
        look: dma_entries,
        ..Check::PLAIN
    },
];

/// What the daemon needs on each node.
struct Need {
    /// The nodes that workers take their memory from.
    nodes: BTreeSet<NumaNode>,
    /// Pages for each.
    pages: u64,
    /// The size of a page, in KiB.
    size_kib: u32,
}

/// The size of the pages that are asked for, in KiB.
fn size_kib(huge: Huge) -> Option<u32> {
    match huge {
        Huge::M2 => Some(2 << 10),
        Huge::G1 => Some(1 << 20),
        Huge::None => None,
    }
}

fn need(context: &Context<'_>) -> Result<Need, Outcome> {
    let intent = context.intent;
    let Some(size_kib) = size_kib(intent.huge) else {
        return Err(Outcome::not_applicable("the daemon is configured for ordinary pages"));
    };
    let placement = known(&intent.placement, "nothing is placed")?;
    let nodes = placement.workers.iter().map(|worker| worker.memory.unwrap_or(NumaNode(0)));
    let pages = (u64::from(intent.per_node_mib) << 10).div_ceil(u64::from(size_kib));
    Ok(Need { nodes: nodes.collect(), pages, size_kib })
}

fn size_name(size_kib: u32) -> String {
    match size_kib {
        kib if kib % (1 << 20) == 0 => format!("{} GiB", kib >> 20),
        kib if kib % (1 << 10) == 0 => format!("{} MiB", kib >> 10),
        kib => format!("{kib} KiB"),
    }
}

/// What one node lacks.
struct Lack {
    /// Pages that the pool has now.
    total: u64,
    /// Pages that nobody has.
    free: u64,
    /// Pages that have to come.
    missing: u64,
}

/// What a node lacks of a need. A running daemon has its pages already.
fn lack(context: &Context<'_>, place: &Place, need: &Need) -> Lack {
    let (total, free) = match place.pool(need.size_kib) {
        Some(pool) => {
            let promised = if place.node.is_none() { pool.reserved.unwrap_or(0) } else { 0 };
            (pool.total, pool.free.saturating_sub(promised))
        }
        None => (0, 0),
    };
    let is_running = !context.facts.tasks.daemons().is_empty();
    let missing =
        if is_running && total >= need.pages { 0 } else { need.pages.saturating_sub(free) };
    Lack { total, free, missing }
}

/// Memory that would be left on a place when what is missing was reserved, in KiB.
fn left_kib(context: &Context<'_>, place: &Place, need: Option<&Need>) -> u64 {
    let wanted = need.filter(|need| place.node.is_none_or(|node| need.nodes.contains(&node)));
    let more = wanted.map_or(0, |need| {
        let missing = lack(context, place, need).missing;
        missing.saturating_mul(u64::from(need.size_kib))
    });
    place.memory_kib.saturating_sub(place.reserved_kib().saturating_add(more))
}

/// How comfortable it is with so much left: 10 % and 2 GiB are good; below 5 % or 1 GiB nothing is reserved.
fn comfort(left_kib: u64, memory_kib: u64) -> Verdict {
    const GIB: u64 = 1 << 20;
    if left_kib >= (memory_kib / 10).max(2 * GIB) {
        Verdict::Good
    } else if left_kib >= (memory_kib / 20).max(GIB) {
        Verdict::Warn
    } else {
        Verdict::Bad
    }
}

fn place_name(place: &Place) -> String {
    place.node.map_or_else(|| "the machine".to_owned(), |node| format!("node {node}"))
}

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

fn mounts(context: &Context<'_>) -> Outcome {
    settled(|| {
        let mounts = known(&context.facts.memory.huge.mounts, "there is no /proc/mounts")?;
        let line = |mount: &crate::facts::memory::huge::Mount| {
            let size = mount.page_kib.map_or_else(|| "default size".to_owned(), size_name);
            let all = if mount.is_for_everybody { ", everybody may write" } else { "" };
            format!("{}: {size}{all}", mount.path)
        };
        let details = lines(mounts.iter().map(line));
        let open: Vec<&str> =
            mounts.iter().filter(|m| m.is_for_everybody).map(|m| m.path.as_str()).collect();
        let outcome = if !open.is_empty() {
            Outcome::warn(format!("everybody may write to {}", open.join(" and ")))
                .advice("mount it with mode=0750 and the group of those who need it")
        } else if mounts.is_empty() {
            Outcome::good("none, and the daemon needs none: its memory has no files")
        } else {
            Outcome::good(format!("{} mounted; the daemon's memory has no files", mounts.len()))
        };
        Ok(outcome.wanted("none that everybody may fill").details(details))
    })
}

fn leftovers(context: &Context<'_>) -> Outcome {
    settled(|| {
        let huge = &context.facts.memory.huge;
        known(&huge.mounts, "there is no /proc/mounts")?;
        let left: Vec<String> = huge
            .files
            .iter()
            .filter(|file| file.is_mapped == Fact::Is(false))
            .map(|file| file.path.clone())
            .collect();
        let unsure = huge.files.iter().find_map(|file| file.is_mapped.why());
        let outcome = match (left.len(), unsure) {
            (0, Some(why)) => Outcome::unknown(why),
            (0, None) => Outcome::good(match huge.files.len() {
                0 => "none".to_owned(),
                used => format!("none; {used} are in use"),
            }),
            (count, _) => Outcome::bad(format!("{count} that no process has mapped"))
                .advice("remove these files if their program is not about to start again"),
        };
        Ok(outcome.wanted("none").details(lines(left)))
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

/// What a unit says of a limit: none for infinity. A letter stands for a power of 1024.
fn limit_bytes(text: &str) -> Option<Option<u64>> {
    if text == "infinity" {
        return Some(None);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift).map(Some)
}

fn lockable(context: &Context<'_>) -> Outcome {
    settled(|| {
        const UNIT: &str = "barewired.service";
        const DEFAULT: u64 = 8 << 20;
        let running = context.facts.memory.daemons.value().and_then(|all| all.first());
        let unit = context.facts.units.unit(UNIT).filter(|unit| unit.is_installed);
        let (limit, whose) = match (running, unit) {
            (Some(process), _) => (*known(&process.may_lock, "no limit")?, "the running daemon"),
            (None, Some(unit)) => {
                let limit = match &unit.memlock {
                    Fact::Is(text) => limit_bytes(text).ok_or_else(|| {
                        Outcome::unknown(format!("LimitMEMLOCK={text} is not understood"))
                    })?,
                    Fact::Absent => Some(DEFAULT),
                    Fact::Unknown { why } => return Err(Outcome::unknown(why)),
                };
                (limit, "its unit")
            }
            (None, None) => {
                return Ok(Outcome::not_applicable("the daemon is not installed as a service"));
            }
        };
        let nodes = context.intent.placement.value().map_or(1, |placement| {
            placement.workers.iter().map(|worker| worker.memory).collect::<BTreeSet<_>>().len()
        });
        let mib = u64::from(context.intent.per_node_mib);
        let needed = (mib << 20).saturating_mul(u64::try_from(nodes).unwrap_or(u64::MAX));
        let has_device = context.intent.data.iter().any(|port| port.pci.is_some());
        let outcome = match limit {
            None => Outcome::good(format!("{whose}: any amount")),
            Some(bytes) if bytes >= needed => {
                Outcome::warn(format!("{whose}: {} MiB, {} are needed", bytes >> 20, needed >> 20))
            }
            Some(bytes) => {
                let seen = format!("{whose}: {} MiB, {} are needed", bytes >> 20, needed >> 20);
                if has_device { Outcome::bad(seen) } else { Outcome::warn(seen) }
            }
        };
        let outcome = outcome.wanted("infinity");
        Ok(if outcome.verdict == Verdict::Good {
            outcome
        } else {
            outcome.fix(Change::File {
                path: format!("etc/systemd/system/{UNIT}.d/90-barewire-memlock.conf"),
                content: "# barewire-tune: MEM-16\n[Service]\nLimitMEMLOCK=infinity\n".to_owned(),
            })
        })
    })
}

fn dma_entries(context: &Context<'_>) -> Outcome {
    settled(|| {
        let limit =
            *known(&context.facts.memory.dma_entries, "vfio's driver for IOMMUs is not loaded")?;
        let placement = known(&context.intent.placement, "nothing is placed")?;
        let nodes: BTreeSet<_> = placement.workers.iter().map(|worker| worker.memory).collect();
        let page_kib = u64::from(size_kib(context.intent.huge).unwrap_or(4));
        let pages = (u64::from(context.intent.per_node_mib) << 10).div_ceil(page_kib);
        let needed = pages.saturating_mul(u64::try_from(nodes.len()).unwrap_or(u64::MAX));
        let seen = format!("{limit}, and up to {needed} are needed");
        let outcome = if limit > needed {
            Outcome::good(seen)
        } else {
            Outcome::bad(seen).fix(Change::Kernel {
                path: "sys/module/vfio_iommu_type1/parameters/dma_entry_limit".to_owned(),
                // What DPDK's guide takes, or twice the need.
                value: needed.saturating_mul(2).max(512_000).min(u64::from(u32::MAX)).to_string(),
                form: Form::Number,
            })
        };
        Ok(outcome.wanted("more than the daemon has pages"))
    })
}

#[cfg(test)]
mod tests;
