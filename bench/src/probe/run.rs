//! One trial: probes leave by a schedule, and whatever comes back is accounted for.

use std::{io, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Account, Clock, Frames, Latency, Schedule, Wire,
    account::Counts,
    due::Due,
    frame::{self, Template},
    gaps::{Gap, Gaps},
    payload::{PayloadError, Probe},
};

/// What to do in a trial.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The number of the run: probes of another one are not counted as ours.
    pub run: u16,
    /// For how long probes leave before those that are measured do.
    pub warm_up: Duration,
    /// For how long the measured ones leave.
    pub measure: Duration,
    /// How long to wait for the last ones.
    pub drain: Duration,
    /// How long after the end those may still leave that should have left before. What has not left then never does.
    pub overtime: Duration,
    /// Keep the time of each probe that took longer than this share of the others, for attribution: as many at most.
    pub keep: usize,
    /// The pieces of the measured time that maxima are told of.
    pub interval: Duration,
    /// So long into the measured time a probe leaves that is followed by itself.
    pub tagged: Option<Duration>,
}

/// Longer runs do not fit into a probe's 40 bits of nanoseconds.
pub const LONGEST: Duration = Duration::from_secs(1_000);

/// What a trial showed.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What became of the probes that were measured.
    pub counts: Counts,
    /// What became of those that warmed the path up.
    pub warm_up: Counts,
    /// How long the measured ones took.
    pub latency: Latency,
    /// How long those took that warmed the path up.
    pub warm_up_latency: Latency,
    /// Measured probes that should have left in this time.
    pub intended: u64,
    /// How often the wire had no room, or not for all that was to leave.
    pub refused: u64,
    /// How long the sends took altogether, in nanoseconds: what a path does inside the sender's call counts here, and
    /// putting the frames together.
    pub sending_ns: u64,
    /// When the generator did not run.
    pub gaps: Vec<Gap>,
    /// Gaps that there was no room for.
    pub gaps_missed: u64,
    /// The slowest of the measured probes, the slowest first.
    pub slowest: Vec<Flight>,
    /// The longest response of the probes that should have left in each piece of the measured time; 0 when none came back.
    pub maxima: Vec<u64>,
    /// The flight of the probe that was followed by itself, if it came back.
    pub tagged: Option<Flight>,
    /// When it began, in nanoseconds of the clock: all other times of a trial count from here.
    pub begin: u64,
    /// Frames in each receive that had any: how batched the answers came, by number of frames.
    pub receive_bursts: Vec<u64>,
}

/// The journey of one probe, in nanoseconds of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flight {
    /// When it should have left.
    pub intended: u64,
    /// When it left.
    pub sent: u64,
    /// When it was back.
    pub back: u64,
}

impl Flight {
    /// From when it should have left.
    #[must_use]
    pub fn response(&self) -> u64 {
        self.back.saturating_sub(self.intended)
    }
}

/// Why there is no trial.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It would take longer than a probe can say.
    #[error("a trial of {} s: 1000 s are possible", length.as_secs())]
    TooLong {
        /// How long it would take.
        length: Duration,
    },
    /// More probes than numbers.
    #[error("{probes} probes: 4294967295 are possible")]
    TooMany {
        /// How many.
        probes: u64,
    },
    /// The wire broke.
    #[error("the wire broke")]
    Wire(#[from] io::Error),
}

/// Room for gaps of the generator.
const GAPS: usize = 1 << 16;
/// The departures of so many of the last probes are remembered, for those that were too late to say it themselves.
const REMEMBERED: usize = 1 << 20;
/// Maxima of more pieces are not told.
const MOST_PIECES: u64 = 100_000;
/// Receives of more frames than this count as this.
const WIDEST: usize = 64;

