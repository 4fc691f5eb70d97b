//! What the machine is made of, and QEMU's words for it.

use std::path::Path;

/// A kind of NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Model {
    /// Intel 82574: one queue each way.
    E1000e,
    /// Intel 82576: eight queues, SR-IOV.
    Igb,
    /// Paravirtual, modern only, behind the IOMMU.
    VirtioNet,
}

/// A cable's name, and the NIC in the guest that it ends at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) name: String,
    model: Model,
    node: u8,
}

/// A server with two NUMA nodes of two CPUs each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    mib_per_node: u32,
    iommu: bool,
    nics: Vec<Slot>,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine::new()
    }
}

impl Machine {
    /// 2 × 1.5 GiB of memory, an IOMMU, no NIC.
    #[must_use]
    pub fn new() -> Machine {
        Machine { mib_per_node: 1536, iommu: true, nics: Vec::new() }
    }

    /// With one more NIC, on a bus of that node. The test holds the other end of its cable, by this name.
    ///
    /// # Panics
    /// When there is no such node, or a NIC has the name already.
    #[must_use]
    pub fn nic(mut self, name: &str, model: Model, node: u8) -> Machine {
        assert!(node < 2, "the machine has nodes 0 and 1");
        assert!(self.nics.iter().all(|slot| slot.name != name), "there is a NIC {name} already");
        assert!(self.nics.len() < 15, "the machine has room for 15 NICs");
        self.nics.push(Slot { name: name.to_owned(), model, node });
        self
    }

    /// With so much memory in each node, in MiB.
    #[must_use]
    pub fn memory_per_node(mut self, mib: u32) -> Machine {
        self.mib_per_node = mib;
        self
    }

    /// Without an IOMMU.
    #[must_use]
    pub fn without_iommu(mut self) -> Machine {
        self.iommu = false;
        self
    }

    pub(crate) fn slots(&self) -> &[Slot] {
        &self.nics
    }

    /// The NIC's address on its Ethernet.
    pub(crate) fn mac(index: usize) -> [u8; 6] {
        [0x52, 0x54, 0, 0, 0, 0x10 + u8::try_from(index).unwrap_or(u8::MAX - 0x10)]
    }

    /// Where the guest finds the NIC: the firmware numbers the buses behind a node's bridges in their order.
    pub(crate) fn pci_address(&self, index: usize) -> String {
        let node = self.nics[index].node;
        let before = self.nics[..index].iter().filter(|slot| slot.node == node).count();
        format!("0000:{:02x}:00.0", bus_of(node) + 1 + before)
    }

