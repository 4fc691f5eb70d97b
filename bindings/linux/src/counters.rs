//! Counters of the processor and of the kernel, for one thread: `perf_event_open(2)`.
//!
//! What a thread did is read twice and subtracted; nothing is sampled, and nothing runs meanwhile. A virtual machine
//! often has no counters of the processor, and an unprivileged user may count less than root: each event says for itself
//! why it has no count.
//!
//! # Safety
//! The system call has no function in the C library, and takes a structure of its own.

use std::{
    collections::BTreeMap,
    fmt, io,
    os::fd::{FromRawFd, OwnedFd},
};

use serde::{Deserialize, Serialize};

/// What can be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Cycles of the core while the thread ran.
    Cycles,
    /// Instructions that retired.
    Instructions,
    /// Accesses of the last cache, as this processor counts them.
    CacheReferences,
    /// Those of them that missed.
    CacheMisses,
    /// Branches that retired.
    Branches,
    /// Those of them that were predicted wrongly.
    BranchMisses,
    /// Nanoseconds for which the thread ran.
    TaskClock,
    /// How often it left its CPU.
    ContextSwitches,
    /// How often it came back on another.
    CpuMigrations,
    /// How often it touched memory that was not mapped.
    PageFaults,
}

/// `PERF_TYPE_HARDWARE` and `PERF_TYPE_SOFTWARE` of `linux/perf_event.h`.
const HARDWARE: u32 = 0;
const SOFTWARE: u32 = 1;

impl Event {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Cycles,
        Self::Instructions,
        Self::CacheReferences,
        Self::CacheMisses,
        Self::Branches,
        Self::BranchMisses,
        Self::TaskClock,
        Self::ContextSwitches,
        Self::CpuMigrations,
        Self::PageFaults,
    ];

    /// Type and number, as in `linux/perf_event.h`: `PERF_COUNT_HW_*` and `PERF_COUNT_SW_*`.
    const fn code(self) -> (u32, u64) {
        match self {
            Self::Cycles => (HARDWARE, 0),
            Self::Instructions => (HARDWARE, 1),
            Self::CacheReferences => (HARDWARE, 2),
            Self::CacheMisses => (HARDWARE, 3),
            Self::Branches => (HARDWARE, 4),
            Self::BranchMisses => (HARDWARE, 5),
            Self::TaskClock => (SOFTWARE, 1),
            Self::PageFaults => (SOFTWARE, 2),
            Self::ContextSwitches => (SOFTWARE, 3),
            Self::CpuMigrations => (SOFTWARE, 4),
        }
    }

    /// Does the processor count it, not the kernel?
    #[must_use]
    pub const fn is_hardware(self) -> bool {
        self.code().0 == HARDWARE
    }

    /// A count without the kernel's part would be 0 whatever happened, for it happens there.
    const fn is_of_the_kernel(self) -> bool {
        matches!(self, Self::ContextSwitches | Self::CpuMigrations)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cycles => "cycles",
            Self::Instructions => "instructions",
            Self::CacheReferences => "cache references",
            Self::CacheMisses => "cache misses",
            Self::Branches => "branches",
            Self::BranchMisses => "branch misses",
            Self::TaskClock => "task clock",
            Self::ContextSwitches => "context switches",
            Self::CpuMigrations => "CPU migrations",
            Self::PageFaults => "page faults",
        })
    }
}

/// Whose events are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The calling thread's.
    ThisThread,
    /// A thread's, by its number: an entry of `/proc/PID/task`.
    Thread(u32),
}

/// Why an event is not counted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CounterError {
    /// `EACCES`, `EPERM`.
    #[error(
        "{event} may not be counted: kernel.perf_event_paranoid is {}; root or CAP_PERFMON may", paranoid(*.level)
    )]
    Refused {
        /// What.
        event: Event,
        /// `/proc/sys/kernel/perf_event_paranoid`, where it could be read.
        level: Option<i32>,
    },
    /// `ENOENT`, `ENODEV`, `EOPNOTSUPP`.
    #[error(
        "{event} are not counted here ({errno}): this processor, or the virtual machine's, has no counter for it"
    )]
    NoCounter {
        /// What.
        event: Event,
        /// The kernel's word for it.
        errno: &'static str,
    },
    /// `ENOSYS`.
    #[error("this kernel counts nothing: it is built without perf events")]
    NoKernel,
    /// `ESRCH`.
    #[error("thread {id} is gone")]
    Gone {
        /// Its number.
        id: u32,
    },
    /// Anything else: too many files are open, memory is short, …
    #[error("{event} can not be counted: {why}")]
    System {
        /// What.
        event: Event,
        /// The kernel's error.
        why: String,
    },
}

