//! Reading a distribution as others would: from its HdrHistogram V2 form, not from what is said about it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hdrhistogram::{Histogram, serialization::Deserializer};

/// The whole distribution.
///
/// # Panics
/// When it is not one.
#[must_use]
pub fn histogram(of: &api::Distribution) -> Histogram<u64> {
    let bytes = STANDARD.decode(&of.hdr_v2).expect("base64");
    Deserializer::new().deserialize(&mut bytes.as_slice()).expect("an HdrHistogram V2")
}

/// The entry of an egress port over all workers.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn of_port<'a>(latency: &'a api::Latency, port: &str) -> &'a api::LatencyOf {
    latency
        .entries
        .iter()
        .find(|entry| entry.worker.is_none() && entry.port == port)
        .unwrap_or_else(|| panic!("no latency of port {port}: {latency:#?}"))
}
