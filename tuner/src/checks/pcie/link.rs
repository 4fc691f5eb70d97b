//! What the PCIe link of a NIC carries, and how it errs.

use linux::{Known, pci::Function};

use super::super::{
    Check, Context, Outcome,
    judge::{known, settled},
    several::{One, worst},
};
use crate::{
    Fact, Risk, Section, Verdict,
    facts::pci::{Details, express::Express},
};

pub(super) const WIDTH: Check = Check {
    id: "PCI-01",
    section: Section::Pcie,
    title: "PCIe link width and speed",
    why: "a NIC whose link is narrower than its wire drops packets that no core ever sees",
    explain: "Card and slot agree on the number of lanes and their speed when they are switched on. A card in a slot \
              with fewer lanes wired, a riser that is not quite seated or a firmware setting leaves less than both \
              could, and nothing reports it as an error: the NIC's buffer fills up and the loss shows only in its own \
              counters.\n\nGood is a link as wide and fast as the card allows. A lesser one is tolerable while it \
              still carries the port's rate in each direction with room for descriptors, completions and headers of \
              the packets on the bus; 1.3 times the rate is this project's margin. Below the rate it is the \
              bottleneck. The rate of a port that a poll-mode driver has is not known to the kernel, so a lesser link \
              is a warning then.\n\nSome cards save power by slowing the link while idle. Look again under load \
              before opening the case.",
    sources: &[
        "DPDK 25.11, Getting Started Guide for Linux, How to get best performance with NICs",
        "Linux Documentation/ABI/testing/sysfs-bus-pci, current_link_speed",
    ],
    is_proposed: true,
    look: width,
    ..Check::PLAIN
};

pub(super) const READ_REQUEST: Check = Check {
    id: "PCI-02",
    section: Section::Pcie,
    title: "PCIe maximum read request",
    why: "a NIC fetches what it sends in reads of this size, and small ones waste the bus",
    explain: "The Max_Read_Request_Size field of the PCI Express capability bounds how much one read by the device may \
              ask for. A NIC reads descriptors and packet data; with 128 bytes a full-size frame takes twelve round \
              trips' worth of requests, and the number that may be outstanding becomes the limit of throughput.\n\n\
              Firmware mostly sets 512 bytes, which suffices up to some tens of Gb/s. NVIDIA asks for at least 1024 \
              for its faster ConnectX cards. More than the chipset splits anyway changes nothing.\n\nWriting the field \
              is a write to the configuration space of a live device: the other bits of the register have to stay as \
              they are, and a wrong write can hang the device. So this is advice with the command, and never applied.",
    sources: &[
        "DPDK 25.11, NVIDIA MLX5 Ethernet Driver, performance tuning",
        "PCI Express Base Specification, Device Control Register",
    ],
    risk: Risk::High,
    cost: "a wrong write to the configuration space can hang the device",
    is_proposed: true,
    look: read_request,
    ..Check::PLAIN
};

pub(super) const PAYLOAD: Check = Check {
    id: "PCI-03",
    section: Section::Pcie,
    title: "PCIe payload size, ordering and tags",
    why: "a payload size that differs along the path loses transactions, and a small one wastes the bus",
    explain: "Each packet on the bus carries at most Max_Payload_Size bytes. Every device on the way has to be set so that \
              none receives more than it can take: a NIC that is set to more than the port above it causes malformed \
              packets, which are fatal errors. Linux keeps what the firmware chose unless it is told to tune \
              (`pci=pcie_bus_safe` and relatives).\n\nGood is the same value on both ends and at least 256 bytes where \
              the device can. Relaxed ordering lets writes overtake each other, which some platforms (AMD EPYC, Arm) \
              need for full rate; extended tags allow more requests in flight. Both are shown and not judged: whether \
              they help is a matter of the platform, and firmware may have turned them off for a defect.",
    sources: &[
        "Linux Documentation/admin-guide/kernel-parameters.txt, pci=pcie_bus_*",
        "PCI Express Base Specification, Device Control Register",
    ],
    is_proposed: true,
    look: payload,
    ..Check::PLAIN
};

pub(super) const ERRORS: Check = Check {
    id: "PCI-04",
    section: Section::Pcie,
    title: "PCIe errors",
    why: "corrected errors are retransmissions, each a pause of the link; uncorrected ones lose data",
    explain: "Advanced Error Reporting counts what goes wrong on each link. Corrected errors (bad checksums, replays) are \
              repaired by sending again, which takes microseconds during which nothing else moves; a marginal contact \
              yields thousands an hour and a tail that no tuning explains. Uncorrected ones mean lost or poisoned \
              data.\n\nGood is nothing since boot. Counts that stand still are history, perhaps of the link's training; \
              measured (`--measure`), a rising count is the finding. Any uncorrected error is bad.",
    sources: &["Linux Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats"],
    look: errors,
    ..Check::PLAIN
};

