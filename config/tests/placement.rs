//! Placement on machines written down here, and on random ones.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use config::{
    Auto, Cores, CpuId, CpuSet, Mode, NumaNode,
    machine::{Cpu, Machine, Node},
    placement::{Locality, Placement, PlacementError, PortSite, Role, place},
};
use proptest::prelude::*;

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
fn only_a_list_makes_a_second_worker_share_cpu_0() {
    let two = machine(1, 2, 1);

    let refused = place(&two, &auto(), &[vdev("a")], Mode::Staged).unwrap_err();
    let listed = place(&two, &workers("0-1"), &[vdev("a")], Mode::Staged).unwrap();

    assert_eq!(refused, [PlacementError::NotEnough { wanted: 2, available: 1 }]);
    assert_eq!(listed.worker_cpus(), set("0-1"));
    assert_eq!((&listed.housekeeping, &listed.shared), (&set("0"), &set("0")));
    let text = "cpu 0 is a worker and has to do the housekeeping as well";
    assert!(listed.warnings.iter().any(|warning| warning == text), "{:?}", listed.warnings);
}

#[test]
fn a_list_is_taken_exactly_and_its_faults_are_warnings() {
    let placement = rtc(&machine(2, 4, 2), &workers("1,9,4"), &[on("a", 0)]);

    let cpus: Vec<u32> = placement.workers.iter().map(|worker| worker.cpu.get()).collect();
    assert_eq!(cpus, [1, 4, 9]);
    assert_eq!(placement.workers[1].remote_ports, [0]);
    assert_eq!(
        placement.warnings,
        [
            "worker cpu 1,4,9 is not isolated: the scheduler may run other tasks there",
            "worker cpu 1 shares its physical core with cpu 9",
            "worker cpu 9 shares its physical core with cpu 1",
            "worker cpu 4 is on node 1, but no port is",
        ]
    );
}

#[test]
fn strict_turns_every_fault_into_an_error_with_help() {
    let wish = Cores { strict: true, ..workers("1,9,4") };

    let errors = place(&machine(2, 4, 2), &wish, &[on("a", 0)], Mode::RunToCompletion).unwrap_err();

    assert_eq!(errors.len(), 4, "{errors:?}");
    assert!(errors.iter().all(|error| !error.help().is_empty() && error.key() == "cores.workers"));
}

#[test]
fn impossible_lists_are_refused_all_at_once() {
    let mut machine = machine(1, 8, 1);
    machine.cpus[5].online = false;
    machine.cpus[6].allowed = false;
    let wish = Cores { housekeeping: Auto::Set(Box::new(set("1,3"))), ..workers("3,5-6,40") };

    let errors = place(&machine, &wish, &[], Mode::RunToCompletion).unwrap_err();

    let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "workers names cpu 40, but this machine has cpu 0-7",
            "workers names cpu 5, which is offline",
            "workers names cpu 6, which this process may not use (its cpuset has 0-4,7)",
            "cpu 3 is in workers and in housekeeping",
        ]
    );
}

#[test]
fn an_empty_list_is_refused() {
    let errors = place(&machine(1, 2, 1), &workers(""), &[], Mode::RunToCompletion).unwrap_err();

    assert!(matches!(errors[..], [PlacementError::Empty { .. }]), "{errors:?}");
}

#[test]
fn one_listed_worker_is_too_few_for_staged_mode() {
    let errors = place(&machine(1, 4, 1), &workers("2"), &[], Mode::Staged).unwrap_err();

    assert_eq!(errors, [PlacementError::TooFewForStaged { workers: 1 }]);
}

#[test]
fn listed_housekeeping_keeps_workers_off_its_cores() {
    let wish = Cores { housekeeping: Auto::Set(Box::new(set("1"))), count: Auto::Set(2), ..auto() };

    let placement = rtc(&machine(1, 4, 2), &wish, &[on("a", 0)]);

    assert_eq!(placement.worker_cpus(), set("2-3"), "not 0, nor 5 beside 1: {placement:#?}");
    assert_eq!(role(&placement, 0), Role::Spare);
}

