//! What groups and arms are, in words for those who have not read the plan.

use std::fmt;

use crate::arm::{Arm, Group, Waits};

impl Arm {
    /// What it is, in a few words.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::KernelEchoBlock => {
                "a UDP socket of the kernel, whose program sleeps until a datagram is there"
            }
            Self::KernelEchoSpin => "a UDP socket of the kernel, whose program asks over and over",
            Self::KernelEchoBusyPoll => {
                "a UDP socket of the kernel that polls the device before it sleeps (SO_BUSY_POLL)"
            }
            Self::XdpTx => "an XDP program in the kernel's driver (XDP_TX)",
            Self::PacketEchoSpin => "a packet socket that is asked over and over, without DPDK",
            Self::XdpSocketEchoSpin => "an AF_XDP socket that is asked over and over, without DPDK",
            Self::KernelRoute => "the kernel's IP forwarding, inside the sender's call",
            Self::KernelRouteRps => "the kernel's IP forwarding, handed to the measured CPU (RPS)",
            Self::KernelRouteThreaded => {
                "the kernel's IP forwarding, in a thread on the measured CPU (threaded NAPI)"
            }
            Self::KernelBridge => "the kernel's bridge, inside the sender's call",
            Self::XdpRedirect => "an XDP program in the kernel's driver (XDP_REDIRECT)",
            Self::TapEchoBlock => "a program behind the tap, which sleeps until a frame is there",
            Self::TapEchoSpin => "a program behind the tap, which asks over and over",
            Self::BarewiredAfPacket => "barewired over DPDK's net_af_packet",
            Self::BarewiredAfXdp => "barewired over DPDK's net_af_xdp",
            Self::BarewiredTap => "barewired over DPDK's net_tap",
            Self::BarewiredVirtio => "barewired over DPDK's net_virtio_user",
            Self::TestpmdAfPacket => "dpdk-testpmd over net_af_packet",
            Self::TestpmdAfXdp => "dpdk-testpmd over net_af_xdp",
            Self::TestpmdTap => "dpdk-testpmd over net_tap",
            Self::TestpmdVirtio => "dpdk-testpmd over net_virtio_user",
            Self::External => "what is behind ports of this machine",
            Self::Wire => "a veth pair with both ends at the generator",
            Self::Ring => "a ring of DPDK with both ends at the generator",
            Self::Memory => "vhost-user and virtio-user with both ends at the generator",
        }
    }
}

impl Group {
    /// What its paths do, and on which wire: a sentence or two.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Reflect => {
                "Every path sends each UDP datagram back to where it came from, over one veth pair."
            }
            Self::Forward => "Every path passes each frame on, from one veth pair to another.",
            Self::Tap => {
                "Every path sends each UDP datagram back to where it came from, behind a tap interface."
            }
            Self::Shared => {
                "Every path sends each UDP datagram back to where it came from, over shared memory (virtio-user at the path, \
                 vhost-user at the generator). The kernel has no part in it."
            }
            Self::External => {
                "Whatever is behind ports of this machine, on cables: another machine, started by somebody else."
            }
            Self::Null => {
                "No path at all: what the generator and its wire take by themselves. It is shown, and never subtracted."
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
            Self::Unknown => "unknown",
        })
    }
}
