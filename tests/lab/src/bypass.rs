//! What almost every test of a bypass path does to the guest first.

use std::path::PathBuf;

use crate::{Guest, skip};

impl Guest {
    /// The name of a NIC's interface in the guest.
    ///
    /// # Panics
    /// When it has none, for no kernel driver has the NIC.
    #[track_caller]
    #[must_use]
    pub fn interface(&mut self, nic: &str) -> String {
        let dir = format!("/sys/bus/pci/devices/{}", self.nic(nic).pci_address());
        // virtio has a device of its own between the PCI device and the interface.
        let found = self.must(&format!("find {dir}/ -mindepth 2 -path '*/net/*' -prune"));
        let names: Vec<_> = found.lines().filter_map(|path| path.rsplit('/').next()).collect();
        assert_eq!(names.len(), 1, "interfaces of {nic}: {names:?}");
        names[0].to_owned()
    }

    /// Sets the number of 2 MiB hugepages of a node, and looks whether it got them.
    ///
    /// # Panics
    /// When it did not.
    #[track_caller]
    pub fn set_hugepages(&mut self, node: u8, pages: u32) {
        let file =
            format!("/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/nr_hugepages");
        let got = self.must(&format!("echo {pages} > {file}; cat {file}"));
        assert_eq!(got.trim(), pages.to_string(), "2 MiB pages of node {node}");
    }

    /// Takes a NIC from its kernel driver and gives it to vfio-pci, by hand: what the programs under test do better.
    ///
    /// # Panics
    /// When the guest refuses.
    #[track_caller]
    pub fn bind_to_vfio(&mut self, nic: &str) {
        let address = self.nic(nic).pci_address().to_owned();
        let dir = format!("/sys/bus/pci/devices/{address}");
        self.must(&format!(
            "set -e; modprobe vfio-pci; echo vfio-pci > {dir}/driver_override; \
             echo {address} > {dir}/driver/unbind; echo {address} > /sys/bus/pci/drivers_probe; \
             test $(basename $(readlink {dir}/driver)) = vfio-pci; \
             test -c /dev/vfio/$(basename $(readlink {dir}/iommu_group))"
        ));
    }

    /// Copies one of this tree's programs, as built with `--release`, to `/usr/bin` in the guest. When it has not been
    /// built, or the guest lacks the libraries it was linked with, says so and that the test is skipped.
    ///
    /// # Panics
    /// When it can not be copied.
    #[track_caller]
    #[must_use]
    pub fn install_or_skip(&mut self, program: &str) -> bool {
        let built = target().join("release").join(program);
        if !built.is_file() {
            skip(&format!("needs {}: cargo build --release", built.display()));
            return false;
        }
        let there = format!("/usr/bin/{program}");
        self.copy_in(&built, &there).unwrap_or_else(|error| panic!("{error:?}"));
        let lacking = self.must(&format!("ldd {there} | grep 'not found' || true"));
        if !lacking.is_empty() {
            skip(&format!(
                "needs {program} built for the guest's Debian, which lacks {}",
                lacking.trim()
            ));
        }
        lacking.is_empty()
    }
}

/// Cargo's target directory.
pub(crate) fn target() -> PathBuf {
    let top = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    top.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}
