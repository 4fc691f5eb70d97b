//! Clock sources, timers and watchdogs.

use config::CpuSet;
use serde::Serialize;

use crate::{Fact, Source};

/// Clock sources, timers and watchdogs.
#[derive(Debug, Clone, Serialize)]
pub struct Clock {
    /// What the kernel tells the time by.
    pub source: Fact<String>,
    /// What it could tell the time by. A time-stamp counter that it found out not to be trusted is not there.
    pub available: Fact<Vec<String>>,
    /// `kernel.timer_migration`
    pub timer_migration: Fact<String>,
    /// `kernel.nmi_watchdog`
    pub nmi_watchdog: Fact<String>,
    /// `kernel.soft_watchdog`
    pub soft_watchdog: Fact<String>,
    /// `kernel.watchdog_cpumask`: the CPUs that both watchdogs watch.
    pub watched: Fact<CpuSet>,
    /// `kernel.hung_task_timeout_secs`
    pub hung_task_timeout: Fact<String>,
    /// `vm.stat_interval`, in seconds.
    pub stat_interval: Fact<String>,
    /// Are warnings about stalled RCU grace periods switched off?
    pub rcu_stalls_suppressed: Fact<String>,
    /// The kernel's release, on which depends what it does by itself: `6.1.0-28-amd64`.
    pub release: Fact<String>,
}

const SOURCES: &str = "sys/devices/system/clocksource/clocksource0";

impl Clock {
    /// Reads it.
    #[must_use]
    pub fn read(source: &Source) -> Self {
        let words = |text: String| text.split_ascii_whitespace().map(str::to_owned).collect();
        Self {
            source: source.text(&format!("{SOURCES}/current_clocksource")),
            available: source.text(&format!("{SOURCES}/available_clocksource")).map(words),
            timer_migration: source.sysctl("kernel.timer_migration"),
            nmi_watchdog: source.sysctl("kernel.nmi_watchdog"),
            soft_watchdog: source.sysctl("kernel.soft_watchdog"),
            watched: source.cpu_list("proc/sys/kernel/watchdog_cpumask"),
            hung_task_timeout: source.sysctl("kernel.hung_task_timeout_secs"),
            stat_interval: source.sysctl("vm.stat_interval"),
            rcu_stalls_suppressed: source
                .text("sys/module/rcupdate/parameters/rcu_cpu_stall_suppress"),
            release: source.sysctl("kernel.osrelease"),
        }
    }

    /// Is the kernel known to be this version or a later one?
    #[must_use]
    pub fn kernel_is_at_least(&self, major: u32, minor: u32) -> bool {
        let version = self.release.value().and_then(|release| version(release));
        version.is_some_and(|version| version >= (major, minor))
    }

    /// Can the kernel tell the time by this?
    #[must_use]
    pub fn offers(&self, name: &str) -> bool {
        self.available.value().is_some_and(|available| available.iter().any(|one| one == name))
    }
}

/// The first two numbers of a kernel's release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_begins_with_two_numbers() {
        assert_eq!(version("6.1.0-28-amd64"), Some((6, 1)));
        assert_eq!(version("5.14-rc3"), Some((5, 14)));
        for odd in ["", "linux", "6", "x.y", "99999999999.1"] {
            assert_eq!(version(odd), None, "{odd}");
        }
    }
}
