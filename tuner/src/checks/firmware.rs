//! What the firmware does behind the kernel's back: interrupts, sleeping links, power profiles, throttling.

use super::{
    Check, Context, Outcome,
    judge::{known, settled},
    power::outcome,
    wording::lines,
};
use crate::{
    Fact, Risk, Section, Verdict,
    change::{BootValue, Change, Form, UnitState},
    facts::{firmware::l1_file, processor::Processor},
};

/// What the firmware does behind the kernel's back.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "PWR-08",
        section: Section::Thermal,
        title: "throttling",
        why: "a core that is too hot or over its power limit is slowed down whatever its governor says",
        explain: "The processor counts how often each core and package was slowed down because it was too hot. A temperature \
                  says little: 80 °C is fine for one part and too much for another. A counter that grows while the \
                  machine works is the fact.\n\nNothing in the operating system mends it for long: cooling, fans, dust, \
                  the power limits of the firmware. Spinning housekeeping cores (idle=poll) and vector instructions \
                  contribute.\n\nThe kernel counts on Intel only; elsewhere PWR-07 tells of the effect.",
        sources: &[
            "Linux Documentation/ABI/testing/sysfs-devices-system-cpu, thermal_throttle",
            "Linux drivers/thermal/intel/therm_throt.c",
        ],
        look: throttling,
        ..Check::PLAIN
    },
    Check {
        id: "UNC-01",
        section: Section::Frequency,
        title: "uncore frequency",
        why: "caches, mesh and memory controllers have a clock of their own, which follows the load",
        explain: "On Intel servers everything that is not a core shares a clock with its own limits. It rises with traffic \
                  to memory and falls in between, so the first misses after a lull are slower, and packets that arrive in \
                  the cache by direct I/O pass through the slow mesh.\n\nWith the lowest limit equal to the highest it \
                  stays up. That costs power which the cores' turbo may miss: measure.",
        sources: &[
            "Linux Documentation/admin-guide/pm/intel_uncore_frequency_scaling.rst",
            "TuneD uncore plugin",
        ],
        risk: Risk::Low,
        cost: "power, and perhaps turbo",
        look: uncore,
        ..Check::PLAIN
    },
    Check {
        id: "FW-01",
        section: Section::Firmware,
        title: "platform profile",
        why: "the firmware's own balance of heat, noise and speed limits what all other settings reach",
        explain: "Some platforms let the system choose among the firmware's profiles through ACPI. low-power and quiet lower \
                  power limits and fan curves; performance raises them. Most servers have the choice in the firmware's \
                  set-up or the management controller only, and nothing to check here.\n\npower-profiles-daemon and \
                  TuneD write the same file: see PPD-01.",
        sources: &[
            "Linux Documentation/userspace-api/sysfs-platform_profile.rst",
            "TuneD acpi plugin",
        ],
        risk: Risk::Low,
        cost: "power, heat and noise",
        look: platform_profile,
        ..Check::PLAIN
    },
    Check {
        id: "FW-02",
        section: Section::Firmware,
        title: "system management interrupts",
        why: "the firmware takes all CPUs away from the kernel, for tens of microseconds or more, and tells nobody",
        explain: "A system management interrupt stops every CPU while the firmware works: for emulated USB keyboards, \
                  error logging, fan control, power management. The kernel can neither see nor prevent it; a gap that \
                  no interrupt, switch or tick explains is one of these.\n\nIntel processors count them in a register, \
                  which takes root and the msr driver to read. AMD has no such register; there, and for a second \
                  opinion, rtla hwnoise measures gaps with interrupts off.\n\nThe remedy is in the firmware's set-up: \
                  legacy USB support off, patrol-scrub and corrected-error reports off or to the operating system, TCO \
                  and power-management SMIs off, the vendor's low-latency guide.",
        sources: &[
            "Linux Documentation/admin-guide/cpu-isolation.rst",
            "Intel SDM volume 4, MSR_SMI_COUNT",
            "Linux Documentation/tools/rtla/rtla-hwnoise.rst",
        ],
        is_proposed: true,
        look: interrupts,
        ..Check::PLAIN
    },
    Check {
        id: "FW-03",
        section: Section::Firmware,
        title: "firmware updates in the background",
        why: "asking devices for their firmware versions can stop the machine for milliseconds",
        explain: "fwupd-refresh.timer fetches the catalogue of firmware updates some times a day and starts fwupd, which asks \
                  the platform's devices, some of them through the firmware itself. OpenShift's tuning operator disables it on low-latency nodes.\n\nWithout it, updates are found when somebody looks: \
                  fwupdmgr refresh in a maintenance window.",
        sources: &["OpenShift cluster-node-tuning-operator, CNF-26497", "fwupd documentation"],
        risk: Risk::Low,
        cost: "firmware updates are found later",
        look: updates,
        ..Check::PLAIN
    },
    Check {
        id: "FW-04",
        section: Section::Firmware,
        title: "sleeping PCIe links",
        why: "a link that fell asleep takes microseconds to wake for the first packet after a lull",
        explain: "Active-state power management lets an idle PCI Express link go into L0s or L1 by itself; leaving L1 takes microseconds, up to more than 64 by what devices say of themselves. The policy performance forbids it for all links, powersave wants it, and default \
                  keeps what the firmware has set up, which may be either.\n\nThe link of one device has switches of \
                  its own (link/l1_aspm) where the kernel controls it, which is the gentler way.\n\nGuides use \
                  pcie_aspm=off. It tells the kernel to leave the matter alone: links that the firmware put to \
                  sleep go on sleeping. The policy performance is what was meant.",
        sources: &[
            "Linux Documentation/admin-guide/kernel-parameters.txt, pcie_aspm=",
            "Linux Documentation/ABI/testing/sysfs-bus-pci, link/l1_aspm",
            "DPDK Programmer's and platform guides, AMD platforms",
        ],
        risk: Risk::Low,
        cost: "a watt or so for each link",
        look: links,
        ..Check::PLAIN
    },
    Check {
        id: "FW-05",
        section: Section::Firmware,
        title: "idle vfio ports",
        why: "vfio puts a port that nobody has open into a sleep from which some do not wake up well",
        explain: "A device that is bound to vfio-pci and not in use is put into D3 to save power. Nearly all devices come back \
                  when they are opened. DPDK's guide for AMD platforms names Solarflare ports on some machines that \
                  do not, and asks for vfio-pci.disable_idle_d3=1 there.\n\nIt costs the power of an idle port and a \
                  reboot, since the module takes the value when it is loaded. Elsewhere the default is right, and the \
                  value is only shown.",
        sources: &["DPDK guide, AMD platforms", "Linux drivers/vfio/pci/vfio_pci.c"],
        risk: Risk::Low,
        cost: "the power of idle ports",
        look: idle_ports,
        ..Check::PLAIN
    },
];

