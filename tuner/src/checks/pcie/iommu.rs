//! The IOMMU: whether it is there, how it translates, and whom it groups together.

use linux::pci::Function;

use super::super::{
    Check, Context, Outcome,
    judge::{known, settled},
    several::{One, worst},
};
use crate::{
    Risk, Section, Verdict,
    change::{BootValue, Change},
    facts::pci::USER_DRIVERS,
};

pub(super) const PRESENT: Check = Check {
    id: "IOM-01",
    section: Section::Pcie,
    title: "IOMMU for the data ports",
    why: "without an IOMMU a device in user space can write anywhere in memory",
    explain: "vfio gives a device to a program and lets the IOMMU confine what the device may read and write to the \
              program's own memory. Without an IOMMU the only ways are uio, which confines nothing and is refused \
              under Secure Boot, or vfio's no-IOMMU mode, which taints the kernel.\n\nIntel's VT-d has to be on in the \
              firmware and, unless the kernel was built so, on the command line with intel_iommu=on. AMD's is used \
              whenever the firmware has it on. On Arm it is described by the firmware. Each function then has an \
              iommu_group in sysfs.\n\nIn a virtual machine there is one only if the hypervisor provides it; that \
              is not counted against the guest.",
    sources: &[
        "DPDK 25.11, Linux Drivers, VFIO",
        "Linux Documentation/admin-guide/kernel-parameters.txt, intel_iommu",
    ],
    risk: Risk::Low,
    cost: "none that was measured with passthrough for the kernel's own devices",
    look: present,
    ..Check::PLAIN
};

pub(super) const PASSTHROUGH: Check = Check {
    id: "IOM-02",
    section: Section::Pcie,
    title: "IOMMU domain of the kernel's NICs",
    why: "a translated domain makes the kernel map and unmap memory for every packet of its own NICs",
    explain: "A device that vfio has is always translated: that is the point. For devices that the kernel drives itself \
              the domain type decides the cost: `identity` passes addresses through, `DMA-FQ` maps each buffer and \
              flushes the translation cache lazily, `DMA` (strict) flushes on every unmap. The data path does not \
              care, but the kernel NICs beside it (management, storage) pay for the mapping on housekeeping cores.\n\n\
              iommu=pt makes identity the default. It weakens something real: a misbehaving device or a plugged-in \
              one can then write anywhere in the kernel's memory. On a locked server that is the usual choice; where \
              devices are not trusted, stay with DMA-FQ.",
    sources: &[
        "DPDK 25.11, Getting Started Guide for Linux",
        "Linux Documentation/ABI/testing/sysfs-kernel-iommu_groups",
        "Linux Documentation/admin-guide/kernel-parameters.txt, iommu.passthrough",
    ],
    risk: Risk::Medium,
    cost: "weaker protection against devices that the kernel drives",
    look: passthrough,
    ..Check::PLAIN
};

pub(super) const GROUP: Check = Check {
    id: "IOM-03",
    section: Section::Pcie,
    title: "IOMMU groups of the data ports",
    why: "vfio opens whole groups, and refuses one in which the kernel still drives a device",
    explain: "Functions that could reach each other without passing the IOMMU are in one group, and are only safe in the \
              same hands. vfio therefore calls a group viable when each of its devices is bound to vfio-pci, to no \
              driver, or is a bridge. A sibling on a kernel driver makes opening fail with EPERM or EINVAL, long after \
              the port itself was bound.\n\nThe remedies are binding the siblings too, moving the card to a slot with \
              its own root port, or a firmware setting (ACS) that separates the ports. When a sibling carries the \
              management network it must not be bound: move the card. The `pcie_acs_override` patch that circulates \
              lies to the kernel about isolation, and is no remedy.",
    sources: &[
        "Linux Documentation/driver-api/vfio.rst, groups",
        "DPDK 25.11, Linux Drivers, VFIO",
    ],
    risk: Risk::High,
    cost: "the sibling's interface leaves the kernel",
    look: group,
    ..Check::PLAIN
};

pub(super) const RESERVED: Check = Check {
    id: "IOM-04",
    section: Section::Pcie,
    title: "memory reserved for devices by the firmware",
    why: "a device that the firmware keeps writing to can not be given to vfio",
    explain: "Some firmware reserves memory regions for devices that it talks to behind the system's back (Intel calls the \
              table RMRR), for instance to read a NIC's temperature. A device with such a region can not be confined \
              to a program's memory, so the kernel refuses to attach it and says so in its log.\n\nThe vendor of \
              the server has a firmware setting or update for it (HPE documents one for its ProLiant line). Patches \
              that ignore the reservation exist, and let the firmware corrupt memory.",
    sources: &[
        "Linux drivers/iommu/intel/iommu.c, messages of device_rmrr_is_relaxable and its callers",
        "gatekeeper issue 718",
    ],
    look: reserved,
    ..Check::PLAIN
};

fn is_virtual(context: &Context<'_>) -> bool {
    context.facts.processor.value().is_some_and(|processor| processor.is_virtual())
}

