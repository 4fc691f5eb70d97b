//! Memory errors, machine checks, and who samples the CPUs.

use super::{
    Check, Context, Outcome,
    judge::{known, settled},
    wording::lines,
};
use crate::{
    Fact, Risk, Section,
    change::{BootValue, Change},
    facts::processor::{Architecture, Processor},
};

/// Memory errors, machine checks, and who samples the CPUs.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "RAS-01",
        section: Section::Firmware,
        title: "machine checks",
        why: "with mce=off an error in memory or cache is not handled, and data is wrong without a word",
        explain: "A machine check is how an x86 processor tells of an error that it could not correct, or of one that it \
                  could. Without the handler an uncorrected error resets the machine without a trace, or a poisoned \
                  cache line is used as if nothing were wrong.\n\nGuides for low latency set mce=off because \
                  corrected errors are polled for from a timer. That timer is RAS-02's matter, and can be switched \
                  off alone (mce=ignore_ce). Vendors that do set mce=off bring their own error handling with the \
                  machine.",
        sources: &[
            "Linux Documentation/arch/x86/x86_64/boot-options.rst, mce=",
            "Linux Documentation/arch/x86/x86_64/machinecheck.rst",
        ],
        risk: Risk::None,
        look: machine_checks,
        ..Check::PLAIN
    },
    Check {
        id: "RAS-02",
        section: Section::Firmware,
        title: "polling for corrected errors",
        why: "the kernel looks for corrected errors from a timer on every CPU, every five minutes",
        explain: "Corrected errors are collected from the banks of each CPU by a timer, by default every five minutes and \
                  more often after it found some. The poll takes microseconds and happens on workers' CPUs as well. \
                  ignore_ce=1 stops it, and the interrupt for corrected errors with it.\n\nExperts disagree: realtime \
                  profiles set it, the kernel's own documentation calls it usually not recommended, because a failing \
                  memory module announces itself by corrected errors weeks before it fails. So nothing is changed \
                  here unless it is asked for; errors that do come are reported as bad whatever the setting, since \
                  each costs time.",
        sources: &[
            "Linux Documentation/arch/x86/x86_64/boot-options.rst, mce=ignore_ce",
            "TuneD realtime profiles",
        ],
        risk: Risk::Medium,
        cost: "failing memory is noticed late",
        is_contested: true,
        look: corrected_errors,
        ..Check::PLAIN
    },
    Check {
        id: "RAS-03",
        section: Section::Firmware,
        title: "memory errors",
        why: "each corrected error stalls the CPUs for up to milliseconds, and each uncorrected one is lost data",
        explain: "EDAC drivers count the errors of each memory controller. A corrected error is handled by the memory \
                  controller in nanoseconds, but is often reported through the firmware, which stops all CPUs for \
                  the time it takes to log it (FW-02).\n\nOne error in a year is radiation; a number that grows is a \
                  module that fails, and no setting helps. Uncorrected errors mean that data was lost.\n\nWhere there is \
                  no EDAC driver, the machine has no memory with error correction, or the firmware keeps the counters \
                  for itself: ask the management controller.",
        sources: &["Linux Documentation/admin-guide/RAS/main.rst"],
        look: memory_errors,
        ..Check::PLAIN
    },
    Check {
        id: "PERF-01",
        section: Section::Load,
        title: "profilers",
        why: "a profiler that samples all CPUs interrupts the workers at its rate, by NMI",
        explain: "Each sample is a non-maskable interrupt of some microseconds. perf record -a at its default rate is \
                  thousands each second on every CPU; continuous profilers take tens to hundreds.\n\nThe kernel lists \
                  no owners of events, so the open files of all processes are looked through, which takes root. A \
                  held event need not sample a worker's CPU: tracing tools hold some too. perf with -a or -C is \
                  reported as bad, anything else as a warning with its name.\n\nkernel.perf_event_max_sample_rate is the \
                  limit for everyone. The kernel lowers it by itself when samples take too long.",
        sources: &[
            "Linux Documentation/admin-guide/sysctl/kernel.rst, perf_event_max_sample_rate",
            "man 2 perf_event_open",
        ],
        look: profilers,
        ..Check::PLAIN
    },
];

