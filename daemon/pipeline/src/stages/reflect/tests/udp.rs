//! Datagrams to the echo port.

use super::*;

#[test]
fn a_udp_datagram_comes_back_with_everything_swapped() {
    for tags in 0..=2 {
        for data in [&b""[..], b"odd", b"even"] {
            let udp = |from, to, headers, ports| {
                built::udp(built::ip(from, to, tags, headers), ports, data)
            };
            let frame = |from, to, from_ip, to_ip, ports| {
                udp(from, to, v4_headers(v4(from_ip, to_ip, 64)), ports)
            };
            assert_eq!(
                strict(&frame(PEER_MAC, OUR_MAC, PEER_V4, OUR_V4, (4000, 7))),
                End::Answered(frame(OUR_MAC, PEER_MAC, OUR_V4, PEER_V4, (7, 4000)))
            );
            let frame = |from, to, from_ip, to_ip, ports| {
                udp(from, to, v6_headers(v6(from_ip, to_ip, 64)), ports)
            };
            assert_eq!(
                strict(&frame(PEER_MAC, OUR_MAC, PEER_V6, OUR_V6, (4000, 7))),
                End::Answered(frame(OUR_MAC, PEER_MAC, OUR_V6, PEER_V6, (7, 4000)))
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
