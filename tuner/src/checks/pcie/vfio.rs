//! Whether the data ports are with vfio, stay there, and are safe there.

use linux::pci::Function;

use super::super::{
    Check, Context, Outcome,
    judge::{known, settled},
    several::{One, worst},
};
use crate::{
    Fact, Risk, Section, Verdict,
    bind::rules,
    change::{BootValue, Change},
    facts::pci::{BIFURCATED as SHARED, vfio::Vfio},
};

pub(super) const BOUND: Check = Check {
    id: "VFIO-01",
    section: Section::Pcie,
    title: "driver of the data ports",
    why: "a poll-mode driver can only open a device that the kernel has given to vfio",
    explain: "A function has one driver. vfio-pci is the one that gives it to a program, with the IOMMU confining it and \
              with interrupts. uio_pci_generic works where there is nothing else, without protection and without MSI-X; \
              igb_uio is out of the kernel's tree and refused under Secure Boot.\n\nBinding goes by driver_override: \
              the name of the only driver that may take this one function, then the present driver lets go, then the \
              kernel looks again. Unlike writing to new_id it does not catch other cards of the same \
              model.\n\nThe interface disappears from the kernel, with its addresses and routes. `barewire-tune bind` \
              therefore refuses what anybody needs, by name and reason, and puts the old driver back with `unbind`.",
    sources: &[
        "DPDK 25.11, Linux Drivers",
        "Linux Documentation/ABI/testing/sysfs-bus-pci, driver_override",
    ],
    risk: Risk::High,
    cost: "the interface leaves the kernel",
    look: bound,
    ..Check::PLAIN
};

pub(super) const BIFURCATED: Check = Check {
    id: "VFIO-02",
    section: Section::Pcie,
    title: "bifurcated drivers stay bound",
    why: "mlx5, mlx4 and mana work through the kernel's driver, and can not do without it",
    explain: "Some poll-mode drivers share the device with the kernel's: the kernel keeps control (link, statistics, the \
              interface itself), and queues are given to the program through the verbs interface. Bound to vfio-pci \
              such a device has no control path, and the poll-mode driver does not find it.\n\nGood is the kernel's \
              driver bound and the verbs devices there (ib_uverbs loaded, rdma-core installed). The kernel's interface \
              stays, so flows have to be steered between it and the program; and everything ethtool sets still counts.",
    sources: &["DPDK 25.11, Linux Drivers, bifurcated driver", "DPDK 25.11, MANA poll mode driver"],
    look: bifurcated,
    ..Check::PLAIN
};

pub(super) const PERSISTENT: Check = Check {
    id: "VFIO-03",
    section: Section::Pcie,
    title: "binding over a reboot",
    why: "a binding in sysfs is forgotten at the next boot, and the daemon then finds no port",
    explain: "driver_override lives in the kernel's memory. What brings it back is a file of driverctl \
              (/etc/driverctl.d), a udev rule that sets driver_override when the device appears, or `ids=` of vfio-pci, \
              which takes every card of a model and is a trap on machines whose management NIC is of the same \
              one.\n\nGood is exactly one of the first two, for vfio-pci. Two that disagree are decided by their \
              order, which changes with updates. If the NIC's own driver is in the initramfs it binds first; the rule \
              that this program writes takes the device back from it.",
    sources: &["driverctl(8)", "udev(7)", "Linux Documentation/ABI/testing/sysfs-bus-pci"],
    risk: Risk::Medium,
    cost: "the interface leaves the kernel at every boot",
    look: persistent,
    ..Check::PLAIN
};

pub(super) const NO_IOMMU: Check = Check {
    id: "VFIO-04",
    section: Section::Pcie,
    title: "vfio without IOMMU",
    why: "in its no-IOMMU mode vfio lets a device write anywhere in memory, and taints the kernel",
    explain: "enable_unsafe_noiommu_mode makes vfio hand out devices that nothing confines. It exists for virtual machines \
              without a virtual IOMMU. With it a stray descriptor, or a program that was taken over, overwrites the \
              kernel.\n\nWhere an IOMMU is in use there is no reason for it: bad. Where none is available it is the \
              lesser evil compared with uio, and a warning.",
    sources: &[
        "Linux drivers/vfio/Kconfig, VFIO_NOIOMMU",
        "DPDK 25.11, Linux Drivers, VFIO no-IOMMU mode",
    ],
    risk: Risk::Low,
    cost: "programs that rely on it stop",
    look: no_iommu,
    ..Check::PLAIN
};

