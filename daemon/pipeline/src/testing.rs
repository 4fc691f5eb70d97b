//! A frame for tests, in ordinary memory, and a graph of one stage. Only with the feature `testing`.

use std::net::IpAddr;

use crate::{Egress, Frame, Graph, NoRoom, PortIdentity, StageCounterSet};

/// Bytes of a packet buffer after its headroom.
const CAPACITY: usize = 2048;

/// A frame in a vector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VecFrame {
    /// The whole frame.
    pub bytes: Vec<u8>,
    /// Length of the first segment; `bytes.len()` or more when there is but one.
    pub first_segment: usize,
    /// How long the frame may become.
    pub capacity: usize,
    /// What the device would have computed.
    pub flow_hash: Option<u32>,
    /// For tests to recognise the frame by.
    pub tag: usize,
}

impl VecFrame {
    /// A frame in one segment.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let capacity = bytes.len().max(CAPACITY);
        Self { bytes, first_segment: usize::MAX, capacity, flow_hash: None, tag: 0 }
    }

    /// The same frame with its first segment `len` bytes long.
    #[must_use]
    pub fn split_at(mut self, len: usize) -> Self {
        self.first_segment = len;
        self
    }

    /// The same frame with a tag.
    #[must_use]
    pub fn tagged(mut self, tag: usize) -> Self {
        self.tag = tag;
        self
    }

    fn head_len(&self) -> usize {
        self.first_segment.min(self.bytes.len())
    }
}

impl Frame for VecFrame {
    fn head(&self) -> &[u8] {
        &self.bytes[..self.head_len()]
    }

    fn head_mut(&mut self) -> &mut [u8] {
        let len = self.head_len();
        &mut self.bytes[..len]
    }

    fn wire_len(&self) -> usize {
        self.bytes.len()
    }

    fn flow_hash(&self) -> Option<u32> {
        self.flow_hash
    }

    fn resize(&mut self, len: usize) -> Result<(), NoRoom> {
        if self.first_segment < self.bytes.len() || len > self.capacity {
            return Err(NoRoom);
        }
        self.bytes.resize(len, 0);
        Ok(())
    }
}

/// Runs a burst of frames, received on port 0, through one stage, whose edges lead to the ports or to `drop`.
///
/// # Panics
/// If the stage can not be built, or the frames are more than a burst.
#[must_use]
pub fn through(
    kind: config::StageKind,
    ports: &[PortIdentity],
    frames: impl IntoIterator<Item = VecFrame>,
) -> Egress<VecFrame> {
    let stages = [config::Stage { name: "tested".to_owned(), kind }];
    let inputs = vec![Some(config::StageIx(0)); ports.len()];
    let mut graph = Graph::assemble(&stages, &inputs, ports, &StageCounterSet::default())
        .expect("a test's stage has valid edges");
    let mut egress = Egress::new(ports.len());
    graph.run(0, &mut Box::new(frames.into_iter().collect()), &mut egress, || 0);
    egress
}

/// Two ports with addresses from the documentation prefixes (RFC 5737, RFC 3849): port *n* is 02:00:00:00:00:0*n*,
/// 192.0.2.*n* + 1 and 2001:db8::*n* + 1.
#[must_use]
pub fn two_ports() -> [PortIdentity; 2] {
    [0, 1].map(|n| PortIdentity {
        mac: [2, 0, 0, 0, 0, n],
        addresses: vec![
            IpAddr::from([192, 0, 2, n + 1]),
            IpAddr::from([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, n + 1]),
        ],
    })
}