    /// QEMU's arguments for all but the NICs' cables. Its working directory is the guest's folder. This, in full,
    /// decides whether a snapshot fits.
    pub(crate) fn arguments(&self, disk: &Path, format: &str) -> Vec<String> {
        let mib = self.mib_per_node;
        let mut all = Arguments::default();
        all.add("-accel", "tcg,thread=multi,tb-size=256");
        all.add("-M", "q35").add("-cpu", "max").add("-smp", "4,sockets=2,cores=2,threads=1");
        all.add("-m", format!("{}M", 2 * mib)).add("-display", "none");
        all.flag("-nodefaults").flag("-no-user-config");
        if self.iommu {
            all.add("-device", IOMMU);
        }
        for node in 0..2 {
            all.add("-object", format!("memory-backend-memfd,id=m{node},size={mib}M,share=on"));
            let cpus = format!("{}-{}", 2 * node, 2 * node + 1);
            all.add("-numa", format!("node,nodeid={node},memdev=m{node},cpus={cpus}"));
        }
        all.add("-numa", "dist,src=0,dst=1,val=21");
        for node in 0..2 {
            let bus = bus_of(node);
            all.add(
                "-device",
                format!("pxb-pcie,id=pxb{node},bus_nr={bus},bus=pcie.0,numa_node={node}"),
            );
        }
        all.add("-chardev", "file,id=console,path=console.log,append=on");
        all.add("-serial", "chardev:console");
        all.add("-qmp", "unix:qmp.sock,server=on,wait=off");
        // A comma in a file's name is doubled.
        let disk = disk.display().to_string().replace(',', ",,");
        all.add(
            "-drive",
            format!("file={disk},if=none,id=hd0,format={format},cache=unsafe,discard=unmap"),
        );
        all.add("-device", "virtio-blk-pci,drive=hd0,bootindex=1,bus=pcie.0");
        all.add("-device", "virtio-serial-pci,bus=pcie.0");
        all.add("-chardev", "socket,path=agent.sock,server=on,wait=off,id=agent");
        all.add("-device", format!("virtserialport,chardev=agent,name={}", crate::wire::PORT));
        all.add("-object", "rng-random,id=rng0,filename=/dev/urandom");
        all.add("-device", "virtio-rng-pci,rng=rng0,bus=pcie.0");
        for (index, slot) in self.nics.iter().enumerate() {
            let Slot { model, node, .. } = slot;
            let (device, options) = match model {
                Model::E1000e => ("e1000e", ""),
                Model::Igb => ("igb", ""),
                Model::VirtioNet if self.iommu => {
                    ("virtio-net-pci", ",disable-legacy=on,iommu_platform=on,ats=on")
                }
                Model::VirtioNet => ("virtio-net-pci", ",disable-legacy=on"),
            };
            let number = index + 1;
            all.add(
                "-device",
                format!(
                    "pcie-root-port,id=port{index},bus=pxb{node},chassis={number},slot={number},addr={number:#x}"
                ),
            );
            let mac = Machine::mac(index).map(|byte| format!("{byte:02x}")).join(":");
            all.add(
                "-device",
                format!(
                    "{device},netdev=cable{index},id=nic{index},bus=port{index},mac={mac},romfile={options}"
                ),
            );
        }
        all.0
    }
}

/// The IOMMU, with interrupts of x2APIC (`eim`). Without those a guest's CPU reaches its local APIC through a page of
/// memory, and QEMU's threads get that wrong: while one CPU has the memory map changed (a PCI command register, a BAR),
/// the write of another may go to another device. An end of interrupt that is lost so silences that CPU's timer for
/// good, which the kernel calls "Possible timer handling issue"; a machine whose NICs changed drivers lost one within
/// minutes, and one that does nothing else within seconds. The registers of x2APIC are none of memory's.
const IOMMU: &str = "intel-iommu,intremap=on,eim=on,caching-mode=on,device-iotlb=on";

/// The number of a node's root bus.
fn bus_of(node: u8) -> usize {
    0x40 + 0x40 * usize::from(node)
}

#[derive(Default)]
struct Arguments(Vec<String>);

impl Arguments {
    fn add(&mut self, name: &str, value: impl Into<String>) -> &mut Arguments {
        self.0.extend([name.to_owned(), value.into()]);
        self
    }

    fn flag(&mut self, name: &str) -> &mut Arguments {
        self.0.push(name.to_owned());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nics_of_one_node_are_numbered_in_their_order() {
        let machine = Machine::new().nic("a", Model::Igb, 0).nic("b", Model::E1000e, 1).nic(
            "c",
            Model::VirtioNet,
            0,
        );

        let addresses: Vec<_> = (0..3).map(|index| machine.pci_address(index)).collect();

        assert_eq!(addresses, ["0000:41:00.0", "0000:81:00.0", "0000:42:00.0"]);
    }

    #[test]
    fn a_virtio_nic_is_behind_the_iommu_where_there_is_one() {
        let machine = Machine::new().nic("a", Model::VirtioNet, 0);
        let with = machine.arguments(Path::new("disk"), "raw").join(" ");
        let without = machine.without_iommu().arguments(Path::new("disk"), "raw").join(" ");

        assert!(with.contains("intel-iommu") && with.contains("iommu_platform=on"));
        assert!(!without.contains("intel-iommu") && !without.contains("iommu_platform"));
    }

    #[test]
    #[should_panic(expected = "there is a NIC a already")]
    fn a_name_is_given_once() {
        let _ = Machine::new().nic("a", Model::Igb, 0).nic("a", Model::Igb, 1);
    }
}
