//! Which CPU does what.

use config::{CpuId, CpuSet, Mode, NumaNode, machine::Machine, placement::Placement};

use crate::{
    change::{Change, Form},
    checks::{
        Context, Outcome,
        judge::known,
        wording::{count, cpus, lines},
    },
};

/// A sibling that was busy for a larger share of the time than this is not idle.
const IDLE: f64 = 0.05;

fn placement<'a>(context: &Context<'a>) -> Result<&'a Placement, Outcome> {
    known(&context.intent.placement, "nothing is placed")
}

fn machine<'a>(context: &Context<'a>) -> Result<&'a Machine, Outcome> {
    known(&context.facts.machine, "this machine has no CPUs")
}

pub(super) fn housekeeping(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let wanted = "cpu 0, and a whole core on each node that has a port";
    let (placement, machine) = (placement(context)?, machine(context)?);
    let kept = placement.housekeeping.difference(&placement.shared);
    let seen = cpus(&placement.housekeeping);
    let online = machine.cpus_where(|cpu| cpu.online);
    let apart = machine.cpus_where(|cpu| cpu.online && (cpu.isolated || cpu.nohz_full));
    if kept.is_empty() {
        let seen = format!("{seen}, which workers use too");
        return Ok(Outcome::bad(seen).wanted(wanted));
    }
    if apart == online {
        let seen = format!("{seen}, but all CPUs are isolated or tick-free");
        return Ok(Outcome::bad(seen).wanted(wanted));
    }
    let mut wrong = Vec::new();
    if kept.len() == 1 && online.len() > 1 {
        wrong.push("it is a single CPU".to_owned());
    }
    if !kept.contains(CpuId::ZERO) {
        wrong.push("cpu 0 is not among them".to_owned());
    }
    for node in nodes_of_devices(context, machine) {
        let whole = |cpu: &config::machine::Cpu| {
            cpu.node == Some(node) && cpu.online && cpu.siblings.is_subset(&kept)
        };
        if machine.cpus_where(whole).is_empty() {
            wrong.push(format!("there is no whole core on node {node}, which has a port"));
        }
    }
    let outcome = if wrong.is_empty() { Outcome::good(seen) } else { Outcome::warn(seen) };
    Ok(outcome.wanted(wanted).details(wrong))
}