/// A link that carries this many times the port's rate is enough, although it could be more.
const MARGIN: f64 = 1.3;

fn details<'a>(context: &Context<'a>, function: &Function) -> Option<&'a Details> {
    context.facts.pci.details.get(&function.address)
}

/// Physical network functions: virtual ones have the link of their physical one.
fn controllers<'a>(context: &Context<'a>) -> Result<Vec<(&'a Function, &'a Details)>, Outcome> {
    let all = known(&context.facts.pci.functions, "this machine has no PCI")?;
    let network = all.iter().filter(|function| function.is_network());
    let network = network.filter_map(|one| Some((one, details(context, one)?)));
    Ok(network.filter(|(_, details)| details.physical.is_none()).collect())
}

const NONE: &str = "no network controller has a PCI Express link";
/// The settings are in a part of the configuration space that only root may read, and that a capture may lack.
const NO_SETTINGS: &str = "no network controller shows PCI Express settings";

fn width(context: &Context<'_>) -> Outcome {
    settled(|| {
        let all = controllers(context)?;
        let all = all.into_iter().filter_map(|(function, details)| {
            let rate = rate_gbps(context, function);
            judge_link(&function.address.to_string(), details, rate)
        });
        let outcome = worst(all, NONE).wanted("as wide and fast as the card can");
        Ok(match outcome.verdict {
            Verdict::Warn | Verdict::Bad => outcome.advice(
                "seat the card and its riser again, or move it to a slot with more lanes; look for a link speed limit in the firmware",
            ),
            _ => outcome,
        })
    })
}

/// The sum of the rates of a function's ports, as far as the kernel knows them.
fn rate_gbps(context: &Context<'_>, function: &Function) -> Option<f64> {
    let all = context.facts.nics.all.value()?.iter();
    let rates =
        all.filter(|one| one.pci == Some(function.address)).map(|one| match one.speed_mbps {
            // Without a link some drivers answer with the largest number there is.
            Known::Known(mbps) if mbps > 0 && mbps < u32::MAX => Some(f64::from(mbps) / 1000.0),
            _ => None,
        });
    let rates: Option<Vec<f64>> = rates.collect();
    rates.filter(|rates| !rates.is_empty()).map(|rates| rates.iter().sum())
}

fn judge_link(name: &str, details: &Details, rate: Option<f64>) -> Option<One> {
    let link = &details.link;
    let facts = [&link.speed, &link.max_speed];
    if let Some(why) = facts.iter().find_map(|fact| fact.why()) {
        return Some(One::new(Verdict::Unknown, format!("{name}: {why}")));
    }
    if let Some(why) = [&link.width, &link.max_width].iter().find_map(|fact| fact.why()) {
        return Some(One::new(Verdict::Unknown, format!("{name}: {why}")));
    }
    // A virtual machine's devices have no link.
    let (speed, width) = (*link.speed.value()?, *link.width.value()?);
    let (most_speed, most_width) = (*link.max_speed.value()?, *link.max_width.value()?);
    let mut line = format!("{name}: {speed} GT/s x{width} of {most_speed} GT/s x{most_width}");
    if let Fact::Is(port) = &details.upstream
        && let (Some(slot_speed), Some(slot_width)) =
            (port.max_speed.value(), port.max_width.value())
        && (*slot_speed < most_speed || *slot_width < most_width)
    {
        line.push_str(&format!(", the slot has {slot_speed} GT/s x{slot_width}"));
    }
    if speed >= most_speed && width >= most_width {
        return Some(One::new(Verdict::Good, line));
    }
    Some(match (link.gbps(), rate) {
        (Some(carries), Some(rate)) => {
            line.push_str(&format!(", {carries:.0} Gb/s for ports of {rate:.0} Gb/s"));
            let is_enough = carries >= rate * MARGIN;
            One::new(if is_enough { Verdict::Warn } else { Verdict::Bad }, line)
        }
        _ => One::new(Verdict::Warn, line),
    })
}

