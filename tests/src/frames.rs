//! Frames, built with etherparse or byte by byte: not with anything of ours that has to understand them.

use etherparse::{
    EtherType, IpFragOffset, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv4Options,
    Ipv6Extensions, Ipv6FlowLabel, Ipv6FragmentHeader, Ipv6Header, PacketBuilder, VlanId,
};

/// The MAC address of the host that sends.
pub const HOST_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
/// The MAC address that it sends to.
pub const PEER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
/// The IPv4 address of the host that sends.
pub const HOST4: [u8; 4] = [192, 0, 2, 9];
/// The IPv4 address that it sends to.
pub const PEER4: [u8; 4] = [192, 0, 2, 1];
/// The IPv6 address of the host that sends.
pub const HOST6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
/// The IPv6 address that it sends to.
pub const PEER6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// A UDP datagram from `HOST4`, its source port `20_000 + flow % 40_000`.
#[must_use]
pub fn udp4(flow: u32, payload: &[u8]) -> Vec<u8> {
    build(payload, |frame, payload| {
        PacketBuilder::ethernet2(HOST_MAC, PEER_MAC)
            .ipv4(HOST4, PEER4, 64)
            .udp(source_port(flow), 4789)
            .write_to_vec(frame, payload)
    })
}

/// A UDP datagram from `HOST6`, its source port `20_000 + flow % 40_000`.
#[must_use]
pub fn udp6(flow: u32, payload: &[u8]) -> Vec<u8> {
    build(payload, |frame, payload| {
        PacketBuilder::ethernet2(HOST_MAC, PEER_MAC)
            .ipv6(HOST6, PEER6, 64)
            .udp(source_port(flow), 4789)
            .write_to_vec(frame, payload)
    })
}

/// A TCP segment from `HOST4`.
#[must_use]
pub fn tcp4(flow: u32, sequence: u32, payload: &[u8]) -> Vec<u8> {
    build(payload, |frame, payload| {
        PacketBuilder::ethernet2(HOST_MAC, PEER_MAC)
            .ipv4(HOST4, PEER4, 64)
            .tcp(source_port(flow), 443, sequence, 65_535)
            .ack(1)
            .write_to_vec(frame, payload)
    })
}

/// The source port of a flow.
#[must_use]
pub fn source_port(flow: u32) -> u16 {
    u16::try_from(20_000 + flow % 40_000).expect("below 60 000")
}

/// An ICMP echo request from `HOST4` to `PEER4`.
#[must_use]
pub fn ping4(id: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    build(payload, |frame, payload| {
        PacketBuilder::ethernet2(HOST_MAC, PEER_MAC)
            .ipv4(HOST4, PEER4, 64)
            .icmpv4_echo_request(id, sequence)
            .write_to_vec(frame, payload)
    })
}

/// An ICMPv6 echo request from `HOST6` to `PEER6`.
#[must_use]
pub fn ping6(id: u16, sequence: u16, payload: &[u8]) -> Vec<u8> {
    build(payload, |frame, payload| {
        PacketBuilder::ethernet2(HOST_MAC, PEER_MAC)
            .ipv6(HOST6, PEER6, 64)
            .icmpv6_echo_request(id, sequence)
            .write_to_vec(frame, payload)
    })
}

/// "Who has `target`?", broadcast by `sender`, padded to the shortest Ethernet frame.
#[must_use]
pub fn arp_request(target: [u8; 4], sender: [u8; 4]) -> Vec<u8> {
    let mut frame = arp(1, (HOST_MAC, sender), ([0; 6], target), (HOST_MAC, [0xff; 6]));
    frame.resize(60, 0);
    frame
}

/// An ARP packet: `1` asks, `2` answers. Byte by byte, after RFC 826.
#[must_use]
pub fn arp(
    operation: u8,
    sender: ([u8; 6], [u8; 4]),
    target: ([u8; 6], [u8; 4]),
    (source, destination): ([u8; 6], [u8; 6]),
) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(destination);
    frame.extend(source);
    frame.extend([0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, operation]);
    frame.extend(sender.0);
    frame.extend(sender.1);
    frame.extend(target.0);
    frame.extend(target.1);
    frame
}

