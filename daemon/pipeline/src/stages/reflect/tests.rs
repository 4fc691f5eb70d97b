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

#[test]
fn an_arp_request_for_our_address_is_answered_behind_its_tags_and_with_its_padding() {
    for tags in 0..=2 {
        for destination in [ALL, OUR_MAC] {
            let mut request = built::arp(
                (PEER_MAC, destination),
                tags,
                ArpOperation::REQUEST,
                (PEER_MAC, PEER_V4),
                ([0; 6], OUR_V4),
            );
            let mut reply = built::arp(
                (OUR_MAC, PEER_MAC),
                tags,
                ArpOperation::REPLY,
                (OUR_MAC, OUR_V4),
                (PEER_MAC, PEER_V4),
            );
            request.extend([0x55; 18]);
            reply.extend([0x55; 18]);
            assert_eq!(strict(&request), End::Answered(reply));
        }
    }
}

#[test]
fn an_arp_probe_without_a_sender_address_is_answered() {
    let request =
        built::arp((PEER_MAC, ALL), 0, ArpOperation::REQUEST, (PEER_MAC, [0; 4]), ([0; 6], OUR_V4));
    let reply = built::arp(
        (OUR_MAC, PEER_MAC),
        0,
        ArpOperation::REPLY,
        (OUR_MAC, OUR_V4),
        (PEER_MAC, [0; 4]),
    );
    assert_eq!(strict(&request), End::Answered(reply));
}

#[test]
fn arp_that_is_not_a_question_for_us_is_not_answered() {
    let arp = |link, operation, sender: (Mac, [u8; 4]), target| {
        strict(&built::arp(link, 0, operation, sender, ([0; 6], target)))
    };
    let peer = (PEER_MAC, PEER_V4);
    let request = ArpOperation::REQUEST;
    assert_eq!(
        arp((PEER_MAC, ALL), request, peer, [192, 0, 2, 2]),
        End::Dropped(DropReason::NotForUs),
        "the other port's address"
    );
    assert_eq!(
        arp((PEER_MAC, [2, 0, 0, 0, 0, 1]), request, peer, OUR_V4),
        End::Dropped(DropReason::NotForUs),
        "another station's MAC"
    );
    assert_eq!(
        arp((PEER_MAC, ALL), ArpOperation::REPLY, peer, OUR_V4),
        End::Dropped(DropReason::Unsupported)
    );
    for nobody in [[0; 6], ALL, [1, 0, 0x5e, 0, 0, 1]] {
        assert_eq!(
            arp((PEER_MAC, ALL), request, (nobody, PEER_V4), OUR_V4),
            End::Dropped(DropReason::MalformedArp)
        );
    }
}

#[test]
fn a_ping_of_any_length_is_answered_with_a_right_checksum_and_64_hops() {
    for is_v6 in [false, true] {
        for tags in 0..=2 {
            for len in 0..70_u8 {
                let data: Vec<u8> = (0..len).map(|byte| byte.wrapping_mul(37)).collect();
                let hops = len.wrapping_mul(31);
                let request = ping(is_v6, false, tags, hops, &data);
                let reply = ping(is_v6, true, tags, 64, &data);
                assert_eq!(strict(&request), End::Answered(reply), "{len} bytes, {hops} hops");
            }
        }
    }
}

#[test]
fn a_jumbo_ping_in_several_segments_is_answered() {
    let data = vec![0xa7; 8_001];
    for is_v6 in [false, true] {
        let request = VecFrame::new(ping(is_v6, false, 0, 64, &data)).split_at(2_000);
        assert_eq!(reflect(STRICT, request), End::Answered(ping(is_v6, true, 0, 64, &data)));
    }
}

#[test]
fn a_short_ping_keeps_the_padding_of_its_frame() {
    let (mut request, mut reply) =
        (ping(false, false, 0, 64, b"x"), ping(false, true, 0, 64, b"x"));
    request.resize(60, 0);
    reply.resize(60, 0);
    assert_eq!(strict(&request), End::Answered(reply));
}

