//! What the kernel did, by its own trace.
//!
//! An instance of tracefs of our own, so that nobody else's trace is touched; with the CPU's counter as its clock, so
//! that events and readings have the same time. Where tracefs is not mounted it is opened without mounting it
//! (fsopen(2)), so nothing is left behind.
//!
//! Sources: Linux `Documentation/trace/ftrace.rst` (instances, trace_clock, tracing_cpumask) and `events.rst`.

use std::{
    collections::BTreeMap,
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
};

use config::{CpuId, CpuSet};
use rustix::{
    fs::{AtFlags, Mode, OFlags, mkdirat, open, openat, unlinkat},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

use crate::attribute::{Event, Events, What};

/// The events that take a CPU from a thread; those that a kernel has not are left out.
const EVENTS: &[&str] = &[
    "irq/irq_handler_entry",
    "irq/softirq_entry",
    "irq_vectors/local_timer_entry",
    "irq_vectors/reschedule_entry",
    "irq_vectors/call_function_entry",
    "irq_vectors/call_function_single_entry",
    "irq_vectors/irq_work_entry",
    "irq_vectors/thermal_apic_entry",
    "irq_vectors/threshold_apic_entry",
    "irq_vectors/error_apic_entry",
    "irq_vectors/x86_platform_ipi_entry",
    "ipi/ipi_entry",
    "nmi/nmi_handler",
    "sched/sched_switch",
    "exceptions/page_fault_user",
    "power/cpu_frequency",
];
/// Of each CPU's buffer, in KiB: some ten thousand events.
const BUFFER: &str = "4096";
/// The most text that is read of a CPU's trace, in bytes.
const MOST: u64 = 64 << 20;

/// A running trace.
#[derive(Debug)]
pub(crate) struct Trace {
    instances: OwnedFd,
    name: String,
    folder: OwnedFd,
    cpus: CpuSet,
}

/// What was traced, by CPU.
#[derive(Debug, Default)]
pub(crate) struct Traced {
    cpus: BTreeMap<CpuId, Vec<Event>>,
    /// When events of a CPU were lost, what happened before is not known.
    lost: BTreeMap<CpuId, u64>,
}

impl Traced {
    pub(crate) fn of(&self, cpu: CpuId) -> Events<'_> {
        Events {
            events: self.cpus.get(&cpu).map(Vec::as_slice).unwrap_or_default(),
            is_whole: !self.lost.contains_key(&cpu),
        }
    }
}

impl Trace {
    /// Begins; or says why not.
    pub(crate) fn start(cpus: &CpuSet) -> Result<Self, String> {
        let root = tracefs().map_err(|error| format!("tracefs can not be opened: {error}"))?;
        let instances = folder(&root, "instances")
            .map_err(|error| format!("tracefs has no instances: {error}"))?;
        sweep(&instances);
        let name = format!("{PREFIX}{}-{}", std::process::id(), linux::thread::id());
        match mkdirat(&instances, &name, Mode::from_raw_mode(0o700)) {
            Ok(()) => {}
            Err(error) => return Err(format!("no trace can be made: {error}")),
        }
        let folder = match folder(&instances, &name) {
            Ok(folder) => folder,
            Err(error) => return Err(format!("the trace can not be opened: {error}")),
        };
        let trace = Self { instances, name, folder, cpus: cpus.clone() };
        trace.set_up().map_err(|error| format!("the trace can not be set up: {error}"))?;
        Ok(trace)
    }

