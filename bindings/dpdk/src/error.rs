//! What DPDK says when it can not do something.
//!
//! # Safety
//! Calls C for the text of an error number.

use std::ffi::{CStr, CString, c_int};
use std::fmt;

use dpdk_sys as c;

/// An error number as DPDK gives it: one of the system's, or one of its own above 1000.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(i32);

impl Errno {
    /// The device or the driver does not offer this.
    pub const NOT_SUPPORTED: Self = Self(95);

    /// No memory is left, or no entry in a table.
    pub const NO_MEMORY: Self = Self(12);

    /// The number, positive, such as 22 for EINVAL.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }

    /// `rte_errno` of the calling thread: where a function answers -1 or null, it left its reason
    /// there.
    pub(crate) fn last() -> Self {
        // SAFETY: reads a thread-local integer, which exists from the start of every thread.
        Self(unsafe { c::shim_errno() })
    }

    /// What drivers answer where they have a reason and no number for it: -1, which is EPERM's too.
    const UNNAMED: Self = Self(1);

    /// For functions that answer 0, or a negative error number.
    pub(crate) fn check(answer: c_int) -> Result<(), Self> {
        if answer < 0 { Err(Self(answer.saturating_neg())) } else { Ok(()) }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::UNNAMED {
            return write!(f, "it may not be done, or it was not said why (error 1)");
        }
        // SAFETY: rte_strerror takes any integer, and works before and after the EAL's time.
        let text = unsafe { c::rte_strerror(self.0) };
        // SAFETY: it returns a terminated string in a buffer of this thread's, which stays as it is
        // until the next call.
        let text = unsafe { CStr::from_ptr(text) };
        write!(f, "{} (error {})", text.to_string_lossy(), self.0)
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Errno {}

/// Text as C wants it, or `None` when it has a zero byte inside.
pub(crate) fn c_string(text: &str) -> Option<CString> {
    CString::new(text).ok()
}

/// The text of a fixed array of C characters that may be full.
pub(crate) fn text_of(array: &[std::ffi::c_char]) -> String {
    let bytes: Vec<u8> = array.iter().map(|c| c.cast_unsigned()).take_while(|b| *b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
