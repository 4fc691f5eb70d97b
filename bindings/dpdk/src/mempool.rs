//! Pools of packet buffers.
//!
//! # Safety
//! Holds a pointer to `struct rte_mempool` that stays valid until the EAL is cleaned up: no pool is
//! ever freed before.

use std::ffi::CStr;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use dpdk_sys as c;

use crate::burst::{Burst, MAX_BURST};
use crate::eal::Eal;
use crate::error::{Errno, c_string};
use crate::packed;

/// Bytes that a buffer keeps free in front of a received frame (`RTE_PKTMBUF_HEADROOM`).
#[expect(clippy::cast_possible_truncation, reason = "128, and a u16 in struct rte_mbuf")]
pub const HEADROOM: u16 = c::RTE_PKTMBUF_HEADROOM as u16;

/// A pool of packet buffers: a handle, to be copied freely.
///
/// The pool itself lives until the EAL is cleaned up. A frame finds its way back to its pool alone,
/// so freeing a pool before its last frame would be an error that nothing could see; and there are
/// as many pools as queues, made at the start.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mempool<'eal> {
    raw: NonNull<c::rte_mempool>,
    eal: PhantomData<&'eal Eal>,
}

// SAFETY: a mempool is made for use by many threads: its ring is multi-producer and multi-consumer
// (no flag is given that says otherwise), its stack has a lock, and the caches in front of it are per lcore id, which no
// two threads share.
unsafe impl Send for Mempool<'_> {}
// SAFETY: as above; a handle has no state of its own.
unsafe impl Sync for Mempool<'_> {}

/// How to make a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MempoolConfig {
    /// Number of buffers. DPDK: "the optimum size (in terms of memory usage) for a mempool is when
    /// n is a power of two minus one".
    pub buffers: u32,
    /// Buffers that each lcore may keep for itself, at most 512 and at most two thirds of
    /// `buffers`; 0 for none. Buffers in one lcore's cache are out of reach for all others, so
    /// count them in when sizing the pool.
    pub cache: u32,
    /// Bytes in a buffer, [`HEADROOM`] included. 2176 (2 KiB and the headroom) holds a frame of
    /// the usual MTU in one segment; longer frames span several buffers where the device can
    /// do that.
    pub data_room: u16,
    /// NUMA node of the memory; `None` for any.
    pub socket: Option<u32>,
    /// Which of the buffers that are back is given out next.
    pub reuse: Reuse,
}

/// Which of the buffers that are back in a pool is given out next. (Those in an lcore's cache go out last in, first out in
/// any case.)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reuse {
    /// What DPDK thinks best for the machine: mostly a ring, so the one that has been back longest.
    #[default]
    Usual,
    /// The last one (DPDK's handler "stack", behind a spinlock). Where one lcore receives and another frees, this keeps a
    /// few buffers in use and in the caches, where a ring would go through all of the pool.
    Last,
}

impl Reuse {
    /// The name of DPDK's handler; `None` for its own choice.
    fn handler(self) -> Option<&'static CStr> {
        match self {
            Self::Usual => None,
            Self::Last => Some(c"stack"),
        }
    }
}

impl Default for MempoolConfig {
    fn default() -> Self {
        let (data_room, reuse) = (2048 + HEADROOM, Reuse::Usual);
        Self { buffers: 8191, cache: 256, data_room, socket: None, reuse }
    }
}

impl<'eal> Mempool<'eal> {
    /// Makes a pool. `name` must be new in this process, and short (25 bytes).
    ///
    /// # Errors
    /// A name or a size that DPDK does not take; no memory on that node.
    pub fn create(eal: &'eal Eal, name: &str, config: MempoolConfig) -> Result<Self, MempoolError> {
        let MempoolConfig { buffers, cache, data_room, socket, reuse } = config;
        let failed =
            |source| MempoolError::Create { name: name.to_owned(), buffers, socket, source };
        let c_name = c_string(name).ok_or_else(|| MempoolError::Name { name: name.to_owned() })?;
        let most = c::RTE_MEMPOOL_CACHE_MAX_SIZE.min(buffers / 3 * 2);
        if cache > most {
            return Err(MempoolError::Cache { name: name.to_owned(), cache, most });
        }
        if data_room <= HEADROOM {
            return Err(MempoolError::DataRoom { name: name.to_owned(), data_room });
        }
        let socket = match socket {
            None => c::SHIM_SOCKET_ID_ANY,
            Some(node) => i32::try_from(node)
                .map_err(|_| MempoolError::Socket { name: name.to_owned(), socket: node })?,
        };
        let _control = eal.control();
        let raw = if packed::is_wanted() {
            // SAFETY: the EAL is up, since it is borrowed.
            unsafe { packed::create(&c_name, buffers, cache, data_room, socket, reuse.handler()) }
                .map_err(failed)?
        } else {
            // Null asks for DPDK's own choice.
            let handler = reuse.handler().map_or(std::ptr::null(), CStr::as_ptr);
            // SAFETY: the EAL is up, since it is borrowed, and the names are terminated and not kept by
            // the function.
            let raw = unsafe {
                c::rte_pktmbuf_pool_create_by_ops(
                    c_name.as_ptr(),
                    buffers,
                    cache,
                    0,
                    data_room,
                    socket,
                    handler,
                )
            };
            NonNull::new(raw).ok_or_else(|| failed(Errno::last()))?
        };
        Ok(Self { raw, eal: PhantomData })
    }

