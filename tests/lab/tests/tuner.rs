//! The tuner on a machine that really boots: everything it promises of a stock Debian, and the way back.

use std::{collections::BTreeSet, time::Instant};

use lab::{Guest, guest_or_skip};
use serde_json::Value;

/// What the tuner is given: a port on each node, one worker, and 2 MiB pages of each node.
const CONFIG: &str = "/etc/barewire/barewire.toml";
/// The tuner's exit codes, as `barewire-tune --help` prints them.
const PENDING_REBOOT: i32 = 40;
const REFUSED: i32 = 50;
const INCOMPLETE: i32 = 61;

/// A stock machine with the tuner and a configuration on it.
fn stock() -> Option<Guest> {
    let mut guest = guest_or_skip()?;
    if !guest.install_or_skip("barewire-tune") {
        return None;
    }
    let mut config = "[memory]\nper_node_mib = 128\n[cores]\ncount = 1\n".to_owned();
    for (here, there) in [("east", "west"), ("west", "east")] {
        let device = guest.nic(here).pci_address();
        config += &format!(
            "[[port]]\nname = \"{here}\"\ndevice = \"{device}\"\ninput = \"{here}-in\"\n\
             [[stage]]\nname = \"{here}-in\"\nkind = \"cross\"\nto = \"tx:{there}\"\n"
        );
    }
    guest.write(CONFIG, 0o644, &config).expect("the guest takes files");
    Some(guest)
}

/// Runs the tuner, expects that exit code, and gives back what it wrote.
#[track_caller]
fn tune(guest: &mut Guest, words: &str, code: i32) -> String {
    let line = format!("barewire-tune --config {CONFIG} {words} 2>&1; echo \"exit $?\"");
    let text = guest.must(&line);
    let (text, exit) = text.trim_end().rsplit_once("exit ").expect("the shell says the exit code");
    assert_eq!(exit, code.to_string(), "barewire-tune {words}:\n{text}");
    text.to_owned()
}

/// Runs the tuner for an answer in JSON.
#[track_caller]
fn ask(guest: &mut Guest, words: &str) -> Value {
    let text = guest.must(&format!("barewire-tune --config {CONFIG} {words} --json"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words}: {error}\n{text}"))
}

/// The checks of that verdict.
fn with_verdict(report: &Value, verdict: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = vec![report];
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(all) => rest.extend(all),
            Value::Object(all) => {
                if all.get("verdict").is_some_and(|is| is == verdict)
                    && let Some(Value::String(id)) = all.get("id")
                {
                    found.insert(id.clone());
                }
                rest.extend(all.values());
            }
            _ => {}
        }
    }
    found
}

/// What has to come back: every file of /etc and /boot with its owner, mode and content.
fn files(guest: &mut Guest) -> BTreeSet<String> {
    // GRUB's block changes as GRUB takes a choice; it is looked at for what it says.
    let list = guest.must(
        "cd /; find etc boot \\( -type f -not -name grubenv -printf '%p %U %G %m %l ' -exec sh -c \
         'sha256sum < \"$1\"' - {} \\; \\) -o \\( -not -type f -printf '%p %U %G %m %l\\n' \\); \
         grub-editenv - list | grep -v '^next_entry=$' || :",
    );
    list.lines().map(str::to_owned).collect()
}

