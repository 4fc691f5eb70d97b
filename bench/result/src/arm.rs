//! The paths that are compared, and what each one is.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What paths of a group do to a frame, on one kind of wire. Ratios are formed inside a group only.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Send a UDP datagram back to where it came from, over one veth pair.
    Reflect,
    /// Pass a frame on, from one veth pair to another.
    Forward,
    /// Send a UDP datagram back to where it came from, behind a tap interface.
    Tap,
    /// The same over shared memory: virtio-user at the path, vhost-user at the generator. The kernel has no part in it.
    Shared,
    /// What is behind ports of this machine, on cables: another machine that sends datagrams back, or passes them on.
    External,
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
    /// A UDP socket that looks into the device's queue itself for a while before it sleeps (SO_BUSY_POLL).
    KernelEchoBusyPoll,
    /// An XDP program in the driver that sends frames back.
    XdpTx,
    /// A packet socket that is asked over and over, without DPDK.
    PacketEchoSpin,
    /// An AF_XDP socket that is asked over and over, without DPDK.
    XdpSocketEchoSpin,
    /// The kernel's IP forwarding, where the sender's call does the work.
    KernelRoute,
    /// The same, handed to the measured CPU (receive packet steering).
    KernelRouteRps,
    /// The same, in a kernel thread on the measured CPU (threaded NAPI).
    KernelRouteThreaded,
    /// The kernel's bridge, where the sender's call does the work.
    KernelBridge,
    /// An XDP program in the driver that passes frames on to the other interface.
    XdpRedirect,
    /// A program behind the tap that sleeps until a frame is there.
    TapEchoBlock,
    /// A program behind the tap that is asked over and over.
    TapEchoSpin,
    /// barewired over net_af_packet.
    BarewiredAfPacket,
    /// barewired over net_af_xdp.
    BarewiredAfXdp,
    /// barewired over net_tap.
    BarewiredTap,
    /// barewired over net_virtio_user.
    BarewiredVirtio,
    /// dpdk-testpmd over net_af_packet.
    TestpmdAfPacket,
    /// dpdk-testpmd over net_af_xdp.
    TestpmdAfXdp,
    /// dpdk-testpmd over net_tap.
    TestpmdTap,
    /// dpdk-testpmd over net_virtio_user.
    TestpmdVirtio,
    /// Whatever is there, started by somebody else.
    External,
    /// A veth pair with both ends at the generator.
    Wire,
    /// A ring of DPDK with both ends at the generator.
    Ring,
    /// vhost-user and virtio-user with both ends at the generator.
    Memory,
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
    /// Nobody here knows.
    Unknown,
}

/// What a DPDK program gets its frames from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// `net_af_packet`
    AfPacket,
    /// `net_af_xdp`
    AfXdp,
    /// `net_tap`
    Tap,
    /// `net_virtio_user`
    VirtioUser,
}

/// A program that goes around the kernel's protocols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bypass {
    /// Ours.
    Barewired,
    /// DPDK's.
    Testpmd,
}

/// Everything that is known of an arm.
struct Facts {
    name: &'static str,
    groups: &'static [Group],
    waits: Waits,
    bypass: Option<(Bypass, Driver)>,
}

