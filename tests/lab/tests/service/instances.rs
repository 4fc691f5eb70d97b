//! Two daemons side by side share no CPU, no port and no hugepage, and each lives its own life.

use std::collections::BTreeSet;

use lab::{Guest, frames::frame, installed_or_skip};

use crate::site::{bound, journal, property, start, until};

/// A port that sends back what it gets with its addresses swapped, and one worker.
fn mirror(guest: &Guest, nic: &str, cpu: u32, name: &str) -> String {
    format!(
        "[cores]\nhousekeeping = \"0\"\nworkers = \"{cpu}\"\n[memory]\nper_node_mib = 64\n\
         [[port]]\nname = \"{nic}\"\ndevice = \"{}\"\ninput = \"back\"\n\
         [[stage]]\nname = \"back\"\nkind = \"cross\"\nmacs = \"swap\"\nto = \"tx:{nic}\"\n\
         [control]\nsocket = \"/run/barewire-{name}/control.sock\"\n",
        guest.nic(nic).pci_address()
    )
}

#[track_caller]
fn mirrors(guest: &mut Guest, nic: &str, number: u32) {
    let sent = frame(100, number);
    let back = [&sent[6..12], &sent[..6], &sent[12..]].concat();
    let cable = guest.nic(nic);
    cable.send(&sent).unwrap();
    let got = cable.recv_that(std::time::Duration::from_secs(20), |got| got == back).unwrap();
    assert!(got.is_some(), "{nic} does not send frame {number} back");
}

/// What the processes have open, lock or run on; these must not be in common.
fn holdings(guest: &mut Guest, unit: &str) -> BTreeSet<String> {
    let pid = property(guest, unit, "MainPID");
    let text = guest.must(&format!(
        "for task in /proc/{pid}/task/*; do case $(cat $task/comm) in bw-worker-*) \
         echo cpu $(sed -n 's/^Cpus_allowed_list:\\t//p' $task/status);; esac; done; \
         ls -l /proc/{pid}/fd | sed -n 's|.* -> \\(/dev/vfio/[0-9].*\\)|\\1|p; s|.* -> \\(/.*socket.*\\)|\\1|p'; \
         sed -n 's|.*\\(/run/barewire.*\\)|\\1|p' /proc/{pid}/maps"
    ));
    text.lines().map(str::to_owned).collect()
}

fn free_pages(guest: &mut Guest, node: u8) -> u32 {
    let dir = format!("/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB");
    guest.must(&format!("cat {dir}/free_hugepages")).trim().parse().unwrap()
}

#[test]
fn two_instances_share_nothing_and_the_death_of_one_is_not_the_other_s() {
    let Some(mut guest) = bound() else { return };
    let guest = &mut guest;
    let both = [("edge", "east", 1, 0), ("core", "west", 3, 1)];
    let mut free = [free_pages(guest, 0), free_pages(guest, 1)];
    let mut held = Vec::new();
    for (name, nic, cpu, node) in both {
        let text = mirror(guest, nic, cpu, name);
        guest.write(&format!("/etc/barewire/{name}.toml"), 0o644, &text).unwrap();
        let unit = format!("barewired@{name}");
        start(guest, &unit);
        mirrors(guest, nic, 1);

        // Its packet memory comes from its node; DPDK takes a page or two for itself where it is started.
        for other in 0..2_u8 {
            let (now, then) = (free_pages(guest, other), free[usize::from(other)]);
            let is_whole = if other == node { now + 32 <= then } else { now + 2 >= then };
            assert!(is_whole, "{name}: node {other} had {then} pages, has {now}");
            free[usize::from(other)] = now;
        }
        held.push(holdings(guest, &unit));
    }
    for mine in &held {
        assert!(mine.iter().any(|what| what.starts_with("cpu ")), "{held:#?}");
        assert!(mine.iter().any(|what| what.starts_with("/dev/vfio/")), "{held:#?}");
    }
    let shared: Vec<_> = held[0].intersection(&held[1]).collect();
    assert!(shared.is_empty(), "{shared:#?}");

    let survivor = property(guest, "barewired@core", "MainPID");
    guest.must("systemctl kill --signal=KILL barewired@edge");
    mirrors(guest, "west", 2);
    // Killed is not yet gone: it is active until systemd hears of it.
    until(
        guest,
        "test $(systemctl show -P NRestarts barewired@edge) = 1 && systemctl is-active --quiet barewired@edge",
    );
    mirrors(guest, "east", 3);
    mirrors(guest, "west", 4);
    assert_eq!(property(guest, "barewired@core", "MainPID"), survivor);
    assert_eq!(property(guest, "barewired@core", "NRestarts"), "0");
    assert_eq!(property(guest, "barewired@edge", "NRestarts"), "1");
}

