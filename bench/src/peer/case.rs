//! What is measured: the cases, their wiring, the arms, and which of them are compared.

use std::{fmt, path::Path};

pub use bench_result::run::Cpus;
use clap::ValueEnum;
use serde::Serialize;

/// What both programs are set to, as near as each allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Where packet memory comes from.
    pub memory: Memory,
    /// Frames asked of a receive queue at once.
    pub burst: u16,
    /// Descriptors of each receive and each transmit queue.
    pub descriptors: u16,
    /// Packet buffers.
    pub buffers: u32,
    /// Of these, what each thread may keep for itself. barewired decides for itself; its plan is in the report.
    pub cache: u16,
}

/// Where packet memory comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Memory {
    /// Hugepages of 2 MiB (`--in-memory`).
    #[serde(rename = "2M")]
    Huge2M,
    /// Ordinary pages (`--no-huge`).
    #[serde(rename = "none")]
    Ordinary,
}

/// How barewired spreads its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One worker does everything.
    RunToCompletion,
    /// Two workers joined by rings; the second is on the CPU that the housekeeping shares.
    Staged,
}

/// Which virtual devices, and what is done to the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wiring {
    /// A capture replayed from memory, to a port that throws away.
    Pcap,
    /// The same, with the MAC addresses swapped.
    PcapSwap,
    /// Two ports that produce empty frames and throw away, both ways.
    Null,
    /// virtio-user in front of a vhost-user generator; every UDP datagram goes back.
    Virtio,
}

/// One case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Case {
    /// `a1`
    pub name: &'static str,
    /// One line.
    pub what: &'static str,
    /// The devices.
    pub wiring: Wiring,
    /// Who takes part.
    pub arms: Vec<Arm>,
    /// Who is compared with whom.
    pub comparisons: Vec<Comparison>,
}

/// One program with one set of options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// barewired as it is meant to run: histograms on, the mode that was asked for.
    Barewired,
    /// Another build of barewired (`--before`), to say what a change did.
    BarewiredBefore,
    /// barewired without histograms.
    BarewiredPlain,
    /// barewired in staged mode on two CPUs.
    BarewiredStaged,
    /// barewired with two run-to-completion workers on the same two CPUs.
    BarewiredTwo,
    /// testpmd with the same burst, descriptors and buffers.
    Testpmd,
    /// The same once more: what two equal programs differ by.
    TestpmdTwin,
    /// testpmd as it comes.
    TestpmdDefault,
}

/// Two arms, and what is asked of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The arm in question.
    pub arm: Arm,
    /// What it is measured against.
    pub against: Arm,
    /// In which terms.
    pub kind: Kind,
}

/// In which terms two arms are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Rates, with a verdict.
    Ratio,
    /// Rates of two equal programs: the floor under the verdicts.
    Floor,
    /// Nanoseconds a packet more.
    Nanoseconds,
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Barewired => "barewired",
            Self::BarewiredBefore => "barewired-before",
            Self::BarewiredPlain => "barewired-plain",
            Self::BarewiredStaged => "barewired-staged",
            Self::BarewiredTwo => "barewired-two",
            Self::Testpmd => "testpmd",
            Self::TestpmdTwin => "testpmd-twin",
            Self::TestpmdDefault => "testpmd-default",
        })
    }
}

impl Arm {
    /// Is it testpmd?
    #[must_use]
    pub fn is_testpmd(self) -> bool {
        matches!(self, Self::Testpmd | Self::TestpmdTwin | Self::TestpmdDefault)
    }

    /// How many workers it has.
    #[must_use]
    pub fn workers(self, mode: Mode) -> usize {
        match self {
            Self::BarewiredStaged | Self::BarewiredTwo => 2,
            Self::Barewired | Self::BarewiredBefore | Self::BarewiredPlain
                if mode == Mode::Staged =>
            {
                2
            }
            Self::Barewired
            | Self::BarewiredBefore
            | Self::BarewiredPlain
            | Self::Testpmd
            | Self::TestpmdTwin
            | Self::TestpmdDefault => 1,
        }
    }
}

const fn ratio(arm: Arm, against: Arm) -> Comparison {
    Comparison { arm, against, kind: Kind::Ratio }
}

const FLOOR: Comparison =
    Comparison { arm: Arm::TestpmdTwin, against: Arm::Testpmd, kind: Kind::Floor };

const HISTOGRAMS: Comparison =
    Comparison { arm: Arm::Barewired, against: Arm::BarewiredPlain, kind: Kind::Nanoseconds };

