//! The machines of `tests/fixtures/sysroots`: what is read of them, and who is placed where on them.
#![expect(clippy::unwrap_used, reason = "tests")]

mod sysroots;

use std::{fs, io, path::Path, path::PathBuf};

use config::{
    Auto, Cores, CpuSet, Mode, NumaNode,
    machine::{Machine, Source},
    placement::{Locality, Placement, PlacementError, PortSite, Role, place},
};
use linux::{Root, clock, cmdline::Cmdline, hugepages, irq::Interrupts, net, pci, topology};
use sysroots::{Entry, SHAPES, Tree};

fn dir(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/sysroots").join(name)
}

fn root(name: &str) -> Root {
    Root::at(dir(name)).unwrap()
}

fn machine(name: &str) -> Machine {
    topology::discover(&root(name)).unwrap()
}

fn set(list: &str) -> CpuSet {
    list.parse().unwrap()
}

/// The machine's network cards as ports that receive.
fn ports(name: &str) -> Vec<PortSite> {
    let machine = machine(name);
    let functions = pci::functions(&root(name)).unwrap();
    let ports =
        functions.iter().filter(|function| function.is_network()).map(|function| PortSite {
            name: function.address.to_string(),
            locality: function.locality(&machine),
            receives: true,
        });
    ports.collect()
}

fn auto() -> Cores {
    Cores { housekeeping: Auto::Auto, workers: Auto::Auto, count: Auto::Auto, strict: false }
}

fn placed(name: &str, count: Auto<usize>, mode: Mode) -> Placement {
    place(&machine(name), &Cores { count, ..auto() }, &ports(name), mode).unwrap()
}

fn run_to_completion(name: &str) -> Placement {
    placed(name, Auto::Auto, Mode::RunToCompletion)
}

fn role(placement: &Placement, cpu: usize) -> Role {
    placement.reasons[cpu].role
}

/// What is below `dir`.
fn read(dir: &Path) -> io::Result<Tree> {
    let mut tree = Tree::new();
    let mut left = vec![dir.to_owned()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            if path.is_symlink() {
                let target = fs::read_link(&path)?;
                tree.insert(name, Entry::Link(target.to_str().unwrap().to_owned()));
            } else if path.is_dir() {
                left.push(path);
            } else {
                tree.insert(name, Entry::File(fs::read_to_string(&path)?));
            }
        }
    }
    Ok(tree)
}

#[test]
fn the_files_are_those_that_the_shapes_describe() {
    for shape in SHAPES {
        let (wanted, found) = (shape.tree(), read(&dir(shape.name)).unwrap());
        let differs =
            wanted.keys().chain(found.keys()).find(|&path| wanted.get(path) != found.get(path));
        assert_eq!(differs, None, "{}: cargo run -p linux --example sysroots", shape.name);
    }
    let mut names: Vec<_> = SHAPES.iter().map(|shape| shape.name.to_owned()).collect();
    names.sort();
    assert_eq!(root("").names("").unwrap(), names);
}

#[test]
fn every_machine_is_read_without_a_doubt() {
    for shape in SHAPES {
        let machine = machine(shape.name);

        // hwloc can not look at another root from a process with threads; see tests/hwloc.rs.
        assert_eq!(machine.source, Source::Sysfs);
        let others: Vec<_> = machine.notes.iter().filter(|note| !note.contains("hwloc")).collect();
        assert!(others.is_empty(), "{}: {others:?}", shape.name);
        for cpu in &machine.cpus {
            assert_eq!(cpu.node.is_some(), cpu.online, "{}: {cpu:?}", shape.name);
            assert_eq!(cpu.siblings.contains(cpu.id), cpu.online, "{}: {cpu:?}", shape.name);
        }
    }
}

#[test]
fn two_sockets_get_a_worker_each_and_its_sibling_idles() {
    let placement = run_to_completion("two-socket-smt");

    // Node 1 keeps its first core, cpu 4 and 12, for housekeeping.
    assert_eq!(placement.worker_cpus(), set("1,5"), "{placement:#?}");
    assert_eq!(placement.housekeeping, set("0,2-4,6-8,10-12,14-15"));
    assert_eq!((role(&placement, 9), role(&placement, 13)), (Role::Idle, Role::Idle));
    assert_eq!(placement.workers[0].ports, [0, 1]);
    assert_eq!(placement.workers[1].ports, [2]);
}

#[test]
fn staged_workers_come_in_pairs_on_each_socket() {
    let placement = placed("two-socket-smt", Auto::Auto, Mode::Staged);

    assert_eq!(placement.worker_cpus(), set("1-2,5-6"), "{placement:#?}");
}