fn throttling(context: &Context<'_>) -> Outcome {
    settled(|| {
        let absent = "this processor does not count it, or it is the host's matter";
        let since_boot = *known(&context.facts.power.throttled, absent)?;
        let grown = match context.measured {
            None => None,
            Some(measured) => {
                let throttle = known(&measured.throttle, absent)?;
                Some(throttle.grown().map(|(name, by)| format!("{name}: {by}")).collect::<Vec<_>>())
            }
        };
        let limits = context.facts.power.limits.value().map(Vec::as_slice).unwrap_or_default();
        let limits = limits
            .iter()
            .map(|limit| format!("limit of {}, {}: {} W", limit.zone, limit.name, limit.watts));
        let cool = "look for heat, power limits, and the firmware's power profile";
        Ok(match (grown, since_boot) {
            (Some(grown), _) if !grown.is_empty() => {
                Outcome::bad("throttled while it was watched").details(lines(grown)).advice(cool)
            }
            (Some(_), _) => {
                Outcome::good(format!("none while it was watched, {since_boot} since boot"))
            }
            (None, 0) => Outcome::good("none since boot"),
            (None, count) => {
                Outcome::warn(format!("{count} since boot; measure under load")).advice(cool)
            }
        }
        .wanted("none under load")
        .details(lines(limits)))
    })
}

