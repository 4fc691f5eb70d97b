//! How late a thread wakes up that asked to sleep until a time: cyclictest's question.

use std::{thread, time::Duration};

use config::CpuId;
use hdrhistogram::Histogram;
use rustix::{
    thread::clock_nanosleep_absolute,
    time::{ClockId, Timespec, clock_gettime},
};

use crate::{MeasureError, histogram, record};

const SECOND: i64 = 1_000_000_000;

/// Sleeps until every `interval` on a CPU, for `over`, and counts by how many ns it was late.
///
/// # Errors
/// [`MeasureError`]
pub fn measure(
    cpu: CpuId,
    interval: Duration,
    over: Duration,
) -> Result<Histogram<u64>, MeasureError> {
    let work = move || -> Result<Histogram<u64>, MeasureError> {
        linux::thread::pin(cpu).map_err(|source| MeasureError::Affinity { cpu, source })?;
        let mut late = histogram();
        let step = i64::try_from(interval.as_nanos()).unwrap_or(SECOND).max(1);
        let begin = nanoseconds(clock_gettime(ClockId::Monotonic));
        let end = begin.saturating_add(i64::try_from(over.as_nanos()).unwrap_or(i64::MAX));
        let mut next = begin;
        loop {
            next = next.saturating_add(step);
            if next > end {
                return Ok(late);
            }
            let until = Timespec { tv_sec: next / SECOND, tv_nsec: next % SECOND };
            while let Err(errno) = clock_nanosleep_absolute(ClockId::Monotonic, &until) {
                if errno != rustix::io::Errno::INTR {
                    return Err(MeasureError::System { what: "waking up", source: errno.into() });
                }
            }
            let now = nanoseconds(clock_gettime(ClockId::Monotonic));
            record(&mut late, u64::try_from(now - next).unwrap_or(0));
            // A wake-up that was missed is one sample that says so, not one for each interval that passed.
            next = next.max(now - now.rem_euclid(step));
        }
    };
    let thread = thread::Builder::new().name(format!("bw-wakeup-{cpu}")).spawn(work);
    let thread = thread.map_err(|source| MeasureError::System { what: "waking up", source })?;
    thread.join().map_err(|_| MeasureError::Died)?
}

fn nanoseconds(time: Timespec) -> i64 {
    time.tv_sec.saturating_mul(SECOND).saturating_add(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wake_up_is_counted() {
        let cpu = linux::thread::affinity().unwrap().first().unwrap();

        let late = measure(cpu, Duration::from_millis(1), Duration::from_millis(50)).unwrap();

        // 50 at most, and fewer only where some were so late that they ran into the next.
        assert!((1..=50).contains(&late.len()), "{}", late.len());
    }
}
