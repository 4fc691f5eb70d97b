//! Probes as Ethernet frames: UDP over IPv4, with many flows.

use std::{collections::BTreeSet, net::Ipv4Addr};

use config::MacAddress;
use etherparse::PacketBuilder;

use super::payload::{PayloadError, Probe};

/// Ethernet, IPv4 and UDP, in bytes.
const HEADERS: usize = 14 + 20 + 8;
/// The frame check sequence, which sizes count and buffers do not have.
const FCS: usize = 4;

/// Frames that are kept ready, at most.
const ROOM: usize = 1 << 16;

/// Where frames come from and go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The generator's address.
    pub from: MacAddress,
    /// The path's first address.
    pub to: MacAddress,
    /// The generator's address.
    pub source: Ipv4Addr,
    /// Where the path sends it, or reflects it.
    pub destination: Ipv4Addr,
    /// The first source port; flow number n has the n-th behind it.
    pub first_port: u16,
    /// The destination port.
    pub port: u16,
    /// How many flows there are: source ports, 1 to 16384.
    pub flows: u16,
}

/// Frames that are ready but for their payload, one for each flow and size.
#[derive(Debug, Clone)]
pub struct Template {
    /// For each size that there is, one for each flow.
    frames: Vec<Vec<Vec<u8>>>,
    /// Which of those sizes each frame has, in turns.
    turns: Vec<usize>,
}

/// Why there are no frames.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Too short for a probe, or longer than a jumbo frame.
    #[error("frames of {size} bytes: 64 to 9018 are possible")]
    Size {
        /// The size.
        size: usize,
    },
    /// No flow, or more than there are ports for.
    #[error(
        "{flows} flows from port {first_port}: 1 to 16384 that fit below port 65536 are possible"
    )]
    Flows {
        /// How many.
        flows: u16,
        /// From where.
        first_port: u16,
    },
    /// More frames to keep ready than there is room for.
    #[error("{sizes} sizes of {flows} flows: 65536 frames can be kept ready")]
    Room {
        /// How many.
        sizes: usize,
        /// How many.
        flows: u16,
    },
    /// No sizes to take turns.
    #[error("a mix of no frames")]
    Empty,
    /// It could not be put together.
    #[error("a frame could not be built: {why}")]
    Build {
        /// Why.
        why: String,
    },
}

impl Template {
    /// Frames of `size` bytes, as sizes are counted: with the frame check sequence, so 64 to 1518 and jumbo.
    ///
    /// # Errors
    /// [`FrameError`]
    pub fn new(route: &Route, size: usize) -> Result<Self, FrameError> {
        Self::mixed(route, &[size])
    }

    /// Frames of these sizes, which take turns.
    ///
    /// # Errors
    /// [`FrameError`]
    pub fn mixed(route: &Route, sizes: &[usize]) -> Result<Self, FrameError> {
        let kinds: BTreeSet<usize> = sizes.iter().copied().collect();
        let kinds: Vec<usize> = kinds.into_iter().collect();
        if kinds.is_empty() {
            return Err(FrameError::Empty);
        }
        if kinds.len() * usize::from(route.flows) > ROOM {
            return Err(FrameError::Room { sizes: kinds.len(), flows: route.flows });
        }
        let frames = kinds.iter().map(|size| frames(route, *size));
        let frames = frames.collect::<Result<_, FrameError>>()?;
        let place = |size: &usize| kinds.binary_search(size).ok();
        Ok(Self { frames, turns: sizes.iter().filter_map(place).collect() })
    }

    /// The next frame, with this probe in it. Flows take turns, and so do sizes.
    #[must_use]
    pub fn fill(&mut self, probe: &Probe) -> &[u8] {
        let number = probe.sequence as usize;
        let flows = &mut self.frames[self.turns[number % self.turns.len()]];
        let flow = number % flows.len();
        let frame = &mut flows[flow];
        probe.write(&mut frame[HEADERS..]);
        frame
    }
}