impl Arm {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::KernelEchoBlock,
        Self::KernelEchoSpin,
        Self::KernelEchoBusyPoll,
        Self::XdpTx,
        Self::PacketEchoSpin,
        Self::XdpSocketEchoSpin,
        Self::KernelRoute,
        Self::KernelRouteRps,
        Self::KernelRouteThreaded,
        Self::KernelBridge,
        Self::XdpRedirect,
        Self::TapEchoBlock,
        Self::TapEchoSpin,
        Self::BarewiredAfPacket,
        Self::BarewiredAfXdp,
        Self::BarewiredTap,
        Self::BarewiredVirtio,
        Self::TestpmdAfPacket,
        Self::TestpmdAfXdp,
        Self::TestpmdTap,
        Self::TestpmdVirtio,
        Self::External,
        Self::Wire,
        Self::Ring,
        Self::Memory,
    ];

    fn facts(self) -> Facts {
        const REFLECT: &[Group] = &[Group::Reflect];
        const FORWARD: &[Group] = &[Group::Forward];
        const VETH: &[Group] = &[Group::Reflect, Group::Forward];
        const TAP: &[Group] = &[Group::Tap];
        const SHARED: &[Group] = &[Group::Shared];
        const EXTERNAL: &[Group] = &[Group::External];
        const NULL: &[Group] = &[Group::Null];
        let of = |name, groups, waits| Facts { name, groups, waits, bypass: None };
        let around = |name, groups, program, driver| {
            let bypass = Some((program, driver));
            Facts { name, groups, waits: Waits::Spinning, bypass }
        };
        match self {
            Self::KernelEchoBlock => of("kernel-echo-block", REFLECT, Waits::Sleeping),
            Self::KernelEchoSpin => of("kernel-echo-spin", REFLECT, Waits::Spinning),
            Self::KernelEchoBusyPoll => of("kernel-echo-busy-poll", REFLECT, Waits::Spinning),
            Self::XdpTx => of("xdp-tx", REFLECT, Waits::Inline),
            Self::PacketEchoSpin => of("packet-echo-spin", REFLECT, Waits::Spinning),
            Self::XdpSocketEchoSpin => of("xdp-socket-echo-spin", REFLECT, Waits::Spinning),
            Self::KernelRoute => of("kernel-route", FORWARD, Waits::Inline),
            Self::KernelRouteRps => of("kernel-route-rps", FORWARD, Waits::Sleeping),
            Self::KernelRouteThreaded => of("kernel-route-threaded", FORWARD, Waits::Sleeping),
            Self::KernelBridge => of("kernel-bridge", FORWARD, Waits::Inline),
            Self::XdpRedirect => of("xdp-redirect", FORWARD, Waits::Inline),
            Self::TapEchoBlock => of("tap-echo-block", TAP, Waits::Sleeping),
            Self::TapEchoSpin => of("tap-echo-spin", TAP, Waits::Spinning),
            Self::BarewiredAfPacket => {
                around("barewired-af-packet", VETH, Bypass::Barewired, Driver::AfPacket)
            }
            Self::BarewiredAfXdp => {
                around("barewired-af-xdp", VETH, Bypass::Barewired, Driver::AfXdp)
            }
            Self::BarewiredTap => around("barewired-tap", TAP, Bypass::Barewired, Driver::Tap),
            Self::BarewiredVirtio => {
                around("barewired-virtio", SHARED, Bypass::Barewired, Driver::VirtioUser)
            }
            Self::TestpmdAfPacket => {
                around("testpmd-af-packet", VETH, Bypass::Testpmd, Driver::AfPacket)
            }
            Self::TestpmdAfXdp => around("testpmd-af-xdp", VETH, Bypass::Testpmd, Driver::AfXdp),
            Self::TestpmdTap => around("testpmd-tap", TAP, Bypass::Testpmd, Driver::Tap),
            Self::TestpmdVirtio => {
                around("testpmd-virtio", SHARED, Bypass::Testpmd, Driver::VirtioUser)
            }
            Self::External => of("external", EXTERNAL, Waits::Unknown),
            Self::Wire => of("wire", NULL, Waits::Inline),
            Self::Ring => of("ring", NULL, Waits::Inline),
            Self::Memory => of("memory", NULL, Waits::Inline),
        }
    }

    /// As it is written in plans and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Can it do the work of this group?
    #[must_use]
    pub fn fits(self, group: Group) -> bool {
        self.facts().groups.contains(&group)
    }

    /// How it waits.
    #[must_use]
    pub fn waits(self) -> Waits {
        self.facts().waits
    }

    /// Program and driver of those that go around the kernel's protocols. (On veth and tap frames still go through the
    /// kernel's drivers.)
    #[must_use]
    pub fn bypass(self) -> Option<(Bypass, Driver)> {
        self.facts().bypass
    }

    /// Does it go around the kernel's protocols?
    #[must_use]
    pub fn is_bypass(self) -> bool {
        self.bypass().is_some()
    }

    /// About how long it takes to start and to stop it: what was seen on a virtual machine with two CPUs of 2.3 GHz.
    #[must_use]
    pub fn start(self) -> Duration {
        Duration::from_millis(match self.bypass() {
            None => 50,
            Some((Bypass::Testpmd, Driver::VirtioUser)) => 1300,
            Some((Bypass::Barewired, Driver::VirtioUser)) => 1000,
            Some((Bypass::Testpmd, _)) => 400,
            Some((Bypass::Barewired, _)) => 280,
        })
    }

    /// The DPDK driver, of those that have one.
    #[must_use]
    pub fn driver(self) -> Option<Driver> {
        self.bypass().map(|(_, driver)| driver)
    }

    /// Is it barewired?
    #[must_use]
    pub fn is_barewired(self) -> bool {
        self.bypass().is_some_and(|(program, _)| program == Bypass::Barewired)
    }

    /// Is it testpmd?
    #[must_use]
    pub fn is_testpmd(self) -> bool {
        self.bypass().is_some_and(|(program, _)| program == Bypass::Testpmd)
    }
}

impl Driver {
    /// As DPDK calls it.
    #[must_use]
    pub fn pmd(self) -> &'static str {
        match self {
            Self::AfPacket => "net_af_packet",
            Self::AfXdp => "net_af_xdp",
            Self::Tap => "net_tap",
            Self::VirtioUser => "net_virtio_user",
        }
    }

    /// The virtual device on an interface, as DPDK wants it; of `net_virtio_user`, behind a vhost-user socket.
    #[must_use]
    pub fn device(self, number: usize, place: &str) -> String {
        let pmd = self.pmd();
        match self {
            Self::AfPacket | Self::AfXdp | Self::Tap => format!("{pmd}{number},iface={place}"),
            Self::VirtioUser => format!("{pmd}{number},path={place},queues=1,queue_size=1024"),
        }
    }
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Reflect, Self::Forward, Self::Tap, Self::Shared, Self::External, Self::Null];

    /// As it is written in plans and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reflect => "reflect",
            Self::Forward => "forward",
            Self::Tap => "tap",
            Self::Shared => "shared",
            Self::External => "external",
            Self::Null => "null",
        }
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
        for group in Group::ALL {
            assert_eq!(serde_json::to_value(group).unwrap(), group.name());
            assert!(Arm::ALL.iter().any(|arm| arm.fits(group)));
        }
    }
}
