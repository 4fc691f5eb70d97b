//! The `.hlog` files that a run leaves are read by others as they were meant: by the reader of the hdrhistogram crate, and by
//! the one for Python from PyPI.
#![expect(clippy::unwrap_used, reason = "a helper of tests that fails says where")]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::Path,
    process::Command,
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use distribution::hlog::{self, Interval};
use hdrhistogram::{
    Histogram,
    serialization::{
        Deserializer,
        interval_log::{IntervalLogIterator, LogEntry},
    },
};

/// Of a second each: tag, and values in ns.
fn written() -> Vec<(&'static str, Histogram<u64>)> {
    let of = |values: &mut dyn Iterator<Item = u64>| {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        values.for_each(|value| histogram.record(value).unwrap());
        histogram
    };
    vec![
        ("response", of(&mut (1..=10_000).map(|n| n * 137))),
        ("service", of(&mut (1..=10_000).map(|n| n * 31 + 900))),
        ("warmup", of(&mut (1..=7).map(|n| n * 1_000_000))),
        ("gap-gen", of(&mut std::iter::empty())),
        ("gap-dut", of(&mut [4_000_000, 59_000_000_000].into_iter())),
    ]
}

fn write(file: &Path) {
    let all = written();
    let intervals: Vec<Interval<'_>> = all
        .iter()
        .zip(0..)
        .map(|((tag, histogram), second)| Interval {
            tag,
            histogram,
            after: Duration::from_secs(second),
            length: Duration::from_millis(900),
        })
        .collect();
    hlog::write(File::create(file).unwrap(), "a test", SystemTime::now(), &intervals).unwrap();
}

#[test]
fn the_crates_reader_finds_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.hlog");
    write(&file);
    let text = fs::read(&file).unwrap();

    let entries: Vec<LogEntry<'_>> =
        IntervalLogIterator::new(&text).collect::<Result<_, _>>().unwrap();

    let mut found = BTreeMap::new();
    for entry in entries {
        let LogEntry::Interval(interval) = entry else { continue };
        assert_eq!(interval.duration(), Duration::from_millis(900));
        let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap();
        let histogram: Histogram<u64> =
            Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap();
        found.insert(interval.tag().unwrap().as_str().to_owned(), histogram);
    }
    let expected: BTreeMap<String, Histogram<u64>> =
        written().into_iter().map(|(tag, histogram)| (tag.to_owned(), histogram)).collect();
    assert_eq!(found, expected);
}

const READER: &str = "
import sys
from hdrh.log import HistogramLogReader
from hdrh.histogram import HdrHistogram
reader = HistogramLogReader(sys.argv[1], HdrHistogram(1, 60_000_000_000, 3))
while True:
    found = reader.get_next_interval_histogram()
    if found is None:
        break
    print(found.get_tag(), found.get_total_count(), found.get_value_at_percentile(50), found.get_value_at_percentile(99.9))
";

#[test]
fn pythons_reader_finds_what_was_written() {
    let test = "pythons_reader_finds_what_was_written";
    let dir = tempfile::tempdir().unwrap();
    let venv = dir.path().join("venv");
    let skip = |why: &str| eprintln!("SKIPPED: {test}: {why}");
    let quietly = |command: &mut Command| command.output().is_ok_and(|it| it.status.success());
    if !quietly(Command::new("python3").args(["-m", "venv"]).arg(&venv)) {
        return skip("no python3 with venv (Debian: python3-venv)");
    }
    let install = ["-m", "pip", "install", "--quiet", "--timeout", "10", "hdrhistogram"];
    if !quietly(Command::new(venv.join("bin/python")).args(install)) {
        return skip("pip can not install hdrhistogram here");
    }
    let file = dir.path().join("a.hlog");
    write(&file);

    let read = Command::new(venv.join("bin/python")).args(["-c", READER]).arg(&file).output();

    let read = read.unwrap();
    let said = String::from_utf8_lossy(&read.stdout).into_owned();
    assert!(read.status.success(), "{read:?}");
    let found: Vec<Vec<&str>> =
        said.lines().map(|line| line.split(' ').collect::<Vec<_>>()).collect();
    let all = written();
    assert_eq!(found.len(), all.len(), "{said}");
    for (line, (tag, histogram)) in found.iter().zip(&all) {
        assert_eq!(line[..2], [*tag, &histogram.len().to_string()], "{said}");
        for (text, quantile) in [(line[2], 0.5), (line[3], 0.999)] {
            let expected = histogram.value_at_quantile(quantile);
            // One takes the highest value of a bucket, the other may take the lowest.
            let value: u64 = text.parse().unwrap();
            assert!(histogram.equivalent(value, expected), "{tag}: {value} {expected}");
        }
    }
}
