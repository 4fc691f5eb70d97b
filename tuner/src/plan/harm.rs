//! What is refused, however it came to be wanted.

use crate::{
    Intent,
    change::{BootValue, Change, UnitState},
};

/// Kernel parameters that do harm, with the value that does (none: any), and why.
const PARAMETERS: &[(&str, Option<&str>, &str)] = &[
    ("mce", Some("off"), "without machine checks a memory error corrupts data in silence"),
    ("nomce", None, "without machine checks a memory error corrupts data in silence"),
    ("mitigations", Some("off"), MITIGATIONS),
    ("nopti", None, MITIGATIONS),
    ("pti", Some("off"), MITIGATIONS),
    ("nospectre_v1", None, MITIGATIONS),
    ("nospectre_v2", None, MITIGATIONS),
    ("spectre_v2", Some("off"), MITIGATIONS),
    ("spec_store_bypass_disable", Some("off"), MITIGATIONS),
    ("l1tf", Some("off"), MITIGATIONS),
    ("mds", Some("off"), MITIGATIONS),
    ("tsx_async_abort", Some("off"), MITIGATIONS),
    ("retbleed", Some("off"), MITIGATIONS),
    (
        "idle",
        Some("poll"),
        "every idle CPU spins: the workers' cores lose their turbo, and heat throttles them",
    ),
    (
        "cpuidle.off",
        Some("1"),
        "every idle CPU spins; the kernel's documentation calls it not for production",
    ),
    (
        "nosoftlockup",
        None,
        "CPUs that hang go unnoticed, and with nohz_full the detector leaves the workers alone anyway",
    ),
    ("nowatchdog", None, "CPUs that hang go unnoticed everywhere"),
    (
        "rcupdate.rcu_cpu_stall_suppress",
        Some("1"),
        "a CPU that starves RCU goes unnoticed until memory runs out",
    ),
    (
        "intel_idle.max_cstate",
        Some("0"),
        "it does not keep CPUs awake: it hands them to another driver",
    ),
    ("audit", Some("0"), AUDIT),
    ("selinux", Some("0"), AUDIT),
    ("apparmor", Some("0"), AUDIT),
    ("nokaslr", None, "it gives attackers the kernel's addresses, and no speed"),
    ("iommu", Some("off"), "devices could write anywhere in memory"),
    ("intel_iommu", Some("off"), "devices could write anywhere in memory"),
    ("amd_iommu", Some("off"), "devices could write anywhere in memory"),
];
const MITIGATIONS: &str =
    "it opens the machine to attacks that are known, for a loop that makes no system calls";
const AUDIT: &str = "it switches off what the machine's owner may be obliged to have";

/// Sysctls that do harm, with the value that does, and why.
const SYSCTLS: &[(&str, &str, &str)] = &[
    (
        "kernel/sched_rt_runtime_us",
        "-1",
        "a polling thread of a real-time class would hang its CPU for good",
    ),
    ("net/ipv4/tcp_sack", "0", "connections recover from loss far more slowly"),
    (
        "net/ipv4/tcp_timestamps",
        "0",
        "it loses protection against wrapped sequence numbers, and gains nothing",
    ),
    ("kernel/randomize_va_space", "0", "it gives attackers the programs' addresses, and no speed"),
    ("kernel/softlockup_panic", "1", "one long burst would reboot the machine"),
];

/// Units that protect the machine.
const PROTECTORS: &[&str] = &[
    "nftables",
    "iptables",
    "ip6tables",
    "firewalld",
    "ufw",
    "auditd",
    "apparmor",
    "fail2ban",
    "amazon-ssm-agent",
    "sshd",
    "ssh",
];

