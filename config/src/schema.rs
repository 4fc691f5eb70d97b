//! The file as it is written: every section and key, what it takes, its default, and what changing it costs.
//!
//! The comments of the keys are also the manual: [`crate::reference`] hands them out.

use std::net::IpAddr;

use ipnet::IpNet;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    Auto, CheckId, Device, Huge, KeyHelp, LogFormat, MacAddress, Mode, NumaNode, TuneProfile,
    diagnostic::{Place, Report},
    section::{Item, Section, read_list, read_section, section, unknown_key},
    tune::{Interface, Wishes},
    value::{
        Cpus, EdgeText, Field, Group, InputText, Kind, List, LogFilter, MacsWord, Name, PowerOfTwo,
        SocketPath, Time, Value as _, Whole,
    },
};

/// Ports in one file: `RTE_MAX_ETHPORTS` of the packaged DPDK.
pub(crate) const MAX_PORTS: usize = 32;
/// Stages in one file.
pub(crate) const MAX_STAGES: usize = 256;

const SECOND: u64 = 1_000_000;

/// The whole file.
#[derive(Debug)]
pub(crate) struct File {
    pub(crate) cores: Cores,
    pub(crate) memory: Memory,
    pub(crate) ports: Vec<Item<Port>>,
    pub(crate) pipeline: Pipeline,
    pub(crate) stages: Vec<Item<Stage>>,
    pub(crate) latency: Latency,
    pub(crate) control: Control,
    pub(crate) log: Log,
    pub(crate) tune: Tune,
}

impl File {
    const KEYS: &'static [&'static str] =
        &["cores", "memory", "port", "pipeline", "stage", "latency", "control", "log", "tune"];

    /// Read every section, and report what is wrong in each.
    pub(crate) fn read(table: &DeTable<'_>, report: &mut Report<'_>) -> Self {
        for (key, _) in table {
            let name: &str = key.get_ref();
            if !Self::KEYS.contains(&name) {
                unknown_key(&Place::Top, key, Self::KEYS, report);
            }
        }
        Self {
            cores: read_section("cores", table.get("cores"), report),
            memory: read_section("memory", table.get("memory"), report),
            ports: read_list("port", table.get("port"), MAX_PORTS, report),
            pipeline: read_section("pipeline", table.get("pipeline"), report),
            stages: read_list("stage", table.get("stage"), MAX_STAGES, report),
            latency: read_section("latency", table.get("latency"), report),
            control: read_section("control", table.get("control"), report),
            log: read_section("log", table.get("log"), report),
            tune: read_section("tune", table.get("tune"), report),
        }
    }
}

/// Every key of the configuration file, section by section, for manuals and `--help`.
#[must_use]
pub fn reference() -> Vec<KeyHelp> {
    [
        Cores::help(),
        Memory::help(),
        Port::help(),
        Pipeline::help(),
        Stage::help(),
        Latency::help(),
        Control::help(),
        Log::help(),
        Tune::help(),
    ]
    .concat()
}

section! {
    /// `[cores]`: which CPUs do what.
    "[cores]" Cores {
        /// CPUs for everything that is not a worker: the control plane, the logs, the EAL's own threads.
        ///
        /// Default `"auto"`: every CPU that is not a worker's core. Naming few of them keeps noise away from the
        /// workers; one will do for the control plane, which is one thread.
        /// ```toml
        /// housekeeping = "0-1"
        /// ```
        housekeeping: Auto<Cpus>,
        /// CPUs for workers, one worker each, which turn their poll loop at 100 % for as long as the daemon runs.
        ///
        /// Default `"auto"`: whole cores on the ports' NUMA node, isolated ones first, never CPU 0. A list is taken as
        /// it is; a CPU on another node costs each packet a trip over the socket interconnect.
        /// ```toml
        /// workers = "2-5"
        /// ```
        workers: Auto<Cpus>,
        /// How many workers to place when `workers` is `"auto"`: 1 to 128.
        ///
        /// Default `"auto"`: as many as the mode and the ports need on this machine. Each one takes a whole core from
        /// the rest of the machine; more workers than receive queues have nothing to do.
        /// ```toml
        /// count = 2
        /// ```
        count: Auto<Whole<1, 128>>,
        /// Refuse worker CPUs that are not isolated, or not local to their port, instead of warning.
        ///
        /// Default `false`, for the first start on a new machine. With `true` a machine that lost its boot parameters
        /// does not forward at all, rather than with a bad tail.
        /// ```toml
        /// strict = true
        /// ```
        strict: bool,
    }
}

