//! Any graph that can be drawn is sorted; any that can not is refused with its cycle.

use std::fmt::Write as _;

use config::{Config, Edge};
use proptest::prelude::*;

/// Where an edge of the generated file leads, before names are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Stage(usize),
    Out,
    Drop,
}

/// Stages with two edges each, and their place in the file.
#[derive(Debug, Clone)]
struct Drawing {
    edges: Vec<[To; 2]>,
    file_order: Vec<usize>,
}

impl Drawing {
    fn text(&self) -> String {
        let to = |to: To| match to {
            To::Stage(stage) => format!("s{stage}"),
            To::Out => "tx:p".to_owned(),
            To::Drop => "drop".to_owned(),
        };
        let mut text =
            "[[port]]\nname = \"p\"\ndevice = \"vdev:net_ring0\"\ninput = \"s0\"\n".to_owned();
        for stage in &self.file_order {
            let [first, second] = self.edges[*stage].map(to);
            writeln!(
                text,
                "[[stage]]\nname = \"s{stage}\"\nkind = \"sample\"\nevery = 2\nto = \"{first}\"\nsampled = \"{second}\""
            )
            .expect("a String takes everything");
        }
        text
    }

    /// Can a frame come back to where it was? Found by taking away what leads nowhere any more.
    fn has_cycle(&self) -> bool {
        let mut left: Vec<usize> = (0..self.edges.len()).collect();
        loop {
            let leads_on = |stage: &usize| {
                self.edges[*stage]
                    .iter()
                    .any(|to| matches!(to, To::Stage(next) if left.contains(next)))
            };
            let rest: Vec<usize> = left.iter().copied().filter(leads_on).collect();
            if rest.len() == left.len() {
                return !rest.is_empty();
            }
            left = rest;
        }
    }
}

fn shuffled(count: usize) -> impl Strategy<Value = Vec<usize>> {
    Just((0..count).collect::<Vec<_>>()).prop_shuffle()
}

/// A graph without a cycle in which stage 0 leads to every other: a binary tree, with edges across where it has leaves.
fn valid_drawing() -> impl Strategy<Value = Drawing> {
    (1_usize..40).prop_flat_map(|count| {
        let random = proptest::collection::vec(
            (any::<usize>(), any::<[u8; 2]>(), any::<[usize; 2]>()),
            count,
        );
        (random, shuffled(count)).prop_map(move |(random, file_order)| {
            let mut edges = vec![[None, None]; count];
            for stage in 1..count {
                let free: Vec<(usize, usize)> = (0..stage)
                    .flat_map(|parent| [(parent, 0), (parent, 1)])
                    .filter(|(parent, slot)| edges[*parent][*slot].is_none())
                    .collect();
                let (parent, slot) = free[random[stage].0 % free.len()];
                edges[parent][slot] = Some(To::Stage(stage));
            }
            let fill = |stage: usize, slot: usize| match random[stage].1[slot] % 3 {
                0 if stage + 1 < count => {
                    To::Stage(stage + 1 + random[stage].2[slot] % (count - stage - 1))
                }
                1 => To::Drop,
                _ => To::Out,
            };
            let edges = (0..count)
                .map(|stage| {
                    [0, 1].map(|slot| edges[stage][slot].unwrap_or_else(|| fill(stage, slot)))
                })
                .collect();
            Drawing { edges, file_order }
        })
    })
}

fn any_drawing() -> impl Strategy<Value = Drawing> {
    (1_usize..8).prop_flat_map(|count| {
        let to = prop_oneof![
            2 => (0..count).prop_map(To::Stage),
            1 => Just(To::Out),
            1 => Just(To::Drop),
        ];
        (proptest::collection::vec([to.clone(), to], count), shuffled(count))
            .prop_map(|(edges, file_order)| Drawing { edges, file_order })
    })
}

/// The edges of a stage by name, as they were drawn.
fn edges_of(config: &Config, name: &str) -> Vec<String> {
    let stage = config.stages.iter().find(|stage| stage.name == name).expect("no stage is lost");
    stage.kind.edges().iter().map(|(_, edge)| config.edge_text(*edge).into_owned()).collect()
}

proptest! {
    #[test]
    fn a_graph_without_cycles_is_sorted_and_loses_nothing(drawing in valid_drawing()) {
        let text = drawing.text();
        let config = config::parse(&text, "graph.toml").unwrap_or_else(|errors| panic!("{text}\n{errors}"));
        prop_assert_eq!(config.stages.len(), drawing.edges.len());
        for (index, stage) in config.stages.iter().enumerate() {
            for (_, edge) in stage.kind.edges() {
                prop_assert!(!matches!(edge, Edge::Stage(next) if next.0 <= index), "{}", text);
            }
        }
        for (stage, edges) in drawing.edges.iter().enumerate() {
            let drawn = edges.map(|to| match to {
                To::Stage(next) => format!("s{next}"),
                To::Out => "tx:p".to_owned(),
                To::Drop => "drop".to_owned(),
            });
            prop_assert_eq!(edges_of(&config, &format!("s{stage}")), drawn);
        }
        let input = config.ports[0].input.expect("the port has an input");
        prop_assert_eq!(config.stages[input.0].name.as_str(), "s0");
    }

    #[test]
    fn a_valid_configuration_written_out_means_the_same(drawing in valid_drawing()) {
        let config = config::parse(&drawing.text(), "graph.toml").unwrap();
        let written = toml::to_string(&config).unwrap();
        prop_assert_eq!(config::parse(&written, "written.toml").unwrap(), config);
    }

    #[test]
    fn a_graph_is_refused_for_a_cycle_if_and_only_if_it_has_one(drawing in any_drawing()) {
        let said = match config::parse(&drawing.text(), "graph.toml") {
            Ok(_) => String::new(),
            Err(errors) => errors.to_string(),
        };
        let refused = said.contains("closes a cycle") || said.contains("to itself");
        prop_assert_eq!(refused, drawing.has_cycle(), "{}\n{}", drawing.text(), said);
    }

    #[test]
    fn every_edge_of_a_graph_is_drawn_once(drawing in valid_drawing()) {
        let config = config::parse(&drawing.text(), "graph.toml").unwrap();
        let graph = config.graph();
        // Two edges for each stage, and the port's input.
        prop_assert_eq!(graph.edges.len(), 2 * drawing.edges.len() + 1);
        for edge in &graph.edges {
            for end in [&edge.from, &edge.to] {
                prop_assert_eq!(graph.nodes.iter().filter(|node| node.id == *end).count(), 1);
            }
        }
        prop_assert_eq!(config.to_dot().matches(" -> ").count(), graph.edges.len());
    }
}

#[test]
fn the_largest_chain_is_sorted_even_when_it_stands_backwards() {
    let count = 256;
    let next = |stage| if stage + 1 < count { To::Stage(stage + 1) } else { To::Out };
    let edges = (0..count).map(|stage| [next(stage), To::Drop]).collect();
    let drawing = Drawing { edges, file_order: (0..count).rev().collect() };
    let config = config::parse(&drawing.text(), "chain.toml").unwrap();
    let names: Vec<_> = config.stages.iter().map(|stage| stage.name.clone()).collect();
    assert_eq!(names, (0..count).map(|stage| format!("s{stage}")).collect::<Vec<_>>());
}
