use proptest::prelude::*;

use super::*;

/// Values of all sizes up to the scale's end.
fn any_values() -> impl Strategy<Value = Vec<u64>> {
    let value = (0..39_u32, any::<u64>()).prop_map(|(bits, noise)| noise % (1 << (bits + 1)));
    proptest::collection::vec(value, 1..2_000)
}

fn recorded(values: &[u64]) -> Snapshot {
    let (mut recorder, reader) = new();
    values.iter().for_each(|&value| recorder.record_n(value, 1));
    reader.snapshot()
}

proptest! {
    #[test]
    fn percentiles_are_within_one_percent_of_the_sorted_values(mut values in any_values()) {
        let seen = recorded(&values);
        values.sort_unstable();
        for thousandths in [10, 100, 250, 500, 750, 900, 950, 990, 999_u16] {
            let quantile = f64::from(thousandths) / 1000.0;
            let above = values.len() as f64 * (1.0 - quantile);
            let Some(percentile) = seen.percentile(quantile) else {
                prop_assert!(above < 10.001, "p{} of {}", quantile, values.len());
                continue;
            };
            prop_assert!(above > 9.999);
            let rank = (values.len() * usize::from(thousandths)).div_ceil(1000);
            let exact = values[rank - 1];
            let error = percentile.ticks.abs_diff(exact) as f64;
            prop_assert!(error <= 0.004 * exact as f64, "{} for {}", percentile.ticks, exact);
        }
        prop_assert_eq!(seen.max(), values.last().copied());
        prop_assert_eq!(seen.count(), values.len() as u64);
        let mean = values.iter().sum::<u64>() as f64 / values.len() as f64;
        prop_assert!((seen.mean().unwrap() - mean).abs() <= mean * 1e-9);
    }

    #[test]
    fn the_hdr_export_is_within_one_percent_of_hdr_itself(values in any_values()) {
        let half = |ticks: u64| ticks / 2;
        let exported = recorded(&values).to_hdr(half);
        let mut direct = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 3_600_000_000_000, 3).unwrap();
        values.iter().for_each(|&value| direct.saturating_record(half(value)));
        prop_assert_eq!(exported.len(), direct.len());
        prop_assert_eq!(exported.max(), direct.max());
        for quantile in [0.0, 0.1, 0.5, 0.9, 0.99, 1.0] {
            let (ours, theirs) =
                (exported.value_at_quantile(quantile), direct.value_at_quantile(quantile));
            prop_assert!(ours.abs_diff(theirs) as f64 <= 1.0 + 0.01 * theirs as f64);
        }
    }

    #[test]
    fn merging_is_recording_together_and_since_takes_it_apart(a in any_values(), b in any_values()) {
        let (mut recorder, reader) = new();
        a.iter().for_each(|&value| recorder.record_n(value, 1));
        let before = reader.snapshot();
        b.iter().for_each(|&value| recorder.record_n(value, 1));
        let after = reader.snapshot();

        let mut merged = recorded(&a);
        merged.merge(&recorded(&b));
        prop_assert_eq!(&merged, &after);
        let between = after.since(&before);
        let alone = recorded(&b);
        prop_assert_eq!(between.count(), alone.count());
        prop_assert_eq!(between.mean(), alone.mean());
        let (estimate, exact) = (between.max().unwrap(), alone.max().unwrap());
        prop_assert!(estimate.abs_diff(exact) as f64 <= 0.008 * exact as f64);
    }
}

#[test]
fn a_continued_histogram_has_everything_of_the_one_before_which_stays_as_it_is() {
    let (mut first, before) = new();
    first.record_n(1_000, 5);
    first.record_n(scale::LARGEST + 1, 1);
    drop(first);
    let (mut second, after) = continued(&before);
    assert_eq!(after.snapshot(), before.snapshot());
    second.record_n(7, 2);
    let alone = recorded(&[7, 7]);
    let mut both = before.snapshot();
    both.merge(&alone);
    assert_eq!(after.snapshot(), both);
    assert_eq!(before.snapshot().count(), 6);
}

