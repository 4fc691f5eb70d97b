use netlink_packet_core::DefaultNla;
use proptest::prelude::*;

use super::*;

fn with_header(header: &[u8], all: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let all: Vec<_> =
        all.iter().map(|(kind, value)| DefaultNla::new(*kind, value.clone())).collect();
    let mut payload = header.to_vec();
    payload.extend(encode(&all));
    payload
}

fn names() -> Names {
    let interfaces = BTreeMap::from([(2, "eth0".to_owned()), (3, "eth1".to_owned())]);
    let hop = Way { index: 3, interface: "eth1".to_owned(), via: None };
    Names { interfaces, hops: BTreeMap::from([(7, vec![hop])]) }
}

const DEFAULT_V4: [u8; 12] = [2, 0, 0, 0, 252, 0, 0, 1, 0, 0, 0, 0];

#[test]
fn the_table_of_a_route_is_the_one_that_does_not_fit_a_byte() {
    let payload = with_header(
        &DEFAULT_V4,
        &[
            (ROUTE_TABLE, 1000_u32.to_ne_bytes().to_vec()),
            (ROUTE_INTERFACE, 2_u32.to_ne_bytes().to_vec()),
            (ROUTE_GATEWAY, vec![192, 0, 2, 1]),
        ],
    );

    let route = route(&payload, &names()).unwrap();

    assert!(route.is_default());
    assert_eq!(route.table, 1000);
    assert_eq!(route.ways[0].interface, "eth0");
    assert_eq!(route.ways[0].via, Some("192.0.2.1".parse().unwrap()));
}

#[test]
fn a_route_with_several_ways_has_all_of_them() {
    let mut hops = Vec::new();
    for index in [2_u32, 3] {
        hops.extend(16_u16.to_ne_bytes());
        hops.extend([0, 0]);
        hops.extend(index.to_ne_bytes());
        hops.extend(encode(&[DefaultNla::new(ROUTE_GATEWAY, vec![192, 0, 2, 9])]));
    }
    let payload = with_header(&DEFAULT_V4, &[(ROUTE_WAYS, hops)]);

    let names: Vec<_> =
        route(&payload, &names()).unwrap().ways.into_iter().map(|way| way.interface).collect();

    assert_eq!(names, ["eth0", "eth1"]);
}

#[test]
fn a_route_that_only_names_a_next_hop_goes_its_way() {
    let payload = with_header(&DEFAULT_V4, &[(ROUTE_HOP, 7_u32.to_ne_bytes().to_vec())]);

    assert_eq!(route(&payload, &names()).unwrap().ways[0].interface, "eth1");
}

#[test]
fn a_route_that_refuses_is_no_default_route() {
    let mut header = DEFAULT_V4;
    header[7] = 7;

    assert!(!route(&header, &names()).unwrap().is_default());
}

#[test]
fn the_queueing_discipline_of_a_link_is_read_and_an_answer_without_one_is_none() {
    let named = (LINK_NAME, b"eth0\0".to_vec());
    let payload =
        with_header(&[0; LINK_HEADER], &[named.clone(), (LINK_QDISC, b"fq_codel\0".to_vec())]);

    assert_eq!(parse_qdisc(&payload), Some(("eth0".to_owned(), "fq_codel".to_owned())));
    assert_eq!(parse_qdisc(&with_header(&[0; LINK_HEADER], &[named])), None);
    assert_eq!(parse_qdisc(&[0; 3]), None);
    assert_eq!(qdiscs().unwrap().get("lo").map(String::as_str), Some("noqueue"));
}

#[test]
fn the_loopback_is_there_with_its_addresses() {
    let links = links().unwrap();
    let lo = links.iter().find(|link| link.name == "lo").unwrap();

    assert_eq!(lo.kind, None);
    for address in addresses().unwrap().iter().filter(|address| address.index == lo.index) {
        assert!(!address.address.is_loopback() || !address.is_global, "{address:?}");
    }
    for route in routes().unwrap() {
        assert!(route.ways.iter().all(|way| !way.interface.is_empty()), "{route:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        let _ = route(&bytes, &names());
        let _ = parse_link(&bytes);
        let _ = parse_address(&bytes);
        let ways = ways(&bytes, &names());
        prop_assert!(ways.len() <= bytes.len() / HOP_HEADER);
    }
}
