//! The paths that are compared, and what each one is.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What paths of a group do to a frame. Ratios are formed inside a group only.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Send a UDP datagram back to where it came from, over one veth pair.
    Reflect,
    /// Pass a frame on, from one veth pair to another.
    Forward,
    /// Nothing: what the generator and its wire take by themselves.
    Null,
}

/// One path.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// A UDP socket that sleeps until a datagram is there.
    KernelEchoBlock,
    /// A UDP socket that is asked over and over.
    KernelEchoSpin,
    /// A packet socket that is asked over and over, without DPDK.
    PacketEchoSpin,
    /// The kernel's IP forwarding, where the sender's call does the work.
    KernelRoute,
    /// The same, handed to the measured CPU (receive packet steering).
    KernelRouteRps,
    /// The same, in a kernel thread on the measured CPU (threaded NAPI).
    KernelRouteThreaded,
    /// The kernel's bridge, where the sender's call does the work.
    KernelBridge,
    /// barewired over net_af_packet.
    BarewiredAfPacket,
    /// barewired over net_af_xdp.
    BarewiredAfXdp,
    /// dpdk-testpmd over net_af_packet.
    TestpmdAfPacket,
    /// dpdk-testpmd over net_af_xdp.
    TestpmdAfXdp,
    /// A veth pair with both ends at the generator.
    Wire,
}

/// How a path waits for the next frame. A sleeping one saves a CPU and pays with the wake-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Waits {
    /// It sleeps.
    Sleeping,
    /// It asks without end.
    Spinning,
    /// It does not: it runs inside the sender's call.
    Inline,
}

/// What a DPDK program gets its frames from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// `net_af_packet`
    AfPacket,
    /// `net_af_xdp`
    AfXdp,
}