fn uncore(context: &Context<'_>) -> Outcome {
    settled(|| {
        let domains =
            known(&context.facts.power.uncore, "the kernel has no say in the uncore's clock")?;
        let (mut details, mut fix) = (Vec::new(), Vec::new());
        for domain in domains {
            let (min, max) =
                (known(&domain.min_khz, "no limit")?, known(&domain.max_khz, "no limit")?);
            if min < max {
                let name = domain.path.rsplit('/').next().unwrap_or_default();
                details.push(format!("{name}: {} to {} MHz", min / 1000, max / 1000));
                fix.push(Change::Kernel {
                    path: format!("{}/min_freq_khz", domain.path),
                    value: max.to_string(),
                    form: Form::Number,
                });
            }
        }
        let outcome = match (details.len(), domains.len()) {
            (0, _) => Outcome::good("it stays at its highest"),
            (some, all) => Outcome::warn(format!("{some} of {all} domains follow the load")),
        };
        Ok(outcome.wanted("the lowest equal to the highest").details(lines(details)).fixes(fix))
    })
}

fn platform_profile(context: &Context<'_>) -> Outcome {
    settled(|| {
        let firmware = &context.facts.firmware;
        let profile = known(&firmware.profile, "the firmware offers no choice here")?;
        let verdict = match profile.as_str() {
            "performance" | "max-power" => Verdict::Good,
            "balanced" | "balanced-performance" | "custom" => Verdict::Warn,
            _ => Verdict::Bad,
        };
        let outcome = outcome(verdict, profile).wanted("performance");
        let is_offered =
            firmware.profiles.value().is_some_and(|p| p.iter().any(|p| p == "performance"));
        Ok(if verdict == Verdict::Good || !is_offered {
            outcome
        } else {
            outcome.fix(Change::Kernel {
                path: "sys/firmware/acpi/platform_profile".to_owned(),
                value: "performance".to_owned(),
                form: Form::Text,
            })
        })
    })
}

fn interrupts(context: &Context<'_>) -> Outcome {
    settled(|| {
        const ABSENT: &str = "not counted here: rtla hwnoise measures their effect";
        let since_boot = *known(&context.facts.firmware.interrupts, ABSENT)?;
        let advice = "in the firmware: legacy USB off, error reports to the system, vendor's low-latency guide";
        let wanted = "none";
        let Some(measured) = context.measured else {
            return Ok(match since_boot {
                0 => Outcome::good("none since boot"),
                count => Outcome::info(format!("{count} since boot; measure how many come now")),
            }
            .wanted(wanted));
        };
        let count = *known(&measured.firmware_interrupts, ABSENT)?;
        let rate = measured.per_second(count) * 60.0;
        let seen = format!("{count} in {:.0} s, {rate:.1} a minute", measured.seconds);
        Ok(match count {
            0 => Outcome::good(seen),
            _ if rate <= 5.0 => Outcome::warn(seen).advice(advice),
            _ => Outcome::bad(seen).advice(advice),
        }
        .wanted(wanted))
    })
}

