//! Frames that travel together.
//!
//! # Safety
//! Moves owned frames inside an array, and hands a whole array to C.

use std::ptr;

use arrayvec::ArrayVec;
use dpdk_sys as c;

use crate::mbuf::Mbuf;

pub use frame::MAX_BURST;

/// Up to [`MAX_BURST`] owned frames, on the stack. Dropping it frees them one by one;
/// [`free_burst`] is cheaper.
pub type Burst<'eal> = frame::Burst<Mbuf<'eal>>;

/// Frees all frames of a burst in one call.
#[inline]
pub fn free_burst(burst: &mut Burst<'_>) {
    #[expect(clippy::cast_possible_truncation, reason = "at most MAX_BURST")]
    let count = burst.len() as u32;
    if count == 0 {
        return;
    }
    // SAFETY: shorter, and the first 0 places need no value. From here on the burst does not own
    // its frames.
    unsafe { burst.set_len(0) };
    let frames = burst.as_mut_ptr();
    // SAFETY: an Mbuf is a pointer to rte_mbuf (repr(transparent)); there were `count` of them,
    // owned by the burst until now.
    unsafe { c::rte_pktmbuf_free_bulk(frames.cast(), count) };
}

/// The lengths of all frames together, in bytes.
#[inline]
#[must_use]
pub fn total_len(frames: &[Mbuf<'_>]) -> u64 {
    let (sixteens, rest) = frames.as_chunks::<16>();
    // Sixteen at a time without a branch, and in 32 bits, so that adding needs no load of its own: this is done for every
    // burst. The MTU of ethdev has 16 bits and nobody here asks for coalescing, so a frame is far below 2^28 bytes.
    let sum = |frames: &[Mbuf<'_>]| {
        u64::from(frames.iter().fold(0, |sum: u32, frame| sum.wrapping_add(frame.len32())))
    };
    sixteens.iter().map(|sixteen| sum(sixteen)).sum::<u64>() + sum(rest)
}

/// Forgets the first `gone` items, which somebody else owns now, and moves the others to the front.
///
/// # Safety
/// `gone` is at most the number of items, and the caller has given the ownership of the first
/// `gone` away.
#[inline]
pub(crate) unsafe fn forget_front<T, const N: usize>(items: &mut ArrayVec<T, N>, gone: usize) {
    let held = items.len();
    let left = held - gone;
    // SAFETY: nothing is in reach while items move, whatever happens; 0 places need no value.
    unsafe { items.set_len(0) };
    let start = items.as_mut_ptr();
    // The usual case is that everything went, and nothing has to move.
    if left != 0 {
        // SAFETY: `gone` items in is inside the array, by the caller's promise.
        let rest = unsafe { start.add(gone) };
        // SAFETY: `left` items are valid at `rest`, and as many places are there at the start; they
        // may overlap.
        unsafe { ptr::copy(rest, start, left) };
        // SAFETY: the first `left` places hold the items just moved, and nobody else owns them.
        unsafe { items.set_len(left) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items with a destructor, so that one lost or one freed twice is seen (by Miri, or by the
    /// allocator).
    fn items(count: usize) -> ArrayVec<Box<usize>, 8> {
        (0..count).map(Box::new).collect()
    }

    #[test]
    fn what_is_left_moves_to_the_front_in_order() {
        for held in 0..=8 {
            for gone in 0..=held {
                let mut all = items(held);
                let taken: Vec<Box<usize>> =
                    // SAFETY: the item is valid; the burst forgets it below.
                    all.iter().take(gone).map(|item| unsafe { ptr::read(item) }).collect();
                // SAFETY: `taken` owns the first `gone` items.
                unsafe { forget_front(&mut all, gone) };
                assert_eq!(
                    taken.iter().map(|b| **b).collect::<Vec<_>>(),
                    (0..gone).collect::<Vec<_>>()
                );
                assert_eq!(
                    all.iter().map(|b| **b).collect::<Vec<_>>(),
                    (gone..held).collect::<Vec<_>>()
                );
            }
        }
    }
}
