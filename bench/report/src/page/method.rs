//! How it was measured, for those who do not believe it.

use bench_result::{generator::Pattern, plan::Keep, run::RunResult, words};
use maud::{Markup, html};

use crate::shown;

pub(super) fn section(result: &RunResult) -> Markup {
    let plan = &result.plan;
    let limits = plan.limits.limits();
    html! {
        section #method aria-labelledby="method-title" {
            h2 #method-title { "Method" }
            dl.method {
                dt { "Open loop" }
                dd {
                    "Probes leave by a schedule, whether or not earlier ones came back. One thread sends and receives with one clock. \
                     A response counts from when the probe should have left, so a path that stalls also pays for what could not leave \
                     meanwhile (no coordinated omission); a service time counts from when it left. Nothing is halved, and no floor is \
                     subtracted."
                }
                dt { "Blocks" }
                dd {
                    "In each of " (plan.blocks) " blocks every path of a group is started afresh and measured once, in an order drawn \
                     with the seed " (result.seed) ". Each trial: " (words::time(ms(plan.warm_up_ms))) " of warm-up that is kept apart, "
                    (words::time(ms(plan.measure_ms))) " measured, up to " (words::time(ms(plan.drain_ms))) " for the last to come back; \
                     what is not back then is lost."
                }
                dt { "Ratios" }
                dd {
                    "Each block gives one ratio of a path’s percentile to the reference’s. The value is their median; the interval holds \
                     95 % of the medians of 10\u{202f}000 resamples of the blocks. One path takes part twice, and what it differs from \
                     itself by is the A/A floor. Where an interval is wider than ±" (shown::percent(plan.resolution))
                    ", nothing is said."
                }
                dt { "Stamps" }
                dd {
                    "Probes are stamped by this program, before the call that sends and after the one that fetches."
                    @if let Some(error_ns) = result.trials.iter().filter_map(|it| it.hardware.map(|it| it.error_ns)).max() {
                        " Through ports of this machine they are stamped by the device when they come back; as times of the CPU’s \
                         counter, these stamps are wrong by " (words::time(error_ns)) " at most."
                    }
                }
                dt { "Percentiles" }
                dd {
                    "Of all trials that count together, with lost probes as if they had taken for ever. One is told only where ten \
                     samples or more lie beyond it, and has a star below a hundred."
                }
                dt { "Validity" }
                dd {
                    "A trial does not count when more than " (shown::percent(limits.unsent)) " of its probes did not leave, when the 99.9th \
                     percentile of them left more than " (words::time(limits.lateness_ns)) " late"
                    @match plan.limits { Keep::Virtual => { " (limits for virtual machines)" } Keep::Metal => { " (limits for bare metal)" } }
                    ", when the hypervisor or another program had the CPU, or when the kernel counted other frames than we did. Trials that do not count \
                     are never left out of the files."
                }
                dt { "Loads" }
                dd {
                    ul.plain {
                        @for group in &plan.groups {
                            li {
                                (group.kind) ": "
                                (group.loads.iter().map(|load| shown::load(*load)).collect::<Vec<_>>().join(", "))
                                " frames a second, "
                                (group.sizes.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
                                " bytes"
                                @if let Some(mix) = &group.mix { " on average (" (mix.what()) ")" }
                                ", " (group.generator.what()) ", " (spacing(&group.spacing)) ", " (group.flows) @if group.flows == 1 { " flow" } @else { " flows" }
                                @match group.twin { Some(twin) => { "; twice: " code { (twin) } } None => { "; no twin" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn ms(ms: u64) -> u64 {
    ms.saturating_mul(1_000_000)
}

fn spacing(pattern: &Pattern) -> String {
    match pattern {
        Pattern::Constant => "at equal distances".to_owned(),
        Pattern::Bursts { size } => format!("in bursts of {size}"),
        Pattern::Poisson { seed } => format!("at random distances (Poisson, seed {seed})"),
        Pattern::Replayed { gaps_ns } => format!("as in a capture of {} frames", gaps_ns.len()),
    }
}