fn paranoid(level: Option<i32>) -> String {
    level.map_or_else(|| "not readable".to_owned(), |level| level.to_string())
}

/// `struct perf_event_attr` of `linux/perf_event.h` in its first version, which every kernel takes.
#[repr(C)]
#[derive(Debug)]
struct Attributes {
    kind: u32,
    size: u32,
    config: u64,
    sample_period: u64,
    sample_type: u64,
    read_format: u64,
    flags: u64,
    wakeup_events: u32,
    breakpoint_type: u32,
    config1: u64,
}

/// `PERF_ATTR_SIZE_VER0`.
const SIZE: u32 = 64;
const _: () = assert!(size_of::<Attributes>() == SIZE as usize);

/// `PERF_FORMAT_TOTAL_TIME_ENABLED` and `PERF_FORMAT_TOTAL_TIME_RUNNING`.
const TIMES: u64 = 1 | 2;
/// Bits of `flags`, in the order of the header's bit field.
const EXCLUDE_KERNEL: u64 = 1 << 5;
const EXCLUDE_HYPERVISOR: u64 = 1 << 6;
/// `PERF_FLAG_FD_CLOEXEC`.
const CLOEXEC: libc::c_ulong = 8;

/// One event that is being counted.
#[derive(Debug)]
struct Counter {
    file: OwnedFd,
    is_user_only: bool,
}

/// As the kernel writes it with [`TIMES`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Reading {
    value: u64,
    enabled: u64,
    running: u64,
}

/// What an event came to between two readings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// How often; estimated from the share of the time in which it was counted.
    pub value: u64,
    /// That share, from 0 to 1: less than 1 when the processor had fewer counters than were asked for.
    pub share: f64,
    /// The kernel's part is not in it, for that may not be counted here.
    pub is_user_only: bool,
}

/// Events of one thread, counted from now on.
#[derive(Debug)]
pub struct Counters {
    counted: BTreeMap<Event, (Counter, Reading)>,
    /// Why others are not.
    failed: BTreeMap<Event, CounterError>,
}

impl Counters {
    /// Begins to count. `level` is `kernel.perf_event_paranoid`, for what is said where counting is refused.
    ///
    /// Always succeeds: an event that can't be counted says why in [`counts`](Self::counts).
    #[must_use]
    pub fn start(of: Of, events: &[Event], level: Option<i32>) -> Self {
        let (mut counted, mut failed) = (BTreeMap::new(), BTreeMap::new());
        for &event in events {
            match Counter::open(of, event, level) {
                Ok(counter) => _ = counted.insert(event, (counter, Reading::default())),
                Err(error) => _ = failed.insert(event, error),
            }
        }
        let mut counters = Self { counted, failed };
        counters.restart();
        counters
    }

    /// Counts from now on; what was until now is forgotten.
    pub fn restart(&mut self) {
        for (event, (counter, begin)) in &mut self.counted {
            match counter.read() {
                Ok(reading) => *begin = reading,
                Err(error) => _ = self.failed.insert(*event, unread(*event, &error)),
            }
        }
        self.counted.retain(|event, _| !self.failed.contains_key(event));
    }

    /// What each event came to since it began; or why that is not known.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Event, Result<Count, CounterError>> {
        let failed = self.failed.iter().map(|(event, error)| (*event, Err(error.clone())));
        let counted = self.counted.iter().map(|(event, (counter, begin))| {
            let count = match counter.read() {
                Ok(end) => between(*begin, end, counter.is_user_only).ok_or_else(|| never(*event)),
                Err(error) => Err(unread(*event, &error)),
            };
            (*event, count)
        });
        failed.chain(counted).collect()
    }
}

