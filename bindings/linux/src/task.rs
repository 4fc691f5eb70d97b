//! Threads, the kernel's and others': what they are called, where they may run, where they ran, and how they are
//! scheduled.
//!
//! Sources: proc_pid_stat(5), proc_pid_status(5) of man-pages 6.9; `PF_*` in Linux 6.18 `include/linux/sched.h`.

use config::{CpuId, CpuSet};
use serde::{Deserialize, Serialize};

use crate::{Known, ReadError, Root, text};

/// A thread of the kernel (`PF_KTHREAD`).
const PF_KTHREAD: u32 = 0x0020_0000;
/// A thread of the kernel whose affinity nobody may change (`PF_NO_SETAFFINITY`): `ksoftirqd/3`, `kworker/3:0`.
const PF_NO_SETAFFINITY: u32 = 0x0400_0000;

/// What `/proc/PID/stat` says of a thread, as far as it is of use here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// Its number.
    pub id: u32,
    /// Its name: 15 bytes at most, for kernel workers up to 63.
    pub name: String,
    /// `R` runs or wants to, `S` sleeps, `D` waits for a device, `Z` is over.
    pub state: char,
    /// The number of the process that started it.
    pub parent: u32,
    /// `PF_*` of the kernel.
    pub flags: u32,
    /// Page faults that needed no reading.
    pub minor_faults: u64,
    /// Page faults that read from a device.
    pub major_faults: u64,
    /// Time it ran in its own code, in ticks of `CLK_TCK`.
    pub user_ticks: u64,
    /// Time it ran in the kernel, in ticks of `CLK_TCK`.
    pub system_ticks: u64,
    /// When it was started: ticks of `CLK_TCK` since boot.
    pub started: u64,
    /// The CPU that it ran on last, or runs on.
    pub last_cpu: CpuId,
    /// Its real-time priority, 1 to 99; 0 when it has none.
    pub rt_priority: u32,
    /// How it is scheduled.
    pub policy: Policy,
}

/// How a thread is scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// `SCHED_OTHER`: as everybody.
    Other,
    /// `SCHED_FIFO`: until it waits.
    Fifo,
    /// `SCHED_RR`: real time, in turns with others of its priority.
    RoundRobin,
    /// `SCHED_BATCH`
    Batch,
    /// `SCHED_IDLE`
    Idle,
    /// `SCHED_DEADLINE`
    Deadline,
    /// `SCHED_EXT`: by a BPF program.
    Ext,
    /// A policy that is newer than this program.
    Unheard(u32),
}

impl Policy {
    /// The policy of this number in `include/uapi/linux/sched.h`.
    #[must_use]
    pub fn of(number: u32) -> Self {
        match number {
            0 => Self::Other,
            1 => Self::Fifo,
            2 => Self::RoundRobin,
            3 => Self::Batch,
            5 => Self::Idle,
            6 => Self::Deadline,
            7 => Self::Ext,
            other => Self::Unheard(other),
        }
    }

    /// Does it come before everything that is not real time, for as long as it wants to run?
    #[must_use]
    pub fn is_real_time(self) -> bool {
        matches!(self, Self::Fifo | Self::RoundRobin | Self::Deadline)
    }
}

impl Stat {
    /// Reads a line of `/proc/PID/stat`; `None` when it is something else.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (id, rest) = line.split_once(" (")?;
        // A name may hold brackets and blanks; what follows the last bracket does not.
        let (name, rest) = rest.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        // Numbered as in the manual page, where the state is the third.
        let field = |number: usize| fields.get(number.checked_sub(3)?).copied();
        let wide = |number| field(number)?.parse::<u64>().ok();
        let narrow = |number| field(number)?.parse::<u32>().ok();
        let mut state = field(3)?.chars();
        Some(Self {
            id: id.trim_ascii().parse().ok()?,
            name: name.to_owned(),
            state: state.next().filter(|_| state.next().is_none())?,
            parent: narrow(4)?,
            flags: narrow(9)?,
            minor_faults: wide(10)?,
            major_faults: wide(12)?,
            user_ticks: wide(14)?,
            system_ticks: wide(15)?,
            started: wide(22)?,
            last_cpu: CpuId::new(narrow(39)?)?,
            rt_priority: narrow(40)?,
            policy: Policy::of(narrow(41)?),
        })
    }

    /// Is it a thread of the kernel?
    #[must_use]
    pub fn is_kernel(&self) -> bool {
        self.flags & PF_KTHREAD != 0
    }

    /// Has the kernel fixed where it runs, so that nobody else can?
    #[must_use]
    pub fn is_bound(&self) -> bool {
        self.flags & PF_NO_SETAFFINITY != 0
    }
}

