use std::collections::BTreeMap;

use linux::ethtool::{
    Channels, Coalesce, Count, Driver, Eee, Feature, Fec, Pause, Rings, Rss, Timestamping,
};
use linux::route::{Route, Way};
use serde::Serialize;

use crate::{
    Fact, Measured,
    Verdict::{self, Bad, Good, Info, NotApplicable, Unknown, Warn},
    change::{Change, EthtoolSetting},
    checks::{
        hardware::{Hardware as _, PORT},
        sample::{Sample, quiet},
    },
    hands::{EthtoolGroup, Settings},
    journal::{Deed, Effect, Entry, Kind, Progress, State},
    knob::{Knob, Value},
    measured::{Counted, Counters},
};

/// A NIC of the kernel's beside the data port, which answers one question.
fn nic<T: Serialize>(what: &str, answer: &Fact<T>) -> Sample {
    Sample::server()
        .function("0000:5e:00.0", 0)
        .nic("eth0", "0000:5e:00.0")
        .asked(&format!("ethtool/eth0/{what}"), answer)
}

fn count(now: u32, max: u32) -> Count {
    Count { now: Some(now), max: Some(max) }
}

#[test]
fn the_guard_says_why_a_data_port_must_stay() {
    let machine = || Sample::server().driver(PORT, "ice").nic("eth0", PORT).quiet_network();
    let way = Way { index: 2, interface: "eth0".to_owned(), via: None };
    let to = "0.0.0.0".parse().unwrap();
    let route = Route { table: 254, to, length: 0, ways: vec![way], is_unicast: true };

    machine().expect("NIC-00", Good);
    let held = machine().asked("route/defaults", &Fact::Is(vec![route])).expect("NIC-00", Bad);
    assert!(held.seen.contains("default route"), "{}", held.seen);
    Sample::server().driver(PORT, "ice").nic("eth0", PORT).expect("NIC-00", Unknown);
    machine().without_config().expect("NIC-00", NotApplicable);
}

#[test]
fn rings_are_half_of_what_there_may_be_at_least() {
    let rings = |now: u32| nic("rings", &Fact::Is(Rings { rx: count(now, 4096), tx: count(1, 1) }));
    rings(2048).expect("NIC-01", Good);
    let short = rings(2047).expect("NIC-01", Warn);
    let Change::Ethtool { setting, .. } = &short.fix[0] else { panic!() };
    assert_eq!(*setting, EthtoolSetting::Rings { rx: Some(2048), tx: None });
    rings(512).with("sys/class/net/eth0/statistics/rx_missed_errors", "7").expect("NIC-01", Bad);
    nic("rings", &Fact::Is(Rings::default())).expect("NIC-01", NotApplicable);
    nic::<Rings>("rings", &Fact::Absent).expect("NIC-01", NotApplicable);
    nic::<Rings>("rings", &Fact::unknown("no")).expect("NIC-01", Unknown);
    Sample::server().expect("NIC-01", NotApplicable);
}

#[test]
fn coalescing_is_short_and_fixed_where_latency_counts() {
    let coalesce = |adaptive: bool, usecs: u32| {
        let all =
            Coalesce { adaptive_rx: Some(adaptive), rx_usecs: Some(usecs), ..Coalesce::default() };
        nic("coalesce", &Fact::Is(all))
    };
    for (adaptive, usecs, verdict) in [
        (false, 0, Good),
        (false, 10, Good),
        (false, 11, Warn),
        (false, 49, Warn),
        (false, 50, Bad),
        (true, 3, Warn),
        (true, 50, Bad),
    ] {
        let outcome = coalesce(adaptive, usecs).expect("NIC-02", verdict);
        assert_eq!(outcome.fix.is_empty(), verdict == Good);
    }
    let throughput = "[tune]\nprofile = \"throughput\"\n[[port]]\nname = \"north\"\n\
                      device = \"0000:3b:00.0\"\ninput = \"x\"\n[[stage]]\nname = \"x\"\n\
                      kind = \"cross\"\nto = \"tx:north\"\n";
    coalesce(true, 80).config(throughput).expect("NIC-02", Good);
    nic("coalesce", &Fact::Is(Coalesce::default())).expect("NIC-02", NotApplicable);
    nic::<Coalesce>("coalesce", &Fact::unknown("no")).expect("NIC-02", Unknown);
}

