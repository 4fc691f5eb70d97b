//! The gate that decides which DPDK may be built against.

use dpdk_sys::gate::{self, SUPPORTED};

#[test]
fn every_patch_release_of_a_supported_release_passes() {
    for (version, abi) in [
        ("22.11", 23),
        ("22.11.0", 23),
        ("22.11.11", 23),
        ("23.11.4", 24),
        ("24.11.5", 25),
        ("24.11.0-rc1", 25),
        ("25.11.0", 26),
        ("25.11.99\n", 26),
    ] {
        assert_eq!(gate::check(version).map(|r| r.abi), Ok(abi), "{version}");
    }
}

#[test]
fn any_other_release_is_refused_by_name_with_what_to_do() {
    for version in ["18.05", "21.11.3", "22.07.0", "23.03", "24.07.0", "26.11.0", "22.110", "2211"]
    {
        let said = gate::check(version).expect_err(version);
        assert!(said.contains(version), "{said}");
        for release in SUPPORTED {
            assert!(said.contains(&format!("{}.11", release.year)), "{said}");
        }
    }
}

#[test]
fn a_version_that_is_no_version_is_refused() {
    for version in ["", "22", "22.", ".11", "v22.11", "99999999999.11", "22.11x", "-1.11"] {
        assert!(gate::check(version).is_err(), "{version:?}");
    }
}

#[test]
fn a_machine_without_dpdk_is_told_the_packages() {
    let said = gate::missing("pkg-config has never heard of libdpdk");
    for word in ["apt-get install", "libdpdk-dev", "libclang-dev", "PKG_CONFIG_PATH"] {
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn the_dpdk_of_this_build_passed_the_gate() {
    assert_eq!(gate::check(dpdk_sys::VERSION).map(|r| r.abi), Ok(dpdk_sys::ABI));
}
