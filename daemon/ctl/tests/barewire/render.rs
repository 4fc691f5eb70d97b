//! What a person sees of each answer, from the socket to the screen.

use crate::support::{Daemon, Reply, fixture, latency_json, text};
use insta::assert_snapshot;

#[test]
fn status_is_one_screen() {
    assert_snapshot!(Daemon::json("/v1/status", fixture("status.json")).stdout(&["status"]));
}

#[test]
fn status_in_colour() {
    let text =
        Daemon::json("/v1/status", fixture("status.json")).stdout(&["status", "--color=always"]);
    assert_snapshot!(text.replace('\u{1b}', "␛"));
}

#[test]
fn a_balance_that_does_not_hold_is_loud() {
    let status = fixture("status.json")
        .replace("\"balanced\": true, \"violations\": 0", "\"balanced\": false, \"violations\": 2");
    let text = Daemon::json("/v1/status", status).stdout(&["status"]);
    let loud = "NOT BALANCED: frames are not accounted for, in 2 readings since the start";
    assert!(text.contains(loud), "{text}");
}

#[test]
fn counts_that_were_not_published_in_time_are_no_alarm() {
    let unknown = |name: &str| fixture(name).replace("\"balanced\": true", "\"balanced\": false");
    let daemon = Daemon::new([
        ("/v1/status", vec![Reply::Json(200, unknown("status.json"))]),
        ("/v1/counters", vec![Reply::Json(200, unknown("counters.json"))]),
    ]);
    for command in ["status", "counters"] {
        let text = daemon.stdout(&[command]);
        assert!(text.contains("a worker did not publish its counts in time"), "{text}");
        assert!(!text.contains("NOT BALANCED") && !text.contains(" NO\n"), "{text}");
    }
    assert!(daemon.stdout(&["counters"]).contains(" ?\n"));
}

#[test]
fn plan_says_which_core_does_what_and_why() {
    assert_snapshot!(Daemon::json("/v1/plan", fixture("plan.json")).stdout(&["plan"]));
}

#[test]
fn counters_are_tables_with_a_balance() {
    assert_snapshot!(Daemon::json("/v1/counters", fixture("counters.json")).stdout(&["counters"]));
}

#[test]
fn counters_rate_is_the_difference_of_two_readings() {
    assert_snapshot!(two_counters().stdout(&["counters", "--rate=0.001"]));
}

#[test]
fn counters_rate_has_json_of_its_own() {
    let text = two_counters().stdout(&["counters", "--rate=0.001", "--json"]);
    let rates: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(rates["schema"], 1);
    assert_eq!(rates["ports"][0]["rx_packets"], 14_880_000.0);
    assert_eq!(rates["ports"][0]["rx_bits"], 14_880_000.0 * 64.0 * 8.0);
    assert_eq!(rates["drops"], serde_json::json!({"tx_full": 40.0}));
    assert_eq!(rates["workers"][0]["busy_ratio"], 0.975);
}

fn two_counters() -> Daemon {
    let replies =
        ["counters.json", "counters-later.json"].map(|name| Reply::Json(200, fixture(name)));
    Daemon::new([("/v1/counters", replies.into())])
}

#[test]
fn a_restart_between_two_readings_is_said() {
    let replies =
        ["counters-later.json", "counters.json"].map(|name| Reply::Json(200, fixture(name)));
    let daemon = Daemon::new([("/v1/counters", replies.into())]);
    let output = daemon.barewire(&["counters", "--rate=0.001"]);
    assert_eq!(output.status.code(), Some(6));
    assert!(crate::support::text(&output.stderr).contains("restarted"), "{output:?}");
}

#[test]
fn latency_draws_a_histogram_per_worker_and_port() {
    let daemon = Daemon::json("/v1/latency", latency_json(60_000_000_000, 100));
    assert_snapshot!(daemon.stdout(&["latency"]));
}

#[test]
fn latency_summary_leaves_the_histograms_out_and_filters_choose() {
    let daemon = Daemon::json("/v1/latency", latency_json(60_000_000_000, 100));
    assert_snapshot!(daemon.stdout(&["latency", "--summary", "--port", "south", "--worker", "1"]));
}

#[test]
fn latency_of_an_interval_leaves_out_what_was_before() {
    let replies = [latency_json(60_000_000_000, 100), latency_json(62_000_000_000, 103)];
    let daemon = Daemon::new([("/v1/latency", replies.map(|text| Reply::Json(200, text)).into())]);
    let text = daemon.stdout(&["latency", "--interval=0.001", "--summary"]);
    // Three thousand frames support p99 and, weakly, not p99.9.
    assert!(text.contains("worker 0 → south: 3,000 frames in 2.0 s"), "{text}");
    assert!(text.contains("worker 1 → north: 0 frames in 2.0 s"), "{text}");
    assert_snapshot!(text);
}

#[test]
fn latency_json_with_a_filter_keeps_the_schema() {
    let daemon = Daemon::json("/v1/latency", latency_json(60_000_000_000, 100));
    let text = daemon.stdout(&["latency", "--json", "--port", "north"]);
    let latency: api::Latency = serde_json::from_str(&text).unwrap();
    assert_eq!(
        latency.entries.iter().map(|entry| entry.worker).collect::<Vec<_>>(),
        [Some(1), None]
    );
}

#[test]
fn latency_of_nobody_is_a_usage_error() {
    let daemon = Daemon::json("/v1/latency", latency_json(60_000_000_000, 100));
    let output = daemon.barewire(&["latency", "--worker", "9", "--port", "south"]);
    assert_eq!(output.status.code(), Some(2));
    let said = crate::support::text(&output.stderr);
    assert!(said.contains("worker 9 sent nothing to port \"south\""), "{said}");
}

