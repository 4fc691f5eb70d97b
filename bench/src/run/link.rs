//! The cables of a trial: veth pairs between us and the path, without any offload, and addresses that need no question.

use std::{collections::BTreeMap, net::Ipv4Addr};

use config::MacAddress;

use super::{
    arm::{Arm, Group},
    own::{Namespace, OwnError, command},
    plan::External,
};
use crate::probe::frame::Route;

/// How a path is cabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cabling {
    /// One veth pair: frames come back where they left.
    One,
    /// Two: frames leave through the first and come back through the second.
    Two,
    /// One pair with both ends at us.
    Loop,
    /// A tap interface, which the path's program makes.
    Tap,
    /// Memory that both programs map.
    Shared,
    /// A ring of DPDK's, with both ends at us.
    Ring,
    /// Memory that two devices map, both of them ours.
    Memory,
    /// Ports of this machine.
    Ports,
}

/// Offloads that a real wire would not have done, or that would join frames.
const OFFLOADS: [&str; 7] =
    ["rx-checksumming", "tx-checksumming", "sg", "tso", "gso", "gro", "rx-udp-gro-forwarding"];

/// Where frames are sent. Not the interface's own address: the kernel drops what comes back at once as somebody
/// else's, instead of looking for a route for each frame.
pub const GENERATOR: &str = "02:b7:00:00:00:99";
/// Who is behind a path that forwards: us again, by another name.
pub const BEHIND: &str = "02:b7:00:00:00:98";
/// The path's first interface.
pub const FIRST: &str = "02:b7:00:00:00:02";
/// Its second.
pub const SECOND: &str = "02:b7:00:00:00:03";
/// Where our frames come from.
pub const OUR_ADDRESS: &str = "198.18.0.1";
/// The path's first interface.
pub const FIRST_ADDRESS: &str = "198.18.0.2";
/// Its second.
pub const SECOND_ADDRESS: &str = "198.19.0.2";
/// What lies behind the second, at us.
pub const BEHIND_ADDRESS: &str = "198.19.0.1";

/// The tap interface, which is in our namespace: its other side is a program.
pub const TAP: &str = "tap0";

/// The UDP port of probes: echo (RFC 862).
pub const PORT: u16 = 7;

impl Cabling {
    /// Our interfaces: where frames leave, and where they come back. None where the kernel has no part in it.
    #[must_use]
    pub fn ours(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::One => Some(("gen0", "gen0")),
            Self::Two | Self::Loop => Some(("gen0", "gen1")),
            Self::Tap => Some((TAP, TAP)),
            Self::Shared | Self::Ring | Self::Memory | Self::Ports => None,
        }
    }

    /// The path's interfaces.
    #[must_use]
    pub fn theirs(self) -> &'static [&'static str] {
        match self {
            Self::One => &["dut0"],
            Self::Two => &["dut0", "dut1"],
            Self::Tap => &[TAP],
            Self::Loop | Self::Shared | Self::Ring | Self::Memory | Self::Ports => &[],
        }
    }

    /// Has the path a network namespace of its own?
    #[must_use]
    pub fn is_apart(self) -> bool {
        matches!(self, Self::One | Self::Two)
    }
}

/// How a path is cabled.
#[must_use]
pub fn cabling(group: Group, arm: Arm) -> Cabling {
    match (group, arm) {
        (Group::Reflect, _) => Cabling::One,
        (Group::Forward, _) => Cabling::Two,
        (Group::Tap, _) => Cabling::Tap,
        (Group::Shared, _) => Cabling::Shared,
        (Group::External, _) => Cabling::Ports,
        (Group::Null, Arm::Ring) => Cabling::Ring,
        (Group::Null, Arm::Memory) => Cabling::Memory,
        (Group::Null, _) => Cabling::Loop,
    }
}

/// Where probes go so that a path takes them: Ethernet and IP address.
#[must_use]
pub fn destination(arm: Arm, group: Group) -> (&'static str, &'static str) {
    match (group, arm) {
        (Group::Reflect | Group::Tap | Group::Shared | Group::External | Group::Null, _) => {
            (FIRST, FIRST_ADDRESS)
        }
        // A bridge passes on what is for somebody behind it.
        (Group::Forward, Arm::KernelBridge) => (BEHIND, BEHIND_ADDRESS),
        (Group::Forward, _) => (FIRST, BEHIND_ADDRESS),
    }
}

