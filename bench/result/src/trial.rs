//! One trial: what became of its probes, and why it does not count when it does not.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{arm::Group, attribution::Attribution, generator::Fault, plan::Member};

/// The percentiles that are told of a trial.
pub const PERCENTILES: [f64; 5] = [50.0, 90.0, 99.0, 99.9, 99.99];

/// One load and size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cell {
    /// Frames a second.
    pub load: f64,
    /// Bytes of a frame, with its check sequence.
    pub size: usize,
}

/// One trial, valid or not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// Its group.
    pub group: Group,
    /// Whose it is.
    pub member: Member,
    /// At what.
    pub cell: Cell,
    /// In which block.
    pub block: usize,
    /// 0, or the number of invalid ones before it.
    pub attempt: usize,
    /// When it began, in seconds of the run.
    pub at_s: f64,
    /// Why it does not count; nothing when it does.
    pub faults: Vec<Invalid>,
    /// What became of the probes.
    pub counts: Counts,
    /// Those of the warm-up.
    pub warm_up: Counts,
    /// Probes that should have left.
    pub intended: u64,
    /// How often a frame found no room to leave, and was tried again.
    pub refused: u64,
    /// What a send took on average, in ns. A path that runs inside the sender's call is in it.
    pub send_ns: f64,
    /// How late the 99.9th percentile of probes left, in ns.
    pub late_p999_ns: u64,
    /// From when probes should have left, in ns; lost ones as if they never came.
    pub response: Vec<Percentile>,
    /// From when they left.
    pub service: Vec<Percentile>,
    /// The shortest and longest response of those that came back, in ns.
    pub range_ns: (u64, u64),
    /// When the generator did not run: how often, for how long altogether and at most, in ns.
    pub gaps: Gaps,
    /// The same of the path's own loop, of those that tell: barewired.
    pub path_gaps: Option<Gaps>,
    /// What the probes above the 99.9th percentile were caught in. None when none came back.
    pub attribution: Option<Attribution>,
    /// The measured time in pieces of so many ms, for what follows.
    pub interval_ms: u64,
    /// The longest response of the probes that should have left in each piece, in ns; 0 when none came back.
    pub maxima_ns: Vec<u64>,
    /// How batched answers came: frames that one receive fetched, and how often. They share a stamp.
    #[serde(default)]
    pub receive_bursts: BTreeMap<usize, u64>,
    /// How batched the path took frames, where it says so (barewired): frames that one poll returned, and how often, warm-up
    /// included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_bursts: Option<BTreeMap<usize, u64>>,
    /// Where the device stamps frames that come back: how well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardware: Option<HardwareStamps>,
    /// What the kernel counted meanwhile.
    pub counters: Counters,
    /// Frames that came to our socket, and those of them that it had no room for.
    pub arrivals: (u64, u64),
    /// The whole distribution of responses: HdrHistogram V2, deflated, in base64.
    pub response_hdr: String,
    /// That of services.
    pub service_hdr: String,
    /// That of the warm-up's responses.
    pub warm_up_hdr: String,
    /// That of the lengths of the generator's gaps.
    pub gap_hdr: String,
    /// That of the lengths of the path's gaps, of those that tell.
    pub path_gap_hdr: Option<String>,
}

/// Receive stamps of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HardwareStamps {
    /// Frames that had one.
    pub stamped: u64,
    /// Frames that had none, or one that could not be understood: their times are of this program.
    pub unstamped: u64,
    /// How wrong a stamp may be as a time of the CPU's counter, in ns: the method's error bar.
    pub error_ns: u64,
}

/// When a loop did not turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gaps {
    /// How often.
    pub count: u64,
    /// Altogether, in ns.
    pub total_ns: u64,
    /// The longest, in ns.
    pub longest_ns: u64,
}

/// Why a trial does not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "what")]
pub enum Invalid {
    /// The generator's fault.
    Generator(Fault),
    /// The hypervisor took a CPU away.
    Stolen {
        /// For so many ms.
        ms: u64,
    },
    /// A path that never sleeps wanted its CPU and did not have it: somebody else did.
    Waited {
        /// For so many ms.
        ms: u64,
    },
    /// The kernel says that other frames left than we sent.
    Sent {
        /// By our count.
        ours: u64,
        /// By the kernel's.
        kernels: u64,
    },
    /// The kernel says that other frames came than we received.
    Received {
        /// By our count: received, or no room in our socket.
        ours: u64,
        /// By the kernel's.
        kernels: u64,
    },
    /// Times are of two kinds: the device stamped some frames, and not others.
    Unstamped {
        /// Those that it did not.
        frames: u64,
    },
    /// At its end the path says that frames are missing.
    Unbalanced,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Generator(fault) => fault.fmt(f),
            Self::Stolen { ms } => write!(f, "the hypervisor took a CPU away for {ms} ms"),
            Self::Waited { ms } => write!(f, "something else had the path's CPU for {ms} ms"),
            Self::Sent { ours, kernels } => {
                write!(f, "we sent {ours} frames, and the kernel counted {kernels}")
            }
            Self::Received { ours, kernels } => {
                write!(f, "we received {ours} frames, and the kernel counted {kernels}")
            }
            Self::Unstamped { frames } => {
                write!(f, "{frames} frames came without a usable stamp of the device")
            }
            Self::Unbalanced => f.write_str("frames are missing from the path's own account"),
        }
    }
}

