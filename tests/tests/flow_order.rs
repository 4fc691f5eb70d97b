//! Frames of a flow leave in the order in which they came: 10 000 flows, in every mode that this machine has CPUs for.

use std::collections::HashMap;

use scenarios::{Daemon, Site, capture, configs, cpus, frames, frames::Random};

const FLOWS: u32 = 10_000;
const PER_FLOW: u32 = 6;

#[test]
fn one_worker_keeps_every_flow_in_order() {
    keeps_order("run-to-completion", 1, 1, 1);
}

#[test]
fn two_workers_with_a_queue_each_keep_every_flow_in_order() {
    keeps_order("run-to-completion", 2, 2, 2);
}

#[test]
fn staged_workers_keep_every_flow_in_order() {
    // One receives; with two they share the rest, with more there is a fan-out to several graphs.
    let workers = cpus::count().min(4);
    keeps_order("staged", workers, 1, 8);
}

/// `tx_files` is at least the number of transmit queues: a file each.
fn keeps_order(mode: &str, workers: usize, queues: u32, tx_files: usize) {
    let site = Site::new();
    // As RSS does: all frames of a flow in the same queue.
    let frames = interleaved();
    let mut rx = Vec::new();
    for queue in 0..queues {
        let name = format!("in{queue}.pcap");
        let of_queue: Vec<Vec<u8>> = frames
            .iter()
            .filter(|(flow, _)| flow % queues == queue)
            .map(|(_, frame)| frame.clone())
            .collect();
        capture::write(&site.path(&name), &of_queue);
        rx.push(name);
    }
    let tx: Vec<String> = (0..tx_files).map(|file| format!("out{file}.pcap")).collect();
    let config = configs::captures(mode, &cpus::workers(workers), &rx, &tx);
    let daemon = Daemon::start(&site, &config);
    daemon.wait_until_through(u64::from(FLOWS * PER_FLOW));
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}\n{}", ended.status, ended.said);

    let mut next: HashMap<u32, u32> = HashMap::new();
    let mut seen = 0;
    for file in &tx {
        for frame in capture::read(&site.path(file)) {
            let (flow, sequence) = (number(&frame[42..]), number(&frame[46..]));
            let expected = next.entry(flow).or_default();
            assert_eq!(sequence, *expected, "flow {flow} in {file}");
            *expected += 1;
            seen += 1;
        }
    }
    assert_eq!(seen, FLOWS * PER_FLOW);
    assert!(next.len() == FLOWS as usize && next.values().all(|count| *count == PER_FLOW));
}

/// Every flow's frames in order, the flows mixed: flow and sequence number are the payload.
fn interleaved() -> Vec<(u32, Vec<u8>)> {
    let mut random = Random(10_000);
    let mut left: Vec<(u32, u32)> = (0..FLOWS).map(|flow| (flow, 0)).collect();
    let mut frames = Vec::new();
    while !left.is_empty() {
        let at = usize::try_from(random.below(left.len() as u64)).expect("an index");
        let (flow, sequence) = left[at];
        let payload = [flow.to_be_bytes(), sequence.to_be_bytes()].concat();
        frames.push((flow, frames::udp4(flow, &payload)));
        if sequence + 1 == PER_FLOW {
            left.swap_remove(at);
        } else {
            left[at].1 += 1;
        }
    }
    frames
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"))
}