/// Every case, in the order of the report.
#[must_use]
pub fn all() -> Vec<Case> {
    let peers = vec![Arm::Barewired, Arm::Testpmd, Arm::TestpmdTwin, Arm::TestpmdDefault];
    let with_plain = [peers.clone(), vec![Arm::BarewiredPlain]].concat();
    let ratios = vec![
        FLOOR,
        ratio(Arm::Barewired, Arm::Testpmd),
        ratio(Arm::Barewired, Arm::TestpmdDefault),
        ratio(Arm::TestpmdDefault, Arm::Testpmd),
    ];
    let with_cost = [ratios.clone(), vec![HISTOGRAMS]].concat();
    let case = |name, what, wiring, arms: &[Arm], comparisons: &[Comparison]| Case {
        name,
        what,
        wiring,
        arms: arms.to_vec(),
        comparisons: comparisons.to_vec(),
    };
    vec![
        case(
            "a1",
            "a capture to a null port: cross against io",
            Wiring::Pcap,
            &with_plain,
            &with_cost,
        ),
        case(
            "a2",
            "the same, swapping MACs: cross against macswap",
            Wiring::PcapSwap,
            &peers,
            &ratios,
        ),
        case(
            "b",
            "two null ports, both ways: cross against io",
            Wiring::Null,
            &with_plain,
            &with_cost,
        ),
        case(
            "c",
            "virtio-user before a vhost-user generator: reflect against 5tswap",
            Wiring::Virtio,
            &peers,
            &ratios,
        ),
        case(
            "modes",
            "a capture to a null port: one worker, two of them (scaling), and two stages on two CPUs",
            Wiring::Pcap,
            &[Arm::Barewired, Arm::BarewiredStaged, Arm::BarewiredTwo],
            &[
                ratio(Arm::BarewiredTwo, Arm::Barewired),
                ratio(Arm::BarewiredStaged, Arm::Barewired),
                ratio(Arm::BarewiredStaged, Arm::BarewiredTwo),
            ],
        ),
    ]
}

impl Case {
    /// The same, with another build of barewired taking part.
    #[must_use]
    pub fn with_before(mut self) -> Self {
        if self.arms.contains(&Arm::Barewired) {
            self.arms.push(Arm::BarewiredBefore);
            self.comparisons.push(ratio(Arm::Barewired, Arm::BarewiredBefore));
            if self.arms.contains(&Arm::Testpmd) {
                self.comparisons.push(ratio(Arm::BarewiredBefore, Arm::Testpmd));
            }
        }
        self
    }

    /// Only these arms, and what can still be compared.
    #[must_use]
    pub fn only(mut self, arms: &[Arm]) -> Self {
        self.arms.retain(|arm| arms.contains(arm));
        let left = &self.arms;
        self.comparisons.retain(|two| left.contains(&two.arm) && left.contains(&two.against));
        self
    }
}

impl Wiring {
    /// What follows `--vdev` for testpmd, and `vdev:` for barewired.
    #[must_use]
    pub fn devices(self, queues: usize, files: &Files<'_>) -> Vec<String> {
        match self {
            Self::Pcap | Self::PcapSwap => {
                // One `rx_pcap` for each queue.
                let captures = format!(",rx_pcap={}", files.capture.display()).repeat(queues);
                // Both programs poll both ports. The null port would produce empty frames of its own otherwise.
                vec![format!("net_pcap0{captures},infinite_rx=1"), "net_null1,no-rx=1".to_owned()]
            }
            Self::Null => vec!["net_null0".to_owned(), "net_null1".to_owned()],
            Self::Virtio => {
                let path = files.vhost.display();
                vec![format!("net_virtio_user0,path={path},queues=1,queue_size=1024")]
            }
        }
    }

    /// What testpmd does with the frames.
    #[must_use]
    pub fn forward_mode(self) -> &'static str {
        match self {
            Self::Pcap | Self::Null => "io",
            Self::PcapSwap => "macswap",
            Self::Virtio => "5tswap",
        }
    }

    /// The ports that frames leave through, by their place in [`devices`](Self::devices).
    #[must_use]
    pub fn egress(self) -> &'static [usize] {
        match self {
            Self::Pcap | Self::PcapSwap => &[1],
            Self::Null => &[0, 1],
            Self::Virtio => &[0],
        }
    }

    /// Is there a generator behind a vhost-user socket?
    #[must_use]
    pub fn has_generator(self) -> bool {
        self == Self::Virtio
    }
}

/// Files that devices refer to.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// The capture of case (a).
    pub capture: &'a Path,
    /// The vhost-user socket of case (c).
    pub vhost: &'a Path,
    /// barewired's control socket.
    pub control: &'a Path,
}

