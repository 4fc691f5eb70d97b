//! One process that was asked about: what it may do, where its memory is.

use std::{collections::BTreeMap, time::Instant};

use config::NumaNode;
use linux::{
    counters::{Counters, Event, Of},
    task::Task,
};
use noise::Cost;
use serde::{Deserialize, Serialize};

use crate::{Fact, Facts, Source};

/// The most of `numa_maps` that is read, in bytes: a process with some ten thousand mappings.
const MAPS: usize = 16 << 20;

/// One process.
#[derive(Debug, Clone, Serialize)]
pub struct Process {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// Its threads.
    pub threads: Vec<Task>,
    /// How much memory it may lock, in bytes; `u64::MAX` is all.
    pub memlock: Fact<u64>,
    /// Where its memory is, by node, in bytes; absent on a kernel without NUMA.
    pub memory: Fact<BTreeMap<NumaNode, u64>>,
    /// Memory in transparent hugepages, in bytes.
    pub transparent_huge: Fact<u64>,
    /// Memory that was swapped out, in bytes.
    pub swapped: Fact<u64>,
    /// Memory that is locked, in bytes.
    pub locked: Fact<u64>,
    /// What its threads cost while they were counted.
    pub cost: Fact<Counted>,
}

/// What the threads of a process cost while they were counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// For how long, in seconds.
    pub seconds: f64,
    /// How many threads, of how many there were.
    pub threads: usize,
    /// How many there were.
    pub of: usize,
    /// What all of them cost together.
    pub cost: Cost,
}

/// Threads that are counted at most: each has a file for each event, and a thousand files are what most may open.
const COUNTED: usize = 64;

/// A process that is being counted.
#[derive(Debug)]
pub struct Counting {
    began: Instant,
    threads: Vec<Counters>,
    of: usize,
}

impl Counting {
    /// Counts the threads of a process from now on; of many those that ran most. `paranoid` is
    /// `kernel.perf_event_paranoid`, where it is known.
    #[must_use]
    pub fn start(process: &Process, paranoid: Option<i32>) -> Self {
        let mut threads: Vec<&Task> = process.threads.iter().collect();
        let ran = |task: &&Task| task.stat.user_ticks.saturating_add(task.stat.system_ticks);
        threads.sort_by_key(|task| std::cmp::Reverse(ran(task)));
        let count = |task: &&Task| Counters::start(Of::Thread(task.stat.id), &Event::ALL, paranoid);
        Self {
            threads: threads.iter().take(COUNTED).map(count).collect(),
            of: threads.len(),
            began: Instant::now(),
        }
    }

    /// What it came to.
    #[must_use]
    pub fn finish(self) -> Counted {
        let mut cost = Cost::default();
        for thread in &self.threads {
            cost.add(&Cost::of(&thread.counts()));
        }
        Counted {
            seconds: self.began.elapsed().as_secs_f64(),
            threads: self.threads.len(),
            of: self.of,
            cost,
        }
    }
}

/// Why there is no such process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProcessError {
    /// Nothing runs under that name or number.
    #[error("no process is called or numbered {wanted:?}")]
    None {
        /// What was asked for.
        wanted: String,
    },
    /// More than one does.
    #[error("{} processes are called {wanted:?}: {}; name one by its number", ids.len(), list(ids))]
    Several {
        /// What was asked for.
        wanted: String,
        /// Their numbers.
        ids: Vec<u32>,
    },
    /// The processes are not known.
    #[error("the processes of this machine are not known: {why}")]
    Unknown {
        /// Why not.
        why: String,
    },
}

fn list(ids: &[u32]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Process {
    /// Finds a process by its number or its name, and reads it.
    ///
    /// # Errors
    /// [`ProcessError`] when there is none, or more than one of that name.
    pub fn read(source: &Source, facts: &Facts, wanted: &str) -> Result<Self, ProcessError> {
        let threads = match facts.tasks.threads() {
            Fact::Is(threads) => threads,
            Fact::Absent => &[],
            Fact::Unknown { why } => return Err(ProcessError::Unknown { why }),
        };
        let is_it = |task: &&Task| {
            // The kernel cuts names to 15 bytes.
            let name = wanted.get(..15).unwrap_or(wanted);
            let is_main = task.stat.id == task.process;
            is_main && (wanted.parse() == Ok(task.process) || task.stat.name == name)
        };
        let found: Vec<&Task> = threads.iter().filter(is_it).collect();
        let wanted = wanted.to_owned();
        let main = match found.as_slice() {
            [] => return Err(ProcessError::None { wanted }),
            [main] => *main,
            several => {
                let ids = several.iter().map(|task| task.process).collect();
                return Err(ProcessError::Several { wanted, ids });
            }
        };
        let id = main.process;
        let rollup = source.text(&format!("proc/{id}/smaps_rollup"));
        let kib = |label: &str| rollup.as_ref().and_then(|text| kib(text, label));
        let maps = source.root().text_up_to(&format!("proc/{id}/numa_maps"), MAPS);
        Ok(Self {
            id,
            name: main.stat.name.clone(),
            threads: threads.iter().filter(|task| task.process == id).cloned().collect(),
            memlock: source.text(&format!("proc/{id}/limits")).and_then(|text| memlock(&text)),
            memory: Fact::from(maps).map(|text| by_node(&text)),
            transparent_huge: kib("AnonHugePages"),
            swapped: kib("Swap"),
            locked: kib("Locked"),
            cost: Fact::unknown("it was not counted"),
        })
    }
}

/// A line such as `Swap:   12 kB`, in bytes.
fn kib(text: &str, label: &str) -> Fact<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(':'));
    let Some(line) = line else { return Fact::Absent };
    let number = line.trim_ascii().strip_suffix("kB").map(str::trim_ascii);
    match number.and_then(|number| number.parse::<u64>().ok()?.checked_mul(1024)) {
        Some(bytes) => Fact::Is(bytes),
        None => Fact::unknown(format!("{label} of smaps_rollup is not a number of kB")),
    }
}

