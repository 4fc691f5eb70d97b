//! One owned frame.
//!
//! # Safety
//! An [`Mbuf`] is a pointer to `struct rte_mbuf` that is owned: nobody else reads or writes the
//! frame or frees it. What a driver delivers and what a pool hands out is owned in this sense
//! (reference count 1, not attached to another mbuf), and nothing here makes a clone or an indirect
//! mbuf.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::slice;

use dpdk_sys as c;
use dpdk_sys::mbuf as field;

use crate::eal::Eal;
use crate::mempool::{Mempool, PoolEmpty};

/// An owned frame, of one segment or several. Dropping it gives its buffers back to their pool.
///
/// ```text
///   buf_addr          + data_off              + data_len           + buf_len
///   |    headroom     |  head(): the bytes    |  room for resize() |
/// ```
#[repr(transparent)]
pub struct Mbuf<'eal> {
    raw: NonNull<c::rte_mbuf>,
    eal: PhantomData<&'eal Eal>,
}

// SAFETY: the frame is owned, and pools take buffers back from any thread.
unsafe impl Send for Mbuf<'_> {}

impl<'eal> Mbuf<'eal> {
    /// An empty frame of one segment, which [`resize`](Self::resize) gives its length.
    ///
    /// # Errors
    /// [`PoolEmpty`].
    pub fn alloc(pool: &Mempool<'eal>) -> Result<Self, PoolEmpty> {
        let mut raw = std::ptr::null_mut();
        // SAFETY: the pool lives as long as 'eal, and there is room for one pointer.
        let failed = unsafe { c::shim_alloc_bulk(pool.as_ptr(), &raw mut raw, 1) };
        match NonNull::new(raw) {
            Some(raw) if failed == 0 => Ok(Self { raw, eal: PhantomData }),
            _ => Err(PoolEmpty),
        }
    }

    /// A frame of one segment with these bytes.
    ///
    /// # Errors
    /// When the pool is empty, or the bytes do not fit into one of its buffers.
    pub fn copy_from(pool: &Mempool<'eal>, bytes: &[u8]) -> Result<Self, CopyError> {
        let mut frame = Self::alloc(pool)?;
        frame.resize(bytes.len())?;
        frame.head_mut().copy_from_slice(bytes);
        Ok(frame)
    }

    /// The bytes of the first segment.
    #[inline]
    #[must_use]
    pub fn head(&self) -> &[u8] {
        // SAFETY: the frame is owned by `self`, which is borrowed as long as the bytes are.
        unsafe { segment(self.raw) }
    }

    /// The bytes of the first segment.
    #[inline]
    #[must_use]
    pub fn head_mut(&mut self) -> &mut [u8] {
        let (start, len) = {
            // SAFETY: the frame is owned.
            unsafe { data(self.raw) }
        };
        // SAFETY: the driver keeps data_off + data_len within the buffer, whose bytes are
        // initialised; the frame is owned by `self`, which is borrowed mutably as long as
        // the bytes are.
        unsafe { slice::from_raw_parts_mut(start, len) }
    }

