//! # Safety
//! Reads and writes single fields of `struct rte_mbuf` at the offsets that bindgen took from the
//! installed header. The structure itself is opaque here, because its members move between
//! anonymous unions from release to release.
//!
//! Every function wants a pointer to an initialised mbuf that nobody else writes to during the
//! call.

use crate::{bindings as c, rte_mbuf};

/// Declares a reader for one field.
macro_rules! reader {
    ($(#[$doc:meta])* $name:ident: $type:ty = $offset:ident) => {
        $(#[$doc])*
        ///
        /// # Safety
        /// `mbuf` points to an initialised mbuf, and nobody else writes to it during the call.
        #[inline(always)] // one load; the packet path calls it several times per packet
        #[must_use]
        pub unsafe fn $name(mbuf: *const rte_mbuf) -> $type {
            // SAFETY: the offset is that of the field in the installed header, so it lies within the mbuf.
            let field = unsafe { mbuf.byte_add(c::$offset) };
            // SAFETY: the header gives the field this type and therefore its alignment; the caller promises the rest.
            unsafe { field.cast::<$type>().read() }
        }
    };
}

reader! {
    /// Start of the buffer of this segment.
    buf_addr: *mut u8 = SHIM_MBUF_BUF_ADDR
}
reader! {
    /// Offset of the first data byte in the buffer.
    data_off: u16 = SHIM_MBUF_DATA_OFF
}
reader! {
    /// Length of the buffer, headroom included.
    buf_len: u16 = SHIM_MBUF_BUF_LEN
}
reader! {
    /// Number of data bytes in this segment.
    data_len: u16 = SHIM_MBUF_DATA_LEN
}
reader! {
    /// Number of data bytes in all segments; valid in the first one.
    pkt_len: u32 = SHIM_MBUF_PKT_LEN
}
reader! {
    /// Number of segments; valid in the first one.
    nb_segs: u16 = SHIM_MBUF_NB_SEGS
}
reader! {
    /// Id of the port that received the frame.
    port: u16 = SHIM_MBUF_PORT
}
reader! {
    /// `RTE_MBUF_F_*`: what the device found out, or is asked to do.
    ol_flags: u64 = SHIM_MBUF_OL_FLAGS
}
reader! {
    /// The flow hash, where `ol_flags` says that there is one.
    rss_hash: u32 = SHIM_MBUF_RSS_HASH
}
reader! {
    /// The next segment, or null.
    next: *mut rte_mbuf = SHIM_MBUF_NEXT
}

/// Sets both lengths of a frame that has one segment.
///
/// # Safety
/// `mbuf` points to an initialised mbuf of one segment that the caller owns, and its data starts at
/// least `length` bytes before the end of its buffer.
#[inline]
pub unsafe fn set_len(mbuf: *mut rte_mbuf, length: u16) {
    // SAFETY: the offset is that of the field in the installed header, so it lies within the mbuf.
    let data_len = unsafe { mbuf.byte_add(c::SHIM_MBUF_DATA_LEN) }.cast::<u16>();
    // SAFETY: as above.
    let pkt_len = unsafe { mbuf.byte_add(c::SHIM_MBUF_PKT_LEN) }.cast::<u32>();
    // SAFETY: the header gives the field this type, and the caller owns the mbuf.
    unsafe { data_len.write(length) };
    // SAFETY: the header gives the field this type, and the caller owns the mbuf.
    unsafe { pkt_len.write(u32::from(length)) };
}
