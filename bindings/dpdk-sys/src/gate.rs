//! Which DPDK releases these bindings support, and what to say about the others.
//!
//! This file is used twice: `build.rs` compiles it to refuse a DPDK before anything is built
//! against it, and the crate exports it, where its tests run. It therefore depends on `std` alone.

/// One long-term release of DPDK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Release {
    /// The year of the release, two digits: the 22 of 22.11.
    pub year: u32,
    /// The number of its ABI, which is the first number of its libraries' soname: the 23 of
    /// `librte_eal.so.23`.
    pub abi: u32,
    /// Where an operator finds it.
    pub found_in: &'static str,
}

/// Every supported release, oldest first. All are `.11`: DPDK keeps its ABI from one November to
/// the next and maintains that release for years; what lies between changes the layout of
/// `rte_eth_fp_ops`, `rte_mbuf` and `rte_ring` freely.
pub const SUPPORTED: [Release; 4] = [
    Release { year: 22, abi: 23, found_in: "Debian 12" },
    Release { year: 23, abi: 24, found_in: "Ubuntu 24.04" },
    Release { year: 24, abi: 25, found_in: "Debian 13" },
    Release { year: 25, abi: 26, found_in: "Debian 14" },
];

/// The Debian packages that a build needs.
pub const PACKAGES: &str = "libdpdk-dev pkg-config gcc clang libclang-dev";

/// Finds the supported release that `version` is a patch release of. `version` is as `pkg-config
/// --modversion libdpdk` prints it, such as `22.11.11` or `24.11.0-rc2`.
///
/// # Errors
/// The text to show to whoever builds: what was found, and what to do.
pub fn check(version: &str) -> Result<Release, String> {
    let mut numbers = version.trim().split('.');
    let mut number = || numbers.next().and_then(|text| text.parse::<u32>().ok());
    let (Some(year), Some(month)) = (number(), number()) else {
        return Err(format!("can not read the DPDK version \"{version}\"; {}", advice()));
    };
    match SUPPORTED.iter().find(|release| release.year == year) {
        Some(release) if month == 11 => Ok(*release),
        _ => Err(format!("DPDK {version} is not supported; {}", advice())),
    }
}

/// What to say when pkg-config does not know `libdpdk`.
pub fn missing(cause: &str) -> String {
    format!(
        "no DPDK was found: {cause}; on Debian or Ubuntu: apt-get install {PACKAGES}; elsewhere set PKG_CONFIG_PATH to \
         the directory that holds libdpdk.pc; {}",
        advice()
    )
}

fn advice() -> String {
    let list: Vec<String> =
        SUPPORTED.iter().map(|r| format!("{}.11 ({})", r.year, r.found_in)).collect();
    format!("install one of {}, any patch release", list.join(", "))
}
