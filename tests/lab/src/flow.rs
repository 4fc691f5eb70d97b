//! A stream of numbered frames through the guest while something else happens to it, and what became of each.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    LabError, Nic,
    frames::{EXPERIMENT, frame},
};

/// How long the last frames may take.
const LATE: Duration = Duration::from_secs(20);
/// The lengths of a flow's frames: Ethernet's, without the FCS.
const LENGTHS: std::ops::RangeInclusive<u32> = 60..=1514;
/// Between two looks at whether the flow ends.
const LOOK: Duration = Duration::from_millis(100);

/// Frames that are sent into one cable and counted at another, one after the other, until [`Flow::end`].
#[derive(Debug)]
pub struct Flow {
    shared: Arc<Shared>,
    sender: JoinHandle<Result<(), LabError>>,
    receiver: JoinHandle<Result<Tally, LabError>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Set by the test, read by the sender: no more.
    is_ending: AtomicBool,
    /// Set by the sender after its last frame, read by the receiver.
    is_over: AtomicBool,
    /// Counted by the sender, read by the receiver and the test.
    sent: AtomicU32,
    /// Counted by the receiver, read by the test.
    arrived: AtomicU32,
}

/// What became of a flow's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Put on the cable.
    pub sent: u32,
    /// Came out of the other one, unchanged.
    pub arrived: u32,
    /// Of those, that had come before.
    pub twice: u32,
    /// Of those, that came after a later one.
    pub out_of_order: u32,
    /// Were not as they were sent.
    pub changed: u32,
    /// The longest time between two arrivals.
    pub longest_gap: Duration,
}

impl Tally {
    /// Never came.
    #[must_use]
    pub fn lost(&self) -> u32 {
        (self.sent + self.twice).saturating_sub(self.arrived)
    }

    /// Every frame came once, in order, unchanged.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let Tally { sent, arrived, twice, out_of_order, changed, .. } = *self;
        sent == arrived && (twice, out_of_order, changed) == (0, 0, 0)
    }
}

impl Flow {
    /// Begins to send so many frames a second. What is on the way on both cables is forgotten.
    ///
    /// # Errors
    /// [`LabError::Io`]
    pub fn begin(from: &Nic, to: &Nic, per_second: u32) -> Result<Flow, LabError> {
        for nic in [from, to] {
            nic.forget()?;
        }
        let shared = Arc::new(Shared::default());
        let (source, sink) = (from.another()?, to.another()?);
        let pause = Duration::from_secs(1) / per_second;
        let there = Arc::clone(&shared);
        let sender = thread::spawn(move || {
            let sent = send(&source, pause, &there);
            there.is_over.store(true, Relaxed);
            sent
        });
        let there = Arc::clone(&shared);
        let receiver = thread::spawn(move || receive(&sink, &there));
        Ok(Flow { shared, sender, receiver })
    }