#[test]
fn a_ping_with_ip_options_is_answered_with_the_same_options() {
    let options = [0x94, 4, 0, 0, 1, 1, 1, 0];
    let frame = |from_mac, to_mac, from, to, kind| {
        let mut header = v4(from, to, 64);
        header.options = options.into();
        let link = built::ip(from_mac, to_mac, 0, v4_headers(header));
        built::icmp(link, false, (kind, 0), [0, 1, 0, 1], b"optioned")
    };
    assert_eq!(
        strict(&frame(PEER_MAC, OUR_MAC, PEER_V4, OUR_V4, 8)),
        End::Answered(frame(OUR_MAC, PEER_MAC, OUR_V4, PEER_V4, 0))
    );
}

#[test]
fn a_ping_behind_extension_headers_is_answered_behind_the_same() {
    let options = Ipv6RawExtHeader::new_raw(IpNumber::UDP, &[1, 4, 0, 0, 0, 0]).unwrap();
    let frame = |from_mac, to_mac, from, to, kind| {
        let extensions = Ipv6Extensions {
            hop_by_hop_options: Some(options.clone()),
            destination_options: Some(options.clone()),
            fragment: Some(Ipv6FragmentHeader::new(IpNumber::UDP, IpFragOffset::ZERO, false, 77)),
            ..Ipv6Extensions::default()
        };
        let link = built::ip(from_mac, to_mac, 0, IpHeaders::Ipv6(v6(from, to, 64), extensions));
        built::icmp(link, true, (kind, 0), [0, 1, 0, 1], b"extended")
    };
    let request = frame(PEER_MAC, OUR_MAC, PEER_V6, OUR_V6, 128);
    let reply = frame(OUR_MAC, PEER_MAC, OUR_V6, PEER_V6, 129);
    assert_eq!(strict(&request), End::Answered(reply), "an atomic fragment is whole");
}

#[test]
fn a_packet_that_is_still_on_its_way_through_a_routing_header_is_not_answered() {
    for (segments_left, expected) in [(1, Some(DropReason::Unsupported)), (0, None)] {
        let routing =
            Ipv6RawExtHeader::new_raw(IpNumber::UDP, &[3, segments_left, 0, 0, 0, 0]).unwrap();
        let routing = Ipv6RoutingExtensions { routing, final_destination_options: None };
        let extensions = Ipv6Extensions { routing: Some(routing), ..Ipv6Extensions::default() };
        let ip = IpHeaders::Ipv6(v6(PEER_V6, OUR_V6, 64), extensions);
        let frame = built::udp(built::ip(PEER_MAC, OUR_MAC, 0, ip), (1, 2), b"routed");
        let end = strict(&frame);
        match expected {
            Some(reason) => assert_eq!(end, End::Dropped(reason)),
            None => assert!(matches!(end, End::Answered(_)), "{end:?}"),
        }
    }
}

#[test]
fn a_udp_datagram_comes_back_with_everything_swapped() {
    for tags in 0..=2 {
        for data in [&b""[..], b"odd", b"even"] {
            let v4_frame = |from, to, from_ip, to_ip, ports| {
                built::udp(
                    built::ip(from, to, tags, v4_headers(v4(from_ip, to_ip, 64))),
                    ports,
                    data,
                )
            };
            assert_eq!(
                strict(&v4_frame(PEER_MAC, OUR_MAC, PEER_V4, OUR_V4, (4000, 7))),
                End::Answered(v4_frame(OUR_MAC, PEER_MAC, OUR_V4, PEER_V4, (7, 4000)))
            );
            let v6_frame = |from, to, from_ip, to_ip, ports| {
                built::udp(
                    built::ip(from, to, tags, v6_headers(v6(from_ip, to_ip, 64))),
                    ports,
                    data,
                )
            };
            assert_eq!(
                strict(&v6_frame(PEER_MAC, OUR_MAC, PEER_V6, OUR_V6, (4000, 7))),
                End::Answered(v6_frame(OUR_MAC, PEER_MAC, OUR_V6, PEER_V6, (7, 4000)))
            );
        }
    }
}

