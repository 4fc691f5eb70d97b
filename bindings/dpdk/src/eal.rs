//! The Environment Abstraction Layer: DPDK itself, once per process.
//!
//! # Safety
//! Calls `rte_eal_init` and `rte_eal_cleanup`. The first has to come before, and the second after,
//! every other DPDK call that touches memory of DPDK's: everything that makes such a call borrows
//! the [`Eal`].

use std::ffi::{CStr, CString, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dpdk_sys as c;
use rustix::thread::{sched_getaffinity, sched_setaffinity};

use crate::error::{Errno, text_of};
use crate::port::{Found, Port, PortError, Slot};
use crate::thread::{Registered, ThreadError};

/// DPDK, initialised. There is one per process; everything else in this crate borrows it, so it is
/// dropped last.
///
/// Dropping it calls `rte_eal_cleanup`: devices are closed, hugepages are given back.
///
/// # Sharing
/// `&Eal` may be used from every thread: the functions behind it that create or look up something
/// take a lock of the `Eal`'s, and those that concern one port the lock of that port.
#[derive(Debug)]
pub struct Eal {
    /// Held while something is created, registered or looked up by name: DPDK's documentation does
    /// not say which of these may run in parallel. Taken after the lock of a port, never before.
    control: Mutex<()>,
    /// By port id: who has the port, and the lock that every control call on it takes.
    ports: [Mutex<Slot>; c::RTE_MAX_ETHPORTS as usize],
}

/// Whether `rte_eal_init` has been called in this process. Set once, by whichever thread calls
/// [`Eal::init`] first; the swap is sequentially consistent, and nothing else is published through
/// it.
static INIT_CALLED: AtomicBool = AtomicBool::new(false);

impl Eal {
    /// Initialises DPDK with `args`, the EAL's options without a program name, such as `--no-huge`,
    /// `-m`, `64`.
    ///
    /// `rte_eal_init` pins the calling thread to the first of its lcores; the thread's affinity is
    /// put back as it was before this returns. Threads that the EAL itself starts (interrupts,
    /// control) take theirs from the calling thread, so call this on a thread that is confined
    /// to housekeeping CPUs, and pass one lcore among these (`--lcores 0@3`): packet threads
    /// are the caller's own, see [`Eal::register_thread`].
    ///
    /// DPDK says of `argc` and `argv`: "the contents of the array, as well as the strings which are
    /// pointed to by the array, may be modified by this function". So it gets copies, which
    /// stay for the rest of the process.
    ///
    /// # Errors
    /// [`EalError::Twice`] from the second call on, even if the first failed: a failed
    /// `rte_eal_init` can not in general be repeated. Otherwise what DPDK could not do; its log
    /// says more, see [`crate::log_to`].
    ///
    /// An option that makes DPDK print its usage and exit is refused: a library does not end the
    /// process. DPDK 25.11 does, all the same, on an option that it does not know.
    pub fn init(args: impl IntoIterator<Item = String>) -> Result<Self, EalError> {
        let mut strings = vec![c"barewire".to_owned()];
        for arg in args {
            if asks_for_help(&arg) {
                return Err(EalError::Help { arg });
            }
            strings.push(CString::new(arg).map_err(|e| EalError::ZeroByte {
                arg: String::from_utf8_lossy(&e.into_vec()).into_owned(),
            })?);
        }
        let argc = c_int::try_from(strings.len()).map_err(|_| EalError::TooManyArguments)?;
        if INIT_CALLED.swap(true, Ordering::SeqCst) {
            return Err(EalError::Twice);
        }
        let affinity = sched_getaffinity(None).map_err(|e| EalError::Affinity(e.into()))?;

        let mut argv: Vec<*mut c_char> = strings.into_iter().map(CString::into_raw).collect();
        argv.push(ptr::null_mut());
        let argv = Vec::leak(argv);
        // SAFETY: argv holds argc writable, terminated strings and a null; all of them are leaked,
        // so they outlive whatever the EAL keeps. The flag above makes this the only call
        // in the process.
        let parsed = unsafe { c::rte_eal_init(argc, argv.as_mut_ptr()) };
        let failed = (parsed < 0).then(Errno::last);

        let restored = sched_setaffinity(None, &affinity);
        if let Some(errno) = failed {
            return Err(EalError::Init(errno));
        }
        // From here on, dropping `eal` cleans up.
        let eal = Self {
            control: Mutex::new(()),
            ports: std::array::from_fn(|_| Mutex::new(Slot::default())),
        };
        restored.map_err(|e| EalError::Affinity(e.into()))?;
        // SAFETY: reads a value that rte_eal_init has set.
        if unsafe { c::rte_eal_process_type() } != c::RTE_PROC_PRIMARY {
            return Err(EalError::NotPrimary);
        }
        // It answers how many arguments it took; the program's name counts for none.
        if parsed + 1 < argc {
            return Err(EalError::Unused { count: argc - 1 - parsed });
        }
        Ok(eal)
    }

    /// The version of the DPDK that runs, such as `DPDK 22.11.11`. Needs no initialisation.
    #[must_use]
    pub fn version() -> &'static str {
        // SAFETY: the function has no requirements.
        let version = unsafe { c::rte_version() };
        // SAFETY: it returns a terminated string that is never freed nor changed.
        let version = unsafe { CStr::from_ptr(version) };
        version.to_str().unwrap_or("DPDK")
    }

    /// The directory that DPDK made for this process, under `/run/dpdk` as root. It goes when the `Eal` is dropped; a
    /// process that is killed leaves it.
    #[must_use]
    pub fn runtime_dir(&self) -> &Path {
        // SAFETY: the EAL is initialised, which is when the path is set.
        let path = unsafe { c::rte_eal_get_runtime_dir() };
        // SAFETY: it is a terminated string in static memory, which only rte_eal_init writes.
        let path = unsafe { CStr::from_ptr(path) };
        Path::new(OsStr::from_bytes(path.to_bytes()))
    }

    /// The names of all ports that the EAL has probed and that are not closed, in the order of
    /// their ids. A name is a PCI address, `0000:3b:00.0`, or that of a virtual device,
    /// `net_pcap0`.
    #[must_use]
    pub fn port_names(&self) -> Vec<String> {
        let _control = self.control();
        (0..u16::try_from(c::RTE_MAX_ETHPORTS).unwrap_or(u16::MAX)).filter_map(port_name).collect()
    }

    /// Claims the port of a probed device by its name; `3b:00.0` is short for `0000:3b:00.0`.
    ///
    /// # Errors
    /// [`PortError::NotFound`], [`PortError::Claimed`] when somebody has it already,
    /// [`PortError::Owned`] when another part of DPDK has it (a member of a bonding device,
    /// say).
    pub fn port(&self, name: &str) -> Result<Port<'_, Found>, PortError> {
        Port::claim(self, name)
    }

    /// Makes the calling thread an lcore, as long as the result lives: it gets an lcore id, and
    /// with it its own cache in every mempool.
    ///
    /// # Errors
    /// When no lcore id is left, or the thread has one: that which called [`Eal::init`] is the
    /// EAL's main lcore.
    pub fn register_thread(&self) -> Result<Registered<'_>, ThreadError> {
        Registered::register(self)
    }

    /// The lock for creating and registering things.
    pub(crate) fn control(&self) -> MutexGuard<'_, ()> {
        // A panic under this lock leaves nothing behind that it protects: DPDK's own structures are
        // changed by C alone.
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock for everything that concerns one port but its bursts.
    pub(crate) fn slot(&self, port: u16) -> MutexGuard<'_, Slot> {
        // As above; the slot itself is a plain value that is assigned in one go.
        self.ports[usize::from(port)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Eal {
    fn drop(&mut self) {
        let dir = self.runtime_dir().to_owned();
        // "After this call, no DPDK function calls may be made." All that could make one borrows
        // `self`, and is gone. SAFETY: rte_eal_init succeeded and this is the only
        // clean-up, since an Eal is neither Clone nor made elsewhere.
        let _failed = unsafe { c::rte_eal_cleanup() };
        // DPDK leaves it. Something of another process's in it keeps it.
        let _kept = std::fs::remove_dir(dir);
    }
}

/// The name of a port, or `None` where there is none of that id.
pub(crate) fn port_name(id: u16) -> Option<String> {
    // Asked for the name of none, DPDK logs an error.
    // SAFETY: the function takes any number.
    if unsafe { c::rte_eth_dev_is_valid_port(id) } == 0 {
        return None;
    }
    let mut name = [0; c::RTE_ETH_NAME_MAX_LEN as usize];
    // SAFETY: the buffer has the length that the function's documentation asks for.
    let answer = unsafe { c::rte_eth_dev_get_name_by_port(id, name.as_mut_ptr()) };
    (answer == 0).then(|| text_of(&name))
}

/// `-h`, `--help` and what getopt takes for it.
fn asks_for_help(arg: &str) -> bool {
    arg.starts_with("-h") || (arg.len() > 3 && "--help".starts_with(arg))
}

/// Why the EAL did not come up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EalError {
    /// DPDK can be initialised once in the life of a process.
    #[error("the EAL was initialised before in this process, which can be done once")]
    Twice,
    /// An argument can not be passed to C.
    #[error("EAL argument \"{arg}\" has a zero byte inside")]
    ZeroByte {
        /// The argument.
        arg: String,
    },
    /// More arguments than C can count.
    #[error("there are too many EAL arguments")]
    TooManyArguments,
    /// The EAL would print its usage and end the process.
    #[error("EAL argument \"{arg}\" asks for a help text; see the DPDK guide on EAL parameters")]
    Help {
        /// The argument.
        arg: String,
    },
    /// The EAL stopped reading its arguments early.
    #[error("the EAL left {count} of its arguments unused")]
    Unused {
        /// How many, at the end.
        count: i32,
    },
    /// The EAL joined another process, whose ports and pools this crate can not account for.
    #[error("the EAL came up as a secondary process; only a primary one is supported")]
    NotPrimary,
    /// The calling thread's CPU affinity could not be saved or put back.
    #[error("can not keep the CPU affinity of the calling thread")]
    Affinity(#[source] std::io::Error),
    /// DPDK's own reason.
    #[error("rte_eal_init failed")]
    Init(#[source] Errno),
}

#[cfg(test)]
mod tests {
    use super::asks_for_help;

    #[test]
    fn whatever_getopt_takes_for_help_is_refused() {
        for arg in ["-h", "-hv", "--help", "--hel", "--he"] {
            assert!(asks_for_help(arg), "{arg}");
        }
        for arg in ["--huge-dir", "--huge-unlink", "--no-huge", "-m", "--h", "--"] {
            assert!(!asks_for_help(arg), "{arg}");
        }
    }
}
