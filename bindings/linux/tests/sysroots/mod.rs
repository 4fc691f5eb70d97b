//! The machines under `tests/fixtures/sysroots`: what is special about each, and the files that follow from it.
//!
//! The files are kept in the tree so that a person can look at them and any program can be pointed at them. They are
//! written by `cargo run -p linux --example sysroots`, and a test compares them with what is written here.

#![expect(clippy::unwrap_used, reason = "the numbers and lists are all written in this file")]

use std::collections::BTreeMap;

use config::{CpuId, CpuSet};

/// What is in a machine's directory, by path.
pub(crate) type Tree = BTreeMap<String, Entry>;

/// A file or a symbolic link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A file with this text.
    File(String),
    /// A link to this.
    Link(String),
}

/// A machine.
pub(crate) struct Shape {
    /// The name of its directory.
    pub(crate) name: &'static str,
    packages: u32,
    nodes: u32,
    caches_per_node: u32,
    cores_per_cache: u32,
    threads: u32,
    has_l3: bool,
    is_arm: bool,
    /// Distance between nodes of one package and of two.
    distances: (u32, u32),
    memoryless: &'static [u32],
    offline: &'static str,
    /// Isolated at boot.
    isolcpus: &'static str,
    /// Isolated by a cpuset partition, which is the daemon's own.
    partition: &'static str,
    /// 2 MiB pages on each node with memory.
    huge_2m: u64,
    /// 1 GiB pages on each node with memory.
    huge_1g: u64,
    ports: &'static [Port],
}

/// A network card's function.
struct Port {
    address: &'static str,
    ids: (&'static str, &'static str),
    node: Option<u32>,
    /// Empty for all CPUs.
    local_cpus: &'static str,
    driver: &'static str,
    netdev: Option<&'static str>,
}

const E810: (&str, &str) = ("0x8086", "0x1592");
const CONNECTX: (&str, &str) = ("0x15b3", "0x101d");
const VIRTIO: (&str, &str) = ("0x1af4", "0x1041");

const fn port(address: &'static str, ids: (&'static str, &'static str), node: u32) -> Port {
    Port { address, ids, node: Some(node), local_cpus: "", driver: "vfio-pci", netdev: None }
}

const PLAIN: Shape = Shape {
    name: "",
    packages: 1,
    nodes: 1,
    caches_per_node: 1,
    cores_per_cache: 4,
    threads: 1,
    has_l3: true,
    is_arm: false,
    distances: (12, 21),
    memoryless: &[],
    offline: "",
    isolcpus: "",
    partition: "",
    huge_2m: 1024,
    huge_1g: 0,
    ports: &[],
};

/// Every machine.
pub(crate) const SHAPES: &[Shape] = &[
    // Two Intel sockets; threads of core n are cpu n and n + 8. One card on each socket, nothing isolated.
    Shape {
        name: "two-socket-smt",
        packages: 2,
        nodes: 2,
        threads: 2,
        huge_1g: 4,
        ports: &[
            Port { driver: "ice", netdev: Some("ens1f0np0"), ..port("0000:3b:00.0", E810, 0) },
            Port { driver: "ice", netdev: Some("ens1f1np1"), ..port("0000:3b:00.1", E810, 0) },
            Port {
                driver: "mlx5_core",
                netdev: Some("ens5np0"),
                ..port("0000:af:00.0", CONNECTX, 1)
            },
        ],
        ..PLAIN
    },
    // One EPYC socket in four nodes of two caches each. The node of the card is isolated, threads and all.
    Shape {
        name: "epyc-nps4",
        nodes: 4,
        caches_per_node: 2,
        cores_per_cache: 2,
        threads: 2,
        isolcpus: "8-11,24-27",
        ports: &[port("0000:81:00.0", CONNECTX, 2), port("0000:81:00.1", CONNECTX, 2)],
        ..PLAIN
    },
    // One node, half of it isolated at boot.
    Shape {
        name: "one-node",
        cores_per_cache: 8,
        isolcpus: "4-7",
        ports: &[port("0000:01:00.0", E810, 0), port("0000:01:00.1", E810, 0)],
        ..PLAIN
    },
    // Both ports on the second socket. The daemon's unit is an isolated partition of two cores there and one more.
    Shape {
        name: "nic-on-node-1",
        packages: 2,
        nodes: 2,
        partition: "3,6-7",
        ports: &[port("0000:d8:00.0", E810, 1), port("0000:d8:00.1", E810, 1)],
        ..PLAIN
    },
    // The firmware names no node: of the first card nothing is known, the second has local CPUs on one node.
    Shape {
        name: "numa-node-unknown",
        packages: 2,
        nodes: 2,
        ports: &[
            Port { node: None, ..port("0000:05:00.0", E810, 0) },
            Port { node: None, local_cpus: "4-7", ..port("0000:06:00.0", E810, 0) },
        ],
        ..PLAIN
    },
    // A small virtual machine: no L3 in sight, a virtio card.
    Shape {
        name: "vm-2-cpus",
        cores_per_cache: 2,
        has_l3: false,
        huge_2m: 128,
        ports: &[Port {
            node: None,
            driver: "virtio-pci",
            netdev: Some("eth0"),
            ..port("0000:00:03.0", VIRTIO, 0)
        }],
        ..PLAIN
    },
    // The node of the card has CPUs and no memory.
    Shape {
        name: "memoryless-node",
        packages: 3,
        nodes: 3,
        cores_per_cache: 2,
        distances: (12, 20),
        memoryless: &[2],
        ports: &[port("0000:c1:00.0", E810, 2)],
        ..PLAIN
    },
    // Threads of core n are cpu n and n + 4; core 1 is off, and one thread of core 2.
    Shape {
        name: "offline-cpus",
        threads: 2,
        offline: "1,5-6",
        ports: &[port("0000:17:00.0", E810, 0)],
        ..PLAIN
    },
    // 64 Arm cores without threads, and no cache in sysfs.
    Shape {
        name: "arm-64",
        cores_per_cache: 64,
        has_l3: false,
        is_arm: true,
        isolcpus: "48-63",
        ports: &[port("0000:01:00.0", CONNECTX, 0)],
        ..PLAIN
    },
];

