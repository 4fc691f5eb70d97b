//! A daemon that is absent, slow, broken or hostile.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    process::Stdio,
};

use crate::support::{Daemon, Reply, barewire, fixture, latency_json, text};

/// The exit code and what was said on standard error; nothing may be on standard output.
#[track_caller]
fn failure(output: &std::process::Output) -> (Option<i32>, String) {
    assert_eq!(text(&output.stdout), "", "{output:?}");
    (output.status.code(), text(&output.stderr))
}

#[test]
fn without_a_socket_it_says_where_it_looked_and_what_to_do() {
    let output = barewire().args(["--socket", "/nonexistent/c.sock", "status"]).output().unwrap();
    let (code, said) = failure(&output);
    assert_eq!(code, Some(3));
    insta::assert_snapshot!(said);
}

#[test]
fn a_socket_that_a_dead_daemon_left_behind_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let output = barewire().arg("--socket").arg(&socket).arg("status").output().unwrap();
    let (code, said) = failure(&output);
    assert_eq!(code, Some(3));
    assert!(said.contains("nobody listens"), "{said}");
    assert!(said.contains("help: "), "{said}");
}

#[test]
fn a_socket_of_somebody_else_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    std::fs::set_permissions(&socket, PermissionsExt::from_mode(0o000)).unwrap();
    // Root may connect to anything; become nobody.
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    let mut command = barewire();
    command.arg("--socket").arg(&socket).arg("status");
    if is_root {
        use std::os::unix::process::CommandExt;
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        command.uid(65_534).gid(65_534);
        // The program may lie where nobody may read; then this test has nothing to say.
        if command.output().is_err() {
            eprintln!(
                "SKIPPED: a_socket_of_somebody_else_is_told_apart: the program's folder is closed to nobody"
            );
            return;
        }
    }
    let (code, said) = failure(&command.output().unwrap());
    assert_eq!(code, Some(3));
    assert!(said.contains("not permitted"), "{said}");
    assert!(said.contains("group"), "{said}");
}

#[test]
fn a_path_that_no_socket_can_have_is_told_apart() {
    let folder = "a".repeat(120);
    let output = barewire().args(["--socket", &folder, "status"]).output().unwrap();
    let (code, said) = failure(&output);
    assert_eq!(code, Some(3));
    assert!(said.contains("aaa is too long for a socket's path"), "{said}");
    assert!(said.contains("help: "), "{said}");
}

#[test]
fn a_refusal_is_told_with_its_details_and_help() {
    let daemon = Daemon::new([("/v1/reload", vec![Reply::Json(409, fixture("problem.json"))])]);
    let (code, said) = failure(&daemon.barewire(&["reload"]));
    assert_eq!(code, Some(4));
    insta::assert_snapshot!(said);
}

#[test]
fn a_refusal_without_a_reason_is_not_understood() {
    let daemon = Daemon::new([("/v1/status", vec![Reply::Json(502, "<html>".into())])]);
    let (code, said) = failure(&daemon.barewire(&["status"]));
    assert_eq!(code, Some(6));
    assert!(said.contains("HTTP 502"), "{said}");
}

#[test]
fn a_daemon_that_does_not_answer_is_given_up_on() {
    let daemon = Daemon::new([("/v1/status", vec![Reply::Hang])]);
    let (code, said) = failure(&daemon.barewire(&["status", "--timeout", "0.05"]));
    assert_eq!(code, Some(5));
    assert!(said.contains("did not answer GET /v1/status within 0.05 s"), "{said}");
}

#[test]
fn a_body_without_end_is_cut_off() {
    let daemon = Daemon::new([("/v1/status", vec![Reply::Endless])]);
    let (code, said) = failure(&daemon.barewire(&["status", "--timeout", "60"]));
    assert_eq!(code, Some(6), "{said}");
    assert!(said.contains("larger than 67108864 bytes"), "{said}");
}

