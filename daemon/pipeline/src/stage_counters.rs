//! What a stage has done: written by one worker, read by anybody.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use crossbeam::utils::CachePadded;

use crate::{
    DropReason,
    single_writer::{add, zeros},
    stages::Shape,
};

/// The counters of one stage on one worker.
///
/// They only grow, each by itself: a reader may see a frame that went in and not yet where it went. (The exact balance
/// is [`WorkerCounters`](crate::WorkerCounters)'s.)
#[derive(Debug)]
pub struct StageCounters {
    name: String,
    shape: Shape,
    // All written by the worker whose graph holds the stage (graphs of one worker that share counters over a reload run
    // one after the other, on that worker's thread), read by anybody. Relaxed: each is a count of its own, and nothing
    // else is published through it.
    cells: CachePadded<Cells>,
}

#[derive(Debug)]
struct Cells {
    frames: AtomicU64,
    ticks: AtomicU64,
    timed_frames: AtomicU64,
    edges: Box<[AtomicU64]>,
    counted: Box<[AtomicU64]>,
    drops: [AtomicU64; DropReason::COUNT],
}

impl StageCounters {
    pub(crate) fn new(name: &str, shape: Shape) -> Self {
        Self {
            name: name.to_owned(),
            shape,
            cells: CachePadded::new(Cells {
                frames: AtomicU64::new(0),
                ticks: AtomicU64::new(0),
                timed_frames: AtomicU64::new(0),
                edges: zeros(shape.edges.len()),
                counted: zeros(shape.counted.len()),
                drops: std::array::from_fn(|_| AtomicU64::new(0)),
            }),
        }
    }

    /// The stage's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What kind of stage it is.
    #[must_use]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Frames came in.
    #[inline]
    pub(crate) fn received(&self, frames: u64) {
        add(&self.cells.frames, frames);
    }

    /// Frames went out of an edge.
    #[inline]
    pub(crate) fn left(&self, edge: usize, frames: u64) {
        if let Some(cell) = self.cells.edges.get(edge) {
            add(cell, frames);
        }
    }

    /// The stage dropped frames.
    #[inline]
    pub(crate) fn dropped(&self, reason: DropReason, frames: u64) {
        add(&self.cells.drops[reason.index()], frames);
    }

    /// A burst of `frames` took `ticks`.
    pub(crate) fn timed(&self, frames: usize, ticks: u64) {
        add(&self.cells.timed_frames, frames as u64);
        add(&self.cells.ticks, ticks);
    }

    /// Adds to one of the kind's own counters.
    #[inline]
    pub(crate) fn count(&self, index: usize, more: u64) {
        if more > 0
            && let Some(cell) = self.cells.counted.get(index)
        {
            add(cell, more);
        }
    }

    /// The counts so far.
    #[must_use]
    pub fn snapshot(&self) -> StageSnapshot {
        let cells = &*self.cells;
        let load = |counters: &[AtomicU64]| counters.iter().map(|c| c.load(Relaxed)).collect();
        StageSnapshot {
            name: self.name.clone(),
            shape: self.shape,
            frames: cells.frames.load(Relaxed),
            edges: load(&cells.edges),
            drops: std::array::from_fn(|index| cells.drops[index].load(Relaxed)),
            counted: load(&cells.counted),
            ticks: cells.ticks.load(Relaxed),
            timed_frames: cells.timed_frames.load(Relaxed),
        }
    }
}

/// [`StageCounters`], read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageSnapshot {
    /// The stage's name.
    pub name: String,
    /// What kind of stage it is, with the names of its edges and of what it counts.
    pub shape: Shape,
    /// Frames that came in.
    pub frames: u64,
    /// Frames that left by each edge; an edge that leads to `drop` counts here, not in `drops`.
    pub edges: Vec<u64>,
    /// Frames that the stage itself dropped, by [`DropReason::index`].
    pub drops: [u64; DropReason::COUNT],
    /// The kind's own counters, by [`Shape::counted`].
    pub counted: Vec<u64>,
    /// Clock ticks that the timed bursts took; reading headers counts for the stage that first needs them.
    pub ticks: u64,
    /// Frames in the timed bursts: about one of every 64.
    pub timed_frames: u64,
}

impl StageSnapshot {
    /// Clock ticks per frame; `None` before the first timed burst.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a mean of measurements")]
    pub fn ticks_per_frame(&self) -> Option<f64> {
        (self.timed_frames > 0).then(|| self.ticks as f64 / self.timed_frames as f64)
    }

    /// Adds the same stage's counts on another worker.
    pub fn merge(&mut self, other: &Self) {
        let sum = |mine: &mut [u64], theirs: &[u64]| {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs);
        };
        self.frames += other.frames;
        self.ticks += other.ticks;
        self.timed_frames += other.timed_frames;
        sum(&mut self.edges, &other.edges);
        sum(&mut self.drops, &other.drops);
        sum(&mut self.counted, &other.counted);
    }
}

/// The counters of one worker's stages, in the order of the configuration.
///
/// Given to the next [`Graph::build`](crate::Graph::build) of the same worker, stages of the same name and kind go on
/// counting where they were.
#[derive(Debug, Clone, Default)]
pub struct StageCounterSet(Vec<Arc<StageCounters>>);

impl StageCounterSet {
    /// Every stage's counters.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<StageCounters>> {
        self.0.iter()
    }

    /// The counters of one stage.
    #[must_use]
    pub fn stage(&self, name: &str) -> Option<&Arc<StageCounters>> {
        self.0.iter().find(|counters| counters.name == name)
    }

    /// Those of a stage of this name and shape, or new ones.
    pub(crate) fn continued(&self, name: &str, shape: Shape) -> Arc<StageCounters> {
        self.stage(name)
            .filter(|counters| counters.shape == shape)
            .map_or_else(|| Arc::new(StageCounters::new(name, shape)), Arc::clone)
    }
}

impl FromIterator<Arc<StageCounters>> for StageCounterSet {
    fn from_iter<I: IntoIterator<Item = Arc<StageCounters>>>(counters: I) -> Self {
        Self(counters.into_iter().collect())
    }
}
