//! Watchdogs and bookkeeping that wake every CPU.

use super::{
    Check, Context, Outcome,
    judge::{known, number, settled, sysctl},
};
use crate::{
    Fact, Risk, Section,
    change::{BootValue, Change, Form},
};

/// Watchdogs and bookkeeping that wake every CPU.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "WD-01",
        section: Section::Timers,
        title: "NMI watchdog",
        why: "the hard-lockup detector interrupts every CPU it watches, workers included",
        explain: "The NMI watchdog programs a performance counter on each watched CPU to raise a non-maskable \
                  interrupt every few seconds of cycles. Nothing can hold it off, so a poll loop is interrupted for \
                  some microseconds each time, and the counter is lost to profilers.\n\nIt watches the CPUs of \
                  kernel.watchdog_cpumask. Left on for housekeeping alone it costs the workers nothing but still one \
                  performance counter of each core it runs on.\n\nWithout it the kernel does not notice a CPU that \
                  hangs with interrupts off; the soft-lockup detector stays.",
        sources: &[
            "Linux Documentation/admin-guide/lockup-watchdogs.rst",
            "TuneD realtime profiles",
        ],
        risk: Risk::Low,
        cost: "hard lockups go unnoticed",
        look: nmi,
        ..Check::PLAIN
    },
    Check {
        id: "WD-02",
        section: Section::Timers,
        title: "CPUs that are watched",
        why: "the soft-lockup detector wakes each CPU it watches every few seconds",
        explain: "The soft-lockup detector arms a timer on each watched CPU and expects that the CPU's scheduler still \
                  runs a stopper thread. For a CPU with nothing but a poll loop this is a timer interrupt and two \
                  context switches every few seconds, and on a CPU that runs a FIFO task the very alarm it warns \
                  of.\n\nWhen the kernel is booted with nohz_full, those CPUs are left out by default. \
                  kernel.watchdog_cpumask says which are watched, and can be changed at any time; it is kinder than \
                  nosoftlockup, because housekeeping stays guarded.",
        sources: &["Linux Documentation/admin-guide/lockup-watchdogs.rst"],
        risk: Risk::Low,
        cost: "a worker's CPU that hangs in the kernel is not reported",
        look: soft,
        ..Check::PLAIN
    },
    Check {
        id: "WD-03",
        section: Section::Timers,
        title: "watchdogs switched off at boot",
        why: "without any watchdog a hang of housekeeping leaves no trace",
        explain: "nosoftlockup switches the soft-lockup detector off everywhere, nowatchdog both detectors. Guides and \
                  some profiles set them; yet on CPUs with nohz_full the detectors do not run anyway, and for others \
                  kernel.watchdog_cpumask (WD-02) says it more precisely.\n\nWhat is lost is the report of what a \
                  hanging housekeeping CPU was doing, on the day when it is needed.",
        sources: &[
            "Linux Documentation/admin-guide/lockup-watchdogs.rst",
            "Linux Documentation/admin-guide/kernel-parameters.txt, nowatchdog",
        ],
        risk: Risk::Low,
        look: switched_off,
        ..Check::PLAIN
    },
    Check {
        id: "WD-04",
        section: Section::Timers,
        title: "hung-task detector",
        why: "a task that waits for ever for a device should be reported, and looked for rarely",
        explain: "The kernel's khungtaskd looks through all tasks every so many seconds for one that has waited without \
                  interruption since the last look. It runs on housekeeping, and the usual 120 s are rare enough; \
                  realtime profiles take 600 s, because holding the list of tasks takes longer on large \
                  machines.\n\n0 switches it off. Then a hanging disk or NFS server leaves no trace in the log.",
        sources: &["Linux Documentation/admin-guide/sysctl/kernel.rst", "TuneD realtime profiles"],
        risk: Risk::Low,
        look: hung_tasks,
        ..Check::PLAIN
    },
    Check {
        id: "WD-05",
        section: Section::Timers,
        title: "RCU stall warnings",
        why: "a starved kernel thread is first told of by RCU, unless somebody has silenced it",
        explain: "When a CPU does not pass through a quiescent state for tens of seconds the kernel says so, with the stack \
                  of the culprit. Under a poll loop with real-time priority that is exactly what happens to kernel \
                  threads that can not run, and the machine runs out of memory some time later.\n\nSome published \
                  latency playbooks silence the warning. It costs nothing while all is well.",
        sources: &["Linux Documentation/RCU/stallwarn.rst"],
        risk: Risk::None,
        look: rcu_stalls,
        ..Check::PLAIN
    },
    Check {
        id: "VM-01",
        section: Section::Timers,
        title: "statistics interval",
        why: "each CPU folds its memory statistics into the machine's once in vm.stat_interval seconds",
        explain: "Counters of memory management are kept per CPU and summed up by a kernel worker, once a second by \
                  default. Since Linux 3.18 a CPU is only visited when it has something to fold, and newer kernels \
                  leave isolated CPUs out, so the effect is small on a worker that never allocates.\n\n\
                  Realtime profiles use 10 s; tools that read /proc/vmstat then see numbers that are that old.",
        sources: &[
            "Linux Documentation/admin-guide/sysctl/vm.rst, stat_interval",
            "Linux Documentation/admin-guide/kernel-per-CPU-kthreads.rst",
            "TuneD realtime profiles",
        ],
        risk: Risk::Low,
        cost: "memory statistics are up to ten seconds old",
        look: statistics,
        ..Check::PLAIN
    },
];

