//! The CPU's own clock: a few nanoseconds to read, and the same on every core.
//!
//! # Safety
//! Reading the counter is an intrinsic on x86-64 and an instruction on aarch64; both need `unsafe` and touch nothing.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::{Known, Root};

/// The counter, now: the time stamp counter on x86-64, the virtual counter on aarch64.
///
/// The read is not ordered with the instructions around it; the CPU may do it some tens of cycles early or late, which
/// is cheaper than a fence and less than anything that is measured with it.
#[inline]
#[must_use]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: rdtsc reads a counter into registers. Linux lets user space do so (CR4.TSD is clear) unless the
        // process asked otherwise with prctl(PR_SET_TSC), which Barewire does not.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
    #[cfg(target_arch = "aarch64")]
    {
        let ticks: u64;
        // SAFETY: the instruction reads the virtual counter into a register; Linux lets user space do so
        // (CNTKCTL_EL1.EL0VCTEN, Documentation/arch/arm64/booting.rst and the vDSO rely on it).
        unsafe {
            core::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack, preserves_flags));
        }
        ticks
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        raw_nanoseconds()
    }
}

/// How fast the counter runs, to make time of ticks and ticks of time.
///
/// ```
/// use std::time::Duration;
/// use linux::clock::TickRate;
///
/// let rate = TickRate::from_hz(2_500_000_000).ok_or("too slow")?;
/// assert_eq!(rate.to_ns(5_000), 2_000);
/// assert_eq!(rate.from_duration(Duration::from_micros(20)), 50_000);
/// # Ok::<(), &str>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TickRate {
    hz: u64,
    /// Nanoseconds per tick, times 2^40: the error is below 1e-9 from 1 MHz to 10 GHz.
    scale: u64,
    error_ppm: u64,
}

/// Why the counter could not be compared with the kernel's clock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CalibrationError {
    /// The counter stood still, ran backwards, or ran at a rate no counter has.
    #[error("the CPU's counter went {ticks} ticks in {nanoseconds} ns, which is no rate")]
    NoRate {
        /// By how much it moved.
        ticks: u64,
        /// In which time.
        nanoseconds: u64,
    },
}

/// The slowest counter there is: Arm's generic timer begins at 1 MHz.
const SLOWEST: u64 = 1_000_000;
const NANOSECONDS: u64 = 1_000_000_000;
/// How often each end of the interval is read; the tightest read counts.
const READS: usize = 64;

impl TickRate {
    /// A counter of that many ticks in a second; `None` below 1 MHz.
    #[must_use]
    pub fn from_hz(hz: u64) -> Option<Self> {
        if hz < SLOWEST {
            return None;
        }
        // Rounded up, so that whole nanoseconds stay whole when the product is cut off.
        let scale = (u128::from(NANOSECONDS) << 40).div_ceil(u128::from(hz));
        let scale = u64::try_from(scale).ok()?;
        Some(Self { hz, scale, error_ppm: 0 })
    }

    /// Measure the rate against `CLOCK_MONOTONIC_RAW`, which nobody slews, for about `duration` (50 ms give an error of
    /// a few ppm).
    ///
    /// Each end of the interval is read many times, between two reads of the counter, and the tightest pair is kept: a
    /// thread that is interrupted in the middle of one does not spoil it.
    ///
    /// # Errors
    /// [`CalibrationError`]
    pub fn calibrate(duration: Duration) -> Result<Self, CalibrationError> {
        let start = Sample::tightest();
        std::thread::sleep(duration);
        // The end has to be later than the start, even when the sleep is cut short or the duration is zero.
        let mut end = Sample::tightest();
        while end.nanoseconds <= start.nanoseconds {
            end = Sample::tightest();
        }
        Self::between(&start, &end)
    }

    fn between(start: &Sample, end: &Sample) -> Result<Self, CalibrationError> {
        let nanoseconds = end.nanoseconds.saturating_sub(start.nanoseconds);
        let ticks = end.ticks.saturating_sub(start.ticks);
        let rate = || {
            let product = u128::from(ticks) * u128::from(NANOSECONDS);
            let hz = product.checked_div(u128::from(nanoseconds))?;
            let rate = Self::from_hz(u64::try_from(hz).ok()?)?;
            // Half of each bracket is where the clock's read may have been; the clock itself counts in ns.
            let doubt = u128::from(start.width / 2 + end.width / 2) * 1_000_000;
            let error = doubt.div_ceil(u128::from(ticks)) + 2_000_000 / u128::from(nanoseconds);
            Some(Self { error_ppm: u64::try_from(error).unwrap_or(u64::MAX), ..rate })
        };
        rate().ok_or(CalibrationError::NoRate { ticks, nanoseconds })
    }

    /// Ticks in a second.
    #[must_use]
    pub fn hz(&self) -> u64 {
        self.hz
    }

    /// How wrong [`hz`](Self::hz) may be, in parts per million, rounded up; 0 when it was given.
    #[must_use]
    pub fn error_ppm(&self) -> u64 {
        self.error_ppm
    }

    /// That many ticks in nanoseconds, without a fraction; what does not fit (584 years) is `u64::MAX`.
    #[inline]
    #[must_use]
    pub fn to_ns(&self, ticks: u64) -> u64 {
        let nanoseconds = (u128::from(ticks) * u128::from(self.scale)) >> 40;
        u64::try_from(nanoseconds).unwrap_or(u64::MAX)
    }

    /// That time in ticks, rounded down; what does not fit is `u64::MAX`.
    #[must_use]
    pub fn from_duration(&self, duration: Duration) -> u64 {
        // No product is too large: a Duration is below 2^94 ns.
        let seconds = u128::from(duration.as_secs()) * u128::from(self.hz);
        let rest =
            u128::from(duration.subsec_nanos()) * u128::from(self.hz) / u128::from(NANOSECONDS);
        u64::try_from(seconds + rest).unwrap_or(u64::MAX)
    }
}

