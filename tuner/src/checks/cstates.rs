//! Idle states: a worker's core that waits is awake when it is needed.

use config::CpuId;

use super::{
    Check, Context, Outcome,
    judge::{known, settled},
    wording::{cpus, lines},
};
use crate::{
    Fact, Risk, Section, Verdict,
    change::{BootValue, Change, Form},
    facts::idle::{Limit, NO_LIMIT, State},
};

/// Idle states: a worker's core that waits is awake when it is needed.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "CST-01",
        section: Section::Cstates,
        title: "idle states that are left",
        why: "waking from a deep idle state takes tens to hundreds of microseconds",
        explain: "When a CPU has nothing to do it goes into one of the states its driver offers; the deeper, the longer \
                  it takes to wake, and the more of its caches is gone. A poll loop never idles, but its core does \
                  whenever the worker sleeps between bursts, waits for a lock or is not started yet, and the sibling \
                  thread and the package go along.\n\nWhat counts is which states are left after everything that \
                  forbids some: states that are switched off, the limit for all CPUs (CST-02) and the limit of this one \
                  (CST-03). A state is left when its exit latency is within the limits.\n\n2 µs is C1 on most servers \
                  and the limit that latency profiles take; C1E is around 10 µs.",
        sources: &[
            "Linux Documentation/admin-guide/pm/cpuidle.rst",
            "TuneD latency-performance profile",
        ],
        risk: Risk::Low,
        cost: "power, heat, and turbo for other cores",
        look: states,
        ..Check::PLAIN
    },
    Check {
        id: "CST-02",
        section: Section::Cstates,
        title: "wake-up limit of all CPUs",
        why: "the kernel keeps no CPU in states that take longer to wake from than somebody asked for",
        explain: "A process that writes a number of microseconds to /dev/cpu_dma_latency and keeps the file open limits the \
                  idle states of all CPUs until it closes it. It is gone with the process: nothing has to be undone \
                  after a crash. That is why the daemon, not the tuner, should hold it.\n\nIt holds for housekeeping as \
                  well, which costs heat and so turbo; the limits of single CPUs (CST-03) are more precise, and where \
                  all workers have one, this is not needed.\n\n2000000000 is the kernel's way to say that nobody asked.",
        sources: &[
            "Linux Documentation/admin-guide/pm/cpuidle.rst, power management quality of service",
            "Linux Documentation/power/pm_qos_interface.rst",
        ],
        risk: Risk::Low,
        cost: "power and heat of the workers' cores",
        look: global_limit,
        ..Check::PLAIN
    },
    Check {
        id: "CST-03",
        section: Section::Cstates,
        title: "wake-up limits of single CPUs",
        why: "a limit for the workers' CPUs keeps them awake and lets housekeeping sleep",
        explain: "pm_qos_resume_latency_us of a CPU is what may be waited for it to wake up. The notation is a trap: 0 \
                  means that there is no limit, and n/a that nothing may be waited, so that the CPU spins instead of \
                  sleeping. Numbers between are microseconds.\n\nEverybody writes to the same file, and the last one \
                  wins; TuneD does it too when told to. Housekeeping should stay at 0: cores that sleep leave power and \
                  heat to those that work.",
        sources: &[
            "Linux Documentation/admin-guide/pm/cpuidle.rst, power management quality of service",
            "Linux Documentation/ABI/testing/sysfs-devices-power",
        ],
        risk: Risk::Low,
        cost: "power and heat of the workers' cores",
        look: limits,
        ..Check::PLAIN
    },
    Check {
        id: "CST-04",
        section: Section::Cstates,
        title: "idle driver chosen at boot",
        why: "intel_idle.max_cstate=0 does not forbid idle states: it hands them to another driver",
        explain: "Guides write intel_idle.max_cstate=0 to forbid sleeping. It switches Intel's own driver off; the ACPI driver \
                  takes over with the states of the firmware's tables, deep ones included. \
                  processor.max_cstate limits that one, and its 0 is treated as 1.\n\nSo the pair 0 and 1 leaves C1 by \
                  ACPI, which is fine; 0 alone is the opposite of what was meant. intel_idle.max_cstate=1 says it in one \
                  word, but needs a reboot and holds for all CPUs; CST-03 does it at run time for the workers.",
        sources: &[
            "Linux Documentation/admin-guide/pm/cpuidle.rst, idle states control via kernel command line",
            "Linux Documentation/admin-guide/pm/intel_idle.rst",
        ],
        risk: Risk::Low,
        look: at_boot,
        ..Check::PLAIN
    },
    Check {
        id: "CST-05",
        section: Section::Cstates,
        title: "idle loops forced at boot",
        why: "idle=poll burns every core and takes turbo away from those that work",
        explain: "idle=poll lets every idle CPU of the machine spin. On Intel this keeps the package from the states in which \
                  single cores may go above their base frequency, so it may well make one thread slower; and \
                  hyper-threads that spin take half of their core. AWS and OpenShift have set it anyway in latency \
                  profiles.\n\ncpuidle.off=1 switches the whole subsystem off and leaves CPUs to the architecture's default; \
                  the kernel's documentation does not recommend it for production.\n\nLimits for the workers' CPUs \
                  (CST-03) give the same wake-up time without either.",
        sources: &[
            "Linux Documentation/admin-guide/pm/cpuidle.rst, idle states control via kernel command line",
        ],
        risk: Risk::Low,
        look: forced,
        ..Check::PLAIN
    },
];

