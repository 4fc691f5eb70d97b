//! The management guard: what must not be taken from the kernel, because somebody would be cut off by it.
//!
//! ```text
//!  default routes ┐
//!  SSH, logins    ├─► interfaces ─► closure over bonds, bridges, VLANs, … ─► PCI functions ─► closure over
//!  addresses      │                                                          virtual functions, IOMMU groups,
//!  storage        ┘                                                          cards that are reset as a whole
//! ```
//! It only looks at [`Facts`]; what they do not tell counts against the device. Each refusal has its reason, and the
//! name of what stands in the way. There is no general way around it: who means it names the Ethernet address of
//! each interface that is lost.

mod reason;

use std::collections::{BTreeMap, BTreeSet};

use config::{MacAddress, PciAddress};
use linux::{Known, pci::Function};

pub use reason::Reason;

use crate::{
    Fact, Facts, Source,
    facts::{nics, pci},
};

/// How the operator came in, from `SSH_CONNECTION`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// Our end of the connection.
    pub local: Option<std::net::IpAddr>,
    /// The interface that their end's address names: link-local addresses of IPv6 do.
    pub zone: Option<String>,
    /// The interfaces by which their end is reached; unknown when that can not be found out, absent without SSH.
    pub interfaces: Option<Fact<Vec<String>>>,
}

impl Session {
    /// Reads `SSH_CONNECTION` ("client port server port", sshd(8)) and asks for the route to the client.
    ///
    /// A text that is not of that form is a session that nothing is known about, and counts against every device.
    #[must_use]
    pub fn read(source: &Source, connection: Option<&str>) -> Self {
        let Some(text) = connection.map(str::trim).filter(|text| !text.is_empty()) else {
            return Self::default();
        };
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [client, _, server, _] = fields.as_slice() else {
            let why = format!("SSH_CONNECTION says \"{text}\"");
            return Self { interfaces: Some(Fact::Unknown { why }), ..Self::default() };
        };
        let (client, zone) = match client.split_once('%') {
            Some((address, zone)) => (address, Some(zone.to_owned())),
            None => (*client, None),
        };
        let local = server.split('%').next().and_then(|address| address.parse().ok());
        let interfaces = match (&zone, client.parse()) {
            (Some(zone), _) => Fact::Is(vec![zone.clone()]),
            (None, Ok(address)) => nics::way_to(source, address),
            (None, Err(_)) => Fact::unknown(format!("SSH_CONNECTION says \"{text}\"")),
        };
        Self { local, zone, interfaces: Some(interfaces) }
    }
}

/// What must not be taken from the kernel.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    interfaces: BTreeMap<String, BTreeSet<Reason>>,
    functions: BTreeMap<PciAddress, BTreeSet<Reason>>,
    /// What could not be found out. Any interface may be the one.
    blind: BTreeSet<Reason>,
    macs: BTreeMap<String, MacAddress>,
}

impl Guard {
    /// Finds what must stay, and what the configuration says must.
    #[must_use]
    pub fn new(facts: &Facts, session: &Session, named: &[String]) -> Self {
        let mut guard = Self::default();
        for name in named {
            guard.protect(name, Reason::Named { interface: name.clone() });
        }
        guard.roots(facts, session);
        guard.close_over_links(facts);
        guard.close_over_functions(facts);
        for one in facts.nics.all.value().into_iter().flatten() {
            if let Known::Known(mac) = one.mac {
                guard.macs.insert(one.name.clone(), mac);
            }
        }
        guard
    }

    /// The interfaces that must stay.
    #[must_use]
    pub fn interfaces(&self) -> Vec<String> {
        self.interfaces.keys().cloned().collect()
    }

    /// Why an interface must stay; nothing when it need not.
    #[must_use]
    pub fn of_interface(&self, name: &str) -> Vec<&Reason> {
        self.interfaces.get(name).into_iter().flatten().chain(&self.blind).collect()
    }

