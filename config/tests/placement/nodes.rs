//! Where devices and memory are.

use super::*;

#[test]
fn a_device_that_does_not_say_where_it_is_joins_the_other_ports() {
    let ports = [unknown("dark"), on("lit", 1)];

    let placement = rtc(&machine(2, 4, 1), &auto(), &ports);

    assert_eq!(placement.ports[0].node, Some(NumaNode(1)));
    assert_eq!(placement.workers[0].ports, [0, 1]);
    let text = "the node of port \"dark\" is not known (numa_node reads -1); node 1 is assumed";
    assert!(placement.warnings.iter().any(|warning| warning == text), "{:?}", placement.warnings);
}

#[test]
fn a_device_that_does_not_say_where_it_is_fails_strict_placement() {
    let wish = Cores { strict: true, ..auto() };

    let errors =
        place(&isolate(machine(2, 4, 1), "1-3"), &wish, &[unknown("dark")], Mode::RunToCompletion)
            .unwrap_err();

    assert!(matches!(errors[..], [PlacementError::UnknownNode { .. }]), "{errors:?}");
    assert_eq!(errors[0].key(), "port.numa_node");
}

#[test]
fn on_one_node_every_device_is_local() {
    let wish = Cores { strict: true, ..auto() };
    let machine = isolate(machine(1, 4, 1), "2-3");

    let placement = place(&machine, &wish, &[unknown("dark")], Mode::RunToCompletion).unwrap();

    assert_eq!(placement.worker_cpus(), set("2"));
    assert!(placement.warnings.is_empty(), "{:?}", placement.warnings);
}

#[test]
fn a_node_without_free_cores_borrows_from_the_nearest() {
    let mut machine = machine(3, 2, 1);
    for cpu in &mut machine.cpus[2..4] {
        cpu.allowed = false;
    }

    let placement = rtc(&machine, &auto(), &[on("a", 1)]);

    assert_eq!(placement.worker_cpus(), set("1"), "node 0 and 2 are as far: {placement:#?}");
    let text = "port \"a\" is on node 1, but no worker is";
    assert!(placement.warnings.iter().any(|warning| warning == text), "{:?}", placement.warnings);
    assert_eq!(placement.workers[0].remote_ports, [0]);
}

#[test]
fn workers_of_a_memoryless_node_get_buffers_from_the_nearest_node() {
    let mut machine = machine(3, 2, 1);
    machine.nodes[2].memory_bytes = 0;

    let placement = rtc(&machine, &auto(), &[on("a", 2)]);

    assert_eq!(placement.workers[0].node, Some(NumaNode(2)));
    assert_eq!(placement.workers[0].memory, Some(NumaNode(1)));
    assert_eq!(placement.ports[0].memory, Some(NumaNode(1)));
    let text = "node 2 has no memory: its packet buffers come from node 1";
    assert!(placement.warnings.iter().any(|warning| warning == text), "{:?}", placement.warnings);
}
