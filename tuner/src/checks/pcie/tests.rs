use std::collections::BTreeMap;

use crate::{
    Fact, Measured,
    Verdict::{Bad, Good, Info, NotApplicable, Unknown, Warn},
    change::Change,
    checks::{
        hardware::{Hardware as _, PORT},
        sample::{Sample, quiet},
    },
    facts::pci::vfio::DeviceFile,
    measured::{Counted, Counters},
};

const DIR: &str = "sys/bus/pci/devices/0000:3b:00.0";

fn link(speed: &str, width: &str) -> Sample {
    Sample::server()
        .with(&format!("{DIR}/current_link_speed"), speed)
        .with(&format!("{DIR}/max_link_speed"), "16.0 GT/s PCIe")
        .with(&format!("{DIR}/current_link_width"), width)
        .with(&format!("{DIR}/max_link_width"), "16")
}

/// A configuration space with a PCI Express capability at 0x40.
fn space(device: u32, control: u16) -> Vec<u8> {
    let mut bytes = vec![0; 256];
    bytes[0x06] = 0x10;
    bytes[0x34] = 0x40;
    bytes[0x40] = 0x10;
    bytes[0x44..0x48].copy_from_slice(&device.to_le_bytes());
    bytes[0x48..0x4a].copy_from_slice(&control.to_le_bytes());
    bytes
}

#[test]
fn a_link_is_judged_by_what_it_could_be_and_what_the_port_needs() {
    link("16.0 GT/s PCIe", "16").expect("PCI-01", Good);
    link("16.0 GT/s PCIe", "8").expect("PCI-01", Warn);
    link("8.0 GT/s PCIe", "16").expect("PCI-01", Warn);
    link("Unknown", "0").expect("PCI-01", NotApplicable);
    link("fast", "16").expect("PCI-01", Unknown);
    Sample::server().expect("PCI-01", NotApplicable);
    Sample::empty().expect("PCI-01", NotApplicable);

    // 16 GT/s x8 carries 126 Gb/s, 1.3 times 97.
    for (mbps, verdict) in [("96000", Warn), ("98000", Bad), ("25000", Warn)] {
        link("16.0 GT/s PCIe", "8")
            .nic("eth0", PORT)
            .with("sys/class/net/eth0/speed", mbps)
            .expect("PCI-01", verdict);
    }
}

#[test]
fn read_requests_are_judged_by_size_and_vendor() {
    // The code is in bits 12 to 14: 128 bytes shifted by it.
    for (code, vendor, verdict) in [
        (0, "0x8086", Bad),
        (1, "0x8086", Warn),
        (2, "0x8086", Good),
        (2, "0x15b3", Info),
        (3, "0x15b3", Good),
        (1, "0x15b3", Warn),
    ] {
        Sample::server()
            .with(&format!("{DIR}/vendor"), vendor)
            .bytes(&format!("{DIR}/config"), &space(0, code << 12))
            .expect("PCI-02", verdict);
    }
    Sample::server().bytes(&format!("{DIR}/config"), &space(0, 0)[..64]).expect("PCI-02", Unknown);
    Sample::server().expect("PCI-02", NotApplicable);
}

#[test]
fn payloads_are_the_same_on_both_ends_and_not_tiny() {
    let port = |port_control: u16, control: u16| {
        Sample::server()
            .without(DIR)
            .link(DIR, "../../../devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0")
            .bytes("sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/config", &space(2, control))
            .bytes("sys/bus/pci/devices/0000:3a:00.0/config", &space(2, port_control))
            .with("sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/vendor", "0x8086")
            .with("sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/device", "0x1592")
            .with("sys/devices/pci0000:3a/0000:3a:00.0/0000:3b:00.0/class", "0x020000")
    };
    // Bits 5 to 7: 0 is 128 bytes, 1 is 256, 2 is 512, the most that the device can.
    port(1 << 5, 1 << 5).expect("PCI-03", Good);
    port(0, 0).expect("PCI-03", Warn);
    let apart = port(1 << 5, 2 << 5).expect("PCI-03", Bad);
    assert!(apart.seen.contains("the port above 256 bytes"), "{}", apart.seen);
    // A device that can do no more than 128 bytes is as it should be.
    Sample::server().bytes(&format!("{DIR}/config"), &space(0, 0)).expect("PCI-03", Good);
    Sample::server().expect("PCI-03", NotApplicable);
}

