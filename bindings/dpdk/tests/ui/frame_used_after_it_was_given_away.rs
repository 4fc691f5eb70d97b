//! A frame has one owner: a burst, a queue, or whoever took it out.

use dpdk::{Burst, Mbuf};

fn after_push<'eal>(burst: &mut Burst<'eal>, frame: Mbuf<'eal>) {
    burst.push(frame);
    frame.head();
}

fn copied<'eal>(burst: &mut Burst<'eal>, frame: &Mbuf<'eal>) {
    burst.push(frame.clone());
}

fn main() {}