/// Short enough for a worker, in µs: C1 on most servers.
const SHORT_US: u64 = 2;
/// Short enough for many, in µs: C1E.
const FAIR_US: u64 = 10;

fn verdict(us: u64) -> Verdict {
    if us <= SHORT_US {
        Verdict::Good
    } else if us <= FAIR_US {
        Verdict::Warn
    } else {
        Verdict::Bad
    }
}

/// The limit of all CPUs in µs, or none.
fn global(context: &Context<'_>) -> Fact<Option<u64>> {
    context.facts.idle.global_limit_us.as_ref().map(|&us| match us {
        NO_LIMIT.. => None,
        us => Some(u64::try_from(us).unwrap_or(0)),
    })
}

/// The deepest state of a CPU that these limits leave.
fn deepest(states: &[State], limit_us: Option<u64>) -> Option<&State> {
    let is_left = |state: &&State| {
        !state.is_disabled && limit_us.is_none_or(|limit| state.latency_us <= limit)
    };
    states.iter().filter(is_left).max_by_key(|state| state.latency_us)
}

/// Has a CPU a state that takes longer to wake from than a worker can wait? Then a limit is needed.
fn sleeps_deeply(context: &Context<'_>, cpu: CpuId) -> bool {
    let all = context.facts.idle.states.value().map(Vec::as_slice).unwrap_or_default();
    let states = all.iter().find(|(of, _)| *of == cpu).map(|(_, states)| states.as_slice());
    deepest(states.unwrap_or_default(), None).is_some_and(|state| state.latency_us > SHORT_US)
}

/// The tightest limit there is for these CPUs: they spin.
fn spin(cpus: impl IntoIterator<Item = CpuId>) -> impl Iterator<Item = Change> {
    cpus.into_iter().map(|cpu| Change::Kernel {
        path: format!("sys/devices/system/cpu/cpu{cpu}/power/pm_qos_resume_latency_us"),
        value: "n/a".to_owned(),
        form: Form::Text,
    })
}

const NO_STATES: &str =
    "this kernel has no idle states to choose from: a guest, no driver, or idle=poll";

fn states(context: &Context<'_>) -> Outcome {
    settled(|| {
        let idle = &context.facts.idle;
        let all = known(&idle.states, NO_STATES)?;
        let workers = context.workers()?;
        let global = global(context);
        let (mut worst, mut details, mut deep) = (Verdict::Good, Vec::new(), Vec::new());
        let mut seen = None;
        for (cpu, states) in all.iter().filter(|(cpu, _)| workers.contains(*cpu)) {
            let own = idle.limit(*cpu).and_then(Limit::us);
            let limit = [own, global.value().copied().flatten()].into_iter().flatten().min();
            let Some(deepest) = deepest(states, limit) else { continue };
            // If the limit of all CPUs is not known, only what is short without it is known to be.
            let verdict = match verdict(deepest.latency_us) {
                Verdict::Warn | Verdict::Bad if global.is_unknown() => Verdict::Unknown,
                verdict => verdict,
            };
            if verdict != Verdict::Good {
                deep.push(*cpu);
            }
            let line = format!("{}, {} µs", deepest.name, deepest.latency_us);
            details.push(format!("cpu {cpu}: {line}"));
            if seen.is_none() || verdict > worst {
                (worst, seen) = (verdict.max(worst), Some(line));
            }
        }
        let Some(seen) = seen else {
            return Ok(Outcome::unknown("not told for the workers' CPUs"));
        };
        let seen = match (&global, worst) {
            (Fact::Unknown { why }, Verdict::Unknown) => format!("{seen}, unless forbidden; {why}"),
            _ => seen,
        };
        let outcome = super::power::outcome(worst, seen);
        let outcome = outcome.wanted(format!("{SHORT_US} µs or less")).details(lines(details));
        Ok(if worst == Verdict::Unknown { outcome } else { outcome.fixes(spin(deep)) })
    })
}