/// Cables that exist. Dropping them takes them away.
#[derive(Debug)]
pub struct Cables {
    cabling: Cabling,
}

impl Cables {
    /// Lays them, between us and the path; of no path, between us and us.
    ///
    /// # Errors
    /// [`OwnError`]
    pub fn lay(cabling: Cabling, path: Option<&Namespace>) -> Result<Self, OwnError> {
        let cables = Self { cabling };
        match (cabling, path) {
            // Whoever is at the other side makes them.
            (
                Cabling::Tap | Cabling::Shared | Cabling::Ring | Cabling::Memory | Cabling::Ports,
                _,
            ) => {}
            (Cabling::Loop, _) | (Cabling::One | Cabling::Two, None) => {
                command(&words("ip link add gen0 type veth peer name gen1"))?;
                for ours in ["gen0", "gen1"] {
                    quiet(ours)?;
                }
            }
            (Cabling::One | Cabling::Two, Some(path)) => {
                let ends = [("gen0", "dut0", FIRST), ("gen1", "dut1", SECOND)];
                for (ours, theirs, mac) in ends.into_iter().take(cabling.theirs().len()) {
                    let pid = path.pid();
                    let line = format!(
                        "ip link add {ours} type veth peer name {theirs} address {mac} netns {pid}"
                    );
                    command(&words(&line))?;
                    path.command(&["sh", "-c", &quietly(theirs)])?;
                    quiet(ours)?;
                }
            }
        }
        Ok(cables)
    }
}

impl Drop for Cables {
    fn drop(&mut self) {
        // With its other end. What is not there any more needs no taking away.
        let (Cabling::One | Cabling::Two | Cabling::Loop, Some((out, back))) =
            (self.cabling, self.cabling.ours())
        else {
            return;
        };
        for ours in if out == back { vec![out] } else { vec![out, back] } {
            let _gone = command(&["ip", "link", "delete", ours]);
        }
    }
}

/// Sets an interface of ours up so that nobody says anything there but us.
pub(super) fn quiet(interface: &str) -> Result<(), OwnError> {
    command(&["sh", "-c", &quietly(interface)]).map(drop)
}

/// A few programs at once: a trial starts with it, and each costs a millisecond.
fn quietly(interface: &str) -> String {
    let offloads: Vec<String> = OFFLOADS.iter().map(|name| format!("{name} off")).collect();
    format!(
        "set -e; echo 1 > /proc/sys/net/ipv6/conf/{interface}/disable_ipv6; \
         ethtool -K {interface} {} >/dev/null 2>&1; ip link set {interface} arp off up",
        offloads.join(" ")
    )
}

fn words(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// Where probes go: to the path's first interface and address, or through it.
#[must_use]
pub fn route(to: &str, destination: &str, flows: u16) -> Route {
    let mac = |text: &str| text.parse::<MacAddress>().expect("our addresses are addresses");
    let ip = |text: &str| text.parse::<Ipv4Addr>().expect("our addresses are addresses");
    Route {
        from: mac(GENERATOR),
        to: mac(to),
        source: ip(OUR_ADDRESS),
        destination: ip(destination),
        first_port: 49_152,
        port: PORT,
        flows,
    }
}

/// Where probes go so that a path takes them; on ports of this machine, where the plan says.
#[must_use]
pub fn probes(external: Option<&External>, group: Group, arm: Arm, flows: u16) -> Route {
    let (to, destination) = destination(arm, group);
    let route = route(to, destination, flows);
    match (group, external) {
        (Group::External, Some(external)) => Route {
            to: external.mac,
            source: external.source,
            destination: external.destination,
            ..route
        },
        _ => route,
    }
}

/// The offloads of an interface of ours that are on: for the report. None could be turned off.
#[must_use]
pub fn offloads(interface: &str) -> BTreeMap<String, bool> {
    let features = linux::ethtool::features(interface).unwrap_or_default();
    features.into_iter().map(|(name, feature)| (name, feature.is_on)).collect()
}
