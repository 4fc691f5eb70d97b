use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use config::CpuId;
use distribution::{encode, figures};
use hdrhistogram::Histogram;
use noise::{CpuNoise, Noise};
use proptest::prelude::*;

use super::*;
use crate::measurement::{Measurement, SCHEMA, Times};

fn fixture(name: &str) -> Vec<Theirs> {
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/results").join(name))
        .unwrap()
}

fn number(cpu: u32) -> CpuId {
    CpuId::new(cpu).unwrap()
}

/// Two CPUs: on each, a thousand wake-ups of 1 to 1000 µs, and readings of 20 ns with ten gaps of 50 µs in ten seconds.
fn ours() -> Measurement {
    let of = |values: &mut dyn Iterator<Item = u64>| {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        values.for_each(|value| histogram.record(value).unwrap());
        Times { title: String::new(), distribution: figures(&histogram, encode(&histogram)) }
    };
    let mut times = BTreeMap::new();
    for cpu in 0..2 {
        let mut late = (1..=1000).map(|us| us * 1000);
        times.insert(format!("wake-up/cpu{cpu}"), of(&mut late));
        let mut readings = std::iter::repeat_n(20, 10_000).chain(std::iter::repeat_n(50_000, 10));
        times.insert(format!("reading/cpu{cpu}"), of(&mut readings));
    }
    let noise = CpuNoise { seconds: 10.0, ..CpuNoise::default() };
    Measurement {
        schema: SCHEMA,
        made_by: "a test".to_owned(),
        kernel: None,
        cpus: "0-1".parse().unwrap(),
        noise: Noise {
            cpus: [(number(0), noise.clone()), (number(1), noise)].into(),
            unattributed: None,
        },
        costs: BTreeMap::new(),
        maxima: None,
        times,
        failed: BTreeMap::new(),
    }
}

#[test]
fn cyclictests_json_has_each_cpus_histogram_in_whole_microseconds() {
    let theirs = fixture("cyclictest.json");

    assert_eq!(theirs.len(), 2);
    assert_eq!((theirs[1].tool, theirs[1].cpu), ("cyclictest", Some(number(1))));
    assert_eq!(theirs[1].question, Question::WakeUp);
    assert_eq!((theirs[0].count(), theirs[1].count()), (44, 470));
    assert_eq!((theirs[0].over, theirs[1].over), (32, 209));
    assert_eq!(theirs[1].steps[0], Step { from_ns: 71_000, to_ns: 72_000, count: 1 });
    assert_eq!(theirs[1].max, Some((154_696_000, 154_697_000)));
    // 261 of 470 are in the histogram: the median is, and the 99th percentile is somewhere up to the longest.
    assert!(theirs[1].quantile(0.5).unwrap().1.unwrap() <= 184_000);
    assert_eq!(theirs[1].quantile(0.99), Some((184_000, Some(154_697_000))));
}

#[test]
fn cyclictest_without_a_histogram_has_its_longest_only() {
    let theirs = fixture("cyclictest-no-histogram.json");

    assert_eq!(theirs.len(), 2);
    assert_eq!(theirs[0].quantile(0.5), None);
    assert_eq!(theirs[0].max, Some((101_095_000, 101_096_000)));
    assert_eq!(theirs[0].over, 0);
}

#[test]
fn cyclictests_text_and_json_of_one_run_say_the_same() {
    let text = fixture("cyclictest.txt");
    let json = fixture("cyclictest.json");

    assert_eq!(text.len(), 1, "text does not say which thread ran where");
    assert_eq!(text[0].cpu, None);
    assert_eq!(text[0].count(), json[0].count() + json[1].count());
    assert_eq!(text[0].over, json[0].over + json[1].over);
    assert_eq!(text[0].max, json[0].max.max(json[1].max));
    let summary = "# /dev/cpu_dma_latency set to 0us\n\
                   T: 0 ( 1243) P: 0 I:1000 C:     61 Min:     69 Act:89685 Avg:16922 Max:  101095\n\
                   T: 1 ( 1244) P: 0 I:1500 C:    116 Min:     71 Act:115142 Avg: 7545 Max:  335049\n";
    assert_eq!(parse(summary).unwrap()[0].max, Some((335_049_000, 335_050_000)));
}

#[test]
fn cyclictest_in_nanoseconds_is_read_so() {
    let text = r#"{"resolution_in_ns": 1, "thread": {"0":
        {"histogram": {"1500": 3}, "cycles": 3, "min": 1500, "max": 1500, "cpu": 3}}}"#;

    let theirs = parse(text).unwrap();

    assert_eq!(theirs[0].steps, [Step { from_ns: 1500, to_ns: 1500, count: 3 }]);
    assert_eq!(theirs[0].max, Some((1500, 1500)));
}

