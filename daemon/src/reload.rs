//! What a new configuration changes, and what each change takes.

use std::fmt::Debug;

use config::{Config, Device, Huge, Port, Stage};

use crate::eal_args::shares_memory;

/// The differences between two configurations, one line each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Take effect at once; no packet is lost.
    pub(crate) live: Vec<String>,
    /// Need workers and ports to be stopped and started.
    pub(crate) ports: Vec<String>,
    /// Need the daemon to be started again.
    pub(crate) process: Vec<String>,
}

impl Changes {
    /// Compares.
    pub(crate) fn between(old: &Config, new: &Config) -> Self {
        let mut changes = Self::default();
        changes.stages(old, new);
        changes.of_ports(old, new);
        changes.process("[cores]", &old.cores, &new.cores);
        changes.process("memory.huge", &old.memory.huge, &new.memory.huge);
        changes.process("memory.per_node_mib", &old.memory.per_node_mib, &new.memory.per_node_mib);
        changes.port("memory.buffers", &old.memory.buffers, &new.memory.buffers);
        let (was, is) = (&old.pipeline, &new.pipeline);
        changes.port("pipeline.mode", &was.mode, &is.mode);
        changes.port("pipeline.ring_capacity", &was.ring_capacity, &is.ring_capacity);
        changes.live("pipeline.burst", &was.burst, &is.burst);
        changes.live("pipeline.tx_retries", &was.tx_retries, &is.tx_retries);
        let (was, is) = (&old.latency, &new.latency);
        changes.live("latency.stall_threshold", &was.stall_threshold, &is.stall_threshold);
        changes.live("latency.stall_causes", &was.stall_causes, &is.stall_causes);
        changes.port("latency.histograms", &was.histograms, &is.histograms);
        changes.port("latency.stall_log", &was.stall_log, &is.stall_log);
        let (was, is) = (was.hardware_timestamps, is.hardware_timestamps);
        changes.port("latency.hardware_timestamps", &was, &is);
        changes.process("control.socket", &old.control.socket, &new.control.socket);
        changes.process("control.group", &old.control.group, &new.control.group);
        changes.live("control.stop_timeout", &old.control.stop_timeout, &new.control.stop_timeout);
        changes.live("control.link_timeout", &old.control.link_timeout, &new.control.link_timeout);
        changes.live("log.level", &old.log.level, &new.log.level);
        changes.process("log.format", &old.log.format, &new.log.format);
        changes
    }

    /// Everything that can be changed in this process, without saying what it takes.
    pub(crate) fn possible(&self) -> Vec<String> {
        self.live.iter().chain(&self.ports).cloned().collect()
    }

    /// What stands in the way of doing it without restarting anything; with `ports_too`, of doing it with ports restarted.
    pub(crate) fn obstacles(&self, ports_too: bool) -> Vec<String> {
        let ports = self.ports.iter().filter(|_| !ports_too);
        let ports = ports.map(|change| format!("{change}: needs a restart of the ports"));
        let process = self.process.iter();
        let process = process.map(|change| format!("{change}: needs a restart of the daemon"));
        ports.chain(process).collect()
    }

    fn live<T: PartialEq + Debug>(&mut self, key: &str, old: &T, new: &T) {
        if old != new {
            self.live.push(format!("{key}: {old:?} -> {new:?}"));
        }
    }

    fn port<T: PartialEq + Debug>(&mut self, key: &str, old: &T, new: &T) {
        if old != new {
            self.ports.push(format!("{key}: {old:?} -> {new:?}"));
        }
    }

    fn process<T: PartialEq>(&mut self, key: &str, old: &T, new: &T) {
        if old != new {
            self.process.push(format!("{key} changed"));
        }
    }

    fn stages(&mut self, old: &Config, new: &Config) {
        let find = |stages: &'_ [Stage], name: &str| stages.iter().position(|s| s.name == name);
        for stage in &new.stages {
            let name = &stage.name;
            match find(&old.stages, name) {
                None => self.live.push(format!("stage {name:?} added")),
                // Edges are compared by name: numbers move when stages come and go.
                Some(at) if shown(old, &old.stages[at]) != shown(new, stage) => {
                    self.live.push(format!("stage {name:?} changed"));
                }
                Some(_) => {}
            }
        }
        for stage in old.stages.iter().filter(|stage| find(&new.stages, &stage.name).is_none()) {
            self.live.push(format!("stage {:?} removed", stage.name));
        }
    }

    fn of_ports(&mut self, old: &Config, new: &Config) {
        let find = |ports: &'_ [Port], name: &str| ports.iter().position(|p| p.name == name);
        for port in old.ports.iter().filter(|port| find(&new.ports, &port.name).is_none()) {
            self.ports.push(format!("port {:?} removed", port.name));
        }
        for is in &new.ports {
            match find(&old.ports, &is.name).map(|at| &old.ports[at]) {
                None => self.device(old, is, format!("port {:?} added", is.name)),
                Some(was) => self.of_port((old, was), (new, is)),
            }
        }
        let order = |of: &Config, other: &Config| -> Vec<String> {
            let names = of.ports.iter().map(|port| port.name.clone());
            names.filter(|name| find(&other.ports, name).is_some()).collect()
        };
        if order(old, new) != order(new, old) {
            self.ports.push("the order of the ports changed".to_owned());
        }
    }