    /// The bytes of each segment, in order.
    #[must_use]
    pub fn segments(&self) -> Segments<'_> {
        Segments { next: Some(self.raw), left: self.segment_count(), frame: PhantomData }
    }

    /// Number of segments, at least 1.
    #[inline]
    #[must_use]
    pub fn segment_count(&self) -> u16 {
        // SAFETY: the frame is owned.
        unsafe { field::nb_segs(self.raw.as_ptr()) }
    }

    /// Length of the whole frame in bytes, all segments together, without FCS.
    #[inline]
    #[must_use]
    pub fn pkt_len(&self) -> usize {
        self.len32() as usize
    }

    #[inline]
    pub(crate) fn len32(&self) -> u32 {
        // SAFETY: the frame is owned.
        unsafe { field::pkt_len(self.raw.as_ptr()) }
    }

    /// Id of the port that received the frame; 65535 if none did.
    #[inline]
    #[must_use]
    pub fn port(&self) -> u16 {
        // SAFETY: the frame is owned.
        unsafe { field::port(self.raw.as_ptr()) }
    }

    /// `RTE_MBUF_F_*`: what the receiving device found out.
    #[inline]
    #[must_use]
    pub fn ol_flags(&self) -> u64 {
        // SAFETY: the frame is owned.
        unsafe { field::ol_flags(self.raw.as_ptr()) }
    }

    /// The receiving device's hash of the frame's flow, where it computed one
    /// (`RTE_MBUF_F_RX_RSS_HASH`).
    #[inline]
    #[must_use]
    pub fn rss_hash(&self) -> Option<u32> {
        let has_one = self.ol_flags() & c::SHIM_MBUF_F_RX_RSS_HASH != 0;
        // SAFETY: the frame is owned.
        has_one.then(|| unsafe { field::rss_hash(self.raw.as_ptr()) })
    }

    /// Makes a frame of one segment `len` bytes long; new bytes at its end are zero.
    ///
    /// # Errors
    /// [`ResizeError`] when the frame has several segments or its buffer is too short; the frame is
    /// as before.
    #[inline]
    pub fn resize(&mut self, len: usize) -> Result<(), ResizeError> {
        let (start, held) = {
            // SAFETY: the frame is owned.
            unsafe { data(self.raw) }
        };
        let room = self.room();
        let fits = u16::try_from(len).ok().filter(|&len| len <= room && self.segment_count() == 1);
        let Some(new) = fits else { return Err(ResizeError { len, room: usize::from(room) }) };
        if let Some(more) = len.checked_sub(held) {
            // SAFETY: held <= len <= room, so this is inside the buffer.
            let end = unsafe { start.add(held) };
            // SAFETY: from there, `more` bytes end at `len`, inside the buffer, and the frame is
            // owned.
            unsafe { end.write_bytes(0, more) };
        }
        // SAFETY: the frame is owned, has one segment, and the buffer has room for `new` bytes of
        // data.
        unsafe { field::set_len(self.raw.as_ptr(), new) };
        Ok(())
    }

    /// Bytes that the first segment's buffer can hold from its first data byte on.
    fn room(&self) -> u16 {
        // SAFETY: the frame is owned.
        let len = unsafe { field::buf_len(self.raw.as_ptr()) };
        // SAFETY: the frame is owned.
        len.saturating_sub(unsafe { field::data_off(self.raw.as_ptr()) })
    }

    /// Appends the segments of `tail` to this frame. DPDK: "the two packets must not be fragmented
    /// into too many segments", which is 65535 together.
    ///
    /// # Errors
    /// Gives `tail` back when there would be too many.
    pub fn append(&mut self, tail: Self) -> Result<(), Self> {
        // SAFETY: both frames are owned, and they are different because both are.
        let failed = unsafe { c::shim_chain(self.raw.as_ptr(), tail.raw.as_ptr()) };
        if failed != 0 {
            return Err(tail);
        }
        // The segments belong to `self` now.
        let _ = tail.into_raw();
        Ok(())
    }

    /// Asks for the first bytes to be brought into the cache; worth it some frames ahead of reading
    /// them.
    #[inline]
    pub fn prefetch(&self) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let (start, _) = {
                // SAFETY: the frame is owned.
                unsafe { data(self.raw) }
            };
            // SAFETY: a prefetch is a hint, allowed for any address.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.cast()) };
        }
    }

    /// Gives the frame away.
    #[inline]
    #[must_use]
    pub fn into_raw(self) -> NonNull<c::rte_mbuf> {
        ManuallyDrop::new(self).raw
    }

    /// Takes a frame over.
    ///
    /// # Safety
    /// `raw` is a frame that the caller owns, whose reference count is 1 and whose buffers nobody
    /// else reads or writes, out of a pool that lives as long as `'eal`.
    #[inline]
    #[must_use]
    pub unsafe fn from_raw(raw: NonNull<c::rte_mbuf>) -> Self {
        Self { raw, eal: PhantomData }
    }

    /// The C object, for reading and writing single fields.
    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut c::rte_mbuf {
        self.raw.as_ptr()
    }
}

