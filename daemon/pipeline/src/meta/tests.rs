//! Headers that another implementation wrote, and any other bytes.

use etherparse::{
    IpHeaders, Ipv4Extensions, Ipv6Extensions, Ipv6RawExtHeader, SlicedPacket, TransportSlice,
};
use proptest::prelude::*;

use super::*;
use crate::{
    built::{self, v4, v4_headers, v6, v6_headers},
    testing::VecFrame,
    wire::{Arp, protocol},
};

/// What [`Meta`] promises about any frame.
fn check(meta: &Meta, head_len: usize, wire_len: usize) -> Result<(), TestCaseError> {
    prop_assert!(meta.l3() <= head_len && meta.l4() <= head_len, "{:?}", meta);
    prop_assert!(meta.l3() <= meta.l4());
    if meta.trouble().is_some() {
        return Ok(());
    }
    prop_assert!(meta.l4() <= meta.end() && meta.end() <= wire_len);
    let transport = match (meta.network(), meta.protocol()) {
        (Network::Arp, _) => Arp::LEN,
        (Network::Other, _) => 0,
        _ if !meta.has_transport() => 0,
        (_, protocol::UDP) => 8,
        (_, protocol::TCP) => 20,
        (Network::Ipv4, protocol::ICMP) | (Network::Ipv6, protocol::ICMPV6) => 8,
        _ => 0,
    };
    prop_assert!(meta.l4() + transport <= meta.end().min(head_len), "{:?}", meta);
    match meta.network() {
        Network::Ipv4 => prop_assert!(meta.l3() + 20 <= meta.l4()),
        Network::Ipv6 => prop_assert!(meta.l3() + 40 <= meta.l4()),
        Network::Arp | Network::Other => prop_assert_eq!(meta.l3(), meta.l4()),
    }
    Ok(())
}

