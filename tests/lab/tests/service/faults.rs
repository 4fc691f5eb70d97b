//! What goes wrong, and that the machine says so and comes back to a state that is known.

use std::time::{Duration, Instant};

use lab::{
    Guest,
    frames::{frame, is_carried},
};

use crate::{
    restarts::{AGAIN, flow},
    site::{
        CONFIG, ONE_WORKER, UNIT, ask, balanced, journal, property, running, says, start, until,
        wire,
    },
};

/// A wire on one worker, which runs.
fn wired() -> Option<Guest> {
    running(|guest| wire(guest, ONE_WORKER))
}

/// Frames go through, both ways, and all are accounted for.
#[track_caller]
fn forwards(guest: &mut Guest) {
    for (from, to) in [("east", "west"), ("west", "east")] {
        let frame = frame(64, 1 << 20);
        let carried = is_carried(guest.nic(from), guest.nic(to), &frame).unwrap();
        assert!(carried, "nothing comes from {from} to {to}\n{}", journal(guest, UNIT));
    }
    balanced(guest);
}

/// Waits until the daemon sees the link of "west" so.
#[track_caller]
fn link_is(guest: &mut Guest, up: bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let status = ask(guest, "status");
        let ports = status["ports"].as_array().unwrap();
        if ports.iter().any(|port| port["name"] == "west" && port["link_up"] == up) {
            return;
        }
        assert!(Instant::now() < deadline, "{status:#}");
    }
}

#[test]
fn a_cable_that_is_pulled_is_logged_and_frames_flow_when_it_is_back() {
    let Some(mut guest) = wired() else { return };
    let guest = &mut guest;
    let pid = property(guest, UNIT, "MainPID");

    guest.set_link("west", false).unwrap();
    link_is(guest, false);
    says(guest, UNIT, &["the link is down", "west"]);
    guest.set_link("west", true).unwrap();
    link_is(guest, true);
    says(guest, UNIT, &["the link is up", "west"]);

    forwards(guest);
    assert_eq!(property(guest, UNIT, "MainPID"), pid, "it is the same process");
}

#[test]
fn a_daemon_that_is_killed_comes_back_by_itself_with_all_its_memory() {
    let Some(mut guest) = wired() else { return };
    let guest = &mut guest;
    let flow = flow(guest);
    let pid = property(guest, UNIT, "MainPID");

    guest.must(&format!("kill -KILL {pid}"));

    says(guest, UNIT, &["Main process exited", "KILL"]);
    until(guest, &format!("systemctl is-active --quiet {UNIT}"));
    assert!(flow.goes_on(50, AGAIN), "{}", journal(guest, UNIT));
    let tally = flow.end().unwrap();
    eprintln!("after SIGKILL nothing came out for {:?}; {tally:?}", tally.longest_gap);
    assert_eq!(property(guest, UNIT, "NRestarts"), "1");
    assert_ne!(property(guest, UNIT, "MainPID"), pid);
    forwards(guest);
}

#[test]
fn a_worker_that_stands_still_is_named_and_the_watchdog_ends_it() {
    let Some(mut guest) = wired() else { return };
    let guest = &mut guest;
    let pid = property(guest, UNIT, "MainPID");
    // As a debugger does: SIGSTOP would stop every thread. ptrace(PTRACE_SEIZE), then ptrace(PTRACE_INTERRUPT).
    guest.must(&format!(
        "worker=$(grep -l '^bw-worker-0$' /proc/{pid}/task/*/comm | cut -d/ -f5); test -n \"$worker\"; \
         systemd-run --quiet --unit=debugger perl -e 'syscall(101, 0x4206, $ARGV[0] + 0, 0, 0) == 0 or die $!; \
         syscall(101, 0x4207, $ARGV[0] + 0, 0, 0) == 0 or die $!; sleep 600' $worker"
    ));

    let line = says(guest, UNIT, &["the worker does not turn", "worker=0"]);
    assert!(line.contains("stage=") && line.contains("stopped by a debugger"), "{line}");
    says(guest, UNIT, &["Watchdog timeout"]);
    // A thread that is traced is not gone before its tracer has let go.
    guest.must("systemctl stop debugger");
    comes_back(guest);
}

#[test]
fn a_process_that_is_stopped_is_ended_by_the_watchdog_and_comes_back() {
    let Some(mut guest) = wired() else { return };
    let guest = &mut guest;

    guest.must(&format!("kill -STOP $(systemctl show -P MainPID {UNIT})"));

    says(guest, UNIT, &["Watchdog timeout"]);
    comes_back(guest);
}

#[test]
fn hugepages_that_are_gone_are_named_by_node_and_do_not_hurt_who_has_his() {
    let Some(mut guest) = wired() else { return };
    let guest = &mut guest;
    let set = |guest: &mut Guest, pages: u32| {
        guest.must(&format!(
            "for node in 0 1; do echo {pages} > \
             /sys/devices/system/node/node$node/hugepages/hugepages-2048kB/nr_hugepages; done"
        ));
    };

    // Somebody takes every page that is free; then the daemon is to start anew.
    set(guest, 0);
    forwards(guest);
    let restarted = guest.run(&format!("systemctl restart {UNIT}")).unwrap();

    assert!(!restarted.success(), "{}", journal(guest, UNIT));
    let line = says(guest, UNIT, &["node 0 has 0 MiB of free 2048kB hugepages", "the plan needs"]);
    assert!(line.contains("64 MiB"), "{line}");
    set(guest, 160);
    // systemd tries again by itself, and within its limit.
    until(guest, &format!("systemctl is-active --quiet {UNIT}"));
    forwards(guest);
}

