//! Staged mode: what its rings say, and that a full ring is a counted drop and never a wait.

use scenarios::{Daemon, Site, capture, cpus, daemon::Balance, frames, wait};

const CONFIG: &str = r#"
[cores]
workers = "{workers}"

[memory]
huge = "none"

[pipeline]
mode = "staged"
ring_capacity = 64

[[port]]
name = "north"
device = "vdev:net_pcap0,rx_pcap={dir}/in.pcap,infinite_rx=1"
input = "count"

[[port]]
name = "south"
device = "vdev:net_null0"
input = "none"

[[stage]]
name = "count"
kind = "count"
to = "tx:south"
"#;

#[test]
fn rings_say_how_full_they_are_and_every_frame_that_did_not_fit_is_counted() {
    let site = Site::new();
    capture::write(&site.path("in.pcap"), &frames::everyday());
    let daemon = Daemon::start(&site, &CONFIG.replace("{workers}", &cpus::workers(2)));

    // A receiver that does not wait, and rings for one burst: some time, something does not fit.
    wait::until("a ring that was full", || {
        (daemon.counters().drops["ring_full"] > 0).then_some(())
    });
    let latency: api::Latency = wait::until("a ring that was emptied", || {
        let latency: api::Latency = daemon.get("/v1/latency");
        latency.rings.iter().any(|ring| ring.passed > 0).then_some(latency)
    });
    assert!(!latency.rings.is_empty());
    for ring in &latency.rings {
        assert!(ring.occupancy <= ring.capacity && ring.high_water <= ring.capacity, "{ring:?}");
    }
    assert!(
        latency.rings.iter().any(|ring| ring.passed > 0 && ring.high_water > 0),
        "{:?}",
        latency.rings
    );

    let plan: api::Plan = daemon.get("/v1/plan");
    assert_eq!(plan.mode, "staged");
    assert_eq!(plan.rings.len(), latency.rings.len());
    assert_eq!(
        plan.workers.iter().map(|worker| worker.role.as_str()).collect::<Vec<_>>(),
        ["rx", "graph+tx"]
    );

    let status: api::Status = daemon.get("/v1/status");
    assert_eq!(status.balance.violations, 0, "{:#?}", status.balance);
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}\n{}", ended.status, ended.said);
}

#[test]
fn a_finite_load_leaves_nothing_in_the_rings() {
    let site = Site::new();
    let everyday = frames::everyday();
    let frames: Vec<Vec<u8>> = everyday.iter().cycle().take(20_000).cloned().collect();
    capture::write(&site.path("in.pcap"), &frames);
    let config = CONFIG
        .replace(",infinite_rx=1", "")
        .replace("ring_capacity = 64", "ring_capacity = 65536")
        .replace("{workers}", &cpus::workers(2));
    let daemon = Daemon::start(&site, &config);
    let counters = daemon.wait_until_through(20_000);

    let balance = Balance::of(&counters);
    assert_eq!((balance.sent, balance.dropped, balance.in_rings, balance.held), (20_000, 0, 0, 0));
    let latency: api::Latency = daemon.get("/v1/latency");
    assert!(latency.rings.iter().all(|ring| ring.occupancy == 0), "{:?}", latency.rings);
    assert_eq!(latency.rings.iter().map(|ring| ring.passed).max(), Some(20_000));
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}\n{}", ended.status, ended.said);
}
