//! The kernel's own work: threads, workqueues, masks.

use config::CpuSet;
use linux::task::Task;

use super::scheduler::boot_list;
use crate::{
    change::{Change, Form},
    checks::{
        Context, Outcome,
        judge::known,
        wording::{count, cpus, lines},
    },
    facts::{isolation::WORKQUEUES, tasks},
};

/// Moves a thread to these CPUs.
pub(super) fn affinity(task: &Task, cpus: &CpuSet) -> Change {
    Change::Affinity { thread: task.stat.id, name: task.stat.name.clone(), cpus: cpus.clone() }
}

/// `rcuop/3 (17)`
pub(super) fn named(task: &Task) -> String {
    format!("{} ({})", task.stat.name, task.stat.id)
}

/// That not all threads were looked at, where that could hide one.
pub(super) fn unless_cut(context: &Context<'_>, outcome: Outcome) -> Outcome {
    if context.facts.tasks.is_cut() {
        Outcome::unknown("there are more threads than are looked at")
    } else {
        outcome
    }
}

/// A mask of CPUs in a file of the kernel.
fn mask(path: &str, cpus: &CpuSet) -> Change {
    let (path, value) = (path.to_owned(), cpus.to_hex_mask());
    Change::Kernel { path, value, form: Form::CpuMask }
}

pub(super) fn rcu_threads(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let kept = context.housekeeping()?.difference(&workers);
    known(&context.facts.tasks.threads(), "there are no threads")?;
    let is_rcu = |task: &&Task| {
        ["rcuog/", "rcuop/", "rcuos/"].iter().any(|prefix| task.stat.name.starts_with(prefix))
    };
    let threads: Vec<&Task> = context.facts.tasks.movable_of_kernel().filter(is_rcu).collect();
    if threads.is_empty() {
        let outcome = Outcome::not_applicable("RCU has no threads for callbacks");
        return Ok(unless_cut(context, outcome));
    }
    let (mut there, mut mixed) = (Vec::new(), Vec::new());
    for task in &threads {
        let Some(allowed) = tasks::allowed(task) else {
            let why = task.status.why().unwrap_or("no reason is known");
            return Ok(Outcome::unknown(format!("{}: {why}", named(task))));
        };
        if allowed.is_disjoint(&workers) {
            continue;
        }
        if allowed.is_subset(&workers) || workers.contains(task.stat.last_cpu) {
            there.push(*task);
        } else {
            mixed.push(*task);
        }
    }
    let outcome = match (there.len(), mixed.len()) {
        (0, 0) => {
            let outcome =
                Outcome::good(format!("{}, none on workers' CPUs", count(threads.len(), "thread")));
            unless_cut(context, outcome)
        }
        (0, mixed) => {
            Outcome::warn(format!("allowed on workers' CPUs: {}", count(mixed, "thread")))
        }
        (there, _) => Outcome::bad(format!("on workers' CPUs: {}", count(there, "thread"))),
    };
    let moved: Vec<&Task> = there.into_iter().chain(mixed).collect();
    let details = lines(moved.iter().map(|task| named(task)));
    let outcome = outcome.wanted(format!("on {}", cpus(&kept))).details(details);
    let fixes = moved.iter().filter(|_| !kept.is_empty()).map(|task| affinity(task, &kept));
    Ok(outcome.fixes(fixes))
}