/// The soft limit of `Max locked memory` in `/proc/PID/limits`.
fn memlock(text: &str) -> Fact<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max locked memory"));
    let soft = line.and_then(|line| line.split_ascii_whitespace().next());
    match soft {
        Some("unlimited") => Fact::Is(u64::MAX),
        Some(bytes) => match bytes.parse() {
            Ok(bytes) => Fact::Is(bytes),
            Err(_) => Fact::unknown("the limit of locked memory is not a number"),
        },
        None => Fact::unknown("limits do not say how much memory may be locked"),
    }
}

/// The pages of `numa_maps` (`N0=12 kernelpagesize_kB=4`), in bytes by node.
fn by_node(text: &str) -> BTreeMap<NumaNode, u64> {
    let mut nodes: BTreeMap<NumaNode, u64> = BTreeMap::new();
    for line in text.lines() {
        let words = || line.split_ascii_whitespace();
        let page = words().find_map(|word| word.strip_prefix("kernelpagesize_kB=")?.parse().ok());
        let page: u64 = page.unwrap_or(4);
        for word in words() {
            let counted = word.strip_prefix('N').and_then(|word| word.split_once('='));
            let Some((Ok(node), Ok(pages))) =
                counted.map(|(node, pages)| (node.parse(), pages.parse::<u64>()))
            else {
                continue;
            };
            let bytes = pages.saturating_mul(page).saturating_mul(1024);
            let sum = nodes.entry(node).or_default();
            *sum = sum.saturating_add(bytes);
        }
    }
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_by_node_in_its_own_page_size() {
        let text = "7f00 default anon=3 dirty=3 N0=1 N1=2 kernelpagesize_kB=4\n\
                    8000 bind:1 file=/dev/hugepages/x huge dirty=2 N1=2 kernelpagesize_kB=2048\n\
                    odd N0=many Nx=1 N2 N3=\n";

        let nodes = by_node(text);

        assert_eq!(nodes.get(&NumaNode(0)), Some(&4096));
        assert_eq!(nodes.get(&NumaNode(1)), Some(&(2 * 4096 + 2 * (2 << 20))));
        assert_eq!(nodes.len(), 2);
    }

    #[test]
    fn the_limit_of_locked_memory_is_the_soft_one() {
        let text = |limit: &str| {
            format!(
                "Limit   Soft Limit  Hard Limit  Units\nMax locked memory  {limit}  999  bytes\n"
            )
        };

        assert_eq!(memlock(&text("unlimited")), Fact::Is(u64::MAX));
        assert_eq!(memlock(&text("65536")), Fact::Is(65536));
        assert!(memlock(&text("much")).is_unknown());
        assert!(memlock("").is_unknown());
    }

    #[test]
    fn a_process_that_is_not_there_or_not_alone_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        for id in [7, 8, 9] {
            let folder = dir.path().join(format!("proc/{id}/task/{id}"));
            std::fs::create_dir_all(&folder).unwrap();
            let name = if id == 9 { "one" } else { "two" };
            let rest = "S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0";
            std::fs::write(folder.join("stat"), format!("{id} ({name}) {rest}\n")).unwrap();
            let status = format!(
                "Tgid:\t{id}\nCpus_allowed_list:\t0\nvoluntary_ctxt_switches:\t1\nnonvoluntary_ctxt_switches:\t2\n"
            );
            std::fs::write(folder.join("status"), status).unwrap();
        }
        let source = Source::at(dir.path()).unwrap();
        let facts = Facts::read(&source);
        let read = |wanted: &str| Process::read(&source, &facts, wanted);

        assert_eq!(read("one").unwrap().id, 9);
        assert_eq!(read("8").unwrap().name, "two");
        assert_eq!(
            read("two").unwrap_err().to_string(),
            "2 processes are called \"two\": 7, 8; name one by its number"
        );
        assert!(matches!(read("three"), Err(ProcessError::None { .. })));
    }
}