#[test]
fn housekeeping_that_takes_everything_leaves_no_worker() {
    let wish = Cores { housekeeping: Auto::Set(Box::new(set("0-3"))), ..auto() };

    let errors = place(&machine(1, 4, 1), &wish, &[], Mode::RunToCompletion).unwrap_err();

    assert_eq!(errors, [PlacementError::NotEnough { wanted: 1, available: 0 }]);
}

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

/// Machines of any shape: holes in the numbering, siblings that disagree, nodes without CPUs or memory.
fn any_machine() -> impl Strategy<Value = Machine> {
    let shape = (
        any::<[bool; 4]>(),
        proptest::option::of(0..4_u32),
        proptest::collection::vec(0..24_u32, 0..3),
        proptest::option::of(0..3_u32),
    );
    let cpus = proptest::collection::btree_map(0..24_u32, shape, 0..16);
    let nodes = proptest::collection::btree_map(0..4_u32, (any::<bool>(), 10..40_u32), 0..4);
    (cpus, nodes).prop_map(|(cpus, nodes)| {
        let cpus: Vec<Cpu> = cpus
            .into_iter()
            .map(|(id, ([offline, isolated, tickless, refused], node, siblings, l3))| Cpu {
                online: !offline || id == 0,
                node: node.map(NumaNode),
                siblings: siblings.into_iter().filter_map(CpuId::new).collect(),
                l3,
                isolated,
                nohz_full: tickless,
                allowed: !refused || isolated,
                ..Cpu::new(cpu(id))
            })
            .collect();
        let nodes = nodes
            .iter()
            .map(|(&id, &(has_memory, far))| Node {
                memory_bytes: u64::from(has_memory) << 30,
                distances: BTreeMap::from([(NumaNode(id), 10), (NumaNode((id + 1) % 4), far)]),
                ..Node::new(NumaNode(id), CpuSet::new())
            })
            .collect();
        Machine { cpus, nodes, ..Machine::default() }
    })
}

/// Any small machine that makes sense.
fn regular_machine() -> impl Strategy<Value = Machine> {
    (1..4_u32, 1..6_u32, 1..3_u32, proptest::collection::vec(0..32_u32, 0..8)).prop_map(
        |(nodes, cores, threads, isolated)| {
            let mut machine = machine(nodes, cores, threads);
            for cpu in &mut machine.cpus {
                cpu.isolated = isolated.contains(&cpu.id.get());
            }
            machine
        },
    )
}

fn any_list() -> impl Strategy<Value = Auto<Box<CpuSet>>> {
    let list = proptest::collection::vec(0..26_u32, 0..6);
    prop_oneof![
        2 => Just(Auto::Auto),
        1 => list.prop_map(|ids| Auto::Set(Box::new(ids.into_iter().filter_map(CpuId::new).collect()))),
    ]
}

fn any_wish() -> impl Strategy<Value = Cores> {
    let count = prop_oneof![Just(Auto::Auto), (0..6_usize).prop_map(Auto::Set)];
    (any_list(), any_list(), count, any::<bool>()).prop_map(
        |(housekeeping, workers, count, strict)| Cores { housekeeping, workers, count, strict },
    )
}

fn any_ports() -> impl Strategy<Value = Vec<PortSite>> {
    let locality = prop_oneof![
        (0..5_u32).prop_map(|node| Locality::Node(NumaNode(node))),
        Just(Locality::Anywhere),
        Just(Locality::Unknown { why: "numa_node reads -1".to_owned() }),
    ];
    let port = (locality, any::<bool>()).prop_map(|(locality, receives)| PortSite {
        name: "p".to_owned(),
        locality,
        receives,
    });
    proptest::collection::vec(port, 0..5)
}

fn any_mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::RunToCompletion), Just(Mode::Staged)]
}