/// Where the data of one segment lies: its first byte, and how many there are.
///
/// # Safety
/// `mbuf` is an initialised mbuf, and nobody else writes to it.
#[inline]
unsafe fn data(mbuf: NonNull<c::rte_mbuf>) -> (*mut u8, usize) {
    let mbuf = mbuf.as_ptr();
    // SAFETY: the caller's promise.
    let buffer = unsafe { field::buf_addr(mbuf) };
    // SAFETY: the caller's promise.
    let offset = unsafe { field::data_off(mbuf) };
    // SAFETY: the caller's promise.
    let len = unsafe { field::data_len(mbuf) };
    debug_assert!(
        // SAFETY: the caller's promise.
        usize::from(offset) + usize::from(len) <= usize::from(unsafe { field::buf_len(mbuf) }),
        "a driver delivered a frame that ends behind its buffer"
    );
    // SAFETY: whoever filled the mbuf (a driver, or this module) keeps data_off within the buffer.
    (unsafe { buffer.add(usize::from(offset)) }, usize::from(len))
}

/// The bytes of one segment.
///
/// # Safety
/// `mbuf` is an initialised mbuf, nobody writes to it or to its buffer during `'a`, and it is not
/// freed during `'a`.
#[inline]
unsafe fn segment<'a>(mbuf: NonNull<c::rte_mbuf>) -> &'a [u8] {
    // SAFETY: the caller's promise.
    let (start, len) = unsafe { data(mbuf) };
    // SAFETY: whoever filled the mbuf keeps data_off + data_len within the buffer, and its bytes
    // are initialised (pools are made of zeroed memory).
    unsafe { slice::from_raw_parts(start, len) }
}

impl frame::Frame for Mbuf<'_> {
    #[inline]
    fn head(&self) -> &[u8] {
        Mbuf::head(self)
    }

    #[inline]
    fn head_mut(&mut self) -> &mut [u8] {
        Mbuf::head_mut(self)
    }

    #[inline]
    fn wire_len(&self) -> usize {
        self.pkt_len()
    }

    #[inline]
    fn flow_hash(&self) -> Option<u32> {
        self.rss_hash()
    }

    fn resize(&mut self, len: usize) -> Result<(), frame::NoRoom> {
        Mbuf::resize(self, len).map_err(|_| frame::NoRoom)
    }
}

impl Drop for Mbuf<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the frame is owned, and its pool lives: the EAL is borrowed.
        unsafe { c::shim_free(self.raw.as_ptr()) };
    }
}

impl fmt::Debug for Mbuf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mbuf")
            .field("pkt_len", &self.pkt_len())
            .field("segments", &self.segment_count())
            .field("port", &self.port())
            .finish_non_exhaustive()
    }
}

/// The bytes of a frame, segment by segment; see [`Mbuf::segments`].
#[derive(Debug, Clone)]
pub struct Segments<'a> {
    next: Option<NonNull<c::rte_mbuf>>,
    /// Ends the walk even if the chain does not.
    left: u16,
    frame: PhantomData<&'a [u8]>,
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let mbuf = self.next?;
        self.left = self.left.checked_sub(1)?;
        // SAFETY: the segment belongs to the frame, which is borrowed during 'a.
        self.next = NonNull::new(unsafe { field::next(mbuf.as_ptr()) });
        // SAFETY: as above.
        Some(unsafe { segment(mbuf) })
    }
}

/// The frame's buffer can not hold that many bytes, or the frame has several segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a frame can not become {len} bytes long in a buffer with room for {room}, or has several segments"
)]
pub struct ResizeError {
    /// Bytes asked for.
    pub len: usize,
    /// Bytes that the first segment can hold.
    pub room: usize,
}

