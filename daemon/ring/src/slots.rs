//! The storage of a ring: slots that hold a value only between a push and the pop of it.
//!
//! # Safety
//!
//! Memory is touched in this file only; `channel.rs` calls in with indices that it vouches for. Two
//! rules carry it:
//!
//! ```text
//!      position      0 1 2 3 4 5 6 7 8 9 …        (slot = position mod capacity)
//!                          ▲         ▲
//!                        head       tail          head ≤ tail ≤ head + capacity
//!      live values         └─────────┘            exactly the positions head..tail
//! ```
//!
//! 1. *Liveness*: slot `p mod capacity` holds a value exactly while `head ≤ p < tail`.
//! 2. *Turns*: positions `tail..head + capacity` belong to the producer, `head..tail` to the
//!    consumer. A position changes hands only through the release store of an index, which the
//!    other side sees with an acquire load (the orderings are argued in `gauge.rs`).

use std::{fmt, mem::MaybeUninit};

use arrayvec::ArrayVec;

use crate::{
    gauge::Indices,
    sync::{Arc, UnsafeCell},
};

/// How many items a ring holds: a power of two, so that a position becomes a slot with one `and`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity(usize);

/// A number of slots that no ring can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("ring capacity {0} is not a power of two between 1 and {max}", max = Capacity::MAX)]
pub struct InvalidCapacity(pub usize);

impl Capacity {
    /// The largest ring: at 10 Gb/s of 64-byte frames it would take a second to fill.
    pub const MAX: usize = 1 << 24;

    /// Checks a number of items.
    ///
    /// # Errors
    ///
    /// When it is not a power of two, or larger than [`Capacity::MAX`].
    pub const fn new(items: usize) -> Result<Self, InvalidCapacity> {
        if items.is_power_of_two() && items <= Self::MAX {
            Ok(Self(items))
        } else {
            Err(InvalidCapacity(items))
        }
    }

    /// The number of items.
    #[must_use]
    pub const fn items(self) -> usize {
        self.0
    }
}

/// One ring's slots. Its `Drop`, run by whichever end goes last, frees what was never popped.
pub(crate) struct Slots<T> {
    cells: Box<[UnsafeCell<MaybeUninit<T>>]>,
    /// Which slots are live; needed here only by `Drop`.
    indices: Arc<Indices>,
}

// SAFETY: the cells are the only part that is not `Sync` by itself. By rule 2 a cell is touched by
// one thread at a time, and each hand-over is a release/acquire pair; what crosses over is a `T`,
// moved, never shared, so `T: Send` suffices and `T: Sync` is not needed.
unsafe impl<T: Send> Sync for Slots<T> {}

impl<T> Slots<T> {
    /// Reserves the memory and leaves it untouched: pages that are new to the process come from
    /// the NUMA node of the thread that first pushes into them.
    pub(crate) fn new(capacity: Capacity, indices: Arc<Indices>) -> Self {
        let cells = (0..capacity.items()).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
        Self { cells, indices }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.cells.len()
    }

    /// The slots of `count` consecutive positions: up to the end of the memory, then from its start.
    #[inline(always)] // on the path of every burst, with constants to fold
    fn runs(&self, start: usize, count: usize) -> [&[UnsafeCell<MaybeUninit<T>>]; 2] {
        let slot = start & (self.cells.len() - 1);
        let (before, from) = self.cells.split_at(slot);
        let first = count.min(from.len());
        [&from[..first], &before[..count - first]]
    }

    /// Moves the first `count` values of `burst` into the slots from position `start` on; the
    /// values behind them move up to the front.
    ///
    /// # Safety
    ///
    /// The caller is the producer, and `start..start + count` lies within its turn (rule 2), so
    /// that no slot written here holds a live value or is being read.
    #[inline(always)] // see `runs`
    pub(crate) unsafe fn fill<const N: usize>(
        &self,
        start: usize,
        burst: &mut ArrayVec<T, N>,
        count: usize,
    ) {
        let [first, second] = self.runs(start, count);
        let (head, tail) = burst[..count].split_at(first.len());
        for (cells, values) in [(first, head), (second, tail)] {
            for (cell, value) in cells.iter().zip(values) {
                let value: *const T = value;
                cell.with_mut(|slot| {
                    // SAFETY: `slot` is a dead slot of the producer's turn (the caller's promise),
                    // `value` is initialised and elsewhere (it is in the caller's `&mut` burst).
                    unsafe { slot.cast::<T>().copy_from_nonoverlapping(value, 1) }
                });
            }
        }
        // The slots own these values now; the burst gives them up without dropping them. Nothing
        // between the copy and here can panic.
        burst.drain(..count).for_each(std::mem::forget);
    }

    /// Moves the values of `count` positions from `start` on to the end of `burst`.
    ///
    /// # Safety
    ///
    /// The caller is the consumer, `start..start + count` lies within its turn (rule 2) and is
    /// live (rule 1), and the caller advances `head` past them before it reads them again.
    /// `burst` has room for `count` more.
    #[inline(always)] // see `runs`
    pub(crate) unsafe fn empty<const N: usize>(
        &self,
        start: usize,
        burst: &mut ArrayVec<T, N>,
        count: usize,
    ) {
        for cells in self.runs(start, count) {
            for cell in cells {
                // SAFETY: a live slot of the consumer's turn (the caller's promise); it is read
                // once, because `head` moves past it before the next read.
                let value = cell.with(|slot| unsafe { slot.cast::<T>().read() });
                // SAFETY: the caller promised room for `count`, and this runs `count` times.
                unsafe { burst.push_unchecked(value) };
            }
        }
    }
}

impl<T> Drop for Slots<T> {
    fn drop(&mut self) {
        if !std::mem::needs_drop::<T>() {
            return;
        }
        let (head, tail) = self.indices.at_rest();
        for cell in self.runs(head, tail.wrapping_sub(head)).into_iter().flatten() {
            cell.with_mut(|slot| {
                // SAFETY: both ends are gone (this is the last `Arc`, whose drop synchronises with
                // the others), so by rule 1 exactly `head..tail` is live, and it is visited once.
                unsafe { slot.cast::<T>().drop_in_place() }
            });
        }
    }
}

impl<T> fmt::Debug for Slots<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}
