//! Time, as the generator sees it.

use std::time::Duration;

use linux::clock::{CalibrationError, TickRate, ticks};

/// Nanoseconds since some beginning, never backwards.
pub trait Clock {
    /// Now.
    fn now(&mut self) -> u64;

    /// What the counter said then.
    fn at(&self, ticks: u64) -> u64;
}

/// The CPU's own counter.
#[derive(Debug, Clone, Copy)]
pub struct Counter {
    rate: TickRate,
    begin: u64,
}

impl Counter {
    /// Begins now.
    ///
    /// # Errors
    /// [`CalibrationError`] when the counter is none.
    pub fn start(calibration: Duration) -> Result<Self, CalibrationError> {
        let rate = TickRate::calibrate(calibration)?;
        Ok(Self { rate, begin: ticks() })
    }

    /// What the counter said at the beginning: to compare with stamps of other programs on this machine.
    #[must_use]
    pub fn begin(&self) -> u64 {
        self.begin
    }

    /// How fast it runs.
    #[must_use]
    pub fn rate(&self) -> TickRate {
        self.rate
    }

    /// A stamp of the counter as nanoseconds since the beginning; before it, 0.
    #[must_use]
    pub fn at(&self, ticks: u64) -> u64 {
        self.rate.to_ns(ticks.saturating_sub(self.begin))
    }
}

impl Clock for Counter {
    #[inline]
    fn now(&mut self) -> u64 {
        Self::at(self, ticks())
    }

    #[inline]
    fn at(&self, ticks: u64) -> u64 {
        Self::at(self, ticks)
    }
}
