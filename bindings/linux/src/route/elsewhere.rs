//! Links of other network namespaces that stand on links of ours.

use std::{fs::File, io, os::fd::AsRawFd as _};

use netlink_packet_core::DefaultNla;
use netlink_sys::protocols::NETLINK_ROUTE;

use super::{links_of, number};
use crate::{
    namespace::in_network_of,
    netlink::{Connection, NetlinkError, attributes, encode},
};

/// `RTM_GETNSID`, `struct rtgenmsg` (padded), `NETNSA_*`
const GET_NUMBER: u16 = 90;
const HEADER: usize = 4;
const NUMBER: u16 = 1;
const FD: u16 = 3;

/// Two ends of a wire: each has the other as its "link", but neither stands on the other.
const WIRES: [&str; 2] = ["veth", "netkit"];

/// The links of a process' network namespace that stand on links of the calling thread's, each with the index of the
/// latter.
///
/// # Errors
/// [`io::Error`] when the process is gone, or its namespace may not be entered, which takes `CAP_SYS_ADMIN`.
pub fn links_standing_on_ours(process: u32) -> io::Result<Vec<(String, u32)>> {
    let ours = File::open("/proc/thread-self/ns/net")?;
    in_network_of(process, || ask(&ours))?.map_err(io::Error::other)
}

fn ask(ours: &File) -> Result<Vec<(String, u32)>, NetlinkError> {
    let mut connection = Connection::open(NETLINK_ROUTE)?;
    let fd = DefaultNla::new(FD, ours.as_raw_fd().to_ne_bytes().to_vec());
    let mut message = vec![0; HEADER];
    message.extend(encode(&[fd]));
    let answers = connection.ask(GET_NUMBER, &message)?;
    let own = answers.first().and_then(|answer| {
        let found = attributes(answer.payload.get(HEADER..)?).find(|one| one.kind() == NUMBER)?;
        number(found.value()).map(u32::cast_signed)
    });
    // Without a number nothing there has to do with us.
    let Some(own) = own.filter(|&number| number >= 0) else { return Ok(Vec::new()) };
    let links = links_of(&mut connection)?.into_iter();
    let links = links.filter(|link| {
        link.parent_namespace == Some(own)
            && !link.kind.as_deref().is_some_and(|kind| WIRES.contains(&kind))
    });
    Ok(links.filter_map(|link| Some((link.name, link.parent?))).collect())
}