#[test]
fn udp_without_a_checksum_stays_so_in_ipv4_and_is_dropped_in_ipv6() {
    let mut frame = built::udp(to_us_v4(), (5, 6), b"plain");
    frame[40..42].fill(0);
    match strict(&frame) {
        End::Answered(answer) => assert_eq!(answer[40..42], [0, 0]),
        end => panic!("{end:?}"),
    }
    let mut frame = built::udp(to_us_v6(), (5, 6), b"plain");
    frame[60..62].fill(0);
    for setting in [STRICT, ANY] {
        let end = reflect(setting, VecFrame::new(frame.clone()));
        assert_eq!(end, End::Dropped(DropReason::BadChecksum));
    }
}

#[test]
fn udp_is_left_alone_when_the_echo_is_off() {
    let frame = built::udp(to_us_v4(), (5, 6), b"plain");
    for any_address in [false, true] {
        let setting = Setting { udp_echo: false, any_address, ..STRICT };
        let end = reflect(setting, VecFrame::new(frame.clone()));
        assert_eq!(end, End::Dropped(DropReason::Unsupported));
    }
}

#[test]
fn a_udp_length_that_does_not_fit_its_packet_is_malformed() {
    for len in [0_u16, 7, 14, 0xffff] {
        let mut frame = built::udp(to_us_v4(), (5, 6), b"plain");
        frame[38..40].copy_from_slice(&len.to_be_bytes());
        assert_eq!(strict(&frame), End::Dropped(DropReason::MalformedUdp), "{len}");
    }
}

#[test]
fn a_solicitation_is_answered_with_our_mac() {
    let peer = (PEER_MAC, PEER_V6);
    let reply = advertisement(peer, 0x60);
    for to in [(SOLICITED_MAC, SOLICITED_NODE), (OUR_MAC, OUR_V6)] {
        let with_source = solicitation(peer, to, OUR_V6, &SOURCE_LINK_LAYER);
        assert_eq!(strict(&with_source), End::Answered(reply.clone()));
        let without = solicitation(peer, to, OUR_V6, &[]);
        assert_eq!(without.len() + 8, reply.len());
        assert_eq!(strict(&without), End::Answered(reply.clone()), "the frame grows");
        let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
        let long = solicitation(peer, to, OUR_V6, &[SOURCE_LINK_LAYER, nonce].concat());
        assert_eq!(strict(&long), End::Answered(reply.clone()), "the frame shrinks");
    }
}

#[test]
fn a_probe_for_duplicates_is_answered_to_all_nodes() {
    let probe = solicitation((PEER_MAC, [0; 16]), (SOLICITED_MAC, SOLICITED_NODE), OUR_V6, &[]);
    let all_nodes = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let answer = advertisement(([0x33, 0x33, 0, 0, 0, 1], all_nodes), 0x20);
    assert_eq!(strict(&probe), End::Answered(answer));
}

#[test]
fn a_solicitation_that_rfc_4861_forbids_is_dropped() {
    let group = (SOLICITED_MAC, SOLICITED_NODE);
    let (peer, nobody) = ((PEER_MAC, PEER_V6), (PEER_MAC, [0; 16]));
    let good = solicitation(peer, group, OUR_V6, &[]);

    let mut far = good.clone();
    far[21] = 254;
    let zero_length_option = solicitation(peer, group, OUR_V6, &[1, 0, 0, 0, 0, 0, 0, 0]);
    let cut_option = solicitation(peer, group, OUR_V6, &[1, 2, 0, 0, 0, 0, 0, 0]);
    let group_target = solicitation(peer, group, SOLICITED_NODE, &[]);
    let probe_with_source = solicitation(nobody, group, OUR_V6, &SOURCE_LINK_LAYER);
    let probe_to_one = solicitation(nobody, (OUR_MAC, OUR_V6), OUR_V6, &[]);
    let link = built::ip(PEER_MAC, SOLICITED_MAC, 0, v6_headers(v6(PEER_V6, SOLICITED_NODE, 255)));
    let code = built::icmp(link, true, (135, 1), [0; 4], &OUR_V6);
    for bad in
        [far, zero_length_option, cut_option, group_target, probe_with_source, probe_to_one, code]
    {
        assert_eq!(strict(&bad), End::Dropped(DropReason::MalformedIcmp));
    }

    let mut damaged = good;
    damaged[57] ^= 1;
    assert_eq!(strict(&damaged), End::Dropped(DropReason::BadChecksum));
    let for_another = solicitation(peer, group, PEER_V6, &[]);
    assert_eq!(strict(&for_another), End::Dropped(DropReason::NotForUs));
}

