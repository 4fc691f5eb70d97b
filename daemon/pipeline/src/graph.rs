//! The stages, joined.

use std::{fmt, mem, sync::Arc};

use arrayvec::ArrayVec;
use config::{Edge, PortIx, StageIx};

use crate::{
    Burst, Decision, DropReason, Egress, Frame, MAX_BURST, MAX_PORTS, Meta, Outcome, Shortcut,
    StageCounterSet, StageCounters, Verdict, WorkerCounters,
    egress::move_burst,
    shortcut::Hop,
    stages::{self, PortIdentity, Stage},
};

/// Every so many bursts a stage is timed. A prime, so that bursts of two ports that take turns are both timed.
const TIMED_EVERY: u32 = 61;

type Metas = ArrayVec<Meta, MAX_BURST>;

/// One worker's stages, with their state and what waits between them during a run.
///
/// ```text
///  run(port, burst)                         Egress
///      │             ┌──── node 2 ────┐    ┌──────────┐
///      ▼          ┌─►│ frames  stage ─┼───►│ ports[0] │
///  ┌── node 0 ──┐ │  └────────────────┘    │ ports[1] │   An edge leads to a later node, to a port or to `drop`, so
///  │ frames     │ │  ┌──── node 5 ────┐  ┌►│ dropped  │   one sweep over the nodes, front to back, moves every frame
///  │ stage   ───┼─┼─►│ frames  stage ─┼──┘ └──────────┘   out of the graph.
///  └────────────┘    └────────────────┘
/// ```
///
/// As long as each stage sends the whole burst one way, it stays in the caller's hands; where it divides, its frames are
/// moved one by one, and from there on bursts move by their boxes. Nothing is allocated after [`build`](Graph::build).
///
/// **Nothing overflows.** A run brings at most [`MAX_BURST`] frames, and a `Frame` is moved, never copied, so at any
/// moment all bursts of the graph and the [`Egress`] that started empty hold at most that many together; each of them
/// alone has room for all. Between runs every node is empty: the sweep ends behind the last.
pub struct Graph<F> {
    /// Where frames go that were received, by port.
    entries: Box<[Target]>,
    /// The short way of a port's frames, where there is one.
    shortcuts: Box<[Option<Shortcut>]>,
    nodes: Box<[Node<F>]>,
    verdicts: Box<[Verdict; MAX_BURST]>,
    /// Of the burst that has not divided: as long as it when its headers have been read, else empty.
    metas: Box<Metas>,
}

/// One stage, and what waits for it.
struct Node<F> {
    step: Step<F>,
    frames: Box<Burst<F>>,
    /// As long as `frames` when their headers have been read, else empty.
    metas: Box<Metas>,
}

/// One stage, and where its edges lead.
struct Step<F> {
    stage: Box<dyn Stage<F>>,
    edges: Box<[Target]>,
    needs_meta: bool,
    /// Bursts until the next that is timed.
    until_timed: u32,
    counters: Arc<StageCounters>,
}

/// Where frames go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// To the node with this index.
    Node(usize),
    /// Out of this port.
    Tx(usize),
    /// Dropped.
    Drop(DropReason),
}

/// A graph can not be made of these stages. What [`config::load`](config) gives never causes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// More ports than [`MAX_PORTS`].
    #[error("there are {0} ports, and a graph can name {MAX_PORTS}")]
    TooManyPorts(usize),
    /// An edge leads to an earlier stage, to the stage itself, or nowhere.
    #[error("stage {0:?}: an edge leads to no later stage and to no port")]
    Edge(String),
    /// A port's input is not a stage.
    #[error("port {0}: its input is not a stage")]
    Input(usize),
}

impl<F: Frame> Graph<F> {
    /// Makes one worker's stages. `ports` tells who the ports are, in the order of `config.ports`; `previous` are the
    /// counters of this worker's graph until now (`default()` for the first), which stages of the same name and kind
    /// keep.
    ///
    /// # Errors
    /// [`BuildError`]; not for a `Config` that came from a file.
    pub fn build(
        config: &config::Config,
        ports: &[PortIdentity],
        previous: &StageCounterSet,
    ) -> Result<Self, BuildError> {
        let inputs: Vec<_> = config.ports.iter().map(|port| port.input).collect();
        Self::assemble(&config.stages, &inputs, ports, previous)
    }

