//! Receive stamps of a device, as times of ours.
//!
//! The device's clock is read between two readings of the CPU's counter, before each trial until a line through such readings
//! is known, and now and then while nothing comes: [`device_clock`] says what a stamp means, and how wrong that may be.

use std::{
    thread,
    time::{Duration, Instant},
};

use linux::clock::{TickRate, ticks};
use pipeline::device_clock::{self, DeviceClock, Fit, Reading, State};

/// Readings that are taken at a time, of which the tightest counts.
const TRIES: usize = 8;

/// How long it may take until a clock is known.
const LEARN: Duration = Duration::from_secs(3);

/// Between two readings until then.
const STEP: Duration = Duration::from_millis(10);

/// Between two readings during a trial.
const AGAIN: Duration = Duration::from_millis(100);

/// Why stamps can not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// The port does not stamp frames.
    #[error("port {port} does not stamp frames that it receives; take stamps = \"software\"")]
    None {
        /// Which one.
        port: String,
    },
    /// Its clock can not be read.
    #[error("the clock of port {port} can not be read: {why}")]
    Unreadable {
        /// Which one.
        port: String,
        /// Why.
        why: String,
    },
    /// Its clock is not understood.
    #[error("the clock of port {port} did not run steadily for {} s", LEARN.as_secs())]
    Unsteady {
        /// Which one.
        port: String,
    },
}

/// A device's clock, as far as it is known.
#[derive(Debug)]
pub struct Known {
    port: String,
    rate: TickRate,
    fit: Fit,
    clock: DeviceClock,
    /// When it was read last.
    read: u64,
    /// The largest error since [`begin`](Self::begin), in ticks.
    error: u64,
    /// Frames whose stamp could be used, and others.
    frames: (u64, u64),
}

impl Known {
    /// Nothing is known yet of this port's.
    #[must_use]
    pub fn new(port: &str, rate: TickRate) -> Self {
        let (fit, clock) = device_clock::new();
        Self { port: port.to_owned(), rate, fit, clock, read: 0, error: 0, frames: (0, 0) }
    }

    /// Before a trial: reads the clock until it is known.
    ///
    /// # Errors
    /// [`StampError`]
    pub fn begin(
        &mut self,
        device: &mut dyn FnMut() -> Result<u64, String>,
    ) -> Result<(), StampError> {
        (self.error, self.frames) = (0, (0, 0));
        let begun = Instant::now();
        loop {
            if let State::Fitted { .. } = self.observe(device)? {
                return Ok(());
            }
            if begun.elapsed() > LEARN {
                return Err(StampError::Unsteady { port: self.port.clone() });
            }
            thread::sleep(STEP);
        }
    }

    /// During a trial, when nothing comes: reads the clock if the last time is long ago.
    ///
    /// # Errors
    /// [`StampError::Unreadable`]
    pub fn keep(
        &mut self,
        device: &mut dyn FnMut() -> Result<u64, String>,
    ) -> Result<(), StampError> {
        let since = ticks().saturating_sub(self.read);
        if self.rate.to_ns(since) > u64::try_from(AGAIN.as_nanos()).unwrap_or(u64::MAX) {
            self.observe(device)?;
        }
        Ok(())
    }

    fn observe(
        &mut self,
        device: &mut dyn FnMut() -> Result<u64, String>,
    ) -> Result<State, StampError> {
        let mut best: Option<Reading> = None;
        for _ in 0..TRIES {
            let before = ticks();
            let device =
                device().map_err(|why| StampError::Unreadable { port: self.port.clone(), why })?;
            let reading = Reading { before, device, after: ticks() };
            let width = |it: &Reading| it.after.saturating_sub(it.before);
            best = Some(best.filter(|best| width(best) <= width(&reading)).unwrap_or(reading));
        }
        self.read = ticks();
        let state = best.map_or(State::Learning, |reading| self.fit.observe(reading));
        self.clock.refresh();
        if let State::Fitted { error } = state {
            self.error = self.error.max(error);
        }
        Ok(state)
    }

    /// When a frame with this stamp arrived, in ticks of the CPU's counter; none of one without.
    pub fn of(&mut self, stamp: Option<u64>) -> Option<u64> {
        let at = stamp.and_then(|stamp| self.clock.ticks(stamp));
        match at {
            Some(_) => self.frames.0 += 1,
            None => self.frames.1 += 1,
        }
        at
    }

    /// Since [`begin`](Self::begin): frames with a stamp, frames without, and how wrong a stamp may be, in ns.
    #[must_use]
    pub fn told(&self) -> (u64, u64, u64) {
        let (with, without) = self.frames;
        (with, without, self.rate.to_ns(self.error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device whose clock is the CPU's, of some time ago.
    const BEHIND: u64 = 1 << 30;

    fn known() -> Known {
        Known::new("0000:3b:00.1", TickRate::calibrate(Duration::from_millis(20)).unwrap())
    }

    #[test]
    fn a_stamp_becomes_a_time_within_the_error_that_is_told() {
        let mut known = known();
        let mut device = || Ok(ticks().wrapping_sub(BEHIND));
        known.begin(&mut device).unwrap();
        let now = ticks();

        let at = known.of(Some(now.wrapping_sub(BEHIND)));

        let (with, without, error_ns) = known.told();
        let Some(at) = at else {
            // Somebody else had the CPU for longer than the line reaches.
            assert_eq!((with, without), (0, 1));
            return;
        };
        assert_eq!((with, without), (1, 0));
        let off = known.rate.to_ns(at.abs_diff(now));
        assert!(off <= error_ns + 1, "{off} {error_ns}");
        assert_eq!(known.of(None), None);
        assert_eq!(known.told().1, 1);
        known.begin(&mut device).unwrap();
        assert_eq!((known.told().0, known.told().1), (0, 0), "each trial counts by itself");
    }

    #[test]
    fn a_clock_that_can_not_be_read_or_stands_still_is_refused() {
        let mut nothing = || Err("not supported".to_owned());
        let refused = known().begin(&mut nothing).unwrap_err();
        assert!(matches!(&refused, StampError::Unreadable { why, .. } if why == "not supported"));
        let mut still = || Ok(7);
        let refused = known().begin(&mut still).unwrap_err();
        assert!(matches!(refused, StampError::Unsteady { .. }), "{refused}");
    }

    #[test]
    fn a_clock_is_not_read_more_often_than_it_has_to_be() {
        let mut known = known();
        known.begin(&mut || Ok(ticks())).unwrap();
        // Just read: not again, so that nobody asks the device that would refuse.
        let read = known.read;
        known.read = ticks();
        known.keep(&mut || Err("asked".to_owned())).unwrap();
        known.read = read.saturating_sub(u64::MAX / 4);
        assert!(known.keep(&mut || Err("asked".to_owned())).is_err());
    }
}