/// The counter and the clock at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    ticks: u64,
    nanoseconds: u64,
    /// Ticks from before the clock was read to after it.
    width: u64,
}

impl Sample {
    fn take() -> Self {
        let before = ticks();
        let nanoseconds = raw_nanoseconds();
        let width = ticks().saturating_sub(before);
        Self { ticks: before.saturating_add(width / 2), nanoseconds, width }
    }

    fn tightest() -> Self {
        // The first reads warm the caches, and so lose.
        let first = Self::take();
        (0..READS)
            .map(|_| Self::take())
            .fold(first, |best, next| if next.width < best.width { next } else { best })
    }
}

fn raw_nanoseconds() -> u64 {
    let now = clock_gettime(ClockId::MonotonicRaw);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let rest = u64::try_from(now.tv_nsec).unwrap_or(0);
    seconds.saturating_mul(NANOSECONDS).saturating_add(rest)
}

/// Does the counter run at one rate, through frequency changes and idle states? Then it is the same on every core.
///
/// On x86-64 the flags `constant_tsc` and `nonstop_tsc` say so (`arch/x86/kernel/cpu`); Arm's architecture demands it.
#[must_use]
pub fn is_steady(root: &Root) -> Known<bool> {
    // The first CPU is enough; all of them can be megabytes.
    let text = match root.head("proc/cpuinfo", 16 * 1024) {
        Ok(text) => text,
        Err(error) => return Known::unknown(error.to_string()),
    };
    let line = |name: &str| {
        text.lines().find_map(|line| {
            let (label, words) = line.split_once(':')?;
            (label.trim_ascii() == name).then_some(words)
        })
    };
    match (line("flags"), line("Features")) {
        (Some(flags), _) => {
            let has = |flag| flags.split_ascii_whitespace().any(|word| word == flag);
            Known::Known(has("constant_tsc") && has("nonstop_tsc"))
        }
        (None, Some(_)) => Known::Known(true),
        (None, None) => Known::unknown("/proc/cpuinfo lists no CPU features"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(ticks: u64, nanoseconds: u64, width: u64) -> Sample {
        Sample { ticks, nanoseconds, width }
    }

    #[test]
    fn the_counter_goes_forward() {
        let first = ticks();
        let second = (0..1_000_000).map(|_| ticks()).find(|&now| now != first);

        assert!(second.is_some_and(|now| now > first), "{first} {second:?}");
    }

    #[test]
    fn a_calibration_gives_a_rate_that_a_second_one_confirms() {
        let a = TickRate::calibrate(Duration::from_millis(20)).unwrap();
        let b = TickRate::calibrate(Duration::from_millis(20)).unwrap();

        // Each says how wrong it may be; a virtual machine's clock adds its own. Far within 1 % is what they share.
        assert!(a.hz().abs_diff(b.hz()) < a.hz() / 100, "{a:?} {b:?}");
        assert!(a.error_ppm() > 0, "{a:?}");
    }

    #[test]
    fn a_calibration_of_no_time_still_ends() {
        assert!(TickRate::calibrate(Duration::ZERO).is_ok());
    }

    #[test]
    fn the_error_follows_from_the_brackets() {
        let rate =
            TickRate::between(&sample(0, 0, 200), &sample(50_000_000, 20_000_000, 300)).unwrap();

        assert_eq!(rate.hz(), 2_500_000_000);
        assert_eq!(rate.error_ppm(), 5, "250 of 50 000 000 ticks");
    }

    #[test]
    fn a_counter_that_stands_or_runs_backwards_is_refused() {
        let end = sample(1000, 1_000_000, 10);

        assert!(TickRate::between(&sample(1000, 0, 10), &end).is_err());
        assert!(TickRate::between(&sample(2000, 0, 10), &end).is_err());
        assert!(TickRate::between(&end, &end).is_err());
        assert_eq!(TickRate::from_hz(0), None);
        assert_eq!(TickRate::from_hz(999_999), None);
    }

    #[test]
    fn what_does_not_fit_is_the_largest_number() {
        let slow = TickRate::from_hz(SLOWEST).unwrap();

        assert_eq!(slow.to_ns(u64::MAX), u64::MAX);
        assert_eq!(slow.from_duration(Duration::MAX), u64::MAX);
    }

    #[test]
    fn this_machine_says_whether_its_counter_is_steady() {
        let root = Root::system().unwrap();

        assert!(is_steady(&root).known().is_some(), "{:?}", is_steady(&root));
    }

    proptest! {
        #[test]
        fn nanoseconds_are_exact_to_one_in_a_billion(hz in SLOWEST..10_000_000_000, ticks in any::<u64>()) {
            let rate = TickRate::from_hz(hz).unwrap();
            let exact = u128::from(ticks) * u128::from(NANOSECONDS) / u128::from(hz);

            let ns = u128::from(rate.to_ns(ticks));

            let capped = exact.min(u128::from(u64::MAX));
            prop_assert!(ns.abs_diff(capped) <= capped / 1_000_000_000 + 1, "{} {}", ns, exact);
        }

        #[test]
        fn a_duration_survives_the_way_through_ticks(hz in SLOWEST..10_000_000_000, ns in 0..1_u64 << 60) {
            let rate = TickRate::from_hz(hz).unwrap();

            let back = rate.to_ns(rate.from_duration(Duration::from_nanos(ns)));

            prop_assert!(back.abs_diff(ns) <= NANOSECONDS / hz + ns / 1_000_000_000 + 2, "{}", back);
        }
    }
}
