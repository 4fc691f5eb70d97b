//! ethtool's settings as names and numbers, so that what was there can be put back without knowing what it means.

use linux::ethtool::{self, CoalesceChange, EthtoolError};

use super::{EthtoolGroup, HandsError, Settings};

pub(super) fn read(interface: &str, group: EthtoolGroup) -> Result<Settings, HandsError> {
    let numbers = |all: &[(&str, Option<u32>)]| -> Settings {
        all.iter().filter_map(|(name, value)| Some(((*name).to_owned(), (*value)?))).collect()
    };
    let on = |is_on: bool| Some(u32::from(is_on));
    let read = || -> Result<Settings, EthtoolError> {
        Ok(match group {
            EthtoolGroup::Rings => {
                let rings = ethtool::rings(interface)?;
                numbers(&[("rx", rings.rx.now), ("tx", rings.tx.now)])
            }
            EthtoolGroup::Coalesce => {
                let coalesce = ethtool::coalesce(interface)?;
                numbers(&[
                    ("adaptive-rx", coalesce.adaptive_rx.and_then(on)),
                    ("adaptive-tx", coalesce.adaptive_tx.and_then(on)),
                    ("rx-usecs", coalesce.rx_usecs),
                    ("tx-usecs", coalesce.tx_usecs),
                ])
            }
            EthtoolGroup::Channels => {
                numbers(&[("combined", ethtool::channels(interface)?.combined.now)])
            }
            EthtoolGroup::Features => ethtool::features(interface)?
                .into_iter()
                .filter(|(_, feature)| !feature.is_fixed)
                // What was asked for: a feature may wait for another one before it is on.
                .map(|(name, feature)| (name, u32::from(feature.is_wanted)))
                .collect(),
            EthtoolGroup::Pause => {
                let pause = ethtool::pause(interface)?;
                numbers(&[("rx", on(pause.rx)), ("tx", on(pause.tx))])
            }
            EthtoolGroup::Eee => numbers(&[("eee", on(ethtool::eee(interface)?.is_enabled))]),
        })
    };
    read().map_err(|error| failed("read", interface, group, error))
}

pub(super) fn write(
    interface: &str,
    group: EthtoolGroup,
    settings: &Settings,
) -> Result<(), HandsError> {
    let number = |name: &str| settings.get(name).copied();
    let is_on = |name: &str| number(name).map(|value| value != 0);
    let done = match group {
        EthtoolGroup::Rings => ethtool::set_rings(interface, number("rx"), number("tx")),
        EthtoolGroup::Coalesce => ethtool::set_coalesce(
            interface,
            &CoalesceChange {
                adaptive_rx: is_on("adaptive-rx"),
                adaptive_tx: is_on("adaptive-tx"),
                rx_usecs: number("rx-usecs"),
                tx_usecs: number("tx-usecs"),
            },
        ),
        EthtoolGroup::Channels => match number("combined") {
            Some(combined) => ethtool::set_channels(interface, combined),
            None => Ok(()),
        },
        EthtoolGroup::Features => {
            let wanted = settings.iter().map(|(name, value)| (name.clone(), *value != 0)).collect();
            ethtool::set_features(interface, &wanted)
        }
        EthtoolGroup::Pause => match (is_on("rx"), is_on("tx")) {
            (Some(rx), Some(tx)) => ethtool::set_pause(interface, rx, tx),
            _ => Ok(()),
        },
        EthtoolGroup::Eee => match is_on("eee") {
            Some(is_on) => ethtool::set_eee(interface, is_on),
            None => Ok(()),
        },
    };
    done.map_err(|error| failed("set", interface, group, error))
}

fn failed(
    deed: &'static str,
    interface: &str,
    group: EthtoolGroup,
    source: EthtoolError,
) -> HandsError {
    let (interface, what) = (interface.to_owned(), group.name());
    HandsError::Interface { deed, what, interface, source: Box::new(source) }
}
