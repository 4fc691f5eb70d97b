//! What it costs to tell another CPU something: by memory, and by an interrupt.

use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use config::CpuId;
use crossbeam::utils::CachePadded;
use hdrhistogram::Histogram;
use linux::clock::{TickRate, ticks};
use rustix::thread::{MembarrierCommand, membarrier};

use crate::{MeasureError, histogram, record};

/// One cache line goes from `from` to `to` and back, `rounds` times: ns a round trip.
///
/// # Errors
/// [`MeasureError`]
pub fn cache_line(from: CpuId, to: CpuId, rounds: u64) -> Result<Histogram<u64>, MeasureError> {
    let rate = TickRate::calibrate(Duration::from_millis(50))?;
    // Written by the first thread (odd numbers) and by the second (even ones); each waits for the other's, so one
    // Release store pairs with one Acquire load.
    let line = Arc::new(CachePadded::new(AtomicU64::new(0)));
    let there = {
        let line = Arc::clone(&line);
        move || {
            for round in 0..rounds {
                let mut seen = line.load(Ordering::Acquire);
                while seen != 2 * round + 1 {
                    if seen == u64::MAX {
                        return;
                    }
                    std::hint::spin_loop();
                    seen = line.load(Ordering::Acquire);
                }
                line.store(2 * round + 2, Ordering::Release);
            }
        }
    };
    let here = move || {
        let mut times = histogram();
        for round in 0..rounds {
            let begin = ticks();
            line.store(2 * round + 1, Ordering::Release);
            while line.load(Ordering::Acquire) != 2 * round + 2 {
                std::hint::spin_loop();
            }
            record(&mut times, rate.to_ns(ticks().saturating_sub(begin)));
        }
        times
    };
    pair(from, to, here, there)
}

/// The kernel interrupts `to` on behalf of a thread on `from`, `rounds` times: ns until it says so.
///
/// membarrier(2) with `PRIVATE_EXPEDITED` makes every CPU that runs a thread of this process pass a barrier, which it is
/// interrupted for; the only such CPU here is `to`.
///
/// # Errors
/// [`MeasureError`]; kernels without membarrier refuse.
pub fn interrupt(from: CpuId, to: CpuId, rounds: u64) -> Result<Histogram<u64>, MeasureError> {
    let fail = |errno: rustix::io::Errno| MeasureError::System {
        what: "interrupts between CPUs",
        source: errno.into(),
    };
    membarrier(MembarrierCommand::RegisterPrivateExpedited).map_err(fail)?;
    let rate = TickRate::calibrate(Duration::from_millis(50))?;
    let is_over = Arc::new(AtomicBool::new(false));
    let there = {
        let is_over = Arc::clone(&is_over);
        move || {
            while !is_over.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
        }
    };
    let here = move || {
        let mut times = histogram();
        let mut result = Ok(());
        for _ in 0..rounds {
            let begin = ticks();
            result = membarrier(MembarrierCommand::PrivateExpedited);
            if result.is_err() {
                break;
            }
            record(&mut times, rate.to_ns(ticks().saturating_sub(begin)));
        }
        is_over.store(true, Ordering::Release);
        result.map(|()| times)
    };
    pair(from, to, here, there)?.map_err(fail)
}

/// Runs two works at the same time, each on its CPU.
fn pair<R: Send + 'static>(
    from: CpuId,
    to: CpuId,
    here: impl FnOnce() -> R + Send + 'static,
    there: impl FnOnce() + Send + 'static,
) -> Result<R, MeasureError> {
    if from == to {
        return Err(MeasureError::TooFewCpus {
            what: "a message between CPUs",
            needed: 2,
            given: 1,
        });
    }
    // Both have to be where they should before either begins, or one would wait for ever for a thread that gave up.
    let barrier = Arc::new(Barrier::new(2));
    let is_good = Arc::new(AtomicBool::new(true));
    let start = |cpu: CpuId| {
        let (barrier, is_good) = (Arc::clone(&barrier), Arc::clone(&is_good));
        move || -> Result<bool, MeasureError> {
            let pinned = linux::thread::pin(cpu);
            if pinned.is_err() {
                is_good.store(false, Ordering::SeqCst);
            }
            barrier.wait();
            pinned.map_err(|source| MeasureError::Affinity { cpu, source })?;
            Ok(is_good.load(Ordering::SeqCst))
        }
    };
    let (start_here, start_there) = (start(from), start(to));
    let name = |cpu| thread::Builder::new().name(format!("bw-cross-{cpu}"));
    let fail = |source| MeasureError::System { what: "with a thread", source };
    let second = name(to)
        .spawn(move || -> Result<(), MeasureError> {
            if start_there()? {
                there();
            }
            Ok(())
        })
        .map_err(fail)?;
    let first = name(from)
        .spawn(move || -> Result<Option<R>, MeasureError> {
            Ok(if start_here()? { Some(here()) } else { None })
        })
        .map_err(fail)?;
    let result = first.join().map_err(|_| MeasureError::Died)?;
    second.join().map_err(|_| MeasureError::Died)??;
    result?.ok_or(MeasureError::Died)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_is_counted() {
        let cpus = linux::thread::affinity().unwrap();
        let mut cpus = cpus.iter();
        let (Some(one), Some(other)) = (cpus.next(), cpus.next()) else {
            eprintln!("SKIPPED: every_round_is_counted: there is one CPU");
            return;
        };

        assert_eq!(cache_line(one, other, 1000).unwrap().len(), 1000);
        assert_eq!(interrupt(one, other, 100).unwrap().len(), 100);
    }

    #[test]
    fn a_cpu_that_is_not_there_is_an_error_and_nobody_waits() {
        let here = linux::thread::affinity().unwrap().first().unwrap();

        assert!(matches!(cache_line(here, CpuId::MAX, 10), Err(MeasureError::Affinity { .. })));
        assert!(matches!(cache_line(CpuId::MAX, here, 10), Err(MeasureError::Affinity { .. })));
        assert!(matches!(cache_line(here, here, 10), Err(MeasureError::TooFewCpus { .. })));
    }
}
