//! What stays with a NIC: its driver, its errors, and whether what we set is still set.

use linux::Known;

use super::{
    super::{
        Check, Context, Outcome,
        judge::{known, settled},
        several::{One, worst},
    },
    NONE, nics,
};
use crate::{Fact, Risk, Section, Verdict, measured::Counters};

pub(super) const DRIVER: Check = Check {
    id: "NIC-08",
    section: Section::Nics,
    title: "driver and firmware of the NICs",
    why: "drops and latency spikes are fixed in firmware as often as in drivers",
    explain: "Each poll-mode driver's page in the DPDK guides names the firmware and kernel driver it was tested with, and \
              some features silently vanish with others. The kernel's part matters for the management path and, with \
              bifurcated drivers, for the data path as well.\n\nThis lists what is there and does not judge: there is \
              no list of good versions that stays true. A driver whose version is not the kernel's comes from the \
              vendor, and is the one to ask the vendor about.",
    sources: &["ethtool(8), -i", "DPDK 25.11, Network Interface Controller Drivers"],
    look: driver,
    ..Check::PLAIN
};

pub(super) const ERRORS: Check = Check {
    id: "NIC-09",
    section: Section::Nics,
    title: "frames lost by the kernel's NICs",
    why: "a counter of lost frames that grows is the fault itself, not a sign of one",
    explain: "rx_missed_errors counts frames that found no free descriptor, rx_fifo_errors and rx_over_errors frames that \
              found no room in the NIC, rx_crc_errors frames that arrived broken. The first three mean that nobody \
              fetched in time (look at the interrupts, the rings and the cores), the last one a bad cable, optic or \
              port.\n\nMeasured over some seconds: none is good; up to one in a million received is a warning, more is \
              bad. At 100 Gb/s moving interrupts off the polling cores has been seen to take the loss from one in two \
              thousand to one in sixteen million. Loss of a poll-mode port is in the daemon's own counters (MEAS-05).",
    sources: &[
        "Linux Documentation/networking/statistics.rst",
        "FastNetMon, Eliminating NIC receive drops at 100 GbE (2026)",
    ],
    is_proposed: true,
    look: errors,
    ..Check::PLAIN
};

pub(super) const SURVIVED: Check = Check {
    id: "NIC-10",
    section: Section::Nics,
    title: "settings that we made are still there",
    why: "a link that went down, a driver that was reset or a .link file can undo what was set",
    explain: "Drivers forget rings, coalescing and channels when they are reloaded, after a firmware reset and after \
              suspend; udev's .link files and NetworkManager set their own values when an interface appears, and \
              sometimes before its driver is ready. What was applied once is then silently gone.\n\nThe journal of this \
              program says what was set and became; this compares it with what is. Drift is bad because nobody notices: \
              apply again, or let `barewire-tune watch --policy reassert` do it, which also names who else sets it.",
    sources: &["systemd issues 28696 and 16445", "aws-graviton-getting-started pull request 510"],
    look: survived,
    ..Check::PLAIN
};

pub(super) const MTU: Check = Check {
    id: "NIC-11",
    section: Section::Nics,
    title: "MTU",
    why: "an interface that allows longer packets than what it stands on loses the long ones",
    explain: "The MTU of a VLAN, a bridge or a bond can not usefully be larger than that of the interfaces below. Where it \
              is, packets of the size in between are dropped without a counter that anybody looks at, and connections \
              hang after their handshake.\n\nSizes themselves are the network's decision and only listed: jumbo \
              frames need every switch on the path.",
    sources: &["Linux Documentation/networking/netdevices.rst", "ip-link(8)"],
    risk: Risk::Medium,
    look: mtu,
    ..Check::PLAIN
};

pub(super) const CLOCK: Check = Check {
    id: "NIC-12",
    section: Section::Nics,
    title: "hardware time stamps",
    why: "only a stamp from the NIC's own clock says when a frame arrived, and not when it was looked at",
    explain: "NICs with a PTP clock stamp frames as they pass the wire, with nanoseconds of error; software stamps are taken \
              when the driver gets to the frame, and contain every delay that one wants to measure. With hardware \
              stamps the daemon's bound on latency becomes a measurement.\n\nGood is a hardware clock and receive \
              stamps. A NIC without is no fault of the configuration: a warning for those who buy the next one. \
              Virtual NICs have none.",
    sources: &["Linux Documentation/networking/timestamping.rst", "ethtool(8), -T"],
    look: clock,
    ..Check::PLAIN
};

/// More than one frame in this many lost is bad.
const ONE_IN: u64 = 1_000_000;

/// What is loss.
const LOST: [&str; 4] = ["rx_missed_errors", "rx_fifo_errors", "rx_over_errors", "rx_crc_errors"];