pub(super) fn threads(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let kept = context.housekeeping()?.difference(&workers);
    known(&context.facts.tasks.threads(), "there are no threads")?;
    let (mut seen_there, mut allowed_there, mut unread) = (Vec::new(), Vec::new(), 0_usize);
    for task in context.facts.tasks.movable_of_kernel() {
        let Some(allowed) = tasks::allowed(task) else {
            unread += 1;
            continue;
        };
        // RCU's are another check's.
        if allowed.is_disjoint(&workers) || task.stat.name.starts_with("rcuo") {
            continue;
        }
        if workers.contains(task.stat.last_cpu) && was_active(context, task) {
            seen_there.push(task);
        } else {
            allowed_there.push(task);
        }
    }
    let outcome = match (seen_there.len(), allowed_there.len()) {
        (0, 0) if unread > 0 => {
            Outcome::unknown(format!("not readable: {}", count(unread, "thread")))
        }
        (0, 0) => unless_cut(context, Outcome::good("none may run on workers' CPUs")),
        (0, allowed) => {
            Outcome::warn(format!("allowed on workers' CPUs: {}", count(allowed, "thread")))
        }
        (seen, others) => Outcome::bad(format!(
            "last seen on workers' CPUs: {}; allowed there: {others} more",
            count(seen, "thread")
        )),
    };
    let on = |task: &&Task| format!("{} on cpu {}", named(task), task.stat.last_cpu);
    let details = lines(seen_there.iter().map(on).chain(allowed_there.iter().map(on)));
    let moved = seen_there.into_iter().chain(allowed_there);
    let fixes = moved.filter(|_| !kept.is_empty()).map(|task| affinity(task, &kept));
    Ok(outcome.wanted(format!("all on {}", cpus(&kept))).details(details).fixes(fixes))
}

/// Did a thread do something while the machine was watched? Taken to be so when it was not watched.
fn was_active(context: &Context<'_>, task: &Task) -> bool {
    let threads = context.measured.and_then(|measured| measured.threads.value());
    threads.is_none_or(|threads| threads.iter().any(|active| active.thread == task.stat.id))
}

pub(super) fn default_mask(context: &Context<'_>) -> Result<Outcome, Outcome> {
    const FILE: &str = "proc/irq/default_smp_affinity";
    let workers = context.workers()?;
    let kept = context.housekeeping()?.difference(&workers);
    let now = known(&context.facts.interrupts.default_mask, "this machine has no such mask")?;
    let seen = cpus(now);
    let outcome = if workers.is_disjoint(now) {
        Outcome::good(seen)
    } else {
        // The mask of now is gone at the next boot, and interrupts are requested long before anybody can set it again.
        let fixes = [mask(FILE, &kept), boot_list("irqaffinity", "", &kept)];
        Outcome::bad(seen).fixes(fixes.into_iter().filter(|_| !kept.is_empty()))
    };
    Ok(outcome.wanted(format!("no {}", cpus(&workers))))
}

pub(super) fn workqueues(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let kept = context.housekeeping()?.difference(&workers);
    let facts = &context.facts.isolation;
    let masks = known(&facts.workqueues, "this kernel does not show its workqueues")?;
    let common = format!("{WORKQUEUES}/cpumask");
    let wrong: Vec<(&String, &CpuSet)> =
        masks.iter().filter(|(_, mask)| !mask.is_disjoint(&workers)).collect();
    let name =
        |path: &str| path.strip_prefix(WORKQUEUES).unwrap_or(path).trim_matches('/').to_owned();
    let outcome = if wrong.iter().any(|(path, _)| **path == common) {
        Outcome::bad(format!("the common mask has {}", cpus(&masks[&common])))
    } else if !wrong.is_empty() {
        Outcome::warn(format!("workers' CPUs are in {}", count(wrong.len(), "mask")))
    } else if let Some(why) = facts.workqueues_unread.first() {
        Outcome::unknown(why)
    } else if masks.contains_key(&common) {
        Outcome::good(format!("the common mask is {}", cpus(&masks[&common])))
    } else {
        Outcome::unknown("the common mask is not there")
    };
    let details = lines(wrong.iter().map(|(path, mask)| format!("{}: {}", name(path), cpus(mask))));
    let fixes = wrong.iter().filter(|_| !kept.is_empty()).map(|(path, _)| mask(path, &kept));
    Ok(outcome.wanted(format!("no {}", cpus(&workers))).details(details).fixes(fixes))
}

pub(super) fn avc(context: &Context<'_>) -> Result<Outcome, Outcome> {
    const ENOUGH: i64 = 8192;
    let entries = known(&context.facts.isolation.avc_entries, "this machine has no SELinux")?;
    let seen = format!("{entries} entries");
    let outcome = if *entries >= ENOUGH {
        Outcome::good(seen)
    } else {
        Outcome::warn(seen).fix(Change::Kernel {
            path: "sys/fs/selinux/avc/cache_threshold".to_owned(),
            value: ENOUGH.to_string(),
            form: Form::Number,
        })
    };
    Ok(outcome.wanted(format!("at least {ENOUGH}")))
}
