//! What we set by ethtool and have not undone: the journal knows.

use serde::Serialize;

use super::Nic;
use crate::{
    Fact, Source,
    hands::{EthtoolGroup, Settings},
    journal::{Deed, Entry, Progress},
    knob::{Knob, Value},
};

/// Something that we set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// The interface.
    pub interface: String,
    /// What of it.
    pub group: EthtoolGroup,
    /// What it became, by name.
    pub settings: Settings,
}

/// The most entries of the journal that are looked at, the newest ones.
const MOST: usize = 1000;

/// The most bytes of an entry.
const ENTRY: usize = 16 << 20;

/// What is in force; later runs take the place of earlier ones. Absent without a journal.
pub(super) fn read(source: &Source) -> Fact<Vec<Applied>> {
    let names = match source.names(source.state()) {
        Fact::Is(names) => names,
        Fact::Absent => return Fact::Absent,
        Fact::Unknown { why } => return Fact::Unknown { why },
    };
    let is_entry = |name: &String| {
        name.strip_suffix(".json").is_some_and(|stem| stem.bytes().all(|b| b.is_ascii_digit()))
    };
    let names: Vec<String> = names.into_iter().filter(is_entry).collect();
    let mut found: Vec<Applied> = Vec::new();
    for name in names.iter().skip(names.len().saturating_sub(MOST)) {
        let path = format!("{}/{name}", source.state());
        let entry: Entry = match source.root().text_up_to(&path, ENTRY) {
            Ok(text) => match serde_json::from_str(&text) {
                Ok(entry) => entry,
                Err(error) => return Fact::unknown(format!("/{path} can not be read: {error}")),
            },
            Err(error) if error.is_missing() => continue,
            Err(error) => return Fact::unknown(error.to_string()),
        };
        if !entry.is_active() {
            continue;
        }
        for effect in entry.effects {
            let (
                Deed::Turn { knob: Knob::Ethtool { interface, group, .. }, .. },
                Progress::Done { became: Value::Ethtool(settings) },
            ) = (effect.deed, effect.progress)
            else {
                continue;
            };
            match found.iter_mut().find(|one| one.interface == interface && one.group == group) {
                Some(one) => one.settings.extend(settings),
                None => found.push(Applied { interface, group, settings }),
            }
        }
    }
    Fact::Is(found)
}

impl Applied {
    /// The settings that are other ones now, each with what it is; unknown when the interface does not say.
    #[must_use]
    pub fn drifted(&self, nic: &Nic) -> Fact<Vec<String>> {
        let on = |is_on: bool| Some(u32::from(is_on));
        let now = |name: &str| -> Fact<Option<u32>> {
            match self.group {
                EthtoolGroup::Rings => nic.rings.as_ref().map(|rings| match name {
                    "rx" => rings.rx.now,
                    _ => rings.tx.now,
                }),
                EthtoolGroup::Coalesce => nic.coalesce.as_ref().map(|coalesce| match name {
                    "adaptive-rx" => coalesce.adaptive_rx.and_then(on),
                    "adaptive-tx" => coalesce.adaptive_tx.and_then(on),
                    "rx-usecs" => coalesce.rx_usecs,
                    _ => coalesce.tx_usecs,
                }),
                EthtoolGroup::Channels => nic.channels.as_ref().map(|all| all.combined.now),
                EthtoolGroup::Features => nic
                    .features
                    .as_ref()
                    .map(|all| all.get(name).and_then(|feature| on(feature.is_wanted))),
                EthtoolGroup::Pause => nic.pause.as_ref().map(|pause| match name {
                    "rx" => on(pause.rx),
                    _ => on(pause.tx),
                }),
                EthtoolGroup::Eee => nic.eee.as_ref().map(|eee| on(eee.is_enabled)),
            }
        };
        let mut drifted = Vec::new();
        for (name, wanted) in &self.settings {
            match now(name) {
                Fact::Is(Some(is)) if is == *wanted => {}
                Fact::Is(Some(is)) => drifted.push(format!("{name} {is} instead of {wanted}")),
                Fact::Is(None) | Fact::Absent => drifted.push(format!("{name} is gone")),
                Fact::Unknown { why } => return Fact::Unknown { why },
            }
        }
        Fact::Is(drifted)
    }
}