/// What has to come back of the kernel: its settings, and what is isolated.
fn kernel(guest: &mut Guest) -> BTreeSet<String> {
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
fn assert_same(before: &BTreeSet<String>, after: &BTreeSet<String>) {
    let (gone, new): (Vec<_>, Vec<_>) =
        (before.difference(after).collect(), after.difference(before).collect());
    assert!(gone.is_empty() && new.is_empty(), "gone: {gone:#?}\nnew: {new:#?}");
}

fn reboot(guest: &mut Guest, what: &str) {
    let begun = Instant::now();
    guest.reboot().unwrap_or_else(|error| panic!("{what}: {error:?}"));
    eprintln!("{what} took {:.0} s", begun.elapsed().as_secs_f64());
}

/// The CPUs that the workers have, as the plan sees it.
fn workers(guest: &mut Guest) -> String {
    let said = tune(guest, "analyze --id ISO-01", 0);
    let (_, rest) = said.split_once("workers on CPU ").expect("it says whose CPUs it looks at");
    rest.split(", everything").next().unwrap_or_default().to_owned()
}

#[test]
fn a_stock_machine_is_tuned_proven_by_a_trial_boot_and_comes_back_whole() {
    let Some(mut guest) = stock() else { return };
    let (files_before, kernel_before) = (files(&mut guest), kernel(&mut guest));

    analyze_names_what_is_wrong(&mut guest);
    let workers = workers(&mut guest);

    let said = tune(&mut guest, "apply", PENDING_REBOOT);
    assert!(
        said.contains("the next boot, and only that one, tries the kernel arguments out"),
        "{said}"
    );
    assert!(
        !guest.must("cat /boot/grub/grub.cfg").contains("nohz_full"),
        "the default entry is as it was"
    );
    reboot(&mut guest, "the trial boot");
    assert!(guest.must("cat /proc/cmdline").contains(&format!("nohz_full={workers} ")));
    let said = guest.must(&format!("barewire-tune --config {CONFIG} verify --boot 2>&1 || :"));
    assert!(
        said.contains("the machine came up with the kernel arguments: they last now"),
        "{said}"
    );

    reboot(&mut guest, "the boot after the trial");
    tune(&mut guest, "apply --boot", 0);
    everything_is_as_planned(&mut guest, &workers);
    a_second_plan_has_nothing_to_do(&mut guest);
    watch_sees_a_change_by_hand(&mut guest);

    tune(&mut guest, "rollback --to 1", 0);
    reboot(&mut guest, "the boot after the rollback");
    assert_same(&files_before, &files(&mut guest));
    assert_same(&kernel_before, &kernel(&mut guest));
}

/// (a) What the image is known to lack is named, and what it has is not.
fn analyze_names_what_is_wrong(guest: &mut Guest) {
    let report = ask(guest, "analyze");
    let bad = with_verdict(&report, "bad");
    // No isolation, no adaptive ticks, every CPU for interrupts, for deferred work and for PID 1, an irqbalance that
    // knows nothing, no hugepages, THP always, NUMA balancing, a translated DMA domain.
    for id in [
        "ISO-01", "ISO-03", "ISO-09", "ISO-11", "ISO-13", "IRQ-02", "IRQ-04", "MEM-01", "MEM-08",
        "MEM-11", "IOM-02",
    ] {
        assert!(bad.contains(id), "{id} is not among the bad: {bad:?}");
    }
    // No frequency driver, no ECC, no BMC.
    for id in &bad {
        assert!(!id.starts_with("PWR") && !id.starts_with("RAS") && !id.starts_with("CST"), "{id}");
    }
}

/// (b) Each thing is what was planned, by what the kernel and systemd say and not by what the tuner says.
fn everything_is_as_planned(guest: &mut Guest, workers: &str) {
    let cmdline = guest.must("cat /proc/cmdline");
    assert!(cmdline.contains(&format!(" isolcpus=managed_irq,domain,{workers} ")), "{cmdline}");
    assert!(cmdline.contains(" iommu=pt "), "{cmdline}");
    // The counter of an emulated CPU is not constant: the image's tsc=reliable was taken out.
    assert!(!cmdline.contains("tsc=reliable"), "{cmdline}");
    for file in ["isolated", "nohz_full"] {
        let path = format!("/sys/devices/system/cpu/{file}");
        assert_eq!(guest.must(&format!("cat {path}")).trim(), workers, "{path}");
    }
    let mine = |guest: &mut Guest, what: &str| {
        let cpus = guest.must(what);
        assert!(!cpus.trim().split(',').any(|cpu| cpu == workers), "{what}: {cpus}");
    };
    mine(guest, "taskset -pc 1 | sed 's/.*: //'");
    let mask = 0xf & !(1 << workers.parse::<u32>().expect("one worker"));
    for file in [
        "/sys/devices/virtual/workqueue/cpumask",
        "/sys/devices/virtual/workqueue/writeback/cpumask",
        "/proc/irq/default_smp_affinity",
    ] {
        assert_eq!(guest.must(&format!("cat {file}")).trim(), format!("{mask:x}"), "{file}");
    }
    for node in 0..2 {
        let dir = format!("/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB");
        let pages: u32 =
            guest.must(&format!("cat {dir}/nr_hugepages")).trim().parse().expect("a number");
        // One worker is on one of the nodes; a node without workers needs none.
        let is_workers =
            guest.must(&format!("ls -d /sys/devices/system/node/node{node}/cpu{workers} || :"));
        assert!(pages >= 64 || is_workers.is_empty(), "node {node} has {pages} pages");
    }
    assert!(guest.must("cat /sys/kernel/mm/transparent_hugepage/enabled").contains("[madvise]"));
    assert_eq!(
        guest.must("cat /proc/sys/kernel/numa_balancing /proc/sys/vm/stat_interval"),
        "0\n10\n"
    );
    assert!(
        guest
            .must("tr '\\0' '\\n' < /proc/$(pidof irqbalance)/environ")
            .contains(&format!("IRQBALANCE_BANNED_CPULIST={workers}\n"))
    );
    for nic in ["east", "west"] {
        let device = guest.nic(nic).pci_address().to_owned();
        let driver = guest.must(&format!("readlink /sys/bus/pci/devices/{device}/driver"));
        assert!(driver.ends_with("/vfio-pci\n"), "{nic} is a port of the configuration: {driver}");
    }
    // No interrupt goes to a worker, but for those that the kernel lets nobody move.
    let verified = tune(guest, "verify", 0);
    let led = guest.must("grep -H . /proc/irq/*/effective_affinity_list");
    for (path, cpu) in led.lines().filter_map(|line| line.split_once(':')) {
        let irq = path.split('/').nth(3).expect("/proc/irq/N/…");
        let is_fixed = verified.contains(&format!("left out  /proc/irq/{irq}/smp_affinity_list"));
        assert!(cpu != workers || is_fixed, "interrupt {irq} goes to CPU {cpu}\n{verified}");
    }
}

/// (b) The plan is empty, but for interrupts that the kernel of this Debian refuses to move, which it shows to nobody.
fn a_second_plan_has_nothing_to_do(guest: &mut Guest) {
    let plan = ask(guest, "plan");
    let verified = tune(guest, "verify", 0);
    let steps = plan["steps"].as_array().expect("a plan has steps");
    let left: Vec<&Value> = steps
        .iter()
        .filter(|step| {
            let text = step.to_string();
            let irq = text.split_once("proc/irq/").and_then(|(_, rest)| rest.split('/').next());
            !irq.is_some_and(|irq| {
                verified.contains(&format!("left out  /proc/irq/{irq}/smp_affinity_list"))
            })
        })
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}

/// (g)
fn watch_sees_a_change_by_hand(guest: &mut Guest) {
    assert_eq!(tune(guest, "watch", 0), "", "the first look only remembers");
    guest.must("echo 1 > /proc/sys/kernel/numa_balancing");
    let said = tune(guest, "watch", 0);
    assert!(said.contains("MEM-11 automatic NUMA balancing: GOOD became BAD"), "{said}");
    assert!(said.contains("APPLIED /proc/sys/kernel/numa_balancing: GOOD became BAD"), "{said}");
    let said = tune(guest, "watch --policy reassert", 0);
    assert!(said.contains("again"), "{said}");
    guest.must("sysctl --write kernel.numa_balancing=0");
}

#[test]
fn a_nic_that_somebody_needs_is_refused_and_another_goes_to_vfio_and_back() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;
    let (east, west) = (guest.interface("east"), guest.interface("west"));
    let addresses = ["east", "west"].map(|nic| guest.nic(nic).pci_address().to_owned());
    let driver = |guest: &mut Guest, address: &str| {
        guest.must(&format!("basename $(readlink /sys/bus/pci/devices/{address}/driver)"))
    };
    let own = driver(guest, &addresses[0]);
    for (disguise, make, end) in [
        ("the default route", "ip route add default via 192.0.2.1", "ip route del default"),
        ("a second table", "ip route add default via 192.0.2.1 table 7", "ip route flush table 7"),
        (
            "the default route of IPv6",
            "ip -6 route add default dev $W",
            "ip -6 route del default dev $W",
        ),
        (
            "a VLAN with an address",
            "ip link add link $W name v7 type vlan id 7; ip address add 198.51.100.1/24 dev v7; ip link set v7 up",
            "ip link del v7",
        ),
        (
            "a bridge with an address",
            "ip link add br0 type bridge; ip link set $W master br0; ip address add 198.51.100.1/24 dev br0; \
             ip link set br0 up",
            "ip link del br0",
        ),
    ] {
        let with = |line: &str| format!("set -e; W={west}; {line}");
        guest.must(&with("ip link set $W up"));
        if disguise.contains("route") || disguise.contains("table") {
            guest.must(&with("ip address add 192.0.2.2/24 dev $W"));
        }
        guest.must(&with(make));
        let said = tune(guest, &format!("bind {west}"), REFUSED);
        assert!(said.contains("refused; nothing was changed"), "{disguise}: {said}");
        guest.must(&with(end));
        guest.must(&with("ip address flush dev $W; ip link set $W down"));
        assert_eq!(driver(guest, &addresses[1]), own, "{disguise}");
    }

    tune(guest, &format!("bind {east}"), 0);
    assert_eq!(driver(guest, &addresses[0]), "vfio-pci\n");
    assert_eq!(driver(guest, &addresses[1]), own, "nothing else of the machine");
    let group = format!("/sys/bus/pci/devices/{}/iommu_group", addresses[0]);
    guest.must(&format!("test -c /dev/vfio/$(basename $(readlink {group}))"));
    assert_eq!(
        guest.must(&format!("ls {group}/devices")).trim(),
        addresses[0],
        "its group is its own"
    );
    tune(guest, &format!("unbind {}", addresses[0]), 0);
    assert_eq!(driver(guest, &addresses[0]), own);
    assert_eq!(guest.interface("east"), east);
}

