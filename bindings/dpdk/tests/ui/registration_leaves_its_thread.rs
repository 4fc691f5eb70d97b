//! `rte_thread_unregister`: "unregister current thread and release lcore if one was associated".

use dpdk::{Eal, Registered};

fn moved(eal: &Eal) {
    let registered: Registered<'_> = eal.register_thread().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || drop(registered));
    });
}

fn main() {}
