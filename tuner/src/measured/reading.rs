//! One reading of everything that counts, and the difference of two.

use std::collections::{BTreeMap, HashMap};

use config::CpuId;
use linux::{
    activity::{self, CpuTime, Softirqs, Softnet},
    irq::Interrupts,
    task::{self, Task},
};

use super::{Counted, Counters, Measured, PerCpu, Row, ThreadActivity};
use crate::{Fact, Source};

/// The most threads that are followed.
const MOST_THREADS: usize = 128 * 1024;
/// The most network interfaces whose statistics are followed: a host of containers has thousands of virtual ones.
const MOST_INTERFACES: usize = 256;

/// One reading of everything that counts.
#[derive(Debug)]
pub(super) struct Reading {
    interrupts: Fact<Interrupts>,
    softirqs: Fact<Softirqs>,
    cpu_times: Fact<BTreeMap<CpuId, CpuTime>>,
    vmstat: Fact<BTreeMap<String, u64>>,
    softnet: Fact<BTreeMap<CpuId, Softnet>>,
    threads: Fact<HashMap<(u32, u64), Task>>,
    edac: Fact<Numbers>,
    throttle: Fact<Numbers>,
    aer: Fact<Numbers>,
    network: Fact<Numbers>,
}

/// Numbers by the file (and line) that they are in.
type Numbers = BTreeMap<String, u64>;

impl Reading {
    pub(super) fn take(source: &Source) -> Self {
        let root = source.root();
        // Threads first: what reading them causes is then not between the interrupts of the two readings, or only once.
        let threads = task::all(root, MOST_THREADS).map(|tasks| {
            // A number may be given to another thread; with its start it is the same one.
            let keyed = tasks.threads.into_iter().map(|t| ((t.stat.id, t.stat.started), t));
            keyed.collect()
        });
        Self {
            threads: threads.into(),
            edac: edac(source),
            throttle: throttle(source),
            aer: aer(source),
            network: network(source),
            vmstat: activity::vmstat(root).into(),
            softnet: activity::softnet(root).into(),
            cpu_times: activity::cpu_times(root).into(),
            softirqs: activity::softirqs(root).into(),
            interrupts: Interrupts::read(root).into(),
        }
    }

    /// What happened until a later reading.
    pub(super) fn until(&self, later: &Self, seconds: f64) -> Measured {
        Measured {
            seconds,
            interrupts: both(&self.interrupts, &later.interrupts, interrupts),
            softirqs: both(&self.softirqs, &later.softirqs, softirqs),
            cpu_times: both(&self.cpu_times, &later.cpu_times, |from, to| {
                let spent =
                    to.iter().filter_map(|(cpu, time)| Some((*cpu, time.since(from.get(cpu)?))));
                spent.collect()
            }),
            vmstat: both(&self.vmstat, &later.vmstat, |from, to| {
                let grown = to.iter().filter_map(|(name, now)| {
                    let by = now.checked_sub(*from.get(name)?)?;
                    (by > 0).then(|| (name.clone(), by))
                });
                grown.collect()
            }),
            softnet: both(&self.softnet, &later.softnet, softnet),
            threads: both(&self.threads, &later.threads, threads),
            edac: both(&self.edac, &later.edac, counters),
            throttle: both(&self.throttle, &later.throttle, counters),
            aer: both(&self.aer, &later.aer, counters),
            network: both(&self.network, &later.network, counters),
            clocks: Fact::Absent,
            firmware_interrupts: Fact::Absent,
            daemon: Fact::Absent,
            noise: Fact::Absent,
            effects: None,
        }
    }
}

/// What two facts give together; the first that is missing or not known decides otherwise.
fn both<T, U>(from: &Fact<T>, to: &Fact<T>, make: impl FnOnce(&T, &T) -> U) -> Fact<U> {
    from.as_ref().and_then(|from| to.as_ref().map(|to| make(from, to)))
}

fn interrupts(from: &Interrupts, to: &Interrupts) -> Vec<Row> {
    let difference = to.since(from);
    let row = |row: linux::irq::Row| {
        // ERR and MIS have one number, of no CPU.
        if row.counts.len() != difference.cpus.len() {
            return None;
        }
        let counts: PerCpu = counted(difference.cpus.iter().copied().zip(row.counts));
        (!counts.is_empty()).then_some(Row {
            label: row.label,
            description: row.description,
            counts,
        })
    };
    difference.rows.into_iter().filter_map(row).collect()
}