/// Frames that carry their number, so that one that is missing or out of order is seen.
#[must_use]
pub fn numbered(count: u32) -> Vec<Vec<u8>> {
    let frame =
        |number: u32| [&[0x02; 12], &[0x88, 0xb5][..], &number.to_be_bytes(), &[0; 42]].concat();
    (0..count).map(frame).collect()
}

/// What a link carries on an ordinary day, in ordinary proportions: 144 frames of 64 flows, none longer than 1514
/// bytes. The bundled capture has these.
#[must_use]
pub fn everyday() -> Vec<Vec<u8>> {
    let mut random = Random(0xdada);
    let mut frames =
        vec![arp_request(PEER4, HOST4), ping4(1, 1, &[0x50; 56]), ping6(1, 1, &[0x50; 56])];
    while frames.len() < 144 {
        let flow = u32::try_from(random.below(64)).expect("below 64");
        // The simple Internet mix: seven short frames, four of middle length, one long.
        let frame = match random.below(12) {
            0 => tcp4(flow, 1, &[0x54; 1460]),
            1..=4 => udp4(flow, &[0x55; 534]),
            5..=7 => udp6(flow, &[0x56; 12]),
            _ => tcp4(flow, 1, &[0x57; 6]),
        };
        frames.push(frame);
    }
    frames
}

/// Everything a wire must not stumble over, each with its name: ordinary traffic, VLAN stacks, options, fragments,
/// extension headers, jumbo frames, runts, headers that lie, and noise.
#[must_use]
pub fn zoo() -> Vec<(String, Vec<u8>)> {
    let mut zoo: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, frame: Vec<u8>| zoo.push((name.to_owned(), frame));
    add("udp over ipv4", udp4(1, b"payload"));
    add("udp over ipv6", udp6(1, b"payload"));
    add("udp without payload", udp4(2, b""));
    add("tcp over ipv4", tcp4(3, 1000, &[7; 1000]));
    add("ping", ping4(1, 1, &[1; 56]));
    add("ping over ipv6", ping6(1, 1, &[1; 56]));
    add("arp request", arp_request(PEER4, HOST4));
    add("full size", udp4(4, &[0x55; 1472]));
    for stack in 1..=5 {
        add(&format!("{stack} vlan tags"), vlan_stack(stack, &udp4(5, b"tagged")));
    }
    add("service and customer tag", double_tag());
    add("vlan tag and nothing else", vlan_stack(1, &udp4(5, b""))[..18].to_vec());
    for options in [4, 20, 40] {
        add(&format!("{options} bytes of ipv4 options"), ipv4_options(options));
    }
    for (name, offset, more) in [("first", 0, true), ("middle", 185, true), ("last", 370, false)] {
        add(&format!("{name} ipv4 fragment"), ipv4_fragment(offset, more));
        add(&format!("{name} ipv6 fragment"), ipv6_fragment(offset, more));
    }
    add("fragment that overflows", ipv4_fragment(8190, false));
    add("jumbo of 9018 bytes", udp4(6, &vec![0xaa; 9018 - 42]));
    add("jumbo of 4000 bytes", udp6(6, &vec![0xbb; 4000 - 62]));
    for length in [1, 5, 13, 14, 15, 20, 33, 34, 41, 42, 59] {
        add(&format!("runt of {length} bytes"), udp4(7, &[0xcc; 64])[..length].to_vec());
        add(&format!("ipv6 runt of {length} bytes"), udp6(7, &[0xcc; 64])[..length].to_vec());
    }
    liars(&mut add);
    let mut random = Random(0x5eed);
    for round in 0..64 {
        let length = 1 + usize::try_from(random.below(1514)).expect("below 1514");
        add(&format!("noise {round}"), random.bytes(length));
        // Noise behind a type that invites a look at it.
        let mut frame = random.bytes(length.max(60));
        let kind = [[0x08, 0x00], [0x86, 0xdd], [0x08, 0x06], [0x81, 0x00], [0x88, 0xa8]];
        frame[12..14].copy_from_slice(&kind[round % kind.len()]);
        add(&format!("noise {round} with a type"), frame);
    }
    zoo
}

