//! What DPDK is started with: a pure function of the plan.

use config::{Device, Huge};

use crate::plan::Plan;

/// The EAL's arguments, without a program name. `prefix` keeps two daemons on one machine apart.
///
/// `--in-memory` leaves no hugepage files behind, whatever ends the process. DPDK refuses it together with `--no-huge`
/// (which is legacy memory), where `--no-shconf` does the same: nothing is left in the file system.
pub fn eal_args(plan: &Plan, prefix: &str) -> Vec<String> {
    let mut args = vec![format!("--file-prefix={prefix}"), "--no-telemetry".to_owned()];
    // One lcore for the EAL's own main thread, free to run on any housekeeping CPU. Workers register themselves.
    args.push(format!("--lcores=0@({})", plan.housekeeping()));
    match plan.memory.huge {
        Huge::None => {
            args.extend(["--no-huge".to_owned(), "--no-shconf".to_owned()]);
            // A short option takes its value apart from it: `-m=70` would be read as none, and mean 64 MiB.
            let asked = plan.memory.reserve_mib.iter().map(|&(_, mib)| u64::from(mib)).sum();
            args.extend(["-m".to_owned(), plan.memory.needed_mib.max(asked).to_string()]);
        }
        Huge::M2 | Huge::G1 => {
            args.push("--in-memory".to_owned());
            if !plan.memory.reserve_mib.is_empty() {
                args.push(format!("--socket-mem={}", socket_mem(&plan.memory.reserve_mib)));
            }
        }
    }
    let mut has_pci = false;
    let mut has_sharing = false;
    for port in &plan.ports {
        has_sharing |= shares_memory(&port.device);
        match &port.device {
            Device::Pci(address) => {
                has_pci = true;
                args.push(format!("--allow={address}"));
            }
            Device::Vdev { name, args: own } => {
                let comma = if own.is_empty() { "" } else { "," };
                args.push(format!("--vdev={name}{comma}{own}"));
            }
        }
    }
    if !has_pci {
        args.extend(["--no-pci".to_owned(), "--iova-mode=va".to_owned()]);
    }
    if has_sharing && plan.memory.huge != Huge::None {
        // The other side gets file descriptors, of which the protocol passes few.
        args.push("--single-file-segments".to_owned());
    }
    args
}

/// Whether another process maps the packet memory to serve the device.
pub fn shares_memory(device: &Device) -> bool {
    match device {
        Device::Pci(_) => false,
        Device::Vdev { name, .. } => {
            name.starts_with("net_virtio_user") || name.starts_with("net_vhost")
        }
    }
}

/// MiB for each node from 0 on, as the EAL wants it.
fn socket_mem(reserve: &[(config::NumaNode, u32)]) -> String {
    let last = reserve.iter().map(|(node, _)| node.0).max().unwrap_or(0);
    let of = |node| reserve.iter().find(|(n, _)| n.0 == node).map_or(0, |&(_, mib)| mib);
    (0..=last).map(|node| of(node).to_string()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Facts;

    /// The arguments for a file on one of the saved machines.
    fn on(machine: &str, text: &str) -> String {
        let config = config::parse(text, "t.toml").unwrap();
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/sysroots");
        let root = linux::Root::at(format!("{root}/{machine}")).unwrap();
        let facts = Facts::read(&root, &config).unwrap();
        eal_args(&Plan::new(&config, &facts).unwrap(), "test").join(" ")
    }

    fn wire(memory: &str, north: &str, south: &str) -> String {
        format!(
            "[memory]\n{memory}\n\
             [[port]]\nname = \"north\"\ndevice = \"{north}\"\ninput = \"s\"\n\
             [[port]]\nname = \"south\"\ndevice = \"{south}\"\ninput = \"s\"\n\
             [[stage]]\nname = \"s\"\nkind = \"cross\"\nto = \"tx:south\"\n"
        )
    }

    #[test]
    fn without_hugepages_the_memory_has_a_size_and_nothing_is_left_in_the_file_system() {
        let config = wire("huge = \"none\"", "vdev:net_null0", "vdev:net_pcap1,tx_pcap=o.pcap");
        assert_eq!(
            on("vm-2-cpus", &config),
            "--file-prefix=test --no-telemetry --lcores=0@(0) --no-huge --no-shconf -m 70 --vdev=net_null0 \
             --vdev=net_pcap1,tx_pcap=o.pcap --no-pci --iova-mode=va"
        );
    }

    #[test]
    fn without_hugepages_more_memory_than_needed_can_be_asked_for() {
        let config =
            wire("huge = \"none\"\nper_node_mib = 512", "vdev:net_null0", "vdev:net_null1");
        assert!(on("vm-2-cpus", &config).contains(" -m 512 "));
    }

    #[test]
    fn pci_ports_are_allowed_one_by_one_and_memory_is_reserved_on_their_node() {
        let config = wire("per_node_mib = 512", "0000:3b:00.0", "0000:3b:00.1");
        let args = on("two-socket-smt", &config);
        assert!(args.contains("--in-memory --socket-mem="), "{args}");
        assert!(args.contains("--allow=0000:3b:00.0 --allow=0000:3b:00.1"), "{args}");
        assert!(!args.contains("--no-pci"), "{args}");
    }

    #[test]
    fn memory_that_another_process_maps_is_in_few_files() {
        let config = wire("", "vdev:net_virtio_user0,path=/tmp/v.sock", "vdev:net_null0");
        assert!(on("vm-2-cpus", &config).ends_with("--single-file-segments"));
    }
}
