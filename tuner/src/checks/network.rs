//! The kernel's own network stack: the management path, and what folklore does to it.

use super::{
    Check, Context, Outcome,
    judge::{known, settled, sysctl},
};
use crate::{Fact, Risk, Section, Verdict};

/// The kernel's own network stack.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "NET-01",
        section: Section::Network,
        title: "busy polling of sockets",
        why: "busy polling has every waiting socket spin on a housekeeping core, and does nothing for a poll-mode port",
        explain: "With net.core.busy_read and busy_poll a program that reads from a socket spins on the NIC's queue for so \
                  many microseconds before it sleeps. That helps a latency-sensitive program on the kernel's path that \
                  owns its core. On a server whose data path bypasses the kernel it only burns the cores that are \
                  left for everything else.\n\nThe kernel's own documentation prefers to switch it on for single sockets \
                  (SO_BUSY_POLL). The sysctls switch it on for all. On a PREEMPT_RT kernel spinning in that place \
                  holds off what ought to run, and tuning operators remove it there: bad.\n\nWhether some program \
                  profits can not be seen from here; so a value other than zero is information.",
        sources: &[
            "Linux Documentation/admin-guide/sysctl/net.rst, busy_poll and busy_read",
            "openshift cluster-node-tuning-operator, profiles for real-time kernels",
        ],
        risk: Risk::Low,
        cost: "programs that relied on it wait for interrupts",
        is_contested: true,
        look: busy_poll,
        ..Check::PLAIN
    },
    Check {
        id: "NET-02",
        section: Section::Network,
        title: "TCP time stamps",
        why: "without time stamps TCP measures round trips badly and mistakes old segments for new ones",
        explain: "Time stamps give TCP a round-trip sample for every segment, and protect against sequence numbers that came \
                  round (PAWS), which at 10 Gb/s takes three seconds. Guides turn them off to save 12 bytes, or because \
                  the stamp used to reveal the uptime; since Linux 4.10 it starts at a random offset for each \
                  connection.\n\nGood is 1, the default. 2 leaves out the offset and is as good for TCP. 0 is \
                  un-tuning: put it back.",
        sources: &[
            "RFC 7323",
            "Linux Documentation/networking/ip-sysctl.rst, tcp_timestamps",
            "dev-sec hardening issues 275 and 360",
        ],
        look: timestamps,
        ..Check::PLAIN
    },
    Check {
        id: "NET-03",
        section: Section::Network,
        title: "TCP selective acknowledgements",
        why: "without selective acknowledgements one lost segment has everything after it sent again",
        explain: "Selective acknowledgements tell the sender which segments arrived beyond a gap. Without them recovery from \
                  the loss of several segments takes a round trip for each one, or a timeout. A denial of service of 2019 \
                  had people turn them off; it has long been fixed.\n\nGood is 1, the default. One environment has a \
                  reason for 0: some cloud NICs have a limit on the header's length that options exceed. Anywhere \
                  else it is un-tuning.",
        sources: &[
            "RFC 2018",
            "Linux Documentation/networking/ip-sysctl.rst, tcp_sack",
            "amzn-drivers, ENA low-latency queues",
        ],
        look: sack,
        ..Check::PLAIN
    },
    Check {
        id: "NET-04",
        section: Section::Network,
        title: "socket buffer limits",
        why: "buffers beyond bandwidth times delay are a queue, and a queue is latency",
        explain: "rmem_max and the last number of tcp_rmem bound how much of a connection's data the kernel keeps. TCP \
                  grows its buffers as the path needs: 64 MiB is 10 Gb/s over 50 ms. Guides set 128 MiB and more as if \
                  it were speed; it only lets a slow reader collect more that is late.\n\nNothing of it reaches a \
                  poll-mode port. So this is information, and a warning above 64 MiB.",
        sources: &[
            "Linux Documentation/networking/ip-sysctl.rst, tcp_rmem",
            "AWS trading-latency-benchmark, note on over-sized buffers",
        ],
        is_proposed: true,
        look: buffers,
        ..Check::PLAIN
    },
    Check {
        id: "NET-05",
        section: Section::Network,
        title: "backlog and budget of the kernel's stack",
        why: "a backlog that overflows drops packets of the management path without a trace in the NIC's counters",
        explain: "Packets that are handed to another CPU, or come from a virtual interface, wait in that CPU's backlog; when it \
                  holds netdev_max_backlog packets the rest is dropped. A CPU that is not done within netdev_budget \
                  packets or its time stops and goes on later: squeezed.\n\nBoth are counted per CPU in \
                  /proc/net/softnet_stat. Measured, none is good; squeezes alone are information; drops are bad, and \
                  twice the limit is tried. Raising it without drops changes nothing. A poll-mode port has no part in \
                  it.",
        sources: &[
            "Linux Documentation/admin-guide/sysctl/net.rst, netdev_max_backlog and netdev_budget",
        ],
        risk: Risk::Low,
        cost: "memory for packets that wait",
        is_proposed: true,
        look: backlog,
        ..Check::PLAIN
    },
    Check {
        id: "NET-06",
        section: Section::Network,
        title: "tcp_low_latency",
        why: "a switch that does nothing any more is a sign of settings that nobody measured",
        explain: "tcp_low_latency once turned off a queue (the prequeue) that processed segments in the reader's context. \
                  Linux removed that queue in 4.14 and kept the sysctl so that scripts do not fail; guides and vendor \
                  scripts still set it.\n\nThere is nothing to do. Where it is set, look what else the same file sets.",
        sources: &["Linux Documentation/networking/ip-sysctl.rst, tcp_low_latency"],
        look: low_latency,
        ..Check::PLAIN
    },
];

