//! The calling thread: where it runs, what it is called, and how often it was interrupted.
//!
//! # Safety
//! Sets of more than 1024 CPUs do not fit the C library's `cpu_set_t`, nor rustix's; the two affinity calls are made
//! with masks of our own, which needs `unsafe`. Scheduling policies have no safe wrapper.

use std::{ffi::CString, io};

use config::{CpuId, CpuSet};
use rustix::mm::MlockAllFlags;

use crate::{ReadError, Root};

/// Words of a mask of every CPU that Linux can have.
const WORDS: usize = (CpuId::MAX.index() + 1) / 64;
/// The CPUs that `cpu_set_t`, and so core_affinity, can name.
const CPU_SETSIZE: u32 = 1024;

/// Why the affinity could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum AffinityError {
    /// The kernel refused.
    #[error("cannot run this thread on cpu {cpus}")]
    Set {
        /// Where it should run.
        cpus: CpuSet,
        /// The kernel's error: `EINVAL` when none of them is online and in the cpuset.
        source: io::Error,
    },
    /// The kernel did not refuse, and did something else.
    #[error("this thread was sent to cpu {wanted}, but may run on cpu {found}")]
    NotSet {
        /// Where it should run.
        wanted: CpuSet,
        /// Where it may run.
        found: CpuSet,
    },
    /// The affinity can not be read.
    #[error("cannot read this thread's affinity")]
    Read {
        /// The kernel's error.
        source: io::Error,
    },
}

/// The CPUs the calling thread may run on.
///
/// # Errors
/// [`AffinityError::Read`]
pub fn affinity() -> Result<CpuSet, AffinityError> {
    let mut words = [0_u64; WORDS];
    // SAFETY: sched_getaffinity(2) writes at most as many bytes as it is told, which is the size of `words`; 0 is the
    // calling thread. A cpu_set_t is an array of longs, with the alignment of u64 or less.
    let result = unsafe {
        libc::sched_getaffinity(
            0,
            size_of_val(&words),
            words.as_mut_ptr().cast::<libc::cpu_set_t>(),
        )
    };
    if result == -1 {
        return Err(AffinityError::Read { source: io::Error::last_os_error() });
    }
    let bits = words.iter().enumerate().flat_map(|(index, &word)| {
        (0..64_usize).filter(move |bit| word >> bit & 1 == 1).map(move |bit| index * 64 + bit)
    });
    Ok(bits.filter_map(|bit| u32::try_from(bit).ok().and_then(CpuId::new)).collect())
}

/// Let the calling thread run on these CPUs only. Threads it starts inherit that.
///
/// # Errors
/// [`AffinityError::Set`]; [`AffinityError::NotSet`] when the kernel took only some of them, for the others are offline
/// or not in the cpuset.
pub fn set_affinity(cpus: &CpuSet) -> Result<(), AffinityError> {
    apply(cpus)?;
    read_back(cpus)
}

fn apply(cpus: &CpuSet) -> Result<(), AffinityError> {
    let mut words = [0_u64; WORDS];
    for cpu in cpus.iter() {
        words[cpu.index() / 64] |= 1 << (cpu.index() % 64);
    }
    // SAFETY: sched_setaffinity(2) reads as many bytes as it is told, which is the size of `words`; 0 is the calling
    // thread. A cpu_set_t is an array of longs, with the alignment of u64 or less.
    let result = unsafe {
        libc::sched_setaffinity(0, size_of_val(&words), words.as_ptr().cast::<libc::cpu_set_t>())
    };
    if result == -1 {
        let source = io::Error::last_os_error();
        return Err(AffinityError::Set { cpus: cpus.clone(), source });
    }
    Ok(())
}

fn read_back(wanted: &CpuSet) -> Result<(), AffinityError> {
    let found = affinity()?;
    if &found == wanted {
        Ok(())
    } else {
        Err(AffinityError::NotSet { wanted: wanted.clone(), found })
    }
}

