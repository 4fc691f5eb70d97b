//! "The transmit and receive functions should not be invoked when the device or the queue is stopped."

use dpdk::{Burst, Port, Started};

fn stopped(mut port: Port<'_, Started>) {
    let mut queues = port.split();
    let _configured = port.stop();
    queues.rx[0].recv(&mut Burst::new(), 32);
}

fn dropped(mut port: Port<'_, Started>) {
    let mut queues = port.split();
    drop(port);
    queues.rx[0].recv(&mut Burst::new(), 32);
}

fn split_twice(mut port: Port<'_, Started>) {
    let mut queues = port.split();
    let _again = port.split();
    queues.rx[0].recv(&mut Burst::new(), 32);
}

fn main() {}
