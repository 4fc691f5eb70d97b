//! A wire changes nothing: what goes in comes out, byte by byte and in order, whatever it is.

use scenarios::{Daemon, Site, capture, configs, cpus, frames};

#[test]
fn every_animal_of_the_zoo_crosses_unchanged_and_in_order() {
    let zoo: Vec<Vec<u8>> = frames::zoo().into_iter().map(|(_, frame)| frame).collect();
    crosses_unchanged("run-to-completion", 1, &zoo);
}

#[test]
fn every_animal_of_the_zoo_crosses_unchanged_and_in_order_when_staged() {
    let zoo: Vec<Vec<u8>> = frames::zoo().into_iter().map(|(_, frame)| frame).collect();
    crosses_unchanged("staged", 2, &zoo);
}

#[test]
fn every_length_from_one_byte_to_a_full_frame_crosses_unchanged() {
    let long = frames::Random(1).bytes(1514);
    let lengths: Vec<Vec<u8>> = (1..=long.len()).map(|length| long[..length].to_vec()).collect();
    crosses_unchanged("run-to-completion", 1, &lengths);
}

fn crosses_unchanged(mode: &str, workers: usize, frames: &[Vec<u8>]) {
    let site = Site::new();
    capture::write(&site.path("in.pcap"), frames);
    let (rx, tx) = (["in.pcap".to_owned()], ["out.pcap".to_owned()]);
    let config = configs::captures(mode, &cpus::workers(workers), &rx, &tx);
    let daemon = Daemon::start(&site, &config);
    let total = u64::try_from(frames.len()).expect("not that many");
    let counters = daemon.wait_until_through(total);
    let ended = daemon.stop();

    assert!(ended.status.success(), "{}\n{}", ended.status, ended.said);
    capture::assert_same(&capture::read(&site.path("out.pcap")), frames);
    let bytes: usize = frames.iter().map(Vec::len).sum();
    let bytes = u64::try_from(bytes).expect("not that many");
    let (north, south) = (&counters.ports[0], &counters.ports[1]);
    assert_eq!((north.rx_packets, north.rx_bytes), (total, bytes));
    assert_eq!((south.tx_packets, south.tx_bytes), (total, bytes));
    assert_eq!(counters.drops.values().sum::<u64>(), 0, "{:?}", counters.drops);
}