    /// A device that was not there, or not as this port.
    fn device(&mut self, old: &Config, port: &Port, what: String) {
        match &port.device {
            // The EAL looks at PCI devices at its start, and only at those that it is told.
            Device::Pci(_) if old.ports.iter().all(|other| other.device != port.device) => {
                self.process.push(what);
            }
            // It shares memory in a way that is chosen at its start.
            device
                if shares_memory(device)
                    && old.memory.huge != Huge::None
                    && !old.ports.iter().any(|other| shares_memory(&other.device)) =>
            {
                self.process.push(what);
            }
            Device::Pci(_) | Device::Vdev { .. } => self.ports.push(what),
        }
    }

    fn of_port(&mut self, (old, was): (&Config, &Port), (new, is): (&Config, &Port)) {
        let key = |key: &str| format!("port {:?}: {key}", is.name);
        if was.device != is.device {
            self.device(old, is, format!("{}: {} -> {}", key("device"), was.device, is.device));
        }
        let input = |config: &Config, port: &Port| {
            port.input.map(|stage| config.stages[stage.0].name.clone())
        };
        // A queue that nobody polls can not be given a worker while workers turn.
        if was.input.is_some() == is.input.is_some() {
            self.live(&key("input"), &input(old, was), &input(new, is));
        } else {
            self.port(&key("input"), &input(old, was), &input(new, is));
        }
        self.live(&key("addresses"), &was.addresses, &is.addresses);
        self.port(&key("rx_queues"), &was.rx_queues, &is.rx_queues);
        self.port(&key("tx_queues"), &was.tx_queues, &is.tx_queues);
        self.port(&key("rx_ring"), &was.rx_ring, &is.rx_ring);
        self.port(&key("tx_ring"), &was.tx_ring, &is.tx_ring);
        self.port(&key("mtu"), &was.mtu, &is.mtu);
        self.port(&key("promiscuous"), &was.promiscuous, &is.promiscuous);
        self.port(&key("numa_node"), &was.numa_node, &is.numa_node);
    }
}

/// A stage with the names of where its edges lead, and its parameters.
fn shown(config: &Config, stage: &Stage) -> (Vec<String>, String) {
    let edges = stage
        .kind
        .edges()
        .into_iter()
        .map(|(_, edge)| config.edge_text(edge).into_owned())
        .collect();
    let mut bare = stage.kind.clone();
    match &mut bare {
        config::StageKind::Cross { to, macs: _ } | config::StageKind::Count { to } => {
            *to = config::Edge::Drop;
        }
        config::StageKind::Reflect { to, other, .. } => {
            (*to, *other) = (config::Edge::Drop, config::Edge::Drop);
        }
        config::StageKind::Sample { to, sampled, .. } => {
            (*to, *sampled) = (config::Edge::Drop, config::Edge::Drop);
        }
    }
    (edges, format!("{bare:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIRE: &str = r#"
        [memory]
        huge = "none"
        [[port]]
        name = "a"
        device = "vdev:net_null0"
        input = "x"
        [[port]]
        name = "b"
        device = "vdev:net_null1"
        input = "x"
        [[stage]]
        name = "x"
        kind = "cross"
        to = "tx:a"
    "#;

    fn between(from: &str, to: &str) -> Changes {
        let parse = |text: &str| config::parse(text, "t.toml").unwrap();
        Changes::between(&parse(WIRE), &parse(&WIRE.replace(from, to)))
    }

    #[test]
    fn the_same_file_changes_nothing() {
        assert_eq!(between("tx:a", "tx:a"), Changes::default());
    }

    #[test]
    fn an_edge_is_changed_live() {
        let changes = between("tx:a", "tx:b");
        assert_eq!(changes.live, ["stage \"x\" changed"]);
        assert!(changes.obstacles(false).is_empty());
    }

    #[test]
    fn a_virtual_device_needs_a_restart_of_the_ports_and_a_new_pci_device_one_of_the_daemon() {
        let changes = between("net_null1", "net_null2");
        assert!(changes.live.is_empty() && changes.process.is_empty());
        assert_eq!(
            changes.obstacles(false),
            ["port \"b\": device: vdev:net_null1 -> vdev:net_null2: needs a restart of the ports"]
        );
        assert!(changes.obstacles(true).is_empty());
        let changes = between("vdev:net_null1", "0000:3b:00.0");
        assert_eq!(changes.obstacles(true).len(), 1);
        assert!(changes.obstacles(true)[0].ends_with("needs a restart of the daemon"));
    }

    #[test]
    fn ports_that_come_and_go_are_named() {
        let changes = between("name = \"b\"", "name = \"c\"");
        assert_eq!(changes.ports, ["port \"b\" removed", "port \"c\" added"]);
        let swapped = |text: &str| {
            text.replace("name = \"a\"", "name = \"?\"")
                .replace("name = \"b\"", "name = \"a\"")
                .replace("name = \"?\"", "name = \"b\"")
                .replace("net_null0", "net_null2")
                .replace("net_null1", "net_null0")
                .replace("net_null2", "net_null1")
        };
        let parse = |text: &str| config::parse(text, "t.toml").unwrap();
        let changes = Changes::between(&parse(WIRE), &parse(&swapped(WIRE)));
        assert_eq!(changes.ports, ["the order of the ports changed"]);
    }

    #[test]
    fn cores_and_the_control_socket_need_a_restart_of_the_daemon_whatever_is_allowed() {
        let changes = between("[memory]", "[cores]\nworkers = \"1\"\n[memory]\nper_node_mib = 64");
        assert_eq!(
            changes.obstacles(true),
            [
                "[cores] changed: needs a restart of the daemon",
                "memory.per_node_mib changed: needs a restart of the daemon"
            ]
        );
    }
}
