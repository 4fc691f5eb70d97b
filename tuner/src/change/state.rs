//! What a change finds, and what it leaves behind.

use config::CpuSet;

use super::{BootValue, Change, EthtoolSetting, Form, PARTITION, hugepages_path, sysctl_path};
use crate::{Fact, Source};

impl Change {
    /// What is changed, in a few words: a file, an interface's rings, a kernel parameter.
    #[must_use]
    pub fn target(&self) -> String {
        match self {
            Self::Sysctl { key, .. } => key.clone(),
            Self::Kernel { path, .. } | Self::File { path, .. } => format!("/{path}"),
            Self::BootParameter { key, .. } => format!("kernel parameter {key}"),
            Self::Setting { path, key, .. } => format!("{key} in /{path}"),
            Self::Ethtool { interface, setting } => format!("{} of {interface}", setting.name()),
            Self::Unit { unit, .. } => unit.clone(),
            Self::Affinity { thread, name, .. } => format!("affinity of {name} ({thread})"),
            Self::Partition { .. } => "isolated cpuset partition".to_owned(),
            Self::Hugepages { node, size_kib, .. } => match node {
                Some(node) => format!("{size_kib} KiB pages of node {node}"),
                None => format!("{size_kib} KiB pages"),
            },
            Self::Driver { device, .. } => format!("driver of {device}"),
            Self::KernelArguments(_) => "kernel arguments".to_owned(),
            Self::BootMenu { .. } => "boot menu".to_owned(),
        }
    }

    /// The file that it changes, from the root, without a slash in front; none where it is no file's.
    #[must_use]
    pub fn file(&self) -> Option<String> {
        match self {
            Self::Sysctl { key, .. } => Some(sysctl_path(key)),
            Self::Kernel { path, .. } | Self::File { path, .. } | Self::Setting { path, .. } => {
                Some(path.clone())
            }
            Self::BootParameter { .. } | Self::KernelArguments(_) => {
                Some("proc/cmdline".to_owned())
            }
            Self::Affinity { thread, .. } => Some(format!("proc/{thread}/status")),
            Self::Partition { .. } => Some(format!("{PARTITION}/cpuset.cpus.partition")),
            Self::Hugepages { node, size_kib, .. } => Some(hugepages_path(*node, *size_kib)),
            Self::Driver { device, .. } => Some(format!("sys/bus/pci/devices/{device}/driver")),
            Self::Ethtool { interface, .. } => Some(format!("sys/class/net/{interface}")),
            Self::Unit { .. } | Self::BootMenu { .. } => None,
        }
    }

    /// The value that is there afterwards, in the notation of [`Change::current`].
    #[must_use]
    pub fn wanted(&self) -> String {
        match self {
            Self::Sysctl { value, .. } | Self::Kernel { value, .. } => value.clone(),
            Self::BootParameter { key, value } => match value {
                BootValue::Flag => key.clone(),
                BootValue::Is(value) => value.clone(),
                BootValue::Absent => String::new(),
            },
            Self::File { content, .. } => content.clone(),
            Self::Setting { value, .. } => value.clone(),
            Self::Ethtool { setting, .. } => setting.text(),
            Self::Unit { state, .. } => state.name().to_owned(),
            Self::Affinity { cpus, .. } => cpus.to_string(),
            Self::Partition { cpus } => format!("isolated {cpus}"),
            Self::Hugepages { count, .. } => count.to_string(),
            Self::Driver { driver, .. } => driver.clone(),
            Self::KernelArguments(arguments) => arguments.wanted(),
            Self::BootMenu { .. } => "made anew".to_owned(),
        }
    }

    /// How two values of it compare.
    #[must_use]
    pub fn form(&self) -> Form {
        match self {
            Self::Sysctl { key, .. } => Form::of_sysctl(key),
            Self::Kernel { form, .. } => *form,
            Self::Affinity { .. } => Form::CpuList,
            Self::Hugepages { .. } => Form::Number,
            Self::KernelArguments(_) => Form::Words,
            Self::BootParameter { .. }
            | Self::File { .. }
            | Self::Setting { .. }
            | Self::Ethtool { .. }
            | Self::Unit { .. }
            | Self::Partition { .. }
            | Self::Driver { .. }
            | Self::BootMenu { .. } => Form::Text,
        }
    }

