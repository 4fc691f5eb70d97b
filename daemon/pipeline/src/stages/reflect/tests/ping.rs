//! Echo requests.

use super::*;

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
