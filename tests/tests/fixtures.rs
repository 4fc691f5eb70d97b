//! The bundled capture is what the harness builds: nobody has to trust a binary file.

use std::{env, fs};

use scenarios::{Site, capture, frames, programs};

#[test]
fn the_bundled_capture_holds_the_everyday_frames() {
    let bundled = programs::top().join("tests/fixtures/captures/everyday.pcap");
    if env::var_os("BLESS").is_some() {
        capture::write(&bundled, &frames::everyday());
    }
    let site = Site::new();
    capture::write(&site.path("fresh.pcap"), &frames::everyday());

    assert_eq!(capture::read(&bundled), frames::everyday());
    assert_eq!(
        fs::read(&bundled).expect("the bundled capture"),
        fs::read(site.path("fresh.pcap")).expect("the fresh one"),
        "run this test with BLESS=1 after a change to frames::everyday, and commit the capture"
    );
}
