//! Placement on machines written down here, and on random ones.
#![expect(clippy::unwrap_used, reason = "tests")]

mod any;
mod lists;
mod nodes;

use std::collections::BTreeMap;

use config::{
    Auto, Cores, CpuId, CpuSet, Mode, NumaNode,
    machine::{Cpu, Machine, Node},
    placement::{Locality, Placement, PlacementError, PortSite, Role, place},
};

fn cpu(id: u32) -> CpuId {
    CpuId::new(id).unwrap()
}

fn set(list: &str) -> CpuSet {
    list.parse().unwrap()
}

/// `nodes` × `cores` cores of `threads` threads, numbered as Intel does: first thread of every core first.
fn machine(nodes: u32, cores: u32, threads: u32) -> Machine {
    let total = nodes * cores;
    let cpus = (0..total * threads).map(|id| {
        let core = id % total;
        let node = core / cores;
        Cpu {
            package: Some(node),
            core: Some(core % cores),
            node: Some(NumaNode(node)),
            siblings: (0..threads).map(|thread| cpu(core + thread * total)).collect(),
            l3: Some(node * cores),
            ..Cpu::new(cpu(id))
        }
    });
    let cpus: Vec<Cpu> = cpus.collect();
    let nodes = (0..nodes).map(|id| {
        let node = NumaNode(id);
        let local = cpus.iter().filter(|cpu| cpu.node == Some(node)).map(|cpu| cpu.id).collect();
        let distances =
            (0..nodes).map(|to| (NumaNode(to), if to == id { 10 } else { 20 + to.abs_diff(id) }));
        Node { memory_bytes: 8 << 30, distances: distances.collect(), ..Node::new(node, local) }
    });
    Machine { nodes: nodes.collect(), cpus, ..Machine::default() }
}

fn isolate(mut machine: Machine, list: &str) -> Machine {
    let list = set(list);
    for cpu in machine.cpus.iter_mut().filter(|cpu| list.contains(cpu.id)) {
        (cpu.isolated, cpu.nohz_full) = (true, true);
    }
    machine
}

fn auto() -> Cores {
    Cores { housekeeping: Auto::Auto, workers: Auto::Auto, count: Auto::Auto, strict: false }
}

fn workers(list: &str) -> Cores {
    Cores { workers: Auto::Set(Box::new(set(list))), ..auto() }
}

fn on(name: &str, node: u32) -> PortSite {
    PortSite { name: name.to_owned(), locality: Locality::Node(NumaNode(node)), receives: true }
}

fn vdev(name: &str) -> PortSite {
    PortSite { name: name.to_owned(), locality: Locality::Anywhere, receives: true }
}

fn unknown(name: &str) -> PortSite {
    let why = "numa_node reads -1".to_owned();
    PortSite { name: name.to_owned(), locality: Locality::Unknown { why }, receives: true }
}

fn rtc(machine: &Machine, cores: &Cores, ports: &[PortSite]) -> Placement {
    place(machine, cores, ports, Mode::RunToCompletion).unwrap()
}

fn role(placement: &Placement, id: u32) -> Role {
    placement.reasons.iter().find(|reason| reason.cpu == cpu(id)).unwrap().role
}

#[test]
fn a_worker_goes_to_the_node_of_the_port_and_its_sibling_stays_idle() {
    let placement = rtc(&machine(2, 4, 2), &auto(), &[on("north", 1), on("south", 1)]);

    assert_eq!(placement.worker_cpus(), set("5"), "{placement:#?}");
    assert_eq!(placement.workers[0].ports, [0, 1]);
    assert_eq!(role(&placement, 13), Role::Idle);
    assert_eq!(placement.housekeeping, set("0-4,6-12,14-15"));
}

#[test]
fn the_core_that_a_port_node_keeps_for_housekeeping_is_given_away_last() {
    let three = Cores { count: Auto::Set(4), ..auto() };

    let placement = rtc(&machine(2, 4, 2), &three, &[on("north", 1)]);

    assert_eq!(placement.worker_cpus(), set("4-7"), "{placement:#?}");
}

#[test]
fn isolated_cores_are_preferred_to_lower_ones() {
    let machine = isolate(machine(1, 8, 2), "6-7,14-15");

    let placement = rtc(&machine, &Cores { count: Auto::Set(2), ..auto() }, &[on("a", 0)]);

    assert_eq!(placement.worker_cpus(), set("6-7"));
    assert_eq!(placement.housekeeping, set("0-5,8-13"));
    assert!(placement.warnings.is_empty(), "{:?}", placement.warnings);
    assert!(
        place(&machine, &Cores { strict: true, ..auto() }, &[on("a", 0)], Mode::Staged).is_ok()
    );
}

#[test]
fn isolated_cores_that_no_worker_needs_stay_free() {
    let placement = rtc(&isolate(machine(1, 8, 1), "4-7"), &auto(), &[on("a", 0)]);

    assert_eq!(placement.worker_cpus(), set("4"));
    assert_eq!(placement.housekeeping, set("0-3"));
    assert_eq!(role(&placement, 7), Role::Spare);
}

