//! Who names the cause of a stall: a housekeeping thread that reads what the kernel counts on the workers' CPUs.
//!
//! ```text
//!  worker ─ stall log ─┐
//!                      ├─► looks, some ten a second ─► Meanwhile of each stall ─► /v1/stalls
//!  /proc ─ counters ───┘
//! ```
//! A worker must not ask the kernel, and a daemon without a capability may not trace it. What anybody may read are
//! counters: interrupts and software interrupts of each CPU, and of a thread its switches, faults and the time it wanted a
//! CPU and had none. The difference between the look before a stall and the look after it says what can have been the
//! cause, and on a CPU where little happens that is often one thing.

mod judge;
mod look;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use config::CpuId;
use linux::{Root, clock::TickRate};
use pipeline::{
    CountersReader,
    stalls::{Stall, StallReader},
};

use self::{judge::judge, look::Counts};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);
/// Looks take at most one part in so many of a CPU's time: with many CPUs and interrupts the tables are long.
const PARTS: u32 = 100;
/// So many kinds of events are listed of a window.
const LISTED: usize = 12;
/// So many windows with stalls are remembered of each worker.
const WINDOWS: usize = 256;

/// What was found out, by worker.
#[derive(Debug, Clone, Default)]
pub struct Witness(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    is_wanted: AtomicBool,
    /// Windows in the order of time.
    found: Mutex<Vec<VecDeque<Window>>>,
}

/// What is known of stalls that follow each other.
#[derive(Debug, Clone)]
struct Window {
    /// The first one's number in the worker's log.
    first: u64,
    /// The last one's.
    last: u64,
    meanwhile: api::Meanwhile,
}

/// A worker to look at.
#[derive(Debug)]
pub struct Subject {
    /// Its number.
    pub worker: usize,
    /// Its CPU.
    pub cpu: CpuId,
    /// Its thread.
    pub thread: u32,
    /// Tells whether it stands still just now.
    pub counters: CountersReader,
    /// Its stalls.
    pub stalls: StallReader,
}

impl Witness {
    /// Shall it look?
    pub fn want(&self, is_wanted: bool) {
        self.0.is_wanted.store(is_wanted, Relaxed);
    }

    /// What the kernel counted around stall `number` of a worker's log.
    pub fn of(&self, worker: usize, number: u64) -> Option<api::Meanwhile> {
        let found = self.0.found.lock().unwrap_or_else(PoisonError::into_inner);
        let windows = found.get(worker)?;
        let window = windows.get(windows.partition_point(|window| window.last < number))?;
        (window.first <= number).then(|| window.meanwhile.clone())
    }

    /// Looks until the other end of `stop` is gone.
    pub fn watch(&self, root: Root, subjects: Vec<Subject>, rate: TickRate, stop: &Receiver<()>) {
        let mut watch = Watch::new(self.clone(), root, subjects, rate);
        loop {
            let begun = Instant::now();
            watch.turn();
            let pause = PAUSE.max(begun.elapsed() * (PARTS - 1));
            if stop.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    }

    fn keep(&self, worker: usize, window: Window) {
        let mut found = self.0.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() <= worker {
            found.resize_with(worker + 1, VecDeque::new);
        }
        let windows = &mut found[worker];
        if windows.len() == WINDOWS {
            windows.pop_front();
        }
        windows.push_back(window);
    }
}

/// The thread's own.
struct Watch {
    witness: Witness,
    root: Root,
    rate: TickRate,
    process: u32,
    /// CPU and thread of each subject.
    threads: Vec<(CpuId, u32)>,
    places: Vec<Place>,
    /// It was said that something can not be read.
    has_said: bool,
}

/// How far a worker has been looked at.
struct Place {
    worker: usize,
    counters: CountersReader,
    stalls: StallReader,
    /// The number of the next stall to read.
    next: u64,
    /// Its turns at the last look.
    turns: u64,
    /// Two looks before which the worker had turned after the look before them: one of them lies before any stall that
    /// ends from now on.
    older: Option<Counts>,
    newer: Option<Counts>,
    /// Stalls that were read at the look of `newer`.
    recent: Sum,
}

/// Stalls, and how long they were together.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    stalls: u64,
    ticks: u64,
}

