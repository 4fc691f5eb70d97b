//! What the daemon takes beside the packet memory.

use std::fs;

use scenarios::{Site, configs::ENDLESS, load, skip};

#[test]
fn resident_memory_beside_the_hugepages_is_below_64_mib() {
    if skip::without_root() || skip::without_hugepages(128) {
        return;
    }
    let site = Site::new();
    let config = ENDLESS.replace("huge = \"none\"", "huge = \"2M\"");
    let daemon = load::started(&site, &config);
    for _ in 0..20 {
        let _latency: api::Latency = daemon.get("/v1/latency");
    }
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid().as_raw_nonzero()))
        .expect("its status");
    // VmRSS does not count hugepages: proc(5), HugetlbPages.
    let kib = |field: &str| -> u64 {
        let line =
            status.lines().find_map(|line| line.strip_prefix(field)).expect("a field of status");
        line.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number of kB")
    };
    let (resident, huge) = (kib("VmRSS:"), kib("HugetlbPages:"));
    println!(
        "resident {resident} kB, of it anonymous {} kB; beside it {huge} kB of hugepages",
        kib("RssAnon:")
    );
    assert!(huge > 0, "packet memory is in hugepages");
    assert!(resident < 64 * 1024, "{resident} kB\n{status}");
    assert_eq!(daemon.stop().status.code(), Some(0));
}
