use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    sync::mpsc,
};

use super::*;

/// The socket's path, a task that serves, and a loop that answers with what it was asked.
struct Site {
    path: std::path::PathBuf,
    _dir: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
}

fn start() -> Site {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sock");
    let listener = Listener::bind(&config::Control {
        socket: path.clone(),
        group: None,
        stop_timeout: Duration::from_secs(1),
        link_timeout: Duration::from_secs(1),
    })
    .unwrap();
    let (sender, mut requests) = mpsc::channel::<Request>(4);
    tokio::spawn(async move {
        while let Some(Request { ask, reply }) = requests.recv().await {
            let answer = match &ask {
                Ask::SetLogLevel(level) if level == "loud" => {
                    Err(Refusal::bad_request("no such level").help("info"))
                }
                Ask::Plan => continue, // the reply is dropped
                ask => json(&format!("{ask:?}")),
            };
            let _ = reply.send(answer);
        }
    });
    let (stop, stopped) = oneshot::channel();
    let serving = tokio::spawn(async move {
        let shutdown = async {
            let _ = stopped.await;
        };
        listener.serve(sender, shutdown).await.unwrap();
    });
    Site { path, _dir: dir, stop, serving }
}

impl Site {
    async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = UnixStream::connect(&self.path).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    /// Status and body.
    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let answer = self
            .raw(
                format!(
                    "{method} {path} HTTP/1.1\r\nHost: b\r\nContent-Length: {length}\r\n\r\n{body}"
                )
                .as_bytes(),
            )
            .await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("content-type: application/json"), "{head}");
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}

#[tokio::test]
async fn every_page_asks_the_loop_for_itself() {
    let site = start();
    for (method, path, body, asked) in [
        ("GET", "/v1/status", "", "Status"),
        ("GET", "/v1/ports", "", "Ports"),
        ("GET", "/v1/stages", "", "Stages"),
        ("GET", "/v1/counters", "", "Counters"),
        ("GET", "/v1/latency", "", "Latency"),
        ("GET", "/v1/drops", "", "Drops"),
        ("GET", "/v1/stalls", "", "Stalls { after: None }"),
        ("GET", "/v1/stalls?after=41,7", "", "Stalls { after: Some([41, 7]) }"),
        ("GET", "/v1/stalls?after=41%2C7", "", "Stalls { after: Some([41, 7]) }"),
        ("GET", "/v1/log-level", "", "LogLevel"),
        ("POST", "/v1/reload", "", "Reload(ReloadRequest { restart_ports: false })"),
        ("POST", "/v1/reload", "{}", "Reload(ReloadRequest { restart_ports: false })"),
        (
            "POST",
            "/v1/reload",
            "{\"restart_ports\":true}",
            "Reload(ReloadRequest { restart_ports: true })",
        ),
        ("POST", "/v1/stop", "", "Stop"),
        ("POST", "/v1/stop", " {} ", "Stop"),
    ] {
        let answer = site.ask(method, path, body).await;
        assert_eq!(answer, (200, format!("\"{asked}\"")), "{method} {path} {body}");
    }
    let (status, body) =
        site.ask("PUT", "/v1/log-level", "{\"schema\":1,\"level\":\"debug\"}").await;
    assert_eq!(status, 200);
    assert_eq!(serde_json::from_str::<String>(&body).unwrap(), "SetLogLevel(\"debug\")");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_problem() {
    let site = start();
    let long = " ".repeat(70_000);
    for (method, path, body, expected) in [
        ("GET", "/", "", 404),
        ("GET", "/v1/nonsense", "", 404),
        ("DELETE", "/v1/status", "", 405),
        ("POST", "/v1/counters", "", 405),
        ("GET", "/v1/stop", "", 405),
        ("GET", "/v1/stalls?after=x", "", 400),
        ("GET", "/v1/stalls?after=", "", 400),
        ("GET", "/v1/stalls?after=1,-1", "", 400),
        ("GET", "/v1/stalls?before=1", "", 400),
        ("POST", "/v1/reload", "{", 400),
        ("POST", "/v1/reload", "{\"restart\":1}", 400),
        ("POST", "/v1/stop", "{\"now\":true}", 400),
        ("PUT", "/v1/log-level", "\"loud\"", 400),
        ("PUT", "/v1/log-level", "", 400),
        ("PUT", "/v1/log-level", "{\"schema\":2,\"level\":\"info\"}", 400),
        ("PUT", "/v1/log-level", "{\"schema\":1,\"level\":\"loud\"}", 400),
        ("POST", "/v1/reload", &long, 413),
        ("GET", "/v1/plan", "", 503),
    ] {
        let (status, body) = site.ask(method, path, body).await;
        assert_eq!(status, expected, "{method} {path}: {body}");
        let problem: api::Problem = serde_json::from_str(&body).unwrap();
        assert_eq!(problem.schema, api::SCHEMA);
        assert!(!problem.error.is_empty());
    }
}

#[tokio::test]
async fn bytes_that_are_no_request_end_the_connection_and_nothing_else() {
    let site = start();
    for bytes in [b"\0\0\0\0\r\n\r\n".to_vec(), b"GET ".repeat(100_000)] {
        let answer = site.raw(&bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(site.ask("GET", "/v1/status", "").await.0, 200);
}

#[tokio::test]
async fn clients_that_say_nothing_hold_up_neither_others_nor_the_end() {
    let site = start();
    let mut idle = Vec::new();
    for _ in 0..100 {
        let mut stream = UnixStream::connect(&site.path).await.unwrap();
        stream.write_all(b"GET /v1/status HT").await.unwrap();
        idle.push(stream);
    }
    assert_eq!(site.ask("GET", "/v1/status", "").await.0, 200);
    site.stop.send(()).unwrap();
    tokio::time::timeout(Duration::from_secs(20), site.serving).await.unwrap().unwrap();
    assert!(!site.path.exists(), "the socket's file is gone");
    let mut rest = Vec::new();
    let _ = idle[0].read_to_end(&mut rest).await; // closed, one way or the other
}
