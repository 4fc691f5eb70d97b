//! What else runs here that changes settings or takes CPU time: other tuners, and timers.

use super::{
    Check, Context, Outcome,
    judge::{known, settled},
    wording::lines,
};
use crate::{
    Fact, Risk, Section,
    change::{Change, UnitState},
    facts::tasks::allowed,
};

/// What else runs here that changes settings or takes CPU time.
pub(super) const CHECKS: &[Check] = &[
    Check {
        id: "LOAD-01",
        section: Section::Load,
        title: "load average",
        why: "a worker that polls counts as one running thread whether packets come or not, so the figure says nothing of it",
        explain: "The load average counts threads that run, are ready to run, or wait for a disk, smoothed over 1, 5 and 15 \
                  minutes. Guides take a load above the number of CPUs for trouble. A poll-mode worker is always \
                  running: each adds exactly 1, busy or idle, and a machine with four of them is at 4 at rest.\n\nSo it is \
                  shown and not judged. What it can not tell is told elsewhere: whether anything else ran on the \
                  workers' CPUs (ISO-14, PROC-05), how long they were taken away (MEAS-01), and how much of the \
                  time a worker had packets, which the daemon counts itself.",
        sources: &["proc_loadavg(5)", "Linux kernel/sched/loadavg.c"],
        look: load,
        ..Check::PLAIN
    },
    Check {
        id: "THM-01",
        section: Section::Load,
        title: "background timers",
        why: "trimming disks, building indices and fetching package lists is work that must not land on a worker",
        explain: "Distributions start such jobs from systemd's timers, at night or shortly after boot. Disabling them one by \
                  one is a losing game, and some are needed: trimming keeps disks fast, log rotation keeps them from \
                  filling up.\n\nWhat has to hold is that none can run on the workers' CPUs: those are isolated (ISO-01), \
                  or systemd itself and with it everything it starts is kept to housekeeping (ISO-13). Then the list is \
                  of no interest. Jobs still share caches, memory and disks with the data path; a scrub of a large \
                  array is better started in a maintenance window.",
        sources: &["systemd.timer(5)", "Linux Documentation/admin-guide/cpu-isolation.rst"],
        look: timers,
        ..Check::PLAIN
    },
    Check {
        id: "PPD-01",
        section: Section::Load,
        title: "other tuners",
        why: "two programs that set the same knob undo each other's work, and each thinks that it succeeded",
        explain: "TuneD, tuned-ppd, power-profiles-daemon, TLP, auto-cpufreq and the cpupower service all set governors and \
                  energy hints; some of them also disks, network and sysctls, some again and again. thermald lowers limits \
                  when it is hot, below the kernel's own protection.\n\nOne tuner with a known profile is fine, as long as \
                  everybody knows that it is the owner of what it sets: TuneD applies its profile again at every start \
                  of the service, and would undo run-time settings of this program. Two at once flap.\n\nPackages for \
                  laptops among them have no place on a server, and are offered to be disabled when there are two. \
                  Which of two server tuners should stay is a decision, not a fix: tuned-adm off hands over.",
        sources: &[
            "TuneD documentation",
            "oracle/bpftune, documentation of tuners that back off",
            "OpenShift cluster-node-tuning-operator, change 396",
        ],
        risk: Risk::Medium,
        cost: "what the other tuner did is not done any more",
        look: tuners,
        ..Check::PLAIN
    },
];

fn load(context: &Context<'_>) -> Outcome {
    settled(|| {
        let load = known(&context.facts.system.load, "this machine tells no load average")?;
        let workers = match context.intent.workers() {
            Fact::Is(workers) => {
                format!("; {} that poll add 1 each", super::wording::count(workers.len(), "worker"))
            }
            Fact::Absent | Fact::Unknown { .. } => String::new(),
        };
        Ok(Outcome::info(format!("{} over 1, 5 and 15 minutes{workers}", load.join(", "))))
    })
}

/// Timers of distributions whose jobs are felt, by the beginning of their names.
const FELT: [&str; 15] = [
    "apt-daily",
    "btrfs-",
    "dnf-makecache",
    "dnf-automatic",
    "e2scrub_",
    "fstrim",
    "logrotate",
    "man-db",
    "mdcheck",
    "mlocate",
    "plocate",
    "raid-check",
    "snapper-",
    "sysstat",
    "zfs-scrub",
];

