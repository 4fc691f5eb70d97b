//! A machine for tests: a directory that is changed file by file, and asked one check at a time.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{Context, Outcome, all};
use crate::{Fact, Facts, Intent, Measured, Source, Verdict, change::Change, measured::Counters};

/// A machine, what it is for, and what was measured on it.
pub(crate) struct Sample {
    dir: tempfile::TempDir,
    config: Option<String>,
    measured: Option<Measured>,
    management: Vec<String>,
}

/// A port on node 0, and workers on CPU 2 and 3.
pub(crate) const CONFIG: &str = r#"
[cores]
workers = "2-3"

[[port]]
name = "north"
device = "0000:3b:00.0"
input = "cross"

[[stage]]
name = "cross"
kind = "cross"
to = "tx:north"
"#;

impl Sample {
    /// Nothing but an empty directory.
    pub(crate) fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, config: Some(CONFIG.to_owned()), measured: None, management: Vec::new() }
    }

    /// Two sockets with one node and one L3 cache each, four cores on each, two threads on each core: CPU 0-3 and 8-11
    /// are the first socket, CPU n and n + 8 one core. A NIC on node 0, workers on CPU 2 and 3, everything as a
    /// distribution leaves it.
    pub(crate) fn server() -> Self {
        let mut machine = Self::empty();
        for (name, text) in [("online", "0-15"), ("possible", "0-15"), ("present", "0-15")] {
            machine = machine.with(&format!("sys/devices/system/cpu/{name}"), text);
        }
        for cpu in 0..16 {
            let (core, package) = (cpu % 4, cpu / 4 % 2);
            let (thread, other) = (cpu % 8, cpu % 8 + 8);
            let first = package * 4;
            let dir = format!("sys/devices/system/cpu/cpu{cpu}");
            let node = format!("{first}-{},{}-{}", first + 3, first + 8, first + 11);
            for (name, text) in [
                ("topology/physical_package_id", package.to_string()),
                ("topology/core_id", core.to_string()),
                ("topology/thread_siblings_list", format!("{thread},{other}")),
                ("cache/index3/level", "3".to_owned()),
                ("cache/index3/shared_cpu_list", node),
            ] {
                machine = machine.with(&format!("{dir}/{name}"), &text);
            }
        }
        for (node, cpus, distance) in [(0, "0-3,8-11", "10 21"), (1, "4-7,12-15", "21 10")] {
            let dir = format!("sys/devices/system/node/node{node}");
            machine = machine
                .with(&format!("{dir}/cpulist"), cpus)
                .with(&format!("{dir}/distance"), distance)
                .with(&format!("{dir}/meminfo"), &format!("Node {node} MemTotal: 67108864 kB\n"));
        }
        machine
            .with("sys/devices/system/node/online", "0-1")
            .with("sys/devices/system/cpu/isolated", "")
            .with("sys/devices/system/cpu/nohz_full", "(null)")
            .with("proc/cmdline", "ro quiet")
            .task((1, 1), "systemd", 0, "0-1", 0)
            .function("0000:3b:00.0", 0)
    }

    /// With this file instead of the one that was there.
    pub(crate) fn with(self, path: &str, text: &str) -> Self {
        let file = self.file(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
        self
    }

    /// Without this file or directory.
    pub(crate) fn without(self, path: &str) -> Self {
        let file = self.file(path);
        if file.is_dir() {
            fs::remove_dir_all(file).unwrap()
        } else {
            fs::remove_file(file).unwrap()
        }
        self
    }

    /// With this configuration.
    pub(crate) fn config(self, text: &str) -> Self {
        Self { config: Some(text.to_owned()), ..self }
    }

    /// With this list of workers.
    pub(crate) fn workers(self, cpus: &str) -> Self {
        let config = CONFIG.replace("\"2-3\"", &format!("\"{cpus}\""));
        self.config(&config)
    }

    /// Without a configuration.
    pub(crate) fn without_config(self) -> Self {
        Self { config: None, ..self }
    }

    /// With this interface as the operator's way in.
    pub(crate) fn management(self, interface: &str) -> Self {
        Self { management: vec![interface.to_owned()], ..self }
    }

    /// With what was measured.
    pub(crate) fn measured(self, measured: Measured) -> Self {
        Self { measured: Some(measured), ..self }
    }

    /// With an Ethernet controller at this address on this node.
    pub(crate) fn function(self, address: &str, node: i32) -> Self {
        let dir = format!("sys/bus/pci/devices/{address}");
        self.with(&format!("{dir}/vendor"), "0x8086")
            .with(&format!("{dir}/device"), "0x1592")
            .with(&format!("{dir}/class"), "0x020000")
            .with(&format!("{dir}/numa_node"), &node.to_string())
    }

    /// With a thread: its process, number and name, flags of the kernel, the CPUs it may run on and the one it ran on.
    pub(crate) fn task(
        self,
        ids: (u32, u32),
        name: &str,
        flags: u32,
        cpus: &str,
        cpu: u32,
    ) -> Self {
        self.thread(ids, name, flags, cpus, cpu, 'S', 0, 0)
    }

    /// The same, with its state, real-time priority and policy.
    #[expect(clippy::too_many_arguments, reason = "a line of /proc has so many fields")]
    pub(crate) fn thread(
        self,
        (process, id): (u32, u32),
        name: &str,
        flags: u32,
        cpus: &str,
        cpu: u32,
        state: char,
        priority: u32,
        policy: u32,
    ) -> Self {
        let dir = format!("proc/{process}/task/{id}");
        let stat = format!(
            "{id} ({name}) {state} 1 0 0 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 100 0 0 0 1 1 0 0 0 0 0 0 0 0 0 0 \
             17 {cpu} {priority} {policy} 0 0 0 0 0 0 0 0 0 0 0"
        );
        let status = format!(
            "Name:\t{name}\nTgid:\t{process}\nCpus_allowed_list:\t{cpus}\nvoluntary_ctxt_switches:\t1\n\
             nonvoluntary_ctxt_switches:\t1\n"
        );
        self.with(&format!("{dir}/stat"), &stat).with(&format!("{dir}/status"), &status)
    }

    /// What a check says of it.
    pub(crate) fn ask(&self, id: &str) -> Outcome {
        let source = Source::at(self.dir.path()).unwrap();
        let facts = Facts::read(&source);
        let mut intent = match &self.config {
            Some(text) => Intent::new(&config::parse(text, "test").unwrap(), &facts),
            None => Intent::without_config(&facts).unwrap(),
        };
        intent.management.clone_from(&self.management);
        let check = all().find(|check| check.id == id).unwrap();
        let context = Context::new(&facts, &intent).with_measured(self.measured.as_ref());
        (check.look)(&context)
    }

    /// The verdict of a check, which is printed with everything else when it is another one.
    #[track_caller]
    pub(crate) fn expect(&self, id: &str, verdict: Verdict) -> Outcome {
        let outcome = self.ask(id);
        assert_eq!(outcome.verdict, verdict, "{id}: {outcome:#?}");
        asks_for_nothing_that_is_good(id, &outcome.fix, verdict);
        outcome
    }

    fn file(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// Where its files are.
    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }
}

/// What is as it should be, or is not there, is not to be changed.
pub(crate) fn asks_for_nothing_that_is_good(id: &str, fix: &[Change], verdict: Verdict) {
    let is_content = matches!(verdict, Verdict::Good | Verdict::NotApplicable);
    assert!(!is_content || fix.is_empty(), "{id} is {verdict}, and would change {fix:#?}");
}

/// Five seconds in which nothing happened, on a machine that counts everything.
pub(crate) fn quiet() -> Measured {
    Measured {
        seconds: 5.0,
        interrupts: Fact::Is(Vec::new()),
        softirqs: Fact::Is(BTreeMap::new()),
        cpu_times: Fact::Is(BTreeMap::new()),
        vmstat: Fact::Is(BTreeMap::new()),
        softnet: Fact::Is(BTreeMap::new()),
        threads: Fact::Is(Vec::new()),
        edac: Fact::Is(Counters::default()),
        throttle: Fact::Is(Counters::default()),
        aer: Fact::Is(Counters::default()),
        network: Fact::Is(Counters::default()),
        clocks: Fact::Absent,
        firmware_interrupts: Fact::Absent,
        daemon: Fact::Absent,
        noise: Fact::Absent,
        effects: None,
    }
}
