//! Boots, reboots and power cuts: what a restored snapshot alone can not show.

use std::time::Instant;

use lab::{Guest, Machine, Snapshot, image_or_skip, under_test};

#[test]
fn the_machine_boots_from_its_disk_and_its_console_tells() {
    let (recipe, _) = under_test();
    let Some(image) = image_or_skip(&recipe) else { return };

    let begun = Instant::now();
    let mut guest = Guest::boot(&image, &Machine::new().without_iommu()).unwrap();
    eprintln!("booted in {:.1} s", begun.elapsed().as_secs_f64());

    assert!(guest.must("cat /proc/cmdline").contains("BOOT_IMAGE=/boot/vmlinuz-"));
    assert_eq!(guest.must("systemctl is-system-running"), "running\n");
    // GRUB says so on the serial line before the kernel does.
    assert!(guest.console().contains("Loading Linux"), "{}", guest.console());
    assert_eq!(guest.must("ls /sys/kernel/iommu_groups | wc -l"), "0\n");
}

#[test]
fn a_kernel_argument_is_there_after_a_reboot() {
    let (recipe, model) = under_test();
    let Some(image) = image_or_skip(&recipe) else { return };
    let machine = Machine::new().nic("east", model, 0).nic("west", model, 1);
    let mut guest = Guest::restore(&Snapshot::of(&image, &machine).unwrap()).unwrap();
    let before = guest.boot_id().unwrap().to_owned();
    guest
        .write(
            "/etc/default/grub.d/50-test.cfg",
            0o644,
            "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT isolcpus=managed_irq,domain,2-3 \
             hugepagesz=2M hugepages=0:64,1:32\"\n",
        )
        .unwrap();
    guest.must("update-grub");

    let begun = Instant::now();
    guest.reboot().unwrap();
    eprintln!("rebooted in {:.1} s", begun.elapsed().as_secs_f64());

    assert_ne!(guest.boot_id().unwrap(), before);
    let cmdline = guest.must("cat /proc/cmdline");
    assert!(cmdline.contains("isolcpus=managed_irq,domain,2-3"), "{cmdline}");
    assert_eq!(guest.must("cat /sys/devices/system/cpu/isolated"), "2-3\n");
    for (node, pages) in [(0, "64\n"), (1, "32\n")] {
        let dir = format!("/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB");
        assert_eq!(guest.must(&format!("cat {dir}/nr_hugepages")), pages, "node {node}");
    }
}

#[test]
fn a_power_cut_loses_what_was_not_flushed_and_nothing_else() {
    let (recipe, model) = under_test();
    let Some(image) = image_or_skip(&recipe) else { return };
    let machine = Machine::new().nic("east", model, 0).nic("west", model, 1);
    let mut guest = Guest::restore(&Snapshot::of(&image, &machine).unwrap()).unwrap();
    let before = guest.boot_id().unwrap().to_owned();
    guest.must("echo flushed > /srv/kept; sync; echo not flushed > /srv/lost");

    guest.power_cut().unwrap();
    let off = guest.run("true").unwrap_err();
    guest.power_on().unwrap();

    assert!(off.to_string().contains("the machine is off"), "{off:?}");
    assert_ne!(guest.boot_id().unwrap(), before);
    assert_eq!(guest.must("cat /srv/kept"), "flushed\n");
    assert_eq!(guest.must("cat /srv/lost 2>/dev/null || echo gone"), "gone\n");
}
