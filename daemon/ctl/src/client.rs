//! One request to the daemon: HTTP/1.1 with JSON over its unix socket.
//!
//! The other end is not trusted: the answer has a deadline, a size, a content that must parse and a
//! schema number that must be known.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{Method, Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, time};

use crate::exit::Exit;

/// The largest answer that is read: a hundred workers times thirty ports of histograms fit.
const LARGEST_ANSWER: usize = 64 << 20;

/// Where the daemon is, and how long to wait for it.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) socket: PathBuf,
    pub(crate) timeout: Duration,
}

/// An answer: as the daemon wrote it, and what it means.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub(crate) text: String,
    pub(crate) value: T,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("there is no control socket at {}", .0.display())]
    Missing(PathBuf),
    #[error("nobody listens on {}", .0.display())]
    NobodyListens(PathBuf),
    #[error("connecting to {} is not permitted", .0.display())]
    NotPermitted(PathBuf),
    #[error("{} is too long for a socket's path, which has at most 107 bytes", .0.display())]
    TooLong(PathBuf),
    #[error("connecting to {} failed", .socket.display())]
    Connect { socket: PathBuf, source: io::Error },
    #[error("the daemon did not answer {request} within {} s", .after.as_secs_f64())]
    Timeout { request: String, after: Duration },
    #[error("the daemon refused: {}", .0.error)]
    Refused(Box<api::Problem>),
    #[error("the connection broke during {request}")]
    Broken { request: String, source: hyper::Error },
    #[error("the answer to {request} is larger than {limit} bytes")]
    TooLarge { request: String, limit: usize },
    #[error("the answer to {request} is HTTP {status}, without a reason that can be read")]
    Status { request: String, status: StatusCode },
    #[error("the answer to {request} is not the JSON that was expected")]
    NotUnderstood { request: String, source: serde_json::Error },
    #[error("the answer to {request} has schema {found}, and this barewire knows {}", api::SCHEMA)]
    Schema { request: String, found: u32 },
}

impl RequestError {
    /// How the program ends on it.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Missing(_)
            | Self::NobodyListens(_)
            | Self::NotPermitted(_)
            | Self::TooLong(_)
            | Self::Connect { .. } => Exit::Unreachable,
            Self::Timeout { .. } => Exit::Timeout,
            Self::Refused(_) => Exit::Refused,
            Self::Broken { .. }
            | Self::TooLarge { .. }
            | Self::Status { .. }
            | Self::NotUnderstood { .. }
            | Self::Schema { .. } => Exit::NotUnderstood,
        }
    }

    /// What can be done about it.
    pub(crate) fn help(&self) -> Option<&str> {
        match self {
            Self::Missing(_) => Some(
                "is barewired running (systemctl status barewired)? If its [control] socket is \
                 elsewhere, pass it with --socket",
            ),
            Self::NobodyListens(_) => Some(
                "the daemon that made this socket is gone, or this is no socket; start barewired \
                 (systemctl start barewired)",
            ),
            Self::NotPermitted(_) => Some(
                "run as root, or as a member of the group that owns the socket ([control] group)",
            ),
            Self::TooLong(_) => Some("pass --socket from a folder that is nearer to it"),
            Self::Connect { .. } | Self::Broken { .. } => None,
            Self::Timeout { .. } => Some(
                "the daemon's log may say what keeps it (journalctl -u barewired); --timeout waits \
                 longer",
            ),
            Self::Refused(problem) => problem.help.as_deref(),
            Self::TooLarge { .. } | Self::Status { .. } | Self::NotUnderstood { .. } => {
                Some("does --socket lead to barewired?")
            }
            Self::Schema { .. } => {
                Some("use the barewire that came with the daemon; barewired --version tells which")
            }
        }
    }
}

/// Every answer begins with this much.
#[derive(Deserialize)]
struct Versioned {
    schema: u32,
}

impl Client {
    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Answer<T>, RequestError> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Answer<T>, RequestError> {
        let body = serde_json::to_vec(body).expect("requests are structs of strings and numbers");
        self.ask(method, path, body.into()).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer<T>, RequestError> {
        let request = format!("{method} {path}");
        let exchange = self.exchange(method, path, body, &request);
        let (status, bytes) = time::timeout(self.timeout, exchange).await.unwrap_or_else(|_| {
            Err(RequestError::Timeout { request: request.clone(), after: self.timeout })
        })?;
        understand(request, status, bytes)
    }

    /// Connects, asks and reads to the end. A connection for each request costs a few microseconds
    /// and survives a daemon that was restarted in between.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        request: &str,
    ) -> Result<(StatusCode, Bytes), RequestError> {
        let broken = |source| RequestError::Broken { request: request.to_owned(), source };
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(|source| connect_error(&self.socket, source))?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        // Its errors also come back through the sender.
        let connection = tokio::spawn(connection);

        let message = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "barewired")
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .body(Full::new(body))
            .expect("our own paths and headers are valid");
        let answer = sender.send_request(message).await.map_err(broken)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), LARGEST_ANSWER).collect().await;
        connection.abort();
        match body {
            Ok(body) => Ok((status, body.to_bytes())),
            Err(error) if error.is::<LengthLimitError>() => {
                let request = request.to_owned();
                Err(RequestError::TooLarge { request, limit: LARGEST_ANSWER })
            }
            Err(error) => Err(broken(
                *error.downcast().expect("a limited body fails with the limit or with hyper"),
            )),
        }
    }
}

fn connect_error(socket: &Path, source: io::Error) -> RequestError {
    let socket = socket.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => RequestError::Missing(socket),
        io::ErrorKind::ConnectionRefused => RequestError::NobodyListens(socket),
        io::ErrorKind::PermissionDenied => RequestError::NotPermitted(socket),
        // The standard library looks at the length (sun_path, unix(7)) before it asks the kernel.
        io::ErrorKind::InvalidInput => RequestError::TooLong(socket),
        _ => RequestError::Connect { socket, source },
    }
}

fn understand<T: DeserializeOwned>(
    request: String,
    status: StatusCode,
    bytes: Bytes,
) -> Result<Answer<T>, RequestError> {
    if status.is_client_error() || status.is_server_error() {
        return Err(match serde_json::from_slice(&bytes) {
            Ok(problem) => RequestError::Refused(Box::new(problem)),
            Err(_) => RequestError::Status { request, status },
        });
    }
    if !status.is_success() {
        return Err(RequestError::Status { request, status });
    }
    // The number first: the fields of another version may not be those of this one.
    let text = match serde_json::from_slice::<Versioned>(&bytes) {
        Err(source) => return Err(RequestError::NotUnderstood { request, source }),
        Ok(Versioned { schema }) if schema != api::SCHEMA => {
            return Err(RequestError::Schema { request, found: schema });
        }
        Ok(_) => String::from_utf8_lossy(&bytes).into_owned(), // JSON that parsed is UTF-8
    };
    match serde_json::from_str(&text) {
        Ok(value) => Ok(Answer { text, value }),
        Err(source) => Err(RequestError::NotUnderstood { request, source }),
    }
}
