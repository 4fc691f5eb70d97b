//! What a running `barewired` says of itself, over its control socket.
//!
//! The shapes are the daemon's own, from `api`; the other end is not trusted for all that: an answer has a deadline,
//! a size, and a schema number that must be known.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::Fact;

/// The largest answer that is read, in bytes.
const LARGEST: u64 = 8 << 20;
/// How long each reading and writing may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a running daemon did between two questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Daemon {
    /// Its process.
    pub pid: u32,
    /// The time between the two questions by its own clock, in seconds.
    pub seconds: f64,
    /// What happened at each port, by its name in the configuration.
    pub ports: BTreeMap<String, PortActivity>,
    /// Each worker.
    pub workers: Vec<WorkerActivity>,
    /// Frames that workers received.
    pub received: u64,
    /// Frames that transmit queues took.
    pub sent: u64,
    /// Frames that stages or full queues dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// What happened at one port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortActivity {
    /// Frames received.
    pub received: u64,
    /// Frames lost because a receive queue was full.
    pub missed: u64,
    /// Frames received in error.
    pub errors: u64,
    /// Times that there was no buffer to receive into.
    pub no_buffer: u64,
    /// Receive queues; `None` when the daemon did not say.
    pub rx_queues: Option<u16>,
}

/// What one worker did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerActivity {
    /// Its number.
    pub worker: usize,
    /// Its CPU, when the daemon said.
    pub cpu: Option<u32>,
    /// Turns of its loop.
    pub turns: u64,
    /// The longest time between two polls since the daemon's start, in ns.
    pub worst_gap_ns: u64,
}

/// One answer to every question.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    status: api::Status,
    counters: api::Counters,
    plan: Option<api::Plan>,
}

/// Asks the daemon behind this socket; absent when there is none.
pub(crate) fn read(socket: &Path) -> Fact<Answer> {
    let answer = || -> Result<Answer, AskError> {
        Ok(Answer {
            status: get(socket, "/v1/status")?,
            counters: get(socket, "/v1/counters")?,
            plan: get(socket, "/v1/plan").ok(),
        })
    };
    match answer() {
        Ok(answer) => Fact::Is(answer),
        Err(AskError::Nobody) => Fact::Absent,
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            Fact::unknown(format!("{error}{}", cause.unwrap_or_default()))
        }
    }
}

/// What it did between two answers.
pub(crate) fn difference(from: Fact<Answer>, to: Fact<Answer>) -> Fact<Daemon> {
    from.and_then(|from| {
        to.and_then(|to| {
            if from.status.pid != to.status.pid || to.counters.at_ns < from.counters.at_ns {
                return Fact::unknown("the daemon was restarted meanwhile");
            }
            Fact::Is(between(&from, &to))
        })
    })
}

