//! CPU lists and masks, NUMA nodes, PCI and Ethernet addresses: what is read is what was written.

use std::collections::BTreeSet;

use config::{CpuId, CpuParseError, CpuSet, MacAddress, NumaNode, PciAddress};
use proptest::prelude::*;

fn cpu(number: u32) -> CpuId {
    CpuId::new(number).expect("at most 8191")
}

fn set(text: &str) -> CpuSet {
    text.parse().unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn any_cpus() -> impl Strategy<Value = BTreeSet<u32>> {
    prop_oneof![
        proptest::collection::btree_set(0u32..192, 0..64),
        proptest::collection::btree_set(0u32..8192, 0..64),
    ]
}

fn of(cpus: &BTreeSet<u32>) -> CpuSet {
    cpus.iter().copied().map(cpu).collect()
}

#[test]
fn a_list_is_written_with_the_fewest_ranges() {
    for (text, written) in [
        ("", ""),
        ("\n", ""),
        ("0", "0"),
        ("3,1,2", "1-3"),
        ("0-3,8", "0-3,8"),
        ("8,0-3\n", "0-3,8"),
        ("0-1,2,4", "0-2,4"),
        ("0-15:2/4", "0-1,4-5,8-9,12-13"),
        ("1-6:2/4", "1-2,5-6"),
        ("0-5:3/4", "0-2,4-5"),
        ("7:1/1", "7"),
        ("62-65", "62-65"),
        ("0-8191", "0-8191"),
        ("8191", "8191"),
        ("1, 3", "1,3"),
    ] {
        assert_eq!(set(text).to_string(), written, "{text:?}");
    }
}

#[test]
fn what_is_not_a_list_is_refused_with_its_reason() {
    for (text, message) in [
        ("a", "\"a\" is not a CPU number"),
        ("0-", "\"\" is not a CPU number"),
        ("-1", "\"\" is not a CPU number"),
        ("+1", "\"+1\" is not a CPU number"),
        ("1,,2", "\"\" is not a CPU number"),
        ("all", "\"all\" is not a CPU number"),
        ("0-N", "\"N\" is not a CPU number"),
        ("3-1", "range 3-1 runs backwards"),
        ("8192", "CPU number is larger than 8191"),
        ("0-99999999999999999999", "CPU number is larger than 8191"),
        ("0-7:", "\":\" is not a pattern such as \":2/4\" (the first two of every four)"),
        ("0-7:0/4", "\":0/4\" is not a pattern such as \":2/4\" (the first two of every four)"),
        ("0-7:5/4", "\":5/4\" is not a pattern such as \":2/4\" (the first two of every four)"),
        ("\u{1b}[31m", "\"\\u{1b}[31m\" is not a CPU number"),
    ] {
        assert_eq!(text.parse::<CpuSet>().unwrap_err().to_string(), message, "{text:?}");
    }
    let long = "0,".repeat(CpuSet::MAX_TEXT);
    assert_eq!(long.parse::<CpuSet>(), Err(CpuParseError::TooLong { bytes: long.len() }));
}

#[test]
fn a_mask_is_read_as_the_kernel_writes_it() {
    for (mask, list) in [
        ("00000000,0000000f", "0-3"),
        ("f\n", "0-3"),
        ("0x3", "0-1"),
        ("0", ""),
        ("1,00000000", "32"),
        ("80000000,00000000,00000001", "0,95"),
    ] {
        assert_eq!(CpuSet::from_hex_mask(mask).unwrap(), set(list), "{mask:?}");
    }
    for mask in ["", "g", "1,,2", "123456789", "-1", "0x"] {
        assert!(CpuSet::from_hex_mask(mask).is_err(), "{mask:?}");
    }
    let beyond = format!("1{}", ",00000000".repeat(256));
    assert_eq!(CpuSet::from_hex_mask(&beyond), Err(CpuParseError::TooLarge));
    let last = format!("80000000{}", ",00000000".repeat(255));
    assert_eq!(CpuSet::from_hex_mask(&last).unwrap(), set("8191"));
}

#[test]
fn the_empty_set_is_a_mask_of_zeros() {
    assert_eq!(CpuSet::new().to_hex_mask(), "00000000");
    assert_eq!(set("0,32").to_hex_mask(), "00000001,00000001");
}

#[test]
fn equal_sets_are_equal_however_they_came_about() {
    let mut shrunk = set("0,8000");
    assert!(shrunk.remove(cpu(8000)));
    assert!(!shrunk.remove(cpu(8000)));
    assert_eq!(shrunk, set("0"));
    assert_eq!(set("1,8000").intersection(&set("1,7000")), set("1"));
}

proptest! {
    #[test]
    fn lists_and_masks_survive_a_round_trip(cpus in any_cpus()) {
        let set = of(&cpus);
        prop_assert_eq!(&set.to_string().parse::<CpuSet>().unwrap(), &set);
        prop_assert_eq!(&CpuSet::from_hex_mask(&set.to_hex_mask()).unwrap(), &set);
        let json = serde_json::to_string(&set).unwrap();
        prop_assert_eq!(&serde_json::from_str::<CpuSet>(&json).unwrap(), &set);
    }

    #[test]
    fn a_cpu_set_is_a_set_of_cpus(a in any_cpus(), b in any_cpus()) {
        let (x, y) = (of(&a), of(&b));
        prop_assert_eq!(x.iter().map(CpuId::get).collect::<BTreeSet<_>>(), a.clone());
        prop_assert_eq!(x.len(), a.len());
        prop_assert_eq!(x.is_empty(), a.is_empty());
        prop_assert_eq!(x.first().map(CpuId::get), a.first().copied());
        prop_assert_eq!(x.last().map(CpuId::get), a.last().copied());
        prop_assert_eq!(x.union(&y), of(&a.union(&b).copied().collect()));
        prop_assert_eq!(x.intersection(&y), of(&a.intersection(&b).copied().collect()));
        prop_assert_eq!(x.difference(&y), of(&a.difference(&b).copied().collect()));
        prop_assert_eq!(x.is_disjoint(&y), a.is_disjoint(&b));
        prop_assert_eq!(x.is_subset(&y), a.is_subset(&b));
        for number in b {
            prop_assert_eq!(x.contains(cpu(number)), a.contains(&number));
        }
    }

    #[test]
    fn a_pattern_takes_the_first_of_every_group(
        first in 0u32..200, length in 0u32..200, used in 1u32..20, more in 0u32..20,
    ) {
        let (last, group) = (first + length, used + more);
        let expected = (first..=last).filter(|n| (n - first) % group < used).collect();
        prop_assert_eq!(set(&format!("{first}-{last}:{used}/{group}")), of(&expected));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "[0-9a-fx:,./ -]{0,40}|\\PC{0,40}") {
        let _ = text.parse::<CpuSet>().map(|set| set.len());
        let _ = CpuSet::from_hex_mask(&text).map(|set| set.len());
        let _ = text.parse::<PciAddress>();
        let _ = text.parse::<MacAddress>();
        let _ = text.parse::<NumaNode>();
    }

    #[test]
    fn pci_addresses_survive_a_round_trip(
        domain in 0u32..=0x1_ffff, bus: u8, device in 0u8..32, function in 0u8..8,
    ) {
        let address = PciAddress::new(domain, bus, device, function).unwrap();
        prop_assert_eq!(address.to_string().parse::<PciAddress>().unwrap(), address);
        let json = serde_json::to_string(&address).unwrap();
        prop_assert_eq!(serde_json::from_str::<PciAddress>(&json).unwrap(), address);
    }

    #[test]
    fn ethernet_addresses_survive_a_round_trip(bytes: [u8; 6]) {
        let address = MacAddress(bytes);
        prop_assert_eq!(address.to_string().parse::<MacAddress>().unwrap(), address);
        let hyphens = address.to_string().replace(':', "-");
        prop_assert_eq!(hyphens.parse::<MacAddress>().unwrap(), address);
    }
}

#[test]
fn a_pci_address_may_leave_out_its_domain() {
    let address: PciAddress = "3B:00.1".parse().unwrap();
    assert_eq!(address.to_string(), "0000:3b:00.1");
    assert_eq!(address, "0000:3b:00.1".parse().unwrap());
    let behind_vmd: PciAddress = "10000:e1:00.0".parse().unwrap();
    assert_eq!((behind_vmd.domain(), behind_vmd.bus()), (0x10000, 0xe1));
}

#[test]
fn what_is_not_a_pci_address_is_refused() {
    for text in [
        "",
        "3b",
        "3b:00",
        "0000:3b:00",
        "3b:20.0",
        "3b:00.8",
        "0000:3b:00.10",
        "000:3b:00.0",
        "0000:0000:3b:00.0",
        "0000:3b:00.0 ",
        "0000:3b:000.0",
        "+3:00.0",
        "eth0",
    ] {
        assert!(text.parse::<PciAddress>().is_err(), "{text:?}");
    }
}

#[test]
fn what_is_not_an_ethernet_address_is_refused() {
    for text in [
        "",
        "02:00:00:00:00",
        "02:00:00:00:00:00:00",
        "2:0:0:0:0:1",
        "02-00:00:00:00:00",
        "0g:00:00:00:00:00",
    ] {
        assert!(text.parse::<MacAddress>().is_err(), "{text:?}");
    }
    assert!(MacAddress::BROADCAST.is_multicast());
    assert!(MacAddress::default().is_zero());
}