#[test]
fn coalescing_is_mended_with_what_the_driver_takes() {
    let fix = |driver: &str| {
        let all = Coalesce { rx_usecs: Some(50), tx_usecs: Some(50), ..Coalesce::default() };
        let (name, bus) = (driver.to_owned(), "0000:04:00.0".to_owned());
        let driver = Driver { name, version: String::new(), firmware: String::new(), bus };
        let machine =
            nic("coalesce", &Fact::Is(all)).asked("ethtool/eth0/driver", &Fact::Is(driver));
        let outcome = machine.expect("NIC-02", Bad);
        let [
            Change::Ethtool {
                setting: EthtoolSetting::Coalesce { rx_usecs, tx_usecs, .. }, ..
            },
        ] = &outcome.fix[..]
        else {
            panic!("{outcome:?}")
        };
        (*rx_usecs, *tx_usecs)
    };
    for driver in ["e1000", "e1000e", "igb", "igbvf", "igc"] {
        assert_eq!(fix(driver), (Some(10), None), "{driver}");
    }
    assert_eq!(fix("ice"), (Some(2), Some(2)));
}

#[test]
fn pause_frames_are_only_turned_off_on_data_ports() {
    let pause = |rx: bool| Pause { autonegotiated: true, rx, tx: false };
    nic("pause", &Fact::Is(pause(false))).expect("NIC-03", Good);
    assert!(nic("pause", &Fact::Is(pause(true))).expect("NIC-03", Info).fix.is_empty());
    let data = Sample::server()
        .nic("eth0", PORT)
        .asked("ethtool/eth0/pause", &Fact::Is(pause(true)))
        .expect("NIC-03", Info);
    assert_eq!(data.fix.len(), 1);
    nic::<Pause>("pause", &Fact::Absent).expect("NIC-03", NotApplicable);
    nic::<Pause>("pause", &Fact::unknown("no")).expect("NIC-03", Unknown);
}

#[test]
fn large_receive_offload_is_bad_where_packets_are_forwarded() {
    let lro = |is_on: bool| {
        let feature = Feature { is_on, is_wanted: is_on, is_fixed: false };
        nic("features", &Fact::Is(BTreeMap::from([("rx-lro".to_owned(), feature)])))
    };
    lro(false).expect("NIC-04", Good);
    lro(true).expect("NIC-04", Info);
    lro(true).with("proc/sys/net/ipv4/ip_forward", "1").expect("NIC-04", Bad);
    lro(true).with("proc/sys/net/ipv4/ip_forward", "0").expect("NIC-04", Info);
    lro(true)
        .with("proc/sys/net/ipv4/ip_forward", "0")
        .with("proc/sys/net/ipv6/conf/all/forwarding", "1")
        .expect("NIC-04", Bad);
    nic::<BTreeMap<String, Feature>>("features", &Fact::unknown("no")).expect("NIC-04", Unknown);
}

#[test]
fn a_link_that_may_sleep_is_bad() {
    let eee = |is_enabled: bool| Eee { is_enabled, is_active: false };
    nic("eee", &Fact::Is(eee(false))).expect("NIC-05", Good);
    let fec = Fec { is_auto: false, allowed: vec!["RS".to_owned()], active: None };
    let on = nic("eee", &Fact::Is(eee(true)))
        .asked("ethtool/eth0/fec", &Fact::Is(fec))
        .expect("NIC-05", Bad);
    assert_eq!(on.seen, "eth0: on, not in use, error correction RS");
    nic::<Eee>("eee", &Fact::Absent).expect("NIC-05", NotApplicable);
    nic::<Eee>("eee", &Fact::unknown("no")).expect("NIC-05", Unknown);
}

