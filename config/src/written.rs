//! A configuration as data for others: the shape of the file itself, with every default filled in.
//!
//! `barewired check --json` prints it. Written as TOML it is a file that means the same; a test keeps it so. Keys are
//! only ever added.

use std::{borrow::Cow, net::IpAddr};

use ipnet::IpNet;
use serde::{Serialize, Serializer};

use crate::{
    Auto, Config, Control, Cores, Device, Edge, Huge, Latency, Log, LogFormat, MacAddress, Macs,
    Memory, Mode, NumaNode, Pipeline, Port, StageKind, Tune, TuneProfile, Wish,
    value::{Choice, Kind, MacsWord},
};

impl Config {
    /// An edge as the file writes it: `tx:south`, `drop`, or the name of a stage.
    #[must_use]
    pub fn edge_text(&self, edge: Edge) -> Cow<'_, str> {
        match edge {
            Edge::Stage(stage) => Cow::Borrowed(&self.stages[stage.0].name),
            Edge::Tx(port) => Cow::Owned(format!("tx:{}", self.ports[port.0].name)),
            Edge::Drop => Cow::Borrowed("drop"),
        }
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { cores, memory, ports, pipeline, stages, latency, control, log, tune } = self;
        File {
            cores,
            memory,
            pipeline,
            latency,
            control,
            log,
            tune,
            port: ports.iter().map(|port| PortSection::of(self, port)).collect(),
            stage: stages.iter().map(|stage| StageSection::of(self, stage)).collect(),
        }
        .serialize(serializer)
    }
}

#[derive(Serialize)]
struct File<'c> {
    cores: &'c Cores,
    memory: &'c Memory,
    pipeline: &'c Pipeline,
    latency: &'c Latency,
    control: &'c Control,
    log: &'c Log,
    tune: &'c Tune,
    port: Vec<PortSection<'c>>,
    stage: Vec<StageSection<'c>>,
}

#[derive(Serialize)]
struct PortSection<'c> {
    name: &'c str,
    device: &'c Device,
    rx_queues: Auto<u16>,
    tx_queues: Auto<u16>,
    rx_ring: Auto<u16>,
    tx_ring: Auto<u16>,
    mtu: u16,
    promiscuous: bool,
    addresses: &'c [IpNet],
    input: &'c str,
    numa_node: Auto<NumaNode>,
}

impl<'c> PortSection<'c> {
    fn of(config: &'c Config, port: &'c Port) -> Self {
        Self {
            name: &port.name,
            device: &port.device,
            rx_queues: port.rx_queues,
            tx_queues: port.tx_queues,
            rx_ring: port.rx_ring,
            tx_ring: port.tx_ring,
            mtu: port.mtu,
            promiscuous: port.promiscuous,
            addresses: &port.addresses,
            input: port.input.map_or("none", |stage| &config.stages[stage.0].name),
            numa_node: port.numa_node,
        }
    }
}

/// Only what the kind takes is written.
#[derive(Serialize)]
struct StageSection<'c> {
    name: &'c str,
    kind: &'static str,
    to: Cow<'c, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    macs: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<MacAddress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination: Option<MacAddress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other: Option<Cow<'c, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    addresses: Option<&'c [IpAddr]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    any_address: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    udp_echo: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sampled: Option<Cow<'c, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    every: Option<u32>,
}

impl<'c> StageSection<'c> {
    fn of(config: &'c Config, stage: &'c crate::Stage) -> Self {
        let bare = |kind: Kind, to: Edge| Self {
            name: &stage.name,
            kind: kind.word(),
            to: config.edge_text(to),
            macs: None,
            source: None,
            destination: None,
            other: None,
            addresses: None,
            any_address: None,
            udp_echo: None,
            sampled: None,
            every: None,
        };
        match &stage.kind {
            StageKind::Cross { to, macs } => {
                let (word, source, destination) = match *macs {
                    Macs::Keep => (MacsWord::Keep, None, None),
                    Macs::Swap => (MacsWord::Swap, None, None),
                    Macs::Rewrite { source, destination } => {
                        (MacsWord::Rewrite, source, destination)
                    }
                };
                Self { macs: Some(word.word()), source, destination, ..bare(Kind::Cross, *to) }
            }
            StageKind::Reflect { to, other, addresses, any_address, udp_echo } => Self {
                other: Some(config.edge_text(*other)),
                addresses: Some(addresses),
                any_address: Some(*any_address),
                udp_echo: Some(*udp_echo),
                ..bare(Kind::Reflect, *to)
            },
            StageKind::Count { to } => bare(Kind::Count, *to),
            StageKind::Sample { to, sampled, every } => Self {
                sampled: Some(config.edge_text(*sampled)),
                every: Some(*every),
                ..bare(Kind::Sample, *to)
            },
        }
    }
}

impl<T: Serialize> Serialize for Auto<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Set(value) => value.serialize(serializer),
        }
    }
}

impl Serialize for Device {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Huge {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl Serialize for LogFormat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl Serialize for TuneProfile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

impl Serialize for Wish {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Apply => "apply",
            Self::Skip => "skip",
            Self::Value(value) => value,
        })
    }
}
