//! The CPUs: which there are, which run, which are kept apart, and what they share.
//!
//! Sources: `Documentation/ABI/stable/sysfs-devices-system-cpu`, `Documentation/admin-guide/cputopology.rst` and
//! `Documentation/admin-guide/cpu-isolation.rst` of Linux 6.18.

use std::collections::BTreeMap;

use config::{CpuId, CpuSet};

use crate::{Known, ReadError, Root, cpuset, text};

/// Where the CPUs are in sysfs.
const DIR: &str = "sys/devices/system/cpu";

/// What the kernel says about the machine's CPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cpus {
    /// The CPUs that are plugged in.
    pub present: CpuSet,
    /// The CPUs that run.
    pub online: CpuSet,
    /// The CPUs that are kept out of the scheduler's load balancing, by `isolcpus=domain` or by a cpuset partition.
    pub isolated: Known<CpuSet>,
    /// The CPUs without a scheduler tick while they have one task; none in a kernel that can not do it.
    pub nohz_full: Known<CpuSet>,
    /// The CPUs that this process's cpuset lets it use. Its affinity may be narrower, and can be widened to this.
    pub allowed: Known<CpuSet>,
    /// What each CPU that runs shares with others.
    pub topology: BTreeMap<CpuId, Topology>,
}

/// Where one CPU is, as far as sysfs tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Its socket.
    pub package: Option<u32>,
    /// Its core, within the socket.
    pub core: Option<u32>,
    /// The threads of its core, itself included.
    pub siblings: CpuSet,
    /// The CPUs that share its L3 cache.
    pub l3: Option<CpuSet>,
}

/// Read what the kernel says about the CPUs.
///
/// # Errors
/// [`ReadError`] when the list of online CPUs can not be read: nothing can be said without it.
pub fn read(root: &Root) -> Result<Cpus, ReadError> {
    let online = root.cpu_list(&format!("{DIR}/online"))?;
    let present = match root.cpu_list(&format!("{DIR}/present")) {
        Ok(present) => present.union(&online),
        Err(_) => online.clone(),
    };
    let nohz_full = match root.cpu_list(&format!("{DIR}/nohz_full")) {
        // A kernel built without CONFIG_NO_HZ_FULL has no such file.
        Err(error) if error.is_missing() => Known::Known(CpuSet::new()),
        other => other.into(),
    };
    let topology = online.iter().map(|cpu| (cpu, topology(root, cpu))).collect();
    let allowed = cpuset::allowed(root).map(|allowed| allowed.intersection(&present));
    Ok(Cpus { isolated: isolated(root), nohz_full, allowed, topology, present, online })
}

/// The isolated CPUs: those of the boot line, which sysfs lists, and those of cpuset partitions, which cgroups list.
///
/// Newer kernels report the union in both places, older ones do not.
fn isolated(root: &Root) -> Known<CpuSet> {
    let at_boot = root.cpu_list(&format!("{DIR}/isolated"));
    let partitions = cpuset::isolated(root);
    match (at_boot, partitions) {
        (Ok(a), Known::Known(b)) => Known::Known(a.union(&b)),
        // Machines without cgroups have no partitions; what sysfs says is everything then.
        (Ok(a), Known::Unknown { .. }) => Known::Known(a),
        (Err(_), Known::Known(b)) if !b.is_empty() => Known::Known(b),
        (Err(error), _) => Known::unknown(error.to_string()),
    }
}

fn topology(root: &Root, cpu: CpuId) -> Topology {
    let dir = format!("{DIR}/cpu{cpu}");
    // −1 is how the kernel says that the firmware does not number them.
    let number = |name: &str| root.parse(&format!("{dir}/topology/{name}"), "a number").ok();
    let siblings = ["core_cpus_list", "thread_siblings_list"]
        .iter()
        .find_map(|name| root.cpu_list(&format!("{dir}/topology/{name}")).ok())
        .unwrap_or_default();
    Topology {
        package: number("physical_package_id"),
        core: number("core_id"),
        siblings: siblings.union(&CpuSet::from_iter([cpu])),
        l3: l3(root, &dir),
    }
}

/// The CPUs that share the level 3 cache of the CPU whose directory this is.
fn l3(root: &Root, dir: &str) -> Option<CpuSet> {
    let names = root.names(&format!("{dir}/cache")).ok()?;
    names.iter().filter(|name| text::numbered(name, "index").is_some()).find_map(|name| {
        let level: u32 = root.parse(&format!("{dir}/cache/{name}/level"), "a number").ok()?;
        (level == 3).then(|| root.cpu_list(&format!("{dir}/cache/{name}/shared_cpu_list")).ok())?
    })
}
