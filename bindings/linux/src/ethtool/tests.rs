use super::*;

#[test]
fn a_short_name_stands_for_those_of_the_kernels_that_are_there() {
    let there = ["rx-gro", "tx-tcp-segmentation", "tx-tcp6-segmentation", "tx-udp-segmentation"]
        .map(str::to_owned);
    let names =
        |name| kernel_names(name, there.iter()).into_iter().map(String::as_str).collect::<Vec<_>>();

    assert_eq!(names("tso"), ["tx-tcp-segmentation", "tx-tcp6-segmentation"]);
    assert_eq!(names("gro"), ["rx-gro"]);
    assert_eq!(names("rx-gro"), ["rx-gro"]);
    assert!(names("lro").is_empty());
}

#[test]
fn an_interface_that_is_not_there_is_said_to_be_missing() {
    for error in [
        rings("barewire-none").unwrap_err(),
        statistics("barewire-none").unwrap_err(),
        rings("a-name-that-is-much-too-long-for-an-interface").unwrap_err(),
        driver("a-name-that-is-much-too-long-for-an-interface").unwrap_err(),
    ] {
        assert!(matches!(error, EthtoolError::NoInterface { .. }), "{error}");
    }
}

#[test]
fn both_ways_of_asking_answer_the_same_about_the_loopback() {
    let by_netlink = netlink::features("lo").unwrap();
    let by_ioctl = ioctl::features("lo").unwrap();

    assert_eq!(by_netlink, by_ioctl);
    assert!(by_netlink.contains_key("rx-gro"), "{by_netlink:?}");
}

#[test]
fn the_loopback_has_no_rings() {
    let error = rings("lo").unwrap_err();

    assert!(error.is_unsupported(), "{error}");
    assert_eq!(error.to_string(), "the driver of lo does not support rings");
}