fn with_errors(correctable: &str, nonfatal: &str) -> Sample {
    Sample::server()
        .with(&format!("{DIR}/aer_dev_correctable"), correctable)
        .with(&format!("{DIR}/aer_dev_nonfatal"), nonfatal)
        .with(&format!("{DIR}/aer_dev_fatal"), "DLP 0\nTOTAL_ERR_FATAL 0")
}

fn aer(by: u64) -> Measured {
    let set = BTreeMap::from([(
        format!("{DIR}/aer_dev_correctable:BadTLP"),
        Counted { from: 3, to: 3 + by },
    )]);
    Measured { aer: Fact::Is(Counters { read: 1, set }), ..quiet() }
}

#[test]
fn errors_of_the_link_are_bad_when_lost_and_a_warning_when_rising() {
    let corrected = || with_errors("BadTLP 3\nTOTAL_ERR_COR 3", "DLP 0");
    with_errors("BadTLP 0\nTOTAL_ERR_COR 0", "DLP 0").expect("PCI-04", Good);
    corrected().expect("PCI-04", Info);
    corrected().measured(aer(0)).expect("PCI-04", Good);
    corrected().measured(aer(2)).expect("PCI-04", Warn);
    with_errors("BadTLP 3", "DLP 1").measured(aer(0)).expect("PCI-04", Bad);
    Sample::server().expect("PCI-04", NotApplicable);
}

#[test]
fn an_iommu_is_missed_on_metal_and_not_in_a_guest() {
    let dmar = |machine: Sample| machine.link("sys/class/iommu/dmar0", "../../devices/virtual/x");
    dmar(Sample::server()).group(PORT, 4).expect("IOM-01", Good);
    dmar(Sample::server()).expect("IOM-01", Bad);
    Sample::server().processor(true).expect("IOM-01", NotApplicable);
    let metal = Sample::server().processor(false).expect("IOM-01", Bad);
    assert!(matches!(&metal.fix[0], Change::BootParameter { key, .. } if key == "intel_iommu"));
    Sample::server()
        .processor(false)
        .with("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y")
        .expect("IOM-01", Warn);
}

#[test]
fn only_the_kernels_own_nics_are_asked_for_passthrough() {
    let domain = |kind: &str| {
        Sample::server()
            .driver(PORT, "ice")
            .group(PORT, 4)
            .with("sys/kernel/iommu_groups/4/type", kind)
    };
    domain("identity").expect("IOM-02", Good);
    domain("DMA-FQ").expect("IOM-02", Warn);
    assert_eq!(domain("DMA").expect("IOM-02", Bad).fix.len(), 1);
    domain("unmanaged").expect("IOM-02", Info);
    domain("DMA").driver(PORT, "vfio-pci").expect("IOM-02", NotApplicable);
    Sample::server().driver(PORT, "ice").expect("IOM-02", NotApplicable);
}

#[test]
fn a_group_is_viable_without_the_kernel_in_it() {
    let sibling = |driver: Option<&str>, class: &str| {
        let machine = Sample::server().group(PORT, 4).function("0000:3b:00.1", 0);
        let machine =
            machine.group("0000:3b:00.1", 4).with("sys/bus/pci/devices/0000:3b:00.1/class", class);
        match driver {
            Some(driver) => machine.driver("0000:3b:00.1", driver),
            None => machine,
        }
    };
    sibling(None, "0x020000").expect("IOM-03", Good);
    sibling(Some("vfio-pci"), "0x020000").expect("IOM-03", Good);
    sibling(Some("pcieport"), "0x060400").expect("IOM-03", Good);
    sibling(Some("ice"), "0x020000").expect("IOM-03", Bad);
    Sample::server().expect("IOM-03", NotApplicable);
    Sample::server().without(DIR).expect("IOM-03", Unknown);
}

