//! Frames built by another implementation (etherparse), for tests.

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, IpHeaders, Ipv4Extensions, Ipv4Header,
    Ipv6Extensions, Ipv6Header, PacketBuilder, PacketBuilderStep, VlanId,
};

pub(crate) type Mac = [u8; 6];

/// An IP packet behind an Ethernet header and up to two VLAN tags; the next call says what is in it.
pub(crate) fn ip(from: Mac, to: Mac, tags: u8, ip: IpHeaders) -> PacketBuilderStep<IpHeaders> {
    let link = PacketBuilder::ethernet2(from, to);
    let vlan = |id| VlanId::try_new(id).unwrap();
    match tags {
        0 => link.ip(ip),
        1 => link.single_vlan(vlan(7)).ip(ip),
        2 => link.double_vlan(vlan(9), vlan(7)).ip(ip),
        _ => panic!("two tags at most"),
    }
}

/// An IPv4 header; the builder fills in lengths, protocol and checksum.
pub(crate) fn v4(from: [u8; 4], to: [u8; 4], ttl: u8) -> Ipv4Header {
    Ipv4Header { source: from, destination: to, time_to_live: ttl, ..Ipv4Header::default() }
}

pub(crate) fn v4_headers(header: Ipv4Header) -> IpHeaders {
    IpHeaders::Ipv4(header, Ipv4Extensions::default())
}

/// An IPv6 header; the builder fills in length and next header.
pub(crate) fn v6(from: [u8; 16], to: [u8; 16], hops: u8) -> Ipv6Header {
    Ipv6Header { source: from, destination: to, hop_limit: hops, ..Ipv6Header::default() }
}

pub(crate) fn v6_headers(header: Ipv6Header) -> IpHeaders {
    IpHeaders::Ipv6(header, Ipv6Extensions::default())
}

/// An ARP packet: the link's addresses, the operation, then MAC and IP of sender and target.
pub(crate) fn arp(
    link: (Mac, Mac),
    tags: u8,
    operation: ArpOperation,
    sender: (Mac, [u8; 4]),
    target: (Mac, [u8; 4]),
) -> Vec<u8> {
    let packet = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        operation,
        &sender.0,
        &sender.1,
        &target.0,
        &target.1,
    )
    .unwrap();
    let builder = PacketBuilder::ethernet2(link.0, link.1);
    let vlan = |id| VlanId::try_new(id).unwrap();
    let mut bytes = Vec::new();
    match tags {
        0 => builder.arp(packet).write(&mut bytes).unwrap(),
        1 => builder.single_vlan(vlan(7)).arp(packet).write(&mut bytes).unwrap(),
        2 => builder.double_vlan(vlan(9), vlan(7)).arp(packet).write(&mut bytes).unwrap(),
        _ => panic!("two tags at most"),
    }
    bytes
}

pub(crate) fn udp(link: PacketBuilderStep<IpHeaders>, ports: (u16, u16), data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    link.udp(ports.0, ports.1).write(&mut bytes, data).unwrap();
    bytes
}

/// An ICMP message (ICMPv6 in IPv6): type, code, the second four bytes of its header, the rest.
pub(crate) fn icmp(
    link: PacketBuilderStep<IpHeaders>,
    is_v6: bool,
    kind: (u8, u8),
    second: [u8; 4],
    data: &[u8],
) -> Vec<u8> {
    let mut bytes = Vec::new();
    if is_v6 {
        link.icmpv6_raw(kind.0, kind.1, second).write(&mut bytes, data).unwrap();
    } else {
        link.icmpv4_raw(kind.0, kind.1, second).write(&mut bytes, data).unwrap();
    }
    bytes
}