/// What `/proc/PID/status` says of a thread, as far as it is of use here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its process.
    pub process: u32,
    /// The CPUs it may run on.
    pub allowed: CpuSet,
    /// The nodes its memory may come from, as a list; none on a kernel without NUMA.
    pub memory_nodes: Option<String>,
    /// How often it waited for something.
    pub voluntary: u64,
    /// How often its CPU was given to somebody else.
    pub involuntary: u64,
}

impl Status {
    /// Reads the text of `/proc/PID/status`; `None` when it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let field = |label: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(label)?.strip_prefix(':'))
                .map(str::trim_ascii)
        };
        Some(Self {
            process: field("Tgid")?.parse().ok()?,
            allowed: text::cpu_list(field("Cpus_allowed_list")?)?,
            memory_nodes: field("Mems_allowed_list").map(str::to_owned),
            // A kernel without CONFIG_SCHED_INFO has them all the same; they are never left out.
            voluntary: field("voluntary_ctxt_switches")?.parse().ok()?,
            involuntary: field("nonvoluntary_ctxt_switches")?.parse().ok()?,
        })
    }
}

/// What `/proc/PID/schedstat` says of a thread (`Documentation/scheduler/sched-stats.rst` of Linux 6.18).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Time on a CPU, in nanoseconds; what it runs just now is added from time to time only.
    pub ran_ns: u64,
    /// Time that it wanted a CPU and had none, in nanoseconds.
    pub waited_ns: u64,
    /// How often it was given a CPU.
    pub times: u64,
}

impl Schedule {
    /// Reads the text of `/proc/PID/schedstat`; `None` when it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split_ascii_whitespace().map(str::parse);
        let mut next = || fields.next()?.ok();
        Some(Self { ran_ns: next()?, waited_ns: next()?, times: next()? })
    }

    /// Reads it of one thread. A kernel without `CONFIG_SCHED_INFO` has no such file.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn read(root: &Root, process: u32, thread: u32) -> Result<Self, ReadError> {
        let path = format!("proc/{process}/task/{thread}/schedstat");
        root.parse_with(&path, "three numbers", Self::parse)
    }
}

/// One thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Task {
    /// The process it belongs to.
    pub process: u32,
    /// What it is, where it ran, how it is scheduled.
    pub stat: Stat,
    /// Where it may run, and how often it was stopped. Not read of kernel threads that are
    /// [bound](Stat::is_bound): of a large machine's tens of thousands nearly all are.
    pub status: Known<Status>,
}

/// All threads, or the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tasks {
    /// The threads, process by process.
    pub threads: Vec<Task>,
    /// There were more of them than were asked for.
    pub is_cut: bool,
}

/// Every thread of every process, but at most `limit` of them. Those that end meanwhile are left out.
///
/// # Errors
/// [`ReadError`] when the processes can not be listed. What is wrong with a single one is its own.
pub fn all(root: &Root, limit: usize) -> Result<Tasks, ReadError> {
    let mut tasks = Tasks::default();
    let processes = root.names("proc")?;
    let mut processes: Vec<u32> =
        processes.iter().filter_map(|name| text::numbered(name, "")).collect();
    processes.sort_unstable();
    for process in processes {
        let names = match root.names(&format!("proc/{process}/task")) {
            Ok(names) => names,
            Err(error) if error.is_missing() => continue,
            // Hidden processes (hidepid=) are not listed at all; this is odd, and the process one we know of.
            Err(_) => vec![process.to_string()],
        };
        for thread in names.iter().filter_map(|name| text::numbered(name, "")) {
            if tasks.threads.len() == limit {
                tasks.is_cut = true;
                return Ok(tasks);
            }
            tasks.threads.extend(one(root, process, thread));
        }
    }
    Ok(tasks)
}

