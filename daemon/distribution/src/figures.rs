//! The figures of a distribution: what may be said of so many samples.

use api::Distribution;
use hdrhistogram::Histogram;

/// The percentiles that are shown.
pub const PERCENTILES: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 99.999];

/// What came between two readings; nothing when the second is not a continuation of the first.
///
/// A reading tells the longest of its samples by the maximum, and the next one by the middle of their bucket once there is
/// a longer one. So they may have moved, up or down, by a part of a bucket, which is a 128th of its values.
#[must_use]
pub fn since(earlier: &Histogram<u64>, later: &Histogram<u64>) -> Option<Histogram<u64>> {
    let mut between = later.clone();
    if between.subtract(earlier).is_ok() {
        return Some(between);
    }
    let recorded = |histogram: &Histogram<u64>| -> Vec<(u64, u64)> {
        let each = histogram.iter_recorded();
        each.map(|at| (at.value_iterated_to(), at.count_at_value())).collect()
    };
    let mut before = recorded(earlier);
    let (highest, count) = before.pop()?;
    let reach = highest / 128 + 1;
    let values = recorded(later).into_iter().map(|(value, _)| value);
    let mut near: Vec<u64> = values.filter(|value| value.abs_diff(highest) <= reach).collect();
    near.sort_by_key(|value| value.abs_diff(highest));
    near.into_iter().find_map(|moved| {
        let mut earlier = Histogram::<u64>::new_from(earlier);
        for (value, count) in before.iter().copied().chain([(moved, count)]) {
            earlier.record_n(value, count).ok()?;
        }
        // As far as that went before it failed is of no use.
        let mut between = later.clone();
        between.subtract(&earlier).ok()?;
        Some(between)
    })
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

    proptest::proptest! {
        #[test]
        fn what_the_daemon_recorded_meanwhile_is_what_came_between_its_readings(
            first in proptest::collection::vec(1..200_000_u64, 1..40),
            then in proptest::collection::vec(1..400_000_u64, 0..40),
        ) {
            let (mut recorder, reader) = pipeline::histogram::new();
            let mut record = |values: &[u64]| {
                values.iter().for_each(|&value| recorder.record_n(value, 1));
                reader.snapshot().to_hdr(|ticks| ticks * 5 / 12)
            };
            let (earlier, later) = (record(&first), record(&then));

            let between = since(&earlier, &later);

            proptest::prop_assert_eq!(between.map(|it| it.len()), Some(then.len() as u64));
        }
    }

    #[test]
    fn the_highest_samples_may_have_moved_when_a_longer_one_came() {
        let reading = |samples: &[(u64, u64)]| {
            let mut histogram = Histogram::<u64>::new_with_bounds(1, 1 << 40, 3).unwrap();
            for (value, count) in samples {
                histogram.record_n(*value, *count).unwrap();
            }
            histogram
        };
        let earlier = reading(&[(100, 5), (1_000_000, 2)]);

        let between = since(&earlier, &reading(&[(100, 6), (1_004_000, 9)])).unwrap();
        assert_eq!((between.len(), between.count_at(100), between.count_at(1_004_000)), (8, 1, 7));
        let longer = reading(&[(100, 5), (1_004_000, 2), (2_000_000, 1)]);
        let between = since(&earlier, &longer).unwrap();
        assert_eq!((between.len(), between.count_at(2_000_000)), (1, 1));

        // One of them was the maximum, and went down to the middle.
        let earlier = reading(&[(100, 5), (996_000, 3), (1_000_000, 1)]);
        let between = since(&earlier, &reading(&[(100, 5), (996_000, 4), (2_000_000, 1)])).unwrap();
        assert_eq!((between.len(), between.count_at(2_000_000)), (1, 1));

        let earlier = reading(&[(100, 5), (1_000_000, 2)]);
        for restarted in [
            &[(100, 4), (1_004_000, 9)][..],
            &[(100, 5), (1_004_000, 1)],
            &[(100, 9)],
            &[(100, 9), (980_000, 9)],
            &[(100, 9), (1_020_000, 9)],
            &[(100, 9), (5_000_000, 9)],
            &[],
        ] {
            assert!(since(&earlier, &reading(restarted)).is_none(), "{restarted:?}");
        }
    }
}
