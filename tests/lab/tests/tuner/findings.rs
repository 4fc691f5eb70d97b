//! What was planted is named, and what is not there is not.

use std::collections::BTreeSet;

use lab::Guest;
use serde_json::Value;

use crate::stock::{ask, configure, stock, tune};

#[test]
fn what_the_image_lacks_is_named_and_what_it_has_is_not() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;

    let bad = with_verdict(&ask(guest, "analyze"), "bad");

    // No isolation, no adaptive ticks, every CPU for interrupts, for deferred work and for PID 1, an irqbalance that
    // knows nothing, no hugepages, NUMA balancing, a translated DMA domain.
    for id in [
        "ISO-01", "ISO-03", "ISO-09", "ISO-11", "ISO-13", "IRQ-02", "IRQ-04", "MEM-01", "MEM-11",
        "IOM-02",
    ] {
        assert!(bad.contains(id), "{id} is not among the bad: {bad:?}");
    }
    // THP is always, where the kernel has it: PREEMPT_RT of Debian has not.
    let has_thp = guest.must("cat /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null || :");
    assert_eq!(bad.contains("MEM-08"), has_thp.contains("[always]"), "{has_thp}");
    // No frequency driver, no ECC, no BMC.
    for id in &bad {
        assert!(!id.starts_with("PWR") && !id.starts_with("RAS") && !id.starts_with("CST"), "{id}");
    }
}

#[test]
fn a_worker_of_another_node_and_a_nic_that_waits_are_named_and_go_when_they_are_mended() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;
    // The port is on node 1, CPU 1 on node 0.
    configure(guest, "workers = \"1\"\nhousekeeping = \"0,2-3\"", &[("west", "west")]);
    let said = tune(guest, "analyze --id TOPO-04", 0);
    assert!(said.contains("BAD") && said.contains("a port is polled from a remote node"), "{said}");
    configure(guest, "workers = \"3\"\nhousekeeping = \"0-2\"", &[("west", "west")]);
    let said = tune(guest, "analyze --id TOPO-04", 0);
    assert!(said.contains("GOOD"), "{said}");

    // The other one stays the kernel's, and holds interrupts back.
    let east = guest.interface("east");
    let waits = |guest: &mut Guest, usecs: u32| {
        let output = guest
            .run(&format!("ip link set {east} up; ethtool -C {east} rx-usecs {usecs}"))
            .expect("the guest runs commands");
        output.success()
    };
    if !waits(guest, 100) {
        lab::skip("coalescing: the NIC has none (--nics igb has)");
        return;
    }
    let said = tune(guest, "analyze --id NIC-02", 0);
    assert!(said.contains("BAD") && said.contains(&format!("{east}: 100 µs")), "{said}");
    // Intel's drivers take nothing between 4 and 9.
    assert!(waits(guest, 10));
    let said = tune(guest, "analyze --id NIC-02", 0);
    assert!(said.contains("GOOD"), "{said}");
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