impl Arm {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::KernelEchoBlock,
        Self::KernelEchoSpin,
        Self::PacketEchoSpin,
        Self::KernelRoute,
        Self::KernelRouteRps,
        Self::KernelRouteThreaded,
        Self::KernelBridge,
        Self::BarewiredAfPacket,
        Self::BarewiredAfXdp,
        Self::TestpmdAfPacket,
        Self::TestpmdAfXdp,
        Self::Wire,
    ];

    /// As it is written in plans and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::KernelEchoBlock => "kernel-echo-block",
            Self::KernelEchoSpin => "kernel-echo-spin",
            Self::PacketEchoSpin => "packet-echo-spin",
            Self::KernelRoute => "kernel-route",
            Self::KernelRouteRps => "kernel-route-rps",
            Self::KernelRouteThreaded => "kernel-route-threaded",
            Self::KernelBridge => "kernel-bridge",
            Self::BarewiredAfPacket => "barewired-af-packet",
            Self::BarewiredAfXdp => "barewired-af-xdp",
            Self::TestpmdAfPacket => "testpmd-af-packet",
            Self::TestpmdAfXdp => "testpmd-af-xdp",
            Self::Wire => "wire",
        }
    }

    /// What it is, in a few words.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::KernelEchoBlock => {
                "a UDP socket of the kernel, whose program sleeps until a datagram is there"
            }
            Self::KernelEchoSpin => "a UDP socket of the kernel, whose program asks over and over",
            Self::PacketEchoSpin => "a packet socket that is asked over and over, without DPDK",
            Self::KernelRoute => "the kernel's IP forwarding, inside the sender's call",
            Self::KernelRouteRps => "the kernel's IP forwarding, handed to the measured CPU (RPS)",
            Self::KernelRouteThreaded => {
                "the kernel's IP forwarding, in a thread on the measured CPU (threaded NAPI)"
            }
            Self::KernelBridge => "the kernel's bridge, inside the sender's call",
            Self::BarewiredAfPacket => "barewired over DPDK's net_af_packet",
            Self::BarewiredAfXdp => "barewired over DPDK's net_af_xdp",
            Self::TestpmdAfPacket => "dpdk-testpmd over net_af_packet",
            Self::TestpmdAfXdp => "dpdk-testpmd over net_af_xdp",
            Self::Wire => "a veth pair with both ends at the generator",
        }
    }

    /// Can it do the work of this group?
    #[must_use]
    pub fn fits(self, group: Group) -> bool {
        match self {
            Self::KernelEchoBlock | Self::KernelEchoSpin | Self::PacketEchoSpin => {
                group == Group::Reflect
            }
            Self::KernelRoute
            | Self::KernelRouteRps
            | Self::KernelRouteThreaded
            | Self::KernelBridge => group == Group::Forward,
            Self::BarewiredAfPacket
            | Self::BarewiredAfXdp
            | Self::TestpmdAfPacket
            | Self::TestpmdAfXdp => group != Group::Null,
            Self::Wire => group == Group::Null,
        }
    }

    /// How it waits.
    #[must_use]
    pub fn waits(self) -> Waits {
        match self {
            Self::KernelEchoBlock | Self::KernelRouteRps | Self::KernelRouteThreaded => {
                Waits::Sleeping
            }
            Self::KernelRoute | Self::KernelBridge | Self::Wire => Waits::Inline,
            Self::KernelEchoSpin
            | Self::PacketEchoSpin
            | Self::BarewiredAfPacket
            | Self::BarewiredAfXdp
            | Self::TestpmdAfPacket
            | Self::TestpmdAfXdp => Waits::Spinning,
        }
    }

    /// Does it go around the kernel's protocols? (On veth it still goes through its drivers.)
    #[must_use]
    pub fn is_bypass(self) -> bool {
        self.driver().is_some()
    }

    /// The DPDK driver, of those that have one.
    #[must_use]
    pub fn driver(self) -> Option<Driver> {
        match self {
            Self::BarewiredAfPacket | Self::TestpmdAfPacket => Some(Driver::AfPacket),
            Self::BarewiredAfXdp | Self::TestpmdAfXdp => Some(Driver::AfXdp),
            _ => None,
        }
    }

    /// Is it barewired?
    #[must_use]
    pub fn is_barewired(self) -> bool {
        matches!(self, Self::BarewiredAfPacket | Self::BarewiredAfXdp)
    }

    /// Is it testpmd?
    #[must_use]
    pub fn is_testpmd(self) -> bool {
        matches!(self, Self::TestpmdAfPacket | Self::TestpmdAfXdp)
    }
}

impl Driver {
    /// The virtual device on an interface, as DPDK wants it.
    #[must_use]
    pub fn device(self, number: usize, interface: &str) -> String {
        match self {
            Self::AfPacket => format!("net_af_packet{number},iface={interface}"),
            Self::AfXdp => format!("net_af_xdp{number},iface={interface}"),
        }
    }
}

impl Group {
    /// As it is written in plans and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reflect => "reflect",
            Self::Forward => "forward",
            Self::Null => "null",
        }
    }

    /// What its paths do, and on which wire: a sentence.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Reflect => {
                "Every path sends each UDP datagram back to where it came from, over one veth pair."
            }
            Self::Forward => "Every path passes each frame on, from one veth pair to another.",
            Self::Null => {
                "No path at all: what the generator and its wire take by themselves. It is never subtracted."
            }
        }
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sleeping => "sleeps",
            Self::Spinning => "spins",
            Self::Inline => "inline",
        })
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_plans() {
        for arm in Arm::ALL {
            assert_eq!(serde_json::to_value(arm).unwrap(), arm.name());
            assert_eq!(arm.is_bypass(), arm.is_barewired() || arm.is_testpmd());
        }
        for group in [Group::Reflect, Group::Forward, Group::Null] {
            assert_eq!(serde_json::to_value(group).unwrap(), group.name());
            assert!(Arm::ALL.iter().any(|arm| arm.fits(group)));
        }
    }
}