#[test]
fn epyc_workers_take_the_isolated_node_one_cache_at_a_time() {
    let machine = machine("epyc-nps4");
    assert_eq!(machine.isolated(), set("8-11,24-27"));
    assert_eq!(machine.cpus[9].l3, Some(8));
    assert_eq!(machine.cpus[26].l3, Some(10));
    assert_eq!(machine.distance(NumaNode(2), NumaNode(0)), Some(12));

    let two = placed("epyc-nps4", Auto::Set(2), Mode::Staged);
    let strict = Cores { count: Auto::Set(4), strict: true, ..auto() };
    let four = place(&machine, &strict, &ports("epyc-nps4"), Mode::Staged).unwrap();

    assert_eq!(two.worker_cpus(), set("8-9"), "{two:#?}");
    assert_eq!(two.housekeeping, set("0-7,12-23,28-31"));
    assert_eq!((role(&two, 24), role(&two, 10)), (Role::Idle, Role::Spare));
    assert!(two.warnings.is_empty(), "{:?}", two.warnings);
    assert_eq!(four.worker_cpus(), set("8-11"));
    let warning = "the workers are spread over 2 L3 caches: each ring between them costs more";
    assert_eq!(four.warnings, [warning]);
}

#[test]
fn five_workers_do_not_fit_the_isolated_epyc_node_strictly() {
    let strict = Cores { count: Auto::Set(5), strict: true, ..auto() };

    let errors = place(&machine("epyc-nps4"), &strict, &ports("epyc-nps4"), Mode::RunToCompletion)
        .unwrap_err();

    assert!(
        matches!(
            errors[..],
            [PlacementError::NotIsolated { .. }, PlacementError::RemoteWorker { .. }]
        ),
        "{errors:?}"
    );
}

#[test]
fn one_node_gives_its_isolated_half_to_workers() {
    let placement = placed("one-node", Auto::Set(3), Mode::RunToCompletion);

    assert_eq!(placement.worker_cpus(), set("4-6"), "{placement:#?}");
    assert_eq!(placement.housekeeping, set("0-3"));
    assert_eq!(role(&placement, 7), Role::Spare);
}

#[test]
fn a_partition_on_the_ports_node_holds_worker_and_housekeeping() {
    let machine = machine("nic-on-node-1");
    assert_eq!(machine.usable(), set("3,6-7"), "the unit's cpuset");
    assert_eq!(machine.isolated(), set("3,6-7"));

    let placement = placed("nic-on-node-1", Auto::Set(2), Mode::RunToCompletion);

    assert_eq!(placement.worker_cpus(), set("6-7"), "{placement:#?}");
    assert_eq!(placement.housekeeping, set("3"));
    assert_eq!(role(&placement, 0), Role::NotAllowed);
    assert!(placement.workers.iter().all(|worker| worker.ports == [0, 1]));
}

#[test]
fn a_card_without_a_node_is_placed_by_its_local_cpus_or_beside_the_others() {
    let sites = ports("numa-node-unknown");
    assert!(matches!(sites[0].locality, Locality::Unknown { .. }), "{sites:?}");
    assert_eq!(sites[1].locality, Locality::Node(NumaNode(1)));

    let placement = run_to_completion("numa-node-unknown");

    assert_eq!(placement.worker_cpus(), set("5"), "{placement:#?}");
    assert_eq!(placement.workers[0].ports, [0, 1]);
    assert!(
        placement.ports[0].why.contains("the node with most of the other ports"),
        "{placement:#?}"
    );
    assert!(placement.warnings.iter().any(|warning| warning.contains("node 1 is assumed")));
}

#[test]
fn two_virtual_cpus_are_housekeeping_and_a_worker() {
    let placement = run_to_completion("vm-2-cpus");

    assert_eq!(placement.housekeeping, set("0"), "{placement:#?}");
    assert_eq!(placement.worker_cpus(), set("1"));
    assert_eq!(placement.ports[0].node, Some(NumaNode(0)), "there is no other");
    assert_eq!(
        placement.warnings,
        ["worker cpu 1 is not isolated: the scheduler may run other tasks there"]
    );
}

#[test]
fn buffers_for_a_memoryless_node_come_from_the_nearest() {
    let placement = run_to_completion("memoryless-node");

    assert_eq!(placement.worker_cpus(), set("5"), "{placement:#?}");
    assert_eq!(placement.workers[0].node, Some(NumaNode(2)));
    assert_eq!(placement.workers[0].memory, Some(NumaNode(1)), "20 away, node 0 is 21");
    assert_eq!(placement.ports[0].memory, Some(NumaNode(1)));
}