/// Makes one trial. It takes `warm_up + measure + drain`, or less when everything is back before.
///
/// # Errors
/// [`RunError`]
pub fn run<W: Wire + ?Sized>(
    plan: &Plan,
    schedule: Schedule,
    template: &mut Template,
    wire: &mut W,
    clock: &mut impl Clock,
) -> Result<Trial, RunError> {
    let length = plan.warm_up + plan.measure + plan.drain;
    if length > LONGEST {
        return Err(RunError::TooLong { length });
    }
    let probes = schedule.frames_in(plan.warm_up + plan.measure);
    if probes >= u64::from(u32::MAX) {
        return Err(RunError::TooMany { probes });
    }
    let (warm, end) = (ns(plan.warm_up), ns(plan.warm_up + plan.measure));
    let give_up = end + ns(plan.drain);
    let last_call = end + ns(plan.overtime);
    let mut state = State::new(plan, probes);
    let mut due = Due::new(schedule, end);
    let mut frames = Frames::default();
    let begin = clock.now();
    loop {
        let now = clock.now().saturating_sub(begin);
        state.gaps.begin(now);
        let mut is_idle = true;

        // The device's stamp, or one a call, when it has fetched: that has the fetching in it, and is never too short.
        let mut back = None;
        let received = wire.receive(&mut |frame, stamp| {
            let back = match stamp {
                Some(ticks) => clock.at(ticks).saturating_sub(begin),
                None => *back.get_or_insert_with(|| clock.now().saturating_sub(begin)),
            };
            state.take(frame, back, plan.run, warm);
        })?;
        if received > 0 {
            state.bursts[received.min(WIDEST)] += 1;
            is_idle = false;
        }

        // One burst a turn: a generator that catches up all at once would not look for answers meanwhile.
        if now <= last_call && due.is_any(now) {
            is_idle = false;
            // Of all of them: what comes between it and the call is putting them together, so that no time is too short.
            let sent = clock.now().saturating_sub(begin);
            let times = due.by(sent);
            frames.clear();
            for (sequence, intended) in (state.next..).zip(times) {
                let late = u32::try_from(sent - intended).unwrap_or(u32::MAX);
                let probe = Probe { run: plan.run, sequence, intended: *intended, late };
                frames.push(template.fill(&probe));
            }
            let went = wire.send(&frames)?;
            state.sending += clock.now().saturating_sub(begin).saturating_sub(sent);
            state.refused += u64::from(went < times.len());
            times[..went].iter().for_each(|intended| state.sent(*intended, sent, warm));
            due.went(went);
        }

        // What is still to leave is late, and still leaves for a while.
        let is_all_sent = now > last_call || due.is_over();
        let is_all_back = is_all_sent && state.is_all_back();
        if now >= give_up || (now >= end && is_all_back) {
            break;
        }
        state.gaps.end(if is_idle { now } else { clock.now().saturating_sub(begin) });
    }
    Ok(state.into_trial(due.left(), begin))
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What a trial is made of while it runs.
struct State {
    /// The number of the next probe.
    next: u32,
    /// The first that is measured.
    first_measured: Option<u32>,
    warm_up: Account,
    measured: Account,
    warm_up_latency: Latency,
    latency: Latency,
    refused: u64,
    sending: u64,
    gaps: Gaps,
    slowest: Slowest,
    bursts: Vec<u64>,
    /// Probes that left later than they can say: number and departure, by the lower bits of the number.
    very_late: Vec<(u32, u64)>,
    maxima: Maxima,
    tag: Tag,
}

impl State {
    fn new(plan: &Plan, probes: u64) -> Self {
        Self {
            next: 0,
            first_measured: None,
            warm_up: Account::with_capacity(probes),
            measured: Account::with_capacity(probes),
            warm_up_latency: Latency::default(),
            latency: Latency::default(),
            refused: 0,
            sending: 0,
            gaps: Gaps::with_capacity(GAPS),
            slowest: Slowest { flights: Vec::with_capacity(2 * plan.keep), keep: plan.keep },
            bursts: vec![0; WIDEST + 1],
            very_late: vec![(u32::MAX, 0); REMEMBERED],
            maxima: Maxima::new(plan),
            tag: Tag::new(plan),
        }
    }

    fn sent(&mut self, intended: u64, sent: u64, warm: u64) {
        if sent - intended >= u64::from(Probe::LATEST) {
            self.very_late[self.next as usize % REMEMBERED] = (self.next, sent);
        }
        if intended >= warm {
            self.first_measured.get_or_insert(self.next);
            self.measured.sent();
            self.tag.sent(intended, self.next);
            self.latency.sent(intended, sent);
        } else {
            self.warm_up.sent();
            self.warm_up_latency.sent(intended, sent);
        }
        self.next += 1;
    }

    fn take(&mut self, frame: &[u8], now: u64, run: u16, warm: u64) {
        let probe = match frame::probe(frame) {
            Ok(probe) if probe.run == run => probe,
            Ok(_) => return self.measured.unexpected(),
            Err(PayloadError::Damaged) => return self.measured.damaged(),
            Err(PayloadError::Foreign) => return self.measured.foreign(),
        };
        let mut sent = probe.intended + u64::from(probe.late);
        if probe.late == Probe::LATEST {
            // Forgotten only when a million probes left since: then it says too much rather than too little.
            let (number, when) = self.very_late[probe.sequence as usize % REMEMBERED];
            if number == probe.sequence {
                sent = when;
            }
        }
        let flight = Flight { intended: probe.intended, sent, back: now };
        // Accounts count from their own first probe.
        if probe.intended >= warm {
            let first = self.first_measured.unwrap_or(0);
            let Some(sequence) = probe.sequence.checked_sub(first) else {
                return self.measured.unexpected();
            };
            if self.measured.returned(sequence) {
                self.latency.returned(flight.intended, flight.sent, flight.back);
                self.slowest.add(flight);
                self.tag.returned(probe.sequence, flight);
                self.maxima.add(flight.intended - warm, flight.response());
            }
        } else if self.warm_up.returned(probe.sequence) {
            self.warm_up_latency.returned(flight.intended, flight.sent, flight.back);
        }
    }

    fn is_all_back(&self) -> bool {
        self.measured.counts().lost() == 0 && self.warm_up.counts().lost() == 0
    }

    fn into_trial(self, unsent: u64, begin: u64) -> Trial {
        let (gaps, gaps_missed) = self.gaps.into_found();
        let counts = self.measured.counts();
        Trial {
            counts,
            warm_up: self.warm_up.counts(),
            latency: self.latency,
            warm_up_latency: self.warm_up_latency,
            intended: counts.sent + unsent,
            refused: self.refused,
            sending_ns: self.sending,
            gaps,
            gaps_missed,
            slowest: self.slowest.into_sorted(),
            maxima: self.maxima.longest,
            tagged: self.tag.flight,
            begin,
            receive_bursts: self.bursts,
        }
    }
}

/// The probe that is followed by itself: the first from its time on.
struct Tag {
    from: u64,
    sequence: Option<u32>,
    flight: Option<Flight>,
}

impl Tag {
    fn new(plan: &Plan) -> Self {
        let from = plan.tagged.map_or(u64::MAX, |after| ns(plan.warm_up + after));
        Self { from, sequence: None, flight: None }
    }

    fn sent(&mut self, intended: u64, sequence: u32) {
        if intended >= self.from {
            self.sequence.get_or_insert(sequence);
        }
    }

    fn returned(&mut self, sequence: u32, flight: Flight) {
        if self.sequence == Some(sequence) {
            self.flight = Some(flight);
        }
    }
}

/// The longest response of each piece of the measured time.
struct Maxima {
    interval: u64,
    longest: Vec<u64>,
}

impl Maxima {
    fn new(plan: &Plan) -> Self {
        let interval = ns(plan.interval).max(1);
        let pieces = ns(plan.measure).div_ceil(interval).min(MOST_PIECES);
        Self { interval, longest: vec![0; usize::try_from(pieces).unwrap_or(0)] }
    }

    fn add(&mut self, at: u64, response: u64) {
        let piece = usize::try_from(at / self.interval).unwrap_or(usize::MAX);
        if let Some(longest) = self.longest.get_mut(piece) {
            *longest = response.max(*longest);
        }
    }
}

/// The slowest flights, without sorting at each one.
struct Slowest {
    flights: Vec<Flight>,
    keep: usize,
}

impl Slowest {
    fn add(&mut self, flight: Flight) {
        if self.keep == 0 {
            return;
        }
        self.flights.push(flight);
        if self.flights.len() >= 2 * self.keep {
            self.flights.select_nth_unstable_by_key(self.keep, |f| std::cmp::Reverse(f.response()));
            self.flights.truncate(self.keep);
        }
    }

    fn into_sorted(mut self) -> Vec<Flight> {
        self.flights.sort_by_key(|flight| std::cmp::Reverse(flight.response()));
        self.flights.truncate(self.keep);
        self.flights
    }
}