fn between(from: &Answer, to: &Answer) -> Daemon {
    let ports = to.counters.ports.iter().map(|now| {
        let before = from.counters.ports.iter().find(|port| port.name == now.name);
        let grew = |count: fn(&api::PortCounters) -> u64| {
            count(now).saturating_sub(before.map_or(0, count))
        };
        let plan = to.plan.as_ref().and_then(|p| p.ports.iter().find(|p| p.name == now.name));
        let activity = PortActivity {
            received: grew(|port| port.rx_packets),
            missed: grew(|port| port.rx_missed),
            errors: grew(|port| port.rx_errors),
            no_buffer: grew(|port| port.rx_nombuf),
            rx_queues: plan.map(|plan| plan.rx_queues),
        };
        (now.name.clone(), activity)
    });
    let workers = to.counters.workers.iter().map(|now| {
        let before = from.counters.workers.iter().find(|worker| worker.worker == now.worker);
        let state = to.status.workers.iter().find(|worker| worker.worker == now.worker);
        WorkerActivity {
            worker: now.worker,
            cpu: state.map(|state| state.cpu),
            turns: now.turns.saturating_sub(before.map_or(0, |before| before.turns)),
            worst_gap_ns: now.worst_gap_ns,
        }
    });
    let dropped = to.counters.drops.iter().filter_map(|(reason, now)| {
        let by = now.saturating_sub(from.counters.drops.get(reason).copied().unwrap_or(0));
        (by > 0).then(|| (reason.clone(), by))
    });
    let nanoseconds = to.counters.at_ns.saturating_sub(from.counters.at_ns);
    Daemon {
        pid: to.status.pid,
        seconds: Duration::from_nanos(nanoseconds).as_secs_f64(),
        ports: ports.collect(),
        workers: workers.collect(),
        received: to.counters.balance.received.saturating_sub(from.counters.balance.received),
        sent: to.counters.balance.sent.saturating_sub(from.counters.balance.sent),
        dropped: dropped.collect(),
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum AskError {
    /// No such socket, or nobody listens on it.
    #[error("no daemon listens on its control socket")]
    Nobody,
    /// The connection failed or broke.
    #[error("the daemon's control socket does not answer")]
    Io(#[source] io::Error),
    /// The answer is no HTTP, or no success.
    #[error("the daemon refuses to answer {path}: {status:?}")]
    Refused { path: &'static str, status: String },
    /// The answer is not what it should be.
    #[error("the daemon's answer to {path} is not understood")]
    Malformed { path: &'static str, source: serde_json::Error },
    /// The daemon is of another version.
    #[error("the daemon speaks schema {found}, and this program knows {}", api::SCHEMA)]
    Schema { found: u64 },
}

fn get<T: DeserializeOwned>(socket: &Path, path: &'static str) -> Result<T, AskError> {
    let mut stream = UnixStream::connect(socket).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::Nobody,
        _ => AskError::Io(error),
    })?;
    let request =
        format!("GET {path} HTTP/1.0\r\nHost: barewired\r\nAccept: application/json\r\n\r\n");
    let mut answer = Vec::new();
    stream
        .set_read_timeout(Some(PATIENCE))
        .and_then(|()| stream.set_write_timeout(Some(PATIENCE)))
        .and_then(|()| stream.write_all(request.as_bytes()))
        .and_then(|()| stream.take(LARGEST).read_to_end(&mut answer))
        .map_err(AskError::Io)?;
    body(path, &answer)
}

/// The body of an answer. HTTP/1.0 has no chunks: it ends where the connection does.
fn body<T: DeserializeOwned>(path: &'static str, answer: &[u8]) -> Result<T, AskError> {
    let text = String::from_utf8_lossy(answer);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text.as_ref(), ""));
    let status = head.lines().next().unwrap_or_default();
    let mut words = status.split_ascii_whitespace();
    let is_http = words.next().is_some_and(|word| word.starts_with("HTTP/1."));
    if !is_http || words.next() != Some("200") {
        let status: String = status.chars().take(60).collect();
        return Err(AskError::Refused { path, status });
    }
    let malformed = |source| AskError::Malformed { path, source };
    let value: serde_json::Value = serde_json::from_str(body).map_err(malformed)?;
    let schema = value.get("schema").and_then(serde_json::Value::as_u64).unwrap_or(0);
    if schema != u64::from(api::SCHEMA) {
        return Err(AskError::Schema { found: schema });
    }
    serde_json::from_value(value).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn answer(pid: u32, at_ns: u64, count: u64) -> Answer {
        let balance = api::Balance {
            received: 10 * count,
            sent: 9 * count,
            dropped: 0,
            held: 0,
            balanced: true,
            violations: 0,
        };
        let port = api::PortCounters {
            name: "north".to_owned(),
            rx_packets: 10 * count,
            rx_bytes: 0,
            tx_packets: 0,
            tx_bytes: 0,
            rx_missed: 2 * count,
            rx_errors: 3 * count,
            rx_nombuf: 4 * count,
            tx_errors: 0,
            link_up: true,
            driver: BTreeMap::new(),
        };
        let worker = api::WorkerCounters {
            worker: 0,
            received: 0,
            taken: 0,
            sent: 0,
            handed: 0,
            held: 0,
            dropped: BTreeMap::new(),
            turns: 5 * count,
            polls_empty: 0,
            polls_busy: 0,
            polls_saturated: 0,
            burst_sizes: Vec::new(),
            worst_gap_ns: 77,
            balanced: true,
        };
        Answer {
            status: api::Status {
                schema: api::SCHEMA,
                version: String::new(),
                dpdk: String::new(),
                pid,
                uptime_seconds: 1.0,
                start_to_ready_ms: 1.0,
                config: String::new(),
                generation: 1,
                mode: String::new(),
                state: api::State::Running,
                workers: Vec::new(),
                ports: Vec::new(),
                balance: balance.clone(),
                tick_hz: 1,
                warnings: Vec::new(),
            },
            counters: api::Counters {
                schema: api::SCHEMA,
                at_ns,
                ports: vec![port],
                workers: vec![worker],
                drops: BTreeMap::from([("full".to_owned(), count), ("never".to_owned(), 0)]),
                balance,
            },
            plan: None,
        }
    }

    #[test]
    fn what_happened_is_the_difference_of_two_answers() {
        let (from, to) = (answer(1, 1_000_000_000, 1), answer(1, 3_000_000_000, 4));
        let daemon = difference(Fact::Is(from), Fact::Is(to)).into_value().unwrap();

        let north = &daemon.ports["north"];
        assert_eq!((north.received, north.missed, north.errors, north.no_buffer), (30, 6, 9, 12));
        assert_eq!((daemon.received, daemon.sent, daemon.seconds), (30, 27, 2.0));
        assert_eq!((daemon.workers[0].turns, daemon.workers[0].worst_gap_ns), (15, 77));
        assert_eq!(daemon.dropped, BTreeMap::from([("full".to_owned(), 3)]));
    }

    #[test]
    fn nothing_is_said_of_a_daemon_that_was_restarted() {
        let first = || Fact::Is(answer(1, 5, 1));
        assert!(difference(first(), Fact::Is(answer(2, 9, 1))).is_unknown());
        assert!(difference(first(), Fact::Is(answer(1, 4, 1))).is_unknown());
        assert_eq!(difference(first(), Fact::Absent), Fact::Absent);
    }

    #[test]
    fn an_answer_must_be_a_success_of_a_known_schema() {
        let parse = |text: &str| body::<serde_json::Value>("/v1/x", text.as_bytes());

        assert!(parse("HTTP/1.1 200 OK\r\nA: b\r\n\r\n{\"schema\":1}").is_ok());
        let refused = ["", "GARBAGE 200 OK\r\n\r\n{}", "HTTP/1.1 503 Busy\r\n\r\n{\"schema\":1}"];
        for text in refused {
            assert!(matches!(parse(text), Err(AskError::Refused { .. })), "{text}");
        }
        let other = parse("HTTP/1.1 200 OK\r\n\r\n{\"schema\":2}");
        assert!(matches!(other, Err(AskError::Schema { found: 2 })));
        let cut = parse("HTTP/1.1 200 OK\r\n\r\n{\"sch");
        assert!(matches!(cut, Err(AskError::Malformed { .. })));
    }

    #[test]
    fn a_socket_that_nobody_listens_on_is_no_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        assert_eq!(read(&socket), Fact::Absent);
        drop(UnixListener::bind(&socket).unwrap());
        assert_eq!(read(&socket), Fact::Absent);
    }

    #[test]
    fn a_daemon_that_answers_is_understood() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let there = answer(9, 5, 1);
        let served = there.clone();
        let server = std::thread::spawn(move || {
            for _ in 0..3 {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).unwrap();
                    request.extend(byte);
                }
                let json = if request.starts_with(b"GET /v1/status ") {
                    serde_json::to_string(&served.status).unwrap()
                } else if request.starts_with(b"GET /v1/counters ") {
                    serde_json::to_string(&served.counters).unwrap()
                } else {
                    "{}".to_owned()
                };
                write!(stream, "HTTP/1.0 200 OK\r\n\r\n{json}").unwrap();
            }
        });

        assert_eq!(read(&socket), Fact::Is(there));
        server.join().unwrap();
    }
}
