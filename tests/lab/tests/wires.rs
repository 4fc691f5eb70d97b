//! The NICs' cables: frames between the test and the guest's kernel.

use std::time::{Duration, Instant};

use lab::{Guest, Nic, frames::HERE, guest_or_skip};

const SOON: Duration = Duration::from_secs(20);

/// Asks who has an IPv4 address (RFC 826).
fn arp_request(from: [u8; 4], whose: [u8; 4]) -> Vec<u8> {
    let ethernet = [&[0xff; 6][..], &HERE, &[0x08, 0x06]].concat();
    let arp = [&[0, 1, 8, 0, 6, 4, 0, 1][..], &HERE, &from, &[0; 6], &whose].concat();
    let mut frame = [ethernet, arp].concat();
    frame.resize(60, 0);
    frame
}

#[test]
fn the_guest_s_kernel_answers_a_frame_on_the_cable() {
    let Some(mut guest) = guest_or_skip() else { return };

    for name in ["east", "west"] {
        let interface = guest.interface(name);
        guest.must(&format!(
            "ip address add 192.0.2.1/24 dev {interface} && ip link set {interface} up"
        ));
        let nic = guest.nic(name);

        let asked = arp_request([192, 0, 2, 9], [192, 0, 2, 1]);
        let is_answer = |frame: &[u8]| frame.starts_with(&HERE) && frame[12..14] == [0x08, 0x06];
        let answer = until_answered(nic, &asked, is_answer);

        let from = [&nic.mac()[..], &[192, 0, 2, 1]].concat();
        assert_eq!(answer[20..22], [0, 2], "{name}: an answer");
        assert_eq!(answer[22..32], from, "{name}: from the guest's NIC");
        guest.must(&format!("ip address flush dev {interface}"));
    }
}

#[test]
fn a_pulled_cable_is_seen_by_the_guest_and_so_is_one_plugged_in() {
    let Some(mut guest) = guest_or_skip() else { return };
    let interface = guest.interface("east");
    guest.must(&format!("ip link set {interface} up"));
    let until_carrier = |guest: &mut Guest, wanted: &str| {
        let watch = format!(
            "until [ $(cat /sys/class/net/{interface}/carrier) = {wanted} ]; do sleep 0.05; done"
        );
        guest.run_within(&watch, SOON).unwrap();
    };
    until_carrier(&mut guest, "1");

    guest.set_link("east", false).unwrap();
    until_carrier(&mut guest, "0");
    guest.set_link("east", true).unwrap();
    until_carrier(&mut guest, "1");
}

/// Asks until there is an answer; a NIC that has just come up may miss a frame.
fn until_answered(nic: &Nic, asked: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let deadline = Instant::now() + SOON;
    loop {
        nic.send(asked).expect("the cable works");
        if let Some(answer) =
            nic.recv_that(Duration::from_millis(500), &wanted).expect("the cable works")
        {
            return answer;
        }
        assert!(Instant::now() < deadline, "no answer");
    }
}

#[test]
fn a_nic_that_is_unplugged_leaves_the_guest() {
    let Some(mut guest) = guest_or_skip() else { return };
    let dir = format!("/sys/bus/pci/devices/{}", guest.nic("west").pci_address());
    guest.must(&format!("test -e {dir}"));

    if !guest.unplug_or_skip("west", &format!("[ ! -e {dir} ]")) {
        return;
    }

    let other = format!("test -e /sys/bus/pci/devices/{}", guest.nic("east").pci_address());
    guest.must(&other);
}