#[test]
fn an_advertisement_that_does_not_fit_its_buffer_is_dropped() {
    let peer = (PEER_MAC, PEER_V6);
    let bytes = solicitation(peer, (OUR_MAC, OUR_V6), OUR_V6, &[]);
    let mut tight = VecFrame::new(bytes.clone());
    tight.capacity = bytes.len() + 7;
    assert_eq!(reflect(STRICT, tight), End::Dropped(DropReason::NoRoom));
    let segmented = VecFrame::new(bytes).split_at(70);
    assert_eq!(reflect(STRICT, segmented), End::Dropped(DropReason::NoRoom));
}

#[test]
fn a_wrong_ipv4_header_checksum_is_dropped_but_passes_a_swap_as_wrong_as_it_was() {
    let mut frame = built::udp(to_us_v4(), (5, 6), b"plain");
    frame[24] ^= 0x40;
    assert_eq!(strict(&frame), End::Dropped(DropReason::BadChecksum));
    match reflect(ANY, VecFrame::new(frame.clone())) {
        End::Answered(answer) => {
            assert!(!checksum::is_right(&answer[14..34]));
            assert_eq!(answer[24..26], frame[24..26]);
        }
        end => panic!("{end:?}"),
    }
}

#[test]
fn fragments_are_not_answered() {
    for (more_fragments, offset) in [(true, 0), (true, 3), (false, 3)] {
        let mut header = v4(PEER_V4, OUR_V4, 64);
        header.more_fragments = more_fragments;
        header.fragment_offset = IpFragOffset::try_new(offset).unwrap();
        let link = || built::ip(PEER_MAC, OUR_MAC, 0, v4_headers(header.clone()));
        let fragment = Ipv6FragmentHeader::new(
            IpNumber::UDP,
            IpFragOffset::try_new(offset).unwrap(),
            more_fragments,
            1,
        );
        let extensions = Ipv6Extensions { fragment: Some(fragment), ..Ipv6Extensions::default() };
        let v6_link = || {
            let ip = IpHeaders::Ipv6(v6(PEER_V6, OUR_V6, 64), extensions.clone());
            built::ip(PEER_MAC, OUR_MAC, 0, ip)
        };
        for frame in [
            built::udp(link(), (5, 6), b"a part"),
            built::icmp(link(), false, (8, 0), [0; 4], b"a part"),
            built::udp(v6_link(), (5, 6), b"a part"),
            built::icmp(v6_link(), true, (128, 0), [0; 4], b"a part"),
        ] {
            for setting in [STRICT, ANY] {
                let end = reflect(setting, VecFrame::new(frame.clone()));
                assert_eq!(end, End::Dropped(DropReason::Fragment));
            }
            let end = reflect(WITH_OTHER, VecFrame::new(frame.clone()));
            assert_eq!(end, End::Other(frame));
        }
    }
}

#[test]
fn nothing_to_a_group_is_answered() {
    let all_hosts = [224, 0, 0, 1];
    let v4_to = |mac, to| built::ip(PEER_MAC, mac, 0, v4_headers(v4(PEER_V4, to, 64)));
    let all_nodes = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let v6_to = |mac, to| built::ip(PEER_MAC, mac, 0, v6_headers(v6(PEER_V6, to, 64)));
    let frames = [
        built::icmp(v4_to([1, 0, 0x5e, 0, 0, 1], all_hosts), false, (8, 0), [0; 4], b""),
        built::icmp(v4_to(OUR_MAC, all_hosts), false, (8, 0), [0; 4], b""),
        built::icmp(v4_to(ALL, [255; 4]), false, (8, 0), [0; 4], b""),
        built::udp(v4_to(ALL, OUR_V4), (5, 6), b""),
        built::icmp(v6_to([0x33, 0x33, 0, 0, 0, 1], all_nodes), true, (128, 0), [0; 4], b""),
        built::udp(v6_to(OUR_MAC, all_nodes), (5, 6), b""),
    ];
    for frame in frames {
        for setting in [STRICT, ANY] {
            let end = reflect(setting, VecFrame::new(frame.clone()));
            assert_eq!(end, End::Dropped(DropReason::Multicast));
        }
    }
}

