//! Routes, links and addresses of the calling thread's network namespace, asked over rtnetlink.
//!
//! Only the few attributes that are needed are looked at, so that a newer kernel's others can not get in the way.
//!
//! Sources: rtnetlink(7); `include/uapi/linux/{rtnetlink,if_link,if_addr,nexthop}.h` of Linux 6.18.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use netlink_sys::protocols::NETLINK_ROUTE;
use serde::{Deserialize, Serialize};

use crate::netlink::{Connection, NetlinkError, attributes, encode, text};

mod elsewhere;
mod nexthop;

pub use elsewhere::links_standing_on_ours;

/// `RTM_*`: what is asked for.
const GET_LINK: u16 = 18;
const GET_ADDRESS: u16 = 22;
const GET_ROUTE: u16 = 26;

/// `AF_INET`, `AF_INET6`
const FAMILIES: [u8; 2] = [2, 10];

/// One route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The table it is in: 254 is the main one, 255 the local one; VRFs and policy rules have others.
    pub table: u32,
    /// Where it leads: address and length of the prefix. Length 0 is a default route.
    pub to: IpAddr,
    /// The prefix's length, in bits.
    pub length: u8,
    /// What packets are sent to on the way, for each way that there is.
    pub ways: Vec<Way>,
    /// Is it one that forwards (unicast), and not one that refuses, or leads to the machine itself?
    pub is_unicast: bool,
}

/// One way of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// The interface's index.
    pub index: u32,
    /// The interface; empty when it vanished meanwhile.
    pub interface: String,
    /// The next router; none where the destination is on the link.
    pub via: Option<IpAddr>,
}

impl Route {
    /// Is it a default route that packets take?
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.length == 0 && self.is_unicast
    }
}

/// One link: an interface, and what it has to do with others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// What kind of virtual interface it is: `bond`, `bridge`, `vlan`, `macvlan`, `veth`; `None` of a device.
    pub kind: Option<String>,
    /// The bond, bridge, team or VRF that it belongs to, by index.
    pub master: Option<u32>,
    /// The link below it, by index: a VLAN's parent, a veth's other end. An index of `parent_namespace`, if there is one.
    pub parent: Option<u32>,
    /// The network namespace of the link below it, if it is another one, by its number here.
    pub parent_namespace: Option<i32>,
    /// Is it up?
    pub is_up: bool,
}

/// One address of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The interface's index.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// The prefix's length, in bits.
    pub length: u8,
    /// Is it valid outside of the link and the machine?
    pub is_global: bool,
}

/// The routes of every table and both families.
///
/// # Errors
/// [`NetlinkError`]
pub fn routes() -> Result<Vec<Route>, NetlinkError> {
    let mut connection = Connection::open(NETLINK_ROUTE)?;
    let names = Names::read(&mut connection)?;
    let mut routes = Vec::new();
    for family in FAMILIES {
        let mut header = [0_u8; ROUTE_HEADER];
        header[0] = family;
        for answer in connection.dump(GET_ROUTE, &header)? {
            routes.extend(route(&answer.payload, &names));
        }
    }
    Ok(routes)
}

/// The route that the kernel takes to an address, by its policy rules.
///
/// # Errors
/// [`NetlinkError`]; an address that can not be reached is [`Refused`](NetlinkError::Refused).
pub fn route_to(address: IpAddr) -> Result<Route, NetlinkError> {
    let mut connection = Connection::open(NETLINK_ROUTE)?;
    let names = Names::read(&mut connection)?;
    let (family, bytes) = match address {
        IpAddr::V4(v4) => (FAMILIES[0], v4.octets().to_vec()),
        IpAddr::V6(v6) => (FAMILIES[1], v6.octets().to_vec()),
    };
    let mut message = vec![0; ROUTE_HEADER];
    message[0] = family;
    message[1] = if address.is_ipv4() { 32 } else { 128 };
    message.extend(encode(&[netlink_packet_core::DefaultNla::new(ROUTE_TO, bytes)]));
    let answers = connection.ask(GET_ROUTE, &message)?;
    let route = answers.first().and_then(|answer| route(&answer.payload, &names));
    route.ok_or_else(|| NetlinkError::Malformed("the answer is no route".to_owned()))
}

