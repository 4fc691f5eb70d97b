//! What is local to what.

use config::{NumaNode, machine::Machine, placement::Locality};

use crate::{
    DataPort, Verdict,
    checks::{Context, Outcome, judge::known, wording::lines},
};

/// The largest distance of a node that is still near: the other half of a split socket.
const NEAR: u32 = 20;

/// The daemon's devices, with where they are.
fn devices<'a>(
    context: &Context<'a>,
    machine: &'a Machine,
) -> Result<Vec<(usize, &'a DataPort, Locality)>, Outcome> {
    let ports = context.intent.data.iter().enumerate();
    let devices: Vec<_> = ports
        .filter_map(|(index, port)| {
            let place = match (context.intent.port_nodes.get(&port.name), port.pci?) {
                (Some(node), _) => Locality::Node(*node),
                (None, address) => match context.facts.pci.function(address) {
                    Some(function) => function.locality(machine),
                    None => {
                        Locality::Unknown { why: format!("there is no PCI function {address}") }
                    }
                },
            };
            Some((index, port, place))
        })
        .collect();
    if devices.is_empty() {
        return Err(Outcome::not_applicable("no port is a PCI device"));
    }
    Ok(devices)
}

pub(super) fn ports(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let machine = known(&context.facts.machine, "this machine has no CPUs")?;
    let placement = known(&context.intent.placement, "nothing is placed")?;
    if machine.nodes.len() < 2 {
        return Ok(Outcome::not_applicable("this machine has one node"));
    }
    let (mut worst, mut details) = (Verdict::Good, Vec::new());
    for (index, port, place) in devices(context, machine)? {
        let name = &port.name;
        let home = match place {
            Locality::Node(node) => node,
            Locality::Unknown { why } => {
                details.push(format!("{name}: {why}"));
                worst = worst.max(Verdict::Unknown);
                continue;
            }
            Locality::Anywhere => continue,
        };
        let polled_by = placement
            .workers
            .iter()
            .filter(|worker| worker.ports.contains(&index) || worker.remote_ports.contains(&index));
        for worker in polled_by {
            let verdict = distance(machine, home, worker.node);
            let node =
                worker.node.map_or_else(|| "an unknown node".to_owned(), |n| format!("node {n}"));
            details
                .push(format!("{name} on node {home} is polled by cpu {} on {node}", worker.cpu));
            worst = worst.max(verdict);
        }
    }
    let outcome = match worst {
        Verdict::Good => Outcome::good("every port is polled on its own node"),
        Verdict::Warn => Outcome::warn("a port is polled from a neighbouring node"),
        Verdict::Unknown => Outcome::unknown("it is not known where a port or a worker is"),
        Verdict::Bad | Verdict::Info | Verdict::NotApplicable => {
            Outcome::bad("a port is polled from a remote node")
                .advice("choose workers on the card's node, or move the card to the other socket")
        }
    };
    Ok(outcome.wanted("workers on the node of their ports").details(lines(details)))
}

fn distance(machine: &Machine, home: NumaNode, worker: Option<NumaNode>) -> Verdict {
    let Some(worker) = worker else { return Verdict::Unknown };
    match machine.distance(home, worker) {
        _ if home == worker => Verdict::Good,
        Some(distance) if distance <= NEAR => Verdict::Warn,
        Some(_) | None => Verdict::Bad,
    }
}

pub(super) fn devices_say(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let machine = known(&context.facts.machine, "this machine has no CPUs")?;
    let (mut worst, mut details) = (Verdict::Good, Vec::new());
    for (_, port, place) in devices(context, machine)? {
        let name = &port.name;
        let told = match (context.intent.port_nodes.get(name), port.pci) {
            (Some(node), _) => {
                details.push(format!("{name}: node {node}, by the configuration"));
                continue;
            }
            (None, Some(address)) => match context.facts.pci.function(address) {
                Some(function) => &function.node,
                None => return Ok(Outcome::unknown(format!("there is no PCI function {address}"))),
            },
            (None, None) => continue,
        };
        match (told, place) {
            (linux::Known::Known(Some(node)), _) => details.push(format!("{name}: node {node}")),
            (linux::Known::Unknown { why }, _) => {
                details.push(format!("{name}: {why}"));
                worst = worst.max(Verdict::Unknown);
            }
            (linux::Known::Known(None), _) if machine.nodes.len() < 2 => {
                details.push(format!("{name}: -1, on a machine with one node"));
                worst = worst.max(Verdict::Info);
            }
            (linux::Known::Known(None), Locality::Node(node)) => {
                details.push(format!("{name}: -1; its local CPUs are on node {node}"));
                worst = worst.max(Verdict::Warn);
            }
            (linux::Known::Known(None), Locality::Unknown { .. } | Locality::Anywhere) => {
                details.push(format!("{name}: -1"));
                worst = worst.max(Verdict::Bad);
            }
        }
    }
    let outcome = match worst {
        Verdict::Good => Outcome::good("every port's node is known"),
        Verdict::Info => Outcome::info("the firmware does not say, and there is one node"),
        Verdict::Warn => Outcome::warn("the firmware does not say; the local CPUs do"),
        Verdict::Unknown => Outcome::unknown("the node of a port can not be read"),
        Verdict::Bad | Verdict::NotApplicable => Outcome::bad("the firmware does not say")
            .advice("set numa_node of the port in the configuration"),
    };
    Ok(outcome.wanted("a node for every port").details(lines(details)))
}
