//! Frames that are wrong, cut off or in pieces.

use super::*;

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
