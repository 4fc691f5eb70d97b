//! The control socket: HTTP/1.1 with JSON for `barewire` and whoever else may open it.
//!
//! ```text
//!   client ─► Listener ─► routes ── Request ─► the daemon's loop (answer, or its own doing)
//!                            ◄──── oneshot ────┘
//! ```
//! Connections know nothing of the daemon's state: they ask its loop, one question at a time, and wait. A client can
//! cost memory and time only within the bounds of [`serve`].

mod bind;
mod routes;
mod serve;

#[cfg(test)]
mod tests;

pub(crate) use bind::{BindError, Listener};

use tokio::sync::oneshot;

use crate::{answers, state::State};

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// `GET /v1/status`
    Status,
    /// `GET /v1/plan`
    Plan,
    /// `GET /v1/ports`
    Ports,
    /// `GET /v1/stages`
    Stages,
    /// `GET /v1/counters`
    Counters,
    /// `GET /v1/latency`
    Latency,
    /// `GET /v1/stalls`
    Stalls {
        /// One number for each worker.
        after: Option<Vec<u64>>,
    },
    /// `GET /v1/drops`
    Drops,
    /// `GET /v1/log-level`
    LogLevel,
    /// `PUT /v1/log-level`: a filter, not yet looked at.
    SetLogLevel(String),
    /// `POST /v1/reload`
    Reload(api::ReloadRequest),
    /// `POST /v1/stop`
    Stop,
}

/// A question to the daemon's loop, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Request {
    /// The question.
    pub(crate) ask: Ask,
    /// JSON, or why not. Nobody may be listening any more.
    pub(crate) reply: oneshot::Sender<Result<Vec<u8>, Refusal>>,
}

/// A request that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// Why, and what to do.
    pub(crate) problem: api::Problem,
}

impl Refusal {
    /// With any status.
    pub(crate) fn new(status: u16, error: impl Into<String>) -> Self {
        let problem = api::Problem {
            schema: api::SCHEMA,
            error: error.into(),
            help: None,
            details: Vec::new(),
        };
        Self { status, problem }
    }

    /// 400: the request makes no sense.
    pub(crate) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(400, error)
    }

    /// 409: it makes sense, but not now or not with this configuration.
    pub(crate) fn conflict(error: impl Into<String>) -> Self {
        Self::new(409, error)
    }

    /// 500: the daemon could not, and it is not the client's fault.
    pub(crate) fn internal(error: impl Into<String>) -> Self {
        Self::new(500, error)
    }

    /// 503: try again later, or elsewhere.
    pub(crate) fn unavailable(error: impl Into<String>) -> Self {
        Self::new(503, error)
    }

    /// Says what to do.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.problem.help = Some(help.into());
        self
    }

    /// Adds lines.
    #[must_use]
    pub(crate) fn details(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.problem.details.extend(details);
        self
    }
}

/// An answer as it is sent.
///
/// # Errors
/// 500, when it is no JSON; none of the `api` crate's types is such.
pub(crate) fn json(answer: &impl serde::Serialize) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(answer)
        .map_err(|error| Refusal::internal(format!("the answer can not be written: {error}")))
}

/// The answer to a question that only reads; `None` for the others, which change something or ask for what is not in
/// the state: log level, reload, stop.
pub(crate) fn answer(state: &State<'_>, ask: &Ask) -> Option<Result<Vec<u8>, Refusal>> {
    Some(match ask {
        Ask::Status => json(&answers::status(state)),
        Ask::Plan => json(&state.plan),
        Ask::Ports => json(&answers::ports(state)),
        Ask::Stages => json(&answers::stages(state)),
        Ask::Counters => json(&answers::counters(state)),
        Ask::Drops => json(&answers::drops(state)),
        Ask::Latency => match answers::latency(state) {
            Ok(latency) => json(&latency),
            Err(error) => Err(Refusal::internal(error.to_string())),
        },
        Ask::Stalls { after } => match answers::stalls(state, after.as_deref()) {
            Ok(stalls) => json(&stalls),
            Err(error) => Err(Refusal::bad_request(error.to_string())
                .help("ask without after, and then with the numbers in next")),
        },
        Ask::LogLevel | Ask::SetLogLevel(_) | Ask::Reload(_) | Ask::Stop => return None,
    })
}
