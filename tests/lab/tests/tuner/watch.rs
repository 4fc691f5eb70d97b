//! What somebody changes by hand is noticed, once.

use crate::stock::{configure, stock, tune};

#[test]
fn irqbalance_that_comes_back_and_a_ring_that_somebody_resizes_are_noticed_once() {
    let Some(mut guest) = stock() else { return };
    let guest = &mut guest;
    // One NIC stays the kernel's.
    configure(guest, "count = 1", &[("west", "west")]);
    let east = guest.interface("east");
    guest.must("systemctl stop irqbalance.service");
    tune(guest, "apply --only MEM-11,NIC-01", 0);
    let has_rings = tune(guest, "verify", 0).contains(&format!("rings of {east}"));
    if !has_rings {
        lab::skip("rings: the NIC has one size only (--nics igb has more)");
    }
    assert_eq!(tune(guest, "watch", 0), "", "the first look only remembers");
    assert_eq!(tune(guest, "watch", 0), "", "nothing changed");

    guest.must("systemctl start irqbalance.service; until pidof irqbalance; do sleep 0.1; done");
    let said = tune(guest, "watch", 0);
    assert!(said.contains("IRQ-04 ") && said.contains("GOOD became BAD"), "{said}");
    assert_eq!(tune(guest, "watch", 0), "", "once is enough");

    if has_rings {
        guest.must(&format!("ethtool -G {east} rx 512"));
        let said = tune(guest, "watch", 0);
        assert!(said.contains(&format!("APPLIED rings of {east} (rx): GOOD became BAD")), "{said}");
    }
    guest.must("echo 1 > /proc/sys/kernel/numa_balancing");
    let said = tune(guest, "watch", 0);
    assert!(said.contains("MEM-11 automatic NUMA balancing: GOOD became BAD"), "{said}");
    assert!(said.contains("APPLIED /proc/sys/kernel/numa_balancing: GOOD became BAD"), "{said}");

    let said = tune(guest, "watch --policy reassert", 0);
    assert!(said.contains("again"), "{said}");
    assert_eq!(guest.must("cat /proc/sys/kernel/numa_balancing"), "0\n");
    tune(guest, "verify", 0);
}
