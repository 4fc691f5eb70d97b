//! DPDK in the guest, on NICs that are really bound to vfio-pci behind a real IOMMU.

use std::time::Instant;

use lab::{
    Guest,
    frames::{exchange, frame, is_carried},
    guest_or_skip,
};

/// Gives both NICs to vfio-pci, and each node so many hugepages.
fn prepare(guest: &mut Guest, pages: u32) {
    for node in 0..2 {
        guest.set_hugepages(node, pages);
    }
    for nic in ["east", "west"] {
        guest.bind_to_vfio(nic);
    }
}

/// Waits until the forwarder forwards; with its journal, if it never does.
fn until_it_forwards(guest: &mut Guest, unit: &str) {
    let begun = Instant::now();
    if !is_carried(guest.nic("east"), guest.nic("west"), &frame(60, 0)).expect("the cables work") {
        let log = guest.must(&format!("journalctl --unit {unit} --no-pager --output cat"));
        panic!("nothing is forwarded:\n{log}\n{}", guest.console());
    }
    eprintln!("the first frame got through after {:.1} s", begun.elapsed().as_secs_f64());
}

#[test]
fn testpmd_on_vfio_forwards_frames_between_the_nics_byte_for_byte() {
    let Some(mut guest) = guest_or_skip() else { return };
    prepare(&mut guest, 128);
    let (east, west) =
        (guest.nic("east").pci_address().to_owned(), guest.nic("west").pci_address().to_owned());
    guest.must(&format!(
        "systemd-run --quiet --unit=forward dpdk-testpmd -l 0,2 --socket-mem 128,128 -a {east} -a {west} -- \
         --forward-mode=io --nb-cores=1 --auto-start --no-flush-rx --total-num-mbufs=8192 --stats-period=3600"
    ));

    until_it_forwards(&mut guest, "forward");
    let took = exchange(guest.nic("east"), guest.nic("west"), 600).unwrap();
    eprintln!("600 frames, one after the other, in {:.2} s", took.as_secs_f64());

    let log = guest.must("journalctl --unit forward --no-pager --output cat");
    assert!(log.contains("EAL: Using IOMMU type 1"), "{log}");
}

#[test]
fn barewired_on_vfio_forwards_frames_between_the_nics_byte_for_byte() {
    let Some(mut guest) = guest_or_skip() else { return };
    if !guest.install_or_skip("barewired") {
        return;
    }
    prepare(&mut guest, 128);
    let mut config = "[cores]\ncount = 1\n".to_owned();
    for (here, there) in [("east", "west"), ("west", "east")] {
        let device = guest.nic(here).pci_address();
        config += &format!(
            "[[port]]\nname = \"{here}\"\ndevice = \"{device}\"\ninput = \"{here}-in\"\n\
             [[stage]]\nname = \"{here}-in\"\nkind = \"cross\"\nto = \"tx:{there}\"\n"
        );
    }
    guest.write("/etc/barewire/barewire.toml", 0o644, &config).unwrap();
    guest.must("systemd-run --quiet --unit=forward barewired run");

    until_it_forwards(&mut guest, "forward");
    let took = exchange(guest.nic("east"), guest.nic("west"), 600).unwrap();
    eprintln!("600 frames, one after the other, in {:.2} s", took.as_secs_f64());

    guest.must("systemctl stop forward; ! systemctl is-failed --quiet forward");
}
