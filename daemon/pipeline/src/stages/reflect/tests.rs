//! Frames built by another implementation in, exact bytes out.

use config::{Edge, PortIx, StageKind};
use etherparse::{
    ArpOperation, IpFragOffset, IpHeaders, IpNumber, Ipv6Extensions, Ipv6FragmentHeader,
    Ipv6RawExtHeader, Ipv6RoutingExtensions,
};
use proptest::prelude::*;

use crate::{
    DropReason, Egress,
    built::{self, Mac, v4, v4_headers, v6, v6_headers},
    testing::{VecFrame, through, two_ports},
    wire::checksum,
};

mod addresses;
mod arp;
mod damaged;
mod neighbours;
mod ping;
mod udp;

const OUR_MAC: Mac = [2, 0, 0, 0, 0, 0];
const OUR_V4: [u8; 4] = [192, 0, 2, 1];
const OUR_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const PEER_MAC: Mac = [2, 0, 0, 0, 0, 0x99];
const PEER_V4: [u8; 4] = [192, 0, 2, 99];
const PEER_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x99];
const ALL: Mac = [0xff; 6];

const STRICT: Setting = Setting { any_address: false, udp_echo: true, other: Edge::Drop };
const ANY: Setting = Setting { any_address: true, ..STRICT };
const WITH_OTHER: Setting = Setting { other: Edge::Tx(PortIx(1)), ..STRICT };

#[derive(Debug, Clone, Copy)]
struct Setting {
    any_address: bool,
    udp_echo: bool,
    other: Edge,
}

/// What became of one frame.
#[derive(Debug, PartialEq)]
enum End {
    Answered(Vec<u8>),
    Other(Vec<u8>),
    Dropped(DropReason),
}

fn reflect(setting: Setting, frame: VecFrame) -> End {
    let Setting { any_address, udp_echo, other } = setting;
    let to = Edge::Tx(PortIx(0));
    let kind = StageKind::Reflect { to, other, addresses: vec![], any_address, udp_echo };
    let mut egress: Egress<_> = through(kind, &two_ports(), [frame]);
    assert_eq!(egress.len(), 1);
    match (egress.ports[0].pop(), egress.ports[1].pop(), egress.drops.iter().next()) {
        (Some(frame), None, None) => End::Answered(frame.bytes),
        (None, Some(frame), None) => End::Other(frame.bytes),
        (None, None, Some((reason, 1))) => End::Dropped(reason),
        ends => panic!("a frame ended more than once: {ends:?}"),
    }
}

fn strict(bytes: &[u8]) -> End {
    reflect(STRICT, VecFrame::new(bytes))
}

fn to_us_v4() -> etherparse::PacketBuilderStep<IpHeaders> {
    built::ip(PEER_MAC, OUR_MAC, 0, v4_headers(v4(PEER_V4, OUR_V4, 64)))
}

fn to_us_v6() -> etherparse::PacketBuilderStep<IpHeaders> {
    built::ip(PEER_MAC, OUR_MAC, 0, v6_headers(v6(PEER_V6, OUR_V6, 64)))
}

/// Ping (or its answer) of either version, with `tags` VLAN tags.
fn ping(is_v6: bool, is_answer: bool, tags: u8, hops: u8, data: &[u8]) -> Vec<u8> {
    let (from, to) = if is_answer { (OUR_MAC, PEER_MAC) } else { (PEER_MAC, OUR_MAC) };
    let (ip, kind) = match (is_v6, is_answer) {
        (false, false) => (v4_headers(v4(PEER_V4, OUR_V4, hops)), 8),
        (false, true) => (v4_headers(v4(OUR_V4, PEER_V4, hops)), 0),
        (true, false) => (v6_headers(v6(PEER_V6, OUR_V6, hops)), 128),
        (true, true) => (v6_headers(v6(OUR_V6, PEER_V6, hops)), 129),
    };
    built::icmp(built::ip(from, to, tags, ip), is_v6, (kind, 0), [0x12, 0x34, 0, 9], data)
}

fn solicitation(
    from: (Mac, [u8; 16]),
    to: (Mac, [u8; 16]),
    target: [u8; 16],
    options: &[u8],
) -> Vec<u8> {
    let link = built::ip(from.0, to.0, 0, v6_headers(v6(from.1, to.1, 255)));
    built::icmp(link, true, (135, 0), [0; 4], &[&target[..], options].concat())
}

