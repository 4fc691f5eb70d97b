//! Capture files: frames in, frames out.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Write as _},
    path::Path,
    time::Duration,
};

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapReader, PcapWriter};

/// Writes frames to a capture file, a microsecond apart.
pub fn write(path: &Path, frames: &[Vec<u8>]) {
    let file =
        File::create(path).unwrap_or_else(|e| panic!("cannot create {}: {e}", path.display()));
    let header = PcapHeader { snaplen: 65_535, ..PcapHeader::default() };
    let mut writer =
        PcapWriter::with_header(BufWriter::new(file), header).expect("a header for a capture");
    for (at, frame) in (0..).zip(frames) {
        let length = u32::try_from(frame.len()).expect("a frame is shorter than 4 GiB");
        let packet = PcapPacket::new(Duration::from_micros(at), length, frame);
        writer
            .write_packet(&packet)
            .unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
    }
    writer.into_writer().flush().unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
}

/// Reads all frames of a capture file.
pub fn read(path: &Path) -> Vec<Vec<u8>> {
    let file = File::open(path).unwrap_or_else(|e| panic!("cannot open {}: {e}", path.display()));
    let mut reader = PcapReader::new(BufReader::new(file))
        .unwrap_or_else(|e| panic!("{} is no capture: {e}", path.display()));
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet =
            packet.unwrap_or_else(|e| panic!("{}, frame {}: {e}", path.display(), frames.len()));
        frames.push(packet.data.into_owned());
    }
    frames
}

/// Panics unless both are the same frames in the same order, and shows the first that is not.
pub fn assert_same(got: &[Vec<u8>], expected: &[Vec<u8>]) {
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            got == expected,
            "frame {index} differs\n     got {} bytes: {}\nexpected {} bytes: {}",
            got.len(),
            hex(got),
            expected.len(),
            hex(expected)
        );
    }
    assert_eq!(got.len(), expected.len(), "number of frames");
}

/// The first bytes of a frame, for a message.
pub fn hex(frame: &[u8]) -> String {
    let mut text: String = frame.iter().take(128).map(|byte| format!("{byte:02x}")).collect();
    if frame.len() > 128 {
        text.push('…');
    }
    text
}
