//! Without root: the bundled capture, replayed from memory as fast as one worker takes it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use scenarios::{Daemon, Site, capture, frames};

use crate::{say, show};

const CONFIG: &str = r#"
[memory]
huge = "none"

[[port]]
name = "north"
device = "vdev:net_pcap0,rx_pcap={dir}/everyday.pcap,infinite_rx=1"
input = "north-in"

[[port]]
name = "south"
device = "vdev:net_null0"
input = "none"

[[stage]]
name = "north-in"
kind = "count"
to = "wire"

[[stage]]
name = "wire"
kind = "cross"
to = "tx:south"
"#;

/// How long the capture is replayed.
const SECONDS: u64 = 3;

/// Replays, and shows what was measured.
pub(crate) fn run(why: &str, interrupted: &AtomicBool) {
    say::chapter("A capture through barewired");
    say::remark(format!("left out ({why}): two hosts in network namespaces, ping, TCP, hugepages"));
    let site = Site::new();
    let bundled = scenarios::programs::top().join("tests/fixtures/captures/everyday.pcap");
    let frames = if bundled.is_file() { capture::read(&bundled) } else { frames::everyday() };
    capture::write(&site.path("everyday.pcap"), &frames);
    let daemon = Daemon::start(&site, CONFIG);
    say::remark(format!(
        "{} frames, over and over, for {SECONDS} s: north → count → wire → south",
        frames.len()
    ));

    let begun = Instant::now();
    let mut last = (begun, daemon.counters());
    for second in 1..=SECONDS {
        while begun.elapsed() < Duration::from_secs(second) {
            assert!(!interrupted.load(Ordering::Relaxed), "interrupted");
            thread::sleep(Duration::from_millis(20));
        }
        let counters = daemon.counters();
        let now = Instant::now();
        let sent = counters.balance.sent - last.1.balance.sent;
        #[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
        let rate = sent as f64 / (now - last.0).as_secs_f64() / 1e6;
        say::remark(format!(
            "second {second}: {rate:.2} million frames a second, each one measured"
        ));
        last = (now, counters);
    }
    show::all(daemon);
}
