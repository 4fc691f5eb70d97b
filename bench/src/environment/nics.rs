//! What an interface is set to: driver, firmware, queueing discipline, offloads, coalescing, rings, queues, stamps.
//!
//! Asked of the kernel by netlink (by ioctl where it is older than that), in the network namespace of the calling thread. What
//! a driver does not have is left out; what can not be told is said so in its place.

use std::collections::BTreeMap;

use linux::{
    Root,
    ethtool::{self, Channels, Coalesce, Count, EthtoolError, Feature, Rings},
    net, route,
};

/// More interfaces than this are counted, not described.
const MOST: usize = 64;

/// Names and values.
type Facts = BTreeMap<String, String>;

/// Every interface of this namespace that has a device behind it: `nic.eth0.driver` and so on.
#[must_use]
pub fn of_devices(root: &Root) -> Facts {
    let interfaces = match net::interfaces(root) {
        Ok(interfaces) => interfaces,
        Err(error) => return Facts::from([("nics".to_owned(), format!("unknown: {error}"))]),
    };
    let devices: Vec<_> = interfaces
        .into_iter()
        .filter(|interface| interface.driver.is_some() || interface.pci.is_some())
        .collect();
    let mut all = Facts::from([("nics".to_owned(), devices.len().to_string())]);
    for interface in devices.into_iter().take(MOST) {
        let name = &interface.name;
        all.extend(of(name, &format!("nic.{name}")));
        let mut add = |what: &str, value: Option<String>| {
            all.extend(value.map(|value| (format!("nic.{name}.{what}"), value)));
        };
        add("pci", interface.pci.map(|pci| pci.to_string()));
        add("mtu", interface.mtu.into_known().map(|mtu| mtu.to_string()));
        add("speed", interface.speed_mbps.into_known().map(|speed| format!("{speed} Mbit/s")));
    }
    all
}

/// One interface, under a name: `PREFIX.driver`, `PREFIX.qdisc`, `PREFIX.offloads`, …
#[must_use]
pub fn of(interface: &str, prefix: &str) -> Facts {
    let mut all = Facts::new();
    let mut add = |what: &str, value: Result<String, EthtoolError>| {
        let value = match value {
            Err(error) if error.is_unsupported() => return,
            value => value.unwrap_or_else(|error| format!("unknown: {error}")),
        };
        all.insert(format!("{prefix}.{what}"), value);
    };
    let driver = ethtool::driver(interface);
    if let Ok(driver) = &driver {
        // Virtual ones have none, and say so in words of their own.
        let firmware = Some(&driver.firmware).filter(|text| !text.is_empty() && *text != "N/A");
        firmware.into_iter().for_each(|text| add("firmware", Ok(text.clone())));
    }
    add("driver", driver.map(|driver| joined([driver.name, driver.version])));
    let on = |features: BTreeMap<String, Feature>| {
        joined(features.into_iter().filter(|(_, feature)| feature.is_on).map(|(name, _)| name))
    };
    add("offloads", ethtool::features(interface).map(on));
    add("coalescing", ethtool::coalesce(interface).map(|found| coalescing(&found)));
    add("rings", ethtool::rings(interface).map(|found| rings(&found)));
    add("queues", ethtool::channels(interface).map(|found| channels(&found)));
    add("stamps", ethtool::timestamping(interface).map(|found| joined(found.modes)));
    let qdisc = match route::qdiscs() {
        Ok(all) => all.get(interface).cloned().unwrap_or("unknown: no such link".to_owned()),
        Err(error) => format!("unknown: {error}"),
    };
    all.insert(format!("{prefix}.qdisc"), qdisc);
    all
}

fn joined(words: impl IntoIterator<Item = String>) -> String {
    let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(" ") }
}

fn counts(all: &[(&str, Count)]) -> String {
    joined(all.iter().filter_map(|(name, count)| Some(format!("{name} {}", count.now?))))
}

fn rings(found: &Rings) -> String {
    counts(&[("rx", found.rx), ("tx", found.tx)])
}

fn channels(found: &Channels) -> String {
    let Channels { rx, tx, combined, .. } = *found;
    counts(&[("rx", rx), ("tx", tx), ("combined", combined)])
}

fn coalescing(found: &Coalesce) -> String {
    let switch = |name: &str, value: Option<bool>| {
        value.map(|is_on| format!("{name} {}", if is_on { "on" } else { "off" }))
    };
    let number = |name: &str, value: Option<u32>| value.map(|value| format!("{name} {value}"));
    let all = [
        switch("adaptive-rx", found.adaptive_rx),
        switch("adaptive-tx", found.adaptive_tx),
        number("rx-usecs", found.rx_usecs),
        number("tx-usecs", found.tx_usecs),
        number("rx-frames", found.rx_frames),
        number("tx-frames", found.tx_frames),
    ];
    joined(all.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_told_in_words_and_what_is_not_there_is_left_out() {
        let found = Coalesce {
            adaptive_rx: Some(true),
            rx_usecs: Some(8),
            tx_frames: Some(0),
            ..Coalesce::default()
        };
        assert_eq!(coalescing(&found), "adaptive-rx on rx-usecs 8 tx-frames 0");
        assert_eq!(coalescing(&Coalesce::default()), "none");
        let count = |now| Count { now, max: Some(9) };
        let found = Rings { rx: count(Some(256)), tx: count(None) };
        assert_eq!(rings(&found), "rx 256");
        let found = Channels { combined: count(Some(2)), ..Channels::default() };
        assert_eq!(channels(&found), "combined 2");
    }

    #[test]
    fn the_loopback_has_offloads_and_a_queueing_discipline() {
        let all = of("lo", "nic.lo");
        assert_eq!(all["nic.lo.qdisc"], "noqueue");
        assert!(all["nic.lo.offloads"].contains("loopback"), "{all:?}");
    }

    #[test]
    fn an_interface_that_is_not_there_is_unknown_and_not_silent() {
        let all = of("nosuch0", "nic");
        assert!(!all.is_empty());
        assert!(all.values().all(|value| value.starts_with("unknown: ")), "{all:?}");
    }

    #[test]
    fn only_interfaces_with_a_device_are_described() {
        let dir = tempfile::tempdir().unwrap();
        let net = dir.path().join("sys/class/net");
        for (name, has_device) in [("eth0", true), ("dummy0", false)] {
            let interface = net.join(name);
            std::fs::create_dir_all(&interface).unwrap();
            std::fs::write(interface.join("ifindex"), "7\n").unwrap();
            std::fs::write(interface.join("mtu"), "1500\n").unwrap();
            if has_device {
                let driver = dir.path().join("sys/bus/pci/drivers/ice");
                std::fs::create_dir_all(&driver).unwrap();
                std::fs::create_dir_all(interface.join("device")).unwrap();
                std::os::unix::fs::symlink(&driver, interface.join("device/driver")).unwrap();
            }
        }

        let all = of_devices(&Root::at(dir.path()).unwrap());

        assert_eq!((all["nics"].as_str(), all["nic.eth0.mtu"].as_str()), ("1", "1500"));
        assert!(!all.keys().any(|name| name.contains("dummy0")), "{all:?}");
    }
}