pub(super) const PERMISSIONS: Check = Check {
    id: "VFIO-05",
    section: Section::Pcie,
    title: "who may open vfio",
    why: "who can open a vfio group has the device, and nobody else than the daemon should",
    explain: "/dev/vfio/N appears when a device of group N is bound, owned by root with mode 0600. A daemon that runs as \
              its own user needs a udev rule that gives it the group's file; /dev/vfio/vfio may be open to all, it \
              gives nothing by itself.\n\nGood is the service's user, or root where the daemon runs as root. Groups \
              that everybody can open let any local user drive the NIC, and read and forge what is on the wire.",
    sources: &[
        "Linux Documentation/driver-api/vfio.rst, usage example",
        "DPDK 25.11, Enabling Additional Functionality",
    ],
    risk: Risk::Low,
    look: permissions,
    ..Check::PLAIN
};

pub(super) const LOCKDOWN: Check = Check {
    id: "VFIO-06",
    section: Section::Pcie,
    title: "Secure Boot and lockdown",
    why: "a locked-down kernel refuses uio, unsigned modules and MSR writes, and keeps vfio with an IOMMU",
    explain: "With Secure Boot most distributions lock the kernel down at `integrity`: nothing may give a program a way \
              to write to kernel memory. uio is such a way, as is vfio without IOMMU; writing MSRs and loading \
              unsigned modules (igb_uio) are refused as well. vfio-pci with an IOMMU stays.\n\nSo this is a matter of \
              which road the ports take, not of turning Secure Boot off. What is lost under integrity are tools \
              that write MSRs, such as setting prefetchers.",
    sources: &["kernel_lockdown(7)", "DPDK 25.11, Linux Drivers, UIO"],
    look: lockdown,
    ..Check::PLAIN
};

pub(super) const SRIOV: Check = Check {
    id: "VFIO-07",
    section: Section::Pcie,
    title: "virtual functions of the data ports",
    why: "a physical function that leaves its kernel driver takes its virtual functions with it",
    explain: "Virtual functions are made by the driver of the physical one. When that driver lets go while they exist, \
              some drivers refuse, some remove them under whoever uses them (virtual machines, containers), and \
              some crash. A physical function with vfio-pci can have virtual ones only with a token that their users \
              have to know.\n\nGood is none, or all of them in the same hands. Destroy them first (write 0 to \
              sriov_numvfs), then bind.",
    sources: &[
        "Linux Documentation/PCI/pci-iov-howto.rst",
        "DPDK 25.11, Linux Drivers, VFIO VF token",
        "Media-Transport-Library pull request 1667",
    ],
    look: sriov,
    ..Check::PLAIN
};

fn is_shared(function: &Function) -> bool {
    function.driver.as_deref().is_some_and(|driver| SHARED.contains(&driver))
}

fn bound(context: &Context<'_>) -> Outcome {
    settled(|| {
        let ports = context.data_functions()?;
        let judged = ports.iter().map(|port| judge_driver(context, port));
        Ok(worst(judged, "there is no data port").wanted("vfio-pci"))
    })
}

fn judge_driver(context: &Context<'_>, port: &Function) -> One {
    let name = port.address;
    let line = format!("{name}: {}", port.driver.as_deref().unwrap_or("no driver"));
    if context.facts.pci.is_shared(port) {
        return One::new(Verdict::NotApplicable, format!("{line}, shared with the kernel"));
    }
    match port.driver.as_deref() {
        Some("vfio-pci") => One::new(Verdict::Good, line),
        Some("uio_pci_generic") => One::new(Verdict::Warn, line).fix(to_vfio(port)),
        _ => match context.intent.guard.of_function(name).first() {
            Some(reason) => One::new(Verdict::Bad, format!("{line}; must stay: {reason}")),
            None => One::new(Verdict::Bad, line).fix(to_vfio(port)),
        },
    }
}

fn to_vfio(port: &Function) -> Change {
    Change::Driver { device: port.address, driver: "vfio-pci".to_owned() }
}

fn bifurcated(context: &Context<'_>) -> Outcome {
    settled(|| {
        let ports = context.data_functions()?;
        let judged = ports.iter().filter(|port| context.facts.pci.is_shared(port)).map(|port| {
            let driver = port.driver.as_deref().unwrap_or("no driver");
            let line = format!("{}: {driver}", port.address);
            let has_verbs = context
                .facts
                .pci
                .details
                .get(&port.address)
                .is_some_and(|details| details.has_verbs);
            match (is_shared(port), has_verbs) {
                (true, true) => One::new(Verdict::Good, format!("{line}, with verbs")),
                (true, false) => One::new(Verdict::Bad, format!("{line}, no verbs device")),
                (false, _) => One::new(Verdict::Bad, line),
            }
        });
        let outcome = worst(judged, "no data port has a bifurcated driver")
            .wanted("the kernel's driver, and a verbs device");
        Ok(match outcome.verdict {
            Verdict::Bad => outcome.advice(
                "barewire-tune unbind puts the kernel's driver back; load ib_uverbs (rdma-core) for the verbs device",
            ),
            _ => outcome,
        })
    })
}