fn never(event: Event) -> CounterError {
    let why = "others had all of the processor's counters meanwhile".to_owned();
    CounterError::System { event, why }
}

fn unread(event: Event, error: &io::Error) -> CounterError {
    CounterError::System { event, why: error.to_string() }
}

/// None when the thread ran and had no counter. Both times stand still while it doesn't run.
fn between(begin: Reading, end: Reading, is_user_only: bool) -> Option<Count> {
    let enabled = end.enabled.checked_sub(begin.enabled)?;
    let running = end.running.checked_sub(begin.running)?;
    let seen = end.value.checked_sub(begin.value)?;
    if enabled == 0 {
        return Some(Count { value: 0, share: 1.0, is_user_only });
    }
    if running == 0 {
        return None;
    }
    let scaled = u128::from(seen) * u128::from(enabled) / u128::from(running);
    #[expect(clippy::cast_precision_loss, reason = "a share is shown with two digits")]
    let share = (running as f64 / enabled as f64).min(1.0);
    Some(Count { value: u64::try_from(scaled).unwrap_or(u64::MAX), share, is_user_only })
}

impl Counter {
    /// With the kernel's part; without it where that is refused, and the event has another.
    fn open(of: Of, event: Event, level: Option<i32>) -> Result<Self, CounterError> {
        match open(of, event, EXCLUDE_HYPERVISOR) {
            Ok(file) => Ok(Self { file, is_user_only: false }),
            Err(error) => match error.raw_os_error() {
                Some(libc::EACCES | libc::EPERM) if !event.is_of_the_kernel() => {
                    let file = open(of, event, EXCLUDE_HYPERVISOR | EXCLUDE_KERNEL)
                        .map_err(|error| why(of, event, level, &error))?;
                    Ok(Self { file, is_user_only: true })
                }
                _ => Err(why(of, event, level, &error)),
            },
        }
    }

    fn read(&self) -> io::Result<Reading> {
        let mut bytes = [0; 24];
        let read = rustix::io::read(&self.file, &mut bytes)?;
        if read != bytes.len() {
            return Err(io::Error::other(format!("{read} bytes instead of 24")));
        }
        let word = |index: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
            u64::from_ne_bytes(word)
        };
        Ok(Reading { value: word(0), enabled: word(1), running: word(2) })
    }
}

fn open(of: Of, event: Event, flags: u64) -> io::Result<OwnedFd> {
    let (kind, config) = event.code();
    let attributes = Attributes {
        kind,
        size: SIZE,
        config,
        sample_period: 0,
        sample_type: 0,
        read_format: TIMES,
        flags,
        wakeup_events: 0,
        breakpoint_type: 0,
        config1: 0,
    };
    let id = match of {
        Of::ThisThread => 0,
        Of::Thread(id) => {
            libc::pid_t::try_from(id).map_err(|_| io::Error::from_raw_os_error(libc::ESRCH))?
        }
    };
    let (any_cpu, no_group): (libc::c_int, libc::c_int) = (-1, -1);
    // SAFETY: perf_event_open(2) reads `size` bytes of the attributes, which are a live structure of that size laid out
    // as the header's, and writes none; the other four arguments are numbers of the types that it takes.
    let file = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            id,
            any_cpu,
            no_group,
            CLOEXEC,
        )
    };
    let file = libc::c_int::try_from(file).map_err(io::Error::other)?;
    if file < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened this descriptor for us, and nobody else knows its number.
    Ok(unsafe { OwnedFd::from_raw_fd(file) })
}

