//! The NICs' cables: frames between the test and the guest's kernel, and through DPDK on vfio-pci.

use std::time::{Duration, Instant};

use lab::{Guest, Machine, Nic, Snapshot, image_or_skip, under_test};

const SOON: Duration = Duration::from_secs(20);
/// The test's own address on the cable.
const HERE: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// An EtherType for experiments, which no kernel answers (IEEE 802, local experimental 1).
const EXPERIMENT: [u8; 2] = [0x88, 0xb5];

fn guest() -> Option<Guest> {
    let (recipe, model) = under_test();
    let image = image_or_skip(&recipe)?;
    let machine = Machine::new().nic("east", model, 0).nic("west", model, 1);
    Some(Guest::restore(&Snapshot::of(&image, &machine).unwrap()).unwrap())
}

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
    let Some(mut guest) = guest() else { return };

    for name in ["east", "west"] {
        let dir = format!("/sys/bus/pci/devices/{}", guest.nic(name).pci_address());
        // The only interface of the NIC, however deep it is.
        let interface =
            guest.must(&format!("basename $(find {dir}/ -path '*/net/*' -prune | head -1)"));
        let interface = interface.trim();
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
fn a_pulled_cable_is_seen_and_carries_nothing() {
    let Some(mut guest) = guest() else { return };
    let dir = format!("/sys/bus/pci/devices/{}", guest.nic("east").pci_address());
    let interface =
        guest.must(&format!("basename $(find {dir}/ -path '*/net/*' -prune | head -1)"));
    let interface = interface.trim();
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

#[test]
fn dpdk_on_vfio_forwards_frames_between_the_nics_byte_for_byte() {
    let Some(mut guest) = guest() else { return };
    let (east, west) =
        (guest.nic("east").pci_address().to_owned(), guest.nic("west").pci_address().to_owned());
    for node in 0..2 {
        guest.must(&format!(
            "echo 128 > /sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/nr_hugepages"
        ));
    }
    guest.must("modprobe vfio-pci");
    for address in [&east, &west] {
        let dir = format!("/sys/bus/pci/devices/{address}");
        guest.must(&format!(
            "set -e; echo vfio-pci > {dir}/driver_override; echo {address} > {dir}/driver/unbind; \
             echo {address} > /sys/bus/pci/drivers_probe; \
             test $(basename $(readlink {dir}/driver)) = vfio-pci; \
             test -c /dev/vfio/$(basename $(readlink {dir}/iommu_group))"
        ));
    }
    guest.must(&format!(
        "systemd-run --quiet --unit=testpmd dpdk-testpmd -l 0,2 --socket-mem 128,128 -a {east} -a {west} -- \
         --forward-mode=io --nb-cores=1 --auto-start --no-flush-rx --total-num-mbufs=8192 \
         --stats-period=3600"
    ));
    // Once one frame gets through, it forwards.
    let begun = Instant::now();
    if !is_carried(guest.nic("east"), guest.nic("west"), &frame(60, 0)) {
        let log = guest.must("journalctl --unit testpmd --no-pager --output cat");
        panic!("nothing is forwarded:\n{log}\n{}", guest.console());
    }
    let (east, west) = (guest.nic("east"), guest.nic("west"));
    eprintln!("the first frame got through after {:.1} s", begun.elapsed().as_secs_f64());
    west.forget().unwrap();

    let begun = Instant::now();
    for (number, length) in
        (1_u32..).zip([60, 61, 64, 512, 1513, 1514].into_iter().cycle()).take(600)
    {
        let frame = frame(length, number);
        let (from, to) = if number % 2 == 0 { (east, west) } else { (west, east) };
        from.send(&frame).unwrap();
        let got = to.recv_that(SOON, |got| got[12..14] == EXPERIMENT).unwrap();
        assert!(got.as_ref() == Some(&frame), "frame {number} of {length} bytes: {got:02x?}");
    }
    eprintln!("600 frames, one after the other, in {:.2} s", begun.elapsed().as_secs_f64());
    let log = guest.must("journalctl --unit testpmd --no-pager --output cat");
    assert!(log.contains("IOMMU type 1") || log.contains("VFIO support initialized"), "{log}");
}

/// A frame that nobody answers, with its number and its length in its content.
fn frame(length: usize, number: u32) -> Vec<u8> {
    let mut frame = [&[2, 0, 0, 0, 0, 2][..], &HERE, &EXPERIMENT, &number.to_be_bytes()].concat();
    let step = u8::try_from(number % 251).unwrap();
    frame.extend(
        (0_u8..=255).cycle().map(|n| n.wrapping_mul(3).wrapping_add(step)).take(length - 18),
    );
    frame
}

/// Asks until there is an answer; a NIC that has just come up may miss a frame.
fn until_answered(nic: &Nic, asked: &[u8], wanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let deadline = Instant::now() + SOON;
    loop {
        nic.send(asked).unwrap();
        if let Some(answer) = nic.recv_that(Duration::from_millis(500), &wanted).unwrap() {
            return answer;
        }
        assert!(Instant::now() < deadline, "no answer");
    }
}

/// Sends until it arrives, for the forwarder may still be starting; whether it does.
fn is_carried(from: &Nic, to: &Nic, frame: &[u8]) -> bool {
    let deadline = Instant::now() + 3 * SOON;
    while Instant::now() < deadline {
        from.send(frame).unwrap();
        if to.recv_that(Duration::from_millis(500), |got| got == frame).unwrap().is_some() {
            return true;
        }
    }
    false
}