#[test]
fn kernel_arguments_that_do_not_boot_are_gone_after_the_reset_and_it_is_said() {
    let Some(mut guest) = stock() else { return };
    let (files_before, cmdline) = (files(&mut guest), guest.must("cat /proc/cmdline"));
    // Without its initramfs the kernel does not know the root's UUID, and panics. (An `init=` that is not there does
    // not do: Debian's initramfs takes another one.)
    guest.must(&format!(
        "barewire-tune --config {CONFIG} plan --json | sed 's|# barewire sets:|& rdinit=/nonexistent panic=1|' \
         > /root/plan.json; grep -q rdinit=/nonexistent /root/plan.json"
    ));
    tune(&mut guest, "apply --plan /root/plan.json", PENDING_REBOOT);
    let loads = |guest: &Guest| guest.console().matches("Loading Linux").count();
    let before = loads(&guest);

    reboot(&mut guest, "a boot that fails, and the one after it");

    assert!(loads(&guest) >= before + 2, "the trial entry was booted\n{}", guest.console());
    assert_eq!(guest.must("cat /proc/cmdline"), cmdline);
    let said = guest.must(&format!("barewire-tune --config {CONFIG} verify --boot 2>&1 || :"));
    assert!(said.contains("NOT TAKEN kernel argument nohz_full"), "{said}");
    assert!(!said.contains("they last now"), "{said}");
    guest.must("! test -e /etc/default/grub.d/zz-90-barewire.cfg");
    tune(&mut guest, "rollback", 0);
    assert_same(&files_before, &files(&mut guest));
}

#[test]
fn a_power_cut_in_the_middle_of_apply_is_said_and_rolled_back() {
    let Some(mut guest) = stock() else { return };
    let (files_before, kernel_before) = (files(&mut guest), kernel(&mut guest));
    // What the test itself has put there is not to be lost.
    guest.must("sync");
    guest.must(&format!(
        "systemd-run --quiet --unit=tune barewire-tune --config {CONFIG} apply; \
         until test -e /etc/sysctl.d/90-barewire.conf; do sleep 0.01; done"
    ));

    guest.power_cut().expect("the power can be cut");
    let begun = Instant::now();
    guest.power_on().unwrap_or_else(|error| panic!("the boot after the power cut: {error:?}"));
    eprintln!("the boot after the power cut took {:.0} s", begun.elapsed().as_secs_f64());

    let said = tune(&mut guest, "verify", INCOMPLETE);
    assert!(
        said.contains("entry 0001 was cut short: `barewire-tune rollback` undoes it"),
        "{said}"
    );
    tune(&mut guest, "rollback", 0);
    assert_same(&files_before, &files(&mut guest));
    reboot(&mut guest, "the boot after the rollback");
    assert_same(&kernel_before, &kernel(&mut guest));
}