#[test]
fn recording_n_is_recording_n_times() {
    let (mut recorder, reader) = new();
    recorder.record_n(1_234, 64);
    recorder.record_n(99, 0);
    assert_eq!(reader.snapshot().count(), 64);
    assert_eq!(recorder.reader().snapshot().mean(), Some(1_234.0));
}

#[test]
fn values_beyond_the_scale_are_counted_and_told() {
    let (mut recorder, reader) = new();
    recorder.record_n(u64::MAX / 4, 3);
    recorder.record_n(1 << 39, 1);
    recorder.record_n((1 << 39) - 1, 1);
    let seen = reader.snapshot();
    assert_eq!((seen.count(), seen.saturated(), seen.max()), (5, 4, Some(u64::MAX / 4)));
    assert_eq!(seen.percentile(1.0).unwrap().ticks, u64::MAX / 4);
}

#[test]
fn a_percentile_says_how_many_samples_are_behind_it() {
    let of = |count, quantile| {
        let (mut recorder, reader) = new();
        recorder.record_n(100, count);
        reader.snapshot().percentile(quantile).map(|percentile| percentile.confidence)
    };
    assert_eq!(of(1_000_000, 0.9999), Some(Confidence::Solid));
    assert_eq!(of(999_000, 0.9999), Some(Confidence::Weak));
    assert_eq!(of(100_000, 0.9999), Some(Confidence::Weak));
    assert_eq!(of(99_000, 0.9999), None);
    assert_eq!(of(20, 0.5), Some(Confidence::Weak));
    assert_eq!(of(19, 0.5), None);
    assert_eq!(of(1, 1.0), Some(Confidence::Solid), "the longest is the longest");
    assert_eq!(of(1_000, 1.1), None);
    assert_eq!(of(1_000, f64::NAN), None);
}

#[test]
fn an_empty_histogram_has_no_percentiles() {
    let seen = new().1.snapshot();
    assert_eq!(seen, Snapshot::default());
    assert_eq!(
        (seen.count(), seen.max(), seen.mean(), seen.percentile(1.0)),
        (0, None, None, None)
    );
    assert_eq!(seen.to_hdr(|ticks| ticks).len(), 0);
}

#[test]
fn the_text_export_is_what_hdr_reads() {
    let (mut recorder, reader) = new();
    recorder.record_n(2_000, 10);
    recorder.record_n(9_000_000, 1);
    let text = reader.snapshot().to_base64(|ticks| ticks / 2).unwrap();
    assert!(text.starts_with("HISTFAAA"), "{text}");
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap();
    let mut read = hdrhistogram::serialization::Deserializer::new();
    let histogram: hdrhistogram::Histogram<u64> = read.deserialize(&mut &bytes[..]).unwrap();
    assert_eq!(histogram.len(), 11);
    assert!(histogram.value_at_quantile(0.5).abs_diff(1_000) <= 4);
    assert!(histogram.equivalent(histogram.max(), 4_500_000));
}

#[test]
fn the_interval_log_has_a_header_and_a_line_per_interval() {
    use std::time::{Duration, SystemTime};
    let (mut recorder, reader) = new();
    recorder.record_n(3_000_000, 5);
    let histogram = reader.snapshot().to_hdr(|ticks| ticks);
    let interval = |offset, tag| IntervalLog {
        tag,
        offset: Duration::from_secs(offset),
        length: Duration::from_secs(1),
        histogram: &histogram,
    };
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
    let text = IntervalLog::text(start, &[interval(0, "w0.south"), interval(1, "a, b\n")]).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 2 + usize::from(lines[0].starts_with('"')), "{text}");
    assert!(text.contains("Tag=w0.south,0.000,1.000,3."), "{text}");
    assert!(text.contains("Tag=a__b_,1.000,1.000,3."), "{text}");
}