/// Every link.
///
/// # Errors
/// [`NetlinkError`]
pub fn links() -> Result<Vec<Link>, NetlinkError> {
    links_of(&mut Connection::open(NETLINK_ROUTE)?)
}

/// Every address.
///
/// # Errors
/// [`NetlinkError`]
pub fn addresses() -> Result<Vec<Address>, NetlinkError> {
    let mut connection = Connection::open(NETLINK_ROUTE)?;
    let answers = connection.dump(GET_ADDRESS, &[0; ADDRESS_HEADER])?;
    Ok(answers.iter().filter_map(|answer| parse_address(&answer.payload)).collect())
}

/// The queueing discipline of every interface, by name: `noqueue`, `fq_codel`, `mq`.
///
/// # Errors
/// [`NetlinkError`]
pub fn qdiscs() -> Result<BTreeMap<String, String>, NetlinkError> {
    let answers = Connection::open(NETLINK_ROUTE)?.dump(GET_LINK, &[0; LINK_HEADER])?;
    Ok(answers.iter().filter_map(|answer| parse_qdisc(&answer.payload)).collect())
}

fn parse_qdisc(payload: &[u8]) -> Option<(String, String)> {
    let of = |kind: u16| {
        let mut all = attributes(payload.get(LINK_HEADER..)?);
        all.find(|attribute| attribute.kind() == kind).map(|found| text(found.value()))
    };
    Some((of(LINK_NAME)?, of(LINK_QDISC)?))
}

fn links_of(connection: &mut Connection) -> Result<Vec<Link>, NetlinkError> {
    let answers = connection.dump(GET_LINK, &[0; LINK_HEADER])?;
    Ok(answers.iter().filter_map(|answer| parse_link(&answer.payload)).collect())
}

/// What indices and numbers in routes mean.
#[derive(Debug, Default)]
struct Names {
    interfaces: BTreeMap<u32, String>,
    /// Next hops that are objects of their own (`ip nexthop`), by number.
    hops: BTreeMap<u32, Vec<Way>>,
}

impl Names {
    fn read(connection: &mut Connection) -> Result<Self, NetlinkError> {
        let links = links_of(connection)?;
        let interfaces = links.into_iter().map(|link| (link.index, link.name)).collect();
        let mut names = Self { interfaces, hops: BTreeMap::new() };
        names.hops = nexthop::all(connection, &names)?;
        Ok(names)
    }

    fn way(&self, index: u32, via: Option<IpAddr>) -> Way {
        Way { index, interface: self.interfaces.get(&index).cloned().unwrap_or_default(), via }
    }
}

/// `struct rtmsg`: family, length of the prefix, …, table, protocol, scope, type, flags.
const ROUTE_HEADER: usize = 12;
/// `RTA_*`
const ROUTE_TO: u16 = 1;
const ROUTE_INTERFACE: u16 = 4;
const ROUTE_GATEWAY: u16 = 5;
const ROUTE_WAYS: u16 = 9;
const ROUTE_TABLE: u16 = 15;
const ROUTE_VIA: u16 = 18;
const ROUTE_HOP: u16 = 30;
/// `RTN_UNICAST`
const UNICAST: u8 = 1;
/// `struct rtnexthop`: length, flags, weight, interface.
const HOP_HEADER: usize = 8;

fn route(payload: &[u8], names: &Names) -> Option<Route> {
    let header = payload.first_chunk::<ROUTE_HEADER>()?;
    let unspecified = match header[0] {
        2 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        10 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => return None,
    };
    let mut route = Route {
        table: u32::from(header[4]),
        to: unspecified,
        length: header[1],
        ways: Vec::new(),
        is_unicast: header[7] == UNICAST,
    };
    let attributes = &payload[ROUTE_HEADER..];
    let (index, via) = index_and_gateway(attributes);
    let mut hop = None;
    route.ways.extend(index.map(|index| names.way(index, via)));
    for attribute in self::attributes(attributes) {
        match attribute.kind() {
            ROUTE_TO => route.to = ip(attribute.value())?,
            ROUTE_TABLE => route.table = number(attribute.value())?,
            ROUTE_WAYS => route.ways.extend(ways(attribute.value(), names)),
            ROUTE_HOP => hop = names.hops.get(&number(attribute.value())?),
            _ => {}
        }
    }
    // The kernel may spell the hop's ways out as well, unless net.ipv4.nexthop_compat_mode is off.
    if route.ways.is_empty() {
        route.ways.extend(hop.into_iter().flatten().cloned());
    }
    Some(route)
}