impl Shape {
    fn cores(&self) -> u32 {
        self.nodes * self.cores_per_node()
    }

    fn cores_per_node(&self) -> u32 {
        self.caches_per_node * self.cores_per_cache
    }

    fn all(&self) -> Vec<u32> {
        (0..self.cores() * self.threads).collect()
    }

    fn online(&self) -> CpuSet {
        set(self.all()).difference(&list(self.offline))
    }

    /// The online CPUs of which `of` says the same as of `cpu`.
    fn like(&self, cpu: u32, of: impl Fn(u32) -> u32) -> CpuSet {
        set(self.all().into_iter().filter(|&other| of(other) == of(cpu)))
            .intersection(&self.online())
    }

    fn core_of(&self, cpu: u32) -> u32 {
        cpu % self.cores()
    }

    fn node_of(&self, cpu: u32) -> u32 {
        self.core_of(cpu) / self.cores_per_node()
    }

    fn package_of_node(&self, node: u32) -> u32 {
        node * self.packages / self.nodes
    }

    fn node_cpus(&self, node: u32) -> CpuSet {
        set(self.all().into_iter().filter(|&cpu| self.node_of(cpu) == node))
            .intersection(&self.online())
    }

    fn has_memory(&self, node: u32) -> bool {
        !self.memoryless.contains(&node)
    }

    /// Every file of the machine.
    pub(crate) fn tree(&self) -> Tree {
        let mut tree = Files(Tree::new());
        self.cpus(&mut tree);
        self.numa(&mut tree);
        self.devices(&mut tree);
        self.proc(&mut tree);
        let cgroup = "sys/fs/cgroup";
        let service = "system.slice/barewired.service";
        tree.file("proc/self/cgroup", format!("0::/{service}"));
        tree.file(format!("{cgroup}/cgroup.controllers"), "cpuset cpu io memory pids");
        let partition = list(self.partition);
        // A partition takes its CPUs away from the groups above it.
        let effective = self.online().difference(&partition);
        tree.file(format!("{cgroup}/cpuset.cpus.effective"), effective);
        let isolated = list(self.isolcpus).union(&partition);
        tree.file(format!("{cgroup}/cpuset.cpus.isolated"), isolated);
        if !partition.is_empty() {
            tree.file(format!("{cgroup}/{service}/cpuset.cpus.partition"), "isolated");
            tree.file(format!("{cgroup}/{service}/cpuset.cpus.effective"), partition);
        }
        tree.0
    }