#[test]
fn nothing_from_an_address_that_can_not_be_answered_is_answered() {
    let v4_from = |from| built::ip(PEER_MAC, OUR_MAC, 0, v4_headers(v4(from, OUR_V4, 64)));
    let v6_from = |from| built::ip(PEER_MAC, OUR_MAC, 0, v6_headers(v6(from, OUR_V6, 64)));
    let loopback = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let mut frames: Vec<_> = [[0; 4], [127, 0, 0, 1], [224, 0, 0, 1], [255; 4], OUR_V4]
        .map(|from| built::udp(v4_from(from), (5, 6), b""))
        .into();
    frames.extend(
        [[0; 16], loopback, [0xff; 16], OUR_V6].map(|from| built::udp(v6_from(from), (5, 6), b"")),
    );
    let from_group = built::ip(ALL, OUR_MAC, 0, v4_headers(v4(PEER_V4, OUR_V4, 64)));
    frames.push(built::udp(from_group, (5, 6), b""));
    for frame in frames {
        for setting in [STRICT, ANY] {
            let end = reflect(setting, VecFrame::new(frame.clone()));
            assert_eq!(end, End::Dropped(DropReason::BadSource));
        }
    }
}

#[test]
fn what_is_not_for_us_goes_to_the_other_edge_unchanged() {
    let stranger = built::ip(PEER_MAC, OUR_MAC, 0, v4_headers(v4(PEER_V4, [192, 0, 2, 7], 9)));
    let other_mac = built::ip(PEER_MAC, [2; 6], 0, v4_headers(v4(PEER_V4, OUR_V4, 9)));
    let mut tcp = Vec::new();
    to_us_v4().tcp(1, 2, 3, 4).write(&mut tcp, b"").unwrap();
    let mut lldp = vec![0; 60];
    lldp[12..14].copy_from_slice(&[0x88, 0xcc]);
    for (frame, reason) in [
        (built::udp(stranger, (5, 6), b""), DropReason::NotForUs),
        (built::udp(other_mac, (5, 6), b""), DropReason::NotForUs),
        (ping(false, true, 0, 64, b"an answer"), DropReason::NotForUs),
        (built::icmp(to_us_v4(), false, (3, 1), [0; 4], b""), DropReason::Unsupported),
        (built::icmp(to_us_v6(), true, (1, 0), [0; 4], b""), DropReason::Unsupported),
        (tcp, DropReason::Unsupported),
        (lldp, DropReason::Unsupported),
    ] {
        assert_eq!(strict(&frame), End::Dropped(reason));
        let end = reflect(WITH_OTHER, VecFrame::new(frame.clone()));
        assert_eq!(end, End::Other(frame));
    }
}

#[test]
fn the_configured_addresses_replace_those_of_the_port() {
    let addresses = vec![[192, 0, 2, 7].into()];
    let kind = StageKind::Reflect {
        to: Edge::Tx(PortIx(0)),
        other: Edge::Drop,
        addresses,
        any_address: false,
        udp_echo: true,
    };
    let to = |ip| built::ip(PEER_MAC, OUR_MAC, 0, v4_headers(v4(PEER_V4, ip, 64)));
    let frames = [to([192, 0, 2, 7]), to(OUR_V4)].map(|link| built::udp(link, (5, 6), b""));
    let egress = through(kind, &two_ports(), frames.map(VecFrame::new));
    assert_eq!(egress.ports[0].len(), 1);
    assert_eq!(egress.drops.count(DropReason::NotForUs), 1);
}

#[test]
fn any_address_answers_neither_arp_nor_solicitations_for_others() {
    let other = [192, 0, 2, 7];
    let request =
        built::arp((PEER_MAC, ALL), 0, ArpOperation::REQUEST, (PEER_MAC, PEER_V4), ([0; 6], other));
    let group = (SOLICITED_MAC, SOLICITED_NODE);
    let mut target = OUR_V6;
    target[12] = 1;
    let question = solicitation((PEER_MAC, PEER_V6), group, target, &[]);
    for frame in [request, question] {
        let end = reflect(ANY, VecFrame::new(frame));
        assert_eq!(end, End::Dropped(DropReason::NotForUs));
    }
}

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