#[test]
fn oslats_last_step_is_everything_beyond_and_a_step_is_two_wide() {
    let theirs = fixture("oslat.json");

    assert_eq!((theirs[0].tool, theirs[0].question), ("oslat", Question::Reading));
    assert_eq!(theirs[0].seconds, Some(2.388));
    assert_eq!(theirs[0].over, 11);
    assert_eq!(theirs[0].steps[0], Step { from_ns: 0, to_ns: 1_000, count: 1_070_787 });
    assert_eq!(theirs[0].max, Some((527_897_000, 527_898_000)));
    // 13, 17, 24 and 28 µs, and eleven beyond.
    assert_eq!(theirs[0].beyond(10_000), (15, 15));
    assert_eq!(theirs[0].beyond(12_000), (14, 15), "13 may have been 11");
}

const TIMERLAT: &str = "\
# RTLA timerlat histogram
# Time unit is microseconds (us)
# Duration:   0 00:01:40
Index   IRQ-000   Thr-000   IRQ-002   Thr-002
0           900         0       800         0
4           100       990       200       700
8             0         9         0       200
over:         0         1         0       100
count:     1000      1000      1000      1000
min:          0         4         0         4
avg:          0         4         0         5
max:          5       513         7      1200
ALL:        IRQ       Thr
";

#[test]
fn rtlas_timerlat_has_a_column_for_the_interrupt_and_one_for_the_thread() {
    let theirs = parse(TIMERLAT).unwrap();

    assert_eq!(theirs.len(), 4);
    assert_eq!(theirs[0].question, Question::TimerInterrupt);
    assert_eq!((theirs[3].question, theirs[3].cpu), (Question::WakeUp, Some(number(2))));
    assert_eq!(theirs[3].steps[1], Step { from_ns: 8_000, to_ns: 12_000, count: 200 });
    assert_eq!((theirs[3].over, theirs[3].count()), (100, 1000));
    assert_eq!(theirs[3].max, Some((1_200_000, 1_201_000)));
    assert_eq!(theirs[3].seconds, Some(100.0));
    assert_eq!(theirs[1].quantile(0.99), Some((4_000, Some(8_000))));
}

#[test]
fn rtlas_osnoise_counts_gaps_in_nanoseconds_too() {
    let text = "# RTLA osnoise histogram\n# Time unit is nanoseconds (ns)\n# Duration:   1 00:00:00\n\
                Index   CPU-001\n5000  3\n10000  2\nover:   1\ncount:  6\nmin:  5000\navg:  6000\nmax:  99000\n";

    let theirs = parse(text).unwrap();

    assert_eq!((theirs[0].question, theirs[0].seconds), (Question::Gap, Some(86_400.0)));
    assert_eq!(theirs[0].steps[1], Step { from_ns: 10_000, to_ns: 15_000, count: 2 });
    assert_eq!(theirs[0].max, Some((99_000, 99_001)));
    assert_eq!(theirs[0].beyond(10_000), (3, 3));
}

#[test]
fn the_hwlat_tracer_has_the_longest_of_each_cpu() {
    let text = "# tracer: hwlat\n#\n\
        <...>-1729    [001] d...   678.473449: #1      inner/outer(us):   11/12    ts:1581527483.343962693 count:6\n\
        <...>-1729    [001] d...   689.556542: #2      inner/outer(us):   16/  9    ts:1581527494.889008092 count:1\n\
        <...>-1729    [005] d...   714.756290: #3      inner/outer(us):   16/16    ts:1581527519.678961629 count:5\n";

    let theirs = parse(text).unwrap();

    assert_eq!(theirs.len(), 2);
    assert_eq!((theirs[0].cpu, theirs[0].max), (Some(number(1)), Some((16_000, 17_000))));
    assert_eq!(theirs[1].question, Question::Hardware);
}

#[test]
fn ranges_that_meet_agree_and_others_do_not() {
    let text = "# RTLA timerlat histogram\n# Time unit is microseconds (us)\nIndex IRQ-000 Thr-000\n\
                500 0 990\n501 0 10\n502 5 0\nover: 0 0\nmax: 502 2000\n";
    let rows = compare(&ours(), &parse(text).unwrap());

    let row = |question: Question, figure: &str| {
        rows.iter().find(|row| row.question == question && row.figure == figure).unwrap()
    };
    // Ours: 1 to 1000 µs, evenly.
    assert_eq!(row(Question::WakeUp, "p50").agrees, Some(true));
    assert_eq!(row(Question::WakeUp, "p99").agrees, Some(false));
    assert_eq!(row(Question::WakeUp, "max").agrees, None);
    assert_eq!(row(Question::TimerInterrupt, "p50").ours, None, "we do not ask that");
    assert_eq!(row(Question::TimerInterrupt, "p50").agrees, None);
    let (least, most) = row(Question::WakeUp, "p50").ours.unwrap();
    // Of a thousand values the median is the 468th to the 532nd, with two standard deviations.
    assert!((least - 468_000.0).abs() < 2_000.0, "{least}");
    assert!((most - 532_000.0).abs() < 2_000.0, "{most}");
}

