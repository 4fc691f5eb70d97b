//! Every kind of picture, of made-up numbers: `cargo run -p plots --example gallery DIR`.

use std::{error::Error, fs, path::Path};

use hdrhistogram::Histogram;
use plots::{Caption, Curve, Forest, Gaps, Plot, Ratio, Series};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("usage: gallery DIR")?;
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;
    let fast = made_up(900, 7)?;
    let slow = made_up(9_000, 4)?;
    let note = "Made-up numbers: they show what the pictures look like, and nothing else.";
    let caption = |title| Caption { title, note, ..Caption::default() };
    let load = |scale: f64| (1..20).map(|step| f64::from(step) * scale).collect::<Vec<_>>();
    let bent = |name: &str, base: f64, most: f64| {
        let points = load(most / 20.0).into_iter().map(|x| (x, base / (1.0 - x / most))).collect();
        Series::new(name, points)
    };
    let lost = |name: &str, most: f64| {
        let share = |x: f64| if x < most { 0.0 } else { 1.0 - most / x };
        Series::new(name, load(1e5).into_iter().map(|x| (x, share(x))).collect())
    };
    let maxima = |name: &str, base: u32| {
        let point = |second: u32| {
            let ns = base + second.wrapping_mul(2_654_435_761) % (base * 4);
            (f64::from(second) / 10.0, f64::from(ns))
        };
        Series::new(name, (0..600).map(point).collect())
    };
    let ratio = |name: &str, estimate: f64, wide: f64| Ratio {
        name: name.to_owned(),
        estimate,
        low: estimate / wide,
        high: estimate * wide,
    };
    let pictures = [
        (
            "percentiles",
            plots::percentiles(
                caption("Round trip of 64-byte frames, 10 000 a second"),
                &[Curve::of("daemon over af_packet", &fast), Curve::of("kernel, spinning", &slow)],
            ),
        ),
        (
            "maxima",
            plots::maxima_over_time(
                caption("Longest round trip of each 100 ms"),
                &[maxima("daemon", 20_000), maxima("kernel", 90_000)],
            ),
        ),
        (
            "latency",
            plots::latency_against_load(
                caption("Latency against load"),
                &[
                    bent("daemon, median", 1_500.0, 1.9e6).styled(0, 0),
                    bent("daemon, 99 %", 6_000.0, 1.8e6).styled(0, 1),
                    bent("kernel, median", 9_000.0, 1.1e6).styled(1, 0),
                    bent("kernel, 99 %", 40_000.0, 1.0e6).styled(1, 1),
                ],
            ),
        ),
        (
            "loss",
            plots::loss_against_load(
                caption("Loss against load"),
                &[lost("daemon", 1.75e6), lost("kernel", 9.8e5)],
            ),
        ),
        (
            "ratios",
            plots::ratios(
                Forest {
                    caption: caption("Daemon against kernel, same wire"),
                    band: Some((0.97, 1.031)),
                    below: "daemon is faster",
                    above: "kernel is faster",
                },
                &[
                    ratio("median, 1 k packets/s", 0.71, 1.04),
                    ratio("99 %, 1 k packets/s", 0.93, 1.06),
                    ratio("median, 100 k packets/s", 1.21, 1.03),
                ],
            ),
        ),
        (
            "gaps",
            plots::gaps(
                caption("Gaps of a spinning core"),
                &[Gaps::of("cpu 2", &fast), Gaps::of("cpu 3", &slow)],
            ),
        ),
    ];
    for (name, plot) in &pictures {
        write(directory, name, plot)?;
    }
    Ok(())
}

fn write(directory: &Path, name: &str, plot: &Plot) -> Result<(), Box<dyn Error>> {
    fs::write(directory.join(format!("{name}.svg")), plot.svg())?;
    fs::write(directory.join(format!("{name}.png")), plot.png(1.0)?)?;
    Ok(())
}

/// A body around `base` nanoseconds and a tail.
fn made_up(base: u64, steps: u64) -> Result<Histogram<u64>, Box<dyn Error>> {
    let mut histogram = Histogram::new(3)?;
    for step in 0..20 {
        histogram.record_n(base + base * step / 40, 5_000)?;
    }
    for step in 1..=steps {
        histogram.record_n(base << step, 20_000 >> (2 * step))?;
    }
    Ok(histogram)
}