    /// Waits until so many more frames have arrived; whether they did within the time.
    #[must_use]
    pub fn goes_on(&self, frames: u32, within: Duration) -> bool {
        let (deadline, before) = (Instant::now() + within, self.shared.arrived.load(Relaxed));
        while self.shared.arrived.load(Relaxed).wrapping_sub(before) < frames {
            if Instant::now() > deadline || self.receiver.is_finished() {
                return false;
            }
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Sends no more, waits for those on the way, and counts.
    ///
    /// # Errors
    /// [`LabError::Io`]
    ///
    /// # Panics
    /// When one of its threads did.
    pub fn end(self) -> Result<Tally, LabError> {
        self.shared.is_ending.store(true, Relaxed);
        self.sender.join().expect("the sender does not panic")?;
        self.receiver.join().expect("the receiver does not panic")
    }
}

fn send(nic: &Nic, pause: Duration, shared: &Shared) -> Result<(), LabError> {
    let mut due = Instant::now();
    for number in 0_u32.. {
        if shared.is_ending.load(Relaxed) {
            break;
        }
        nic.send(&frame(length(number), number))?;
        shared.sent.store(number + 1, Relaxed);
        due += pause;
        // Late ones are not made up for: a burst would be another test.
        match due.checked_duration_since(Instant::now()) {
            Some(left) => thread::sleep(left),
            None => due = Instant::now(),
        }
    }
    Ok(())
}

fn receive(nic: &Nic, shared: &Shared) -> Result<Tally, LabError> {
    let mut tally = Tally::default();
    let (mut seen, mut next) = (Vec::new(), 0);
    let (mut last, mut over): (Option<Instant>, Option<Instant>) = (None, None);
    loop {
        let got = nic.recv_that(LOOK, |got| got.get(12..14) == Some(&EXPERIMENT[..]))?;
        if let Some(got) = got {
            let now = Instant::now();
            if let Some(last) = last.replace(now) {
                tally.longest_gap = tally.longest_gap.max(now - last);
            }
            count(&got, &mut tally, &mut seen, &mut next);
            shared.arrived.store(tally.arrived, Relaxed);
        }
        if shared.is_over.load(Relaxed) {
            let over = *over.get_or_insert_with(Instant::now);
            tally.sent = shared.sent.load(Relaxed);
            if tally.lost() == 0 || over.elapsed() > LATE {
                return Ok(tally);
            }
        }
    }
}

/// Of a frame with that number: any, but always the same (Knuth's multiplicative hash).
fn length(number: u32) -> usize {
    let lengths = LENGTHS.end() - LENGTHS.start() + 1;
    let chosen = LENGTHS.start() + (number.wrapping_mul(2_654_435_761) >> 16) % lengths;
    usize::try_from(chosen).unwrap_or(usize::MAX)
}

/// One frame that came, number `next` being the one after the highest so far.
fn count(got: &[u8], tally: &mut Tally, seen: &mut Vec<bool>, next: &mut u32) {
    let number = got.get(14..18).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes);
    // One in a million would be a forwarder's invention.
    let Some(number) =
        number.filter(|number| *number < 1 << 24 && got == frame(length(*number), *number))
    else {
        tally.changed += 1;
        return;
    };
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    if seen.len() <= index {
        seen.resize(index + 1, false);
    }
    tally.arrived += 1;
    if std::mem::replace(&mut seen[index], true) {
        tally.twice += 1;
    } else if number < *next {
        tally.out_of_order += 1;
    }
    *next = (*next).max(number + 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally_of(numbers: &[u32]) -> Tally {
        let (mut tally, mut seen, mut next) = (Tally::default(), Vec::new(), 0);
        for number in numbers {
            count(&frame(length(*number), *number), &mut tally, &mut seen, &mut next);
        }
        tally
    }

    #[test]
    fn frames_in_order_are_whole() {
        let tally = Tally { sent: 3, ..tally_of(&[0, 1, 2]) };
        assert!(tally.is_whole(), "{tally:?}");
        assert_eq!(tally.lost(), 0);
    }

    #[test]
    fn what_is_lost_repeated_late_or_changed_is_told_apart() {
        let mut tally = Tally { sent: 6, ..tally_of(&[0, 2, 2, 1, 5]) };
        assert_eq!((tally.lost(), tally.twice, tally.out_of_order), (2, 1, 1));
        let mut broken = frame(length(3), 3);
        broken[40] ^= 1;
        count(&broken, &mut tally, &mut Vec::new(), &mut 0);
        assert_eq!(tally.changed, 1);
        assert!(!tally.is_whole());
    }

    #[test]
    fn frames_that_an_echo_sends_back_are_all_counted() {
        let (here, there) = Nic::new("a", [0; 6], String::new()).unwrap();
        let there = std::os::unix::net::UnixDatagram::from(there);
        there.set_read_timeout(Some(LOOK)).unwrap();
        let (done, is_done) = std::sync::mpsc::channel::<()>();
        let echo = thread::spawn(move || {
            let mut buffer = [0; 2048];
            while is_done.try_recv() != Err(std::sync::mpsc::TryRecvError::Disconnected) {
                if let Ok(length) = there.recv(&mut buffer) {
                    there.send(&buffer[..length]).unwrap();
                }
            }
        });

        let flow = Flow::begin(&here, &here, 1000).unwrap();
        assert!(flow.goes_on(20, LATE));
        let tally = flow.end().unwrap();

        drop(done);
        echo.join().unwrap();
        assert!(tally.is_whole() && tally.sent >= 20, "{tally:?}");
    }
}