#[test]
fn a_fence_around_an_instance_refuses_a_worker_outside_of_it() {
    let Some(mut guest) = bound() else { return };
    let guest = &mut guest;
    let text = mirror(guest, "west", 3, "core");
    guest.write("/etc/barewire/core.toml", 0o644, &text).unwrap();
    let fence = include_str!("../../../../systemd/drop-ins/cpus.conf");
    assert!(fence.contains("AllowedCPUs=0 2-5\n") && fence.contains("AllowedMemoryNodes=0\n"));
    let fence = |cpus: &str| {
        let cpus = format!("AllowedCPUs={cpus}\n");
        fence.replace("AllowedCPUs=0 2-5\n", &cpus).replace("Nodes=0\n", "Nodes=0-1\n")
    };
    let file = "/etc/systemd/system/barewired@core.service.d/cpus.conf";
    guest.write(file, 0o644, &fence("0 2")).unwrap();
    guest.must("systemctl daemon-reload");

    let started = guest.run("systemctl start barewired@core").unwrap();

    let log = journal(guest, "barewired@core");
    assert!(!started.success(), "{log}");
    assert!(log.contains("names cpu 3, which this process may not use"), "{log}");
    guest.write(file, 0o644, &fence("0 2-3")).unwrap();
    guest.must("systemctl stop barewired@core; systemctl daemon-reload");
    start(guest, "barewired@core");
    mirrors(guest, "west", 1);
}

#[test]
fn an_instance_has_its_nic_after_a_boot_and_stops_when_the_kernel_takes_it_back() {
    let Some(mut guest) = installed_or_skip() else { return };
    let guest = &mut guest;
    let device = guest.nic("west").pci_address().to_owned();
    let text = mirror(guest, "west", 3, "core");
    guest.write("/etc/barewire/core.toml", 0o644, &text).unwrap();
    let nics = include_str!("../../../../systemd/drop-ins/nics.conf");
    let nics =
        nics.replace(" barewire-bind@0000:3b:00.1.service", "").replace("0000:3b:00.0", &device);
    assert_eq!(nics.matches(&device).count(), 2, "{nics}");
    guest.write("/etc/systemd/system/barewired@core.service.d/nics.conf", 0o644, &nics).unwrap();
    guest.write("/etc/sysctl.d/pages.conf", 0o644, "vm.nr_hugepages = 320\n").unwrap();
    guest.must("systemctl daemon-reload; systemctl enable --quiet barewired@core");

    for number in 1..=2 {
        guest.reboot().unwrap();
        until(guest, "systemctl is-active --quiet barewired@core");
        mirrors(guest, "west", number);
        assert_eq!(property(guest, "barewired@core", "NRestarts"), "0");
    }

    guest.must(&format!("systemctl stop barewire-bind@{device}"));
    assert_eq!(property(guest, "barewired@core", "ActiveState"), "inactive");
    let driver = guest.must(&format!("basename $(readlink /sys/bus/pci/devices/{device}/driver)"));
    assert_ne!(driver, "vfio-pci\n");
}

#[test]
fn a_nic_is_given_away_while_udev_has_other_things_to_do() {
    let Some(mut guest) = installed_or_skip() else { return };
    let guest = &mut guest;
    let device = guest.nic("west").pci_address().to_owned();
    guest.must(
        "udevadm control --stop-exec-queue; udevadm trigger --action=change --subsystem-match=mem",
    );

    let started = guest.run(&format!("systemctl start barewire-bind@{device}")).unwrap();

    assert!(started.success(), "{}", journal(guest, &format!("barewire-bind@{device}")));
    guest.must("udevadm control --start-exec-queue; udevadm settle");
    let group =
        guest.must(&format!("basename $(readlink /sys/bus/pci/devices/{device}/iommu_group)"));
    let owner = guest.must(&format!("stat -c %G /dev/vfio/{}", group.trim()));
    assert_eq!(owner, "barewire-vfio\n");
}
