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

/// Lets a capture cross while the test does something: `crosses` gets the number of frames, and says how often the test did
/// it before the last of them had crossed. Where that is less often than wanted, since the machine has better to do than
/// to run a test, the capture is too short, and the next one is longer.
///
/// # Panics
/// When not even a long one is long enough.
pub fn crosses_while(wanted: u64, mut crosses: impl FnMut(u32) -> u64) {
    const FIRST: u32 = 300_000;
    let lengths = [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST];
    let is_enough = lengths.into_iter().any(|frames| crosses(frames) >= wanted);
    assert!(is_enough, "no capture was long enough");
}
