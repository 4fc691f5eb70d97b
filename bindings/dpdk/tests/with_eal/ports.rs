//! Ports and their states.

use dpdk::{Errno, Failed, PortConfig, PortError};

use crate::support;

#[test]
fn a_port_is_found_by_name_and_claimed_once() {
    let eal = support::eal(&["net_null0", "net_null1"]);
    assert_eq!(eal.port_names(), ["net_null0", "net_null1"]);
    let port = eal.port("net_null1").unwrap();
    assert!(matches!(eal.port("net_null1"), Err(PortError::Claimed { .. })));
    drop(port);
    let port = eal.port("net_null1").expect("nothing was done to it, so it is free again");
    port.close().unwrap();
    let error = eal.port("net_null1").unwrap_err();
    assert_eq!(error.to_string(), "no port is named \"net_null1\"; there are net_null0");
    let _other = eal.port("net_null0").unwrap();
}

#[test]
fn an_unknown_port_is_an_error_that_names_the_known_ones() {
    let eal = support::eal(&[]);
    for name in ["3b:00.0", "", "net\0null", "net_null0"] {
        let error = eal.port(name).unwrap_err();
        assert!(error.to_string().contains("there is none at all"), "{error}");
    }
}

#[test]
fn a_device_says_what_it_offers() {
    let eal = support::eal(&["net_null0,size=128"]);
    let port = eal.port("net_null0").unwrap();
    let info = port.info().unwrap();
    assert_eq!((info.name.as_str(), info.driver.as_str()), ("net_null0", "net_null"));
    assert_eq!(info.id, port.id());
    assert!(info.max_rx_queues >= 1 && info.max_tx_queues >= 1, "{info:?}");
    assert!(info.min_mtu < 1500 && info.max_mtu >= 1500, "{info:?}");
    assert!(info.rx_ring_size > 0 && info.tx_ring_size > 0, "{info:?}");
    assert!(!info.offers_rx_timestamps());
}

#[test]
fn a_configuration_that_the_device_can_not_do_gives_the_port_back() {
    let eal = support::eal(&["net_null0"]);
    let pool = support::pool(&eal, "frames");
    let mut port = eal.port("net_null0").unwrap();
    let most = port.info().unwrap().max_rx_queues;
    let good = PortConfig::default();
    for (config, word) in [
        (PortConfig { rx_queues: 0, ..good }, "0 receive queues"),
        (PortConfig { rx_queues: most + 1, ..good }, "receive queues, but it offers 1 to"),
        (PortConfig { tx_queues: 0, ..good }, "0 transmit queues"),
        (PortConfig { mtu: 20, ..good }, "an MTU of 20"),
    ] {
        let Failed { port: back, error } = port.configure(&config, |_| pool).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        port = back;
    }
    let port = port.configure(&good, |_| pool).unwrap();
    assert_eq!(port.settings().rx_queues, 1);
}

