//! The kernel's age, and whether the machine is one.

use super::super::{
    Check, Context, Outcome,
    judge::{known, settled},
};
use crate::{Fact, Section, facts::system::Stolen};

pub(super) const KERNEL: Check = Check {
    id: "BOOT-07",
    section: Section::Boot,
    title: "kernel version",
    why: "what keeps a core to itself came step by step, and older kernels silently have less of it",
    explain: "Some of what this program uses needs a kernel of a certain age: managed interrupts that spare isolated cores \
              (5.6), ethtool over netlink (5.6), cpuset partitions of the kind isolated (6.1), partitions away from \
              the root of the hierarchy (6.7), a file that lists what all partitions isolated (6.8).\n\nGood is 6.7 or \
              later; from 5.6 on a warning that names what is missing, since boot parameters can do the most of it; \
              before that bad. Distributions carry features back: what is missing by the number may be there.",
    sources: &[
        "Linux Documentation/admin-guide/cgroup-v2.rst, cpuset",
        "Linux Documentation/admin-guide/cpu-isolation.rst",
    ],
    is_proposed: true,
    look: kernel,
    ..Check::PLAIN
};

pub(super) const VIRTUAL: Check = Check {
    id: "VIRT-01",
    section: Section::System,
    title: "virtual machine",
    why: "a hypervisor can take a CPU away in the middle of a poll, and nothing inside can prevent it",
    explain: "In a virtual machine the worker's CPU is a thread of the host. What the host does with it shows as steal time: \
              the guest was ready and did not run. Isolation within the guest is necessary and not sufficient; the host \
              has to pin the virtual CPUs to cores of their own, back memory with hugepages and leave the guest's NIC \
              to it.\n\nMetal is good. A guest without steal is a warning, since the next neighbour may change it; more \
              than a thousandth stolen is bad. Many other checks do not apply in a guest and say so: frequencies, \
              idle states and links are the host's.",
    sources: &["proc_stat(5), steal", "bencher runner, preflight checks"],
    is_proposed: true,
    look: virtual_machine,
    ..Check::PLAIN
};

/// What came with which version.
const FEATURES: [((u32, u32), &str); 4] = [
    ((5, 6), "managed interrupts that spare isolated CPUs, ethtool over netlink"),
    ((6, 1), "isolated cpuset partitions"),
    ((6, 7), "cpuset partitions below the root"),
    ((6, 8), "a list of what partitions isolated"),
];

/// From here on all that matters is there.
const ENOUGH: (u32, u32) = (6, 7);

/// Before this nothing here was tested, and little would work.
const OLDEST: (u32, u32) = (5, 6);

/// The part of a CPU's time that a hypervisor may keep.
const STOLEN: f64 = 0.001;

fn kernel(context: &Context<'_>) -> Outcome {
    settled(|| {
        let system = &context.facts.system;
        let release = known(&system.release, "there is no kernel")?;
        let version = match system.kernel() {
            Fact::Is(version) => version,
            Fact::Absent => return Ok(Outcome::not_applicable("there is no kernel")),
            Fact::Unknown { why } => return Ok(Outcome::unknown(why)),
        };
        let lacks = FEATURES.iter().filter(|(since, _)| version < *since);
        let lacks: Vec<String> =
            lacks.map(|((major, minor), what)| format!("{major}.{minor}: {what}")).collect();
        let outcome = if version >= ENOUGH {
            Outcome::good(release)
        } else if version >= OLDEST {
            Outcome::warn(release)
        } else {
            Outcome::bad(release)
        };
        Ok(outcome.details(lacks).wanted("6.7 or later"))
    })
}

fn virtual_machine(context: &Context<'_>) -> Outcome {
    settled(|| {
        let processor = known(&context.facts.processor, "this processor says nothing of itself")?;
        let system = &context.facts.system;
        let product = system.product.value().cloned().unwrap_or_else(|| "unnamed".to_owned());
        if !processor.is_virtual() {
            return Ok(Outcome::good(format!("metal: {product}")).wanted("metal"));
        }
        let (stolen, when) = match context.measured.map(|measured| &measured.cpu_times) {
            Some(Fact::Is(times)) => {
                let sum = |of: fn(&linux::activity::CpuTime) -> u64| {
                    times.values().map(of).fold(0_u64, u64::saturating_add)
                };
                let stolen = Stolen { ticks: sum(|one| one.steal), of: sum(|one| one.total()) };
                (stolen, "while it was watched")
            }
            Some(Fact::Absent | Fact::Unknown { .. }) | None => {
                (*known(&system.stolen, "this kernel counts no stolen time")?, "since boot")
            }
        };
        let part = stolen.part();
        let seen = format!("a guest ({product}), {:.2} % stolen {when}", part * 100.0);
        let outcome = if part > STOLEN { Outcome::bad(seen) } else { Outcome::warn(seen) };
        Ok(outcome.wanted("metal, or nothing stolen").advice(
            "have the host pin the virtual CPUs to cores of their own, with hugepages of the same node",
        ))
    })
}
