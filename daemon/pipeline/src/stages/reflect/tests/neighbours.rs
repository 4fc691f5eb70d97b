//! Who has an IPv6 address.

use super::*;

#[test]
fn a_solicitation_is_answered_with_our_mac() {
    let peer = (PEER_MAC, PEER_V6);
    let reply = advertisement(peer, 0x60);
    for to in [(SOLICITED_MAC, SOLICITED_NODE), (OUR_MAC, OUR_V6)] {
        let with_source = solicitation(peer, to, OUR_V6, &SOURCE_LINK_LAYER);
        assert_eq!(strict(&with_source), End::Answered(reply.clone()));
        let without = solicitation(peer, to, OUR_V6, &[]);
        assert_eq!(without.len() + 8, reply.len());
        assert_eq!(strict(&without), End::Answered(reply.clone()), "the frame grows");
        let nonce = [14, 1, 1, 2, 3, 4, 5, 6];
        let long = solicitation(peer, to, OUR_V6, &[SOURCE_LINK_LAYER, nonce].concat());
        assert_eq!(strict(&long), End::Answered(reply.clone()), "the frame shrinks");
    }
}

#[test]
fn a_probe_for_duplicates_is_answered_to_all_nodes() {
    let probe = solicitation((PEER_MAC, [0; 16]), (SOLICITED_MAC, SOLICITED_NODE), OUR_V6, &[]);
    let all_nodes = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let answer = advertisement(([0x33, 0x33, 0, 0, 0, 1], all_nodes), 0x20);
    assert_eq!(strict(&probe), End::Answered(answer));
}

#[test]
fn a_solicitation_that_rfc_4861_forbids_is_dropped() {
    let group = (SOLICITED_MAC, SOLICITED_NODE);
    let (peer, nobody) = ((PEER_MAC, PEER_V6), (PEER_MAC, [0; 16]));
    let good = solicitation(peer, group, OUR_V6, &[]);

    let mut far = good.clone();
    far[21] = 254;
    let zero_length_option = solicitation(peer, group, OUR_V6, &[1, 0, 0, 0, 0, 0, 0, 0]);
    let cut_option = solicitation(peer, group, OUR_V6, &[1, 2, 0, 0, 0, 0, 0, 0]);
    let group_target = solicitation(peer, group, SOLICITED_NODE, &[]);
    let probe_with_source = solicitation(nobody, group, OUR_V6, &SOURCE_LINK_LAYER);
    let probe_to_one = solicitation(nobody, (OUR_MAC, OUR_V6), OUR_V6, &[]);
    let link = built::ip(PEER_MAC, SOLICITED_MAC, 0, v6_headers(v6(PEER_V6, SOLICITED_NODE, 255)));
    let code = built::icmp(link, true, (135, 1), [0; 4], &OUR_V6);
    for bad in
        [far, zero_length_option, cut_option, group_target, probe_with_source, probe_to_one, code]
    {
        assert_eq!(strict(&bad), End::Dropped(DropReason::MalformedIcmp));
    }

    let mut damaged = good;
    damaged[57] ^= 1;
    assert_eq!(strict(&damaged), End::Dropped(DropReason::BadChecksum));
    let for_another = solicitation(peer, group, PEER_V6, &[]);
    assert_eq!(strict(&for_another), End::Dropped(DropReason::NotForUs));
}

#[test]
fn an_advertisement_that_does_not_fit_its_buffer_is_dropped() {
    let peer = (PEER_MAC, PEER_V6);
    let bytes = solicitation(peer, (OUR_MAC, OUR_V6), OUR_V6, &[]);
    let mut tight = VecFrame::new(bytes.clone());
    tight.capacity = bytes.len() + 7;
    assert_eq!(reflect(STRICT, tight), End::Dropped(DropReason::NoRoom));
    let segmented = VecFrame::new(bytes).split_at(70);
    assert_eq!(reflect(STRICT, segmented), End::Dropped(DropReason::NoRoom));
}
