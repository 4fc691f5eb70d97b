//! What keeps everything else off the workers' CPUs: cpusets, ticks, RCU, workqueues, real-time limits.

use std::collections::BTreeMap;

use config::{CpuId, CpuSet};
use linux::cpuset::{self, Hierarchy, Partition};
use serde::Serialize;

use crate::{Fact, Source};

const CPU: &str = "sys/devices/system/cpu";
/// The masks of unbound workqueues.
pub const WORKQUEUES: &str = "sys/devices/virtual/workqueue";

/// What keeps everything else off the workers' CPUs.
#[derive(Debug, Clone, Serialize)]
pub struct Isolation {
    /// CPUs out of load balancing by the boot line and, on newer kernels, by partitions.
    pub isolated: Fact<CpuSet>,
    /// CPUs of isolated cgroup-v2 partitions, by the root group.
    pub in_partitions: Fact<CpuSet>,
    /// CPUs that cgroup v1's cpusets keep out of load balancing.
    pub unbalanced: Fact<CpuSet>,
    /// Which control groups of CPUs there are.
    pub hierarchy: Hierarchy,
    /// The cgroup-v2 groups that are, or were to be, partitions.
    pub partitions: Vec<Partition>,
    /// CPUs without a tick while they have one task; absent when the kernel can not do that.
    pub nohz_full: Fact<CpuSet>,
    /// The last CPU that this kernel can have: what `N` of a boot parameter means.
    pub last_cpu: Fact<CpuId>,
    /// How long RCU waits for a tick-free CPU before it disturbs it, in ms; absent on kernels before 6.12.
    pub patience_ms: Fact<i64>,
    /// The masks of workqueues by the file they are in; those that can not be read are in `workqueues_unread`.
    pub workqueues: Fact<BTreeMap<String, CpuSet>>,
    /// Masks that can not be read, with the reason.
    pub workqueues_unread: Vec<String>,
    /// `kernel.sched_rt_runtime_us`
    pub rt_runtime_us: Fact<i64>,
    /// `kernel.sched_rt_period_us`
    pub rt_period_us: Fact<i64>,
    /// Is this a PREEMPT_RT kernel?
    pub is_realtime: Fact<bool>,
    /// Entries of SELinux's cache of decisions; absent without SELinux.
    pub avc_entries: Fact<i64>,
}

impl Isolation {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        let (workqueues, workqueues_unread) = workqueues(source);
        let possible = source.cpu_list(&format!("{CPU}/possible"));
        Self {
            isolated: source.cpu_list(&format!("{CPU}/isolated")),
            in_partitions: source.cpu_list("sys/fs/cgroup/cpuset.cpus.isolated"),
            unbalanced: cpuset::unbalanced(source.root()).into(),
            hierarchy: cpuset::hierarchy(source.root()),
            partitions: cpuset::partitions(source.root()),
            nohz_full: source.cpu_list(&format!("{CPU}/nohz_full")),
            last_cpu: possible.and_then(|cpus| match cpus.last() {
                Some(last) => Fact::Is(last),
                None => Fact::unknown("the kernel says that it can have no CPU"),
            }),
            patience_ms: source.number("sys/module/rcutree/parameters/nohz_full_patience_delay"),
            workqueues,
            workqueues_unread,
            rt_runtime_us: source.number("proc/sys/kernel/sched_rt_runtime_us"),
            rt_period_us: source.number("proc/sys/kernel/sched_rt_period_us"),
            is_realtime: is_realtime(source),
            avc_entries: source.number("sys/fs/selinux/avc/cache_threshold"),
        }
    }

    /// Every CPU that is kept out of load balancing, in whichever way.
    #[must_use]
    pub fn all_isolated(&self) -> Fact<CpuSet> {
        self.isolated.as_ref().map(|isolated| {
            let valid = self.partitions.iter().filter(|partition| partition.is_isolated());
            let of_partitions = valid.map(|partition| &partition.effective);
            let others = [self.in_partitions.value(), self.unbalanced.value()];
            let all = of_partitions.chain(others.into_iter().flatten());
            all.fold(isolated.clone(), |all, some| all.union(some))
        })
    }
}

fn workqueues(source: &Source) -> (Fact<BTreeMap<String, CpuSet>>, Vec<String>) {
    let names = match source.names(WORKQUEUES) {
        Fact::Is(names) => names,
        Fact::Absent => return (Fact::Absent, Vec::new()),
        Fact::Unknown { why } => return (Fact::Unknown { why }, Vec::new()),
    };
    let files = names.iter().map(|name| format!("{WORKQUEUES}/{name}/cpumask"));
    let files = std::iter::once(format!("{WORKQUEUES}/cpumask")).chain(files);
    let (mut masks, mut unread) = (BTreeMap::new(), Vec::new());
    for file in files {
        match source.cpu_mask(&file) {
            Fact::Is(mask) => drop(masks.insert(file, mask)),
            // Only unbound workqueues have a mask, and "power" and "subsystem" are no workqueues.
            Fact::Absent => {}
            Fact::Unknown { why } => unread.push(why),
        }
    }
    (Fact::Is(masks), unread)
}

fn is_realtime(source: &Source) -> Fact<bool> {
    match source.text("sys/kernel/realtime") {
        Fact::Is(text) => Fact::Is(text == "1"),
        // Only PREEMPT_RT kernels have that file; what they are called says it too.
        Fact::Absent => source.text("proc/version").map(|version| version.contains("PREEMPT_RT")),
        Fact::Unknown { why } => Fact::Unknown { why },
    }
}
