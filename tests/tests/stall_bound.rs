//! A worker that is stopped for 50 ms under load: the frames that waited show it in the bound's tail, and the gap is in
//! the log of stalls.

use std::time::Duration;

use scenarios::{
    Daemon, Netns, Setup, Site, configs, configs::ENDLESS, latency, load, netns, skip, wait,
};

const STOPPED: Duration = Duration::from_millis(50);
const STOPPED_NS: u64 = 50_000_000;

#[test]
fn a_stopped_worker_shows_in_barewire_stalls() {
    let site = Site::new();
    let daemon = load::started(&site, ENDLESS);
    daemon.pause(STOPPED);

    let stall = wait::until("the stall", || longest_stall(&daemon));
    assert!(stall.pending > 0 && stall.saturated, "the load did not stop: {stall:?}");
    let output = daemon.barewire(["stalls", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stalls: api::Stalls =
        serde_json::from_slice(&output.stdout).expect("barewire's JSON is the daemon's");
    // Its cause may have become known between the two.
    let is_there = stalls.stalls.iter().any(|told| {
        (told.worker, told.sequence, told.length_ns)
            == (stall.worker, stall.sequence, stall.length_ns)
    });
    assert!(is_there, "{stall:?} is not in {stalls:#?}");
    let worst = daemon.counters().workers.iter().map(|worker| worker.worst_gap_ns).max();
    assert!(worst >= Some(STOPPED_NS), "{worst:?}");
    assert_eq!(daemon.stop().status.code(), Some(0));
}

#[test]
fn frames_that_waited_for_a_stopped_worker_are_in_the_tail_of_bound() {
    if skip::without_root() || skip::without_program("ping") {
        return;
    }
    // A paced load, so that the rx queue is empty now and then: only then has a frame's wait a bound.
    let (north, wire) = (Netns::new("north"), Netns::silent("box"));
    netns::join((&north, "eth0"), (&wire, "north"), 1500);
    north.address("eth0", "192.0.2.9/24");
    let site = Site::new();
    let config = configs::reflector("net_af_packet0,iface=north");
    let daemon = Setup::new(&site, &config).netns(&wire).start();
    // Every two milliseconds, answered or not.
    let mut load = north.spawn("ping", &["-q", "-i", "0.002", "192.0.2.1"]);
    wait::until("the first echoes", || (daemon.counters().balance.sent > 100).then_some(()));
    daemon.pause(STOPPED);

    let stall = wait::until("the stall", || longest_stall(&daemon));
    let entry = wait::until("the frames that waited", || {
        let reading: api::Latency = daemon.get("/v1/latency");
        let entry = latency::of_port(&reading, "lan").clone();
        (entry.bound.max_ns >= STOPPED_NS).then_some(entry)
    });
    load.kill().and_then(|()| load.wait()).expect("our child");

    let bound = latency::histogram(&entry.bound);
    let waited = bound.len() - bound.count_between(0, STOPPED_NS * 99 / 100);
    assert!(
        waited >= u64::from(stall.pending.max(1)),
        "{} frames were pending, and {waited} are in the tail: {entry:#?}",
        stall.pending
    );
    assert_eq!(entry.bound.count, entry.residence.count, "each frame is in both");
    println!(
        "pending after {} ns: {}, in the tail of bound: {waited}",
        stall.length_ns, stall.pending
    );
    assert_eq!(daemon.stop().status.code(), Some(0));
}

/// The longest stall, once it is as long as ours.
fn longest_stall(daemon: &Daemon) -> Option<api::Stall> {
    let stalls: api::Stalls = daemon.get("/v1/stalls");
    stalls
        .stalls
        .into_iter()
        .filter(|stall| stall.length_ns >= STOPPED_NS * 99 / 100)
        .max_by_key(|stall| stall.length_ns)
}