section! {
    /// `[memory]`: hugepages and packet buffers.
    "[memory]" Memory {
        /// The page size that packet memory comes from: `"2M"`, `"1G"` or `"none"`.
        ///
        /// Default `"2M"`. 1 GiB pages spare TLB misses on large pools and have to be reserved at boot; `"none"` takes
        /// ordinary pages and runs anywhere, but costs TLB misses and can not serve most NICs.
        /// ```toml
        /// huge = "1G"
        /// ```
        huge: Huge,
        /// Packet memory for each NUMA node in use, in MiB: 16 to 1048576.
        ///
        /// Default `"auto"`: what the buffers need. More is taken from the node's hugepages and idle; with
        /// `huge = "none"`, whose memory can not grow later, it is room for a restart of the ports with other buffers.
        /// ```toml
        /// per_node_mib = 512
        /// ```
        per_node_mib: Auto<Whole<16, 1_048_576>>,
        /// Packet buffers for each NUMA node in use, and there for each size of buffers: 512 to 16777216, about 2.3 KiB
        /// each at an MTU of 1500.
        ///
        /// Default `"auto"`: every descriptor and ring full at once, with room for bursts in flight. Fewer show in
        /// the ports' `rx_nombuf` under load; many more fall out of the caches.
        /// ```toml
        /// buffers = 32768
        /// ```
        buffers: Auto<Whole<512, 16_777_216>>,
    }
}

section! {
    /// `[[port]]`: one device that frames come from and go to; up to 32.
    "[[port]]" Port {
        /// The name that stages, statistics and metrics use. Required, and not used twice.
        ///
        /// No default. Changing it starts new time series in whatever collects the metrics.
        /// ```toml
        /// name = "north"
        /// ```
        name: Name,
        /// What is behind the port: a PCI address, or `vdev:` with what DPDK's `--vdev` takes. Required.
        ///
        /// No default. A PCI device has to be bound to vfio-pci (or belong to a bifurcated driver such as mlx5); the
        /// kernel does not see a bound device any more. Paths in a vdev's arguments are relative to the daemon's
        /// working directory.
        /// ```toml
        /// device = "0000:3b:00.0"
        /// # or: device = "vdev:net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap"
        /// # or: device = "vdev:net_af_xdp0,iface=eth1"
        /// ```
        device: Device,
        /// Receive queues: 1 to 128.
        ///
        /// Default `"auto"`: one for each worker that receives, as far as the device offers them. A queue without a
        /// worker of its own makes one worker poll two queues.
        /// ```toml
        /// rx_queues = 4
        /// ```
        rx_queues: Auto<Whole<1, 128>>,
        /// Transmit queues: 1 to 128.
        ///
        /// Default `"auto"`: one for each worker that transmits, so that none waits for another.
        /// ```toml
        /// tx_queues = 4
        /// ```
        tx_queues: Auto<Whole<1, 128>>,
        /// Descriptors of each receive queue: 32 to 32768.
        ///
        /// Default `"auto"`: what the driver recommends. A longer ring loses fewer frames when a worker is stalled (1024
        /// descriptors hold 69 µs of 64-byte frames at 10 Gb/s), and costs cache and worst-case latency.
        /// ```toml
        /// rx_ring = 1024
        /// ```
        rx_ring: Auto<Whole<32, 32_768>>,
        /// Descriptors of each transmit queue: 32 to 32768.
        ///
        /// Default `"auto"`: what the driver recommends. A longer ring hides a slow link behind more latency.
        /// ```toml
        /// tx_ring = 1024
        /// ```
        tx_ring: Auto<Whole<32, 32_768>>,
        /// The largest IP packet, in bytes, without Ethernet header and FCS: 68 to 9600.
        ///
        /// Default `1500`. Above 2026 every buffer grows, so the pool takes more memory. Frames that are longer are
        /// refused by the device and counted there, as far as it has such a limit; both ports of a wire should have the
        /// same.
        /// ```toml
        /// mtu = 9000
        /// ```
        mtu: Whole<68, 9600>,
        /// Receive frames for any destination MAC address.
        ///
        /// Default `true`, which a wire needs. With `false` the device filters, and only frames for its own address,
        /// broadcasts and multicasts arrive.
        /// ```toml
        /// promiscuous = false
        /// ```
        promiscuous: bool,
        /// The addresses that a `reflect` stage behind this port answers for, up to 64, with their prefix length.
        ///
        /// Default `[]`: none. They are not the kernel's: no interface shows them.
        /// ```toml
        /// addresses = ["192.0.2.1/24", "2001:db8::1/64"]
        /// ```
        addresses: List<IpNet, 64>,
        /// The first stage for frames received here, or `"none"` for a port that only transmits. Required.
        ///
        /// No default, since a forgotten input would lose every frame in silence. With `"none"` the port is not polled:
        /// its receive ring fills, and the device counts what it misses.
        /// ```toml
        /// input = "north-in"
        /// ```
        input: InputText,
        /// The NUMA node to place the port's workers and memory on: 0 to 1023.
        ///
        /// Default `"auto"`: what the device says; a virtual device says nothing, and gets the workers' node. A wrong
        /// node costs every packet a trip over the socket interconnect.
        /// ```toml
        /// numa_node = 1
        /// ```
        numa_node: Auto<NumaNode>,
    }
}