/// The most bytes of a socket's buffer that need no reason.
const BUFFER: i64 = 64 << 20;

fn busy_poll(context: &Context<'_>) -> Outcome {
    settled(|| {
        let network = &context.facts.network;
        let none = "this kernel can not poll sockets";
        let poll = *known(&network.busy_poll, none)?;
        let read = *known(&network.busy_read, none)?;
        let outcome = match (poll, read) {
            (0, 0) => Outcome::good("off"),
            _ => {
                let seen = format!("busy_poll {poll} µs, busy_read {read} µs");
                let build =
                    known(&context.facts.system.build, "this kernel says nothing of itself")?;
                let outcome = match build.contains("PREEMPT_RT") {
                    true => Outcome::bad(format!("{seen}, on PREEMPT_RT")),
                    false => Outcome::info(seen),
                };
                outcome.fixes([sysctl("net.core.busy_poll", 0), sysctl("net.core.busy_read", 0)])
            }
        };
        Ok(outcome.wanted("off"))
    })
}

fn timestamps(context: &Context<'_>) -> Outcome {
    needed(&context.facts.network.tcp_timestamps, "net.ipv4.tcp_timestamps", &[1, 2])
}

fn sack(context: &Context<'_>) -> Outcome {
    needed(&context.facts.network.tcp_sack, "net.ipv4.tcp_sack", &[1])
}

/// Something that guides turn off, and that has to be on.
fn needed(fact: &Fact<i64>, key: &str, good: &[i64]) -> Outcome {
    settled(|| {
        let value = *known(fact, "this kernel has no IPv4")?;
        let outcome = match (good.contains(&value), value) {
            (true, _) => Outcome::good(value.to_string()),
            (false, 0) => Outcome::bad("0").fix(sysctl(key, 1)),
            (false, odd) => Outcome::unknown(format!("{key} is {odd}, which means nothing known")),
        };
        Ok(outcome.wanted("1"))
    })
}

fn buffers(context: &Context<'_>) -> Outcome {
    settled(|| {
        let network = &context.facts.network;
        let core = *known(&network.rmem_max, "this kernel has no such limit")?;
        let tcp = *known(&network.tcp_rmem_max, "this kernel has no IPv4")?;
        let mib = |bytes: i64| format!("{} KiB", bytes / 1024);
        let seen = format!("rmem_max {}, tcp_rmem up to {}", mib(core), mib(tcp));
        Ok(match core.max(tcp) > BUFFER {
            true => Outcome::warn(seen).advice(
                "find out who set it and for which path; 64 MiB is enough for 10 Gb/s over 50 ms",
            ),
            false => Outcome::info(seen),
        }
        .wanted("at most 64 MiB, or a reason"))
    })
}

fn backlog(context: &Context<'_>) -> Outcome {
    settled(|| {
        let measured = context.watched()?;
        let all = known(&measured.softnet, "this kernel counts no packets by CPU")?;
        let sum = |of: fn(&linux::activity::Softnet) -> u64| {
            all.values().map(of).fold(0_u64, u64::saturating_add)
        };
        let (dropped, squeezed) = (sum(|one| one.dropped), sum(|one| one.squeezed));
        let seen = format!("{dropped} dropped, {squeezed} times out of budget");
        let outcome = match (dropped, squeezed) {
            (0, 0) => Outcome::good(seen),
            (0, _) => Outcome::info(seen),
            _ => {
                let limit = *known(&context.facts.network.backlog, "this kernel has no backlog")?;
                let key = "net.core.netdev_max_backlog";
                Outcome::bad(seen).fix(sysctl(key, limit.saturating_mul(2)))
            }
        };
        Ok(outcome.wanted("none dropped"))
    })
}

fn low_latency(context: &Context<'_>) -> Outcome {
    settled(|| {
        let value =
            known(&context.facts.network.tcp_low_latency, "this kernel has no such switch")?;
        Ok(match value {
            0 => Outcome::new(Verdict::NotApplicable, "0, and it would do nothing"),
            value => Outcome::info(format!("{value}, which does nothing since Linux 4.14")),
        })
    })
}

#[cfg(test)]
mod tests;
