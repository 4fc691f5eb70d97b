//! What a worker measures, and the ends that others read.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use pipeline::{
    CountersReader, WorkerCounters, counters, histogram,
    stalls::{self, Stall, StallLog, StallReader},
};

use super::Desk;
use crate::state::LatencyView;

/// The worker's side: single-writer counters, histograms and stalls.
pub(crate) struct Meter {
    pub(crate) counters: WorkerCounters,
    /// By egress port; empty when histograms are off.
    latency: Vec<Latency>,
    stalls: StallLog,
    worker: u32,
    /// A gap that is still to be logged, once it is known what the poll after it returned: when it ended, how long it was.
    pending: Option<(u64, u64)>,
    stall_ticks: u64,
    /// No gap up to this is a stall, or the longest of any sort: one comparison for all of these.
    ordinary: u64,
}

struct Latency {
    residence: histogram::Recorder,
    bound: histogram::Recorder,
    /// Frames whose bound begins at a device's stamp. Written by this worker alone, relaxed: a count of its own.
    stamped: Arc<AtomicU64>,
}

/// The readers' side.
#[derive(Debug)]
pub(crate) struct Readers {
    pub(crate) counters: CountersReader,
    pub(crate) latency: Vec<LatencyView>,
    pub(crate) stalls: StallReader,
}

/// What a worker of the same number measured that has ended.
#[derive(Debug, Default)]
pub(crate) struct Earlier<'a> {
    pub(crate) stalls: Option<&'a StallReader>,
    /// By port.
    pub(crate) latency: Vec<Option<&'a LatencyView>>,
}

impl Meter {
    /// For worker number `worker` and so many ports. Stalls and latency go on from `earlier`; the counters begin anew.
    pub(crate) fn new(
        worker: usize,
        ports: usize,
        settings: &config::Latency,
        stall_ticks: u64,
        earlier: &Earlier<'_>,
    ) -> (Self, Readers) {
        let (counters, counters_reader) = counters::new(ports);
        let (stalls, stalls_reader) = match earlier.stalls {
            Some(stalls) => stalls::continued(settings.stall_log, stalls),
            None => stalls::new(settings.stall_log),
        };
        let (mut latency, mut views) = (Vec::new(), Vec::new());
        for port in 0..ports {
            let before = earlier.latency.get(port).copied().flatten();
            let go_on = |reader: Option<&histogram::Reader>| {
                reader.map_or_else(histogram::new, histogram::continued)
            };
            let (residence, residence_reader) = go_on(before.map(|view| &view.residence));
            let (bound, bound_reader) = go_on(before.map(|view| &view.bound));
            let stamped = before.map_or(0, |view| view.stamped.load(Relaxed));
            let stamped = Arc::new(AtomicU64::new(stamped));
            views.push(LatencyView {
                residence: residence_reader,
                bound: bound_reader,
                stamped: Arc::clone(&stamped),
            });
            if settings.histograms {
                latency.push(Latency { residence, bound, stamped });
            }
        }
        let meter = Self {
            counters,
            latency,
            stalls,
            worker: u32::try_from(worker).unwrap_or(u32::MAX),
            pending: None,
            stall_ticks,
            ordinary: 0,
        };
        let readers = Readers { counters: counters_reader, latency: views, stalls: stalls_reader };
        (meter, readers)
    }

    /// `frames` frames left by `port`; they were inside for `residence`, and can not have been here longer than `bound`.
    #[inline]
    pub(crate) fn left(&mut self, port: usize, frames: u64, residence: u64, bound: u64) {
        if frames > 0
            && let Some(latency) = self.latency.get_mut(port)
        {
            latency.residence.record_n(residence, frames);
            latency.bound.record_n(bound, frames);
        }
    }

    /// The bound of so many frames that left by `port` began at a device's stamp.
    #[inline]
    pub(crate) fn stamped(&mut self, port: usize, frames: u64) {
        if let Some(latency) = self.latency.get_mut(port) {
            let before = latency.stamped.load(Relaxed);
            latency.stamped.store(before + frames, Relaxed);
        }
    }

    /// The time between the last two polls was `ticks`, until `now`.
    #[inline]
    pub(crate) fn gap(&mut self, now: u64, ticks: u64, desk: &Desk<'_>) {
        if ticks > self.ordinary {
            self.noteworthy(now, ticks, desk);
        }
    }

    #[cold]
    fn noteworthy(&mut self, now: u64, ticks: u64, desk: &Desk<'_>) {
        self.counters.gap(ticks);
        let longest = desk.gap(ticks).min(self.counters.worst_gap());
        if ticks > self.stall_ticks {
            // Two in a row with no poll between them can not be; but no gap is to be lost.
            self.polled(0, usize::MAX);
            self.pending = Some((now, ticks));
        }
        self.ordinary = longest.min(self.stall_ticks);
    }

    /// A program is in force from here on: what a stall is may be another, and the longest gap is to be told anew.
    pub(crate) fn begin(&mut self, stall_ticks: u64) {
        self.stall_ticks = stall_ticks;
        self.ordinary = 0;
    }

    /// The poll after a gap returned `frames` of `asked`.
    #[inline]
    pub(crate) fn polled(&mut self, frames: usize, asked: usize) {
        if self.pending.is_some() {
            self.log(frames, asked);
        }
    }

    #[cold]
    fn log(&mut self, frames: usize, asked: usize) {
        if let Some((at_tick, length_ticks)) = self.pending.take() {
            self.stalls.push(Stall {
                at_tick,
                length_ticks,
                worker: self.worker,
                pending: u32::try_from(frames).unwrap_or(u32::MAX),
                saturated: frames >= asked,
                sequence: 0,
            });
        }
    }
}