section! {
    /// `[pipeline]`: how the work is spread over the workers.
    "[pipeline]" Pipeline {
        /// `"run-to-completion"`: each worker receives, processes and transmits. `"staged"`: receiving, processing and
        /// transmitting workers, joined by rings.
        ///
        /// Default `"run-to-completion"`, which has the lower latency. `"staged"` spreads one queue's work over several
        /// cores, for one ring's latency more.
        /// ```toml
        /// mode = "staged"
        /// ```
        mode: Mode,
        /// Frames asked of a receive queue at once: 1 to 64.
        ///
        /// Default `32`. Fewer make the first frame of a burst wait less, and cost throughput per core; no burst waits
        /// until it is full.
        /// ```toml
        /// burst = 16
        /// ```
        burst: Whole<1, 64>,
        /// Entries of each ring between workers in staged mode, a power of two from 64 to 65536.
        ///
        /// Default `1024`. A full ring drops (and counts) what does not fit; a longer one takes longer to drain, which
        /// shows as latency, and more buffers.
        /// ```toml
        /// ring_capacity = 4096
        /// ```
        ring_capacity: PowerOfTwo<64, 65_536>,
        /// How often a worker offers frames again to a full transmit queue before it drops and counts them: 0 to 1000.
        ///
        /// Default `8`. While it offers them again it receives nothing, so many retries move the loss from the transmit
        /// to the receive side, and every other port's frames wait.
        /// ```toml
        /// tx_retries = 0
        /// ```
        tx_retries: Whole<0, 1000>,
    }
}

