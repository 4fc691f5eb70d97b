//! What the kernel tells the time by.

use super::{
    Check, Context, Outcome,
    judge::{known, settled},
};
use crate::{
    Fact, Risk, Section,
    change::{BootValue, Change, Form},
    facts::processor::{Architecture, Processor},
};

/// What the kernel tells the time by.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "CLK-01",
        section: Section::Timers,
        title: "clock source",
        why: "every time stamp costs about 1 µs and a trip over the bus when it does not come from the CPU itself",
        explain: "The kernel reads the time from one clock source. The time-stamp counter of x86 (tsc) and the \
                  architected counter of Arm (arch_sys_counter) are registers of the CPU: some twenty \
                  nanoseconds, from user space, without a system call. HPET and the ACPI timer are devices: a read \
                  takes about a microsecond, CPUs queue up for it, and each read is a system call.\n\nA machine \
                  that uses one of the slow ones nearly always does so because the kernel caught the time-stamp \
                  counter going wrong; see CLK-02 and CLK-03 before forcing it back.\n\nIn a guest, kvm-clock and \
                  Hyper-V's page are the time-stamp counter scaled by the hypervisor: nearly as fast. Where the \
                  guest offers tsc as well, it saves the scaling, and some hypervisors' own clocks (xen) are system \
                  calls.",
        sources: &[
            "Linux Documentation/ABI/testing/sysfs-devices-system-clocksource",
            "seastar scripts/perftune.py, clock source tuner",
        ],
        risk: Risk::Low,
        cost: "time jumps if the counter is not as constant as the CPU says",
        look: source,
        ..Check::PLAIN
    },
    Check {
        id: "CLK-02",
        section: Section::Timers,
        title: "time-stamp counter",
        why: "without a counter that never changes its speed the kernel keeps its tick on isolated CPUs",
        explain: "constant_tsc says that the time-stamp counter does not follow the CPU's frequency, nonstop_tsc that it \
                  runs on in deep idle states. Only with both can the kernel tell the time on a CPU that takes no \
                  timer interrupt; without them nohz_full stays a wish.\n\ntsc_known_freq says that the frequency is \
                  told by the processor or the hypervisor. Where it is not, which includes most AMD servers, the kernel \
                  measures it while booting, and that is good enough, so its absence is not held against the \
                  machine here.\n\nNothing in the operating system mends it: a processor of this century that lacks \
                  them has firmware settings that hide them, or a hypervisor that does because the guest may be moved \
                  to another machine.",
        sources: &[
            "Linux Documentation/admin-guide/cpu-isolation.rst",
            "Intel SDM volume 3, section 18.17 (invariant TSC)",
        ],
        look: counter,
        ..Check::PLAIN
    },
    Check {
        id: "CLK-03",
        section: Section::Timers,
        title: "time-stamp counter watchdog",
        why: "the clock watchdog interrupts one CPU after the other twice a second, workers included",
        explain: "Unless told not to, the kernel compares the time-stamp counter with another clock twice a second, \
                  each time from the next online CPU. tsc=reliable switches that off and is what realtime profiles \
                  set. Since Linux 5.17 the kernel does so by itself on machines of few sockets whose processor \
                  has TSC_ADJUST beside a constant counter; the rule for how many sockets was widened later, so \
                  here two nodes are counted as certain and more are not.\n\nIt is only right where CLK-02 is: on \
                  other machines the watchdog is what notices that time runs wrongly. tsc=nowatchdog is older and \
                  half of it.\n\nThat the kernel does not offer tsc at all means that it has already found out that \
                  it can not be trusted, or was told so. Its log then has a line with \"Marking TSC unstable\".",
        sources: &[
            "Linux Documentation/admin-guide/kernel-parameters.txt, tsc=",
            "Linux arch/x86/kernel/tsc.c, tsc_init()",
            "TuneD realtime profiles",
        ],
        risk: Risk::Low,
        cost: "a counter that really drifts is not noticed any more",
        look: watchdog,
        ..Check::PLAIN
    },
    Check {
        id: "CLK-04",
        section: Section::Timers,
        title: "skewed ticks",
        why: "ticks that come on all CPUs at the same moment make them wait for the same locks",
        explain: "The periodic tick of every CPU normally falls on the same moment. On machines of many CPUs they then \
                  contend for the locks of timekeeping and RCU, and the tick becomes longer. skew_tick=1 spreads \
                  them over the period.\n\nIt costs a little power, since CPUs no longer wake together. On CPUs that \
                  have no tick (nohz_full with one task) it changes nothing for the CPU itself, but housekeeping \
                  still answers faster.",
        sources: &[
            "Linux Documentation/admin-guide/kernel-parameters.txt, skew_tick=",
            "TuneD realtime profiles",
        ],
        risk: Risk::Low,
        cost: "a little power",
        look: skew,
        ..Check::PLAIN
    },
    Check {
        id: "CLK-05",
        section: Section::Timers,
        title: "timer migration",
        why: "a timer that is armed on a worker's CPU may fire there, or be moved away",
        explain: "With kernel.timer_migration=1 timers that are not pinned go to a CPU that is awake anyway, when the CPU \
                  that arms them is idle, and to housekeeping when it is isolated by nohz_full. With 0 they stay \
                  where they were armed.\n\nExperts disagree, and have changed sides: Red Hat's realtime profiles set \
                  0, because moving costs time in the moment of arming; OpenShift set it to 1, then to 0 but for \
                  realtime, then to 1 everywhere, because timers of TCP connections stayed behind on CPUs that were \
                  isolated later.\n\nSo the value is only shown. What counts is whether timers fire on the workers' \
                  CPUs, and that is measured: IRQ-01.",
        sources: &[
            "TuneD realtime profiles",
            "OpenShift cluster-node-tuning-operator, changes 1384 and 1534",
        ],
        is_contested: true,
        look: migration,
        ..Check::PLAIN
    },
];