fn present(context: &Context<'_>) -> Outcome {
    settled(|| {
        let iommus = known(&context.facts.pci.iommus, "this machine has no PCI")?;
        let ports = match context.data_functions() {
            Ok(ports) => ports,
            Err(outcome) if outcome.verdict == Verdict::NotApplicable => Vec::new(),
            Err(outcome) => return Err(outcome),
        };
        let wanted = "an IOMMU, and a group for each data port";
        if iommus.is_empty() {
            if is_virtual(context) {
                let why = "the hypervisor provides no IOMMU";
                return Ok(Outcome::not_applicable(why).wanted(wanted));
            }
            return Ok(without(context).wanted(wanted));
        }
        let left_out = ports.iter().filter(|port| port.iommu_group.is_none());
        let left_out: Vec<String> = left_out.map(|port| port.address.to_string()).collect();
        Ok(match left_out.as_slice() {
            [] => Outcome::good(iommus.join(", ")),
            ports => Outcome::bad(format!("{} has no IOMMU group", ports.join(", "))),
        }
        .wanted(wanted))
    })
}

fn without(context: &Context<'_>) -> Outcome {
    let no_iommu = context.facts.pci.vfio.no_iommu.value().copied().unwrap_or(false);
    let outcome = match no_iommu {
        true => Outcome::warn("none is in use, and vfio is in its no-IOMMU mode"),
        false => Outcome::bad("none is in use"),
    };
    let outcome = outcome.advice("turn on VT-d or AMD-Vi in the firmware");
    match context.facts.processor.value() {
        Some(processor) if processor.is_intel() => outcome.fix(Change::BootParameter {
            key: "intel_iommu".to_owned(),
            value: BootValue::Is("on".to_owned()),
        }),
        _ => outcome,
    }
}

fn passthrough(context: &Context<'_>) -> Outcome {
    settled(|| {
        let pci = &context.facts.pci;
        let all = known(&pci.functions, "this machine has no PCI")?;
        let kernels = all.iter().filter(|function| {
            let driver = function.driver.as_deref();
            function.is_network() && driver.is_some_and(|driver| !USER_DRIVERS.contains(&driver))
        });
        let judged = kernels.filter_map(|function| {
            let fact = pci.group_types.get(&function.iommu_group?)?;
            let name = function.address.to_string();
            One::of(&name, fact, |kind| judge_domain(&name, kind))
        });
        let outcome = worst(judged, "no NIC of the kernel is behind an IOMMU").wanted("identity");
        Ok(match outcome.verdict {
            Verdict::Warn | Verdict::Bad => outcome.fix(Change::BootParameter {
                key: "iommu".to_owned(),
                value: BootValue::Is("pt".to_owned()),
            }),
            _ => outcome,
        })
    })
}

fn judge_domain(name: &str, kind: &str) -> One {
    let verdict = match kind {
        "identity" => Verdict::Good,
        "DMA-FQ" => Verdict::Warn,
        "DMA" => Verdict::Bad,
        // "unmanaged", "auto", "blocked": somebody else has it.
        _ => Verdict::Info,
    };
    One::new(verdict, format!("{name}: {kind}"))
}

fn group(context: &Context<'_>) -> Outcome {
    settled(|| {
        let ports = context.data_functions()?;
        let judged = ports.iter().filter_map(|port| {
            let group = port.iommu_group?;
            Some(judge_group(context, port, group, &ports))
        });
        let outcome = worst(judged, "the data ports have no IOMMU group")
            .wanted("no other device of the group is the kernel's");
        Ok(match outcome.verdict {
            Verdict::Bad => outcome.advice(
                "bind the siblings too, unless somebody needs them; otherwise move the card to a slot of its own",
            ),
            _ => outcome,
        })
    })
}

fn judge_group(context: &Context<'_>, port: &Function, group: u32, ports: &[&Function]) -> One {
    let siblings = context.facts.pci.group(group).filter(|other| {
        let is_port = ports.iter().any(|port| port.address == other.address);
        // Base class 06: bridges, which forward and do not start anything.
        !is_port && other.class >> 16 != 0x06
    });
    let in_the_way: Vec<String> = siblings
        .filter_map(|other| {
            let driver = other.driver.as_deref()?;
            let is_free = matches!(driver, "vfio-pci" | "pci-stub");
            if is_free {
                return None;
            }
            let held = context.intent.guard.of_function(other.address);
            let who = match held.first() {
                Some(reason) => format!("{} ({driver}; {reason})", other.address),
                None => format!("{} ({driver})", other.address),
            };
            Some(who)
        })
        .collect();
    let name = port.address;
    match in_the_way.as_slice() {
        [] => One::new(Verdict::Good, format!("{name}: alone in group {group}")),
        all => One::new(Verdict::Bad, format!("{name}: group {group} also has {}", all.join(", "))),
    }
}

fn reserved(context: &Context<'_>) -> Outcome {
    settled(|| {
        let iommus = known(&context.facts.pci.iommus, "this machine has no PCI")?;
        if iommus.is_empty() {
            return Ok(Outcome::not_applicable("there is no IOMMU"));
        }
        let lines = known(&context.facts.pci.reserved, "the kernel has no log")?;
        let ports = context.data_functions()?;
        let hit = lines
            .iter()
            .filter(|line| ports.iter().any(|port| line.contains(&port.address.to_string())));
        let hit: Vec<String> = hit.cloned().collect();
        Ok(match hit.first() {
            None => Outcome::good("none for a data port"),
            Some(first) => Outcome::bad(first.clone())
                .details(hit)
                .advice("look for a setting or an update of the server's firmware for shared memory of PCIe slots"),
        }
        .wanted("none"))
    })
}
