//! A measurement in files: for `--compare`, for HdrHistogram's tools, and to be looked at.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::Path,
    time::{Duration, SystemTime},
};

use distribution::{decode, hgrm, hlog};

use super::pictures;
use crate::measurement::Measurement;

/// Writes everything into a folder.
pub(super) fn keep(folder: &Path, measured: &Measurement, over: Duration) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    serde_json::to_writer_pretty(
        BufWriter::new(File::create(folder.join("measure.json"))?),
        measured,
    )?;
    let mut histograms = Vec::new();
    for (name, times) in &measured.times {
        let histogram = decode(&times.distribution.hdr_v2).map_err(io::Error::other)?;
        let file = format!("{}.hgrm", name.replace('/', "-"));
        hgrm::write(BufWriter::new(File::create(folder.join(file))?), &histogram, 1.0)?;
        histograms.push((name, histogram));
    }
    let intervals: Vec<hlog::Interval<'_>> = histograms
        .iter()
        .map(|(tag, histogram)| hlog::Interval {
            tag,
            histogram,
            after: Duration::ZERO,
            length: over,
        })
        .collect();
    let begin = SystemTime::now().checked_sub(over).unwrap_or(SystemTime::UNIX_EPOCH);
    let file = BufWriter::new(File::create(folder.join("measure.hlog"))?);
    hlog::write(file, "barewire-tune measure: nanoseconds", begin, &intervals)?;
    for (name, plot) in pictures::all(measured, over)? {
        fs::write(folder.join(format!("{name}.svg")), plot.svg())?;
        fs::write(folder.join(format!("{name}.png")), plot.png(2.0).map_err(io::Error::other)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use config::CpuSet;
    use distribution::{encode, figures};
    use hdrhistogram::Histogram;

    use super::*;
    use crate::measurement::{Maxima, SCHEMA, Times};

    fn times(values: &[u64]) -> Times {
        let mut histogram = Histogram::<u64>::new(3).unwrap();
        for value in values {
            histogram.record(*value).unwrap();
        }
        Times { title: "x".to_owned(), distribution: figures(&histogram, encode(&histogram)) }
    }

    #[test]
    fn each_kind_has_a_picture_and_each_distribution_a_file() {
        let cpus: CpuSet = "2-3".parse().unwrap();
        let measured = Measurement {
            schema: SCHEMA,
            made_by: "a test".to_owned(),
            kernel: None,
            cpus: cpus.clone(),
            noise: noise::Noise::default(),
            costs: BTreeMap::new(),
            maxima: Some(Maxima {
                interval_ns: 1_000_000,
                cpus: cpus.iter().map(|cpu| (cpu, vec![0, 500, 700])).collect(),
            }),
            times: BTreeMap::from([
                ("reading/cpu2".to_owned(), times(&[20, 21, 5_000])),
                ("reading/cpu3".to_owned(), times(&[20, 22])),
                ("wake-up/cpu2".to_owned(), times(&[])),
            ]),
            failed: BTreeMap::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("made");

        keep(&folder, &measured, Duration::from_secs(1)).unwrap();

        let mut names: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let expected = [
            "gaps.png",
            "gaps.svg",
            "maxima.png",
            "maxima.svg",
            "measure.hlog",
            "measure.json",
            "reading-cpu2.hgrm",
            "reading-cpu3.hgrm",
            "reading.png",
            "reading.svg",
            "wake-up-cpu2.hgrm",
            "wake-up.png",
            "wake-up.svg",
        ];
        assert_eq!(names, expected);
        let reading = fs::read_to_string(folder.join("reading.svg")).unwrap();
        assert!(reading.contains("cpu2") && reading.contains("cpu3"), "{reading}");
        assert!(reading.contains("Time between two readings of the clock"));
        assert!(fs::read(folder.join("maxima.png")).unwrap().starts_with(b"\x89PNG"));
        let back: Measurement =
            serde_json::from_slice(&fs::read(folder.join("measure.json")).unwrap()).unwrap();
        assert_eq!(back, measured);
    }
}
