//! From start to READY, from SIGTERM to the end, and what a kill leaves behind: nothing.

use std::{fmt::Display, path::PathBuf};

use rustix::process::Signal;
use scenarios::{Daemon, Setup, Site, capture, configs::ENDLESS, frames, http, load, skip, wait};

fn started(site: &Site) -> Daemon {
    load::started(site, ENDLESS)
}

#[test]
fn ready_is_said_when_ports_are_up_and_every_worker_has_turned() {
    let site = Site::new();
    capture::write(&site.path("in.pcap"), &frames::everyday());
    let daemon = Daemon::start(&site, ENDLESS);
    let status: api::Status = daemon.get("/v1/status");
    assert_eq!(status.state, api::State::Running);
    assert!(status.workers.iter().all(|worker| worker.turns > 0), "{status:#?}");
    assert!(status.ports.iter().all(|port| port.link_up), "{status:#?}");
    assert_eq!(status.pid, daemon.pid().as_raw_nonzero().get().cast_unsigned());
    println!("from start to READY: {:.0} ms", status.start_to_ready_ms);
}

#[test]
fn sigterm_under_load_drains_says_what_was_in_flight_and_exits_with_0() {
    let site = Site::new();
    let daemon = started(&site);
    let ended = daemon.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said);
    assert!(ended.said.contains("in flight") || ended.said.contains("in_flight"), "{}", ended.said);
    println!("from SIGTERM to the end: {} ms", ended.took.as_millis());
}

#[test]
fn every_mbuf_is_back_in_its_pool_at_the_end() {
    let site = Site::new();
    let daemon = started(&site);
    let ended = daemon.stop();
    // 5 would be the exit code for buffers that are not back.
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said);
    let line = ended
        .said
        .lines()
        .find(|line| line.contains("buffers"))
        .unwrap_or_else(|| panic!("{}", ended.said));
    println!("{line}");
}

#[test]
fn sigint_is_a_stop_too_and_a_second_signal_does_no_harm() {
    let site = Site::new();
    let daemon = started(&site);
    daemon.signal(Signal::INT);
    // It may be gone already; that is fine.
    let _gone = rustix::process::kill_process(daemon.pid(), Signal::TERM);
    assert_eq!(daemon.wait().status.code(), Some(0));
}

#[test]
fn a_stop_over_the_control_socket_is_a_stop() {
    let site = Site::new();
    let daemon = started(&site);
    let answer = daemon.request("POST", "/v1/stop", None);
    assert!((200..300).contains(&answer.status), "{answer:?}");
    let stopping: api::Stopping = answer.parse();
    assert_eq!(stopping.pid, daemon.pid().as_raw_nonzero().get().cast_unsigned());
    let ended = daemon.wait();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said);
    println!("gone after {} of {} ms", ended.took.as_millis(), stopping.deadline_ms);
}

#[test]
fn after_a_kill_a_new_one_starts_at_once_in_the_same_place() {
    let site = Site::new();
    let mut pids = Vec::new();
    for _ in 0..3 {
        let daemon = started(&site);
        pids.push(daemon.pid().as_raw_nonzero());
        let ended = daemon.end_by(Signal::KILL);
        assert_eq!(ended.status.code(), None);
        assert!(
            site.path("control.sock").exists(),
            "a kill leaves the socket, and the next start has to cope"
        );
    }
    let last = started(&site);
    pids.push(last.pid().as_raw_nonzero());
    assert!(dpdk_dirs(pids[3]).any(|dir| dir.exists()), "DPDK makes one for each process");
    let ended = last.stop();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.said);
    assert!(!site.path("control.sock").exists(), "a stop removes it");
    let left: Vec<_> = pids.into_iter().flat_map(dpdk_dirs).filter(|dir| dir.exists()).collect();
    assert!(
        left.is_empty(),
        "neither a stop nor, after the next start, a kill leaves one: {left:?}"
    );
}