fn softirqs(from: &Softirqs, to: &Softirqs) -> BTreeMap<String, PerCpu> {
    let kind = |(name, now): (&String, &PerCpu)| {
        let before = from.get(name)?;
        let counts = counted(now.iter().map(|(cpu, now)| {
            let before = before.get(cpu).copied().unwrap_or(0);
            (*cpu, now.checked_sub(before).unwrap_or(*now))
        }));
        Some((name.clone(), counts))
    };
    to.iter().filter_map(kind).collect()
}

fn counted(counts: impl Iterator<Item = (CpuId, u64)>) -> PerCpu {
    counts.filter(|(_, count)| *count > 0).collect()
}

fn softnet(
    from: &BTreeMap<CpuId, Softnet>,
    to: &BTreeMap<CpuId, Softnet>,
) -> BTreeMap<CpuId, Softnet> {
    let one = |(cpu, now): (&CpuId, &Softnet)| {
        let before = from.get(cpu)?;
        // The kernel's counters are 32 bits wide.
        let grew = |to: u64, from: u64| to.checked_sub(from).unwrap_or(to);
        let difference = Softnet {
            processed: grew(now.processed, before.processed),
            dropped: grew(now.dropped, before.dropped),
            squeezed: grew(now.squeezed, before.squeezed),
        };
        (difference != Softnet::default()).then_some((*cpu, difference))
    };
    to.iter().filter_map(one).collect()
}

fn threads(
    from: &HashMap<(u32, u64), Task>,
    to: &HashMap<(u32, u64), Task>,
) -> Vec<ThreadActivity> {
    let one = |(key, now): (&(u32, u64), &Task)| {
        let before = from.get(key)?;
        let ticks = |task: &Task| task.stat.user_ticks.saturating_add(task.stat.system_ticks);
        let statuses = now.status.known().zip(before.status.known());
        let activity = ThreadActivity {
            process: now.process,
            thread: now.stat.id,
            name: now.stat.name.clone(),
            is_kernel: now.stat.is_kernel(),
            last_cpu: now.stat.last_cpu,
            voluntary: statuses.map(|(now, before)| now.voluntary.saturating_sub(before.voluntary)),
            involuntary: statuses
                .map(|(now, before)| now.involuntary.saturating_sub(before.involuntary)),
            minor_faults: now.stat.minor_faults.saturating_sub(before.stat.minor_faults),
            major_faults: now.stat.major_faults.saturating_sub(before.stat.major_faults),
            ticks: ticks(now).saturating_sub(ticks(before)),
        };
        let ThreadActivity { voluntary, involuntary, minor_faults, major_faults, ticks, .. } =
            &activity;
        let events = [voluntary.unwrap_or(0), involuntary.unwrap_or(0), *minor_faults];
        let is_active = events.iter().chain([major_faults, ticks]).any(|&count| count > 0);
        is_active.then_some(activity)
    };
    let mut active: Vec<ThreadActivity> = to.iter().filter_map(one).collect();
    active.sort_by_key(|thread| (thread.process, thread.thread));
    active
}

fn counters(from: &Numbers, to: &Numbers) -> Counters {
    let set = to.iter().filter(|(_, now)| **now > 0).map(|(name, &to)| {
        // A counter that was not there before belongs to a device that came meanwhile.
        (name.clone(), Counted { from: from.get(name).copied().unwrap_or(0), to })
    });
    Counters { read: to.len(), set: set.collect() }
}

/// The numbers in these files; absent when there is none of them.
fn numbers(source: &Source, paths: impl IntoIterator<Item = String>) -> Fact<Numbers> {
    let mut numbers = Numbers::new();
    let mut why = None;
    for path in paths {
        match source.parse::<u64>(&path, "a number that only grows") {
            Fact::Is(number) => drop(numbers.insert(path, number)),
            Fact::Absent => {}
            Fact::Unknown { why: reason } => why = Some(reason),
        }
    }
    match why {
        _ if !numbers.is_empty() => Fact::Is(numbers),
        Some(why) => Fact::Unknown { why },
        None => Fact::Absent,
    }
}

