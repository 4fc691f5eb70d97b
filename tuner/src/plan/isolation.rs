//! The CPUs of the workers, taken away from everybody else: one consistent set of kernel arguments, or a cpuset
//! partition and the arguments that it can not replace.
//!
//! Sources: Linux 6.18 `Documentation/admin-guide/cpu-isolation.rst` (`nohz_full`, `irqaffinity`, `isolcpus=managed_irq`
//! and, for the scheduler's domains, an isolated partition, or `isolcpus=domain` where that is not possible);
//! `kernel-parameters.txt` (`nohz_full` offloads RCU callbacks as `rcu_nocbs` does);
//! `Documentation/admin-guide/cgroup-v2.rst` (the CPUs of a partition are taken from every cgroup outside it).
//!
//! That last sentence decides. A worker that does not live in the partition can not be pinned to its CPUs any more: a
//! partition is only for a daemon whose unit is in its slice.

use config::{CpuId, CpuSet, Wish};

use super::{Chosen, Draft, invariants};
use crate::{
    Risk,
    boot::{self, Arguments},
    change::{BootValue, Change, PARTITION},
};

/// Kernel parameters that take CPUs away.
const PARAMETERS: [&str; 7] = [
    "isolcpus",
    "nohz_full",
    "rcu_nocbs",
    "irqaffinity",
    "kthread_cpus",
    "systemd.cpu_affinity",
    "nosmt",
];
/// Where systemd keeps its own affinity.
const MANAGER: &str = "etc/systemd/system.conf.d/";
/// The daemon's unit, as packages and administrators install it.
const UNITS: [&str; 3] = [
    "etc/systemd/system/barewired.service",
    "usr/lib/systemd/system/barewired.service",
    "lib/systemd/system/barewired.service",
];

fn key_is(change: &Change, name: &str) -> bool {
    matches!(change, Change::BootParameter { key, .. } if key.replace('-', "_") == name)
}

/// Does it take CPUs away from others?
fn isolates(change: &Change) -> bool {
    match change {
        Change::BootParameter { key, value } => {
            *value != BootValue::Absent && PARAMETERS.contains(&key.replace('-', "_").as_str())
        }
        // On so few CPUs there is nowhere to move anybody to.
        Change::Partition { .. } | Change::Affinity { .. } => true,
        Change::File { path, .. } => path.starts_with(MANAGER),
        Change::Kernel { path, value, .. } => {
            path.starts_with("sys/devices/system/cpu/cpu")
                && path.ends_with("/online")
                && value.trim() == "0"
        }
        Change::Sysctl { .. }
        | Change::Setting { .. }
        | Change::Ethtool { .. }
        | Change::Unit { .. }
        | Change::Hugepages { .. }
        | Change::Driver { .. }
        | Change::KernelArguments(_)
        | Change::BootMenu { .. } => false,
    }
}