fn global_limit(context: &Context<'_>) -> Outcome {
    settled(|| {
        known(&context.facts.idle.states, NO_STATES)?;
        let workers = context.workers()?;
        let is_short = |cpu| {
            let own = context.facts.idle.limit(cpu).and_then(Limit::us);
            own.is_some_and(|us| us <= SHORT_US) || !sleeps_deeply(context, cpu)
        };
        let wanted = format!("{SHORT_US} µs or less, held by the daemon, or CST-03");
        if workers.iter().all(is_short) {
            return Ok(Outcome::good(
                "not needed: each worker's CPU has its own, or only short states",
            )
            .wanted(wanted));
        }
        let global = global(context);
        let outcome = match known(&global, "this kernel takes no such limit")? {
            Some(us) => super::power::outcome(verdict(*us), format!("{us} µs")),
            None => Outcome::bad("nobody limits it"),
        };
        let outcome = outcome.wanted(wanted);
        Ok(match outcome.verdict {
            Verdict::Good => outcome,
            _ => outcome.fixes(spin(workers.iter().filter(|&cpu| !is_short(cpu)))),
        })
    })
}

fn limits(context: &Context<'_>) -> Outcome {
    settled(|| {
        let idle = &context.facts.idle;
        known(&idle.states, NO_STATES)?;
        let all = known(&idle.limits, "this kernel has no limits for single CPUs")?;
        let (workers, housekeeping) = (context.workers()?, context.housekeeping()?);
        let is_held = matches!(global(context), Fact::Is(Some(..=SHORT_US)));
        let (mut worst, mut awake, mut loose, mut details) =
            (Verdict::Good, Vec::new(), Vec::new(), Vec::new());
        for (cpu, limit) in all {
            let word = match limit {
                Limit::None => "no limit".to_owned(),
                Limit::Us(us) => format!("{us} µs"),
                Limit::Zero => "never sleeps".to_owned(),
            };
            if workers.contains(*cpu) {
                let verdict = match limit.us() {
                    Some(us) => verdict(us),
                    None if is_held || !sleeps_deeply(context, *cpu) => Verdict::Good,
                    None => Verdict::Bad,
                };
                if verdict != Verdict::Good {
                    loose.push(*cpu);
                    details.push(format!("cpu {cpu}: {word}"));
                }
                worst = worst.max(verdict);
            } else if housekeeping.contains(*cpu) && *limit != Limit::None {
                awake.push(*cpu);
                details.push(format!("cpu {cpu}, housekeeping: {word}"));
            }
        }
        let release = awake.iter().map(|cpu| Change::Kernel {
            path: format!("sys/devices/system/cpu/cpu{cpu}/power/pm_qos_resume_latency_us"),
            value: "0".to_owned(),
            form: Form::Text,
        });
        let outcome = match (worst, awake.is_empty()) {
            (Verdict::Good, true) if is_held => Outcome::good("the limit of all CPUs holds"),
            (Verdict::Good, true) => Outcome::good("the workers' CPUs stay awake, or nearly"),
            (Verdict::Good, false) => {
                Outcome::warn("housekeeping is kept awake too").fixes(release)
            }
            (worst, _) => {
                let loose = loose.into_iter().collect::<config::CpuSet>();
                let seen = format!("{} may sleep deeper", cpus(&loose));
                super::power::outcome(worst, seen).fixes(spin(loose.iter()))
            }
        };
        Ok(outcome.wanted("n/a on workers, 0 (no limit) elsewhere").details(lines(details)))
    })
}

fn absent(key: &str) -> Change {
    Change::BootParameter { key: key.to_owned(), value: BootValue::Absent }
}

