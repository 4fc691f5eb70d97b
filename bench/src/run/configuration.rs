//! What barewired is told to do in an arm.

use std::path::Path;

use super::{
    arm::{Driver, Group},
    link::cabling,
};
use crate::peer::case::{Cpus, Memory, Settings};

/// What both DPDK programs are set to. Ordinary pages: nothing of them can be left behind, and a veth pair copies anyway.
pub const SETTINGS: Settings =
    Settings { memory: Memory::Ordinary, burst: 32, descriptors: 1024, buffers: 8192, cache: 256 };

/// barewired's configuration for a group's work.
#[must_use]
pub fn configuration(group: Group, driver: Driver, cpus: Cpus, socket: &Path) -> String {
    let Settings { burst, descriptors, buffers, .. } = SETTINGS;
    let interfaces = cabling(group).theirs();
    let names = ["north", "south"];
    let ports = interfaces.iter().zip(names).enumerate().map(|(number, (interface, name))| {
        let device = driver.device(number, interface);
        format!(
            "[[port]]\nname = \"{name}\"\ndevice = \"vdev:{device}\"\nrx_queues = 1\n\
             rx_ring = {descriptors}\ntx_ring = {descriptors}\ninput = \"{name}-in\"\n"
        )
    });
    let ports: String = ports.collect();
    let cross = |from: &str, to: &str| {
        format!(
            "[[stage]]\nname = \"{from}-in\"\nkind = \"cross\"\nmacs = \"keep\"\nto = \"tx:{to}\"\n"
        )
    };
    let stages = match group {
        Group::Forward => cross("north", "south") + &cross("south", "north"),
        Group::Reflect | Group::Null => "[[stage]]\nname = \"north-in\"\nkind = \"reflect\"\n\
            any_address = true\nto = \"tx:north\"\n"
            .to_owned(),
    };
    let Cpus { measured, other } = cpus;
    format!(
        "[cores]\nhousekeeping = \"{other}\"\nworkers = \"{measured}\"\n\n\
         [memory]\nhuge = \"none\"\nbuffers = {buffers}\n\n{ports}\n{stages}\n\
         [pipeline]\nmode = \"run-to-completion\"\nburst = {burst}\n\n\
         [latency]\nstall_log = 65536\n\n[control]\nsocket = \"{}\"\nlink_timeout = \"5s\"\n\n[log]\nlevel = \"warn\"\n",
        socket.display()
    )
}

#[cfg(test)]
mod tests {
    use config::CpuId;

    use super::*;

    #[test]
    fn every_configuration_is_valid() {
        let cpus = Cpus { measured: CpuId::new(1).unwrap(), other: CpuId::ZERO };
        for group in [Group::Reflect, Group::Forward] {
            for driver in [Driver::AfPacket, Driver::AfXdp] {
                let text = configuration(group, driver, cpus, Path::new("/mnt/control.sock"));
                let config = config::parse(&text, "bench.toml")
                    .unwrap_or_else(|errors| panic!("{errors}\n{text}"));
                assert_eq!(config.ports.len(), cabling(group).theirs().len());
                assert!(config.latency.histograms);
            }
        }
    }
}