#[test]
fn every_node_with_a_receiving_port_gets_a_worker() {
    let silent = PortSite { receives: false, ..on("out", 2) };

    let placement = rtc(&machine(3, 4, 1), &auto(), &[on("a", 0), on("b", 1), silent]);

    assert_eq!(placement.worker_cpus(), set("1,5"), "{placement:#?}");
    assert_eq!(placement.workers[0].ports, [0]);
    assert_eq!(placement.workers[1].ports, [1]);
    let served: Vec<_> = placement.workers.iter().flat_map(|w| &w.remote_ports).collect();
    assert_eq!(served, [&2], "the port that only transmits has an owner too");
}

#[test]
fn two_vcpus_are_one_for_housekeeping_and_one_worker() {
    let placement = rtc(&machine(1, 2, 1), &auto(), &[vdev("a")]);

    assert_eq!(placement.housekeeping, set("0"));
    assert_eq!(placement.worker_cpus(), set("1"));
    assert!(placement.shared.is_empty());
}

#[test]
fn two_threads_of_one_core_are_used_with_a_warning() {
    let placement = rtc(&machine(1, 1, 2), &auto(), &[vdev("a")]);

    assert_eq!(placement.housekeeping, set("0"));
    assert_eq!(placement.worker_cpus(), set("1"));
    let text = "worker cpu 1 shares its physical core with cpu 0";
    assert!(placement.warnings.iter().any(|w| w == text), "{:?}", placement.warnings);
}

#[test]
fn one_cpu_does_everything_and_says_so() {
    let placement = rtc(&machine(1, 1, 1), &auto(), &[vdev("a")]);

    assert_eq!(placement.shared, set("0"));
    assert_eq!(role(&placement, 0), Role::Shared);
    let strict = Cores { strict: true, ..auto() };
    let errors = place(&machine(1, 1, 1), &strict, &[], Mode::RunToCompletion).unwrap_err();
    assert!(errors.contains(&PlacementError::SharesHousekeeping { cpus: set("0") }), "{errors:?}");
}

#[test]
fn offline_cpus_get_nothing_and_their_siblings_are_whole_cores() {
    let mut machine = machine(1, 3, 2);
    for id in [1, 4] {
        machine.cpus[id].online = false;
        machine.cpus[id].siblings = CpuSet::new();
    }

    let placement = rtc(&machine, &auto(), &[on("a", 0)]);

    assert_eq!(placement.worker_cpus(), set("2"), "{placement:#?}");
    assert_eq!((role(&placement, 1), role(&placement, 5)), (Role::Offline, Role::Idle));
}

#[test]
fn a_container_without_cpu_0_keeps_one_of_its_own_cores_for_housekeeping() {
    let mut machine = isolate(machine(1, 8, 1), "4-7");
    for cpu in &mut machine.cpus[..4] {
        cpu.allowed = false;
    }

    let placement = rtc(&machine, &auto(), &[on("a", 0)]);

    assert_eq!(placement.housekeeping, set("4"), "{placement:#?}");
    assert_eq!(placement.worker_cpus(), set("5"));
}

#[test]
fn a_machine_without_usable_cpus_is_refused() {
    let errors = place(&Machine::default(), &auto(), &[], Mode::RunToCompletion).unwrap_err();

    assert_eq!(errors, [PlacementError::NoUsableCpu]);
}

#[test]
fn a_staged_pipeline_stays_in_one_cache() {
    let mut machine = machine(1, 8, 1);
    for cpu in &mut machine.cpus {
        cpu.l3 = Some(cpu.id.get() / 4 * 4);
    }

    let four = Cores { count: Auto::Set(4), ..auto() };
    let placement = place(&machine, &four, &[vdev("a")], Mode::Staged).unwrap();

    assert_eq!(placement.worker_cpus(), set("4-7"));
}

#[test]
fn the_largest_machine_that_linux_knows_is_placed() {
    let many = Cores { count: Auto::Set(2000), ..auto() };

    let placement = rtc(&machine(16, 256, 2), &many, &[on("a", 3), on("b", 12)]);

    assert_eq!(placement.workers.len(), 2000);
    assert_eq!(placement.reasons.len(), 8192);
}

#[test]
fn reasons_read_as_sentences() {
    let placement = rtc(&isolate(machine(2, 2, 2), "3,7"), &auto(), &[on("north", 1)]);

    let text: Vec<String> = placement.reasons.iter().map(ToString::to_string).collect();

    assert_eq!(
        text,
        [
            "cpu 0: housekeeping: the boot CPU always has kernel work",
            "cpu 1: housekeeping: free",
            "cpu 2: housekeeping: free",
            "cpu 3: worker: worker 0, on node 1 with \"north\", isolated",
            "cpu 4: housekeeping: free",
            "cpu 5: housekeeping: free",
            "cpu 6: housekeeping: free",
            "cpu 7: idle: shares a core with worker 0 (cpu 3)",
        ]
    );
}
