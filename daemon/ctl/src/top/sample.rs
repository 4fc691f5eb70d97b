//! One look at the daemon.

use std::collections::BTreeMap;

use api::{Counters, Latency, Stalls, Status};
use hdrhistogram::Histogram;

use crate::{
    client::{Client, RequestError},
    failure::Failure,
    metric::{Metric, Unreadable},
};

/// A worker, or all of them, and an egress port.
pub(super) type Path = (Option<usize>, String);

/// Everything the screen is made of, with its distributions decoded.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) status: Status,
    pub(super) counters: Counters,
    pub(super) stalls: Stalls,
    pub(super) distributions: BTreeMap<Path, Distributions>,
}

#[derive(Debug)]
pub(super) struct Distributions {
    pub(super) residence: Histogram<u64>,
    pub(super) bound: Histogram<u64>,
}

impl Sample {
    pub(super) async fn take(client: &Client) -> Result<Self, Failure> {
        let status = client.get("/v1/status").await?.value;
        let counters = client.get("/v1/counters").await?.value;
        let latency = client.get("/v1/latency").await?.value;
        let stalls = client.get("/v1/stalls").await?.value;
        Ok(Self { status, counters, stalls, distributions: distributions(&latency)? })
    }
}

fn distributions(latency: &Latency) -> Result<BTreeMap<Path, Distributions>, Unreadable> {
    let entries = latency.entries.iter().map(|entry| {
        let decoded = Distributions {
            residence: Metric::Residence.read(entry)?,
            bound: Metric::Bound.read(entry)?,
        };
        Ok(((entry.worker, entry.port.clone()), decoded))
    });
    entries.collect()
}

/// What goes wrong between two looks, as the screen says it in one line.
pub(super) fn trouble(failure: &Failure) -> String {
    match failure {
        Failure::Request(error @ RequestError::Connect { source, .. }) => {
            format!("{error}: {source}")
        }
        other => other.to_string(),
    }
}
