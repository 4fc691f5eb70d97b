//! How long a cache line takes from one CPU to another and back: what every path with a generator on one CPU and a worker on
//! another pays at least twice. On a virtual machine it depends on where the hypervisor runs both just now, which is why it is
//! measured again before each start.

use std::{
    hint, io,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use config::CpuId;
use linux::thread::{Policy, set_policy};

/// Round trips that are timed.
const TRIPS: usize = 500;

/// Where other programs have the CPUs, it ends without an answer.
const LONGEST: Duration = Duration::from_millis(20);

/// Each alone on its lines, also where the next one is fetched too.
#[derive(Debug)]
#[repr(align(128))]
struct Line(AtomicU64);

impl Line {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }
}

/// The median, in ns, between the calling thread, which has to be pinned, and this CPU. None when there were too few round
/// trips in the time: somebody else has the CPUs.
///
/// # Errors
/// When no thread can be pinned there.
pub fn round_trip(there: CpuId) -> io::Result<Option<u64>> {
    // Release and acquire: each number is published after what came before it was read.
    let (out, back) = (Line::new(), Line::new());
    thread::scope(|scope| {
        let answering = scope.spawn(|| {
            linux::thread::pin(there).map_err(io::Error::other)?;
            let _first = Ahead::of_others();
            let begun = Instant::now();
            let mut last = 0;
            while last != u64::MAX && begun.elapsed() < 4 * LONGEST {
                let seen = out.0.load(Ordering::Acquire);
                if seen != last {
                    back.0.store(seen, Ordering::Release);
                    last = seen;
                }
                hint::spin_loop();
            }
            Ok(())
        });
        let first = Ahead::of_others();
        let times = ask(&out, &back);
        drop(first);
        out.0.store(u64::MAX, Ordering::Release);
        match answering.join() {
            Ok(done) => done.map(|()| median(times)),
            Err(_) => Err(io::Error::other("the thread that answers died")),
        }
    })
}

/// This thread goes before all other programs, where we may have that.
struct Ahead;

impl Ahead {
    fn of_others() -> Self {
        let _may_not = set_policy(linux::thread::id(), Policy::First);
        Self
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        let _never_was = set_policy(linux::thread::id(), Policy::Normal);
    }
}

fn ask(out: &Line, back: &Line) -> Vec<u64> {
    let begun = Instant::now();
    let mut times = Vec::with_capacity(TRIPS);
    for number in 1..=TRIPS as u64 {
        let sent = Instant::now();
        out.0.store(number, Ordering::Release);
        while back.0.load(Ordering::Acquire) != number {
            if begun.elapsed() > LONGEST {
                return times;
            }
            hint::spin_loop();
        }
        times.push(u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    times
}

/// Of half of what was asked for, at least.
fn median(mut times: Vec<u64>) -> Option<u64> {
    times.sort_unstable();
    let is_enough = times.len() >= TRIPS / 2;
    is_enough.then(|| times[times.len() / 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_to_another_cpu_and_back_or_nobody_answers() {
        let cpus = linux::thread::affinity().unwrap();
        let (Some(here), Some(there)) = (cpus.first(), cpus.last()) else { return };
        linux::thread::pin(here).unwrap();
        // On a busy machine, or one with a single CPU, there may be no answer; a time there is, is one of memory.
        if let Some(ns) = round_trip(there).unwrap() {
            assert!((1..20_000_000).contains(&ns), "{ns}");
        }
        assert_eq!(linux::thread::affinity().unwrap().len(), 1, "we are where we were");
    }

    #[test]
    fn a_median_is_of_enough_round_trips() {
        assert_eq!(median(vec![5; TRIPS / 2 - 1]), None);
        assert_eq!(median((0..TRIPS as u64).rev().collect()), Some(TRIPS as u64 / 2));
    }
}