    fn set_up(&self) -> io::Result<()> {
        self.write("tracing_on", "0")?;
        // The CPU's own counter: what the threads read.
        self.write("trace_clock", "x86-tsc")?;
        self.write("buffer_size_kb", BUFFER)?;
        self.write("tracing_cpumask", &self.cpus.to_hex_mask())?;
        let mut enabled = 0;
        for event in EVENTS {
            match self.write(&format!("events/{event}/enable"), "1") {
                Ok(()) => enabled += 1,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if enabled == 0 {
            return Err(io::Error::other("this kernel has none of the events"));
        }
        self.write("tracing_on", "1")
    }

    /// Ends, and reads what there is.
    pub(crate) fn stop(self) -> Result<Traced, String> {
        let read = || -> io::Result<Traced> {
            self.write("tracing_on", "0")?;
            let mut traced = Traced::default();
            for cpu in self.cpus.iter() {
                let stats = self.read(&format!("per_cpu/cpu{cpu}/stats"))?;
                let lost = stats.lines().filter_map(|line| {
                    line.strip_prefix("overrun: ").or_else(|| line.strip_prefix("dropped events: "))
                });
                let lost: u64 = lost.filter_map(|count| count.trim().parse::<u64>().ok()).sum();
                if lost > 0 {
                    traced.lost.insert(cpu, lost);
                }
                let text = self.read(&format!("per_cpu/cpu{cpu}/trace"))?;
                let mut events: Vec<Event> = text.lines().filter_map(event).collect();
                events.sort_by_key(|event| event.at);
                traced.cpus.insert(cpu, events);
            }
            Ok(traced)
        };
        read().map_err(|error| format!("the trace can not be read: {error}"))
    }

    fn write(&self, path: &str, text: &str) -> io::Result<()> {
        let fd = openat(&self.folder, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        std::fs::File::from(fd).write_all(text.as_bytes())
    }

    fn read(&self, path: &str) -> io::Result<String> {
        let fd = openat(&self.folder, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut bytes = Vec::new();
        std::fs::File::from(fd).take(MOST).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // An instance that is gone traces nothing; one that stays can be removed with rmdir.
        if let Err(error) = unlinkat(&self.instances, &self.name, AtFlags::REMOVEDIR) {
            tracing::warn!(%error, instance = %self.name, "a trace could not be removed");
        }
    }
}

/// What our instances are called, with the numbers of process and thread behind it.
const PREFIX: &str = "barewire-";

/// Removes the traces of processes that were killed.
fn sweep(instances: &OwnedFd) {
    let Ok(folder) = rustix::fs::Dir::read_from(instances) else { return };
    for entry in folder.flatten() {
        let Ok(name) = entry.file_name().to_str() else { continue };
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let Some(process) = process.and_then(|number| number.parse::<u32>().ok()) else { continue };
        if !std::path::Path::new(&format!("/proc/{process}")).exists() {
            // Somebody else may have been faster.
            let _ = unlinkat(instances, name, AtFlags::REMOVEDIR);
        }
    }
}

/// The root of tracefs: where it is mounted, or without mounting it.
fn tracefs() -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    for path in ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"] {
        let Ok(fd) = open(path, flags, Mode::empty()) else { continue };
        if folder(&fd, "instances").is_ok() {
            return Ok(fd);
        }
    }
    let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    let mounted = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    Ok(mounted)
}

fn folder(at: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(openat(at, name, flags, Mode::empty())?)
}

/// One line of a trace: `  bash-12  [001] d.h1. 123456: irq_handler_entry: irq=36 name=virtio1-req.0`.
fn event(line: &str) -> Option<Event> {
    // A thread's name may hold brackets and colons; the CPU is the last group of digits in brackets before the time.
    let (head, rest) = split_head(line)?;
    let at: u64 = head.parse().ok()?;
    let (name, what) = rest.split_once(": ").unwrap_or((rest.trim_end_matches(':'), ""));
    let field = |key: &str| what.split_ascii_whitespace().find_map(|word| word.strip_prefix(key));
    let what = match name.trim() {
        "irq_handler_entry" => What::Interrupt {
            number: field("irq=")?.parse().ok()?,
            name: what.split_once("name=").map_or("", |(_, name)| name).trim().to_owned(),
        },
        "softirq_entry" => {
            let action = what.split_once("action=")?.1;
            What::Softirq(action.trim_end_matches([']', ' ']).to_owned())
        }
        "local_timer_entry" => What::Tick,
        "sched_switch" => {
            let (before, after) = what.split_once(" ==> ")?;
            What::Switch { from: comm(before, "prev_comm=")?, to: comm(after, "next_comm=")? }
        }
        "nmi_handler" => What::Ipi("NMI".to_owned()),
        "page_fault_user" => What::PageFault,
        "cpu_frequency" => What::Frequency,
        "ipi_entry" => What::Ipi(what.trim_matches(['(', ')', ' ']).to_owned()),
        vector => What::Ipi(vector.strip_suffix("_entry")?.replace('_', " ")),
    };
    Some(Event { at, what })
}

/// The time, and what is behind it.
fn split_head(line: &str) -> Option<(&str, &str)> {
    let mut rest = line;
    loop {
        let (_, behind) = rest.split_once("] ")?;
        let mut words = behind.splitn(3, ' ').filter(|word| !word.is_empty());
        let flags = words.next()?;
        let tail = behind.get(behind.find(flags)? + flags.len()..)?.trim_start();
        let is_time = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        match tail.split_once(": ") {
            Some((time, event)) if is_time(time) => return Some((time, event)),
            _ => rest = behind,
        }
    }
}

/// The name of a thread, which ends where the next field begins.
fn comm(text: &str, key: &str) -> Option<String> {
    let behind = text.split_once(key)?.1;
    let field = format!(" {}pid=", key.strip_suffix("comm=")?);
    Some(behind.split_once(&field)?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_trace_are_events() {
        let what = |line| event(line).map(|event| (event.at, event.what));

        assert_eq!(
            what(
                "          <idle>-0       [001] d.h1. 123456789: irq_handler_entry: irq=36 name=virtio1-req.0"
            ),
            Some((123_456_789, What::Interrupt { number: 36, name: "virtio1-req.0".to_owned() }))
        );
        assert_eq!(
            what(" bw-noise-1-77 [001] ..s1. 5: softirq_entry: vec=7 [action=SCHED]"),
            Some((5, What::Softirq("SCHED".to_owned())))
        );
        assert_eq!(
            what(
                " a] [0] b: c-7 [001] d..2. 9: sched_switch: prev_comm=a] [0] b: c prev_pid=7 prev_prio=120 prev_state=R+ ==> next_comm=kworker/1:0 next_pid=33 next_prio=120"
            ),
            Some((
                9,
                What::Switch { from: "a] [0] b: c".to_owned(), to: "kworker/1:0".to_owned() }
            ))
        );
        assert_eq!(
            what(" x-1 [000] d.h.. 4: local_timer_entry: vector=236"),
            Some((4, What::Tick))
        );
        assert_eq!(
            what(" x-1 [000] d.h.. 4: call_function_single_entry: vector=251"),
            Some((4, What::Ipi("call function single".to_owned())))
        );
        for odd in [
            "",
            "# tracer: nop",
            "CPU:1 [LOST 3 EVENTS]",
            " x-1 [0] d... soon: local_timer_entry: ",
        ] {
            assert_eq!(event(odd), None, "{odd}");
        }
    }

    #[test]
    fn this_machine_traces_what_its_root_allows() {
        let cpus = linux::thread::affinity().unwrap();
        match Trace::start(&cpus) {
            Ok(trace) => {
                std::thread::yield_now();
                std::thread::sleep(std::time::Duration::from_millis(20));
                let name = trace.name.clone();
                let dead = format!("{PREFIX}4194305-1");
                mkdirat(&trace.instances, &dead, Mode::from_raw_mode(0o700)).unwrap();
                sweep(&trace.instances);
                assert!(folder(&trace.instances, &dead).is_err(), "a dead one's trace stayed");
                let traced = trace.stop().unwrap();
                let events: usize = traced.cpus.values().map(Vec::len).sum();
                assert!(events > 0, "a thread slept, so at least one switch was traced");
                let root = tracefs().unwrap();
                assert!(folder(&root, &format!("instances/{name}")).is_err(), "it is left behind");
            }
            Err(why) => eprintln!("SKIPPED: this_machine_traces_what_its_root_allows: {why}"),
        }
    }
}