fn nmi(context: &Context<'_>) -> Outcome {
    settled(|| {
        let clock = &context.facts.clock;
        let value = known(&clock.nmi_watchdog, "this kernel has no NMI watchdog")?;
        if value == "0" {
            return Ok(Outcome::good("0").wanted("0"));
        }
        let workers = context.workers()?;
        let watched = known(&clock.watched, "this kernel watches no CPU")?;
        let on_workers = watched.intersection(&workers);
        let outcome = if on_workers.is_empty() {
            Outcome::warn(format!("{value}, on CPU {watched} only"))
        } else {
            Outcome::bad(format!("{value}, on the workers' CPU {on_workers}"))
        };
        Ok(outcome.wanted("0").fix(sysctl("kernel.nmi_watchdog", 0)))
    })
}

fn soft(context: &Context<'_>) -> Outcome {
    settled(|| {
        let clock = &context.facts.clock;
        let watched = known(&clock.watched, "this kernel has no watchdogs")?;
        let is_off = |fact: &Fact<String>| match fact {
            Fact::Is(value) => value == "0",
            Fact::Absent => true,
            Fact::Unknown { .. } => false,
        };
        if is_off(&clock.soft_watchdog) && is_off(&clock.nmi_watchdog) {
            return Ok(Outcome::good("both watchdogs are off"));
        }
        let workers = context.workers()?;
        let housekeeping = context.housekeeping()?;
        let outcome = match watched.intersection(&workers) {
            none if none.is_empty() => Outcome::good(watched.to_string()),
            some => Outcome::bad(format!("{watched}, the workers' CPU {some} among them"))
                .fix(sysctl("kernel.watchdog_cpumask", &housekeeping)),
        };
        Ok(outcome.wanted(housekeeping.to_string()))
    })
}

fn switched_off(context: &Context<'_>) -> Outcome {
    settled(|| {
        let cmdline = context.cmdline()?;
        let remove =
            |key: &str| Change::BootParameter { key: key.to_owned(), value: BootValue::Absent };
        let outcome = if cmdline.has("nowatchdog") {
            Outcome::warn("nowatchdog").fix(remove("nowatchdog"))
        } else if cmdline.has("nosoftlockup") {
            Outcome::info("nosoftlockup").fix(remove("nosoftlockup"))
        } else {
            Outcome::good("neither nowatchdog nor nosoftlockup")
        };
        Ok(outcome.wanted("neither; WD-01 and WD-02 instead"))
    })
}

fn hung_tasks(context: &Context<'_>) -> Outcome {
    settled(|| {
        let clock = &context.facts.clock;
        let seconds =
            number(known(&clock.hung_task_timeout, "this kernel has no hung-task detector")?)?;
        let outcome = match seconds {
            0 => Outcome::warn("off"),
            1..120 => Outcome::warn(format!("{seconds} s")),
            _ => Outcome::good(format!("{seconds} s")),
        };
        let outcome = outcome.wanted("120 s or more");
        Ok(match seconds {
            ..120 => outcome.fix(sysctl("kernel.hung_task_timeout_secs", 600)),
            _ => outcome,
        })
    })
}

fn rcu_stalls(context: &Context<'_>) -> Outcome {
    settled(|| {
        const NAME: &str = "rcupdate.rcu_cpu_stall_suppress";
        let is_asked = context.cmdline()?.value(NAME).is_some_and(|value| value != "0");
        let effective = &context.facts.clock.rcu_stalls_suppressed;
        let is_silent = match effective {
            Fact::Is(value) => value != "0",
            Fact::Absent => is_asked,
            Fact::Unknown { why } => return Ok(Outcome::unknown(why)),
        };
        let outcome = match (is_silent, is_asked) {
            (false, false) => return Ok(Outcome::good("not suppressed").wanted("not suppressed")),
            (true, _) => Outcome::bad("suppressed"),
            (false, true) => Outcome::warn("suppressed at boot, but not now"),
        };
        let boot = is_asked
            .then(|| Change::BootParameter { key: NAME.to_owned(), value: BootValue::Absent });
        let now = (is_silent && effective.value().is_some()).then(|| Change::Kernel {
            path: "sys/module/rcupdate/parameters/rcu_cpu_stall_suppress".to_owned(),
            value: "0".to_owned(),
            form: Form::Number,
        });
        Ok(outcome.wanted("not suppressed").fixes(now).fixes(boot))
    })
}

