//! From a stock machine to a tuned one, and all the way back.

use std::collections::BTreeMap;

use lab::Guest;
use serde_json::Value;

use crate::{
    capture::{assert_same, files, kernel},
    stock::{CONFIG, PENDING_REBOOT, ask, reboot, stock, tune, workers},
    whole::{assert_same_machine, capture},
};

#[test]
fn a_stock_machine_is_tuned_proven_by_a_trial_boot_and_comes_back_whole() {
    let Some(mut guest) = stock() else { return };
    let (files_before, kernel_before) = (files(&mut guest), kernel(&mut guest));
    let machine_before = capture(&mut guest);
    let workers = workers(&mut guest);
    let plan = ask(&mut guest, "plan");

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
    // One document and nothing else; what was set at run time is not there again yet.
    let said = guest.must(&format!("barewire-tune --config {CONFIG} verify --boot --json || :"));
    let answer: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}\n{said}"));
    assert_eq!(answer["made_lasting"], 2, "{answer:#}");

    reboot(&mut guest, "the boot after the trial");
    // The kernel's own doing, for interrupts that are requested before any program runs.
    let mask = guest.must("cat /proc/irq/default_smp_affinity");
    assert_eq!(mask.trim(), mask_of_others(&workers), "{}", guest.must("cat /proc/cmdline"));
    tune(&mut guest, "apply --boot", 0);
    every_step_is_done(&mut guest, &plan);
    everything_is_as_planned(&mut guest, &workers);
    a_second_plan_has_nothing_to_do(&mut guest);

    tune(&mut guest, "rollback --to 1", 0);
    reboot(&mut guest, "the boot after the rollback");
    assert_same(&files_before, &files(&mut guest));
    assert_same(&kernel_before, &kernel(&mut guest));
    assert_same_machine(&machine_before, &capture(&mut guest));
}

/// Every CPU of the four but the worker's, as the kernel prints a mask.
fn mask_of_others(workers: &str) -> String {
    format!("{:x}", 0xf & !(1 << workers.parse::<u32>().expect("one worker")))
}

/// (b) Each step of the plan that outlives a boot, or is set again after it, is there as it was planned.
fn every_step_is_done(guest: &mut Guest, plan: &Value) {
    let steps = plan["steps"].as_array().expect("a plan has steps");
    let mut kinds = BTreeMap::<&str, u32>::new();
    for change in steps.iter().map(|step| &step["change"]) {
        let text = |key: &str| change[key].as_str().unwrap_or_default();
        let content = |guest: &mut Guest, path: &str| {
            let bytes = guest.read(path).unwrap_or_else(|error| panic!("{change}: {error:?}"));
            String::from_utf8(bytes).expect("it is text")
        };
        let kind = text("kind");
        match kind {
            "file" => assert_eq!(content(guest, &format!("/{}", text("path"))), text("content")),
            "setting" => {
                let line = format!("{}={}", text("key"), text("value"));
                let file = content(guest, &format!("/{}", text("path")));
                assert!(file.lines().any(|is| is == line), "{line}: {file}");
            }
            // Interrupts have other numbers; they are looked at one by one below.
            "kernel" if text("path").starts_with("proc/irq/") => {}
            "kernel" => {
                let is = content(guest, &format!("/{}", text("path")));
                let (is, mut value) = (is.trim(), text("value"));
                if text("form") == "cpu-mask" {
                    value = value.trim_start_matches('0');
                }
                assert!(is == value || is.contains(&format!("[{value}]")), "{change}: {is}");
            }
            "hugepages" => {
                let (node, kib) = (&change["node"], &change["size_kib"]);
                let dir =
                    format!("/sys/devices/system/node/node{node}/hugepages/hugepages-{kib}kB");
                let pages = content(guest, &format!("{dir}/nr_hugepages"));
                assert_eq!(pages.trim(), change["count"].to_string(), "{change}");
            }
            "driver" => {
                let link = format!("/sys/bus/pci/devices/{}/driver", text("device"));
                let driver = guest.must(&format!("basename $(readlink {link})"));
                assert_eq!(driver.trim(), text("driver"), "{change}");
            }
            // Threads have other numbers too, and a menu is what boots: both are below.
            "affinity" | "boot-menu" | "unit" => {}
            other => panic!("a step of a kind that nobody looks at: {other}"),
        }
        *kinds.entry(kind).or_default() += 1;
    }
    for kind in ["file", "setting", "kernel", "hugepages", "driver", "affinity"] {
        assert!(kinds.contains_key(kind), "no step of that kind was planned: {kind}: {kinds:?}");
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
    let mask = mask_of_others(workers);
    let of_init = guest.must("sed -n 's/^Cpus_allowed:[[:space:]]*//p' /proc/1/status");
    assert_eq!(of_init.trim(), mask, "the CPUs of PID 1");
    for file in [
        "/sys/devices/virtual/workqueue/cpumask",
        "/sys/devices/virtual/workqueue/writeback/cpumask",
        "/proc/irq/default_smp_affinity",
    ] {
        assert_eq!(guest.must(&format!("cat {file}")).trim(), mask, "{file}");
    }
    for node in 0..2 {
        let dir = format!("/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB");
        let pages: u32 =
            guest.must(&format!("cat {dir}/nr_hugepages")).trim().parse().expect("a number");
        // One worker is on one of the nodes; a node without workers needs none.
        let has_worker =
            format!("test -e /sys/devices/system/node/node{node}/cpu{workers} && echo yes || :");
        let wanted = if guest.must(&has_worker).is_empty() { 0 } else { 64 };
        assert_eq!(pages, wanted, "pages of node {node}");
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

/// (b) What was carried out is not planned again, nor what the kernel refused; and analyze says which that is.
fn a_second_plan_has_nothing_to_do(guest: &mut Guest) {
    let plan = ask(guest, "plan");
    let steps = plan["steps"].as_array().expect("a plan has steps");
    assert!(steps.is_empty(), "{steps:#?}");
    let verified = tune(guest, "verify", 0);
    let said = ask(guest, "analyze --id IRQ-03").to_string();
    for line in verified.lines().filter(|line| line.starts_with("left out  /proc/irq/")) {
        let irq = line.split('/').nth(3).expect("/proc/irq/N/…");
        let is_told = said.split('"').any(|text| {
            text.starts_with(&format!("{irq} ")) && text.ends_with("refused to move it")
        });
        assert!(is_told, "{line}\n{said}");
    }
}