fn persistent(context: &Context<'_>) -> Outcome {
    settled(|| {
        let ports = context.data_functions()?;
        let ports: Vec<&Function> =
            ports.into_iter().filter(|port| !context.facts.pci.is_shared(port)).collect();
        let vfio = &context.facts.pci.vfio;
        let mut forgotten = ports.clone();
        forgotten.retain(|port| {
            let is_free = context.intent.guard.of_function(port.address).is_empty();
            is_free && files_about(vfio, port).is_empty()
        });
        let outcome = match &vfio.driverctl {
            Fact::Unknown { why } => return Ok(Outcome::unknown(why)),
            Fact::Is(_) | Fact::Absent => {
                let judged = ports.iter().map(|port| judge_persistence(vfio, port));
                worst(judged, "no data port is vfio's")
            }
        };
        Ok(outcome
            .wanted("a file that names vfio-pci, and none that names another driver")
            .fixes(rules::keep(vfio, &forgotten)))
    })
}

/// The files that say which driver a function gets at boot, and whether each says vfio-pci.
fn files_about(vfio: &Vfio, port: &Function) -> Vec<(String, bool)> {
    let name = port.address.to_string();
    let ours = rules::driverctl_name(port.address);
    let driverctl = vfio.driverctl.value().into_iter().flatten().filter(|(file, _)| *file == ours);
    let driverctl = driverctl.map(|(file, driver)| {
        (format!("/etc/driverctl.d/{file} ({driver})"), driver == "vfio-pci")
    });
    let about = vfio.rules.iter().filter(|(_, rule)| rule.contains(&name));
    let rules = about.map(|(file, rule)| (format!("/{file}"), rule.contains("vfio-pci")));
    let mut all: Vec<(String, bool)> = driverctl.chain(rules).collect();
    all.dedup();
    all
}

fn judge_persistence(vfio: &Vfio, port: &Function) -> One {
    let name = port.address;
    let found = files_about(vfio, port);
    let id = format!("{:04x}:{:04x}", port.vendor, port.device);
    let by_model = vfio.identifiers.iter().find(|(_, line)| line.contains(&id));
    let list = found.iter().map(|(file, _)| file.as_str()).collect::<Vec<_>>().join(", ");
    match (found.as_slice(), by_model) {
        ([], Some((file, _))) => {
            One::new(Verdict::Warn, format!("{name}: /{file} takes every card of its model"))
        }
        ([], None) => One::new(Verdict::Warn, format!("{name}: until the next boot only")),
        (all, _) if all.iter().all(|(_, is_vfio)| *is_vfio) => {
            One::new(Verdict::Good, format!("{name}: {list}"))
        }
        _ => One::new(Verdict::Bad, format!("{name}: {list} do not agree on vfio-pci")),
    }
}

fn no_iommu(context: &Context<'_>) -> Outcome {
    settled(|| {
        let is_on =
            *known(&context.facts.pci.vfio.no_iommu, "vfio is not loaded, or has no such mode")?;
        let iommus = known(&context.facts.pci.iommus, "this machine has no PCI")?;
        const KEY: &str = "vfio.enable_unsafe_noiommu_mode";
        let is_asked = context.facts.boot.cmdline.value().is_some_and(|line| line.has(KEY));
        let now = Change::Kernel {
            path: "sys/module/vfio/parameters/enable_unsafe_noiommu_mode".to_owned(),
            value: "N".to_owned(),
            form: crate::change::Form::Flag,
        };
        let boot = is_asked
            .then(|| Change::BootParameter { key: KEY.to_owned(), value: BootValue::Absent });
        let outcome = match (is_on, iommus.is_empty()) {
            (false, false) if is_asked => {
                Outcome::warn("off, and on again at the next boot").fixes(boot)
            }
            (false, _) => Outcome::good("off"),
            (true, true) => Outcome::warn("on, and there is no IOMMU"),
            (true, false) => Outcome::bad("on, although there is an IOMMU").fix(now).fixes(boot),
        };
        Ok(outcome.wanted("off"))
    })
}