fn advertisement(to: (Mac, [u8; 16]), flags: u8) -> Vec<u8> {
    let link = built::ip(OUR_MAC, to.0, 0, v6_headers(v6(OUR_V6, to.1, 255)));
    let data = [&OUR_V6[..], &[2, 1], &OUR_MAC[..]].concat();
    built::icmp(link, true, (136, 0), [flags, 0, 0, 0], &data)
}

const SOLICITED_MAC: Mac = [0x33, 0x33, 0xff, 0, 0, 1];
const SOLICITED_NODE: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 1];
const SOURCE_LINK_LAYER: [u8; 8] = [1, 1, 2, 0, 0, 0, 0, 0x99];

/// One good frame of every kind that is answered.
fn answered_frames() -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    for tags in 0..=2 {
        frames.push(built::arp(
            (PEER_MAC, ALL),
            tags,
            ArpOperation::REQUEST,
            (PEER_MAC, PEER_V4),
            ([0; 6], OUR_V4),
        ));
        frames.push(ping(false, false, tags, 64, b"some data"));
        frames.push(ping(true, false, tags, 64, b"some data"));
    }
    frames.push(built::udp(to_us_v4(), (5, 6), b"data"));
    frames.push(built::udp(to_us_v6(), (5, 6), b"data"));
    let group = (SOLICITED_MAC, SOLICITED_NODE);
    frames.push(solicitation((PEER_MAC, PEER_V6), group, OUR_V6, &SOURCE_LINK_LAYER));
    frames
}

#[test]
fn a_frame_cut_at_any_length_is_dropped_as_truncated() {
    for frame in answered_frames() {
        assert!(matches!(strict(&frame), End::Answered(_)));
        for len in 0..frame.len() {
            for setting in [STRICT, ANY] {
                let cut = VecFrame::new(&frame[..len]);
                assert_eq!(
                    reflect(setting, cut),
                    End::Dropped(DropReason::Truncated),
                    "{len} bytes of {frame:02x?}"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn a_datagram_to_any_address_comes_back_with_its_five_tuple_swapped(
        is_v6: bool,
        is_tcp: bool,
        tags in 0..=2_u8,
        macs: (Mac, Mac),
        hosts: ([u8; 16], [u8; 16]),
        ports: (u16, u16),
        data in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let (mut from, mut to) = macs;
        from[0] &= 0xfe;
        to[0] &= 0xfe;
        let (mut a, mut b) = hosts;
        (a[0], b[0]) = (0x20, 0x21);
        let four = |host: [u8; 16]| [host[0], host[1], host[2], host[3]];
        let frame = |from, to, a, b, ports: (u16, u16)| {
            let ip = if is_v6 { v6_headers(v6(a, b, 64)) } else { v4_headers(v4(four(a), four(b), 64)) };
            let link = built::ip(from, to, tags, ip);
            let mut bytes = Vec::new();
            if is_tcp {
                link.tcp(ports.0, ports.1, 1, 2).write(&mut bytes, &data).unwrap();
            } else {
                link.udp(ports.0, ports.1).write(&mut bytes, &data).unwrap();
            }
            bytes
        };
        let end = reflect(ANY, VecFrame::new(frame(from, to, a, b, ports)));
        prop_assert_eq!(end, End::Answered(frame(to, from, b, a, (ports.1, ports.0))));
    }

    #[test]
    fn damage_anywhere_in_a_frame_never_harms_and_ends_it_once(
        which in any::<prop::sample::Index>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        len in any::<prop::sample::Index>(),
        split in any::<prop::sample::Index>(),
        setting in prop::sample::select(vec![STRICT, ANY, WITH_OTHER]),
    ) {
        let mut frames = answered_frames();
        let mut frame = frames.swap_remove(which.index(frames.len()));
        for (at, byte) in damage {
            let at = at.index(frame.len());
            frame[at] = byte;
        }
        frame.truncate(len.index(frame.len() + 1));
        let segment = split.index(frame.len() + 1);
        // `reflect` asserts that the frame ends exactly once.
        let _ = reflect(setting, VecFrame::new(frame.clone()).split_at(segment));
        if let End::Other(same) = reflect(WITH_OTHER, VecFrame::new(frame.clone())) {
            prop_assert_eq!(same, frame);
        }
    }
}
