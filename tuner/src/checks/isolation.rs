//! Isolation: nothing else can run on the workers' CPUs.

mod boot;
mod kernel;
mod ours;
mod programs;
mod scheduler;
#[cfg(test)]
mod tests;

use super::{Check, judge::settled};
use crate::{Risk, Section};

/// What an isolation check is, unless it says otherwise.
const ISOLATION: Check = Check { section: Section::Isolation, ..Check::PLAIN };

/// Isolation: nothing else can run on the workers' CPUs.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "ISO-01",
        title: "workers' CPUs are out of load balancing",
        why: "a scheduler that balances load puts programs next to a worker, and takes milliseconds to take them away",
        explain: "A CPU that is in no scheduler domain is never chosen for a task that did not ask for it. Two things \
                  take it out: an isolated partition of cgroup v2, which works at run time and can be undone, and \
                  isolcpus=domain (the default flag of isolcpus=) on the boot line, which lasts until the next boot and \
                  which the kernel's own documentation calls deprecated in favour of cpusets. cgroup v1 had a flag, \
                  sched_load_balance, for the same purpose.\n\nGood is: the CPUs of all workers are out, by what the \
                  kernel says now (/sys/devices/system/cpu/isolated, cpuset.cpus.isolated), not by what a file asks \
                  for.\n\nIt takes the CPUs from everybody else. A program that is pinned there on purpose still runs \
                  there: what is on the CPU is another check (ISO-14).",
        sources: &[
            "Linux 6.18 Documentation/admin-guide/cpu-isolation.rst",
            "Linux Documentation/admin-guide/cgroup-v2.rst (Cpuset)",
            "Linux Documentation/admin-guide/kernel-parameters.txt (isolcpus)",
        ],
        risk: Risk::Medium,
        cost: "programs lose these CPUs",
        look: |context| settled(|| scheduler::domains(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-02",
        title: "the cpuset partition is valid",
        why: "a partition that the kernel finds invalid isolates nothing, and no write says so",
        explain: "Writing isolated into cpuset.cpus.partition always succeeds. Whether it holds is what the file says \
                  when it is read again: isolated, or isolated invalid with the reason in brackets. It becomes invalid \
                  later too: when a sibling group claims the CPUs, when one goes offline, when none is left outside. \
                  CPUs that were isolated at boot may only join isolated partitions.\n\nGood is exactly isolated, with \
                  all workers' CPUs in it. root is a partition of its own that balances load inside, which is not \
                  enough. Where the boot line isolates the CPUs there need not be a partition.\n\nNo command mends a \
                  conflict in general: the reason in brackets names it. Making a new partition is what ISO-01 \
                  proposes.",
        sources: &[
            "Linux Documentation/admin-guide/cgroup-v2.rst (cpuset.cpus.partition)",
            "systemd.resource-control(5), CPUSetPartition= (systemd 2026)",
        ],
        risk: Risk::Medium,
        cost: "programs lose these CPUs",
        look: |context| settled(|| scheduler::partition(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-03",
        title: "no tick on workers' CPUs",
        why: "the scheduler's tick interrupts a worker 100 to 1000 times a second for a microsecond or more",
        explain: "With nohz_full= the kernel stops the periodic tick on a CPU as long as one task runs there and \
                  nothing else needs it. One tick a second may be left. It takes a kernel with CONFIG_NO_HZ_FULL (the \
                  file /sys/devices/system/cpu/nohz_full exists then), a stable TSC, and really one runnable task: a \
                  kernel thread that waits for the CPU keeps the tick alive.\n\nGood is: all workers' CPUs are \
                  tick-free by what the kernel says now. It offloads RCU callbacks of these CPUs too, and moves the \
                  watchdog away.\n\nIt costs accounting work at each entry into the kernel on these CPUs, which a poll \
                  loop hardly makes, and it needs a reboot. Whether it works is measured by IRQ-01 (row LOC).",
        sources: &[
            "Linux Documentation/timers/no_hz.rst",
            "Linux 6.18 Documentation/admin-guide/cpu-isolation.rst",
        ],
        risk: Risk::Low,
        cost: "slower system calls on these CPUs",
        look: |context| settled(|| scheduler::ticks(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-04",
        title: "RCU callbacks are offloaded",
        why: "callbacks that are run on a worker's CPU take it away for as long as there are some",
        explain: "RCU frees kernel memory after a grace period by callbacks, normally in a softirq of the CPU that \
                  asked for them. Offloaded CPUs leave that to threads (rcuop/N, rcuog/N) that can run \
                  elsewhere.\n\nnohz_full= implies it, just as if the CPUs were in rcu_nocbs= too, so a second \
                  parameter is redundant; without nohz_full it is needed. rcu_nocbs without a list offloads nothing \
                  by itself. Where rcuop threads of all workers' CPUs exist, they are offloaded, whatever the command \
                  line says.",
        sources: &["Linux Documentation/admin-guide/kernel-parameters.txt (nohz_full, rcu_nocbs)"],
        risk: Risk::Low,
        look: |context| settled(|| boot::rcu_offload(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-05",
        title: "RCU's threads are elsewhere",
        why: "offloading callbacks to a thread on the same CPU is no offloading",
        explain: "The threads that run offloaded callbacks (rcuog, rcuop, rcuos) are ordinary kernel threads. When the \
                  CPUs are isolated or tick-free from boot on, they start on the housekeeping CPUs; when CPUs are \
                  taken apart later they may still be allowed everywhere.\n\nGood is: none may run on a worker's CPU. \
                  They can be moved like any thread, and stay there until the next boot.",
        sources: &["Linux Documentation/admin-guide/kernel-per-CPU-kthreads.rst (RCU)"],
        risk: Risk::Low,
        look: |context| settled(|| kernel::rcu_threads(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-06",
        title: "RCU's threads do not poll",
        why: "rcu_nocb_poll makes housekeeping threads wake up for ever to save a wake-up that poll loops never cause",
        explain: "Normally the first callback on an offloaded CPU wakes its thread. With rcu_nocb_poll the threads look \
                  by themselves instead, every so often. That spares real-time tasks that queue many callbacks the \
                  wake-up; a poll loop queues next to none.\n\nIt costs power and time on the housekeeping CPUs, and \
                  the kernel's own comment is that it is not so great for energy efficiency. Some vendors' real-time \
                  profiles set it; measure before you do.",
        sources: &["Linux Documentation/admin-guide/kernel-parameters.txt (rcu_nocb_poll)"],
        is_contested: true,
        look: |context| settled(|| boot::rcu_polling(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-07",
        title: "RCU's patience with tick-free CPUs",
        why: "a grace period that waits for a tick-free CPU makes it tick again",
        explain: "When a tick-free CPU is in the kernel while a grace period goes on, RCU asks it to report, if need be \
                  by turning its tick on. rcutree.nohz_full_patience_delay (milliseconds, Linux 6.12) lets RCU wait \
                  first: short stays in the kernel end by themselves meanwhile. TuneD's network-latency profile of \
                  RHEL sets 1000.\n\nA poll loop stays in user space, where RCU does not ask it; so the gain is small, \
                  and longer grace periods hold memory for longer. A measurement decides.",
        sources: &[
            "Linux Documentation/admin-guide/kernel-parameters.txt (rcutree.nohz_full_patience_delay)",
            "TuneD profile network-latency",
        ],
        risk: Risk::Low,
        cost: "longer grace periods",
        is_contested: true,
        look: |context| settled(|| boot::patience(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-08",
        title: "managed interrupts avoid workers",
        why: "the interrupts of multi-queue disks can be moved by nobody but the kernel",
        explain: "Drivers such as nvme let the kernel spread their queues' interrupts over all CPUs; their affinity can \
                  not be written. isolcpus=managed_irq tells the kernel to deliver such an interrupt to a housekeeping \
                  CPU as long as its queue has one. A queue of isolated CPUs only fires when those CPUs do the I/O \
                  themselves.\n\nGood is: the flag is there, with the workers' CPUs, where there are such disks. The \
                  flag does not isolate anything else, so it goes together with a cpuset partition; it is best effort, \
                  as the kernel says itself.",
        sources: &[
            "Linux Documentation/admin-guide/kernel-parameters.txt (isolcpus, managed_irq)",
            "Linux commit 11ea68f553e2",
        ],
        risk: Risk::Low,
        look: |context| settled(|| boot::managed_irq(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-09",
        title: "new interrupts avoid workers",
        why: "a device that comes later gets the default mask, and the default is every CPU",
        explain: "/proc/irq/default_smp_affinity is the mask that an interrupt starts with when its driver does not \
                  care. A card that is reset, a disk that is plugged in, a driver that is loaded again: each makes new \
                  interrupts.\n\nGood is: no worker's CPU in it. The mask can be written at run time, and begins anew at \
                  every boot: the boot parameter irqaffinity= sets it for the interrupts that are requested before any \
                  program runs (ISO-10). So both are set. Writing the mask moves no interrupt that is there already: \
                  those are IRQ-02.",
        sources: &[
            "Linux Documentation/core-api/irq/irq-affinity.rst",
            "Linux 6.18 Documentation/admin-guide/cpu-isolation.rst",
        ],
        risk: Risk::Low,
        look: |context| settled(|| kernel::default_mask(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-10",
        title: "irqaffinity= leaves workers out",
        why: "an irqaffinity= that lists the workers' CPUs undoes the isolation silently at each boot",
        explain: "irqaffinity= is the list of CPUs that interrupts go to: the housekeeping CPUs. It is often written \
                  the wrong way round, or left with all CPUs by a tool that inverted a mask; nothing complains.\n\nGood \
                  is: it names no worker's CPU. Where it is missing, interrupts that are requested during boot may \
                  be anywhere until somebody moves them; what they do then is IRQ-02.",
        sources: &[
            "Linux Documentation/admin-guide/kernel-parameters.txt (irqaffinity)",
            "seapath/ansible #865 and #868 (a list the wrong way round)",
        ],
        risk: Risk::Low,
        look: |context| settled(|| boot::irqaffinity(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-11",
        title: "workqueues avoid workers",
        why: "deferred work of any driver lands on the CPUs that the workqueues' mask allows",
        explain: "Unbound workqueues run deferred work of the kernel (write-back, device hot-plug, encryption) on the \
                  CPUs of their mask: /sys/devices/virtual/workqueue/cpumask for all, and one of their own for some. \
                  CPUs that are isolated at boot, and on newer kernels those of isolated partitions, are taken out \
                  by the kernel.\n\nGood is: no mask has a worker's CPU. The common mask is bad, a single queue's a \
                  warning. The masks take effect at once; per-CPU workqueues are not in them, and run where the work \
                  was queued.",
        sources: &[
            "Linux Documentation/core-api/workqueue.rst",
            "Linux Documentation/admin-guide/kernel-per-CPU-kthreads.rst",
        ],
        risk: Risk::Low,
        look: |context| settled(|| kernel::workqueues(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-12",
        title: "kernel threads avoid workers",
        why: "an unbound kernel thread that wakes on a worker's CPU costs a context switch or two",
        explain: "Kernel threads come in two kinds. Those that belong to one CPU (ksoftirqd/3, kworker/3:0) can not be \
                  moved and are quiet as long as nothing queues work there. The others (kswapd, khugepaged, drivers' \
                  threads) may run where their affinity says, which is everywhere unless CPUs were isolated when they \
                  started.\n\nGood is: none of the second kind may run on a worker's CPU. One that may and was seen \
                  elsewhere is a warning; one that was last seen there is bad, unless it did nothing while the machine \
                  was watched.\n\nEach can be moved like any thread; it lasts until it ends or the machine boots. \
                  Ubuntu's real-time kernel has kthread_cpus= for all of them.",
        sources: &[
            "Linux Documentation/admin-guide/kernel-per-CPU-kthreads.rst",
            "Ubuntu real-time kernel documentation (kthread_cpus=)",
        ],
        risk: Risk::Low,
        look: |context| settled(|| kernel::threads(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-13",
        title: "PID 1 is kept off workers",
        why: "every service and every login inherits the affinity of PID 1",
        explain: "A process starts with its parent's affinity. When PID 1 may run everywhere, so may all that it \
                  starts. A cpuset partition takes the CPUs from everybody, PID 1 included; otherwise CPUAffinity= in \
                  systemd's own configuration does it for all services that start from then on.\n\nGood is: PID 1 may \
                  not run on a worker's CPU. Where the CPUs are isolated and PID 1 may still run there, nothing is put \
                  there by itself, but a program that widens its affinity can go there: a warning.\n\nAfter the change \
                  systemctl daemon-reexec suffices for what starts later; what runs already keeps its affinity. User \
                  sessions are covered, containers with cpusets of their own are not.",
        sources: &["systemd-system.conf(5), CPUAffinity=", "TuneD plugin_systemd"],
        risk: Risk::Low,
        look: |context| settled(|| programs::init(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-14",
        title: "no other program runs on workers' CPUs",
        why: "whatever runs there, the worker does not run meanwhile",
        explain: "Settings are intentions; this looks where each thread of each program last ran. A thread that may \
                  run nowhere else, or that was running there right now, lives there: bad. One that was seen there and \
                  may go elsewhere is a warning: on a machine without isolation any thread is, now and then.\n\nThe \
                  daemon's own threads are left to ISO-15 and ISO-16, kernel threads to ISO-12.\n\nAn isolated \
                  partition moves them all away. Threads that somebody pinned there on purpose have to be pinned \
                  elsewhere one by one.",
        sources: &["proc_pid_stat(5), field 39", "TuneD plugin_scheduler"],
        risk: Risk::Medium,
        cost: "programs lose these CPUs",
        look: |context| settled(|| programs::strangers(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-15",
        section: Section::Process,
        title: "each worker is pinned to a CPU of its own",
        why: "a poll loop that may move leaves its cache behind, and two on one CPU stop each other for milliseconds",
        explain: "Each worker's thread must be allowed on exactly one CPU, and no two on the same. barewired does that \
                  by itself and checks it at the start; this looks at what holds now, after whoever else wrote \
                  affinities (a tuner, a container runtime, taskset on all threads of a process).",
        sources: &["sched_setaffinity(2)", "DPDK Programmer's Guide (lcores)"],
        look: |context| settled(|| ours::pinning(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-16",
        section: Section::Process,
        title: "the daemon's other threads avoid workers",
        why: "the control plane's and DPDK's helper threads wake up by timers, interrupts and sockets",
        explain: "Besides its workers the daemon has threads for the control socket, and DPDK starts some of its own \
                  (interrupts, multi-process messages, telemetry). DPDK's start-up pins the calling thread, and threads \
                  inherit: started the wrong way round, helpers end on a worker's CPU.\n\nGood is: none of them may run \
                  on a worker's CPU. barewired starts DPDK confined to housekeeping for that reason.",
        sources: &[
            "DPDK Programmer's Guide, Environment Abstraction Layer (threads)",
            "TuneD plugin_scheduler",
        ],
        risk: Risk::Low,
        look: |context| settled(|| ours::helpers(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-17",
        section: Section::Process,
        title: "workers are not real-time tasks",
        why: "a loop that never waits, at real-time priority, starves the kernel's own threads on its CPU and can hang the machine",
        explain: "SCHED_FIFO runs a task until it waits. A poll loop never does, so per-CPU kernel threads (migration, \
                  RCU, workqueues) never run there, and whoever waits for them hangs: module loading, hot-plug, even a \
                  sync. The usual advice of chrt -f 99 makes it worst; a vendor measured priority 1 to be better than \
                  98 for that reason.\n\nGood is SCHED_OTHER: on an isolated CPU there is nobody to compete with. FIFO \
                  at priority 1 on a PREEMPT_RT kernel with stalld watching is a warning; anything else that is real \
                  time is bad.\n\nBack to normal: chrt -o -p 0 and the thread's number.",
        sources: &[
            "Red Hat Enterprise Linux for Real Time, tuning guide (real-time tasks that poll)",
            "ni/meta-nilrt pull request 711 (FIFO 1 against 98)",
            "Linux Plumbers Conference 2021 (kernel thread starvation, stalld)",
        ],
        risk: Risk::Low,
        look: |context| settled(|| ours::policy(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-18",
        title: "real-time tasks are throttled",
        why: "without throttling one real-time loop locks a CPU, and in the end the machine",
        explain: "kernel.sched_rt_runtime_us is how much of each period (sched_rt_period_us, a second) real-time tasks \
                  may use: 950000 by default, so that a run-away loop leaves the machine usable. -1, or the whole \
                  period, switches that off. Guides recommend -1 for latency; Red Hat's own says it is for tasks \
                  without unbounded polling loops, and a worker is an unbounded polling loop.\n\nGood is a limit. \
                  Without one it is a warning, and bad while a real-time task of some program is running. Workers that \
                  are not real time (ISO-17) are not throttled by this at all, so it costs them nothing. Kernels since \
                  6.12 protect normal tasks by a deadline server besides; the limit is still worth having.",
        sources: &[
            "Linux Documentation/scheduler/sched-rt-group.rst, 2.2",
            "Red Hat Enterprise Linux for Real Time, tuning guide 3.12",
        ],
        risk: Risk::Low,
        look: |context| settled(|| scheduler::throttling(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-19",
        section: Section::System,
        title: "kind of kernel",
        why: "a real-time kernel shortens the wake-up of tasks that wait, and a poll loop does not wait",
        explain: "PREEMPT_RT makes interrupt handlers threads (FIFO 50) and spin locks sleep, so that a waiting \
                  real-time task wakes within a bounded time. A worker never waits, so it gains nothing by itself; on \
                  isolated CPUs both kinds of kernel leave it alone alike.\n\nA real-time kernel costs throughput on \
                  the housekeeping CPUs, and starves kernel threads where something polls at real-time priority \
                  (ISO-17). It is right where other programs on the machine need bounded wake-ups. Neither is wrong; \
                  DPDK asks for none of them.",
        sources: &[
            "Linux Documentation/core-api/real-time",
            "DPDK Linux Guide, System Requirements (no real-time kernel is asked for)",
        ],
        look: |context| settled(|| scheduler::kernel(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-20",
        title: "CPU lists of the boot line can be read",
        why: "the kernel ignores a list that it can not read, and boots as if nothing had been asked for",
        explain: "isolcpus=, nohz_full=, rcu_nocbs=, irqaffinity= and kthread_cpus= take lists of CPUs. An empty list, a \
                  letter at its end (a line break that a generator wrote as n), or a CPU that does not exist make the \
                  kernel drop the parameter, with a line in its log that nobody reads.\n\nGood is: each list can be \
                  read by the kernel's rules (numbers, ranges, patterns, N for the last CPU, all) and names only CPUs \
                  that can exist.",
        sources: &[
            "Linux Documentation/admin-guide/kernel-parameters.rst (cpu lists)",
            "canonical/rt-conf (a generator that wrote isolcpus=2-3n), TuneD #294 (an empty list)",
        ],
        risk: Risk::Low,
        look: |context| settled(|| boot::lists(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-21",
        title: "SELinux's cache of decisions",
        why: "a cache that overflows is emptied entry by entry, with RCU callbacks and locks that reach every CPU",
        explain: "SELinux remembers its decisions (the access vector cache). Its threshold is 512 entries by default; \
                  above that, entries are reclaimed, each by an RCU callback. TuneD's network-latency profile raises \
                  it to 8192.\n\nA worker makes no system calls, so it asks nothing; what is spared is work and grace \
                  periods on the other CPUs. SELinux itself stays on: switching it off, or audit, for latency is not \
                  something to do.",
        sources: &[
            "TuneD profile network-latency",
            "selinuxfs avc/cache_threshold, Linux security/selinux",
        ],
        risk: Risk::Low,
        cost: "some MiB of kernel memory",
        look: |context| settled(|| kernel::avc(context)),
        ..ISOLATION
    },
    Check {
        id: "ISO-22",
        title: "time stamping does not toggle",
        why: "the first and the last socket that asks for time stamps make the kernel patch its code, which interrupts every CPU",
        explain: "The kernel keeps code for time stamping packets behind a switch that is patched into the code itself \
                  (a static key). When the first socket with SO_TIMESTAMP or SO_TIMESTAMPING is opened, and again when \
                  the last is closed, every CPU gets an interrupt to notice. A time daemon that opens one per query \
                  does that for ever.\n\nWho holds such a socket can not be seen from outside, so this only says \
                  whether a program runs that is known to use them. TuneD's rtentsk plugin holds one open for good; a \
                  program of yours can do the same. Whether it happens here is in IRQ-05 (rows CAL and IWI).",
        sources: &["TuneD plugin_rtentsk", "Linux Documentation/networking/timestamping.rst"],
        look: |context| settled(|| programs::time_stamping(context)),
        ..ISOLATION
    },
];
