//! A daemon under a load without end: what most scenarios begin with.

use crate::{Daemon, Site, capture, frames, wait};

/// Frames of every kind, replayed from memory without end, over a wire to nowhere. `{dir}` is the site's directory.
pub const WIRE: &str = r#"
[memory]
huge = "none"

[[port]]
name = "north"
device = "vdev:net_pcap0,rx_pcap={dir}/in.pcap,infinite_rx=1"
input = "wire"

[[port]]
name = "south"
device = "vdev:net_null0"
input = "none"

[[stage]]
name = "wire"
kind = "cross"
to = "tx:south"
"#;

/// Writes `in.pcap`, starts a daemon, and waits until frames flow.
///
/// # Panics
/// When they do not.
#[must_use]
pub fn started(site: &Site, config: &str) -> Daemon {
    capture::write(&site.path("in.pcap"), &frames::everyday());
    let daemon = Daemon::start(site, config);
    wait_for_frames(&daemon);
    daemon
}

/// Waits until more frames are sent than now.
///
/// # Panics
/// When none are.
pub fn wait_for_frames(daemon: &Daemon) {
    let sent = daemon.counters().balance.sent;
    wait::until("frames to be sent", || (daemon.counters().balance.sent > sent).then_some(()));
}
