//! Pools of packet buffers in ordinary pages.
//!
//! `rte_pktmbuf_pool_create` keeps every buffer within one page, so that its IOVA addresses are contiguous. Without
//! hugepages a page is 4 KiB and a buffer of 2368 bytes gets one for itself:
//!
//! ```text
//!  one a page   |header data . . . |header data . . . |header data . . . |   every header at the same place of its page,
//!                                                                            and so in the same set of the L1 cache
//!  packed       |header data |header data |header data |header data |        37 cache lines apart: all sets in turn
//! ```
//!
//! The first-level cache then holds twelve headers of a burst of 32 (Zen 5); two null ports ran at a third of their speed. Nothing
//! needs IOVA contiguity there: a device that reads memory by itself has to have hugepages.
//!
//! # Safety
//! Puts a pool together with the steps of `rte_pktmbuf_pool_create_by_ops` (DPDK 22.11, lib/mbuf/rte_mbuf.c).

use std::ffi::CStr;
use std::mem::size_of;
use std::ptr::{self, NonNull};

use dpdk_sys as c;

use crate::error::Errno;

/// Whether this EAL has no hugepages.
pub(crate) fn is_wanted() -> bool {
    // SAFETY: reads a value that rte_eal_init has set; the callers have an Eal.
    unsafe { c::rte_eal_has_hugepages() == 0 }
}

/// Makes a pool, packed.
///
/// # Safety
/// The EAL is up.
pub(crate) unsafe fn create(
    name: &CStr,
    buffers: u32,
    cache: u32,
    data_room: u16,
    socket: i32,
    handler: Option<&CStr>,
) -> Result<NonNull<c::rte_mempool>, Errno> {
    #[expect(clippy::cast_possible_truncation, reason = "128 bytes, and 8")]
    let (header, private_size) =
        (size_of::<c::rte_mbuf>() as u32, size_of::<c::rte_pktmbuf_pool_private>() as u32);
    // SAFETY: the EAL is up, and the name is terminated and copied by the function.
    let pool = unsafe {
        c::rte_mempool_create_empty(
            name.as_ptr(),
            buffers,
            header + u32::from(data_room),
            cache,
            private_size,
            socket,
            c::RTE_MEMPOOL_F_NO_IOVA_CONTIG,
        )
    };
    let pool = NonNull::new(pool).ok_or_else(Errno::last)?;
    // SAFETY: the pool is ours alone until this returns.
    let done = unsafe { fill(pool, data_room, handler) };
    if done.is_err() {
        // SAFETY: nobody knows of the pool yet.
        unsafe { c::rte_mempool_free(pool.as_ptr()) };
    }
    done.map(|()| pool)
}

/// # Safety
/// The pool is empty and the caller's alone.
unsafe fn fill(
    pool: NonNull<c::rte_mempool>,
    data_room: u16,
    handler: Option<&CStr>,
) -> Result<(), Errno> {
    let pool = pool.as_ptr();
    let handler = match handler {
        Some(handler) => handler.as_ptr(),
        // SAFETY: asks the EAL's own configuration.
        None => unsafe { c::rte_mbuf_best_mempool_ops() },
    };
    // SAFETY: the pool has no handler yet, and the name is terminated.
    let answer = unsafe { c::rte_mempool_set_ops_byname(pool, handler, ptr::null_mut()) };
    Errno::check(answer)?;
    let mut private = c::rte_pktmbuf_pool_private {
        mbuf_data_room_size: data_room,
        ..c::rte_pktmbuf_pool_private::default()
    };
    // SAFETY: copies the structure into the private area, which was made for it.
    unsafe { c::rte_pktmbuf_pool_init(pool, (&raw mut private).cast()) };
    // SAFETY: the pool has its handler and no memory yet.
    let answer = unsafe { c::rte_mempool_populate_default(pool) };
    Errno::check(answer)?;
    // SAFETY: each object is as large as an mbuf with its data room, and not in use.
    unsafe { c::rte_mempool_obj_iter(pool, Some(c::rte_pktmbuf_init), ptr::null_mut()) };
    Ok(())
}