/// Pin the calling thread to one CPU, and look whether it is.
///
/// # Errors
/// [`AffinityError`]
pub fn pin(cpu: CpuId) -> Result<(), AffinityError> {
    let cpus = CpuSet::from_iter([cpu]);
    if cpu.get() >= CPU_SETSIZE {
        return set_affinity(&cpus);
    }
    if !core_affinity::set_for_current(core_affinity::CoreId { id: cpu.index() }) {
        return Err(AffinityError::Set { cpus, source: io::Error::last_os_error() });
    }
    read_back(&cpus)
}

/// Run `work` with the calling thread confined to these CPUs, then let it run where it could before: also when `work`
/// panics. Threads that `work` starts stay confined.
///
/// That the old affinity can not be restored (its CPUs went away meanwhile) is logged, and does not take the result.
///
/// # Errors
/// [`AffinityError`], before `work` ran.
pub fn with_affinity<R>(cpus: &CpuSet, work: impl FnOnce() -> R) -> Result<R, AffinityError> {
    struct Restore(CpuSet);
    impl Drop for Restore {
        fn drop(&mut self) {
            if let Err(error) = set_affinity(&self.0) {
                tracing::error!(cpus = %self.0, %error, "a thread's affinity was not restored");
            }
        }
    }

    let restore = Restore(affinity()?);
    set_affinity(cpus)?;
    let result = work();
    drop(restore);
    Ok(result)
}

/// The calling thread's number, as in `/proc/self/task`.
#[must_use]
pub fn id() -> u32 {
    rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()
}

/// Why a thread could not be named.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// The kernel keeps 15 bytes of a name, and would cut it off silently.
    #[error("thread name \"{name}\" is longer than 15 bytes or has a zero in it")]
    Unfit {
        /// The name.
        name: String,
    },
    /// The kernel refused.
    #[error("cannot name this thread")]
    Set {
        /// The kernel's error.
        source: io::Error,
    },
}

/// Name the calling thread, as `top -H` and debuggers show it.
///
/// # Errors
/// [`NameError`]
pub fn set_name(name: &str) -> Result<(), NameError> {
    let unfit = || NameError::Unfit { name: name.escape_default().to_string() };
    let text = CString::new(name).ok().filter(|text| text.as_bytes().len() <= 15);
    rustix::thread::set_name(&text.ok_or_else(unfit)?)
        .map_err(|errno| NameError::Set { source: errno.into() })
}

/// Keep all of this process's memory in RAM, what it has and what it will get, so that no page fault stalls a worker.
///
/// Every mapping counts against `RLIMIT_MEMLOCK` (`LimitMEMLOCK=infinity` in a unit), and is filled at once: the whole
/// stack of each thread too. Call it after the EAL has reserved its address space, which is far larger than memory.
///
/// # Errors
/// The kernel's: `ENOMEM` or `EPERM` when the limit is too low.
pub fn lock_memory() -> io::Result<()> {
    Ok(rustix::mm::mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE)?)
}

/// How the scheduler treats a thread (sched(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// As all others (SCHED_OTHER).
    Normal,
    /// Before all others, until it sleeps (SCHED_FIFO, at the lowest of its priorities). Who never sleeps leaves nothing of
    /// its CPU to others but what the kernel takes for them: 50 ms of a second, from Linux 6.8 on at the second's end.
    First,
}

