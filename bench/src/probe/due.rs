//! Frames whose time has come, and that have not left.

use std::collections::VecDeque;

use super::{Frames, Schedule};

/// What is to leave, and has not.
#[derive(Debug)]
pub(super) struct Due {
    schedule: Schedule,
    /// When what follows in the schedule should leave, until the end.
    next: Option<u64>,
    end: u64,
    /// What should have left by now, a burst at most.
    waiting: VecDeque<u64>,
    /// As many as there was room for lately, and no more than twice that.
    most: usize,
}

impl Due {
    pub(super) fn new(schedule: Schedule, end: u64) -> Self {
        let waiting = VecDeque::with_capacity(Frames::MOST);
        let mut due = Self { schedule, next: None, end, waiting, most: Frames::MOST };
        due.advance();
        due
    }

    fn advance(&mut self) {
        self.next = self.schedule.next().filter(|intended| *intended < self.end);
    }

    pub(super) fn is_any(&self, now: u64) -> bool {
        !self.waiting.is_empty() || self.next.is_some_and(|intended| intended <= now)
    }

    /// The times of what leaves now, of which none lies ahead.
    pub(super) fn by(&mut self, now: u64) -> &[u64] {
        while self.waiting.len() < Frames::MOST
            && let Some(intended) = self.next.filter(|intended| *intended <= now)
        {
            self.waiting.push_back(intended);
            self.advance();
        }
        let all = &*self.waiting.make_contiguous();
        &all[..all.len().min(self.most)]
    }

    /// As many of those have left.
    pub(super) fn went(&mut self, count: usize) {
        // Putting frames together that there is no room for takes time from those that come back.
        let is_full = count < self.waiting.len().min(self.most);
        self.most = if is_full { count.max(1) } else { (2 * self.most).min(Frames::MOST) };
        self.waiting.drain(..count);
    }

    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.next.is_none()
    }

    /// How many will never leave.
    pub(super) fn left(mut self) -> u64 {
        let mut count = self.waiting.len() as u64;
        while self.next.is_some() {
            count += 1;
            self.advance();
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::Pattern;

    /// One frame each microsecond, a hundred of them.
    fn due() -> Due {
        Due::new(Schedule::new(1e6, Pattern::Constant).unwrap(), 100_000)
    }

    #[test]
    fn what_was_not_taken_is_still_due_and_what_never_leaves_is_counted() {
        let mut due = due();
        assert!(due.is_any(0));
        assert_eq!(due.by(3_500), [0, 1_000, 2_000, 3_000]);

        due.went(3);

        assert_eq!(due.by(3_500), [3_000]);
        assert!(!due.is_over());
        assert_eq!(due.left(), 97);
    }

    #[test]
    fn after_a_refusal_as_many_are_due_as_were_taken_and_then_twice_as_many() {
        let mut due = due();
        assert_eq!(due.by(90_000).len(), Frames::MOST);
        due.went(2);
        for expected in [2, 4, 8, 16, 32] {
            assert_eq!(due.by(90_000).len(), expected);
            due.went(expected);
        }
        assert_eq!(due.by(90_000).len(), 91 - 64);
        due.went(91 - 64);
        assert!(!due.is_any(90_000) && due.is_any(91_000));
        assert!(due.by(99_000).len() == 9 && !due.is_over());
        due.went(9);
        assert!(due.is_over());
    }
}
