//! Measured acceptance: the verdict that counts, for settings only promise.

mod ab;
mod noise;
#[cfg(test)]
mod tests;
mod traffic;

use super::{Check, judge::settled};
use crate::Section;

/// What a check of measurements is, unless it says otherwise.
const MEASURED: Check = Check { section: Section::Measured, is_proposed: true, ..Check::PLAIN };

/// Measured acceptance: the verdict that counts.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "MEAS-01",
        title: "gaps in a loop on workers' CPUs",
        why: "the longest time for which a CPU is taken away is what the tail of the latency is made of",
        explain: "A thread on each worker's CPU does nothing but read the clock. A gap between two readings is time in \
                  which something else ran there: an interrupt, another thread, the firmware, the hypervisor. This is \
                  the proof of all isolation; the settings are only means.\n\nGood is: no gap of 10 µs or more, and \
                  fewer than 60 gaps a minute. A longest gap below 50 µs is a warning, a longer one bad. The loop must \
                  run where and when the workers would: on the isolated CPUs, with the machine's usual load on the \
                  others.\n\nAt 10 Gb/s of small frames 10 µs are 150 frames: nothing for a ring of 1024. The numbers \
                  are a proposal for latency; a throughput set-up may accept more.",
        sources: &["rigtorp/hiccups", "Linux Documentation/trace/osnoise-tracer.rst"],
        look: |context| settled(|| noise::gaps(context)),
        ..MEASURED
    },
    Check {
        id: "MEAS-02",
        title: "gaps have a known cause",
        why: "a gap that nobody can name can not be removed, and may grow",
        explain: "The kernel's own trace of each CPU is kept while the loop runs: interrupts, software interrupts, calls \
                  from other CPUs, ticks, switches to other threads, page faults, changes of frequency. What lies in \
                  a gap is its cause.\n\nGood is: every gap over 10 µs has a cause, or there is none. Some without one \
                  are a warning, all of them without one is bad: then this kernel did nothing meanwhile, and the \
                  firmware or the hypervisor is the suspect, for these it can not see (MEAS-03, FW-02, VIRT-01).\n\n\
                  It needs root and tracefs, and its events cost a little noise of their own; without them the \
                  check is unknown.",
        sources: &["Linux Documentation/tools/rtla/rtla-osnoise.rst (the idea)"],
        look: |context| settled(|| noise::causes(context)),
        ..MEASURED
    },
    Check {
        id: "MEAS-03",
        title: "noise of the hardware",
        why: "what the firmware does with interrupts off is seen by no counter of the kernel",
        explain: "The longest gap of the loop in which this kernel did nothing on the CPU, by its own trace: what is left \
                  is the firmware (system management interrupts), the hypervisor, or a processor that changes its \
                  frequency or waits for its memory. It is an upper bound, of the time that was watched: noise that \
                  fell into a gap with another cause is not seen, and rare noise needs a longer look.\n\nGood is: \
                  below 5 µs. Below 20 µs is a warning, more is bad. Remedies are in the firmware's setup: USB \
                  legacy support, memory patrol scrubbing reports, power management, vendor tools that poll. Inside a \
                  virtual machine nobody can tell the host's part from the hardware's, so the number is only shown \
                  (VIRT-01).\n\nThe kernel's hwlat and hwnoise tracers ask the same with interrupts off: rtla hwnoise \
                  -c CPUS -T 1 -d 60s, which barewire-tune measure --cross-check reads.",
        sources: &["Linux Documentation/tools/rtla/rtla-hwnoise.rst"],
        look: |context| settled(|| noise::hardware(context)),
        ..MEASURED
    },
    Check {
        id: "MEAS-04",
        title: "rings outlast the longest gap",
        why: "frames that come while a worker does not poll must fit into the receive ring, or they are lost",
        explain: "The daemon keeps the longest time between two polls of each worker. What arrives meanwhile at the \
                  rate that was seen waits in the receive ring of the queue. The share of the ring that it fills is \
                  the margin.\n\nGood is: less than a quarter. Less than three quarters is a warning, more is bad: a \
                  little more traffic, and the next gap loses frames. (Where sources judge only a ring that overflows, \
                  that is too late.)\n\nRemove the gap (MEAS-01), or set a larger rx_ring; larger rings hold more \
                  frames in the cache and hide the gap rather than mend it.",
        sources: &[
            "FastNetMon, Learning DPDK: eliminating NIC receive drops at 100GbE (the reasoning)",
        ],
        look: |context| settled(|| traffic::budget(context)),
        ..MEASURED
    },
    Check {
        id: "MEAS-05",
        title: "no frame was lost at the ports",
        why: "a machine that loses frames is not tuned, whatever its settings look like",
        explain: "What the daemon's ports counted while the machine was watched: frames that found the receive queue \
                  full, frames in error, times without a buffer.\n\nGood is none. Up to one in ten million is a \
                  warning, more is bad. Frames that the configuration drops on purpose are not lost, and are only \
                  listed. Without traffic nothing is proved, and the check does not apply.",
        sources: &["KubeVirt DPDK checkup (sent equals received)"],
        look: |context| settled(|| traffic::losses(context)),
        ..MEASURED
    },
    Check {
        id: "MEAS-06",
        title: "what is set was measured to help",
        why: "published before-and-after tables have machines that became slower by the same playbook",
        explain: "A knob that helps one processor generation costs another. Runs with and without each group of knobs, \
                  taken in turn, at least five of each, give an interval for the effect; only what is above zero \
                  with certainty is worth keeping.\n\nGood is: everything that is kept was measured to help. Kept \
                  without certainty, or after fewer runs, is a warning; kept although it was measured to hurt is \
                  bad.",
        sources: &["aws-samples/trading-latency-benchmark (a table with regressions)"],
        look: |context| settled(|| ab::effects(context)),
        ..MEASURED
    },
];