/// The ways of a route that has several.
fn ways(mut rest: &[u8], names: &Names) -> Vec<Way> {
    let mut ways = Vec::new();
    while let Some(header) = rest.first_chunk::<HOP_HEADER>() {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]])).max(HOP_HEADER);
        let Some(all) = rest.get(HOP_HEADER..length) else { break };
        let index = u32::from_ne_bytes([header[4], header[5], header[6], header[7]]);
        let (_, via) = index_and_gateway(all);
        ways.push(names.way(index, via));
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    ways
}

fn index_and_gateway(all: &[u8]) -> (Option<u32>, Option<IpAddr>) {
    let (mut index, mut via) = (None, None);
    for attribute in attributes(all) {
        match attribute.kind() {
            ROUTE_INTERFACE => index = number(attribute.value()),
            ROUTE_GATEWAY => via = ip(attribute.value()),
            // struct rtvia: the family, then an address of it.
            ROUTE_VIA => via = attribute.value().get(2..).and_then(ip),
            _ => {}
        }
    }
    (index, via)
}

fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes))
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => value.first_chunk::<4>().map(|&bytes| IpAddr::V4(bytes.into())),
        16 => value.first_chunk::<16>().map(|&bytes| IpAddr::V6(bytes.into())),
        _ => None,
    }
}

/// `struct ifinfomsg`: family, type, index, flags, change.
const LINK_HEADER: usize = 16;
/// `IFLA_*`
const LINK_NAME: u16 = 3;
const LINK_PARENT: u16 = 5;
const LINK_QDISC: u16 = 6;
const LINK_MASTER: u16 = 10;
const LINK_INFO: u16 = 18;
const LINK_INFO_KIND: u16 = 1;
const LINK_NAMESPACE: u16 = 37;
/// `IFF_UP`
const UP: u32 = 1;

fn parse_link(payload: &[u8]) -> Option<Link> {
    let header = payload.first_chunk::<LINK_HEADER>()?;
    let mut link = Link {
        index: number(&header[4..8])?,
        is_up: number(&header[8..12])? & UP != 0,
        ..Link::default()
    };
    for attribute in attributes(&payload[LINK_HEADER..]) {
        let value = attribute.value();
        match attribute.kind() {
            LINK_NAME => link.name = text(value),
            LINK_PARENT => link.parent = number(value).filter(|&parent| parent != 0),
            LINK_MASTER => link.master = number(value),
            LINK_NAMESPACE => link.parent_namespace = number(value).map(u32::cast_signed),
            LINK_INFO => {
                link.kind = attributes(value)
                    .find(|inside| inside.kind() == LINK_INFO_KIND)
                    .map(|kind| text(kind.value()));
            }
            _ => {}
        }
    }
    Some(link)
}

/// `struct ifaddrmsg`: family, length of the prefix, flags, scope, index.
const ADDRESS_HEADER: usize = 8;
/// `IFA_*`
const ADDRESS_PEER: u16 = 1;
const ADDRESS_LOCAL: u16 = 2;
/// `RT_SCOPE_UNIVERSE`, `RT_SCOPE_SITE`: what is valid beyond the link.
const GLOBAL: [u8; 2] = [0, 200];

fn parse_address(payload: &[u8]) -> Option<Address> {
    let header = payload.first_chunk::<ADDRESS_HEADER>()?;
    let find = |kind: u16| {
        let all = attributes(&payload[ADDRESS_HEADER..]);
        all.filter(|attribute| attribute.kind() == kind).find_map(|found| ip(found.value()))
    };
    Some(Address {
        index: number(&header[4..8])?,
        // On a point-to-point link IFA_ADDRESS is the peer's; IFA_LOCAL is ours everywhere that it is given.
        address: find(ADDRESS_LOCAL).or_else(|| find(ADDRESS_PEER))?,
        length: header[1],
        is_global: GLOBAL.contains(&header[3]),
    })
}

#[cfg(test)]
mod tests;