#[test]
fn flows_are_spread_over_all_queues() {
    let rss = |table: &[u32], queues: u32| {
        let channels = Channels { combined: count(queues, 8), ..Channels::default() };
        nic("rss", &Fact::Is(Rss { table: table.to_vec() }))
            .asked("ethtool/eth0/channels", &Fact::Is(channels))
    };
    rss(&[0, 1, 2, 3], 4).expect("NIC-06", Good);
    rss(&[0, 1, 0, 1], 4).expect("NIC-06", Warn);
    rss(&[0, 0, 0, 0], 4).expect("NIC-06", Bad);
    rss(&[0, 0], 1).expect("NIC-06", NotApplicable);
    rss(&[], 4).expect("NIC-06", NotApplicable);
    nic::<Rss>("rss", &Fact::unknown("no")).expect("NIC-06", Unknown);
}

/// Workers are CPU 2 and 3: the mask `c`.
#[test]
fn masks_of_queues_leave_the_workers_out() {
    let queues = "sys/class/net/eth0/queues";
    let base = || {
        let machine = Sample::server().function("0000:5e:00.0", 0).nic("eth0", "0000:5e:00.0");
        // With one transmit queue only there would be no mask.
        machine.with(&format!("{queues}/tx-1/xps_rxqs"), "0")
    };
    for (id, file) in [("RPS-01", "rx-0/rps_cpus"), ("RPS-02", "tx-0/xps_cpus")] {
        let mask = |text: &str| base().with(&format!("{queues}/{file}"), text);
        mask("0").expect(id, Good);
        mask("3").expect(id, Good);
        let hit = mask("f").expect(id, Bad);
        let [Change::Kernel { value, path, .. }] = hit.fix.as_slice() else { panic!("{hit:#?}") };
        assert_eq!((path.as_str(), value.as_str()), (&*format!("{queues}/{file}"), "00000003"));
        mask("nothing").expect(id, Unknown);
        mask("f").without("sys/devices/system/cpu/online").expect(id, Unknown);
        base().expect(id, NotApplicable);
    }
    // A transmit queue that only workers may use goes to housekeeping.
    let lost = base().with(&format!("{queues}/tx-0/xps_cpus"), "c").expect("RPS-02", Bad);
    let Change::Kernel { value, .. } = &lost.fix[0] else { panic!() };
    let housekeeping = config::CpuSet::from_hex_mask(value).unwrap();
    assert!(!housekeeping.is_empty() && housekeeping.is_disjoint(&"2-3".parse().unwrap()));
    // What later interfaces begin with.
    let default = base()
        .with(&format!("{queues}/rx-0/rps_cpus"), "0")
        .with("proc/sys/net/core/rps_default_mask", "4")
        .expect("RPS-01", Bad);
    let Change::Sysctl { key, value } = &default.fix[0] else { panic!() };
    assert_eq!((key.as_str(), value.as_str()), ("net.core.rps_default_mask", "00000000"));
}

#[test]
fn private_flags_and_drivers_are_listed() {
    let flags = BTreeMap::from([("rx_cqe_compress".to_owned(), true), ("other".to_owned(), false)]);
    let listed = nic("private-flags", &Fact::Is(flags)).expect("NIC-07", Info);
    assert_eq!(listed.seen, "eth0: rx_cqe_compress");
    nic::<BTreeMap<String, bool>>("private-flags", &Fact::Absent).expect("NIC-07", NotApplicable);
    nic::<BTreeMap<String, bool>>("private-flags", &Fact::unknown("no")).expect("NIC-07", Unknown);

    let driver = Driver {
        name: "ice".to_owned(),
        version: "1.13.7".to_owned(),
        firmware: "4.40".to_owned(),
        bus: String::new(),
    };
    let driver = nic("driver", &Fact::Is(driver)).with("proc/sys/kernel/osrelease", "6.12.0");
    let listed = driver.expect("NIC-08", Info);
    assert_eq!(listed.seen, "eth0: ice 1.13.7 (not this kernel's), firmware 4.40");
    nic::<Driver>("driver", &Fact::unknown("no")).expect("NIC-08", Unknown);
    Sample::server().expect("NIC-08", NotApplicable);
}

