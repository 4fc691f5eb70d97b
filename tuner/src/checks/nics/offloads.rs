//! What NICs do besides moving frames.

use linux::pci::Function;

use super::{
    super::{
        Check, Context, Outcome,
        judge::settled,
        several::{One, worst},
    },
    NONE, nics,
};
use crate::{
    Risk, Section, Verdict,
    change::{Change, EthtoolSetting},
};

pub(super) const PAUSE: Check = Check {
    id: "NIC-03",
    section: Section::Nics,
    title: "pause frames",
    why: "a pause frame stops the peer for everything, and one slow receiver stalls the whole link",
    explain: "With flow control on, a NIC whose buffer fills up asks the switch to stop sending. That turns loss into \
              waiting, somewhere else, for everybody on the link; in a measurement of loss it hides the drops. Fabrics \
              for storage and RDMA are built on it and fail without.\n\nSo this is information, with the command, and \
              a fix only for ports of the data path that the kernel still drives (bifurcated drivers), where a poll-mode \
              driver wants to see its drops.",
    sources: &["DPDK 25.11, NVIDIA MLX5 Ethernet Driver, performance tuning", "ethtool(8), -a"],
    risk: Risk::Medium,
    cost: "the link is negotiated again; lossless fabrics need pause frames",
    is_contested: true,
    look: pause,
    ..Check::PLAIN
};

pub(super) const LRO: Check = Check {
    id: "NIC-04",
    section: Section::Nics,
    title: "large receive offload",
    why: "a NIC that merges frames breaks what is forwarded, and holds frames back",
    explain: "Large receive offload merges frames of a connection in hardware before anybody sees them. What was merged \
              can not be split again exactly, so a machine that forwards or bridges sends out something other than \
              it received; the kernel turns the feature off when forwarding is switched on, unless someone turns \
              it on again. GRO does the same in software, reversibly, and stays.\n\nGood is off. On without forwarding \
              is information: it batches, which is latency.",
    sources: &[
        "Linux Documentation/networking/segmentation-offloads.rst",
        "AWS trading-latency-benchmark",
    ],
    risk: Risk::Low,
    cost: "more work for each frame on the kernel's path",
    look: lro,
    ..Check::PLAIN
};

pub(super) const EEE: Check = Check {
    id: "NIC-05",
    section: Section::Nics,
    title: "energy-efficient Ethernet",
    why: "a link that sleeps between frames takes microseconds to wake for the next one",
    explain: "IEEE 802.3az lets both ends of a copper link go quiet when nothing is sent, and wake in some 16 µs at 1 Gb/s \
              and less at 10. The first frame after a pause pays for that, which is exactly the traffic that \
              latency-sensitive programs send. Some switches and NICs also lose frames around the change.\n\nGood is off \
              on both ends. Forward error correction is shown beside it: it costs a fixed 100 ns or so at 25 Gb/s \
              and up, and is not a choice where the medium needs it.",
    sources: &["IEEE 802.3az", "ethtool(8), --show-eee"],
    risk: Risk::Medium,
    cost: "the link goes down for a moment; a little power",
    look: eee,
    ..Check::PLAIN
};

pub(super) const PRIVATE_FLAGS: Check = Check {
    id: "NIC-07",
    section: Section::Nics,
    title: "drivers' own switches",
    why: "some drivers have switches of their own that change latency and throughput",
    explain: "Private flags are on-off switches that only one driver knows: compression of completions (mlx5 \
              rx_cqe_compress), striding receive queues, legacy receive paths. The vendor's guide for the card says \
              which ones matter; compression saves bus bandwidth at full rate and costs time at low rate.\n\nThey are \
              listed with what is on. This program does not judge and does not set them: their meaning changes between \
              driver versions, and some live in the firmware and need a power cycle.",
    sources: &["ethtool(8), --show-priv-flags", "DPDK 25.11, NVIDIA MLX5 Ethernet Driver"],
    look: private_flags,
    ..Check::PLAIN
};

fn pause(context: &Context<'_>) -> Outcome {
    settled(|| {
        let ports: Vec<&Function> = context.data_functions().unwrap_or_default();
        let judged = nics(context)?.iter().filter_map(|nic| {
            let name = &nic.interface.name;
            One::of(name, &nic.pause, |pause| {
                let on = |is_on: bool| if is_on { "on" } else { "off" };
                let line = format!("{name}: rx {}, tx {}", on(pause.rx), on(pause.tx));
                if !pause.rx && !pause.tx {
                    return One::new(Verdict::Good, line);
                }
                let one = One::new(Verdict::Info, line);
                let is_data = ports.iter().any(|port| Some(port.address) == nic.interface.pci);
                match is_data {
                    true => one.fix(Change::Ethtool {
                        interface: name.clone(),
                        setting: EthtoolSetting::Pause { rx: false, tx: false },
                    }),
                    false => one,
                }
            })
        });
        Ok(worst(judged, NONE).wanted("off where loss is measured, on where the fabric needs it"))
    })
}

fn lro(context: &Context<'_>) -> Outcome {
    settled(|| {
        let forwards = context.facts.network.forwards.value().copied();
        let judged = nics(context)?.iter().filter_map(|nic| {
            let name = &nic.interface.name;
            One::of(name, &nic.features, |features| match features.get("rx-lro") {
                Some(feature) if feature.is_on => {
                    let (verdict, with) = match forwards {
                        Some(true) => (Verdict::Bad, ", and packets are forwarded"),
                        Some(false) | None => (Verdict::Info, ""),
                    };
                    One::new(verdict, format!("{name}: on{with}")).fix(Change::Ethtool {
                        interface: name.clone(),
                        setting: EthtoolSetting::Features([("lro".to_owned(), false)].into()),
                    })
                }
                Some(_) | None => One::new(Verdict::Good, format!("{name}: off")),
            })
        });
        Ok(worst(judged, NONE).wanted("off"))
    })
}

fn eee(context: &Context<'_>) -> Outcome {
    settled(|| {
        let judged = nics(context)?.iter().filter_map(|nic| {
            let name = &nic.interface.name;
            let fec = match nic.fec.value() {
                Some(fec) if !fec.allowed.is_empty() => {
                    format!(", error correction {}", fec.allowed.join(" or "))
                }
                _ => String::new(),
            };
            One::of(name, &nic.eee, |eee| match (eee.is_enabled, eee.is_active) {
                (false, _) => One::new(Verdict::Good, format!("{name}: off{fec}")),
                (true, is_active) => {
                    let active = if is_active { "in use" } else { "not in use" };
                    One::new(Verdict::Bad, format!("{name}: on, {active}{fec}")).fix(
                        Change::Ethtool {
                            interface: name.clone(),
                            setting: EthtoolSetting::Eee(false),
                        },
                    )
                }
            })
        });
        Ok(worst(judged, "no NIC of the kernel's has it").wanted("off"))
    })
}

fn private_flags(context: &Context<'_>) -> Outcome {
    settled(|| {
        let judged = nics(context)?.iter().filter_map(|nic| {
            let name = &nic.interface.name;
            One::of(name, &nic.private_flags, |flags| {
                let on: Vec<&str> = flags
                    .iter()
                    .filter(|(_, is_on)| **is_on)
                    .map(|(flag, _)| flag.as_str())
                    .collect();
                match on.as_slice() {
                    [] => One::new(Verdict::Info, format!("{name}: none of {} is on", flags.len())),
                    on => One::new(Verdict::Info, format!("{name}: {}", on.join(", "))),
                }
            })
        });
        Ok(worst(judged, "no driver here has switches of its own"))
    })
}
