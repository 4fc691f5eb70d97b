//! The control socket: every page, its rights, and clients that do not behave.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::{FileTypeExt as _, PermissionsExt as _},
    process::{Command, Output},
};

use scenarios::{Daemon, Site, capture, configs::ENDLESS, frames, http, load, programs, skip};

fn started(site: &Site) -> Daemon {
    load::started(site, ENDLESS)
}

#[test]
fn every_page_is_what_the_api_crate_says() {
    let site = Site::new();
    let daemon = started(&site);
    let status: api::Status = daemon.get("/v1/status");
    let plan: api::Plan = daemon.get("/v1/plan");
    let ports: api::Ports = daemon.get("/v1/ports");
    let stages: api::Stages = daemon.get("/v1/stages");
    let counters: api::Counters = daemon.get("/v1/counters");
    let latency: api::Latency = daemon.get("/v1/latency");
    let stalls: api::Stalls = daemon.get("/v1/stalls");
    let drops: api::Drops = daemon.get("/v1/drops");
    let level: api::LogLevel = daemon.get("/v1/log-level");
    let schemas = [
        status.schema,
        plan.schema,
        ports.schema,
        stages.schema,
        counters.schema,
        latency.schema,
        stalls.schema,
        drops.schema,
        level.schema,
    ];
    assert_eq!(schemas, [api::SCHEMA; 9]);

    assert_eq!(
        status.ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>(),
        ["north", "south"]
    );
    assert!(status.dpdk.starts_with("DPDK"), "{}", status.dpdk);
    assert!(status.tick_hz > 1_000_000, "{}", status.tick_hz);
    assert_eq!(plan.workers.len(), status.workers.len());
    assert_eq!(ports.ports.len(), 2);
    assert_eq!(stages.stages[0].name, "wire");
    assert!(drops.drops.keys().eq(drops.meanings.keys()), "every reason has a meaning");
    assert!(
        drops.drops.values().all(|count| *count == 0),
        "a reason that never happened is there with 0"
    );

    let entry = scenarios::latency::of_port(&latency, "south");
    let residence = scenarios::latency::histogram(&entry.residence);
    assert_eq!(residence.len(), entry.residence.count);
    for percentile in &entry.residence.percentiles {
        // Two histograms of at most 1 % error each.
        let decoded = residence.value_at_percentile(percentile.percentile);
        assert!(
            decoded.abs_diff(percentile.ns) <= decoded / 50 + 1,
            "{percentile:?}, decoded {decoded}"
        );
    }
}

#[test]
fn the_counters_of_the_daemon_and_of_the_driver_agree() {
    let site = Site::new();
    let frames: Vec<Vec<u8>> = frames::everyday();
    capture::write(&site.path("in.pcap"), &frames);
    let daemon = Daemon::start(&site, &ENDLESS.replace(",infinite_rx=1", ""));
    let total = u64::try_from(frames.len()).expect("few");
    let counters = daemon.wait_until_through(total);
    assert_eq!(counters.ports[0].driver["rx_good_packets"], total, "{:#?}", counters.ports[0]);
    assert_eq!(counters.ports[1].driver["tx_good_packets"], total, "{:#?}", counters.ports[1]);
}

#[test]
fn the_socket_is_for_its_owner_and_group_only() {
    let site = Site::new();
    let daemon = started(&site);
    let metadata = fs::metadata(daemon.socket()).expect("the socket");
    assert!(metadata.file_type().is_socket());
    assert_eq!(metadata.permissions().mode() & 0o777, 0o660);
}

#[test]
fn the_log_level_can_be_changed_and_a_bad_one_is_refused() {
    let site = Site::new();
    let daemon = started(&site);
    let put = |level: &str| {
        let body = format!("{{\"schema\":1,\"level\":\"{level}\"}}");
        daemon.request("PUT", "/v1/log-level", Some(&body))
    };
    assert_eq!(put("debug").status, 200);
    let level: api::LogLevel = daemon.get("/v1/log-level");
    assert_eq!(level.level, "debug");
    let refused = put("barewired=nonsense=x");
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("nonsense=x\\\" is no log filter"), "{}", refused.body);
    let level: api::LogLevel = daemon.get("/v1/log-level");
    assert_eq!(level.level, "debug");
}

#[test]
fn a_request_that_makes_no_sense_is_refused_with_words() {
    let site = Site::new();
    let daemon = started(&site);
    for (method, path, body, statuses) in [
        ("GET", "/v1/nonsense", None, 404..405),
        ("GET", "/", None, 404..405),
        ("DELETE", "/v1/status", None, 405..406),
        ("POST", "/v1/counters", None, 405..406),
        ("POST", "/v1/reload", Some("{\"restart\":1}"), 400..500),
        ("POST", "/v1/reload", Some("{"), 400..500),
        ("PUT", "/v1/log-level", Some("\"loud\""), 400..500),
        ("GET", "/v1/stalls?after=x", None, 400..401),
    ] {
        let answer = daemon.request(method, path, body);
        assert!(statuses.contains(&answer.status), "{method} {path}: {answer:?}");
        let problem: api::Problem = answer.parse();
        assert!(
            problem.schema == api::SCHEMA && !problem.error.is_empty(),
            "{method} {path}: {problem:?}"
        );
    }
    assert_eq!(daemon.counters().balance.violations, 0);
}

