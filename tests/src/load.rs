//! A daemon under a load without end ([`ENDLESS`](crate::configs::ENDLESS)): what most scenarios begin with.

use crate::{Daemon, Site, capture, frames, wait};

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