fn updates(context: &Context<'_>) -> Outcome {
    settled(|| {
        const TIMER: &str = "fwupd-refresh.timer";
        let Some(unit) = context.facts.units.unit(TIMER).filter(|unit| unit.is_installed) else {
            return Ok(Outcome::not_applicable("fwupd is not installed"));
        };
        let is_enabled = *known(&unit.is_enabled, "not installed")?;
        let runs = unit.is_active == Fact::Is(true);
        Ok(match (is_enabled, runs) {
            (false, false) => Outcome::good("disabled"),
            (false, true) => Outcome::bad("disabled, but it runs now"),
            (true, _) => Outcome::bad("enabled"),
        }
        .wanted("disabled"))
        .map(|outcome| match outcome.verdict {
            Verdict::Bad => {
                outcome.fix(Change::Unit { unit: TIMER.to_owned(), state: UnitState::Disabled })
            }
            _ => outcome,
        })
    })
}

fn links(context: &Context<'_>) -> Outcome {
    settled(|| {
        let firmware = &context.facts.firmware;
        let absent = "this kernel does not manage the power of links";
        let policy = known(&firmware.link_policy, absent)?.chosen.as_str();
        let ports = context.intent.data.iter().filter_map(|port| port.pci);
        let (mut sleepy, mut awake, mut details) = (Vec::new(), 0_usize, Vec::new());
        let mut without = 0_usize;
        for address in ports {
            match firmware.link_sleep.get(&address) {
                Some(Fact::Is(true)) => {
                    sleepy.push(address);
                    details.push(format!("{address}: may sleep in L1"));
                }
                Some(Fact::Is(false)) => awake += 1,
                Some(Fact::Unknown { why }) => return Err(Outcome::unknown(why)),
                Some(Fact::Absent) | None => without += 1,
            }
        }
        let is_guest = context.facts.processor.value().is_some_and(Processor::is_virtual);
        if is_guest && sleepy.is_empty() && awake == 0 {
            return Ok(Outcome::not_applicable("links are the host's matter"));
        }
        let outcome = match policy {
            "performance" => Outcome::good("performance"),
            _ if sleepy.is_empty() && awake > 0 && without == 0 => {
                Outcome::good(format!("{policy}, but the ports' links stay awake"))
            }
            "default" => Outcome::warn("default: as the firmware left it"),
            other => Outcome::bad(other),
        };
        let outcome = outcome.wanted("performance, or L1 off on the ports").details(details);
        if outcome.verdict == Verdict::Good {
            return Ok(outcome);
        }
        let is_one_by_one = without == 0 && !sleepy.is_empty();
        Ok(if is_one_by_one {
            outcome.fixes(sleepy.into_iter().map(|address| Change::Kernel {
                path: l1_file(address),
                value: "0".to_owned(),
                form: Form::Flag,
            }))
        } else {
            outcome.fix(Change::Kernel {
                path: "sys/module/pcie_aspm/parameters/policy".to_owned(),
                value: "performance".to_owned(),
                form: Form::Choice,
            })
        })
    })
}

fn idle_ports(context: &Context<'_>) -> Outcome {
    settled(|| {
        /// Solarflare's number among vendors of PCI devices.
        const SOLARFLARE: u16 = 0x1924;
        let awake = &context.facts.firmware.keeps_idle_ports_awake;
        let is_awake = *known(awake, "vfio-pci is not loaded")?;
        let is_amd = context.facts.processor.value().is_some_and(Processor::is_amd);
        let ports = context.intent.data.iter().filter_map(|port| port.pci);
        let is_solarflare = |address| {
            context
                .facts
                .pci
                .function(address)
                .is_some_and(|function| function.vendor == SOLARFLARE)
        };
        let is_needed = is_amd && ports.into_iter().any(is_solarflare);
        Ok(match (is_needed, is_awake) {
            (true, false) => Outcome::warn("N, with a Solarflare port on AMD").wanted("Y").fix(
                Change::BootParameter {
                    key: "vfio_pci.disable_idle_d3".to_owned(),
                    value: BootValue::Is("1".to_owned()),
                },
            ),
            (true, true) => Outcome::good("Y").wanted("Y"),
            (false, is_awake) => Outcome::info(if is_awake { "Y" } else { "N" }),
        })
    })
}

#[cfg(test)]
mod tests;
