//! What a new configuration changes, and what each change takes.

use config::{Config, Stage};

/// The differences between two configurations, one line each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Take effect at once; no packet is lost.
    pub(crate) live: Vec<String>,
    /// Need the daemon to be started again.
    pub(crate) restart: Vec<String>,
}

impl Changes {
    /// Compares.
    pub(crate) fn between(old: &Config, new: &Config) -> Self {
        let mut changes = Self::default();
        changes.stages(old, new);
        changes.ports(old, new);
        changes.restart("[cores]", &old.cores, &new.cores);
        changes.restart("memory.huge", &old.memory.huge, &new.memory.huge);
        changes.restart("memory.per_node_mib", &old.memory.per_node_mib, &new.memory.per_node_mib);
        changes.restart("memory.buffers", &old.memory.buffers, &new.memory.buffers);
        changes.restart("pipeline.mode", &old.pipeline.mode, &new.pipeline.mode);
        changes.restart(
            "pipeline.ring_capacity",
            &old.pipeline.ring_capacity,
            &new.pipeline.ring_capacity,
        );
        changes.live("pipeline.burst", &old.pipeline.burst, &new.pipeline.burst);
        changes.live("pipeline.tx_retries", &old.pipeline.tx_retries, &new.pipeline.tx_retries);
        let (was, is) = (&old.latency, &new.latency);
        changes.live("latency.stall_threshold", &was.stall_threshold, &is.stall_threshold);
        changes.restart("latency.histograms", &was.histograms, &is.histograms);
        changes.restart("latency.stall_log", &was.stall_log, &is.stall_log);
        changes.restart(
            "latency.hardware_timestamps",
            &was.hardware_timestamps,
            &is.hardware_timestamps,
        );
        changes.restart("control.socket", &old.control.socket, &new.control.socket);
        changes.restart("control.group", &old.control.group, &new.control.group);
        changes.live("control.stop_timeout", &old.control.stop_timeout, &new.control.stop_timeout);
        changes.live("control.link_timeout", &old.control.link_timeout, &new.control.link_timeout);
        changes.live("log.level", &old.log.level, &new.log.level);
        changes.restart("log.format", &old.log.format, &new.log.format);
        changes
    }

    fn live<T: PartialEq + std::fmt::Debug>(&mut self, key: &str, old: &T, new: &T) {
        if old != new {
            self.live.push(format!("{key}: {old:?} -> {new:?}"));
        }
    }

    fn restart<T: PartialEq + std::fmt::Debug>(&mut self, key: &str, old: &T, new: &T) {
        if old != new {
            self.restart.push(format!("{key} changed, which needs a restart of the daemon"));
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

    fn ports(&mut self, old: &Config, new: &Config) {
        let names = |config: &Config| -> Vec<(String, String)> {
            config.ports.iter().map(|port| (port.name.clone(), port.device.to_string())).collect()
        };
        if names(old) != names(new) {
            let what =
                "the list of ports or a port's device changed, which needs a restart of the daemon";
            self.restart.push(what.to_owned());
            return;
        }
        for (was, is) in old.ports.iter().zip(&new.ports) {
            let key = |key: &str| format!("port {:?}: {key}", is.name);
            let input = |config: &Config, port: &config::Port| {
                port.input.map(|stage| config.stages[stage.0].name.clone())
            };
            // A queue that nobody polls can not be given a worker while workers turn.
            if was.input.is_some() == is.input.is_some() {
                self.live(&key("input"), &input(old, was), &input(new, is));
            } else {
                self.restart(&key("input"), &was.input.is_some(), &is.input.is_some());
            }
            self.live(&key("addresses"), &was.addresses, &is.addresses);
            self.restart(&key("rx_queues"), &was.rx_queues, &is.rx_queues);
            self.restart(&key("tx_queues"), &was.tx_queues, &is.tx_queues);
            self.restart(&key("rx_ring"), &was.rx_ring, &is.rx_ring);
            self.restart(&key("tx_ring"), &was.tx_ring, &is.tx_ring);
            self.restart(&key("mtu"), &was.mtu, &is.mtu);
            self.restart(&key("promiscuous"), &was.promiscuous, &is.promiscuous);
            self.restart(&key("numa_node"), &was.numa_node, &is.numa_node);
        }
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
        assert!(changes.restart.is_empty());
    }

    #[test]
    fn a_device_needs_a_restart() {
        let changes = between("net_null1", "net_null2");
        assert!(changes.live.is_empty());
        assert_eq!(changes.restart.len(), 1);
    }
}
