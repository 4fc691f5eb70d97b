//! What a miss costs: loads that each need the one before, over memory that was made on a node.

use std::{thread, time::Duration};

use config::CpuId;
use hdrhistogram::Histogram;
use linux::clock::{TickRate, ticks};

use crate::{MeasureError, histogram, record};

/// Of a cache line.
const LINE: usize = 64;
/// Loads between two readings of the clock.
const BATCH: u64 = 64;

/// One line, whose first word is the place of the next.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Line {
    next: u32,
}

/// Loads from `reader`, over `bytes` of memory that `maker` touched first, for `over`: ns a load, as means of 64.
///
/// # Errors
/// [`MeasureError`]
pub fn latency(
    reader: CpuId,
    maker: CpuId,
    bytes: usize,
    over: Duration,
) -> Result<Histogram<u64>, MeasureError> {
    let rate = TickRate::calibrate(Duration::from_millis(50))?;
    let lines = u32::try_from((bytes / LINE).max(2)).unwrap_or(u32::MAX);
    // Memory belongs to the node of the CPU that touches it first.
    let chain = on(maker, move || chain(lines))?;
    on(reader, move || {
        let mut times = histogram();
        let end = ticks().saturating_add(rate.from_duration(over));
        let mut at = 0_usize;
        loop {
            let begin = ticks();
            for _ in 0..BATCH {
                at = chain[at].next as usize;
            }
            // The compiler must not leave the loads out.
            at = std::hint::black_box(at);
            let now = ticks();
            record(&mut times, rate.to_ns(now.saturating_sub(begin)) / BATCH);
            if now >= end {
                return times;
            }
        }
    })
}

/// One ring through all lines, in an order that no prefetcher guesses.
fn chain(lines: u32) -> Vec<Line> {
    let mut order: Vec<u32> = (0..lines).collect();
    fastrand::Rng::with_seed(0x5eed).shuffle(&mut order);
    let mut chain = vec![Line { next: 0 }; lines as usize];
    for (at, next) in order.iter().zip(order.iter().cycle().skip(1)) {
        chain[*at as usize].next = *next;
    }
    chain
}

fn on<R: Send + 'static>(
    cpu: CpuId,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, MeasureError> {
    let thread = thread::Builder::new().name(format!("bw-memory-{cpu}")).spawn(move || {
        linux::thread::pin(cpu).map_err(|source| MeasureError::Affinity { cpu, source })?;
        Ok(work())
    });
    let thread = thread.map_err(|source| MeasureError::System { what: "with a thread", source })?;
    thread.join().map_err(|_| MeasureError::Died)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_goes_through_every_line() {
        let chain = chain(1000);
        let (mut at, mut seen) = (0_usize, vec![false; 1000]);

        for _ in 0..1000 {
            assert!(!std::mem::replace(&mut seen[at], true));
            at = chain[at].next as usize;
        }

        assert_eq!(at, 0);
        assert_eq!(std::mem::size_of::<Line>(), LINE);
    }

    #[test]
    fn loads_are_counted() {
        let cpu = linux::thread::affinity().unwrap().first().unwrap();

        assert!(!latency(cpu, cpu, 1 << 20, Duration::from_millis(5)).unwrap().is_empty());
    }
}
