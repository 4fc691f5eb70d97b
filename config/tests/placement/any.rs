//! Machines of any shape, and what holds of every placement.

use proptest::prelude::*;

use super::*;

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