fn permissions(context: &Context<'_>) -> Outcome {
    settled(|| {
        let vfio = &context.facts.pci.vfio;
        let files = known(&vfio.files, "vfio is not loaded")?;
        // The container's file is not a device.
        let groups: Vec<_> = files.iter().filter(|file| file.name != "vfio").collect();
        let service = match (&vfio.service_user, &vfio.service_group) {
            (Fact::Is(user), Fact::Is(group)) => Some((*user, *group)),
            (Fact::Absent, _) | (_, Fact::Absent) => None,
            (Fact::Unknown { why }, _) | (_, Fact::Unknown { why }) => {
                return Ok(Outcome::unknown(why));
            }
        };
        let judged = groups.iter().map(|file| {
            let line =
                format!("/dev/vfio/{}: mode {:04o}, user {}", file.name, file.mode, file.user);
            let verdict = match service {
                _ if file.is_open_to_all() => Verdict::Bad,
                Some((user, group)) if file.is_open_to(user, group) => Verdict::Good,
                // The unit may well run the daemon as root.
                Some(_) => Verdict::Warn,
                None => Verdict::Good,
            };
            One::new(verdict, line)
        });
        let outcome = worst(judged, "no device is bound to vfio-pci")
            .wanted("the daemon's user, and nobody else");
        Ok(match outcome.verdict {
            Verdict::Warn | Verdict::Bad => outcome.advice(
                "a udev rule: SUBSYSTEM==\"vfio\", OWNER=\"barewire\", GROUP=\"barewire\", MODE=\"0660\"",
            ),
            _ => outcome,
        })
    })
}

fn lockdown(context: &Context<'_>) -> Outcome {
    settled(|| {
        let pci = &context.facts.pci;
        let level = known(&pci.lockdown, "this kernel has no lockdown")?;
        let secure = match &pci.secure_boot {
            Fact::Is(true) => ", Secure Boot",
            Fact::Is(false) => ", no Secure Boot",
            Fact::Absent | Fact::Unknown { .. } => "",
        };
        let seen = format!("{level}{secure}");
        let is_uio = |function: &&Function| {
            matches!(function.driver.as_deref(), Some("uio_pci_generic" | "igb_uio"))
        };
        let uio = pci.given_away().find(is_uio);
        let outcome = match (level.as_str(), uio) {
            ("none", _) => Outcome::good(seen),
            (_, Some(port)) => Outcome::bad(format!("{seen}, and {} is on uio", port.address))
                .advice("use vfio-pci: a locked-down kernel refuses uio to programs"),
            (_, None) if pci.iommus.value().is_some_and(|all| !all.is_empty()) => {
                Outcome::good(format!("{seen}: vfio-pci works, tools that write MSRs do not"))
            }
            (_, None) => Outcome::warn(format!("{seen}, and no IOMMU: no road for a data port"))
                .advice("turn on VT-d or AMD-Vi in the firmware"),
        };
        Ok(outcome.wanted("none, or vfio-pci with an IOMMU"))
    })
}

fn sriov(context: &Context<'_>) -> Outcome {
    settled(|| {
        let ports = context.data_functions()?;
        let pci = &context.facts.pci;
        let judged = ports.iter().filter_map(|port| {
            let name = port.address.to_string();
            let details = pci.details.get(&port.address)?;
            One::of(&name, &details.virtual_functions, |&count| {
                let is_physical_with = |other: &&Function| {
                    pci.details
                        .get(&other.address)
                        .is_some_and(|details| details.physical == Some(port.address))
                };
                let all = pci.functions.value().into_iter().flatten().filter(is_physical_with);
                let kernels = all.filter(|other| {
                    other.driver.as_deref().is_some_and(|driver| driver != "vfio-pci")
                });
                let kernels = kernels.count();
                let line = format!("{name}: {count} virtual functions, {kernels} with the kernel");
                let verdict = match (count, kernels, port.driver.as_deref()) {
                    (0, _, _) | (_, 0, _) => Verdict::Good,
                    (_, _, Some("vfio-pci")) => Verdict::Bad,
                    _ => Verdict::Warn,
                };
                One::new(verdict, line)
            })
        });
        let outcome = worst(judged, "no data port can have virtual functions")
            .wanted("none, or all of them with vfio-pci");
        Ok(match outcome.verdict {
            Verdict::Warn | Verdict::Bad => outcome
                .advice("echo 0 > sriov_numvfs of the physical function, after its users let go"),
            _ => outcome,
        })
    })
}