impl Trial {
    /// Does it count?
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.faults.is_empty()
    }

    /// One of its percentiles of responses, in ns; infinite when that many were lost, `None` when too few samples support
    /// it.
    #[must_use]
    pub fn response_at(&self, wanted: f64) -> Option<f64> {
        let found = self.response.iter().find(|it| (it.percentile - wanted).abs() < 1e-9)?;
        #[expect(clippy::cast_precision_loss, reason = "times of a trial are far below 2^53 ns")]
        Some(found.ns.map_or(f64::INFINITY, |ns| ns as f64))
    }
}

/// What became of the probes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Probes that left.
    pub sent: u64,
    /// Probes that came back, each counted once.
    pub returned: u64,
    /// Copies of probes that had come back already.
    pub duplicates: u64,
    /// Probes that came back behind a later one (RFC 4737: smaller than the greatest so far).
    pub reordered: u64,
    /// Frames that had been probes of ours.
    pub damaged: u64,
    /// Probes with a number that was never sent, or of another run.
    pub unexpected: u64,
    /// Frames that are not probes at all.
    pub foreign: u64,
}

impl Counts {
    /// Probes that did not come back.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.returned)
    }

    /// The share of the probes that did not come back; 0 of none.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share is shown with a few digits")]
    pub fn loss_ratio(&self) -> f64 {
        if self.sent == 0 { 0.0 } else { self.lost() as f64 / self.sent as f64 }
    }
}

/// How sure a percentile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Support {
    /// A hundred samples or more lie beyond it.
    Firm,
    /// Ten to ninety-nine do.
    Weak,
}

/// One percentile of probes that may have been lost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Percentile {
    /// 99.9
    pub percentile: f64,
    /// In nanoseconds; none when so many were lost that this one never came back.
    pub ns: Option<u64>,
    /// How sure it is.
    pub support: Support,
}

/// An interface's counters, since it exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Frames in.
    pub received: u64,
    /// Frames that came in and were thrown away: no room in a queue of the kernel.
    pub receive_dropped: u64,
    /// Frames out.
    pub sent: u64,
    /// Frames that could not leave.
    pub send_dropped: u64,
}

/// One look at everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counters {
    /// Our interfaces and the path's.
    pub links: BTreeMap<String, Link>,
    /// Datagrams that the path's UDP sockets had no room for.
    pub udp_no_room: u64,
    /// Frames that a CPU's queue of received frames had no room for, on the whole machine.
    pub backlog_dropped: u64,
    /// Clock ticks (10 ms) that the measured CPU did something.
    pub busy_ticks: u64,
    /// Clock ticks that the hypervisor gave either CPU to somebody else.
    pub stolen_ticks: u64,
}

impl Counters {
    /// What came on top of an earlier look.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let links = self.links.iter().map(|(name, now)| {
            let then = earlier.links.get(name).copied().unwrap_or_default();
            let link = Link {
                received: now.received.saturating_sub(then.received),
                receive_dropped: now.receive_dropped.saturating_sub(then.receive_dropped),
                sent: now.sent.saturating_sub(then.sent),
                send_dropped: now.send_dropped.saturating_sub(then.send_dropped),
            };
            (name.clone(), link)
        });
        Self {
            links: links.collect(),
            udp_no_room: self.udp_no_room.saturating_sub(earlier.udp_no_room),
            backlog_dropped: self.backlog_dropped.saturating_sub(earlier.backlog_dropped),
            busy_ticks: self.busy_ticks.saturating_sub(earlier.busy_ticks),
            stolen_ticks: self.stolen_ticks.saturating_sub(earlier.stolen_ticks),
        }
    }

    /// An interface's.
    #[must_use]
    pub fn link(&self, name: &str) -> Link {
        self.links.get(name).copied().unwrap_or_default()
    }
}

/// How a path was started, for the report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Started {
    /// Its group.
    pub group: Group,
    /// Which one.
    pub member: Member,
    /// In which block.
    pub block: usize,
    /// Its command line, of those that have one.
    pub command: Option<String>,
    /// barewired's configuration.
    pub configuration: Option<String>,
    /// From nothing until a probe came back, in ms.
    pub ready_ms: f64,
    /// What a cache line took from the generator's CPU to the measured one and back just before it, in ns. None when others
    /// had the CPUs.
    #[serde(default)]
    pub handoff_ns: Option<u64>,
    /// What its wire is set to, at both ends: names and values. Only of its first start.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub wire: BTreeMap<String, String>,
}