/// Sets the policy of a thread of any process; 0 is the calling thread.
///
/// # Errors
/// The kernel's: `EPERM` without `CAP_SYS_NICE`, `ESRCH` when it is gone.
pub fn set_policy(thread: u32, policy: Policy) -> io::Result<()> {
    let thread = i32::try_from(thread).map_err(io::Error::other)?;
    let (policy, priority) = match policy {
        Policy::Normal => (libc::SCHED_OTHER, 0),
        Policy::First => (libc::SCHED_FIFO, 1),
    };
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: `parameters` is a whole sched_param, which the kernel only reads.
    let answer = unsafe { libc::sched_setscheduler(thread, policy, &raw const parameters) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// How often a thread left its CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Switches {
    /// It waited for something.
    pub voluntary: u64,
    /// Something else was given its CPU. Of a worker that polls, each is an interruption.
    pub involuntary: u64,
}

/// How often a thread of this process left its CPU.
///
/// # Errors
/// [`ReadError`]; [`ReadError::Missing`] when there is no such thread.
pub fn switches(root: &Root, thread: u32) -> Result<Switches, ReadError> {
    root.parse_with(
        &format!("proc/self/task/{thread}/status"),
        "the status of a thread",
        parse_switches,
    )
}

fn parse_switches(status: &str) -> Option<Switches> {
    let number = |label: &str| {
        let mut lines = status.lines();
        lines
            .find_map(|line| line.strip_prefix(label)?.strip_prefix(':')?.trim_ascii().parse().ok())
    };
    Some(Switches {
        voluntary: number("voluntary_ctxt_switches")?,
        involuntary: number("nonvoluntary_ctxt_switches")?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_pinned_thread_may_run_on_its_cpu_only() {
        let before = affinity().unwrap();
        let cpu = before.last().unwrap();

        pin(cpu).unwrap();

        assert_eq!(affinity().unwrap(), CpuSet::from_iter([cpu]));
        set_affinity(&before).unwrap();
        assert_eq!(affinity().unwrap(), before);
    }

    #[test]
    fn a_cpu_that_does_not_exist_is_refused() {
        for cpu in [CpuId::MAX, CpuId::new(1000).unwrap()] {
            assert!(matches!(pin(cpu), Err(AffinityError::Set { .. })), "{cpu}");
        }
        assert!(matches!(set_affinity(&CpuSet::new()), Err(AffinityError::Set { .. })));
    }

    #[test]
    fn a_set_with_a_cpu_that_does_not_exist_is_not_silently_less() {
        let before = affinity().unwrap();
        let mut wanted = before.clone();
        wanted.insert(CpuId::MAX);

        let result = set_affinity(&wanted);

        assert!(matches!(result, Err(AffinityError::NotSet { .. })), "{result:?}");
    }

    #[test]
    fn confined_work_runs_there_and_the_thread_comes_back() {
        let before = affinity().unwrap();
        let one = CpuSet::from_iter(before.first());

        let inside = with_affinity(&one, || affinity().unwrap()).unwrap();

        assert_eq!(inside, one);
        assert_eq!(affinity().unwrap(), before);
    }

    #[test]
    fn a_panic_inside_gives_the_affinity_back() {
        let before = affinity().unwrap();
        let one = CpuSet::from_iter(before.first());

        let panicked =
            std::panic::catch_unwind(|| with_affinity(&one, || -> () { panic!("expected") }));

        assert!(panicked.is_err());
        assert_eq!(affinity().unwrap(), before);
    }

    #[test]
    fn names_are_set_or_refused_never_cut() {
        set_name("fifteen-bytes-x").unwrap();

        assert_eq!(rustix::thread::name().unwrap().to_str(), Ok("fifteen-bytes-x"));
        assert!(matches!(set_name("sixteen-bytes-xx"), Err(NameError::Unfit { .. })));
        assert!(matches!(set_name("a\0b"), Err(NameError::Unfit { .. })));
    }

    #[test]
    fn a_thread_that_waits_is_seen_to_switch() {
        let (waiting, root) = (id(), Root::system().unwrap());
        let before = switches(&root, waiting).unwrap();

        // This thread waits until the other has seen it wait.
        let other = std::thread::spawn(move || {
            let deadline = Instant::now() + Duration::from_secs(30);
            while switches(&root, waiting).unwrap().voluntary == before.voluntary {
                assert!(Instant::now() < deadline, "no switch was counted");
                std::thread::yield_now();
            }
        });

        other.join().unwrap();
    }

    #[test]
    fn the_status_of_something_else_is_refused() {
        assert_eq!(parse_switches("voluntary_ctxt_switches: x"), None);
        assert_eq!(
            parse_switches("a:\t1\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n"),
            Some(Switches { voluntary: 12, involuntary: 3 })
        );
        let root = Root::system().unwrap();
        assert!(switches(&root, u32::MAX).unwrap_err().is_missing());
    }
}
