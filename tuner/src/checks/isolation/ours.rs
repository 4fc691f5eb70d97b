//! The daemon's own threads.

use std::collections::BTreeMap;

use config::CpuId;
use linux::task::{Policy, Task};

use super::{
    kernel::{affinity, named, unless_cut},
    scheduler::has_stalld,
};
use crate::{
    checks::{
        Context, Outcome,
        judge::known,
        wording::{count, cpus, lines},
    },
    facts::tasks::{self, DAEMON},
};

/// The daemon's threads, workers or not; that it does not run is an answer.
fn daemon<'a>(context: &Context<'a>, is_worker: bool) -> Result<Vec<&'a Task>, Outcome> {
    let tasks = &context.facts.tasks;
    known(&tasks.threads(), "there are no threads")?;
    if tasks.daemons().is_empty() {
        let outcome = Outcome::not_applicable(format!("{DAEMON} does not run"));
        return Err(unless_cut(context, outcome));
    }
    let threads: Vec<&Task> =
        tasks.of_daemon().filter(|task| tasks::is_worker(task) == is_worker).collect();
    if threads.is_empty() && is_worker {
        return Err(Outcome::unknown(format!("{DAEMON} has no workers yet")));
    }
    Ok(threads)
}

pub(super) fn pinning(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = daemon(context, true)?;
    let (mut wrong, mut taken) = (Vec::new(), BTreeMap::<CpuId, &Task>::new());
    for task in &workers {
        let Some(allowed) = tasks::allowed(task) else {
            return Ok(Outcome::unknown(format!("the affinity of {} is not known", named(task))));
        };
        match (allowed.len(), allowed.first()) {
            (1, Some(cpu)) => {
                if let Some(other) = taken.insert(cpu, task) {
                    wrong.push(format!("{} and {} share cpu {cpu}", named(other), named(task)));
                }
            }
            _ => wrong.push(format!("{} may run on {}", named(task), cpus(allowed))),
        }
    }
    let outcome = if wrong.is_empty() {
        let pinned = taken.into_keys().collect();
        Outcome::good(format!("{} on {}", count(workers.len(), "worker"), cpus(&pinned)))
    } else {
        Outcome::bad(format!("not so: {} of {}", wrong.len(), count(workers.len(), "worker")))
            .advice("restart barewired: it pins its workers and checks it")
    };
    Ok(outcome.wanted("one CPU each").details(lines(wrong)))
}

pub(super) fn helpers(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let others = daemon(context, false)?;
    let busy = context.workers()?;
    let kept = context.housekeeping()?.difference(&busy);
    let mut wrong = Vec::new();
    for task in &others {
        let Some(allowed) = tasks::allowed(task) else {
            return Ok(Outcome::unknown(format!("the affinity of {} is not known", named(task))));
        };
        if !allowed.is_disjoint(&busy) {
            wrong.push((*task, cpus(allowed)));
        }
    }
    let outcome = if wrong.is_empty() {
        Outcome::good(format!("{}, none on workers' CPUs", count(others.len(), "thread")))
    } else {
        Outcome::bad(format!("allowed there: {} of {}", wrong.len(), count(others.len(), "thread")))
    };
    let details = lines(wrong.iter().map(|(task, on)| format!("{} may run on {on}", named(task))));
    let fixes = wrong.iter().filter(|_| !kept.is_empty()).map(|(task, _)| affinity(task, &kept));
    Ok(outcome.wanted(format!("on {}", cpus(&kept))).details(details).fixes(fixes))
}

pub(super) fn policy(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = daemon(context, true)?;
    let real: Vec<&&Task> = workers.iter().filter(|task| task.stat.policy.is_real_time()).collect();
    let wanted = "SCHED_OTHER";
    if real.is_empty() {
        return Ok(Outcome::good(format!("{}, none real time", count(workers.len(), "worker")))
            .wanted(wanted));
    }
    let facts = &context.facts.isolation;
    let is_watched = facts.is_realtime.value() == Some(&true) && has_stalld(context);
    let is_gentle = |task: &&&Task| task.stat.policy == Policy::Fifo && task.stat.rt_priority <= 1;
    // Without a known limit the worst is taken.
    let is_limited = facts.rt_runtime_us.value().is_some_and(|runtime| *runtime >= 0);
    let seen = format!("real time: {} of {}", real.len(), count(workers.len(), "worker"));
    let outcome = if is_watched && is_limited && real.iter().all(is_gentle) {
        Outcome::warn(seen)
    } else {
        Outcome::bad(seen)
    };
    let details = lines(real.iter().map(|task| {
        format!("{}: {:?}, priority {}", named(task), task.stat.policy, task.stat.rt_priority)
    }));
    let commands: Vec<String> =
        real.iter().take(8).map(|task| format!("chrt -o -p 0 {}", task.stat.id)).collect();
    Ok(outcome.wanted(wanted).details(details).advice(commands.join("; ")))
}
