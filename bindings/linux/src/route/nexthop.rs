//! Next hops that are objects of their own: a route may name one by number and say no more.

use std::{collections::BTreeMap, net::IpAddr};

use super::{Names, Way, ip, number};
use crate::netlink::{Connection, NetlinkError, attributes};

/// `RTM_GETNEXTHOP`
const GET_NEXT_HOP: u16 = 106;
/// `struct nhmsg`: family, scope, protocol, reserved, flags.
const HEADER: usize = 8;
/// `NHA_*`
const ID: u16 = 1;
const GROUP: u16 = 2;
const INTERFACE: u16 = 5;
const GATEWAY: u16 = 6;
/// `struct nexthop_grp`: number, weight, reserved.
const MEMBER: usize = 8;

/// Every next hop, by number; groups with the ways of their members. None on kernels before 5.3.
pub(super) fn all(
    connection: &mut Connection,
    names: &Names,
) -> Result<BTreeMap<u32, Vec<Way>>, NetlinkError> {
    let answers = match connection.dump(GET_NEXT_HOP, &[0; HEADER]) {
        Ok(answers) => answers,
        Err(error) if matches!(error.errno(), Some(libc::EOPNOTSUPP | libc::EINVAL)) => Vec::new(),
        Err(error) => return Err(error),
    };
    let hops: Vec<Hop> = answers.iter().filter_map(|answer| parse(&answer.payload)).collect();
    let single = |id: u32| {
        let hop = hops.iter().find(|hop| hop.id == id)?;
        hop.interface.map(|index| names.way(index, hop.via))
    };
    let ways = hops.iter().map(|hop| match hop.members.as_slice() {
        [] => (hop.id, single(hop.id).into_iter().collect()),
        members => (hop.id, members.iter().filter_map(|&id| single(id)).collect()),
    });
    Ok(ways.collect())
}

struct Hop {
    id: u32,
    members: Vec<u32>,
    interface: Option<u32>,
    via: Option<IpAddr>,
}

fn parse(payload: &[u8]) -> Option<Hop> {
    let mut hop = Hop { id: 0, members: Vec::new(), interface: None, via: None };
    for attribute in attributes(payload.get(HEADER..)?) {
        let value = attribute.value();
        match attribute.kind() {
            ID => hop.id = number(value)?,
            GROUP => hop.members = value.chunks_exact(MEMBER).filter_map(number).collect(),
            INTERFACE => hop.interface = number(value),
            GATEWAY => hop.via = ip(value),
            _ => {}
        }
    }
    (hop.id != 0).then_some(hop)
}
