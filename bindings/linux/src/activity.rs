//! What the CPUs did since boot, in numbers that only grow: read them twice and subtract.
//!
//! Sources: `Documentation/filesystems/proc.rst` and `net/core/net-procfs.c` of Linux 6.18.

use std::collections::BTreeMap;

use config::CpuId;
use serde::{Deserialize, Serialize};

use crate::{ReadError, Root, text};

/// `/proc/softirqs` of 8192 CPUs has ten lines of 90 KiB, `/proc/stat` as many lines as CPUs.
const LARGEST: usize = 4 * 1024 * 1024;

/// Software interrupts by kind (`NET_RX`) and CPU.
pub type Softirqs = BTreeMap<String, BTreeMap<CpuId, u64>>;

/// Read `/proc/softirqs`.
///
/// # Errors
/// [`ReadError`]
pub fn softirqs(root: &Root) -> Result<Softirqs, ReadError> {
    table(root, "proc/softirqs", "a table of software interrupts", parse_softirqs)
}

/// Read the text of `/proc/softirqs`; `None` when it is something else. It has a column for each *possible* CPU.
#[must_use]
pub fn parse_softirqs(text: &str) -> Option<Softirqs> {
    let mut lines = text.lines();
    let columns: Option<Vec<CpuId>> = lines
        .next()?
        .split_ascii_whitespace()
        .map(|column| text::numbered(column, "CPU").and_then(CpuId::new))
        .collect();
    let columns = columns.filter(|columns| !columns.is_empty())?;
    let row = |line: &str| {
        let (name, counts) = line.split_once(':')?;
        let counts: Option<Vec<u64>> =
            counts.split_ascii_whitespace().map(|count| count.parse().ok()).collect();
        let counts = counts.filter(|counts| counts.len() == columns.len())?;
        Some((name.trim_ascii().to_owned(), columns.iter().copied().zip(counts).collect()))
    };
    lines.filter(|line| !line.trim_ascii().is_empty()).map(row).collect()
}

/// How one CPU spent its time, in ticks of `CLK_TCK` (1/100 s).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuTime {
    /// Programs, those with a lower priority included.
    pub user: u64,
    /// The kernel, for programs.
    pub system: u64,
    /// Nothing, not even waiting for a disk.
    pub idle: u64,
    /// Nothing, while something waited for a disk.
    pub io_wait: u64,
    /// Interrupts, hardware and software.
    pub interrupts: u64,
    /// The hypervisor gave it to somebody else although there was something to do.
    pub steal: u64,
}

impl CpuTime {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> u64 {
        [self.user, self.system, self.idle, self.io_wait, self.interrupts, self.steal]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// What was spent since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        // Idle and waiting for disks may go backwards by a tick ("iowait" in proc.rst).
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            idle: self.idle.saturating_sub(earlier.idle),
            io_wait: self.io_wait.saturating_sub(earlier.io_wait),
            interrupts: self.interrupts.saturating_sub(earlier.interrupts),
            steal: self.steal.saturating_sub(earlier.steal),
        }
    }
}

/// Read what `/proc/stat` says of each CPU that runs.
///
/// # Errors
/// [`ReadError`]
pub fn cpu_times(root: &Root) -> Result<BTreeMap<CpuId, CpuTime>, ReadError> {
    table(root, "proc/stat", "the times of CPUs", parse_cpu_times)
}

/// Read the text of `/proc/stat`; `None` when it is something else.
#[must_use]
pub fn parse_cpu_times(text: &str) -> Option<BTreeMap<CpuId, CpuTime>> {
    let mut times = BTreeMap::new();
    for line in text.lines() {
        let (label, rest) = line.split_once(' ')?;
        // The first line is the sum; behind the CPUs there are other things.
        let Some(cpu) = text::numbered(label, "cpu") else { continue };
        let fields: Option<Vec<u64>> =
            rest.split_ascii_whitespace().map(|field| field.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal guest guest_nice; guests are in user and nice already.
        let [user, nice, system, idle, io_wait, irq, softirq, steal, ..] = fields?[..] else {
            return None;
        };
        let time = CpuTime {
            user: user.saturating_add(nice),
            system,
            idle,
            io_wait,
            interrupts: irq.saturating_add(softirq),
            steal,
        };
        times.insert(CpuId::new(cpu)?, time);
    }
    Some(times).filter(|times| !times.is_empty())
}

/// What one CPU did with packets of the kernel's network stack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Softnet {
    /// Packets it took.
    pub processed: u64,
    /// Packets that did not fit into its backlog.
    pub dropped: u64,
    /// Times that it had to stop for its budget or its time was used up, with packets left.
    pub squeezed: u64,
}

/// Read `/proc/net/softnet_stat`.
///
/// # Errors
/// [`ReadError`]
pub fn softnet(root: &Root) -> Result<BTreeMap<CpuId, Softnet>, ReadError> {
    table(root, "proc/net/softnet_stat", "packets by CPU", parse_softnet)
}