fn at_boot(context: &Context<'_>) -> Outcome {
    settled(|| {
        let cmdline = context.cmdline()?;
        let intel = cmdline.value("intel_idle.max_cstate");
        let acpi = cmdline.value("processor.max_cstate");
        let seen = [("intel_idle.max_cstate", intel), ("processor.max_cstate", acpi)]
            .into_iter()
            .filter_map(|(key, value)| Some(format!("{key}={}", value?)))
            .collect::<Vec<_>>()
            .join(" ");
        let is_intel = context.facts.processor.value().is_none_or(|p| p.is_intel());
        let outcome = match (intel, acpi) {
            (None, None) => Outcome::good("nothing said"),
            (Some("0"), Some("0" | "1")) if cmdline.value("idle") == Some("poll") => {
                Outcome::info(format!("{seen}: C1 by the ACPI driver, were there no idle=poll"))
            }
            (Some("0"), Some("0" | "1")) => {
                Outcome::info(format!("{seen}: C1 by the ACPI driver, on all CPUs"))
            }
            (Some("0"), _) if !is_intel => {
                Outcome::info(format!("{seen}: without effect, there is no such driver"))
            }
            (Some("0"), _) => {
                Outcome::bad(format!("{seen}: the ACPI driver takes over, all its states"))
                    .fix(absent("intel_idle.max_cstate"))
            }
            (Some("1"), _) | (None, Some("0" | "1")) => Outcome::good(seen),
            (Some(_), _) | (None, Some(_)) => {
                Outcome::info(format!("{seen}: states up to that one are left"))
            }
        };
        Ok(outcome.wanted("nothing, or intel_idle.max_cstate=1"))
    })
}

