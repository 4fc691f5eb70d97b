//! `rte_eal_cleanup` frees the memory that pools, rings and ports are in.

use dpdk::{Eal, Mempool, MempoolConfig, Ring};

fn pool(eal: Eal) {
    let pool = Mempool::create(&eal, "frames", MempoolConfig::default()).unwrap();
    drop(eal);
    pool.available();
}

fn ring(eal: Eal) {
    let ring = Ring::create(&eal, "words", 64).unwrap();
    drop(eal);
    drop(ring);
}

fn port(eal: Eal) {
    let port = eal.port("net_null0").unwrap();
    drop(eal);
    drop(port);
}

fn observer(eal: Eal) {
    let observer = eal.port("net_null0").unwrap().observer();
    drop(eal);
    let _ = observer.stats();
}

fn main() {}