/// The nodes of the daemon's ports and of the management interfaces.
fn nodes_of_devices(context: &Context<'_>, machine: &Machine) -> Vec<NumaNode> {
    let functions = context.facts.pci.functions.value().map(Vec::as_slice).unwrap_or_default();
    let is_ours = |function: &&linux::pci::Function| {
        context.intent.data.iter().any(|port| port.pci == Some(function.address))
            || function.netdevs.iter().any(|name| context.intent.management.contains(name))
    };
    let mut nodes: Vec<NumaNode> = functions
        .iter()
        .filter(is_ours)
        .filter_map(|function| match function.locality(machine) {
            config::placement::Locality::Node(node) => Some(node),
            config::placement::Locality::Unknown { .. } | config::placement::Locality::Anywhere => {
                None
            }
        })
        .collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

pub(super) fn siblings(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let wanted = "siblings of workers offline, or isolated and idle";
    let (placement, machine) = (placement(context)?, machine(context)?);
    let workers = placement.worker_cpus();
    let (mut bad, mut warn) = (Vec::new(), Vec::new());
    let mut to_stop = CpuSet::new();
    let mut has_siblings = false;
    for worker in workers.iter() {
        let Some(cpu) = machine.cpu(worker) else { continue };
        for other in cpu.siblings.iter().filter(|id| *id != worker) {
            has_siblings = true;
            let Some(sibling) = machine.cpu(other).filter(|sibling| sibling.online) else {
                continue;
            };
            let pair = format!("cpu {other} shares its core with worker cpu {worker}");
            if workers.contains(other) {
                // Once for the pair.
                if worker < other {
                    bad.push(format!("{pair}, and is a worker too"));
                }
                continue;
            }
            let busy = busy_share(context, other);
            if placement.housekeeping.contains(other) {
                bad.push(format!("{pair}, and is for housekeeping"));
            } else if let Some(busy) = busy.filter(|busy| *busy > IDLE) {
                bad.push(format!("{pair}, and was busy for {:.0} % of the time", busy * 100.0));
            } else if !sibling.isolated {
                warn.push(format!("{pair}; nothing is planned there, but anything may run"));
            } else {
                continue;
            }
            if other != CpuId::ZERO {
                to_stop.insert(other);
            }
        }
    }
    if !has_siblings {
        let has_threads = machine.cpus.iter().any(|cpu| cpu.siblings.len() > 1);
        return Ok(if has_threads {
            Outcome::good("the other threads of the workers' cores are offline").wanted(wanted)
        } else {
            Outcome::not_applicable("a core has one thread on this machine")
        });
    }
    let outcome = match (bad.len(), warn.len()) {
        (0, 0) => Outcome::good(format!("the siblings of {} are isolated", cpus(&workers))),
        (0, open) => {
            Outcome::warn(format!("open to anything: {} of workers", count(open, "sibling")))
        }
        (used, _) => Outcome::bad(format!("in use: {} of workers", count(used, "sibling"))),
    };
    let offline = to_stop.iter().map(|cpu| Change::Kernel {
        path: format!("sys/devices/system/cpu/cpu{cpu}/online"),
        value: "0".to_owned(),
        form: Form::Number,
    });
    let is_double = workers.iter().any(|worker| {
        machine.cpu(worker).is_some_and(|cpu| cpu.siblings.intersection(&workers).len() > 1)
    });
    let outcome = outcome.wanted(wanted).details(lines(bad.into_iter().chain(warn))).fixes(offline);
    Ok(if is_double { outcome.advice("give each worker a core of its own") } else { outcome })
}

/// The share of the time that a CPU did something while the machine was watched.
#[expect(clippy::cast_precision_loss, reason = "a share is an approximation")]
fn busy_share(context: &Context<'_>, cpu: CpuId) -> Option<f64> {
    let times = context.measured?.cpu_times.value()?.get(&cpu)?;
    let busy = times.total().checked_sub(times.idle)?.checked_sub(times.io_wait)?;
    (times.total() > 0).then(|| busy as f64 / times.total() as f64)
}

pub(super) fn caches(context: &Context<'_>) -> Result<Outcome, Outcome> {
    if context.intent.mode == Mode::RunToCompletion {
        return Ok(Outcome::not_applicable("each worker keeps its frames (run-to-completion)"));
    }
    let wanted = "one L3 cache for the workers of each node";
    let (placement, machine) = (placement(context)?, machine(context)?);
    if machine.cpus.iter().all(|cpu| cpu.l3.is_none()) {
        return Ok(Outcome::not_applicable("this machine tells of no L3 cache"));
    }
    let (mut worst, mut details) = (Outcome::good as fn(String) -> Outcome, Vec::new());
    let sites = placement.workers.iter().filter_map(|worker| machine.cpu(worker.cpu));
    let sites: Vec<&config::machine::Cpu> = sites.collect();
    if let Some(cpu) = sites.iter().find(|cpu| cpu.l3.is_none()) {
        return Ok(Outcome::unknown(format!("the L3 cache of cpu {} is not told", cpu.id)));
    }
    for pair in sites.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let (from, to) = (a.id, b.id);
        if a.package != b.package {
            details.push(format!("cpu {from} and cpu {to} are on different sockets"));
            worst = Outcome::bad;
        } else if a.l3 != b.l3 {
            details.push(format!("cpu {from} and cpu {to} have different L3 caches"));
            if details.iter().all(|line| !line.ends_with("sockets")) {
                worst = Outcome::warn;
            }
        }
    }
    let seen = match details.len() {
        0 => format!("{} share an L3 cache", cpus(&placement.worker_cpus())),
        count => format!("{count} hand-overs leave an L3 cache"),
    };
    Ok(worst(seen).wanted(wanted).details(lines(details)))
}

pub(super) fn boot_cpu(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let workers = context.workers()?;
    let outcome = if workers.contains(CpuId::ZERO) {
        Outcome::bad(format!("workers on {}", cpus(&workers)))
            .advice("leave cpu 0 out of [cores] workers")
    } else {
        Outcome::good(format!("workers on {}", cpus(&workers)))
    };
    Ok(outcome.wanted("no worker on cpu 0"))
}

pub(super) fn online(context: &Context<'_>) -> Result<Outcome, Outcome> {
    let machine = machine(context)?;
    let workers = match &context.intent.listed {
        // A list with a CPU that is offline can not be placed, so the list itself is asked.
        Some(listed) => listed.clone(),
        None => context.workers()?,
    };
    let wanted = format!("{} online", cpus(&workers));
    let missing = workers.difference(&machine.cpus_where(|cpu| cpu.online));
    if missing.is_empty() {
        return Ok(Outcome::good(format!("{} online", cpus(&workers))).wanted(wanted));
    }
    let absent = missing.difference(&machine.cpus_where(|_| true));
    let stopped = missing.difference(&absent);
    let bring = stopped.iter().map(|cpu| Change::Kernel {
        path: format!("sys/devices/system/cpu/cpu{cpu}/online"),
        value: "1".to_owned(),
        form: Form::Number,
    });
    let outcome = Outcome::bad(format!("{} does not run", cpus(&missing))).wanted(wanted);
    let outcome = outcome.fixes(bring);
    Ok(if absent.is_empty() {
        outcome
    } else {
        outcome.advice(format!("this machine has no {}", cpus(&absent)))
    })
}
