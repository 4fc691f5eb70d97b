//! Which changes are wanted: by verdict, by profile, by wish.

use config::{Huge, Wish};

use super::{Chosen, Draft, harm};
use crate::{
    Finding, Profile, Verdict,
    change::{BootValue, Change, EthtoolSetting, Form, UnitState, sysctl_path},
};

/// Checks whose fix costs much power on all of the machine.
const POWER: &[&str] = &[
    "PWR-01", "PWR-02", "PWR-03", "PWR-05", "PWR-06", "CST-01", "CST-02", "CST-03", "CST-04",
    "CST-05", "UNC-01", "FW-01", "FW-04", "FW-05",
];

/// Checks whose fix gives packets per second away for a better tail.
const TAIL: &[&str] =
    &["NIC-01", "NIC-02", "NIC-04", "CST-01", "CST-02", "CST-03", "CST-04", "UNC-01"];

/// The one sysctl behind a check, for a value that is wanted where the check itself wants nothing.
const SYSCTLS: &[(&str, &str)] = &[
    ("CLK-05", "kernel.timer_migration"),
    ("ISO-18", "kernel.sched_rt_runtime_us"),
    ("WD-01", "kernel.nmi_watchdog"),
    ("WD-02", "kernel.watchdog_cpumask"),
    ("WD-04", "kernel.hung_task_timeout_secs"),
    ("VM-01", "vm.stat_interval"),
    ("MEM-11", "kernel.numa_balancing"),
    ("MEM-12", "vm.zone_reclaim_mode"),
    ("MEM-14", "vm.swappiness"),
    ("MEM-15", "vm.compaction_proactiveness"),
    ("MEM-18", "vm.max_map_count"),
    ("NET-02", "net.ipv4.tcp_timestamps"),
    ("NET-03", "net.ipv4.tcp_sack"),
    ("NET-05", "net.core.netdev_max_backlog"),
];

/// Does a profile leave this check alone?
fn is_outside(profile: Profile, id: &str) -> bool {
    match profile {
        Profile::LowLatency => false,
        Profile::Throughput => TAIL.contains(&id),
        Profile::Balanced => POWER.contains(&id),
    }
}

impl Draft<'_> {
    /// Takes the changes that are wanted, and says of the others why not.
    pub(super) fn choose(&mut self, findings: &[Finding]) {
        for finding in findings.iter().filter(|finding| self.wishes.includes(finding.id)) {
            let wish = self.wishes.set.get(finding.id);
            let is_flagged = matches!(finding.verdict, Verdict::Warn | Verdict::Bad);
            let refusal = match wish {
                Some(Wish::Apply | Wish::Value(_)) => None,
                Some(Wish::Skip) => Some("not wanted: the configuration says skip".to_owned()),
                // What is only worth knowing is changed when somebody asks for it.
                None if !is_flagged => continue,
                None if finding.is_contested && !self.wishes.measured.contains(finding.id) => {
                    Some(format!(
                        "experts disagree: measure first, or ask for it (--apply {})",
                        finding.id
                    ))
                }
                None if is_outside(self.wishes.profile, finding.id) => {
                    Some(format!("not part of the profile {}", self.wishes.profile.name()))
                }
                None => None,
            };
            if matches!(wish, Some(Wish::Skip)) && !is_flagged {
                continue;
            }
            let changes = match wish {
                Some(Wish::Value(value)) => self.with_value(finding, value),
                Some(Wish::Apply) if finding.fix.is_empty() => self.without_a_fix(finding.id),
                Some(Wish::Apply | Wish::Skip) | None => finding.fix.clone(),
            };
            for change in changes {
                let refusal = refusal.clone().or_else(|| self.harm(finding.id, &change));
                match refusal {
                    Some(why) => self.leave_out(finding.id, change, why),
                    None => self.chosen.push(Chosen {
                        checks: vec![finding.id.to_owned()],
                        change,
                        scope: None,
                        risk: finding.risk,
                        is_bad: finding.verdict == Verdict::Bad,
                        why: finding.why.to_owned(),
                    }),
                }
            }
        }
        for (id, wish) in &self.wishes.set {
            let found = findings.iter().find(|finding| finding.id == id);
            if *wish == Wish::Apply
                && let Some(finding) = found
                && finding.fix.is_empty()
                && self.without_a_fix(id).is_empty()
                && self.wishes.includes(id)
                && finding.verdict != Verdict::Good
            {
                self.notes.push(format!(
                    "{id} is asked for, but there is no change that would do it here"
                ));
            }
        }
    }

    /// Why a change is not made although somebody wants it.
    fn harm(&self, id: &str, change: &Change) -> Option<String> {
        if let Some(why) = harm::locks_out(change, self.intent) {
            return Some(format!("refused: {why}"));
        }
        let why = harm::of(change)?;
        if self.wishes.i_want.contains(id) {
            return None;
        }
        Some(format!("refused: {why} (it is done all the same with --i-want {id})"))
    }

    /// What is done about a check that is content, when it is asked for all the same.
    fn without_a_fix(&self, id: &str) -> Vec<Change> {
        match (id, self.intent.huge) {
            ("MEM-05", Huge::G1) => mount("1G", 1_048_576),
            // systemd mounts the default size at /dev/hugepages itself.
            _ => Vec::new(),
        }
    }

    /// The changes of a finding with another value.
    fn with_value(&mut self, finding: &Finding, value: &str) -> Vec<Change> {
        if finding.fix.is_empty() {
            let sysctl = SYSCTLS.iter().find(|(id, _)| *id == finding.id).map(|(_, key)| *key);
            let there = sysctl.and_then(|key| {
                let now = self.source.text(&sysctl_path(key)).into_value()?;
                Some((key, now))
            });
            return match there {
                Some((key, now)) if Form::of_sysctl(key).is_same(&now, value) => Vec::new(),
                Some((key, _)) => {
                    vec![Change::Sysctl { key: key.to_owned(), value: value.to_owned() }]
                }
                None => {
                    let id = finding.id;
                    self.notes.push(format!("{id} has no knob here that could be set to {value}"));
                    Vec::new()
                }
            };
        }
        let mut changes = Vec::new();
        for change in &finding.fix {
            match valued(change, value) {
                Some(change) => changes.push(change),
                None => {
                    let why = format!("it can not be set to \"{value}\"");
                    self.leave_out(finding.id, change.clone(), why);
                }
            }
        }
        changes
    }
}

