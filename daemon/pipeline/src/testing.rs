//! A frame for tests, in ordinary memory. Only with the feature `testing`.

use crate::{Frame, frame::NoRoom};

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
