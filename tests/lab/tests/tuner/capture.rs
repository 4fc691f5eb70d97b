//! What has to come back, file by file.

use std::collections::BTreeSet;

use lab::Guest;

use crate::{
    stock::{reboot, stock},
    whole::{assert_same_machine, capture},
};

/// What has to come back: every file of /etc and /boot with its owner, mode and content.
pub(crate) fn files(guest: &mut Guest) -> BTreeSet<String> {
    // GRUB's block changes as GRUB takes a choice; it is looked at for what it says.
    let list = guest.must(
        "cd /; find etc boot \\( -type f -not -name grubenv -printf '%p %U %G %m %l ' -exec sh -c \
         'sha256sum < \"$1\"' - {} \\; \\) -o \\( -not -type f -printf '%p %U %G %m %l\\n' \\); \
         grub-editenv - list | grep -v '^next_entry=$' || :",
    );
    list.lines().map(str::to_owned).collect()
}

/// What has to come back of the kernel: its settings, and what is isolated.
pub(crate) fn kernel(guest: &mut Guest) -> BTreeSet<String> {
    let list = guest.must(
        "cat /proc/cmdline; grep -H . /sys/devices/system/cpu/isolated /sys/devices/system/cpu/nohz_full \
         /sys/devices/virtual/workqueue/cpumask /proc/irq/default_smp_affinity \
         /sys/kernel/mm/transparent_hugepage/* /sys/devices/system/node/node*/hugepages/*/nr_hugepages 2>&1; \
         taskset -pc 1; for nic in /sys/class/net/e*; do ethtool -g ${nic##*/}; done; \
         sysctl --all --ignore 2>/dev/null",
    );
    // Counters, identities, and what the kernel computes anew from the memory or the time of a boot.
    let volatile = [
        "fs.dentry-state",
        "fs.file-nr",
        "fs.file-max",
        "fs.inode-",
        "kernel.ns_last_pid",
        "kernel.random.",
        "kernel.pty.nr",
        "kernel.sched_domain",
        "kernel.threads-max",
        "kernel.tainted",
        "net.ipv4.tcp_mem",
        "net.ipv4.udp_mem",
        "net.ipv4.tcp_fastopen_key",
        "net.netfilter",
        "user.max_",
        "fs.quota",
        "kernel.spl",
        "net.core.netdev_rss_key",
        "vm.lowmem",
        "vm.user_reserve_kbytes",
        "vm.admin_reserve_kbytes",
        "fs.epoll",
        "kernel.keys",
        "net.ipv6.route",
    ];
    let lines = list.lines().filter(|line| !volatile.iter().any(|key| line.starts_with(key)));
    lines.map(str::to_owned).collect()
}

#[track_caller]
pub(crate) fn assert_same(before: &BTreeSet<String>, after: &BTreeSet<String>) {
    let (gone, new): (Vec<_>, Vec<_>) =
        (before.difference(after).collect(), after.difference(before).collect());
    assert!(gone.is_empty() && new.is_empty(), "gone: {gone:#?}\nnew: {new:#?}");
}

/// What the other tests compare is the same on a machine that did nothing but boot again.
#[test]
fn a_reboot_alone_changes_nothing_that_is_compared() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;
    let (files_before, kernel_before) = (files(guest), kernel(guest));
    let machine_before = capture(guest);

    reboot(guest, "a plain boot");

    assert_same(&files_before, &files(guest));
    assert_same(&kernel_before, &kernel(guest));
    assert_same_machine(&machine_before, &capture(guest));
}
