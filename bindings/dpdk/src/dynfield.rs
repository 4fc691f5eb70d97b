//! Fields that travel with a frame but are not in every mbuf: DPDK hands out the spare bytes of
//! `struct rte_mbuf` at run time, by name.
//!
//! # Safety
//! Reads and writes bytes of an mbuf at an offset that DPDK assigned to a field of that size and
//! alignment.

use std::ffi::{CStr, c_char, c_int};
use std::marker::PhantomData;

use dpdk_sys as c;

use crate::eal::Eal;
use crate::error::Errno;
use crate::mbuf::Mbuf;

/// Two clock stamps in every frame: when it was received, and the earliest moment at which it may
/// have arrived.
///
/// The unit is the caller's. A frame that nobody stamped holds what its buffer held before.
#[derive(Debug, Clone, Copy)]
pub struct Stamps<'eal> {
    offset: usize,
    eal: PhantomData<&'eal Eal>,
}

/// The name of the field of [`Stamps`].
const STAMPS: &CStr = c"barewire_stamps";

impl<'eal> Stamps<'eal> {
    /// Reserves the field, or finds it reserved already.
    ///
    /// # Errors
    /// When an mbuf has no 16 spare bytes left.
    pub fn register(eal: &'eal Eal) -> Result<Self, DynfieldError> {
        let mut params = c::rte_mbuf_dynfield::default();
        for (to, from) in params.name.iter_mut().zip(STAMPS.to_bytes_with_nul()) {
            *to = from.cast_signed() as c_char;
        }
        params.size = size_of::<[u64; 2]>();
        params.align = align_of::<u64>();
        let _control = eal.control();
        // SAFETY: the EAL is up; the parameters are complete and copied.
        let offset = unsafe { c::rte_mbuf_dynfield_register(&raw const params) };
        // It answers -1 and says in rte_errno why.
        let offset = usize::try_from(offset)
            .map_err(|_| DynfieldError { name: "barewire_stamps", source: Errno::last() })?;
        Ok(Self { offset, eal: PhantomData })
    }

    /// Stamps a frame.
    #[inline]
    pub fn set(&self, frame: &mut Mbuf<'_>, rx: u64, bound: u64) {
        // SAFETY: DPDK assigned 16 bytes at this offset to this field.
        let field = unsafe { frame.as_ptr().byte_add(self.offset) }.cast::<[u64; 2]>();
        // SAFETY: aligned as asked for at registration, and the frame is borrowed mutably.
        unsafe { field.write([rx, bound]) };
    }

    /// The stamps of a frame, `(rx, bound)`.
    #[inline]
    #[must_use]
    pub fn of(&self, frame: &Mbuf<'_>) -> (u64, u64) {
        // SAFETY: DPDK assigned 16 bytes at this offset to this field.
        let field = unsafe { frame.as_ptr().byte_add(self.offset) }.cast::<[u64; 2]>();
        // SAFETY: aligned as asked for at registration; initialised, because pools are made of
        // zeroed memory.
        let [rx, bound] = unsafe { field.read() };
        (rx, bound)
    }
}

/// The receive stamps that a device puts into frames itself, in ticks of its own clock
/// ([`PortObserver::read_clock`](crate::PortObserver::read_clock)).
///
/// Registering makes a place for them; a device fills it when its port was configured with
/// [`rx_timestamps`](crate::PortConfig::rx_timestamps) and offers the offload.
#[derive(Debug, Clone, Copy)]
pub struct RxTimestamps<'eal> {
    offset: usize,
    flag: u64,
    eal: PhantomData<&'eal Eal>,
}

impl<'eal> RxTimestamps<'eal> {
    /// Reserves the field and its flag, or finds them reserved already.
    ///
    /// # Errors
    /// When an mbuf has no spare bytes or flags left.
    pub fn register(eal: &'eal Eal) -> Result<Self, DynfieldError> {
        let (mut offset, mut flag): (c_int, u64) = (-1, 0);
        let _control = eal.control();
        // SAFETY: the EAL is up, and both pointers are to live variables.
        let answer =
            unsafe { c::rte_mbuf_dyn_rx_timestamp_register(&raw mut offset, &raw mut flag) };
        match usize::try_from(offset) {
            Ok(offset) if answer == 0 => Ok(Self { offset, flag, eal: PhantomData }),
            _ => Err(DynfieldError { name: "rte_dynfield_timestamp", source: Errno::last() }),
        }
    }

    /// When the device received the frame, if it said so.
    #[inline]
    #[must_use]
    pub fn of(&self, frame: &Mbuf<'_>) -> Option<u64> {
        if frame.ol_flags() & self.flag == 0 {
            return None;
        }
        // SAFETY: DPDK assigned 8 bytes at this offset to this field (rte_mbuf_timestamp_t).
        let field = unsafe { frame.as_ptr().byte_add(self.offset) }.cast::<u64>();
        // SAFETY: aligned as DPDK registered it; initialised, because pools are made of zeroed
        // memory.
        Some(unsafe { field.read() })
    }
}

/// An mbuf has no room for a dynamic field.
#[derive(Debug, thiserror::Error)]
#[error("the mbuf field \"{name}\" could not be registered")]
pub struct DynfieldError {
    /// The field.
    pub name: &'static str,
    /// What DPDK said.
    pub source: Errno,
}