/// Clocks that are devices.
const SLOW: [&str; 6] = ["hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit", "xen"];

fn source(context: &Context<'_>) -> Outcome {
    settled(|| {
        let clock = &context.facts.clock;
        let source = known(&clock.source, "this kernel has no choice of clocks")?.as_str();
        let processor = context.facts.processor.value();
        if matches!(source, "tsc" | "arch_sys_counter" | "riscv_clocksource") {
            return Ok(Outcome::good(source));
        }
        let best = match processor.map(|processor| processor.architecture) {
            Some(Architecture::Arm) => "arch_sys_counter",
            Some(Architecture::X86 | Architecture::Other) | None => "tsc",
        };
        let is_trusted = best != "tsc" || processor.is_some_and(Processor::has_constant_clock);
        let outcome = match (SLOW.contains(&source), clock.offers(best)) {
            (true, _) => Outcome::bad(source),
            (false, true) => Outcome::warn(source),
            (false, false) => {
                return Ok(Outcome::info(source).wanted(format!("{best}, where it is offered")));
            }
        };
        let outcome = outcome.wanted(best);
        if !clock.offers(best) {
            return Ok(outcome.advice(format!(
                "the kernel does not offer {best}: look for why in its log, then in the firmware"
            )));
        }
        if !is_trusted {
            return Ok(outcome.advice("mend CLK-02 first: the counter is not known to be constant"));
        }
        Ok(outcome.fix(Change::Kernel {
            path: "sys/devices/system/clocksource/clocksource0/current_clocksource".to_owned(),
            value: best.to_owned(),
            form: Form::Text,
        }))
    })
}

/// The processor, where it has a time-stamp counter.
fn with_counter<'a>(context: &Context<'a>) -> Result<&'a Processor, Outcome> {
    let processor = known(&context.facts.processor, "there is no /proc/cpuinfo")?;
    match processor.architecture {
        Architecture::X86 => Ok(processor),
        Architecture::Arm => {
            Err(Outcome::not_applicable("Arm's counter is constant by architecture"))
        }
        Architecture::Other => Err(Outcome::not_applicable("no time-stamp counter of x86")),
    }
}

fn counter(context: &Context<'_>) -> Outcome {
    settled(|| {
        let processor = with_counter(context)?;
        let missing: Vec<&str> = ["constant_tsc", "nonstop_tsc"]
            .into_iter()
            .filter(|flag| !processor.has(flag))
            .collect();
        let outcome = if missing.is_empty() {
            Outcome::good(if processor.has("tsc_known_freq") {
                "constant, never stops, of known frequency"
            } else {
                "constant, never stops; its frequency is measured at boot"
            })
        } else if processor.is_virtual() {
            Outcome::warn(format!("the hypervisor does not promise {}", missing.join(" and ")))
                .advice("let the hypervisor pass the invariant counter on to this guest")
        } else {
            Outcome::bad(format!("without {}", missing.join(" and ")))
                .advice("look in the firmware for what hides the invariant counter")
        };
        Ok(outcome.wanted("constant_tsc nonstop_tsc"))
    })
}