    /// Why a PCI function must stay with its driver; nothing when it need not.
    #[must_use]
    pub fn of_function(&self, address: PciAddress) -> Vec<&Reason> {
        self.functions.get(&address).into_iter().flatten().chain(&self.blind).collect()
    }

    /// The same, without what is lost knowingly: reasons all of whose interfaces have one of these Ethernet addresses.
    #[must_use]
    pub fn of_function_knowing(
        &self,
        address: PciAddress,
        known: &BTreeSet<MacAddress>,
    ) -> Vec<&Reason> {
        let is_known = |reason: &&Reason| {
            let interfaces = reason.interfaces();
            !interfaces.is_empty()
                && interfaces
                    .iter()
                    .all(|name| self.macs.get(*name).is_some_and(|mac| known.contains(mac)))
        };
        self.of_function(address).into_iter().filter(|reason| !is_known(reason)).collect()
    }

    /// An interface's Ethernet address, which has to be named to lose it.
    #[must_use]
    pub fn mac(&self, interface: &str) -> Option<MacAddress> {
        self.macs.get(interface).copied()
    }

    fn protect(&mut self, interface: &str, reason: Reason) -> bool {
        let reasons = self.interfaces.entry(interface.to_owned()).or_default();
        let is_new = reasons.is_empty();
        reasons.insert(reason);
        is_new
    }

    fn cannot_tell(&mut self, what: &'static str, why: &str) {
        self.blind.insert(Reason::CannotTell { what, why: why.to_owned() });
    }

    /// What somebody needs by itself.
    fn roots(&mut self, facts: &Facts, session: &Session) {
        let nics = &facts.nics;
        match &nics.defaults {
            Fact::Is(routes) => {
                for route in routes {
                    for way in &route.ways {
                        let (interface, table) = (way.interface.clone(), route.table);
                        let is_v6 = route.to.is_ipv6();
                        self.protect(
                            &way.interface,
                            Reason::DefaultRoute { interface, table, is_v6 },
                        );
                    }
                }
            }
            Fact::Absent => {}
            Fact::Unknown { why } => self.cannot_tell("the default routes", why),
        }
        match &nics.addresses {
            Fact::Is(addresses) => {
                for one in addresses.iter().filter(|one| one.is_global) {
                    // An address of the loopback is nobody's way in that a device could cut.
                    let Some(name) = nics.name_of(one.index).filter(|name| *name != "lo") else {
                        continue;
                    };
                    let (interface, address) = (name.to_owned(), one.address);
                    self.protect(name, Reason::Address { interface, address });
                }
            }
            Fact::Absent => {}
            Fact::Unknown { why } => self.cannot_tell("the interfaces' addresses", why),
        }
        self.ways_in(facts, session);
        self.storage(facts);
        match &nics.elsewhere {
            Fact::Is(all) => {
                for one in all {
                    let Some(name) = nics.name_of(one.on) else { continue };
                    let (interface, above) = (name.to_owned(), one.interface.clone());
                    let process = one.process;
                    self.protect(name, Reason::OtherNamespace { interface, above, process });
                }
            }
            Fact::Absent => {}
            Fact::Unknown { why } => self.cannot_tell("other network namespaces", why),
        }
    }

    fn ways_in(&mut self, facts: &Facts, session: &Session) {
        let nics = &facts.nics;
        match &session.interfaces {
            None | Some(Fact::Absent) => {}
            Some(Fact::Is(names)) => {
                for name in names {
                    self.protect(name, Reason::Session { interface: name.clone() });
                }
            }
            Some(Fact::Unknown { why }) => self.cannot_tell("the way that you came in", why),
        }
        let logins = match &nics.logins {
            Fact::Is(logins) => logins.iter().map(|login| login.local).collect(),
            Fact::Absent => Vec::new(),
            Fact::Unknown { why } => {
                self.cannot_tell("who is logged in", why);
                Vec::new()
            }
        };
        for (local, is_own) in session
            .local
            .into_iter()
            .map(|local| (local, true))
            .chain(logins.into_iter().map(|l| (l, false)))
        {
            let names: Vec<String> = nics.having(local).map(str::to_owned).collect();
            for name in names {
                let interface = name.clone();
                let reason = match is_own {
                    true => Reason::Session { interface },
                    false => Reason::Login { interface, local },
                };
                self.protect(&name, reason);
            }
        }
    }