/// barewired's configuration for an arm of a case.
#[must_use]
pub fn configuration(
    wiring: Wiring,
    arm: Arm,
    mode: Mode,
    settings: &Settings,
    cpus: Cpus,
    files: &Files<'_>,
) -> String {
    let Settings { memory, burst, descriptors, buffers, cache: _ } = settings;
    let workers = arm.workers(mode);
    let placement = match workers {
        1 => format!("housekeeping = \"{}\"\nworkers = \"{}\"", cpus.other, cpus.measured),
        _ => format!("workers = \"{},{}\"", cpus.other, cpus.measured),
    };
    let is_staged = match arm {
        Arm::BarewiredStaged => true,
        Arm::BarewiredTwo => false,
        _ => mode == Mode::Staged,
    };
    let (huge, mode) = (
        match memory {
            Memory::Huge2M => "2M",
            Memory::Ordinary => "none",
        },
        if is_staged { "staged" } else { "run-to-completion" },
    );
    let has_histograms = arm != Arm::BarewiredPlain;
    let queues = if is_staged { 1 } else { workers };
    let ports =
        wiring.devices(queues, files).into_iter().zip(["north", "south"]).map(|(device, name)| {
            format!(
                "[[port]]\nname = \"{name}\"\ndevice = \"vdev:{device}\"\nrx_queues = {queues}\n\
             rx_ring = {descriptors}\ntx_ring = {descriptors}\ninput = \"{name}-in\"\n"
            )
        });
    let ports: Vec<String> = ports.collect();
    let cross = |from: &str, to: &str| {
        let macs = if wiring == Wiring::PcapSwap { "swap" } else { "keep" };
        format!(
            "[[stage]]\nname = \"{from}-in\"\nkind = \"cross\"\nmacs = \"{macs}\"\nto = \"tx:{to}\"\n"
        )
    };
    let stages = match wiring {
        Wiring::Pcap | Wiring::PcapSwap | Wiring::Null => cross("north", "south") + &cross("south", "north"),
        Wiring::Virtio => "[[stage]]\nname = \"north-in\"\nkind = \"reflect\"\nany_address = true\nto = \"tx:north\"\n".to_owned(),
    };
    format!(
        "[cores]\n{placement}\n\n[memory]\nhuge = \"{huge}\"\nbuffers = {buffers}\n\n{}\n{stages}\n\
         [pipeline]\nmode = \"{mode}\"\nburst = {burst}\n\n[latency]\nhistograms = {has_histograms}\n\n\
         [control]\nsocket = \"{}\"\nlink_timeout = \"5s\"\n\n[log]\nlevel = \"warn\"\n",
        ports.join("\n"),
        files.control.display(),
    )
}

#[cfg(test)]
mod tests {
    use config::CpuId;

    use super::*;

    fn files() -> Files<'static> {
        Files {
            capture: Path::new("/t/frames.pcap"),
            vhost: Path::new("/t/vhost.sock"),
            control: Path::new("/t/control.sock"),
        }
    }

    const SETTINGS: Settings = Settings {
        memory: Memory::Huge2M,
        burst: 32,
        descriptors: 1024,
        buffers: 8192,
        cache: 256,
    };

    fn cpus() -> Cpus {
        Cpus { measured: CpuId::new(1).unwrap(), other: CpuId::ZERO }
    }

    #[test]
    fn every_configuration_of_every_case_is_valid() {
        for case in all() {
            let wiring = case.wiring;
            let arms = case.with_before().arms;
            for arm in arms.into_iter().filter(|arm| !arm.is_testpmd()) {
                for mode in [Mode::RunToCompletion, Mode::Staged] {
                    let text = configuration(wiring, arm, mode, &SETTINGS, cpus(), &files());
                    let config = config::parse(&text, "bench.toml")
                        .unwrap_or_else(|errors| panic!("{errors}\n{text}"));
                    assert_eq!(config.ports.len(), wiring.devices(1, &files()).len());
                    assert_eq!(config.latency.histograms, arm != Arm::BarewiredPlain);
                    assert_eq!(config.pipeline.burst, 32);
                }
            }
        }
    }

    #[test]
    fn every_comparison_is_between_arms_of_its_case() {
        for case in all() {
            for two in &case.comparisons {
                assert!(
                    case.arms.contains(&two.arm) && case.arms.contains(&two.against),
                    "{two:?}"
                );
            }
        }
    }

    #[test]
    fn another_build_is_compared_with_this_one_and_with_the_peer() {
        let case = all().remove(0).with_before();
        let of_before = |two: &&Comparison| {
            two.arm == Arm::BarewiredBefore || two.against == Arm::BarewiredBefore
        };
        assert_eq!(case.comparisons.iter().filter(of_before).count(), 2);
        assert!(all().iter().all(|case| !case.arms.contains(&Arm::BarewiredBefore)));
    }

    #[test]
    fn fewer_arms_leave_the_comparisons_that_are_still_possible() {
        let case = all().remove(0).only(&[Arm::Testpmd, Arm::TestpmdTwin]);
        assert_eq!(case.arms, [Arm::Testpmd, Arm::TestpmdTwin]);
        assert_eq!(case.comparisons, [FLOOR]);
    }
}