#[test]
fn bytes_that_are_no_request_end_the_connection_and_nothing_else() {
    let site = Site::new();
    let daemon = started(&site);
    let mut random = frames::Random(99);
    for bytes in [
        b"\0\0\0\0\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        random.bytes(4096),
        b"GET ".repeat(100_000),
    ] {
        if let Ok(answer) = http::raw(daemon.socket(), &bytes) {
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
    }
    let _still_there: api::Status = daemon.get("/v1/status");
}

#[test]
fn a_huge_body_is_refused_before_it_is_read() {
    let site = Site::new();
    let daemon = started(&site);
    let head = "POST /v1/reload HTTP/1.1\r\nHost: barewire\r\nConnection: close\r\n\
        Content-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n";
    let mut request = head.as_bytes().to_vec();
    request.resize(request.len() + 4 * 1024 * 1024, b' ');
    if let Ok(answer) = http::raw(daemon.socket(), &request) {
        assert!((400..500).contains(&answer.status), "{answer:?}");
    }
    let _still_there: api::Status = daemon.get("/v1/status");
}

#[test]
fn clients_that_say_nothing_keep_nobody_else_waiting() {
    let site = Site::new();
    let daemon = started(&site);
    let mut idle: Vec<_> = (0..64)
        .map(|_| http::connect(daemon.socket()).expect("the socket takes connections"))
        .collect();
    for stream in &mut idle {
        stream.write_all(b"GET /v1/status HT").expect("half a request");
    }
    let _served_meanwhile: api::Counters = daemon.get("/v1/counters");
    assert_eq!(daemon.stop().status.code(), Some(0), "idle clients do not keep it from stopping");
    let mut rest = Vec::new();
    // Closed, one way or the other.
    let _ = idle[0].read_to_end(&mut rest);
}

#[test]
fn a_client_that_does_not_read_does_not_stop_the_daemon() {
    let site = Site::new();
    let daemon = started(&site);
    let mut deaf = http::connect(daemon.socket()).expect("the socket takes connections");
    deaf.set_nonblocking(true).expect("a socket can be nonblocking");
    let request = b"GET /v1/counters HTTP/1.1\r\nHost: barewire\r\n\r\n".repeat(64);
    // Until nobody takes any more.
    while deaf.write(&request).is_ok() {}
    load::wait_for_frames(&daemon);
    assert_eq!(daemon.stop().status.code(), Some(0));
}

#[test]
fn barewire_reads_every_page_as_text_and_as_json() {
    let site = Site::new();
    let daemon = started(&site);
    for verb in ["status", "counters", "latency", "stalls", "stages", "ports", "drops"] {
        let text = daemon.barewire([verb]);
        assert!(text.status.success() && !text.stdout.is_empty(), "{verb}: {text:?}");
        let json = daemon.barewire([verb, "--json"]);
        assert!(json.status.success(), "{verb}: {json:?}");
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
        assert_eq!(json["schema"], api::SCHEMA, "{verb}: {json:#}");
    }
    // Two readings of a load under which the longest time grows without end.
    for _ in 0..3 {
        let top = daemon.barewire(["top", "--once", "--json"]);
        let said = String::from_utf8_lossy(&top.stderr);
        assert!(top.status.success(), "{said}");
        let view: serde_json::Value = serde_json::from_slice(&top.stdout).expect("JSON");
        let frames = view["latency"][0]["frames"].as_u64();
        assert!(frames.is_some_and(|frames| frames > 0), "{view:#}");
    }
    let output = daemon.barewire(["counters", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for field in
        ["rx_packets", "rx_bytes", "tx_packets", "tx_bytes", "rx_missed", "rx_errors", "rx_nombuf"]
    {
        assert!(json["ports"][0][field].is_u64(), "{field}: {json:#}");
    }
    assert!(json["drops"]["tx_full"].is_u64(), "{json:#}");
    let metrics = daemon.barewire(["metrics"]);
    let metrics = String::from_utf8(metrics.stdout).expect("text");
    let value = |name: &str| {
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse::<f64>().ok())
            .unwrap_or_else(|| panic!("{name}: {metrics}"))
    };
    assert!(value("barewired_received_frames_total{port=\"north\"}") > 0.0);
    assert!(value("barewired_residence_seconds_count{port=\"south\"}") > 0.0);
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");

    assert!(daemon.barewire(["reload"]).status.success());
    assert!(daemon.barewire(["stop"]).status.success());
    assert_eq!(daemon.wait().status.code(), Some(0));
}

#[test]
fn a_group_that_the_socket_can_not_be_given_to_is_named_with_what_helps() {
    // It knows one user and one group, as a service's does under PrivateUsers=yes.
    let in_a_namespace = |program: &str, args: &[&str]| -> Option<Output> {
        let alone = ["--user", "--map-root-user", program];
        Command::new("unshare").args(alone).args(args).output().ok()
    };
    if !in_a_namespace("true", &[]).is_some_and(|output| output.status.success()) {
        return skip::skip("needs unshare, and the right to make a user namespace");
    }
    let site = Site::new();
    let control = "[control]\nsocket = \"{dir}/control.sock\"\ngroup = \"4000123\"\n";
    let config = site.write("barewired.toml", &format!("{ENDLESS}\n{control}"));
    let (program, config) = (programs::barewired(), config.display().to_string());
    let output = in_a_namespace(&program.display().to_string(), &["run", "--config", &config]);
    let output = output.expect("it ran before");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("control.sock can not be given to the group \"4000123\": "), "{said}");
    for help in ["leave [control] group out", "Group=", "PrivateUsers=yes"] {
        assert!(said.contains(help), "{help}: {said}");
    }
    assert!(!site.path("control.sock").exists(), "nothing stays");
}