fn timers(context: &Context<'_>) -> Outcome {
    settled(|| {
        let facts = context.facts;
        let enabled = known(&facts.units.timers, "no systemd")?;
        let felt: Vec<String> = enabled
            .iter()
            .filter(|timer| FELT.iter().any(|name| timer.starts_with(name)))
            .cloned()
            .collect();
        if felt.is_empty() {
            return Ok(Outcome::good("none that is felt"));
        }
        // A container, or a machine that something else has started: nobody looks at these timers.
        if facts.tasks.process(1).is_some_and(|first| first.stat.name != "systemd") {
            return Ok(Outcome::not_applicable("systemd does not run here"));
        }
        let workers = context.workers()?;
        let is_isolated =
            facts.machine.value().is_some_and(|machine| workers.is_subset(&machine.isolated()));
        let count = felt.len();
        if is_isolated {
            let seen = format!("{count}, and the workers' CPUs are isolated");
            return Ok(Outcome::good(seen).details(lines(felt)));
        }
        let Some(first) = facts.tasks.process(1).and_then(allowed) else {
            return Ok(Outcome::unknown(format!("{count}; where systemd may run is not known"))
                .details(lines(felt)));
        };
        let outcome = match first.is_disjoint(&workers) {
            true => Outcome::good(format!("{count}, and systemd is kept to {first}")),
            false => Outcome::warn(format!("{count} may run on the workers' CPUs")).advice(
                "isolate the workers' CPUs (ISO-01) or keep systemd to housekeeping (ISO-13)",
            ),
        };
        Ok(outcome.wanted("none can run on the workers' CPUs").details(lines(felt)))
    })
}

/// Another program that sets what we set.
struct Rival {
    /// What people call it.
    name: &'static str,
    unit: &'static str,
    /// The name of its process, where it keeps one.
    process: Option<&'static str>,
    /// Does it belong on laptops?
    is_for_laptops: bool,
}

const RIVALS: [Rival; 7] = [
    Rival { name: "TuneD", unit: "tuned.service", process: Some("tuned"), is_for_laptops: false },
    Rival {
        name: "power-profiles-daemon",
        unit: "power-profiles-daemon.service",
        process: Some("power-profiles-daemon"),
        is_for_laptops: true,
    },
    Rival { name: "TLP", unit: "tlp.service", process: None, is_for_laptops: true },
    Rival {
        name: "auto-cpufreq",
        unit: "auto-cpufreq.service",
        process: Some("auto-cpufreq"),
        is_for_laptops: true,
    },
    Rival { name: "cpupower", unit: "cpupower.service", process: None, is_for_laptops: false },
    Rival {
        name: "cpufrequtils",
        unit: "cpufrequtils.service",
        process: None,
        is_for_laptops: false,
    },
    Rival { name: "ondemand", unit: "ondemand.service", process: None, is_for_laptops: false },
];

