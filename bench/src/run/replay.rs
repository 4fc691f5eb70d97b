//! Captures that are sent again: the sizes of their frames, and the distances between them. What is in the frames is not
//! sent: a probe needs its place.

use std::{
    fs::File,
    io::{BufReader, Read as _},
    path::{Path, PathBuf},
};

use bench_result::{generator::Pattern, mix::Mix, plan::Plan};
use pcap_file::{PcapError, pcap::PcapReader};

/// More frames than these are not read; what there is is repeated.
const MOST: usize = 100_000;

/// Nor are more bytes: frames of 64 KiB.
const MOST_BYTES: u64 = 1 << 30;

/// A frame has to have room for a probe, and not be longer than wires carry; both with the check sequence, which captures
/// do not have.
const SIZES: (usize, usize) = (64, 1518);

/// See [`SIZES`].
const FCS: usize = 4;

/// Why there is nothing to replay.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file can not be read.
    #[error("cannot read the capture {}", file.display())]
    Read {
        /// Which one.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no capture.
    #[error("{} is no capture (pcap)", file.display())]
    Parse {
        /// Which one.
        file: PathBuf,
        /// Why.
        source: PcapError,
    },
    /// Nothing is in it to go by.
    #[error("{}: two frames with time between them are needed", file.display())]
    Empty {
        /// Which one.
        file: PathBuf,
    },
}

/// Puts sizes and distances in the place of each capture's name, which stays.
///
/// # Errors
/// [`ReplayError`]
pub fn resolve(plan: &mut Plan) -> Result<(), ReplayError> {
    for group in &mut plan.groups {
        let Some(file) = &group.replay else { continue };
        let (sizes, gaps_ns) = read(file)?;
        let mix = Mix::Sizes(sizes);
        group.sizes = vec![mix.mean()];
        group.mix = Some(mix);
        group.spacing = Pattern::Replayed { gaps_ns };
    }
    Ok(())
}

/// Sizes on the wire, and nanoseconds before each frame: before the first as long as on average, so that it can begin again.
fn read(file: &Path) -> Result<(Vec<usize>, Vec<u64>), ReplayError> {
    let open =
        File::open(file).map_err(|source| ReplayError::Read { file: file.to_owned(), source })?;
    let failed = |source| ReplayError::Parse { file: file.to_owned(), source };
    let mut reader = PcapReader::new(BufReader::new(open).take(MOST_BYTES)).map_err(failed)?;
    let (mut sizes, mut times) = (Vec::new(), Vec::new());
    while let Some(packet) = reader.next_packet() {
        let packet = packet.map_err(failed)?;
        let size = usize::try_from(packet.orig_len).unwrap_or(usize::MAX).saturating_add(FCS);
        sizes.push(size.clamp(SIZES.0, SIZES.1));
        times.push(u64::try_from(packet.timestamp.as_nanos()).unwrap_or(u64::MAX));
        if sizes.len() == MOST {
            break;
        }
    }
    let span =
        times.last().zip(times.first()).map_or(0, |(last, first)| last.saturating_sub(*first));
    if times.len() < 2 || span == 0 {
        return Err(ReplayError::Empty { file: file.to_owned() });
    }
    let mut gaps = vec![span / (times.len() as u64 - 1)];
    // One that was captured before the one in front of it comes with it.
    gaps.extend(times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])));
    Ok((sizes, gaps))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pcap_file::pcap::{PcapPacket, PcapWriter};
    use proptest::prelude::*;

    use super::*;

    const PLAN: &str = "name = \"t\"\nblocks = 1\nmeasure_ms = 100\n[[group]]\nkind = \"reflect\"\n\
        arms = [\"xdp-tx\"]\nreference = \"xdp-tx\"\nloads = [1000]\nreplay = \"FILE\"\n";

    fn capture(file: &Path, frames: &[(u64, usize)]) {
        let mut writer = PcapWriter::new(File::create(file).unwrap()).unwrap();
        for (us, length) in frames {
            let at = Duration::from_micros(*us);
            let length = u32::try_from(*length).unwrap();
            writer.write_packet(&PcapPacket::new(at, length, &[0; 14])).unwrap();
        }
    }

    fn resolved(file: &Path) -> Result<Plan, ReplayError> {
        let text = PLAN.replace("FILE", file.to_str().unwrap());
        let mut plan = Plan::parse(&text, "t").unwrap();
        resolve(&mut plan).map(|()| plan)
    }

    #[test]
    fn sizes_and_distances_of_a_capture_become_those_of_the_plan() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.pcap");
        capture(&file, &[(1_000_000, 60), (1_000_010, 1514), (1_000_040, 9000), (1_000_030, 14)]);

        let plan = resolved(&file).unwrap();

        let group = &plan.groups[0];
        assert_eq!(group.mix, Some(Mix::Sizes(vec![64, 1518, 1518, 64])));
        assert_eq!(group.spacing, Pattern::Replayed { gaps_ns: vec![10_000, 10_000, 30_000, 0] });
        assert_eq!(group.sizes, [791]);
    }

    #[test]
    fn what_is_no_capture_or_has_no_time_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.pcap");
        assert!(matches!(resolved(&file), Err(ReplayError::Read { .. })));
        std::fs::write(&file, "not a capture, and long enough for its header").unwrap();
        assert!(matches!(resolved(&file), Err(ReplayError::Parse { .. })));
        for frames in [&[][..], &[(5, 60)], &[(5, 60), (5, 60)]] {
            capture(&file, frames);
            assert!(matches!(resolved(&file), Err(ReplayError::Empty { .. })), "{frames:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_panic(rest in prop::collection::vec(any::<u8>(), 0..200)) {
            let file = tempfile::NamedTempFile::new().unwrap();
            let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
            bytes.extend(rest);
            std::fs::write(file.path(), bytes).unwrap();
            if let Ok((sizes, gaps)) = read(file.path()) {
                prop_assert_eq!(sizes.len(), gaps.len());
            }
        }
    }
}