impl Draft<'_> {
    /// Makes what isolates consistent, or leaves all of it out.
    pub(super) fn isolate(&mut self) {
        let broken = invariants::broken(self.intent, self.facts);
        if let Some(why) = broken.first() {
            let why = format!("refused: {why}");
            self.refuse(|chosen| isolates(&chosen.change).then(|| why.clone()));
        }
        let (Some(workers), Some(housekeeping)) =
            (self.intent.workers().into_value(), self.intent.housekeeping().into_value())
        else {
            return;
        };
        self.refuse(|chosen| {
            invariants::burdens(&chosen.change, &workers).map(|why| format!("refused: {why}"))
        });
        if !broken.is_empty() {
            return;
        }
        let alone = self.alone(&workers, &housekeeping);
        self.isolate_domains(&alone, &housekeeping);
        self.set_lists(&alone, &housekeeping);
    }

    /// The workers' CPUs and their threads that nobody else has: those have to stay idle.
    fn alone(&self, workers: &CpuSet, housekeeping: &CpuSet) -> CpuSet {
        let cpus = self.facts.machine.value().map_or(&[][..], |machine| &machine.cpus);
        let siblings = cpus.iter().filter(|cpu| workers.contains(cpu.id));
        let all = siblings.fold(workers.clone(), |all, cpu| all.union(&cpu.siblings));
        // A thread that was taken offline is no sibling any more; what the next boot isolates stays so.
        all.union(&self.isolated_next()).difference(housekeeping)
    }

    /// The CPUs that the next boot isolates as things are.
    fn isolated_next(&self) -> CpuSet {
        let mut next = Arguments::from_line(&self.base_line());
        let ours = self.source.text(boot::grub::DROP_IN).into_value().unwrap_or_default();
        next.merge(&boot::grub::read(&ours));
        let mut all = CpuSet::new();
        for key in ["isolcpus", "nohz_full"] {
            let Some(BootValue::Is(value)) = next.get(key) else { continue };
            let list = value.trim_start_matches(|c: char| !c.is_ascii_digit());
            all = all.union(&list.parse().unwrap_or_default());
        }
        let cpus = self.facts.machine.value().map_or(&[][..], |machine| &machine.cpus);
        all.intersection(&cpus.iter().map(|cpu| cpu.id).collect())
    }

    /// The scheduler's domains: a partition, or `isolcpus=domain`.
    fn isolate_domains(&mut self, alone: &CpuSet, housekeeping: &CpuSet) {
        let is_wanted = |chosen: &&Chosen| {
            matches!(&chosen.change, Change::Partition { .. })
                || matches!(&chosen.change, Change::BootParameter { key, value: BootValue::Is(value) }
                    if key == "isolcpus" && has_domain(value))
        };
        let Some(first) = self.chosen.iter().find(is_wanted).cloned() else { return };
        let mut checks: Vec<String> =
            self.chosen.iter().filter(is_wanted).flat_map(|c| c.checks.clone()).collect();
        checks.dedup();
        self.chosen.retain(|chosen| {
            !matches!(chosen.change, Change::Partition { .. })
                && !key_is(&chosen.change, "isolcpus")
        });
        let is_bad = first.is_bad;
        let with = |change: Change, risk: Risk| Chosen {
            checks: checks.clone(),
            change,
            scope: None,
            risk,
            is_bad,
            why: first.why.clone(),
        };
        let flags = match self.partition(housekeeping) {
            Ok(helper) => {
                let mut cpus = alone.clone();
                cpus.insert(helper);
                self.notes.push(format!(
                    "CPU {helper} is in the partition for the daemon's own threads, which can run nowhere else"
                ));
                let files = partition_files(&cpus, self.is_in_slice());
                self.chosen.extend(files.into_iter().map(|file| with(file, Risk::Low)));
                self.chosen.push(with(Change::Partition { cpus }, Risk::Medium));
                "managed_irq"
            }
            Err(why) => {
                let change = Change::Partition { cpus: alone.clone() };
                self.leave_out(&checks[0], change, format!("isolcpus=domain does it here: {why}"));
                "managed_irq,domain"
            }
        };
        let change = Change::BootParameter {
            key: "isolcpus".to_owned(),
            value: BootValue::Is(format!("{flags},{alone}")),
        };
        self.chosen.push(with(change, Risk::Medium));
    }

    /// The CPU for the daemon's other threads if a partition can be used; or why it can not.
    fn partition(&self, housekeeping: &CpuSet) -> Result<CpuId, String> {
        let is_asked_for =
            ["ISO-01", "ISO-02"].iter().any(|id| self.wishes.set.get(*id) == Some(&Wish::Apply));
        if !is_asked_for && !self.is_in_slice() {
            return Err(
                "a partition takes its CPUs from all outside it, and barewired.service is not in \
                        barewire.slice (--apply ISO-02 puts it there)"
                    .to_owned(),
            );
        }
        let controllers = self.source.text("sys/fs/cgroup/cgroup.controllers");
        let has_cpuset =
            controllers.value().is_some_and(|all| all.split_whitespace().any(|c| c == "cpuset"));
        if !has_cpuset {
            return Err("there is no cgroup v2 with the cpuset controller".to_owned());
        }
        if !self.kernel_is_at_least(6, 7) {
            return Err("the kernel is older than 6.7, and partitions need cpuset.cpus.exclusive"
                .to_owned());
        }
        // The last one that is not CPU 0: the others stay for everybody else.
        match housekeeping.iter().last() {
            Some(last) if last != CpuId::ZERO && housekeeping.len() > 2 => Ok(last),
            _ => Err("there is no CPU to spare for the daemon's own threads".to_owned()),
        }
    }

    /// Does the daemon run in the partition's slice?
    fn is_in_slice(&self) -> bool {
        let slice = PARTITION.rsplit('/').next().unwrap_or_default();
        let line = format!("Slice={slice}");
        let says = |path: &str| {
            self.source
                .text(path)
                .value()
                .is_some_and(|text| text.lines().any(|l| l.trim() == line))
        };
        UNITS.iter().any(|path| says(path)) || says(SLICE_DROP_IN)
    }

    /// The lists of the other parameters.
    fn set_lists(&mut self, alone: &CpuSet, housekeeping: &CpuSet) {
        let mut has_full_ticks_off = false;
        for chosen in &mut self.chosen {
            let Change::BootParameter { key, value } = &mut chosen.change else { continue };
            let canonical = key.replace('-', "_");
            let BootValue::Is(text) = value else { continue };
            match canonical.as_str() {
                "isolcpus" if !has_domain(text) => *text = format!("managed_irq,{alone}"),
                "nohz_full" => {
                    *text = alone.to_string();
                    has_full_ticks_off = true;
                }
                "rcu_nocbs" => *text = alone.to_string(),
                "irqaffinity" | "kthread_cpus" => *text = housekeeping.to_string(),
                _ => {}
            }
        }
        if has_full_ticks_off {
            self.refuse(|chosen| {
                key_is(&chosen.change, "rcu_nocbs").then(|| "nohz_full does it as well".to_owned())
            });
        }
    }
}

