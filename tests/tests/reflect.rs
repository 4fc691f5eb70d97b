//! `reflect` answers as a host would: every answer compared, byte by byte, with one built independently.

use etherparse::{
    Icmpv6Type, PacketBuilder,
    icmpv6::{NeighborAdvertisementHeader, TYPE_NEIGHBOR_SOLICITATION},
};
use scenarios::{
    Daemon, Site, capture, configs,
    frames::{self, HOST_MAC, HOST4, HOST6, PEER4, PEER6},
};

/// What comes out for what goes in. The port's MAC address is the device's own choice, so frames are made once it is
/// known: first a start with an empty capture, to ask for it.
fn reflected(make: impl Fn([u8; 6]) -> Vec<Vec<u8>>) -> (Vec<Vec<u8>>, [u8; 6], api::Counters) {
    let site = Site::new();
    capture::write(&site.path("in.pcap"), &[]);
    let config = configs::reflector("net_pcap0,rx_pcap={dir}/in.pcap,tx_pcap={dir}/out.pcap");
    let daemon = Daemon::start(&site, &config);
    let mac = port_mac(&daemon);
    assert!(daemon.stop().status.success());

    let frames = make(mac);
    capture::write(&site.path("in.pcap"), &frames);
    let daemon = Daemon::start(&site, &config);
    assert_eq!(port_mac(&daemon), mac, "a net_pcap device has the same MAC address every time");
    let counters = daemon.wait_until_through(u64::try_from(frames.len()).expect("few"));
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}\n{}", ended.status, ended.said);
    (capture::read(&site.path("out.pcap")), mac, counters)
}

fn port_mac(daemon: &Daemon) -> [u8; 6] {
    let status: api::Status = daemon.get("/v1/status");
    let bytes: Vec<u8> = status.ports[0]
        .mac
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16).expect("a MAC address in hexadecimal"))
        .collect();
    bytes.try_into().expect("six bytes in a MAC address")
}

/// The same frame, to another MAC address.
fn to(mac: [u8; 6], mut frame: Vec<u8>) -> Vec<u8> {
    frame[..6].copy_from_slice(&mac);
    frame
}

#[test]
fn an_arp_request_for_our_address_is_answered_and_one_for_another_is_not() {
    let (answers, mac, counters) = reflected(|_| {
        vec![frames::arp_request(PEER4, HOST4), frames::arp_request([192, 0, 2, 77], HOST4)]
    });
    let mut expected = frames::arp(2, (mac, PEER4), (HOST_MAC, HOST4), (mac, HOST_MAC));
    expected.resize(60, 0);
    capture::assert_same(&answers, &[expected]);
    assert_eq!(counters.drops["not_for_us"], 1, "{:#?}", counters.drops);
}

#[test]
fn a_ping_comes_back_with_its_payload() {
    let payload: Vec<u8> = (0..=255).collect();
    let (answers, mac, _) = reflected(|mac| {
        vec![
            to(mac, frames::ping4(7, 1, &payload)),
            to(mac, frames::ping6(7, 2, &payload)),
            to(mac, frames::ping4(7, 3, b"")),
        ]
    });
    let echo4 = |sequence, payload: &[u8]| {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2(mac, HOST_MAC)
            .ipv4(PEER4, HOST4, 64)
            .icmpv4_echo_reply(7, sequence)
            .write(&mut frame, payload)
            .expect("a frame that can be built");
        frame
    };
    let mut echo6 = Vec::new();
    PacketBuilder::ethernet2(mac, HOST_MAC)
        .ipv6(PEER6, HOST6, 64)
        .icmpv6_echo_reply(7, 2)
        .write(&mut echo6, &payload)
        .expect("a frame that can be built");
    capture::assert_same(&answers, &[echo4(1, &payload), echo6, echo4(3, b"")]);
}

