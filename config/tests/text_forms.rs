//! Durations and devices as text: what is written is what was meant.

use std::time::Duration;

use config::{Device, DurationError, format_duration, parse_duration};
use proptest::prelude::*;

#[test]
fn a_duration_is_a_whole_number_and_a_unit() {
    for (text, meant) in [
        ("0s", Duration::ZERO),
        ("100ns", Duration::from_nanos(100)),
        ("20us", Duration::from_micros(20)),
        ("20µs", Duration::from_micros(20)),
        ("20 us", Duration::from_micros(20)),
        ("50ms", Duration::from_millis(50)),
        ("5s", Duration::from_secs(5)),
        ("2m", Duration::from_secs(120)),
    ] {
        assert_eq!(parse_duration(text), Ok(meant), "{text}");
    }
    for text in ["", "s", "-1s", "+1s", "1.5s", "1h", "1S", "1s ", " 1s", "1m30s", "1  s", "0x1s"] {
        assert_eq!(parse_duration(text), Err(DurationError::Malformed), "{text:?}");
    }
    assert_eq!(parse_duration("5"), Err(DurationError::NoUnit));
    for text in ["18446744073709551616ns", "307445735m"] {
        assert_eq!(parse_duration(text), Err(DurationError::TooLong), "{text}");
    }
}

#[test]
fn a_duration_is_written_in_the_largest_unit_that_fits() {
    for (nanoseconds, text) in
        [(0, "0s"), (1, "1ns"), (20_000, "20us"), (1_500_000, "1500us"), (120_000_000_000, "2m")]
    {
        assert_eq!(format_duration(Duration::from_nanos(nanoseconds)), text);
    }
}

#[test]
fn devices_survive_a_round_trip_and_pci_addresses_get_their_domain() {
    for text in [
        "0000:3b:00.0",
        "vdev:net_null0",
        "vdev:net_pcap0,rx_pcap=in.pcap,infinite_rx=1",
        "vdev:net_af_xdp0,iface=eth1,start_queue=0",
        "vdev:net_virtio_user0,path=/run/guest.sock,queues=1,mac=02:00:00:00:00:01",
        "vdev:net_bonding0,mode=1,member=0000:3b:00.0,member=0000:3b:00.1",
        "vdev:net_failsafe0,dev(0000:3b:00.0),fd(7)",
    ] {
        let device: Device = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(device.to_string(), text);
    }
    assert_eq!("3b:00.0".parse::<Device>().unwrap().to_string(), "0000:3b:00.0");
}

#[test]
fn a_virtual_device_can_not_smuggle_another_argument_in() {
    for text in [
        "vdev:",
        "vdev:net_null",
        "vdev:0",
        "vdev:Net_null0",
        "vdev:net null0",
        "vdev:--vdev=net_null0",
        "vdev:net_null0 --no-pci",
        "vdev:net_null0,",
        "vdev:net_null0,a=1,,b=2",
        "vdev:net_null0,=1",
        "vdev:net_null0,a=\"1\"",
        "vdev:net_null0,a=\0",
        "vdev:net_null0,a=ü",
    ] {
        let error = text.parse::<Device>().expect_err(text);
        assert!(!error.help().is_empty());
    }
    let long = format!("vdev:net_null0,a={}", "1".repeat(1024));
    assert_eq!(long.parse::<Device>(), Err(config::DeviceError::VdevArgsTooLong));
}

proptest! {
    #[test]
    fn every_duration_survives_a_round_trip(nanoseconds: u64) {
        let duration = Duration::from_nanos(nanoseconds);
        prop_assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
    }

    #[test]
    fn no_text_makes_them_panic(text in "[0-9]{0,22}[a-zµ ]{0,3}|(vdev:)?\\PC{0,30}") {
        let _ = parse_duration(&text);
        if let Ok(device) = text.parse::<Device>() {
            prop_assert_eq!(device.to_string().parse::<Device>(), Ok(device));
        }
    }
}