#[test]
fn memory_that_the_firmware_reserved_for_a_port_is_found_in_the_log() {
    let machine = || Sample::server().link("sys/class/iommu/dmar0", "../x");
    let said =
        |line: &str| machine().asked("kernel-log/iommu-reserved", &Fact::Is(vec![line.to_owned()]));
    let of = |address: &str| format!("DMAR: Setting 1:1 IOMMU mapping for {address}");
    said(&of(PORT)).expect("IOM-04", Bad);
    said(&of("0000:00:1a.0")).expect("IOM-04", Good);
    machine().expect("IOM-04", Unknown);
    Sample::server().expect("IOM-04", NotApplicable);
}

#[test]
fn ports_are_with_vfio_unless_their_driver_shares_them() {
    let bound = |driver: &str| Sample::server().quiet_network().driver(PORT, driver);
    bound("vfio-pci").expect("VFIO-01", Good);
    bound("uio_pci_generic").expect("VFIO-01", Warn);
    bound("igb_uio").expect("VFIO-01", Bad);
    bound("mlx5_core").expect("VFIO-01", NotApplicable);
    let free = bound("ice").nic("eth0", PORT).expect("VFIO-01", Bad);
    assert_eq!(
        free.fix,
        [Change::Driver { device: PORT.parse().unwrap(), driver: "vfio-pci".to_owned() }]
    );
    // Its interface is in another namespace, or nobody could say what leads over it.
    assert!(bound("ice").expect("VFIO-01", Bad).fix.is_empty());
    let blind = Sample::server().driver(PORT, "ice").nic("eth0", PORT);
    assert!(blind.expect("VFIO-01", Bad).fix.is_empty());
    Sample::server().without_config().expect("VFIO-01", NotApplicable);
    bound("vfio-pci").without_config().expect("VFIO-01", Good);
}

#[test]
fn bifurcated_drivers_keep_their_device_and_need_verbs() {
    let nvidia = |driver: &str| {
        Sample::server().with(&format!("{DIR}/vendor"), "0x15b3").driver(PORT, driver)
    };
    nvidia("mlx5_core")
        .with(&format!("{DIR}/infiniband_verbs/uverbs0"), "")
        .expect("VFIO-02", Good);
    nvidia("mlx5_core").expect("VFIO-02", Bad);
    nvidia("vfio-pci").expect("VFIO-02", Bad);
    Sample::server().driver(PORT, "ice").expect("VFIO-02", NotApplicable);
}

#[test]
fn a_binding_that_a_reboot_forgets_is_a_warning() {
    let machine = || Sample::server().quiet_network();
    let rule = |driver: &str| {
        format!("KERNEL==\"{PORT}\", ATTR{{driver_override}}=\"{driver}\"\n# driver_override\n")
    };
    let forgotten = machine().expect("VFIO-03", Warn);
    let [Change::File { path, content }] = forgotten.fix.as_slice() else {
        panic!("{forgotten:#?}");
    };
    assert_eq!(path, "etc/udev/rules.d/90-barewire-vfio.rules");
    // What is written is what is found the next time.
    machine().with(path, content).expect("VFIO-03", Good);

    let driverctl = machine().with("usr/sbin/driverctl", "").expect("VFIO-03", Warn);
    let [Change::File { path, content }] = driverctl.fix.as_slice() else { panic!() };
    machine().with(path, content).expect("VFIO-03", Good);

    machine().with("etc/udev/rules.d/10-x.rules", &rule("ice")).expect("VFIO-03", Bad);
    machine()
        .with("etc/udev/rules.d/10-x.rules", &rule("vfio-pci"))
        .with(&format!("etc/driverctl.d/pci-{PORT}"), "ice")
        .expect("VFIO-03", Bad);
    machine()
        .with("etc/modprobe.d/x.conf", "options vfio-pci ids=8086:1592\n")
        .expect("VFIO-03", Warn);
    machine().driver(PORT, "mlx5_core").expect("VFIO-03", NotApplicable);
}

