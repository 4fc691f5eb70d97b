//! Where ports are, and how many workers each node needs for them.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{NumaNode, machine::Machine};

/// A port, as far as placing its worker needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortSite {
    /// Its name, for messages.
    pub name: String,
    /// Where it is.
    pub locality: Locality,
    /// Does it receive? A port that only transmits needs no worker of its own.
    pub receives: bool,
}

/// Where a port is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Locality {
    /// On this node: the device says so, or the configuration does.
    Node(NumaNode),
    /// A device that is somewhere and does not say where (`numa_node` reads −1).
    Unknown {
        /// Why it is not known.
        why: String,
    },
    /// Nowhere in particular: a virtual device.
    Anywhere,
}

/// The node that a port's queues and buffers belong to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortHome {
    /// The node; `None` on a machine whose nodes are not known.
    pub node: Option<NumaNode>,
    /// The node its memory comes from: the same one, or the nearest that has memory.
    pub memory: Option<NumaNode>,
    /// Why this node.
    pub why: String,
    /// The node is a fact of the hardware, so a worker elsewhere is remote.
    #[serde(skip)]
    pub(super) is_fixed: bool,
    /// The node is where nobody said it is: why nobody did.
    #[serde(skip)]
    pub(super) assumed: Option<String>,
}

impl PortHome {
    /// Is it a virtual device, as near to one node as to another?
    pub(super) fn is_anywhere(&self) -> bool {
        !self.is_fixed && self.assumed.is_none()
    }
}

/// Find the home of each port. `weights` says how good each node is for a port that does not say where it is.
pub(super) fn homes(
    machine: &Machine,
    ports: &[PortSite],
    weights: &BTreeMap<NumaNode, usize>,
) -> Vec<PortHome> {
    let known = |port: &PortSite| match port.locality {
        Locality::Node(node) => Some(node).filter(|&node| machine.node(node).is_some()),
        Locality::Unknown { .. } | Locality::Anywhere => None,
    };
    let only = (machine.nodes.len() == 1).then(|| machine.nodes[0].id);
    let neighbours = |node| ports.iter().filter(|port| known(port) == Some(node)).count();
    let weight = |node: &NumaNode| weights.get(node).copied().unwrap_or(0);
    let best = machine
        .nodes
        .iter()
        .map(|node| node.id)
        .rev()
        .max_by_key(|node| (neighbours(*node), weight(node)));
    let best_why = best.map_or_else(
        || "this machine names no nodes".to_owned(),
        |node| match (only, neighbours(node)) {
            (Some(_), _) => "the only node".to_owned(),
            (None, 0) if weight(&node) > 0 => "the node with the best free cores".to_owned(),
            (None, 0) => "the first node".to_owned(),
            (None, _) => "the node with most of the other ports".to_owned(),
        },
    );
    let stand_in = |why: String| match only {
        Some(node) => home(machine, Some(node), "the only node".to_owned(), true, None),
        None => {
            let text = format!("{best_why}; {why}");
            home(machine, best, text, false, best.map(|_| why))
        }
    };
    ports
        .iter()
        .map(|port| match &port.locality {
            Locality::Node(node) if known(port).is_some() => {
                home(machine, Some(*node), "the device is there".to_owned(), true, None)
            }
            Locality::Node(node) => stand_in(format!("node {node} does not exist on this machine")),
            Locality::Unknown { why } => stand_in(why.clone()),
            Locality::Anywhere => home(
                machine,
                best,
                format!("{best_why}; a virtual device can be anywhere"),
                false,
                None,
            ),
        })
        .collect()
}

fn home(
    machine: &Machine,
    node: Option<NumaNode>,
    why: String,
    is_fixed: bool,
    assumed: Option<String>,
) -> PortHome {
    let memory = node.and_then(|node| machine.memory_node(node)).or(node);
    PortHome { node, memory, why, is_fixed, assumed }
}

/// The nodes that need workers, with how many ports each has: those with ports that receive, or with any port when none
/// does. The busiest node is first, then the lowest.
pub(super) fn busy_nodes(ports: &[PortSite], homes: &[PortHome]) -> Vec<(NumaNode, usize)> {
    let any_receives = ports.iter().any(|port| port.receives);
    let mut counts: BTreeMap<NumaNode, usize> = BTreeMap::new();
    for (port, home) in ports.iter().zip(homes) {
        if let Some(node) = home.node.filter(|_| port.receives || !any_receives) {
            *counts.entry(node).or_default() += 1;
        }
    }
    let mut nodes: Vec<_> = counts.into_iter().collect();
    nodes.sort_by_key(|&(node, ports)| (std::cmp::Reverse(ports), node));
    nodes
}

/// Share `count` workers out to the nodes by their number of ports (largest quotients), each node getting its first
/// before any gets its second.
pub(super) fn share_out(nodes: &[(NumaNode, usize)], count: usize) -> Vec<(NumaNode, usize)> {
    let mut shares: Vec<(NumaNode, usize)> = nodes.iter().map(|&(node, _)| (node, 0)).collect();
    for _ in 0..if nodes.is_empty() { 0 } else { count } {
        // ports / (share + 1), compared without division; the first of equals wins.
        let next = (0..nodes.len()).rev().max_by(|&a, &b| {
            let quotient = |i: usize, other: usize| nodes[i].1 * (shares[other].1 + 1);
            (shares[a].1 == 0)
                .cmp(&(shares[b].1 == 0))
                .then_with(|| quotient(a, b).cmp(&quotient(b, a)))
        });
        if let Some(next) = next {
            shares[next].1 += 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_shared_out_by_the_number_of_ports() {
        let nodes = [(NumaNode(1), 3), (NumaNode(0), 1)];

        assert_eq!(share_out(&nodes, 1), [(NumaNode(1), 1), (NumaNode(0), 0)]);
        assert_eq!(share_out(&nodes, 2), [(NumaNode(1), 1), (NumaNode(0), 1)]);
        assert_eq!(share_out(&nodes, 4), [(NumaNode(1), 3), (NumaNode(0), 1)]);
        assert!(share_out(&[], 4).is_empty());
    }
}
