//! Any bytes as a frame: headers are read without a panic, and what is promised about them holds.
//!
//! The first byte says where the frame's first segment ends, the rest is the frame.
#![no_main]

use etherparse::{Ipv6ExtensionSlice, LinkExtSlice, NetSlice, SlicedPacket, TransportSlice};
use libfuzzer_sys::fuzz_target;
use pipeline::{Frame as _, Meta, Network, testing::VecFrame};

fuzz_target!(|input: &[u8]| {
    let Some((&segment, bytes)) = input.split_first() else { return };
    let mut frame = VecFrame::new(bytes);
    if segment != 0 {
        frame = frame.split_at(usize::from(segment) * 4);
    }
    let head = frame.head().len();
    let meta = Meta::of(&frame);

    // The places are within the first segment, whatever is wrong with the frame.
    assert!(
        meta.l3() <= head || meta.trouble().is_some(),
        "{meta:?}, {head} bytes in the first segment"
    );
    if meta.trouble().is_none() {
        assert!(meta.l3() <= meta.l4() && meta.l4() <= meta.end(), "{meta:?}");
        assert!(meta.end() <= bytes.len(), "{meta:?}, {} bytes", bytes.len());
        assert!(meta.l4() <= head, "{meta:?}, {head} bytes in the first segment");
    }
    if segment == 0 && meta.trouble().is_none() {
        agrees_with_etherparse(bytes, &meta);
    }
});

/// Where both find a whole UDP datagram in an unfragmented packet, they find it at the same place.
fn agrees_with_etherparse(bytes: &[u8], meta: &Meta) {
    let Ok(sliced) = SlicedPacket::from_ethernet(bytes) else { return };
    // etherparse looks behind MACsec and behind authentication headers; a stage sees those as they are.
    if sliced.link_exts.iter().any(|extension| !matches!(extension, LinkExtSlice::Vlan(_))) {
        return;
    }
    let network = match &sliced.net {
        Some(NetSlice::Ipv4(ip)) if ip.extensions().auth.is_none() => Network::Ipv4,
        Some(NetSlice::Ipv6(ip)) if !ip.extensions().clone().into_iter().any(is_authentication) => {
            Network::Ipv6
        }
        _ => return,
    };
    assert_eq!(meta.network(), network, "{sliced:?}");
    if let Some(TransportSlice::Udp(udp)) = &sliced.transport {
        // etherparse looks behind fewer extension headers than we do, never behind others.
        assert_eq!(meta.protocol(), 17, "{meta:?}\n{sliced:?}");
        assert_eq!(udp.slice().as_ptr(), bytes[meta.l4()..].as_ptr(), "{meta:?}\n{sliced:?}");
    }
}

fn is_authentication(extension: Ipv6ExtensionSlice<'_>) -> bool {
    matches!(extension, Ipv6ExtensionSlice::Authentication(_))
}