    fn cpus(&self, tree: &mut Files) {
        let dir = "sys/devices/system/cpu";
        let all = set(self.all());
        tree.file(format!("{dir}/possible"), &all);
        tree.file(format!("{dir}/present"), &all);
        tree.file(format!("{dir}/online"), self.online());
        tree.file(format!("{dir}/offline"), list(self.offline));
        tree.file(format!("{dir}/isolated"), list(self.isolcpus));
        tree.file(format!("{dir}/nohz_full"), list(self.isolcpus));
        for cpu in self.all() {
            let dir = format!("{dir}/cpu{cpu}");
            let is_online = self.online().contains(id(cpu));
            if cpu != 0 {
                tree.file(format!("{dir}/online"), u8::from(is_online));
            }
            if !is_online {
                continue;
            }
            let siblings = self.like(cpu, |cpu| self.core_of(cpu));
            let package = |cpu| self.package_of_node(self.node_of(cpu));
            let topology = format!("{dir}/topology");
            let core = self.core_of(cpu) % (self.cores() / self.packages);
            tree.file(format!("{topology}/core_id"), core);
            tree.file(format!("{topology}/physical_package_id"), package(cpu));
            tree.file(format!("{topology}/thread_siblings"), mask(&siblings, self));
            tree.file(format!("{topology}/thread_siblings_list"), siblings);
            tree.file(format!("{topology}/core_siblings"), mask(&self.like(cpu, package), self));
            if self.has_l3 {
                let sharers = self.like(cpu, |cpu| self.core_of(cpu) / self.cores_per_cache);
                let cache = format!("{dir}/cache/index3");
                tree.file(format!("{cache}/level"), 3);
                tree.file(format!("{cache}/type"), "Unified");
                tree.file(format!("{cache}/size"), "32768K");
                tree.file(format!("{cache}/shared_cpu_map"), mask(&sharers, self));
                tree.file(format!("{cache}/shared_cpu_list"), sharers);
            }
        }
    }

    fn numa(&self, tree: &mut Files) {
        let dir = "sys/devices/system/node";
        let with_memory = set((0..self.nodes).filter(|&node| self.has_memory(node)));
        tree.file(format!("{dir}/online"), set(0..self.nodes));
        tree.file(format!("{dir}/possible"), set(0..self.nodes));
        tree.file(format!("{dir}/has_memory"), &with_memory);
        for node in 0..self.nodes {
            let dir = format!("{dir}/node{node}");
            let memory = if self.has_memory(node) { 16 << 20 } else { 0 };
            let far = |to: u32| match (to, self.distances) {
                (to, _) if to == node => 10,
                (to, (near, _)) if self.package_of_node(to) == self.package_of_node(node) => near,
                (to, (_, far)) => far + to.abs_diff(node) - 1,
            };
            let distances: Vec<String> = (0..self.nodes).map(|to| far(to).to_string()).collect();
            tree.file(format!("{dir}/cpulist"), self.node_cpus(node));
            tree.file(format!("{dir}/cpumap"), mask(&self.node_cpus(node), self));
            tree.file(format!("{dir}/distance"), distances.join(" "));
            tree.file(
                format!("{dir}/meminfo"),
                format!(
                    "Node {node} MemTotal:       {memory:>8} kB\nNode {node} MemFree:        {:>8} kB",
                    memory / 2
                ),
            );
            if self.has_memory(node) {
                self.hugepages(tree, &format!("{dir}/hugepages"), 1, false);
            }
        }
        self.hugepages(tree, "sys/kernel/mm/hugepages", with_memory.len() as u64, true);
    }

    fn hugepages(&self, tree: &mut Files, dir: &str, nodes: u64, is_machine: bool) {
        let sizes = [(2048, self.huge_2m), (1024 * 1024, self.huge_1g)];
        for (size, pages) in sizes.into_iter().filter(|&(size, _)| size == 2048 || !self.is_arm) {
            let dir = format!("{dir}/hugepages-{size}kB");
            tree.file(format!("{dir}/nr_hugepages"), pages * nodes);
            tree.file(format!("{dir}/free_hugepages"), pages * nodes);
            tree.file(format!("{dir}/surplus_hugepages"), 0);
            if is_machine {
                tree.file(format!("{dir}/resv_hugepages"), 0);
            }
        }
    }