/// Below a directory, each of its entries that begins so.
fn below(source: &Source, dir: &str, prefix: &str) -> Vec<String> {
    let names = source.names(dir).into_value().unwrap_or_default();
    let named = names.into_iter().filter(|name| name.starts_with(prefix));
    named.map(|name| format!("{dir}/{name}")).collect()
}

/// `Documentation/ABI/testing/sysfs-devices-edac` of Linux 6.18.
fn edac(source: &Source) -> Fact<Numbers> {
    let controllers = below(source, "sys/devices/system/edac/mc", "mc");
    let files = ["ce_count", "ue_count"];
    numbers(source, controllers.iter().flat_map(|dir| files.map(|file| format!("{dir}/{file}"))))
}

/// `drivers/thermal/intel/therm_throt.c` of Linux 6.18; Intel's processors only.
fn throttle(source: &Source) -> Fact<Numbers> {
    let files = ["core_throttle_count", "package_throttle_count"];
    let cpus = source.cpu_list("sys/devices/system/cpu/online").into_value().unwrap_or_default();
    let dirs = cpus.iter().map(|cpu| format!("sys/devices/system/cpu/cpu{cpu}/thermal_throttle"));
    let dirs: Vec<String> = dirs.filter(|dir| source.exists(dir)).collect();
    numbers(source, dirs.iter().flat_map(|dir| files.map(|file| format!("{dir}/{file}"))))
}

/// `Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats` of Linux 6.18.
fn aer(source: &Source) -> Fact<Numbers> {
    let mut numbers = Numbers::new();
    for dir in below(source, "sys/bus/pci/devices", "") {
        for file in ["aer_dev_correctable", "aer_dev_nonfatal", "aer_dev_fatal"] {
            let Fact::Is(text) = source.text(&format!("{dir}/{file}")) else { continue };
            for (name, count) in text.lines().filter_map(|line| line.rsplit_once(' ')) {
                // The sum of the others, which would count everything twice.
                if name.starts_with("TOTAL_ERR") {
                    continue;
                }
                if let Ok(count) = count.parse() {
                    numbers.insert(format!("{dir}/{file}:{name}"), count);
                }
            }
        }
    }
    if numbers.is_empty() { Fact::Absent } else { Fact::Is(numbers) }
}