/// What holds of every placement.
fn check(machine: &Machine, wish: &Cores, ports: &[PortSite], mode: Mode, placement: &Placement) {
    let workers = placement.worker_cpus();
    let usable = machine.usable();
    assert!(!placement.housekeeping.is_empty() && !workers.is_empty());
    assert!(workers.is_subset(&usable) && placement.housekeeping.is_subset(&usable));
    assert_eq!(workers.len(), placement.workers.len(), "one CPU each");
    assert_eq!(placement.shared, workers.intersection(&placement.housekeeping));
    assert!(mode == Mode::RunToCompletion || workers.len() >= 2);

    let all: Vec<CpuId> = machine.cpus.iter().map(|cpu| cpu.id).collect();
    let explained: Vec<CpuId> = placement.reasons.iter().map(|reason| reason.cpu).collect();
    assert_eq!(explained, all, "one reason for each CPU");
    assert!(placement.reasons.iter().all(|reason| !reason.why.is_empty()));

    if let Auto::Set(list) = &wish.workers {
        assert_eq!(&workers, list.as_ref());
    } else {
        for worker in &placement.workers {
            let siblings = &machine.cpu(worker.cpu).unwrap().siblings;
            let others = siblings.iter().filter(|&other| other != worker.cpu);
            for other in others.filter(|&other| machine.cpu(other).is_some_and(|cpu| cpu.online)) {
                assert!(!workers.contains(other), "two workers on the core of {other}");
            }
        }
        assert!(!workers.contains(CpuId::ZERO) || workers.len() == 1);
    }
    if let Auto::Set(list) = &wish.housekeeping {
        assert_eq!(&placement.housekeeping, list.as_ref());
        assert!(placement.shared.is_empty());
    }
    if !placement.shared.is_empty() {
        assert_eq!(placement.housekeeping, placement.shared, "shared only for want of another");
        assert!(!wish.strict);
    }
    assert!(!wish.strict || workers.is_subset(&machine.isolated()));

    for port in 0..ports.len() {
        let owners = placement
            .workers
            .iter()
            .filter(|worker| worker.ports.contains(&port) || worker.remote_ports.contains(&port));
        assert!(owners.count() > 0, "port {port} has nobody");
    }
    assert_eq!(placement.ports.len(), ports.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_machine_and_any_wish_give_a_sound_placement_or_reasons(
        machine in any_machine(), wish in any_wish(), ports in any_ports(), mode in any_mode(),
    ) {
        let placement = place(&machine, &wish, &ports, mode);

        prop_assert_eq!(&placement, &place(&machine, &wish, &ports, mode), "the same again");
        match placement {
            Ok(placement) => check(&machine, &wish, &ports, mode, &placement),
            Err(errors) => {
                prop_assert!(!errors.is_empty());
                for error in errors {
                    prop_assert!(!error.to_string().is_empty() && !error.help().is_empty());
                }
            }
        }
    }

    #[test]
    fn run_to_completion_always_fits_when_nothing_is_asked_for(
        machine in regular_machine(), ports in any_ports(),
    ) {
        let placement = rtc(&machine, &auto(), &ports);

        check(&machine, &auto(), &ports, Mode::RunToCompletion, &placement);
        prop_assert!(placement.housekeeping.contains(CpuId::ZERO));
    }

    #[test]
    fn workers_leave_an_isolated_core_free_only_when_they_are_isolated_themselves(
        machine in regular_machine(),
    ) {
        let placement = rtc(&machine, &auto(), &[on("a", 0)]);

        let node = &machine.nodes[0];
        let could = machine.cpus_where(|cpu| {
            let is_kept = machine.cpus[0].siblings.contains(cpu.id);
            cpu.isolated && node.cpus.contains(cpu.id) && !is_kept
        });
        let local = placement.worker_cpus().intersection(&node.cpus);
        prop_assert!(could.is_empty() || local.is_subset(&machine.isolated()));
    }
}