    fn devices(&self, tree: &mut Files) {
        for (index, port) in self.ports.iter().enumerate() {
            let dir = format!("sys/bus/pci/devices/{}", port.address);
            let local = match (port.local_cpus, port.node) {
                ("", Some(node)) => self.node_cpus(node),
                ("", None) => self.online(),
                (cpus, _) => list(cpus),
            };
            tree.file(format!("{dir}/class"), "0x020000");
            tree.file(format!("{dir}/vendor"), port.ids.0);
            tree.file(format!("{dir}/device"), port.ids.1);
            tree.file(
                format!("{dir}/numa_node"),
                port.node.map_or("-1".to_owned(), |node| node.to_string()),
            );
            tree.file(format!("{dir}/local_cpulist"), local);
            tree.link(format!("{dir}/driver"), format!("../../drivers/{}", port.driver));
            if port.driver == "vfio-pci" {
                tree.link(
                    format!("{dir}/iommu_group"),
                    format!("../../../../kernel/iommu_groups/{}", 40 + index),
                );
            }
            if let Some(name) = port.netdev {
                // The interface of a virtio function belongs to the virtio device on it.
                let is_virtio = port.ids == VIRTIO;
                let below = if is_virtio { "virtio0/net" } else { "net" };
                let device = if is_virtio { "virtio0" } else { port.address };
                let net = format!("{dir}/{below}/{name}");
                tree.file(format!("{dir}/uevent"), format!("PCI_SLOT_NAME={}", port.address));
                tree.link(
                    format!("sys/class/net/{name}"),
                    format!("../../bus/pci/devices/{}/{below}/{name}", port.address),
                );
                tree.link(format!("{net}/device"), format!("../../../{device}"));
                tree.file(format!("{net}/ifindex"), index + 2);
                tree.file(format!("{net}/address"), format!("02:00:00:00:00:{index:02x}"));
                tree.file(format!("{net}/mtu"), 1500);
                tree.file(format!("{net}/operstate"), "up");
                tree.file(format!("{net}/carrier"), 1);
                tree.file(format!("{net}/speed"), 100_000);
            }
        }
    }

    fn proc(&self, tree: &mut Files) {
        let isolation = match self.isolcpus {
            "" => String::new(),
            cpus => format!(" isolcpus=managed_irq,domain,{cpus} nohz_full={cpus}"),
        };
        tree.file(
            "proc/cmdline",
            format!("BOOT_IMAGE=/vmlinuz root=\"LABEL=root fs\" ro{isolation} quiet"),
        );
        let memory = (0..self.nodes).filter(|&node| self.has_memory(node)).count() << 24;
        tree.file(
            "proc/meminfo",
            format!("MemTotal:       {memory:>8} kB\nMemFree:        {:>8} kB", memory / 2),
        );
        tree.file(
            "proc/cpuinfo",
            if self.is_arm {
                "processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics"
            } else {
                "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu tsc pdpe1gb rdtscp constant_tsc nonstop_tsc"
            },
        );
        let online = self.online();
        let columns: Vec<String> =
            online.iter().map(|cpu| format!("{:>11}", format!("CPU{cpu}"))).collect();
        let row = |label: &str, what: &str, count: u32| {
            let counts: Vec<String> = online.iter().map(|_| format!("{count:>11}")).collect();
            format!("{label:>4}:{}  {what}", counts.concat())
        };
        tree.file(
            "proc/interrupts",
            [
                format!("     {}", columns.concat()),
                row("24", "IR-PCI-MSIX-0000:00:1f.2    0-edge      ahci[0000:00:1f.2]", 7),
                row("LOC", "Local timer interrupts", 1234),
            ]
            .join("\n"),
        );
    }
}

struct Files(Tree);

impl Files {
    fn file(&mut self, path: impl Into<String>, text: impl ToString) {
        self.0.insert(path.into(), Entry::File(format!("{}\n", text.to_string())));
    }

    fn link(&mut self, path: String, target: String) {
        self.0.insert(path, Entry::Link(target));
    }
}

fn id(cpu: u32) -> CpuId {
    CpuId::new(cpu).unwrap()
}

fn set(cpus: impl IntoIterator<Item = u32>) -> CpuSet {
    cpus.into_iter().map(id).collect()
}

fn list(text: &str) -> CpuSet {
    text.parse().unwrap()
}

/// As wide as the kernel prints it: a group of eight digits for each 32 possible CPUs.
fn mask(cpus: &CpuSet, shape: &Shape) -> String {
    let groups = (shape.cores() * shape.threads).div_ceil(32) as usize;
    let text = cpus.to_hex_mask();
    let have = text.split(',').count();
    let zeros = ["00000000"].repeat(groups.saturating_sub(have));
    let text = zeros.into_iter().chain(text.split(',')).collect::<Vec<_>>().join(",");
    // The first group is not wider than the CPUs need.
    let digits = (shape.cores() * shape.threads).div_ceil(4) as usize;
    if groups == 1 { text[8_usize.saturating_sub(digits.min(8))..].to_owned() } else { text }
}
