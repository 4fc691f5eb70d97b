//! A small made-up machine for the tests of checks: four CPUs, workers on 2 and 3, and the files that a test gives it.
//!
//! [`Sample`](super::sample::Sample) is a whole server; this is next to nothing, so that what a test gives is all there is.

use std::fs;

use config::{
    CpuId, CpuSet, NumaNode,
    placement::{Placement, WorkerSite},
};
use serde::Serialize;

use super::{Context, all, run, sample};
use crate::{DataPort, Fact, Facts, Finding, Intent, Measured, Source, Verdict, source::ASKED};

/// What stands for a file that can not be read.
const UNREADABLE: &str = "\0";

/// A small made-up machine.
pub(crate) struct Fake {
    dir: tempfile::TempDir,
    measured: Option<Measured>,
    /// Each worker's CPU, and the node that its memory comes from; or why they are not known.
    workers: Result<Vec<(u32, u32)>, String>,
    huge: Option<(config::Huge, u32)>,
    ports: Vec<&'static str>,
}

impl Fake {
    /// A machine with a plain command line and nothing else.
    pub(crate) fn new() -> Self {
        let fake = Self {
            dir: tempfile::tempdir().unwrap(),
            measured: None,
            workers: Ok(vec![(2, 0), (3, 0)]),
            huge: None,
            ports: Vec::new(),
        };
        fake.file("proc/cmdline", "quiet")
            .file("sys/devices/system/cpu/online", "0-3")
            .file("sys/devices/system/cpu/present", "0-3")
    }

    /// With this file; the text `"\0"` makes one that can not be read.
    pub(crate) fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let file = self.dir.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let bytes: &[u8] =
            if text.as_ref() == UNREADABLE.as_bytes() { &[0xff] } else { text.as_ref() };
        fs::write(file, bytes).unwrap();
        self
    }

    /// With these files.
    pub(crate) fn files(self, files: &[(&str, &str)]) -> Self {
        files.iter().fold(self, |fake, (path, text)| fake.file(path, text))
    }

    /// With this answer to something that is asked and no file.
    pub(crate) fn answer<T: Serialize>(self, name: &str, answer: &Fact<T>) -> Self {
        let text = serde_json::to_string(answer).unwrap();
        self.file(&format!("{ASKED}/{name}.json"), &text)
    }

    /// With what was measured.
    pub(crate) fn measured(self, measured: Measured) -> Self {
        Self { measured: Some(measured), ..self }
    }

    /// With workers on these CPUs, each with the node that its memory comes from.
    pub(crate) fn workers(self, workers: &[(u32, u32)]) -> Self {
        Self { workers: Ok(workers.to_vec()), ..self }
    }

    /// With workers that are not known, for this reason.
    pub(crate) fn undecided(self, why: &str) -> Self {
        Self { workers: Err(why.to_owned()), ..self }
    }

    /// With a daemon that wants so much packet memory on each node, in MiB, from such pages.
    pub(crate) fn huge(self, huge: config::Huge, mib: u32) -> Self {
        Self { huge: Some((huge, mib)), ..self }
    }

    /// With a daemon that drives this PCI function.
    pub(crate) fn port(mut self, address: &'static str) -> Self {
        self.ports.push(address);
        self
    }

    /// What a check says of it.
    pub(crate) fn look(&self, id: &str) -> Finding {
        let check = all().find(|check| check.id == id).unwrap();
        self.with_context(|context| check.run(context))
    }

    /// What every check says of it.
    pub(crate) fn look_at_everything(&self) -> Vec<Finding> {
        self.with_context(run)
    }

    /// Whatever is made of it with what checks look at.
    pub(crate) fn with_context<R>(&self, look: impl FnOnce(&Context<'_>) -> R) -> R {
        let facts = Facts::read(&Source::at(self.dir.path()).unwrap());
        let mut intent = Intent::without_config(&facts).unwrap();
        intent.placement = match &self.workers {
            Ok(workers) => Fact::Is(placement(workers)),
            Err(why) => Fact::unknown(why),
        };
        if let Some((huge, mib)) = self.huge {
            (intent.huge, intent.per_node_mib) = (huge, mib);
        }
        intent.data.extend(self.ports.iter().map(|&address| DataPort {
            name: address.to_owned(),
            pci: Some(address.parse().unwrap()),
        }));
        look(&Context::new(&facts, &intent).with_measured(self.measured.as_ref()))
    }

    /// What a check says of it, which has to be this.
    #[track_caller]
    pub(crate) fn expect(&self, id: &str, verdict: Verdict) -> Finding {
        let finding = self.look(id);
        assert_eq!(finding.verdict, verdict, "{finding:#?}");
        assert!(!finding.seen.is_empty(), "{finding:#?}");
        sample::asks_for_nothing_that_is_good(id, &finding.fix, verdict);
        finding
    }
}

/// Housekeeping is CPU 0 and 1.
fn placement(workers: &[(u32, u32)]) -> Placement {
    let site = |(index, &(cpu, node)): (usize, &(u32, u32))| WorkerSite {
        index,
        cpu: CpuId::new(cpu).unwrap(),
        node: Some(NumaNode(node)),
        memory: Some(NumaNode(node)),
        ports: Vec::new(),
        remote_ports: Vec::new(),
    };
    Placement {
        housekeeping: "0-1".parse().unwrap(),
        workers: workers.iter().enumerate().map(site).collect(),
        shared: CpuSet::new(),
        ports: Vec::new(),
        reasons: Vec::new(),
        warnings: Vec::new(),
    }
}

/// What a check says of machines with nothing but these files: `table!("WD-01", [(FILE, "0")] => Good, [] => Bad)`.
macro_rules! table {
    ($id:expr, $($files:expr => $verdict:ident),+ $(,)?) => {
        $($crate::checks::testing::row($id, &$files, $crate::Verdict::$verdict);)+
    };
}
pub(crate) use table;

/// What a check says of a machine with nothing but these files.
#[track_caller]
pub(crate) fn row(id: &str, files: &[(&str, &str)], verdict: Verdict) {
    let finding = Fake::new().files(files).look(id);
    assert_eq!(finding.verdict, verdict, "{files:?}: {finding:#?}");
    assert!(!finding.seen.is_empty(), "{finding:#?}");
    sample::asks_for_nothing_that_is_good(id, &finding.fix, verdict);
}

/// Ten seconds in which nothing happened.
pub(crate) fn quiet_seconds() -> Measured {
    Measured { seconds: 10.0, ..sample::quiet() }
}
