//! Who has an IPv4 address.

use super::*;

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
