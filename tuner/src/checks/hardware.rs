//! Devices for the machines of tests.

use std::{fs, os::unix::fs::symlink};

use linux::route::{Address, Link, Route};
use serde::Serialize;

use super::sample::Sample;
use crate::{Fact, facts::nics::Elsewhere};

/// The port that the sample's configuration names.
pub(super) const PORT: &str = "0000:3b:00.0";

/// What a machine can have besides files with text.
pub(super) trait Hardware: Sized {
    /// A symbolic link.
    fn link(self, path: &str, to: &str) -> Self;
    /// A file that is no text.
    fn bytes(self, path: &str, bytes: &[u8]) -> Self;
    /// What the kernel answers to a question.
    fn asked<T: Serialize>(self, name: &str, answer: &Fact<T>) -> Self;

    /// A function with a driver.
    fn driver(self, address: &str, driver: &str) -> Self {
        let dir = format!("sys/bus/pci/devices/{address}");
        self.link(&format!("{dir}/driver"), &format!("../../../bus/pci/drivers/{driver}"))
    }

    /// A function in an IOMMU group.
    fn group(self, address: &str, group: u32) -> Self {
        let dir = format!("sys/bus/pci/devices/{address}");
        self.link(&format!("{dir}/iommu_group"), &format!("../../kernel/iommu_groups/{group}"))
    }

    /// An interface on a function.
    fn nic(self, name: &str, address: &str) -> Self;

    /// Nothing leads over any interface.
    fn quiet_network(self) -> Self {
        self.asked("route/links", &Fact::Is(Vec::<Link>::new()))
            .asked("route/defaults", &Fact::Is(Vec::<Route>::new()))
            .asked("route/addresses", &Fact::Is(Vec::<Address>::new()))
            .asked("route/elsewhere", &Fact::Is(Vec::<Elsewhere>::new()))
    }

    /// A processor that is no virtual machine's, or is one.
    fn processor(self, is_virtual: bool) -> Self;
}

impl Hardware for Sample {
    fn link(self, path: &str, to: &str) -> Self {
        let file = self.root().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&file);
        symlink(to, file).unwrap();
        self
    }

    fn bytes(self, path: &str, bytes: &[u8]) -> Self {
        let file = self.root().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
        self
    }

    fn asked<T: Serialize>(self, name: &str, answer: &Fact<T>) -> Self {
        let text = serde_json::to_string(answer).unwrap();
        self.with(&format!("barewire/asked/{name}.json"), &text)
    }

    fn nic(self, name: &str, address: &str) -> Self {
        let dir = format!("sys/class/net/{name}");
        self.with(&format!("{dir}/ifindex"), "2")
            .with(&format!("{dir}/address"), "02:00:00:00:00:02")
            .with(&format!("{dir}/mtu"), "1500")
            .link(&format!("{dir}/device"), &format!("../../../bus/pci/devices/{address}"))
    }

    fn processor(self, is_virtual: bool) -> Self {
        let guest = if is_virtual { " hypervisor" } else { "" };
        let text = format!("processor : 0\nvendor_id : GenuineIntel\nflags : fpu tsc{guest}\n");
        self.with("proc/cpuinfo", &text)
    }
}
