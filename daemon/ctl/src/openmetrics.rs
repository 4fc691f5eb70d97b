//! `barewire metrics`: what is counted and measured, for Prometheus and whatever else reads OpenMetrics.

use std::{fmt, fs, io, io::Write, os::unix::fs::PermissionsExt, path::Path};

use api::{Counters, Latency, Status};
use hdrhistogram::Histogram;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet, text},
    metrics::MetricType,
    registry::{Registry, Unit},
};

use crate::metric::{Metric, Unreadable};

/// Upper ends of buckets, in nanoseconds: 1, 2, 5 of each power of ten from 100 ns to 10 s.
const BUCKETS: [u64; 25] = [
    100,
    200,
    500,
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// One look at a daemon. The parts are asked for one after the other; each is consistent in itself.
#[derive(Debug)]
pub(crate) struct Reading {
    status: Status,
    counters: Counters,
    /// Of all workers together, by egress port.
    times: Vec<(String, Metric, Histogram<u64>)>,
}

impl Reading {
    /// # Errors
    /// [`Unreadable`] when a histogram is none.
    pub(crate) fn new(
        status: Status,
        counters: Counters,
        latency: &Latency,
    ) -> Result<Self, Unreadable> {
        let mut times = Vec::new();
        for entry in latency.entries.iter().filter(|entry| entry.worker.is_none()) {
            for metric in Metric::BOTH {
                times.push((entry.port.clone(), metric, metric.read(entry)?));
            }
        }
        Ok(Self { status, counters, times })
    }

    /// The OpenMetrics text, with its end mark.
    ///
    /// # Errors
    /// [`fmt::Error`]: writing into a string does not fail.
    pub(crate) fn into_text(self) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("barewired");
        registry.register_collector(Box::new(self));
        let mut page = String::new();
        text::encode(&mut page, &registry)?;
        Ok(page)
    }
}

/// Puts the text where a collector of text files finds it: whole, or not at all.
///
/// Such collectors read Prometheus' own text format, which differs from OpenMetrics in where a counter's `_total` stands
/// and has neither units nor an end.
///
/// # Errors
/// [`io::Error`]
pub(crate) fn write(path: &Path, page: &str) -> io::Result<()> {
    let page = of_old(page);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(page.as_bytes())?;
    // The collector is somebody else.
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The same in the text format 0.0.4.
fn of_old(page: &str) -> String {
    let families: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    let mut old = String::with_capacity(page.len());
    for line in page.lines() {
        let comment = line.strip_prefix("# ").map(|comment| comment.splitn(3, ' '));
        let words: Vec<&str> = comment.map(Iterator::collect).unwrap_or_default();
        match words[..] {
            ["UNIT", ..] | ["EOF"] => continue,
            [what, family, rest] if families.contains(&family) => {
                old.extend(["# ", what, " ", family, "_total ", rest]);
            }
            _ => old.push_str(line),
        }
        old.push('\n');
    }
    old
}

impl Collector for Reading {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        self.of_daemon(&mut page)?;
        self.of_ports(&mut page)?;
        self.of_workers(&mut page)?;
        for metric in Metric::BOTH {
            self.of_times(&mut page, metric)?;
        }
        Ok(())
    }
}

/// The text so far.
struct Page<'e>(DescriptorEncoder<'e>);

