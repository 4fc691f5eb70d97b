//! What the scheduler does: domains, partitions, ticks, real-time limits.

use config::CpuSet;
use linux::cpuset::{Hierarchy, Partition};

use crate::{
    change::{BootValue, Change},
    checks::{
        Context, Outcome,
        judge::{known, sysctl},
        wording::{cpus, lines},
    },
    facts::tasks,
};

/// A boot parameter with a list of CPUs.
pub(super) fn boot_list(key: &str, prefix: &str, cpus: &CpuSet) -> Change {
    Change::BootParameter { key: key.to_owned(), value: BootValue::Is(format!("{prefix}{cpus}")) }
}

pub(super) fn domains(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let facts = &context.facts.isolation;
    let isolated = facts.all_isolated();
    let isolated = known(&isolated, "this kernel does not isolate CPUs")?;
    let seen = format!("{} isolated", cpus(isolated));
    let here = workers.intersection(isolated);
    let outcome = if here == workers {
        return Ok(Outcome::good(seen).wanted(format!("{} isolated", cpus(&workers))));
    } else if here.is_empty() {
        Outcome::bad(seen)
    } else {
        Outcome::warn(seen)
    };
    let fix = match facts.hierarchy {
        Hierarchy::V2 => Change::Partition { cpus: workers.clone() },
        Hierarchy::V1 | Hierarchy::None => boot_list("isolcpus", "managed_irq,domain,", &workers),
    };
    Ok(outcome.wanted(format!("{} isolated", cpus(&workers))).fix(fix))
}

pub(super) fn partition(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let facts = &context.facts.isolation;
    match facts.hierarchy {
        Hierarchy::V2 => {}
        Hierarchy::V1 => return Ok(Outcome::not_applicable("cgroup v1 has no partitions")),
        Hierarchy::None => {
            return Ok(Outcome::not_applicable("there is no cpuset controller of cgroup v2"));
        }
    }
    let touches = |partition: &&Partition| {
        !partition.wanted.is_disjoint(&workers) || !partition.effective.is_disjoint(&workers)
    };
    let ours: Vec<&Partition> = facts.partitions.iter().filter(touches).collect();
    if ours.is_empty() {
        return Ok(Outcome::not_applicable("no partition has a worker's CPU (see ISO-01)"));
    }
    let details = lines(ours.iter().map(|partition| {
        let Partition { group, state, effective, .. } = partition;
        format!("{group}: {state}, {}", cpus(effective))
    }));
    let is_invalid = ours.iter().any(|partition| partition.state.contains("invalid"));
    let isolated = ours.iter().filter(|partition| partition.is_isolated());
    let isolated = isolated.fold(CpuSet::new(), |all, one| all.union(&one.effective));
    let outcome = if is_invalid {
        Outcome::bad("a partition is invalid").advice(
            "the reason in brackets names the conflict: end it, then make the partition again",
        )
    } else if workers.is_subset(&isolated) {
        Outcome::good(format!("{} in isolated partitions", cpus(&isolated)))
    } else {
        Outcome::warn(format!("only {} in isolated partitions", cpus(&isolated)))
            .fix(Change::Partition { cpus: workers.clone() })
    };
    Ok(outcome.wanted("isolated").details(details))
}

pub(super) fn ticks(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let wanted = format!("{} tick-free", cpus(&workers));
    let nohz = &context.facts.isolation.nohz_full;
    if nohz.is_absent() {
        return Ok(Outcome::warn("this kernel is built without CONFIG_NO_HZ_FULL")
            .wanted(wanted)
            .advice("boot a kernel that is built with CONFIG_NO_HZ_FULL"));
    }
    let nohz = known(nohz, "")?;
    let seen = format!("{} tick-free", cpus(nohz));
    let outcome = if workers.is_subset(nohz) {
        return Ok(Outcome::good(seen).wanted(wanted));
    } else if workers.is_disjoint(nohz) {
        Outcome::bad(seen)
    } else {
        Outcome::warn(seen)
    };
    Ok(outcome.wanted(wanted).fix(boot_list("nohz_full", "", &workers)))
}

pub(super) fn throttling(context: &Context<'_>) -> Result<Outcome, Outcome> {
    const DEFAULT: i64 = 950_000;
    let facts = &context.facts.isolation;
    let runtime = *known(&facts.rt_runtime_us, "this kernel has no such limit")?;
    let period = facts.rt_period_us.value().copied().unwrap_or(1_000_000);
    let seen = format!("{runtime} µs of {period}");
    let wanted = format!("{DEFAULT}, or another share of the period");
    if (0..period).contains(&runtime) {
        return Ok(Outcome::good(seen).wanted(wanted));
    }
    let threads = context.facts.tasks.threads();
    let is_busy = |task: &&linux::task::Task| {
        let stat = &task.stat;
        !stat.is_kernel() && stat.policy.is_real_time() && stat.state == 'R'
    };
    let outcome = match known(&threads, "there are no threads") {
        Ok(threads) => {
            let busy: Vec<_> = threads.iter().filter(is_busy).collect();
            let named = busy.iter().map(|task| format!("{} ({})", task.stat.name, task.stat.id));
            let details = lines(named.map(|name| format!("{name} runs in real time")));
            let outcome = if busy.is_empty() { Outcome::warn(seen) } else { Outcome::bad(seen) };
            outcome.details(details)
        }
        // Without a limit it is at least a warning; worse can not be ruled out.
        Err(outcome) => outcome,
    };
    Ok(outcome.wanted(wanted).fix(sysctl("kernel.sched_rt_runtime_us", DEFAULT)))
}

pub(super) fn kernel(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let facts = &context.facts.isolation;
    let is_realtime = *known(&facts.is_realtime, "the kernel does not say what it is")?;
    Ok(Outcome::info(if is_realtime {
        "PREEMPT_RT: wake-ups are bounded, at the cost of throughput on housekeeping CPUs"
    } else {
        "not PREEMPT_RT, which workers do not need"
    }))
}

/// Is somebody watching for threads that real-time tasks starve?
pub(super) fn has_stalld(context: &Context<'_>) -> bool {
    let tasks: &tasks::Tasks = &context.facts.tasks;
    tasks.runs("stalld")
}