/// One of this size for each flow.
fn frames(route: &Route, size: usize) -> Result<Vec<Vec<u8>>, FrameError> {
    if !(64..=9018).contains(&size) {
        return Err(FrameError::Size { size });
    }
    let Route { flows, first_port, .. } = *route;
    let last = first_port.checked_add(flows.saturating_sub(1));
    if !(1..=16384).contains(&flows) || last.is_none() {
        return Err(FrameError::Flows { flows, first_port });
    }
    let payload = vec![0; size - FCS - HEADERS];
    let frames = (0..flows).map(|flow| {
        let mut frame = Vec::with_capacity(size);
        PacketBuilder::ethernet2(route.from.0, route.to.0)
            .ipv4(route.source.octets(), route.destination.octets(), 64)
            .udp(first_port + flow, route.port)
            .write(&mut frame, &payload)
            .map_err(|error| FrameError::Build { why: error.to_string() })?;
        // No UDP checksum (RFC 768 allows it over IPv4): the payload has a check of its own, and summing it for each
        // frame would cost more than sending it.
        frame[HEADERS - 2..HEADERS].fill(0);
        Ok(frame)
    });
    frames.collect()
}

/// The probe in a frame that came back, whatever its addresses are now.
///
/// # Errors
/// [`PayloadError::Foreign`] for everything that is not plain UDP over IPv4 with a probe in it.
pub fn probe(frame: &[u8]) -> Result<Probe, PayloadError> {
    let is_udp = frame.len() >= HEADERS
        && frame[12..14] == [0x08, 0x00]
        && frame[14] == 0x45
        && frame[23] == 17;
    if !is_udp {
        return Err(PayloadError::Foreign);
    }
    // Short frames may have been padded on the way; the length of UDP says what is payload.
    let length = usize::from(u16::from_be_bytes([frame[38], frame[39]]));
    match frame.get(HEADERS..HEADERS + length.saturating_sub(8)) {
        Some(payload) => Probe::read(payload),
        None => Err(PayloadError::Damaged),
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{SlicedPacket, TransportSlice};
    use proptest::prelude::*;

    use super::*;

    fn route(flows: u16) -> Route {
        Route {
            from: "02:00:00:00:00:01".parse().unwrap(),
            to: "02:00:00:00:00:02".parse().unwrap(),
            source: Ipv4Addr::new(198, 18, 0, 1),
            destination: Ipv4Addr::new(198, 18, 0, 2),
            first_port: 49152,
            port: 7,
            flows,
        }
    }

    #[test]
    fn a_frame_is_what_another_parser_says_it_is() {
        for size in [64, 128, 1518, 9018] {
            let mut template = Template::new(&route(3), size).unwrap();
            let probe = Probe { run: 9, sequence: 4, intended: 77, late: 5 };

            let frame = template.fill(&probe).to_vec();

            assert_eq!(frame.len() + FCS, size);
            let packet = SlicedPacket::from_ethernet(&frame).unwrap();
            let Some(TransportSlice::Udp(udp)) = packet.transport else { panic!("{packet:?}") };
            assert_eq!((udp.source_port(), udp.destination_port()), (49153, 7));
            assert_eq!(super::probe(&frame), Ok(probe));
        }
    }

    #[test]
    fn sizes_and_flows_take_turns() {
        let mut template = Template::mixed(&route(2), &[64, 1518, 64]).unwrap();
        let of = |sequence| Probe { run: 1, sequence, intended: 0, late: 0 };
        let mut seen = Vec::new();
        for sequence in 0..6 {
            let frame = template.fill(&of(sequence));
            seen.push((frame.len() + FCS, frame[35]));
            assert_eq!(super::probe(frame), Ok(of(sequence)));
        }
        let expected = [(64, 0), (1518, 1), (64, 0), (64, 1), (1518, 0), (64, 1)];
        assert_eq!(seen, expected);
        assert!(matches!(Template::mixed(&route(1), &[]), Err(FrameError::Empty)));
        let many: Vec<usize> = (64..74).collect();
        assert!(matches!(Template::mixed(&route(16384), &many), Err(FrameError::Room { .. })));
    }

    #[test]
    fn padding_behind_a_short_frame_is_not_payload() {
        let mut template = Template::new(&route(1), 64).unwrap();
        let probe = Probe { run: 1, sequence: 0, intended: 0, late: 0 };
        let mut frame = template.fill(&probe).to_vec();

        frame.extend_from_slice(&[0xee; 20]);

        assert_eq!(super::probe(&frame), Ok(probe));
    }

    #[test]
    fn what_can_not_be_a_frame_is_refused() {
        assert!(Template::new(&route(1), 63).is_err());
        assert!(Template::new(&route(1), 9019).is_err());
        assert!(Template::new(&route(0), 64).is_err());
        assert!(Template::new(&Route { first_port: 65535, ..route(2) }, 64).is_err());
        assert!(Template::new(&Route { first_port: 65535, ..route(1) }, 64).is_ok());
    }

    proptest! {
        #[test]
        fn any_frame_has_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = super::probe(&bytes);
        }
    }
}