/// One thread; `None` when it is gone or what the kernel says of it is no such line.
#[must_use]
pub fn one(root: &Root, process: u32, thread: u32) -> Option<Task> {
    let dir = format!("proc/{process}/task/{thread}");
    let stat = root.text(&format!("{dir}/stat")).ok().and_then(|line| Stat::parse(&line))?;
    let status = if stat.is_kernel() && stat.is_bound() {
        Known::unknown("the kernel binds it, so it was not looked at")
    } else {
        root.parse_with(&format!("{dir}/status"), "the status of a thread", Status::parse).into()
    };
    Some(Task { process, stat, status })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STAT: &str = "1234 (a (b) c) S 1 2 3 0 -1 4194560 11 12 13 14 15 16 17 18 20 0 1 0 2200 4096 5 \
                        18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 3 50 1 0 0 0 0 0 0 0 0 0 0 0";

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = Stat::parse(STAT).unwrap();

        assert_eq!((stat.id, stat.name.as_str(), stat.state), (1234, "a (b) c", 'S'));
        assert_eq!((stat.parent, stat.minor_faults, stat.major_faults), (1, 11, 13));
        assert_eq!((stat.user_ticks, stat.system_ticks, stat.started), (15, 16, 2200));
        assert_eq!((stat.last_cpu.get(), stat.rt_priority), (3, 50));
        assert_eq!(stat.policy, Policy::Fifo);
        assert!(!stat.is_kernel() && !stat.is_bound());
    }

    #[test]
    fn the_flags_tell_kernel_threads_and_bound_ones() {
        let with = |flags: u32| Stat::parse(&STAT.replace("4194560", &flags.to_string())).unwrap();

        assert!(with(PF_KTHREAD).is_kernel() && !with(PF_KTHREAD).is_bound());
        assert!(with(PF_NO_SETAFFINITY).is_bound() && !with(PF_NO_SETAFFINITY).is_kernel());
        // ksoftirqd/0 of Linux 6.18.
        assert!(with(69_238_848).is_kernel() && with(69_238_848).is_bound());
    }

    #[test]
    fn the_real_time_policies_are_fifo_rr_and_deadline() {
        let real: Vec<u32> = (0..10).filter(|&number| Policy::of(number).is_real_time()).collect();
        assert_eq!(real, [1, 2, 6]);
    }

    #[test]
    fn what_is_no_stat_line_is_none() {
        for odd in ["", "1", "1 (a", "1 (a) ", "x (a) S 1", "1 (a) SS 1 2", &STAT[..80]] {
            assert_eq!(Stat::parse(odd), None, "{odd}");
        }
        let far = STAT.replace(" 17 3 50 ", " 17 8192 50 ");
        assert_eq!(Stat::parse(&far), None);
    }

    #[test]
    fn a_status_is_read_by_its_labels() {
        let text = "Name:\tx\nTgid:\t7\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\nMems_allowed_list:\t0\n\
                    voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t6\n";
        let status = Status::parse(text).unwrap();

        assert_eq!((status.process, status.allowed.to_string()), (7, "0-7".to_owned()));
        assert_eq!((status.voluntary, status.involuntary), (5, 6));
        assert_eq!(status.memory_nodes.as_deref(), Some("0"));
        assert_eq!(Status::parse("Name:\tx\n"), None);
    }

    #[test]
    fn a_schedule_is_three_numbers() {
        let schedule = Schedule::parse("123 45 6\n");
        assert_eq!(schedule, Some(Schedule { ran_ns: 123, waited_ns: 45, times: 6 }));
        for odd in ["", "1 2", "1 x 3", "-1 2 3"] {
            assert_eq!(Schedule::parse(odd), None, "{odd}");
        }
        let me = std::process::id();
        assert!(Schedule::read(&Root::system().unwrap(), me, me).unwrap().times > 0);
    }

    #[test]
    fn the_threads_of_this_process_are_among_all() {
        let root = Root::system().unwrap();
        let me = std::process::id();

        let tasks = all(&root, 1_000_000).unwrap();
        let mine: Vec<&Task> = tasks.threads.iter().filter(|task| task.process == me).collect();

        assert!(!mine.is_empty() && !tasks.is_cut);
        assert!(mine.iter().all(|task| task.status.known().is_some_and(|s| s.process == me)));
        let few = all(&root, 1).unwrap();
        assert!(few.is_cut && few.threads.len() == 1);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC{0,200}") {
            let _ = Stat::parse(&text);
            let _ = Status::parse(&text);
            let _ = Schedule::parse(&text);
        }

        #[test]
        fn any_name_is_read_back(name in "[ -~]{1,15}", cpu in 0_u32..8192) {
            let line = STAT.replace("a (b) c", &name).replace(" 17 3 50 ", &format!(" 17 {cpu} 50 "));
            let stat = Stat::parse(&line).unwrap();
            prop_assert_eq!((stat.name, stat.last_cpu.get()), (name, cpu));
        }
    }
}
