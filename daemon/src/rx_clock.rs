//! Where the bound of a port's frames begins: at the device's own stamps, where their clock is known, else at the poll; and
//! the thread that gets to know those clocks.
//!
//! ```text
//!  keeper (housekeeping):  ticks ─ device ─ ticks  ─► Fit ═══► DeviceClock (worker): stamp ─► ticks
//! ```

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Duration,
};

use dpdk::{PortError, PortObserver};
use linux::clock::{TickRate, ticks};
use pipeline::device_clock::{self, DeviceClock, Fit, Reading, State};

/// Between two readings of a clock once it is known …
const PERIOD: Duration = Duration::from_millis(250);

/// … and until then.
const FIRST_PERIOD: Duration = Duration::from_millis(10);

/// Readings that are taken at a time, of which the tightest counts.
const TRIES: usize = 8;

/// Where the bound begins, and why not at the device's stamps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// At the last poll at which the frame was not there.
    Poll {
        /// Why not at the device's stamps.
        why: String,
    },
    /// At the device's stamp.
    Hardware {
        /// How wrong it may be.
        error_ns: u64,
    },
}

/// What is known of a port's stamps: written by whoever sets the port up and by the [`Keeper`], read by readers.
#[derive(Debug, Clone)]
pub struct RxStamps(Arc<Mutex<Source>>);

impl RxStamps {
    /// For a port whose device stamps frames, or for `why` not.
    pub fn new(why_not: Option<String>) -> Self {
        let why = why_not.unwrap_or_else(|| UNKNOWN.to_owned());
        Self(Arc::new(Mutex::new(Source::Poll { why })))
    }

    /// Where the bound begins now.
    pub fn source(&self) -> Source {
        self.lock().clone()
    }

    fn set(&self, source: Source) {
        *self.lock() = source;
    }

    fn lock(&self) -> MutexGuard<'_, Source> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const UNKNOWN: &str = "the device's clock is not known yet";

/// A device's clock, to be read.
pub trait Clock {
    /// Its ticks now.
    fn read(&self) -> Result<u64, PortError>;
}

impl Clock for PortObserver<'_> {
    fn read(&self) -> Result<u64, PortError> {
        self.read_clock()
    }
}

/// Gets to know the clocks of devices.
pub struct Keeper<C> {
    rate: TickRate,
    clocks: Vec<Kept<C>>,
}

struct Kept<C> {
    port: String,
    clock: C,
    fit: Fit,
    stamps: RxStamps,
}

impl<C: Clock> Keeper<C> {
    /// None yet.
    pub fn new(rate: TickRate) -> Self {
        Self { rate, clocks: Vec::new() }
    }

    /// Takes a port whose device stamps frames; `None`, and the reason in `stamps`, if its clock can not be read.
    pub fn keep(&mut self, port: &str, clock: C, stamps: &RxStamps) -> Option<DeviceClock> {
        if let Err(error) = clock.read() {
            stamps.set(Source::Poll { why: unreadable(&error) });
            return None;
        }
        let (fit, converter) = device_clock::new();
        self.clocks.push(Kept { port: port.to_owned(), clock, fit, stamps: stamps.clone() });
        Some(converter)
    }

    /// Is there nothing to keep?
    pub fn is_idle(&self) -> bool {
        self.clocks.is_empty()
    }

