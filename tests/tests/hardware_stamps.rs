//! A device whose stamps can not be used: the bound counts from the poll, and the reason is told.

use scenarios::{Site, configs::ENDLESS, load, wait};

#[test]
fn stamps_without_a_clock_to_compare_them_with_are_not_used_and_the_reason_is_told() {
    let site = Site::new();
    // net_pcap stamps every frame with the time in the capture, and neither offers that nor has a clock to read.
    let daemon = load::started(&site, ENDLESS);
    let latency = wait::until("frames that were sent", || {
        let latency: api::Latency = daemon.get("/v1/latency");
        (!latency.entries.is_empty()).then_some(latency)
    });
    assert!(latency.entries.iter().all(|entry| entry.bound_from == "poll"), "{latency:?}");
    assert!(!latency.stamps.is_empty());
    for stamps in &latency.stamps {
        let reason = stamps.reason.as_deref().unwrap_or_default();
        assert_eq!((stamps.from.as_str(), stamps.error_ns), ("poll", None));
        assert!(reason.ends_with("offers no receive time stamps"), "{stamps:?}");
    }
    assert!(latency.stamps.iter().any(|stamps| {
        stamps.reason.as_deref().is_some_and(|reason| reason.starts_with("net_pcap"))
    }));
    assert_eq!(daemon.stop().status.code(), Some(0));
}
