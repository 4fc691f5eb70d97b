//! Frequency: a worker's core is always as fast as it can be.

use std::collections::BTreeSet;

use config::CpuSet;

use super::{
    Check, Context, Outcome,
    judge::{known, settled},
    wording::lines,
};
use crate::{
    Fact, Risk, Section, Verdict,
    change::{BootValue, Change, Form},
    facts::{
        power::Policy,
        processor::{Generation, Processor},
    },
};

/// Frequency: a worker's core is always as fast as it can be.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "PWR-01",
        section: Section::Frequency,
        title: "frequency governor",
        why: "a governor that follows the load lets the core be slow when the first packet after a lull comes",
        explain: "The governor chooses the frequency of each group of CPUs. performance asks for the highest, always. \
                  schedutil and ondemand follow the load that the scheduler sees; a poll loop is full load and gets there \
                  too, but housekeeping cores, and workers that sleep between bursts, start slowly.\n\npowersave means two \
                  things: under intel_pstate and amd-pstate in active mode the hardware chooses by itself and only \
                  leans towards saving (see PWR-02); under every other driver it pins the lowest frequency.\n\n\
                  It costs power and heat, and on processors with little head-room for turbo the heat of idle cores is \
                  taken from busy ones. Only the workers' CPUs are changed here.",
        sources: &[
            "Linux Documentation/admin-guide/pm/cpufreq.rst",
            "Linux Documentation/admin-guide/pm/intel_pstate.rst",
            "TuneD latency-performance profile",
        ],
        risk: Risk::Low,
        cost: "power and heat",
        look: governor,
        ..Check::PLAIN
    },
    Check {
        id: "PWR-02",
        section: Section::Frequency,
        title: "energy performance preference",
        why: "processors that choose their frequency themselves do it by this hint",
        explain: "With hardware-managed frequencies (Intel HWP, AMD CPPC) the governor is only part of the answer: the \
                  processor weighs speed against energy by the energy performance preference. performance leaves no \
                  doubt; balance_performance, a usual default, lets cores fall and rise within tens to hundreds of \
                  microseconds.\n\nUnder the governor performance the driver sets the preference itself, and \
                  refuses others.",
        sources: &[
            "Linux Documentation/admin-guide/pm/intel_pstate.rst, energy vs performance hints",
            "Linux Documentation/admin-guide/pm/amd-pstate.rst",
            "TuneD latency-performance profile",
        ],
        risk: Risk::Low,
        cost: "power and heat",
        look: preference,
        ..Check::PLAIN
    },
    Check {
        id: "PWR-03",
        section: Section::Frequency,
        title: "energy performance bias",
        why: "Intel processors trade speed for energy by this hint, from 0 (speed) to 15 (energy)",
        explain: "The older of Intel's two hints. It is a register of each CPU, is set by the firmware, and the kernel turns \
                  a firmware's 0 into 6 (normal) at boot because many firmwares forget it. It steers turbo, the uncore \
                  and, without hardware-managed frequencies, the frequency itself; with them, PWR-02 counts for more. \
                  \n\n0 is what latency profiles set. Up to 6 is a balance; beyond that the processor saves.",
        sources: &[
            "Linux Documentation/admin-guide/pm/intel_epb.rst",
            "TuneD latency-performance profile",
        ],
        risk: Risk::Low,
        cost: "power and heat",
        look: bias,
        ..Check::PLAIN
    },
    Check {
        id: "PWR-04",
        section: Section::Frequency,
        title: "frequency driver",
        why: "the wrong driver for a processor's generation costs turbo or brings jitter",
        explain: "Intel recommends its own driver in active mode from Ice Lake on. Before that, active mode was seen to \
                  cause jitter, and realtime profiles boot with intel_pstate=disable. Guides that copy this to newer \
                  processors lose turbo control and the energy hints, and leave the frequency to ACPI tables.\n\nOn AMD, \
                  amd-pstate in active or guided mode lets the hardware choose; acpi-cpufreq knows a few \
                  steps only, yet with the governor performance the highest of them, boost included, is what a worker \
                  gets.\n\nA machine with no driver at all either leaves its frequencies to the firmware, which is fine if \
                  the firmware is set to static high performance, or hides them by mistake.",
        sources: &[
            "TuneD function intel_recommended_pstate",
            "Linux Documentation/admin-guide/pm/intel_pstate.rst",
            "Linux Documentation/admin-guide/pm/amd-pstate.rst",
        ],
        risk: Risk::Medium,
        cost: "frequencies are set in another way after the next boot",
        look: driver,
        ..Check::PLAIN
    },
    Check {
        id: "PWR-05",
        section: Section::Frequency,
        title: "lowest frequency",
        why: "a core that may become slow will be slow when it matters",
        explain: "scaling_min_freq is how slow a governor may make the CPU. Equal to scaling_max_freq there is nothing left \
                  to choose. Under the governor performance the limit does not matter, because the highest frequency is \
                  asked for anyway; intel_pstate has min_perf_pct for all CPUs at once.\n\nThe kernel takes the limits as \
                  requests: what the core really runs at is PWR-07.",
        sources: &[
            "Linux Documentation/admin-guide/pm/cpufreq.rst",
            "TuneD latency-performance profile",
        ],
        risk: Risk::Low,
        cost: "power and heat",
        is_proposed: true,
        look: lowest,
        ..Check::PLAIN
    },
    Check {
        id: "PWR-06",
        section: Section::Frequency,
        title: "turbo",
        why: "turbo makes the mean better, and the spread worse",
        explain: "Above the base frequency a core is only as fast as heat, power and its neighbours allow, so its speed \
                  changes with the work of other cores. With turbo the mean latency is lower; without it, every packet \
                  takes the same time.\n\nExperts disagree by what they care for: latency profiles leave turbo on, \
                  benchmark harnesses switch it off to get repeatable numbers. On older generations wide vector instructions lower the core's frequency for about a \
                  millisecond; without turbo that step is smaller.\n\nNothing is \
                  changed unless it is asked for. Compare both on this host.",
        sources: &[
            "Linux Documentation/admin-guide/pm/intel_pstate.rst, turbo",
            "TuneD latency-performance profile",
            "bencherdev/bencher, benchmark isolation",
        ],
        is_contested: true,
        look: turbo,
        ..Check::PLAIN
    },
    Check {
        id: "PWR-07",
        section: Section::Frequency,
        title: "real frequency",
        why: "what the core really runs at is known to its counters only",
        explain: "Two counters run while a core is awake: one at a constant rate, the other at the core's own frequency. \
                  Their quotient over some seconds is the mean frequency relative to the base, whatever governor and \
                  limits say. Below 1 under load something holds the core down: heat, a power limit, a firmware \
                  setting.\n\nIt says something about a core that works: an idle one that wakes for microseconds runs slowly \
                  and that is all right. So a worker's CPU that was awake for less than half of the time is not \
                  judged: let the daemon run, then measure. Tools that read scaling_cur_freq of idle cores have called \
                  healthy machines throttled.\n\nReading the counters takes root and the msr driver.",
        sources: &[
            "Intel SDM volume 3, section 15.2 (IA32_MPERF, IA32_APERF)",
            "Linux tools/power/x86/turbostat",
        ],
        is_proposed: true,
        look: real,
        ..Check::PLAIN
    },
];