/// Headers that do not say the truth about what follows.
fn liars(add: &mut impl FnMut(&str, Vec<u8>)) {
    let altered = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut frame = udp4(8, &[0x11; 40]);
        change(&mut frame);
        frame
    };
    add("ipv4 header longer than the frame", altered(&|frame| frame[14] = 0x4f));
    add("ipv4 header shorter than a header", altered(&|frame| frame[14] = 0x44));
    add("ip version 5", altered(&|frame| frame[14] = 0x55));
    add("ipv4 total length 65535", altered(&|frame| frame[16..18].copy_from_slice(&[0xff, 0xff])));
    add("ipv4 total length 0", altered(&|frame| frame[16..18].copy_from_slice(&[0, 0])));
    add("ipv4 total length 19", altered(&|frame| frame[16..18].copy_from_slice(&[0, 19])));
    add("ipv4 checksum wrong", altered(&|frame| frame[24] ^= 0xff));
    add("udp length 65535", altered(&|frame| frame[38..40].copy_from_slice(&[0xff, 0xff])));
    add("udp length 0", altered(&|frame| frame[38..40].copy_from_slice(&[0, 0])));
    add("udp checksum wrong", altered(&|frame| frame[40] ^= 0xff));
    add("source is a group address", altered(&|frame| frame[6] = 0xff));
    add("source and destination are the same", altered(&|frame| frame.copy_within(6..12, 0)));
    add(
        "802.3 length instead of a type",
        altered(&|frame| frame[12..14].copy_from_slice(&[0, 46])),
    );
    add(
        "ipv4 packet with an ipv6 type",
        altered(&|frame| frame[12..14].copy_from_slice(&[0x86, 0xdd])),
    );
    let mut six = udp6(8, &[0x22; 40]);
    six[18..20].copy_from_slice(&[0xff, 0xff]);
    add("ipv6 payload length 65535", six);
    let mut chain = udp6(8, &[0; 200]);
    chain[20] = 0;
    for at in (54..194).step_by(8) {
        chain[at..at + 2].copy_from_slice(&[0, 0]);
    }
    add("ipv6 with a chain of hop-by-hop headers", chain);
    let mut endless = udp6(8, &[0; 64]);
    endless[20] = 60;
    endless[54..56].copy_from_slice(&[60, 255]);
    add("ipv6 extension header longer than the frame", endless);
}

fn build<E: std::fmt::Debug>(
    payload: &[u8],
    write: impl FnOnce(&mut Vec<u8>, &[u8]) -> Result<(), E>,
) -> Vec<u8> {
    let mut frame = Vec::new();
    write(&mut frame, payload).expect("a frame that can be built");
    frame
}

/// The frame behind so many 802.1Q tags.
fn vlan_stack(tags: u8, frame: &[u8]) -> Vec<u8> {
    let mut tagged = frame[..12].to_vec();
    for tag in 1..=tags {
        tagged.extend([0x81, 0x00, 0, tag]);
    }
    tagged.extend(&frame[12..]);
    tagged
}

fn double_tag() -> Vec<u8> {
    build(b"tagged twice", |frame, payload| {
        PacketBuilder::ethernet2(HOST_MAC, PEER_MAC)
            .double_vlan(
                VlanId::try_new(100).expect("a VLAN"),
                VlanId::try_new(4094).expect("a VLAN"),
            )
            .ipv4(HOST4, PEER4, 64)
            .udp(20_000, 4789)
            .write_to_vec(frame, payload)
    })
}

