//! `rte_eth_rx_burst` and `rte_eth_tx_burst`, inline.
//!
//! # Safety
//! Follows what these functions do in `rte_ethdev.h` of DPDK 22.11 to 25.11 without their debug checks: the driver's function out of
//! `rte_eth_fp_ops`, and the callbacks when there are any (capture and power management hang on them). A call of a C function
//! around them costs 1.5 to 2.5 % of a packet path that does nothing else; the layout is that of the installed header.

use core::ffi::c_void;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::bindings as c;

/// What ethdev knows about a port's packet path.
#[inline(always)] // an addition
fn ops(port: u16) -> *const c::rte_eth_fp_ops {
    debug_assert!(u32::from(port) < c::RTE_MAX_ETHPORTS);
    let table = (&raw const c::rte_eth_fp_ops).cast::<c::rte_eth_fp_ops>();
    // wrapping: the callers' promise makes it an element of the table
    table.wrapping_add(usize::from(port))
}

/// Receives up to `count` frames into `frames`, and says how many.
///
/// # Safety
/// The port is started and has this queue, nobody else receives from it during the call, and `frames` has room for `count`
/// pointers.
#[inline(always)] // the loop of a worker is around it
pub unsafe fn rx(port: u16, queue: u16, frames: *mut *mut c::rte_mbuf, count: u16) -> u16 {
    let ops = ops(port);
    let queue_index = usize::from(queue);
    // SAFETY: an element of a table that lives as long as the process. ethdev writes it when the port starts or stops, which is
    // not now.
    let c::rte_eth_fp_ops { rx_pkt_burst: receive, rxq: queues, .. } = unsafe { &*ops };
    // SAFETY: the port has this queue.
    let data = unsafe { queues.data.add(queue_index) };
    // SAFETY: as above.
    let data = unsafe { data.read() };
    // SAFETY: ethdev gives every port a function, a dummy if need be, before it can be found.
    let receive = unsafe { receive.unwrap_unchecked() };
    // SAFETY: the driver's own function with its own queue; the caller promises the rest.
    let received = unsafe { receive(data, frames, count) };
    // SAFETY: the port has this queue.
    let callbacks = unsafe { callbacks(queues.clbk, queue_index) };
    if callbacks.is_null() {
        return received;
    }
    // SAFETY: what rte_eth_rx_burst does with callbacks.
    unsafe { c::rte_eth_call_rx_callbacks(port, queue, frames, received, count, callbacks) }
}

/// Sends the first `count` of `frames`, and says how many of them the queue took.
///
/// # Safety
/// The port is started and has this queue, nobody else sends to it during the call, and `frames` holds `count` frames that
/// the caller owns. Those that were taken belong to the driver afterwards.
#[inline(always)] // the loop of a worker is around it
pub unsafe fn tx(port: u16, queue: u16, frames: *mut *mut c::rte_mbuf, mut count: u16) -> u16 {
    let ops = ops(port);
    let queue_index = usize::from(queue);
    // SAFETY: as in `rx`.
    let c::rte_eth_fp_ops { tx_pkt_burst: send, txq: queues, .. } = unsafe { &*ops };
    // SAFETY: the port has this queue.
    let data = unsafe { queues.data.add(queue_index) };
    // SAFETY: as above.
    let data = unsafe { data.read() };
    // SAFETY: the port has this queue.
    let callbacks = unsafe { callbacks(queues.clbk, queue_index) };
    if !callbacks.is_null() {
        // SAFETY: what rte_eth_tx_burst does with callbacks.
        count = unsafe { c::rte_eth_call_tx_callbacks(port, queue, frames, count, callbacks) };
    }
    // SAFETY: as in `rx`.
    let send = unsafe { send.unwrap_unchecked() };
    // SAFETY: the driver's own function with its own queue; the caller promises the rest.
    unsafe { send(data, frames, count) }
}

/// The callbacks of a queue, or null. They are linked in with release ordering while bursts go on; what is read through the pointer
/// depends on it, so relaxed is enough, as in `rte_eth_rx_burst`.
///
/// # Safety
/// `table` has a place for this queue.
#[inline(always)] // a load
unsafe fn callbacks(table: *mut *mut c_void, queue: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    let place = unsafe { table.add(queue) };
    // SAFETY: aligned, alive, and only ever accessed atomically while the port is started.
    let place = unsafe { AtomicPtr::from_ptr(place) };
    place.load(Ordering::Relaxed)
}
