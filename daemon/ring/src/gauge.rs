//! What a ring says about itself to any thread, without either worker taking part.

use std::time::Duration;

use crossbeam::utils::CachePadded;

use crate::sync::{Arc, AtomicUsize, Ordering};

/// The shared indices of one ring. They count items since the ring was made, and wrap only after
/// 2⁶⁴ of them; differences are taken with `wrapping_sub`, so even that would not matter.
#[derive(Debug)]
pub(crate) struct Indices {
    /// What the producer writes, on a cache line (pair) of its own.
    producer: CachePadded<ProducerLine>,
    /// Items popped. Written by the consumer, with *release*, after it has read the slots before
    /// it; loaded by the producer with *acquire* before it writes those slots again. The pair keeps
    /// a value from being overwritten while it is read.
    head: CachePadded<AtomicUsize>,
    capacity: usize,
}

#[derive(Debug)]
struct ProducerLine {
    /// Items pushed. Written by the producer, with *release*, after it has written the slots
    /// before it; loaded by the consumer with *acquire* before it reads those slots. The pair makes
    /// a value visible before its position is.
    tail: AtomicUsize,
    /// The largest occupancy after a push. Written by the producer only, *relaxed*, before `tail`;
    /// a reader that acquires `tail` therefore sees a mark at least as high as that push's.
    high_water: AtomicUsize,
}

impl Indices {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            producer: CachePadded::new(ProducerLine {
                tail: AtomicUsize::new(0),
                high_water: AtomicUsize::new(0),
            }),
            head: CachePadded::new(AtomicUsize::new(0)),
            capacity,
        }
    }

    #[inline] // into the burst loop of another crate
    pub(crate) fn acquire_head(&self) -> usize {
        self.head.load(Ordering::Acquire)
    }

    #[inline] // as above
    pub(crate) fn acquire_tail(&self) -> usize {
        self.producer.tail.load(Ordering::Acquire)
    }

    /// The producer's: everything before `tail` is written.
    #[inline] // as above
    pub(crate) fn publish_tail(&self, tail: usize) {
        self.producer.tail.store(tail, Ordering::Release);
    }

    /// The consumer's: everything before `head` is read.
    #[inline] // as above
    pub(crate) fn publish_head(&self, head: usize) {
        self.head.store(head, Ordering::Release);
    }

    /// The producer's.
    #[inline] // as above
    pub(crate) fn raise_high_water(&self, items: usize) {
        self.producer.high_water.store(items, Ordering::Relaxed);
    }

    /// `(head, tail)` once both ends are gone; the drop of their `Arc`s has ordered all before.
    pub(crate) fn at_rest(&self) -> (usize, usize) {
        (self.head.load(Ordering::Relaxed), self.producer.tail.load(Ordering::Relaxed))
    }

    fn read(&self) -> Reading {
        // head before tail: the consumer moved head to this value after it had seen a tail at least
        // as large, so with acquire the tail read next is never behind, and no difference wraps.
        let popped = self.head.load(Ordering::Acquire);
        let pushed = self.producer.tail.load(Ordering::Acquire);
        let high_water = self.producer.high_water.load(Ordering::Relaxed);
        Reading {
            capacity: self.capacity as u64,
            pushed: pushed as u64,
            popped: popped as u64,
            high_water: high_water as u64,
        }
    }
}

/// A view of one ring for monitoring: clone it, send it anywhere, read it at any time.
///
/// It keeps the ring's counters alive, not its items: an mbuf left in a ring is freed with the two
/// ends, however many gauges remain. A read costs the workers at most one cache miss each.
#[derive(Debug, Clone)]
pub struct Gauge {
    indices: Arc<Indices>,
}

impl Gauge {
    pub(crate) fn new(indices: Arc<Indices>) -> Self {
        Self { indices }
    }

    /// How many items the ring holds at most.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.indices.capacity as u64
    }

    /// Items in the ring now; see [`Reading::occupancy`].
    #[must_use]
    pub fn occupancy(&self) -> u64 {
        self.read().occupancy()
    }

    /// The most items that a push has left in the ring since it was made.
    #[must_use]
    pub fn high_water(&self) -> u64 {
        self.read().high_water
    }

    /// All of it at one moment.
    #[must_use]
    pub fn read(&self) -> Reading {
        self.indices.read()
    }
}

/// What a [`Gauge`] read. Counts are items since the ring was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// How many items the ring holds at most.
    pub capacity: u64,
    /// Items pushed.
    pub pushed: u64,
    /// Items popped; never more than `pushed`.
    pub popped: u64,
    /// The most items that a push has left in the ring. The producer compares with what it knows of
    /// the consumer and looks again before it raises the mark, so this is never an overestimate
    /// from a stale index.
    pub high_water: u64,
}

impl Reading {
    /// Items in the ring. The two ends move while they are read, so this may be too high by what
    /// was popped in between; it never exceeds the high-water mark.
    #[must_use]
    pub fn occupancy(&self) -> u64 {
        self.pushed.wrapping_sub(self.popped).min(self.high_water)
    }
}

/// How long until the ring is full if it goes on filling as it did between two readings taken
/// `between` apart. Zero when it is full; `None` when it is not filling, no time has
/// passed, or the readings are the wrong way round.
///
/// ```
/// use std::time::Duration;
/// use ring::{Reading, time_to_overflow};
///
/// let earlier = Reading { capacity: 1024, pushed: 1000, popped: 1000, high_water: 64 };
/// let later = Reading { capacity: 1024, pushed: 2000, popped: 1976, high_water: 64 };
/// // 24 more in 1 ms; 1000 slots are free.
/// let left = time_to_overflow(earlier, later, Duration::from_millis(1));
/// assert_eq!(left.map(|left| left.as_millis()), Some(41));
/// ```
#[must_use]
pub fn time_to_overflow(earlier: Reading, later: Reading, between: Duration) -> Option<Duration> {
    let free = later.capacity.saturating_sub(later.occupancy());
    if free == 0 {
        return Some(Duration::ZERO);
    }
    if between.is_zero() {
        return None;
    }
    let came = later.pushed.checked_sub(earlier.pushed)?;
    let went = later.popped.checked_sub(earlier.popped)?;
    let grown = came.checked_sub(went).filter(|grown| *grown > 0)?;
    let nanos = between.as_nanos().saturating_mul(u128::from(free)) / u128::from(grown);
    Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
}