impl Page<'_> {
    /// A number that only grows.
    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let mut one = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        one.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    /// A number that comes and goes.
    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: f64) -> fmt::Result {
        self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// A family of numbers that only grow.
    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            let mut one = family.encode_family(&labels)?;
            one.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// A family of numbers that come and go.
    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        values: impl IntoIterator<Item = (L, f64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}

impl Reading {
    fn of_daemon(&self, page: &mut Page<'_>) -> fmt::Result {
        let Status { version, dpdk, uptime_seconds, start_to_ready_ms, generation, .. } =
            &self.status;
        let balance = &self.counters.balance;
        let build = [("version", version.as_str()), ("dpdk", dpdk.as_str())];
        page.gauges("build", "Which barewired with which DPDK; always 1.", None, [(build, 1.0)])?;
        let seconds = Some(&Unit::Seconds);
        page.gauge("uptime", "Since it was ready.", seconds, *uptime_seconds)?;
        let ready = start_to_ready_ms / 1e3;
        page.gauge("start", "From the program's start until it was ready.", seconds, ready)?;
        let help = "How often a configuration was put in force.";
        page.counter("generations", help, *generation)?;
        let help = "Frames inside: in rings and between two turns of a worker.";
        page.gauge("held_frames", help, None, float(balance.held))?;
        let help = "Readings in which received frames were not those sent, dropped and held.";
        page.counter("balance_violations", help, balance.violations)?;
        let drops = &self.counters.drops;
        let drops = drops.iter().map(|(reason, &frames)| ([("reason", reason.as_str())], frames));
        page.counters(
            "dropped_frames",
            "Frames dropped, by reason; barewire drops --all explains.",
            drops,
        )
    }

    fn of_ports(&self, page: &mut Page<'_>) -> fmt::Result {
        type Value = fn(&api::PortCounters) -> u64;
        let families: [(&str, &str, Value); 8] = [
            ("received_frames", "Frames that workers received from a port.", |port| {
                port.rx_packets
            }),
            ("received_bytes", "Their bytes, without FCS.", |port| port.rx_bytes),
            ("sent_frames", "Frames that a port's transmit queues took.", |port| port.tx_packets),
            ("sent_bytes", "Their bytes, without FCS.", |port| port.tx_bytes),
            (
                "missed_frames",
                "Frames lost because a receive queue was full, by the driver.",
                |port| port.rx_missed,
            ),
            ("receive_errors", "Frames received in error, by the driver.", |port| port.rx_errors),
            (
                "receive_no_buffer",
                "Receive buffers that could not be had, by the driver.",
                |port| port.rx_nombuf,
            ),
            ("transmit_errors", "Frames taken that could not be sent, by the driver.", |port| {
                port.tx_errors
            }),
        ];
        let ports = &self.counters.ports;
        let label = |port: &api::PortCounters| [("port", port.name.clone())];
        for (name, help, value) in families {
            page.counters(name, help, ports.iter().map(|port| (label(port), value(port))))?;
        }
        let up = ports.iter().map(|port| (label(port), f64::from(u8::from(port.link_up))));
        page.gauges("link_up", "Whether a port has a link: 1 or 0.", None, up)
    }

    fn of_workers(&self, page: &mut Page<'_>) -> fmt::Result {
        let workers = &self.status.workers;
        let label = |worker: &api::WorkerState| {
            [("worker", worker.worker.to_string()), ("cpu", worker.cpu.to_string())]
        };
        let help = "Turns of a worker's loop; one whose turns stand still is stuck.";
        page.counters("turns", help, workers.iter().map(|worker| (label(worker), worker.turns)))?;
        let help = "Gaps between two polls that were longer than the threshold.";
        page.counters("stalls", help, workers.iter().map(|worker| (label(worker), worker.stalls)))?;
        let worst = workers.iter().map(|worker| (label(worker), seconds(worker.worst_gap_ns)));
        let help = "The longest time between two polls so far.";
        page.gauges("worst_gap", help, Some(&Unit::Seconds), worst)?;
        type Value = fn(&api::WorkerCounters) -> u64;
        let polls: [(&str, Value); 2] =
            [("empty", |worker| worker.polls_empty), ("busy", |worker| worker.polls_busy)];
        let counted = self.counters.workers.iter().flat_map(|worker| {
            let label = |found| [("worker", worker.worker.to_string()), ("found", found)];
            polls.map(|(found, value)| (label(found.to_owned()), value(worker)))
        });
        page.counters("polls", "Polls of receive queues and rings, by what they found.", counted)
    }

    fn of_times(&self, page: &mut Page<'_>, metric: Metric) -> fmt::Result {
        let help = match metric {
            Metric::Residence => "From the poll that returned a frame to the burst that sent it.",
            Metric::Bound => {
                "From the last poll at which a frame was not yet waiting to the burst that sent it."
            }
        };
        let unit = Some(&Unit::Seconds);
        let mut family =
            page.0.encode_descriptor(metric.name(), help, unit, MetricType::Histogram)?;
        for (port, _, times) in self.times.iter().filter(|(_, of, _)| *of == metric) {
            let sum = times.mean() * float(times.len()) / 1e9;
            family.encode_family(&[("port", port.as_str())])?.encode_histogram::<NoLabelSet>(
                sum,
                times.len(),
                &buckets(times),
                None,
            )?;
        }
        Ok(())
    }
}

/// How many there are in each bucket, by its upper end in seconds; the last has no end.
fn buckets(times: &Histogram<u64>) -> Vec<(f64, u64)> {
    let mut before = 0;
    let ends = BUCKETS.map(|end| (seconds(end), times.count_between(0, end)));
    let last = (f64::INFINITY, times.len());
    ends.into_iter()
        .chain([last])
        .map(|(end, below)| {
            let inside = below.saturating_sub(before);
            before = below;
            (end, inside)
        })
        .collect()
}

fn seconds(ns: u64) -> f64 {
    float(ns) / 1e9
}

#[expect(clippy::cast_precision_loss, reason = "the format has no other numbers")]
fn float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_format_has_total_in_the_familys_name_and_no_unit_or_end() {
        let page = "# HELP a_b It's a total.\n# TYPE a_b counter\na_b_total{x=\"# TYPE y counter\"} 1\n\
                    # HELP c_seconds c\n# TYPE c_seconds gauge\n# UNIT c_seconds seconds\nc_seconds 2\n# EOF\n";
        let old = "# HELP a_b_total It's a total.\n# TYPE a_b_total counter\na_b_total{x=\"# TYPE y counter\"} 1\n\
                   # HELP c_seconds c\n# TYPE c_seconds gauge\nc_seconds 2\n";
        assert_eq!(of_old(page), old);
    }

    #[test]
    fn every_frame_is_in_one_bucket_and_the_last_has_no_end() {
        let mut times = Histogram::<u64>::new(3).unwrap();
        for ns in [50, 150, 150, 60_000_000_000] {
            times.record(ns).unwrap();
        }
        let buckets = buckets(&times);
        let full: Vec<_> = buckets.iter().filter(|(_, frames)| *frames > 0).collect();
        assert_eq!(full, [&(1e-7, 1), &(2e-7, 2), &(f64::INFINITY, 1)]);
        assert_eq!(buckets.len(), BUCKETS.len() + 1);
        assert!(BUCKETS.is_sorted());
    }
}
