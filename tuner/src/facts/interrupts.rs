//! Interrupts and who serves them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read as _,
    os::unix::fs::PermissionsExt as _,
};

use config::CpuSet;
use linux::irq::{self, Affinity};
use serde::Serialize;

use crate::{Fact, Source, journal};

/// The most interrupts that are looked at: a machine with thousands of CPUs has some ten thousand.
const MOST: usize = 64 * 1024;
/// The most network interfaces that are looked at.
const MOST_INTERFACES: usize = 256;
/// The most that is read of a process's environment.
const ENVIRONMENT: u64 = 256 * 1024;
/// Where distributions keep the environment of irqbalance: Debian's and Red Hat's families.
pub const SETTINGS: [&str; 2] = ["etc/default/irqbalance", "etc/sysconfig/irqbalance"];

/// Interrupts and who serves them.
#[derive(Debug, Clone, Serialize)]
pub struct Interrupts {
    /// The CPUs that new interrupts are given.
    pub default_mask: Fact<CpuSet>,
    /// The interrupts that have a handler.
    pub all: Fact<Vec<Irq>>,
    /// The interrupts whose affinity nobody may write, as far as the kernel shows that (Linux 6.13 and later).
    pub fixed: Fact<BTreeSet<u32>>,
    /// Those of which this kernel said so when `apply` tried; absent when it never had to try.
    pub refused: Fact<BTreeSet<u32>>,
    /// The queues and interrupts of network interfaces.
    pub interfaces: BTreeMap<String, Interface>,
    /// The environment that the running irqbalance has; absent when it does not run.
    pub irqbalance: Fact<BTreeMap<String, String>>,
    /// The file that sets irqbalance's environment, with what it sets.
    pub settings: Fact<Settings>,
}

/// One interrupt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Irq {
    /// Its number.
    pub number: u32,
    /// Its handlers: `mlx5_comp3@pci:0000:3b:00.0`.
    pub handlers: String,
    /// Where it may go, and where it goes.
    pub affinity: Affinity,
}

/// The queues and interrupts of a network interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Interface {
    /// Its receive queues.
    pub rx_queues: usize,
    /// The interrupts of its device.
    pub irqs: Vec<u32>,
}

/// A file of `KEY=value` lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settings {
    /// Where it is.
    pub path: String,
    /// What it sets.
    pub values: BTreeMap<String, String>,
}

impl Interrupts {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        let all = all(source);
        let there: Vec<(u32, &str)> = all.value().map_or_else(Vec::new, |irqs| {
            irqs.iter().map(|irq| (irq.number, irq.handlers.as_str())).collect()
        });
        let refused = journal::immovable(source, &there);
        let numbers = all.value().map(|irqs| irqs.iter().map(|irq| irq.number).collect());
        Self {
            default_mask: source.cpu_mask("proc/irq/default_smp_affinity"),
            fixed: source.ask("irq/fixed", || fixed(numbers.unwrap_or_default())),
            refused,
            all,
            interfaces: interfaces(source),
            irqbalance: source.ask("irqbalance/environment", || irqbalance(source)),
            settings: settings(source),
        }
    }

    /// Is this an interrupt that only the kernel moves?
    ///
    /// Older kernels do not show it; there the queues of NVMe disks are known to be, and what could not be moved when it
    /// was tried.
    #[must_use]
    pub fn is_managed(&self, irq: &Irq) -> bool {
        let is_fixed = self.fixed.value().is_some_and(|fixed| fixed.contains(&irq.number));
        is_fixed || self.was_refused(irq) || irq.handlers.split(',').any(is_nvme_queue)
    }

    /// Did the kernel refuse to move it when it was tried?
    #[must_use]
    pub fn was_refused(&self, irq: &Irq) -> bool {
        self.refused.value().is_some_and(|refused| refused.contains(&irq.number))
    }
}

/// `nvme0q3`: queue 0 is for administration, and like any other interrupt.
fn is_nvme_queue(name: &str) -> bool {
    let queue = name.strip_prefix("nvme").and_then(|rest| rest.split_once('q'));
    queue.is_some_and(|(disk, queue)| {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        is_number(disk) && is_number(queue) && queue.bytes().any(|digit| digit != b'0')
    })
}

fn all(source: &Source) -> Fact<Vec<Irq>> {
    source.names("proc/irq").and_then(|names| {
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        if numbers.len() > MOST {
            return Fact::unknown(format!("there are more than {MOST} interrupts"));
        }
        let irq = |number: u32| {
            let handlers = match source.text(&format!("sys/kernel/irq/{number}/actions")) {
                // Nobody handles it: it does not happen.
                Fact::Is(handlers) if handlers.is_empty() => return None,
                Fact::Is(handlers) => handlers,
                Fact::Absent | Fact::Unknown { .. } => String::new(),
            };
            Some(Irq { number, handlers, affinity: irq::affinity(source.root(), number) })
        };
        Fact::Is(numbers.into_iter().filter_map(irq).collect())
    })
}