fn driver(context: &Context<'_>) -> Outcome {
    settled(|| {
        let release = context.facts.system.release.value();
        let judged = nics(context)?.iter().filter_map(|nic| {
            let name = &nic.interface.name;
            One::of(name, &nic.driver, |driver| {
                let mut line = format!("{name}: {}", driver.name);
                if !driver.version.is_empty() && Some(&driver.version) != release {
                    line.push_str(&format!(" {} (not this kernel's)", driver.version));
                }
                // Some drivers write "N/A" or a blank.
                if !matches!(driver.firmware.trim(), "" | "N/A") {
                    line.push_str(&format!(", firmware {}", driver.firmware.trim()));
                }
                One::new(Verdict::Info, line)
            })
        });
        Ok(worst(judged, NONE))
    })
}

fn errors(context: &Context<'_>) -> Outcome {
    settled(|| {
        let measured = context.watched()?;
        let counters = known(&measured.network, "no interface counts anything")?;
        let judged = nics(context)?.iter().map(|nic| judge_loss(&nic.interface.name, counters));
        Ok(worst(judged, NONE).wanted("none"))
    })
}

fn judge_loss(name: &str, counters: &Counters) -> One {
    let file = |counter: &str| format!("sys/class/net/{name}/statistics/{counter}");
    let grew = |counter: &str| counters.set.get(&file(counter)).map_or(0, |one| one.grew());
    let all = LOST.iter().map(|counter| (*counter, grew(counter))).filter(|(_, by)| *by > 0);
    let all: Vec<(&str, u64)> = all.collect();
    let lost = all.iter().fold(0_u64, |sum, (_, by)| sum.saturating_add(*by));
    let arrived = grew("rx_packets").saturating_add(lost);
    if lost == 0 {
        return One::new(Verdict::Good, format!("{name}: none of {arrived}"));
    }
    let kinds: Vec<String> = all.iter().map(|(counter, by)| format!("{counter} {by}")).collect();
    let line = format!("{name}: {} of {arrived}", kinds.join(", "));
    // lost / arrived < 1 / ONE_IN
    let is_rare = lost.saturating_mul(ONE_IN) < arrived;
    One::new(if is_rare { Verdict::Warn } else { Verdict::Bad }, line)
}

fn survived(context: &Context<'_>) -> Outcome {
    settled(|| {
        let applied = known(&context.facts.nics.applied, "nothing was applied here")?;
        let judged = applied.iter().map(|one| {
            let name = format!("{} {}", one.interface, one.group.name());
            let Some(nic) = context.facts.nics.nic(&one.interface) else {
                return One::new(Verdict::Bad, format!("{name}: the interface is gone"));
            };
            match one.drifted(nic) {
                Fact::Is(drifted) if drifted.is_empty() => {
                    One::new(Verdict::Good, format!("{name}: as it was set"))
                }
                Fact::Is(drifted) => {
                    One::new(Verdict::Bad, format!("{name}: {}", drifted.join(", ")))
                }
                Fact::Absent => One::new(Verdict::Bad, format!("{name}: gone")),
                Fact::Unknown { why } => One::new(Verdict::Unknown, format!("{name}: {why}")),
            }
        });
        let outcome = worst(judged, "nothing of a NIC was set here").wanted("as it was set");
        Ok(match outcome.verdict {
            Verdict::Bad => outcome.advice("barewire-tune apply sets it again"),
            _ => outcome,
        })
    })
}

fn mtu(context: &Context<'_>) -> Outcome {
    settled(|| {
        let all = known(&context.facts.nics.all, "this machine has no network interfaces")?;
        let of = |name: &str| {
            let one = all.iter().find(|one| one.name == name)?;
            one.mtu.known().copied()
        };
        let judged = all.iter().filter(|one| one.name != "lo").map(|one| {
            let name = &one.name;
            let own = match &one.mtu {
                Known::Known(own) => *own,
                Known::Unknown { why } => {
                    return One::new(Verdict::Unknown, format!("{name}: {why}"));
                }
            };
            let smaller = one.lower.iter().find(|lower| of(lower).is_some_and(|mtu| mtu < own));
            match smaller {
                Some(lower) => {
                    let below = of(lower).unwrap_or_default();
                    One::new(Verdict::Warn, format!("{name}: {own}, on {lower} with {below}"))
                }
                None => One::new(Verdict::Info, format!("{name}: {own}")),
            }
        });
        Ok(worst(judged, "there is no interface but the loopback")
            .wanted("no more than what it stands on"))
    })
}

fn clock(context: &Context<'_>) -> Outcome {
    settled(|| {
        let is_virtual =
            context.facts.processor.value().is_some_and(|processor| processor.is_virtual());
        let judged = nics(context)?.iter().filter_map(|nic| {
            let name = &nic.interface.name;
            One::of(name, &nic.timestamping, |stamps| {
                match (stamps.has_hardware_rx(), stamps.clock) {
                    (true, Some(clock)) => {
                        One::new(Verdict::Good, format!("{name}: hardware, /dev/ptp{clock}"))
                    }
                    (true, None) => One::new(Verdict::Good, format!("{name}: hardware")),
                    (false, _) if is_virtual => One::new(
                        Verdict::NotApplicable,
                        format!("{name}: software, as virtual NICs"),
                    ),
                    (false, _) => One::new(Verdict::Warn, format!("{name}: software only")),
                }
            })
        });
        Ok(worst(judged, NONE).wanted("hardware"))
    })
}
