//! "After this call, no DPDK function calls may be made", and a frame is freed by one.

use dpdk::{Burst, Eal, Mbuf, Mempool, MempoolConfig, Queues};

fn frame(eal: Eal) {
    let pool = Mempool::create(&eal, "frames", MempoolConfig::default()).unwrap();
    let frame = Mbuf::alloc(&pool).unwrap();
    drop(eal);
    drop(frame);
}

fn burst(eal: Eal) -> Burst<'static> {
    let pool = Mempool::create(&eal, "frames", MempoolConfig::default()).unwrap();
    let mut burst = Burst::new();
    pool.alloc_bulk(&mut burst, 32).unwrap();
    burst
}

fn received(mut queues: Queues<'_, '_>, burst: &mut Burst<'static>) {
    queues.rx[0].recv(burst, 32);
}

fn main() {}