fn ipv4_options(length: usize) -> Vec<u8> {
    let mut options = vec![1; length];
    // One record-route option, the rest no-operation.
    options[..3].copy_from_slice(&[7, 3, 4]);
    let mut header = Ipv4Header::new(0, 64, IpNumber::UDP, HOST4, PEER4).expect("a short packet");
    header.options = Ipv4Options::try_from(options.as_slice()).expect("whole words of options");
    build(b"behind options", |frame, payload| {
        PacketBuilder::ethernet2(HOST_MAC, PEER_MAC)
            .ip(IpHeaders::Ipv4(header, Ipv4Extensions::default()))
            .udp(20_000, 4789)
            .write_to_vec(frame, payload)
    })
}

/// `offset` is in units of eight bytes, as on the wire.
fn ipv4_fragment(offset: u16, more: bool) -> Vec<u8> {
    let payload = [0x66; 1480];
    let mut header = Ipv4Header::new(0, 64, IpNumber::UDP, HOST4, PEER4).expect("a short packet");
    header.identification = 77;
    header.dont_fragment = false;
    header.more_fragments = more;
    header.fragment_offset = IpFragOffset::try_new(offset).expect("13 bits");
    header.set_payload_len(payload.len()).expect("a short packet");
    header.header_checksum = header.calc_header_checksum();
    let mut frame = ethernet(EtherType::IPV4);
    header.write(&mut frame).expect("a vector takes everything");
    frame.extend(payload);
    frame
}

/// `offset` is in units of eight bytes, as on the wire.
fn ipv6_fragment(offset: u16, more: bool) -> Vec<u8> {
    let payload = [0x77; 1400];
    let fragment = Ipv6FragmentHeader::new(
        IpNumber::UDP,
        IpFragOffset::try_new(offset).expect("13 bits"),
        more,
        4711,
    );
    let header = Ipv6Header {
        traffic_class: 0,
        flow_label: Ipv6FlowLabel::ZERO,
        payload_length: 1408,
        next_header: IpNumber::IPV6_FRAGMENTATION_HEADER,
        hop_limit: 64,
        source: HOST6,
        destination: PEER6,
    };
    let extensions = Ipv6Extensions { fragment: Some(fragment), ..Ipv6Extensions::default() };
    let mut frame = ethernet(EtherType::IPV6);
    header.write(&mut frame).expect("a vector takes everything");
    extensions.write(&mut frame, header.next_header).expect("a chain that matches its headers");
    frame.extend(payload);
    frame
}

fn ethernet(kind: EtherType) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(PEER_MAC);
    frame.extend(HOST_MAC);
    frame.extend(kind.0.to_be_bytes());
    frame
}

/// Numbers that look random and are the same every time (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    /// The next one.
    #[expect(clippy::should_implement_trait, reason = "endless, so no iterator")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One below `limit`.
    ///
    /// # Panics
    /// When `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of these.
    ///
    /// # Panics
    /// When there is none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let count = u64::try_from(from.len()).expect("a length fits 64 bits");
        &from[usize::try_from(self.below(count)).expect("below a length")]
    }

    /// So many bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        std::iter::repeat_with(|| self.next().to_le_bytes()).flatten().take(length).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_zoo_has_no_animal_twice() {
        let zoo = zoo();
        let names: BTreeSet<&str> = zoo.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), zoo.len());
        assert!(zoo.iter().all(|(_, frame)| !frame.is_empty()));
    }

    #[test]
    fn ordinary_frames_are_what_etherparse_reads_back() {
        for frame in
            [udp4(1, b"x"), udp6(1, b"x"), tcp4(1, 2, b"x"), ping4(1, 1, b"x"), ping6(1, 1, b"x")]
        {
            let parsed =
                etherparse::PacketHeaders::from_ethernet_slice(&frame).expect("a sound frame");
            assert_eq!(parsed.payload.slice(), b"x");
        }
    }
}