/// The processor, where it has machine checks.
fn x86(processor: &Fact<Processor>) -> Result<&Processor, Outcome> {
    let processor = known(processor, "there is no /proc/cpuinfo")?;
    match processor.architecture {
        Architecture::X86 => Ok(processor),
        Architecture::Arm | Architecture::Other => {
            Err(Outcome::not_applicable("machine checks are a matter of x86"))
        }
    }
}

fn machine_checks(context: &Context<'_>) -> Outcome {
    settled(|| {
        x86(&context.facts.processor)?;
        let cmdline = context.cmdline()?;
        let remove =
            |key: &str| Change::BootParameter { key: key.to_owned(), value: BootValue::Absent };
        let outcome = if cmdline.all("mce").any(|p| p.value.as_deref() == Some("off")) {
            Outcome::bad("mce=off").fix(remove("mce"))
        } else if cmdline.has("nomce") {
            Outcome::bad("nomce").fix(remove("nomce"))
        } else {
            Outcome::good("handled")
        };
        Ok(outcome.wanted("handled"))
    })
}

fn corrected_errors(context: &Context<'_>) -> Outcome {
    settled(|| {
        x86(&context.facts.processor)?;
        let ignores = &context.facts.ras.ignores_corrected;
        let ignores = known(ignores, "no machine checks here")? != "0";
        let grown = match context.measured {
            Some(measured) => known(&measured.edac, "").map_or(0, |edac| edac.grown_at("ce_count")),
            None => 0,
        };
        Ok(match (grown, ignores) {
            (1.., _) => Outcome::bad(format!("{grown} came while the machine was watched"))
                .advice("replace the memory module that RAS-03 names"),
            (0, true) => Outcome::info("not polled for: failing memory is noticed late"),
            (0, false) => Outcome::good("polled for"),
        })
    })
}

fn memory_errors(context: &Context<'_>) -> Outcome {
    settled(|| {
        let controllers = match &context.facts.ras.controllers {
            Fact::Is(controllers) => controllers,
            Fact::Unknown { why } => return Ok(Outcome::unknown(why)),
            Fact::Absent => {
                let is_guest = context.facts.processor.value().is_some_and(Processor::is_virtual);
                return Ok(if is_guest {
                    Outcome::not_applicable("memory errors are the host's matter")
                } else {
                    Outcome::info("the kernel counts none: no EDAC driver, or no ECC memory")
                });
            }
        };
        let (mut corrected, mut uncorrected, mut details) = (0_u64, 0_u64, Vec::new());
        for controller in controllers {
            let ce = *known(&controller.corrected, "no counter")?;
            let ue = *known(&controller.uncorrected, "no counter")?;
            if ce > 0 || ue > 0 {
                details.push(format!("{}: {ce} corrected, {ue} not", controller.name));
            }
            corrected = corrected.saturating_add(ce);
            uncorrected = uncorrected.saturating_add(ue);
        }
        let outcome = match (uncorrected, corrected) {
            (0, 0) => Outcome::good("none"),
            (0, _) => Outcome::warn(format!("{corrected} corrected since boot"))
                .advice("replace the module if the number grows"),
            _ => {
                Outcome::bad(format!("{uncorrected} uncorrected, {corrected} corrected since boot"))
                    .advice("replace the memory module")
            }
        };
        Ok(outcome.wanted("none").details(lines(details)))
    })
}

