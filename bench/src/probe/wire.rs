//! What frames go through.

use std::io;

/// Who takes frames: their bytes, and when they arrived in ticks of the CPU's counter, where the device says so.
pub type Take<'t> = dyn FnMut(&[u8], Option<u64>) + 't;

/// A place where frames are sent and received, without waiting.
pub trait Wire {
    /// Sends these frames with one call, the first one first; says for how many there was room. The others did not leave.
    ///
    /// # Errors
    /// When the wire is broken.
    fn send(&mut self, frames: &Frames) -> io::Result<usize>;

    /// Hands every frame that is there (at most a burst of them) to `take`; says how many there were.
    ///
    /// # Errors
    /// When the wire is broken.
    fn receive(&mut self, take: &mut Take<'_>) -> io::Result<usize>;
}

/// Frames that leave with one call, in buffers that are used again.
#[derive(Debug, Default)]
pub struct Frames {
    buffers: Vec<Vec<u8>>,
    count: usize,
}

impl Frames {
    /// Frames that leave with one call at most: what one call of each kind of wire sends.
    pub const MOST: usize = 32;

    /// Just this one.
    #[must_use]
    pub fn one(frame: &[u8]) -> Self {
        let mut frames = Self::default();
        frames.push(frame);
        frames
    }

    /// Without any.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// One more, behind the others.
    pub fn push(&mut self, frame: &[u8]) {
        if self.buffers.len() == self.count {
            self.buffers.push(Vec::new());
        }
        let buffer = &mut self.buffers[self.count];
        buffer.clear();
        buffer.extend_from_slice(frame);
        self.count += 1;
    }

    /// The frames.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.buffers[..self.count].iter().map(Vec::as_slice)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// None.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}