    /// Buffers that are in the pool or in its caches. Counts all caches, so not for the packet
    /// path; a snapshot while others use the pool.
    #[must_use]
    pub fn available(&self) -> u32 {
        // SAFETY: the pool lives until the EAL is cleaned up. The function reads counters that
        // others change, and clamps.
        unsafe { c::rte_mempool_avail_count(self.as_ptr()) }
    }

    /// Buffers that are out: held as frames, or lent to a device's receive rings.
    #[must_use]
    pub fn in_use(&self) -> u32 {
        // SAFETY: as in `available`.
        unsafe { c::rte_mempool_in_use_count(self.as_ptr()) }
    }

    /// Buffers in all.
    #[must_use]
    pub fn capacity(&self) -> u32 {
        // SAFETY: the pool lives until the EAL is cleaned up, and its size is constant.
        unsafe { c::shim_pool_size(self.as_ptr()) }
    }

    /// Bytes in a buffer, [`HEADROOM`] included.
    #[must_use]
    pub fn data_room(&self) -> u16 {
        // SAFETY: the pool lives until the EAL is cleaned up, and it was made by
        // rte_pktmbuf_pool_create.
        unsafe { c::shim_pool_data_room(self.as_ptr()) }
    }

    /// The name it was made with.
    #[must_use]
    pub fn name(&self) -> &'eal str {
        // SAFETY: the pool lives until the EAL is cleaned up.
        let name = unsafe { c::shim_pool_name(self.as_ptr()) };
        // SAFETY: the name is a terminated string inside the pool, and constant.
        let name: &'eal CStr = unsafe { CStr::from_ptr(name) };
        name.to_str().unwrap_or("?")
    }

    /// Appends `count` empty frames to `burst`: all of them, or none. One call for all, which is
    /// about ten times cheaper than [`Mbuf::alloc`](crate::Mbuf::alloc) for each.
    ///
    /// # Errors
    /// [`PoolEmpty`] when the pool has fewer, or `burst` has no room for that many.
    #[inline]
    pub fn alloc_bulk(&self, burst: &mut Burst<'eal>, count: usize) -> Result<(), PoolEmpty> {
        let held = burst.len();
        if count > MAX_BURST - held {
            return Err(PoolEmpty);
        }
        // SAFETY: the burst's array has MAX_BURST places, of which `held` are taken.
        let free = unsafe { burst.as_mut_ptr().add(held) };
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_BURST")]
        let wanted = count as u32;
        // SAFETY: an Mbuf is a pointer to rte_mbuf (repr(transparent)), and there are `count` free
        // places.
        let failed = unsafe { c::shim_alloc_bulk(self.as_ptr(), free.cast(), wanted) };
        if failed != 0 {
            return Err(PoolEmpty);
        }
        // SAFETY: the call has written `count` pointers to frames that nobody else owns.
        unsafe { burst.set_len(held + count) };
        Ok(())
    }

    /// The C object.
    #[must_use]
    pub fn as_ptr(&self) -> *mut c::rte_mempool {
        self.raw.as_ptr()
    }
}

impl fmt::Debug for Mempool<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mempool")
            .field("name", &self.name())
            .field("capacity", &self.capacity())
            .field("available", &self.available())
            .finish()
    }
}

/// There are not enough buffers left in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mempool has no buffer left")]
pub struct PoolEmpty;

/// Why a pool could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MempoolError {
    /// The name can not be passed to C.
    #[error("mempool name \"{name}\" has a zero byte inside")]
    Name {
        /// The name.
        name: String,
    },
    /// The cache is larger than DPDK takes.
    #[error("mempool \"{name}\": a cache of {cache} buffers is more than {most}")]
    Cache {
        /// The pool.
        name: String,
        /// The cache asked for.
        cache: u32,
        /// The largest for this number of buffers.
        most: u32,
    },
    /// A buffer would have no room for data.
    #[error(
        "mempool \"{name}\": a buffer of {data_room} bytes has no room behind its {HEADROOM} bytes of headroom"
    )]
    DataRoom {
        /// The pool.
        name: String,
        /// Bytes asked for.
        data_room: u16,
    },
    /// No such NUMA node.
    #[error("mempool \"{name}\": there is no NUMA node {socket}")]
    Socket {
        /// The pool.
        name: String,
        /// The node asked for.
        socket: u32,
    },
    /// DPDK's own reason: memory, most often.
    #[error("mempool \"{name}\" of {buffers} buffers on {} could not be made", node(*socket))]
    Create {
        /// The pool.
        name: String,
        /// Buffers asked for.
        buffers: u32,
        /// NUMA node asked for.
        socket: Option<u32>,
        /// What DPDK said.
        source: Errno,
    },
}

fn node(socket: Option<u32>) -> String {
    socket.map_or_else(|| "any node".to_owned(), |node| format!("node {node}"))
}
