//! A path whose every fault is known, on a clock that only moves when it is read: what the generator says of it can be
//! checked to the frame.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    io,
    rc::Rc,
};

use super::{Clock, Frames, Take, Wire};

/// A clock that moves by a step at each reading, and stands still at chosen times: the generator's own stalls.
#[derive(Debug, Clone)]
pub struct StepClock {
    now: Rc<Cell<u64>>,
    step: u64,
    /// When it stands still, and for how long: (at, length).
    stalls: Rc<Vec<(u64, u64)>>,
    next_stall: Rc<Cell<usize>>,
}

impl StepClock {
    /// A clock that moves by `step` nanoseconds at each reading.
    #[must_use]
    pub fn new(step: u64) -> Self {
        Self::with_stalls(step, Vec::new())
    }

    /// One that jumps: at each of these times, in ascending order, by so much.
    #[must_use]
    pub fn with_stalls(step: u64, stalls: Vec<(u64, u64)>) -> Self {
        Self { now: Rc::default(), step, stalls: Rc::new(stalls), next_stall: Rc::default() }
    }
}

impl Clock for StepClock {
    fn now(&mut self) -> u64 {
        let mut now = self.now.get() + self.step;
        if let Some(&(at, length)) = self.stalls.get(self.next_stall.get())
            && now >= at
        {
            now += length;
            self.next_stall.set(self.next_stall.get() + 1);
        }
        self.now.set(now);
        now
    }

    fn at(&self, ticks: u64) -> u64 {
        ticks
    }
}

/// What is wrong with a path.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// How long it takes, in nanoseconds.
    pub delay: u64,
    /// When it does nothing, and for how long: what should come back meanwhile comes at the end.
    pub stall: Option<(u64, u64)>,
    /// Frames that it loses, by their number from 0.
    pub lost: BTreeSet<u64>,
    /// Frames that come back twice.
    pub twice: BTreeSet<u64>,
    /// Frames that come back behind the next.
    pub late: BTreeSet<u64>,
    /// Frames in which a bit is turned.
    pub damaged: BTreeSet<u64>,
    /// The device stamps frames when they arrive, and hands them over so much later, in nanoseconds.
    pub stamps: Option<u64>,
    /// While it is stalled, sending is refused as well.
    pub refuses: bool,
    /// It takes no more frames than this with one call.
    pub room: Option<usize>,
}

/// A path with these faults.
#[derive(Debug)]
pub struct Path {
    faults: Faults,
    now: Rc<Cell<u64>>,
    begin: Option<u64>,
    number: u64,
    /// What is on the way, by when it arrives and its order.
    flying: BTreeMap<(u64, u64), Vec<u8>>,
    /// When it was called to send, since it was first used: and how many frames there were.
    pub calls: Vec<(u64, usize)>,
}

impl Path {
    /// A path on this clock.
    #[must_use]
    pub fn new(faults: Faults, clock: &StepClock) -> Self {
        let now = Rc::clone(&clock.now);
        let (flying, calls) = (BTreeMap::new(), Vec::new());
        Self { faults, now, begin: None, number: 0, flying, calls }
    }

    /// Nanoseconds since it was first used.
    fn now(&mut self) -> u64 {
        let now = self.now.get();
        now - *self.begin.get_or_insert(now)
    }

    fn stalled_until(&self, now: u64) -> Option<u64> {
        let (at, length) = self.faults.stall?;
        (at..at + length).contains(&now).then_some(at + length)
    }
}

impl Path {
    /// One frame, on its way.
    fn take(&mut self, frame: &[u8], now: u64) {
        let number = self.number;
        self.number += 1;
        if self.faults.lost.contains(&number) {
            return;
        }
        let mut frame = frame.to_vec();
        if self.faults.damaged.contains(&number)
            && let Some(byte) = frame.last_mut()
        {
            *byte ^= 1;
        }
        let arrival = now + self.faults.delay;
        let arrival = self.stalled_until(arrival).unwrap_or(arrival);
        let order = 2 * number + if self.faults.late.contains(&number) { 3 } else { 0 };
        if self.faults.twice.contains(&number) {
            self.flying.insert((arrival, order + 100), frame.clone());
        }
        // Behind the next one, which leaves later.
        let arrival =
            if self.faults.late.contains(&number) { arrival + self.faults.delay } else { arrival };
        self.flying.insert((arrival, order), frame);
    }
}

impl Wire for Path {
    fn send(&mut self, frames: &Frames) -> io::Result<usize> {
        let now = self.now();
        self.calls.push((now, frames.len()));
        if self.faults.refuses && self.stalled_until(now).is_some() {
            return Ok(0);
        }
        let room = self.faults.room.unwrap_or(usize::MAX);
        let taken = frames.iter().take(room);
        Ok(taken.map(|frame| self.take(frame, now)).count())
    }

    fn receive(&mut self, take: &mut Take<'_>) -> io::Result<usize> {
        let now = self.now();
        let handed = (now + 1).saturating_sub(self.faults.stamps.unwrap_or(0));
        let later = self.flying.split_off(&(handed, 0));
        let arrived = std::mem::replace(&mut self.flying, later);
        for ((arrival, _), frame) in &arrived {
            let stamp = self.faults.stamps.map(|_| self.begin.unwrap_or(0) + arrival);
            take(frame, stamp);
        }
        Ok(arrived.len())
    }
}