#[test]
fn vfio_without_an_iommu_is_bad_where_there_is_one() {
    let mode = |text: &str| {
        Sample::server().with("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", text)
    };
    mode("N").expect("VFIO-04", Good);
    mode("Y").expect("VFIO-04", Warn);
    let with_iommu = |text| mode(text).link("sys/class/iommu/dmar0", "../x");
    assert_eq!(with_iommu("Y").expect("VFIO-04", Bad).fix.len(), 1);
    let asked =
        |text| with_iommu(text).with("proc/cmdline", "quiet vfio.enable_unsafe_noiommu_mode=1");
    assert_eq!(asked("Y").expect("VFIO-04", Bad).fix.len(), 2);
    assert_eq!(asked("N").expect("VFIO-04", Warn).fix.len(), 1);
    mode("perhaps").expect("VFIO-04", Unknown);
    Sample::server().expect("VFIO-04", NotApplicable);
}

#[test]
fn a_group_is_the_daemons_and_nobody_elses() {
    let file = |name: &str, user: u32, mode: u32| DeviceFile {
        name: name.to_owned(),
        user,
        group: user,
        mode,
    };
    let machine = |group: DeviceFile| {
        let files = vec![file("vfio", 0, 0o666), group];
        Sample::server().asked("files/dev-vfio", &Fact::Is(files))
    };
    let service = "root:x:0:0::/root:/bin/sh\nbarewire:x:990:990::/:/bin/false\n";
    let fine = machine(file("4", 990, 0o600)).with("etc/passwd", service);
    assert_eq!(fine.expect("VFIO-05", Good).advice, None);
    let closed = machine(file("4", 0, 0o600)).with("etc/passwd", service);
    assert!(closed.expect("VFIO-05", Warn).advice.is_some());
    machine(file("4", 0, 0o600)).expect("VFIO-05", Good);
    let open = machine(file("4", 990, 0o666)).with("etc/passwd", service);
    assert!(open.expect("VFIO-05", Bad).advice.is_some());
    Sample::server()
        .asked("files/dev-vfio", &Fact::<Vec<DeviceFile>>::Absent)
        .expect("VFIO-05", NotApplicable);
    Sample::server().expect("VFIO-05", Unknown);
}

#[test]
fn a_locked_down_kernel_leaves_only_vfio_with_an_iommu() {
    let level = |text: &str| Sample::server().with("sys/kernel/security/lockdown", text);
    let locked = || level("none [integrity] confidentiality");
    level("[none] integrity confidentiality").expect("VFIO-06", Good);
    locked().link("sys/class/iommu/dmar0", "../x").expect("VFIO-06", Good);
    locked().expect("VFIO-06", Warn);
    locked().driver(PORT, "igb_uio").expect("VFIO-06", Bad);
    Sample::server().expect("VFIO-06", NotApplicable);
    level("integrity maybe").expect("VFIO-06", Unknown);
}

#[test]
fn virtual_functions_are_in_the_same_hands_as_their_physical_one() {
    let port = |count: &str, driver: &str, of_virtual: &str| {
        Sample::server()
            .with(&format!("{DIR}/sriov_numvfs"), count)
            .driver(PORT, driver)
            .function("0000:3b:01.0", 0)
            .driver("0000:3b:01.0", of_virtual)
            .link("sys/bus/pci/devices/0000:3b:01.0/physfn", "../0000:3b:00.0")
    };
    port("0", "vfio-pci", "iavf").expect("VFIO-07", Good);
    port("1", "vfio-pci", "vfio-pci").expect("VFIO-07", Good);
    port("1", "vfio-pci", "iavf").expect("VFIO-07", Bad);
    port("1", "ice", "iavf").expect("VFIO-07", Warn);
    Sample::server().expect("VFIO-07", NotApplicable);
    port("many", "ice", "iavf").expect("VFIO-07", Unknown);
}