    fn storage(&mut self, facts: &Facts) {
        match &facts.nics.storage {
            Fact::Is(all) => {
                for one in all {
                    match &one.interfaces {
                        Fact::Is(names) => {
                            for name in names.iter().filter(|name| *name != "lo") {
                                let (interface, what) = (name.clone(), one.what.clone());
                                self.protect(name, Reason::Storage { interface, what });
                            }
                        }
                        Fact::Absent => {}
                        Fact::Unknown { why } => {
                            let why = format!("{}: {why}", one.what);
                            self.cannot_tell("the way to remote storage", &why);
                        }
                    }
                }
            }
            Fact::Absent => {}
            Fact::Unknown { why } => self.cannot_tell("remote storage", why),
        }
        match &facts.nics.disks {
            Fact::Is(all) => {
                for &disk in all {
                    self.functions.entry(disk).or_default().insert(Reason::Disk { function: disk });
                }
            }
            Fact::Absent => {}
            Fact::Unknown { why } => self.cannot_tell("the disks in use", why),
        }
    }

    /// What a protected interface stands on, and what stands on it, is protected.
    fn close_over_links(&mut self, facts: &Facts) {
        let neighbours = neighbours(facts);
        if let Fact::Unknown { why } = &facts.nics.links {
            self.cannot_tell("how interfaces stand on each other", why);
        }
        let mut todo: Vec<String> = self.interfaces.keys().cloned().collect();
        while let Some(name) = todo.pop() {
            for (other, relation) in neighbours.get(&name).into_iter().flatten() {
                let (interface, to) = (other.clone(), name.clone());
                let relation = *relation;
                if self.protect(other, Reason::Stacked { interface, to, relation }) {
                    todo.push(other.clone());
                }
            }
        }
    }

    /// What a protected interface's function can not do without is protected.
    fn close_over_functions(&mut self, facts: &Facts) {
        let all = match &facts.pci.functions {
            Fact::Is(all) => all,
            Fact::Absent => return,
            Fact::Unknown { why } => {
                self.cannot_tell("the PCI functions", why);
                return;
            }
        };
        for one in facts.nics.all.value().into_iter().flatten() {
            let (Some(function), Some(reasons)) = (one.pci, self.interfaces.get(&one.name)) else {
                continue;
            };
            self.functions.entry(function).or_default().extend(reasons.iter().cloned());
        }
        for function in all.iter().filter(|function| is_out_of_sight(facts, function)) {
            let reason = Reason::OutOfSight {
                function: function.address,
                driver: function.driver.clone().unwrap_or_default(),
            };
            self.functions.entry(function.address).or_default().insert(reason);
        }
        // A function is only as free as those that it can not be parted from; their own ties do not matter.
        let direct: Vec<(PciAddress, Vec<String>)> = self
            .functions
            .iter()
            .map(|(&function, reasons)| {
                let names = reasons.iter().flat_map(Reason::interfaces).map(str::to_owned);
                (function, BTreeSet::<String>::from_iter(names).into_iter().collect())
            })
            .collect();
        for (held, interfaces) in direct {
            for function in all.iter().filter(|function| function.address != held) {
                let address = function.address;
                let interfaces = interfaces.clone();
                if let Some(reason) = tie(facts, function, held, interfaces) {
                    self.functions.entry(address).or_default().insert(reason);
                }
            }
        }
    }
}