fn watchdog(context: &Context<'_>) -> Outcome {
    settled(|| {
        let processor = with_counter(context)?;
        let cmdline = context.cmdline()?;
        let available =
            known(&context.facts.clock.available, "this kernel has no choice of clocks")?;
        let says = |value: &str| cmdline.all("tsc").any(|p| p.value.as_deref() == Some(value));
        let wanted = |outcome: Outcome| outcome.wanted("tsc=reliable");
        if !available.iter().any(|one| one == "tsc") {
            let seen = "the kernel does not trust the counter";
            let outcome =
                if processor.is_virtual() { Outcome::warn(seen) } else { Outcome::bad(seen) };
            return Ok(wanted(outcome).advice(
                "look for \"Marking TSC unstable\" in the kernel's log, then in the firmware",
            ));
        }
        let is_constant = processor.has_constant_clock();
        let reliable = Change::BootParameter {
            key: "tsc".to_owned(),
            value: BootValue::Is("reliable".to_owned()),
        };
        let remove = Change::BootParameter { key: "tsc".to_owned(), value: BootValue::Absent };
        Ok(match (says("reliable"), is_constant) {
            (true, true) => wanted(Outcome::good("tsc=reliable")),
            (true, false) => Outcome::bad("tsc=reliable, but the counter is not constant")
                .wanted("no tsc=reliable")
                .fix(remove),
            (false, _) if says("nowatchdog") => {
                let outcome = wanted(Outcome::warn("tsc=nowatchdog"));
                if is_constant { outcome.fix(reliable) } else { outcome }
            }
            (false, false) => Outcome::not_applicable("the counter needs its watchdog: see CLK-02"),
            (false, true) => match watches_itself(context, processor) {
                true => {
                    wanted(Outcome::good("no watchdog is needed: TSC_ADJUST on one or two nodes"))
                }
                false if processor.is_virtual() => {
                    wanted(Outcome::info("not said; the hypervisor's clock is watched by its host"))
                }
                false => wanted(Outcome::warn("not said")).fix(reliable),
            },
        })
    })
}

/// Does this kernel leave the watchdog out by itself? Only what is certain: Linux 5.17 on at most two nodes.
fn watches_itself(context: &Context<'_>, processor: &Processor) -> bool {
    let nodes = context.facts.machine.value().map(|machine| machine.nodes.len());
    let is_new = context.facts.clock.kernel_is_at_least(5, 17);
    processor.has("tsc_adjust") && is_new && nodes.is_some_and(|nodes| (1..=2).contains(&nodes))
}

fn skew(context: &Context<'_>) -> Outcome {
    settled(|| {
        let outcome = match context.cmdline()?.value("skew_tick") {
            Some("1") => Outcome::good("1"),
            other => Outcome::warn(other.unwrap_or("not set")).fix(Change::BootParameter {
                key: "skew_tick".to_owned(),
                value: BootValue::Is("1".to_owned()),
            }),
        };
        Ok(outcome.wanted("1"))
    })
}

