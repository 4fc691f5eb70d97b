//! A measurement as pictures: one for each kind of time, and two of the gaps.

use std::{collections::BTreeMap, io, time::Duration};

use distribution::decode;
use plots::{Caption, Curve, Gaps, Plot, Series};

use crate::measurement::Measurement;

/// What a kind of time is, above its picture.
const TITLES: &[(&str, &str)] = &[
    ("reading", "Time between two readings of the clock"),
    ("wake-up", "How late a thread wakes up"),
    ("cache-line", "A cache line to another CPU and back"),
    ("ipi", "An interrupt to another CPU, until it is taken"),
    ("udp-loopback", "A datagram over loopback and back"),
    ("memory", "A load that misses every cache"),
];

/// Every picture by the name of its file.
///
/// # Errors
/// A distribution that can't be read, which one that was just made can.
pub(super) fn all(measured: &Measurement, over: Duration) -> io::Result<Vec<(String, Plot)>> {
    let kernel = measured.kernel.as_deref().unwrap_or("not known");
    let note = format!(
        "Kernel {kernel}, CPU {}, spinning and waiting for {:.1} s each; {}.",
        measured.cpus,
        over.as_secs_f64(),
        measured.made_by
    );
    let mut kinds: BTreeMap<&str, Vec<Curve>> = BTreeMap::new();
    let mut gaps = Vec::new();
    for (name, times) in &measured.times {
        let histogram = decode(&times.distribution.hdr_v2).map_err(io::Error::other)?;
        let (kind, member) = name.split_once('/').unwrap_or((name, name));
        kinds.entry(kind).or_default().push(Curve::of(member, &histogram));
        if kind == "reading" {
            gaps.push(Gaps::of(member, &histogram));
        }
    }
    let mut pictures: Vec<(String, Plot)> = kinds
        .iter()
        .map(|(kind, curves)| {
            let title = TITLES.iter().find(|(known, _)| known == kind).map_or(*kind, |of| of.1);
            (
                (*kind).to_owned(),
                plots::percentiles(Caption { title, note: &note, ..Caption::default() }, curves),
            )
        })
        .collect();
    let title = "Gaps: how often the clock was read so long after the time before";
    pictures.push((
        "gaps".to_owned(),
        plots::gaps(Caption { title, note: &note, ..Caption::default() }, &gaps),
    ));
    if let Some(maxima) = &measured.maxima {
        #[expect(clippy::cast_precision_loss, reason = "places on a picture")]
        let point = |(number, ns): (usize, &u64)| {
            // At its interval's end.
            let seconds = (number + 1) as f64 * maxima.interval_ns as f64 / 1e9;
            (*ns > 0).then_some((seconds, *ns as f64))
        };
        let series: Vec<Series> = maxima
            .cpus
            .iter()
            .map(|(cpu, longest)| {
                let points = longest.iter().enumerate().filter_map(point).collect();
                Series::new(format!("cpu{cpu}"), points)
            })
            .collect();
        let title = "Longest gap of each interval";
        let plot =
            plots::maxima_over_time(Caption { title, note: &note, ..Caption::default() }, &series);
        pictures.push(("maxima".to_owned(), plot));
    }
    Ok(pictures)
}