/// Why a function can not be taken when another one must stay.
fn tie(
    facts: &Facts,
    function: &Function,
    held: PciAddress,
    interfaces: Vec<String>,
) -> Option<Reason> {
    let held_function = facts.pci.function(held);
    let physical_of_held = facts.pci.details.get(&held).and_then(|details| details.physical);
    if physical_of_held == Some(function.address) {
        return Some(Reason::PhysicalFunction { of: held, interfaces });
    }
    let group = function.iommu_group;
    if group.is_some() && group == held_function.and_then(|held| held.iommu_group) {
        return Some(Reason::IommuGroup {
            group: group.unwrap_or_default(),
            with: held,
            interfaces,
        });
    }
    let is_virtual =
        facts.pci.details.get(&function.address).is_some_and(|details| details.physical.is_some());
    let is_same_slot = slot(function.address) == slot(held);
    if is_same_slot && !is_virtual && !can_reset_alone(facts, function) {
        return Some(Reason::SameCard { with: held, interfaces });
    }
    None
}

/// An address without its function.
fn slot(address: PciAddress) -> String {
    let text = address.to_string();
    text.split('.').next().unwrap_or_default().to_owned()
}

/// Can this function be reset without the others of its card? What is not known is no.
fn can_reset_alone(facts: &Facts, function: &Function) -> bool {
    let Some(details) = facts.pci.details.get(&function.address) else { return false };
    match &details.resets {
        // The kernel tries them in this order; "bus" resets everything below the port.
        Fact::Is(ways) => ways.first().is_some_and(|way| way != "bus" && way != "cxl_bus"),
        Fact::Absent | Fact::Unknown { .. } => {
            details.express.value().is_some_and(|express| express.has_function_reset)
        }
    }
}

/// A network function with a kernel driver, of which no interface is to be seen: it may be another namespace's.
fn is_out_of_sight(facts: &Facts, function: &Function) -> bool {
    let is_kernels = function
        .driver
        .as_deref()
        .is_some_and(|driver| !pci::USER_DRIVERS.contains(&driver) && driver != "pci-stub");
    let is_seen = !function.netdevs.is_empty()
        || facts
            .nics
            .all
            .value()
            .into_iter()
            .flatten()
            .any(|interface| interface.pci == Some(function.address));
    function.is_network() && is_kernels && !is_seen
}

/// What stands on what, in both directions; and ports of one Open vSwitch, whose own interfaces stand on none of them.
fn neighbours(facts: &Facts) -> BTreeMap<String, BTreeSet<(String, reason::Relation)>> {
    use reason::Relation::{Above, Below, Switch};
    let mut all: BTreeMap<String, BTreeSet<(String, reason::Relation)>> = BTreeMap::new();
    let mut tie = |upper: &str, lower: &str| {
        all.entry(upper.to_owned()).or_default().insert((lower.to_owned(), Below));
        all.entry(lower.to_owned()).or_default().insert((upper.to_owned(), Above));
    };
    let nics = &facts.nics;
    for one in nics.all.value().into_iter().flatten() {
        one.lower.iter().for_each(|lower| tie(&one.name, lower));
        one.upper.iter().for_each(|upper| tie(upper, &one.name));
    }
    let links = nics.links.value().map_or(&[][..], Vec::as_slice);
    let by_index = |index: u32| links.iter().find(|link| link.index == index);
    for link in links {
        if let Some(master) = link.master.and_then(by_index) {
            tie(&master.name, &link.name);
        }
        // The two ends of a wire name each other as parents, and do not stand on each other.
        let is_wire = matches!(link.kind.as_deref(), Some("veth" | "netkit"));
        let parent = link.parent.filter(|_| !is_wire && link.parent_namespace.is_none());
        if let Some(parent) = parent.and_then(by_index).filter(|parent| parent.index != link.index)
        {
            tie(&link.name, &parent.name);
        }
    }
    let is_switch = |link: &&linux::route::Link| link.kind.as_deref() == Some("openvswitch");
    let switches: Vec<&str> =
        links.iter().filter(is_switch).map(|link| link.name.as_str()).collect();
    for one in &switches {
        for other in switches.iter().filter(|other| *other != one) {
            all.entry((*one).to_owned()).or_default().insert(((*other).to_owned(), Switch));
        }
    }
    all
}

#[cfg(test)]
mod tests;