#[test]
fn gaps_are_compared_by_how_many_a_second_are_long() {
    let text = "# RTLA osnoise histogram\n# Time unit is microseconds (us)\n# Duration:   0 00:01:40\n\
                Index CPU-000 CPU-001\n10 100 10000\nover: 0 0\nmax: 11 11\n";
    let rows = compare(&ours(), &parse(text).unwrap());

    let long: Vec<&Row> = rows.iter().filter(|row| row.figure == "10 µs or more").collect();
    // Ours: ten in ten seconds.
    assert_eq!((long[0].unit, long[0].agrees), (Unit::ASecond, Some(true)), "one a second");
    assert_eq!(long[1].agrees, Some(false), "a hundred a second");
    let longer = rows.iter().find(|row| row.figure == "1 ms or more").unwrap();
    assert_eq!((longer.theirs.0, longer.agrees), (0.0, Some(true)), "nobody saw one");
    assert!(!rows.iter().any(|row| row.figure == "p50"), "percentiles of gaps only are no others");
}

#[test]
fn what_the_text_does_not_place_is_compared_with_all_cpus_together() {
    let text =
        "# Histogram\n000250 000002\t000000\n000750 000000\t000002\n# Max Latencies: 00250 00750\n";
    let rows = compare(&ours(), &parse(text).unwrap());

    assert_eq!(rows[0].cpu, None);
    assert!(rows.iter().all(|row| row.ours.is_some()), "{rows:?}");
}

#[test]
fn a_file_that_is_no_result_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, said) in [
        ("binary", &b"\xff\xfe"[..], "not text"),
        ("empty", b"", "no measurement"),
        ("prose", b"Dear reader\n", "it has a line \"Dear reader\""),
        ("json", b"{\"thread\": 3}", "invalid type"),
        ("cut", b"{\"thread\": {\"0\": {\"cycles\": 1,", "EOF"),
        ("neither", b"{\"thread\": {\"0\": {\"max\": 1, \"histogram\": {}}}}", "neither"),
        (
            "words",
            b"{\"thread\": {\"0\": {\"cycles\":1, \"max\": 1, \"histogram\": {\"x\": 1}}}}",
            "\"x\"",
        ),
        ("huge", b"000001 99999999999999999999999\n", "is not a number"),
        ("order", b"000002 1\n000001 1\n# Max Latencies: 2\n", "not in order"),
        ("columns", b"# RTLA osnoise histogram\nIndex CPU-000\n0 1 2\n", "2 values for 1"),
        ("nameless", b"# RTLA osnoise histogram\n0 1 2\n", "before the names"),
        ("cpu", b"# RTLA osnoise histogram\nIndex CPU-99999999999\n", "no CPU"),
        (
            "far",
            b"# RTLA osnoise histogram\nIndex CPU-0\n18446744073709551615 1\n",
            "more than fits",
        ),
        ("other", b"# RTLA hwnoise\n", "neither"),
        ("sample", b"x [] inner/outer(us): 1/2\n", "no sample"),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes).unwrap();
        let error = read(&file).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(name), "{name}: {error}");
    }
    let large = folder.path().join("large");
    std::fs::File::create(&large).unwrap().set_len(MOST + 1).unwrap();
    assert!(matches!(read(&large), Err(ImportError::Large { .. })));
    assert!(matches!(read(&folder.path().join("none")), Err(ImportError::Read { .. })));
}

proptest! {
    #[test]
    fn any_text_is_taken_or_refused(text in "\\PC{0,200}", lines in prop::collection::vec("[0-9]{1,21}( [0-9]{1,21}){0,3}", 0..6)) {
        for head in ["", "# RTLA osnoise histogram\nIndex CPU-0\n", "# Histogram\n", "[0] inner/outer(us): "] {
            for body in [&text, &lines.join("\n")] {
                if let Ok(theirs) = parse(&format!("{head}{body}")) {
                    prop_assert!(compare(&ours(), &theirs).len() <= theirs.len() * 7);
                }
            }
        }
    }
}

/// Runs a tool of the rt-tests for a second; none, loudly, where it is not there or may not run.
fn run(tool: &str, arguments: &[&str], folder: &Path) -> Option<PathBuf> {
    let file = folder.join("result");
    let result =
        Command::new(tool).args(arguments).arg(format!("--json={}", file.display())).output();
    let why = match result {
        Ok(output) if output.status.success() => return Some(file),
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    eprintln!("SKIPPED: what {tool} writes is read: {why}");
    None
}

#[test]
fn what_the_installed_tools_write_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let cpu = linux::thread::affinity().unwrap().first().unwrap();
    let arguments = ["-q", "-D", "1s", "-t", "1", "-h", "100000", "-a", &cpu.to_string()];
    if let Some(file) = run("cyclictest", &arguments, folder.path()) {
        let theirs = read(&file).unwrap();
        assert_eq!((theirs[0].tool, theirs[0].cpu), ("cyclictest", Some(cpu)));
        assert!(theirs[0].count() > 0 && theirs[0].max.is_some(), "{theirs:?}");
    }
    let arguments = ["-q", "-D", "1", "-c", &cpu.to_string()];
    if let Some(file) = run("oslat", &arguments, folder.path()) {
        let theirs = read(&file).unwrap();
        assert_eq!((theirs[0].tool, theirs[0].cpu), ("oslat", Some(cpu)));
        assert!(theirs[0].count() > 1000 && theirs[0].seconds.is_some(), "{theirs:?}");
    }
}