/// The policies of the workers' CPUs.
fn policies<'a>(context: &Context<'a>, workers: &'a CpuSet) -> Result<Vec<&'a Policy>, Outcome> {
    known(
        &context.facts.power.policies,
        "no frequency scaling: a guest, or the firmware's matter",
    )?;
    let policies: Vec<&Policy> = context.facts.power.policies_of(workers).collect();
    if policies.is_empty() {
        return Err(Outcome::unknown("no frequency policy has the workers' CPUs"));
    }
    Ok(policies)
}

/// The worst of what is said of several things; what is not known is not hidden by what is worse.
fn worst(judged: &[(Verdict, String)]) -> (Verdict, String) {
    let verdict = judged.iter().map(|(verdict, _)| *verdict).max().unwrap_or(Verdict::Unknown);
    let seen: BTreeSet<&str> = judged.iter().map(|(_, seen)| seen.as_str()).collect();
    (verdict, seen.into_iter().collect::<Vec<_>>().join(", "))
}

/// An outcome of a verdict that was put together.
pub(super) fn outcome(verdict: Verdict, seen: impl Into<String>) -> Outcome {
    match verdict {
        Verdict::Good => Outcome::good(seen),
        Verdict::Info => Outcome::info(seen),
        Verdict::NotApplicable => Outcome::not_applicable(seen),
        Verdict::Warn => Outcome::warn(seen),
        Verdict::Unknown => Outcome::unknown(seen),
        Verdict::Bad => Outcome::bad(seen),
    }
}

/// Does the hardware choose the frequency, and the governor only the direction?
fn is_hardware_managed(policy: &Policy) -> bool {
    matches!(policy.driver.value().map(String::as_str), Some("intel_pstate" | "amd-pstate-epp"))
}

