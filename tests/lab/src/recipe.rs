//! What is in an image: which Debian, which kernel, which packages.

use std::fmt;

/// A release of Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Debian {
    /// Debian 12: Linux 6.1, DPDK 22.11, systemd 252.
    #[default]
    Bookworm,
    /// Debian 13: Linux 6.12, DPDK 24.11, systemd 257.
    Trixie,
}

impl Debian {
    /// Its name in the archive.
    #[must_use]
    pub fn suite(self) -> &'static str {
        match self {
            Debian::Bookworm => "bookworm",
            Debian::Trixie => "trixie",
        }
    }

    /// The ABI of its DPDK, which is in the names of the libraries' packages.
    pub(crate) fn dpdk_abi(self) -> &'static str {
        match self {
            Debian::Bookworm => "23",
            Debian::Trixie => "25",
        }
    }
}

/// Which of Debian's kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Kernel {
    /// The one that a server has.
    #[default]
    Standard,
    /// PREEMPT_RT.
    Rt,
}

impl Kernel {
    fn package(self) -> &'static str {
        match self {
            Kernel::Standard => "linux-image-amd64",
            Kernel::Rt => "linux-image-rt-amd64",
        }
    }
}

/// What an image is made of. Two equal recipes share one image.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Recipe {
    debian: Debian,
    kernel: Kernel,
    extra: Vec<String>,
}

/// In every image: a server's usual programs, and DPDK's.
const PACKAGES: &[&str] = &[
    "ca-certificates",
    "dbus",
    "dpdk",
    "dpdk-dev",
    "e2fsprogs",
    "ethtool",
    "grub-pc",
    "initramfs-tools",
    "iproute2",
    "irqbalance",
    "kmod",
    "libhwloc15",
    "numactl",
    "pciutils",
    "procps",
    "rt-tests",
    "rtla",
    "systemd-sysv",
    "udev",
    "zstd",
];

impl Recipe {
    /// That Debian with that kernel.
    #[must_use]
    pub fn new(debian: Debian, kernel: Kernel) -> Recipe {
        Recipe { debian, kernel, extra: Vec::new() }
    }

    /// With one more of Debian's packages.
    #[must_use]
    pub fn with(mut self, package: impl Into<String>) -> Recipe {
        self.extra.push(package.into());
        self
    }

    /// With what provisions machines: cloud-init, which a cloud's images have, and Ansible, which plays to the machine
    /// that it is on.
    #[must_use]
    pub fn provisioning(self) -> Recipe {
        ["ansible-core", "cloud-init", "curl", "python3-apt"].into_iter().fold(self, Recipe::with)
    }

    /// The release.
    #[must_use]
    pub fn debian(&self) -> Debian {
        self.debian
    }

    /// Every package that is asked for by name, sorted; what they depend on comes with them.
    #[must_use]
    pub fn packages(&self) -> Vec<String> {
        let abi = self.debian.dpdk_abi();
        let mut packages: Vec<String> = PACKAGES.iter().map(ToString::to_string).collect();
        packages.push(self.kernel.package().to_owned());
        packages.extend(
            [
                "bus-pci",
                "bus-vdev",
                "mempool-ring",
                "net-null",
                "net-ring",
                "net-virtio",
                "fib",
                "acl",
            ]
            .map(|library| format!("librte-{library}{abi}")),
        );
        // A name that ends in a digit is kept apart from the ABI by a hyphen.
        packages.push(format!("librte-net-e1000-{abi}"));
        packages.extend(self.extra.iter().cloned());
        packages.sort();
        packages.dedup();
        packages
    }
}

/// A name for people and for the cache: `bookworm-rt+stress-ng`.
impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.debian.suite())?;
        if self.kernel == Kernel::Rt {
            f.write_str("-rt")?;
        }
        self.extra.iter().try_for_each(|package| write!(f, "+{package}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_are_those_of_the_release() {
        let bookworm = Recipe::default().packages();
        let trixie = Recipe::new(Debian::Trixie, Kernel::Rt).with("stress-ng").packages();

        assert!(bookworm.contains(&"librte-net-e1000-23".to_owned()), "{bookworm:?}");
        assert!(bookworm.contains(&"linux-image-amd64".to_owned()), "{bookworm:?}");
        for package in ["librte-bus-pci25", "linux-image-rt-amd64", "stress-ng"] {
            assert!(trixie.contains(&package.to_owned()), "{package}: {trixie:?}");
        }
    }
}
