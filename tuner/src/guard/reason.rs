//! Why something must stay.

use std::{fmt, net::IpAddr};

use config::PciAddress;
use serde::Serialize;

/// Why something must stay.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum Reason {
    /// The configuration says so.
    Named {
        /// The interface.
        interface: String,
    },
    /// A default route leads over it.
    DefaultRoute {
        /// The interface.
        interface: String,
        /// The route's table.
        table: u32,
        /// Is it of IPv6?
        is_v6: bool,
    },
    /// You came in over it.
    Session {
        /// The interface.
        interface: String,
    },
    /// Somebody is logged in over it.
    Login {
        /// The interface.
        interface: String,
        /// The address that they came to.
        local: IpAddr,
    },
    /// It has an address that others can reach.
    Address {
        /// The interface.
        interface: String,
        /// The address.
        address: IpAddr,
    },
    /// Storage is reached over it.
    Storage {
        /// The interface.
        interface: String,
        /// The storage.
        what: String,
    },
    /// A disk in use is behind it.
    Disk {
        /// The function.
        function: PciAddress,
    },
    /// It carries, or is carried by, an interface that must stay.
    Stacked {
        /// The interface.
        interface: String,
        /// The one that must stay.
        to: String,
        /// How it stands to it.
        relation: Relation,
    },
    /// An interface of another network namespace stands on it.
    OtherNamespace {
        /// The interface.
        interface: String,
        /// The other one.
        above: String,
        /// A process of that namespace.
        process: u32,
    },
    /// A network driver has it, and its interface is not here.
    OutOfSight {
        /// The function.
        function: PciAddress,
        /// The driver.
        driver: String,
    },
    /// A virtual function of it must stay.
    PhysicalFunction {
        /// The virtual function.
        of: PciAddress,
        /// What would be lost.
        interfaces: Vec<String>,
    },
    /// A function of the same IOMMU group must stay, and vfio takes whole groups.
    IommuGroup {
        /// The group.
        group: u32,
        /// The function.
        with: PciAddress,
        /// What would be lost.
        interfaces: Vec<String>,
    },
    /// A function of the same card must stay, and this one can only be reset together with it.
    SameCard {
        /// The function.
        with: PciAddress,
        /// What would be lost.
        interfaces: Vec<String>,
    },
    /// It can not be found out whether it must.
    CannotTell {
        /// What is not known.
        what: &'static str,
        /// Why not.
        why: String,
    },
}

/// How an interface stands to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// It is below: a bond's member, a VLAN's parent.
    Below,
    /// It is above.
    Above,
    /// It is a port of the same software switch.
    Switch,
}

impl Reason {
    /// The interfaces that would be lost.
    #[must_use]
    pub fn interfaces(&self) -> Vec<&str> {
        match self {
            Self::Named { interface }
            | Self::DefaultRoute { interface, .. }
            | Self::Session { interface }
            | Self::Login { interface, .. }
            | Self::Address { interface, .. }
            | Self::Storage { interface, .. }
            | Self::Stacked { interface, .. }
            | Self::OtherNamespace { interface, .. } => vec![interface],
            Self::PhysicalFunction { interfaces, .. }
            | Self::IommuGroup { interfaces, .. }
            | Self::SameCard { interfaces, .. } => interfaces.iter().map(String::as_str).collect(),
            Self::Disk { .. } | Self::OutOfSight { .. } | Self::CannotTell { .. } => Vec::new(),
        }
    }
}

/// "(eth0, eth1)"; nothing for none.
fn list(interfaces: &[String]) -> String {
    match interfaces {
        [] => String::new(),
        names => format!(" ({})", names.join(", ")),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { interface } => {
                write!(f, "the configuration names {interface} as a way in")
            }
            Self::DefaultRoute { interface, table, is_v6 } => {
                let family = if *is_v6 { "IPv6" } else { "IPv4" };
                write!(f, "the {family} default route of table {table} leads over {interface}")
            }
            Self::Session { interface } => write!(f, "your SSH session came in over {interface}"),
            Self::Login { interface, local } => {
                write!(f, "somebody is logged in over {interface}, at {local}")
            }
            Self::Address { interface, address } => {
                write!(f, "{interface} has the address {address}")
            }
            Self::Storage { interface, what } => write!(f, "{what} is reached over {interface}"),
            Self::Disk { function } => write!(f, "a disk in use is behind {function}"),
            Self::Stacked { interface, to, relation } => match relation {
                Relation::Below => write!(f, "{to}, which must stay, stands on {interface}"),
                Relation::Above => write!(f, "{interface} stands on {to}, which must stay"),
                Relation::Switch => {
                    write!(f, "{interface} is on the same switch as {to}, which must stay")
                }
            },
            Self::OtherNamespace { interface, above, process } => write!(
                f,
                "{above} of another network namespace (of process {process}) stands on {interface}"
            ),
            Self::OutOfSight { function, driver } => write!(
                f,
                "{driver} drives {function}, but its interface is not here: it may be in another network namespace"
            ),
            Self::PhysicalFunction { of, interfaces } => {
                write!(f, "{of}{}, which must stay, is a virtual function of it", list(interfaces))
            }
            Self::IommuGroup { group, with, interfaces } => write!(
                f,
                "{with}{}, which must stay, is in the same IOMMU group {group}",
                list(interfaces)
            ),
            Self::SameCard { with, interfaces } => write!(
                f,
                "{with}{}, which must stay, is on the same card, which is only reset as a whole",
                list(interfaces)
            ),
            Self::CannotTell { what, why } => write!(f, "{what} can not be found out: {why}"),
        }
    }
}
