//! `top`: one frame as text, the same as JSON, and live on a pseudo-terminal.

use std::{
    fs::File,
    io::{Read, Write},
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use crate::support::{Daemon, Reply, barewire, fixture, latency_json};
use insta::assert_snapshot;
use rustix::{
    process::{Pid, Signal, kill_process},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

fn two_looks() -> Daemon {
    let pair =
        |earlier: String, later: String| [earlier, later].map(|text| Reply::Json(200, text)).into();
    Daemon::new([
        ("/v1/status", pair(fixture("status.json"), fixture("status-later.json"))),
        ("/v1/counters", pair(fixture("counters.json"), fixture("counters-later.json"))),
        ("/v1/latency", pair(latency_json(10_000_000_000, 100), latency_json(12_000_000_000, 200))),
        ("/v1/stalls", pair(fixture("stalls.json"), fixture("stalls.json"))),
    ])
}

#[test]
fn the_overview_fits_a_small_terminal() {
    let text = two_looks().stdout(&["top", "--once", "--every", "0.001"]);
    assert!(text.lines().count() <= 24, "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert_snapshot!(text);
}

#[test]
fn every_tab_has_its_frame() {
    let tabs = ["workers", "latency", "drops", "stalls"]
        .map(|tab| two_looks().stdout(&["top", "--once", "--every", "0.001", "--tab", tab]));
    assert_snapshot!(tabs.join("\n════\n\n"));
}

#[test]
fn a_frame_as_json_has_rates_and_latency_of_the_interval() {
    let text = two_looks().stdout(&["top", "--json", "--every", "0.001"]);
    let view: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(view["schema"], 1);
    assert_eq!(view["rates"]["ports"][0]["rx_packets"], 14_880_000.0);
    assert_eq!(view["workers"][1]["stuck"], true);
    assert_eq!(view["workers"][0]["new_stalls"], 2);
    let south = view["latency"].as_array().unwrap().iter().find(|row| row["worker"] == 0).unwrap();
    assert_eq!(south["frames"], 100_000, "only those of the interval");
    assert_eq!(south["bound"]["p99.99"], serde_json::json!(50_331_647));
}

#[test]
fn a_restart_between_two_looks_is_said() {
    let again = fixture("status-later.json").replace("4711", "4712");
    let daemon = Daemon::new([
        ("/v1/status", [fixture("status.json"), again].map(|text| Reply::Json(200, text)).into()),
        ("/v1/counters", vec![Reply::Json(200, fixture("counters.json"))]),
        ("/v1/latency", vec![Reply::Json(200, latency_json(1, 1))]),
        ("/v1/stalls", vec![Reply::Json(200, fixture("stalls.json"))]),
    ]);
    let output = daemon.barewire(&["top", "--once", "--every", "0.001"]);
    assert_eq!(output.status.code(), Some(6));
    assert!(crate::support::text(&output.stderr).contains("restarted"), "{output:?}");
}

/// `barewire top` on a terminal of 80 by 24 characters.
struct Live {
    child: Child,
    terminal: File,
    seen: String,
}

impl Live {
    fn start(daemon: &Daemon) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&terminal).expect("its other end");
        unlockpt(&terminal).expect("its other end");
        let name = ptsname(&terminal, Vec::new()).expect("its name");
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).expect("its size");
        let other = File::options()
            .read(true)
            .write(true)
            .open(name.to_str().expect("/dev/pts/N"))
            .expect("it opens");
        let child = barewire()
            .arg("--socket")
            .arg(&daemon.socket)
            .args(["top", "--every", "0.02"])
            .stdin(other.try_clone().expect("a handle"))
            .stdout(other.try_clone().expect("a handle"))
            .stderr(other)
            .spawn()
            .expect("barewire starts");
        Self { child, terminal: File::from(terminal), seen: String::new() }
    }

    /// Reads until a text is on the screen. Each read blocks until the program draws or ends.
    #[track_caller]
    fn until(&mut self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !self.seen.contains(text) {
            assert!(Instant::now() < deadline, "no {text:?} in {:?}", self.seen);
            let mut bytes = [0; 4096];
            let count = self.terminal.read(&mut bytes).unwrap_or(0);
            assert!(count > 0, "the program ended without {text:?} in {:?}", self.seen);
            self.seen += &crate::support::text(&bytes[..count]);
        }
        self.seen.clear();
    }

    fn press(&mut self, keys: &str) {
        self.terminal.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Reads what is left and says how the program ended.
    fn end(mut self) -> (ExitStatus, String) {
        let mut bytes = [0; 4096];
        // EIO once the program has closed its end.
        while let Ok(count @ 1..) = self.terminal.read(&mut bytes) {
            self.seen += &crate::support::text(&bytes[..count]);
        }
        (self.child.wait().expect("it was started"), self.seen)
    }
}

const LEAVES_THE_ALTERNATE_SCREEN: &str = "\u{1b}[?1049l";

#[test]
fn the_live_screen_obeys_its_keys_and_gives_the_terminal_back() {
    let daemon = steady();
    let mut live = Live::start(&daemon);
    live.until("[Overview]");
    live.press("\u{1b}[C");
    live.until("[Workers]");
    live.press("5");
    live.until("[Stalls]");
    live.press("p");
    live.until("PAUSED");
    live.press("q");
    let (status, rest) = live.end();
    assert_eq!(status.code(), Some(0), "{rest:?}");
    assert!(rest.contains(LEAVES_THE_ALTERNATE_SCREEN), "{rest:?}");
}

#[test]
fn sigterm_gives_the_terminal_back_too() {
    let daemon = steady();
    let mut live = Live::start(&daemon);
    live.until("[Overview]");
    kill_process(Pid::from_child(&live.child), Signal::TERM).unwrap();
    let (status, rest) = live.end();
    assert_eq!(status.code(), Some(0), "{rest:?}");
    assert!(rest.contains(LEAVES_THE_ALTERNATE_SCREEN), "{rest:?}");
}

#[test]
fn a_daemon_that_goes_away_under_the_live_screen_is_told_and_looked_for_again() {
    let mut live = {
        let daemon = steady();
        let mut live = Live::start(&daemon);
        live.until("[Overview]");
        live
    };
    live.until("trying again");
    live.press("q");
    assert_eq!(live.end().0.code(), Some(0));
}

/// The same numbers at every look but the first.
fn steady() -> Daemon {
    Daemon::new([
        ("/v1/status", vec![Reply::Json(200, fixture("status.json"))]),
        (
            "/v1/counters",
            vec![
                Reply::Json(200, fixture("counters.json")),
                Reply::Json(200, fixture("counters-later.json")),
            ],
        ),
        ("/v1/latency", vec![Reply::Json(200, latency_json(1, 1))]),
        ("/v1/stalls", vec![Reply::Json(200, fixture("stalls.json"))]),
    ])
}