fn profilers(context: &Context<'_>) -> Outcome {
    settled(|| {
        let users = known(&context.facts.ras.perf_users, "there are no processes")?;
        let details = lines(users.iter().map(|user| {
            let how = if user.is_system_wide { ", on all CPUs" } else { "" };
            format!("{} ({}){how}", user.name, user.process)
        }));
        let count = users.len();
        let outcome = if users.iter().any(|user| user.is_system_wide) {
            Outcome::bad("a profiler samples all CPUs").advice("stop the profiler")
        } else if count > 0 {
            Outcome::warn(format!("{count} processes hold performance events"))
                .advice("find out whether they sample the workers' CPUs")
        } else {
            Outcome::good(match context.facts.ras.perf_max_sample_rate.value() {
                Some(rate) => format!("nobody samples; {rate} Hz are allowed"),
                None => "nobody samples".to_owned(),
            })
        };
        Ok(outcome.wanted("nobody samples the workers' CPUs").details(details))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        Measured, Verdict,
        Verdict::*,
        checks::testing::{Fake, quiet_seconds, table},
        facts::ras::PerfUser,
        measured::{Counted, Counters},
    };

    const METAL: (&str, &str) = ("proc/cpuinfo", "vendor_id : AuthenticAMD\nflags : tsc\n");
    const GUEST: (&str, &str) = ("proc/cpuinfo", "vendor_id : AuthenticAMD\nflags : hypervisor\n");
    const ARM: (&str, &str) = ("proc/cpuinfo", "CPU implementer : 0x41\n");
    const IGNORE: &str = "sys/devices/system/machinecheck/machinecheck0/ignore_ce";
    const CE: &str = "sys/devices/system/edac/mc/mc0/ce_count";
    const UE: &str = "sys/devices/system/edac/mc/mc0/ue_count";

    #[test]
    fn switching_machine_checks_off_is_bad() {
        table!("RAS-01",
            [METAL] => Good,
            [METAL, ("proc/cmdline", "mce=ignore_ce")] => Good,
            [METAL, ("proc/cmdline", "mce=off")] => Bad,
            [METAL, ("proc/cmdline", "mce=off mce=ignore_ce")] => Bad,
            [METAL, ("proc/cmdline", "nomce")] => Bad,
            [ARM, ("proc/cmdline", "mce=off")] => NotApplicable,
            [METAL, ("proc/cmdline", "\0")] => Unknown,
        );
    }

    #[test]
    fn corrected_errors_that_come_are_bad_and_ignoring_them_is_contested() {
        table!("RAS-02",
            [METAL, (IGNORE, "0")] => Good,
            [METAL, (IGNORE, "1")] => Info,
            [METAL] => NotApplicable,
            [METAL, (IGNORE, "\0")] => Unknown,
            [ARM, (IGNORE, "0")] => NotApplicable,
        );
        let grew = |to: u64| {
            let set = BTreeMap::from([(CE.to_owned(), Counted { from: 4, to })]);
            let edac = Fact::Is(Counters { read: 2, set });
            Fake::new()
                .files(&[METAL, (IGNORE, "0")])
                .measured(Measured { edac, ..quiet_seconds() })
        };
        grew(4).expect("RAS-02", Good);
        assert!(grew(5).expect("RAS-02", Bad).fix.is_empty());
    }

    #[test]
    fn memory_errors_are_counted() {
        let at = |ce: &str, ue: &str, verdict: Verdict| {
            Fake::new().files(&[METAL, (CE, ce), (UE, ue)]).expect("RAS-03", verdict)
        };
        at("0", "0", Good);
        assert_eq!(at("1", "0", Warn).details, ["mc0: 1 corrected, 0 not"]);
        at("0", "1", Bad);
        at("many", "0", Unknown);
        table!("RAS-03", [METAL] => Info, [GUEST] => NotApplicable);
    }

    #[test]
    fn profilers_are_named() {
        let with = |users: &[(u32, bool)]| {
            let users: Vec<PerfUser> = users
                .iter()
                .map(|&(process, is_system_wide)| PerfUser {
                    process,
                    name: "perf".to_owned(),
                    is_system_wide,
                })
                .collect();
            Fake::new().answer("perf/users", &Fact::Is(users))
        };

        with(&[]).expect("PERF-01", Good);
        let one = with(&[(7, false)]).expect("PERF-01", Warn);
        assert_eq!(one.details, ["perf (7)"]);
        with(&[(7, false), (8, true)]).expect("PERF-01", Bad);
        Fake::new().expect("PERF-01", Unknown);
    }
}