fn statistics(context: &Context<'_>) -> Outcome {
    settled(|| {
        let interval = &context.facts.clock.stat_interval;
        let seconds = number(known(interval, "this kernel folds no statistics")?)?;
        let seen = format!("{seconds} s");
        let outcome = match seconds {
            10.. => Outcome::good(seen),
            _ => Outcome::warn(seen).fix(sysctl("vm.stat_interval", 10)),
        };
        Ok(outcome.wanted("10 s or more"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Verdict::*,
        checks::testing::{Fake, table},
    };

    const NMI: &str = "proc/sys/kernel/nmi_watchdog";
    const SOFT: &str = "proc/sys/kernel/soft_watchdog";
    const MASK: &str = "proc/sys/kernel/watchdog_cpumask";
    const HUNG: &str = "proc/sys/kernel/hung_task_timeout_secs";
    const RCU: &str = "sys/module/rcupdate/parameters/rcu_cpu_stall_suppress";
    const INTERVAL: &str = "proc/sys/vm/stat_interval";

    #[test]
    fn the_nmi_watchdog_is_worst_where_the_workers_are() {
        table!("WD-01",
            [(NMI, "0")] => Good,
            [(NMI, "1"), (MASK, "0-1")] => Warn,
            [(NMI, "1"), (MASK, "0-2")] => Bad,
            [(NMI, "1")] => NotApplicable,
            [(NMI, "1"), (MASK, "x")] => Unknown,
            [] => NotApplicable,
        );
        let undecided = Fake::new().files(&[(NMI, "1"), (MASK, "0-3")]).undecided("why");
        assert_eq!(undecided.expect("WD-01", Unknown).seen, "why");
        let bad = Fake::new().files(&[(NMI, "1"), (MASK, "0-3")]).expect("WD-01", Bad);
        assert_eq!(bad.fix, [sysctl("kernel.nmi_watchdog", 0)]);
    }

    #[test]
    fn the_workers_are_not_watched() {
        table!("WD-02",
            [(SOFT, "1"), (MASK, "0-1")] => Good,
            [(SOFT, "1"), (MASK, "1-2")] => Bad,
            [(SOFT, "0"), (NMI, "1"), (MASK, "3")] => Bad,
            [(SOFT, "0"), (NMI, "0"), (MASK, "0-3")] => Good,
            [(SOFT, "1")] => NotApplicable,
            [(SOFT, "1"), (MASK, "0-")] => Unknown,
        );
        let bad = Fake::new().files(&[(SOFT, "1"), (MASK, "0-3")]).expect("WD-02", Bad);
        assert_eq!(bad.fix, [sysctl("kernel.watchdog_cpumask", "0-1")]);
    }

    #[test]
    fn watchdogs_that_are_switched_off_at_boot_are_reported() {
        table!("WD-03",
            [("proc/cmdline", "quiet")] => Good,
            [("proc/cmdline", "nosoftlockup")] => Info,
            [("proc/cmdline", "nosoftlockup nowatchdog")] => Warn,
        );
    }

    #[test]
    fn the_hung_task_detector_looks_rarely_but_looks() {
        table!("WD-04",
            [(HUNG, "600")] => Good,
            [(HUNG, "120")] => Good,
            [(HUNG, "119")] => Warn,
            [(HUNG, "0")] => Warn,
            [(HUNG, "soon")] => Unknown,
            [] => NotApplicable,
        );
    }

    #[test]
    fn silenced_stall_warnings_are_bad_and_the_effective_value_decides() {
        let asked = ("proc/cmdline", "rcupdate.rcu_cpu_stall_suppress=1");
        table!("WD-05",
            [(RCU, "0")] => Good,
            [] => Good,
            [(RCU, "1")] => Bad,
            [asked] => Bad,
            [asked, (RCU, "0")] => Warn,
            [(RCU, "\0")] => Unknown,
        );
        let fixes = |fake: Fake| fake.look("WD-05").fix.len();
        assert_eq!(fixes(Fake::new().files(&[asked, (RCU, "1")])), 2);
        assert_eq!(fixes(Fake::new().files(&[(RCU, "1")])), 1);
    }

    #[test]
    fn statistics_are_folded_every_ten_seconds() {
        table!("VM-01",
            [(INTERVAL, "10")] => Good,
            [(INTERVAL, "9")] => Warn,
            [(INTERVAL, "")] => Unknown,
            [] => NotApplicable,
        );
        assert_eq!(
            Fake::new().file(INTERVAL, "1").look("VM-01").fix,
            [sysctl("vm.stat_interval", 10)]
        );
    }
}
