//! Virtual devices that come and go.

use dpdk::{Burst, PlugError, PortConfig, PortError, free_burst};

use crate::support;

#[test]
fn a_device_that_is_plugged_in_later_is_a_port_like_any_other() {
    let eal = support::eal(&["net_null0"]);
    let pool = support::pool(&eal, "frames");
    eal.plug("net_null7", "size=128").unwrap();
    assert_eq!(eal.port_names(), ["net_null0", "net_null7"]);
    let port = eal.port("net_null7").unwrap();
    let port = port.configure(&PortConfig::default(), |_| pool).unwrap();
    let mut port = port.start().unwrap();
    let mut burst = Burst::new();
    assert_eq!(port.split().rx[0].recv(&mut burst, 32), 32);
    assert_eq!(burst[0].head().len(), 128);
    free_burst(&mut burst);
    port.stop().unwrap().close().unwrap();
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_device_can_be_made_anew_with_other_arguments_and_handles_to_the_old_one_know() {
    let eal = support::eal(&["net_null0,size=64"]);
    let pool = support::pool(&eal, "frames");
    for size in [64, 256, 512] {
        let port = eal.port("net_null0").unwrap();
        let observer = port.observer();
        assert!(observer.stats().is_ok());
        let port = port.configure(&PortConfig::default(), |_| pool).unwrap();
        let mut port = port.start().unwrap();
        let mut burst = Burst::new();
        port.split().rx[0].recv(&mut burst, 1);
        assert_eq!(burst[0].head().len(), size);
        free_burst(&mut burst);
        port.stop().unwrap().close().unwrap();
        eal.unplug("net_null0").unwrap();
        eal.plug("net_null0", &format!("size={}", if size == 64 { 256 } else { 512 })).unwrap();
        assert!(matches!(observer.stats(), Err(PortError::Closed { .. })), "it is another device");
    }
}

#[test]
fn a_device_in_use_is_not_unplugged_and_one_that_is_there_not_plugged_in_again() {
    let eal = support::eal(&["net_null0"]);
    let port = eal.port("net_null0").unwrap();
    assert!(matches!(eal.unplug("net_null0"), Err(PlugError::InUse { .. })));
    assert!(matches!(eal.plug("net_null0", ""), Err(PlugError::Present { .. })));
    drop(port);
    eal.unplug("net_null0").unwrap();
    assert!(eal.port("net_null0").is_err());
    assert!(eal.unplug("net_null0").is_err(), "it is gone");
}

#[test]
fn a_device_that_can_not_be_made_leaves_nothing_behind() {
    let eal = support::eal(&[]);
    let absent = eal.plug("net_pcap0", "rx_pcap=/nonexistent.pcap").unwrap_err();
    assert!(matches!(absent, PlugError::Driver { .. }), "{absent}");
    assert!(eal.plug("net_nonsense0", "").is_err());
    assert!(eal.plug("net_null0", "a\0b").is_err());
    assert!(eal.port_names().is_empty());
    eal.plug("net_pcap0", "rx_iface=lo").or_else(|_| eal.plug("net_null0", "")).unwrap();
}
