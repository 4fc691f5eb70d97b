//! What is there now, where no file says it: the facts do.

use std::collections::BTreeMap;

use crate::{
    Fact, Facts,
    change::{Change, EthtoolSetting, UnitState},
};

/// The value of a change before it is made, in the notation of [`Change::wanted`]; none where the facts do not say.
pub(super) fn by_facts(change: &Change, facts: &Facts) -> Option<String> {
    match change {
        Change::Ethtool { interface, setting } => {
            let nic = facts.nics.nics.iter().find(|nic| nic.interface.name == *interface)?;
            let now = match setting {
                EthtoolSetting::Rings { rx, tx } => {
                    let rings = nic.rings.value()?;
                    EthtoolSetting::Rings { rx: rx.and(rings.rx.now), tx: tx.and(rings.tx.now) }
                }
                EthtoolSetting::Coalesce { adaptive, rx_usecs, tx_usecs } => {
                    let now = nic.coalesce.value()?;
                    // On when one direction is: then there is something to switch off.
                    let is_adaptive = match (now.adaptive_rx, now.adaptive_tx) {
                        (None, None) => None,
                        (rx, tx) => Some(rx == Some(true) || tx == Some(true)),
                    };
                    EthtoolSetting::Coalesce {
                        adaptive: adaptive.and(is_adaptive),
                        rx_usecs: rx_usecs.and(now.rx_usecs),
                        tx_usecs: tx_usecs.and(now.tx_usecs),
                    }
                }
                EthtoolSetting::Channels { .. } => {
                    EthtoolSetting::Channels { combined: nic.channels.value()?.combined.now? }
                }
                EthtoolSetting::Features(wanted) => {
                    let all = nic.features.value()?;
                    let mut now = BTreeMap::new();
                    for name in wanted.keys() {
                        let names = linux::ethtool::kernel_names(name, all.keys());
                        let is_on = names.iter().any(|n| all.get(*n).is_some_and(|one| one.is_on));
                        if !names.is_empty() {
                            now.insert(name.clone(), is_on);
                        }
                    }
                    EthtoolSetting::Features(now)
                }
                EthtoolSetting::Pause { .. } => {
                    let pause = nic.pause.value()?;
                    EthtoolSetting::Pause { rx: pause.rx, tx: pause.tx }
                }
                EthtoolSetting::Eee(_) => EthtoolSetting::Eee(nic.eee.value()?.is_enabled),
            };
            Some(now.text())
        }
        Change::Unit { unit, state } => {
            let unit = facts.units.unit(unit)?;
            let (is_enabled, is_active) = (unit.is_enabled.value()?, unit.is_active.value()?);
            match (state, is_enabled, is_active) {
                (UnitState::Restarted, ..) => None,
                (_, true, true) => Some("enabled".to_owned()),
                (_, false, false) => Some("disabled".to_owned()),
                (_, true, false) => Some("enabled, but not active".to_owned()),
                (_, false, true) => Some("active, but not enabled".to_owned()),
            }
        }
        Change::Sysctl { .. }
        | Change::Kernel { .. }
        | Change::BootParameter { .. }
        | Change::File { .. }
        | Change::Setting { .. }
        | Change::Affinity { .. }
        | Change::Partition { .. }
        | Change::Hugepages { .. }
        | Change::Driver { .. }
        | Change::KernelArguments(_)
        | Change::BootMenu { .. } => None,
    }
}

/// What is there now: by the file, or by the facts where there is none.
pub(super) fn now(change: &Change, facts: &Facts, from: Fact<String>) -> Fact<String> {
    match from {
        Fact::Unknown { why } => by_facts(change, facts).map_or(Fact::Unknown { why }, Fact::Is),
        from => from,
    }
}
