//! The last-level cache: who may fill it, and whether devices write into it.

use std::collections::BTreeMap;

use super::{
    Check, Context, Outcome,
    judge::{known, settled},
    wording::lines,
};
use crate::{
    Fact, Risk, Section,
    facts::{memory::resctrl::Group, processor::Processor},
};

/// The last-level cache: who may fill it, and whether devices write into it.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "MEM-21",
        section: Section::Memory,
        title: "cache of the workers' own",
        why: "a neighbour that streams through memory pushes the workers' tables out of the shared cache",
        explain: "Processors with cache allocation let CPUs fill only some ways of the last-level cache, through the resctrl \
                  file system: a group has CPUs and a mask of ways for each cache. Ways that no other group may fill \
                  are the workers' own.\n\nIt shrinks the cache of everybody else, needs care where devices write into the \
                  cache (MEM-22 uses some ways too), and helps where the tables fit and housekeeping is busy. A \
                  shared cache is therefore shown and not judged; measure before and after.",
        sources: &[
            "Linux Documentation/filesystems/resctrl.rst",
            "rigtorp.se, low latency tuning guide (cache partitioning)",
        ],
        risk: Risk::Medium,
        cost: "less cache for everybody else",
        is_contested: true,
        look: allocation,
        ..Check::PLAIN
    },
    Check {
        id: "MEM-22",
        section: Section::Memory,
        title: "devices that write into the cache",
        why: "a frame that the NIC puts into the cache is there when the worker looks; one in memory costs a miss",
        explain: "Intel servers let PCIe devices write into the last-level cache (Data Direct I/O), by default into some of its \
                  ways only; AMD's newer servers can steer writes to the cache of one core (Smart Data Cache \
                  Injection) where device and driver support TLP processing hints.\n\nWith more descriptors than those ways \
                  hold, frames are evicted before they are looked at, which is one more reason for rings that are not \
                  larger than needed. Neither can be read from the kernel's files: whether it is on is in the firmware's \
                  set-up.",
        sources: &[
            "Intel Data Direct I/O technology brief",
            "AMD EPYC 9005 tuning guides",
            "AMD Onload user guide, EF_TPH_MODE",
        ],
        look: injection,
        ..Check::PLAIN
    },
];

fn allocation(context: &Context<'_>) -> Outcome {
    settled(|| {
        let processor = known(&context.facts.processor, "there is no /proc/cpuinfo")?;
        let groups = match &context.facts.memory.cache.groups {
            Fact::Is(groups) => groups,
            Fact::Unknown { why } => return Err(Outcome::unknown(why)),
            Fact::Absent if processor.has("cat_l3") => {
                return Ok(Outcome::info("shared by all; resctrl is not mounted"));
            }
            Fact::Absent => {
                return Ok(Outcome::not_applicable("this processor does not divide its cache"));
            }
        };
        let workers = context.workers()?;
        let (theirs, others): (Vec<&Group>, Vec<&Group>) =
            groups.iter().partition(|group| !group.cpus.is_disjoint(&workers));
        let details = lines(groups.iter().map(|group| {
            let name = if group.name.is_empty() { "default" } else { &group.name };
            let ways: Vec<String> =
                group.ways.iter().map(|(cache, ways)| format!("{cache}={ways:x}")).collect();
            format!("{name}: cpu {}, ways {}", group.cpus, ways.join(" "))
        }));
        let is_pure = theirs.iter().all(|group| group.cpus.is_subset(&workers));
        let is_own = is_pure && !theirs.is_empty() && !overlap(&theirs, &others);
        let outcome = match is_own {
            true => Outcome::good("the workers have ways of their own"),
            false => Outcome::info("the workers share theirs"),
        };
        Ok(outcome.details(details))
    })
}

/// May any CPU of others fill a way that these may fill?
fn overlap(theirs: &[&Group], others: &[&Group]) -> bool {
    let mut own: BTreeMap<u32, u64> = BTreeMap::new();
    for group in theirs {
        for (cache, ways) in &group.ways {
            *own.entry(*cache).or_insert(0) |= ways;
        }
    }
    // Without a mask for the L3 nothing is divided.
    let is_divided = |group: &&&Group| !group.cpus.is_empty();
    own.is_empty()
        || others.iter().filter(is_divided).any(|group| {
            group.ways.is_empty()
                || group
                    .ways
                    .iter()
                    .any(|(cache, ways)| own.get(cache).is_some_and(|own| own & ways != 0))
        })
}

fn injection(context: &Context<'_>) -> Outcome {
    settled(|| {
        let processor: &Processor = known(&context.facts.processor, "there is no /proc/cpuinfo")?;
        Ok(if processor.is_virtual() {
            Outcome::not_applicable("the host's matter")
        } else if processor.is_intel() {
            Outcome::info(
                "Data Direct I/O: on unless the firmware says otherwise; not readable here",
            )
        } else if processor.is_amd() {
            Outcome::info(
                "Smart Data Cache Injection: where the processor and the NIC have it; not readable here",
            )
        } else {
            Outcome::not_applicable("nothing is known of this processor's caches and devices")
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::{
        Verdict::*,
        checks::testing::{Fake, table},
    };

    const ABLE: (&str, &str) = ("proc/cpuinfo", "vendor_id : GenuineIntel\nflags : cat_l3\n");
    const UNABLE: (&str, &str) = ("proc/cpuinfo", "vendor_id : GenuineIntel\nflags : tsc\n");

    #[test]
    fn ways_that_nobody_else_may_fill_are_the_workers_own() {
        let with = |default: (&str, &str), workers: (&str, &str), verdict| {
            Fake::new()
                .files(&[ABLE])
                .file("sys/fs/resctrl/cpus_list", default.0)
                .file("sys/fs/resctrl/schemata", default.1)
                .file("sys/fs/resctrl/barewire/cpus_list", workers.0)
                .file("sys/fs/resctrl/barewire/schemata", workers.1)
                .expect("MEM-21", verdict)
        };

        with(("0-1", "L3:0=ff0"), ("2-3", "L3:0=00f"), Good);
        with(("0-1", "L3:0=ff0"), ("2-3", "L3:0=01f"), Info);
        // One worker is left in the default group.
        with(("0-1,3", "L3:0=ff0"), ("2", "L3:0=00f"), Info);
        // Housekeeping is in the workers' group.
        with(("0", "L3:0=ff0"), ("1-3", "L3:0=00f"), Info);
        with(("0-1", "L3:0=ff0"), ("2-3", "MB:0=10"), Info);
        // Other caches are other ways.
        with(("0-1", "L3:1=00f"), ("2-3", "L3:0=00f"), Good);
        with(("0-1", "L3:0=xyz"), ("2-3", "L3:0=00f"), Unknown);
        table!("MEM-21", [ABLE] => Info, [UNABLE] => NotApplicable, [] => NotApplicable);
    }

    #[test]
    fn writes_of_devices_into_the_cache_are_only_spoken_of() {
        table!(
            "MEM-22",
            [UNABLE] => Info,
            [("proc/cpuinfo", "vendor_id : AuthenticAMD\n")] => Info,
            [("proc/cpuinfo", "vendor_id : AuthenticAMD\nflags : hypervisor\n")] => NotApplicable,
            [("proc/cpuinfo", "CPU implementer : 0x41\n")] => NotApplicable,
        );
    }
}