/// A hugetlbfs for pages of one size, for programs that share them by file; the daemon needs none.
fn mount(size: &str, size_kib: u32) -> Vec<Change> {
    // systemd.mount(5): the unit's name is its path, escaped as systemd-escape(1) does it.
    let unit = format!("dev-hugepages\\x2d{size}.mount");
    let content = format!(
        "# Written by barewire-tune: hugepages of {size} for programs that share them by file.\n\
         [Unit]\nDescription=Hugepages of {size}\n\
         ConditionPathExists=/sys/kernel/mm/hugepages/hugepages-{size_kib}kB\n\n\
         [Mount]\nWhat=hugetlbfs\nWhere=/dev/hugepages-{size}\nType=hugetlbfs\n\
         Options=pagesize={size},mode=0770,nosuid,nodev\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    );
    let file = Change::File { path: format!("etc/systemd/system/{unit}"), content };
    vec![file, Change::Unit { unit, state: UnitState::Enabled }]
}

/// The same change to another value; none where that makes no sense.
fn valued(change: &Change, value: &str) -> Option<Change> {
    let value = value.to_owned();
    Some(match change {
        Change::Sysctl { key, .. } => Change::Sysctl { key: key.clone(), value },
        Change::Kernel { path, form, .. } => {
            Change::Kernel { path: path.clone(), value, form: *form }
        }
        Change::BootParameter { key, .. } => {
            Change::BootParameter { key: key.clone(), value: BootValue::Is(value) }
        }
        Change::Setting { path, key, .. } => {
            Change::Setting { path: path.clone(), key: key.clone(), value }
        }
        Change::Hugepages { node, size_kib, .. } => {
            Change::Hugepages { node: *node, size_kib: *size_kib, count: value.parse().ok()? }
        }
        Change::Ethtool { interface, setting: EthtoolSetting::Channels { .. } } => {
            Change::Ethtool {
                interface: interface.clone(),
                setting: EthtoolSetting::Channels { combined: value.parse().ok()? },
            }
        }
        Change::Affinity { thread, name, .. } => {
            Change::Affinity { thread: *thread, name: name.clone(), cpus: value.parse().ok()? }
        }
        Change::File { .. }
        | Change::Ethtool { .. }
        | Change::Unit { .. }
        | Change::Partition { .. }
        | Change::Driver { .. }
        | Change::KernelArguments(_)
        | Change::BootMenu { .. } => return None,
    })
}