fn governor(context: &Context<'_>) -> Outcome {
    settled(|| {
        let workers = context.workers()?;
        let (mut judged, mut fix) = (Vec::new(), Vec::new());
        for policy in policies(context, &workers)? {
            let governor = known(&policy.governor, "no governor")?.as_str();
            let verdict = match governor {
                "performance" => Verdict::Good,
                "powersave" if !is_hardware_managed(policy) => Verdict::Bad,
                _ => Verdict::Warn,
            };
            let is_offered =
                policy.governors.value().is_none_or(|g| g.iter().any(|g| g == "performance"));
            if verdict != Verdict::Good && is_offered {
                fix.push(Change::Kernel {
                    path: policy.file("scaling_governor"),
                    value: "performance".to_owned(),
                    form: Form::Text,
                });
            }
            judged.push((verdict, governor.to_owned()));
        }
        let (verdict, seen) = worst(&judged);
        Ok(outcome(verdict, seen).wanted("performance").fixes(fix))
    })
}

fn preference(context: &Context<'_>) -> Outcome {
    settled(|| {
        let workers = context.workers()?;
        let (mut judged, mut fix) = (Vec::new(), Vec::new());
        for policy in policies(context, &workers)? {
            let absent = "this processor takes no such hint";
            let preference = known(&policy.preference, absent)?.as_str();
            let verdict = match (preference, preference.parse::<u8>()) {
                ("performance", _) | (_, Ok(0)) => Verdict::Good,
                ("balance_performance" | "default", _) | (_, Ok(1..=128)) => Verdict::Warn,
                _ => Verdict::Bad,
            };
            if verdict != Verdict::Good {
                fix.push(Change::Kernel {
                    path: policy.file("energy_performance_preference"),
                    value: "performance".to_owned(),
                    form: Form::Text,
                });
            }
            judged.push((verdict, preference.to_owned()));
        }
        let (verdict, seen) = worst(&judged);
        Ok(outcome(verdict, seen).wanted("performance").fixes(fix))
    })
}

fn bias(context: &Context<'_>) -> Outcome {
    settled(|| {
        let absent = "this processor takes no such hint";
        let all = known(&context.facts.power.bias, absent)?;
        let workers = context.workers()?;
        let (mut judged, mut fix) = (Vec::new(), Vec::new());
        for (cpu, bias) in all.iter().filter(|(cpu, _)| workers.contains(*cpu)) {
            let verdict = match bias {
                0 => Verdict::Good,
                1..=6 => Verdict::Warn,
                _ => Verdict::Bad,
            };
            if verdict != Verdict::Good {
                fix.push(Change::Kernel {
                    path: format!("sys/devices/system/cpu/cpu{cpu}/power/energy_perf_bias"),
                    value: "0".to_owned(),
                    form: Form::Number,
                });
            }
            judged.push((verdict, bias.to_string()));
        }
        let (verdict, seen) = match judged.is_empty() {
            true => (Verdict::Unknown, "not told for the workers' CPUs".to_owned()),
            false => worst(&judged),
        };
        Ok(outcome(verdict, seen).wanted("0").fixes(fix))
    })
}

fn driver(context: &Context<'_>) -> Outcome {
    settled(|| {
        let processor = known(&context.facts.processor, "there is no /proc/cpuinfo")?;
        let power = &context.facts.power;
        let driver = match &power.policies {
            Fact::Is(policies) => known(&policies[0].driver, "no driver")?.as_str(),
            Fact::Unknown { why } => return Ok(Outcome::unknown(why)),
            Fact::Absent if processor.is_virtual() => {
                return Ok(Outcome::not_applicable("frequencies are the host's matter"));
            }
            Fact::Absent => {
                return Ok(Outcome::warn("none: frequencies are left to the firmware")
                    .wanted("a driver, or firmware that is set to static high performance")
                    .advice(
                        "set the firmware to maximum performance, or to control by the system",
                    ));
            }
        };
        Ok(if processor.is_intel() {
            of_intel(context, driver, processor)?
        } else if processor.is_amd() {
            match (driver, power.amd_pstate.value().map(String::as_str)) {
                ("amd-pstate-epp", mode) => Outcome::good(named(driver, mode)),
                ("amd-pstate", Some("guided")) => Outcome::good("amd-pstate, guided"),
                ("amd-pstate", mode) => Outcome::warn(named(driver, mode)).fix(boot("active")),
                (other, _) => Outcome::info(other),
            }
            .wanted("amd-pstate, active or guided")
        } else {
            Outcome::info(driver)
        })
    })
}

fn boot(mode: &str) -> Change {
    Change::BootParameter { key: "amd_pstate".to_owned(), value: BootValue::Is(mode.to_owned()) }
}

fn named(driver: &str, mode: Option<&str>) -> String {
    mode.map_or_else(|| driver.to_owned(), |mode| format!("{driver}, {mode}"))
}

