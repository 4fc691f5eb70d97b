//! A device's clock in terms of the CPU's: what a receive stamp of the device means in ticks, and how wrong that may be.
//!
//! Somebody with time to spare reads both clocks again and again and gives the [`Fit`] his [`Reading`]s; it publishes a
//! line, which a worker's [`DeviceClock`] converts stamps with. A worker never waits, and never reads the device.
//!
//! ```text
//!  ticks ▲                       ┊ · stamps up to a span ahead
//!        │               ┌─┐·····┊       of the last reading
//!        │        ┌─┐   ·└─┘ the last reading: `before` … `after` the device was read
//!        │  ┌─┐   └─┘··  ┊
//!        │  └─┘·····     ┊             the line goes through the middles of the first and the last reading of the window
//!        └───┴───────────┴───────► device
//!            │◄── span ──►│
//! ```
//! **The error bar.** While the two clocks run at constant rates, a reading's middle is at most half its width, *w*, away
//! from the truth. So the line is at most *w₀ + w₁ + max(w₀, w₁)* wrong up to one span before the first reading and after
//! the last; outside, nothing is converted. Where the readings between bend away from the line, twice the bend is added; so are some
//! of the device's own ticks, which are how finely it tells time.
//!
//! **Steps.** A reading that no steady clock explains ends the line: nothing is converted until a new window has formed.
//! Between a step and the reading that finds it, stamps are converted with the old line.
//!
//! ```
//! use pipeline::device_clock::{self, Reading, State};
//!
//! // A device that counts nanoseconds beside a CPU that counts 2.5 times as fast.
//! let (mut fit, mut clock) = device_clock::new();
//! let reading = |ns: u64| Reading { before: 2 * ns + ns / 2 - 500, device: ns, after: 2 * ns + ns / 2 + 500 };
//! assert_eq!(fit.observe(reading(1_000_000)), State::Learning);
//! assert!(matches!(fit.observe(reading(2_000_000)), State::Fitted { error: 1_500.. }));
//! clock.refresh();
//! assert!(clock.ticks(1_500_000).is_some_and(|ticks| ticks.abs_diff(3_750_000) <= 2));
//! assert_eq!(clock.ticks(10_000_000), None, "no reading is near");
//! ```

mod line;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
            fence,
        },
    },
};

use crossbeam::utils::CachePadded;

use line::Line;

/// Readings that a line is drawn from: the longer the window, the smaller the error of the rate, and the longer a wrong
/// rate stays.
const WINDOW: usize = 32;

/// No two oscillators drift apart faster, in millionths: Ethernet allows ±100 each, and a clock that is being slewed to
/// another some hundreds more.
const MAX_DRIFT: u64 = 1_000;

/// Both clocks at about one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The CPU's clock before the device's was read.
    pub before: u64,
    /// The device's clock, in ticks of its own. It may wrap around at 2⁶⁴.
    pub device: u64,
    /// The CPU's clock after that.
    pub after: u64,
}

/// What is known of a device's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There are too few readings yet.
    Learning,
    /// Stamps can be converted.
    Fitted {
        /// How wrong a conversion may be, in ticks of the CPU's clock.
        error: u64,
    },
    /// The clock stood still, ran backwards or jumped: what was known is of no use, and learning begins again.
    Stepped,
}

/// The side that reads clocks.
#[derive(Debug)]
pub struct Fit {
    window: VecDeque<Reading>,
    line: Option<Line>,
    shared: Arc<Shared>,
}

/// The side that converts; a copy for each who does.
#[derive(Debug, Clone)]
pub struct DeviceClock {
    shared: Arc<Shared>,
    seen: u64,
    line: Option<Line>,
}

/// A seqlock of atomics, as in [`counters`](crate::counters): written by the one [`Fit`]; `sequence` is odd while it
/// writes. A reader that finds it odd or changed keeps the line that it has, which says itself how far it reaches.
#[derive(Debug, Default)]
struct Shared {
    sequence: CachePadded<AtomicU64>,
    /// [`Line::to_words`]; all zero: none.
    words: [AtomicU64; Line::WORDS],
}

/// Nothing is known yet.
#[must_use]
pub fn new() -> (Fit, DeviceClock) {
    let shared = Arc::new(Shared::default());
    let fit =
        Fit { window: VecDeque::with_capacity(WINDOW), line: None, shared: Arc::clone(&shared) };
    (fit, DeviceClock { shared, seen: 0, line: None })
}

impl Fit {
    /// Takes one more reading, publishes what follows from it, and says what that is.
    pub fn observe(&mut self, reading: Reading) -> State {
        let is_step = self.window.back().is_some_and(|last| is_step(last, &reading))
            || self.line.is_some_and(|line| !line.explains(&reading, MAX_DRIFT));
        if is_step {
            self.window.clear();
        }
        if self.window.len() == WINDOW {
            self.window.pop_front();
        }
        self.window.push_back(reading);
        self.line = Line::through(self.window.make_contiguous());
        self.publish();
        match self.line {
            Some(line) => State::Fitted { error: line.error },
            None if is_step => State::Stepped,
            None => State::Learning,
        }
    }

    fn publish(&self) {
        let Shared { sequence, words } = &*self.shared;
        let number = sequence.load(Relaxed);
        sequence.store(number.wrapping_add(1), Relaxed);
        fence(Release);
        let line = self.line.map_or([0; Line::WORDS], |line| line.to_words());
        for (cell, word) in words.iter().zip(line) {
            cell.store(word, Relaxed);
        }
        sequence.store(number.wrapping_add(2), Release);
    }
}

/// The device did not run forward between two readings, as its clock is read later or not at all.
fn is_step(last: &Reading, next: &Reading) -> bool {
    next.device.wrapping_sub(last.device).cast_signed() <= 0 || next.before < last.after
}

impl DeviceClock {
    /// Takes the line that was published last. One load when there is no new one; to be called once a burst.
    #[inline]
    pub fn refresh(&mut self) {
        let number = self.shared.sequence.load(Acquire);
        if number != self.seen && number.is_multiple_of(2) {
            self.take(number);
        }
    }

    #[cold]
    fn take(&mut self, number: u64) {
        let words = std::array::from_fn(|index| self.shared.words[index].load(Relaxed));
        fence(Acquire);
        if self.shared.sequence.load(Relaxed) == number {
            self.line = Line::from_words(words);
            self.seen = number;
        }
    }

    /// A stamp of the device in ticks of the CPU's clock, wrong by at most [`error`](Self::error); `None` where no
    /// reading is near enough.
    #[inline]
    #[must_use]
    pub fn ticks(&self, stamp: u64) -> Option<u64> {
        self.line.as_ref()?.at(stamp)
    }

    /// How wrong a conversion may be, in ticks; `None` when nothing can be converted.
    #[must_use]
    pub fn error(&self) -> Option<u64> {
        self.line.map(|line| line.error)
    }
}