/// Where DPDK keeps files of a process: as root, and otherwise.
fn dpdk_dirs(pid: impl Display) -> impl Iterator<Item = PathBuf> {
    let own = std::env::var_os("XDG_RUNTIME_DIR").unwrap_or("/tmp".into());
    [PathBuf::from("/run"), own.into()]
        .map(|dir| dir.join(format!("dpdk/barewire-{pid}")))
        .into_iter()
}

#[test]
fn a_second_daemon_on_the_same_socket_is_refused_and_the_first_goes_on() {
    let site = Site::new();
    let first = started(&site);
    let second = Setup::new(&site, ENDLESS).spawn().wait();
    assert_ne!(second.status.code(), Some(0), "{}", second.said);
    assert!(second.said.contains("control.sock"), "{}", second.said);
    load::wait_for_frames(&first);
}

#[test]
fn of_several_that_start_at_once_on_a_stale_socket_one_runs() {
    let site = Site::new();
    let _killed = started(&site).end_by(Signal::KILL);
    // Each writes the file, so all of them do before anybody reads it.
    let setups: Vec<_> = (0..4).map(|_| Setup::new(&site, ENDLESS)).collect();
    let mut daemons: Vec<_> = setups.into_iter().map(Setup::spawn).collect();
    // All but one end by themselves.
    let winner = wait::until("one that runs alone", || {
        let running: Vec<_> = (0..4).filter(|&at| daemons[at].is_running()).collect();
        <[usize; 1]>::try_from(running).ok()
    });
    let winner = daemons.swap_remove(winner[0]);
    for refused in daemons {
        let ended = refused.wait();
        assert_eq!(ended.status.code(), Some(1), "{}", ended.said);
        assert!(ended.said.contains("another barewired"), "{}", ended.said);
    }
    wait::until("the winner's answer", || http::connect(winner.socket()).ok());
    let _its_socket_is_there: api::Status = winner.get("/v1/status");
    assert_eq!(winner.stop().status.code(), Some(0));
    assert!(!site.path("control.sock").exists() && !site.path("control.sock.lock").exists());
}

#[test]
fn two_daemons_run_beside_each_other() {
    let (one, two) = (Site::new(), Site::new());
    let (first, second) = (started(&one), started(&two));
    assert_eq!(first.stop().status.code(), Some(0));
    assert_eq!(second.stop().status.code(), Some(0));
}

#[test]
fn hugepages_are_free_again_after_a_stop_and_after_a_kill() {
    if skip::without_root() || skip::without_hugepages(128) {
        return;
    }
    let before = skip::free_hugepages();
    let site = Site::new();
    capture::write(&site.path("in.pcap"), &frames::everyday());
    for signal in [Signal::TERM, Signal::KILL] {
        let daemon = Daemon::start(&site, &ENDLESS.replace("huge = \"none\"", "huge = \"2M\""));
        assert!(skip::free_hugepages() < before, "it uses hugepages");
        let _ended = daemon.end_by(signal);
        wait::until("the hugepages", || (skip::free_hugepages() == before).then_some(()));
    }
}

#[test]
fn a_device_that_does_not_exist_ends_the_start_with_its_name() {
    let site = Site::new();
    let config = ENDLESS;
    capture::write(&site.path("in.pcap"), &[]);
    let missing = Setup::new(&site, &config.replace("in.pcap", "absent.pcap")).spawn().wait();
    assert_eq!(missing.status.code(), Some(4), "{}", missing.said);
    assert!(
        missing.said.contains("north") || missing.said.contains("net_pcap0"),
        "{}",
        missing.said
    );
    let unknown = Setup::new(&site, &config.replace("net_null0", "net_nonsense0")).spawn().wait();
    assert_eq!(unknown.status.code(), Some(4), "{}", unknown.said);
    assert!(unknown.said.contains("net_nonsense0"), "{}", unknown.said);
}
