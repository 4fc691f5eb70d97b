use std::fs;

use api::{EventKind, KernelEvent, Verdict};
use pipeline::{counters, stalls};

use super::*;

/// Made-up files of one worker on CPU 1, thread 70 of this process.
pub(super) struct Machine(tempfile::TempDir);

impl Machine {
    pub(super) fn new() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        machine.write(
            "proc/interrupts",
            "     CPU0 CPU1\n 34: 9 10 PCI-MSI 5-edge nvme0q3\nLOC: 5 5 Local timer interrupts\nERR: 0\n",
        );
        machine.write("proc/softirqs", "     CPU0 CPU1\nTIMER: 3 4\nNET_RX: 5 5\n");
        machine.times(2);
        machine.thread(3, 1_000_000, 0, 2);
        machine
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn remove(&self, path: &str) {
        fs::remove_file(self.0.path().join(path)).unwrap();
    }

    /// CPU 1 has been stolen from for so many ticks.
    pub(super) fn times(&self, steal: u64) {
        let text = format!(
            "cpu 0 0 0 0 0 0 0 0 0 0\ncpu0 1 1 1 1 1 1 1 9 0 0\ncpu1 1 1 1 1 1 1 1 {steal} 0 0\n"
        );
        self.write("proc/stat", &text);
    }

    /// The thread has been preempted so often, has waited so long, and has had so many faults of both kinds.
    pub(super) fn thread(&self, preempted: u64, waited_ns: u64, major: u64, minor: u64) {
        let dir = format!("proc/{}/task/70", std::process::id());
        self.write(&format!("{dir}/schedstat"), &format!("999 {waited_ns} 7\n"));
        let status = format!(
            "Tgid:\t{}\nCpus_allowed_list:\t1\nvoluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t{preempted}\n",
            std::process::id()
        );
        self.write(&format!("{dir}/status"), &status);
        let stat = format!(
            "70 (bw-worker-0) R 1 2 3 0 -1 4194560 {minor} 12 {major} 14 15 16 17 18 20 0 1 0 2200 4096 5 \
             18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0"
        );
        self.write(&format!("{dir}/stat"), &stat);
    }

    fn root(&self) -> Root {
        Root::at(self.0.path()).unwrap()
    }

    pub(super) fn read(&self) -> (Vec<Counts>, Vec<String>) {
        Counts::read(&self.root(), std::process::id(), &[(CpuId::new(1).unwrap(), 70)])
    }
}

pub(super) fn event(kind: EventKind, name: &str, count: u64, time_ns: Option<u64>) -> KernelEvent {
    KernelEvent { kind, name: name.to_owned(), count, time_ns }
}

/// A worker that is watched.
struct Watched {
    machine: Machine,
    counters: counters::WorkerCounters,
    log: stalls::StallLog,
    watch: Watch,
}

impl Watched {
    fn new() -> Self {
        let machine = Machine::new();
        let (counters, reader) = counters::new(1);
        let (log, stalls) = stalls::new(4);
        let witness = Witness::default();
        witness.want(true);
        let subject = Subject {
            worker: 0,
            cpu: CpuId::new(1).unwrap(),
            thread: 70,
            counters: reader,
            stalls,
        };
        let rate = TickRate::from_hz(1_000_000_000).unwrap();
        let watch = Watch::new(witness, machine.root(), vec![subject], rate);
        Self { machine, counters, log, watch }
    }

    /// The worker turns, and then it is looked at.
    fn turns(&mut self) -> &mut Self {
        self.counters.end_turn(0, |_| {});
        self.counters.publish();
        self.stands()
    }

    /// It is looked at where it stood before.
    fn stands(&mut self) -> &mut Self {
        self.watch.turn();
        self
    }

    /// A stall that ends now.
    fn stall(&mut self, length_ticks: u64) -> &mut Self {
        let at_tick = linux::clock::ticks();
        let stall =
            Stall { at_tick, length_ticks, worker: 0, pending: 1, saturated: false, sequence: 0 };
        self.log.push(stall);
        self
    }

    fn of(&self, number: u64) -> Option<api::Meanwhile> {
        self.watch.witness.of(0, number)
    }
}

#[test]
fn a_stall_between_two_looks_has_what_was_counted_between_them() {
    let mut watched = Watched::new();
    watched.turns().turns().stall(1);
    watched.machine.thread(4, 1_000_001, 0, 2);
    watched.turns();

    let meanwhile = watched.of(0).unwrap();
    assert_eq!((meanwhile.stalls, meanwhile.stalled_ns), (1, 1));
    assert_eq!(meanwhile.verdict, Verdict::Cause);
    assert_eq!(meanwhile.events, [event(EventKind::Preempted, "", 1, Some(1))]);
    assert_eq!(watched.of(1), None);
}

#[test]
fn a_stall_in_which_looks_fell_has_what_was_counted_since_before_it_began() {
    let mut watched = Watched::new();
    watched.turns().turns();
    let began = linux::clock::ticks();
    watched.machine.write("proc/softirqs", "     CPU0 CPU1\nTIMER: 3 5\nNET_RX: 5 5\n");
    watched.stands().stands();
    let length = linux::clock::ticks() - began;
    watched.stall(length).turns();

    let meanwhile = watched.of(0).unwrap();
    assert_eq!(meanwhile.events, [event(EventKind::Softirq, "TIMER", 1, None)]);
    assert!(meanwhile.window_ns > length);
}

#[test]
fn a_stall_that_began_before_the_last_look_is_seen_from_the_one_before() {
    let mut watched = Watched::new();
    watched.turns();
    watched.stall(1).turns();
    let began = linux::clock::ticks();
    watched.turns();
    let length = linux::clock::ticks() - began;
    watched.stall(length).turns();

    let meanwhile = watched.of(1).unwrap();
    assert_eq!(meanwhile.stalls, 1, "the first one is over before this one's window");
    assert_eq!((meanwhile.verdict, meanwhile.events), (Verdict::Nothing, vec![]));
}

#[test]
fn nothing_is_said_of_stalls_before_the_first_look_or_beside_lost_ones() {
    let mut watched = Watched::new();
    watched.turns().stall(u64::MAX).turns();
    assert_eq!(watched.of(0), None, "it began before any look");
    for _ in 0..5 {
        watched.stall(1);
    }
    watched.turns();
    assert!((1..=5).all(|number| watched.of(number).is_none()), "one of them was overwritten");
    watched.turns().stall(1).turns();
    assert!(watched.of(6).is_some());
}

#[test]
fn nobody_looks_who_is_not_wanted() {
    let mut watched = Watched::new();
    watched.watch.witness.want(false);
    watched.turns().stall(1).turns();
    assert_eq!(watched.of(0), None);
    watched.watch.witness.want(true);
    watched.turns().stall(1).turns();
    assert_eq!(watched.of(0), None);
    assert!(watched.of(1).is_some());
}

#[test]
fn only_so_many_windows_are_remembered() {
    let mut watched = Watched::new();
    watched.turns();
    let all = u64::try_from(WINDOWS).unwrap() + 1;
    for _ in 0..all {
        watched.stall(1).turns();
    }
    assert_eq!(watched.of(0), None);
    assert!((1..all).all(|number| watched.of(number).is_some()));
}