/// Read the text of `/proc/net/softnet_stat`; `None` when it is something else.
#[must_use]
pub fn parse_softnet(text: &str) -> Option<BTreeMap<CpuId, Softnet>> {
    let row = |(line_number, line): (usize, &str)| {
        let fields: Option<Vec<u64>> = line
            .split_ascii_whitespace()
            .map(|field| u64::from_str_radix(field, 16).ok())
            .collect();
        let fields = fields?;
        let &[processed, dropped, squeezed, ..] = fields.as_slice() else { return None };
        // The thirteenth field is the CPU, since Linux 5.10; before, all lines are of CPUs that run, in order.
        let cpu = match fields.get(12) {
            Some(&cpu) => u32::try_from(cpu).ok()?,
            None => u32::try_from(line_number).ok()?,
        };
        Some((CpuId::new(cpu)?, Softnet { processed, dropped, squeezed }))
    };
    let rows: Option<BTreeMap<CpuId, Softnet>> = text.lines().enumerate().map(row).collect();
    rows.filter(|rows| !rows.is_empty())
}

/// Read `/proc/vmstat`: events and amounts of memory management, by name.
///
/// # Errors
/// [`ReadError`]
pub fn vmstat(root: &Root) -> Result<BTreeMap<String, u64>, ReadError> {
    root.parse_with("proc/vmstat", "names with numbers", |text| {
        let pairs: Option<BTreeMap<String, u64>> = text
            .lines()
            .map(|line| {
                let (name, number) = line.split_once(' ')?;
                Some((name.to_owned(), number.trim_ascii().parse().ok()?))
            })
            .collect();
        pairs.filter(|pairs| !pairs.is_empty())
    })
}

fn table<T>(
    root: &Root,
    path: &str,
    expected: &'static str,
    parse: fn(&str) -> Option<T>,
) -> Result<T, ReadError> {
    let text = root.text_up_to(path, LARGEST)?;
    parse(&text).ok_or_else(|| ReadError::Malformed {
        path: root.path().join(path),
        expected,
        found: text::excerpt(&text),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cpu(number: u32) -> CpuId {
        CpuId::new(number).unwrap()
    }

    #[test]
    fn softirqs_are_counted_by_kind_and_cpu() {
        let table = parse_softirqs("     CPU0  CPU2\n  HI:  1 2\nNET_RX: 30 40\n").unwrap();

        assert_eq!(table["NET_RX"], BTreeMap::from([(cpu(0), 30), (cpu(2), 40)]));
        for odd in
            ["", "CPUx\n", "CPU0 CPU1\nHI: 1\n", "CPU0\nHI 1\n", "CPU0\nHI: x\n", "CPU9999\n"]
        {
            assert_eq!(parse_softirqs(odd), None, "{odd}");
        }
    }

    #[test]
    fn times_leave_out_the_sum_and_what_follows_the_cpus() {
        let text = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu3 1 2 3 4 5 6 7 8 1 1\nintr 5 6\nctxt 7\n";
        let times = parse_cpu_times(text).unwrap();

        let expected =
            CpuTime { user: 3, system: 3, idle: 4, io_wait: 5, interrupts: 13, steal: 8 };
        assert_eq!(times, BTreeMap::from([(cpu(3), expected)]));
        assert_eq!(times[&cpu(3)].total(), 36);
        assert_eq!(parse_cpu_times("cpu3 1 2 3 4\n"), None);
        assert_eq!(parse_cpu_times("cpu 1 2\n"), None);
    }

    #[test]
    fn a_time_that_goes_backwards_is_nothing() {
        let early = CpuTime { idle: 10, user: 1, ..CpuTime::default() };
        let late = CpuTime { idle: 9, user: 4, ..CpuTime::default() };
        assert_eq!(late.since(&early), CpuTime { user: 3, ..CpuTime::default() });
    }

    #[test]
    fn softnet_is_hexadecimal_and_names_its_cpu_where_it_can() {
        let old =
            parse_softnet("0000001f 00000001 00000002 0 0 0 0 0 0 0\n00000000 0 0\n").unwrap();
        assert_eq!(old[&cpu(0)], Softnet { processed: 31, dropped: 1, squeezed: 2 });
        assert_eq!(old.len(), 2);

        let new = parse_softnet("1 0 0 0 0 0 0 0 0 0 0 0 00000005\n").unwrap();
        assert_eq!(new.keys().copied().collect::<Vec<_>>(), [cpu(5)]);
        for odd in ["", "1 2\n", "g 0 0\n"] {
            assert_eq!(parse_softnet(odd), None, "{odd}");
        }
    }

    #[test]
    fn this_machine_says_all_of_it() {
        let root = Root::system().unwrap();

        assert!(softirqs(&root).unwrap().contains_key("TIMER"));
        assert!(cpu_times(&root).unwrap().values().any(|time| time.total() > 0));
        assert!(!softnet(&root).unwrap().is_empty());
        assert!(vmstat(&root).unwrap().contains_key("pgfault"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in "[ -~\n]{0,300}") {
            let _ = parse_softirqs(&text);
            let _ = parse_cpu_times(&text);
            let _ = parse_softnet(&text);
        }
    }
}
