//! Every frame is accounted for: received = sent + Σ dropped + held, per worker and over all, and against the wire.

use scenarios::{Daemon, Site, capture, cpus, daemon::Balance, frames};

/// Some frames are reflected, some sampled away, some dropped by configuration and some by `reflect`.
const CONFIG: &str = r#"
[cores]
workers = "{workers}"

[memory]
huge = "none"

[pipeline]
mode = "{mode}"
ring_capacity = 65536

[[port]]
name = "north"
device = "vdev:net_pcap0,rx_pcap={dir}/in.pcap,tx_pcap={dir}/answers.pcap"
addresses = ["192.0.2.1/24", "2001:db8::1/64"]
input = "count"

[[stage]]
name = "count"
kind = "count"
to = "sample"

[[stage]]
name = "sample"
kind = "sample"
every = 5
to = "reflect"
sampled = "drop"

[[stage]]
name = "reflect"
kind = "reflect"
to = "tx:north"
"#;

#[test]
fn every_frame_is_sent_or_dropped_with_a_reason() {
    balances("run-to-completion", 1);
}

#[test]
fn every_frame_is_sent_or_dropped_with_a_reason_when_staged() {
    balances("staged", 2);
}

fn balances(mode: &str, workers: usize) {
    let zoo: Vec<Vec<u8>> = frames::zoo().into_iter().map(|(_, frame)| frame).collect();
    let frames: Vec<Vec<u8>> = zoo.iter().cycle().take(zoo.len() * 20).cloned().collect();
    let total = u64::try_from(frames.len()).expect("not that many");
    let site = Site::new();
    capture::write(&site.path("in.pcap"), &frames);
    let config = CONFIG.replace("{mode}", mode).replace("{workers}", &cpus::workers(workers));
    let daemon = Daemon::start(&site, &config);
    let counters = daemon.wait_until_through(total);
    let stages: api::Stages = daemon.get("/v1/stages");
    let status: api::Status = daemon.get("/v1/status");
    let ended = daemon.stop();
    assert!(ended.status.success(), "{}\n{}", ended.status, ended.said);

    let balance = Balance::of(&counters);
    assert_eq!((balance.received, balance.held, balance.in_rings), (total, 0, 0));
    for worker in &counters.workers {
        let dropped: u64 = worker.dropped.values().sum();
        assert_eq!(
            worker.received + worker.taken,
            worker.sent + dropped + worker.handed + worker.held,
            "{worker:#?}"
        );
        assert!(worker.balanced, "{worker:#?}");
    }
    assert!(counters.balance.balanced && status.balance.violations == 0, "{:#?}", status.balance);

    // Its word against the wire's: what left is in the files.
    let answers = capture::read(&site.path("answers.pcap"));
    assert_eq!(counters.ports[0].tx_packets, u64::try_from(answers.len()).expect("not that many"));

    // One frame of five was sampled away, which is this configuration's only edge to `drop`, but for `other`.
    let sample =
        stages.stages.iter().find(|stage| stage.name == "sample").expect("the stage is there");
    assert_eq!(sample.packets, total);
    assert_eq!(sample.edges["drop"], total / 5);
    assert_eq!(counters.drops["by_config"], total / 5, "{:#?}", counters.drops);
    let by_reason: u64 = counters.drops.values().sum();
    assert_eq!(by_reason, balance.dropped);
    assert_eq!(balance.sent + balance.dropped, total);
}
