//! DPDK's own ring between one producer and one consumer. Here for comparison with `daemon/ring`
//! alone: it carries machine words, and owns nothing behind them.
//!
//! # Safety
//! Holds a `struct rte_ring` that is freed when the [`Ring`] is dropped; both ends borrow it.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::NonNull;

use dpdk_sys as c;

use crate::eal::Eal;
use crate::error::{Errno, c_string};

/// An `rte_ring` with one producer and one consumer.
#[derive(Debug)]
pub struct Ring<'eal> {
    raw: NonNull<c::rte_ring>,
    eal: &'eal Eal,
}

// SAFETY: a ring may be freed by any thread; both ends borrow it, so nobody uses it then.
unsafe impl Send for Ring<'_> {}

impl<'eal> Ring<'eal> {
    /// Makes a ring that holds `capacity - 1` words; `capacity` is a power of two.
    ///
    /// # Errors
    /// A name or a size that DPDK does not take; no memory.
    pub fn create(eal: &'eal Eal, name: &str, capacity: u32) -> Result<Self, RingError> {
        let failed = |source| RingError { name: name.to_owned(), capacity, source };
        let c_name = c_string(name).ok_or_else(|| failed(None))?;
        let _control = eal.control();
        let flags = c::RING_F_SP_ENQ | c::RING_F_SC_DEQ;
        // SAFETY: the EAL is up, since it is borrowed, and the name is terminated and copied by the
        // function.
        let raw =
            unsafe { c::rte_ring_create(c_name.as_ptr(), capacity, c::SHIM_SOCKET_ID_ANY, flags) };
        let raw = NonNull::new(raw).ok_or_else(|| failed(Some(Errno::last())))?;
        Ok(Self { raw, eal })
    }

    /// Lends the two ends.
    pub fn split(&mut self) -> (Producer<'_>, Consumer<'_>) {
        let end = End { raw: self.raw, ring: PhantomData, one_thread: PhantomData };
        let other = End { raw: self.raw, ring: PhantomData, one_thread: PhantomData };
        (Producer(end), Consumer(other))
    }
}

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        let _control = self.eal.control();
        // SAFETY: made by rte_ring_create, freed once, and no end is lent out any more.
        unsafe { c::rte_ring_free(self.raw.as_ptr()) };
    }
}

#[derive(Debug)]
struct End<'ring> {
    raw: NonNull<c::rte_ring>,
    ring: PhantomData<&'ring ()>,
    /// Not Sync.
    one_thread: PhantomData<Cell<()>>,
}

/// The end that words go into.
#[derive(Debug)]
pub struct Producer<'ring>(End<'ring>);

/// The end that words come out of.
#[derive(Debug)]
pub struct Consumer<'ring>(End<'ring>);

// SAFETY: RING_F_SP_ENQ wants one producer at a time, on whatever thread; there is one Producer,
// used through `&mut`.
unsafe impl Send for Producer<'_> {}
// SAFETY: RING_F_SC_DEQ wants one consumer at a time, on whatever thread; there is one Consumer,
// used through `&mut`.
unsafe impl Send for Consumer<'_> {}

impl Producer<'_> {
    /// Puts in as many of the words as there is room for, from the first on, and says how many.
    #[inline]
    pub fn enqueue(&mut self, words: &[usize]) -> usize {
        let count = u32::try_from(words.len()).unwrap_or(u32::MAX);
        // SAFETY: the ring lives while it is borrowed, this is its only producer, and there are
        // `count` words of the size of a pointer, which the ring copies without looking at
        // them.
        let taken = unsafe {
            c::shim_ring_enqueue_burst(self.0.raw.as_ptr(), words.as_ptr().cast(), count)
        };
        taken as usize
    }
}

impl Consumer<'_> {
    /// Takes out as many words as there are and fit into `words`, and says how many.
    #[inline]
    pub fn dequeue(&mut self, words: &mut [usize]) -> usize {
        let count = u32::try_from(words.len()).unwrap_or(u32::MAX);
        // SAFETY: the ring lives while it is borrowed, this is its only consumer, and there is room
        // for `count` words.
        let taken = unsafe {
            c::shim_ring_dequeue_burst(self.0.raw.as_ptr(), words.as_mut_ptr().cast(), count)
        };
        taken as usize
    }

    /// Words in the ring: a snapshot while the producer is at work.
    #[must_use]
    pub fn len(&self) -> usize {
        // SAFETY: the ring lives while it is borrowed; reads its two counters.
        unsafe { c::shim_ring_count(self.0.raw.as_ptr()) as usize }
    }

    /// Whether [`len`](Self::len) is 0.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a ring could not be made.
#[derive(Debug, thiserror::Error)]
#[error("ring \"{name}\" of {capacity} could not be made")]
pub struct RingError {
    /// The name.
    pub name: String,
    /// The capacity asked for.
    pub capacity: u32,
    /// What DPDK said; nothing where the name can not be passed to C.
    pub source: Option<Errno>,
}