section! {
    /// `[[stage]]`: one step of the packet's way; up to 256. An edge (`to`, `other`, `sampled`) leads to another stage, to `tx:<port>`, or to `drop`.
    "[[stage]]" Stage {
        /// The name that edges and statistics use. Required, and not used twice.
        ///
        /// No default. `drop`, `none` and `auto` have meanings of their own.
        /// ```toml
        /// name = "north-in"
        /// ```
        name: Name,
        /// What the stage does. Required.
        ///
        /// `"cross"`: a wire; takes `to`, `macs`, `source`, `destination`. `"reflect"`: answers ARP, neighbour
        /// discovery, ping and UDP; takes `to`, `other`, `addresses`, `any_address`, `udp_echo`. `"count"`: counts by kind
        /// of traffic; takes `to`. `"sample"`: sends one frame of every `every` another way; takes `to`, `sampled`,
        /// `every`. No default.
        /// ```toml
        /// kind = "cross"
        /// ```
        kind: Kind,
        /// Where frames go next; for `reflect`, where its answers go. Required.
        ///
        /// No default.
        /// ```toml
        /// to = "tx:south"
        /// ```
        to: EdgeText,
        /// What `cross` does to MAC addresses: `"keep"`, `"swap"` source and destination, or `"rewrite"`.
        ///
        /// Default `"keep"`, which does not touch the frame's memory at all; the others cost a cache line per frame.
        /// ```toml
        /// macs = "rewrite"
        /// ```
        macs: MacsWord,
        /// The new source MAC address with `macs = "rewrite"`; not a group address.
        ///
        /// No default: left as it is.
        /// ```toml
        /// source = "02:00:00:00:00:01"
        /// ```
        source: MacAddress,
        /// The new destination MAC address with `macs = "rewrite"`.
        ///
        /// No default: left as it is.
        /// ```toml
        /// destination = "02:00:00:00:00:02"
        /// ```
        destination: MacAddress,
        /// Where `reflect` sends frames that it does not answer.
        ///
        /// Default `"drop"`.
        /// ```toml
        /// other = "to-south"
        /// ```
        other: EdgeText,
        /// The addresses that `reflect` answers for, up to 64.
        ///
        /// Default `[]`: those of the ports whose frames reach the stage.
        /// ```toml
        /// addresses = ["192.0.2.1", "2001:db8::1"]
        /// ```
        addresses: List<IpAddr, 64>,
        /// Let `reflect` echo UDP and ping for any destination address, not only its own.
        ///
        /// Default `false`. For load tests: in a real network it would answer for other hosts.
        /// ```toml
        /// any_address = true
        /// ```
        any_address: bool,
        /// Let `reflect` send UDP datagrams back to where they came from.
        ///
        /// Default `true`. A UDP echo service can be abused to reflect forged traffic: `false` on a public network.
        /// ```toml
        /// udp_echo = false
        /// ```
        udp_echo: bool,
        /// Where `sample` sends the frames it picks. Required there. They are moved, not copied.
        ///
        /// No default.
        /// ```toml
        /// sampled = "tx:monitor"
        /// ```
        sampled: EdgeText,
        /// `sample` picks one frame of so many, on each worker: 1 to 4294967295. Required there.
        ///
        /// No default. A small number takes many frames from their usual way.
        /// ```toml
        /// every = 1000
        /// ```
        every: Whole<1, 4_294_967_295>,
    }
}

section! {
    /// `[latency]`: what is measured, and when a gap is a stall.
    "[latency]" Latency {
        /// Record residence and bound of every frame.
        ///
        /// Default `true`. `false` saves one or two nanoseconds a packet, and is there to measure just that.
        /// ```toml
        /// histograms = false
        /// ```
        histograms: bool,
        /// A gap between two polls of one worker longer than this is a stall: `"1us"` to `"1s"`.
        ///
        /// Default `"20us"`. A lower one records the machine's ordinary noise as well, and the log holds a shorter time.
        /// ```toml
        /// stall_threshold = "50us"
        /// ```
        stall_threshold: Time<1, SECOND>,
        /// How many stalls each worker remembers, a power of two from 16 to 65536; the oldest give way.
        ///
        /// Default `4096`, 40 bytes each.
        /// ```toml
        /// stall_log = 16384
        /// ```
        stall_log: PowerOfTwo<16, 65_536>,
        /// Look some ten times a second at what the kernel counts on the workers' CPUs, so that a stall's cause has a name.
        ///
        /// Default `true`. A housekeeping CPU does it, for less than a hundredth of its time; workers are not asked.
        /// ```toml
        /// stall_causes = false
        /// ```
        stall_causes: bool,
        /// Use the device's receive timestamps where the driver offers them.
        ///
        /// Default `true`. They turn the bound from an upper limit into a measurement; some devices receive a little
        /// slower with them.
        /// ```toml
        /// hardware_timestamps = false
        /// ```
        hardware_timestamps: bool,
    }
}