fn read_request(context: &Context<'_>) -> Outcome {
    settled(|| {
        let all = controllers(context)?;
        let all = all.into_iter().filter_map(|(function, details)| {
            let name = function.address.to_string();
            One::of(&name, &details.express, |express| {
                judge_read_request(&name, function.vendor, express)
            })
        });
        let outcome = worst(all, NO_SETTINGS)
            .wanted("1024 bytes or more where the vendor says so, 512 elsewhere");
        Ok(match outcome.verdict {
            Verdict::Warn | Verdict::Bad => outcome.advice(
                "with the device idle: setpci -s ADDRESS CAP_EXP+8.w=3000:7000 writes 1024 and leaves the other bits",
            ),
            _ => outcome,
        })
    })
}

/// NVIDIA (Mellanox), which asks for more.
const NVIDIA: u16 = 0x15b3;

fn judge_read_request(name: &str, vendor: u16, express: &Express) -> One {
    let bytes = express.read_request;
    let verdict = match bytes {
        1024.. => Verdict::Good,
        512.. if vendor == NVIDIA => Verdict::Info,
        512.. => Verdict::Good,
        256.. => Verdict::Warn,
        _ => Verdict::Bad,
    };
    One::new(verdict, format!("{name}: {bytes} bytes"))
}

fn payload(context: &Context<'_>) -> Outcome {
    settled(|| {
        let all = controllers(context)?;
        let all = all.into_iter().filter_map(|(function, details)| {
            let name = function.address.to_string();
            One::of(&name, &details.express, |express| {
                judge_payload(&name, express, details.upstream_express.value())
            })
        });
        Ok(worst(all, NO_SETTINGS).wanted("the same on both ends, 256 bytes or more"))
    })
}

fn judge_payload(name: &str, express: &Express, above: Option<&Express>) -> One {
    let on = |is_on: bool| if is_on { "on" } else { "off" };
    let mut line = format!(
        "{name}: payload {} of {} bytes, relaxed ordering {}, extended tags {}",
        express.payload,
        express.payload_max,
        on(express.has_relaxed_ordering),
        on(express.has_extended_tags)
    );
    let verdict = match above {
        Some(above) if above.payload != express.payload => {
            line.push_str(&format!(", the port above {} bytes", above.payload));
            Verdict::Bad
        }
        _ if express.payload < express.payload_max.min(256) => Verdict::Warn,
        _ => Verdict::Good,
    };
    One::new(verdict, line)
}

fn errors(context: &Context<'_>) -> Outcome {
    settled(|| {
        let all = controllers(context)?;
        let rising = match context.measured.map(|measured| &measured.aer) {
            Some(Fact::Is(counters)) => Some(counters),
            Some(Fact::Absent | Fact::Unknown { .. }) | None => None,
        };
        let all = all.into_iter().filter_map(|(function, details)| {
            let name = function.address.to_string();
            One::of(&name, &details.errors, |counts| {
                let dir = format!("sys/bus/pci/devices/{name}/");
                let rose = rising.map(|counters| {
                    counters
                        .grown()
                        .filter(|(file, _)| file.starts_with(&dir))
                        .map(|(_, by)| by)
                        .sum()
                });
                judge_errors(&name, counts, rose)
            })
        });
        let outcome = worst(all, "no network controller reports PCIe errors").wanted("none");
        Ok(match outcome.verdict {
            Verdict::Warn | Verdict::Bad => {
                outcome.advice("seat the card again, clean its contacts, try another slot or riser")
            }
            _ => outcome,
        })
    })
}

fn judge_errors(
    name: &str,
    counts: &std::collections::BTreeMap<String, u64>,
    rose: Option<u64>,
) -> One {
    // "TOTAL_ERR_COR" and the like repeat the others.
    let seen = counts.iter().filter(|(kind, count)| **count > 0 && !kind.contains(" TOTAL_"));
    let seen: Vec<String> = seen.map(|(kind, count)| format!("{kind} {count}")).collect();
    if seen.is_empty() {
        return One::new(Verdict::Good, format!("{name}: none since boot"));
    }
    let is_lost = seen.iter().any(|one| !one.starts_with("correctable "));
    let mut line = format!("{name}: {}", seen.join(", "));
    let verdict = match (is_lost, rose) {
        (true, _) => Verdict::Bad,
        (false, Some(0)) => {
            line.push_str(", none while it was watched");
            Verdict::Good
        }
        (false, Some(by)) => {
            line.push_str(&format!(", {by} while it was watched"));
            Verdict::Warn
        }
        (false, None) => {
            line.push_str(" since boot");
            Verdict::Info
        }
    };
    One::new(verdict, line)
}
