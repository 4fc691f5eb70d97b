//! The frames of case (a): the same bytes on every machine.
//!
//! UDP over IPv4 in 256 flows, addresses out of 198.18.0.0/15 (RFC 2544, appendix C.2.2), valid checksums. `Imix` is the
//! customary mix of seven frames of 64 bytes, four of 570 and one of 1518. Sizes are with FCS; a capture has none, so the
//! frames in it are four bytes shorter.

use std::{
    io::{self, Write as _},
    path::Path,
};

use clap::ValueEnum;
use etherparse::PacketBuilder;
use pcap_file::pcap::{PcapPacket, PcapWriter};
use serde::Serialize;

/// Which sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Frames {
    /// Seven of 64 bytes, four of 570, one of 1518, shuffled.
    Imix,
    /// 64 bytes each.
    Small,
}

/// Frames in the capture: a multiple of twelve, for the mix to come out even.
pub const COUNT: usize = 768;

/// Different pairs of addresses and ports.
const FLOWS: usize = 256;

const FCS: usize = 4;
/// Ethernet, IPv4 and UDP without options.
const HEADERS: usize = 14 + 20 + 8;

/// A capture could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the capture")]
pub struct TrafficError(#[from] pcap_file::PcapError);

impl Frames {
    /// For the report.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Imix => {
                "768 UDP frames of 256 flows, 7:4:1 of 64, 570 and 1518 bytes (with FCS), shuffled"
            }
            Self::Small => "768 UDP frames of 256 flows, 64 bytes each (with FCS)",
        }
    }

    /// The frames, in order.
    #[must_use]
    pub fn build(self) -> Vec<Vec<u8>> {
        let mut sizes: Vec<usize> = match self {
            Self::Imix => {
                let twelve = [64, 64, 64, 64, 64, 64, 64, 570, 570, 570, 570, 1518];
                twelve.into_iter().cycle().take(COUNT).collect()
            }
            Self::Small => vec![64; COUNT],
        };
        fastrand::Rng::with_seed(2544).shuffle(&mut sizes);
        sizes.iter().enumerate().map(|(index, size)| frame(index % FLOWS, size - FCS)).collect()
    }

    /// Writes them into a capture file.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(self, file: &Path) -> Result<(), TrafficError> {
        let file = std::fs::File::create(file).map_err(pcap_file::PcapError::IoError)?;
        let mut writer = PcapWriter::new(io::BufWriter::new(file))?;
        for frame in self.build() {
            let length = u32::try_from(frame.len()).expect("a frame has at most 1514 bytes");
            writer.write_packet(&PcapPacket::new(std::time::Duration::ZERO, length, &frame))?;
        }
        writer.into_writer().flush().map_err(pcap_file::PcapError::IoError)?;
        Ok(())
    }
}

/// A frame of so many bytes, without FCS.
fn frame(flow: usize, size: usize) -> Vec<u8> {
    let flow = u8::try_from(flow).expect("there are 256 flows");
    let packet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
        .ipv4([198, 18, 0, flow], [198, 19, flow, 1], 64)
        .udp(1024 + u16::from(flow), 49_152 + u16::from(flow) / 16);
    let payload: Vec<u8> = (0..=u8::MAX).cycle().take(size - HEADERS).collect();
    let mut bytes = Vec::with_capacity(size);
    packet
        .write(&mut bytes, &payload)
        .expect("writing to memory does not fail, and the payload fits");
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use etherparse::{NetSlice, SlicedPacket, TransportSlice};
    use pcap_file::pcap::PcapReader;

    use super::*;

    #[test]
    fn frames_have_valid_checksums_and_the_sizes_of_the_mix() {
        let frames = Frames::Imix.build();
        let of = |size: usize| frames.iter().filter(|frame| frame.len() == size - FCS).count();
        assert_eq!((of(64), of(570), of(1518), frames.len()), (448, 256, 64, COUNT));
        let mut flows = BTreeSet::new();
        for frame in &frames {
            let packet = SlicedPacket::from_ethernet(frame).unwrap();
            let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Udp(udp))) =
                (packet.net, packet.transport)
            else {
                panic!("not UDP over IPv4: {frame:02x?}");
            };
            assert_eq!(
                ip.header().header_checksum(),
                ip.header().to_header().calc_header_checksum()
            );
            let expected = udp
                .to_header()
                .calc_checksum_ipv4(&ip.header().to_header(), udp.payload())
                .unwrap();
            assert_eq!(udp.checksum(), expected);
            flows.insert((
                ip.header().source(),
                ip.header().destination(),
                udp.source_port(),
                udp.destination_port(),
            ));
        }
        assert_eq!(flows.len(), FLOWS);
    }

    #[test]
    fn a_capture_holds_the_frames_and_is_the_same_every_time() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("1.pcap"), dir.path().join("2.pcap"));
        Frames::Small.write(&first).unwrap();
        Frames::Small.write(&second).unwrap();
        assert_eq!(std::fs::read(&first).unwrap(), std::fs::read(&second).unwrap());
        let mut reader = PcapReader::new(std::fs::File::open(&first).unwrap()).unwrap();
        let mut read = Vec::new();
        while let Some(packet) = reader.next_packet() {
            read.push(packet.unwrap().data.into_owned());
        }
        assert_eq!(read, Frames::Small.build());
    }
}
