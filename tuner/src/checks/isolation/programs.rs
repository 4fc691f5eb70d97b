//! Other programs.

use config::CpuSet;
use linux::{cpuset::Hierarchy, task::Task};

use super::kernel::{affinity, named, unless_cut};
use crate::{
    Fact,
    change::Change,
    checks::{
        Context, Outcome,
        judge::known,
        wording::{count, cpus, lines},
    },
    facts::tasks,
};

/// Where the affinity of systemd, and so of all it starts, is set.
const DROP_IN: &str = "etc/systemd/system.conf.d/90-barewire.conf";

/// Programs that are known to use packet time stamps.
const TIME_STAMPERS: &[&str] =
    &["chronyd", "ntpd", "ptp4l", "phc2sys", "ts2phc", "systemd-timesyncd"];

pub(super) fn init(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let kept = context.housekeeping()?.difference(&workers);
    known(&context.facts.tasks.threads(), "there are no threads")?;
    let wanted = format!("{} at most", cpus(&kept));
    let Some(init) = context.facts.tasks.process(1) else {
        return Ok(Outcome::unknown("process 1 is not to be seen").wanted(wanted));
    };
    let Some(allowed) = tasks::allowed(init) else {
        return Ok(Outcome::unknown(init.status.why().unwrap_or("its status is not known")));
    };
    let seen = format!("{} may run on {}", init.stat.name, cpus(allowed));
    if allowed.is_disjoint(&workers) {
        return Ok(Outcome::good(seen).wanted(wanted));
    }
    let isolated = context.facts.isolation.all_isolated();
    let is_isolated = isolated.value().is_some_and(|isolated| workers.is_subset(isolated));
    let outcome = if is_isolated { Outcome::warn(seen) } else { Outcome::bad(seen) };
    let outcome = outcome.wanted(wanted);
    Ok(if init.stat.name == "systemd" && !kept.is_empty() {
        let content =
            format!("# Written by barewire-tune.\n[Manager]\nCPUAffinity={}\n", spaced(&kept));
        let hint = "systemctl daemon-reexec then counts for what starts later, a reboot for all";
        let file = Change::File { path: DROP_IN.to_owned(), content };
        outcome.fix(file).details([hint.to_owned()])
    } else {
        outcome.advice(format!("give {} an affinity of {}", init.stat.name, cpus(&kept)))
    })
}

/// As systemd likes lists: ranges with blanks between them.
fn spaced(cpus: &CpuSet) -> String {
    cpus.to_string().replace(',', " ")
}

pub(super) fn strangers(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let kept = context.housekeeping()?.difference(&workers);
    known(&context.facts.tasks.threads(), "there are no threads")?;
    let here = |task: &&Task| workers.contains(task.stat.last_cpu) && task.stat.state != 'Z';
    let seen: Vec<&Task> = context.facts.tasks.strangers().filter(here).collect();
    let is_pinned =
        |task: &&&Task| tasks::allowed(task).is_some_and(|allowed| allowed.is_subset(&workers));
    let pinned: Vec<&Task> = seen.iter().filter(is_pinned).copied().collect();
    let resident = seen.iter().filter(|task| is_pinned(task) || task.stat.state == 'R').count();
    let outcome = match (resident, seen.len()) {
        (0, 0) => unless_cut(context, Outcome::good("none")),
        (0, seen_there) => {
            Outcome::warn(format!("last seen there: {}", count(seen_there, "thread")))
        }
        (living, all) => {
            let living = count(living, "thread");
            Outcome::bad(format!(
                "last seen there: {}, of them running or pinned there: {living}",
                count(all, "thread")
            ))
        }
    };
    let details = lines(seen.iter().map(|task| {
        let pinned = if is_pinned(&task) { ", pinned there" } else { "" };
        format!("{} on cpu {}{pinned}", named(task), task.stat.last_cpu)
    }));
    let mut fixes: Vec<Change> = Vec::new();
    if !kept.is_empty() {
        let is_isolated = context.facts.isolation.all_isolated();
        let is_isolated = is_isolated.value().is_some_and(|cpus| workers.is_subset(cpus));
        if context.facts.isolation.hierarchy == Hierarchy::V2 && !is_isolated && !seen.is_empty() {
            fixes.push(Change::Partition { cpus: workers.clone() });
            fixes.extend(pinned.iter().map(|task| affinity(task, &kept)));
        } else {
            fixes.extend(seen.iter().map(|task| affinity(task, &kept)));
        }
    }
    Ok(outcome.wanted("none").details(details).fixes(fixes))
}

pub(super) fn time_stamping(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let tasks = &context.facts.tasks;
    if let Fact::Unknown { why } = tasks.threads() {
        return Ok(Outcome::unknown(why));
    }
    let running: Vec<&str> =
        TIME_STAMPERS.iter().filter(|name| tasks.runs(name)).copied().collect();
    if running.is_empty() {
        let none = Outcome::not_applicable("no program runs that is known to stamp packets");
        return Ok(unless_cut(context, none));
    }
    Ok(Outcome::info(format!("{} may switch time stamping on and off", running.join(", ")))
        .wanted("a socket with SO_TIMESTAMPING that stays open")
        .advice("keep one open in a program that does not end; IRQ-05 says whether it matters"))
}