    /// [`Graph::build`] for stages that do not come from a file: `inputs[p]` is the first stage of port *p*.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn assemble(
        stages: &[config::Stage],
        inputs: &[Option<StageIx>],
        ports: &[PortIdentity],
        previous: &StageCounterSet,
    ) -> Result<Self, BuildError> {
        if inputs.len() > MAX_PORTS {
            return Err(BuildError::TooManyPorts(inputs.len()));
        }
        let node = |(at, stage): (usize, &config::Stage)| {
            let shape = stages::shape(&stage.kind);
            let edges = stage.kind.edges();
            let target = |&(_, edge): &(&str, Edge)| match edge {
                Edge::Stage(StageIx(to)) if to > at && to < stages.len() => Some(Target::Node(to)),
                Edge::Tx(PortIx(port)) if port < inputs.len() => Some(Target::Tx(port)),
                Edge::Drop => Some(Target::Drop(DropReason::ByConfig)),
                Edge::Stage(_) | Edge::Tx(_) => None,
            };
            let edges = edges.iter().map(target).collect::<Option<_>>();
            let edges = edges.ok_or_else(|| BuildError::Edge(stage.name.clone()))?;
            let counters = previous.continued(&stage.name, shape);
            let made = stages::make(&stage.kind, ports, &counters);
            let step = Step {
                needs_meta: made.needs_meta(),
                stage: made,
                edges,
                until_timed: 1,
                counters,
            };
            Ok(Node { step, frames: Box::default(), metas: Box::default() })
        };
        let entry = |(port, input): (usize, &Option<StageIx>)| match *input {
            Some(StageIx(at)) if at < stages.len() => Ok(Target::Node(at)),
            Some(_) => Err(BuildError::Input(port)),
            None => Ok(Target::Drop(DropReason::NoInput)),
        };
        let entries: Box<[Target]> =
            inputs.iter().enumerate().map(entry).collect::<Result<_, _>>()?;
        let nodes: Box<[Node<F>]> =
            stages.iter().enumerate().map(node).collect::<Result<_, _>>()?;
        Ok(Self {
            shortcuts: entries.iter().map(|entry| shortcut(*entry, &nodes)).collect(),
            entries,
            nodes,
            verdicts: Box::new([Verdict::edge(0); MAX_BURST]),
            metas: Box::default(),
        })
    }

    /// The stages' counters, for readers and for the next [`Graph::build`].
    #[must_use]
    pub fn counters(&self) -> StageCounterSet {
        self.nodes.iter().map(|node| Arc::clone(&node.step.counters)).collect()
    }

    /// The short way of a burst received on `port`, if its frames all leave by one port, untouched: the caller may send it
    /// there itself, and say so. `None` means [`run`](Graph::run); so does one of every 61 bursts of a short way, for
    /// what its stages cost is measured there.
    #[inline]
    pub fn shortcut(&mut self, port: usize) -> Option<&mut Shortcut> {
        let shortcut = self.shortcuts.get_mut(port)?.as_mut()?;
        shortcut.until_timed -= 1;
        if shortcut.until_timed == 0 {
            shortcut.until_timed = TIMED_EVERY;
            time_next(&mut self.nodes, shortcut);
            return None;
        }
        Some(shortcut)
    }

    /// Counts what took short ways since the last time, for stages and ports. To be called before the worker publishes
    /// its counters, and before the graph is given up.
    pub fn settle(&mut self, counters: &mut WorkerCounters) {
        for (port, shortcut) in self.shortcuts.iter_mut().enumerate() {
            if let Some(shortcut) = shortcut {
                shortcut.settle(port, counters);
            }
        }
    }

    /// Moves a burst that was received on `port` through the stages; it is empty afterwards, and each of its frames is
    /// in `egress`. [`carry`](Graph::carry) is the same for those who send a whole burst themselves.
    pub fn run(
        &mut self,
        port: usize,
        burst: &mut Box<Burst<F>>,
        egress: &mut Egress<F>,
        clock: impl Fn() -> u64 + Copy,
    ) {
        if let Some(to) = self.carry(port, burst, egress, clock) {
            egress.send_burst(to, burst);
        }
    }

    /// Moves a burst that was received on `port` through the stages. A burst that stayed whole until it reached a port is
    /// still in `burst`, and the answer is that port; otherwise `burst` is empty, and each of its frames is in `egress`.
    ///
    /// `clock` gives ticks; it is read twice for one of every 61 bursts of a stage.
    ///
    /// Budget: 67 ns for a 64-byte frame at 10 Gb/s. A burst through one `cross` that keeps MACs costs some nanoseconds
    /// for all its frames, and touches none of them.
    #[inline]
    pub fn carry(
        &mut self,
        port: usize,
        burst: &mut Box<Burst<F>>,
        egress: &mut Egress<F>,
        clock: impl Fn() -> u64 + Copy,
    ) -> Option<usize> {
        if burst.is_empty() {
            return None;
        }
        let mut target =
            self.entries.get(port).copied().unwrap_or(Target::Drop(DropReason::NoInput));
        self.metas.clear();
        let (verdicts, metas) = (&mut *self.verdicts, &mut *self.metas);
        loop {
            let at = match target {
                Target::Tx(to) => return Some(to),
                Target::Drop(reason) => {
                    egress.drop_burst(reason, burst);
                    return None;
                }
                Target::Node(at) => at,
            };
            let (before, after) = self.nodes.split_at_mut(at + 1);
            let step = &mut before[at].step;
            match step.process(port, burst, metas, verdicts, clock) {
                Outcome::All(verdict) => target = step.resolve(verdict, burst.len() as u64),
                Outcome::Each => {
                    step.divide(burst, metas, verdicts, at, after, egress);
                    self.sweep(at + 1, port, egress, clock);
                    return None;
                }
            }
        }
    }

    /// Moves what waits at nodes from `first` on, front to back, out of the graph.
    fn sweep(
        &mut self,
        first: usize,
        port: usize,
        egress: &mut Egress<F>,
        clock: impl Fn() -> u64 + Copy,
    ) {
        for at in first..self.nodes.len() {
            // Where edges go is behind `at`.
            let (before, after) = self.nodes.split_at_mut(at + 1);
            let Node { step, frames, metas } = &mut before[at];
            if frames.is_empty() {
                continue;
            }
            match step.process(port, frames, metas, &mut self.verdicts, clock) {
                Outcome::All(verdict) => {
                    match step.resolve(verdict, frames.len() as u64) {
                        Target::Tx(port) => egress.send_burst(port, frames),
                        Target::Drop(reason) => egress.drop_burst(reason, frames),
                        Target::Node(to) => after[to - at - 1].accept(frames, metas),
                    }
                    metas.clear();
                }
                Outcome::Each => step.divide(frames, metas, &*self.verdicts, at, after, egress),
            }
        }
    }
}

