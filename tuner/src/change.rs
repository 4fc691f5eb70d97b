//! What can be changed on a machine: the vocabulary that reports, plans and journals share.

mod form;
mod quote;
mod shell;
mod state;

use std::collections::BTreeMap;

use config::{CpuSet, NumaNode, PciAddress};
use serde::{Deserialize, Serialize};

pub(crate) use self::shell::print;
pub use self::{
    quote::{comment, quote},
    shell::shell_all,
};
use crate::boot::{KernelArguments, MenuTool};

/// The cgroup of the isolated partition, from the root: a slice, so that systemd leaves it alone.
pub const PARTITION: &str = "sys/fs/cgroup/barewire.slice";
/// The file that keeps our sysctls over a reboot, from the root.
pub const SYSCTL_FILE: &str = "etc/sysctl.d/90-barewire.conf";

/// One change, as it is meant.
///
/// What it finds and leaves is [`Change::current`] and [`Change::wanted`], compared by [`Change::is_done`]; how a person
/// would do it is [`Change::shell`]. A check may ask for any of them. A [plan](crate::plan) has none that is two
/// writes: a [`Sysctl`](Self::Sysctl) becomes a [`Kernel`](Self::Kernel) write and one line in a [`File`](Self::File),
/// and all [`BootParameter`](Self::BootParameter)s together a file and a [`BootMenu`](Self::BootMenu), or
/// [`KernelArguments`](Self::KernelArguments).
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
    /// Arguments of the kernel that a program keeps.
    KernelArguments(KernelArguments),
    /// The boot menu is made anew from its files; undone by doing it again once they are restored.
    BootMenu {
        /// What makes it.
        tool: MenuTool,
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
    /// Word by word, numbers as numbers: `4096\t131072` is `4096 131072`.
    Words,
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
        match self {
            Self::BootParameter { .. } | Self::KernelArguments(_) | Self::BootMenu { .. } => true,
            Self::File { path, .. } => {
                path == crate::boot::grub::DROP_IN || path == "etc/kernel/cmdline"
            }
            Self::Sysctl { .. }
            | Self::Kernel { .. }
            | Self::Setting { .. }
            | Self::Ethtool { .. }
            | Self::Unit { .. }
            | Self::Affinity { .. }
            | Self::Partition { .. }
            | Self::Hugepages { .. }
            | Self::Driver { .. } => false,
        }
    }
}

impl UnitState {
    /// As it is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
            Self::Restarted => "restarted",
        }
    }
}

/// The file of a sysctl: dots and slashes change places, as sysctl(8) has it (`net.ipv4.conf.eth0/1.rp_filter`); a name
/// that begins with a slash-separated part is a path already.
#[must_use]
pub fn sysctl_path(key: &str) -> String {
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        c => c,
    };
    match key.find(['.', '/']).map(|at| key.as_bytes()[at]) {
        Some(b'/') => format!("proc/sys/{key}"),
        _ => format!("proc/sys/{}", key.chars().map(swap).collect::<String>()),
    }
}

/// The file that says how many hugepages there should be.
#[must_use]
pub fn hugepages_path(node: Option<NumaNode>, size_kib: u32) -> String {
    match node {
        Some(node) => format!(
            "sys/devices/system/node/node{node}/hugepages/hugepages-{size_kib}kB/nr_hugepages"
        ),
        None => format!("sys/kernel/mm/hugepages/hugepages-{size_kib}kB/nr_hugepages"),
    }
}

/// One `KEY=value` line as both a shell and systemd's `EnvironmentFile=` read it.
#[must_use]
pub fn setting_line(key: &str, value: &str) -> String {
    let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if quote(&value) == value {
        return format!("{key}={value}");
    }
    let mut escaped = String::new();
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    format!("{key}=\"{escaped}\"")
}