/// Why a frame could not be made from bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// No buffer is left.
    #[error(transparent)]
    PoolEmpty(#[from] PoolEmpty),
    /// The bytes do not fit into one buffer.
    #[error(transparent)]
    TooLong(#[from] ResizeError),
}

#[cfg(test)]
mod tests {
    //! Frames that Rust made, without an EAL: these run under Miri too.

    use super::*;

    /// An mbuf with its buffer behind it, as a pool lays them out, but owned by Rust. Never dropped
    /// as an `Mbuf`.
    struct Fake {
        mbuf: Box<c::rte_mbuf>,
        buffer: Vec<u8>,
    }

    impl Fake {
        fn new(data_off: u16, data: &[u8], buf_len: u16) -> Self {
            let mut buffer = vec![0xEE; usize::from(buf_len)];
            buffer[usize::from(data_off)..][..data.len()].copy_from_slice(data);
            let mut fake =
                Self { mbuf: Box::new(c::rte_mbuf { _bindgen_opaque_blob: [0; _] }), buffer };
            let len = u16::try_from(data.len()).unwrap();
            let start = fake.buffer.as_mut_ptr();
            fake.set(c::SHIM_MBUF_BUF_ADDR, start);
            fake.set(c::SHIM_MBUF_DATA_OFF, data_off);
            fake.set(c::SHIM_MBUF_BUF_LEN, buf_len);
            fake.set(c::SHIM_MBUF_DATA_LEN, len);
            fake.set(c::SHIM_MBUF_PKT_LEN, u32::from(len));
            fake.set(c::SHIM_MBUF_NB_SEGS, 1u16);
            fake
        }

        fn set<T>(&mut self, offset: usize, value: T) {
            // SAFETY: the offset is one of a field, so inside the mbuf.
            let field = unsafe { (&raw mut *self.mbuf).byte_add(offset) };
            // SAFETY: the field has this type.
            unsafe { field.cast::<T>().write(value) }
        }

        fn frame(&mut self) -> ManuallyDrop<Mbuf<'_>> {
            // SAFETY: owned by `self`; never freed, because ManuallyDrop.
            ManuallyDrop::new(unsafe { Mbuf::from_raw(NonNull::from(&mut *self.mbuf)) })
        }
    }

    #[test]
    fn head_is_the_data_between_headroom_and_tailroom() {
        let mut fake = Fake::new(16, b"frame", 64);
        let mut frame = fake.frame();
        assert_eq!(frame.head(), b"frame");
        assert_eq!((frame.pkt_len(), frame.segment_count()), (5, 1));
        frame.head_mut()[0] = b'F';
        assert_eq!(frame.segments().collect::<Vec<_>>(), [b"Frame"]);
    }

    #[test]
    fn resize_zeroes_what_is_new_and_stops_at_the_buffer() {
        let mut fake = Fake::new(16, b"frame", 32);
        let mut frame = fake.frame();
        frame.resize(8).unwrap();
        assert_eq!(frame.head(), b"frame\0\0\0");
        frame.resize(2).unwrap();
        assert_eq!((frame.head(), frame.pkt_len()), (&b"fr"[..], 2));
        frame.resize(16).unwrap();
        assert_eq!(frame.head(), b"fr\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        let before = frame.head().to_vec();
        for too_long in [17, 65_536 + 3, usize::MAX] {
            assert_eq!(frame.resize(too_long), Err(ResizeError { len: too_long, room: 16 }));
            assert_eq!(frame.head(), before);
        }
        frame.resize(0).unwrap();
        assert_eq!(frame.head(), b"");
    }

    #[test]
    fn a_chain_is_walked_in_order_and_not_resized() {
        let mut tail = Fake::new(0, b"tail", 8);
        let mut fake = Fake::new(4, b"head", 32);
        let next = &raw mut *tail.mbuf;
        fake.set(c::SHIM_MBUF_NEXT, next);
        fake.set(c::SHIM_MBUF_NB_SEGS, 2u16);
        fake.set(c::SHIM_MBUF_PKT_LEN, 8u32);
        let mut frame = fake.frame();
        assert_eq!(frame.segments().collect::<Vec<_>>(), [b"head", b"tail"]);
        assert_eq!(frame.pkt_len(), 8);
        assert!(frame.resize(2).is_err());
        assert_eq!(frame.head(), b"head");
    }

    #[test]
    fn the_flow_hash_counts_only_where_the_device_set_its_flag() {
        let mut fake = Fake::new(0, b"", 0);
        fake.set(c::SHIM_MBUF_RSS_HASH, 0xDEAD_BEEFu32);
        fake.set(c::SHIM_MBUF_PORT, 7u16);
        assert_eq!(fake.frame().rss_hash(), None);
        fake.set(c::SHIM_MBUF_OL_FLAGS, c::SHIM_MBUF_F_RX_RSS_HASH);
        assert_eq!(fake.frame().rss_hash(), Some(0xDEAD_BEEF));
        assert_eq!(fake.frame().port(), 7);
    }
}