fn counted(lost: u64, received: u64) -> Measured {
    let file = |name: &str| format!("sys/class/net/eth0/statistics/{name}");
    let set = [("rx_missed_errors", lost), ("rx_packets", received)]
        .map(|(name, by)| (file(name), Counted { from: 100, to: 100 + by }));
    Measured { network: Fact::Is(Counters { read: 9, set: set.into() }), ..quiet() }
}

#[test]
fn loss_is_judged_by_its_part_of_what_arrived() {
    let machine =
        |lost, received| nic("driver", &Fact::<Driver>::Absent).measured(counted(lost, received));
    machine(0, 1_000_000).expect("NIC-09", Good);
    // One of 1 000 001 is less than one in a million, one of 1 000 000 is not.
    machine(1, 1_000_000).expect("NIC-09", Warn);
    machine(1, 999_999).expect("NIC-09", Bad);
    machine(5, 0).expect("NIC-09", Bad);
    nic("driver", &Fact::<Driver>::Absent).expect("NIC-09", NotApplicable);
    let blind = Measured { network: Fact::unknown("no"), ..quiet() };
    nic("driver", &Fact::<Driver>::Absent).measured(blind).expect("NIC-09", Unknown);
}

#[test]
fn what_was_set_is_compared_with_what_is() {
    let journal = |state: State, rx: u32| {
        let settings = Settings::from([("rx".to_owned(), rx)]);
        let knob = Knob::Ethtool {
            interface: "eth0".to_owned(),
            group: EthtoolGroup::Rings,
            settings: vec!["rx".to_owned()],
        };
        let became = Value::Ethtool(settings);
        let deed = Deed::Turn { knob, from: Value::Ethtool(Settings::new()), to: became.clone() };
        let effects = vec![Effect { step: 0, deed, progress: Progress::Done { became } }];
        serde_json::to_string(&Entry {
            version: 1,
            number: 1,
            kind: Kind::Apply,
            state,
            began: 0,
            boot: None,
            steps: Vec::new(),
            effects,
            confirmation: None,
            trial: None,
        })
        .unwrap()
    };
    let machine = |state, rx| {
        nic("rings", &Fact::Is(Rings { rx: count(512, 4096), tx: Count::default() }))
            .with("var/lib/barewire/tune/0001.json", &journal(state, rx))
    };
    machine(State::Applied, 512).expect("NIC-10", Good);
    let drifted = machine(State::Applied, 2048).expect("NIC-10", Bad);
    assert_eq!(drifted.seen, "eth0 rings: rx 512 instead of 2048");
    machine(State::Undone, 2048).expect("NIC-10", NotApplicable);
    machine(State::Applied, 512).without("sys/class/net/eth0").expect("NIC-10", Bad);
    machine(State::Applied, 512)
        .with("var/lib/barewire/tune/0002.json", "{")
        .expect("NIC-10", Unknown);
    Sample::server().expect("NIC-10", NotApplicable);
}

#[test]
fn an_mtu_is_no_larger_than_that_below() {
    let stacked = |mtu: &str| {
        nic("driver", &Fact::<Driver>::Absent)
            .with("sys/class/net/bond0/ifindex", "3")
            .with("sys/class/net/bond0/mtu", mtu)
            .with("sys/class/net/bond0/lower_eth0", "")
    };
    stacked("1500").expect("NIC-11", Info);
    stacked("1501").expect("NIC-11", Warn);
    stacked("big").expect("NIC-11", Unknown);
    Sample::server().expect("NIC-11", NotApplicable);
}

#[test]
fn a_hardware_clock_is_good_and_its_lack_a_warning_on_metal() {
    let stamps = |modes: &[&str], verdict: Verdict, is_virtual: bool| {
        let modes = modes.iter().map(|mode| (*mode).to_owned()).collect();
        nic("timestamping", &Fact::Is(Timestamping { modes, clock: Some(0) }))
            .processor(is_virtual)
            .expect("NIC-12", verdict);
    };
    stamps(&["hardware-receive", "software-receive"], Good, false);
    stamps(&["software-receive"], Warn, false);
    stamps(&["software-receive"], NotApplicable, true);
    nic::<Timestamping>("timestamping", &Fact::unknown("no")).expect("NIC-12", Unknown);
}
