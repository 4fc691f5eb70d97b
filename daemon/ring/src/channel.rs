//! The two ends of a ring.
//!
//! # Safety
//!
//! Each end calls one function of `slots.rs` that must be told only positions of that end's turn. The
//! indices that say so are here, which is why the two calls are.

use std::{cell::Cell, marker::PhantomData};

use arrayvec::ArrayVec;
use crossbeam::utils::CachePadded;

use crate::{Capacity, Gauge, gauge::Indices, slots::Slots, sync::Arc};

/// Makes a ring and gives out its two ends.
///
/// All memory is reserved here. What is still inside when both ends are gone is dropped then, each
/// item once, by the thread that dropped the second end.
#[must_use]
pub fn channel<T: Send>(capacity: Capacity) -> (Producer<T>, Consumer<T>) {
    let indices = Arc::new(Indices::new(capacity.items()));
    let slots = Arc::new(Slots::new(capacity, Arc::clone(&indices)));
    let producer = Producer {
        own: CachePadded::new(ProducerOwn { tail: 0, cached_head: 0, high_water: 0 }),
        indices: Arc::clone(&indices),
        slots: Arc::clone(&slots),
        not_sync: PhantomData,
    };
    let consumer = Consumer {
        own: CachePadded::new(ConsumerOwn { head: 0, cached_tail: 0 }),
        indices,
        slots,
        not_sync: PhantomData,
    };
    (producer, consumer)
}

/// The end that pushes. It can move to another thread, but there is only one of it:
///
/// ```compile_fail
/// fn needs_clone<T: Clone>() {}
/// needs_clone::<ring::Producer<u8>>();
/// ```
/// ```compile_fail
/// fn needs_sync<T: Sync>() {}
/// needs_sync::<ring::Producer<u8>>();
/// ```
#[derive(Debug)]
pub struct Producer<T> {
    /// Padded, so that ends kept side by side by different threads share no cache line.
    own: CachePadded<ProducerOwn>,
    indices: Arc<Indices>,
    slots: Arc<Slots<T>>,
    not_sync: PhantomData<Cell<()>>,
}

/// What only the producer's thread reads and writes.
#[derive(Debug)]
struct ProducerOwn {
    /// The published tail.
    tail: usize,
    /// A head seen earlier: the true one is at least this, so there is at least this much room.
    cached_head: usize,
    /// The published high-water mark, at most the capacity.
    high_water: usize,
}

impl<T> Producer<T> {
    /// Moves as many items as fit from the front of `burst` into the ring, and returns how many.
    /// The rest stays in `burst`, in order. One release store per call; never waits.
    ///
    /// The consumer's index is looked at only when the burst might raise the high-water mark, which
    /// includes the case that it might not fit.
    #[inline] // the ring's cost must be the copy, not a call
    pub fn push_burst<const N: usize>(&mut self, burst: &mut ArrayVec<T, N>) -> usize {
        let own = &mut *self.own;
        let mut used = own.tail.wrapping_sub(own.cached_head);
        let mut count = burst.len();
        if used + count > own.high_water {
            own.cached_head = self.indices.acquire_head();
            used = own.tail.wrapping_sub(own.cached_head);
            count = count.min(self.slots.capacity() - used);
            if used + count > own.high_water {
                own.high_water = used + count;
                self.indices.raise_high_water(used + count);
            }
        }
        if count == 0 {
            return 0;
        }
        // SAFETY: this is the only producer (`&mut self`, not `Clone`), and `used + count` is at
        // most the capacity: bounded either by the `min` above, or by the high-water mark, which
        // was. `cached_head` was acquired, so the positions up to `cached_head + capacity` are the
        // producer's.
        unsafe { self.slots.fill(own.tail, burst, count) };
        own.tail = own.tail.wrapping_add(count);
        self.indices.publish_tail(own.tail);
        count
    }

    /// A view of this ring for monitoring.
    #[must_use]
    pub fn gauge(&self) -> Gauge {
        Gauge::new(Arc::clone(&self.indices))
    }
}

/// The end that pops. It can move to another thread, but there is only one of it:
///
/// ```compile_fail
/// fn needs_clone<T: Clone>() {}
/// needs_clone::<ring::Consumer<u8>>();
/// ```
/// ```compile_fail
/// fn needs_sync<T: Sync>() {}
/// needs_sync::<ring::Consumer<u8>>();
/// ```
#[derive(Debug)]
pub struct Consumer<T> {
    /// Padded like [`Producer::own`].
    own: CachePadded<ConsumerOwn>,
    indices: Arc<Indices>,
    slots: Arc<Slots<T>>,
    not_sync: PhantomData<Cell<()>>,
}

/// What only the consumer's thread reads and writes.
#[derive(Debug)]
struct ConsumerOwn {
    /// The published head.
    head: usize,
    /// A tail seen earlier: the true one is at least this, so there are at least this many items.
    cached_tail: usize,
}

impl<T> Consumer<T> {
    /// Moves up to `max` items, as far as there are items and room, to the end of `burst`, oldest
    /// first, and returns how many. One release store per call that moves any; never waits.
    ///
    /// The producer's index is looked at only when fewer items are known of than are wanted.
    #[inline] // as for push_burst
    pub fn pop_burst<const N: usize>(&mut self, burst: &mut ArrayVec<T, N>, max: usize) -> usize {
        let own = &mut *self.own;
        let wanted = max.min(burst.remaining_capacity());
        let mut known = own.cached_tail.wrapping_sub(own.head);
        if known < wanted {
            own.cached_tail = self.indices.acquire_tail();
            known = own.cached_tail.wrapping_sub(own.head);
        }
        let count = wanted.min(known);
        if count == 0 {
            return 0;
        }
        // SAFETY: this is the only consumer (`&mut self`, not `Clone`); `count` is at most `known`,
        // and `cached_tail` was acquired, so the positions are live and the consumer's; `count` is
        // at most the room in `burst`; `head` moves past them in the next statement.
        unsafe { self.slots.empty(own.head, burst, count) };
        own.head = own.head.wrapping_add(count);
        self.indices.publish_head(own.head);
        count
    }

    /// A view of this ring for monitoring.
    #[must_use]
    pub fn gauge(&self) -> Gauge {
        Gauge::new(Arc::clone(&self.indices))
    }
}
