//! A frame, as stages see it and drivers give it: the one trait between the data plane and DPDK.
//!
//! It is a crate of its own so that `pipeline` need not see DPDK, nor `dpdk` the pipeline.
#![forbid(unsafe_code)]

use arrayvec::ArrayVec;

/// The most frames that travel together.
pub const MAX_BURST: usize = 64;

/// Up to [`MAX_BURST`] owned frames. Dropping a burst frees its frames.
pub type Burst<F> = ArrayVec<F, MAX_BURST>;

/// One owned Ethernet frame, without FCS.
///
/// The bytes may lie in several segments; stages see the first, which holds the headers. (A packet buffer of
/// Barewire's holds at least 2 KiB in its first segment.)
pub trait Frame {
    /// The bytes of the first segment.
    fn head(&self) -> &[u8];

    /// The bytes of the first segment.
    fn head_mut(&mut self) -> &mut [u8];

    /// Length of the whole frame in bytes, all segments together.
    fn wire_len(&self) -> usize;

    /// The receive side's flow hash, where the device computed one.
    fn flow_hash(&self) -> Option<u32>;

    /// Makes a single-segment frame `len` bytes long; new bytes at its end are zero.
    ///
    /// # Errors
    /// [`NoRoom`] when the frame has several segments or its buffer is too short; the frame is as before.
    fn resize(&mut self, len: usize) -> Result<(), NoRoom>;
}

/// The frame's buffer can not hold that many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the frame's buffer has no room for this")]
pub struct NoRoom;