impl Sum {
    fn of<'s>(stalls: impl Iterator<Item = &'s Stall>) -> Self {
        stalls.fold(Self::default(), |sum, stall| {
            sum.plus(Self { stalls: 1, ticks: stall.length_ticks })
        })
    }

    fn plus(self, other: Self) -> Self {
        Self { stalls: self.stalls + other.stalls, ticks: self.ticks.saturating_add(other.ticks) }
    }
}

impl Watch {
    fn new(witness: Witness, root: Root, subjects: Vec<Subject>, rate: TickRate) -> Self {
        let threads = subjects.iter().map(|subject| (subject.cpu, subject.thread)).collect();
        let places = subjects.into_iter().map(Place::new).collect();
        let process = std::process::id();
        Self { witness, root, rate, process, threads, places, has_said: false }
    }

    /// One look, if it is wanted.
    fn turn(&mut self) {
        if !self.witness.0.is_wanted.load(Relaxed) {
            self.places.iter_mut().for_each(Place::forget);
            return;
        }
        // In this order: what has ended by now is over before the counters are read.
        let ended: Vec<_> = self
            .places
            .iter()
            .map(|place| (place.counters.turns(), place.stalls.read(place.next)))
            .collect();
        let (counts, problems) = Counts::read(&self.root, self.process, &self.threads);
        if let (false, Some(problem)) = (self.has_said, problems.first()) {
            tracing::warn!(error = problem, "the causes of stalls are known in part only");
            self.has_said = true;
        }
        for ((place, (turns, read)), now) in self.places.iter_mut().zip(ended).zip(counts) {
            // How long those were that are gone is not known, and so it is of no window that they were in.
            let windows = if read.lost == 0 {
                place.windows(&read.stalls, &now, self.rate)
            } else {
                Vec::new()
            };
            windows.into_iter().for_each(|window| self.witness.keep(place.worker, window));
            if read.lost > 0 {
                place.forget();
            }
            place.advance(turns, read.next, Sum::of(read.stalls.iter()), now);
        }
    }
}

impl Place {
    fn new(subject: Subject) -> Self {
        let Subject { worker, counters, stalls, .. } = subject;
        let next = stalls.count();
        let recent = Sum::default();
        Self { worker, counters, stalls, next, turns: 0, older: None, newer: None, recent }
    }

    /// The stalls that have ended since the last look, with what was counted from the last look before them.
    fn windows(&self, stalls: &[Stall], now: &Counts, rate: TickRate) -> Vec<Window> {
        let start = |stall: &Stall| stall.at_tick.saturating_sub(stall.length_ticks);
        let since = |look: &Option<Counts>| look.as_ref().map_or(u64::MAX, |look| look.done);
        let (older, newer) = (since(&self.older), since(&self.newer));
        let early = stalls.partition_point(|stall| start(stall) < newer);
        let (early, late) = stalls.split_at(early);
        let covered = early.partition_point(|stall| start(stall) < older);
        let late_sum = Sum::of(late.iter());
        let early_sum = Sum::of(early.iter()).plus(late_sum).plus(self.recent);
        let of = |stalls: &[Stall], look: &Option<Counts>, sum: Sum| {
            let (first, last) = (stalls.first()?.sequence, stalls.last()?.sequence);
            let look = look.as_ref()?;
            let mut events = now.since(look);
            let stalled_ns = rate.to_ns(sum.ticks);
            let verdict = judge(&mut events, sum.stalls, stalled_ns);
            let window_ns = rate.to_ns(now.done.saturating_sub(look.begun));
            let unlisted = events.len().saturating_sub(LISTED);
            events.truncate(LISTED);
            let stalls = sum.stalls;
            let meanwhile =
                api::Meanwhile { window_ns, stalls, stalled_ns, verdict, events, unlisted };
            Some(Window { first, last, meanwhile })
        };
        let windows =
            [of(&early[covered..], &self.older, early_sum), of(late, &self.newer, late_sum)];
        windows.into_iter().flatten().collect()
    }

    /// After a look. One at which the worker has not turned since the last may lie in a stall, and is of no use for it.
    fn advance(&mut self, turns: u64, next: u64, stalls: Sum, now: Counts) {
        self.next = next;
        if turns == self.turns {
            self.recent = self.recent.plus(stalls);
            return;
        }
        self.turns = turns;
        self.recent = stalls;
        self.older = self.newer.take();
        self.newer = Some(now);
    }

    /// Begins anew.
    fn forget(&mut self) {
        (self.older, self.newer, self.recent) = (None, None, Sum::default());
        self.next = self.stalls.count();
    }
}
