//! The generator of probes: how they are spaced, what it must keep, and what it did wrong.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::words;

/// A pattern of departures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "pattern", deny_unknown_fields)]
pub enum Pattern {
    /// One frame each time, at equal distances.
    Constant,
    /// So many frames at once, then a pause: the same rate on average.
    Bursts {
        /// Frames at once.
        size: u32,
    },
    /// Independent of each other: exponentially distributed distances.
    Poisson {
        /// The same seed gives the same times.
        seed: u64,
    },
    /// The distances of a capture, over and over, stretched to the rate.
    Replayed {
        /// Nanoseconds before each frame.
        gaps_ns: Vec<u64>,
    },
}

/// What the generator sends and receives with, where the wire is an interface of the kernel's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// A packet socket (AF_PACKET).
    #[default]
    PacketSocket,
    /// An AF_XDP socket, in copy mode.
    XdpSocket,
    /// DPDK's net_af_packet.
    DpdkAfPacket,
    /// DPDK's net_af_xdp.
    DpdkAfXdp,
}

impl Via {
    /// Is it DPDK's?
    #[must_use]
    pub fn is_dpdk(self) -> bool {
        matches!(self, Self::DpdkAfPacket | Self::DpdkAfXdp)
    }

    /// In a few words.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::PacketSocket => "by a packet socket",
            Self::XdpSocket => "by an AF_XDP socket",
            Self::DpdkAfPacket => "by DPDK's net_af_packet",
            Self::DpdkAfXdp => "by DPDK's net_af_xdp",
        }
    }
}

/// Why a pattern is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// A burst of no frames.
    #[error("bursts of no frames")]
    EmptyBurst,
    /// A capture without time.
    #[error("the capture has no time between its frames")]
    NoTime,
}

impl Pattern {
    /// Can frames be spaced like this?
    ///
    /// # Errors
    /// [`PatternError`]
    pub fn check(&self) -> Result<(), PatternError> {
        match self {
            Self::Bursts { size: 0 } => Err(PatternError::EmptyBurst),
            Self::Replayed { gaps_ns } if gaps_ns.iter().all(|gap| *gap == 0) => {
                Err(PatternError::NoTime)
            }
            Self::Constant | Self::Bursts { .. } | Self::Poisson { .. } | Self::Replayed { .. } => {
                Ok(())
            }
        }
    }
}

/// What a generator must keep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The share of the probes that may be missing from what should have left: 0.00001 on bare metal, 0.001 in a VM.
    pub unsent: f64,
    /// How late the 99.9th percentile of the departures may be, in nanoseconds.
    pub lateness_ns: u64,
}

impl Limits {
    /// For bare metal: what siitperf allows.
    pub const METAL: Self = Self { unsent: 0.00001, lateness_ns: 10_000 };
    /// For a virtual machine, which is not left alone.
    pub const VIRTUAL: Self = Self { unsent: 0.001, lateness_ns: 1_000_000 };
}

/// Why a trial does not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "fault")]
pub enum Fault {
    /// The generator did not send what it should.
    Unsent {
        /// What should have left.
        intended: u64,
        /// What did.
        sent: u64,
    },
    /// It sent it too late.
    Late {
        /// The 99.9th percentile, in nanoseconds.
        p999_ns: u64,
        /// What is allowed.
        allowed_ns: u64,
    },
    /// Something came back that was never sent.
    Unexpected {
        /// How often.
        frames: u64,
    },
    /// Nothing was sent at all.
    Nothing,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsent { intended, sent } => {
                write!(f, "the generator sent {sent} of {intended} probes")
            }
            Self::Late { p999_ns, allowed_ns } => {
                let [late, allowed] = [*p999_ns, *allowed_ns].map(words::time);
                write!(f, "probes left up to {late} late (99.9 %), and {allowed} are allowed")
            }
            Self::Unexpected { frames } => write!(f, "{frames} frames came that were never sent"),
            Self::Nothing => f.write_str("nothing was sent"),
        }
    }
}
