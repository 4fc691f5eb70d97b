//! What frames go through.

use std::io;

/// Who takes frames: their bytes, and when they arrived in ticks of the CPU's counter, where the device says so.
pub type Take<'t> = dyn FnMut(&[u8], Option<u64>) + 't;

/// A place where frames are sent and received, without waiting.
pub trait Wire {
    /// Sends one frame; `false` when there is no room at the moment.
    ///
    /// # Errors
    /// When the wire is broken.
    fn send(&mut self, frame: &[u8]) -> io::Result<bool>;

    /// Hands every frame that is there (at most a burst of them) to `take`; says how many there were.
    ///
    /// # Errors
    /// When the wire is broken.
    fn receive(&mut self, take: &mut Take<'_>) -> io::Result<usize>;
}
