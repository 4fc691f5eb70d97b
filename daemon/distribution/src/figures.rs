//! The figures of a distribution: what may be said of so many samples.

use api::Distribution;
use hdrhistogram::Histogram;

/// The percentiles that are shown.
pub const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 99.999];

/// What came between two readings; nothing when the second is not a continuation of the first.
#[must_use]
pub fn since(earlier: &Histogram<u64>, later: &Histogram<u64>) -> Option<Histogram<u64>> {
    let mut between = later.clone();
    between.subtract(earlier).ok()?;
    Some(between)
}

/// The figures of a distribution: a percentile needs ten samples beyond
/// it to be shown, and a hundred to be firm.
#[must_use]
pub fn figures(histogram: &Histogram<u64>, hdr_v2: String) -> Distribution {
    let count = histogram.len();
    let percentiles = PERCENTILES.iter().filter_map(|&percentile| {
        #[expect(clippy::cast_precision_loss, reason = "compared with 10 and 100")]
        let beyond = count as f64 * (100.0 - percentile) / 100.0;
        // Percentiles are not exact in binary: 10,000 × (100 − 99.9) % is a hair under 10.
        let beyond = beyond + 1e-6;
        (beyond >= 10.0).then(|| api::Percentile {
            percentile,
            ns: histogram.value_at_percentile(percentile),
            weak: beyond < 100.0,
        })
    });
    Distribution {
        count,
        min_ns: histogram.min(),
        mean_ns: histogram.mean(),
        max_ns: histogram.max(),
        percentiles: percentiles.collect(),
        hdr_v2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_needs_ten_samples_beyond_it() {
        let shown = |count: u64| {
            let mut histogram = Histogram::<u64>::new(2).unwrap();
            histogram.record_n(100, count).unwrap();
            let figures = figures(&histogram, String::new());
            figures.percentiles.iter().map(|p| (p.percentile, p.weak)).collect::<Vec<_>>()
        };
        assert_eq!(shown(0), []);
        assert_eq!(shown(19), []);
        assert_eq!(shown(20), [(50.0, true)]);
        assert_eq!(shown(1_000), [(50.0, false), (90.0, false), (99.0, true)]);
        assert_eq!(shown(10_000).last(), Some(&(99.9, true)));
        assert_eq!(shown(9_999).last(), Some(&(99.0, true)));
        assert_eq!(shown(10_000_000).last(), Some(&(99.999, false)));
    }

    #[test]
    fn the_difference_of_two_readings_is_what_came_between() {
        let mut earlier = Histogram::<u64>::new_with_bounds(1, 1 << 40, 2).unwrap();
        earlier.record_n(100, 5).unwrap();
        let mut later = earlier.clone();
        later.record_n(90_000, 3).unwrap();
        let between = since(&earlier, &later).unwrap();
        assert_eq!((between.len(), between.count_between(1, 1_000)), (3, 0));
        assert!(since(&later, &earlier).is_none(), "the daemon was restarted in between");
    }
}