section! {
    /// `[control]`: the control socket, and how long starting and stopping may take.
    "[control]" Control {
        /// Path of the control socket, absolute, at most 107 bytes. A directory that is missing is made.
        ///
        /// Default `"/run/barewire/control.sock"`. `barewire` looks there unless told otherwise with `--socket`.
        /// ```toml
        /// socket = "/run/barewire/lab.sock"
        /// ```
        socket: SocketPath,
        /// The group that may use the socket, by its name in `/etc/group` or its number; the socket's mode is 0660.
        ///
        /// No default: the daemon's own group, `barewire` as a service. Who can use the socket can stop the daemon. The
        /// daemon can give the socket only to a group that it is in itself; under the service's `PrivateUsers=yes` only to
        /// its own, so another group takes a drop-in: `Group=` (and no `group` here), or `PrivateUsers=no` with
        /// `SupplementaryGroups=`.
        /// ```toml
        /// group = "barewire"
        /// ```
        group: Group,
        /// How long a stop, or a restart of the ports, may take to finish what is inside, before that is dropped and
        /// counted: `"10ms"` to `"5m"`.
        ///
        /// Default `"5s"`. It should be shorter than systemd's `TimeoutStopSec=`, which ends in SIGKILL.
        /// ```toml
        /// stop_timeout = "2s"
        /// ```
        stop_timeout: Time<10_000, { 300 * SECOND }>,
        /// How long to wait for the links before saying READY without them: `"0s"` to `"5m"`.
        ///
        /// Default `"2s"`. Some optics need longer; the daemon forwards as soon as a link is up, whatever was said. It may be
        /// longer than systemd's `TimeoutStartSec=`: who waits asks for more time.
        /// ```toml
        /// link_timeout = "10s"
        /// ```
        link_timeout: Time<0, { 300 * SECOND }>,
    }
}

section! {
    /// `[log]`: what is logged, and how. Nothing is ever logged per packet.
    "[log]" Log {
        /// `"off"`, `"error"`, `"warn"`, `"info"`, `"debug"` or `"trace"`, also for parts of the program.
        ///
        /// Default `"info"`: lifecycle and what someone should see. It can be changed while the daemon runs.
        /// ```toml
        /// level = "info,barewired::control=debug"
        /// ```
        level: LogFilter,
        /// `"text"` for people and the journal, `"json"` for collectors, one object a line.
        ///
        /// Default `"text"`.
        /// ```toml
        /// format = "json"
        /// ```
        format: LogFormat,
    }
}

section! {
    /// `[tune]`: how `barewire-tune` prepares the machine; the daemon does not look at it.
    "[tune]" Tune {
        /// What matters most: `"low-latency"`, `"throughput"` or `"balanced"`.
        ///
        /// Default `"low-latency"`: whatever disturbs a worker goes, and idle CPUs stay awake, which costs power on all
        /// of the machine. `"throughput"` leaves batching and offloads as they are; `"balanced"` isolates the workers
        /// but lets the rest of the machine save power.
        /// ```toml
        /// profile = "balanced"
        /// ```
        profile: TuneProfile,
        /// Interfaces that are the operators' way in, up to 64: never bound to another driver, and changed last, if at
        /// all.
        ///
        /// Default `[]`: those that the tuner finds by itself (default routes, the SSH session, what carries the root
        /// file system) are kept safe as well. Naming one too many costs nothing.
        /// ```toml
        /// management = ["eno1"]
        /// ```
        management: List<Interface, 64>,
        /// Checks whose change is made although it is known to do harm (`mitigations=off` and the like), up to 64.
        ///
        /// Default `[]`: such a change is refused, and the plan says so. Each check has to be named.
        /// ```toml
        /// i_want = ["SEC-01"]
        /// ```
        i_want: List<CheckId, 64>,
        /// What is to be done about single checks, by the id that a report prints: `"apply"`, `"skip"`, or a value.
        ///
        /// Default `{}`: what the profile says. `"apply"` also takes what experts disagree about and is otherwise left
        /// alone until a measurement decides; `"skip"` leaves a knob as it is, and its finding stays in the report; a
        /// value is set instead of the one that the check wants, at your own risk.
        /// ```toml
        /// set = { "CLK-05" = "apply", "MEM-13" = "skip", "MEM-14" = 1 }
        /// ```
        set: Wishes,
    }
}
