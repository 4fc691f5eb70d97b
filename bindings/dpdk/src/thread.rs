//! Threads of the caller's as lcores.
//!
//! # Safety
//! Calls `rte_thread_register` and `rte_thread_unregister`, which concern the calling thread: a
//! [`Registered`] stays on it.

use std::fmt;
use std::marker::PhantomData;

use dpdk_sys as c;

use crate::eal::Eal;
use crate::error::Errno;

/// The calling thread is an lcore, until this is dropped.
///
/// A mempool keeps a cache per lcore id, "which is accessed without lock": a thread without an id
/// goes to the shared ring for every burst. The id is the thread's own, so this value can not leave
/// the thread.
pub struct Registered<'eal> {
    lcore: u32,
    eal: PhantomData<&'eal Eal>,
    /// Not Send, not Sync: unregistering concerns the thread that registered.
    thread: PhantomData<*const ()>,
}

impl Registered<'_> {
    pub(crate) fn register(eal: &Eal) -> Result<Registered<'_>, ThreadError> {
        let _control = eal.control();
        if lcore_id().is_some() {
            return Err(ThreadError::Already);
        }
        // SAFETY: the EAL is up, since `eal` is borrowed.
        let failed = unsafe { c::rte_thread_register() } != 0;
        match lcore_id() {
            Some(lcore) if !failed => {
                Ok(Registered { lcore, eal: PhantomData, thread: PhantomData })
            }
            _ => Err(match Errno::last() {
                Errno::NO_MEMORY => ThreadError::NoneLeft { most: c::RTE_MAX_LCORE },
                other => ThreadError::Register(other),
            }),
        }
    }

    /// The lcore id of this thread.
    #[must_use]
    pub fn lcore(&self) -> u32 {
        self.lcore
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        // SAFETY: this thread is the one that was registered, because a Registered is not Send; the
        // EAL is still up, because it is borrowed.
        unsafe { c::rte_thread_unregister() };
    }
}

impl fmt::Debug for Registered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").field("lcore", &self.lcore).finish()
    }
}

/// The lcore id of the calling thread, if it is an lcore.
#[must_use]
pub fn lcore_id() -> Option<u32> {
    // SAFETY: reads a thread-local integer, which exists from the start of every thread.
    let id = unsafe { c::shim_lcore_id() };
    (id != c::SHIM_LCORE_ID_ANY).then_some(id)
}

/// Why a thread is not an lcore.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ThreadError {
    /// It is one already.
    #[error("the thread is an lcore already")]
    Already,
    /// All ids are in use, by the EAL's own lcores and registered threads.
    #[error("all {most} lcore ids are taken")]
    NoneLeft {
        /// How many there are.
        most: u32,
    },
    /// DPDK's own reason.
    #[error("rte_thread_register failed")]
    Register(#[source] Errno),
}