fn migration(context: &Context<'_>) -> Outcome {
    settled(|| {
        let value = known(&context.facts.clock.timer_migration, "this kernel never moves timers")?;
        let Ok(measured) = context.watched() else { return Ok(Outcome::info(value)) };
        let workers = context.workers()?;
        let Fact::Is(softirqs) = &measured.softirqs else { return Ok(Outcome::info(value)) };
        let fired =
            softirqs.get("TIMER").map_or(0, |timer| crate::measured::sum_on(timer, &workers));
        let rate = measured.per_second(fired);
        // One each second is what the kernel's own bookkeeping takes.
        let allowed = u32::try_from(workers.len()).map_or(f64::MAX, f64::from);
        let seen = format!("{value}; {rate:.1} timers/s fired on the workers' CPUs");
        Ok(if rate <= allowed { Outcome::good(seen) } else { Outcome::info(seen) })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use config::CpuId;

    use super::*;
    use crate::{
        Verdict::{self, *},
        checks::testing::{Fake, quiet_seconds, table},
    };

    const CURRENT: &str = "sys/devices/system/clocksource/clocksource0/current_clocksource";
    const AVAILABLE: &str = "sys/devices/system/clocksource/clocksource0/available_clocksource";
    const METAL: &str =
        "vendor_id : GenuineIntel\nflags : tsc constant_tsc nonstop_tsc tsc_known_freq\n";
    const GUEST: &str =
        "vendor_id : GenuineIntel\nflags : tsc constant_tsc nonstop_tsc hypervisor\n";
    const LOOSE: &str = "vendor_id : GenuineIntel\nflags : tsc constant_tsc\n";
    const LOOSE_GUEST: &str = "vendor_id : GenuineIntel\nflags : tsc nonstop_tsc hypervisor\n";
    const ARM: &str = "CPU implementer : 0x41\n";

    #[test]
    fn the_clock_source_is_judged_by_what_reading_it_costs() {
        let at = |current: &str, available: &str, cpuinfo: &str, verdict: Verdict| {
            Fake::new()
                .files(&[(CURRENT, current), (AVAILABLE, available), ("proc/cpuinfo", cpuinfo)])
                .expect("CLK-01", verdict)
        };

        at("tsc", "tsc hpet", METAL, Good);
        at("arch_sys_counter", "arch_sys_counter", ARM, Good);
        let bad = at("hpet", "tsc hpet acpi_pm", METAL, Bad);
        assert!(
            matches!(&bad.fix[..], [Change::Kernel { value, .. }] if value == "tsc"),
            "{bad:#?}"
        );
        let lost = at("acpi_pm", "hpet acpi_pm", METAL, Bad);
        assert!(lost.fix.is_empty() && lost.advice.is_some(), "{lost:#?}");
        assert!(at("hpet", "tsc hpet", LOOSE, Bad).fix.is_empty());
        assert_eq!(at("kvm-clock", "tsc kvm-clock", GUEST, Warn).fix.len(), 1);
        assert!(at("kvm-clock", "kvm-clock", GUEST, Info).fix.is_empty());
        at("xen", "xen tsc", GUEST, Bad);
        table!("CLK-01", [] => NotApplicable, [(CURRENT, "\0")] => Unknown);
    }

    #[test]
    fn the_counter_has_to_be_constant_and_never_to_stop() {
        table!("CLK-02",
            [("proc/cpuinfo", METAL)] => Good,
            [("proc/cpuinfo", GUEST)] => Good,
            [("proc/cpuinfo", LOOSE)] => Bad,
            [("proc/cpuinfo", LOOSE_GUEST)] => Warn,
            [("proc/cpuinfo", ARM)] => NotApplicable,
            [("proc/cpuinfo", "isa : rv64\n")] => NotApplicable,
            [] => NotApplicable,
            [("proc/cpuinfo", "rubbish")] => Unknown,
        );
    }

    #[test]
    fn the_watchdog_of_the_counter_is_off_where_the_counter_is_good() {
        let at =
            |cpuinfo: &str, cmdline: &str, available: &str, release: &str, verdict: Verdict| {
                Fake::new()
                    .files(&[
                        ("proc/cpuinfo", cpuinfo),
                        ("proc/cmdline", cmdline),
                        (AVAILABLE, available),
                    ])
                    .file("proc/sys/kernel/osrelease", release)
                    .expect("CLK-03", verdict)
            };
        let adjust = METAL.replace("tsc_known", "tsc_adjust tsc_known");

        at(METAL, "tsc=reliable", "tsc", "6.1.0", Good);
        assert_eq!(at(METAL, "quiet", "tsc", "6.1.0", Warn).fix.len(), 1);
        at(&adjust, "quiet", "tsc", "5.17.0-rt", Good);
        at(&adjust, "quiet", "tsc", "5.16.9", Warn);
        at(GUEST, "quiet", "tsc", "6.1.0", Info);
        at(METAL, "tsc=nowatchdog", "tsc", "6.1.0", Warn);
        at(LOOSE, "tsc=reliable", "tsc", "6.1.0", Bad);
        at(LOOSE, "quiet", "tsc", "6.1.0", NotApplicable);
        at(METAL, "tsc=reliable", "hpet", "6.1.0", Bad);
        at(GUEST, "quiet", "kvm-clock", "6.1.0", Warn);
        at(ARM, "quiet", "arch_sys_counter", "6.1.0", NotApplicable);
        table!("CLK-03", [("proc/cpuinfo", METAL), (AVAILABLE, "\0")] => Unknown);
    }

    #[test]
    fn skewed_ticks_are_wanted() {
        table!("CLK-04",
            [("proc/cmdline", "skew_tick=1")] => Good,
            [("proc/cmdline", "skew_tick=0")] => Warn,
            [("proc/cmdline", "quiet")] => Warn,
            [("proc/cmdline", "\0")] => Unknown,
        );
        let fix = Fake::new().look("CLK-04").fix;
        assert!(matches!(&fix[..], [Change::BootParameter { key, .. }] if key == "skew_tick"));
    }

    #[test]
    fn where_timers_go_is_decided_by_where_they_fire() {
        const FILE: &str = "proc/sys/kernel/timer_migration";
        table!("CLK-05", [(FILE, "1")] => Info, [(FILE, "0")] => Info, [] => NotApplicable);
        let with = |fired: u64| {
            let cpu = CpuId::new(2).unwrap();
            let timers = BTreeMap::from([("TIMER".to_owned(), BTreeMap::from([(cpu, fired)]))]);
            let measured = crate::Measured { softirqs: Fact::Is(timers), ..quiet_seconds() };
            Fake::new().file(FILE, "1").measured(measured)
        };

        // Two workers, ten seconds: one each second and worker.
        with(20).expect("CLK-05", Good);
        let many = with(21).expect("CLK-05", Info);
        assert!(many.fix.is_empty() && many.is_contested);
        with(20).undecided("too few CPUs").expect("CLK-05", Unknown);
        let uncounted = crate::Measured { softirqs: Fact::unknown("denied"), ..quiet_seconds() };
        Fake::new().file(FILE, "1").measured(uncounted).expect("CLK-05", Info);
    }
}
