//! What the kernel does by itself, or what it is told before a path's program starts.

use linux::{Root, bpf::Attached};

use super::{
    arm::Arm,
    link::{self, BEHIND, BEHIND_ADDRESS, FIRST_ADDRESS, GENERATOR, SECOND_ADDRESS},
    own::{self, Namespace, OwnError},
    start::{Lab, StartError},
    xdp,
};

/// What came of it.
#[derive(Debug, Default)]
pub struct Prepared {
    /// A program at our end.
    pub attached: Option<Attached>,
    /// Threads of the kernel that do the path's work.
    pub threads: Vec<u32>,
}

/// Addresses, and what the kernel does by itself.
pub(super) fn prepare(lab: &Lab, inside: &Namespace, arm: Arm) -> Result<Prepared, StartError> {
    let mut prepared = Prepared::default();
    let ip = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        inside.command(&words).map(drop)
    };
    match arm {
        Arm::KernelEchoBlock | Arm::KernelEchoSpin | Arm::KernelEchoBusyPoll => {
            ip(&format!("ip addr add {FIRST_ADDRESS}/24 dev dut0"))?;
            ip(&format!(
                "ip neigh replace {} lladdr {GENERATOR} dev dut0 nud permanent",
                link::OUR_ADDRESS
            ))?;
            if arm == Arm::KernelEchoBusyPoll {
                polled(|words| inside.command(words), "dut0")?;
            }
        }
        // Frames that a driver's XDP sends go into a queue that the other end's NAPI context empties. For those that it sends
        // back, veth wakes that context only where a program sits as well (`veth_xdp_flush`): one that passes all.
        Arm::XdpTx => prepared.attached = Some(xdp::hold_open("gen0")?),
        Arm::XdpRedirect => polled(own::command, "gen1")?,
        Arm::KernelRoute | Arm::KernelRouteRps | Arm::KernelRouteThreaded => {
            ip(&format!("ip addr add {FIRST_ADDRESS}/24 dev dut0"))?;
            ip(&format!("ip addr add {SECOND_ADDRESS}/24 dev dut1"))?;
            ip(&format!(
                "ip neigh replace {BEHIND_ADDRESS} lladdr {BEHIND} dev dut1 nud permanent"
            ))?;
            inside.set("ipv4/ip_forward", "1")?;
            if arm == Arm::KernelRouteRps {
                let mask = mask(lab.cpus.measured.get());
                inside.set_interface("dut0/queues/rx-0/rps_cpus", &mask)?;
            }
            if arm == Arm::KernelRouteThreaded {
                prepared.threads = threaded(lab, inside)?;
            }
        }
        Arm::KernelBridge => {
            ip("ip link add br0 type bridge stp_state 0 forward_delay 0")?;
            for port in ["dut0", "dut1"] {
                ip(&format!("ip link set {port} master br0"))?;
                ip(&format!("ip link set {port} type bridge_slave learning off"))?;
            }
            ip(&format!("bridge fdb add {BEHIND} dev dut1 master static"))?;
            ip("ip link set br0 arp off up")?;
        }
        Arm::PacketEchoSpin
        | Arm::XdpSocketEchoSpin
        | Arm::TapEchoBlock
        | Arm::TapEchoSpin
        | Arm::BarewiredAfPacket
        | Arm::BarewiredAfXdp
        | Arm::BarewiredTap
        | Arm::BarewiredVirtio
        | Arm::TestpmdAfPacket
        | Arm::TestpmdAfXdp
        | Arm::TestpmdTap
        | Arm::TestpmdVirtio
        | Arm::External
        | Arm::Wire
        | Arm::Ring
        | Arm::Memory => {}
    }
    Ok(prepared)
}

/// A set of one CPU as the kernel reads it: words of 32 bits in base 16, the highest first.
fn mask(cpu: u32) -> String {
    let zeros = ",00000000".repeat(cpu as usize / 32);
    format!("{:x}{zeros}", 1_u32 << (cpu % 32))
}

/// Gives an end of a veth pair a NAPI context, which busy polling, threads and XDP from its other end take: GRO does
/// (`drivers/net/veth.c`, `veth_set_features`). Our datagrams are not joined by it.
fn polled(
    command: impl Fn(&[&str]) -> Result<String, OwnError>,
    interface: &str,
) -> Result<(), OwnError> {
    command(&["ethtool", "-K", interface, "gro", "on"]).map(drop)
}

/// Lets a kernel thread on the measured CPU do the work of `dut0`.
fn threaded(lab: &Lab, inside: &Namespace) -> Result<Vec<u32>, OwnError> {
    let before = napi_threads(&lab.root);
    polled(|words| inside.command(words), "dut0")?;
    inside.set_interface("dut0/threaded", "1")?;
    let mut threads = napi_threads(&lab.root);
    threads.retain(|thread| !before.contains(thread));
    for thread in &threads {
        let (cpu, thread) = (lab.cpus.measured.to_string(), thread.to_string());
        own::command(&["taskset", "-p", "-c", &cpu, &thread])?;
    }
    Ok(threads)
}

fn napi_threads(root: &Root) -> Vec<u32> {
    let names = root.names("proc").unwrap_or_default();
    let processes = names.iter().filter_map(|name| name.parse().ok());
    let is_one = |process: &u32| {
        root.text(&format!("proc/{process}/comm")).is_ok_and(|name| name.starts_with("napi/dut0-"))
    };
    processes.filter(is_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_one_cpu_is_written_as_the_kernel_reads_it() {
        assert_eq!(mask(1), "2");
        assert_eq!(mask(31), "80000000");
        assert_eq!(mask(32), "1,00000000");
        assert_eq!(mask(65), "2,00000000,00000000");
    }
}
