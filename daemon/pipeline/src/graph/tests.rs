//! Graphs against a model that is too simple to be wrong: vectors of frames, one stage after the other.

use config::{Edge, Macs, PortIx, Stage, StageIx, StageKind};
use proptest::prelude::*;

use super::*;
use crate::{
    built::{self, v4, v4_headers},
    testing::{VecFrame, two_ports},
    wire::protocol,
};

const PORTS: usize = 2;

fn stage(number: usize, kind: StageKind) -> Stage {
    Stage { name: format!("stage-{number}"), kind }
}

fn cross(to: Edge) -> StageKind {
    StageKind::Cross { to, macs: Macs::Keep }
}

fn graph(stages: &[Stage]) -> Graph<VecFrame> {
    let inputs = [Some(StageIx(0)); PORTS];
    Graph::assemble(stages, &inputs, &two_ports(), &StageCounterSet::default()).unwrap()
}

/// Frames of several kinds, some too short to have addresses; the tag is their number.
fn frames(kinds: &[u8], first: usize) -> Box<Burst<VecFrame>> {
    let frame = |(number, kind): (usize, &u8)| {
        let ip = v4([192, 0, 2, 99], [192, 0, 2, 1], 64);
        let link = built::ip([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 0], 0, v4_headers(ip));
        let bytes = match kind % 3 {
            0 => built::udp(link, (5, 6), b"data"),
            1 => built::icmp(link, false, (8, 0), [0; 4], b"data"),
            _ => vec![*kind; usize::from(*kind) % 20],
        };
        VecFrame::new(bytes).tagged(first + number)
    };
    Box::new(kinds.iter().enumerate().map(frame).collect())
}

fn tags(frames: &[VecFrame]) -> Vec<usize> {
    frames.iter().map(|frame| frame.tag).collect()
}

/// The simple one.
struct Model {
    stages: Vec<Stage>,
    /// What each stage has seen: all frames, and UDP frames.
    seen: Vec<(u64, u64)>,
    ports: Vec<Vec<usize>>,
    dropped: Vec<usize>,
}

impl Model {
    fn new(stages: &[Stage]) -> Self {
        let seen = vec![(0, 0); stages.len()];
        Self { stages: stages.to_vec(), seen, ports: vec![vec![]; PORTS], dropped: vec![] }
    }

    fn run(&mut self, burst: &[VecFrame]) {
        let mut waiting = vec![Vec::new(); self.stages.len()];
        waiting[0] = burst.to_vec();
        for at in 0..self.stages.len() {
            for frame in std::mem::take(&mut waiting[at]) {
                let is_udp = Meta::parse(&frame.bytes).protocol() == protocol::UDP;
                self.seen[at].0 += 1;
                self.seen[at].1 += u64::from(is_udp);
                let edge = match self.stages[at].kind {
                    StageKind::Cross { macs: Macs::Swap, .. } if frame.bytes.len() < 14 => {
                        Edge::Drop
                    }
                    StageKind::Cross { to, .. } | StageKind::Count { to } => to,
                    StageKind::Sample { to, sampled, every } => {
                        let number = self.seen[at].0;
                        if number.is_multiple_of(u64::from(every)) { sampled } else { to }
                    }
                    StageKind::Reflect { .. } => unreachable!("not in the model"),
                };
                match edge {
                    Edge::Stage(StageIx(to)) => waiting[to].push(frame),
                    Edge::Tx(PortIx(port)) => self.ports[port].push(frame.tag),
                    Edge::Drop => self.dropped.push(frame.tag),
                }
            }
        }
    }
}

