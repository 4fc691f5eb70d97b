//! The plan's promises, on saved machines and random wishes.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Plan, Role};
use crate::facts::{DeviceLimits, Facts};

const MACHINES: [&str; 9] = [
    "two-socket-smt",
    "epyc-nps4",
    "one-node",
    "nic-on-node-1",
    "numa-node-unknown",
    "vm-2-cpus",
    "memoryless-node",
    "offline-cpus",
    "arm-64",
];

fn facts(machine: &str, config: &config::Config) -> Facts {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/sysroots");
    let root = linux::Root::at(format!("{root}/{machine}")).unwrap();
    Facts::read(&root, config).unwrap()
}

fn config(ports: usize, count: usize, mode: &str) -> config::Config {
    let mut text = format!("[cores]\ncount = {count}\n[pipeline]\nmode = \"{mode}\"\n");
    for port in 0..ports {
        let next = (port + 1) % ports;
        text += &format!(
            "[[port]]\nname = \"p{port}\"\ndevice = \"vdev:net_null{port}\"\ninput = \"s{port}\"\n\
             [[stage]]\nname = \"s{port}\"\nkind = \"cross\"\nto = \"tx:p{next}\"\n"
        );
    }
    config::parse(&text, "t.toml").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_queue_has_one_worker_and_every_ring_joins_two(
        machine in 0..MACHINES.len(),
        ports in 1_usize..5,
        count in 1_usize..7,
        staged in any::<bool>(),
        queues in 1_u16..9,
    ) {
        let config = config(ports, count, if staged { "staged" } else { "run-to-completion" });
        let mut facts = facts(MACHINES[machine], &config);
        let limits = DeviceLimits { max_rx_queues: queues, max_tx_queues: queues, rx_ring: 512, tx_ring: 512 };
        facts.limits = vec![Some(limits); ports];
        // A refusal says why; what is promised is about plans.
        let Ok(plan) = Plan::new(&config, &facts) else { return Ok(()) };
        prop_assert_eq!(&plan, &Plan::new(&config, &facts).unwrap(), "the same input gives the same plan");

        for (at, port) in plan.ports.iter().enumerate() {
            prop_assert!(port.rx_queues <= queues && port.tx_queues <= queues);
            let of = |queues: &[super::QueuePlan]| -> Vec<u16> {
                queues.iter().filter(|queue| queue.port == at).map(|queue| queue.queue).collect()
            };
            let rx: Vec<u16> = plan.workers.iter().flat_map(|worker| of(&worker.rx)).collect();
            let tx: Vec<u16> = plan.workers.iter().flat_map(|worker| of(&worker.tx)).collect();
            // Each queue once, from 0 on, and every receive queue polled.
            prop_assert_eq!(rx.iter().copied().collect::<BTreeSet<_>>().len(), rx.len());
            prop_assert_eq!(rx.len(), usize::from(port.rx_queues));
            prop_assert_eq!(tx.iter().copied().collect::<BTreeSet<_>>().len(), tx.len());
            prop_assert!(!tx.is_empty(), "somebody sends to every port that an edge leads to");
        }
        for worker in &plan.workers {
            prop_assert!(worker.rx.is_empty() || worker.role.receives());
            prop_assert!(worker.tx.is_empty() || worker.role.transmits());
        }
        for ring in &plan.rings {
            prop_assert_ne!(ring.from, ring.to);
            prop_assert!(plan.workers[ring.to].role != Role::Rx && plan.workers[ring.from].role != Role::Tx);
        }
        prop_assert_eq!(plan.rings.is_empty(), !staged);
        let cpus: BTreeSet<_> = plan.workers.iter().map(|worker| worker.cpu).collect();
        prop_assert_eq!(cpus.len(), plan.workers.len());
    }
}

#[test]
fn more_queues_than_the_device_has_are_refused_by_name() {
    let text = "[[port]]\nname = \"north\"\ndevice = \"vdev:net_null0\"\nrx_queues = 9\ninput = \"s\"\n\
                [[stage]]\nname = \"s\"\nkind = \"cross\"\nto = \"tx:north\"\n";
    let config = config::parse(text, "t.toml").unwrap();
    let mut facts = facts("one-node", &config);
    let limits = DeviceLimits { max_rx_queues: 8, max_tx_queues: 8, rx_ring: 512, tx_ring: 512 };
    facts.limits = vec![Some(limits)];
    let errors = Plan::new(&config, &facts).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "port \"north\": rx_queues = 9, but vdev:net_null0 offers at most 8"
    );
    assert_eq!(errors[0].help(), "set rx_queues = \"auto\" or at most 8");
}