fn why(of: Of, event: Event, level: Option<i32>, error: &io::Error) -> CounterError {
    match (error.raw_os_error(), of) {
        (Some(libc::EACCES | libc::EPERM), _) => CounterError::Refused { event, level },
        (Some(libc::ENOENT), _) => CounterError::NoCounter { event, errno: "ENOENT" },
        (Some(libc::ENODEV), _) => CounterError::NoCounter { event, errno: "ENODEV" },
        (Some(libc::EOPNOTSUPP), _) => CounterError::NoCounter { event, errno: "EOPNOTSUPP" },
        (Some(libc::ENOSYS), _) => CounterError::NoKernel,
        (Some(libc::ESRCH), Of::Thread(id)) => CounterError::Gone { id },
        _ => CounterError::System { event, why: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    #[test]
    fn a_thread_that_touches_new_memory_has_page_faults_and_ran() {
        let events = [Event::TaskClock, Event::PageFaults];
        let counters = Counters::start(Of::ThisThread, &events, None);
        // 4 MiB of new pages: at least one fault, however large pages are.
        let mut pages = vec![1_u8; 4 << 20];
        pages.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1));
        black_box(&pages);

        let counts = counters.counts();

        match (&counts[&Event::PageFaults], &counts[&Event::TaskClock]) {
            (Ok(faults), Ok(clock)) => {
                assert!(faults.value >= 1, "{counts:?}");
                assert!(clock.value > 0, "{counts:?}");
                assert!((clock.share - 1.0).abs() < 1e-9, "software events are always counted");
            }
            // A container may forbid the call altogether.
            (Err(error @ (CounterError::Refused { .. } | CounterError::NoKernel)), _) => {
                eprintln!("SKIPPED: page faults of this thread: {error}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn restarting_forgets_what_was() {
        let mut counters = Counters::start(Of::ThisThread, &[Event::PageFaults], None);
        let pages = vec![1_u8; 8 << 20];
        black_box(&pages);
        counters.restart();

        match &counters.counts()[&Event::PageFaults] {
            Ok(count) => assert!(count.value < 64, "{count:?}"),
            Err(error) => eprintln!("SKIPPED: restart of counters: {error}"),
        }
    }

    #[test]
    fn every_event_is_counted_or_says_why_not() {
        let counters = Counters::start(Of::ThisThread, &Event::ALL, Some(4));
        let counts = counters.counts();

        assert_eq!(counts.len(), Event::ALL.len());
        for (event, count) in counts {
            if let Err(error) = count {
                assert!(!error.to_string().is_empty(), "{event}");
                eprintln!("{event}: {error}");
            }
        }
    }

    #[test]
    fn a_thread_that_is_not_there_is_gone() {
        // Numbers above the greatest that the kernel gives out.
        for id in [u32::MAX, 1 << 30] {
            let counts = Counters::start(Of::Thread(id), &[Event::TaskClock], Some(2)).counts();
            let found = counts[&Event::TaskClock].clone().unwrap_err();
            let expected = matches!(
                found,
                CounterError::Gone { .. } | CounterError::Refused { .. } | CounterError::NoKernel
            );
            assert!(expected, "{found:?}");
        }
    }

    #[test]
    fn each_refusal_has_its_reason() {
        let said = |code: i32| {
            why(Of::Thread(7), Event::Cycles, Some(4), &io::Error::from_raw_os_error(code))
                .to_string()
        };

        assert!(said(libc::EACCES).contains("perf_event_paranoid is 4"), "{}", said(libc::EACCES));
        assert_eq!(said(libc::EPERM), said(libc::EACCES));
        for (code, name) in
            [(libc::ENOENT, "ENOENT"), (libc::ENODEV, "ENODEV"), (libc::EOPNOTSUPP, "EOPNOTSUPP")]
        {
            assert!(said(code).contains(name), "{}", said(code));
        }
        assert_eq!(said(libc::ESRCH), "thread 7 is gone");
        assert!(said(libc::ENOSYS).contains("built without perf events"));
        assert!(said(libc::EMFILE).starts_with("cycles can not be counted: "));
    }

    #[test]
    fn a_count_is_scaled_by_the_share_of_the_time_it_was_counted_in() {
        let begin = Reading { value: 10, enabled: 100, running: 100 };
        let end = Reading { value: 60, enabled: 300, running: 200 };
        assert_eq!(
            between(begin, end, true),
            Some(Count { value: 100, share: 0.5, is_user_only: true })
        );
        assert_eq!(
            between(begin, begin, false),
            Some(Count { value: 0, share: 1.0, is_user_only: false }),
            "it slept"
        );
        let waited = Reading { enabled: 300, ..begin };
        assert_eq!(between(begin, waited, false), None, "it ran and was not counted");
        assert_eq!(between(end, begin, false), None, "counters do not run backwards");
    }
}
