//! The machine that runs the tests, whatever it is: the kernel's real files are understood.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

use config::{Auto, Cores, CpuSet, Mode, placement::place};
use linux::{Root, clock, cmdline::Cmdline, cpu, hugepages, irq, net, numa, pci, thread, topology};

fn root() -> Root {
    Root::system().unwrap()
}

#[test]
fn the_kernels_files_are_all_understood() {
    let root = root();
    let cpus = cpu::read(&root).unwrap();

    assert!(cpus.online.is_subset(&cpus.present) && !cpus.online.is_empty());
    assert!(cpus.isolated.known().is_some(), "{:?}", cpus.isolated);
    assert!(cpus.nohz_full.known().is_some(), "{:?}", cpus.nohz_full);
    assert_eq!(cpus.topology.len(), cpus.online.len());
    for node in numa::read(&root).unwrap_or_default() {
        assert!(node.memory_bytes.known().is_some(), "{node:?}");
        assert!(hugepages::node(&root, node.id).is_ok());
    }
    assert!(hugepages::machine(&root).is_ok());
    for function in pci::functions(&root).unwrap() {
        assert!(function.node.known().is_some(), "{function:?}");
    }
    assert!(net::interfaces(&root).unwrap().iter().any(|interface| interface.name == "lo"));
    assert!(!Cmdline::read(&root).unwrap().parameters().is_empty());
    assert!(clock::is_steady(&root).known().is_some());
}

#[test]
fn interrupts_have_a_column_for_each_cpu_that_runs() {
    let root = root();
    let table = irq::Interrupts::read(&root).unwrap();

    let columns: CpuSet = table.cpus.iter().copied().collect();
    assert_eq!(columns, cpu::read(&root).unwrap().online);
    let later = irq::Interrupts::read(&root).unwrap();
    assert_eq!(later.since(&later).rows.iter().flat_map(|row| &row.counts).sum::<u64>(), 0);
    let delta = later.since(&table);
    assert!(table.cpus.iter().all(|&cpu| delta.total(cpu) <= later.total(cpu)));
    let number = table.rows.iter().find_map(irq::Row::number).unwrap();
    assert!(irq::affinity(&root, number).requested.known().is_some());
}

#[test]
fn work_can_be_placed_here_and_a_worker_pinned_to_its_place() {
    let machine = topology::discover(&root()).unwrap();
    let wish =
        Cores { housekeeping: Auto::Auto, workers: Auto::Auto, count: Auto::Auto, strict: false };

    let placement = place(&machine, &wish, &[], Mode::RunToCompletion).unwrap();

    let cpu = placement.workers[0].cpu;
    let pinned = std::thread::spawn(move || {
        thread::pin(cpu).unwrap();
        thread::affinity().unwrap()
    });
    assert_eq!(pinned.join().unwrap(), CpuSet::from_iter([cpu]), "{placement:#?}");
    thread::with_affinity(&placement.housekeeping, || ()).unwrap();
}

/// Locking memory is for ever, so a process of its own does it.
#[test]
fn memory_is_locked_or_the_limit_is_named() {
    if std::env::var_os("LINUX_TEST_LOCK").is_some() {
        let locked = || {
            let status = root().text("proc/self/status").unwrap();
            let line =
                status.lines().find_map(|line| line.strip_prefix("VmLck:").map(str::to_owned));
            line.unwrap().trim_ascii().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        match thread::lock_memory() {
            Ok(()) => assert!(locked() > 0),
            Err(error) => assert!(
                matches!(error.raw_os_error(), Some(libc::ENOMEM | libc::EPERM | libc::EAGAIN)),
                "{error}"
            ),
        }
        return;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory_is_locked_or_the_limit_is_named"])
        .env("LINUX_TEST_LOCK", "1")
        .status()
        .unwrap();
    assert!(status.success());
}
