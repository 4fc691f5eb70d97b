//! "The receive function of a PMD cannot be invoked in parallel on two logical cores to poll the same Rx queue."

use dpdk::{Burst, Queues};

fn two_threads(mut queues: Queues<'_, '_>) {
    let rx = &mut queues.rx[0];
    std::thread::scope(|scope| {
        scope.spawn(|| rx.recv(&mut Burst::new(), 32));
        scope.spawn(|| rx.recv(&mut Burst::new(), 32));
    });
}

fn shared_reference(queues: Queues<'_, '_>) {
    let tx = &queues.tx[0];
    std::thread::scope(|scope| {
        scope.spawn(|| tx.index());
    });
}

fn cloned(queues: Queues<'_, '_>) {
    let _other = queues.rx[0].clone();
}

fn main() {}