/// Why a change is harmful, if it is.
pub(super) fn of(change: &Change) -> Option<&'static str> {
    match change {
        Change::BootParameter { key, value } => parameter(key, value),
        Change::Sysctl { key, value } => sysctl(&crate::change::sysctl_path(key), value),
        Change::Kernel { path, value, .. } => {
            let is_on = matches!(value.trim(), "1" | "Y" | "y");
            match path.as_str() {
                "sys/module/vfio/parameters/enable_unsafe_noiommu_mode" if is_on => {
                    Some("devices could write anywhere in memory")
                }
                "sys/devices/system/cpu/cpu0/online" if value.trim() == "0" => {
                    Some("CPU 0 has work that no other CPU does")
                }
                path => sysctl(path, value),
            }
        }
        Change::File { path, content } => {
            let says =
                |text: &str| content.lines().any(|l| !l.starts_with('#') && l.contains(text));
            (path.starts_with("etc/modprobe.d/")
                && (says("enable_unsafe_noiommu_mode=1") || says("enable_unsafe_noiommu_mode=Y")))
            .then_some("devices could write anywhere in memory")
        }
        Change::Unit { unit, state: UnitState::Disabled } => {
            let name = unit.rsplit_once('.').map_or(unit.as_str(), |(name, _)| name);
            PROTECTORS
                .contains(&name)
                .then_some("it protects the machine, and is not in the packets' way")
        }
        Change::Setting { .. }
        | Change::Ethtool { .. }
        | Change::Unit { .. }
        | Change::Affinity { .. }
        | Change::Partition { .. }
        | Change::Hugepages { .. }
        | Change::Driver { .. }
        | Change::KernelArguments(_)
        | Change::BootMenu { .. } => None,
    }
}

fn parameter(key: &str, value: &BootValue) -> Option<&'static str> {
    let value = match value {
        BootValue::Absent => return None,
        BootValue::Flag => None,
        BootValue::Is(value) => Some(value.as_str()),
    };
    let canonical = key.replace('-', "_");
    let is_it = |(name, harmful, _): &&(&str, Option<&str>, &str)| {
        *name == canonical && (harmful.is_none() || value.is_some_and(|v| harmful == &Some(v)))
    };
    PARAMETERS.iter().find(is_it).map(|(_, _, why)| *why)
}

fn sysctl(path: &str, value: &str) -> Option<&'static str> {
    let key = path.strip_prefix("proc/sys/")?;
    let is_it = |(name, harmful, _): &&(&str, &str, &str)| *name == key && *harmful == value.trim();
    SYSCTLS.iter().find(is_it).map(|(_, _, why)| *why)
}

/// Why a change would cut the operator's way in, which no wish can ask for.
pub(super) fn locks_out(change: &Change, intent: &Intent) -> Option<String> {
    let Change::Driver { device, .. } = change else { return None };
    let reasons = intent.guard.of_function(*device);
    reasons.first().map(|reason| format!("{device} must stay with its driver: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Form;

    fn boot(key: &str, value: Option<&str>) -> Change {
        let value = value.map_or(BootValue::Flag, |value| BootValue::Is(value.to_owned()));
        Change::BootParameter { key: key.to_owned(), value }
    }

    #[test]
    fn every_harmful_setting_is_known_however_it_is_written() {
        let kernel = |path: &str, value: &str| Change::Kernel {
            path: path.to_owned(),
            value: value.to_owned(),
            form: Form::Text,
        };
        let sysctl = |key: &str, value: &str| Change::Sysctl {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        for change in [
            boot("mce", Some("off")),
            boot("nomce", None),
            boot("mitigations", Some("off")),
            boot("idle", Some("poll")),
            boot("cpuidle.off", Some("1")),
            boot("nosoftlockup", None),
            boot("spec-store-bypass-disable", Some("off")),
            sysctl("net.ipv4.tcp_sack", "0"),
            sysctl("net/ipv4/tcp_timestamps", "0"),
            sysctl("kernel.sched_rt_runtime_us", "-1"),
            kernel("proc/sys/kernel/sched_rt_runtime_us", "-1\n"),
            kernel("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y"),
            kernel("sys/devices/system/cpu/cpu0/online", "0"),
            Change::File {
                path: "etc/modprobe.d/90-barewire.conf".into(),
                content: "options vfio enable_unsafe_noiommu_mode=1\n".into(),
            },
            Change::Unit { unit: "firewalld.service".into(), state: UnitState::Disabled },
        ] {
            assert!(of(&change).is_some(), "{change:?}");
        }
    }

    #[test]
    fn taking_harm_away_is_no_harm() {
        for change in [
            Change::BootParameter { key: "mce".into(), value: BootValue::Absent },
            boot("mce", Some("ignore_ce")),
            boot("mitigations", Some("auto")),
            boot("idle", Some("nomwait")),
            boot("intel_idle.max_cstate", Some("1")),
            Change::Sysctl { key: "net.ipv4.tcp_sack".into(), value: "1".into() },
            Change::Sysctl { key: "kernel.sched_rt_runtime_us".into(), value: "950000".into() },
            Change::Unit { unit: "firewalld.service".into(), state: UnitState::Enabled },
            Change::Unit { unit: "ksmtuned.service".into(), state: UnitState::Disabled },
        ] {
            assert_eq!(of(&change), None, "{change:?}");
        }
    }
}