fn network(source: &Source) -> Fact<Numbers> {
    let interfaces = below(source, "sys/class/net", "");
    let files = interfaces
        .iter()
        .take(MOST_INTERFACES)
        .flat_map(|dir| below(source, &format!("{dir}/statistics"), ""));
    numbers(source, files)
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::Source;

    fn write(root: &Path, path: &str, text: &str) {
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn cpu(number: u32) -> CpuId {
        CpuId::new(number).unwrap()
    }

    /// What happened between two states of a machine that has nothing but these files.
    fn between(before: &[(&str, &str)], after: &[(&str, &str)]) -> Measured {
        let dir = tempfile::tempdir().unwrap();
        let source = Source::at(dir.path()).unwrap();
        before.iter().for_each(|(path, text)| write(dir.path(), path, text));
        let first = Reading::take(&source);
        after.iter().for_each(|(path, text)| write(dir.path(), path, text));
        first.until(&Reading::take(&source), 5.0)
    }

    const STAT: &str = "cpu0 1 0 0 0 0 0 0 0\n";

    #[test]
    fn only_rows_and_cpus_that_counted_are_kept() {
        let before = "  CPU0 CPU1\n24: 1 5 edge eth0\n25: 3 3 edge eth1\nLOC: 7 8 timer\nERR: 1\n";
        let after = "  CPU0 CPU1\n24: 1 9 edge eth0\n25: 3 3 edge eth1\nLOC: 9 8 timer\nERR: 3\n";
        let measured = between(&[("proc/interrupts", before)], &[("proc/interrupts", after)]);

        let rows = measured.interrupts.value().unwrap();
        let labels: Vec<(&str, &PerCpu)> =
            rows.iter().map(|row| (row.label.as_str(), &row.counts)).collect();
        let (one, two) = (PerCpu::from([(cpu(1), 4)]), PerCpu::from([(cpu(0), 2)]));
        assert_eq!(labels, [("24", &one), ("LOC", &two)]);
        assert!(rows[0].is_device() && !rows[1].is_device());
        assert_eq!(rows[0].on(&"1-3".parse().unwrap()), 4);
        assert_eq!(rows[0].on(&"0".parse().unwrap()), 0);
    }

    #[test]
    fn what_a_machine_has_not_is_absent_and_what_is_no_number_unknown() {
        let files = [("proc/stat", STAT), ("sys/devices/system/edac/mc/mc0/ce_count", "many")];
        let measured = between(&files, &[]);

        assert!(measured.edac.is_unknown());
        assert_eq!(measured.throttle, Fact::Absent);
        assert_eq!(measured.aer, Fact::Absent);
        assert_eq!(measured.network, Fact::Absent);
        assert_eq!(measured.softnet, Fact::Absent);
    }

    #[test]
    fn counters_grow_or_begin_again() {
        let ce = "sys/devices/system/edac/mc/mc0/ce_count";
        let ue = "sys/devices/system/edac/mc/mc0/ue_count";
        let measured = between(&[(ce, "5"), (ue, "9")], &[(ce, "7"), (ue, "2")]);

        let edac = measured.edac.value().unwrap();
        assert_eq!(edac.read, 2);
        assert_eq!(edac.grown().collect::<Vec<_>>(), [(ce, 2), (ue, 2)]);
        assert_eq!((edac.grown_at("ce_count"), edac.grown_at("x")), (2, 0));
    }

    #[test]
    fn the_total_of_pcie_errors_is_not_counted_again() {
        let file = "sys/bus/pci/devices/0000:3b:00.0/aer_dev_correctable";
        let measured = between(
            &[(file, "RxErr 0\nBadTLP 1\nTOTAL_ERR_COR 1\n")],
            &[(file, "RxErr 0\nBadTLP 4\nTOTAL_ERR_COR 4\n")],
        );

        let aer = measured.aer.value().unwrap();
        assert_eq!(aer.grown().collect::<Vec<_>>(), [(format!("{file}:BadTLP").as_str(), 3)]);
        assert_eq!(aer.read, 2);
    }

    #[test]
    fn a_thread_whose_number_was_given_away_is_another_one() {
        let stat = |started: u32, minor: u32| {
            format!(
                "7 (x) S 1 2 3 0 -1 0 {minor} 0 0 0 10 0 0 0 20 0 1 0 {started} 0 0 0 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0"
            )
        };
        let file = "proc/7/task/7/stat";
        let same = between(&[(file, &stat(100, 5))], &[(file, &stat(100, 8))]);
        let other = between(&[(file, &stat(100, 5))], &[(file, &stat(200, 8))]);

        let threads = same.threads.value().unwrap();
        assert_eq!((threads.len(), threads[0].minor_faults, threads[0].voluntary), (1, 3, None));
        assert_eq!(other.threads.value().unwrap(), &[]);
    }

    #[test]
    fn softirqs_and_packets_are_differences_by_cpu() {
        let measured = between(
            &[
                ("proc/softirqs", " CPU0 CPU1\nNET_RX: 1 2\nHI: 0 0\n"),
                ("proc/net/softnet_stat", "1 0 0\n2 0 0\n"),
                ("proc/vmstat", "pswpin 4\nnr_free_pages 9\n"),
                ("proc/stat", "cpu0 1 0 0 0 0 0 0 0\n"),
            ],
            &[
                ("proc/softirqs", " CPU0 CPU1\nNET_RX: 1 7\nHI: 0 0\n"),
                ("proc/net/softnet_stat", "1 0 0\n4 1 0\n"),
                ("proc/vmstat", "pswpin 6\nnr_free_pages 8\n"),
                ("proc/stat", "cpu0 1 0 0 0 0 0 0 3\n"),
            ],
        );

        let softirqs = measured.softirqs.value().unwrap();
        assert_eq!(softirqs["NET_RX"], PerCpu::from([(cpu(1), 5)]));
        assert!(softirqs["HI"].is_empty());
        let packets = Softnet { processed: 2, dropped: 1, squeezed: 0 };
        assert_eq!(measured.softnet, Fact::Is(BTreeMap::from([(cpu(1), packets)])));
        assert_eq!(measured.vmstat, Fact::Is(BTreeMap::from([("pswpin".to_owned(), 2)])));
        assert_eq!(measured.cpu_times.value().unwrap()[&cpu(0)].steal, 3);
    }
}
