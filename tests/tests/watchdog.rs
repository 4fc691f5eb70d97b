//! What systemd hears: that all is well, only while every worker turns, and how it goes.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
};

use scenarios::{
    Daemon, Setup, Site, capture, configs::ENDLESS, daemon::with_control, frames, skip, wait,
};

/// A limit of two seconds: four looks in it.
fn watched(site: &Site) -> Daemon {
    capture::write(&site.path("in.pcap"), &frames::everyday());
    Setup::new(site, ENDLESS).env("WATCHDOG_USEC", "2000000").start()
}

fn fed(daemon: &Daemon) -> usize {
    daemon.notices().iter().filter(|line| *line == "WATCHDOG=1").count()
}

/// A thread that a debugger holds, until this is dropped: the others go on.
struct Held(Child);

impl Held {
    /// The thread of this name; `None` where nobody may trace anybody.
    fn thread(daemon: &Daemon, name: &str) -> Option<Self> {
        let tasks = format!("/proc/{}/task", daemon.pid().as_raw_nonzero());
        let thread = fs::read_dir(tasks).ok()?.find_map(|entry| {
            let path = entry.ok()?.path();
            let comm = fs::read_to_string(path.join("comm")).ok()?;
            (comm.trim_end() == name).then(|| path.file_name().map(OsStr::to_owned)).flatten()
        });
        let thread = thread.expect("a daemon that runs has the thread");
        // ptrace(PTRACE_SEIZE), then ptrace(PTRACE_INTERRUPT); the kernel lets the thread go when the tracer ends.
        let ptrace = match std::env::consts::ARCH {
            "x86_64" => 101,
            "aarch64" => 117,
            _ => return None,
        };
        let script = format!(
            "$| = 1; syscall({ptrace}, 0x4206, $ARGV[0] + 0, 0, 0) == 0 or die $!; \
             syscall({ptrace}, 0x4207, $ARGV[0] + 0, 0, 0) == 0 or die $!; print qq(held\\n); <STDIN>"
        );
        let mut tracer = Command::new("perl")
            .args(["-e", &script])
            .arg(thread)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        let said = BufReader::new(tracer.stdout.take()?).read_line(&mut line);
        let held = Self(tracer);
        (said.is_ok() && line == "held\n").then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _gone_already = self.0.stdin.take().map(|mut stdin| stdin.write_all(b"\n"));
        let _ = self.0.wait();
    }
}

#[test]
fn the_watchdog_is_fed_while_every_worker_turns() {
    let site = Site::new();
    let mut daemon = watched(&site);
    for _ in 0..3 {
        daemon.notice("WATCHDOG=1").unwrap();
    }
    assert_eq!(daemon.stop().status.code(), Some(0));
}

#[test]
fn without_a_watchdog_nobody_is_fed() {
    let site = Site::new();
    capture::write(&site.path("in.pcap"), &frames::everyday());
    let daemon = Daemon::start(&site, ENDLESS);
    // By then it has looked after its workers some times.
    wait::until("a status line", || status(&daemon));
    assert_eq!(fed(&daemon), 0, "{:?}", daemon.notices());
    assert_eq!(daemon.stop().status.code(), Some(0));
}

#[test]
fn the_status_line_says_rate_and_tail() {
    let site = Site::new();
    let daemon = watched(&site);
    // A worker that nothing lets run does nothing.
    let line = wait::until("a status line of a worker that runs", || {
        status(&daemon).filter(|line| !line.contains("in 0 pps"))
    });
    assert!(line.contains("p99.99 at most "), "{line}");
    assert!(!line.contains("NOT ACCOUNTED"), "{line}");
    assert!(line.ends_with("1 workers, 2 ports"), "{line}");
    assert_eq!(daemon.stop().status.code(), Some(0));
}

fn status(daemon: &Daemon) -> Option<String> {
    daemon.notices().into_iter().rfind(|line| line.starts_with("STATUS=in "))
}

fn wait_for_another_status(daemon: &Daemon) {
    let looks = daemon.notices().len();
    wait::until("another status line", || {
        daemon.notices()[looks..].iter().any(|line| line.starts_with("STATUS=")).then_some(())
    });
}

#[test]
fn a_worker_that_does_not_turn_is_named_and_the_watchdog_goes_hungry() {
    let site = Site::new();
    let mut daemon = watched(&site);
    daemon.notice("WATCHDOG=1").unwrap();
    let Some(held) = Held::thread(&daemon, "bw-worker-0") else {
        return skip::skip("needs perl and the right to trace a process");
    };
    // On a busy machine it may have stood still before that, for another reason.
    let line = daemon.wait_for_line("stopped by a debugger");
    assert!(line.contains("the worker does not turn"), "{line}");
    assert!(line.contains("worker=0") && line.contains("stage="), "{line}");
    // What was said before that line may still be on its way, but in order.
    wait_for_another_status(&daemon);
    let before = fed(&daemon);
    // The daemon looks on, and answers.
    wait_for_another_status(&daemon);
    assert!(daemon.get::<api::Status>("/v1/status").workers[0].turns > 0);
    assert_eq!(fed(&daemon), before);
    drop(held);
    daemon.wait_for_line("the worker turns again");
    wait::until("the watchdog is fed again", || (fed(&daemon) > before).then_some(()));
    assert_eq!(daemon.stop().status.code(), Some(0));
}

#[test]
fn a_start_that_waits_for_a_dead_link_asks_for_more_time_again_and_again() {
    let site = Site::new();
    capture::write(&site.path("in.pcap"), &frames::everyday());
    // Nobody ever connects to it.
    let memif = "net_memif0,role=server,socket={dir}/memif.sock,socket-abstract=no";
    let config = with_control(&ENDLESS.replace("net_null0", memif));
    let mut daemon = Setup::new(&site, &format!("{config}link_timeout = \"5m\"\n")).spawn();
    for _ in 0..2 {
        daemon.notice("EXTEND_TIMEOUT_USEC=10000000").unwrap();
    }
    assert!(!daemon.notices().contains(&"READY=1".to_owned()), "{:?}", daemon.notices());
    assert_eq!(daemon.stop().status.code(), Some(0));
}