#[test]
fn a_failed_start_gives_the_port_back_to_be_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.pcap"), dir.path().join("out.pcap"));
    support::write_pcap(&input, &[support::numbered(1, 60)]);
    let vdev = format!("net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display());
    let eal = support::eal(&[&vdev]);
    let pool = support::pool(&eal, "frames");
    let port = eal.port("net_pcap0").unwrap();
    let port = port.configure(&PortConfig::default(), |_| pool).unwrap();
    // The driver has its files open since it was probed; it opens them anew when it is started for
    // a second time.
    let port = port.start().unwrap().stop().unwrap();
    std::fs::rename(&input, dir.path().join("gone")).unwrap();
    let failed = port.start().unwrap_err();
    assert_eq!(failed.error.to_string(), "port \"net_pcap0\": can not start");
    std::fs::rename(dir.path().join("gone"), &input).unwrap();
    let port = failed.port.start().expect("the file is there again");
    assert!(port.observer().link().unwrap().up);
    drop(port);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn descriptors_are_adjusted_to_what_the_device_has() {
    let eal = support::eal(&["net_null0"]);
    let pool = support::pool(&eal, "frames");
    let port = eal.port("net_null0").unwrap();
    let info = port.info().unwrap();
    let config = PortConfig { rx_descriptors: Some(256), mtu: 9000, ..Default::default() };
    let port = port.configure(&config, |_| pool).unwrap();
    let settings = *port.settings();
    assert_eq!((settings.rx_descriptors, settings.mtu), (256, 9000));
    assert_eq!(settings.tx_descriptors, info.tx_ring_size);
    // And again, in another way.
    let port = port.release().configure(&PortConfig::default(), |_| pool).unwrap();
    assert_eq!((port.settings().rx_descriptors, port.settings().mtu), (info.rx_ring_size, 1500));
}

#[test]
fn every_receive_queue_has_the_pool_that_was_chosen_for_it() {
    let eal = support::eal(&["net_null0"]);
    let pools = ["a", "b", "c"].map(|name| support::pool(&eal, name));
    let port = eal.port("net_null0").unwrap();
    let config = PortConfig { rx_queues: 3, tx_queues: 2, rss: true, ..Default::default() };
    let port = port.configure(&config, |queue| pools[usize::from(queue)]).unwrap();
    let mut port = port.start().unwrap();
    let mut queues = port.split();
    assert_eq!((queues.rx.len(), queues.tx.len()), (3, 2));
    for (queue, pool) in queues.rx.iter_mut().zip(pools) {
        let mut burst = dpdk::Burst::new();
        assert_eq!(queue.recv(&mut burst, 32), 32);
        assert_eq!(pool.in_use(), 32, "queue {}", queue.index());
    }
    assert_eq!(pools.map(|pool| pool.in_use()), [0; 3]);
}

#[test]
fn an_observer_outlives_its_port_and_says_so() {
    let eal = support::eal(&["net_null0"]);
    let pool = support::pool(&eal, "frames");
    let port = eal.port("net_null0").unwrap();
    let observer = port.observer();
    let port = port.configure(&PortConfig::default(), |_| pool).unwrap();
    let port = port.start().unwrap();
    assert_eq!(observer.stats().unwrap(), dpdk::PortStats::default());
    assert!(observer.link().unwrap().up);
    let clock = observer.read_clock().unwrap_err();
    assert!(matches!(clock, PortError::Driver { source: Errno::NOT_SUPPORTED, .. }), "{clock:?}");
    let firmware = observer.firmware().unwrap_err();
    assert!(matches!(firmware, PortError::Driver { source: Errno::NOT_SUPPORTED, .. }));
    drop(port);
    assert!(matches!(observer.stats(), Err(PortError::Closed { .. })));
    assert!(matches!(observer.xstats(), Err(PortError::Closed { .. })));
    assert!(matches!(observer.link(), Err(PortError::Closed { .. })));
    assert!(matches!(observer.read_clock(), Err(PortError::Closed { .. })));
    assert!(matches!(observer.firmware(), Err(PortError::Closed { .. })));
}

#[test]
fn statistics_can_be_read_while_the_port_is_stopped_started_and_closed() {
    let eal = support::eal(&["net_null0"]);
    let pool = support::pool(&eal, "frames");
    let port = eal.port("net_null0").unwrap();
    let mut port = port.configure(&PortConfig::default(), |_| pool).unwrap();
    let observer = port.observer();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut readings = 0u64;
            while observer.xstats().is_ok() && observer.stats().is_ok() {
                readings += 1;
            }
            readings
        });
        for _ in 0..200 {
            let mut started = port.start().unwrap();
            let mut queues = started.split();
            let mut burst = dpdk::Burst::new();
            queues.rx[0].recv(&mut burst, 32);
            queues.tx[0].send(&mut burst);
            port = started.stop().unwrap();
        }
        port.close().unwrap();
        reader.join().unwrap();
    });
    assert_eq!(pool.in_use(), 0);
}