/// Any graph of up to eight stages, whose first is the input.
fn any_stages() -> impl Strategy<Value = Vec<Stage>> {
    let numbers = (any::<u8>(), any::<u8>(), any::<u8>(), 1..5_u32);
    proptest::collection::vec(numbers, 1..=8).prop_map(|stages| {
        let count = stages.len();
        let edge = |at: usize, choice: u8| match usize::from(choice) % (count - at + 2) {
            0 => Edge::Drop,
            n @ 1..=2 => Edge::Tx(PortIx(n - 1)),
            n => Edge::Stage(StageIx(at + n - 2)),
        };
        let kind = |(at, (kind, first, second, every)): (usize, (u8, u8, u8, u32))| {
            let (to, sampled) = (edge(at, first), edge(at, second));
            stage(
                at,
                match kind % 4 {
                    0 => cross(to),
                    1 => StageKind::Cross { to, macs: Macs::Swap },
                    2 => StageKind::Count { to },
                    _ => StageKind::Sample { to, sampled, every },
                },
            )
        };
        stages.into_iter().enumerate().map(kind).collect()
    })
}

proptest! {
    #[test]
    fn every_frame_ends_once_where_a_simple_model_says_and_in_its_order(
        stages in any_stages(),
        bursts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..=64), 1..4),
    ) {
        let (mut graph, mut model) = (graph(&stages), Model::new(&stages));
        let mut egress = Egress::new(PORTS);
        let mut first = 0;
        for kinds in bursts {
            let mut burst = frames(&kinds, first);
            first += kinds.len();
            model.run(&burst);
            graph.run(0, &mut burst, &mut egress, || 0);

            prop_assert!(burst.is_empty());
            prop_assert_eq!(egress.len(), kinds.len(), "none lost, none twice");
            for port in 0..PORTS {
                let expected = std::mem::take(&mut model.ports[port]);
                prop_assert_eq!(egress.touched >> port & 1 == 1, !expected.is_empty());
                prop_assert_eq!(tags(&egress.ports[port]), expected);
                egress.ports[port].clear();
            }
            egress.touched = 0;
            // Frames are dropped stage by stage, as in the model.
            prop_assert_eq!(tags(&egress.dropped), std::mem::take(&mut model.dropped));
            prop_assert_eq!(egress.drops.total(), egress.dropped.len() as u64);
            egress.dropped.clear();
            egress.drops = crate::DropTally::default();
            prop_assert!(graph.nodes.iter().all(|n| n.frames.is_empty() && n.metas.is_empty()));
        }
        for (counters, (frames, udp)) in graph.counters().iter().zip(model.seen) {
            let seen = counters.snapshot();
            prop_assert_eq!(seen.frames, frames);
            let ended = seen.edges.iter().sum::<u64>() + seen.drops.iter().sum::<u64>();
            prop_assert_eq!(ended, frames);
            if let Some(index) = seen.shape.counted.iter().position(|c| *c == "udp_frames") {
                prop_assert_eq!(seen.counted[index], udp, "headers travel with their frames");
            }
        }
    }
}

#[test]
fn a_burst_through_a_wire_moves_by_its_box() {
    let mut graph = graph(&[stage(0, cross(Edge::Tx(PortIx(1))))]);
    let mut egress = Egress::new(PORTS);
    let mut burst = frames(&[0; 64], 0);
    let address = burst.as_ptr();
    graph.run(0, &mut burst, &mut egress, || 0);
    assert_eq!(egress.ports[1].as_ptr(), address);
    assert_eq!((egress.touched, burst.len()), (0b10, 0));
}

#[test]
fn frames_from_a_port_without_input_are_dropped_by_that_name() {
    let stages = [stage(0, cross(Edge::Tx(PortIx(0))))];
    let inputs = [Some(StageIx(0)), None];
    let none = StageCounterSet::default();
    let mut graph = Graph::assemble(&stages, &inputs, &two_ports(), &none).unwrap();
    let mut egress = Egress::new(PORTS);
    graph.run(1, &mut frames(&[0; 3], 0), &mut egress, || 0);
    graph.run(7, &mut frames(&[0; 2], 0), &mut egress, || 0);
    assert_eq!(egress.drops.count(DropReason::NoInput), 5);
}

