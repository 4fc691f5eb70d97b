//! `barewired plan` on machines that are not here: directories with another machine's sysfs and procfs, and machines
//! that hwloc makes up.

use std::process::{Command, Output, Stdio};

use scenarios::{Site, programs};

/// Who is placed where: the machine, its devices, and for each worker the CPU that is expected, where there is only one
/// right answer; otherwise the CPUs that are right.
struct Case {
    machine: &'static str,
    devices: &'static [&'static str],
    /// CPUs that a worker may have.
    right: &'static [u32],
    /// CPUs of which no two may be workers: threads of one core.
    siblings: &'static [&'static [u32]],
    node: Option<u32>,
}

const CASES: &[Case] = &[
    Case {
        machine: "two-socket-smt",
        devices: &["0000:3b:00.0", "0000:3b:00.1"],
        right: &[1, 2, 3, 9, 10, 11],
        siblings: &[&[1, 9], &[2, 10], &[3, 11]],
        node: Some(0),
    },
    Case {
        machine: "epyc-nps4",
        devices: &["0000:81:00.0", "0000:81:00.1"],
        right: &[8, 9, 10, 11, 24, 25, 26, 27],
        siblings: &[&[8, 24], &[9, 25], &[10, 26], &[11, 27]],
        node: Some(2),
    },
    Case {
        machine: "one-node",
        devices: &["0000:01:00.0", "0000:01:00.1"],
        right: &[4, 5, 6, 7],
        siblings: &[],
        node: Some(0),
    },
    Case {
        machine: "nic-on-node-1",
        devices: &["0000:d8:00.0", "0000:d8:00.1"],
        right: &[4, 5, 6, 7],
        siblings: &[],
        node: Some(1),
    },
    Case {
        machine: "numa-node-unknown",
        devices: &["0000:05:00.0", "0000:06:00.0"],
        right: &[1, 2, 3, 4, 5, 6, 7],
        siblings: &[],
        node: None,
    },
    Case {
        machine: "vm-2-cpus",
        devices: &["0000:00:03.0"],
        right: &[1],
        siblings: &[],
        node: None,
    },
    Case {
        machine: "memoryless-node",
        devices: &["0000:c1:00.0"],
        right: &[1, 2, 3, 4, 5],
        siblings: &[],
        node: None,
    },
    Case {
        machine: "offline-cpus",
        devices: &["0000:17:00.0"],
        right: &[2, 3, 4, 7],
        siblings: &[],
        node: Some(0),
    },
    Case {
        machine: "arm-64",
        devices: &["0000:01:00.0"],
        right: &[],
        siblings: &[],
        node: Some(0),
    },
];

fn config(devices: &[&str], cores: &str) -> String {
    let mut text = format!("[cores]\n{cores}\n");
    for (number, device) in devices.iter().enumerate() {
        text += &format!(
            "\n[[port]]\nname = \"p{number}\"\ndevice = \"{device}\"\ninput = \"s{number}\"\n\
             \n[[stage]]\nname = \"s{number}\"\nkind = \"cross\"\nto = \"tx:p{number}\"\n"
        );
    }
    text
}

fn plan(machine: &str, config: &str) -> Output {
    let site = Site::new();
    let file = site.write("plan.toml", config);
    Command::new(programs::barewired())
        .args(["plan", "--json", "--root"])
        .arg(programs::top().join("tests/fixtures/sysroots").join(machine))
        .arg("--config")
        .arg(&file)
        .stdin(Stdio::null())
        .output()
        .expect("barewired can be started")
}