fn forced(context: &Context<'_>) -> Outcome {
    settled(|| {
        let cmdline = context.cmdline()?;
        let outcome = if cmdline.value("cpuidle.off").is_some_and(|value| value != "0") {
            Outcome::bad("cpuidle.off=1").fix(absent("cpuidle.off"))
        } else if cmdline.value("idle") == Some("poll") {
            Outcome::warn("idle=poll").fix(absent("idle"))
        } else {
            Outcome::good("neither idle=poll nor cpuidle.off")
        };
        Ok(outcome.wanted("neither idle=poll nor cpuidle.off"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Verdict::*,
        checks::testing::{Fake, table},
    };

    /// Four CPUs with states of these latencies, with these limits, and with this limit of all.
    fn machine(states: &[(&str, u64)], limits: [&str; 4], global: &Fact<i32>) -> Fake {
        let mut fake = Fake::new().answer("power/cpu_dma_latency", global);
        for (cpu, limit) in limits.iter().enumerate() {
            let at = format!("sys/devices/system/cpu/cpu{cpu}");
            fake = fake.file(&format!("{at}/power/pm_qos_resume_latency_us"), limit);
            for (index, (name, latency)) in states.iter().enumerate() {
                let (name, is_off) =
                    name.strip_prefix('-').map_or((*name, "0"), |name| (name, "1"));
                let state = format!("{at}/cpuidle/state{index}");
                fake = fake
                    .file(&format!("{state}/name"), name)
                    .file(&format!("{state}/latency"), latency.to_string())
                    .file(&format!("{state}/disable"), is_off);
            }
        }
        fake
    }

    const STATES: [(&str, u64); 4] = [("POLL", 0), ("C1", 2), ("C1E", 10), ("C6", 133)];
    const FREE: [&str; 4] = ["0"; 4];
    const NOBODY: Fact<i32> = Fact::Is(NO_LIMIT);

    fn unreadable() -> Fact<i32> {
        Fact::unknown("not root")
    }

    #[test]
    fn the_deepest_state_that_is_left_decides() {
        let ask = |states: &[(&str, u64)], limits, global: &Fact<i32>, verdict| {
            machine(states, limits, global).expect("CST-01", verdict)
        };

        let bad = ask(&STATES, FREE, &NOBODY, Bad);
        assert_eq!(bad.fix, spin([2, 3].into_iter().filter_map(CpuId::new)).collect::<Vec<_>>());
        ask(&STATES[..3], FREE, &NOBODY, Warn);
        ask(&STATES[..2], FREE, &NOBODY, Good);
        ask(&[("C1", 3)], FREE, &NOBODY, Warn);
        ask(&[("C1E", 11)], FREE, &NOBODY, Bad);
        ask(&[("C1", 1), ("-C6", 133)], FREE, &NOBODY, Good);
        ask(&STATES, FREE, &Fact::Is(2), Good);
        ask(&STATES, FREE, &Fact::Is(10), Warn);
        ask(&STATES, ["0", "0", "n/a", "n/a"], &NOBODY, Good);
        ask(&STATES, ["0", "0", "n/a", "2"], &NOBODY, Good);
        ask(&STATES, ["0", "0", "n/a", "0"], &NOBODY, Bad);
    }

    #[test]
    fn states_are_not_judged_without_the_limit_that_may_forbid_them() {
        let ask = |states: &[(&str, u64)], limits, verdict| {
            machine(states, limits, &unreadable()).expect("CST-01", verdict)
        };

        assert!(ask(&STATES, FREE, Unknown).fix.is_empty());
        ask(&STATES[..2], FREE, Good);
        ask(&STATES, ["0", "0", "n/a", "n/a"], Good);
        table!("CST-01", [] => NotApplicable);
        machine(&STATES, FREE, &NOBODY).undecided("why").expect("CST-01", Unknown);
    }

    #[test]
    fn the_limit_of_all_cpus_is_not_needed_where_each_worker_has_one() {
        let ask = |limits, global: &Fact<i32>, verdict| {
            machine(&STATES, limits, global).expect("CST-02", verdict)
        };

        assert_eq!(ask(FREE, &NOBODY, Bad).fix.len(), 2);
        ask(FREE, &Fact::Is(2), Good);
        ask(FREE, &Fact::Is(3), Warn);
        ask(FREE, &Fact::Is(10), Warn);
        ask(FREE, &Fact::Is(11), Bad);
        ask(FREE, &unreadable(), Unknown);
        ask(["0", "0", "n/a", "2"], &NOBODY, Good);
        assert_eq!(ask(["0", "0", "n/a", "3"], &NOBODY, Bad).fix.len(), 1);
        machine(&[("C1", 2), ("-C6", 133)], FREE, &NOBODY).expect("CST-02", Good);
        machine(&[("C1", 3)], FREE, &NOBODY).expect("CST-02", Bad);
        table!("CST-02", [] => NotApplicable);
    }

    #[test]
    fn workers_stay_awake_and_housekeeping_may_sleep() {
        let ask = |limits, global: &Fact<i32>, verdict| {
            machine(&STATES, limits, global).expect("CST-03", verdict)
        };

        ask(["0", "0", "n/a", "n/a"], &NOBODY, Good);
        assert_eq!(ask(FREE, &NOBODY, Bad).fix.len(), 2);
        ask(FREE, &Fact::Is(2), Good);
        ask(FREE, &Fact::Is(3), Bad);
        ask(FREE, &unreadable(), Bad);
        ask(["0", "0", "n/a", "10"], &NOBODY, Warn);
        ask(["0", "0", "n/a", "11"], &NOBODY, Bad);
        let awake = ask(["0", "n/a", "n/a", "n/a"], &NOBODY, Warn);
        assert!(matches!(&awake.fix[..], [Change::Kernel { path, value, .. }]
            if path.contains("/cpu1/") && value == "0"));
        ask(["0", "x", "n/a", "n/a"], &NOBODY, Unknown);
        machine(&[("C1", 2), ("-C6", 133)], FREE, &NOBODY).expect("CST-03", Good);
        machine(&[("C1", 3)], FREE, &NOBODY).expect("CST-03", Bad);
        table!("CST-03", [] => NotApplicable);
    }

    #[test]
    fn forbidding_intels_driver_alone_is_the_opposite_of_what_is_meant() {
        const FILE: &str = "proc/cmdline";
        const AMD: (&str, &str) = ("proc/cpuinfo", "vendor_id : AuthenticAMD\n");
        table!(
            "CST-04",
            [(FILE, "quiet")] => Good,
            [(FILE, "intel_idle.max_cstate=0")] => Bad,
            [(FILE, "intel_idle.max_cstate=0 processor.max_cstate=9")] => Bad,
            [(FILE, "intel_idle.max_cstate=0"), AMD] => Info,
            [(FILE, "intel_idle.max_cstate=0 processor.max_cstate=1")] => Info,
            [(FILE, "intel_idle.max_cstate=0 processor.max_cstate=0")] => Info,
            [(FILE, "idle=poll intel_idle.max_cstate=0 processor.max_cstate=0")] => Info,
            [(FILE, "idle=poll intel_idle.max_cstate=0")] => Bad,
            [(FILE, "intel_idle.max_cstate=1")] => Good,
            [(FILE, "processor.max_cstate=1")] => Good,
            [(FILE, "intel_idle.max_cstate=2")] => Info,
            [(FILE, "\0")] => Unknown,
        );
    }

    #[test]
    fn idle_loops_that_are_forced_on_all_cpus_are_reported() {
        const FILE: &str = "proc/cmdline";
        table!(
            "CST-05",
            [(FILE, "quiet")] => Good,
            [(FILE, "idle=nomwait")] => Good,
            [(FILE, "idle=poll")] => Warn,
            [(FILE, "idle=poll cpuidle.off=1")] => Bad,
            [(FILE, "cpuidle.off=0")] => Good,
        );
    }
}