#[test]
fn a_udp_datagram_comes_back_with_everything_swapped() {
    let (answers, mac, _) = reflected(|mac| {
        vec![to(mac, frames::udp4(11, b"four")), to(mac, frames::udp6(12, b"six, which is odd"))]
    });
    let mut four = Vec::new();
    PacketBuilder::ethernet2(mac, HOST_MAC)
        .ipv4(PEER4, HOST4, 64)
        .udp(4789, frames::source_port(11))
        .write(&mut four, b"four")
        .expect("a frame that can be built");
    let mut six = Vec::new();
    PacketBuilder::ethernet2(mac, HOST_MAC)
        .ipv6(PEER6, HOST6, 64)
        .udp(4789, frames::source_port(12))
        .write(&mut six, b"six, which is odd")
        .expect("a frame that can be built");
    capture::assert_same(&answers, &[four, six]);
}

#[test]
fn a_neighbour_solicitation_is_answered_with_an_advertisement() {
    let (answers, mac, counters) = reflected(|_| vec![solicitation(PEER6), solicitation(HOST6)]);
    let header = NeighborAdvertisementHeader { router: false, solicited: true, r#override: true };
    let mut payload = PEER6.to_vec();
    // Option 2: target link-layer address, one unit of eight bytes.
    payload.extend([2, 1]);
    payload.extend(mac);
    let mut expected = Vec::new();
    PacketBuilder::ethernet2(mac, HOST_MAC)
        .ipv6(PEER6, HOST6, 255)
        .icmpv6(Icmpv6Type::NeighborAdvertisement(header))
        .write(&mut expected, &payload)
        .expect("a frame that can be built");
    capture::assert_same(&answers, &[expected]);
    assert_eq!(counters.drops["not_for_us"], 1, "{:#?}", counters.drops);
}

#[test]
fn what_is_not_for_us_or_broken_is_dropped_with_a_reason_of_its_own() {
    let (answers, _, counters) = reflected(|mac| {
        let fragment = named("first ipv4 fragment");
        vec![
            to(mac, fragment),
            to(mac, named("ipv4 total length 19")),
            to(mac, named("udp length 65535")),
            to(mac, named("ipv4 checksum wrong")),
            to(mac, named("runt of 33 bytes")),
            to(mac, frames::tcp4(1, 1, b"no TCP here")),
        ]
    });
    assert!(answers.is_empty(), "{} answers", answers.len());
    for (reason, frames) in [
        ("fragment", 1),
        ("malformed_ipv4", 1),
        ("malformed_udp", 1),
        ("bad_checksum", 1),
        ("truncated", 1),
        ("unsupported", 1),
    ] {
        assert_eq!(counters.drops[reason], frames, "{reason}: {:#?}", counters.drops);
    }
}

#[test]
fn the_zoo_neither_stops_the_daemon_nor_unbalances_it() {
    let zoo: Vec<Vec<u8>> = frames::zoo().into_iter().map(|(_, frame)| frame).collect();
    let (_, _, counters) = reflected(|mac| {
        zoo.iter().filter(|frame| frame.len() >= 6).map(|frame| to(mac, frame.clone())).collect()
    });
    assert!(counters.balance.balanced, "{:#?}", counters.balance);
    assert_eq!(counters.balance.received, counters.balance.sent + counters.balance.dropped);
}

/// An animal of the zoo.
fn named(name: &str) -> Vec<u8> {
    let found = frames::zoo().into_iter().find(|(of, _)| of == name);
    found.unwrap_or_else(|| panic!("no {name} in the zoo")).1
}

/// "Who has `target`?", to its solicited-node address, with the sender's link-layer address: RFC 4861, 4.3.
fn solicitation(target: [u8; 16]) -> Vec<u8> {
    let [.., x, y, z] = target;
    let mut group = [0; 16];
    group[..2].copy_from_slice(&[0xff, 0x02]);
    group[11..].copy_from_slice(&[1, 0xff, x, y, z]);
    let mut payload = target.to_vec();
    payload.extend([1, 1]);
    payload.extend(HOST_MAC);
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(HOST_MAC, [0x33, 0x33, 0xff, x, y, z])
        .ipv6(HOST6, group, 255)
        .icmpv6_raw(TYPE_NEIGHBOR_SOLICITATION, 0, [0; 4])
        .write(&mut frame, &payload)
        .expect("a frame that can be built");
    frame
}