#[track_caller]
fn planned(output: &Output) -> api::Plan {
    assert!(
        output.status.success(),
        "{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("a plan")
}

#[test]
fn workers_are_on_whole_cores_near_their_port_and_never_on_cpu_0() {
    for case in CASES {
        // Packet memory is another question: these machines have no hugepages reserved, or have.
        let config = config(case.devices, "count = 1") + "\n[memory]\nhuge = \"none\"\n";
        let plan = planned(&plan(case.machine, &config));
        let chosen: Vec<u32> = plan.workers.iter().map(|worker| worker.cpu).collect();
        assert_eq!(chosen.len(), 1, "{}: {plan:#?}", case.machine);
        assert!(!chosen.contains(&0), "{}: {chosen:?}", case.machine);
        if !case.right.is_empty() {
            assert!(
                chosen.iter().all(|cpu| case.right.contains(cpu)),
                "{}: {chosen:?}",
                case.machine
            );
        }
        if let Some(node) = case.node {
            assert!(
                plan.workers.iter().all(|worker| worker.node == Some(node)),
                "{}: {plan:#?}",
                case.machine
            );
            assert!(
                plan.ports.iter().all(|port| port.node == Some(node)),
                "{}: {plan:#?}",
                case.machine
            );
            assert!(
                plan.pools.iter().all(|pool| pool.node == Some(node)),
                "{}: {plan:#?}",
                case.machine
            );
        }
    }
}

#[test]
fn two_workers_never_share_a_core() {
    for case in CASES.iter().filter(|case| !case.siblings.is_empty()) {
        let config = config(case.devices, "count = 2") + "\n[memory]\nhuge = \"none\"\n";
        let plan = planned(&plan(case.machine, &config));
        let chosen: Vec<u32> = plan.workers.iter().map(|worker| worker.cpu).collect();
        assert_eq!(chosen.len(), 2, "{}", case.machine);
        for siblings in case.siblings {
            let together = chosen.iter().filter(|cpu| siblings.contains(cpu)).count();
            assert!(together <= 1, "{}: {chosen:?} are one core", case.machine);
        }
    }
}

#[test]
fn every_cpu_has_a_reason() {
    for case in CASES {
        let config = config(case.devices, "count = 1") + "\n[memory]\nhuge = \"none\"\n";
        let plan = planned(&plan(case.machine, &config));
        assert!(plan.cpus.len() >= 2, "{}: {plan:#?}", case.machine);
        assert!(
            plan.cpus.iter().all(|cpu| !cpu.reason.is_empty()),
            "{}: {:#?}",
            case.machine,
            plan.cpus
        );
        assert_eq!(plan.mode, "run-to-completion");
    }
}

#[test]
fn strict_refuses_a_machine_without_isolated_cpus_and_says_which() {
    let config =
        config(&["0000:3b:00.0"], "strict = true\ncount = 1") + "\n[memory]\nhuge = \"none\"\n";
    let output = plan("two-socket-smt", &config);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("isolated"));

    let isolated = self::config(&["0000:01:00.0"], "strict = true\ncount = 1")
        + "\n[memory]\nhuge = \"none\"\n";
    planned(&plan("one-node", &isolated));
}

#[test]
fn strict_refuses_workers_far_from_their_port() {
    let far = config(&["0000:d8:00.0"], "strict = true\nworkers = \"1\"")
        + "\n[memory]\nhuge = \"none\"\n";
    let output = plan("nic-on-node-1", &far);
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn workers_that_overlap_housekeeping_are_refused() {
    let overlap = config(&["0000:3b:00.0"], "housekeeping = \"0-2\"\nworkers = \"2-3\"")
        + "\n[memory]\nhuge = \"none\"\n";
    let output = plan("two-socket-smt", &overlap);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), Some(2 | 3)), "{}\n{said}", output.status);
    assert!(said.contains("housekeeping") && said.contains('2'), "{said}");
}

#[test]
fn cpus_that_are_offline_or_absent_are_refused() {
    for cpus in ["1", "63"] {
        let config = config(&["0000:17:00.0"], &format!("workers = \"{cpus}\""))
            + "\n[memory]\nhuge = \"none\"\n";
        let output = plan("offline-cpus", &config);
        assert_eq!(
            output.status.code(),
            Some(3),
            "{cpus}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn a_machine_that_hwloc_makes_up_is_planned_on_too() {
    let site = Site::new();
    let text = "[cores]\ncount = 3\n[memory]\nhuge = \"none\"\n\n\
        [[port]]\nname = \"p\"\ndevice = \"vdev:net_null0\"\nnuma_node = 1\ninput = \"s\"\n\n\
        [[stage]]\nname = \"s\"\nkind = \"cross\"\nto = \"tx:p\"\n";
    let file = site.write("plan.toml", text);
    let output = Command::new(programs::barewired())
        .args(["plan", "--json", "--config"])
        .arg(&file)
        .env("HWLOC_SYNTHETIC", "pack:2 [numa] core:4 pu:2")
        .stdin(Stdio::null())
        .output()
        .expect("barewired can be started");
    let plan = planned(&output);
    // Threads 8 to 15 are the second package's; two of them are a core.
    let mut cores: Vec<u32> = plan.workers.iter().map(|worker| worker.cpu / 2).collect();
    cores.sort_unstable();
    cores.dedup();
    assert_eq!(cores.len(), 3, "{plan:#?}");
    assert!(cores.iter().all(|core| (4..8).contains(core)), "{cores:?}");
    assert_eq!(plan.cpus.len(), 16);
}
