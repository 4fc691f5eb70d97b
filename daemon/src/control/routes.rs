//! Which request asks what.

use std::time::Duration;

use axum::{
    Router,
    body::Bytes,
    extract::{
        DefaultBodyLimit, Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::{Method, StatusCode, Uri, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get, post},
};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{
    sync::{mpsc, oneshot},
    time,
};

use super::{Ask, Refusal, Request, json};

/// The longest body.
const LARGEST_BODY: usize = 64 << 10;

/// The daemon's loop answers in this time, or the client is told that it did not.
const PATIENCE: Duration = Duration::from_secs(25);

type Loop = mpsc::Sender<Request>;

type Body = Result<Bytes, BytesRejection>;

/// Everything there is to ask.
pub(super) fn router(to_loop: Loop) -> Router {
    Router::new()
        .route("/v1/status", page(Ask::Status))
        .route("/v1/plan", page(Ask::Plan))
        .route("/v1/ports", page(Ask::Ports))
        .route("/v1/stages", page(Ask::Stages))
        .route("/v1/counters", page(Ask::Counters))
        .route("/v1/latency", page(Ask::Latency))
        .route("/v1/drops", page(Ask::Drops))
        .route("/v1/stalls", get(stalls))
        .route("/v1/log-level", page(Ask::LogLevel).put(set_log_level))
        .route("/v1/reload", post(reload))
        .route("/v1/stop", post(stop))
        .fallback(no_page)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(to_loop)
}

fn page(ask: Ask) -> MethodRouter<Loop> {
    get(async |State(to_loop): State<Loop>| forward(&to_loop, ask).await)
}

/// Asks the daemon's loop.
async fn forward(to_loop: &Loop, ask: Ask) -> Result<Answer, Refusal> {
    let exchange = async {
        let (reply, answer) = oneshot::channel();
        let gone = || Refusal::unavailable("barewired is stopping");
        to_loop.send(Request { ask, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map(Answer)
    };
    time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| {
        let seconds = PATIENCE.as_secs();
        Err(Refusal::unavailable(format!("barewired was busy for {seconds} s"))
            .help("what was asked for may still happen; its log says what keeps it"))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StallsQuery {
    after: Option<String>,
}

async fn stalls(
    State(to_loop): State<Loop>,
    query: Result<Query<StallsQuery>, QueryRejection>,
) -> Result<Answer, Refusal> {
    let Query(query) = query.map_err(|error| Refusal::bad_request(error.body_text()))?;
    let after = query.after.as_deref().map(numbers).transpose()?;
    forward(&to_loop, Ask::Stalls { after }).await
}

/// `41,7`
fn numbers(text: &str) -> Result<Vec<u64>, Refusal> {
    text.split(',').map(str::parse).collect::<Result<_, std::num::ParseIntError>>().map_err(
        |error| {
            Refusal::bad_request(format!("after is no list of numbers: {error}"))
                .help("one number for each worker, as in an earlier answer's next: after=41,7")
        },
    )
}

async fn set_log_level(State(to_loop): State<Loop>, body: Body) -> Result<Answer, Refusal> {
    let api::LogLevel { schema, level } = parse(&bytes(body)?)?;
    if schema != api::SCHEMA {
        let known = api::SCHEMA;
        return Err(Refusal::bad_request(format!("schema {schema} is not known, only {known}")));
    }
    forward(&to_loop, Ask::SetLogLevel(level)).await
}

async fn reload(State(to_loop): State<Loop>, body: Body) -> Result<Answer, Refusal> {
    let request = parse_or_default(&bytes(body)?)?;
    forward(&to_loop, Ask::Reload(request)).await
}

/// `POST /v1/stop` has nothing to say but that.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StopRequest {}

async fn stop(State(to_loop): State<Loop>, body: Body) -> Result<Answer, Refusal> {
    let StopRequest {} = parse_or_default(&bytes(body)?)?;
    forward(&to_loop, Ask::Stop).await
}

async fn no_page(uri: Uri) -> Refusal {
    Refusal::new(404, format!("there is no page {}", uri.path()))
        .help("the pages are status, plan, ports, stages, counters, latency, stalls, drops, log-level, reload and stop, below /v1/")
}

async fn wrong_method(method: Method, uri: Uri) -> Refusal {
    Refusal::new(405, format!("{} does not take {method}", uri.path()))
        .help("GET reads, PUT sets the log level, POST is for reload and stop")
}

fn bytes(body: Body) -> Result<Bytes, Refusal> {
    body.map_err(|error| {
        let refusal = Refusal::new(error.status().as_u16(), error.body_text());
        match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                refusal.help(format!("a body has at most {LARGEST_BODY} bytes"))
            }
            _ => refusal,
        }
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body)
        .map_err(|error| Refusal::bad_request(format!("the body is not what is expected: {error}")))
}

fn parse_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Refusal> {
    if body.trim_ascii().is_empty() { Ok(T::default()) } else { parse(body) }
}

/// JSON that the daemon's loop wrote.
struct Answer(Vec<u8>);

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json(&self.problem).unwrap_or_default();
        (status, Answer(body)).into_response()
    }
}