#[test]
fn a_full_disk_stops_neither_frames_nor_a_restart() {
    let Some(mut guest) = wired() else { return };
    let guest = &mut guest;
    guest.must(
        "dd if=/dev/zero of=/filler bs=1M 2>/dev/null; cat /dev/zero > /filler2 2>/dev/null; sync; \
                test $(df --output=avail / | tail -1) = 0",
    );

    forwards(guest);
    guest.must(&format!("systemctl reload {UNIT}"));
    guest.must(&format!("systemctl restart {UNIT}"));
    forwards(guest);

    guest.must("rm /filler /filler2");
    guest.must(&format!("systemctl restart {UNIT}"));
    forwards(guest);
}

#[test]
fn a_root_file_system_that_can_not_be_written_stops_neither_frames_nor_a_restart() {
    let Some(mut guest) = wired() else { return };
    let guest = &mut guest;
    guest.must("systemctl stop systemd-journal-flush; journalctl --relinquish-var; sync; mount -o remount,ro /");
    guest.must("! touch /root/mark 2>/dev/null");

    forwards(guest);
    guest.must(&format!("systemctl reload {UNIT}"));
    let restarted = guest.run(&format!("systemctl restart {UNIT}")).unwrap();
    assert!(restarted.success(), "{}", journal(guest, UNIT));
    forwards(guest);

    guest.must(&format!("mount -o remount,rw /; systemctl restart {UNIT}"));
    forwards(guest);
}

#[test]
fn a_clock_that_jumps_changes_nothing() {
    let Some(mut guest) = wired() else { return };
    let guest = &mut guest;
    let pid = property(guest, UNIT, "MainPID");
    let flow = flow(guest);

    for jump in ["+3 days", "-10 days", "+7 days"] {
        guest.must(&format!("date --set=\"$(date) {jump}\""));
        assert!(flow.goes_on(100, AGAIN), "{}", journal(guest, UNIT));
    }

    let tally = flow.end().unwrap();
    assert!(tally.is_whole(), "{tally:?}");
    let status = ask(guest, "status");
    let uptime = status["uptime_seconds"].as_f64().unwrap();
    assert!((0.0..3600.0).contains(&uptime), "{status:#}");
    assert_eq!(property(guest, UNIT, "MainPID"), pid);
    assert!(!journal(guest, UNIT).contains("Watchdog timeout"));
    balanced(guest);
}

#[test]
fn a_nic_that_is_to_be_unplugged_waits_for_the_daemon_and_is_missed_by_name() {
    let Some(mut guest) = wired() else { return };
    let guest = &mut guest;
    let device = guest.nic("west").pci_address().to_owned();

    // The kernel asks, and waits: the device is in use.
    let asks = "dmesg | grep -q 'vfio-pci.*\\(device request\\|Relaying device request\\|blocked until released\\)'";
    if !guest.unplug_or_skip("west", asks) {
        return;
    }
    assert_eq!(property(guest, UNIT, "ActiveState"), "active", "{}", journal(guest, UNIT));

    guest.must(&format!("systemctl stop {UNIT}"));
    until(guest, &format!("! test -e /sys/bus/pci/devices/{device}"));
    let started = guest.run(&format!("systemctl start {UNIT}")).unwrap();
    assert!(!started.success());
    let log = journal(guest, UNIT);
    assert!(log.contains(&device), "{log}");
    eprintln!("a NIC that is gone:\n{log}");

    // A configuration without it runs.
    guest.must(&format!(
        "systemctl stop {UNIT} barewire-bind@{device}; systemctl reset-failed {UNIT}"
    ));
    let east = guest.nic("east").pci_address().to_owned();
    let text = format!(
        "{ONE_WORKER}[[port]]\nname = \"east\"\ndevice = \"{east}\"\ninput = \"back\"\n\
         [[stage]]\nname = \"back\"\nkind = \"cross\"\nto = \"tx:east\"\n"
    );
    guest.write(CONFIG, 0o644, &text).unwrap();
    start(guest, UNIT);
    let sent = frame(64, 5);
    guest.nic("east").send(&sent).unwrap();
    let back = guest.nic("east").recv_that(Duration::from_secs(20), |got| got == sent).unwrap();
    assert!(back.is_some(), "{}", journal(guest, UNIT));
}

/// systemd has started the daemon again, and frames flow.
fn comes_back(guest: &mut Guest) {
    until(
        guest,
        &format!(
            "test $(systemctl show -P NRestarts {UNIT}) -ge 1 && systemctl is-active --quiet {UNIT}"
        ),
    );
    forwards(guest);
}