#[test]
fn whatever_is_not_the_expected_answer_is_named_and_never_a_panic() {
    let answer = |body: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
    };
    let cases: [(&str, Vec<u8>); 12] = [
        ("connection broke", Vec::new()),
        ("connection broke", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec()),
        ("connection broke", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ("connection broke", vec![0xff; 4096]),
        (
            "connection broke",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_vec(),
        ),
        ("HTTP 301", b"HTTP/1.1 301 x\r\nlocation: /\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("not the JSON", answer("")),
        ("not the JSON", answer("<html>")),
        ("not the JSON", answer("{\"schema\":1}")),
        ("not the JSON", answer("{\"schema\":-1}")),
        ("not the JSON", answer(&"[".repeat(100_000))),
        ("has schema 2, and this barewire knows 1", answer("{\"schema\":2,\"new\":true}")),
    ];
    for (expected, bytes) in cases {
        for json in [&["status"][..], &["status", "--json"]] {
            let daemon = Daemon::new([("/v1/status", vec![Reply::Raw(bytes.clone())])]);
            let (code, said) = failure(&daemon.barewire(json));
            assert_eq!(code, Some(6), "{said}");
            assert!(said.contains(expected), "{:?}: {said}", text(&bytes));
            assert!(!said.contains("panicked"), "{said}");
        }
    }
}

#[test]
fn a_histogram_that_does_not_decode_is_named() {
    let mut latency = crate::support::latency(1, 1);
    latency.entries[1].bound.hdr_v2 = "AAAA".into();
    let daemon = Daemon::json("/v1/latency", serde_json::to_string(&latency).unwrap());
    let (code, said) = failure(&daemon.barewire(&["latency"]));
    assert_eq!(code, Some(6));
    assert!(said.contains("the bound histogram of worker 1 → south can not be read"), "{said}");
    assert!(said.contains("because: "), "{said}");
}

#[test]
fn json_is_passed_through_as_the_daemon_wrote_it() {
    for (verb, file) in [
        ("status", "status.json"),
        ("plan", "plan.json"),
        ("counters", "counters.json"),
        ("stalls", "stalls.json"),
        ("stages", "stages.json"),
        ("ports", "ports.json"),
        ("drops", "drops.json"),
    ] {
        let path = format!("/v1/{verb}").leak();
        // A field that is added under the same schema number is no reason to refuse.
        let body = fixture(file).replacen('{', "{\"added later\": [1.50], ", 1);
        let daemon = Daemon::json(path, body.clone());
        assert_eq!(daemon.stdout(&[verb, "--json"]), format!("{}\n", body.trim()));
        assert_eq!(daemon.requests(), [(format!("GET {path}"), String::new())]);
    }
}

#[test]
fn the_log_level_is_shown_and_set() {
    let daemon = Daemon::json("/v1/log-level", r#"{"schema":1,"level":"barewired=debug"}"#);
    assert_eq!(daemon.stdout(&["log-level"]), "barewired=debug\n");
    assert_eq!(daemon.stdout(&["log-level", "barewired=debug"]), "barewired=debug\n");
    assert_eq!(
        daemon.requests(),
        [
            ("GET /v1/log-level".to_owned(), String::new()),
            (
                "PUT /v1/log-level".to_owned(),
                r#"{"schema":1,"level":"barewired=debug"}"#.to_owned()
            ),
        ]
    );
}

#[test]
fn stop_with_wait_returns_when_the_process_is_gone() {
    let mut process = std::process::Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let stopping = format!(r#"{{"schema":1,"pid":{},"deadline_ms":0}}"#, process.id());
    let daemon = Daemon::json("/v1/stop", stopping);
    // Our daemon answers at once, but on a busy machine not at once.
    let still_there = daemon.barewire(&["stop", "--wait", "--timeout", "3"]);
    let told = daemon.stdout(&["stop"]);
    drop(process.stdin.take()); // cat ends
    let gone = daemon.stdout(&["stop", "--wait", "--timeout", "60"]);
    process.wait().unwrap();

    let (code, said) = failure(&still_there);
    assert_eq!(code, Some(5));
    assert!(said.contains("is still there after 3 s"), "{said}");
    assert!(told.contains("has begun to stop and is gone within 0 ms"), "{told}");
    assert!(gone.contains("is gone"), "{gone}");
}

#[test]
fn following_stalls_asks_for_what_is_new_and_ends_with_its_reader() {
    let json = |name| Reply::Json(200, fixture(name));
    let none = r#"{"schema":1,"threshold_ns":20000,"stalls":[],"next":[42,7],"lost":0,"total":53}"#;
    let daemon = Daemon::new([
        ("/v1/stalls", vec![json("stalls.json")]),
        ("/v1/stalls?after=41,7", vec![json("stalls-later.json")]),
        // Quiet twice, then the daemon is gone.
        (
            "/v1/stalls?after=42,7",
            vec![Reply::Json(200, none.into()), Reply::Json(200, none.into()), Reply::Raw(vec![])],
        ),
    ]);
    let output = daemon.barewire(&["stalls", "--follow", "--every", "0.001", "--json"]);
    let lengths: Vec<u64> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str::<api::Stall>(line).unwrap().length_ns)
        .collect();
    assert_eq!(lengths, [23_400, 50_100_000, 31_000]);
    assert_eq!(output.status.code(), Some(6));
    assert_eq!(daemon.requests().len(), 5);
}

#[test]
fn followed_stalls_are_a_line_each() {
    let daemon = Daemon::new([
        ("/v1/stalls", vec![Reply::Json(200, fixture("stalls.json"))]),
        ("/v1/stalls?after=41,7", vec![Reply::Raw(vec![])]),
    ]);
    let output = daemon.barewire(&["stalls", "-f", "--every", "0.001"]);
    insta::assert_snapshot!(text(&output.stdout));
}

#[test]
fn a_closed_pipe_is_success() {
    // More than a pipe holds (64 KiB by default), so the write meets the closed end.
    let many: String =
        (0..4_000).map(|n| format!("\"reason_{n}_{}\": 1,", "x".repeat(50))).collect();
    let drops = format!(r#"{{"schema":1,"drops":{{{many} "last": 1}},"meanings":{{}}}}"#);
    let daemon = Daemon::json("/v1/drops", drops);
    for args in [&["drops"][..], &["drops", "--json"]] {
        let mut child = barewire()
            .arg("--socket")
            .arg(&daemon.socket)
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        reader.read_until(b' ', &mut Vec::new()).unwrap();
        drop(reader);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(said, "");
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn a_full_disk_is_not() {
    let daemon = Daemon::json("/v1/status", fixture("status.json"));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output =
        barewire().arg("--socket").arg(&daemon.socket).arg("status").stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("standard output can not be written"), "{output:?}");
}

#[test]
fn colour_is_for_terminals_unless_it_is_asked_for() {
    let daemon = Daemon::json("/v1/status", fixture("status.json"));
    assert!(!daemon.stdout(&["status"]).contains('\u{1b}'));
    assert!(!daemon.stdout(&["status", "--color", "never"]).contains('\u{1b}'));
    assert!(daemon.stdout(&["status", "--color", "always"]).contains('\u{1b}'));
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for args in [
        &["no-such-verb"][..],
        &[],
        &["status", "--timeout", "0"],
        &["status", "--timeout", "-1"],
        &["status", "--timeout", "soon"],
        &["latency", "--json", "--hlog", "x"],
        &["stalls", "--every", "1"],
        &["completions", "bash", "--json"],
        &["top"], // standard output is no terminal
    ] {
        let daemon = Daemon::json("/v1/status", fixture("status.json"));
        let (code, said) = failure(&daemon.barewire(args));
        assert_eq!(code, Some(2), "{args:?}: {said}");
        assert!(!said.is_empty(), "{args:?}");
    }
}

#[test]
fn completions_and_man_pages_name_every_verb() {
    let script = barewire().args(["completions", "bash"]).output().unwrap();
    assert!(text(&script.stdout).contains("log-level"), "{script:?}");

    let folder = tempfile::tempdir().unwrap();
    let status = barewire().arg("man").arg(folder.path()).status().unwrap();
    assert!(status.success());
    for verb in ctl::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
        let page = folder.path().join(format!("barewire-{}.1", verb.get_name()));
        assert!(page.exists(), "{}", page.display());
    }
    let main = std::fs::read_to_string(folder.path().join("barewire.1")).unwrap();
    assert!(main.contains("Exit codes"), "{main}");
}

#[test]
fn the_size_of_the_latency_answer_is_within_the_limit_by_far() {
    // Ten thousand frames each; five entries of two distributions.
    assert!(latency_json(1, 10).len() < 16 << 10);
}
