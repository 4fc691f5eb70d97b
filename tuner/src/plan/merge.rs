//! One step a knob: what is wanted twice is done once, and what two checks disagree about is said.

use super::Draft;
use crate::change::{Change, EthtoolSetting};

/// What two changes must not both write.
fn knob(change: &Change) -> String {
    match change {
        Change::Sysctl { key, .. } => format!("/{}", crate::change::sysctl_path(key)),
        Change::Kernel { path, .. } | Change::File { path, .. } => format!("/{path}"),
        Change::Hugepages { node, size_kib, .. } => {
            format!("/{}", crate::change::hugepages_path(*node, *size_kib))
        }
        Change::Ethtool { interface, setting } => {
            // Features are set one by one.
            let of = match setting {
                EthtoolSetting::Features(features) => {
                    features.keys().cloned().collect::<Vec<_>>().join(",")
                }
                EthtoolSetting::Rings { .. }
                | EthtoolSetting::Coalesce { .. }
                | EthtoolSetting::Channels { .. }
                | EthtoolSetting::Pause { .. }
                | EthtoolSetting::Eee(_) => String::new(),
            };
            format!("{} of {interface} {of}", setting.name())
        }
        Change::Unit { unit, state } => format!("{unit} {}", state.name() == "restarted"),
        Change::BootParameter { .. }
        | Change::Setting { .. }
        | Change::Affinity { .. }
        | Change::Partition { .. }
        | Change::Driver { .. }
        | Change::KernelArguments(_)
        | Change::BootMenu { .. } => change.target(),
    }
}

impl Draft<'_> {
    /// Merges changes of the same knob. Where two want different values, the worse finding decides, then the first.
    pub(super) fn merge(&mut self) {
        let mut merged: Vec<super::Chosen> = Vec::with_capacity(self.chosen.len());
        for chosen in std::mem::take(&mut self.chosen) {
            let name = knob(&chosen.change);
            let Some(known) = merged.iter_mut().find(|known| knob(&known.change) == name) else {
                merged.push(chosen);
                continue;
            };
            let form = chosen.change.form();
            if form.is_same(&known.change.wanted(), &chosen.change.wanted()) {
                for check in chosen.checks {
                    if !known.checks.contains(&check) {
                        known.checks.push(check);
                    }
                }
                known.risk = known.risk.max(chosen.risk);
                known.is_bad |= chosen.is_bad;
                continue;
            }
            let loser = match chosen.is_bad && !known.is_bad {
                true => std::mem::replace(known, chosen),
                false => chosen,
            };
            let why =
                format!("{} wants {} instead", known.checks.join(", "), known.change.wanted());
            for check in loser.checks {
                self.left_out.push(super::LeftOut {
                    check,
                    change: loser.change.clone(),
                    why: why.clone(),
                });
            }
        }
        self.chosen = merged;
    }
}