#[test]
fn an_edge_to_drop_drops_by_configuration() {
    let mut graph = graph(&[stage(0, cross(Edge::Drop))]);
    let mut egress = Egress::new(PORTS);
    graph.run(0, &mut frames(&[0; 9], 0), &mut egress, || 0);
    assert_eq!(egress.drops.count(DropReason::ByConfig), 9);
    assert_eq!(egress.dropped.len(), 9);
    let seen = graph.counters().stage("stage-0").unwrap().snapshot();
    assert_eq!((seen.edges, seen.drops), (vec![9], [0; DropReason::COUNT]));
}

#[test]
fn a_stage_of_the_same_name_and_kind_keeps_its_counters_over_a_reload() {
    let wire = |name: &str, to| Stage { name: name.into(), kind: cross(Edge::Tx(PortIx(to))) };
    let count = |name: &str| Stage {
        name: name.into(),
        kind: StageKind::Count { to: Edge::Tx(PortIx(0)) },
    };
    let inputs = [Some(StageIx(0)), None];
    let build = |stages: &[Stage], previous: &StageCounterSet| {
        Graph::<VecFrame>::assemble(stages, &inputs, &two_ports(), previous).unwrap()
    };
    let mut old = build(&[wire("a", 0), wire("b", 0)], &StageCounterSet::default());
    let mut egress = Egress::new(PORTS);
    old.run(0, &mut frames(&[0; 5], 0), &mut egress, || 0);

    let mut new = build(&[wire("a", 1), count("b")], &old.counters());
    new.run(0, &mut frames(&[0; 3], 0), &mut egress, || 0);
    let frames = |name: &str| new.counters().stage(name).unwrap().snapshot().frames;
    assert_eq!((frames("a"), frames("b")), (8, 0));
    assert_eq!(egress.ports[1].len(), 3, "the new edge is in force");
}

#[test]
fn one_burst_of_every_61_is_timed() {
    let mut graph = graph(&[stage(0, cross(Edge::Tx(PortIx(1))))]);
    let mut egress = Egress::new(PORTS);
    let ticks = std::cell::Cell::new(0);
    let clock = || {
        ticks.set(ticks.get() + 100);
        ticks.get()
    };
    for _ in 0..123 {
        graph.run(0, &mut frames(&[0; 2], 0), &mut egress, clock);
        egress.ports[1].clear();
    }
    let seen = graph.counters().stage("stage-0").unwrap().snapshot();
    assert_eq!((seen.frames, seen.timed_frames, seen.ticks), (246, 6, 300));
    assert_eq!(seen.ticks_per_frame(), Some(50.0));
}

#[test]
fn a_graph_that_could_lose_frames_is_not_built() {
    let build = |stages: &[Stage], inputs: &[Option<StageIx>]| {
        Graph::<VecFrame>::assemble(stages, inputs, &[], &StageCounterSet::default()).unwrap_err()
    };
    let to = |edge| [stage(0, cross(edge))];
    let bad_edge = BuildError::Edge("stage-0".into());
    assert_eq!(build(&to(Edge::Stage(StageIx(0))), &[None]), bad_edge);
    assert_eq!(build(&to(Edge::Stage(StageIx(1))), &[None]), bad_edge);
    assert_eq!(build(&to(Edge::Tx(PortIx(1))), &[None]), bad_edge);
    assert_eq!(build(&[], &[None, Some(StageIx(0))]), BuildError::Input(1));
    assert_eq!(build(&[], &[None; 33]), BuildError::TooManyPorts(33));
}

#[test]
fn a_graph_can_move_to_its_worker() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&graph(&[stage(0, cross(Edge::Drop))]));
}

/// A chain of stages, each to the next, the last out of port 1.
fn chain(kinds: &[u8]) -> Vec<Stage> {
    let to = |at: usize| match at + 1 {
        end if end == kinds.len() => Edge::Tx(PortIx(1)),
        next => Edge::Stage(StageIx(next)),
    };
    let kind = |(at, kind): (usize, &u8)| match kind {
        0 => cross(to(at)),
        1 => StageKind::Cross { to: to(at), macs: Macs::Swap },
        2 => StageKind::Count { to: to(at) },
        _ => StageKind::Sample { to: to(at), sampled: to(at), every: 2 },
    };
    kinds.iter().enumerate().map(kind).enumerate().map(|(at, kind)| stage(at, kind)).collect()
}