    /// The value that is there now, as far as files tell: absent where there is no such file, thread or driver.
    ///
    /// What is not a file is unknown here: a unit's state and what ethtool says are facts of their own.
    #[must_use]
    pub fn current(&self, source: &Source) -> Fact<String> {
        match self {
            Self::Sysctl { key, .. } => source.text(&sysctl_path(key)),
            Self::Kernel { path, .. } | Self::File { path, .. } => source.text(path),
            Self::BootParameter { key, .. } => {
                let line =
                    source.text("proc/cmdline").map(|line| linux::cmdline::Cmdline::parse(&line));
                line.and_then(|line| match line.all(key).last() {
                    Some(found) => Fact::Is(found.value.clone().unwrap_or_else(|| key.clone())),
                    None => Fact::Absent,
                })
            }
            Self::Setting { path, key, .. } => {
                source.text(path).and_then(|text| match setting_value(&text, key) {
                    Some(value) => Fact::Is(value),
                    None => Fact::Absent,
                })
            }
            Self::Affinity { thread, name, .. } => {
                match source.text(&format!("proc/{thread}/comm")) {
                    Fact::Is(found) if found == *name => {
                        source.text(&format!("proc/{thread}/status")).and_then(|status| {
                            let allowed =
                                status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:"));
                            match allowed {
                                Some(list) => Fact::Is(list.trim().to_owned()),
                                None => Fact::unknown("its status does not say which CPUs"),
                            }
                        })
                    }
                    // It ended, and its number went to another one.
                    Fact::Is(_) | Fact::Absent => Fact::Absent,
                    Fact::Unknown { why } => Fact::Unknown { why },
                }
            }
            Self::Partition { .. } => {
                let state = source.text(&format!("{PARTITION}/cpuset.cpus.partition"));
                state.and_then(|state| {
                    let cpus = source.text(&format!("{PARTITION}/cpuset.cpus"));
                    let canonical = |list: String| match list.parse::<CpuSet>() {
                        Ok(cpus) => cpus.to_string(),
                        Err(_) => list,
                    };
                    cpus.map(|list| format!("{state} {}", canonical(list)))
                })
            }
            Self::Hugepages { node, size_kib, .. } => {
                source.text(&hugepages_path(*node, *size_kib))
            }
            Self::Driver { device, .. } => {
                source.link_name(&format!("sys/bus/pci/devices/{device}/driver"))
            }
            Self::KernelArguments(arguments) => arguments.current(source),
            Self::Ethtool { interface, .. } => {
                Fact::unknown(format!("what ethtool says of {interface} is not a file"))
            }
            Self::Unit { unit, .. } => Fact::unknown(format!("the state of {unit} is not a file")),
            Self::BootMenu { .. } => {
                Fact::unknown("whether a boot menu is up to date is not a file")
            }
        }
    }

    /// Is `current` already what is wanted?
    #[must_use]
    pub fn is_done(&self, current: &Fact<String>) -> bool {
        match current {
            Fact::Is(current) => self.form().is_same(current, &self.wanted()),
            Fact::Absent => match self {
                Self::BootParameter { value, .. } => *value == BootValue::Absent,
                _ => false,
            },
            Fact::Unknown { .. } => false,
        }
    }
}

impl EthtoolSetting {
    /// What of an interface it is.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Rings { .. } => "rings",
            Self::Coalesce { .. } => "coalescing",
            Self::Channels { .. } => "channels",
            Self::Features(_) => "features",
            Self::Pause { .. } => "pause frames",
            Self::Eee(_) => "energy-efficient Ethernet",
        }
    }

    /// What it should be, in words of ethtool's: `rx 4096 tx 4096`.
    #[must_use]
    pub fn text(&self) -> String {
        let switch = |on: &bool| if *on { "on" } else { "off" };
        let mut words: Vec<String> = Vec::new();
        match self {
            Self::Rings { rx, tx } => {
                words.extend(rx.map(|rx| format!("rx {rx}")));
                words.extend(tx.map(|tx| format!("tx {tx}")));
            }
            Self::Coalesce { adaptive, rx_usecs, tx_usecs } => {
                words.extend(adaptive.map(|on| format!("adaptive {}", switch(&on))));
                words.extend(rx_usecs.map(|usecs| format!("rx-usecs {usecs}")));
                words.extend(tx_usecs.map(|usecs| format!("tx-usecs {usecs}")));
            }
            Self::Channels { combined } => words.push(format!("combined {combined}")),
            Self::Features(features) => {
                words.extend(features.iter().map(|(name, on)| format!("{name} {}", switch(on))));
            }
            Self::Pause { rx, tx } => {
                words.push(format!("rx {} tx {}", switch(rx), switch(tx)));
            }
            Self::Eee(on) => words.push(switch(on).to_owned()),
        }
        words.join(" ")
    }
}

/// The value of the last `KEY=value` line, without quotes, as systemd and the shell take it.
fn setting_value(text: &str, key: &str) -> Option<String> {
    let value = |line: &str| -> Option<String> {
        let value = line.trim().strip_prefix(key)?.strip_prefix('=')?.trim();
        let between = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
        match (between('"'), between('\'')) {
            (Some(inside), _) => Some(unescape(inside)),
            (None, Some(inside)) => Some(inside.to_owned()),
            (None, None) => Some(value.to_owned()),
        }
    };
    text.lines().rev().find_map(value)
}

/// Takes the backslashes away that [`setting_line`](super::setting_line) puts between double quotes.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(next @ ('"' | '\\' | '$' | '`'))) => {
                plain.push(*next);
                chars.next();
            }
            _ => plain.push(c),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_setting_counts_and_a_comment_does_not() {
        let text = "# OPTIONS=a\nOPTIONS=b\n OPTIONS=\"c d\"\nOPTIONSX=e\n";

        assert_eq!(setting_value(text, "OPTIONS"), Some("c d".to_owned()));
        assert_eq!(setting_value(text, "NONE"), None);
    }

    proptest::proptest! {
        #[test]
        fn a_setting_that_is_written_reads_back(value in "[ -~]{0,40}") {
            let line = crate::change::setting_line("KEY", &value);
            // Blanks at the ends of a bare value can not be there: it would have been quoted.
            proptest::prop_assert_eq!(setting_value(&line, "KEY"), Some(value));
        }
    }
}
