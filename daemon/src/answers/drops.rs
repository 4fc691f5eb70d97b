//! `/v1/drops`: why frames were dropped, and what to do about it.

use pipeline::DropReason;

use super::counters::{all_drops, snapshots};
use crate::state::State;

/// `GET /v1/drops`
pub(crate) fn drops(state: &State<'_>) -> api::Drops {
    let meanings = DropReason::ALL.map(|reason| (reason.as_str().to_owned(), meaning(reason)));
    api::Drops {
        schema: api::SCHEMA,
        drops: all_drops(&state.past.plus(&snapshots(&state.workers))),
        meanings: meanings.into_iter().map(|(name, text)| (name, text.to_owned())).collect(),
    }
}

/// What happened, and what to do.
fn meaning(reason: DropReason) -> &'static str {
    match reason {
        DropReason::TxFull => {
            "the transmit queue stayed full through every retry: the port sends slower than frames come; look at its \
             link speed, and raise tx_ring or tx_retries only against short bursts"
        }
        DropReason::RingFull => {
            "the ring to the next worker was full: that worker is too slow or was interrupted; look at its stalls, \
             give its stage more cores, or raise ring_capacity against short bursts"
        }
        DropReason::PortDown => {
            "the port to send from was not started or had no link: check the cable, the peer, and the port's link in \
             barewire status"
        }
        DropReason::Shutdown => {
            "the daemon was stopping and frames were left at the deadline: raise stop_timeout, or stop the traffic \
             first"
        }
        DropReason::ByConfig => {
            "an edge of the configuration leads to drop: nothing to do if that is meant; barewire stages tells which"
        }
        DropReason::NoInput => {
            "received on a port that has no input stage: set the port's input, or send it nothing"
        }
        DropReason::Truncated => {
            "the frame ends before the headers it promises: look for the sender with a capture"
        }
        DropReason::MalformedArp => {
            "an ARP packet with a sender address that no station can have: look for the sender with a capture"
        }
        DropReason::MalformedIpv4 => {
            "an IPv4 header with a wrong version or lengths that contradict each other: look for the sender with a \
             capture"
        }
        DropReason::MalformedIpv6 => {
            "an IPv6 header with a wrong version, or extension headers that can not be followed: look for the sender \
             with a capture"
        }
        DropReason::MalformedIcmp => {
            "an ICMP or ICMPv6 message that is too short or against the rules of neighbour discovery: look for the \
             sender with a capture; it may be an attack from the link"
        }
        DropReason::MalformedUdp => {
            "a UDP length that contradicts the IP packet's: look for the sender with a capture"
        }
        DropReason::BadChecksum => {
            "a wrong checksum, or none where one must be: the frame was damaged on the way, or the sender leaves \
             checksums to a NIC that is not there (veth, tap: ethtool -K <interface> tx off at the sender)"
        }
        DropReason::Fragment => {
            "a part of a fragmented packet, which can not be answered alone: have the sender use smaller packets, or \
             raise the MTU on the path"
        }
        DropReason::NotForUs => {
            "to an address that is not ours: add it to the port's or the stage's addresses, or lead the stage's other \
             edge somewhere"
        }
        DropReason::Multicast => {
            "to a group or to everybody: such frames are not answered, so that nobody can be flooded through us; \
             nothing to do"
        }
        DropReason::BadSource => {
            "from an address that nobody can answer (unspecified, loopback, a group): look for the sender with a \
             capture; it is misconfigured or means harm"
        }
        DropReason::Unsupported => {
            "a protocol or message that the stage does not serve: lead the stage's other edge to one that does, or \
             ignore it"
        }
        DropReason::NoRoom => "the answer is longer than the frame's buffer: raise the port's mtu",
    }
}