fn of_intel(
    context: &Context<'_>,
    driver: &str,
    processor: &Processor,
) -> Result<Outcome, Outcome> {
    let mode = context.facts.power.intel_pstate.value().map(String::as_str);
    let is_own = matches!(driver, "intel_pstate" | "intel_cpufreq");
    let seen = named(driver, mode.filter(|_| is_own));
    Ok(match (processor.generation(), driver) {
        (Generation::FromIceLake, "intel_pstate") => Outcome::good(seen),
        (Generation::FromIceLake, other) => {
            let cmdline = context.cmdline()?;
            let remove =
                Change::BootParameter { key: "intel_pstate".to_owned(), value: BootValue::Absent };
            let outcome =
                if other == "intel_cpufreq" { Outcome::warn(seen) } else { Outcome::bad(seen) };
            match cmdline.has("intel_pstate") {
                true => outcome.fix(remove),
                false => {
                    outcome.advice("let the firmware give the control of frequencies to the system")
                }
            }
        }
        (Generation::BeforeIceLake | Generation::Unknown, _) => {
            Outcome::info(format!("{seen}; on this generation only a measurement can tell"))
        }
    }
    .wanted("intel_pstate, active, from Ice Lake on"))
}

fn lowest(context: &Context<'_>) -> Outcome {
    settled(|| {
        let workers = context.workers()?;
        let policies = policies(context, &workers)?;
        let is_performance = |policy: &&Policy| {
            policy.governor.value().is_some_and(|governor| governor == "performance")
        };
        let wanted = "as high as the highest";
        if policies.iter().all(is_performance) {
            let seen = "the governor asks for the highest frequency";
            return Ok(Outcome::good(seen).wanted(wanted));
        }
        let is_active = context.facts.power.intel_pstate.value().is_some_and(|mode| mode != "off");
        if is_active && context.facts.power.min_performance == Fact::Is(100) {
            return Ok(Outcome::good("min_perf_pct is 100").wanted(wanted));
        }
        let (mut judged, mut fix) = (Vec::new(), Vec::new());
        for policy in policies {
            let (min, max) =
                (known(&policy.min_khz, "no limit")?, known(&policy.max_khz, "no limit")?);
            if *max == 0 {
                return Err(Outcome::unknown(format!(
                    "the highest frequency of {} is 0",
                    policy.name
                )));
            }
            let percent = u128::from(*min) * 100 / u128::from(*max);
            let verdict = match percent {
                100.. => Verdict::Good,
                80..100 => Verdict::Warn,
                _ => Verdict::Bad,
            };
            if verdict != Verdict::Good {
                fix.push(Change::Kernel {
                    path: policy.file("scaling_min_freq"),
                    value: max.to_string(),
                    form: Form::Number,
                });
            }
            judged.push((verdict, format!("{percent} % of the highest")));
        }
        let (verdict, seen) = worst(&judged);
        Ok(outcome(verdict, seen).wanted(wanted).fixes(fix))
    })
}

fn turbo(context: &Context<'_>) -> Outcome {
    settled(|| {
        let is_on = known(&context.facts.power.turbo, "no turbo, or not ours to switch")?;
        Ok(Outcome::info(if *is_on { "on" } else { "off" }))
    })
}

fn real(context: &Context<'_>) -> Outcome {
    settled(|| {
        let processor = known(&context.facts.processor, "there is no /proc/cpuinfo")?;
        if processor.is_virtual() {
            return Ok(Outcome::not_applicable("frequencies are the host's matter"));
        }
        let measured = context.watched()?;
        let clocks = known(&measured.clocks, "this processor has no such counters")?;
        let workers = context.workers()?;
        let (mut judged, mut details) = (Vec::new(), Vec::new());
        for (cpu, clock) in clocks.iter().filter(|(cpu, _)| workers.contains(**cpu)) {
            let (Some(percent), Some(awake)) = (clock.percent_of_base(), clock.percent_awake())
            else {
                continue;
            };
            let verdict = match percent {
                _ if awake < 50 => Verdict::Unknown,
                100.. => Verdict::Good,
                95..100 => Verdict::Warn,
                _ => Verdict::Bad,
            };
            details.push(format!("cpu {cpu}: {percent} % of the base frequency, awake {awake} %"));
            judged.push((verdict, percent));
        }
        let is_judged = |(verdict, _): &&(Verdict, u64)| *verdict != Verdict::Unknown;
        let outcome = match judged.iter().filter(is_judged).min_by_key(|(_, percent)| *percent) {
            // One that slept does not hide one that was slow.
            Some((verdict, percent)) => {
                outcome(*verdict, format!("{percent} % of the base frequency at least"))
            }
            None => Outcome::unknown("the workers' CPUs slept: measure while the daemon runs"),
        };
        let outcome = match outcome.verdict {
            Verdict::Warn | Verdict::Bad => {
                outcome.advice("look for heat, power limits and the firmware's power profile")
            }
            Verdict::Good | Verdict::Info | Verdict::NotApplicable | Verdict::Unknown => outcome,
        };
        Ok(outcome.wanted("100 % or more under load").details(lines(details)))
    })
}

#[cfg(test)]
mod tests;
