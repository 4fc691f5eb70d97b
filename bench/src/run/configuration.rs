//! What barewired is told to do in an arm.

use std::path::Path;

use config::CpuId;

use super::arm::{Driver, Group};
use crate::peer::case::{Cpus, Memory, Settings};

/// What both DPDK programs are set to. Ordinary pages: nothing of them can be left behind, and a veth pair copies anyway.
pub const SETTINGS: Settings =
    Settings { memory: Memory::Ordinary, burst: 32, descriptors: 1024, buffers: 8192, cache: 256 };

/// barewired's configuration for a group's work, on these interfaces or sockets.
#[must_use]
pub fn configuration(
    group: Group,
    driver: Driver,
    places: &[String],
    cpus: Cpus,
    workers: &[CpuId],
    socket: &Path,
) -> String {
    let Settings { burst, descriptors, buffers, .. } = SETTINGS;
    let queues = workers.len();
    let names = ["north", "south"];
    let ports = places.iter().zip(names).enumerate().map(|(number, (place, name))| {
        let device = driver.device(number, place);
        let pairs = match driver {
            Driver::AfPacket if queues > 1 => format!(",qpairs={queues}"),
            _ => String::new(),
        };
        format!(
            "[[port]]\nname = \"{name}\"\ndevice = \"vdev:{device}{pairs}\"\nrx_queues = {queues}\n\
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
        Group::Reflect | Group::Tap | Group::Shared | Group::External | Group::Null => {
            "[[stage]]\nname = \"north-in\"\nkind = \"reflect\"\n\
            any_address = true\nto = \"tx:north\"\n"
                .to_owned()
        }
    };
    let workers: Vec<String> = workers.iter().map(CpuId::to_string).collect();
    format!(
        "[cores]\nhousekeeping = \"{}\"\nworkers = \"{}\"\n\n\
         [memory]\nhuge = \"none\"\nbuffers = {buffers}\n\n{ports}\n{stages}\n\
         [pipeline]\nmode = \"run-to-completion\"\nburst = {burst}\n\n\
         [latency]\nstall_log = 65536\n\n\
         [control]\nsocket = \"{}\"\nlink_timeout = \"5s\"\n\n[log]\nlevel = \"warn\"\n",
        cpus.other,
        workers.join(","),
        socket.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configuration_is_valid() {
        let cpu = |number| CpuId::new(number).unwrap();
        let cpus = Cpus { measured: cpu(1), other: CpuId::ZERO };
        for (group, driver, places) in [
            (Group::Reflect, Driver::AfPacket, vec!["dut0"]),
            (Group::Forward, Driver::AfXdp, vec!["dut0", "dut1"]),
            (Group::Tap, Driver::Tap, vec!["tap0"]),
            (Group::Shared, Driver::VirtioUser, vec!["/mnt/a.sock"]),
        ] {
            for workers in [vec![cpu(1)], vec![cpu(1), cpu(2)]] {
                let places: Vec<String> = places.iter().map(|place| (*place).into()).collect();
                let socket = Path::new("/mnt/control.sock");
                let text = configuration(group, driver, &places, cpus, &workers, socket);
                let config = config::parse(&text, "bench.toml")
                    .unwrap_or_else(|errors| panic!("{errors}\n{text}"));
                assert_eq!(config.ports.len(), places.len());
                assert!(config.latency.histograms);
            }
        }
    }
}
