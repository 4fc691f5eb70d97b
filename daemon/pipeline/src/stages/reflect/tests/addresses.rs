//! For whom it answers, and whom.

use super::*;

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
