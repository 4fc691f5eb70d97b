//! What can be changed on a machine: the vocabulary that reports, plans and journals share.

use std::collections::BTreeMap;

use config::{CpuSet, NumaNode, PciAddress};
use serde::{Deserialize, Serialize};

/// One change, as it is meant; how it is written, read back and undone is the executor's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Change {
    /// A sysctl, now and at every boot.
    Sysctl {
        /// Its dotted name: `vm.swappiness`.
        key: String,
        /// The value.
        value: String,
    },
    /// A file of the kernel, now and (by `barewire-tune apply --boot`) at every boot.
    Kernel {
        /// The file, from the root, without a slash in front: `sys/kernel/mm/ksm/run`.
        path: String,
        /// What to write.
        value: String,
        /// How what is read back compares with it.
        form: Form,
    },
    /// A parameter of the kernel command line.
    BootParameter {
        /// Its name: `isolcpus`.
        key: String,
        /// What it should be.
        value: BootValue,
    },
    /// A file that is ours as a whole.
    File {
        /// Where, from the root, without a slash in front: `etc/modprobe.d/90-barewire.conf`.
        path: String,
        /// All of it.
        content: String,
    },
    /// One `KEY=value` line in a file that belongs to the administrator.
    Setting {
        /// The file, from the root, without a slash in front: `etc/default/irqbalance`.
        path: String,
        /// The key.
        key: String,
        /// The value.
        value: String,
    },
    /// Something that ethtool sets.
    Ethtool {
        /// The interface.
        interface: String,
        /// What of it.
        setting: EthtoolSetting,
    },
    /// What systemd does with a unit.
    Unit {
        /// The unit: `ksmtuned.service`.
        unit: String,
        /// What it should be.
        state: UnitState,
    },
    /// The CPUs that a thread may run on.
    Affinity {
        /// The thread's number.
        thread: u32,
        /// Its name, so that another thread of that number is not touched.
        name: String,
        /// The CPUs.
        cpus: CpuSet,
    },
    /// A cgroup-v2 cpuset partition that is isolated.
    Partition {
        /// The CPUs in it.
        cpus: CpuSet,
    },
    /// Hugepages of a node, at run time.
    Hugepages {
        /// The node; none for the machine.
        node: Option<NumaNode>,
        /// Their size, in KiB.
        size_kib: u32,
        /// How many there should be.
        count: u64,
    },
    /// The driver of a PCI function.
    Driver {
        /// The function.
        device: PciAddress,
        /// The driver.
        driver: String,
    },
}

/// How two texts of a kernel file compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// Byte by byte, without white space at the ends.
    Text,
    /// As whole numbers.
    Number,
    /// As lists of CPUs: `0-3` is `0,1,2,3`.
    CpuList,
    /// As masks of CPUs: `f` is `00000000,0000000f`.
    CpuMask,
    /// The word in brackets: `always [madvise] never` is `madvise`.
    Choice,
    /// Yes or no: `Y` is `1`.
    Flag,
}

/// What a kernel parameter should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootValue {
    /// There, without a value: `nosmt`.
    Flag,
    /// There, with this value.
    Is(String),
    /// Not there.
    Absent,
}

/// What ethtool sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EthtoolSetting {
    /// Descriptors of the rings (`-G`).
    Rings {
        /// Receive.
        rx: Option<u32>,
        /// Transmit.
        tx: Option<u32>,
    },
    /// Interrupt coalescing (`-C`).
    Coalesce {
        /// `adaptive-rx`, `adaptive-tx`.
        adaptive: Option<bool>,
        /// `rx-usecs`, in µs.
        rx_usecs: Option<u32>,
        /// `tx-usecs`, in µs.
        tx_usecs: Option<u32>,
    },
    /// Combined channels (`-L`).
    Channels {
        /// How many.
        combined: u32,
    },
    /// Features (`-K`), by ethtool's short name: `lro`, `gro`.
    Features(BTreeMap<String, bool>),
    /// Pause frames (`-A`).
    Pause {
        /// Receive.
        rx: bool,
        /// Transmit.
        tx: bool,
    },
    /// Energy-efficient Ethernet (`--set-eee`).
    Eee(bool),
}

/// What a unit should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitState {
    /// Stopped, and not started at boot.
    Disabled,
    /// Started, and at boot.
    Enabled,
    /// Restarted if it runs.
    Restarted,
}

impl Change {
    /// Does it only count after a reboot?
    #[must_use]
    pub fn needs_reboot(&self) -> bool {
        matches!(self, Self::BootParameter { .. })
    }
}