#[test]
fn latency_before_the_first_frame_says_so() {
    let empty = r#"{"schema":1,"at_ns":5,"entries":[],"rings":[]}"#;
    let text = Daemon::json("/v1/latency", empty).stdout(&["latency"]);
    assert_eq!(text, "no frame was sent since the start\n");
}

#[test]
fn hlog_files_are_read_back_with_every_frame() {
    use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
    use hdrhistogram::{
        Histogram,
        serialization::{
            Deserializer,
            interval_log::{IntervalLogIterator, LogEntry},
        },
    };

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out.hlog");
    let daemon = Daemon::json("/v1/latency", latency_json(60_000_000_000, 100));
    daemon.stdout(&["latency", "--summary", "--hlog", file.to_str().unwrap()]);

    let log = std::fs::read(&file).unwrap();
    let mut tags = Vec::new();
    for entry in IntervalLogIterator::new(&log) {
        if let LogEntry::Interval(interval) = entry.unwrap() {
            let bytes = BASE64.decode(interval.encoded_histogram()).unwrap();
            let histogram: Histogram<u64> =
                Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
            assert_eq!(interval.duration().as_secs(), 60);
            tags.push(format!("{} {}", interval.tag().unwrap().as_str(), histogram.len()));
        }
    }
    assert_eq!(tags.len(), 10);
    assert_eq!(tags[0], "w0.south.residence 100000");
    assert_eq!(tags[7], "all.south.bound 200000");
}

/// What `metrics` asks for.
fn measured() -> Daemon {
    Daemon::new([
        ("/v1/status", vec![Reply::Json(200, fixture("status.json"))]),
        ("/v1/counters", vec![Reply::Json(200, fixture("counters.json"))]),
        ("/v1/latency", vec![Reply::Json(200, latency_json(60_000_000_000, 100))]),
    ])
}

#[test]
fn metrics_are_openmetrics() {
    assert_snapshot!(measured().stdout(&["metrics"]));
}

#[test]
fn metrics_replace_a_file_that_others_may_read() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("barewired.prom");
    std::fs::write(&file, "old").unwrap();

    let shown = measured().stdout(&["metrics", "--file", file.to_str().unwrap()]);

    assert_eq!(shown, "");
    let written = std::fs::read_to_string(&file).unwrap();
    let values = |text: &str| {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(values(&written), values(&measured().stdout(&["metrics"])));
    assert!(written.contains("# TYPE barewired_stalls_total counter\n"), "{written}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    let nowhere = folder.path().join("none/barewired.prom");
    let output = measured().barewire(&["metrics", "--file", nowhere.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("the metrics can not be written"));
}

#[test]
fn stalls_are_told_one_by_one() {
    assert_snapshot!(Daemon::json("/v1/stalls", fixture("stalls.json")).stdout(&["stalls"]));
}

#[test]
fn no_stalls_is_good_news() {
    let none = r#"{"schema":1,"threshold_ns":20000,"stalls":[],"next":[0],"lost":0,"total":0}"#;
    let text = Daemon::json("/v1/stalls", none).stdout(&["stalls"]);
    assert_eq!(text, "no gap between two polls was longer than 20.0 µs\n");
}

#[test]
fn stages_show_their_edges_and_costs() {
    assert_snapshot!(Daemon::json("/v1/stages", fixture("stages.json")).stdout(&["stages"]));
}

#[test]
fn ports_show_the_drivers_own_statistics_on_demand() {
    let daemon = Daemon::json("/v1/ports", fixture("ports.json"));
    assert!(!daemon.stdout(&["ports"]).contains("rx_good_packets"));
    assert_snapshot!(daemon.stdout(&["ports", "--driver"]));
}

#[test]
fn drops_say_what_each_reason_means() {
    let daemon = Daemon::json("/v1/drops", fixture("drops.json"));
    assert!(!daemon.stdout(&["drops"]).contains("not_for_us"));
    assert_snapshot!(daemon.stdout(&["drops", "--all"]));
}

#[test]
fn reload_says_what_changed_and_what_it_cost() {
    let daemon = Daemon::json("/v1/reload", fixture("reload.json"));
    assert_snapshot!(daemon.stdout(&["reload"]));
    assert_eq!(
        daemon.requests(),
        [("POST /v1/reload".to_owned(), r#"{"restart_ports":false}"#.to_owned())]
    );
}

#[test]
fn reload_with_ports_restarted_says_which_and_for_how_long_nothing_was_received() {
    let daemon = Daemon::json("/v1/reload", fixture("reload-ports.json"));
    assert_snapshot!(daemon.stdout(&["reload", "--restart-ports"]));
    assert_eq!(
        daemon.requests(),
        [("POST /v1/reload".to_owned(), r#"{"restart_ports":true}"#.to_owned())]
    );
}

#[test]
fn names_can_not_steer_the_terminal() {
    let status = fixture("status.json").replace("net_tap\"", "net\\u001b[31m\\u0007tap\"");
    let text = Daemon::json("/v1/status", status).stdout(&["status"]);
    assert!(!text.contains(['\u{1b}', '\u{7}']), "{text}");
    assert!(text.contains("net\u{fffd}[31m\u{fffd}tap"), "{text}");
}

#[test]
fn help_tells_the_exit_codes_and_every_verb() {
    let output = crate::support::barewire().arg("--help").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_snapshot!(crate::support::text(&output.stdout));
}