impl<F: Frame> Step<F> {
    #[inline]
    fn process(
        &mut self,
        port: usize,
        frames: &mut Burst<F>,
        metas: &mut Metas,
        verdicts: &mut [Verdict; MAX_BURST],
        clock: impl Fn() -> u64,
    ) -> Outcome {
        let count = frames.len();
        self.counters.received(count as u64);
        self.until_timed -= 1;
        let started = if self.until_timed == 0 { clock() } else { 0 };
        if self.needs_meta && metas.len() != count {
            metas.clear();
            metas.extend(frames.iter().map(Meta::of));
        }
        // One indirect call per burst.
        let outcome = self.stage.process(port, frames, metas, &mut verdicts[..count]);
        if self.until_timed == 0 {
            self.until_timed = TIMED_EVERY;
            self.counters.timed(count, clock().wrapping_sub(started));
        }
        outcome
    }

    /// Where a verdict leads; counts the frames it is about.
    ///
    /// A verdict for an edge that the stage has not would be the stage's bug; its frames end as unsupported all the same.
    #[inline]
    fn resolve(&self, verdict: Verdict, frames: u64) -> Target {
        match verdict.decision() {
            Decision::Edge(edge) => match self.edges.get(edge) {
                Some(target) => {
                    self.counters.left(edge, frames);
                    *target
                }
                None => {
                    self.counters.dropped(DropReason::Unsupported, frames);
                    Target::Drop(DropReason::Unsupported)
                }
            },
            Decision::Drop(reason) => {
                self.counters.dropped(reason, frames);
                Target::Drop(reason)
            }
        }
    }

    /// Each frame its own way.
    fn divide(
        &self,
        frames: &mut Burst<F>,
        metas: &mut Metas,
        verdicts: &[Verdict],
        at: usize,
        after: &mut [Node<F>],
        egress: &mut Egress<F>,
    ) {
        let has_metas = metas.len() == frames.len();
        for (index, (frame, verdict)) in frames.drain(..).zip(verdicts).enumerate() {
            match self.resolve(*verdict, 1) {
                Target::Tx(port) => egress.send_frame(port, frame),
                Target::Drop(reason) => egress.drop_frame(reason, frame),
                Target::Node(to) => {
                    let to = &mut after[to - at - 1];
                    if has_metas && to.metas.len() == to.frames.len() {
                        to.metas.push(metas[index]);
                    }
                    to.frames.push(frame);
                }
            }
        }
        metas.clear();
    }
}

impl<F> Node<F> {
    /// Takes another node's burst behind what is here.
    #[inline]
    fn accept(&mut self, frames: &mut Box<Burst<F>>, metas: &mut Box<Metas>) {
        // Headers stay read if they are read on both sides.
        if self.frames.is_empty() {
            mem::swap(&mut self.metas, metas);
        } else if self.metas.len() == self.frames.len() && metas.len() == frames.len() {
            self.metas.extend(metas.drain(..));
        } else {
            self.metas.clear();
        }
        move_burst(frames, &mut self.frames);
    }
}

/// The short way from an entry, where every stage on the way sends all frames on as they are.
fn shortcut<F: Frame>(entry: Target, nodes: &[Node<F>]) -> Option<Shortcut> {
    let mut hops = Vec::new();
    let mut at = entry;
    loop {
        match at {
            Target::Tx(to) => return Some(Shortcut::new(to, hops)),
            Target::Drop(_) => return None,
            Target::Node(node) => {
                let Step { stage, edges, counters, .. } = &nodes.get(node)?.step;
                let Decision::Edge(edge) = stage.always()?.decision() else { return None };
                hops.push(Hop { node, edge, counters: Arc::clone(counters) });
                // Edges lead to later nodes, so this ends.
                at = *edges.get(edge)?;
            }
        }
    }
}

/// Lets the stages of a short way be timed with the next burst that comes to them.
#[cold]
fn time_next<F>(nodes: &mut [Node<F>], shortcut: &Shortcut) {
    for hop in shortcut.hops() {
        nodes[hop.node].step.until_timed = 1;
    }
}

impl<F> fmt::Debug for Graph<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph")
            .field("entries", &self.entries)
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for Node<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("stage", &self.step.stage)
            .field("edges", &self.step.edges)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
