//! Which workers turn: numbers in, news out.

use std::time::{Duration, Instant};

/// What was seen of every worker.
pub(super) struct Heartbeats {
    /// A worker that has not moved for so long is told of, once.
    patience: Duration,
    seen: Vec<Seen>,
}

struct Seen {
    turns: u64,
    moved: Instant,
    is_told: bool,
}

/// What a look gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// Every worker has turned since the last look.
    pub(super) all_moved: bool,
    /// By worker.
    pub(super) news: Vec<(usize, News)>,
}

/// Something about a worker that was not so before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// It has not turned for so long.
    Stuck {
        /// Since it was last seen to have moved.
        since: Duration,
    },
    /// One of which that was said has turned again.
    Again {
        /// So long it was not seen to move.
        after: Duration,
    },
}

impl Heartbeats {
    pub(super) fn new(patience: Duration, now: Instant) -> Self {
        let mut heartbeats = Self { patience, seen: Vec::new() };
        heartbeats.begin(0, now);
        heartbeats
    }

    /// So many workers begin.
    pub(super) fn begin(&mut self, workers: usize, now: Instant) {
        self.seen.clear();
        self.seen.resize_with(workers, || Seen { turns: 0, moved: now, is_told: false });
    }

    /// Takes what each worker has counted by `now`.
    pub(super) fn look(&mut self, turns: &[u64], now: Instant) -> Look {
        let mut look = Look { all_moved: true, news: Vec::new() };
        for (worker, (seen, &turns)) in self.seen.iter_mut().zip(turns).enumerate() {
            let time = now.duration_since(seen.moved);
            if turns != seen.turns {
                if seen.is_told {
                    look.news.push((worker, News::Again { after: time }));
                }
                *seen = Seen { turns, moved: now, is_told: false };
                continue;
            }
            look.all_moved = false;
            if time >= self.patience && !seen.is_told {
                seen.is_told = true;
                look.news.push((worker, News::Stuck { since: time }));
            }
        }
        look
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn workers_that_all_turn_are_no_news() {
        let start = Instant::now();
        let mut heartbeats = Heartbeats::new(5 * SECOND, start);
        heartbeats.begin(2, start);
        for turn in 1..20 {
            let look =
                heartbeats.look(&[u64::from(turn), u64::from(turn) * 7], start + turn * SECOND);
            assert_eq!(look, Look { all_moved: true, news: vec![] });
        }
    }

    #[test]
    fn one_that_stands_still_stops_the_feeding_at_once_and_is_told_of_once() {
        let start = Instant::now();
        let mut heartbeats = Heartbeats::new(5 * SECOND, start);
        heartbeats.begin(3, start);
        assert!(heartbeats.look(&[1, 1, 1], start).all_moved);
        for second in 1..5 {
            let moved = 1 + u64::from(second);
            let look = heartbeats.look(&[moved, 1, moved], start + second * SECOND);
            assert_eq!(look, Look { all_moved: false, news: vec![] }, "after {second} s");
        }
        let stuck = heartbeats.look(&[9, 1, 9], start + 5 * SECOND);
        assert_eq!(stuck.news, [(1, News::Stuck { since: 5 * SECOND })]);
        assert!(!stuck.all_moved);
        assert_eq!(heartbeats.look(&[10, 1, 10], start + 6 * SECOND).news, []);
        let again = heartbeats.look(&[11, 2, 11], start + 7 * SECOND);
        assert_eq!(again.news, [(1, News::Again { after: 7 * SECOND })]);
        assert!(again.all_moved);
    }

    #[test]
    fn one_that_is_late_but_not_stuck_is_no_news() {
        let start = Instant::now();
        let mut heartbeats = Heartbeats::new(5 * SECOND, start);
        heartbeats.begin(1, start);
        assert!(heartbeats.look(&[1], start).all_moved);
        assert!(!heartbeats.look(&[1], start + 4 * SECOND).all_moved);
        let look = heartbeats.look(&[2], start + 5 * SECOND);
        assert_eq!(look, Look { all_moved: true, news: vec![] });
    }

    #[test]
    fn new_workers_begin_anew() {
        let start = Instant::now();
        let mut heartbeats = Heartbeats::new(5 * SECOND, start);
        heartbeats.begin(1, start);
        assert!(heartbeats.look(&[100], start).all_moved);
        heartbeats.begin(2, start + 9 * SECOND);
        assert!(heartbeats.look(&[100, 1], start + 10 * SECOND).all_moved);
    }
}
