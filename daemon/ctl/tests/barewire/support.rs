//! A daemon that says what a test tells it to, on a real unix socket.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::{UnixListener, UnixStream},
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::JoinHandle,
};

use api::{Distribution, Latency, LatencyOf, Percentile, RingGauge, RxStamps};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hdrhistogram::{
    Histogram,
    serialization::{Serializer, V2DeflateSerializer},
};

/// What the daemon does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// An ordinary answer.
    Json(u16, String),
    /// These bytes, and the connection is closed.
    Raw(Vec<u8>),
    /// Nothing, until the client has gone.
    Hang,
    /// A body without end.
    Endless,
}

/// A request as it came in: `GET /v1/status`, and the body.
pub(crate) type Request = (String, String);

pub(crate) struct Daemon {
    pub(crate) socket: PathBuf,
    requests: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Daemon {
    /// Answers each path with its replies in turn; the last one again and again.
    pub(crate) fn new(script: impl IntoIterator<Item = (&'static str, Vec<Reply>)>) -> Self {
        let folder = tempfile::tempdir().expect("a folder for the socket");
        let socket = folder.path().join("control.sock");
        let listener = UnixListener::bind(&socket).expect("a socket in a new folder");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let mut script: HashMap<&str, Vec<Reply>> = script.into_iter().collect();
        let (seen, end) = (Arc::clone(&requests), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if end.load(SeqCst) {
                    return;
                }
                serve(stream, &mut script, &seen);
            }
        });
        Self { socket, requests, over, thread: Some(thread), _folder: folder }
    }

    pub(crate) fn json(path: &'static str, body: impl Into<String>) -> Self {
        Self::new([(path, vec![Reply::Json(200, body.into())])])
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("the server does not panic").clone()
    }

    /// Runs `barewire --socket … <args>` to its end.
    pub(crate) fn barewire(&self, args: &[&str]) -> Output {
        barewire().arg("--socket").arg(&self.socket).args(args).output().expect("barewire starts")
    }

    /// What a successful run printed.
    pub(crate) fn stdout(&self, args: &[&str]) -> String {
        let output = self.barewire(args);
        assert!(output.status.success(), "{output:?}");
        assert_eq!(text(&output.stderr), "");
        text(&output.stdout)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.over.store(true, SeqCst);
        // Wakes the accept.
        let _ = UnixStream::connect(&self.socket);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    mut stream: UnixStream,
    script: &mut HashMap<&str, Vec<Reply>>,
    seen: &Mutex<Vec<Request>>,
) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut first = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if first.is_empty() {
            first = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
        } else if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("hyper writes numbers");
        } else if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("hyper writes the body it announced");
    seen.lock().expect("no test panics with it").push((first.clone(), text(&body)));

    let path = first.split(' ').nth(1).expect("a path");
    let replies = script.get_mut(path).unwrap_or_else(|| panic!("no reply for {first}"));
    let reply = if replies.len() > 1 { replies.remove(0) } else { replies[0].clone() };
    // The client may be gone before the end; that is its right.
    let _ = match reply {
        Reply::Json(status, json) => stream.write_all(
            format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{json}", json.len())
                .as_bytes(),
        ),
        Reply::Raw(bytes) => stream.write_all(&bytes),
        Reply::Hang => reader.read_to_end(&mut Vec::new()).map(drop),
        Reply::Endless => endless(&mut stream),
    };
}

fn endless(stream: &mut UnixStream) -> std::io::Result<()> {
    stream.write_all(b"HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n")?;
    let chunk = [&b"100000\r\n"[..], &[b' '; 0x10_0000], b"\r\n"].concat();
    loop {
        stream.write_all(&chunk)?;
    }
}

/// The program, with nothing of the test's own terminal about it.
pub(crate) fn barewire() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_barewire"));
    command.env_remove("NO_COLOR").env("TERM", "xterm").stdin(Stdio::null());
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file of tests/fixtures.
pub(crate) fn fixture(name: &str) -> String {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// As the daemon would tell a distribution of these values and how often each came.
pub(crate) fn distribution(values: &[(u64, u64)]) -> Distribution {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 1 << 40, 2).expect("valid bounds");
    for (value, times) in values {
        histogram.record_n(*value, *times).expect("within the bounds");
    }
    let count = histogram.len();
    let percentiles =
        [(50.0, 2), (90.0, 10), (99.0, 100), (99.9, 1_000), (99.99, 10_000), (99.999, 100_000)];
    let mut hdr = Vec::new();
    V2DeflateSerializer::new().serialize(&histogram, &mut hdr).expect("a Vec takes it");
    Distribution {
        count,
        min_ns: histogram.min(),
        mean_ns: histogram.mean(),
        max_ns: histogram.max(),
        percentiles: percentiles
            .into_iter()
            .filter(|(_, one_in)| count / one_in >= 10)
            .map(|(percentile, one_in)| Percentile {
                percentile,
                ns: histogram.value_at_percentile(percentile),
                weak: count / one_in < 100,
            })
            .collect(),
        hdr_v2: BASE64.encode(hdr),
    }
}

fn entry(worker: Option<usize>, port: &str, scale: u64) -> LatencyOf {
    let residence = [(420, 700 * scale), (810, 280 * scale), (2_300, 19 * scale), (61_000, scale)];
    let bound =
        [(630, 600 * scale), (1_400, 370 * scale), (5_200, 29 * scale), (50_100_000, scale)];
    LatencyOf {
        worker,
        port: port.to_owned(),
        residence: distribution(&residence),
        bound: distribution(&bound),
        bound_from: "poll".to_owned(),
        bound_stamped: 0,
    }
}

fn stamps(port: &str, from: &str, error_ns: Option<u64>, reason: Option<&str>) -> RxStamps {
    let reason = reason.map(str::to_owned);
    RxStamps { port: port.to_owned(), from: from.to_owned(), error_ns, reason }
}

/// Two workers send to south and one to north; `scale` thousand frames each.
pub(crate) fn latency(at_ns: u64, scale: u64) -> Latency {
    Latency {
        stamps: vec![
            stamps("north", "hardware", Some(12), None),
            stamps("south", "poll", None, Some("the device makes none")),
        ],
        schema: api::SCHEMA,
        at_ns,
        entries: vec![
            entry(Some(0), "south", scale),
            entry(Some(1), "south", scale),
            entry(Some(1), "north", 1),
            entry(None, "south", 2 * scale),
            entry(None, "north", 1),
        ],
        rings: vec![RingGauge {
            from: 0,
            to: 1,
            capacity: 1024,
            occupancy: 12,
            high_water: 700,
            passed: 123_456,
            overflow_in_ns: Some(41_000_000),
        }],
    }
}

pub(crate) fn latency_json(at_ns: u64, scale: u64) -> String {
    serde_json::to_string(&latency(at_ns, scale)).expect("it is JSON")
}