#[test]
fn offline_cpus_are_not_used_and_refused_when_listed() {
    let machine = machine("offline-cpus");
    let placement = placed("offline-cpus", Auto::Set(2), Mode::RunToCompletion);
    let listed = Cores { workers: Auto::Set(Box::new(set("1-2"))), ..auto() };
    let errors =
        place(&machine, &listed, &ports("offline-cpus"), Mode::RunToCompletion).unwrap_err();

    assert_eq!(placement.worker_cpus(), set("2-3"), "{placement:#?}");
    assert_eq!(placement.housekeeping, set("0,4"));
    assert_eq!((role(&placement, 1), role(&placement, 7)), (Role::Offline, Role::Idle));
    assert_eq!(errors[0].to_string(), "workers names cpu 1, which is offline");
    assert!(errors[0].help().contains("/sys/devices/system/cpu/cpu1/online"));
}

#[test]
fn sixty_four_arm_cores_are_cores_of_their_own() {
    let machine = machine("arm-64");
    assert!(machine.cpus.iter().all(|cpu| cpu.siblings.len() == 1 && cpu.l3.is_none()));

    let placement = placed("arm-64", Auto::Set(16), Mode::RunToCompletion);

    assert_eq!(placement.worker_cpus(), set("48-63"), "{placement:#?}");
    assert_eq!(placement.housekeeping, set("0-47"));
    assert!(placement.warnings.is_empty(), "{:?}", placement.warnings);
}

#[test]
fn cards_are_read_with_driver_group_and_interfaces() {
    let intel = pci::functions(&root("two-socket-smt")).unwrap();
    let bound = pci::function(&root("one-node"), "0000:01:00.1".parse().unwrap()).unwrap();

    assert_eq!(intel.len(), 3);
    assert_eq!(intel[0].driver.as_deref(), Some("ice"));
    assert_eq!((intel[0].vendor, intel[0].device, intel[0].class), (0x8086, 0x1592, 0x02_0000));
    assert_eq!(intel[0].netdevs, ["ens1f0np0"]);
    assert_eq!(intel[0].iommu_group, None);
    assert_eq!(intel[2].node.known(), Some(&Some(NumaNode(1))));
    assert_eq!(bound.driver.as_deref(), Some("vfio-pci"));
    assert_eq!(bound.iommu_group, Some(41));
    let missing = pci::function(&root("one-node"), "0000:ff:00.0".parse().unwrap());
    assert!(missing.unwrap_err().is_missing());
}

#[test]
fn interfaces_know_the_card_behind_them() {
    let interfaces = net::interfaces(&root("two-socket-smt")).unwrap();

    assert_eq!(interfaces.len(), 3);
    assert_eq!(interfaces[0].name, "ens1f0np0");
    assert_eq!(interfaces[0].pci, Some("0000:3b:00.0".parse().unwrap()));
    assert_eq!(interfaces[0].driver.as_deref(), Some("ice"));
    assert_eq!(interfaces[0].carrier.known(), Some(&true));
    assert_eq!(interfaces[0].speed_mbps.known(), Some(&100_000));
}

#[test]
fn a_virtio_interface_and_its_function_know_each_other() {
    let root = root("vm-2-cpus");
    let function = pci::function(&root, "0000:00:03.0".parse().unwrap()).unwrap();
    let interfaces = net::interfaces(&root).unwrap();

    assert_eq!(function.netdevs, ["eth0"]);
    assert_eq!(interfaces[0].pci, Some(function.address));
}

#[test]
fn hugepages_are_counted_by_node_and_size() {
    let root = root("two-socket-smt");
    let machine = topology::discover(&root).unwrap();
    let node = hugepages::node(&root, NumaNode(1)).unwrap();
    let all = hugepages::machine(&root).unwrap();

    assert_eq!((machine.nodes[1].huge_2m_free, machine.nodes[1].huge_1g_free), (1024, 4));
    assert_eq!(
        node.iter().map(|pool| (pool.size_kib, pool.free)).collect::<Vec<_>>(),
        [(2048, 1024), (1_048_576, 4)]
    );
    assert_eq!((all[0].total, all[0].reserved), (2048, Some(0)));
    assert!(hugepages::node(&root, NumaNode(9)).unwrap().is_empty());
}

#[test]
fn boot_line_interrupts_and_clock_are_read() {
    let root = root("one-node");
    let line = Cmdline::read(&root).unwrap();
    let interrupts = Interrupts::read(&root).unwrap();

    assert_eq!(line.value("root"), Some("LABEL=root fs"));
    assert_eq!(line.value("isolcpus"), Some("managed_irq,domain,4-7"));
    assert_eq!(interrupts.cpus.len(), 8);
    assert_eq!(interrupts.rows[0].number(), Some(24));
    assert_eq!(interrupts.total(interrupts.cpus[7]), Some(1241));
    assert_eq!(clock::is_steady(&root).known(), Some(&true));
}
