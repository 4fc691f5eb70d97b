//! A percentile table, as HdrHistogram's plotters read it (`.hgrm`).
//!
//! The columns are those of `AbstractHistogram.outputPercentileDistribution` (HdrHistogram 2.2, Java): the value, its
//! percentile as a fraction, how many samples are up to it, and 1 / (1 − percentile).

use std::io::{self, Write};

use hdrhistogram::Histogram;

/// Steps in each half of the way to 100 %, as HdrHistogram's own tools have by default.
const STEPS: u32 = 5;

/// Writes the table; values are divided by `unit` (1000 makes µs of ns).
///
/// # Errors
/// What `out` answers.
pub fn write(mut out: impl Write, histogram: &Histogram<u64>, unit: f64) -> io::Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "printed with three digits")]
    let scaled = |value: u64| value as f64 / unit;
    writeln!(
        out,
        "{:>12} {:>14} {:>10} {:>14}\n",
        "Value", "Percentile", "TotalCount", "1/(1-Percentile)"
    )?;
    let mut total = 0;
    for bucket in histogram.iter_quantiles(STEPS) {
        total += bucket.count_since_last_iteration();
        let (value, quantile) = (scaled(bucket.value_iterated_to()), bucket.quantile_iterated_to());
        if quantile < 1.0 {
            let ratio = 1.0 / (1.0 - quantile);
            writeln!(out, "{value:12.3} {quantile:14.12} {total:10} {ratio:14.2}")?;
        } else {
            writeln!(out, "{value:12.3} {quantile:14.12} {total:10}")?;
        }
    }
    let (mean, deviation) = (histogram.mean() / unit, histogram.stdev() / unit);
    writeln!(out, "#[Mean    = {mean:12.3}, StdDeviation   = {deviation:12.3}]")?;
    let (max, count) = (scaled(histogram.max()), histogram.len());
    writeln!(out, "#[Max     = {max:12.3}, Total count    = {count:12}]")?;
    let (buckets, sub) = (histogram.buckets(), histogram.distinct_values());
    writeln!(out, "#[Buckets = {buckets:12}, SubBuckets     = {sub:12}]")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_row_has_every_sample() {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 1 << 40, 3).unwrap();
        for value in 1..=1000_u64 {
            histogram.record(value * 1000).unwrap();
        }
        let mut text = Vec::new();
        write(&mut text, &histogram, 1000.0).unwrap();
        let text = String::from_utf8(text).unwrap();
        let rows: Vec<&str> = text.lines().skip(2).filter(|line| !line.starts_with('#')).collect();

        let last: Vec<&str> = rows.last().unwrap().split_whitespace().collect();
        assert_eq!(last[1..], ["1.000000000000", "1000"]);
        assert!(last[0].starts_with("1000."), "{text}");
        let first: Vec<&str> = rows[0].split_whitespace().collect();
        assert_eq!(first.len(), 4, "{text}");
    }

    #[test]
    fn an_empty_distribution_is_an_empty_table() {
        let mut text = Vec::new();

        write(&mut text, &Histogram::<u64>::new(2).unwrap(), 1.0).unwrap();

        assert!(String::from_utf8(text).unwrap().contains("Total count    =            0"));
    }
}