    /// Reads clocks until the other end of `stop` is dropped.
    pub fn run(mut self, stop: &mpsc::Receiver<()>) {
        loop {
            let all_known = self.observe();
            let pause = if all_known { PERIOD } else { FIRST_PERIOD };
            if stop.recv_timeout(pause) != Err(mpsc::RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    /// Reads every clock once; says whether all of them are known, or can not be.
    fn observe(&mut self) -> bool {
        let mut all_known = true;
        for kept in &mut self.clocks {
            let source = match tightest(&kept.clock) {
                Err(error) => Source::Poll { why: unreadable(&error) },
                Ok(reading) => match kept.fit.observe(reading) {
                    State::Fitted { error } => {
                        Source::Hardware { error_ns: self.rate.to_ns(error) }
                    }
                    State::Learning => {
                        all_known = false;
                        Source::Poll { why: UNKNOWN.to_owned() }
                    }
                    State::Stepped => {
                        all_known = false;
                        tracing::warn!(
                            port = kept.port,
                            "the device's clock stood still or jumped"
                        );
                        Source::Poll { why: "the device's clock stood still or jumped".to_owned() }
                    }
                },
            };
            kept.stamps.set(source);
        }
        all_known
    }
}

fn unreadable(error: &PortError) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

fn tightest(clock: &impl Clock) -> Result<Reading, PortError> {
    let take = || -> Result<Reading, PortError> {
        let before = ticks();
        let device = clock.read()?;
        Ok(Reading { before, device, after: ticks() })
    };
    let width = |reading: &Reading| reading.after.saturating_sub(reading.before);
    let mut best = take()?;
    for _ in 1..TRIES {
        let next = take()?;
        if width(&next) < width(&best) {
            best = next;
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// The CPU's own clock, some time ago; or none.
    struct Fake<'a>(&'a Cell<Option<u64>>);

    impl Clock for Fake<'_> {
        fn read(&self) -> Result<u64, PortError> {
            let behind = self.0.get().ok_or(PortError::Closed { id: 3 })?;
            Ok(ticks().wrapping_sub(behind))
        }
    }

    fn keeper<'a>(
        behind: &'a Cell<Option<u64>>,
    ) -> (Keeper<Fake<'a>>, RxStamps, Option<DeviceClock>) {
        let mut keeper = Keeper::new(TickRate::from_hz(1_000_000_000).unwrap());
        let stamps = RxStamps::new(None);
        let clock = keeper.keep("north", Fake(behind), &stamps);
        (keeper, stamps, clock)
    }

    #[test]
    fn a_clock_that_can_be_read_becomes_known_with_its_error() {
        let behind = Cell::new(Some(12_345));
        let (mut keeper, stamps, clock) = keeper(&behind);
        assert_eq!(stamps.source(), Source::Poll { why: UNKNOWN.to_owned() });
        assert!(!keeper.observe());
        assert!(keeper.observe());
        let Source::Hardware { error_ns } = stamps.source() else { panic!("{stamps:?}") };
        let mut clock = clock.unwrap();
        clock.refresh();
        let now = ticks();
        let off = clock.ticks(now.wrapping_sub(12_345)).map(|at| at.abs_diff(now));
        // At most one span after the last reading, if nothing interrupted this.
        assert!(off.is_none_or(|off| off <= error_ns + 1), "{off:?} {error_ns}");
    }

    #[test]
    fn a_clock_that_can_not_be_read_is_the_reason_for_the_poll() {
        let behind = Cell::new(None);
        let (keeper, stamps, clock) = keeper(&behind);
        assert!(clock.is_none() && keeper.is_idle());
        assert_eq!(stamps.source(), Source::Poll { why: "port 3 is closed".to_owned() });
    }

    #[test]
    fn a_clock_that_jumps_is_not_used_until_it_is_known_again() {
        let behind = Cell::new(Some(0));
        let (mut keeper, stamps, _clock) = keeper(&behind);
        assert!(!keeper.observe() && keeper.observe());
        behind.set(Some(1 << 60));
        assert!(!keeper.observe());
        assert!(matches!(stamps.source(), Source::Poll { why } if why.contains("jumped")));
        assert!(keeper.observe());
        assert!(matches!(stamps.source(), Source::Hardware { .. }));
        behind.set(None);
        assert!(keeper.observe(), "there is nothing to wait for");
        assert!(matches!(stamps.source(), Source::Poll { why } if why.contains("closed")));
    }
}
