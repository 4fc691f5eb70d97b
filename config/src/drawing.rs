//! The stage graph as a picture: for graphviz, and as data.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{Config, Edge, StageKind, value::Choice as _, value::Kind};

/// Every way that a frame can take, from the ports it comes in at to the ports it leaves by.
///
/// As JSON: `{"nodes": [{"id": "rx:north", "kind": "rx", "label": "north"}, …], "edges": [{"from": "rx:north", "to":
/// "north-in", "label": "input"}, …]}`. Kinds of nodes are `rx`, `tx`, `drop`, and those of stages. Keys are only ever added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// Ports, stages in topological order, and `drop` if something leads there.
    pub nodes: Vec<GraphNode>,
    /// Who hands frames to whom.
    pub edges: Vec<GraphEdge>,
}

/// A port's receiving or transmitting side, a stage, or `drop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GraphNode {
    /// `rx:<port>`, `tx:<port>`, `drop`, or the name of the stage.
    pub id: String,
    /// `rx`, `tx`, `drop`, `cross`, `reflect`, `count`, `sample`.
    pub kind: &'static str,
    /// The name of the port or stage.
    pub label: String,
}

/// Frames go from one node to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GraphEdge {
    /// The [`GraphNode::id`] it leaves.
    pub from: String,
    /// The [`GraphNode::id`] it leads to.
    pub to: String,
    /// The key that says so: `input`, `to`, `other`, `sampled`.
    pub label: &'static str,
}

impl Config {
    /// The stage graph with its ports, as data.
    #[must_use]
    pub fn graph(&self) -> Graph {
        let node = |id: String, kind: &'static str, label: &str| GraphNode {
            id,
            kind,
            label: label.to_owned(),
        };
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        for port in &self.ports {
            let Some(input) = port.input else { continue };
            let id = format!("rx:{}", port.name);
            let to = self.stages[input.0].name.clone();
            edges.push(GraphEdge { from: id.clone(), to, label: "input" });
            nodes.push(node(id, "rx", &port.name));
        }
        let mut leaves = Vec::new();
        for stage in &self.stages {
            nodes.push(node(stage.name.clone(), Kind::of(&stage.kind).word(), &stage.name));
            for (label, edge) in stage.kind.edges() {
                let to = self.edge_text(edge).into_owned();
                edges.push(GraphEdge { from: stage.name.clone(), to, label });
                leaves.push(edge);
            }
        }
        for (index, port) in self.ports.iter().enumerate() {
            if leaves.contains(&Edge::Tx(crate::PortIx(index))) {
                nodes.push(node(format!("tx:{}", port.name), "tx", &port.name));
            }
        }
        if leaves.contains(&Edge::Drop) {
            nodes.push(node("drop".to_owned(), "drop", "drop"));
        }
        Graph { nodes, edges }
    }

    /// The stage graph in graphviz's language: `barewired graph | dot -Tsvg`.
    #[must_use]
    pub fn to_dot(&self) -> String {
        self.graph().to_dot()
    }
}

impl Graph {
    /// The graph in graphviz's language.
    #[must_use]
    pub fn to_dot(&self) -> String {
        let mut dot = "digraph barewire {\n    rankdir=LR;\n".to_owned();
        // Names are letters, digits, dots, hyphens and underscores (see `Name`): nothing needs to be escaped.
        for GraphNode { id, kind, label } in &self.nodes {
            let (shape, text) = match *kind {
                "rx" | "tx" => ("box", format!("{kind} {label}")),
                "drop" => ("octagon", label.clone()),
                _ => ("ellipse", format!("{label}\\n{kind}")),
            };
            writeln!(dot, "    \"{id}\" [shape={shape}, label=\"{text}\"];")
                .expect("a String takes everything");
        }
        for GraphEdge { from, to, label } in &self.edges {
            // `input` and `to` are the plain way through; the others are worth a word.
            let label = match *label {
                "input" | "to" => String::new(),
                other => format!(" [label=\"{other}\"]"),
            };
            writeln!(dot, "    \"{from}\" -> \"{to}\"{label};").expect("a String takes everything");
        }
        dot.push_str("}\n");
        dot
    }
}

impl Kind {
    /// What a stage does, without its parameters.
    pub(crate) fn of(kind: &StageKind) -> Self {
        match kind {
            StageKind::Cross { .. } => Self::Cross,
            StageKind::Reflect { .. } => Self::Reflect,
            StageKind::Count { .. } => Self::Count,
            StageKind::Sample { .. } => Self::Sample,
        }
    }
}