/// The daemon's unit, moved into the slice.
const SLICE_DROP_IN: &str = "etc/systemd/system/barewired.service.d/90-barewire.conf";

/// The slice of the partition: `AllowedCPUs=` makes systemd keep the cpuset controller for it.
fn partition_files(cpus: &CpuSet, is_in_slice: bool) -> Vec<Change> {
    let slice = Change::File {
        path: "etc/systemd/system/barewire.slice".to_owned(),
        content: format!(
            "# Written by barewire-tune: the CPUs that belong to barewired alone.\n\
             [Unit]\nDescription=Barewire's isolated CPUs\n\n[Slice]\nAllowedCPUs={cpus}\n"
        ),
    };
    let mut files = vec![slice];
    if !is_in_slice {
        files.push(Change::File {
            path: SLICE_DROP_IN.to_owned(),
            content: "# Written by barewire-tune: the workers live where their CPUs are.\n\
                      [Service]\nSlice=barewire.slice\n"
                .to_owned(),
        });
    }
    files
}

/// Does a value of `isolcpus` take CPUs out of the scheduler's domains? It does so too when it has no flag at all.
fn has_domain(value: &str) -> bool {
    let is_flag = |part: &&str| part.starts_with(|c: char| c.is_ascii_lowercase());
    let mut flags = value.split(',').map(str::trim).filter(is_flag).peekable();
    flags.peek().is_none() || flags.any(|flag| flag == "domain")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_without_flags_is_about_domains() {
        for (value, is_it) in [
            ("2-3", true),
            ("domain,2-3", true),
            ("managed_irq,domain,2-3", true),
            ("managed_irq,2-3", false),
            ("nohz,managed_irq,2-3", false),
        ] {
            assert_eq!(has_domain(value), is_it, "{value}");
        }
    }
}