fn tuners(context: &Context<'_>) -> Outcome {
    settled(|| {
        let (units, tasks) = (&context.facts.units, &context.facts.tasks);
        let (mut found, mut unsure) = (Vec::new(), Vec::new());
        for rival in &RIVALS {
            let is_active = units.unit(rival.unit).map(|unit| &unit.is_active);
            let keeps_process = rival.process.is_some_and(|process| tasks.runs(process));
            match is_active {
                Some(Fact::Is(true)) => found.push(rival),
                _ if keeps_process => found.push(rival),
                Some(Fact::Unknown { why }) => unsure.push(why.as_str()),
                Some(Fact::Is(false) | Fact::Absent) | None => {}
            }
        }
        // Without systemd's word and without a list of processes nobody was looked for.
        if tasks.all.value().is_none() && !units.was_asked {
            unsure.push(tasks.all.why().unwrap_or("there is no /proc"));
        }
        let runs_thermald = units.runs("thermald.service") || tasks.runs("thermald");
        let mut details: Vec<String> = found
            .iter()
            .map(|rival| match (rival.name, units.tuned_profile.value()) {
                ("TuneD", Some(profile)) => format!("TuneD, profile {profile}"),
                (name, _) => name.to_owned(),
            })
            .collect();
        if runs_thermald {
            details.push("thermald".to_owned());
        }
        let names: Vec<&str> = found.iter().map(|rival| rival.name).collect();
        let outcome = match found.as_slice() {
            [] if runs_thermald => Outcome::warn("thermald may lower limits when it is hot"),
            [] if !unsure.is_empty() => Outcome::unknown(unsure.join("; ")),
            [] => Outcome::good("none"),
            [one] if one.is_for_laptops || runs_thermald => {
                Outcome::warn(format!("{} runs", details.join(" and ")))
            }
            [_] => Outcome::info(format!("{} owns its settings", details.join(""))),
            _ => {
                let for_laptops = found.iter().filter(|rival| rival.is_for_laptops);
                let disable = for_laptops.map(|rival| Change::Unit {
                    unit: rival.unit.to_owned(),
                    state: UnitState::Disabled,
                });
                let outcome = Outcome::bad(format!("{} at once", names.join(" and ")))
                    .fixes(disable.collect::<Vec<_>>());
                let for_servers = found.iter().filter(|rival| !rival.is_for_laptops).count();
                match for_servers {
                    2.. => {
                        outcome.advice("decide which one owns the settings, and disable the others")
                    }
                    _ => outcome,
                }
            }
        };
        Ok(outcome.wanted("one owner of each setting").details(details))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Verdict,
        checks::testing::{Fake, table},
    };

    const TRIM: (&str, &str) = ("etc/systemd/system/timers.target.wants/fstrim.timer", "");
    const OTHER: (&str, &str) = ("etc/systemd/system/timers.target.wants/certbot.timer", "");

    /// systemd runs, with services that have a control group.
    fn machine(services: &[&str]) -> Fake {
        let fake = first_process("0-3")
            .file("run/systemd/system/x", "")
            .file("sys/fs/cgroup/system.slice/x", "");
        services.iter().fold(fake, |fake, name| {
            fake.file(&format!("lib/systemd/system/{name}.service"), "")
                .file(&format!("sys/fs/cgroup/system.slice/{name}.service/cgroup.procs"), "")
        })
    }

    fn first_process(cpus: &str) -> Fake {
        named_process("systemd", cpus)
    }

    fn named_process(name: &str, cpus: &str) -> Fake {
        let stat = "1 (NAME) S 0 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0 0 1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 \
                    0 0 0 0 0 0 0 0 0 0 0";
        let status = format!(
            "Name:\t{name}\nTgid:\t1\nCpus_allowed_list:\t{cpus}\nvoluntary_ctxt_switches:\t1\n\
             nonvoluntary_ctxt_switches:\t1\n"
        );
        Fake::new()
            .files(&[TRIM])
            .file("proc/1/task/1/stat", stat.replace("NAME", name))
            .file("proc/1/task/1/status", status)
    }

    #[test]
    fn a_load_is_shown_and_not_judged() {
        const FILE: &str = "proc/loadavg";
        table!(
            "LOAD-01",
            [(FILE, "99.01 64 0.00 1/412 20311\n")] => Info,
            [(FILE, "0.10 0.20")] => Unknown,
            [(FILE, "0.10 -0.20 0.30")] => Unknown,
            [(FILE, "a b c")] => Unknown,
            [] => NotApplicable,
        );
        let two = Fake::new().file(FILE, "2.01 1.99 1.90 1/412 20311").look("LOAD-01");
        assert_eq!(
            two.seen,
            "2.01, 1.99, 1.90 over 1, 5 and 15 minutes; 2 workers that poll add 1 each"
        );
    }

    #[test]
    fn background_timers_do_not_matter_where_they_can_not_reach_the_workers() {
        table!("THM-01", [] => NotApplicable, [OTHER] => Good, [TRIM] => Unknown);
        first_process("0-1").expect("THM-01", Verdict::Good);
        let reach = first_process("0-2").expect("THM-01", Verdict::Warn);
        assert_eq!(reach.details, ["fstrim.timer"]);
        first_process("0-3")
            .file("sys/devices/system/cpu/isolated", "2-3")
            .expect("THM-01", Verdict::Good);
        first_process("0-3")
            .file("sys/devices/system/cpu/isolated", "2")
            .expect("THM-01", Verdict::Warn);
        first_process("0-1").undecided("why").expect("THM-01", Verdict::Unknown);
        named_process("tini", "0-3").expect("THM-01", Verdict::NotApplicable);
    }

    #[test]
    fn one_tuner_is_an_owner_and_two_flap() {
        machine(&[]).expect("PPD-01", Verdict::Good);
        Fake::new().expect("PPD-01", Verdict::Unknown);
        machine(&["thermald"]).expect("PPD-01", Verdict::Warn);
        let owner = machine(&["tuned"])
            .file("etc/tuned/active_profile", "network-latency\n")
            .expect("PPD-01", Verdict::Info);
        assert_eq!(owner.details, ["TuneD, profile network-latency"]);
        machine(&["tuned", "thermald"]).expect("PPD-01", Verdict::Warn);
        machine(&["power-profiles-daemon"]).expect("PPD-01", Verdict::Warn);
        let two = machine(&["tuned", "power-profiles-daemon"]).expect("PPD-01", Verdict::Bad);
        let unit = "power-profiles-daemon.service".to_owned();
        assert_eq!(two.fix, [Change::Unit { unit, state: UnitState::Disabled }]);
        assert!(two.advice.is_none());
        let servers = machine(&["tuned", "ondemand"]).expect("PPD-01", Verdict::Bad);
        assert!(servers.fix.is_empty() && servers.advice.is_some());
        // TuneD's stand-in for power-profiles-daemon is a part of it.
        machine(&["tuned", "tuned-ppd"]).expect("PPD-01", Verdict::Info);
    }

    #[test]
    fn a_tuner_that_may_run_is_not_said_not_to() {
        let fake = machine(&[]).file("lib/systemd/system/tlp.service", "");

        fake.expect("PPD-01", Verdict::Unknown);
    }
}