proptest! {
    #[test]
    fn the_short_way_counts_what_the_long_way_counts_and_leads_to_the_same_port(
        kinds in proptest::collection::vec(0_u8..4, 1..5),
        bursts in proptest::collection::vec((1_usize..=MAX_BURST, any::<bool>()), 1..200),
    ) {
        let is_short = kinds.iter().all(|kind| *kind == 0);
        let (mut mixed, mut long) = (graph(&chain(&kinds)), graph(&chain(&kinds)));
        let (mut counters, reader) = crate::counters::new(PORTS);
        let mut egress = Egress::new(PORTS);
        let mut through = |graph: &mut Graph<VecFrame>, len: usize| {
            let mut burst = frames(&vec![0; len], 0);
            graph.run(0, &mut burst, &mut egress, || 0);
            let sent = egress.ports[1].len() as u64;
            egress.for_each_touched(|_, frames| frames.clear());
            sent
        };
        let (mut short_ways, mut sent) = (0, 0);
        for &(len, sends_whole) in &bursts {
            let frames = len as u64;
            match mixed.shortcut(0) {
                Some(shortcut) => {
                    prop_assert_eq!(shortcut.to(), 1);
                    short_ways += 1;
                    if sends_whole {
                        shortcut.passed(frames, 60 * frames);
                    } else {
                        shortcut.counted(frames);
                        counters.received(0, frames, 60 * frames);
                        counters.sent(1, frames, 60 * frames);
                    }
                    sent += frames;
                }
                None => {
                    let left = through(&mut mixed, len);
                    counters.received(0, left, 60 * left);
                    counters.sent(1, left, 60 * left);
                    sent += left;
                }
            }
            through(&mut long, len);
        }
        mixed.settle(&mut counters);
        mixed.settle(&mut counters);
        counters.publish();

        // The first burst and every 61st after it take the long way, to be timed.
        let timed = bursts.len().div_ceil(TIMED_EVERY as usize);
        prop_assert_eq!(short_ways, if is_short { bursts.len() - timed } else { 0 });
        let snapshots = |graph: &Graph<VecFrame>| -> Vec<_> {
            graph.counters().iter().map(|stage| stage.snapshot()).collect()
        };
        let untimed = |mut stages: Vec<crate::StageSnapshot>| {
            stages.iter_mut().for_each(|stage| (stage.ticks, stage.timed_frames) = (0, 0));
            stages
        };
        let is_timed = snapshots(&mixed).iter().all(|stage| stage.timed_frames > 0);
        prop_assert!(is_timed);
        prop_assert_eq!(untimed(snapshots(&mixed)), untimed(snapshots(&long)));
        let seen = reader.snapshot();
        prop_assert_eq!((seen.received(), seen.sent()), (sent, sent));
        prop_assert_eq!(seen.ports[1].tx_bytes, 60 * sent);
    }
}

#[test]
fn there_is_no_short_way_to_a_drop_or_from_a_port_without_input() {
    let mut dropping = graph(&[stage(0, cross(Edge::Drop))]);
    let wire = [stage(0, cross(Edge::Tx(PortIx(1))))];
    let none = StageCounterSet::default();
    let mut half =
        Graph::<VecFrame>::assemble(&wire, &[Some(StageIx(0)), None], &two_ports(), &none).unwrap();
    for _ in 0..TIMED_EVERY {
        assert!(dropping.shortcut(0).is_none());
        assert!(half.shortcut(1).is_none());
        assert!(half.shortcut(2).is_none());
    }
    assert!(half.shortcut(0).is_none() && half.shortcut(0).is_some());
}
