//! The cause of a stall has a name: another thread that takes the worker's CPU, a signal that stops the worker.

use std::{
    thread,
    time::{Duration, Instant},
};

use api::{EventKind, Meanwhile, Stall, Stalls, Verdict};
use config::CpuId;
use linux::thread::Policy;
use scenarios::{Daemon, Site, configs::ENDLESS, load, skip, wait};

/// Longer than anything that this machine does by itself, and shorter than what the kernel lets real time have.
const TAKEN: Duration = Duration::from_millis(300);

#[test]
fn a_stall_for_which_another_thread_ran_was_a_preemption() {
    if skip::without_root() {
        return;
    }
    let site = Site::new();
    let daemon = load::started(&site, ENDLESS);
    let status: api::Status = daemon.get("/v1/status");
    let cpu = CpuId::new(status.workers[0].cpu).expect("it runs there");
    wait_for_a_look(&daemon);
    let before = seen(&daemon);
    take(cpu);

    let (stall, meanwhile) = wait::until("the cause", || long_stall(&daemon, before));

    assert_eq!(meanwhile.verdict, Verdict::Cause, "{meanwhile:#?}");
    let first = &meanwhile.events[0];
    assert_eq!(first.kind, EventKind::Preempted, "{meanwhile:#?}");
    assert!(first.count > 0 && first.time_ns >= Some(stall.length_ns / 2), "{meanwhile:#?}");
    assert!(meanwhile.window_ns >= stall.length_ns, "{meanwhile:#?}");
    let page = daemon.barewire(["stalls"]);
    let page = String::from_utf8(page.stdout).expect("text");
    assert!(page.contains("preempted ("), "{page}");
    assert_eq!(daemon.stop().status.code(), Some(0));
}

#[test]
fn a_worker_that_was_stopped_did_not_turn_by_itself() {
    let site = Site::new();
    let daemon = load::started(&site, ENDLESS);
    wait_for_a_look(&daemon);
    let before = seen(&daemon);
    daemon.pause(TAKEN);

    let (_, meanwhile) = wait::until("the cause", || long_stall(&daemon, before));

    let kinds: Vec<_> = meanwhile.events.iter().map(|event| event.kind).collect();
    assert!(kinds.contains(&EventKind::Waited), "{meanwhile:#?}");
    assert_eq!(daemon.stop().status.code(), Some(0));
}

#[test]
fn causes_that_nobody_wants_are_not_looked_for() {
    let site = Site::new();
    let quiet = format!("{ENDLESS}\n[latency]\nstall_causes = false\n");
    let daemon = load::started(&site, &quiet);
    daemon.pause(TAKEN);
    // Some looks later, had there been any.
    let stall = wait::until("the stall", || long(&daemon, 0).pop());
    let begun = Instant::now();
    wait::until("some looks' time", || (begun.elapsed() > TAKEN * 3).then_some(()));

    let again = long(&daemon, 0).into_iter().find(|again| again.sequence == stall.sequence);
    assert_eq!(again.expect("it is remembered").meanwhile, None);
    assert_eq!(daemon.stop().status.code(), Some(0));
}

/// A thread that comes before all ordinary ones runs in the worker's place.
fn take(cpu: CpuId) {
    let taker = thread::spawn(move || {
        linux::thread::pin(cpu).expect("the worker may run there, so may we");
        linux::thread::set_policy(linux::thread::id(), Policy::First).expect("root may");
        let begun = Instant::now();
        while begun.elapsed() < TAKEN {
            std::hint::spin_loop();
        }
    });
    taker.join().expect("it only spins");
}

/// Stalls of the machine's own making have a cause once there was a look before them.
fn wait_for_a_look(daemon: &Daemon) {
    let begun = Instant::now();
    wait::until("two looks' time", || (begun.elapsed() > TAKEN).then_some(()));
    load::wait_for_frames(daemon);
}

/// How many stalls the worker had so far: a busy machine makes long ones of its own.
fn seen(daemon: &Daemon) -> u64 {
    let stalls: Stalls = daemon.get("/v1/stalls");
    stalls.next[0]
}

/// The stalls after so many that are as long as ours.
fn long(daemon: &Daemon, before: u64) -> Vec<Stall> {
    let stalls: Stalls = daemon.get("/v1/stalls");
    let ours = u64::try_from(TAKEN.as_nanos()).expect("less than centuries") * 9 / 10;
    let is_ours = |stall: &Stall| stall.sequence > before && stall.length_ns >= ours;
    stalls.stalls.into_iter().filter(is_ours).collect()
}

/// One of them, with what the kernel counted meanwhile.
fn long_stall(daemon: &Daemon, before: u64) -> Option<(Stall, Meanwhile)> {
    long(daemon, before).into_iter().find_map(|stall| {
        let meanwhile = stall.meanwhile.clone()?;
        Some((stall, meanwhile))
    })
}
