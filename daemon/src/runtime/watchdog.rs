//! systemd's watchdog, fed only while *every* worker turns, and the status line beside it.
//!
//! ```text
//!  worker ── turns ──► Heartbeats ──┬─ all moved ─► WATCHDOG=1
//!                                   └─ one did not, for half the limit ─► the log: who, where, for how long
//! ```
//! A poll-mode worker that hangs takes its queues down and nothing else: the process lives, the control socket answers.
//! So the process as a whole says that it is well only if each of them is. Reading the counters never touches a worker.

mod headline;
mod heartbeats;
mod whereabouts;

use std::time::{Duration, Instant};

use linux::Root;
use sd_notify::NotifyState;

use self::{
    headline::Headlines,
    heartbeats::{Heartbeats, News},
};
use super::notify;
use crate::state::{State, WorkerView};

pub(super) use self::whereabouts::{name as thread_name, number as thread_number};

/// Between two looks, if systemd does not want them closer.
const BEAT: Duration = Duration::from_secs(1);
/// Without a watchdog, a worker that does not turn is still told of, after half of this.
const LIMIT: Duration = Duration::from_secs(10);
/// What starting ports again may take; drivers of fast NICs load firmware and wait for links.
const RESTART: Duration = Duration::from_secs(120);

/// See above.
pub(super) struct Watchdog {
    /// systemd ends the process when it has not heard of it for so long.
    limit: Option<Duration>,
    heartbeats: Heartbeats,
    headlines: Headlines,
    /// systemd has been asked to wait longer.
    is_patient: bool,
    looked: Instant,
    fed: Instant,
}

impl Watchdog {
    /// As the service manager wants it: `WATCHDOG_USEC`, `WATCHDOG_PID` (sd_watchdog_enabled(3)).
    pub(super) fn from_environment(now: Instant) -> Self {
        let limit = sd_notify::watchdog_enabled();
        let heartbeats = Heartbeats::new(limit.unwrap_or(LIMIT) / 2, now);
        Self {
            limit,
            heartbeats,
            headlines: Headlines::new(now),
            is_patient: false,
            looked: now,
            fed: now,
        }
    }

    /// How often to look: a quarter of the limit leaves room for looks that come late.
    pub(super) fn beat(&self) -> Duration {
        self.limit.map_or(BEAT, |limit| BEAT.min(limit / 4)).max(Duration::from_millis(1))
    }

    /// There are new workers.
    pub(super) fn begin(&mut self, state: &State<'_>) {
        let now = Instant::now();
        self.heartbeats.begin(state.workers.len(), now);
        self.headlines.begin(state, now);
        if let (true, Some(limit)) = (std::mem::take(&mut self.is_patient), self.limit) {
            self.set_limit(limit);
        }
    }

    /// Looks at every worker.
    pub(super) fn look(&mut self, state: &State<'_>, root: &Root) {
        let now = Instant::now();
        let turns: Vec<u64> = state.workers.iter().map(|worker| worker.counters.turns()).collect();
        let look = self.heartbeats.look(&turns, now);
        self.looked = now;
        for (worker, news) in look.news {
            tell(worker, &state.workers[worker], news, root);
        }
        if look.all_moved {
            self.feed(now);
        }
    }

    /// Looks, if it is time for it.
    pub(super) fn look_in_time(&mut self, state: &State<'_>, root: &Root) {
        if Instant::now().duration_since(self.looked) >= self.beat() {
            self.look(state, root);
        }
    }

    /// The status line, when it is time for another.
    pub(super) fn headline(&mut self, state: &State<'_>, balance: &api::Balance) {
        if let Some(line) = self.headlines.next(state, balance, Instant::now()) {
            notify(&[NotifyState::Status(&line)]);
        }
    }

    /// While workers end: how long that may take has a limit of its own.
    pub(super) fn while_draining(&mut self) {
        let now = Instant::now();
        if now.duration_since(self.fed) >= self.beat() {
            self.feed(now);
        }
    }

    /// Ports are about to stop and start, and meanwhile nobody can feed. Until [`begin`](Self::begin).
    pub(super) fn before_restart(&mut self) {
        if let Some(limit) = self.limit {
            self.is_patient = true;
            self.set_limit(limit.max(RESTART));
        }
    }

    /// From now on.
    fn set_limit(&mut self, limit: Duration) {
        let usec = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
        notify(&[NotifyState::WatchdogUsec(usec)]);
        self.feed(Instant::now());
    }

    fn feed(&mut self, now: Instant) {
        self.fed = now;
        if self.limit.is_some() {
            notify(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(worker: usize, view: &WorkerView, news: News, root: &Root) {
    let (cpu, role) = (view.cpu, view.role.as_str());
    match news {
        News::Stuck { since } => {
            let stage = whereabouts::stage(view);
            let thread = whereabouts::thread(root, worker);
            let seconds = since.as_secs_f64();
            tracing::error!(worker, cpu, role, stage, thread, seconds, "the worker does not turn");
        }
        News::Again { after } => {
            let seconds = after.as_secs_f64();
            tracing::warn!(worker, cpu, role, seconds, "the worker turns again");
        }
    }
}