/// A file that nobody may write belongs to an interrupt that nobody may move (`register_irq_proc()` in Linux 6.18
/// `kernel/irq/proc.c`).
fn fixed(numbers: Vec<u32>) -> Fact<BTreeSet<u32>> {
    let is_fixed = |number: &u32| {
        fs::metadata(format!("/proc/irq/{number}/smp_affinity"))
            .is_ok_and(|file| file.permissions().mode() & 0o200 == 0)
    };
    Fact::Is(numbers.into_iter().filter(is_fixed).collect())
}

fn interfaces(source: &Source) -> BTreeMap<String, Interface> {
    let names = source.names("sys/class/net").into_value().unwrap_or_default();
    let one = |name: String| {
        let dir = format!("sys/class/net/{name}");
        // The device of a virtio interface is on the virtio bus; its interrupts are the PCI function's.
        let irqs = ["device/msi_irqs", "device/../msi_irqs"];
        let irqs =
            irqs.iter().find_map(|path| source.names(&format!("{dir}/{path}")).into_value())?;
        let queues = source.names(&format!("{dir}/queues")).into_value().unwrap_or_default();
        let rx_queues = queues.iter().filter(|queue| queue.starts_with("rx-")).count();
        let irqs = irqs.iter().filter_map(|irq| irq.parse().ok()).collect();
        Some((name, Interface { rx_queues, irqs }))
    };
    names.into_iter().take(MOST_INTERFACES).filter_map(one).collect()
}

/// What of irqbalance's environment is its own; the rest is nobody's business.
fn irqbalance(source: &Source) -> Fact<BTreeMap<String, String>> {
    let names = match source.names("proc") {
        Fact::Is(names) => names,
        Fact::Absent => return Fact::unknown("there is no /proc"),
        Fact::Unknown { why } => return Fact::Unknown { why },
    };
    let processes = names.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()));
    let is_it = |id: &&String| {
        source.text(&format!("proc/{id}/comm")).value().is_some_and(|comm| comm == "irqbalance")
    };
    let Some(id) = processes.into_iter().find(is_it) else { return Fact::Absent };
    let mut bytes = Vec::new();
    let read = fs::File::open(format!("/proc/{id}/environ"))
        .and_then(|file| file.take(ENVIRONMENT).read_to_end(&mut bytes));
    match read {
        Ok(_) => Fact::Is(environment(&String::from_utf8_lossy(&bytes))),
        Err(error) => Fact::unknown(format!("irqbalance's environment can not be read: {error}")),
    }
}

fn environment(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
    let own = pairs.filter(|(key, _)| key.starts_with("IRQBALANCE_"));
    own.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn settings(source: &Source) -> Fact<Settings> {
    for path in SETTINGS {
        match source.text(path) {
            Fact::Absent => {}
            Fact::Unknown { why } => return Fact::Unknown { why },
            Fact::Is(text) => {
                return Fact::Is(Settings { path: path.to_owned(), values: assignments(&text) });
            }
        }
    }
    Fact::Absent
}

/// The lines `KEY=value` of a file that systemd and shells read; quotes around a value go away, the last one counts.
fn assignments(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs
        .map(|(key, value)| {
            let value = value.trim();
            let quoted = ['"', '\''].iter().find_map(|quote| {
                value.strip_prefix(*quote).and_then(|rest| rest.strip_suffix(*quote))
            });
            (key.trim().to_owned(), quoted.unwrap_or(value).to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn queues_of_nvme_disks_are_known_by_their_names() {
        for name in ["nvme0q1", "nvme12q30", "nvme0q10"] {
            assert!(is_nvme_queue(name), "{name}");
        }
        for name in ["nvme0q0", "nvme0", "nvmeq1", "nvme0q", "eth0q1", "nvme0q1x", ""] {
            assert!(!is_nvme_queue(name), "{name}");
        }
    }

    #[test]
    fn only_irqbalances_own_environment_is_kept() {
        let kept =
            environment("PATH=/bin\0IRQBALANCE_BANNED_CPULIST=2-3\0SECRET=x\0IRQBALANCE_ARGS=\0");
        let expected = [("IRQBALANCE_ARGS", ""), ("IRQBALANCE_BANNED_CPULIST", "2-3")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(kept, BTreeMap::from(expected));
    }

    #[test]
    fn settings_are_read_without_quotes_and_comments() {
        let read = assignments("#A=1\n B = \"2-3\" \nC='x'\nB=4\nD\nE=\"\n");
        let expected = [("B", "4"), ("C", "x"), ("E", "\"")];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(read, BTreeMap::from(expected));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC{0,200}") {
            let _ = assignments(&text);
            let _ = environment(&text);
            let _ = is_nvme_queue(&text);
        }
    }
}