/// Ethernet types and versions that lead somewhere, before random bytes.
fn likely_frame() -> impl Strategy<Value = Vec<u8>> {
    let types: Vec<&[u8]> = vec![
        &[0x08, 0x00, 0x45],
        &[0x08, 0x00, 0x4f],
        &[0x86, 0xdd, 0x60],
        &[0x08, 0x06],
        &[0x81, 0x00, 0, 1, 0x08, 0x00, 0x45],
        &[0x88, 0xa8, 0, 1, 0x81, 0x00, 0, 2, 0x86, 0xdd, 0x60],
        &[],
    ];
    (
        proptest::collection::vec(any::<u8>(), 12),
        prop::sample::select(types),
        // Small numbers, so that lengths and next headers are plausible.
        proptest::collection::vec(prop_oneof![0..64_u8, any::<u8>()], 0..200),
    )
        .prop_map(|(addresses, kind, rest)| [&addresses[..], kind, &rest[..]].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn offsets_are_within_any_bytes(
        bytes in likely_frame(),
        split in any::<prop::sample::Index>(),
    ) {
        check(&Meta::parse(&bytes), bytes.len(), bytes.len())?;
        let head_len = split.index(bytes.len() + 1);
        let frame = VecFrame::new(bytes).split_at(head_len);
        check(&Meta::of(&frame), head_len, frame.bytes.len())?;
    }

    #[test]
    fn a_frame_that_etherparse_reads_is_read_the_same(
        (is_v6, is_tcp, tags) in (any::<bool>(), any::<bool>(), 0..=2_u8),
        words in prop_oneof![Just(0), 0..=10_usize],
        data in proptest::collection::vec(any::<u8>(), 0..50),
        damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let ip = if is_v6 {
            let options = Ipv6RawExtHeader::new_raw(etherparse::IpNumber::UDP, &vec![1; 6 + 8 * words]);
            let extensions = Ipv6Extensions {
                destination_options: options.ok(),
                ..Ipv6Extensions::default()
            };
            IpHeaders::Ipv6(v6([0x20; 16], [0x21; 16], 1), extensions)
        } else {
            let mut header = v4([192, 0, 2, 1], [192, 0, 2, 2], 1);
            header.options = vec![1; 4 * words].as_slice().try_into().unwrap();
            v4_headers(header)
        };
        let link = built::ip([2; 6], [4; 6], tags, ip);
        let mut bytes = Vec::new();
        if is_tcp {
            link.tcp(1, 2, 3, 4).write(&mut bytes, &data).unwrap();
        } else {
            link.udp(1, 2).write(&mut bytes, &data).unwrap();
        }
        if let Some((at, byte)) = damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let meta = Meta::parse(&bytes);
        if !is_v6 && tags == 0 && words == 0 && damage.is_none() {
            prop_assert_eq!(Headers::plain(&bytes, bytes.len()).map(Meta::pack), Some(meta));
        }
        if let Some(plain) = Headers::plain(&bytes, bytes.len()) {
            prop_assert_eq!(plain, Headers::any(&bytes, bytes.len()), "the short way is no other");
        }
        let theirs = SlicedPacket::from_ethernet(&bytes);
        let theirs = theirs.as_ref().ok().and_then(|packet| match &packet.transport {
            Some(TransportSlice::Udp(udp)) => Some((protocol::UDP, udp.slice())),
            Some(TransportSlice::Tcp(tcp)) => Some((protocol::TCP, tcp.slice())),
            _ => None,
        });
        if damage.is_none() {
            prop_assert!(theirs.is_some() && meta.trouble().is_none());
        }
        if let Some((number, slice)) = theirs && meta.trouble().is_none() && meta.has_transport() {
            let offset = slice.as_ptr() as usize - bytes.as_ptr() as usize;
            prop_assert_eq!((meta.protocol(), meta.l4()), (number, offset));
        }
    }
}

proptest! {
    #[test]
    fn packed_headers_are_all_there(bytes in likely_frame()) {
        let (headers, meta) = (Headers::any(&bytes, bytes.len()), Meta::parse(&bytes));
        prop_assert_eq!(
            (meta.l3(), meta.l4(), meta.end()),
            (headers.l3.into(), headers.l4.into(), headers.end as usize)
        );
        prop_assert_eq!(
            (meta.network(), meta.protocol(), meta.ether_type(), meta.tags()),
            (headers.network, headers.protocol, headers.ether_type, headers.tags)
        );
        prop_assert_eq!(
            (meta.is_fragment(), meta.has_transport(), meta.is_en_route(), meta.trouble()),
            (headers.fragment, headers.has_transport(), headers.en_route, headers.trouble)
        );
    }
}

#[test]
fn a_meta_is_16_bytes() {
    assert_eq!(size_of::<Meta>(), 16);
}

#[test]
fn headers_are_found_behind_tags_and_options() {
    for tags in 0..=2 {
        let l3 = 14 + 4 * usize::from(tags);
        let mut header = v4([192, 0, 2, 1], [192, 0, 2, 2], 1);
        header.options = [1; 12].into();
        let ip = IpHeaders::Ipv4(header, Ipv4Extensions::default());
        let mut bytes = built::udp(built::ip([2; 6], [4; 6], tags, ip), (1, 2), b"data");
        bytes.extend([0; 6]);
        let meta = Meta::parse(&bytes);
        assert_eq!((meta.network(), meta.protocol()), (Network::Ipv4, protocol::UDP));
        assert_eq!((meta.l3(), meta.l4(), meta.end()), (l3, l3 + 32, l3 + 32 + 12));
        assert_eq!((meta.tags(), meta.trouble(), meta.is_fragment()), (tags, None, false));
    }
}

#[test]
fn headers_are_found_behind_extensions() {
    let options = Ipv6RawExtHeader::new_raw(etherparse::IpNumber::UDP, &[1; 14]).unwrap();
    let extensions = Ipv6Extensions {
        hop_by_hop_options: Some(options.clone()),
        destination_options: Some(options),
        ..Ipv6Extensions::default()
    };
    let ip = IpHeaders::Ipv6(v6([0x20; 16], [0x21; 16], 1), extensions);
    let bytes = built::udp(built::ip([2; 6], [4; 6], 1, ip), (1, 2), b"data");
    let meta = Meta::parse(&bytes);
    assert_eq!((meta.network(), meta.protocol()), (Network::Ipv6, protocol::UDP));
    assert_eq!((meta.l3(), meta.l4(), meta.trouble()), (18, 18 + 40 + 32, None));
}

/// An IPv6 frame whose payload starts with `count` destination options headers of 8 bytes.
fn chained(count: usize) -> Vec<u8> {
    let mut extensions = Vec::new();
    for number in 0..count {
        let next = if number + 1 == count { protocol::UDP } else { protocol::DESTINATION_OPTIONS };
        extensions.extend([next, 0, 1, 4, 0, 0, 0, 0]);
    }
    extensions.extend([0, 1, 0, 2, 0, 8, 1, 1]);
    let mut bytes = Vec::new();
    let ip = v6_headers(v6([0x20; 16], [0x21; 16], 1));
    let number = etherparse::IpNumber(protocol::DESTINATION_OPTIONS);
    built::ip([2; 6], [4; 6], 0, ip).write(&mut bytes, number, &extensions).unwrap();
    bytes
}

#[test]
fn eight_extension_headers_are_followed_and_a_ninth_is_not() {
    let meta = Meta::parse(&chained(8));
    assert_eq!((meta.protocol(), meta.l4(), meta.trouble()), (protocol::UDP, 54 + 64, None));
    assert_eq!(Meta::parse(&chained(9)).trouble(), Some(DropReason::MalformedIpv6));
}

#[test]
fn lengths_that_contradict_each_other_are_malformed() {
    let ip = || built::ip([2; 6], [4; 6], 0, v4_headers(v4([192, 0, 2, 1], [192, 0, 2, 2], 1)));
    let good = built::udp(ip(), (1, 2), b"data");
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Meta::parse(&bytes).trouble()
    };
    assert_eq!(Meta::parse(&good).trouble(), None);
    assert_eq!(with(14, 0x44), Some(DropReason::MalformedIpv4), "a header of 16 bytes");
    assert_eq!(with(14, 0x55), Some(DropReason::MalformedIpv4), "version 5");
    assert_eq!(with(17, 19), Some(DropReason::MalformedIpv4), "a packet shorter than its header");
    assert_eq!(with(17, 27), Some(DropReason::MalformedUdp), "no room for UDP's header");
    assert_eq!(with(17, 33), Some(DropReason::Truncated), "a packet longer than its frame");
    assert_eq!(with(14, 0x4f), Some(DropReason::MalformedIpv4), "options longer than the packet");
}

#[test]
fn a_jumbo_frame_is_read_to_its_end() {
    let ip = built::ip([2; 6], [4; 6], 0, v6_headers(v6([0x20; 16], [0x21; 16], 1)));
    let bytes = built::udp(ip, (1, 2), &vec![7; 8_900]);
    let frame = VecFrame::new(bytes).split_at(2_048);
    let meta = Meta::of(&frame);
    assert_eq!((meta.trouble(), meta.end()), (None, 8_962));
}
